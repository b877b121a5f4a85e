//! A manifest: rows of jobs. Rows stay where they are and are read when their turn comes; what is kept of each is its place.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tempfile::SpooledTempFile;

use super::expand;
use crate::error::{Error, Result};
use crate::layer;
use crate::limits::{Limits, within};
use crate::vector::{Geometry, Query, Value as Property};

/// Bytes of a manifest that is not a file which are kept in memory; more of it waits in a temporary file.
pub(super) const IN_MEMORY: usize = 32 << 20;

/// The first bytes of Parquet.
const PARQUET: &[u8] = b"PAR1";

/// One row: names and values, `src`, `dst` and `cutline` or `bbox` among them.
pub type Row = Map<String, Value>;

/// Rows, and which of them have the same source.
#[derive(Debug)]
pub struct Manifest {
    text: Mutex<Text>,
    /// In the manifest's order.
    entries: Vec<Entry>,
    sources: usize,
    /// Whether there is a row that stands for several.
    stands_for_more: bool,
}

/// Where rows are.
#[derive(Debug)]
enum Text {
    File(File),
    Spool(SpooledTempFile),
}

/// A row's place, and the number of its source.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    len: u32,
    source: u32,
}

/// The rows of one source: its number, and their numbers in the manifest's order, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Which source, in the order of first appearance, from 0.
    pub source: usize,
    /// Its rows.
    pub rows: Vec<u64>,
}

impl Manifest {
    /// The manifest in a file of this machine: JSON Lines, CSV with a line of names, or GeoParquet, whose geometries are cutlines.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it cannot be read; [`crate::ErrorKind::Usage`] for a row that is not understood, names no
    /// `src` or `dst`, or has the `dst` of another; [`crate::ErrorKind::Limit`] for a row longer than a cutline may be.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let failed = |cause| Error::io(format!("cannot read {}", path.display())).caused_by(cause);
        let mut file = File::open(path).map_err(failed)?;
        let shown = path.display().to_string();
        let mut first = Vec::new();
        Read::take(&file, 4).read_to_end(&mut first).map_err(failed)?;
        file.rewind().map_err(failed)?;
        if first == PARQUET {
            return Self::of_parquet(file, &shown, limits);
        }
        let is_json = is_json(&shown, first.first() == Some(&b'{'));
        if is_json { Self::of(Text::File(file), &shown, limits) } else { Self::of_csv(file, &shown, limits) }
    }

    /// The manifest that `input` gives; `shown` stands for it in messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn read(input: impl Read, shown: &str, limits: &Limits) -> Result<Self> {
        let failed = |cause| Error::io(format!("cannot read {shown}")).caused_by(cause);
        let mut input = BufReader::new(input);
        let first = input.fill_buf().map_err(failed)?;
        let starts_so = first.first() == Some(&b'{');
        if first.starts_with(PARQUET) {
            return Self::of_parquet(input, shown, limits);
        }
        if !is_json(shown, starts_so) {
            return Self::of_csv(input, shown, limits);
        }
        let mut spool = SpooledTempFile::new(IN_MEMORY);
        std::io::copy(&mut input, &mut spool).map_err(failed)?;
        Self::of(Text::Spool(spool), shown, limits)
    }

    /// Rows of CSV as JSON Lines: a value is text, except that an empty one is none at all.
    fn of_csv(input: impl Read, shown: &str, limits: &Limits) -> Result<Self> {
        let wrong = |cause: csv::Error| {
            let place = cause.position().map_or(1, csv::Position::line);
            Error::usage(format!("{shown}, line {place}: this is neither JSON Lines nor CSV"))
                .caused_by(cause)
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(input);
        let names = reader.headers().map_err(wrong)?.clone();
        let mut spool = SpooledTempFile::new(IN_MEMORY);
        for record in reader.records() {
            let record = record.map_err(wrong)?;
            let values = names.iter().zip(&record).filter(|(_, value)| !value.is_empty());
            let row: Row = values.map(|(name, value)| (name.to_owned(), of_text(value))).collect();
            let failed = |cause| Error::io("a temporary file could not be written").caused_by(cause);
            serde_json::to_writer(&mut spool, &row).map_err(|cause| failed(cause.into()))?;
            spool.write_all(b"\n").map_err(failed)?;
        }
        Self::of(Text::Spool(spool), shown, limits)
    }

    /// Rows of GeoParquet: its columns are names, its geometries the cutlines of rows that name none, in its CRS.
    fn of_parquet(input: impl Read, shown: &str, limits: &Limits) -> Result<Self> {
        let mut bytes = Vec::new();
        let failed = |cause| Error::io(format!("cannot read {shown}")).caused_by(cause);
        input.take(limits.cutline_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        within(bytes.len() as u64, limits.cutline_bytes, "a manifest in GeoParquet")
            .map_err(|error| error.at(shown))?;
        let layer = layer::parse(shown, &bytes.into(), &Query::default(), limits)?;
        let mut spool = SpooledTempFile::new(IN_MEMORY);
        for feature in layer.features {
            let values =
                feature.properties.iter().map(|(name, value)| (name.to_string(), of_property(value)));
            let mut row: Row = values.collect();
            let has = |name: &str| row.get(name).is_some_and(|value| !value.is_null());
            if !has("cutline") && !has("bbox") && feature.geometry.vertices() > 0 {
                row.insert("cutline".to_owned(), geojson(&feature.geometry));
                if let Some(crs) = layer.crs.as_ref().filter(|_| !row.contains_key("cutline_crs")) {
                    row.insert("cutline_crs".to_owned(), crs.clone().into());
                }
            }
            let failed = |cause| Error::io("a temporary file could not be written").caused_by(cause);
            serde_json::to_writer(&mut spool, &row).map_err(|cause| failed(cause.into()))?;
            spool.write_all(b"\n").map_err(failed)?;
        }
        Self::of(Text::Spool(spool), shown, limits)
    }

    /// Rows as JSON Lines.
    pub(super) fn of_spool(spool: SpooledTempFile, shown: &str, limits: &Limits) -> Result<Self> {
        Self::of(Text::Spool(spool), shown, limits)
    }

    /// Whether there is a row that stands for several: a pattern or a STAC document as source, or features that are split.
    #[must_use]
    pub fn stands_for_more(&self) -> bool {
        self.stands_for_more
    }

    fn of(mut text: Text, shown: &str, limits: &Limits) -> Result<Self> {
        let failed = |cause| Error::io(format!("cannot read {shown}")).caused_by(cause);
        text.seek(0).map_err(failed)?;
        let mut entries = Vec::new();
        // Of a million rows, the hashes of their names rather than these themselves.
        let (mut sources, mut destinations) = (HashMap::new(), HashMap::new());
        let mut stands_for_more = false;
        let mut reader = BufReader::new(&mut text);
        let (mut line, mut offset, mut number) = (Vec::new(), 0, 0_u64);
        loop {
            line.clear();
            number += 1;
            let at = |what: String| Error::usage(format!("{shown}, line {number}: {what}"));
            let most = limits.cutline_bytes;
            let read =
                reader.by_ref().take(most.saturating_add(1)).read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 {
                break;
            }
            if line.len() as u64 > most {
                return Err(Error::limit(format!(
                    "{shown}, line {number}: a row has more than {most} bytes; name a file of polygons in it instead"
                )));
            }
            let start = offset;
            offset += read as u64;
            let trimmed = line.trim_ascii();
            if trimmed.is_empty() {
                continue;
            }
            let row = parse(trimmed).map_err(|error| at(error.to_string()))?;
            let text = |name: &str| {
                let value = row.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
                value.ok_or_else(|| at(format!("the row has no {name}")))
            };
            let next = sources.len();
            let source = *sources.entry(short(text("src")?)).or_insert(next);
            let destination = text("dst")?;
            let is_set = |name: &str| row.get(name).is_some_and(|value| value == &Value::Bool(true));
            if is_set("split") || is_set(expand::MANY) || expand::stands_for_more(text("src")?) {
                stands_for_more = true;
            } else if let Some(other) = destinations.insert(short(destination), number) {
                return Err(at(format!(
                    "it has the destination of line {other}, {}; each row needs its own",
                    crate::store::redact(destination)
                )));
            }
            let too_many = || at("there are more rows than a manifest may have".to_owned());
            entries.push(Entry {
                offset: start,
                len: u32::try_from(read).map_err(|_beyond| too_many())?,
                source: u32::try_from(source).map_err(|_beyond| too_many())?,
            });
        }
        let sources = sources.len();
        Ok(Self { text: Mutex::new(text), entries, sources, stands_for_more })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Row `number`, from 0.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when it is no longer there.
    pub fn row(&self, number: u64) -> Result<Row> {
        let gone = || Error::io("the manifest changed while it was read");
        let place = usize::try_from(number).ok().and_then(|n| self.entries.get(n)).ok_or_else(gone)?;
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; place.len as usize];
        text.seek(place.offset)
            .and_then(|()| text.read_exact(&mut bytes))
            .map_err(|cause| gone().caused_by(cause))?;
        parse(bytes.trim_ascii()).map_err(|cause| gone().caused_by(cause))
    }

    /// The rows by source, in the order of first appearance: those of shard `index` of `count`, each of which gets whole
    /// sources and about as many rows as any other. The same manifest is always split alike.
    #[must_use]
    pub fn groups(&self, (index, count): (usize, usize)) -> Vec<Group> {
        let mut groups: Vec<Group> =
            (0..self.sources).map(|source| Group { source, rows: Vec::new() }).collect();
        for (number, entry) in (0_u64..).zip(&self.entries) {
            if let Some(group) = groups.get_mut(entry.source as usize) {
                group.rows.push(number);
            }
        }
        if count <= 1 {
            return groups;
        }
        // The largest first, each to the shard that has the least so far.
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_by_key(|&n| std::cmp::Reverse(groups.get(n).map_or(0, |group| group.rows.len())));
        let mut loads: std::collections::BTreeSet<(usize, usize)> =
            (0..count).map(|shard| (0, shard)).collect();
        let mut own = std::collections::BTreeSet::new();
        for n in order {
            let Some((load, shard)) = loads.pop_first() else { break };
            loads.insert((load + groups.get(n).map_or(0, |group| group.rows.len()), shard));
            if shard == index {
                own.insert(n);
            }
        }
        groups.retain(|group| own.contains(&group.source));
        groups
    }
}

fn of_property(value: &Property) -> Value {
    match value {
        Property::Null => Value::Null,
        Property::Bool(value) => (*value).into(),
        Property::Integer(value) => (*value).into(),
        Property::Real(value) => (*value).into(),
        Property::Text(value) => value.clone().into(),
    }
}

/// A geometry as GeoJSON has it (RFC 7946 §3.1), to the last bit.
fn geojson(geometry: &Geometry) -> Value {
    match geometry {
        Geometry::Point(place) => json!({ "type": "Point", "coordinates": place }),
        Geometry::Line(line) => json!({ "type": "LineString", "coordinates": line }),
        Geometry::Polygon(rings) => json!({ "type": "Polygon", "coordinates": rings }),
        Geometry::Collection(parts) => {
            json!({ "type": "GeometryCollection", "geometries": parts.iter().map(geojson).collect::<Vec<_>>() })
        }
    }
}

/// Whether a manifest is JSON Lines rather than CSV, by its name, or else by whether its first byte is a brace.
fn is_json(shown: &str, starts_so: bool) -> bool {
    let extension = shown.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("csv") => false,
        Some("jsonl" | "ndjson" | "json") => true,
        _ => starts_so,
    }
}

/// A value of CSV: `true` and `false` are switches.
fn of_text(value: &str) -> Value {
    match value {
        "true" | "TRUE" | "True" => true.into(),
        "false" | "FALSE" | "False" => false.into(),
        text => text.into(),
    }
}

fn parse(line: &[u8]) -> Result<Row, serde_json::Error> {
    serde_json::from_slice(line)
}

/// Half of a SHA-256: that two names of a manifest share one is out of the question.
fn short(text: &str) -> u128 {
    let hash = Sha256::digest(text);
    hash.first_chunk().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

impl Text {
    fn seek(&mut self, offset: u64) -> std::io::Result<()> {
        let from = SeekFrom::Start(offset);
        match self {
            Self::File(file) => file.seek(from),
            Self::Spool(spool) => spool.seek(from),
        }
        .map(drop)
    }
}

impl Read for Text {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Spool(spool) => spool.read(buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn manifest(text: &str) -> Result<Manifest> {
        Manifest::read(text.as_bytes(), "standard input", &Limits::default())
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = manifest(text).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn json_lines_and_csv_are_the_same_rows() {
        let json = "{\"src\": \"a.tif\", \"cutline\": \"c, d.shp\", \"dst\": \"x\", \"all_touched\": true, \"pad\": \"3\"}\n\n\
                    {\"src\":\"b.tif\",\"cutline\":\"c\",\"dst\":\"y\"}\r\n";
        let csv = "src,cutline, dst,all_touched,pad\na.tif,\"c, d.shp\",x,true,3\nb.tif,c,y,,\n";
        let (json, csv) = (manifest(json).unwrap(), manifest(csv).unwrap());
        assert_eq!((json.len(), csv.len()), (2, 2));
        for number in [1, 0] {
            assert_eq!(json.row(number).unwrap(), csv.row(number).unwrap());
        }
        assert_eq!(json.row(0).unwrap()["pad"], "3");
        assert_eq!(json.row(2).unwrap_err().kind(), ErrorKind::Io);
        assert!(manifest("").unwrap().is_empty());
    }

    #[test]
    fn a_row_that_is_wrong_is_named_before_anything_starts() {
        refused("{\"src\": \"a\", \"dst\": \"b\"}\n{\"src\": \"a\"", "line 2: EOF while parsing");
        refused("{\"src\": \"a\"}", "line 1: the row has no dst");
        refused("{\"src\": 3, \"dst\": \"b\"}", "line 1: the row has no src");
        refused("{\"dst\": \"b\", \"src\": \"\"}", "has no src");
        refused(
            "{\"src\": \"a\", \"dst\": \"s3://b/k\"}\n\n{\"src\": \"b\", \"dst\": \"s3://b/k\"}",
            "line 3: it has the destination of line 1, s3://b/k",
        );
        refused("src,dst\na,b\na,b,c\n", "line 3: this is neither");
        let limits = Limits { cutline_bytes: 30, ..Limits::default() };
        let error =
            Manifest::read(&b"{\"src\": \"a\", \"dst\": \"b\", \"x\": 1}"[..], "m", &limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit);
    }

    #[test]
    fn shards_hold_whole_sources_and_every_row_once() {
        // Source n has about as many rows as n.
        let row = |n: u32| format!("{{\"src\": \"{}.tif\", \"dst\": \"{n}\"}}\n", n.isqrt() * 7 % 31);
        let text: String = (0..1000).map(row).collect();
        let manifest = manifest(&text).unwrap();
        for count in [1, 2, 7, 13, 40] {
            let shards: Vec<_> = (0..count).map(|index| manifest.groups((index, count))).collect();
            let mut seen: Vec<u64> = shards.iter().flatten().flat_map(|group| group.rows.clone()).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..1000).collect::<Vec<_>>(), "{count}");
            let mut sources: Vec<usize> = shards.iter().flatten().map(|group| group.source).collect();
            sources.sort_unstable();
            assert_eq!(sources, (0..31).collect::<Vec<_>>(), "{count}");
            if count == 7 {
                let loads: Vec<usize> =
                    shards.iter().map(|groups| groups.iter().map(|group| group.rows.len()).sum()).collect();
                assert!(loads.iter().all(|load| (130..160).contains(load)), "{loads:?}");
            }
        }
        let firsts: Vec<u64> = manifest.groups((0, 1)).iter().map(|group| group.rows[0]).collect();
        assert!(firsts.is_sorted());
    }
}
