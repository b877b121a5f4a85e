//! A layer of features at a location: which files and which of their bytes to read.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::fetch;
use crate::geo::ShiftGrid;
use crate::limits::{Limits, within};
use crate::source::{Source, coalesce};
use crate::store::{StoreOptions, sibling};
use crate::vector::format::Format;
use crate::vector::parts::Parts;
use crate::vector::{Area, Layer, Query, Stop, flatgeobuf, format, geopackage, shapefile};

/// First bytes of a file: they tell its format, and most cutlines are shorter.
const FIRST_BYTES: u64 = 64 << 10;

/// Ranges with at most this many bytes between them are read as one: a round trip takes longer than these.
const MAX_GAP: u64 = 64 << 10;

/// Bytes of a merged request.
const MAX_REQUEST: u64 = 4 << 20;

/// Reads the features that `query` asks for from the file at `uri`, a path or a URL as [`Source::open`] takes it.
///
/// `extent` gives the box of interest, the raster's, in the CRS of a text. A FlatGeobuf or a GeoPackage with an index is read
/// only there; it sets `query.bounds`.
///
/// # Errors
/// As [`Source::head`]; by the format's reader, the message led by the location; [`crate::ErrorKind::Limit`] when the file is
/// larger than [`Limits::cutline_bytes`] and has to be read whole.
pub async fn read(
    uri: &str,
    query: &mut Query,
    extent: &(dyn Fn(Option<&str>) -> Option<Area> + Sync),
    store: &StoreOptions,
    limits: &Limits,
) -> Result<Layer> {
    let source = Source::open(uri, store)?;
    let head = source.head(FIRST_BYTES).await?;
    let layer = match Format::detect(source.uri(), &head)? {
        Format::FlatGeobuf => indexed(&source, head, query, extent, limits).await,
        Format::Shapefile => {
            let shp = rest(&source, head, limits).await?;
            let beside = async |extension: &str| beside(uri, extension, store, limits).await;
            let [shx, dbf, prj, cpg] =
                [beside("shx").await?, beside("dbf").await?, beside("prj").await?, beside("cpg").await?];
            let files = shapefile::Files {
                name: stem(source.uri()),
                shp: &shp,
                shx: shx.as_deref(),
                dbf: dbf.as_deref(),
                prj: prj.as_deref(),
                cpg: cpg.as_deref(),
            };
            shapefile::read(&files, query, limits)
        }
        known @ (Format::GeoJson
        | Format::Wkt
        | Format::Wkb
        | Format::Zip
        | Format::GeoPackage
        | Format::GeoParquet) => {
            let bytes = rest(&source, head, limits).await?;
            if known == Format::GeoPackage {
                no_log_beside(uri, &bytes, store).await?;
                let crs = geopackage::crs(&bytes, query).map_err(|error| error.at(source.uri()))?;
                query.bounds = extent(crs.as_deref());
            }
            format::read(known, &bytes, query, limits)
        }
    };
    layer.map_err(|error| error.at(source.uri()))
}

/// The features of bytes that are at hand. `name` stands for the file's in messages.
///
/// # Errors
/// By the format's reader, the message led by `name`.
pub fn parse(name: &str, bytes: &Bytes, query: &Query, limits: &Limits) -> Result<Layer> {
    let known = Format::detect(name, bytes).map_err(|error| error.at(name))?;
    format::read(known, bytes, query, limits).map_err(|error| error.at(name))
}

/// Whether a cutline is given itself, rather than a place where it lies: GeoJSON, WKT or WKB in hexadecimal.
#[must_use]
pub fn is_inline(text: &str) -> bool {
    let text = text.trim_start();
    // A path may look like much, but not like these.
    text.starts_with(['{', '['])
        || (is_wkt_body(text) && format::is_wkt(text))
        || (text.len() >= 2 * SHORTEST_WKB && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_wkt_body(text: &str) -> bool {
    let end = text.trim_end();
    text.contains('(')
        || end.get(end.len().saturating_sub(6)..).is_some_and(|end| end.eq_ignore_ascii_case(" empty"))
}

/// The name of a file without its folder and its extension.
fn stem(uri: &str) -> &str {
    let name = uri.rsplit(['/', '\\']).next().unwrap_or(uri);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// Bytes of a point as WKB.
const SHORTEST_WKB: usize = 21;

/// The NTv2 grid at `uri`.
///
/// # Errors
/// As [`read`], and as [`ShiftGrid::parse`].
pub async fn shift_grid(uri: &str, store: &StoreOptions, limits: &Limits) -> Result<Arc<ShiftGrid>> {
    let source = Source::open(uri, store)?;
    let bytes = fetch::whole(&source, limits).await?;
    let grid = ShiftGrid::parse(&bytes, limits).map_err(|error| error.at(source.uri()))?;
    Ok(Arc::new(grid))
}

/// A FlatGeobuf: its header, the index where it meets the box of interest, and the features that it names.
async fn indexed(
    source: &Source,
    head: Bytes,
    query: &mut Query,
    extent: &(dyn Fn(Option<&str>) -> Option<Area> + Sync),
    limits: &Limits,
) -> Result<Layer> {
    let size = source.meta().map_or(head.len() as u64, |meta| meta.size);
    let mut parts = Parts::new(size);
    parts.insert(0, &head);
    let crs = satisfied(source, &mut parts, limits, |parts| flatgeobuf::crs(parts, limits)).await?;
    query.bounds = extent(crs.as_deref());
    let found = satisfied(source, &mut parts, limits, |parts| flatgeobuf::plan(parts, query, limits)).await?;
    satisfied(source, &mut parts, limits, |parts| flatgeobuf::read(parts, &found, query, limits)).await
}

/// Calls `step` until it needs nothing more, fetching what it names.
async fn satisfied<T>(
    source: &Source,
    parts: &mut Parts,
    limits: &Limits,
    mut step: impl FnMut(&Parts) -> Result<T, Stop>,
) -> Result<T> {
    let mut brought = 0_u64;
    let mut rounds = 0;
    loop {
        let ranges = match step(parts) {
            Ok(done) => return Ok(done),
            Err(Stop::Bad(error)) => return Err(error),
            Err(Stop::Need(ranges)) => ranges,
        };
        rounds += 1;
        if rounds > limits.header_requests {
            return Err(Error::limit(format!(
                "its index would take more than {} rounds of requests",
                limits.header_requests
            )));
        }
        for merged in coalesce(&ranges, MAX_GAP, MAX_REQUEST) {
            brought = brought.saturating_add(merged.range.end.saturating_sub(merged.range.start));
            within(brought, limits.cutline_bytes, "reading its features")?;
            let start = merged.range.start;
            parts.insert(start, &source.read(merged.range).await?);
        }
    }
}

/// The whole of a file whose first bytes have come.
async fn rest(source: &Source, head: Bytes, limits: &Limits) -> Result<Bytes> {
    let size = source.meta().map_or(head.len() as u64, |meta| meta.size);
    within(size, limits.cutline_bytes, "reading it")?;
    if size <= head.len() as u64 {
        return Ok(head);
    }
    let rest = source.read(head.len() as u64..size).await?;
    Ok([head, rest].concat().into())
}

/// Refuses a database whose write-ahead log is not empty: rows that were committed may stand in it alone
/// (sqlite.org/fileformat2.html §4.1).
async fn no_log_beside(uri: &str, database: &[u8], store: &StoreOptions) -> Result<()> {
    // The versions of the format for reading and writing: 2 says that there may be a log.
    if database.get(18..20) != Some(&[2, 2]) {
        return Ok(());
    }
    let log = Source::open(&format!("{uri}-wal"), store)?;
    match log.head(1).await {
        Ok(first) if first.is_empty() => Ok(()),
        Ok(_) => Err(Error::unsupported(format!(
            "rows of it may stand in {} alone, which cogclip does not read; close the program that writes it, or run `PRAGMA \
             wal_checkpoint(TRUNCATE)`",
            log.uri()
        ))),
        Err(error) if error.is_absent() => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file that belongs to a shapefile; `None` when there is none.
async fn beside(uri: &str, extension: &str, store: &StoreOptions, limits: &Limits) -> Result<Option<Bytes>> {
    let source = Source::open(&sibling(uri, extension), store)?;
    match fetch::whole(&source, limits).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}
