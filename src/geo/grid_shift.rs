//! NTv2 grids (`.gsb`): datum shifts interpolated between the nodes of nested grids.
//!
//! Source: "National Transformation Version 2 Developer's Guide" (Geodetic Survey of Canada), as EPSG method 9615.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::HashMap;
use std::fmt;

use super::epsg::Ellipsoid;
use crate::error::{Error, Result};
use crate::limits::{Limits, within};

/// Bytes of a record: a key and a value of 8 each; of a node: four floats.
const RECORD: usize = 16;
/// Sub-grids are looked through for each place: the national grid of Canada has 156, Australia's one.
const MAX_SUB_GRIDS: i32 = 4096;
/// By which part of a node's distance a place may lie outside a grid, as PROJ allows.
const EDGE: f64 = 1e-5;
/// Radians between two guesses of the inverse that are one: 6 micrometres.
const CONVERGED: f64 = 1e-12;
/// Shifts change so slowly that each guess is a thousand times closer than the one before.
const GUESSES: usize = 30;

/// A datum as a grid names it.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// SYSTEM_F or SYSTEM_T, such as `NAD27`.
    pub name: String,
    /// MAJOR and MINOR.
    pub ellipsoid: Ellipsoid,
}

/// The grids of an NTv2 file, from one datum to another.
#[derive(Clone, PartialEq)]
pub struct ShiftGrid {
    source: System,
    target: System,
    grids: Vec<Grid>,
    /// Of those without a parent, in the file's order.
    roots: Vec<usize>,
    accuracy: Option<f64>,
}

/// A sub-grid. Angles are in radians, longitudes to the east.
#[derive(Clone, PartialEq)]
struct Grid {
    west: f64,
    south: f64,
    east: f64,
    north: f64,
    /// Between two nodes: longitude, latitude.
    step: [f64; 2],
    columns: usize,
    rows: usize,
    /// Shifts of latitude and of longitude to the west in seconds of arc, from the south-east corner to the west, then to
    /// the north.
    nodes: Vec<[f32; 2]>,
    children: Vec<usize>,
}

impl fmt::Debug for ShiftGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShiftGrid({self})")
    }
}

impl fmt::Display for ShiftGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = [&self.source, &self.target];
        write!(
            f,
            "from {} ({} by {} m) to {} ({} by {} m)",
            from.name, from.ellipsoid.a, from.ellipsoid.b, to.name, to.ellipsoid.a, to.ellipsoid.b
        )
    }
}

impl ShiftGrid {
    /// The grids of an NTv2 file, of either byte order.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Format`] when the bytes are no NTv2, are cut short, or contradict themselves;
    /// - [`crate::ErrorKind::Unsupported`] for shifts in other units than seconds of arc;
    /// - [`crate::ErrorKind::Limit`] for more bytes than [`Limits::cutline_bytes`], and more than 4,096 sub-grids.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self> {
        within(bytes.len() as u64, limits.cutline_bytes, "the grid")?;
        let mut reader = Reader { bytes, at: 0, is_big: false };
        reader.is_big = match bytes.get(8..12) {
            Some([11, 0, 0, 0]) => false,
            Some([0, 0, 0, 11]) => true,
            _ => {
                return Err(Error::format(
                    "this is no NTv2 grid: its first record, NUM_OREC, does not hold 11; `--grid` reads .gsb files",
                ));
            }
        };
        reader.integer("NUM_OREC")?;
        if reader.integer("NUM_SREC")? != 11 {
            return Err(Error::format(
                "the NTv2 grid's NUM_SREC is not 11, the records of a sub-grid's header",
            ));
        }
        let count = reader.integer("NUM_FILE")?;
        if count < 1 {
            return Err(Error::format(format!(
                "the NTv2 grid's NUM_FILE says that it has {count} sub-grids"
            )));
        }
        if count > MAX_SUB_GRIDS {
            return Err(Error::limit(format!(
                "the NTv2 grid's NUM_FILE says that it has {count} sub-grids; the limit is {MAX_SUB_GRIDS}"
            )));
        }
        let unit = reader.text("GS_TYPE")?;
        if unit != "SECONDS" {
            return Err(Error::unsupported(format!(
                "the NTv2 grid's GS_TYPE is {unit}; cogclip reads grids in SECONDS"
            )));
        }
        reader.text("VERSION")?;
        let (from, to) = (reader.text("SYSTEM_F")?, reader.text("SYSTEM_T")?);
        let source = System { name: from, ellipsoid: reader.ellipsoid("F")? };
        let target = System { name: to, ellipsoid: reader.ellipsoid("T")? };
        let mut grid = Self { source, target, grids: Vec::new(), roots: Vec::new(), accuracy: None };
        let mut by_name = HashMap::new();
        for number in 1..=count {
            grid.read_sub_grid(&mut reader, &mut by_name)
                .map_err(|error| error.at(format!("sub-grid {number}")))?;
        }
        Ok(grid)
    }

    fn read_sub_grid(&mut self, reader: &mut Reader<'_>, by_name: &mut HashMap<String, usize>) -> Result<()> {
        let (name, parent) = (reader.text("SUB_NAME")?, reader.text("PARENT")?);
        reader.text("CREATED")?;
        reader.text("UPDATED")?;
        let (south, north) = (reader.double("S_LAT")?, reader.double("N_LAT")?);
        let (east, west) = (reader.double("E_LONG")?, reader.double("W_LONG")?);
        let (north_step, west_step) = (reader.double("LAT_INC")?, reader.double("LONG_INC")?);
        let count = reader.integer("GS_COUNT")?;
        let says = || {
            format!(
                "latitudes {south} to {north} by {north_step}, longitudes {east} to {west} (west) by {west_step} seconds, \
                 {count} nodes"
            )
        };
        let is_sound = [south, north, east, west].iter().all(|bound| bound.abs() <= 1_300_000.0)
            && south.abs() <= 324_000.0
            && north.abs() <= 324_000.0
            && north > south
            && west > east
            && west - east <= 1_296_000.0
            && north_step > 0.0
            && west_step > 0.0;
        let nodes_along = |extent: f64, step: f64| {
            let intervals = (extent / step).round();
            let is_whole = (intervals * step - extent).abs() < step * 1e-3;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and a million"
            )]
            (is_whole && (1.0..=1e6).contains(&intervals)).then(|| (intervals as usize).saturating_add(1))
        };
        let (Some(columns), Some(rows), true) =
            (nodes_along(west - east, west_step), nodes_along(north - south, north_step), is_sound)
        else {
            return Err(Error::format(format!("the header makes no grid: {}", says())));
        };
        let expected = columns.checked_mul(rows);
        if usize::try_from(count).ok() != expected {
            return Err(Error::format(format!("{columns} by {rows} nodes do not make GS_COUNT: {}", says())));
        }
        let data = expected.and_then(|count| reader.take(count.checked_mul(RECORD)?)).ok_or_else(|| {
            Error::format(format!(
                "the file ends at byte {} within the nodes: {}",
                reader.bytes.len(),
                says()
            ))
        })?;
        let mut nodes = Vec::with_capacity(data.len() / RECORD);
        for node in data.as_chunks::<4>().0.as_chunks::<4>().0 {
            let [north, west, north_accuracy, west_accuracy] = node.map(|bytes| reader.float(bytes));
            nodes.push([north, west]);
            let accuracy = f64::from(north_accuracy.max(west_accuracy));
            if accuracy > 0.0 && accuracy < 1e6 {
                self.accuracy = Some(self.accuracy.map_or(accuracy, |worst| worst.max(accuracy)));
            }
        }
        let [west, south, east, north] = [-west, south, -east, north].map(radians);
        let step = [west_step, north_step].map(radians);
        let index = self.grids.len();
        self.grids.push(Grid { west, south, east, north, step, columns, rows, nodes, children: Vec::new() });
        match by_name.get(&parent).and_then(|parent| self.grids.get_mut(*parent)) {
            Some(parent) => parent.children.push(index),
            None => self.roots.push(index),
        }
        by_name.insert(name, index);
        Ok(())
    }

    /// The datum that it starts from.
    #[must_use]
    pub fn source(&self) -> &System {
        &self.source
    }

    /// The datum that it leads to.
    #[must_use]
    pub fn target(&self) -> &System {
        &self.target
    }

    /// The worst accuracy that it states of any node, in metres; `None` when it states none.
    #[must_use]
    pub fn accuracy(&self) -> Option<f64> {
        self.accuracy
    }

    /// A place on the target's datum, from and to radians; `None` outside the grid.
    pub(super) fn forward(&self, place: [f64; 2]) -> Option<[f64; 2]> {
        let [east, north] = self.shift(place)?;
        Some([place[0] + east, place[1] + north])
    }

    /// A place on the source's datum; `None` outside the grid, or where it has no inverse.
    pub(super) fn inverse(&self, place: [f64; 2]) -> Option<[f64; 2]> {
        let [east, north] = self.shift(place)?;
        let mut guess = [place[0] - east, place[1] - north];
        for _ in 0..GUESSES {
            let there = self.forward(guess)?;
            let off = [there[0] - place[0], there[1] - place[1]];
            guess = [guess[0] - off[0], guess[1] - off[1]];
            if off[0].hypot(off[1]) < CONVERGED {
                return Some(guess);
            }
        }
        None
    }

    fn shift(&self, [lon, lat]: [f64; 2]) -> Option<[f64; 2]> {
        let turn = std::f64::consts::TAU;
        [lon, lon - turn, lon + turn].into_iter().find_map(|lon| {
            let (mut level, mut found) = (&self.roots, None);
            // Children come after their parents, so that this ends.
            while let Some(grid) =
                level.iter().filter_map(|index| self.grids.get(*index)).find(|grid| grid.contains(lon, lat))
            {
                level = &grid.children;
                found = Some(grid);
            }
            found?.shift(lon, lat)
        })
    }
}

impl Grid {
    fn contains(&self, lon: f64, lat: f64) -> bool {
        let edge = (self.step[0] + self.step[1]) * EDGE;
        (self.west - edge..=self.east + edge).contains(&lon)
            && (self.south - edge..=self.north + edge).contains(&lat)
    }

    /// To the east and to the north in radians, bilinear between four nodes.
    #[expect(clippy::indexing_slicing, reason = "nodes[y * columns + x] is within columns * rows")]
    fn shift(&self, lon: f64, lat: f64) -> Option<[f64; 2]> {
        // From the east, as the nodes are.
        let (x, x_share) = cell((self.east - lon) / self.step[0], self.columns)?;
        let (y, y_share) = cell((lat - self.south) / self.step[1], self.rows)?;
        let node = |x: usize, y: usize| {
            let index = y.saturating_mul(self.columns).saturating_add(x);
            self.nodes[index.min(self.nodes.len().saturating_sub(1))].map(f64::from)
        };
        let (right, up) = (x.saturating_add(1), y.saturating_add(1));
        let corners = [node(x, y), node(right, y), node(x, up), node(right, up)];
        let weights = [
            (1.0 - x_share) * (1.0 - y_share),
            x_share * (1.0 - y_share),
            (1.0 - x_share) * y_share,
            x_share * y_share,
        ];
        let (mut north, mut west) = (0.0, 0.0);
        for ([node_north, node_west], weight) in corners.into_iter().zip(weights) {
            north += node_north * weight;
            west += node_west * weight;
        }
        let shift = [-radians(west), radians(north)];
        shift.iter().all(|value| value.is_finite()).then_some(shift)
    }
}

/// The interval between nodes in which a place lies, and the share of the way through it.
fn cell(position: f64, nodes: usize) -> Option<(usize, f64)> {
    let last = nodes.checked_sub(2)?;
    if !position.is_finite() {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 0, and then at most `last`"
    )]
    let index = (position.max(0.0).floor() as usize).min(last);
    #[expect(clippy::cast_precision_loss, reason = "at most a million nodes")]
    let share = (position - index as f64).clamp(0.0, 1.0);
    Some((index, share))
}

fn radians(seconds: f64) -> f64 {
    (seconds / 3600.0).to_radians()
}

/// Reads records one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    is_big: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn value(&mut self, key: &str) -> Result<[u8; 8]> {
        let at = self.at;
        let record: Option<[u8; RECORD]> = self.take(RECORD).and_then(|record| record.try_into().ok());
        let Some([k0, k1, k2, k3, k4, k5, k6, k7, value @ ..]) = record else {
            return Err(Error::format(format!("the NTv2 grid ends at byte {at}, where {key} should stand")));
        };
        let found = [k0, k1, k2, k3, k4, k5, k6, k7];
        let found = String::from_utf8_lossy(&found);
        let found = found.trim_matches([' ', '\0']);
        // LAT_INC and LONG_INC are written in several ways.
        if found.get(..3) == key.get(..3) {
            return Ok(value);
        }
        Err(Error::format(format!(
            "the NTv2 grid has the record {found:?} at byte {at}, where {key} should stand"
        )))
    }

    fn integer(&mut self, key: &str) -> Result<i32> {
        let [b0, b1, b2, b3, ..] = self.value(key)?;
        let bytes = [b0, b1, b2, b3];
        Ok(if self.is_big { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) })
    }

    fn double(&mut self, key: &str) -> Result<f64> {
        let bytes = self.value(key)?;
        Ok(if self.is_big { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) })
    }

    fn float(&self, bytes: [u8; 4]) -> f32 {
        if self.is_big { f32::from_be_bytes(bytes) } else { f32::from_le_bytes(bytes) }
    }

    fn text(&mut self, key: &str) -> Result<String> {
        let value = self.value(key)?;
        Ok(String::from_utf8_lossy(&value).trim_matches([' ', '\0']).to_owned())
    }

    fn ellipsoid(&mut self, side: &str) -> Result<Ellipsoid> {
        let (a, b) = (self.double(&format!("MAJOR_{side}"))?, self.double(&format!("MINOR_{side}"))?);
        if !(6_000_000.0..7_000_000.0).contains(&a) || !(6_000_000.0..=a).contains(&b) {
            return Err(Error::format(format!(
                "the NTv2 grid has an ellipsoid of {a} by {b} m (MAJOR_{side}, MINOR_{side}), which is not the earth's"
            )));
        }
        Ok(Ellipsoid { a, b, inverse_flattening: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const LITTLE: &[u8] = include_bytes!("../../testdata/shift-grid.gsb");
    const BIG: &[u8] = include_bytes!("../../testdata/shift-grid-be.gsb");

    fn parse(bytes: &[u8]) -> Result<ShiftGrid> {
        ShiftGrid::parse(bytes, &Limits::default())
    }

    /// Expected: PROJ's hgridshift, see scripts/make-shift-grid.py.
    #[test]
    fn places_are_where_proj_has_them_both_ways() {
        let grid = parse(LITTLE).unwrap();
        assert!(parse(BIG).unwrap() == grid, "the byte order makes no difference");
        assert_eq!((grid.source().name.as_str(), grid.target().name.as_str()), ("NAD27", "NAD83"));
        assert_eq!((grid.accuracy(), grid.grids.len(), grid.roots.len()), (Some(0.5), 3, 2));
        let mut points = 0;
        for line in
            include_str!("../../testdata/shift-grid.tsv").lines().filter(|line| !line.starts_with('#'))
        {
            let n: Vec<f64> =
                line.split('\t').map(|field| field.parse::<f64>().unwrap().to_radians()).collect();
            let metres = |a: [f64; 2], b: &[f64]| (a[0] - b[0]).hypot(a[1] - b[1]) * 6_378_137.0;
            let there = metres(grid.forward([n[0], n[1]]).unwrap(), &n[2..4]);
            // PROJ turns nodes to radians in single precision: half a unit in the last place of 8 seconds is 15 micrometres.
            let back = metres(grid.inverse([n[0], n[1]]).unwrap(), &n[4..6]);
            assert!(there < 3e-5 && back < 3e-5, "{line}: {there} and {back} m");
            points += 1;
        }
        assert_eq!(points, 120);
    }

    #[test]
    fn nothing_outside_is_shifted() {
        let grid = parse(LITTLE).unwrap();
        let at = |lon: f64, lat: f64| grid.forward([lon.to_radians(), lat.to_radians()]);
        assert!(at(-100.0, 52.0).is_some() && at(260.0, 52.0).is_some(), "a whole turn does not count");
        for (lon, lat) in [(-100.0, 55.0), (-97.99, 52.0), (-104.01, 52.0), (0.0, 0.0), (f64::NAN, 52.0)] {
            assert_eq!(at(lon, lat), None);
            assert_eq!(grid.inverse([lon.to_radians(), lat.to_radians()]), None);
        }
    }

    #[test]
    fn what_is_no_grid_says_why() {
        #[track_caller]
        fn check(at: usize, bytes: &[u8], kind: ErrorKind, word: &str) {
            let mut broken = LITTLE.to_vec();
            broken[at..at + bytes.len()].copy_from_slice(bytes);
            let error = parse(&broken).unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains(word), "{error}");
        }
        check(8, &[10], ErrorKind::Format, "NUM_OREC");
        check(24, &[12], ErrorKind::Format, "NUM_SREC");
        check(40, &[0], ErrorKind::Format, "NUM_FILE");
        check(40, &[255, 255], ErrorKind::Limit, "NUM_FILE");
        check(56, b"DEGREES ", ErrorKind::Unsupported, "GS_TYPE");
        check(120, &0.0_f64.to_le_bytes(), ErrorKind::Format, "MAJOR_F");
        // The first sub-grid's header starts at 176.
        check(176, b"X", ErrorKind::Format, "SUB_NAME");
        check(176 + 64 + 8, &f64::NAN.to_le_bytes(), ErrorKind::Format, "sub-grid 1");
        check(176 + 160 + 8, &i32::MAX.to_le_bytes(), ErrorKind::Format, "GS_COUNT");
        assert_eq!(parse(b"").unwrap_err().kind(), ErrorKind::Format);
        let limits = Limits { cutline_bytes: 100, ..Limits::default() };
        assert_eq!(ShiftGrid::parse(LITTLE, &limits).unwrap_err().kind(), ErrorKind::Limit);
    }

    #[test]
    fn no_mutation_panics() {
        let attempt = |bytes: &[u8]| {
            if let Ok(grid) = parse(bytes) {
                for place in [[-1.77, 0.9], [-1.76, 0.89], [0.0, 0.0], [f64::NAN, 1.0]] {
                    std::hint::black_box((grid.forward(place), grid.inverse(place)));
                }
            }
        };
        for length in 0..LITTLE.len() {
            attempt(&LITTLE[..length]);
        }
        let mut bytes = LITTLE.to_vec();
        for place in 0..bytes.len() {
            // Of the nodes, some will do.
            if place > 1000 && place % 7 != 0 {
                continue;
            }
            for mask in [0x01, 0x80, 0xff] {
                bytes[place] ^= mask;
                attempt(&bytes);
                bytes[place] ^= mask;
            }
        }
    }
}
