//! Apache Thrift's compact protocol, as far as Parquet's metadata need it
//! (github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).

/// Structures in structures that are followed. Parquet's go 6 deep.
const DEEPEST: usize = 32;

/// The type of a field or of a list's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A truth that the field's type itself says.
    Bool(bool),
    Byte,
    /// An integer of 16, 32 or 64 bits.
    Integer,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Bool(true),
            2 => Self::Bool(false),
            3 => Self::Byte,
            4..=6 => Self::Integer,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            _ => return None,
        })
    }
}

/// What has not been read yet. Everything gives `None` where the bytes break the protocol, or are another type than is
/// asked for.
#[derive(Clone, Debug)]
pub(super) struct Thrift<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, depth: 0 }
    }

    /// What follows.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn varint(&mut self) -> Option<u64> {
        varint(&mut self.rest)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    /// Reads the fields of a structure. `each` reads a field and gives `Some(true)`, or leaves it and gives `Some(false)`.
    pub(super) fn fields(
        &mut self,
        mut each: impl FnMut(&mut Self, i64, Kind) -> Option<bool>,
    ) -> Option<()> {
        self.depth = self.depth.checked_add(1).filter(|depth| *depth <= DEEPEST)?;
        let mut id: i64 = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                self.depth = self.depth.checked_sub(1)?;
                return Some(());
            }
            id = match head >> 4 {
                0 => zigzag(self.varint()?),
                delta => id.checked_add(i64::from(delta))?,
            };
            let kind = Kind::of(head & 15)?;
            if !each(self, id, kind)? {
                self.skip(kind)?;
            }
        }
    }

    /// Reads a list: `each` reads an element.
    pub(super) fn list(
        &mut self,
        kind: Kind,
        mut each: impl FnMut(&mut Self, Kind) -> Option<()>,
    ) -> Option<()> {
        if kind != Kind::List {
            return None;
        }
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        // An element has at least one byte.
        let count = usize::try_from(count).ok().filter(|count| *count <= self.rest.len())?;
        let kind = Kind::of(head & 15)?;
        for _ in 0..count {
            each(self, kind)?;
        }
        Some(())
    }

    /// Reads an integer.
    pub(super) fn integer(&mut self, kind: Kind) -> Option<i64> {
        match kind {
            Kind::Integer => self.varint().map(zigzag),
            Kind::Byte => self.byte().map(|byte| i64::from(byte.cast_signed())),
            Kind::Bool(_) | Kind::Double | Kind::Binary | Kind::List | Kind::Map | Kind::Struct => None,
        }
    }

    /// Reads bytes.
    pub(super) fn binary(&mut self, kind: Kind) -> Option<&'a [u8]> {
        if kind != Kind::Binary {
            return None;
        }
        let count = usize::try_from(self.varint()?).ok()?;
        self.take(count)
    }

    /// Reads text.
    pub(super) fn text(&mut self, kind: Kind) -> Option<&'a str> {
        std::str::from_utf8(self.binary(kind)?).ok()
    }

    fn skip(&mut self, kind: Kind) -> Option<()> {
        match kind {
            Kind::Bool(_) => Some(()),
            Kind::Byte => self.byte().map(drop),
            Kind::Integer => self.varint().map(drop),
            Kind::Double => self.take(8).map(drop),
            Kind::Binary => self.binary(kind).map(drop),
            Kind::Struct => self.fields(|_, _, _| Some(false)),
            Kind::List => self.nested(|thrift| thrift.list(kind, Self::skip_element)),
            Kind::Map => self.nested(|thrift| {
                let count = thrift.varint()?;
                if count == 0 {
                    return Some(());
                }
                let count = usize::try_from(count).ok().filter(|count| *count <= thrift.rest.len())?;
                let kinds = thrift.byte()?;
                let (key, value) = (Kind::of(kinds >> 4)?, Kind::of(kinds & 15)?);
                for _ in 0..count {
                    thrift.skip_element(key)?;
                    thrift.skip_element(value)?;
                }
                Some(())
            }),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        self.depth = self.depth.checked_add(1).filter(|depth| *depth <= DEEPEST)?;
        read(self)?;
        self.depth = self.depth.checked_sub(1)?;
        Some(())
    }

    /// Truths take a byte where they are elements.
    fn skip_element(&mut self, kind: Kind) -> Option<()> {
        if matches!(kind, Kind::Bool(_)) { self.byte().map(drop) } else { self.skip(kind) }
    }
}

/// An unsigned LEB128 number at the beginning of `bytes`, which moves on.
pub(super) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The signed number that stands behind an unsigned one: 0, -1, 1, -2, …
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}
