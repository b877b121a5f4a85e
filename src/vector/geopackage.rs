//! GeoPackage (OGC 12-128r18): feature tables in a SQLite file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::geopackage_index::candidates;
use super::sqlite::{Database, Field, Kind, Record};
use super::sqlite_schema::{Column, Place, Table};
use super::{Feature, Gathering, Geometry, Layer, Query, Value, Winding, wkb};
use crate::error::{Error, Result};
use crate::limits::{Limits, within};

/// Layers that a message lists at most.
const LISTED: usize = 40;

/// A feature table, as `gpkg_geometry_columns` has it (§2.1.5).
#[derive(Debug)]
struct FeatureTable {
    name: String,
    geometry_column: String,
    srs_id: i64,
}

/// Reads the features of one feature table.
///
/// A feature's number is its row's key. Properties are all other columns but those of bytes; dates and times are the
/// file's own text. The CRS is `EPSG:n` where the file says so, else the definition as WKT. With [`Query::bounds`] and
/// an R-tree (Annex F.3) only those rows are read that its boxes let pass, which are of single precision and rounded
/// outwards. A write-ahead log beside the file is not read.
///
/// # Errors
/// - [`crate::ErrorKind::Format`] when the file is damaged or cut short;
/// - [`crate::ErrorKind::Unsupported`] when it is a SQLite file but no GeoPackage, has no features, keeps them in a
///   view or in a table WITHOUT ROWID, or has a geometry of an extension or with curves;
/// - [`crate::ErrorKind::Usage`] when the layer must be named, or has another name;
/// - [`crate::ErrorKind::Limit`] for a file, or for features, beyond `limits`.
pub fn read(bytes: &[u8], query: &Query, limits: &Limits) -> Result<Layer> {
    within(bytes.len() as u64, limits.cutline_bytes, "the GeoPackage")?;
    let database = Database::open(bytes)?;
    let chosen = choose(feature_tables(&database)?, query)?;
    let name = chosen.name.clone();
    read_table(&database, chosen, query, limits)
        .map_err(|error| error.at(format_args!("GeoPackage layer `{name}`")))
}

/// The text of the CRS of the layer that `query` names, as [`read`] gives it.
///
/// # Errors
/// As [`read`].
pub fn crs(bytes: &[u8], query: &Query) -> Result<Option<String>> {
    let database = Database::open(bytes)?;
    let chosen = choose(feature_tables(&database)?, query)?;
    crs_of(&database, chosen.srs_id)
}

fn read_table(
    database: &Database<'_>,
    chosen: FeatureTable,
    query: &Query,
    limits: &Limits,
) -> Result<Layer> {
    let table = match database.entry(&chosen.name).map(|entry| entry.kind) {
        Some(Kind::Table) => database.table(&chosen.name)?,
        Some(Kind::View) => {
            return Err(Error::unsupported(
                "it is a view, whose SQL cogclip does not run; make a table of it, for example with `ogr2ogr`",
            ));
        }
        Some(Kind::Virtual) => {
            return Err(Error::unsupported(
                "it is a virtual table, which cogclip does not read; copy it with `ogr2ogr`",
            ));
        }
        None => None,
    };
    let table = table
        .ok_or_else(|| Error::format("gpkg_contents lists the layer, and there is no table of that name"))?;
    let geometry = table.need(&chosen.geometry_column)?;
    let crs = crs_of(database, chosen.srs_id)?;
    let ids = match &query.bounds {
        Some(bounds) => candidates(database, &chosen.name, &chosen.geometry_column, bounds)?,
        None => None,
    };
    let ids = ids.map(|mut ids: BTreeSet<i64>| {
        ids.retain(|id| query.fids.is_empty() || query.fids.contains(id));
        ids
    });
    let mut gathering = Gathering::new(chosen.name, Winding::Any, query, limits);
    gathering.set_crs(crs);
    let properties: Vec<&Column> =
        table.columns.iter().filter(|column| is_property(column, geometry)).collect();
    for column in &properties {
        gathering.declare(&column.name);
    }
    // The conditions are tried on the columns that they name: a table may have thousands.
    let tried: Vec<&Column> = properties
        .iter()
        .copied()
        .filter(|column| query.filter.names().any(|name| column.name.eq_ignore_ascii_case(name)))
        .collect();
    let mut text = 0_u64;
    let mut walk = database.walk(table.root, ids.as_ref())?;
    while let Some(cell) = walk.next()? {
        if !gathering.wants_fid(cell.rowid) {
            gathering.skip();
            continue;
        }
        let record = walk.record(&cell)?;
        let found = values(&record, cell.rowid, &tried)?;
        for (_, value) in &found {
            text = text.saturating_add(if let Value::Text(text) = value { text.len() as u64 } else { 0 });
        }
        // A long default may be the text of rows that take a few bytes.
        within(text, limits.cutline_bytes.saturating_mul(16), "the text that conditions are tried on")?;
        if !gathering.wants(cell.rowid, &found) {
            gathering.skip();
            continue;
        }
        let shape = match record.column(cell.rowid, geometry)? {
            Field::Null => Ok(Geometry::Collection(Vec::new())),
            Field::Blob(blob) => decode(blob, gathering.vertices_left()),
            Field::Integer(_) | Field::Real(_) | Field::Text(_) => {
                Err(Error::format("its geometry is no bytes, as a GeoPackage's are"))
            }
        };
        let geometry = shape.map_err(|error| error.at(format_args!("feature {}", cell.rowid)))?;
        let properties = values(&record, cell.rowid, &properties)?;
        gathering.add(Feature { fid: cell.rowid, id: None, properties, geometry })?;
    }
    gathering.finish()
}

fn is_property(column: &Column, geometry: &Column) -> bool {
    // A blob's declared type may have a greatest size behind it (§1.1.1.1.3).
    column != geometry
        && matches!(column.place, Place::Field(_))
        && column.declared.split('(').next() != Some("BLOB")
}

/// The values of some columns, without those that are bytes.
fn values(record: &Record<'_, '_>, rowid: i64, columns: &[&Column]) -> Result<Vec<(Arc<str>, Value)>> {
    let mut found = Vec::new();
    for column in columns {
        let value = match record.column(rowid, column)? {
            Field::Null => Value::Null,
            Field::Integer(value) if column.declared == "BOOLEAN" => Value::Bool(value != 0),
            Field::Integer(value) => Value::Integer(value),
            Field::Real(value) => Value::Real(value),
            Field::Text(text) => Value::Text(text),
            Field::Blob(_) => continue,
        };
        found.push((Arc::clone(&column.name), value));
    }
    Ok(found)
}

/// Calls `each` for every row of a table, with what looks its columns up.
fn each_row(
    database: &Database<'_>,
    table: &Table,
    columns: &[&str],
    mut each: impl FnMut(Vec<Field<'_>>),
) -> Result<()> {
    let columns: Vec<&Column> = columns.iter().map(|name| table.need(name)).collect::<Result<_>>()?;
    let mut walk = database.walk(table.root, None)?;
    while let Some(cell) = walk.next()? {
        let record = walk.record(&cell)?;
        each(columns.iter().map(|column| record.column(cell.rowid, column)).collect::<Result<_>>()?);
    }
    Ok(())
}

/// The feature tables, in the order of `gpkg_contents`.
fn feature_tables(database: &Database<'_>) -> Result<Vec<FeatureTable>> {
    let Some(contents) = database.table("gpkg_contents")? else {
        let is_spatialite =
            database.entry("spatial_ref_sys").is_some() && database.entry("geometry_columns").is_some();
        let what = if is_spatialite { "a SpatiaLite database" } else { "a SQLite database" };
        return Err(Error::unsupported(format!(
            "{what}, but no GeoPackage: it has no table gpkg_contents; convert it, for example with `ogr2ogr -f GPKG`"
        )));
    };
    let mut kinds = BTreeSet::new();
    let mut names = Vec::new();
    each_row(database, &contents, &["table_name", "data_type"], |row| {
        if let [Field::Text(name), Field::Text(kind)] = row.as_slice() {
            if kind == "features" {
                names.push(name.clone());
            } else {
                kinds.insert(kind.clone());
            }
        }
    })
    .map_err(|error| error.at("gpkg_contents"))?;
    let mut columns = BTreeMap::new();
    if let Some(table) = database.table("gpkg_geometry_columns")? {
        each_row(database, &table, &["table_name", "column_name", "srs_id"], |row| {
            if let [Field::Text(table), Field::Text(column), Field::Integer(srs_id)] = row.as_slice() {
                columns.insert(table.to_ascii_lowercase(), (column.clone(), *srs_id));
            }
        })
        .map_err(|error| error.at("gpkg_geometry_columns"))?;
    }
    let tables: Vec<FeatureTable> = names
        .into_iter()
        .filter_map(|name| {
            let (geometry_column, srs_id) = columns.remove(&name.to_ascii_lowercase())?;
            Some(FeatureTable { name, geometry_column, srs_id })
        })
        .collect();
    if tables.is_empty() {
        let others: Vec<&str> = kinds.iter().map(String::as_str).take(LISTED).collect();
        return Err(Error::unsupported(format!(
            "the GeoPackage has no table of features{}",
            if others.is_empty() { String::new() } else { format!(", only of {}", others.join(", ")) }
        )));
    }
    Ok(tables)
}

fn choose(mut tables: Vec<FeatureTable>, query: &Query) -> Result<FeatureTable> {
    let found = match &query.layer {
        Some(name) => tables
            .iter()
            .position(|table| table.name == *name)
            .or_else(|| tables.iter().position(|table| table.name.eq_ignore_ascii_case(name))),
        None => Some(0).filter(|_| tables.len() == 1),
    };
    if let Some(index) = found {
        return Ok(tables.swap_remove(index));
    }
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).take(LISTED).collect();
    let more = if tables.len() > LISTED { ", …" } else { "" };
    let names = names.join(", ");
    Err(Error::usage(match &query.layer {
        Some(name) => format!("the GeoPackage has no layer `{name}`; it has {names}{more}"),
        None => format!("the GeoPackage has {} layers; name one with --layer: {names}{more}", tables.len()),
    }))
}

/// The text that names the CRS `srs_id` of `gpkg_spatial_ref_sys` (§1.1.2.1.2); `None` for an undefined one.
fn crs_of(database: &Database<'_>, srs_id: i64) -> Result<Option<String>> {
    let table = if matches!(srs_id, -1 | 0) { None } else { database.table("gpkg_spatial_ref_sys")? };
    let Some(table) = table else { return Ok(None) };
    let mut columns = vec!["srs_id", "organization", "organization_coordsys_id", "definition"];
    // The extension for WKT of 2015 and later (Annex F.10)
    columns.extend(table.column("definition_12_063").map(|_| "definition_12_063"));
    let mut crs = None;
    each_row(database, &table, &columns, |row| {
        if let [Field::Integer(id), Field::Text(organization), code, definitions @ ..] = row.as_slice()
            && *id == srs_id
        {
            crs = name_of_crs(organization, code, definitions);
        }
    })
    .map_err(|error| error.at("gpkg_spatial_ref_sys"))?;
    Ok(crs)
}

fn name_of_crs(organization: &str, code: &Field<'_>, definitions: &[Field<'_>]) -> Option<String> {
    if let Field::Integer(code) = code
        && organization.eq_ignore_ascii_case("EPSG")
        && *code > 0
    {
        return Some(format!("EPSG:{code}"));
    }
    let is_said = |text: &&String| !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "undefined");
    let said = definitions
        .iter()
        .rev()
        .filter_map(|field| if let Field::Text(text) = field { Some(text) } else { None });
    match said.into_iter().find(is_said) {
        // How GDAL writes that there is none, since its version 3.9
        Some(text) if text.contains("[\"Undefined SRS\"") => None,
        Some(text) => Some(text.clone()),
        None => None,
    }
}

/// The geometry of a GeoPackageBinary blob (§2.1.3).
fn decode(blob: &[u8], vertices_left: usize) -> Result<Geometry> {
    let damaged =
        || Error::format("its geometry is damaged: a GeoPackageBinary begins with `GP`, a version and flags");
    let [b'G', b'P', version, flags, rest @ ..] = blob else { return Err(damaged()) };
    if *version != 0 {
        return Err(Error::unsupported(format!(
            "its geometry is of version {version} of GeoPackageBinary; cogclip reads version 0"
        )));
    }
    if flags & 0x20 != 0 {
        let code: String = rest
            .iter()
            .skip(4)
            .take(4)
            .map(|byte| char::from(*byte))
            .filter(char::is_ascii_graphic)
            .collect();
        return Err(Error::unsupported(format!(
            "its geometry is of the extension `{code}`, not of OGC's types; convert it, for example with `ogr2ogr`"
        )));
    }
    let envelope = match (flags >> 1) & 7 {
        0 => 0,
        1 => 32,
        2 | 3 => 48,
        4 => 64,
        code => {
            return Err(Error::format(format!("its geometry has an envelope of the unknown kind {code}")));
        }
    };
    // The SRS's number comes first. It is that of the layer.
    let start = 4_usize.saturating_add(envelope);
    let (geometry, _) = wkb::geometry(rest.get(start..).ok_or_else(damaged)?, vertices_left)?;
    Ok(geometry)
}
