//! The values of one field, as bytes in little-endian order, and their readings.

use bytes::Bytes;

use super::code::{ByteOrder, FieldType};

/// The values of one field. The bytes are little-endian whatever the file was, so that a value that is only
/// handed on needs no reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Their type.
    pub kind: FieldType,
    /// Their number.
    pub count: u64,
    /// Their bytes, little-endian.
    pub bytes: Bytes,
}

impl Value {
    /// From bytes in a file's byte order. `bytes` holds whole values.
    #[must_use]
    pub fn from_file(kind: FieldType, count: u64, bytes: Bytes, order: ByteOrder) -> Self {
        let unit = kind.widths().map_or(1, |(_, unit)| unit);
        let bytes = if order == ByteOrder::Big && unit > 1 {
            let mut swapped = bytes.to_vec();
            swapped.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
            swapped.into()
        } else {
            bytes
        };
        Self { kind, count, bytes }
    }

    /// SHORT values.
    #[must_use]
    pub fn shorts(values: &[u16]) -> Self {
        Self::of(FieldType::Short, values.len(), values.iter().flat_map(|v| v.to_le_bytes()))
    }

    /// LONG values.
    #[must_use]
    pub fn longs(values: &[u32]) -> Self {
        Self::of(FieldType::Long, values.len(), values.iter().flat_map(|v| v.to_le_bytes()))
    }

    /// LONG8 values, which only a BigTIFF may hold.
    #[must_use]
    pub fn long8s(values: &[u64]) -> Self {
        Self::of(FieldType::Long8, values.len(), values.iter().flat_map(|v| v.to_le_bytes()))
    }

    /// DOUBLE values.
    #[must_use]
    pub fn doubles(values: &[f64]) -> Self {
        Self::of(FieldType::Double, values.len(), values.iter().flat_map(|v| v.to_le_bytes()))
    }

    /// A text; the closing NUL is added.
    #[must_use]
    pub fn ascii(text: &str) -> Self {
        Self::of(FieldType::Ascii, text.len().saturating_add(1), text.bytes().chain([0]))
    }

    /// ASCII values as a file held them, closing NUL and all.
    #[must_use]
    pub fn ascii_bytes(bytes: &[u8]) -> Self {
        Self::of(FieldType::Ascii, bytes.len(), bytes.iter().copied())
    }

    fn of(kind: FieldType, count: usize, bytes: impl Iterator<Item = u8>) -> Self {
        Self { kind, count: count as u64, bytes: bytes.collect() }
    }

    /// Unsigned integers of any width; `None` when the type is another.
    #[must_use]
    pub fn u64s(&self) -> Option<Vec<u64>> {
        let (_, unit) = self.kind.widths()?;
        let whole = matches!(
            self.kind,
            FieldType::Byte
                | FieldType::Short
                | FieldType::Long
                | FieldType::Ifd
                | FieldType::Long8
                | FieldType::Ifd8
        );
        whole.then(|| self.bytes.chunks_exact(unit).map(little_endian).collect())
    }

    /// The first unsigned integer.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        self.u64s()?.first().copied()
    }

    /// DOUBLE or FLOAT values; `None` when the type is another.
    #[must_use]
    pub fn f64s(&self) -> Option<Vec<f64>> {
        let bits =
            self.bytes.chunks_exact(if self.kind == FieldType::Float { 4 } else { 8 }).map(little_endian);
        if self.kind == FieldType::Double {
            Some(bits.map(f64::from_bits).collect())
        } else if self.kind == FieldType::Float {
            Some(bits.filter_map(|b| u32::try_from(b).ok()).map(|b| f64::from(f32::from_bits(b))).collect())
        } else {
            None
        }
    }

    /// The text up to its first NUL, bytes that are not UTF-8 replaced; `None` when the type is not ASCII.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        matches!(self.kind, FieldType::Ascii | FieldType::Byte | FieldType::Undefined).then(|| {
            let text = self.bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(text).into_owned()
        })
    }
}

/// An unsigned integer of up to 8 bytes.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte))
}
