//! SQLite's file format 3, read only: b-trees of tables, overflow pages and records (sqlite.org/fileformat2.html).
//!
//! It runs no SQL. A table is walked in the order of its rowids, and no page is looked at twice in a walk, so that the work
//! is bounded by the file's size whatever the pages claim. Every byte is reached through [`Database::page`]. The free
//! list, indices and the write-ahead log are left alone: what is read is the main file as it stands.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::sqlite_schema::{self, Column, Default, Place, Table};
use crate::error::{Error, Result};

/// What every file begins with (§1.3.1).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Bytes of the file's header, which stand before the first page's own (§1.3).
const HEADER: usize = 100;

/// How text is stored (§1.3.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextEncoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// What an entry of `sqlite_schema` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A table with rows of its own.
    Table,
    /// A table whose rows a module makes up, as R-trees are.
    Virtual,
    /// A named query.
    View,
}

/// An entry of `sqlite_schema`: a table or a view.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// What it is.
    pub(super) kind: Kind,
    /// Its name as it is written.
    pub(super) name: String,
    /// Number of the first page of its b-tree, from 1; 0 without one.
    root: u32,
    /// The SQL that made it.
    pub(super) sql: String,
}

/// A database file.
#[derive(Debug)]
pub(super) struct Database<'a> {
    bytes: &'a [u8],
    page_size: usize,
    /// Bytes of a page without those reserved for extensions.
    usable: usize,
    /// Number of pages; they are numbered from 1.
    pages: u32,
    encoding: TextEncoding,
    /// Tables and views by their names in small letters.
    schema: BTreeMap<String, Entry>,
}

/// A value of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Field<'r> {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(&'r [u8]),
}

impl<'a> Database<'a> {
    /// Reads the header and the schema.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when the file is none of SQLite's, is cut short, or has a damaged schema;
    /// [`crate::ErrorKind::Unsupported`] for a later version of the format.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let header: &[u8; HEADER] =
            bytes.first_chunk().filter(|header| header.starts_with(MAGIC)).ok_or_else(|| {
                Error::format("no SQLite database: the file does not begin with `SQLite format 3`")
            })?;
        let word = |at: usize| be_u32(header, at).unwrap_or(0);
        let page_size = match be_u16(header, 16).unwrap_or(0) {
            1 => 65_536,
            size if size >= 512 && size.is_power_of_two() => usize::from(size),
            size => {
                return Err(Error::format(format!(
                    "the SQLite header gives pages of {size} bytes; it must be a power of two from 512 to 65536"
                )));
            }
        };
        let [write, read, reserved] = [header[18], header[19], header[20]];
        if !(1..=2).contains(&read) {
            return Err(Error::unsupported(format!(
                "the SQLite file wants a reader of file format version {read} (writer {write}); cogclip reads 1 and 2"
            )));
        }
        let usable = page_size.saturating_sub(usize::from(reserved));
        if usable < 480 {
            return Err(Error::format(format!(
                "the SQLite header reserves {reserved} bytes of pages of {page_size}; 480 must be left"
            )));
        }
        let there = u32::try_from(bytes.len().checked_div(page_size).unwrap_or(0)).unwrap_or(u32::MAX);
        // The size in the header counts only if the last writer was one that keeps it (§1.3.7).
        let said = if word(24) == word(92) { word(28) } else { 0 };
        if said > there || there == 0 {
            let wal = if read == 2 { ", and no -wal file is read beside it" } else { "" };
            return Err(Error::format(format!(
                "the SQLite file is cut short: its header counts {said} pages of {page_size} bytes, there are {there}{wal}"
            )));
        }
        let encoding = match word(56) {
            0 | 1 => TextEncoding::Utf8,
            2 => TextEncoding::Utf16Le,
            3 => TextEncoding::Utf16Be,
            other => {
                return Err(Error::format(format!(
                    "the SQLite header gives {other} as the text encoding; it is 1 to 3"
                )));
            }
        };
        let pages = if said == 0 { there } else { said };
        let mut database = Self { bytes, page_size, usable, pages, encoding, schema: BTreeMap::new() };
        database.schema = database.read_schema().map_err(|error| error.at("sqlite_schema"))?;
        Ok(database)
    }

    fn read_schema(&self) -> Result<BTreeMap<String, Entry>> {
        let mut schema = BTreeMap::new();
        let mut walk = self.walk(1, None)?;
        while let Some(cell) = walk.next()? {
            let record = walk.record(&cell)?;
            let field = |index| record.field(index).unwrap_or(Ok(Field::Null));
            let (Field::Text(kind), Field::Text(name)) = (field(0)?, field(1)?) else { continue };
            let (root, sql) = (field(3)?, field(4)?);
            let root = if let Field::Integer(root) = root { u32::try_from(root).unwrap_or(0) } else { 0 };
            let kind = match kind.as_str() {
                "table" if root == 0 => Kind::Virtual,
                "table" => Kind::Table,
                "view" => Kind::View,
                _ => continue,
            };
            let sql = if let Field::Text(sql) = sql { sql } else { String::new() };
            schema.insert(name.to_ascii_lowercase(), Entry { kind, name, root, sql });
        }
        Ok(schema)
    }

    /// The table or view of this name, in capitals or not.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.schema.get(&name.to_ascii_lowercase())
    }

    /// The table of this name with its columns; `None` without one, or when it is virtual or a view.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when its CREATE TABLE cannot be understood; [`crate::ErrorKind::Unsupported`] for a table
    /// WITHOUT ROWID.
    pub(super) fn table(&self, name: &str) -> Result<Option<Table>> {
        let Some(entry) = self.entry(name).filter(|entry| entry.kind == Kind::Table) else { return Ok(None) };
        let table = sqlite_schema::parse(&entry.name, entry.root, &entry.sql)?;
        if table.without_rowid {
            return Err(Error::unsupported(format!(
                "the SQLite table `{}` is WITHOUT ROWID, which cogclip does not read; copy it with `ogr2ogr`",
                table.name
            )));
        }
        Ok(Some(table))
    }

    /// Walks the b-tree of a table that begins at the page `root`: all rows, or those that are `wanted`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when there is no such page.
    pub(super) fn walk<'d>(&'d self, root: u32, wanted: Option<&'d BTreeSet<i64>>) -> Result<Walk<'d, 'a>> {
        let seen = vec![0; usize::try_from(self.pages).unwrap_or(usize::MAX).div_ceil(64).saturating_add(1)];
        let mut walk = Walk { database: self, wanted, seen, ahead: Vec::new(), leaf: None };
        walk.see(root)?;
        walk.ahead.push(root);
        Ok(walk)
    }

    /// The usable bytes of the page `number`.
    fn page(&self, number: u32) -> Result<&'a [u8]> {
        let index = number
            .checked_sub(1)
            .filter(|_| number <= self.pages)
            .and_then(|index| usize::try_from(index).ok());
        index
            .and_then(|index| index.checked_mul(self.page_size))
            .and_then(|start| Some(start..start.checked_add(self.usable)?))
            .and_then(|range| self.bytes.get(range))
            .ok_or_else(|| {
                Error::format(format!(
                    "a page of number {number} is asked for; the SQLite file has 1 to {}",
                    self.pages
                ))
            })
    }

    /// Text as it is stored. What is no text in the file's encoding becomes U+FFFD.
    fn text(&self, bytes: &[u8]) -> String {
        let units: fn([u8; 2]) -> u16 = match self.encoding {
            TextEncoding::Utf8 => return String::from_utf8_lossy(bytes).into_owned(),
            TextEncoding::Utf16Le => u16::from_le_bytes,
            TextEncoding::Utf16Be => u16::from_be_bytes,
        };
        let units = bytes.as_chunks().0.iter().map(|pair| units(*pair));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }
}

/// A walk through a table's b-tree, in the order of rowids.
#[derive(Debug)]
pub(super) struct Walk<'d, 'a> {
    database: &'d Database<'a>,
    wanted: Option<&'d BTreeSet<i64>>,
    /// A bit for each page that was met, overflow pages included: every page has one parent only.
    seen: Vec<u64>,
    /// Pages to look at, the next one last.
    ahead: Vec<u32>,
    leaf: Option<Leaf<'a>>,
}

/// A leaf of a table's b-tree that is being read.
#[derive(Debug)]
struct Leaf<'a> {
    number: u32,
    page: &'a [u8],
    /// Where each remaining cell begins.
    cells: std::slice::Iter<'a, [u8; 2]>,
    /// Bytes that its cells took. Cells do not overlap, so that they are no more than the page has.
    taken: usize,
}

/// A row of a table, not yet decoded.
#[derive(Clone, Debug)]
pub(super) struct Cell<'a> {
    /// Its key.
    pub(super) rowid: i64,
    /// Bytes of its record.
    size: usize,
    /// Those on the leaf.
    local: &'a [u8],
    /// The page with the next ones.
    overflow: u32,
}

impl<'d, 'a> Walk<'d, 'a> {
    /// Marks a page as met.
    fn see(&mut self, number: u32) -> Result<()> {
        let slot =
            self.seen.get_mut((number / 64) as usize).filter(|_| (1..=self.database.pages).contains(&number));
        let bit = 1_u64 << (number % 64);
        match slot {
            Some(slot) if *slot & bit == 0 => {
                *slot |= bit;
                Ok(())
            }
            Some(_) => Err(Error::format(format!(
                "the SQLite file refers to its page {number} twice in one table; it is damaged"
            ))),
            None => Err(Error::format(format!(
                "the SQLite file refers to a page {number}; it has 1 to {}",
                self.database.pages
            ))),
        }
    }

    /// The next row.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when the tree is damaged.
    pub(super) fn next(&mut self) -> Result<Option<Cell<'a>>> {
        loop {
            if let Some(leaf) = &mut self.leaf {
                while let Some(at) = leaf.cells.next() {
                    let usable = self.database.usable;
                    let cell = leaf.cell(usize::from(u16::from_be_bytes(*at)), usable).ok_or_else(|| {
                        Error::format(format!("page {} of the SQLite file has a damaged cell", leaf.number))
                    })?;
                    if self.wanted.is_none_or(|wanted| wanted.contains(&cell.rowid)) {
                        return Ok(Some(cell));
                    }
                }
                self.leaf = None;
            }
            let Some(number) = self.ahead.pop() else { return Ok(None) };
            self.enter(number).map_err(|error| error.at(format_args!("page {number}")))?;
        }
    }

    /// Enters a page: its children are lined up, or its cells (§1.6).
    fn enter(&mut self, number: u32) -> Result<()> {
        let page = self.database.page(number)?;
        let short = || Error::format("the b-tree page of the SQLite file is damaged");
        let start = if number == 1 { HEADER } else { 0 };
        let header = page.get(start..).ok_or_else(short)?;
        let count = usize::from(be_u16(header, 3).ok_or_else(short)?);
        let pointers = |header_bytes: usize| {
            let bytes = header.get(header_bytes..)?.get(..count.checked_mul(2)?)?;
            Some(bytes.as_chunks::<2>().0)
        };
        match header.first() {
            Some(0x0d) => {
                let cells = pointers(8).ok_or_else(short)?.iter();
                self.leaf = Some(Leaf { number, page, cells, taken: 0 });
                Ok(())
            }
            Some(0x05) => {
                let first = self.ahead.len();
                // A child holds the keys above the last cell's, up to and including its own cell's.
                let mut above = None;
                for at in pointers(12).ok_or_else(short)? {
                    let cell = page.get(usize::from(u16::from_be_bytes(*at))..).ok_or_else(short)?;
                    let child = be_u32(cell, 0).ok_or_else(short)?;
                    let (key, _) = varint(cell.get(4..).unwrap_or(&[])).ok_or_else(short)?;
                    self.line_up(child, above, Some(key))?;
                    above = Some(key);
                }
                self.line_up(be_u32(header, 8).ok_or_else(short)?, above, None)?;
                self.ahead.get_mut(first..).unwrap_or(&mut []).reverse();
                Ok(())
            }
            kind => Err(Error::format(format!(
                "the b-tree page of a table of the SQLite file has the type {}; it is 5 or 13",
                kind.copied().unwrap_or(0)
            ))),
        }
    }

    /// Lines up a page whose keys are greater than `above` and at most `upto`, if any of them is wanted.
    fn line_up(&mut self, child: u32, above: Option<i64>, upto: Option<i64>) -> Result<()> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let low = above.map_or(Unbounded, Excluded);
        let high = upto.map_or(Unbounded, Included);
        // BTreeSet::range panics on a range that is the wrong way round, as damage may make it.
        let backwards = matches!((above, upto), (Some(above), Some(upto)) if above >= upto);
        let wanted = self.wanted.is_none_or(|keys| !backwards && keys.range((low, high)).next().is_some());
        if wanted {
            self.see(child)?;
            self.ahead.push(child);
        }
        Ok(())
    }

    /// Reads the record of a row, overflow pages included, and finds its fields.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when the chain of overflow pages or the record is damaged.
    pub(super) fn record(&mut self, cell: &Cell<'a>) -> Result<Record<'d, 'a>> {
        self.payload(cell)
            .and_then(|payload| Record::new(self.database, payload))
            .map_err(|error| error.at(format_args!("row {}", cell.rowid)))
    }

    /// The bytes of a record, gathered from its overflow pages (§1.6).
    fn payload(&mut self, cell: &Cell<'a>) -> Result<Cow<'a, [u8]>> {
        if cell.local.len() == cell.size {
            return Ok(Cow::Borrowed(cell.local));
        }
        if cell.size > self.database.bytes.len() {
            return Err(Error::format(format!(
                "the record claims {} bytes, the whole SQLite file has {}",
                cell.size,
                self.database.bytes.len()
            )));
        }
        let mut payload = cell.local.to_vec();
        let mut number = cell.overflow;
        while payload.len() < cell.size {
            self.see(number)?;
            let page = self.database.page(number)?;
            let (next, rest) = page.split_first_chunk().unwrap_or((&[0; 4], &[]));
            let more = cell.size.saturating_sub(payload.len()).min(rest.len());
            payload.extend_from_slice(rest.get(..more).unwrap_or(rest));
            number = u32::from_be_bytes(*next);
        }
        Ok(Cow::Owned(payload))
    }
}

impl<'a> Leaf<'a> {
    /// The cell that begins at `at` (§1.6); `None` when it does not lie on the page, or overlaps others.
    fn cell(&mut self, at: usize, usable: usize) -> Option<Cell<'a>> {
        let cell = self.page.get(at..)?;
        let (size, size_bytes) = varint(cell)?;
        let (rowid, rowid_bytes) = varint(cell.get(size_bytes..)?)?;
        let size = usize::try_from(size).ok()?;
        let start = size_bytes.checked_add(rowid_bytes)?;
        let kept = local(size, usable)?;
        let end = start.checked_add(kept)?;
        let bytes = cell.get(start..end)?;
        let overflow = if kept < size { be_u32(cell, end)? } else { 0 };
        self.taken = self.taken.checked_add(end)?;
        (self.taken <= self.page.len()).then_some(Cell { rowid, size, local: bytes, overflow })
    }
}

/// Bytes of a record of `size` bytes that stay on the leaf (§1.6: P, U, X, M, K).
fn local(size: usize, usable: usize) -> Option<usize> {
    let most = usable.checked_sub(35)?;
    if size <= most {
        return Some(size);
    }
    let least = usable.checked_sub(12)?.checked_mul(32)?.checked_div(255)?.checked_sub(23)?;
    let spread = size.checked_sub(least)?.checked_rem(usable.checked_sub(4)?)?;
    let kept = least.checked_add(spread)?;
    Some(if kept <= most { kept } else { least })
}

/// A record: the fields of a row (§2.1).
#[derive(Debug)]
pub(super) struct Record<'d, 'a> {
    database: &'d Database<'a>,
    payload: Cow<'a, [u8]>,
    /// The serial type of each field and where it lies.
    fields: Vec<(u64, Range<usize>)>,
}

impl<'d, 'a> Record<'d, 'a> {
    fn new(database: &'d Database<'a>, payload: Cow<'a, [u8]>) -> Result<Self> {
        let fields = Self::find(&payload).ok_or_else(|| {
            Error::format("the record's header does not fit its bytes; the SQLite file is damaged")
        })?;
        Ok(Self { database, payload, fields })
    }

    fn find(payload: &[u8]) -> Option<Vec<(u64, Range<usize>)>> {
        let (header, first) = varint(payload)?;
        let mut body = usize::try_from(header).ok()?;
        let mut types = payload.get(first..body)?;
        let mut fields = Vec::new();
        while !types.is_empty() {
            let (kind, bytes) = varint(types)?;
            types = types.get(bytes..)?;
            let kind = u64::try_from(kind).ok()?;
            let size = match kind {
                0 | 8 | 9 => 0,
                1..=4 => kind,
                5 => 6,
                6 | 7 => 8,
                10 | 11 => return None,
                _ => kind.checked_sub(12)? / 2,
            };
            let end = body.checked_add(usize::try_from(size).ok()?)?;
            if end > payload.len() {
                return None;
            }
            fields.push((kind, body..end));
            body = end;
        }
        Some(fields)
    }

    /// The field `index` as it is stored; `None` beyond those that the record has.
    pub(super) fn field(&self, index: usize) -> Option<Result<Field<'_>>> {
        let (kind, range) = self.fields.get(index)?;
        let bytes = self.payload.get(range.clone())?;
        Some(Ok(match kind {
            0 => Field::Null,
            7 => Field::Real(f64::from_be_bytes(*bytes.first_chunk()?)),
            8 => Field::Integer(0),
            9 => Field::Integer(1),
            1..=6 => Field::Integer(signed(bytes)),
            kind if kind % 2 == 0 => Field::Blob(bytes),
            _ => Field::Text(self.database.text(bytes)),
        }))
    }

    /// The value of a column: the rowid itself where the column is its alias, the column's default where the record is
    /// older than the column.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] when the default is an expression, or the column is a generated one.
    pub(super) fn column<'r>(&'r self, rowid: i64, column: &'r Column) -> Result<Field<'r>> {
        let index = match column.place {
            Place::Rowid => return Ok(Field::Integer(rowid)),
            Place::Field(index) => index,
            Place::Nowhere => {
                return Err(Error::unsupported(format!(
                    "the column `{}` is generated by an expression, which cogclip does not run",
                    column.name
                )));
            }
        };
        let value = match self.field(index) {
            Some(field) => field?,
            None => match &column.default {
                Default::Null => Field::Null,
                Default::Integer(value) => Field::Integer(*value),
                Default::Real(value) => Field::Real(*value),
                Default::Text(text) => Field::Text(text.clone()),
                Default::Blob(bytes) => Field::Blob(bytes),
                Default::Expression => {
                    return Err(Error::unsupported(format!(
                        "row {rowid} is older than the column `{}`, whose default is an expression; copy the table with `ogr2ogr`",
                        column.name
                    )));
                }
            },
        };
        if let Field::Integer(whole) = value
            && column.is_real()
        {
            #[expect(
                clippy::cast_precision_loss,
                reason = "SQLite stores only those numbers so that come back the same"
            )]
            return Ok(Field::Real(whole as f64));
        }
        Ok(value)
    }
}

/// A big-endian twos-complement integer of at most 8 bytes.
fn signed(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |value: i64, byte| (value << 8) | i64::from(*byte))
}

/// A variable-length integer and the bytes that it takes, at most 9 (§1.6).
fn varint(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value: u64 = 0;
    for (index, byte) in bytes.iter().enumerate().take(8) {
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value.cast_signed(), index.checked_add(1)?));
        }
    }
    let last = bytes.get(8)?;
    Some((((value << 8) | u64::from(*last)).cast_signed(), 9))
}

fn be_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_be_bytes(*chunk))
}

fn be_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_be_bytes(*chunk))
}
