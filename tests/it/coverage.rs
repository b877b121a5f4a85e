//! Covered fractions against exactextract's and GEOS's: every pixel of small grids under random polygons.
//!
//! `testdata/coverage.json.gz` holds theirs; `scripts/make-coverage-cases.py` wrote it and, with `--check`, proves that it
//! still is. `COGCLIP_COVERAGE_CASES` names another such file, made with another seed.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use cogclip::Limits;
use cogclip::cutline::repair::{Mode, Repairs, repair};
use cogclip::geo::Affine;
use cogclip::grid::Size;
use cogclip::mask::coverage::Coverage;
use cogclip::mask::{Mask, Rule};
use cogclip::vector::{Geometry, Winding};

#[derive(serde::Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    kind: String,
    by: String,
    size: [u32; 2],
    transform: [f64; 6],
    polygons: Vec<Vec<Vec<[f64; 2]>>>,
    covered: BTreeMap<u32, Vec<Vec<f64>>>,
}

impl Case {
    /// The fractions of a row.
    fn row(&self, row: u32) -> Vec<f64> {
        let mut fractions = vec![0.0; self.size[0] as usize];
        for run in self.covered.get(&row).into_iter().flatten() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a column")]
            let first = run[0] as usize;
            fractions[first..][..run.len() - 1].copy_from_slice(&run[1..]);
        }
        fractions
    }
}

/// What fractions may differ by: what is promised. Theirs are rounded to 7 digits, exactextract's are 32-bit floats.
const TOLERANCE: f64 = 1e-6;

fn inside(mask: &Mask, row: u32, col: u32) -> bool {
    mask.runs(row).iter().any(|run| (run.start..run.end).contains(&col))
}

/// The largest difference of a pixel.
fn check(number: usize, case: &Case) -> f64 {
    let (transform, window) = (Affine(case.transform), Size::new(case.size[0], case.size[1]));
    let (mut polygons, mut repairs) = (Vec::new(), Repairs::default());
    for rings in &case.polygons {
        let geometry = Geometry::Polygon(rings.clone());
        repair(&geometry, Winding::Any, Mode::Repair, &mut polygons, &mut repairs).unwrap();
    }
    // exactextract was given what GEOS finds valid only, which allows vertices twice in a row.
    repairs.duplicate_points = 0;
    assert!(case.by == "GEOS" || repairs.is_empty(), "case {number}: {repairs:?}");
    let limits = Limits::default();
    let coverage = Coverage::burn(&polygons, &transform, window, &limits).unwrap();
    let centres = Mask::burn(&polygons, &transform, window, Rule::Centre, &limits).unwrap();
    let full = coverage.at_least(1.0).unwrap();
    let mut worst = 0.0_f64;
    for row in 0..window.height {
        let expected = case.row(row);
        let mut found = vec![9.0_f32; expected.len()];
        coverage.fill_row(row, 0, &mut found);
        for ((col, found), &expected) in (0..).zip(found).zip(&expected) {
            let place = format!(
                "case {number}, {}, row {row}, column {col}: {found}, {expected} by {}",
                case.kind, case.by
            );
            worst = worst.max((f64::from(found) - expected).abs());
            assert!((f64::from(found) - expected).abs() < TOLERANCE, "{place}");
            if inside(&full, row, col) {
                assert!(expected > 1.0 - 1e-7 && inside(&centres, row, col), "{place}");
            }
            // The least share that a pixel reaches, and one that it does not.
            if expected > TOLERANCE {
                assert!(inside(&coverage.at_least(expected - TOLERANCE).unwrap(), row, col), "{place}");
            }
            if expected < 1.0 - TOLERANCE {
                assert!(!inside(&coverage.at_least(expected + TOLERANCE).unwrap(), row, col), "{place}");
            }
        }
    }
    worst
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures, for a run with other polygons and --nocapture")]
fn fractions_are_those_of_exactextract_and_geos() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/coverage.json.gz");
    let other = std::env::var_os("COGCLIP_COVERAGE_CASES").map(PathBuf::from);
    let packed = std::fs::read(other.as_ref().unwrap_or(&committed)).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let cases = serde_json::from_str::<Cases>(&text).unwrap().cases;
    let mut counts = BTreeMap::new();
    for (number, case) in cases.iter().enumerate() {
        let (count, worst) = counts.entry(case.by.as_str()).or_insert((0, 0.0_f64));
        *count += 1;
        *worst = worst.max(check(number, case));
    }
    println!("cases, and the largest difference: {counts:?}");
    assert!(counts["exactextract"].0 >= 1000 && counts["GEOS"].0 >= 100, "{counts:?}");
}
