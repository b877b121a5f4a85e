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

/// What the next bits begin with: a code, and, if there is room for it, the number behind it as well.
#[derive(Clone, Copy)]
pub(super) struct Entry(u32);

impl Entry {
    const NONE: Self = Self(0);

    /// `size` is that of the number, when `value` holds it.
    fn new(len: u32, symbol: u8, value: Option<i32>) -> Self {
        let total = if value.is_some() { len.wrapping_add(u32::from(symbol & 15)) } else { 0 };
        Self(len | total << 5 | u32::from(symbol) << 10 | value.unwrap_or(0).cast_unsigned() << 22)
    }

    /// Bits of the code; 0 for codes that are too long to be here.
    fn len(self) -> u32 {
        self.0 & 31
    }

    /// Bits of the code and of its number; 0 when the number is not here, or is none.
    pub(super) fn total(self) -> u32 {
        self.0 >> 5 & 31
    }

    #[expect(clippy::cast_possible_truncation, reason = "these 8 bits are meant")]
    fn symbol(self) -> u8 {
        (self.0 >> 10) as u8
    }

    /// Zeros before the number.
    pub(super) fn run(self) -> u32 {
        self.0 >> 14 & 15
    }

    /// The number, -511 to 511.
    pub(super) fn value(self) -> i32 {
        self.0.cast_signed() >> 22
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
        let size = u32::from(symbol & 15);
        match free.checked_sub(size).filter(|_| size > 0) {
            None => entries.fill(Entry::new(len, symbol, None)),
            Some(rest) => {
                for (bits, entries) in (0_i32..).zip(entries.chunks_exact_mut(1 << rest)) {
                    entries.fill(Entry::new(len, symbol, Some(extend(bits, size))));
                }
            }
        }
    }

    #[inline]
    fn longer(&self, next: u32) -> Option<(u32, u8)> {
        let above = (LOOKUP as usize).saturating_add(1);
        let (len, &(_, base)) =
            (0_u32..).zip(&self.limits).skip(above).find(|&(_, &(limit, _))| next < limit)?;
        let code = i32::try_from(next >> 16_u32.saturating_sub(len)).unwrap_or(0);
        let index = usize::try_from(code.wrapping_add(base)).ok();
        Some((len, index.and_then(|at| self.symbols.get(at)).copied()?))
    }
}

/// T.81 §F.2.2.1, EXTEND: `size` bits, 1 to 15, as a number.
#[inline]
fn extend(bits: i32, size: u32) -> i32 {
    let half = 1_i32 << size.wrapping_sub(1);
    let negative = i32::from(bits < half);
    bits.wrapping_sub((half.wrapping_mul(2).wrapping_sub(1)).wrapping_mul(negative))
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
        *self = self.refilled();
    }

    /// By bytes, for where stuffed zeros or markers are.
    #[inline(never)]
    fn refilled(mut self) -> Self {
        while self.len <= 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at = self.at.saturating_add(2);
                    0xff
                }
                Some([0xff, ..] | []) | None => break,
                Some([byte, ..]) => {
                    self.at = self.at.saturating_add(1);
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << 56_u32.saturating_sub(self.len);
            self.len = self.len.saturating_add(8);
        }
        self
    }

    /// Passes bits, 0 to 32.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Result<(), Fault> {
        self.len = self.len.checked_sub(count).ok_or(Fault::Ended)?;
        self.buffer <<= count;
        Ok(())
    }

    /// `count` bits, 1 to 16, of which it is known that they have been filled in if they are there.
    #[inline]
    fn take(&mut self, count: u32) -> Result<i32, Fault> {
        let value = self.buffer >> 64_u32.wrapping_sub(count);
        self.skip(count)?;
        #[expect(clippy::cast_possible_truncation, reason = "16 bits at most")]
        Ok(value as i32)
    }

    /// `count` bits, 0 to 16.
    pub(super) fn read(&mut self, count: u32) -> Result<i32, Fault> {
        if count == 0 {
            return Ok(0);
        }
        self.refill();
        self.take(count)
    }

    /// What the next bits begin with.
    #[inline]
    pub(super) fn look(&mut self, table: &Huffman) -> Entry {
        self.refill();
        let next = (self.buffer >> 64_u32.wrapping_sub(LOOKUP)) as usize;
        table.lookup.get(next).copied().unwrap_or(Entry::NONE)
    }

    /// The symbol of the code that begins with `entry`, which [`Bits::look`] gave. Its number may follow by
    /// [`Bits::number`], without another look.
    #[inline]
    pub(super) fn symbol_of(&mut self, entry: Entry, table: &Huffman) -> Result<u8, Fault> {
        if entry.len() > 0 {
            self.skip(entry.len())?;
            return Ok(entry.symbol());
        }
        let next = u32::try_from(self.buffer >> 48).unwrap_or(0);
        match table.longer(next) {
            Some((len, symbol)) => self.skip(len).map(|()| symbol),
            None if self.len < 16 => Err(Fault::Ended),
            None => Err(Fault::NoCode),
        }
    }

    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Fault> {
        let entry = self.look(table);
        self.symbol_of(entry, table)
    }

    /// The number of `size` bits, 0 to 15, behind a symbol (T.81 §F.2.2.1, RECEIVE and EXTEND).
    #[inline]
    pub(super) fn number(&mut self, size: u32) -> Result<i32, Fault> {
        match size {
            0 => Ok(0),
            1..=15 => Ok(extend(self.take(size)?, size)),
            _ => Err(Fault::NoCode),
        }
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
