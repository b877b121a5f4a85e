//! From one datum to another: which operation, how accurate it is, and whether that is good enough.
//!
//! Operations are those that PROJ has without a grid, chosen as PROJ chooses (`proj_trans` with several operations): of
//! those whose area of use contains the place, the most accurate. A clip has one for all of its area of interest, so that
//! no polygon is torn between two.

use std::sync::Arc;

use super::candidate::{Fit, chosen};
use super::definition::{Datum, Definition};
use super::epsg::{self, Base, Ellipsoid};
use super::grid_shift::{ShiftGrid, System};
use super::shift::Shift;
use crate::error::{Error, Result};

/// Code of the geographic CRS by which datums without a direct operation are joined: WGS 84.
const HUB: u32 = 4326;
/// Metres by which two datums on the ellipsoids of WGS 84 or GRS 80 lie apart at most, whatever they are: from WGS 84,
/// GGRS87 by 325 in Greece and VN-2000 by 226.
const GEOCENTRIC_METRES: f64 = 600.0;

const GRS80: Ellipsoid =
    Ellipsoid { a: 6_378_137.0, b: 6_356_752.314_140_356, inverse_flattening: Some(298.257_222_101) };
const WGS84: Ellipsoid =
    Ellipsoid { a: 6_378_137.0, b: 6_356_752.314_245_179, inverse_flattening: Some(298.257_223_563) };

/// What decides between datum operations.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Where coordinates lie: degrees of Greenwich, west, south, east, north; west is the larger one over the antimeridian.
    /// `None` when that is not known: the operation for the largest area is chosen then.
    pub area: Option<[f64; 4]>,
    /// How many metres an operation may be off, by its stated accuracy.
    pub max_error: f64,
    /// Takes an operation that is worse than `max_error` or of unknown accuracy.
    pub allow_ballpark: bool,
    /// Grids that go before the built-in operations for the datums that they are made for.
    pub grids: &'a [Arc<ShiftGrid>],
}

impl Choice<'_> {
    /// Takes the best operation that there is, however bad.
    pub const ANY: Choice<'static> =
        Choice { area: None, max_error: f64::INFINITY, allow_ballpark: true, grids: &[] };
}

/// What takes coordinates from one datum to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its name in the EPSG or ESRI dataset as PROJ has it, steps joined by ` + `, or what stands in its place.
    pub name: String,
    /// The accuracy that its dataset states, in metres: 0 within one datum, the sum of both by way of WGS 84. `None` when
    /// it is not known.
    pub accuracy: Option<f64>,
    /// Nothing vouches for it: a datum of which only the ellipsoid is known, a place outside the area of use, an operation
    /// whose accuracy its dataset does not state.
    pub is_ballpark: bool,
    /// Whether its area of use contains all of the area of interest. Where it does not, `accuracy` is the worst of the
    /// operations that PROJ would choose at the area's corners and its centre.
    pub covers_area: bool,
}

impl Operation {
    /// That of a CRS to itself.
    #[must_use]
    pub fn none() -> Self {
        Self::exact("none: both are the same CRS")
    }

    fn exact(name: &str) -> Self {
        Self { name: name.to_owned(), accuracy: Some(0.0), is_ballpark: false, covers_area: true }
    }

    /// This one and then `next`.
    fn then(self, next: Self) -> Self {
        let name = match (self.accuracy == Some(0.0), next.accuracy == Some(0.0)) {
            (true, _) => next.name,
            (false, true) => self.name,
            (false, false) => format!("{} + {}", self.name, next.name),
        };
        Self {
            name,
            accuracy: self.accuracy.zip(next.accuracy).map(|(one, other)| one + other),
            is_ballpark: self.is_ballpark || next.is_ballpark,
            covers_area: self.covers_area && next.covers_area,
        }
    }
}

/// A shift with its story.
#[derive(Clone, Debug)]
struct Leg {
    shift: Shift,
    operation: Operation,
    fit: Fit,
    /// The sum of the accuracies that are known: at least that is to be allowed.
    at_least: f64,
}

impl Leg {
    fn new(shift: Shift, operation: Operation, fit: Fit) -> Self {
        let at_least = operation.accuracy.unwrap_or(0.0);
        Self { shift, operation, fit, at_least }
    }

    fn null(operation: Operation) -> Self {
        Self::new(Shift::default(), operation, Fit::Whole)
    }

    fn inverted(self) -> Self {
        let operation = Operation { name: flipped(&self.operation.name), ..self.operation };
        Self { shift: self.shift.inverted(), operation, ..self }
    }

    fn then(self, next: Self) -> Self {
        Self {
            shift: self.shift.then(next.shift),
            operation: self.operation.then(next.operation),
            fit: self.fit.min(next.fit),
            at_least: self.at_least + next.at_least,
        }
    }
}

/// What is known of a side's datum.
#[derive(Clone, Copy, Debug)]
enum Ground {
    /// That of a geographic CRS of the table.
    Base(u32, &'static Base),
    /// A sphere in place of the ellipsoid: its latitudes are taken as the ellipsoid's.
    Sphere,
    /// The CRS itself says how it lies to WGS 84.
    Helmert([f64; 7]),
    Unknown,
}

/// One side of a shift.
#[derive(Clone, Copy, Debug)]
struct Side {
    ground: Ground,
    ellipsoid: Ellipsoid,
}

impl Side {
    fn new(definition: &Definition, ellipsoid: Ellipsoid) -> Self {
        let ground = match definition.datum {
            Datum::Epsg(code) => match epsg::base(code) {
                Some(base) if base.ellipsoid.is_sphere() && epsg::operations(HUB, code).is_none() => {
                    Ground::Sphere
                }
                Some(base) => return Self { ground: Ground::Base(code, base), ellipsoid: base.ellipsoid },
                None => Ground::Unknown,
            },
            Datum::EpsgToWgs84(_, parameters) | Datum::ToWgs84(parameters) => Ground::Helmert(parameters),
            Datum::Unknown if ellipsoid.is_sphere() => Ground::Sphere,
            Datum::Unknown => Ground::Unknown,
        };
        Self { ground, ellipsoid }
    }

    fn hub() -> Self {
        Self {
            ground: epsg::base(HUB).map_or(Ground::Unknown, |base| Ground::Base(HUB, base)),
            ellipsoid: WGS84,
        }
    }

    /// Whether it is of the earth's size.
    fn is_terrestrial(&self) -> bool {
        (6_350_000.0..6_400_000.0).contains(&self.ellipsoid.a)
            && (6_330_000.0..6_400_000.0).contains(&self.ellipsoid.b)
    }

    fn is_on(&self, datum: Option<u32>) -> bool {
        let datum = datum.and_then(epsg::base).map(|base| base.datum);
        matches!(self.ground, Ground::Base(_, base) if datum == Some(base.datum))
    }
}

/// The shift from the Greenwich longitudes and latitudes of one CRS to those of another, and what it is.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] when it is worse than `choice` allows, and when none of the grids is for these datums;
/// [`crate::ErrorKind::Unsupported`] between two celestial bodies.
pub(super) fn shift(
    from: (&Definition, Ellipsoid, &str),
    to: (&Definition, Ellipsoid, &str),
    choice: &Choice<'_>,
) -> Result<(Shift, Operation)> {
    let (source, target) = (Side::new(from.0, from.1), Side::new(to.0, to.1));
    if from.0.datum.is_same(&to.0.datum) || is_same_datum(&source, &target) {
        return Ok((Shift::default(), Operation::exact("none: both are on the same datum")));
    }
    for (side, name) in [(&source, from.2), (&target, to.2)] {
        if !side.is_terrestrial() {
            return Err(Error::unsupported(format!(
                "{name} has an ellipsoid of {} by {} m, which is not the earth's, and {} is on another datum: no \
                 operation joins them",
                side.ellipsoid.a,
                side.ellipsoid.b,
                if name == from.2 { to.2 } else { from.2 }
            )));
        }
    }
    let leg = if let Some(leg) = by_grid(&source, &target, choice.grids)? {
        leg
    } else {
        let hub = Side::hub();
        let there = by_grid(&source, &hub, choice.grids)?;
        let back = by_grid(&hub, &target, choice.grids)?;
        match (there, back) {
            (None, None) if choice.grids.is_empty() => best(&source, &target, choice.area),
            (None, None) => return Err(no_grid_fits(from.2, to.2, choice.grids)),
            (there, back) => there
                .unwrap_or_else(|| best(&source, &hub, choice.area))
                .then(back.unwrap_or_else(|| best(&hub, &target, choice.area))),
        }
    };
    let mut operation = leg.operation;
    let is_geocentric = |side: &Side| side.ellipsoid.is_like(&WGS84) || side.ellipsoid.is_like(&GRS80);
    // Not-a-number allows nothing.
    let is_good = if operation.is_ballpark && is_geocentric(&source) && is_geocentric(&target) {
        operation.accuracy = Some(GEOCENTRIC_METRES);
        GEOCENTRIC_METRES <= choice.max_error
    } else {
        leg.at_least <= choice.max_error && !operation.is_ballpark
    };
    if !is_good && !choice.allow_ballpark {
        return Err(refusal(from.2, to.2, &operation, choice.max_error));
    }
    Ok((leg.shift, operation))
}

/// Whether no operation shifts coordinates between the datums of two geographic CRSs: EPSG has split some datums that lie
/// less apart than anybody measures.
pub(super) fn agree(one: u32, other: u32) -> bool {
    let side = |code| {
        epsg::base(code).map(|base| Side { ground: Ground::Base(code, base), ellipsoid: base.ellipsoid })
    };
    let (Some(one), Some(other)) = (side(one), side(other)) else { return false };
    let leg = best(&one, &other, None);
    leg.shift.is_null() && !leg.operation.is_ballpark
}

fn is_same_datum(a: &Side, b: &Side) -> bool {
    match (a.ground, b.ground) {
        (Ground::Base(one, a), Ground::Base(other, b)) => one == other || a.datum == b.datum,
        _ => false,
    }
}

fn refusal(from: &str, to: &str, operation: &Operation, max_error: f64) -> Error {
    let accuracy = match operation.accuracy {
        Some(accuracy) => format!("accurate to {accuracy} m"),
        None => "of unknown accuracy".to_owned(),
    };
    Error::usage(format!(
        "the best operation without a grid from {from} to {to} is \"{}\", {accuracy}, where {max_error} m are allowed: \
         `--grid FILE.gsb` gives a better one, `--max-crs-error METRES` allows more, `--allow-ballpark` takes it as it is",
        operation.name
    ))
}

fn no_grid_fits(from: &str, to: &str, grids: &[Arc<ShiftGrid>]) -> Error {
    let listed: Vec<String> = grids.iter().map(ToString::to_string).collect();
    Error::usage(format!(
        "no grid of `--grid` is for {from} and {to}: {}; leave it out, or give the one for these datums",
        listed.join("; ")
    ))
}

/// The grid for a pair of datums, in its direction.
fn by_grid(from: &Side, to: &Side, grids: &[Arc<ShiftGrid>]) -> Result<Option<Leg>> {
    for grid in grids {
        let (source, target) = (grid.source(), grid.target());
        let is_forward = fits(source, from) && fits(target, to);
        let is_inverse = fits(source, to) && fits(target, from);
        let inverse = match (is_forward, is_inverse) {
            (false, false) => continue,
            (true, false) => false,
            (false, true) => true,
            (true, true) => {
                // Both ellipsoids fit both sides: only the names of the systems can tell.
                let [source, target] = [source, target].map(|system| epsg::datum_by_name(&system.name));
                let by_name = from.is_on(source) || to.is_on(target);
                let by_name_inverse = to.is_on(source) || from.is_on(target);
                if by_name == by_name_inverse {
                    return Err(Error::usage(format!(
                        "the grid {grid} fits both directions, and its names do not tell which one is meant; give one \
                         whose SYSTEM_F and SYSTEM_T name the datums"
                    )));
                }
                by_name_inverse
            }
        };
        let operation = Operation {
            name: format!("grid {grid}{}", if inverse { ", inverted" } else { "" }),
            accuracy: grid.accuracy(),
            is_ballpark: false,
            covers_area: true,
        };
        // Who gives a grid has settled how good it is.
        let leg = Leg { shift: Shift::by_grid(grid, inverse), operation, fit: Fit::Whole, at_least: 0.0 };
        return Ok(Some(leg));
    }
    Ok(None)
}

/// Whether a grid's system may be a side's datum, by the axes of the ellipsoids. Those of GRS 80 and WGS 84 count as one.
fn fits(system: &System, side: &Side) -> bool {
    // Axes stand in grids to the millimetre, some to the centimetre.
    let near = |a: &Ellipsoid, b: &Ellipsoid| (a.a - b.a).abs() < 0.011 && (a.b - b.b).abs() < 0.011;
    near(&system.ellipsoid, &side.ellipsoid)
}

/// The best way between two sides without grids.
fn best(from: &Side, to: &Side, area: Option<[f64; 4]>) -> Leg {
    if is_same_datum(from, to) {
        return Leg::null(Operation::exact("none: both are on the same datum"));
    }
    let direct = match (from.ground, to.ground) {
        (Ground::Base(one, a), Ground::Base(other, b)) => listed(one, other, a, b, area),
        _ => None,
    };
    let hub = Side::hub();
    let is_hub = |side: &Side| matches!(side.ground, Ground::Base(HUB, _));
    match direct {
        Some(leg) if leg.fit == Fit::Whole || is_hub(from) || is_hub(to) => leg,
        None if is_hub(from) => from_hub(to),
        None if is_hub(to) => from_hub(from).inverted(),
        direct => {
            let indirect = best(from, &hub, area).then(best(&hub, to, area));
            match direct {
                Some(direct) if direct.fit >= indirect.fit => direct,
                _ => indirect,
            }
        }
    }
}

/// From WGS 84 to a side for which no operation is listed.
fn from_hub(side: &Side) -> Leg {
    match side.ground {
        Ground::Sphere => Leg::null(Operation::exact("sphere: latitudes taken as the ellipsoid's")),
        Ground::Helmert(parameters) => {
            let operation = Operation {
                name: "Helmert transformation given by the CRS (TOWGS84)".to_owned(),
                accuracy: None,
                is_ballpark: false,
                covers_area: true,
            };
            let shift = Shift::by_helmert(&parameters, side.ellipsoid, WGS84).inverted();
            Leg::new(shift, operation, Fit::Whole)
        }
        Ground::Base(..) | Ground::Unknown => {
            let operation = Operation {
                name: match side.ground {
                    Ground::Base(_, base) => {
                        format!("Ballpark geographic offset from WGS 84 to {}", base.name)
                    }
                    Ground::Sphere | Ground::Helmert(_) | Ground::Unknown => format!(
                        "Ballpark geographic offset from WGS 84 to an unknown datum on an ellipsoid of {} by {} m",
                        side.ellipsoid.a, side.ellipsoid.b
                    ),
                },
                accuracy: None,
                is_ballpark: true,
                covers_area: false,
            };
            Leg::new(Shift::default(), operation, Fit::Nowhere)
        }
    }
}

/// The best of the table's operations between two bases.
fn listed(from: u32, to: u32, a: &Base, b: &Base, area: Option<[f64; 4]>) -> Option<Leg> {
    if let Some(lines) = epsg::operations(from, to) {
        return leg(lines, a.ellipsoid, b.ellipsoid, area);
    }
    leg(epsg::operations(to, from)?, b.ellipsoid, a.ellipsoid, area).map(Leg::inverted)
}

/// The name of the inverse, as PROJ makes it.
fn flipped(name: &str) -> String {
    if name.starts_with("Helmert") || name.starts_with("sphere") || name.starts_with("none") {
        return name.to_owned();
    }
    if let Some(rest) = name.strip_prefix("Ballpark geographic offset from WGS 84 to ") {
        return format!("Ballpark geographic offset from {rest} to WGS 84");
    }
    let inverse_of = |step: &str| {
        step.strip_prefix("Inverse of ").map_or_else(|| format!("Inverse of {step}"), str::to_owned)
    };
    let mut steps: Vec<String> = name.split(" + ").map(inverse_of).collect();
    steps.reverse();
    steps.join(" + ")
}

/// The chosen operation of the lines of the table for a pair.
fn leg(lines: &'static str, from: Ellipsoid, to: Ellipsoid, area: Option<[f64; 4]>) -> Option<Leg> {
    let chosen = chosen(lines, area)?;
    let name = if chosen.fit == Fit::Nowhere {
        format!("{}, outside its area of use", chosen.name)
    } else {
        chosen.name.to_owned()
    };
    let accuracy = chosen.accuracy;
    let operation =
        Operation { name, accuracy, is_ballpark: accuracy.is_none(), covers_area: chosen.fit == Fit::Whole };
    Some(Leg::new(Shift::parse(chosen.steps, from, to)?, operation, chosen.fit))
}

#[cfg(test)]
mod tests {
    use super::super::Projector;
    use super::*;
    use crate::error::ErrorKind;
    use crate::limits::Limits;

    const ANY: Choice<'static> =
        Choice { area: None, max_error: f64::INFINITY, allow_ballpark: false, grids: &[] };

    fn definition(code: &str) -> Definition {
        let (authority, number) = code.split_once(':').unwrap();
        let authority = if authority == "EPSG" { epsg::Authority::Epsg } else { epsg::Authority::Esri };
        epsg::find(authority, number.parse().unwrap()).unwrap().definition
    }

    fn between(from: &str, to: &str, choice: &Choice<'_>) -> Result<Projector> {
        Projector::between(&definition(from), &definition(to), [from.to_owned(), to.to_owned()], choice)
    }

    /// Expected: PROJ 9.8.1, which goes straight from one datum to the other too; `scripts/crs-agreement.py --pairs`.
    #[test]
    fn direct_operations_are_those_of_proj() {
        let mut pairs = 0;
        for line in
            include_str!("../../testdata/datum-pairs.tsv").lines().filter(|line| !line.starts_with('#'))
        {
            let fields: Vec<&str> = line.split('\t').collect();
            let [lon, lat, x, y] = [3, 4, 5, 6].map(|index| fields[index].parse::<f64>().unwrap());
            let choice = Choice { area: Some([lon, lat, lon, lat]), ..ANY };
            let there = between(fields[0], fields[1], &choice).unwrap();
            let got = there.project([lon, lat]).unwrap();
            // A millimetre
            let off = (got[0] - x).hypot(got[1] - y) * 111_320.0;
            assert!(off < 1e-3, "{line}: {off} m by {:?}", there.operation());
            let home = there.inverse().project(got).unwrap();
            let off = (home[0] - lon).hypot(home[1] - lat) * 111_320.0;
            // The inverse of a Helmert transformation turns its angles' signs, which is exact to their squares: half a
            // minute of arc makes 0.1 m.
            assert!(off < 0.2, "{line}: back {off} m");
            pairs += 1;
        }
        assert!(pairs > 50);
    }

    /// Names, accuracies and areas are those of EPSG in PROJ's database.
    #[test]
    fn one_operation_is_chosen_for_all_of_the_area() {
        #[track_caller]
        fn check(to: &str, area: [f64; 4], name: &str, accuracy: f64, covers_area: bool) {
            let projector = between("EPSG:4326", to, &Choice { area: Some(area), ..ANY }).unwrap();
            let operation = projector.operation();
            assert_eq!((operation.name.as_str(), operation.accuracy), (name, Some(accuracy)));
            assert_eq!((operation.covers_area, operation.is_ballpark), (covers_area, false));
        }
        check("EPSG:27700", [-3.0, 52.0, -2.0, 53.0], "Inverse of OSGB36 to WGS 84 (6)", 2.0, true);
        // Within the western states, over two operations' border, and over the border with Canada
        check("EPSG:4267", [-120.0, 30.0, -110.0, 40.0], "Inverse of NAD27 to WGS 84 (6)", 7.0, true);
        check("EPSG:4267", [-98.0, 36.0, -86.0, 40.0], "Inverse of NAD27 to WGS 84 (4)", 10.0, true);
        check("EPSG:4267", [-100.0, 45.0, -90.0, 55.0], "Inverse of NAD27 to WGS 84 (11)", 12.0, true);
        // Half of it lies in the sea; at one of its corners PROJ has nothing better than 20 m.
        check("EPSG:4267", [-130.0, 20.0, -100.0, 40.0], "Inverse of NAD27 to WGS 84 (6)", 20.0, false);
        // Over the antimeridian: the Aleutians
        check("EPSG:4269", [175.0, 52.0, -175.0, 53.0], "Inverse of NAD83 to WGS 84 (2)", 8.0, true);
        // Null operations count as what their dataset says they are.
        check("EPSG:25832", [8.0, 50.0, 9.0, 51.0], "Inverse of ETRS89 to WGS 84 (1)", 1.0, true);
        check("EPSG:32632", [8.0, 50.0, 9.0, 51.0], "none: both are on the same datum", 0.0, true);
    }

    #[test]
    fn datums_without_a_direct_operation_go_by_wgs_84() {
        let choice = Choice { area: Some([-3.0, 52.0, -2.0, 53.0]), ..ANY };
        let projector = between("EPSG:4258", "EPSG:27700", &choice).unwrap();
        let operation = projector.operation();
        assert_eq!(operation.name, "ETRS89 to WGS 84 (1) + Inverse of OSGB36 to WGS 84 (6)");
        assert_eq!(operation.accuracy, Some(3.0));
    }

    #[test]
    fn what_is_worse_than_allowed_is_refused_by_name() {
        #[track_caller]
        fn check(from: &str, to: &str, choice: &Choice<'_>, words: &[&str]) {
            let error = between(from, to, choice).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            for word in [from, to, "--max-crs-error METRES", "--allow-ballpark", "--grid FILE.gsb"]
                .iter()
                .chain(words)
            {
                assert!(error.to_string().contains(word), "{word}: {error}");
            }
            assert!(between(from, to, &Choice { allow_ballpark: true, ..*choice }).is_ok());
        }
        let britain = Some([-3.0, 52.0, -2.0, 53.0]);
        let metre = Choice { area: britain, max_error: 1.0, ..ANY };
        check(
            "EPSG:27700",
            "EPSG:4326",
            &metre,
            &["\"OSGB36 to WGS 84 (6)\"", "accurate to 2 m", "1 m are allowed"],
        );
        assert!(between("EPSG:27700", "EPSG:4326", &Choice { max_error: 2.0, ..metre }).is_ok());
        check("EPSG:4258", "EPSG:4326", &Choice { max_error: 0.5, ..metre }, &["ETRS89 to WGS 84 (1)"]);
        check("EPSG:4258", "EPSG:4326", &Choice { max_error: f64::NAN, ..metre }, &["ETRS89 to WGS 84 (1)"]);
        // Great Britain's operations are not for Africa, and nothing is known of some datums.
        check(
            "EPSG:4326",
            "EPSG:27700",
            &Choice { area: Some([20.0, 0.0, 21.0, 1.0]), ..ANY },
            &["outside its area"],
        );
        check("EPSG:4326", "EPSG:4001", &ANY, &["Ballpark", "of unknown accuracy"]);
    }

    #[test]
    fn what_a_crs_says_of_its_datum_is_taken() {
        let of =
            |datum| Definition { proj: "+proj=longlat +a=6377563.396 +rf=299.3249646".to_owned(), datum };
        let names = || ["mine".to_owned(), "WGS 84".to_owned()];
        // The parameters of "OSGB36 to WGS 84 (6)"
        let towgs84 = of(Datum::ToWgs84([446.448, -125.157, 542.06, 0.15, 0.247, 0.842, -20.489]));
        let strict = Choice { max_error: 0.0, ..ANY };
        let mine = Projector::between(&towgs84, &definition("EPSG:4326"), names(), &strict).unwrap();
        assert!(mine.operation().accuracy.is_none() && mine.operation().name.contains("TOWGS84"));
        let choice = Choice { area: Some([-2.0, 53.0, -2.0, 53.0]), ..ANY };
        let listed = between("EPSG:4277", "EPSG:4326", &choice).unwrap();
        let [mine, listed] =
            [mine, listed].map(|projector| projector.project([-2.0, 53.0]).unwrap().map(f64::to_bits));
        assert_eq!(mine, listed);
        // It does not hide what is known to be worse.
        assert!(Projector::between(&towgs84, &definition("EPSG:4267"), names(), &strict).is_err());
        let unknown = Projector::between(&of(Datum::Unknown), &definition("EPSG:4326"), names(), &ANY);
        assert!(unknown.unwrap_err().to_string().contains("unknown datum"));
    }

    #[test]
    fn a_grid_goes_before_other_operations_for_its_datums() {
        let bytes = include_bytes!("../../testdata/shift-grid.gsb");
        let grids = [Arc::new(ShiftGrid::parse(bytes, &Limits::default()).unwrap())];
        let choice = Choice { max_error: 0.1, grids: &grids, ..ANY };
        let place = [-101.3, 51.7];
        let to_wgs84 = between("EPSG:4267", "EPSG:4326", &choice).unwrap();
        assert!(to_wgs84.operation().name.starts_with("grid from NAD27"), "{:?}", to_wgs84.operation());
        assert_eq!(to_wgs84.operation().accuracy, Some(0.5));
        let there = to_wgs84.project(place).unwrap();
        let back = between("EPSG:4326", "EPSG:4267", &choice).unwrap();
        assert!(back.operation().name.ends_with("inverted"));
        let home = back.project(there).unwrap();
        assert!((home[0] - place[0]).abs() < 1e-10 && (home[1] - place[1]).abs() < 1e-10, "{home:?}");
        let outside = to_wgs84.project([-90.0, 51.7]).unwrap_err();
        assert!(outside.kind() == ErrorKind::Usage && outside.to_string().contains("grid"), "{outside}");
        // It is not for Great Britain.
        let error = between("EPSG:27700", "EPSG:4326", &choice).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("NAD27"), "{error}");
        assert!(between("EPSG:32632", "EPSG:4326", &choice).is_ok(), "one datum takes no grid");
        // Both ways through WGS 84
        let both = Choice { max_error: 10.0, area: Some([-3.0, 52.0, -2.0, 53.0]), ..choice };
        let operation = between("EPSG:4267", "EPSG:27700", &both).unwrap().operation().clone();
        assert!(operation.name.contains("grid") && operation.name.contains("OSGB36"), "{operation:?}");
    }

    #[test]
    fn other_bodies_are_not_the_earth() {
        let error = between("ESRI:104903", "EPSG:4326", &Choice { allow_ballpark: true, ..ANY }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(between("ESRI:104903", "ESRI:104903", &ANY).unwrap().is_identity());
    }
}
