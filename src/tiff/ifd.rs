//! One image file directory: fields by tag, large tables by reference.

use std::collections::BTreeMap;
use std::ops::Range;

use super::code::{FieldType, tag};
use super::parse::{Fetched, Stop};
use super::value::Value;
use crate::error::{Error, Result};

/// A tile table that stays in the file until its entries are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// SHORT, LONG or LONG8.
    pub kind: FieldType,
    /// Number of entries.
    pub count: u64,
    /// Where the entries start in the file.
    pub offset: u64,
    /// Bytes of one entry.
    width: u64,
}

impl Table {
    /// A table of integers; `None` when the type holds none.
    #[must_use]
    pub fn new(kind: FieldType, count: u64, offset: u64) -> Option<Self> {
        if !matches!(kind, FieldType::Short | FieldType::Long | FieldType::Long8) {
            return None;
        }
        Some(Self { kind, count, offset, width: kind.widths()?.0 })
    }

    /// Where some entries lie in the file; `entries` must lie in the table.
    #[must_use]
    pub fn bytes(&self, entries: Range<u64>) -> Range<u64> {
        let at = |entry: u64| self.offset.saturating_add(entry.saturating_mul(self.width));
        at(entries.start)..at(entries.end)
    }

    /// Some entries, from what has been fetched.
    ///
    /// # Errors
    /// [`Stop::Need`] when their bytes have not been fetched.
    pub fn read(&self, entries: Range<u64>, fetched: &Fetched) -> Result<Vec<u64>, Stop> {
        let count = entries.end.saturating_sub(entries.start);
        let bytes = fetched.get(self.bytes(entries), "a tile table")?;
        let value = Value::from_file(self.kind, count, bytes, fetched.order);
        Ok(value.u64s().unwrap_or_default())
    }
}

/// What a directory holds under one tag.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// The values.
    Value(Value),
    /// A tile table, not read yet.
    Table(Table),
}

/// One image file directory (TIFF 6.0 §2).
#[derive(Clone, Debug, PartialEq)]
pub struct Ifd {
    /// Its number in the order of reading, from 0.
    pub number: usize,
    /// Where it starts in the file.
    pub offset: u64,
    /// Its fields by tag. Of a tag that stands twice, the first.
    pub fields: BTreeMap<u16, Field>,
}

impl Ifd {
    /// The values of a tag; `None` when it is absent, or a table that was not read.
    #[must_use]
    pub fn value(&self, tag: u16) -> Option<&Value> {
        match self.fields.get(&tag)? {
            Field::Value(value) => Some(value),
            Field::Table(_) => None,
        }
    }

    /// A tag's integers.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when the tag is there with another type.
    pub fn integers(&self, tag: u16) -> Result<Option<Vec<u64>>> {
        let Some(value) = self.value(tag) else { return Ok(None) };
        value.u64s().map(Some).ok_or_else(|| self.bad(tag, format!("has type {}", value.kind)))
    }

    /// A tag's first integer.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when the tag is there with another type, without a value, or with one
    /// that is too large.
    pub fn integer<T: TryFrom<u64>>(&self, tag: u16) -> Result<Option<T>> {
        let Some(values) = self.integers(tag)? else { return Ok(None) };
        let first = values.first().copied().ok_or_else(|| self.bad(tag, "is empty"))?;
        let value = T::try_from(first).ok();
        value.map(Some).ok_or_else(|| self.bad(tag, format!("is {first}, which is too large")))
    }

    /// A tag's floating-point numbers; `None` when it is absent or of another type.
    #[must_use]
    pub fn doubles(&self, tag: u16) -> Option<Vec<f64>> {
        self.value(tag)?.f64s()
    }

    /// A tag's text; `None` when it is absent or of another type.
    #[must_use]
    pub fn text(&self, tag: u16) -> Option<String> {
        self.value(tag)?.text()
    }

    /// A format error about a tag of this directory.
    #[must_use]
    pub fn bad(&self, tag: u16, what: impl std::fmt::Display) -> Error {
        Error::format(format!(
            "{} {}",
            tag::name(tag).map_or_else(|| format!("tag {tag}"), str::to_owned),
            what
        ))
        .at(self.place())
    }

    /// This directory in a message: `IFD 2 at byte 1234`.
    #[must_use]
    pub fn place(&self) -> String {
        format!("IFD {} at byte {}", self.number, self.offset)
    }
}
