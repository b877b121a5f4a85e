//! ESRI's shapefile (ESRI Shapefile Technical Description, July 1998), with its `.shx`, `.dbf`, `.prj` and `.cpg`.

use super::dbf::Table;
use super::{Feature, Gathering, Geometry, Layer, Query, Ring, Winding, rings};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Bytes of the header of a `.shp` and of a `.shx`.
const HEADER: usize = 100;

/// The files of a shapefile, whole.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// What they are called, without folder and ending: the layer's name.
    pub name: &'a str,
    /// Geometries.
    pub shp: &'a [u8],
    /// Where each begins. Without it they are read one after the other.
    pub shx: Option<&'a [u8]>,
    /// Properties.
    pub dbf: Option<&'a [u8]>,
    /// The CRS as WKT.
    pub prj: Option<&'a [u8]>,
    /// The encoding of text in the `.dbf`.
    pub cpg: Option<&'a [u8]>,
}

/// The features of a shapefile, numbered from 0, records that are marked as deleted included in the count and left out of
/// the layer.
///
/// # Errors
/// - [`crate::ErrorKind::Format`], with the number of the shape, for bytes that are no shapefile;
/// - [`crate::ErrorKind::Unsupported`] for a wanted multipatch, and for text in an encoding that is not read;
/// - [`crate::ErrorKind::Limit`] and [`crate::ErrorKind::Usage`] as [`Gathering`] says, and for polygons of so many parts
///   that finding the holes would take more steps than [`Limits::mask_work`]. The caller bounds the files.
pub fn read(files: &Files<'_>, query: &Query, limits: &Limits) -> Result<Layer> {
    query.names_layer(files.name)?;
    let mut gathering = Gathering::new(files.name, Winding::Left, query, limits);
    let prj = files.prj.map(|text| String::from_utf8_lossy(text).trim_matches('\u{feff}').trim().to_owned());
    gathering.set_crs(prj.filter(|text| !text.is_empty()));
    let table = files.dbf.map(|dbf| Table::new(dbf, files.cpg)).transpose()?;
    for name in table.iter().flat_map(Table::names) {
        gathering.declare(name);
    }
    let mut shapes = Shapes::new(files)?;
    let mut work = limits.mask_work;
    for index in 0_usize.. {
        let at = |error: Error| error.at(format_args!("the shapefile's shape {index}"));
        let Some(content) = shapes.next(index).map_err(at)? else { break };
        let fid = i64::try_from(index).unwrap_or(i64::MAX);
        if !gathering.wants_fid(fid) || table.as_ref().is_some_and(|table| table.is_deleted(index)) {
            gathering.skip();
            continue;
        }
        let properties = match &table {
            Some(table) => table.row(index)?.unwrap_or_default(),
            None => Vec::new(),
        };
        if !gathering.wants(fid, &properties) {
            gathering.skip();
            continue;
        }
        let shape = Shape { rest: content, vertices_left: gathering.vertices_left() };
        let geometry = shape.geometry(&mut work).map_err(at)?;
        gathering.add(Feature { fid, id: None, properties, geometry })?;
    }
    gathering.finish()
}

/// Whether `head` begins as a `.shp` does.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(&FILE_CODE)
}

/// The file code, 9994.
const FILE_CODE: [u8; 4] = 9994_u32.to_be_bytes();

/// The records of a `.shp`, in the order of the `.shx`, or one after the other.
struct Shapes<'a> {
    shp: &'a [u8],
    shx: Option<&'a [u8]>,
    next: usize,
    /// Bytes of the records so far: no more than the file has, so that records that overlap do not multiply them.
    read: usize,
}

impl<'a> Shapes<'a> {
    fn new(files: &Files<'a>) -> Result<Self> {
        let body = |bytes: &'a [u8], ending: &str| {
            if !begins(bytes) {
                return Err(Error::format(format!(
                    "the .{ending} does not begin with the number 9994 of its format"
                )));
            }
            bytes.get(HEADER..).ok_or_else(|| {
                Error::format(format!(
                    "the .{ending} of {} bytes ends within its header of {HEADER}",
                    bytes.len()
                ))
            })
        };
        body(files.shp, "shp")?;
        let shx = files.shx.map(|shx| body(shx, "shx")).transpose()?;
        if let Some(rest) = shx.filter(|shx| shx.len() % 8 != 0) {
            return Err(Error::format(format!(
                "the .shx ends within its entry {}: it is cut short",
                rest.len() / 8
            )));
        }
        Ok(Self { shp: files.shp, shx, next: HEADER, read: 0 })
    }

    /// The content of the record of this place; `None` behind the last.
    fn next(&mut self, index: usize) -> Result<Option<&'a [u8]>> {
        if let Some(shx) = self.shx {
            let Some(entry) = shx.get(index.saturating_mul(8)..).and_then(<[u8]>::first_chunk::<4>) else {
                return Ok(None);
            };
            self.next = words(*entry)?;
        } else if self.next >= self.shp.len() {
            return Ok(None);
        }
        let at = self.next;
        let record = self.shp.get(at..).unwrap_or(&[]);
        let (head, rest) = record.split_first_chunk::<8>().ok_or_else(|| {
            Error::format(format!(
                "its record begins at byte {at}, but the .shp has {} bytes",
                self.shp.len()
            ))
        })?;
        let [_, _, _, _, length @ ..] = *head;
        let length = words(length)?;
        let content = rest.get(..length).ok_or_else(|| {
            Error::format(format!(
                "its record at byte {at} has {length} bytes, of which the .shp has {}; it is cut short",
                rest.len()
            ))
        })?;
        self.next = at.saturating_add(8).saturating_add(length);
        self.read = self.read.saturating_add(8).saturating_add(length);
        if self.read > self.shp.len() {
            return Err(Error::format(format!(
                "its record at byte {at} overlaps others: the records so far take {} bytes, the .shp has {}",
                self.read,
                self.shp.len()
            )));
        }
        Ok(Some(content))
    }
}

/// A big-endian count of 16-bit words, in bytes.
fn words(bytes: [u8; 4]) -> Result<usize> {
    let words = u32::from_be_bytes(bytes);
    usize::try_from(words)
        .map(|words| words.saturating_mul(2))
        .map_err(|cause| Error::format(format!("a length of {words} words")).caused_by(cause))
}

/// A record's content, from its type on.
struct Shape<'a> {
    rest: &'a [u8],
    vertices_left: usize,
}

impl Shape<'_> {
    fn geometry(mut self, work: &mut u64) -> Result<Geometry> {
        let nothing = Geometry::Collection(Vec::new());
        Ok(match self.number()? {
            0 => nothing,
            1 | 11 | 21 => match *self.positions(1)? {
                [position] => Geometry::Point(position),
                _ => nothing,
            },
            3 | 13 | 23 => {
                let mut lines = self.parts()?;
                match lines.len() {
                    0 => nothing,
                    1 => Geometry::Line(lines.pop().unwrap_or_default()),
                    _ => Geometry::Collection(lines.into_iter().map(Geometry::Line).collect()),
                }
            }
            kind @ (5 | 15 | 25) => rings::polygons(self.parts()?, kind == 5, work)?,
            8 | 18 | 28 => {
                self.skip_box()?;
                let count = self.count("positions", 16)?;
                let positions = self.positions(count)?;
                Geometry::Collection(positions.into_iter().map(Geometry::Point).collect())
            }
            31 => {
                return Err(Error::unsupported(
                    "a multipatch, a surface in three dimensions, which cogclip does not read; make polygons of it first",
                ));
            }
            kind => return Err(Error::format(format!("the type {kind}, which is none of a shapefile's"))),
        })
    }

    fn number(&mut self) -> Result<u32> {
        let (number, rest) =
            self.rest.split_first_chunk().ok_or_else(|| Error::format("its record ends within a number"))?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*number))
    }

    fn skip_box(&mut self) -> Result<()> {
        self.rest = self.rest.get(32..).ok_or_else(|| Error::format("its record ends within its box"))?;
        Ok(())
    }

    /// A count of things of so many bytes.
    fn count(&mut self, what: &str, each: usize) -> Result<usize> {
        let count = self.number()?;
        let most = self.rest.len().checked_div(each).unwrap_or(0);
        usize::try_from(count).ok().filter(|count| *count <= most).ok_or_else(|| {
            Error::format(format!("a count of {count} {what}, where its record has place for {most}"))
        })
    }

    fn positions(&mut self, count: usize) -> Result<Ring> {
        let bytes = self
            .rest
            .split_at_checked(count.saturating_mul(16))
            .ok_or_else(|| Error::format(format!("its record ends within its {count} positions")))?;
        self.vertices_left = self.vertices_left.checked_sub(count).ok_or_else(|| {
            Error::limit("it has more vertices than the limit of all vertices of a cutline leaves")
        })?;
        self.rest = bytes.1;
        let positions = bytes.0.as_chunks::<16>().0.iter().filter_map(|position| {
            let (x, y) = position.split_first_chunk::<8>()?;
            Some([f64::from_le_bytes(*x), f64::from_le_bytes(*y.first_chunk()?)])
        });
        Ok(positions.collect())
    }

    /// The parts of a line or polygon.
    fn parts(&mut self) -> Result<Vec<Ring>> {
        self.skip_box()?;
        let parts = self.count("parts", 4)?;
        let positions = self.count("positions", 16)?;
        let bytes = self.rest.split_at_checked(parts.saturating_mul(4));
        let (starts, rest) = bytes.ok_or_else(|| Error::format("its record ends within its parts"))?;
        self.rest = rest;
        let starts: Vec<usize> = starts
            .as_chunks()
            .0
            .iter()
            .map(|start| usize::try_from(u32::from_le_bytes(*start)).unwrap_or(usize::MAX))
            .collect();
        // What is before the first part belongs to none.
        if starts.first().is_some_and(|first| *first != 0) {
            return Err(Error::format("its first part does not begin at its first position"));
        }
        let ends = starts.iter().copied().skip(1).chain([positions]);
        let mut all = Vec::with_capacity(starts.len());
        for (part, (start, end)) in starts.iter().zip(ends).enumerate() {
            let count = end.checked_sub(*start).filter(|_| end <= positions).ok_or_else(|| {
                Error::format(format!(
                    "its part {part} reaches from position {start} to {end}, of {positions} positions"
                ))
            })?;
            all.push(self.positions(count)?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::vector::{Value, golden};

    /// The files of a fixture; missing ones are empty.
    struct Fixture([Option<Vec<u8>>; 5]);

    impl Fixture {
        fn new(stem: &str) -> Self {
            Self(["shp", "shx", "dbf", "prj", "cpg"].map(|ending| {
                let path = format!("{}/testdata/vector/{stem}.{ending}", env!("CARGO_MANIFEST_DIR"));
                std::fs::read(path).ok()
            }))
        }

        fn files(&self) -> Files<'_> {
            let [shp, shx, dbf, prj, cpg] = self.0.each_ref().map(Option::as_deref);
            Files { name: "x", shp: shp.unwrap(), shx, dbf, prj, cpg }
        }
    }

    fn read(files: &Files<'_>) -> Result<Layer> {
        super::read(files, &Query::default(), &Limits::default())
    }

    #[test]
    fn what_ogr_reads_is_read() {
        for stem in [
            "polygons",
            "latin1",
            "cp1252",
            "cp1251",
            "points-z",
            "lines",
            "multipoints",
            "winding",
            "winding-z",
            "measured",
            "lines-z",
            "deleted-and-gaps",
        ] {
            let layer = read(&Fixture::new(stem).files()).unwrap();
            golden::check(&layer, &format!("{stem}.shp"));
            assert_eq!(layer.winding, Winding::Left);
        }
        let fixture = Fixture::new("polygons");
        let layer = read(&fixture.files()).unwrap();
        assert!(layer.crs.unwrap().starts_with("PROJCS[\"WGS_1984_UTM_Zone_33N\""));
        // Without gaps, the .shx adds nothing.
        let without = read(&Files { shx: None, ..fixture.files() }).unwrap();
        assert_eq!(without.features, layer.features);
        let bare = Files { name: "x", shp: fixture.files().shp, ..Files::default() };
        let bare = read(&bare).unwrap();
        assert_eq!((bare.crs, bare.features[3].properties.len()), (None, 0));
        assert_eq!(bare.features[3].geometry, layer.features[3].geometry);
    }

    #[test]
    fn only_what_is_asked_for_is_read() {
        let fixture = Fixture::new("deleted-and-gaps");
        let asked = |fid: i64| {
            let query = Query { fids: [fid].into(), ..Query::default() };
            super::read(&fixture.files(), &query, &Limits { vertices: 5, ..Limits::default() })
        };
        assert_eq!(asked(3).unwrap().features[0].properties[0].1, Value::Integer(3));
        // Deleted, and behind the end
        assert_eq!(asked(1).unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(asked(5).unwrap_err().kind(), ErrorKind::Usage);
        let query = Query { layer: Some("y".into()), ..Query::default() };
        let error = super::read(&fixture.files(), &query, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }

    #[test]
    fn errors_say_which_shape_and_why() {
        #[track_caller]
        fn refused(files: &Files<'_>, kind: ErrorKind, words: &str) {
            let error = read(files).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        use ErrorKind::{Format, Limit, Unsupported};
        let fixture = Fixture::new("winding");
        let files = fixture.files();
        refused(&Files { shp: b"PK", ..files }, Format, "9994");
        refused(&Files { shp: &files.shp[..60], ..files }, Format, "within its header");
        refused(
            &Files { shp: &files.shp[..300], ..files },
            Format,
            "shape 1: its record at byte 236 has 212 bytes",
        );
        refused(&Files { shx: Some(&files.shx.unwrap()[..101]), ..files }, Format, ".shx");
        refused(&Files { dbf: Some(&files.dbf.unwrap()[..70]), ..files }, Format, "ends within its record 1");
        let edited = |at: usize, bytes: &[u8]| {
            let mut shp = files.shp.to_vec();
            shp[at..at + bytes.len()].copy_from_slice(bytes);
            shp
        };
        // The first record: its type at 108, parts and positions at 144, the parts' beginnings at 152
        refused(&Files { shp: &edited(108, &[31]), ..files }, Unsupported, "multipatch");
        refused(&Files { shp: &edited(108, &[7]), ..files }, Format, "type 7");
        refused(&Files { shp: &edited(144, &[255, 255, 255, 127]), ..files }, Format, "parts");
        refused(&Files { shp: &edited(148, &[99]), ..files }, Format, "a count of 99 positions");
        refused(&Files { shp: &edited(152, &[1]), ..files }, Format, "does not begin");
        let mut overlap = files.shx.unwrap().to_vec();
        for entry in overlap[100..].chunks_exact_mut(8) {
            entry[..4].copy_from_slice(&[0, 0, 0, 50]);
        }
        refused(
            &Files { shx: Some(&overlap.repeat(1)), dbf: None, shp: &files.shp[..700], ..files },
            Format,
            "overlaps",
        );
        let lines = Fixture::new("lines");
        refused(&Files { dbf: lines.files().dbf, ..files }, Format, "do not belong together");
        let limits = Limits { vertices: 4, ..Limits::default() };
        assert_eq!(super::read(&files, &Query::default(), &limits).unwrap_err().kind(), Limit);
        let limits = Limits { mask_work: 10, ..Limits::default() };
        assert_eq!(super::read(&files, &Query::default(), &limits).unwrap_err().kind(), Limit);
    }

    #[test]
    fn no_truncation_or_mutation_panics() {
        for stem in ["polygons", "winding", "lines-z", "points-z", "multipoints"] {
            let fixture = Fixture::new(stem);
            let files = fixture.files();
            golden::damage(files.shp, |shp| {
                drop(read(&Files { shp, ..files }));
                drop(read(&Files { shp, shx: None, dbf: None, ..files }));
            });
            golden::damage(files.shx.unwrap(), |shx| drop(read(&Files { shx: Some(shx), ..files })));
            golden::damage(files.dbf.unwrap(), |dbf| drop(read(&Files { dbf: Some(dbf), ..files })));
        }
    }
}
