//! Directories that a tag of an image points to and that hold no image: EXIF and GPS (Exif 3.0 §4.6.3). Nothing in them is
//! followed any further, so that no cycle is possible.

use std::ops::Range;

use super::code::{ByteOrder, FieldType};
use super::parse::{Fetched, Stop, integer, short};
use super::value::Value;
use super::write::Fields;
use crate::error::Error;
use crate::limits::Limits;

/// Bytes asked for around the start of a directory, so that one request brings its values, too: most writers put them
/// right behind, some right before.
const AROUND: (u64, u64) = (16 << 10, 48 << 10);

/// Values that are strewn over more bytes than this are not read: they are not worth it.
const SPAN: u64 = 1 << 20;

/// Entries of a directory. Exif defines about 100, and a maker's own few are in its MakerNote.
const ENTRIES: u64 = 1 << 12;

/// Reads the directory at `offset`: the entries that `wanted` names by tag and type, and how many of them are broken.
///
/// # Errors
/// [`Stop::Need`] names bytes to fetch: once for most, at most once more each for entries and values that are far away.
/// [`Stop::Bad`]: [`crate::ErrorKind::Format`] for a directory beyond the end of the file,
/// [`crate::ErrorKind::Limit`] for one that is too large or too strewn.
pub fn directory(
    fetched: &Fetched,
    big: bool,
    offset: u64,
    limits: &Limits,
    wanted: impl Fn(u16, FieldType) -> bool,
) -> Result<(Fields, usize), Stop> {
    let order = fetched.order;
    let (count_width, entry_width) = if big { (8, 20) } else { (2, 12) };
    let start = offset.saturating_add(count_width);
    // What is missing of the directory is asked for with what stands around it.
    let around = |range: Range<u64>| {
        let (before, behind) = AROUND;
        let end = offset.saturating_add(behind).min(fetched.size).max(range.end);
        fetched.get(range, "the directory").map_err(|stop| match stop {
            Stop::Need(_) => Stop::Need(offset.saturating_sub(before)..end),
            bad @ Stop::Bad(_) => bad,
        })
    };
    let count = integer(&around(offset..start)?, order);
    if count > ENTRIES {
        return Err(Error::limit(format!("it has {count} entries; the limit is {ENTRIES}")).into());
    }
    let end = start.saturating_add(count.saturating_mul(entry_width));
    let body = around(start..end)?;
    let (mut fields, mut missing, mut spent, mut broken) = (Fields::new(), None::<Range<u64>>, 0_u64, 0);
    for entry in body.chunks_exact(if big { 20 } else { 12 }) {
        let Some(Entry { tag, kind, count, bytes, here }) = Entry::read(entry, big, order) else { continue };
        if !wanted(tag, kind) || fields.contains_key(&tag) {
            continue;
        }
        let value = if bytes <= here.len() as u64 {
            bytes::Bytes::copy_from_slice(here.get(..usize::try_from(bytes).unwrap_or(0)).unwrap_or(here))
        } else {
            let at = integer(here, order);
            let range = at..at.saturating_add(bytes);
            if range.end > fetched.size {
                broken = usize::saturating_add(broken, 1);
                continue;
            }
            spent = spent.saturating_add(bytes);
            if spent > limits.metadata_bytes {
                let most = limits.metadata_bytes;
                return Err(
                    Error::limit(format!("its values take {spent} bytes; the limit is {most}")).into()
                );
            }
            match fetched.get(range, "a value") {
                Err(Stop::Need(range)) => {
                    let all = missing.get_or_insert(range.clone());
                    *all = all.start.min(range.start)..all.end.max(range.end);
                    continue;
                }
                found => found?,
            }
        };
        fields.insert(tag, Value::from_file(kind, count, value, order));
    }
    match missing {
        None => Ok((fields, broken)),
        Some(range) if range.end.saturating_sub(range.start) <= SPAN => Err(Stop::Need(range)),
        Some(range) => {
            Err(Error::limit(format!("its values are strewn over bytes {}..{}", range.start, range.end))
                .into())
        }
    }
}

/// One entry, its value not looked at.
struct Entry<'a> {
    tag: u16,
    kind: FieldType,
    count: u64,
    /// Bytes of the value.
    bytes: u64,
    /// The value, or its offset.
    here: &'a [u8],
}

impl<'a> Entry<'a> {
    /// `None` for an unknown type, which readers skip (TIFF 6.0 §2).
    fn read(entry: &'a [u8], big: bool, order: ByteOrder) -> Option<Self> {
        let (tag, rest) = entry.split_at_checked(2)?;
        let (kind, rest) = rest.split_at_checked(2)?;
        let (count, here) = rest.split_at_checked(if big { 8 } else { 4 })?;
        let kind = FieldType::from(short(kind, order));
        let count = integer(count, order);
        let bytes = count.saturating_mul(kind.widths()?.0);
        Some(Self { tag: short(tag, order), kind, count, bytes, here })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiff::write;

    fn all(_: u16, _: FieldType) -> bool {
        true
    }

    /// A file of `size` bytes with one directory at `at`, read as `satisfied` does; the requests that it took, and what
    /// came of it.
    fn read(size: usize, at: usize, directory: &[u8]) -> (usize, Result<(Fields, usize), Error>) {
        let mut file = vec![0; size];
        file[..2].copy_from_slice(b"II");
        file[at..][..directory.len()].copy_from_slice(directory);
        let mut fetched = Fetched::new(size as u64);
        fetched.insert(0, bytes::Bytes::copy_from_slice(&file[..65536]));
        for requests in 0.. {
            match super::directory(&fetched, false, at as u64, &Limits::default(), all) {
                Err(Stop::Need(range)) => {
                    let part = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
                    fetched.insert(range.start, bytes::Bytes::copy_from_slice(&file[part]));
                    assert!(requests < 4, "it asks for {range:?} again and again");
                }
                Err(Stop::Bad(error)) => return (requests, Err(error)),
                Ok(found) => return (requests, Ok(found)),
            }
        }
        unreachable!("the loop ends by returning")
    }

    #[test]
    fn one_request_brings_it_wherever_it_stands() {
        let fields = Fields::from([
            (36867, Value::ascii("2026:11:22 12:00:00")),
            (33434, Value { kind: FieldType::Rational, count: 1, ..Value::longs(&[1, 250]) }),
            (41985, Value::shorts(&[1])),
        ]);
        for (at, expected) in [(8, 0), (60_000, 0), (65_530, 1), (300_000, 1), (499_000, 1)] {
            let directory = write::directory(&fields, false, at as u64, 0);
            let (requests, found) = read(500_000, at, &directory);
            assert_eq!((requests, found.unwrap()), (expected, (fields.clone(), 0)), "at {at}");
        }
    }

    #[test]
    fn broken_ones_are_refused_and_ask_for_little() {
        let entry = |tag: u16, count: u32, at: u32| {
            let mut entry = tag.to_le_bytes().to_vec();
            entry.extend(FieldType::Undefined.code().to_le_bytes());
            entry.extend(count.to_le_bytes());
            entry.extend(at.to_le_bytes());
            entry
        };
        let directory = |entries: &[Vec<u8>]| {
            let mut out = u16::try_from(entries.len()).unwrap().to_le_bytes().to_vec();
            out.extend(entries.concat());
            out.extend([0; 4]);
            out
        };
        let size = 3_000_000;
        // A value beyond the end is left out, the others stay.
        let (_, found) = read(size, 100, &directory(&[entry(40000, 9, 2_999_999), entry(40001, 4, 7)]));
        let (fields, broken) = found.unwrap();
        assert_eq!((fields.len(), broken), (1, 1));
        // Values at both ends of the file.
        let (requests, found) = read(size, 100, &directory(&[entry(1, 9, 100_000), entry(2, 9, 2_900_000)]));
        assert_eq!((requests, found.unwrap_err().kind()), (0, crate::ErrorKind::Limit));
        // Far away, but together.
        let (requests, found) =
            read(size, 100, &directory(&[entry(1, 9, 2_800_000), entry(2, 9, 2_900_000)]));
        assert_eq!((requests, found.unwrap().0.len()), (1, 2));
        // Sixty thousand entries, and a directory at the very end.
        assert_eq!(read(size, 100, &[0xff, 0xff]).1.unwrap_err().kind(), crate::ErrorKind::Limit);
        assert_eq!(read(size, size - 2, &[9, 0]).1.unwrap_err().kind(), crate::ErrorKind::Format);
    }
}
