//! Pages of Apache Parquet files: their headers, compression and levels (README.md, Compression.md).

use std::io::Read;

use super::parquet::{Budget, Chunk, Leaf};
use super::parquet_encoding::{Entries, damaged, not_read, prefixed, runs, values};
use super::thrift::{Kind, Thrift};
use crate::error::{Error, Result};

/// The row of a column that has no value.
const NOTHING: u32 = u32::MAX;

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell<'c> {
    Integer(i64),
    Real(f64),
    Bytes(&'c [u8]),
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
                    return Err(not_read(header.encoding));
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
                return Err(not_read(header.level_encoding));
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
