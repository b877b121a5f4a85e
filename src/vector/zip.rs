//! Zip archives (APPNOTE.TXT 6.3.10), as far as shapefiles come in them: stored and deflated entries, zip64.

use std::io::Read as _;
use std::ops::Range;

use super::{Layer, Query, shapefile};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Of the end of the central directory (§4.3.16), without its comment.
const END: usize = 22;
/// A comment's longest.
const COMMENT: usize = 65_535;

/// An entry, as the central directory tells of it.
#[derive(Clone, Debug)]
struct Entry {
    path: String,
    method: u16,
    is_encrypted: bool,
    crc: u32,
    packed: u64,
    size: u64,
    /// Where its local header begins.
    at: u64,
}

/// The features of a shapefile in a zip archive: of the only one, or of the one whose name without folder and ending the
/// query gives as the layer.
///
/// # Errors
/// - [`crate::ErrorKind::Format`] for bytes that are no archive, or whose checksum is wrong;
/// - [`crate::ErrorKind::Unsupported`] for an archive without a shapefile, and for entries that are encrypted, or
///   compressed otherwise than by Deflate;
/// - [`crate::ErrorKind::Usage`] when the archive has several shapefiles or none of the name, listing them;
/// - [`crate::ErrorKind::Limit`] when the files inflate to more than [`Limits::cutline_bytes`];
/// - those of [`shapefile::read`].
pub fn read(bytes: &[u8], query: &Query, limits: &Limits) -> Result<Layer> {
    let archive = Archive { bytes, entries: entries(bytes).map_err(at_archive)? };
    let chosen = archive.chosen(query)?;
    let mut left = limits.cutline_bytes;
    let mut part = |ending: &str| match archive.sibling(chosen, ending) {
        Some(entry) => archive
            .content(entry, &mut left, limits)
            .map(Some)
            .map_err(|error| error.at(format_args!("`{}` in the zip archive", entry.path))),
        None => Ok(None),
    };
    let shp = part("shp")?.unwrap_or_default();
    let (shx, dbf, prj, cpg) = (part("shx")?, part("dbf")?, part("prj")?, part("cpg")?);
    let files = shapefile::Files {
        name: stem(&chosen.path),
        shp: &shp,
        shx: shx.as_deref(),
        dbf: dbf.as_deref(),
        prj: prj.as_deref(),
        cpg: cpg.as_deref(),
    };
    shapefile::read(&files, query, limits)
}

fn at_archive(error: Error) -> Error {
    error.at("the zip archive")
}

/// The path without its ending, and the ending.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').filter(|(_, ending)| !ending.contains('/')).unwrap_or((path, ""))
}

/// The name of a file without folder and ending.
fn stem(path: &str) -> &str {
    let stem = split(path).0;
    stem.rsplit_once('/').map_or(stem, |(_, name)| name)
}

struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
}

impl Archive<'_> {
    /// The `.shp` that is meant.
    fn chosen(&self, query: &Query) -> Result<&Entry> {
        let is_shp = |entry: &&Entry| {
            // What macOS adds to archives: one small file of its own for each.
            split(&entry.path).1.eq_ignore_ascii_case("shp") && !entry.path.starts_with("__MACOSX/")
        };
        let all: Vec<&Entry> = self.entries.iter().filter(is_shp).collect();
        let names = || all.iter().take(40).map(|entry| stem(&entry.path)).collect::<Vec<_>>().join(", ");
        if all.is_empty() {
            return Err(Error::unsupported(format!(
                "the zip archive of {} files has no shapefile (.shp) in it, which is all that cogclip reads in one",
                self.entries.len()
            )));
        }
        let wanted = |entry: &&&Entry| query.layer.as_deref().is_none_or(|layer| layer == stem(&entry.path));
        let mut wanted = all.iter().filter(wanted);
        match (wanted.next(), wanted.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Error::usage(format!(
                "--layer {}: the zip archive has no shapefile of that name; it has {}",
                query.layer.as_deref().unwrap_or_default(),
                names()
            ))),
            (Some(_), Some(_)) if query.layer.is_some() => Err(Error::usage(
                "the zip archive has several shapefiles of that name, in different folders; unpack it first",
            )),
            (Some(_), Some(_)) => Err(Error::usage(format!(
                "the zip archive has several shapefiles; choose one with --layer: {}",
                names()
            ))),
        }
    }

    /// The file beside `entry` of this ending, in any case.
    fn sibling(&self, entry: &Entry, ending: &str) -> Option<&Entry> {
        let wanted = split(&entry.path).0;
        let of_stem = |is_same: fn(&str, &str) -> bool| {
            self.entries.iter().find(|other| {
                let (stem, own) = split(&other.path);
                own.eq_ignore_ascii_case(ending) && is_same(stem, wanted)
            })
        };
        of_stem(|a, b| a == b).or_else(|| of_stem(str::eq_ignore_ascii_case))
    }

    /// An entry's bytes, unpacked.
    fn content(&self, entry: &Entry, left: &mut u64, limits: &Limits) -> Result<Vec<u8>> {
        if entry.is_encrypted {
            return Err(Error::unsupported("it is encrypted; unpack the archive first"));
        }
        // The directory may lie about the size: what comes out is counted.
        let too_much = || {
            Error::limit(format!(
                "the files of the shapefile take more than {} bytes when unpacked, which is the limit",
                limits.cutline_bytes
            ))
        };
        if entry.size > *left {
            return Err(too_much());
        }
        // The local header (§4.3.7) has a name and an extra field of its own lengths.
        let [n0, n1, e0, e1] = *field::<4>(self.bytes, entry.at, 26)?;
        let lengths =
            u64::from(u16::from_le_bytes([n0, n1])).saturating_add(u16::from_le_bytes([e0, e1]).into());
        if *field::<4>(self.bytes, entry.at, 0)? != *b"PK\x03\x04" {
            return Err(Error::format(format!("no local header at byte {}", entry.at)));
        }
        let start = entry.at.saturating_add(30).saturating_add(lengths);
        let packed = slice(self.bytes, start..start.saturating_add(entry.packed))
            .ok_or_else(|| Error::format("it reaches beyond the archive's end; the archive is cut short"))?;
        let mut content = Vec::new();
        let unpacked = match entry.method {
            0 => {
                content.extend_from_slice(packed);
                Ok(packed.len())
            }
            8 => flate2::read::DeflateDecoder::new(packed)
                .take(left.saturating_add(1))
                .read_to_end(&mut content),
            method => {
                return Err(Error::unsupported(format!(
                    "it is compressed by the method {method}; cogclip reads stored (0) and deflated (8) files: unpack the \
                     archive first"
                )));
            }
        };
        unpacked.map_err(|cause| Error::format("its compressed bytes are damaged").caused_by(cause))?;
        *left = left.checked_sub(content.len() as u64).ok_or_else(too_much)?;
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        if content.len() as u64 != entry.size || crc.sum() != entry.crc {
            return Err(Error::format(format!(
                "it unpacks to {} bytes with the CRC-32 {:08x}, not to {} with {:08x}: the archive is damaged",
                content.len(),
                crc.sum(),
                entry.size,
                entry.crc
            )));
        }
        Ok(content)
    }
}

/// Bytes of a range of the archive.
fn slice(bytes: &[u8], range: Range<u64>) -> Option<&[u8]> {
    bytes.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

/// `N` bytes, so many bytes behind a record's beginning.
fn field<const N: usize>(bytes: &[u8], record: u64, offset: u64) -> Result<&[u8; N]> {
    let start = record.saturating_add(offset);
    slice(bytes, start..start.saturating_add(N as u64)).and_then(<[u8]>::first_chunk).ok_or_else(|| {
        Error::format(format!(
            "it ends within the record at byte {record}; it is cut short, or no zip archive"
        ))
    })
}

fn u16_at(bytes: &[u8], record: u64, offset: u64) -> Result<u16> {
    field(bytes, record, offset).map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], record: u64, offset: u64) -> Result<u32> {
    field(bytes, record, offset).map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], record: u64, offset: u64) -> Result<u64> {
    field(bytes, record, offset).map(|bytes| u64::from_le_bytes(*bytes))
}

/// The central directory's entries (§4.3.12).
fn entries(bytes: &[u8]) -> Result<Vec<Entry>> {
    let last = bytes.len().saturating_sub(END);
    let tail = bytes.get(last.saturating_sub(COMMENT)..).unwrap_or(bytes);
    let end = tail
        .windows(4)
        .rposition(|window| window == b"PK\x05\x06")
        .map(|place| bytes.len().saturating_sub(tail.len()).saturating_add(place) as u64)
        .ok_or_else(|| {
            Error::format("it has no end of a central directory; it is cut short, or no zip archive")
        })?;
    let mut count = u64::from(u16_at(bytes, end, 10)?);
    let mut at = u64::from(u32_at(bytes, end, 16)?);
    if count == u64::from(u16::MAX) || at == u64::from(u32::MAX) {
        // The locator in front of the end (§4.3.15) says where the end in zip64 is (§4.3.14).
        if let Some(locator) = end.checked_sub(20)
            && *field::<4>(bytes, locator, 0)? == *b"PK\x06\x07"
        {
            let end = u64_at(bytes, locator, 8)?;
            if *field::<4>(bytes, end, 0)? != *b"PK\x06\x06" {
                return Err(Error::format(format!("no end of a central directory in zip64 at byte {end}")));
            }
            count = u64_at(bytes, end, 32)?;
            at = u64_at(bytes, end, 48)?;
        }
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        if *field::<4>(bytes, at, 0)? != *b"PK\x01\x02" {
            return Err(Error::format(format!(
                "no entry of the central directory at byte {at}, though {count} are promised"
            )));
        }
        let flags = u16_at(bytes, at, 8)?;
        let lengths = [u16_at(bytes, at, 28)?, u16_at(bytes, at, 30)?, u16_at(bytes, at, 32)?].map(u64::from);
        let [name, extra, comment] = lengths;
        let start = at.saturating_add(46);
        let after = start.saturating_add(name);
        let path = slice(bytes, start..after).ok_or_else(|| Error::format("it ends within a file's name"))?;
        // Without the flag of UTF-8 (bit 11) it is in the code page of whoever made it; only the ending counts then.
        let path = String::from_utf8_lossy(path).replace('\\', "/");
        let mut entry = Entry {
            path,
            method: u16_at(bytes, at, 10)?,
            is_encrypted: flags & 1 != 0,
            crc: u32_at(bytes, at, 16)?,
            packed: u32_at(bytes, at, 20)?.into(),
            size: u32_at(bytes, at, 24)?.into(),
            at: u32_at(bytes, at, 42)?.into(),
        };
        let end = after.saturating_add(extra);
        let extra = slice(bytes, after..end).ok_or_else(|| Error::format("it ends within an extra field"))?;
        entry.widen(extra)?;
        entries.push(entry);
        at = end.saturating_add(comment);
    }
    Ok(entries)
}

impl Entry {
    /// Takes what did not fit 32 bits from the extra field of zip64 (§4.5.3).
    fn widen(&mut self, mut extra: &[u8]) -> Result<()> {
        while let Some(([k0, k1, l0, l1], rest)) = extra.split_first_chunk() {
            let length = usize::from(u16::from_le_bytes([*l0, *l1]));
            let Some((mut body, rest)) = rest.split_at_checked(length) else { return Ok(()) };
            if [*k0, *k1] == [1, 0] {
                for value in [&mut self.size, &mut self.packed, &mut self.at] {
                    if *value == u64::from(u32::MAX) {
                        let (wide, rest) = body.split_first_chunk().ok_or_else(|| {
                            Error::format(format!("`{}`: its field of zip64 is too short", self.path))
                        })?;
                        *value = u64::from_le_bytes(*wide);
                        body = rest;
                    }
                }
            }
            extra = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::vector::golden;

    fn read(bytes: &[u8]) -> Result<Layer> {
        super::read(bytes, &Query::default(), &Limits::default())
    }

    fn layer(name: &str) -> Query {
        Query { layer: Some(name.into()), ..Query::default() }
    }

    #[track_caller]
    fn refused(result: Result<Layer>, kind: ErrorKind, words: &str) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn a_shapefile_in_an_archive_is_read() {
        // Written by Python's zipfile: deflated, in a folder; stored, two of them, endings in capitals; in zip64
        for archive in ["polygons.zip", "zip64.zip"] {
            let found = read(&golden::fixture(archive)).unwrap();
            golden::check(&found, "polygons.shp");
            assert_eq!(found.name, "Größe");
            assert!(found.crs.is_some());
            let named = super::read(&golden::fixture(archive), &layer("Größe"), &Limits::default()).unwrap();
            assert_eq!(named, found);
        }
        let two = golden::fixture("two.zip");
        for stem in ["lines", "winding"] {
            let found = super::read(&two, &layer(stem), &Limits::default()).unwrap();
            golden::check(&found, &format!("{stem}.shp"));
        }
        refused(read(&two), ErrorKind::Usage, "--layer: lines, winding");
        refused(
            super::read(&two, &layer("x"), &Limits::default()),
            ErrorKind::Usage,
            "it has lines, winding",
        );
    }

    #[test]
    fn what_is_no_such_archive_says_so() {
        let good = golden::fixture("polygons.zip");
        refused(read(b"PK\x03\x04"), ErrorKind::Format, "cut short");
        refused(read(&good[..good.len() - 30]), ErrorKind::Format, "cut short");
        let small = Limits { cutline_bytes: 1500, ..Limits::default() };
        refused(super::read(&good, &Query::default(), &small), ErrorKind::Limit, "1500 bytes");
        // An archive with nothing in it (§4.3.16)
        let mut empty = b"PK\x05\x06".to_vec();
        empty.resize(END, 0);
        refused(read(&empty), ErrorKind::Unsupported, "0 files");
        let edit = |mark: &[u8], offset: usize, value: u8| {
            let mut bytes = good.clone();
            // All entries, so that it does not matter which is looked at.
            let places: Vec<usize> =
                (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(mark)).collect();
            for place in places {
                bytes[place + offset] = value;
            }
            bytes
        };
        refused(read(&edit(b"PK\x01\x02", 8, 1)), ErrorKind::Unsupported, "encrypted");
        refused(read(&edit(b"PK\x01\x02", 10, 12)), ErrorKind::Unsupported, "method 12");
        refused(read(&edit(b"PK\x01\x02", 17, 12)), ErrorKind::Format, "CRC-32");
        refused(read(&edit(b"PK\x01\x02", 24, 1)), ErrorKind::Format, "damaged");
        // A size of 4 GB is not believed.
        refused(read(&edit(b"PK\x01\x02", 27, 0xfe)), ErrorKind::Limit, "limit");
    }

    #[test]
    fn no_truncation_or_mutation_panics() {
        for archive in ["polygons.zip", "zip64.zip"] {
            golden::damage(&golden::fixture(archive), |bytes| drop(read(bytes)));
        }
    }
}
