//! Reading the container: a plain function over what has been fetched, which names the bytes that it lacks
//! and is simply called again when they have come.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::code::{ByteOrder, FieldType, tag};
use super::ifd::{Field, Ifd, Table};
use super::value::{Value, little_endian};
use crate::error::{Error, Result};
use crate::limits::{Limits, within};

/// Why parsing stopped.
#[derive(Debug)]
pub enum Stop {
    /// These bytes of the file are needed; call again when they have been added to [`Fetched`].
    Need(Range<u64>),
    /// The file cannot be read.
    Bad(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

/// The parts of a file that have been fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Length of the whole file in bytes.
    pub size: u64,
    /// The file's byte order; little-endian until its first bytes have been parsed.
    pub order: ByteOrder,
    parts: BTreeMap<u64, Bytes>,
    /// Entries of directories that have been looked at, every time that parsing started over counted.
    work: Arc<AtomicU64>,
}

impl Fetched {
    /// Nothing yet of a file of `size` bytes.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, order: ByteOrder::Little, parts: BTreeMap::new(), work: Arc::default() }
    }

    /// Adds the bytes that start at `offset`.
    pub fn insert(&mut self, offset: u64, bytes: Bytes) {
        if self.parts.get(&offset).is_none_or(|old| old.len() < bytes.len()) {
            self.parts.insert(offset, bytes);
        }
        if let Some(head) = self.parts.get(&0) {
            self.order = if head.starts_with(b"MM") { ByteOrder::Big } else { ByteOrder::Little };
        }
    }

    /// The bytes of a range; `what` names the thing in messages.
    ///
    /// # Errors
    /// [`Stop::Need`] when they have not been fetched; [`Stop::Bad`] when they lie beyond the end of the file.
    pub fn get(&self, range: Range<u64>, what: &str) -> Result<Bytes, Stop> {
        if range.end > self.size || range.start > range.end {
            return Err(Stop::Bad(Error::format(format!(
                "{what} lies at bytes {}..{}, beyond the end of the file ({} bytes); the file is truncated or \
                 damaged",
                range.start, range.end, self.size
            ))));
        }
        // Parts may overlap and a later one may be the longer, so look back over every candidate.
        for (&start, bytes) in self.parts.range(..=range.start).rev() {
            let from = usize::try_from(range.start.saturating_sub(start));
            let to = usize::try_from(range.end.saturating_sub(start));
            if let (Ok(from), Ok(to)) = (from, to)
                && to <= bytes.len()
            {
                return Ok(bytes.slice(from..to));
            }
        }
        Err(Stop::Need(range))
    }
}

/// The directories of a TIFF file.
#[derive(Clone, Debug)]
pub struct Container {
    /// Byte order of the file.
    pub order: ByteOrder,
    /// Whether offsets have 64 bits (BigTIFF).
    pub big: bool,
    /// The chain of directories, in its order.
    pub chain: Vec<Ifd>,
    /// The directories that SubIFDs of the chain's name, with the number of their parent in `chain`.
    pub sub: Vec<(usize, Ifd)>,
}

/// Parses the header and all directories.
///
/// # Errors
/// [`Stop::Need`] names bytes to fetch. [`Stop::Bad`]: [`crate::ErrorKind::Format`] for a file that is no
/// TIFF, truncated, cyclic or contradictory; [`crate::ErrorKind::Limit`] for more directories, entries or
/// values than `limits` allow.
pub fn parse(fetched: &Fetched, limits: &Limits) -> Result<Container, Stop> {
    if fetched.size < 8 {
        return Err(Error::format(format!("this is no TIFF: it has {} bytes", fetched.size)).into());
    }
    let head = fetched.get(0..8, "the TIFF header")?;
    let order = match head.get(..2) {
        Some(b"II") => ByteOrder::Little,
        Some(b"MM") => ByteOrder::Big,
        _ => {
            let found: String = head.iter().take(4).map(|byte| byte.escape_ascii().to_string()).collect();
            return Err(Error::format(format!("this is no TIFF: it starts with \"{found}\"")).into());
        }
    };
    let mut reader =
        Reader { fetched, order, limits, seen: BTreeSet::new(), big: false, spent: 0, entries: 0 };
    let first = match reader.number(2..4)? {
        42 => reader.number(4..8)?,
        43 => {
            reader.big = true;
            if (reader.number(4..6)?, reader.number(6..8)?) != (8, 0) {
                return Err(Error::format("the BigTIFF header names an offset size that is not 8").into());
            }
            reader.number(8..16)?
        }
        version => {
            return Err(
                Error::format(format!("this is no TIFF: its version is {version}, not 42 or 43")).into()
            );
        }
    };
    if first == 0 {
        return Err(Error::format("the TIFF holds no image: the first directory's offset is 0").into());
    }
    let (mut chain, mut next) = (Vec::new(), first);
    while next != 0 {
        let (ifd, following) = reader.directory(next)?;
        chain.push(ifd);
        next = following;
    }
    let mut sub = Vec::new();
    for (parent, ifd) in chain.iter().enumerate() {
        for offset in ifd.integers(tag::SUB_IFDS)?.unwrap_or_default() {
            // A SubIFD's own "next" is followed by no reader that we know of; neither do we.
            sub.push((parent, reader.directory(offset)?.0));
        }
    }
    Ok(Container { order, big: reader.big, chain, sub })
}

struct Reader<'a> {
    fetched: &'a Fetched,
    order: ByteOrder,
    limits: &'a Limits,
    /// Offsets of directories read so far: the guard against cycles.
    seen: BTreeSet<u64>,
    big: bool,
    /// Bytes of values read so far.
    spent: u64,
    /// Entries of directories read so far.
    entries: u64,
}

impl Reader<'_> {
    fn number(&self, range: Range<u64>) -> Result<u64, Stop> {
        Ok(integer(&self.fetched.get(range, "the TIFF header")?, self.order))
    }

    fn directory(&mut self, offset: u64) -> Result<(Ifd, u64), Stop> {
        let number = self.seen.len();
        let place = || format!("IFD {number} at byte {offset}");
        if !self.seen.insert(offset) {
            return Err(Error::format(format!(
                "the directories form a cycle: byte {offset} is the start of two of them"
            ))
            .into());
        }
        if self.seen.len() > self.limits.ifds {
            return Err(
                Error::limit(format!("the file has more than {} directories", self.limits.ifds)).into()
            );
        }
        let (count_width, entry_width, offset_width) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let start = offset.saturating_add(count_width);
        let count = integer(&self.fetched.get(offset..start, &place())?, self.order);
        self.entries = self.entries.saturating_add(count);
        if self.entries > self.limits.ifd_entries {
            let (found, most) = (self.entries, self.limits.ifd_entries);
            return Err(Error::limit(format!(
                "the directories up to here have {found} entries; the limit is {most}"
            ))
            .at(place())
            .into());
        }
        let work = self.fetched.work.fetch_add(count, Ordering::Relaxed).saturating_add(count);
        if work > self.limits.header_work {
            return Err(Error::limit(format!(
                "the directories are strewn over the file: read anew after every request, their entries are {work} up \
                 to here; the limit is {}",
                self.limits.header_work
            ))
            .at(place())
            .into());
        }
        let end = start.saturating_add(count.saturating_mul(entry_width));
        let body = self.fetched.get(start..end.saturating_add(offset_width), &place())?;
        let mut ifd = Ifd { number, offset, fields: BTreeMap::new() };
        let (entries, next) = body.split_at(body.len().saturating_sub(if self.big { 8 } else { 4 }));
        for entry in entries.chunks_exact(if self.big { 20 } else { 12 }) {
            self.entry(entry, &mut ifd)?;
        }
        Ok((ifd, integer(next, self.order)))
    }

    fn entry(&mut self, entry: &[u8], ifd: &mut Ifd) -> Result<(), Stop> {
        let (Some((tag, rest)), order) = (entry.split_at_checked(2), self.order) else { return Ok(()) };
        let Some((kind, rest)) = rest.split_at_checked(2) else { return Ok(()) };
        let Some((count, here)) = rest.split_at_checked(if self.big { 8 } else { 4 }) else { return Ok(()) };
        let (tag, count) = (short(tag, order), integer(count, order));
        let kind = FieldType::from(short(kind, order));
        // TIFF 6.0 §2: readers should skip over fields with an unexpected type.
        let Some((width, _)) = kind.widths() else { return Ok(()) };
        if ifd.fields.contains_key(&tag) {
            return Ok(());
        }
        let bytes = count.saturating_mul(width);
        let field = if bytes <= here.len() as u64 {
            let here =
                Bytes::copy_from_slice(here.get(..usize::try_from(bytes).unwrap_or(0)).unwrap_or(here));
            Field::Value(Value::from_file(kind, count, here, order))
        } else {
            let offset = integer(here, order);
            let what = || tag::name(tag).map_or_else(|| format!("tag {tag}"), str::to_owned);
            let lazy = matches!(
                tag,
                tag::TILE_OFFSETS | tag::TILE_BYTE_COUNTS | tag::STRIP_OFFSETS | tag::STRIP_BYTE_COUNTS
            );
            if let (true, Some(table)) = (lazy, Table::new(kind, count, offset)) {
                within(bytes, self.limits.table_bytes, &what()).map_err(|e| e.at(ifd.place()))?;
                if offset.saturating_add(bytes) > self.fetched.size {
                    let size = self.fetched.size;
                    let what = format!(
                        "has {count} entries at byte {offset}, beyond the end of the file ({size} bytes)"
                    );
                    return Err(ifd.bad(tag, what).into());
                }
                Field::Table(table)
            } else {
                self.spent = self.spent.saturating_add(bytes);
                within(self.spent, self.limits.metadata_bytes, "the file's metadata")
                    .map_err(|e| e.at(what()).at(ifd.place()))?;
                let value = self.fetched.get(offset..offset.saturating_add(bytes), &what()).map_err(
                    |stop| match stop {
                        Stop::Bad(error) => Stop::Bad(error.at(ifd.place())),
                        need @ Stop::Need(_) => need,
                    },
                )?;
                Field::Value(Value::from_file(kind, count, value, order))
            }
        };
        ifd.fields.insert(tag, field);
        Ok(())
    }
}

pub(super) fn integer(bytes: &[u8], order: ByteOrder) -> u64 {
    match order {
        ByteOrder::Little => little_endian(bytes),
        ByteOrder::Big => bytes.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte)),
    }
}

/// Two bytes.
pub(super) fn short(bytes: &[u8], order: ByteOrder) -> u16 {
    u16::try_from(integer(bytes, order)).unwrap_or(u16::MAX)
}
