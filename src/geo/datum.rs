//! From one datum to another: which operation, how accurate it is, and whether that is good enough.
//!
//! Operations are those that PROJ has without a grid, chosen as PROJ chooses (`proj_trans` with several operations): of
//! those whose area of use contains the place, the most accurate. A clip has one for all of its area of interest, so that
//! no polygon is torn between two.

use std::sync::Arc;

use super::definition::{Datum, Definition};
use super::epsg::{self, Base, Ellipsoid};
use super::grid_shift::{ShiftGrid, System};
use super::shift::Shift;
use crate::error::{Error, Result};

/// Code of the geographic CRS by which datums without a direct operation are joined: WGS 84.
const HUB: u32 = 4326;
/// The ellipsoid of WGS 84; that of GRS 80 is within 0.1 mm.
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

/// How well an operation's area of use fits the area of interest; the better, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Nowhere,
    Overlap,
    Centre,
    Whole,
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
    let operation = leg.operation;
    // Not-a-number allows nothing.
    let is_good = leg.at_least <= choice.max_error && !operation.is_ballpark;
    if !is_good && !choice.allow_ballpark {
        return Err(refusal(from.2, to.2, &operation, choice.max_error));
    }
    Ok((leg.shift, operation))
}

/// Whether no operation shifts coordinates between the datums of two geographic CRSs: EPSG has split some datums that lie
/// less apart than anybody measures.
pub(super) fn agree(one: u32, other: u32) -> bool {
    let side = |code| epsg::base(code).map(|base| Side { ground: Ground::Base(code, base), ellipsoid: base.ellipsoid });
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
                    _ => format!(
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
        return chosen(lines, a.ellipsoid, b.ellipsoid, area);
    }
    chosen(epsg::operations(to, from)?, b.ellipsoid, a.ellipsoid, area).map(Leg::inverted)
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

/// A listed operation.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    accuracy: Option<f64>,
    /// Degrees: west, south, east, north; the east is beyond 180 over the antimeridian.
    area: [f64; 4],
    is_offshore: bool,
    is_unnamed_area: bool,
    is_preferred: bool,
    name: &'static str,
    steps: &'static str,
}

impl Candidate {
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.strip_prefix("o\t")?.split('\t');
        let accuracy = match fields.next()? {
            "" => None,
            metres => Some(metres.parse().ok()?),
        };
        let mut area = [0.0; 4];
        for bound in &mut area {
            *bound = fields.next()?.parse().ok()?;
        }
        let flags = fields.next()?;
        Some(Self {
            accuracy,
            area: unwrapped(area),
            is_offshore: flags.contains('o'),
            is_unnamed_area: flags.contains('u'),
            is_preferred: flags.contains('p'),
            name: fields.next()?,
            steps: fields.next()?,
        })
    }

    /// The part of its area in which `area` lies: PROJ divides areas at the antimeridian. `None` when it does not contain it.
    fn part_with(&self, area: [f64; 4]) -> Option<[f64; 4]> {
        let [west, south, east, north] = self.area;
        let turn = turn_into(self.area, area, contains)?;
        let [area_west, _, area_east, _] = area.map(|bound| bound + turn);
        Some(if east > 180.0 && area_east <= 180.0 {
            [west, south, 180.0, north]
        } else if east > 180.0 && area_west >= 180.0 {
            [180.0, south, east, north]
        } else {
            self.area
        })
    }
}

/// The east beyond 180 degrees where the area goes over the antimeridian.
fn unwrapped([west, south, east, north]: [f64; 4]) -> [f64; 4] {
    [west, south, if east < west { east + 360.0 } else { east }, north]
}

/// The whole turns of longitude after which `test` holds of both areas.
fn turn_into(outer: [f64; 4], inner: [f64; 4], test: fn([f64; 4], [f64; 4]) -> bool) -> Option<f64> {
    [0.0, 360.0, -360.0].into_iter().find(|turn| {
        let [west, south, east, north] = inner;
        test(outer, [west + turn, south, east + turn, north])
    })
}

fn contains(outer: [f64; 4], inner: [f64; 4]) -> bool {
    let is_all_round = outer[2] - outer[0] >= 360.0;
    (is_all_round || outer[0] <= inner[0] && inner[2] <= outer[2])
        && outer[1] <= inner[1]
        && inner[3] <= outer[3]
}

fn overlaps(one: [f64; 4], other: [f64; 4]) -> bool {
    one[0] <= other[2] && other[0] <= one[2] && one[1] <= other[3] && other[1] <= one[3]
}

/// What PROJ compares areas by: proportional to the area on a sphere.
fn extent([west, south, east, north]: [f64; 4]) -> f64 {
    (east - west).to_radians() * (north.to_radians().sin() - south.to_radians().sin())
}

/// The candidate that PROJ would use of those for which `part` gives the part of their area that counts: the first, unless
/// a later one on land is more accurate or, as accurate, for a smaller area.
fn pick(candidates: &[Candidate], part: impl Fn(&Candidate) -> Option<[f64; 4]>) -> Option<&Candidate> {
    let mut best: Option<(&Candidate, f64)> = None;
    for candidate in candidates {
        let Some(size) = part(candidate).map(extent) else { continue };
        let is_better = best.is_none_or(|(best, best_size)| {
            let (accuracy, best_accuracy) =
                (candidate.accuracy.unwrap_or(-1.0), best.accuracy.unwrap_or(-1.0));
            let is_more_accurate = accuracy >= 0.0 && accuracy < best_accuracy;
            #[expect(clippy::float_cmp, reason = "stated figures, not computed ones")]
            let is_narrower = accuracy == best_accuracy
                && size < best_size
                && (!candidate.is_unnamed_area || best.is_unnamed_area)
                && !best.is_preferred;
            (is_more_accurate || is_narrower) && !candidate.is_offshore
        });
        if is_better {
            best = Some((candidate, size));
        }
    }
    best.map(|(candidate, _)| candidate)
}

/// The operation for an area of interest, of the lines of the table for a pair.
fn chosen(lines: &'static str, from: Ellipsoid, to: Ellipsoid, area: Option<[f64; 4]>) -> Option<Leg> {
    let candidates: Vec<Candidate> = lines.lines().filter_map(Candidate::parse).collect();
    let (candidate, fit, accuracy) = match area.map(unwrapped) {
        None => candidates.first().map(|first| (first, Fit::Whole, first.accuracy))?,
        Some(area) => {
            let [west, south, east, north] = area;
            let at = |x: f64, y: f64| pick(&candidates, |candidate| candidate.part_with([x, y, x, y]));
            let centre = at(west.midpoint(east), south.midpoint(north));
            if let Some(whole) = pick(&candidates, |candidate| candidate.part_with(area)) {
                (whole, Fit::Whole, whole.accuracy)
            } else if let Some((partial, fit)) = centre.map(|best| (best, Fit::Centre)).or_else(|| {
                let overlapping =
                    |candidate: &Candidate| turn_into(candidate.area, area, overlaps).map(|_| candidate.area);
                pick(&candidates, overlapping).map(|best| (best, Fit::Overlap))
            }) {
                let corners = [at(west, south), at(east, south), at(east, north), at(west, north), centre];
                let accuracy = corners.into_iter().flatten().fold(partial.accuracy, |worst, there| {
                    worst.zip(there.accuracy).map(|(one, other)| one.max(other))
                });
                (partial, fit, accuracy)
            } else {
                (candidates.first()?, Fit::Nowhere, None)
            }
        }
    };
    let name = if fit == Fit::Nowhere {
        format!("{}, outside its area of use", candidate.name)
    } else {
        candidate.name.to_owned()
    };
    let operation =
        Operation { name, accuracy, is_ballpark: accuracy.is_none(), covers_area: fit == Fit::Whole };
    Some(Leg::new(Shift::parse(candidate.steps, from, to)?, operation, fit))
}
