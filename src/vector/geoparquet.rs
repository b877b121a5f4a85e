//! GeoParquet 1.0 and 1.1 (geoparquet.org): features in an Apache Parquet file.

use std::sync::Arc;

use serde_json::Value as Json;

use super::parquet::{Budget, Footer, Group, Leaf, Logical, Physical, Unit};
use super::parquet_encoding::number;
use super::parquet_page::{Cell, Column, column};
use super::{Feature, Gathering, Geometry, Layer, Query, Value, Winding, wkb};
use crate::error::{Error, Result};
use crate::geo::Bounds;
use crate::limits::{Limits, within};

/// What one row group may take decoded, and what all may, in multiples of [`Limits::cutline_bytes`]: coordinates shrink to a
/// half or a third, so that a file at the limit passes.
const HELD: u64 = 4;
const GONE_THROUGH: u64 = 16;

/// Bytes that a feature takes at least in memory.
const FEATURE: usize = size_of::<Feature>();

/// What is read of a geometry column's metadata.
#[derive(Debug)]
struct Described {
    name: String,
    crs: Option<String>,
    winding: Winding,
    /// The leaves with each row's box: smallest x and y, greatest x and y.
    boxes: Option<[usize; 4]>,
}

/// Reads the features of the primary geometry column, or of the one that [`Query::layer`] names.
///
/// A feature's number is its row's, from 0. Properties are the columns of truths, numbers, decimals (as text), text, dates and
/// times; nested columns, bytes and what else there is are left out. The CRS is PROJJSON text, or `OGC:CRS84` where the file
/// is silent. With [`Query::bounds`] and boxes in a covering column, only rows whose box touches are read, and
/// row groups that cannot have such are not decoded.
///
/// # Errors
/// - [`crate::ErrorKind::Format`] when the file is damaged or cut short;
/// - [`crate::ErrorKind::Unsupported`] when it is a Parquet file without the metadata `geo`, is encrypted, has spherical edges, a
///   geometry encoding that is not WKB, a compression or encoding of pages that is not read, or curves;
/// - [`crate::ErrorKind::Usage`] when there is no geometry column of the name that is asked for;
/// - [`crate::ErrorKind::Limit`] for a file, or for features, beyond `limits`.
pub fn read(bytes: &[u8], query: &Query, limits: &Limits) -> Result<Layer> {
    within(bytes.len() as u64, limits.cutline_bytes, "the GeoParquet")?;
    let footer = Footer::read(bytes, limits)?;
    let geo = footer.geo.as_deref().ok_or_else(|| {
        Error::unsupported(
            "a Parquet file, but no GeoParquet: its metadata have no key `geo`; write it with GDAL or geopandas",
        )
    })?;
    within(geo.len() as u64, limits.metadata_bytes / 4, "the GeoParquet metadata")?;
    let geo: Json = serde_json::from_str(geo)
        .map_err(|cause| Error::format("the GeoParquet metadata `geo` are no JSON").caused_by(cause))?;
    let described = describe(&geo, &footer, query)?;
    let leaf = |name: &str| {
        footer.leaves.iter().position(|leaf| matches!(leaf.path.as_slice(), [only] if **only == *name))
    };
    let geometry = leaf(&described.name)
        .filter(|index| {
            footer
                .leaves
                .get(*index)
                .is_some_and(|leaf| leaf.physical == Physical::Bytes && !leaf.is_repeated)
        })
        .ok_or_else(|| {
            Error::format(format!(
                "the GeoParquet metadata name a column `{}`; there is none of bytes",
                described.name
            ))
        })?;
    let is_geometry = |name: &str| geo.get("columns").and_then(|columns| columns.get(name)).is_some();
    let properties: Vec<(usize, &Leaf, &Arc<str>)> = footer
        .leaves
        .iter()
        .enumerate()
        .filter_map(|(index, leaf)| match leaf.path.as_slice() {
            [name] if is_property(leaf) && !is_geometry(name) => Some((index, leaf, name)),
            _ => None,
        })
        .collect();
    let mut gathering = Gathering::new(described.name.clone(), described.winding, query, limits);
    gathering.set_crs(described.crs);
    for (_, _, name) in &properties {
        gathering.declare(name);
    }
    let mut reader = Reader {
        bytes,
        query,
        footer: &footer,
        geometry,
        properties,
        boxes: described.boxes,
        gathering,
        found: 0,
        most: limits.cutline_bytes,
    };
    let mut total = limits.cutline_bytes.saturating_mul(GONE_THROUGH);
    let mut first = 0_usize;
    for (index, group) in footer.groups.iter().enumerate() {
        let mut budget = Budget { held: limits.cutline_bytes.saturating_mul(HELD), total };
        reader
            .group(group, first, &mut budget)
            .map_err(|error| error.at(format_args!("row group {index} of the GeoParquet")))?;
        total = budget.total;
        first = first.saturating_add(group.rows);
    }
    reader.gathering.finish()
}

fn describe(geo: &Json, footer: &Footer, query: &Query) -> Result<Described> {
    let damaged = |what: &str| Error::format(format!("the GeoParquet metadata `geo` have no {what}"));
    let columns = geo.get("columns").and_then(Json::as_object).ok_or_else(|| damaged("`columns`"))?;
    let name = match &query.layer {
        Some(name) => name,
        None => {
            geo.get("primary_column").and_then(Json::as_str).ok_or_else(|| damaged("`primary_column`"))?
        }
    };
    let Some(column) = columns.get(name) else {
        let names: Vec<&str> = columns.keys().map(String::as_str).take(40).collect();
        return Err(match &query.layer {
            Some(_) => Error::usage(format!(
                "a GeoParquet has no layers, and this one no geometry column `{name}`; it has {}",
                names.join(", ")
            )),
            None => damaged(&format!("description of the primary column `{name}`")),
        });
    };
    let place = |error: Error| error.at(format_args!("GeoParquet column `{name}`"));
    let text = |key: &str| column.get(key).and_then(Json::as_str);
    match text("encoding") {
        Some("WKB") => {}
        Some(other) => {
            return Err(place(Error::unsupported(format!(
                "its geometry encoding is `{other}`; cogclip reads WKB: write it with `geometry_encoding=\"WKB\"`"
            ))));
        }
        None => return Err(place(damaged("`encoding`"))),
    }
    if let Some(edges) = text("edges").filter(|edges| *edges != "planar") {
        return Err(place(Error::unsupported(format!(
            "its edges are `{edges}`, which cogclip would draw as straight lines; densify them and write planar ones"
        ))));
    }
    let crs = match column.get("crs") {
        None => Some("OGC:CRS84".to_owned()),
        Some(Json::Null) => None,
        Some(crs) => Some(crs.to_string()),
    };
    let winding = if text("orientation") == Some("counterclockwise") { Winding::Right } else { Winding::Any };
    let boxes =
        column.get("covering").and_then(|covering| covering.get("bbox")).and_then(|bbox| boxes(bbox, footer));
    Ok(Described { name: name.to_owned(), crs, winding, boxes })
}

/// The leaves that a covering names; `None` unless all are there and are numbers.
fn boxes(bbox: &Json, footer: &Footer) -> Option<[usize; 4]> {
    let find = |side: &str| {
        let [outer, inner] = bbox.get(side)?.as_array()?.as_slice() else { return None };
        let path = [outer.as_str()?, inner.as_str()?];
        footer.leaves.iter().position(|leaf| {
            matches!(leaf.physical, Physical::Float | Physical::Double)
                && !leaf.is_repeated
                && leaf.path.iter().map(|name| &**name).eq(path)
        })
    };
    Some([find("xmin")?, find("ymin")?, find("xmax")?, find("ymax")?])
}

struct Reader<'r> {
    bytes: &'r [u8],
    query: &'r Query,
    footer: &'r Footer,
    geometry: usize,
    properties: Vec<(usize, &'r Leaf, &'r Arc<str>)>,
    boxes: Option<[usize; 4]>,
    gathering: Gathering<'r>,
    found: usize,
    most: u64,
}

impl Reader<'_> {
    fn column(&self, group: &Group, index: usize, budget: &mut Budget) -> Result<Column> {
        let (Some(leaf), Some(chunk)) = (self.footer.leaves.get(index), group.chunks.get(index)) else {
            return Err(Error::format("a column is missing"));
        };
        column(self.bytes, leaf, chunk, group.rows, budget)
            .map_err(|error| error.at(format_args!("column `{}`", leaf.path.join("."))))
    }

    fn group(&mut self, group: &Group, first: usize, budget: &mut Budget) -> Result<()> {
        let fid = |row: usize| i64::try_from(first.saturating_add(row)).unwrap_or(i64::MAX);
        let fids = &self.query.fids;
        let has_wanted = fids.is_empty() || fids.range(fid(0)..fid(group.rows)).next().is_some();
        if !has_wanted || !self.may_touch(group) {
            (0..group.rows).for_each(|_| self.gathering.skip());
            return Ok(());
        }
        // Boxes and what conditions are tried on come first: the rest may not be needed. Nothing is made for each row
        // before a column has shown that there are as many.
        let sides = self.sides(group, budget)?;
        let query = self.query;
        let is_tried = |name: &str| query.filter.names().any(|asked| asked.eq_ignore_ascii_case(name));
        let mut columns: Vec<Option<Column>> = Vec::new();
        for (index, _, name) in &self.properties {
            columns.push(if is_tried(name) { Some(self.column(group, *index, budget)?) } else { None });
        }
        let mut geometries = None;
        if sides.is_none() && columns.iter().all(Option::is_none) {
            geometries = Some(self.column(group, self.geometry, budget)?);
        }
        let mut rows = Vec::new();
        for row in 0..group.rows {
            if self.gathering.wants_fid(fid(row)) && self.is_touching(sides.as_ref(), row) {
                let values = self.values(&columns, row);
                // A long text that a dictionary holds once may be that of every row.
                budget.pass(values.iter().map(|(_, value)| text_bytes(value)).sum())?;
                if self.gathering.wants(fid(row), &values) {
                    budget.charge(size_of::<usize>())?;
                    rows.push(row);
                    continue;
                }
            }
            self.gathering.skip();
        }
        if rows.is_empty() {
            return Ok(());
        }
        for ((index, _, _), column) in self.properties.iter().zip(&mut columns) {
            if column.is_none() {
                *column = Some(self.column(group, *index, budget)?);
            }
        }
        let geometries = match geometries {
            Some(column) => column,
            None => self.column(group, self.geometry, budget)?,
        };
        for row in rows {
            let geometry = match geometries.cell(row) {
                None => Geometry::Collection(Vec::new()),
                Some(Cell::Bytes(bytes)) => {
                    wkb::geometry(bytes, self.gathering.vertices_left())
                        .map_err(|error| error.at(format_args!("row {row}")))?
                        .0
                }
                Some(Cell::Integer(_) | Cell::Real(_)) => {
                    return Err(Error::format("its geometries are no bytes"));
                }
            };
            self.found = self.found.saturating_add(1);
            if self.found.saturating_mul(FEATURE) as u64 > self.most {
                return Err(Error::limit(format!(
                    "{} features are more than a cutline may have; choose some with --where or --fid",
                    self.found
                )));
            }
            let properties = self.values(&columns, row);
            self.gathering.add(Feature { fid: fid(row), id: None, properties, geometry })?;
        }
        Ok(())
    }

    /// The values of the columns that were decoded.
    fn values(&self, columns: &[Option<Column>], row: usize) -> Vec<(Arc<str>, Value)> {
        let columns = self
            .properties
            .iter()
            .zip(columns)
            .filter_map(|(property, column)| Some((property, column.as_ref()?)));
        let found = columns.filter_map(|((_, leaf, name), column)| {
            let value = column.cell(row).map_or(Some(Value::Null), |cell| value(leaf, cell))?;
            Some((Arc::clone(name), value))
        });
        found.collect()
    }

    /// Whether a row of the group can have a box that touches the bounds, by the statistics of its boxes' columns.
    fn may_touch(&self, group: &Group) -> bool {
        let (Some(area), Some(indices)) = (&self.query.bounds, self.boxes) else { return true };
        let statistics = |index: usize, is_min: bool| {
            let (leaf, chunk) = (self.footer.leaves.get(index)?, group.chunks.get(index)?);
            let value = number(leaf.physical, (if is_min { &chunk.min } else { &chunk.max }).as_deref()?)?;
            Some(outwards(value, leaf, is_min))
        };
        let [min_x, min_y, max_x, max_y] = indices;
        area.touches(&bounds([
            statistics(min_x, true),
            statistics(min_y, true),
            statistics(max_x, false),
            statistics(max_y, false),
        ]))
    }

    /// The columns with the boxes of the group's rows, if they are asked for and there are such.
    fn sides(&self, group: &Group, budget: &mut Budget) -> Result<Option<[Column; 4]>> {
        let (Some(_), Some([min_x, min_y, max_x, max_y])) = (&self.query.bounds, self.boxes) else {
            return Ok(None);
        };
        Ok(Some([
            self.column(group, min_x, budget)?,
            self.column(group, min_y, budget)?,
            self.column(group, max_x, budget)?,
            self.column(group, max_y, budget)?,
        ]))
    }

    /// Whether a row's box touches the bounds. A row without a box has no geometry, and touches nothing.
    fn is_touching(&self, sides: Option<&[Column; 4]>, row: usize) -> bool {
        let (Some(area), Some(indices), Some(sides)) = (&self.query.bounds, self.boxes, sides) else {
            return true;
        };
        let [min_x, min_y, max_x, max_y] = sides.each_ref().map(|side| match side.cell(row) {
            Some(Cell::Real(value)) => Some(value),
            Some(Cell::Integer(_) | Cell::Bytes(_)) | None => None,
        });
        let [leaf_min_x, leaf_min_y, leaf_max_x, leaf_max_y] =
            indices.map(|index| self.footer.leaves.get(index));
        let out = |value: Option<f64>, leaf: Option<&Leaf>, is_min| Some(outwards(value?, leaf?, is_min));
        let sides = [
            out(min_x, leaf_min_x, true),
            out(min_y, leaf_min_y, true),
            out(max_x, leaf_max_x, false),
            out(max_y, leaf_max_y, false),
        ];
        sides.iter().all(Option::is_some) && area.touches(&bounds(sides))
    }
}

/// Bytes of a text.
fn text_bytes(value: &Value) -> usize {
    if let Value::Text(text) = value { text.len() } else { 0 }
}

/// A side of a box. One of single precision may have been rounded inwards.
fn outwards(value: f64, leaf: &Leaf, is_min: bool) -> f64 {
    if leaf.physical == Physical::Double {
        return value;
    }
    #[expect(clippy::cast_possible_truncation, reason = "it was of single precision")]
    let single = value as f32;
    if is_min { single.next_down().into() } else { single.next_up().into() }
}

/// A box of smallest x and y, greatest x and y. A side that is not known holds nothing back.
fn bounds([min_x, min_y, max_x, max_y]: [Option<f64>; 4]) -> Bounds {
    Bounds {
        min_x: min_x.unwrap_or(f64::NAN),
        min_y: min_y.unwrap_or(f64::NAN),
        max_x: max_x.unwrap_or(f64::NAN),
        max_y: max_y.unwrap_or(f64::NAN),
    }
}

/// Digits of the largest decimals that are read.
const MOST_DIGITS: u32 = 38;

/// Whether the column's values can be properties.
fn is_property(leaf: &Leaf) -> bool {
    let is_integer = matches!(leaf.physical, Physical::Int32 | Physical::Int64);
    let is_bytes = matches!(leaf.physical, Physical::Bytes | Physical::Fixed(_));
    !leaf.is_repeated
        && match leaf.logical {
            Logical::Plain => !is_bytes,
            Logical::Text => leaf.physical == Physical::Bytes,
            Logical::Decimal { scale } => (is_integer || is_bytes) && scale <= MOST_DIGITS,
            Logical::Unsigned | Logical::Date | Logical::Time(_) | Logical::Timestamp(_) => is_integer,
            Logical::Other => false,
        }
}

/// A value as a property; `None` for one that can be none.
fn value(leaf: &Leaf, cell: Cell<'_>) -> Option<Value> {
    Some(match (leaf.logical, cell) {
        (_, Cell::Real(value)) => Value::Real(value),
        (Logical::Text, Cell::Bytes(bytes)) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        (Logical::Decimal { scale }, Cell::Integer(value)) => Value::Text(decimal(value.into(), scale)),
        (Logical::Decimal { scale }, Cell::Bytes(bytes)) => Value::Text(decimal(big_endian(bytes)?, scale)),
        (Logical::Plain, Cell::Bytes(bytes)) if leaf.physical == Physical::Int96 => {
            // Nanoseconds of the day and the Julian day, as Impala wrote instants
            let (nanoseconds, day) = bytes.split_first_chunk()?;
            let days = i64::from(u32::from_le_bytes(*day.first_chunk()?)).checked_sub(2_440_588)?;
            let time = clock(i64::from_le_bytes(*nanoseconds), 9)?;
            Value::Text(format!("{}T{time}", date(days)?))
        }
        (Logical::Plain, Cell::Integer(value)) if leaf.physical == Physical::Boolean => {
            Value::Bool(value != 0)
        }
        (Logical::Plain, Cell::Integer(value)) => Value::Integer(value),
        (Logical::Unsigned, Cell::Integer(value)) => match (leaf.physical, i32::try_from(value)) {
            (Physical::Int32, Ok(value)) => Value::Integer(value.cast_unsigned().into()),
            _ if value < 0 => Value::Text(value.cast_unsigned().to_string()),
            _ => Value::Integer(value),
        },
        (Logical::Date, Cell::Integer(days)) => Value::Text(date(days)?),
        (Logical::Time(unit), Cell::Integer(value)) => Value::Text(clock(value, unit.digits)?),
        (Logical::Timestamp(unit), Cell::Integer(value)) => Value::Text(instant(value, unit)?),
        _ => return None,
    })
}

/// A two's complement integer.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign: i128 = if *bytes.first()? >= 0x80 { -1 } else { 0 };
    (bytes.len() <= 16).then(|| bytes.iter().fold(sign, |value, byte| (value << 8) | i128::from(*byte)))
}

/// `value / 10^scale` with all its digits.
fn decimal(value: i128, scale: u32) -> String {
    let scale = scale as usize;
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale.saturating_add(1));
    let (whole, rest) = digits.split_at(digits.len().saturating_sub(scale));
    let sign = if value < 0 { "-" } else { "" };
    if rest.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

/// A day since 1970-01-01 as ISO 8601 writes it, in the Gregorian calendar.
fn date(days: i64) -> Option<String> {
    // Years that begin in March have their leap day at the end; 719,468 days are from 0000-03-01 to 1970-01-01, 146,097
    // are 400 years.
    let shifted = days.checked_add(719_468)?;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leaps = (day / 1460).saturating_sub(day / 36_524).saturating_add(day / 146_096);
    let year = day.saturating_sub(leaps) / 365;
    let before = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let day = day.saturating_sub(before);
    // Months from March have 153 days in 5.
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let of_month = day.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let is_next = month >= 10;
    let month = if is_next { month.saturating_sub(9) } else { month.saturating_add(3) };
    let year = era.checked_mul(400)?.checked_add(year)?.checked_add(is_next.into())?;
    Some(format!("{year:04}-{month:02}-{of_month:02}"))
}

/// A time of day in units of `10^-digits` seconds, the fraction without zeros at its end.
fn clock(value: i64, digits: u8) -> Option<String> {
    let units = 10_i64.checked_pow(digits.into())?;
    let (seconds, fraction) = (value.div_euclid(units), value.rem_euclid(units));
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let time = format!("{hours:02}:{minutes:02}:{:02}", seconds % 60);
    if fraction == 0 {
        return Some(time);
    }
    let fraction = format!("{fraction:0>width$}", width = usize::from(digits));
    Some(format!("{time}.{}", fraction.trim_end_matches('0')))
}

fn instant(value: i64, unit: Unit) -> Option<String> {
    let day = 10_i64.checked_pow(unit.digits.into())?.checked_mul(86_400)?;
    let zone = if unit.is_utc { "Z" } else { "" };
    let time = clock(value.checked_rem_euclid(day)?, unit.digits)?;
    Some(format!("{}T{time}{zone}", date(value.checked_div_euclid(day)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_pythons_calendar() {
        for (days, text) in [
            (-719_162, "0001-01-01"),
            (2_932_896, "9999-12-31"),
            (11_016, "2000-02-29"),
            (-25_509, "1900-02-28"),
            (-25_508, "1900-03-01"),
            (-135_081, "1600-02-29"),
            (47_846, "2100-12-31"),
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
        ] {
            assert_eq!(date(days).as_deref(), Some(text));
        }
        for extreme in [i64::MIN, i64::MAX] {
            for digits in [0, 3, 6, 9] {
                drop(instant(extreme, Unit { digits, is_utc: true }));
            }
            drop(date(extreme));
        }
    }
}
