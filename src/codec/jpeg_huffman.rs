//! The bits of JPEG's scans and the Huffman codes in them (ITU-T T.81 §C, §F.2.2). Strict: a code that does not exist, a
//! bit that is not there and a restart marker out of order are errors, where libjpeg guesses with a warning.

use crate::error::{Error, Result};

/// What may be wrong with a code or a bit. Small, because blocks are made of millions of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    Ended,
    NoCode,
    Mean,
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::format(match fault {
            Fault::Ended => "the JPEG data end, or a marker stands, where more of the image should be",
            Fault::NoCode => {
                "the JPEG data hold a code that is not in their Huffman table, or more coefficients than a block has"
            }
            Fault::Mean => "the JPEG data hold a mean that no image can have",
        })
    }
}

/// Bits that are looked up at once.
const LOOKUP: u32 = 10;

/// A code that the next bits begin with, and what its symbol says of the number behind it.
#[derive(Clone, Copy)]
pub(super) struct Entry(u32);

impl Entry {
    const NONE: Self = Self(0);

    fn new(len: u32, symbol: u8) -> Self {
        let size = u32::from(symbol & 15);
        Self(len.wrapping_add(size) | len << 6 | size << 12 | u32::from(symbol >> 4) << 16)
    }

    /// Bits of the code and of the number, 1 to 31. First, because a shift by the whole entry is one by these bits.
    fn total(self) -> u32 {
        self.0 & 63
    }

    /// Bits of the code, 1 to 16.
    fn len(self) -> u32 {
        self.0 >> 6 & 31
    }

    /// Bits of the number, 0 to 15.
    pub(super) fn size(self) -> u32 {
        self.0 >> 12 & 15
    }

    /// Zeros before the number.
    pub(super) fn run(self) -> u32 {
        self.0 >> 16
    }
}

/// A Huffman table, ready to be looked up.
#[derive(Clone)]
pub(super) struct Huffman {
    /// By the next bits.
    lookup: Box<[Entry; 1 << LOOKUP]>,
    /// By length: one beyond the last code, as the first 16 bits; where its codes' symbols start, less the first code.
    limits: [(u32, i32); 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the numbers of codes of 1 to 16 bits, and the symbols in the order of their codes.
    pub(super) fn new(counts: [u8; 16], symbols: &[u8]) -> Result<Self> {
        let mut table = Self {
            lookup: Box::new([Entry::NONE; 1 << LOOKUP]),
            limits: [(0, 0); 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (len, &count) in (1_u32..).zip(&counts) {
            let first = code;
            let limit = table.limits.get_mut(len as usize);
            if let Some((_, base)) = limit {
                *base = i32::try_from(index).unwrap_or(0).wrapping_sub(i32::try_from(first).unwrap_or(0));
            }
            for _ in 0..count {
                let &symbol =
                    symbols.get(index).ok_or_else(|| Error::format("a JPEG Huffman table is short"))?;
                if code >> len != 0 {
                    return Err(Error::format(format!(
                        "a JPEG Huffman table has too many codes of {len} bits"
                    )));
                }
                table.enter(code, len, symbol);
                code = code.saturating_add(1);
                index = index.saturating_add(1);
            }
            if let Some((limit, _)) = table.limits.get_mut(len as usize) {
                *limit = code << 16_u32.saturating_sub(len);
            }
            code <<= 1;
        }
        Ok(table)
    }

    fn enter(&mut self, code: u32, len: u32, symbol: u8) {
        let Some(free) = LOOKUP.checked_sub(len) else { return };
        let at = (code << free) as usize;
        let Some(entries) = self.lookup.get_mut(at..at.saturating_add(1 << free)) else { return };
        entries.fill(Entry::new(len, symbol));
    }

    /// The code that 16 bits begin with, if it is too long to be looked up.
    #[inline(never)]
    fn longer(&self, next: u32) -> Option<Entry> {
        let above = (LOOKUP as usize).saturating_add(1);
        let (len, &(_, base)) =
            (0_u32..).zip(&self.limits).skip(above).find(|&(_, &(limit, _))| next < limit)?;
        let code = i32::try_from(next >> 16_u32.saturating_sub(len)).unwrap_or(0);
        let index = usize::try_from(code.wrapping_add(base)).ok();
        index.and_then(|at| self.symbols.get(at)).map(|&symbol| Entry::new(len, symbol))
    }
}

/// The bits of a scan, with stuffed zeros taken out; ends at any marker.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Behind the last byte taken.
    at: usize,
    /// Left-aligned. What is behind `len` bits is zero or bits of the bytes at `at`.
    buffer: u64,
    len: u32,
}

/// Fills in bits by bytes, for where stuffed zeros or markers are. Without a reference to [`Bits`], which would then not
/// be kept in registers.
#[inline(never)]
fn by_bytes(data: &[u8], mut at: usize, mut buffer: u64, mut len: u32) -> (usize, u64, u32) {
    while len <= 56 {
        let byte = match data.get(at..) {
            Some([0xff, 0, ..]) => {
                at = at.saturating_add(2);
                0xff
            }
            Some([0xff, ..] | []) | None => break,
            Some([byte, ..]) => {
                at = at.saturating_add(1);
                *byte
            }
        };
        buffer |= u64::from(byte) << 56_u32.saturating_sub(len);
        len = len.saturating_add(8);
    }
    (at, buffer, len)
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, buffer: 0, len: 0 }
    }

    /// Where the marker is that ends the scan.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Sees to it that there are 32 bits, the most that a code and its number take, or all that are left. Bits that are
    /// looked at beyond these are then zero.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "millions of calls; the loops around keep these fields in registers"
    )]
    pub(super) fn refill(&mut self) {
        if self.len >= 32 {
            return;
        }
        if let Some(bytes) = self.data.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            const ONES: u64 = 0x0101_0101_0101_0101;
            let word = u64::from_be_bytes(*bytes);
            // No byte of all ones, that is, no zero byte in the complement.
            if (!word).wrapping_sub(ONES) & word & ONES << 7 == 0 {
                self.buffer |= word >> self.len;
                let count = 63_u32.wrapping_sub(self.len) >> 3;
                self.at = self.at.wrapping_add(count as usize);
                self.len = self.len.wrapping_add(count << 3);
                return;
            }
        }
        (self.at, self.buffer, self.len) = by_bytes(self.data, self.at, self.buffer, self.len);
    }

    /// Passes bits, 0 to 32.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Result<(), Fault> {
        self.len = self.len.checked_sub(count).ok_or(Fault::Ended)?;
        self.buffer = self.buffer.wrapping_shl(count);
        Ok(())
    }

    /// `count` bits, 0 to 16.
    pub(super) fn read(&mut self, count: u32) -> Result<i32, Fault> {
        if count == 0 {
            return Ok(0);
        }
        self.refill();
        let value = self.buffer >> 64_u32.wrapping_sub(count);
        self.skip(count)?;
        Ok(i32::try_from(value).unwrap_or(0))
    }

    /// The code that the next bits begin with. It and its number are all there unless the data end.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as `refill`")]
    pub(super) fn look(&mut self, table: &Huffman) -> Result<Entry, Fault> {
        self.refill();
        let next = usize::try_from(self.buffer >> 64_u32.wrapping_sub(LOOKUP)).unwrap_or(0);
        match table.lookup.get(next) {
            Some(&entry) if entry.0 != 0 => Ok(entry),
            _ => match table.longer(u32::try_from(self.buffer >> 48).unwrap_or(0)) {
                Some(entry) => Ok(entry),
                None if self.len < 16 => Err(Fault::Ended),
                None => Err(Fault::NoCode),
            },
        }
    }

    /// Passes the code that [`Bits::look`] gave.
    #[inline]
    pub(super) fn pass(&mut self, entry: Entry) -> Result<(), Fault> {
        self.skip(entry.len())
    }

    /// Passes the code that [`Bits::look`] gave, and the number behind it (T.81 §F.2.2.1, RECEIVE and EXTEND), -32767 to
    /// 32767.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "15 bits and a sign")]
    pub(super) fn number(&mut self, entry: Entry) -> Result<i32, Fault> {
        let (size, bits) = (entry.size(), self.buffer << entry.len());
        self.skip(entry.total())?;
        // Without bits: zero. Two shifts, as there is none by 64.
        let value = (bits >> 1 >> 63_u32.wrapping_sub(size)) as i32;
        let negative = !(bits.cast_signed() >> 63) as i32;
        Ok(value.wrapping_sub(negative & (1_i32 << size).wrapping_sub(1)))
    }

    /// Passes a restart marker, which must be number `expected` of 8.
    pub(super) fn restart(&mut self, expected: u8) -> Result<()> {
        // Only padding may be left.
        if self.len >= 8 {
            return Err(Error::format("the JPEG data have no restart marker where one should be"));
        }
        (self.buffer, self.len) = (0, 0);
        while let Some([0xff, 0xff, ..]) = self.data.get(self.at..) {
            self.at = self.at.saturating_add(1);
        }
        match self.data.get(self.at..) {
            Some([0xff, marker, ..]) if *marker == 0xd0 | expected => {
                self.at = self.at.saturating_add(2);
                Ok(())
            }
            _ => Err(Error::format(
                "the JPEG data have no restart marker, or a wrong one, where one should be",
            )),
        }
    }
}
