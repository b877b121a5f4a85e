//! Which of the listed datum operations is for an area.
//!
//! The rule is that of PROJ's `proj_trans` with several operations, and the areas of use are the boxes that it compares.

/// How well an operation's area of use fits the area of interest; the better, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    Nowhere,
    Overlap,
    Centre,
    Whole,
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

/// What was chosen of the candidates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub(super) name: &'static str,
    pub(super) steps: &'static str,
    pub(super) fit: Fit,
    /// Of all that PROJ would choose in the area; `None` when one of them does not state it.
    pub(super) accuracy: Option<f64>,
}

/// The operation for an area of interest, of the lines of the table for a pair; `None` when there are no lines.
pub(super) fn chosen(lines: &'static str, area: Option<[f64; 4]>) -> Option<Chosen> {
    let candidates: Vec<Candidate> = lines.lines().filter_map(Candidate::parse).collect();
    let of = |candidate: &Candidate, fit, accuracy| {
        Some(Chosen { name: candidate.name, steps: candidate.steps, fit, accuracy })
    };
    let first = candidates.first()?;
    let Some(area) = area.map(unwrapped) else { return of(first, Fit::Whole, first.accuracy) };
    if let Some(whole) = pick(&candidates, |candidate| candidate.part_with(area)) {
        return of(whole, Fit::Whole, whole.accuracy);
    }
    let [west, south, east, north] = area;
    let at = |x: f64, y: f64| pick(&candidates, |candidate| candidate.part_with([x, y, x, y]));
    let centre = at(west.midpoint(east), south.midpoint(north));
    let overlapping =
        || pick(&candidates, |candidate| turn_into(candidate.area, area, overlaps).map(|_| candidate.area));
    let (partial, fit) = match centre {
        Some(centre) => (centre, Fit::Centre),
        None => match overlapping() {
            Some(overlapping) => (overlapping, Fit::Overlap),
            None => return of(first, Fit::Nowhere, None),
        },
    };
    let corners = [at(west, south), at(east, south), at(east, north), at(west, north), centre];
    let accuracy = corners
        .into_iter()
        .flatten()
        .fold(partial.accuracy, |worst, there| worst.zip(there.accuracy).map(|(one, other)| one.max(other)));
    of(partial, fit, accuracy)
}
