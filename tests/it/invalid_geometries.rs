//! Invalid geometries: what repair counts, what `--strict` names, and the area that is covered.
//!
//! `testdata/invalid-geometries.json` was made by hand, its areas worked by hand;
//! `scripts/check-invalid-geometries.py` holds it to GEOS and to what GDAL fills. `testdata/validity.json.gz` holds what
//! GEOS says of random polygons on a coarse grid, where everything touches; `scripts/make-validity-cases.py` wrote it.
//! `COGCLIP_VALIDITY_CASES` names another such file, made with another seed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cogclip::cutline::Polygon;
use cogclip::cutline::repair::{Mode, Repairs, repair};
use cogclip::geo::Affine;
use cogclip::grid::Size;
use cogclip::mask::coverage::Coverage;
use cogclip::mask::{Mask, Rule};
use cogclip::vector::{Geometry, Winding};
use cogclip::{ErrorKind, Limits, Result};

#[derive(serde::Deserialize)]
struct Collection {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    name: String,
    wkt: String,
    #[serde(default)]
    winding: Option<String>,
    #[serde(default)]
    area: f64,
    #[serde(default)]
    invalid: BTreeMap<String, u64>,
    #[serde(default)]
    strict: Option<[f64; 2]>,
    #[serde(default)]
    refused: Option<String>,
}

/// The well-known text of a geometry (OGC 06-103r4 §7), as far as the collection uses it.
struct Wkt<'a>(&'a str);

impl Wkt<'_> {
    fn word(&mut self) -> &str {
        let end = self.0.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest.trim_start();
        word
    }

    fn takes(&mut self, mark: &str) -> bool {
        let rest = self.0.strip_prefix(mark);
        self.0 = rest.map_or(self.0, str::trim_start);
        rest.is_some()
    }

    /// What stands between parentheses, separated by commas; nothing for EMPTY.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        if self.takes("EMPTY") {
            return Vec::new();
        }
        assert!(self.takes("("), "{}", self.0);
        let mut items = vec![item(self)];
        while self.takes(",") {
            items.push(item(self));
        }
        assert!(self.takes(")"), "{}", self.0);
        items
    }

    fn position(&mut self) -> [f64; 2] {
        let end = self.0.find([',', ')']).unwrap();
        let (numbers, rest) = self.0.split_at(end);
        self.0 = rest;
        let (x, y) = numbers.split_once(' ').unwrap();
        [x.parse().unwrap(), y.parse().unwrap()]
    }

    #[expect(clippy::panic, reason = "a test fails so")]
    fn geometry(&mut self) -> Geometry {
        match self.word() {
            "POINT" => Geometry::Point(self.list(Self::position)[0]),
            "LINESTRING" => Geometry::Line(self.list(Self::position)),
            "POLYGON" => Geometry::Polygon(self.list(|ring| ring.list(Self::position))),
            "MULTIPOLYGON" => Geometry::Collection(
                self.list(|part| Geometry::Polygon(part.list(|ring| ring.list(Self::position)))),
            ),
            "GEOMETRYCOLLECTION" => Geometry::Collection(self.list(Self::geometry)),
            word => panic!("{word}"),
        }
    }
}

fn repaired(geometry: &Geometry, winding: Winding, mode: Mode) -> Result<(Vec<Polygon>, Repairs)> {
    let (mut polygons, mut repairs) = (Vec::new(), Repairs::default());
    repair(geometry, winding, mode, &mut polygons, &mut repairs)?;
    Ok((polygons, repairs))
}

/// Pixels of the fine grid in a unit.
const FINE: u32 = 64;
/// All coordinates lie within 0 to this.
const EXTENT: u32 = 10;

fn check(case: &Case) {
    let name = &case.name;
    let geometry = Wkt(&case.wkt).geometry();
    let winding = match case.winding.as_deref() {
        Some("right") => Winding::Right,
        Some("left") => Winding::Left,
        _ => Winding::Any,
    };
    if let Some(refused) = &case.refused {
        for mode in [Mode::Repair, Mode::Strict] {
            let error = repaired(&geometry, winding, mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
            assert!(error.to_string().starts_with(refused), "{name}: {error}");
        }
        return;
    }
    let (polygons, repairs) = repaired(&geometry, winding, Mode::Repair).unwrap();
    let found: BTreeMap<String, u64> = repairs
        .counts()
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| (kind.to_owned(), count))
        .collect();
    assert_eq!(found, case.invalid, "{name}");

    let window = Size::new(EXTENT, EXTENT);
    let coverage = Coverage::burn(&polygons, &Affine::IDENTITY, window, &Limits::default()).unwrap();
    assert!((coverage.area() - case.area).abs() < 1e-9, "{name}: {}, not {}", coverage.area(), case.area);

    // A mask tells of each fine pixel along an outline by its centre, which may be wrong by half of it.
    let step = 1.0 / f64::from(FINE);
    let fine = Affine([0.0, step, 0.0, 0.0, 0.0, step]);
    let window = Size::new(EXTENT * FINE, EXTENT * FINE);
    let mask = Mask::burn(&polygons, &fine, window, Rule::Centre, &Limits::default()).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "some thousand pixels")]
    let area = mask.count() as f64 * step * step;
    let length: f64 = polygons
        .iter()
        .flat_map(|polygon| &polygon.rings)
        .flat_map(|ring| ring.windows(2))
        .map(|edge| (edge[1][0] - edge[0][0]).hypot(edge[1][1] - edge[0][1]))
        .sum();
    assert!((area - case.area).abs() <= length * step / 2.0, "{name}: {area}, not {}", case.area);

    match (case.strict, repaired(&geometry, winding, Mode::Strict)) {
        (None, strict) => assert_eq!(strict.unwrap(), (polygons, repairs), "{name}"),
        (Some([x, y]), strict) => {
            let error = strict.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{name}");
            assert!(
                error.to_string().contains(&format!(" at ({x}, {y}), and --strict refuses")),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn the_collection_of_invalid_geometries() {
    let collection: Collection =
        serde_json::from_str(include_str!("../../testdata/invalid-geometries.json")).unwrap();
    assert!(collection.cases.len() >= 60);
    collection.cases.iter().for_each(check);
    // Every kind is met.
    let kinds: std::collections::BTreeSet<&str> =
        collection.cases.iter().flat_map(|case| case.invalid.keys()).map(String::as_str).collect();
    let unmet: Vec<_> =
        Repairs::default().counts().map(|(kind, _)| kind).filter(|kind| !kinds.contains(kind)).collect();
    assert_eq!(unmet, ["unfinished"]);
}

#[derive(serde::Deserialize)]
struct Verdict {
    rings: Vec<Vec<[f64; 2]>>,
    valid: bool,
    reason: String,
}

#[test]
fn strict_agrees_with_geos_on_random_polygons() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/validity.json.gz");
    let other = std::env::var_os("COGCLIP_VALIDITY_CASES").map(PathBuf::from);
    let packed = std::fs::read(other.as_ref().unwrap_or(&committed)).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let verdicts: Vec<Verdict> = serde_json::from_str(&text).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for (number, verdict) in verdicts.into_iter().enumerate() {
        let Verdict { rings, valid: expected, reason } = verdict;
        let geometry = Geometry::Polygon(rings.clone());
        let (_, repairs) = repaired(&geometry, Winding::Any, Mode::Repair).unwrap();
        let strict = repaired(&geometry, Winding::Any, Mode::Strict);
        assert_eq!(strict.is_ok(), expected, "{number}: {rings:?}: {reason}; {repairs:?}");
        assert_eq!(repairs.is_empty(), expected, "{number}: {rings:?}: {reason}; {repairs:?}");
        *(if expected { &mut valid } else { &mut invalid }) += 1;
    }
    assert!(valid > 500 && invalid > 1000, "{valid} {invalid}");
}
