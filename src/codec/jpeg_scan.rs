//! The entropy-coded part of JPEG (ITU-T T.81 §F, §G): scans to coefficients. Strict: a code that does not exist, a
//! bit that is not there and a restart marker out of order are errors, where libjpeg guesses with a warning.

use super::jpeg::{Component, ZIGZAG};
use crate::error::{Error, Result};

/// A Huffman table, ready to be looked up.
#[derive(Clone)]
pub(super) struct Huffman {
    /// By the next 9 bits: length and symbol of the code that they start with; length 0 for longer ones.
    short: [(u8, u8); 512],
    /// By length: one beyond the last code, as the first 16 bits; where its codes' symbols start, less the first code.
    limits: [(u32, i32); 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the numbers of codes of 1 to 16 bits, and the symbols in the order of their codes.
    pub(super) fn new(counts: [u8; 16], symbols: &[u8]) -> Result<Self> {
        let mut table = Self { short: [(0, 0); 512], limits: [(0, 0); 17], symbols: symbols.to_vec() };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (len, &count) in (1_u8..).zip(&counts) {
            let first = code;
            if let Some((_, base)) = table.limits.get_mut(usize::from(len)) {
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
                if len <= 9 {
                    let at = usize::try_from(code << (9_u8.saturating_sub(len))).unwrap_or(0);
                    let end = at.saturating_add(1 << 9_u8.saturating_sub(len));
                    if let Some(entries) = table.short.get_mut(at..end) {
                        entries.fill((len, symbol));
                    }
                }
                code = code.saturating_add(1);
                index = index.saturating_add(1);
            }
            if let Some((limit, _)) = table.limits.get_mut(usize::from(len)) {
                *limit = code << 16_u8.saturating_sub(len);
            }
            code <<= 1;
        }
        Ok(table)
    }
}

/// The bits of a scan, with stuffed zeros taken out; ends at any marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// Behind the last byte taken.
    at: usize,
    /// Left-aligned.
    buffer: u64,
    len: u32,
}

fn ended() -> Error {
    Error::format("the JPEG data end, or a marker stands, where more of the image should be")
}

fn no_code() -> Error {
    Error::format(
        "the JPEG data hold a code that is not in their Huffman table, or more coefficients than a block has",
    )
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at, buffer: 0, len: 0 }
    }

    /// Where the marker is that ends the scan.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn fill(&mut self) {
        while self.len <= 56 {
            let byte = match self.data.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at = self.at.saturating_add(2);
                    0xff
                }
                Some([0xff, ..] | []) | None => return,
                Some([byte, ..]) => {
                    self.at = self.at.saturating_add(1);
                    *byte
                }
            };
            self.buffer |= u64::from(byte) << 56_u32.saturating_sub(self.len);
            self.len = self.len.saturating_add(8);
        }
    }

    fn skip(&mut self, count: u32) -> Result<()> {
        self.len = self.len.checked_sub(count).ok_or_else(ended)?;
        self.buffer <<= count;
        Ok(())
    }

    /// `count` bits, 0 to 16.
    fn read(&mut self, count: u32) -> Result<i32> {
        if count == 0 {
            return Ok(0);
        }
        if self.len < count {
            self.fill();
        }
        let value = self.buffer >> 64_u32.saturating_sub(count);
        self.skip(count)?;
        Ok(i32::try_from(value).unwrap_or(0))
    }

    /// T.81 §F.2.2.1, RECEIVE and EXTEND.
    fn signed(&mut self, count: u32) -> Result<i32> {
        if count > 15 {
            return Err(no_code());
        }
        let value = self.read(count)?;
        let half = (1_i32 << count) >> 1;
        Ok(if value < half { value.saturating_sub((1_i32 << count).saturating_sub(1)) } else { value })
    }

    fn symbol(&mut self, table: &Huffman) -> Result<u8> {
        if self.len < 16 {
            self.fill();
        }
        let next = u32::try_from(self.buffer >> 48).unwrap_or(0);
        if let Some(&(len @ 1.., symbol)) = table.short.get(usize::try_from(next >> 7).unwrap_or(0)) {
            self.skip(u32::from(len))?;
            return Ok(symbol);
        }
        for (len, &(limit, base)) in (0_u32..).zip(&table.limits).skip(10) {
            if next < limit {
                let code = i32::try_from(next >> 16_u32.saturating_sub(len)).unwrap_or(0);
                self.skip(len)?;
                let index = usize::try_from(code.wrapping_add(base)).ok();
                return index.and_then(|at| table.symbols.get(at)).copied().ok_or_else(no_code);
            }
        }
        Err(if self.len < 16 { ended() } else { no_code() })
    }

    /// Passes a restart marker, which must be number `expected` of 8.
    fn restart(&mut self, expected: u8) -> Result<()> {
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

/// What a scan's header says (T.81 §B.2.3), with its tables.
pub(super) struct Scan<'a> {
    pub(super) progressive: bool,
    /// Index of the component, DC table, AC table.
    pub(super) parts: Vec<(usize, Option<&'a Huffman>, Option<&'a Huffman>)>,
    /// First and last coefficient, in zigzag order.
    pub(super) band: (usize, usize),
    /// Bit position before and of this scan.
    pub(super) approximation: (u32, u32),
    /// In MCUs; 0 for none.
    pub(super) restart_interval: usize,
    /// MCUs across and down. Those beyond `kept` rows of them are not decoded.
    pub(super) mcus: (usize, usize),
    pub(super) kept: usize,
}

struct State {
    predictions: [i32; 4],
    /// Blocks still to come that have no new coefficients in this band.
    end_of_band: u32,
}

/// Decodes a scan into the components' coefficients.
pub(super) fn decode(scan: &Scan<'_>, components: &mut [Component], bits: &mut Bits<'_>) -> Result<()> {
    let mut state = State { predictions: [0; 4], end_of_band: 0 };
    // A scan of one component has MCUs of one block, and no padding blocks.
    let single = match scan.parts.as_slice() {
        [(index, _, _)] => components.get(*index).map(|c| (c.blocks.0, c.blocks.1.min(c.rows))),
        _ => None,
    };
    let (across, down) = single.unwrap_or((scan.mcus.0, scan.mcus.1.min(scan.kept)));
    let mut restart = (scan.restart_interval, 0_u8);
    for y in 0..down {
        for x in 0..across {
            if scan.restart_interval > 0 {
                if restart.0 == 0 {
                    bits.restart(restart.1)?;
                    state = State { predictions: [0; 4], end_of_band: 0 };
                    restart = (scan.restart_interval, (restart.1.wrapping_add(1)) & 7);
                }
                restart.0 = restart.0.saturating_sub(1);
            }
            for &(index, dc, ac) in &scan.parts {
                let component = components.get_mut(index).ok_or_else(no_code)?;
                let (h, v) = if single.is_some() { (1, 1) } else { component.sampling };
                for by in 0..v {
                    for bx in 0..h {
                        let (column, row) =
                            (x.saturating_mul(h).saturating_add(bx), y.saturating_mul(v).saturating_add(by));
                        let block = component.block(column, row).ok_or_else(no_code)?;
                        let prediction = state.predictions.get_mut(index).ok_or_else(no_code)?;
                        if !scan.progressive {
                            sequential(bits, (dc, ac), prediction, block)?;
                        } else if scan.band.0 == 0 {
                            progressive_dc(bits, scan, dc, prediction, block)?;
                        } else if scan.approximation.0 == 0 {
                            progressive_ac(bits, scan, ac, &mut state.end_of_band, block)?;
                        } else {
                            refine_ac(bits, scan, ac, &mut state.end_of_band, block)?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

type Table<'a> = Option<&'a Huffman>;

fn table(table: Table<'_>) -> Result<&Huffman> {
    table.ok_or_else(|| Error::format("a JPEG scan names a Huffman table that is not there"))
}

fn to_i16(value: i32) -> i16 {
    i16::try_from(value.clamp(-32768, 32767)).unwrap_or(0)
}

fn put(block: &mut [i16; 64], k: usize, value: i32) -> Result<()> {
    let slot = ZIGZAG.get(k).and_then(|&at| block.get_mut(usize::from(at))).ok_or_else(no_code)?;
    *slot = to_i16(value);
    Ok(())
}

fn difference(bits: &mut Bits<'_>, dc: Table<'_>, prediction: &mut i32) -> Result<i32> {
    let size = bits.symbol(table(dc)?)?;
    let value = prediction.saturating_add(bits.signed(u32::from(size))?);
    if !(-32768..=32767).contains(&value) {
        return Err(Error::format("the JPEG data hold a mean that no image can have"));
    }
    *prediction = value;
    Ok(value)
}

fn sequential(
    bits: &mut Bits<'_>,
    (dc, ac): (Table<'_>, Table<'_>),
    prediction: &mut i32,
    block: &mut [i16; 64],
) -> Result<()> {
    let mean = difference(bits, dc, prediction)?;
    put(block, 0, mean)?;
    let ac = table(ac)?;
    let mut k = 1_usize;
    while k < 64 {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (run, size) {
            (15, 0) => k = k.saturating_add(16),
            (_, 0) => break,
            _ => {
                k = k.saturating_add(run);
                let value = bits.signed(size)?;
                put(block, k, value)?;
                k = k.saturating_add(1);
            }
        }
    }
    if k > 64 { Err(no_code()) } else { Ok(()) }
}

fn progressive_dc(
    bits: &mut Bits<'_>,
    scan: &Scan<'_>,
    dc: Table<'_>,
    prediction: &mut i32,
    block: &mut [i16; 64],
) -> Result<()> {
    let shift = scan.approximation.1;
    if scan.approximation.0 == 0 {
        let value = difference(bits, dc, prediction)?;
        put(block, 0, value << shift)
    } else {
        if bits.read(1)? == 1 {
            block[0] |= 1 << shift;
        }
        Ok(())
    }
}

fn progressive_ac(
    bits: &mut Bits<'_>,
    scan: &Scan<'_>,
    ac: Table<'_>,
    end_of_band: &mut u32,
    block: &mut [i16; 64],
) -> Result<()> {
    if *end_of_band > 0 {
        *end_of_band = end_of_band.saturating_sub(1);
        return Ok(());
    }
    let ac = table(ac)?;
    let (mut k, last) = scan.band;
    while k <= last {
        let symbol = bits.symbol(ac)?;
        let (run, size) = (symbol >> 4, u32::from(symbol & 15));
        match (run, size) {
            (15, 0) => k = k.saturating_add(16),
            (_, 0) => {
                *end_of_band = band_run(bits, run)?.saturating_sub(1);
                return Ok(());
            }
            _ => {
                k = k.saturating_add(usize::from(run));
                let value = bits.signed(size)?;
                if k > last {
                    return Err(no_code());
                }
                put(block, k, value << scan.approximation.1)?;
                k = k.saturating_add(1);
            }
        }
    }
    if k > last.saturating_add(1) { Err(no_code()) } else { Ok(()) }
}

/// How many blocks, from this one on, have no new coefficients.
fn band_run(bits: &mut Bits<'_>, size: u8) -> Result<u32> {
    let extra = bits.read(u32::from(size))?;
    Ok((1_u32 << size).saturating_add(u32::try_from(extra).unwrap_or(0)))
}

fn refine_ac(
    bits: &mut Bits<'_>,
    scan: &Scan<'_>,
    ac: Table<'_>,
    end_of_band: &mut u32,
    block: &mut [i16; 64],
) -> Result<()> {
    let (mut k, last) = scan.band;
    let bit = 1_i32 << scan.approximation.1;
    if *end_of_band == 0 {
        let ac = table(ac)?;
        while k <= last {
            let symbol = bits.symbol(ac)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            let mut new = 0;
            match size {
                0 if run < 15 => {
                    *end_of_band = band_run(bits, run)?;
                    break;
                }
                0 => {}
                1 => new = if bits.read(1)? == 1 { bit } else { bit.saturating_neg() },
                _ => return Err(no_code()),
            }
            // Passes `run` zeros, and refines what is not zero on the way.
            loop {
                if k > last {
                    return if new == 0 && run == 0 { Ok(()) } else { Err(no_code()) };
                }
                let slot = slot(block, k)?;
                if *slot != 0 {
                    refine(bits, slot, bit)?;
                } else if run == 0 {
                    if new != 0 {
                        *slot = to_i16(new);
                    }
                    k = k.saturating_add(1);
                    break;
                } else {
                    run = run.saturating_sub(1);
                }
                k = k.saturating_add(1);
            }
        }
    }
    if *end_of_band > 0 {
        while k <= last {
            let slot = slot(block, k)?;
            if *slot != 0 {
                refine(bits, slot, bit)?;
            }
            k = k.saturating_add(1);
        }
        *end_of_band = end_of_band.saturating_sub(1);
    }
    Ok(())
}

fn slot(block: &mut [i16; 64], k: usize) -> Result<&mut i16> {
    ZIGZAG.get(k).and_then(|&at| block.get_mut(usize::from(at))).ok_or_else(no_code)
}

fn refine(bits: &mut Bits<'_>, slot: &mut i16, bit: i32) -> Result<()> {
    if bits.read(1)? == 1 && i32::from(*slot) & bit == 0 {
        let change = if *slot >= 0 { bit } else { bit.saturating_neg() };
        *slot = to_i16(i32::from(*slot).saturating_add(change));
    }
    Ok(())
}
