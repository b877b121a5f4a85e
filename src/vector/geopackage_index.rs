//! R-trees of GeoPackages (OGC 12-128r18 Annex F.3), in the tables that SQLite's R-tree module keeps
//! (sqlite.org/rtree.html).

use std::collections::BTreeSet;

use super::Area;
use super::sqlite::{Database, Field, Kind};
use super::sqlite_schema;
use crate::error::{Error, Result};
use crate::geo::Bounds;

/// Levels that SQLite follows at most.
const DEEPEST: u16 = 40;

/// Bytes of an entry of a node: a number, and two bounds for each of two axes in single precision.
const ENTRY: usize = 24;

/// The rows of `table` whose geometry's box touches `bounds`; `None` when the column has no index to be relied on.
///
/// # Errors
/// [`crate::ErrorKind::Format`] when the index is damaged.
pub(super) fn candidates(
    database: &Database<'_>,
    table: &str,
    column: &str,
    area: &Area,
) -> Result<Option<BTreeSet<i64>>> {
    let name = format!("rtree_{table}_{column}");
    if !(is_registered(database, table, column)? && is_of_two_axes(database, &name)) {
        return Ok(None);
    }
    let Some(nodes) = database.table(&format!("{name}_node"))? else { return Ok(None) };
    descend(database, nodes.root, nodes.need("data")?, area).map(Some).map_err(|error| error.at(name))
}

/// Whether the file declares the index: one that it does not may have been left behind.
fn is_registered(database: &Database<'_>, table: &str, column: &str) -> Result<bool> {
    let Some(extensions) = database.table("gpkg_extensions")? else { return Ok(false) };
    let wanted = [("table_name", table), ("column_name", column), ("extension_name", "gpkg_rtree_index")];
    let mut walk = database.walk(extensions.root, None)?;
    while let Some(cell) = walk.next()? {
        let record = walk.record(&cell)?;
        let mut all = true;
        for (name, expected) in wanted {
            let field = record.column(cell.rowid, extensions.need(name)?)?;
            all &= matches!(field, Field::Text(text) if text.eq_ignore_ascii_case(expected));
        }
        if all {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_of_two_axes(database: &Database<'_>, name: &str) -> bool {
    let entry = database.entry(name).filter(|entry| entry.kind == Kind::Virtual);
    entry.and_then(|entry| sqlite_schema::module(&entry.sql)).is_some_and(|(module, columns)| {
        let axes: Vec<_> = columns.iter().skip(1).map(|column| column.to_ascii_lowercase()).collect();
        module == "rtree" && axes == ["minx", "maxx", "miny", "maxy"]
    })
}

/// Goes down level by level: one walk of the table of nodes for each.
fn descend(
    database: &Database<'_>,
    root: u32,
    data: &sqlite_schema::Column,
    area: &Area,
) -> Result<BTreeSet<i64>> {
    let mut level = BTreeSet::from([1]);
    let mut seen = level.clone();
    let mut depth = None;
    loop {
        let mut found = BTreeSet::new();
        let mut below = depth;
        let mut met = 0_usize;
        let mut walk = database.walk(root, Some(&level))?;
        while let Some(cell) = walk.next()? {
            met = met.saturating_add(1);
            let record = walk.record(&cell)?;
            let Field::Blob(node) = record.column(cell.rowid, data)? else { return Err(damaged(cell.rowid)) };
            let [high, low, count_high, count_low, entries @ ..] = node else {
                return Err(damaged(cell.rowid));
            };
            // Only the root says how many levels are below it.
            below = Some(depth.unwrap_or(u16::from_be_bytes([*high, *low])));
            let entries = entries.as_chunks::<ENTRY>().0;
            let count = usize::from(u16::from_be_bytes([*count_high, *count_low]));
            let entries = entries.get(..count).ok_or_else(|| damaged(cell.rowid))?;
            found.extend(entries.iter().filter_map(|entry| touching(entry, area)));
        }
        if met != level.len() {
            return Err(Error::format(
                "the index refers to nodes that are not there; index the layer anew, or copy it with `ogr2ogr`",
            ));
        }
        match below {
            None | Some(0) => return Ok(found),
            Some(left) if left <= DEEPEST => {
                if let Some(twice) = found.iter().find(|node| !seen.insert(**node)) {
                    return Err(damaged(*twice));
                }
                depth = left.checked_sub(1);
                level = found;
            }
            Some(left) => {
                return Err(Error::format(format!(
                    "the index has {left} levels, more than SQLite's {DEEPEST}"
                )));
            }
        }
    }
}

/// The number of an entry whose box touches the area. A bound that is no number holds nothing back.
fn touching(entry: &[u8; ENTRY], area: &Area) -> Option<i64> {
    let (id, boxes) = entry.split_first_chunk()?;
    let bound = |index: usize| {
        boxes.as_chunks::<4>().0.get(index).map_or(f64::NAN, |bytes| f64::from(f32::from_be_bytes(*bytes)))
    };
    let feature = Bounds { min_x: bound(0), max_x: bound(1), min_y: bound(2), max_y: bound(3) };
    area.touches(&feature).then(|| i64::from_be_bytes(*id))
}

fn damaged(node: i64) -> Error {
    Error::format(format!(
        "the index's node {node} is damaged; index the layer anew, or copy it with `ogr2ogr`"
    ))
}
