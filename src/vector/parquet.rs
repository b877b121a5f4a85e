//! The footer of Apache Parquet files: schema, row groups, column chunks (github.com/apache/parquet-format).

use std::sync::Arc;

use super::thrift::{Kind, Thrift};
use crate::error::{Error, Result};
use crate::limits::{Limits, within};

/// What files begin and end with.
pub(super) const MAGIC: &[u8; 4] = b"PAR1";

/// What a file with an encrypted footer ends with.
const ENCRYPTED: &[u8; 4] = b"PARE";

/// Elements of a schema: columns and groups.
const MOST_ELEMENTS: usize = 1 << 16;

/// Groups in groups of a schema.
const DEEPEST: usize = 64;

/// How values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Physical {
    Boolean,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    Bytes,
    /// This many bytes.
    Fixed(usize),
}

/// A unit of time: that of `10^-digits` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) digits: u8,
    /// Whether it counts from the epoch in UTC, not in an unknown local time.
    pub(super) is_utc: bool,
}

/// What values mean (LogicalTypes.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logical {
    /// What they are stored as.
    Plain,
    Unsigned,
    Text,
    Decimal {
        scale: u32,
    },
    Date,
    Time(Unit),
    Timestamp(Unit),
    /// Something else, as intervals and UUIDs are.
    Other,
}

/// A column with values.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// Names of the groups around it, from the root, without the root, and its own; nested deeper than two it has none.
    pub(super) path: Vec<Arc<str>>,
    pub(super) physical: Physical,
    pub(super) logical: Logical,
    /// The definition level of a value that is there.
    pub(super) max_definition: u32,
    /// Whether it repeats within a row.
    pub(super) is_repeated: bool,
}

/// The values of a column in a row group.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) codec: i64,
    /// Where its pages begin in the file.
    pub(super) start: u64,
    /// Bytes of its pages.
    pub(super) size: u64,
    /// The smallest value, as PLAIN encodes it.
    pub(super) min: Option<Vec<u8>>,
    pub(super) max: Option<Vec<u8>>,
}

/// Rows that are stored together.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) rows: usize,
    /// One for each leaf.
    pub(super) chunks: Vec<Chunk>,
}

/// What a file says of itself.
#[derive(Clone, Debug)]
pub(super) struct Footer {
    pub(super) leaves: Vec<Leaf>,
    pub(super) groups: Vec<Group>,
    /// The value of the key `geo`.
    pub(super) geo: Option<String>,
}

impl Footer {
    /// Reads the footer of a file.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Format`] when it is no Parquet file, or damaged;
    /// - [`crate::ErrorKind::Unsupported`] when it is encrypted, or keeps columns in other files;
    /// - [`crate::ErrorKind::Limit`] when its metadata are larger than [`Limits::metadata_bytes`], or it has more rows than
    ///   [`Limits::vertices`].
    pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Self> {
        let (rest, magic) = bytes.split_last_chunk::<4>().unwrap_or((&[], &[0; 4]));
        if magic == ENCRYPTED {
            return Err(Error::unsupported("the Parquet file is encrypted, which cogclip does not read"));
        }
        let (rest, size) = rest.split_last_chunk::<4>().unwrap_or((&[], &[0; 4]));
        if magic != MAGIC || !rest.starts_with(MAGIC) {
            return Err(Error::format("no whole Parquet file: it does not begin and end with `PAR1`"));
        }
        let size = within(u32::from_le_bytes(*size).into(), limits.metadata_bytes, "the Parquet footer")?;
        let start = rest.len().checked_sub(size).filter(|start| *start >= MAGIC.len());
        let footer = start.and_then(|start| rest.get(start..)).ok_or_else(|| {
            Error::format(format!(
                "the Parquet footer claims {size} bytes, the file has {} before it",
                rest.len().saturating_sub(MAGIC.len())
            ))
        })?;
        let mut raw = Raw::default();
        let is_whole = raw.read(footer).is_some();
        if raw.is_too_wide {
            return Err(Error::limit(format!(
                "the Parquet file's schema has more than {MOST_ELEMENTS} elements"
            )));
        }
        if !is_whole {
            return Err(Error::format("the Parquet footer is damaged"));
        }
        if raw.is_elsewhere {
            return Err(Error::unsupported(
                "the Parquet file keeps columns in other files, which cogclip does not read",
            ));
        }
        let leaves =
            leaves(&raw.schema).ok_or_else(|| Error::format("the schema of the Parquet file is damaged"))?;
        let mut rows = 0_usize;
        for (index, group) in raw.groups.iter().enumerate() {
            if group.chunks.len() != leaves.len() {
                return Err(Error::format(format!(
                    "row group {index} of the Parquet file has {} columns, its schema {}",
                    group.chunks.len(),
                    leaves.len()
                )));
            }
            rows = rows.saturating_add(group.rows);
        }
        if rows > limits.vertices {
            return Err(Error::limit(format!(
                "the Parquet file has {rows} rows; cogclip reads no more than it would take vertices, {}",
                limits.vertices
            )));
        }
        Ok(Self { leaves, groups: raw.groups, geo: raw.geo })
    }
}

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

    /// Charges bytes that are kept.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Limit`] when it does not last.
    pub(super) fn charge(&mut self, bytes: usize) -> Result<()> {
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

/// An element of the schema: a group, or a leaf.
#[derive(Debug, Default)]
struct Element {
    kind: Option<i64>,
    length: i64,
    repetition: i64,
    name: Option<Arc<str>>,
    children: usize,
    converted: Option<i64>,
    scale: i64,
    logical: Option<Logical>,
}

#[derive(Debug, Default)]
struct Raw {
    schema: Vec<Element>,
    groups: Vec<Group>,
    geo: Option<String>,
    is_elsewhere: bool,
    is_too_wide: bool,
}

impl Raw {
    fn read(&mut self, footer: &[u8]) -> Option<()> {
        Thrift::new(footer).fields(|thrift, id, kind| {
            match id {
                2 => thrift.list(kind, |thrift, kind| {
                    self.schema.push(element(thrift, kind)?);
                    self.is_too_wide = self.schema.len() > MOST_ELEMENTS;
                    (!self.is_too_wide).then_some(())
                })?,
                4 => thrift.list(kind, |thrift, kind| {
                    self.groups.push(group(thrift, kind, &mut self.is_elsewhere)?);
                    Some(())
                })?,
                5 => thrift.list(kind, |thrift, kind| self.key_value(thrift, kind))?,
                _ => return Some(false),
            }
            Some(true)
        })
    }

    fn key_value(&mut self, thrift: &mut Thrift<'_>, kind: Kind) -> Option<()> {
        let (mut key, mut value) = (None, None);
        structure(kind)?;
        thrift.fields(|thrift, id, kind| {
            match id {
                1 => key = Some(thrift.binary(kind)?),
                2 => value = Some(thrift.binary(kind)?),
                _ => return Some(false),
            }
            Some(true)
        })?;
        if key? == b"geo" {
            self.geo = Some(String::from_utf8_lossy(value?).into_owned());
        }
        Some(())
    }
}

fn structure(kind: Kind) -> Option<()> {
    (kind == Kind::Struct).then_some(())
}

fn element(thrift: &mut Thrift<'_>, kind: Kind) -> Option<Element> {
    structure(kind)?;
    let mut element = Element::default();
    thrift.fields(|thrift, id, kind| {
        match id {
            1 => element.kind = Some(thrift.integer(kind)?),
            2 => element.length = thrift.integer(kind)?,
            3 => element.repetition = thrift.integer(kind)?,
            4 => element.name = Some(thrift.text(kind)?.into()),
            5 => element.children = usize::try_from(thrift.integer(kind)?).ok()?,
            6 => element.converted = Some(thrift.integer(kind)?),
            7 => element.scale = thrift.integer(kind)?,
            10 if kind == Kind::Struct => element.logical = Some(logical(thrift)?),
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(element)
}

/// The union LogicalType: a structure with one field.
fn logical(thrift: &mut Thrift<'_>) -> Option<Logical> {
    let mut found = Logical::Other;
    thrift.fields(|thrift, union, kind| {
        structure(kind)?;
        let (mut first, mut digits) = (0, None);
        thrift.fields(|thrift, id, kind| {
            match (union, id, kind) {
                (7 | 8, 1, Kind::Bool(is_utc)) => first = i64::from(is_utc),
                (5, 1, _) => first = thrift.integer(kind)?,
                (7 | 8, 2, Kind::Struct) => thrift.fields(|_, unit, _| {
                    digits = u8::try_from(unit).ok().and_then(|unit| unit.checked_mul(3));
                    Some(false)
                })?,
                (10, 2, Kind::Bool(is_signed)) => first = i64::from(!is_signed),
                _ => return Some(false),
            }
            Some(true)
        })?;
        let unit = digits.filter(|digits| *digits <= 9).map(|digits| Unit { digits, is_utc: first == 1 });
        found = match union {
            1 | 4 | 12 => Logical::Text,
            5 => u32::try_from(first).map_or(Logical::Other, |scale| Logical::Decimal { scale }),
            6 => Logical::Date,
            7 => unit.map_or(Logical::Other, Logical::Time),
            8 => unit.map_or(Logical::Other, Logical::Timestamp),
            10 if first == 1 => Logical::Unsigned,
            10 => Logical::Plain,
            _ => Logical::Other,
        };
        Some(true)
    })?;
    Some(found)
}

/// The older ConvertedType; what is stored alone counts where there is none.
fn converted(element: &Element) -> Logical {
    let Some(code) = element.converted else { return Logical::Plain };
    let unit = |digits| Unit { digits, is_utc: true };
    match code {
        0 | 4 | 19 => Logical::Text,
        5 => u32::try_from(element.scale).map_or(Logical::Other, |scale| Logical::Decimal { scale }),
        6 => Logical::Date,
        7 => Logical::Time(unit(3)),
        8 => Logical::Time(unit(6)),
        9 => Logical::Timestamp(unit(3)),
        10 => Logical::Timestamp(unit(6)),
        11..=14 => Logical::Unsigned,
        15..=18 => Logical::Plain,
        _ => Logical::Other,
    }
}

/// The leaves of a schema, whose elements stand in depth-first order.
fn leaves(schema: &[Element]) -> Option<Vec<Leaf>> {
    let (root, elements) = schema.split_first()?;
    // Groups that are open: children to come, name, definition level, whether one of them repeats.
    let mut open: Vec<(usize, Option<Arc<str>>, u32, bool)> = vec![(root.children, None, 0, false)];
    let mut leaves = Vec::new();
    for element in elements {
        while open.last()?.0 == 0 {
            open.pop();
        }
        let depth = open.len();
        let (left, around, definition, repeated) = open.last_mut()?;
        *left = left.checked_sub(1)?;
        let max_definition = definition.checked_add(u32::from(element.repetition != 0))?;
        let is_repeated = *repeated || element.repetition == 2;
        let name = Arc::clone(element.name.as_ref()?);
        let Some(kind) = element.kind else {
            if depth > DEEPEST {
                return None;
            }
            open.push((element.children, Some(name), max_definition, is_repeated));
            continue;
        };
        let physical = match kind {
            0 => Physical::Boolean,
            1 => Physical::Int32,
            2 => Physical::Int64,
            3 => Physical::Int96,
            4 => Physical::Float,
            5 => Physical::Double,
            6 => Physical::Bytes,
            7 => Physical::Fixed(usize::try_from(element.length).ok()?),
            _ => return None,
        };
        let path = match (depth, around) {
            (1, _) => vec![name],
            (2, Some(around)) => vec![Arc::clone(around), name],
            _ => Vec::new(),
        };
        let logical = element.logical.unwrap_or_else(|| converted(element));
        leaves.push(Leaf { path, physical, logical, max_definition, is_repeated });
    }
    open.iter().all(|(left, ..)| *left == 0).then_some(leaves)
}

fn group(thrift: &mut Thrift<'_>, kind: Kind, is_elsewhere: &mut bool) -> Option<Group> {
    structure(kind)?;
    let (mut chunks, mut rows) = (Vec::new(), None);
    thrift.fields(|thrift, id, kind| {
        match id {
            1 => thrift.list(kind, |thrift, kind| {
                chunks.push(chunk(thrift, kind, is_elsewhere)?);
                Some(())
            })?,
            3 => rows = usize::try_from(thrift.integer(kind)?).ok(),
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some(Group { rows: rows?, chunks })
}

fn chunk(thrift: &mut Thrift<'_>, kind: Kind, is_elsewhere: &mut bool) -> Option<Chunk> {
    structure(kind)?;
    let mut chunk = Chunk { codec: 0, start: 0, size: 0, min: None, max: None };
    let (mut size, mut data, mut dictionary) = (None, None, None);
    thrift.fields(|thrift, id, kind| {
        match id {
            1 => *is_elsewhere |= !thrift.binary(kind)?.is_empty(),
            3 if kind == Kind::Struct => thrift.fields(|thrift, id, kind| {
                match id {
                    4 => chunk.codec = thrift.integer(kind)?,
                    7 => size = u64::try_from(thrift.integer(kind)?).ok(),
                    9 => data = u64::try_from(thrift.integer(kind)?).ok(),
                    11 => dictionary = u64::try_from(thrift.integer(kind)?).ok(),
                    12 if kind == Kind::Struct => thrift.fields(|thrift, id, kind| {
                        match id {
                            5 => chunk.max = Some(thrift.binary(kind)?.to_vec()),
                            6 => chunk.min = Some(thrift.binary(kind)?.to_vec()),
                            _ => return Some(false),
                        }
                        Some(true)
                    })?,
                    _ => return Some(false),
                }
                Some(true)
            })?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    // Some writers give 0 for a dictionary that is not there.
    chunk.start = dictionary.filter(|at| *at > 0).map_or(data?, |at| data.map_or(at, |data| data.min(at)));
    chunk.size = size?;
    Some(chunk)
}
