//! Reading FlatBuffers' tables (FlatBuffers Internals, "Encoding"), every access checked.

use crate::error::{Error, Result};

/// A table within a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    buffer: &'a [u8],
    at: usize,
    /// The offsets of its fields, two bytes each.
    offsets: &'a [u8],
}

fn torn() -> Error {
    Error::format("an offset in a FlatBuffers table that points out of its buffer; the file is damaged")
}

fn array<const N: usize>(buffer: &[u8], at: usize) -> Result<&[u8; N]> {
    buffer.get(at..).and_then(<[u8]>::first_chunk).ok_or_else(torn)
}

fn u32_at(buffer: &[u8], at: usize) -> Result<usize> {
    usize::try_from(u32::from_le_bytes(*array(buffer, at)?)).map_err(|cause| torn().caused_by(cause))
}

impl<'a> Table<'a> {
    /// The root of a buffer, which begins with its offset.
    pub(super) fn root(buffer: &'a [u8]) -> Result<Self> {
        Self::new(buffer, u32_at(buffer, 0)?)
    }

    fn new(buffer: &'a [u8], at: usize) -> Result<Self> {
        let back = i64::from(i32::from_le_bytes(*array(buffer, at)?));
        let vtable = i64::try_from(at).ok().and_then(|at| at.checked_sub(back));
        let vtable = vtable.and_then(|vtable| usize::try_from(vtable).ok()).ok_or_else(torn)?;
        let bytes = usize::from(u16::from_le_bytes(*array(buffer, vtable)?));
        let offsets = buffer.get(vtable..vtable.saturating_add(bytes)).and_then(|vtable| vtable.get(4..));
        Ok(Self { buffer, at, offsets: offsets.ok_or_else(torn)? })
    }

    /// Where field `id` is, if the table has it.
    fn field(&self, id: usize) -> Option<usize> {
        let offset = self.offsets.as_chunks().0.get(id)?;
        Some(u16::from_le_bytes(*offset))
            .filter(|offset| *offset > 0)
            .map(|offset| self.at.saturating_add(offset.into()))
    }

    /// The bytes of a number; zeros when it is absent, which is the default of most.
    pub(super) fn number<const N: usize>(&self, id: usize) -> Result<[u8; N]> {
        self.field(id).map_or(Ok([0; N]), |at| array(self.buffer, at).copied())
    }

    /// Whether the field is there.
    pub(super) fn has(&self, id: usize) -> bool {
        self.field(id).is_some()
    }

    /// What a field refers to.
    fn target(&self, id: usize) -> Result<Option<usize>> {
        let Some(at) = self.field(id) else { return Ok(None) };
        Ok(Some(at.saturating_add(u32_at(self.buffer, at)?)))
    }

    /// A table.
    pub(super) fn table(&self, id: usize) -> Result<Option<Self>> {
        self.target(id)?.map(|at| Self::new(self.buffer, at)).transpose()
    }

    /// The elements of a vector, of `N` bytes each; empty when it is absent.
    pub(super) fn vector<const N: usize>(&self, id: usize) -> Result<&'a [[u8; N]]> {
        let Some(at) = self.target(id)? else { return Ok(&[]) };
        let bytes = u32_at(self.buffer, at)?.checked_mul(N).ok_or_else(torn)?;
        let start = at.saturating_add(4);
        let elements = self.buffer.get(start..start.saturating_add(bytes)).ok_or_else(torn)?;
        Ok(elements.as_chunks().0)
    }

    /// The tables of a vector; several elements may be the same table.
    pub(super) fn tables(&self, id: usize) -> Result<impl ExactSizeIterator<Item = Result<Self>>> {
        let (buffer, at) = (self.buffer, self.target(id)?.unwrap_or(0));
        let offsets = self.vector::<4>(id)?;
        Ok(offsets.iter().enumerate().map(move |(place, offset)| {
            let offset =
                usize::try_from(u32::from_le_bytes(*offset)).map_err(|cause| torn().caused_by(cause))?;
            Self::new(
                buffer,
                at.saturating_add(4).saturating_add(place.saturating_mul(4)).saturating_add(offset),
            )
        }))
    }

    /// Text; `None` when it is absent or empty.
    pub(super) fn text(&self, id: usize) -> Result<Option<String>> {
        let bytes = self.vector::<1>(id)?.as_flattened();
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()).filter(|text| !text.is_empty()))
    }
}
