//! Pages of Apache Parquet files: decompression, levels and encodings (Encodings.md, Compression.md).

use std::io::Read;

use super::parquet::{Chunk, Leaf, Physical};
use super::thrift::{Kind, Thrift, varint, zigzag};
use crate::error::{Error, Result};

/// The row of a column that has no value.
const NOTHING: u32 = u32::MAX;

/// What decoding may still cost, in bytes.
#[derive(Debug)]
pub(super) struct Budget {
    /// Held at a time: of the row group that is being decoded.
    pub(super) held: u64,
    /// Gone through in all.
    pub(super) total: u64,
}

impl Budget {
    /// Charges bytes that are gone through and not kept.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Limit`] when it does not last.
    pub(super) fn pass(&mut self, bytes: usize) -> Result<()> {
        let held = self.held;
        self.charge(bytes)?;
        self.held = held;
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        let bytes = bytes as u64;
        match (self.held.checked_sub(bytes), self.total.checked_sub(bytes)) {
            (Some(held), Some(total)) => {
                (self.held, self.total) = (held, total);
                Ok(())
            }
            _ => Err(Error::limit(
                "decoding it would take more memory or time than the limit for a cutline allows; \
                 write the features that are needed into a file of their own",
            )),
        }
    }
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'c> {
    Integer(i64),
    Real(f64),
    Bytes(&'c [u8]),
}

/// Different values of a column, as they come.
#[derive(Debug)]
enum Entries {
    Integers(Vec<i64>),
    Reals(Vec<f64>),
    /// All bytes, and where each value ends.
    Bytes(Vec<u8>, Vec<usize>),
}

/// The values of a column in a row group.
#[derive(Debug)]
pub(super) struct Column {
    entries: Entries,
    /// The entry of each row.
    rows: Vec<u32>,
}

impl Column {
    /// The value of a row; `None` where there is none.
    pub(super) fn cell(&self, row: usize) -> Option<Cell<'_>> {
        let index = *self.rows.get(row).filter(|index| **index != NOTHING)? as usize;
        match &self.entries {
            Entries::Integers(values) => values.get(index).copied().map(Cell::Integer),
            Entries::Reals(values) => values.get(index).copied().map(Cell::Real),
            Entries::Bytes(bytes, ends) => {
                let start = index.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
                bytes.get(start..*ends.get(index)?).map(Cell::Bytes)
            }
        }
    }
}

impl Entries {
    fn new(physical: Physical) -> Self {
        match physical {
            Physical::Boolean | Physical::Int32 | Physical::Int64 => Self::Integers(Vec::new()),
            Physical::Float | Physical::Double => Self::Reals(Vec::new()),
            Physical::Int96 | Physical::Bytes | Physical::Fixed(_) => Self::Bytes(Vec::new(), Vec::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Reals(values) => values.len(),
            Self::Bytes(_, ends) => ends.len(),
        }
    }

    fn push_bytes(&mut self, more: &[u8]) -> Option<()> {
        let Self::Bytes(bytes, ends) = self else { return None };
        bytes.extend_from_slice(more);
        ends.push(bytes.len());
        Some(())
    }

    /// Takes a number in as PLAIN encodes it.
    fn push_number(&mut self, physical: Physical, bytes: &[u8]) -> Option<()> {
        match (self, physical) {
            (Self::Integers(values), Physical::Int32) => {
                values.push(i32::from_le_bytes(*bytes.first_chunk()?).into());
            }
            (Self::Integers(values), Physical::Int64) => {
                values.push(i64::from_le_bytes(*bytes.first_chunk()?));
            }
            (Self::Reals(values), Physical::Float) => {
                values.push(f32::from_le_bytes(*bytes.first_chunk()?).into());
            }
            (Self::Reals(values), Physical::Double) => values.push(f64::from_le_bytes(*bytes.first_chunk()?)),
            _ => return None,
        }
        Some(())
    }
}

/// Bytes of a value of fixed size.
fn width(physical: Physical) -> Option<usize> {
    match physical {
        Physical::Int32 | Physical::Float => Some(4),
        Physical::Int64 | Physical::Double => Some(8),
        Physical::Int96 => Some(12),
        Physical::Fixed(width) => Some(width),
        Physical::Boolean | Physical::Bytes => None,
    }
}

/// A number as statistics hold it, which is as PLAIN encodes it.
pub(super) fn number(physical: Physical, bytes: &[u8]) -> Option<f64> {
    let mut entries = Entries::new(physical);
    entries.push_number(physical, bytes)?;
    if let Entries::Reals(values) = entries { values.first().copied() } else { None }
}

/// The kinds of page that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageKind {
    Dictionary,
    Data1,
    Data2,
    Other,
}

#[derive(Debug)]
struct PageHeader {
    kind: PageKind,
    uncompressed: usize,
    compressed: usize,
    values: usize,
    encoding: i64,
    level_encoding: i64,
    /// Bytes of repetition and definition levels, which are not compressed, of the second version.
    levels: [usize; 2],
    is_compressed: bool,
}

fn page_header(thrift: &mut Thrift<'_>) -> Option<PageHeader> {
    let mut header = PageHeader {
        kind: PageKind::Other,
        uncompressed: 0,
        compressed: 0,
        values: 0,
        encoding: -1,
        level_encoding: 3,
        levels: [0; 2],
        is_compressed: true,
    };
    let size = |thrift: &mut Thrift<'_>, kind| usize::try_from(thrift.integer(kind)?).ok();
    let mut code = -1;
    thrift.fields(|thrift, id, kind| {
        match (id, kind) {
            (1, _) => code = thrift.integer(kind)?,
            (2, _) => header.uncompressed = size(thrift, kind)?,
            (3, _) => header.compressed = size(thrift, kind)?,
            (5 | 7 | 8, Kind::Struct) => thrift.fields(|thrift, field, kind| {
                match (id, field, kind) {
                    (_, 1, _) => header.values = size(thrift, kind)?,
                    (5 | 7, 2, _) | (8, 4, _) => header.encoding = thrift.integer(kind)?,
                    (5, 3, _) => header.level_encoding = thrift.integer(kind)?,
                    (8, 5, _) => header.levels[1] = size(thrift, kind)?,
                    (8, 6, _) => header.levels[0] = size(thrift, kind)?,
                    (8, 7, Kind::Bool(is_compressed)) => header.is_compressed = is_compressed,
                    _ => return Some(false),
                }
                Some(true)
            })?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    header.kind = match code {
        0 => PageKind::Data1,
        2 => PageKind::Dictionary,
        3 => PageKind::Data2,
        _ => PageKind::Other,
    };
    Some(header)
}

fn damaged(what: &str) -> Error {
    Error::format(format!("its pages are damaged: {what}"))
}

/// Decodes a column of a row group of `rows` rows.
///
/// # Errors
/// - [`crate::ErrorKind::Format`] for damaged pages;
/// - [`crate::ErrorKind::Unsupported`] for a compression or an encoding that is not read;
/// - [`crate::ErrorKind::Limit`] when `budget` does not last.
pub(super) fn column(
    file: &[u8],
    leaf: &Leaf,
    chunk: &Chunk,
    rows: usize,
    budget: &mut Budget,
) -> Result<Column> {
    let pages = usize::try_from(chunk.start)
        .ok()
        .zip(usize::try_from(chunk.size).ok())
        .and_then(|(start, size)| file.get(start..start.checked_add(size)?));
    let mut rest = pages.ok_or_else(|| damaged("they do not lie within the file"))?;
    let mut column = Column { entries: Entries::new(leaf.physical), rows: Vec::new() };
    let mut dictionary = None;
    while column.rows.len() < rows {
        if rest.is_empty() {
            return Err(damaged("they end before the rows do"));
        }
        let mut thrift = Thrift::new(rest);
        let header = page_header(&mut thrift).ok_or_else(|| damaged("a header cannot be understood"))?;
        let (body, behind) = thrift
            .rest()
            .split_at_checked(header.compressed)
            .ok_or_else(|| damaged("a page is longer than what is left of them"))?;
        budget.charge(rest.len().saturating_sub(behind.len()))?;
        rest = behind;
        match header.kind {
            PageKind::Dictionary => {
                if dictionary.is_some() || !column.rows.is_empty() {
                    return Err(damaged("a dictionary stands where none may be"));
                }
                let body = decompress(chunk.codec, body, header.uncompressed, budget)?;
                if !matches!(header.encoding, 0 | 2) {
                    return Err(encoding(header.encoding));
                }
                let mut body = body.as_slice();
                values(&mut column.entries, leaf.physical, 0, header.values, &mut body, budget)?;
                dictionary = Some(column.entries.len());
            }
            PageKind::Data1 | PageKind::Data2 => {
                if header.values > rows.saturating_sub(column.rows.len()) {
                    return Err(damaged("they have more values than there are rows"));
                }
                budget.charge(header.values.saturating_mul(size_of::<u32>()))?;
                data_page(&header, body, leaf, chunk.codec, dictionary, &mut column, budget)?;
            }
            PageKind::Other => {}
        }
    }
    Ok(column)
}

fn data_page(
    header: &PageHeader,
    body: &[u8],
    leaf: &Leaf,
    codec: i64,
    dictionary: Option<usize>,
    column: &mut Column,
    budget: &mut Budget,
) -> Result<()> {
    let bits = u32::BITS.saturating_sub(leaf.max_definition.leading_zeros());
    let short = || damaged("the definition levels are cut short");
    let body_of_values;
    let mut present = Vec::new();
    let mut rest = if header.kind == PageKind::Data2 {
        let [repetition, definition] = header.levels;
        let (_, levels) = body.split_at_checked(repetition).ok_or_else(short)?;
        let (mut levels, body) = levels.split_at_checked(definition).ok_or_else(short)?;
        let before = repetition.saturating_add(definition);
        let size = header.uncompressed.checked_sub(before).ok_or_else(short)?;
        body_of_values = decompress(if header.is_compressed { codec } else { 0 }, body, size, budget)?;
        if leaf.max_definition > 0 {
            runs(&mut levels, bits, header.values, |level| present.push(level == leaf.max_definition))
                .ok_or_else(short)?;
        }
        body_of_values.as_slice()
    } else {
        body_of_values = decompress(codec, body, header.uncompressed, budget)?;
        let mut rest = body_of_values.as_slice();
        if leaf.max_definition > 0 {
            if header.level_encoding != 3 {
                return Err(encoding(header.level_encoding));
            }
            let (mut levels, behind) = prefixed(rest).ok_or_else(short)?;
            runs(&mut levels, bits, header.values, |level| present.push(level == leaf.max_definition))
                .ok_or_else(short)?;
            rest = behind;
        }
        rest
    };
    if leaf.max_definition == 0 {
        present.resize(header.values, true);
    }
    let count = present.iter().filter(|present| **present).count();
    if matches!(header.encoding, 2 | 8) {
        let entries = dictionary.ok_or_else(|| damaged("a dictionary is missing"))?;
        let mut indices = Vec::new();
        let wrong = || damaged("the indices into the dictionary are wrong");
        // A page of nulls alone may be empty.
        if count > 0 {
            let (bits, behind) = rest.split_first().ok_or_else(wrong)?;
            rest = behind;
            runs(&mut rest, u32::from(*bits), count, |index| indices.push(index)).ok_or_else(wrong)?;
        }
        if indices.iter().any(|index| *index as usize >= entries) {
            return Err(wrong());
        }
        let mut indices = indices.into_iter();
        column.rows.extend(present.iter().map(|is| is.then(|| indices.next()).flatten().unwrap_or(NOTHING)));
        return Ok(());
    }
    let first = u32::try_from(column.entries.len()).unwrap_or(NOTHING);
    values(&mut column.entries, leaf.physical, header.encoding, count, &mut rest, budget)?;
    let mut next = first..NOTHING;
    column.rows.extend(present.iter().map(|is| is.then(|| next.next()).flatten().unwrap_or(NOTHING)));
    Ok(())
}

/// Bytes behind their number in 4 bytes, and what comes then.
fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*size)).ok()?)
}

fn encoding(code: i64) -> Error {
    Error::unsupported(format!(
        "it has the encoding {code}, which cogclip does not read (it reads PLAIN, dictionaries, the delta encodings and \
         BYTE_STREAM_SPLIT)"
    ))
}

/// `count` numbers of `bits` bits in the hybrid of runs and packed groups (Encodings.md, RLE = 3).
fn runs(rest: &mut &[u8], bits: u32, count: usize, mut each: impl FnMut(u32)) -> Option<()> {
    if bits > 32 {
        return None;
    }
    let mut left = count;
    while left > 0 {
        let head = varint(rest)?;
        let times = usize::try_from(head >> 1).ok()?;
        if head & 1 == 0 {
            let (value, behind) = rest.split_at_checked(bits.div_ceil(8) as usize)?;
            *rest = behind;
            let value = value.iter().rev().fold(0, |value: u32, byte| (value << 8) | u32::from(*byte));
            for _ in 0..times.min(left) {
                each(value);
            }
            left = left.saturating_sub(times);
        } else {
            // Groups of 8; the last one may be cut where no value is left.
            let values = times.checked_mul(8)?.min(left);
            let size = times.checked_mul(bits as usize)?.min(rest.len());
            let (bytes, behind) = rest.split_at(size);
            *rest = behind;
            unpack(bytes, bits, values, |value| each(u32::try_from(value).unwrap_or(u32::MAX)))?;
            left = left.saturating_sub(values);
        }
    }
    Some(())
}

/// `count` numbers of `bits` bits (at most 64), packed from the least significant bit.
fn unpack(bytes: &[u8], bits: u32, count: usize, mut each: impl FnMut(u64)) -> Option<()> {
    if bits == 0 {
        (0..count).for_each(|_| each(0));
        return Some(());
    }
    if bits > 64 || (count as u64).checked_mul(bits.into())? > (bytes.len() as u64).checked_mul(8)? {
        return None;
    }
    let mask = u64::MAX >> 64_u32.checked_sub(bits)?;
    let (mut held, mut have) = (0_u128, 0_u32);
    let mut bytes = bytes.iter();
    for _ in 0..count {
        while have < bits {
            held |= u128::from(*bytes.next()?) << have;
            have = have.checked_add(8)?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "what the mask keeps fits")]
        each(held as u64 & mask);
        held >>= bits;
        have = have.checked_sub(bits)?;
    }
    Some(())
}

/// Takes `count` values in.
fn values(
    entries: &mut Entries,
    physical: Physical,
    code: i64,
    count: usize,
    rest: &mut &[u8],
    budget: &mut Budget,
) -> Result<()> {
    let short = || damaged("values are cut short, or there are more than fit");
    match (code, physical) {
        (0, Physical::Boolean) => {
            budget.charge(count.saturating_mul(8))?;
            let Entries::Integers(values) = entries else { return Err(short()) };
            unpack(rest, 1, count, |bit| values.push(i64::from(bit == 1))).ok_or_else(short)
        }
        (3, Physical::Boolean) => {
            budget.charge(count.saturating_mul(8))?;
            let Entries::Integers(values) = entries else { return Err(short()) };
            let (mut bits, _) = prefixed(rest).ok_or_else(short)?;
            runs(&mut bits, 1, count, |bit| values.push(i64::from(bit == 1))).ok_or_else(short)
        }
        (0, Physical::Bytes) => {
            for _ in 0..count {
                let (value, behind) = prefixed(rest).ok_or_else(short)?;
                budget.charge(value.len().saturating_add(8))?;
                entries.push_bytes(value).ok_or_else(short)?;
                *rest = behind;
            }
            Ok(())
        }
        (0, physical) => {
            let width = width(physical).ok_or_else(|| encoding(code))?;
            let size = width.checked_mul(count).filter(|size| *size <= rest.len()).ok_or_else(short)?;
            budget.charge(size.max(count.saturating_mul(8)).saturating_add(size_of::<usize>()))?;
            for _ in 0..count {
                let (value, behind) = rest.split_at_checked(width).ok_or_else(short)?;
                *rest = behind;
                let pushed = match physical {
                    Physical::Int96 | Physical::Fixed(_) => entries.push_bytes(value),
                    Physical::Boolean
                    | Physical::Int32
                    | Physical::Int64
                    | Physical::Float
                    | Physical::Double
                    | Physical::Bytes => entries.push_number(physical, value),
                };
                pushed.ok_or_else(short)?;
            }
            Ok(())
        }
        (5, Physical::Int32 | Physical::Int64) => {
            budget.charge(count.saturating_mul(8))?;
            let Entries::Integers(values) = entries else { return Err(short()) };
            let is_short = physical == Physical::Int32;
            // Differences wrap around within the type.
            #[expect(clippy::cast_possible_truncation, reason = "so it is defined")]
            deltas(rest, count, |value| values.push(if is_short { (value as i32).into() } else { value }))
                .ok_or_else(short)
        }
        (6, Physical::Bytes) => {
            let lengths = lengths(rest, count, budget)?;
            for length in lengths {
                let (value, behind) = rest.split_at_checked(length).ok_or_else(short)?;
                budget.charge(length.saturating_add(8))?;
                entries.push_bytes(value).ok_or_else(short)?;
                *rest = behind;
            }
            Ok(())
        }
        (7, Physical::Bytes | Physical::Fixed(_)) => {
            let prefixes = lengths(rest, count, budget)?;
            let suffixes = lengths(rest, count, budget)?;
            let mut value = Vec::new();
            for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
                let (suffix, behind) = rest.split_at_checked(suffix).ok_or_else(short)?;
                *rest = behind;
                if prefix > value.len() {
                    return Err(short());
                }
                value.truncate(prefix);
                value.extend_from_slice(suffix);
                budget.charge(value.len().saturating_add(8))?;
                entries.push_bytes(&value).ok_or_else(short)?;
            }
            Ok(())
        }
        (9, Physical::Int32 | Physical::Int64 | Physical::Float | Physical::Double) => {
            let width = width(physical).ok_or_else(|| encoding(code))?;
            let size = width.checked_mul(count).ok_or_else(short)?;
            let bytes = rest.get(..size).ok_or_else(short)?;
            budget.charge(size.max(count.saturating_mul(8)))?;
            for index in 0..count {
                let mut value = [0; 8];
                let streams = bytes.chunks_exact(count).map(|stream| stream.get(index).copied().unwrap_or(0));
                value.iter_mut().zip(streams).for_each(|(byte, found)| *byte = found);
                entries.push_number(physical, &value).ok_or_else(short)?;
            }
            Ok(())
        }
        _ => Err(encoding(code)),
    }
}

fn lengths(rest: &mut &[u8], count: usize, budget: &mut Budget) -> Result<Vec<usize>> {
    budget.charge(count.saturating_mul(8))?;
    let mut lengths = Vec::new();
    // A negative length is one that is too long.
    deltas(rest, count, |length| lengths.push(usize::try_from(length).unwrap_or(usize::MAX)))
        .ok_or_else(|| damaged("lengths are cut short"))?;
    Ok(lengths)
}

/// `count` integers of DELTA_BINARY_PACKED (Encodings.md, 5).
fn deltas(rest: &mut &[u8], count: usize, mut each: impl FnMut(i64)) -> Option<()> {
    let block = usize::try_from(varint(rest)?).ok()?;
    let miniblocks = usize::try_from(varint(rest)?).ok()?;
    let total = usize::try_from(varint(rest)?).ok()?;
    let mut value = zigzag(varint(rest)?);
    if total != count {
        return None;
    }
    if count == 0 {
        return Some(());
    }
    let each_has = block.checked_div(miniblocks).filter(|size| *size > 0)?;
    each(value);
    let mut left = count.checked_sub(1)?;
    while left > 0 {
        let least = zigzag(varint(rest)?);
        let (widths, behind) = rest.split_at_checked(miniblocks)?;
        *rest = behind;
        for bits in widths {
            // Blocks that no value is left for are not there.
            if left == 0 {
                break;
            }
            let bits = u32::from(*bits);
            let size = (each_has.checked_mul(bits as usize)?).div_ceil(8).min(rest.len());
            let (bytes, behind) = rest.split_at(size);
            *rest = behind;
            let now = each_has.min(left);
            unpack(bytes, bits, now, |delta| {
                value = value.wrapping_add(least).wrapping_add(delta.cast_signed());
                each(value);
            })?;
            left = left.saturating_sub(now);
        }
    }
    Some(())
}

/// Decompresses a page into exactly `size` bytes.
fn decompress(codec: i64, data: &[u8], size: usize, budget: &mut Budget) -> Result<Vec<u8>> {
    budget.charge(size)?;
    let wrong = |found: Option<usize>| match found {
        Some(found) if found == size => Ok(()),
        Some(found) => Err(damaged(&format!("a page of {size} bytes decompresses to {found}"))),
        None => Err(damaged(&format!("a page of {size} bytes does not decompress"))),
    };
    let mut out = match codec {
        0 => {
            wrong(Some(data.len()))?;
            return Ok(data.to_vec());
        }
        1 | 2 | 6 | 7 => vec![0; size],
        3 => return Err(compression("LZO")),
        4 => return Err(compression("BROTLI")),
        5 => return Err(compression("LZ4, in the frames of Hadoop,")),
        other => return Err(compression(&format!("of the code {other}"))),
    };
    let found = match codec {
        1 => {
            // Its data say how much they are.
            let said = snap::raw::decompress_len(data).ok().filter(|said| *said == size);
            said.and_then(|_| snap::raw::Decoder::new().decompress(data, &mut out).ok())
        }
        2 => {
            // One byte more than there should be tells whether it ends.
            let mut found = Vec::new();
            let most = (size as u64).saturating_add(1);
            let read = flate2::read::MultiGzDecoder::new(data).take(most).read_to_end(&mut found);
            out = found;
            read.ok()
        }
        6 => zstd(data, &mut out),
        _ => lz4_flex::block::decompress_into(data, &mut out).ok(),
    };
    wrong(found)?;
    Ok(out)
}

fn compression(name: &str) -> Error {
    Error::unsupported(format!(
        "it is compressed with the codec {name} which cogclip does not read; write it with ZSTD or SNAPPY"
    ))
}

/// Bytes of the window that a frame may claim: those of the reference decoder.
const MAX_WINDOW: u64 = 1 << 27;

fn zstd(data: &[u8], out: &mut [u8]) -> Option<usize> {
    use structured_zstd::decoding::FrameDecoder;
    thread_local! {
        // Tables of some 100 KiB: kept from page to page.
        static DECODER: std::cell::RefCell<Option<FrameDecoder>> = const { std::cell::RefCell::new(None) };
    }
    if out.is_empty() {
        return Some(0);
    }
    DECODER.with_borrow_mut(|slot| {
        let decoder = slot.get_or_insert_with(FrameDecoder::new);
        let found = decoder.set_max_window_size(MAX_WINDOW).and_then(|()| decoder.decode_all(data, out)).ok();
        if found.is_none() {
            // A decoder that has seen damage starts afresh.
            *slot = None;
        }
        found
    })
}
