//! FlatGeobuf 3 (flatgeobuf.org), by ranges: the header, the nodes of the index that matter, the features that are wanted.

use std::ops::Range;
use std::sync::Arc;

use super::flatbuffer::Table;
use super::parts::{Parts, merged};
use super::{Feature, Gathering, Geometry, Layer, Query, Ring, Stop, Value, Winding};
use crate::error::{Error, Result};
use crate::geo::Bounds;
use crate::limits::{Limits, within};

/// What a file begins with; the version of the specification is the fourth byte.
const MAGIC: &[u8; 7] = b"fgb\x03fgb";
/// Bytes before the header: the magic and the header's length.
const LEAD: u64 = 12;
/// Bytes that are asked for first: nearly all headers are in them, and the root of the index.
const FIRST: u64 = 16 << 10;
/// Bytes of a node of the index: its box and an offset.
const NODE: u64 = 40;
/// Nodes that are this near to each other are asked for together, as a request costs more than these bytes.
const NODE_GAP: u64 = 4 << 10;
/// The same of features.
const FEATURE_GAP: u64 = 16 << 10;
/// Columns that a property can name: its index has 16 bits.
const COLUMNS: usize = 1 << 16;

/// A column of properties.
#[derive(Clone, Debug)]
struct Column {
    name: Arc<str>,
    kind: u8,
}

/// What the header says.
#[derive(Clone, Debug)]
struct Header {
    name: String,
    kind: u8,
    columns: Vec<Column>,
    count: u64,
    crs: Option<String>,
    /// Nodes of each level of the index, the leaves first; empty without an index.
    levels: Vec<Range<u64>>,
    /// Children of a node.
    fan: u64,
    /// Where the index begins.
    index: u64,
    /// Where the features begin.
    features: u64,
}

/// Which features a query needs, and where in the file they are.
#[derive(Clone, Debug)]
pub struct Found {
    header: Header,
    /// The number and the bytes of each, in the file's order; `None` for all, one after the other.
    features: Option<Vec<(i64, Range<u64>)>>,
    size: u64,
}

impl Found {
    /// The bytes of the file that [`read`] needs, merged where they are near each other.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range<u64>> {
        match &self.features {
            None => vec![Range { start: self.header.features, end: self.size }],
            Some(features) => merged(features.iter().map(|(_, range)| range.clone()).collect(), FEATURE_GAP),
        }
    }
}

/// Whether `head` begins as a FlatGeobuf of any version does.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(b"fgb") && head.get(4..7) == Some(b"fgb")
}

/// The text of the CRS.
///
/// # Errors
/// As [`plan`].
pub fn crs(parts: &Parts, limits: &Limits) -> Result<Option<String>, Stop> {
    Ok(Header::read(parts, limits)?.crs)
}

/// Finds the features that a query can want: by the index, where the file has one and the query asks for a box or for
/// numbers, else all of them.
///
/// # Errors
/// - [`Stop::Need`] for bytes of the header or of a level of the index;
/// - [`Stop::Bad`] of [`crate::ErrorKind::Format`] for what is no FlatGeobuf, [`crate::ErrorKind::Unsupported`] for other
///   versions than 3, [`crate::ErrorKind::Usage`] for another layer's name, and [`crate::ErrorKind::Limit`] when the
///   features or the nodes of the index that are needed take more than [`Limits::cutline_bytes`].
pub fn plan(parts: &Parts, query: &Query, limits: &Limits) -> Result<Found, Stop> {
    let header = Header::read(parts, limits)?;
    query.names_layer(&header.name)?;
    let size = parts.size();
    let by_index = !header.levels.is_empty() && (query.bounds.is_some() || !query.fids.is_empty());
    let features = if by_index { Some(header.search(parts, query, limits)?) } else { None };
    let needed = match &features {
        Some(features) => features
            .iter()
            .fold(0_u64, |sum, (_, range)| sum.saturating_add(range.end.saturating_sub(range.start))),
        None => size.saturating_sub(header.features),
    };
    within(needed, limits.cutline_bytes, "the features of the FlatGeobuf that are needed")?;
    Ok(Found { header, features, size })
}

/// Reads the features that [`plan`] found, numbered by their place in the file from 0, as OGR does.
///
/// # Errors
/// - [`Stop::Need`] for bytes of them that are not here: [`Found::ranges`] are all of them;
/// - [`Stop::Bad`] of [`crate::ErrorKind::Format`], with the number of the feature, for what is damaged,
///   [`crate::ErrorKind::Unsupported`] for a wanted curve, and as [`Gathering`] says.
pub fn read(parts: &Parts, found: &Found, query: &Query, limits: &Limits) -> Result<Layer, Stop> {
    let header = &found.header;
    let mut gathering = Gathering::new(header.name.clone(), Winding::Any, query, limits);
    gathering.set_crs(header.crs.clone());
    for column in header.columns.iter().filter(|column| column.kind != BINARY) {
        gathering.declare(&column.name);
    }
    if let Some(features) = &found.features {
        for (fid, range) in features {
            let (_, bytes) = record(parts, range.start, range.end).map_err(|stop| at(stop, *fid))?;
            header.feature(*fid, &bytes, &mut gathering).map_err(|error| at(error.into(), *fid))?;
        }
        // Those that the index let us pass over are features of the layer all the same.
        gathering.met = header.count;
        return Ok(gathering.finish()?);
    }
    let mut start = header.features;
    for fid in 0_i64.. {
        // A count of 0 says that it is not known.
        if start >= found.size || (header.count > 0 && fid.cast_unsigned() >= header.count) {
            break;
        }
        let (end, bytes) = record(parts, start, found.size).map_err(|stop| at(stop, fid))?;
        header.feature(fid, &bytes, &mut gathering).map_err(|error| at(error.into(), fid))?;
        start = end;
    }
    Ok(gathering.finish()?)
}

/// A feature's buffer, which its length precedes, and where it ends.
fn record(parts: &Parts, start: u64, most: u64) -> Result<(u64, bytes::Bytes), Stop> {
    let from = start.saturating_add(4);
    let length = parts.get(start..from)?;
    let length = u32::from_le_bytes(length.first_chunk().copied().unwrap_or_default());
    let end = from.saturating_add(length.into());
    if end > most {
        return Err(Stop::Bad(Error::format(format!(
            "it has {length} bytes from byte {from} on, but ends at {most}; the file is cut short or damaged"
        ))));
    }
    Ok((end, parts.get(from..end)?))
}

fn at(stop: Stop, fid: i64) -> Stop {
    match stop {
        Stop::Bad(error) => Stop::Bad(error.at(format_args!("the FlatGeobuf's feature {fid}"))),
        Stop::Need(ranges) => Stop::Need(ranges),
    }
}

const BINARY: u8 = 14;

impl Header {
    fn read(parts: &Parts, limits: &Limits) -> Result<Self, Stop> {
        let lead = match parts.get(0..LEAD) {
            Err(Stop::Need(_)) => return Err(Stop::Need(parts.missing(0..FIRST.min(parts.size())))),
            lead => lead?,
        };
        if lead.get(..7) != Some(MAGIC) {
            return Err(Stop::Bad(if begins(&lead) {
                let version = lead.get(3).copied().unwrap_or_default();
                Error::unsupported(format!("a FlatGeobuf of the version {version}; cogclip reads version 3"))
            } else {
                Error::format("the file does not begin as a FlatGeobuf")
            }));
        }
        let length = u32::from_le_bytes(lead.last_chunk().copied().unwrap_or_default());
        within(length.into(), limits.metadata_bytes, "the FlatGeobuf's header")?;
        let index = LEAD.saturating_add(length.into());
        let buffer = parts.get(LEAD..index)?;
        Ok(Self::parse(&buffer, index, parts.size()).map_err(|error| error.at("the FlatGeobuf's header"))?)
    }

    /// The header in `buffer`, behind which the index begins.
    fn parse(buffer: &[u8], index: u64, size: u64) -> Result<Self> {
        let table = Table::root(buffer)?;
        let columns = columns(&table, 7)?;
        let count = u64::from_le_bytes(table.number(8)?);
        let fan = if table.has(9) { u16::from_le_bytes(table.number(9)?).into() } else { 16_u64 };
        let levels = if count > 0 && fan > 0 { levels(count, fan)? } else { Vec::new() };
        let nodes = levels.first().map_or(0, |leaves| leaves.end);
        let features = nodes.checked_mul(NODE).and_then(|bytes| bytes.checked_add(index));
        let features = features.filter(|features| *features <= size).ok_or_else(|| {
            Error::format(format!(
                "it promises {count} features, whose index alone is larger than the file of {size} bytes"
            ))
        })?;
        let [kind] = table.number(2)?;
        let crs = table.table(10)?.map(|crs| crs_text(&crs)).transpose()?.flatten();
        let name = table.text(0)?.unwrap_or_default();
        Ok(Self { name, kind, columns, count, crs, levels, fan, index, features })
    }

    /// The features that can be wanted, by walking down the index, a level at a time.
    fn search(&self, parts: &Parts, query: &Query, limits: &Limits) -> Result<Vec<(i64, Range<u64>)>, Stop> {
        let Some((leaves, above)) = self.levels.split_first() else { return Ok(Vec::new()) };
        let mut asked = 0_u64;
        // Nodes of a level to look at.
        let mut open: Vec<Range<u64>> = Vec::new();
        if query.fids.is_empty() {
            open.extend(self.levels.last().cloned());
            for (level, below) in above.iter().zip(&self.levels).rev() {
                let nodes = self.nodes(parts, &open, &mut asked, limits)?;
                open.clear();
                for (node, bounds, _) in nodes {
                    if query.bounds.is_none_or(|wanted| wanted.touches(&bounds)) {
                        let first = node
                            .saturating_sub(level.start)
                            .saturating_mul(self.fan)
                            .saturating_add(below.start);
                        open.push(first..first.saturating_add(self.fan).min(below.end));
                    }
                }
            }
        } else {
            let count = leaves.end.saturating_sub(leaves.start);
            let fids =
                query.fids.iter().filter_map(|fid| u64::try_from(*fid).ok()).filter(|fid| *fid < count);
            open.extend(
                fids.map(|fid| leaves.start.saturating_add(fid)).map(|node| node..node.saturating_add(1)),
            );
        }
        // The leaf behind says where a feature ends.
        let open: Vec<Range<u64>> =
            open.iter().map(|nodes| nodes.start..nodes.end.saturating_add(1).min(leaves.end)).collect();
        let nodes = self.nodes(parts, &open, &mut asked, limits)?;
        let mut found = Vec::new();
        let mut next = nodes.iter().skip(1);
        for (node, bounds, offset) in &nodes {
            let behind = next.next().filter(|behind| behind.0 == node.saturating_add(1));
            let place = node.saturating_sub(leaves.start);
            let fid = i64::try_from(place).unwrap_or(i64::MAX);
            let is_wanted = query.bounds.is_none_or(|wanted| wanted.touches(bounds))
                && (query.fids.is_empty() || query.fids.contains(&fid));
            let end = match behind {
                Some((_, _, offset)) => self.features.saturating_add(*offset),
                None if node.saturating_add(1) == leaves.end => parts.size(),
                // Only looked at for the sake of the one before.
                None => continue,
            };
            let start = self.features.saturating_add(*offset);
            if is_wanted && (start >= end || end > parts.size()) {
                return Err(Stop::Bad(Error::format(format!(
                    "the FlatGeobuf's index has the feature {fid} begin at byte {start} and end at {end}; it is damaged"
                ))));
            }
            if is_wanted {
                found.push((fid, start..end));
            }
        }
        Ok(found)
    }

    /// These nodes, in order: their place, their box, their offset.
    fn nodes(
        &self,
        parts: &Parts,
        open: &[Range<u64>],
        asked: &mut u64,
        limits: &Limits,
    ) -> Result<Vec<(u64, Bounds, u64)>, Stop> {
        let bytes = |nodes: &Range<u64>| {
            let place = |node: u64| self.index.saturating_add(node.saturating_mul(NODE));
            place(nodes.start)..place(nodes.end)
        };
        let open = merged(open.to_vec(), 0);
        for nodes in &open {
            *asked = asked.saturating_add(nodes.end.saturating_sub(nodes.start).saturating_mul(NODE));
        }
        within(*asked, limits.cutline_bytes, "the part of the FlatGeobuf's index that is needed")?;
        let near = merged(open.iter().map(bytes).collect(), NODE_GAP);
        let missing: Vec<_> = near.into_iter().flat_map(|range| parts.missing(range)).collect();
        if !missing.is_empty() {
            return Err(Stop::Need(missing));
        }
        let mut found = Vec::new();
        for nodes in open {
            let bytes = parts.get(bytes(&nodes))?;
            for (place, node) in nodes.zip(bytes.as_chunks::<40>().0) {
                let mut words = node.as_chunks::<8>().0.iter();
                let mut word = || words.next().copied().unwrap_or_default();
                let [min_x, min_y, max_x, max_y] = [word(), word(), word(), word()].map(f64::from_le_bytes);
                found.push((place, Bounds { min_x, min_y, max_x, max_y }, u64::from_le_bytes(word())));
            }
        }
        Ok(found)
    }

    /// Hands on the feature in `buffer`.
    fn feature(&self, fid: i64, buffer: &[u8], gathering: &mut Gathering<'_>) -> Result<()> {
        if !gathering.wants_fid(fid) {
            gathering.skip();
            return Ok(());
        }
        let table = Table::root(buffer)?;
        let own = columns(&table, 2)?;
        let columns = if own.is_empty() { &self.columns } else { &own };
        let properties = properties(table.vector::<1>(1)?.as_flattened(), columns)?;
        if !gathering.wants(fid, &properties) {
            for (name, _) in &properties {
                gathering.declare(name);
            }
            gathering.skip();
            return Ok(());
        }
        let geometry = match table.table(0)? {
            None => Geometry::Collection(Vec::new()),
            Some(table) => {
                let mut shape = Shape { bytes_left: buffer.len(), vertices_left: gathering.vertices_left() };
                shape.geometry(&table, self.kind, 0)?
            }
        };
        gathering.add(Feature { fid, id: None, properties, geometry })
    }
}

/// The nodes of each level of an index of so many features, the leaves first; the root is node 0.
fn levels(count: u64, fan: u64) -> Result<Vec<Range<u64>>> {
    if fan < 2 {
        return Err(Error::format("its index has nodes of a single child, which never come to a root"));
    }
    let mut sizes = vec![count];
    let mut size = count;
    // Also of a single feature there is a root above.
    loop {
        size = size.div_ceil(fan);
        sizes.push(size);
        if size <= 1 {
            break;
        }
    }
    let mut end = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
    Ok(sizes
        .into_iter()
        .map(|size| {
            let level = end.saturating_sub(size)..end;
            end = level.start;
            level
        })
        .collect())
}

fn columns(table: &Table<'_>, id: usize) -> Result<Vec<Column>> {
    let tables = table.tables(id)?;
    if tables.len() > COLUMNS {
        return Err(Error::format(format!("{} columns, where at most {COLUMNS} can be named", tables.len())));
    }
    tables
        .map(|column| {
            let column = column?;
            let [kind] = column.number(1)?;
            Ok(Column { name: Arc::from(column.text(0)?.unwrap_or_default()), kind })
        })
        .collect()
}

/// The text that names the CRS.
fn crs_text(crs: &Table<'_>) -> Result<Option<String>> {
    let (org, wkt) = (crs.text(0)?, crs.text(4)?);
    let code = i32::from_le_bytes(crs.number(1)?);
    let code = Some(code).filter(|code| *code > 0).map(|code| code.to_string());
    let code = if code.is_some() { code } else { crs.text(5)? };
    Ok(match (org, code) {
        // Without an organisation it is EPSG, as in GDAL.
        (None, Some(code)) => Some(format!("EPSG:{code}")),
        (Some(org), Some(code))
            if wkt.is_none() || matches!(org.to_ascii_uppercase().as_str(), "EPSG" | "OGC") =>
        {
            Some(format!("{}:{code}", org.to_ascii_uppercase()))
        }
        _ => wkt,
    })
}

/// The properties: of each the index of its column and its value.
fn properties(mut bytes: &[u8], columns: &[Column]) -> Result<Vec<(Arc<str>, Value)>> {
    let short = || Error::format("its properties end within a value");
    let mut all: Vec<(Arc<str>, Value)> = Vec::new();
    let mut met = 0_usize;
    while !bytes.is_empty() {
        let (index, rest) = bytes.split_first_chunk().ok_or_else(short)?;
        let index = u16::from_le_bytes(*index);
        let column = columns.get(usize::from(index)).ok_or_else(|| {
            Error::format(format!("a property of the column {index}, of {} columns", columns.len()))
        })?;
        met = met.saturating_add(1);
        if met > columns.len() {
            return Err(Error::format("more properties than columns"));
        }
        let (length, rest) = match column.kind {
            0..=2 => (1, rest),
            3 | 4 => (2, rest),
            5 | 6 | 9 => (4, rest),
            7 | 8 | 10 => (8, rest),
            11..=BINARY => {
                let (length, rest) = rest.split_first_chunk().ok_or_else(short)?;
                (usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX), rest)
            }
            kind => {
                return Err(Error::format(format!(
                    "the column `{}` of the unknown type {kind}",
                    column.name
                )));
            }
        };
        let (value, rest) = rest.split_at_checked(length).ok_or_else(short)?;
        bytes = rest;
        if let Some(value) = property(column.kind, value) {
            all.push((Arc::clone(&column.name), value));
        }
    }
    Ok(all)
}

/// A value of a column's type; `None` of bytes.
fn property(kind: u8, bytes: &[u8]) -> Option<Value> {
    Some(match kind {
        0 => Value::Integer(i8::from_le_bytes(*bytes.first_chunk()?).into()),
        1 => Value::Integer((*bytes.first()?).into()),
        2 => Value::Bool(*bytes.first()? != 0),
        3 => Value::Integer(i16::from_le_bytes(*bytes.first_chunk()?).into()),
        4 => Value::Integer(u16::from_le_bytes(*bytes.first_chunk()?).into()),
        5 => Value::Integer(i32::from_le_bytes(*bytes.first_chunk()?).into()),
        6 => Value::Integer(u32::from_le_bytes(*bytes.first_chunk()?).into()),
        7 => Value::Integer(i64::from_le_bytes(*bytes.first_chunk()?)),
        8 => unsigned(u64::from_le_bytes(*bytes.first_chunk()?)),
        9 => Value::Real(f32::from_le_bytes(*bytes.first_chunk()?).into()),
        10 => Value::Real(f64::from_le_bytes(*bytes.first_chunk()?)),
        11..=13 => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        _ => return None,
    })
}

#[expect(clippy::cast_precision_loss, reason = "beyond 64 signed bits only the nearest double is left")]
fn unsigned(value: u64) -> Value {
    i64::try_from(value).map_or(Value::Real(value as f64), Value::Integer)
}

/// Levels of geometries in geometries that are followed.
const DEEPEST: usize = 32;

/// Reads a feature's geometry.
struct Shape {
    /// Bytes of the feature that have not been read yet. Tables may be referred to several times; each time counts.
    bytes_left: usize,
    vertices_left: usize,
}

impl Shape {
    fn spend(&mut self, bytes: usize) -> Result<()> {
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes)
            .ok_or_else(|| Error::format("a geometry whose parts overlap: it has more of them than bytes"))?;
        Ok(())
    }

    /// The geometry of a table. `kind` is what the header, or the geometry around it, says of its type; 0 when it is the
    /// table itself that says it.
    fn geometry(&mut self, table: &Table<'_>, kind: u8, depth: usize) -> Result<Geometry> {
        if depth > DEEPEST {
            return Err(Error::format(format!("geometries in geometries, more than {DEEPEST} deep")));
        }
        self.spend(8)?;
        let kind = if kind == 0 { table.number::<1>(6)?[0] } else { kind };
        let part_kind = match kind {
            1..=5 | 17 => 0,
            6 | 15 => 3,
            // GDAL writes the triangles as parts of the positions.
            16 if table.vector::<4>(7)?.is_empty() => 0,
            16 => 17,
            // Their parts say what they are.
            7 | 11 | 12 => {
                return self.parts(table, 0, depth);
            }
            8..=14 => {
                let name = ["CircularString", "CompoundCurve", "CurvePolygon", "", "", "Curve", "Surface"];
                let name = usize::from(kind).checked_sub(8).and_then(|place| name.get(place)).unwrap_or(&"");
                return Err(Error::unsupported(format!(
                    "a {name}, a type with curves, which cogclip does not read; turn it into lines first, for example with \
                     `ogr2ogr -nlt CONVERT_TO_LINEAR`"
                )));
            }
            kind => return Err(Error::format(format!("a geometry of the unknown type {kind}"))),
        };
        if part_kind != 0 {
            return self.parts(table, part_kind, depth);
        }
        let positions = self.positions(table)?;
        Ok(match kind {
            1 => match positions.first() {
                // As an empty point is written
                Some([x, y]) if x.is_nan() && y.is_nan() => Geometry::Collection(Vec::new()),
                Some(position) => Geometry::Point(*position),
                None => Geometry::Collection(Vec::new()),
            },
            2 => Geometry::Line(positions),
            4 => Geometry::Collection(positions.into_iter().map(Geometry::Point).collect()),
            5 => {
                Geometry::Collection(self.rings(table, positions)?.into_iter().map(Geometry::Line).collect())
            }
            16 => {
                let triangles = self.rings(table, positions)?;
                Geometry::Collection(
                    triangles.into_iter().map(|ring| Geometry::Polygon(vec![ring])).collect(),
                )
            }
            _ => Geometry::Polygon(self.rings(table, positions)?),
        })
    }

    fn parts(&mut self, table: &Table<'_>, kind: u8, depth: usize) -> Result<Geometry> {
        let parts = table.tables(7)?;
        let mut all = Vec::new();
        for part in parts {
            all.push(self.geometry(&part?, kind, depth.saturating_add(1))?);
        }
        Ok(Geometry::Collection(all))
    }

    fn positions(&mut self, table: &Table<'_>) -> Result<Ring> {
        let flat = table.vector::<8>(1)?;
        self.spend(flat.len().saturating_mul(8))?;
        let (positions, rest) = flat.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(Error::format("an odd number of coordinates"));
        }
        self.vertices_left = self.vertices_left.checked_sub(positions.len()).ok_or_else(|| {
            Error::limit("it has more vertices than the limit of all vertices of a cutline leaves")
        })?;
        Ok(positions.iter().map(|position| position.map(f64::from_le_bytes)).collect())
    }

    /// The positions in their parts; empty ones are left out.
    fn rings(&mut self, table: &Table<'_>, positions: Ring) -> Result<Vec<Ring>> {
        let ends = table.vector::<4>(0)?;
        self.spend(ends.len().saturating_mul(4))?;
        if ends.is_empty() {
            return Ok(if positions.is_empty() { Vec::new() } else { vec![positions] });
        }
        let (mut rings, mut start) = (Vec::new(), 0_usize);
        for end in ends {
            let end = usize::try_from(u32::from_le_bytes(*end)).unwrap_or(usize::MAX);
            let ring = positions.get(start..end).ok_or_else(|| {
                Error::format(format!(
                    "a part from position {start} to {end}, of {} positions",
                    positions.len()
                ))
            })?;
            if !ring.is_empty() {
                rings.push(ring.to_vec());
            }
            start = end;
        }
        Ok(rings)
    }
}
