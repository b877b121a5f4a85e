//! The scans of JPEG (ITU-T T.81 §F, §G): from bits to coefficients, and, where a scan holds all of an image, on to its
//! pixels.

use super::jpeg::{Component, ZIGZAG};
use super::jpeg_huffman::{Bits, Fault, Huffman};
use super::jpeg_idct::Block;
use super::jpeg_planes::Canvas;
use crate::error::{Error, Result};

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

const START: State = State { predictions: [0; 4], end_of_band: 0 };

/// How far it is to the next restart marker.
struct Restarts {
    interval: usize,
    left: usize,
    number: u8,
}

impl Restarts {
    fn new(interval: usize) -> Self {
        Self { interval, left: interval, number: 0 }
    }

    /// To be called before every MCU.
    #[inline]
    fn pass(&mut self, bits: &mut Bits<'_>, state: &mut State) -> Result<()> {
        if self.interval == 0 {
            return Ok(());
        }
        if self.left == 0 {
            bits.restart(self.number)?;
            *state = START;
            (self.left, self.number) = (self.interval, self.number.wrapping_add(1) & 7);
        }
        self.left = self.left.saturating_sub(1);
        Ok(())
    }
}

/// MCUs of a scan, across and down. A scan of one component has MCUs of one block, and no padding blocks.
fn mcus(scan: &Scan<'_>, components: &[Component]) -> (usize, usize) {
    let single = match scan.parts.as_slice() {
        [(index, _, _)] => components.get(*index).map(|c| (c.blocks.0, c.blocks.1.min(c.rows))),
        _ => None,
    };
    single.unwrap_or((scan.mcus.0, scan.mcus.1.min(scan.kept)))
}

/// Decodes a scan into the components' coefficients.
pub(super) fn decode(scan: &Scan<'_>, components: &mut [Component], bits: &mut Bits<'_>) -> Result<()> {
    let (mut state, mut restarts) = (START, Restarts::new(scan.restart_interval));
    let (across, down) = mcus(scan, components);
    for y in 0..down {
        for x in 0..across {
            restarts.pass(bits, &mut state)?;
            for &(index, dc, ac) in &scan.parts {
                let component = components.get_mut(index).ok_or(Fault::NoCode)?;
                let (h, v) = if scan.parts.len() == 1 { (1, 1) } else { component.sampling };
                for by in 0..v {
                    for bx in 0..h {
                        let (column, row) =
                            (x.saturating_mul(h).saturating_add(bx), y.saturating_mul(v).saturating_add(by));
                        let block = component.block(column, row).ok_or(Fault::NoCode)?;
                        let prediction = state.predictions.get_mut(index).ok_or(Fault::NoCode)?;
                        if !scan.progressive {
                            let mut whole = EMPTY;
                            sequential(bits, table(dc)?, table(ac)?, prediction, &[1; 64], &mut whole)?;
                            *block = whole.coefficients;
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

/// One component in every MCU of a scan.
struct Part<'a> {
    index: usize,
    dc: &'a Huffman,
    ac: &'a Huffman,
    quantisers: &'a [u16; 64],
    /// Blocks across and down.
    blocks: (usize, usize),
}

/// Decodes a sequential scan of all components, and paints their pixels as they come: what is decoded is still in the
/// processor's cache when it is looked at again.
pub(super) fn paint(
    scan: &Scan<'_>,
    components: &[Component],
    bits: &mut Bits<'_>,
    canvas: &mut Canvas<'_>,
) -> Result<()> {
    let (mut state, mut restarts) = (START, Restarts::new(scan.restart_interval));
    let (across, down) = mcus(scan, components);
    let mut parts = Vec::with_capacity(scan.parts.len());
    for &(index, dc, ac) in &scan.parts {
        let component = components.get(index).ok_or(Fault::NoCode)?;
        parts.push(Part {
            index,
            dc: table(dc)?,
            ac: table(ac)?,
            quantisers: component.quantisers()?,
            blocks: if scan.parts.len() == 1 { (1, 1) } else { component.sampling },
        });
    }
    let mut block = EMPTY;
    for y in 0..down {
        for x in 0..across {
            restarts.pass(bits, &mut state)?;
            for part in &parts {
                let prediction = state.predictions.get_mut(part.index).ok_or(Fault::NoCode)?;
                let (h, v) = part.blocks;
                for by in 0..v {
                    for bx in 0..h {
                        sequential(bits, part.dc, part.ac, prediction, part.quantisers, &mut block)?;
                        let column = x.wrapping_mul(h).wrapping_add(bx);
                        canvas.put(part.index, (column, by), &block, part.quantisers);
                    }
                }
            }
        }
        canvas.advance(y.saturating_add(1) == down);
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
    let slot = ZIGZAG.get(k).and_then(|&at| block.get_mut(usize::from(at))).ok_or(Fault::NoCode)?;
    *slot = to_i16(value);
    Ok(())
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "as `Bits::refill`")]
fn difference(bits: &mut Bits<'_>, dc: &Huffman, prediction: &mut i32) -> Result<i32, Fault> {
    let entry = bits.look(dc)?;
    if entry.run() > 0 {
        return Err(Fault::NoCode);
    }
    let change = bits.number(entry)?;
    let value = prediction.wrapping_add(change);
    if !(-32768..=32767).contains(&value) {
        return Err(Fault::Mean);
    }
    *prediction = value;
    Ok(value)
}

const EMPTY: Block = Block { coefficients: [0; 64], end: 0, magnitude: 0 };

/// All coefficients of one block (T.81 §F.2.2).
#[inline]
fn sequential(
    bits: &mut Bits<'_>,
    dc: &Huffman,
    ac: &Huffman,
    prediction: &mut i32,
    quantisers: &[u16; 64],
    block: &mut Block,
) -> Result<(), Fault> {
    // A copy is kept in registers.
    let mut ahead = *bits;
    let mean = difference(&mut ahead, dc, prediction)?;
    block.coefficients = [0; 64];
    let [first, ..] = &mut block.coefficients;
    *first = to_i16(mean);
    let [quantiser, ..] = quantisers;
    let mut magnitude = u64::from(mean.unsigned_abs()).wrapping_mul(u64::from(*quantiser));
    let mut k = 1_usize;
    while k < 64 {
        let entry = ahead.look(ac)?;
        if entry.size() == 0 {
            ahead.pass(entry)?;
            if entry.run() < 15 {
                break;
            }
            k = k.wrapping_add(16);
            continue;
        }
        k = k.wrapping_add(entry.run() as usize);
        let value = ahead.number(entry)?;
        let &at = ZIGZAG.get(k).ok_or(Fault::NoCode)?;
        let at = usize::from(at & 63);
        if let (Some(slot), Some(&quantiser)) = (block.coefficients.get_mut(at), quantisers.get(at)) {
            #[expect(clippy::cast_possible_truncation, reason = "15 bits and a sign")]
            let stored = value as i16;
            *slot = stored;
            magnitude =
                magnitude.wrapping_add(u64::from(value.unsigned_abs()).wrapping_mul(u64::from(quantiser)));
        }
        k = k.wrapping_add(1);
    }
    *bits = ahead;
    (block.end, block.magnitude) = (k, magnitude);
    if k > 64 { Err(Fault::NoCode) } else { Ok(()) }
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
        let value = difference(bits, table(dc)?, prediction)?;
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
        let entry = bits.look(ac)?;
        match (entry.run(), entry.size()) {
            (15, 0) => {
                bits.pass(entry)?;
                k = k.saturating_add(16);
            }
            (run, 0) => {
                bits.pass(entry)?;
                *end_of_band = band_run(bits, run)?.saturating_sub(1);
                return Ok(());
            }
            (run, _) => {
                k = k.saturating_add(run as usize);
                let value = bits.number(entry)?;
                if k > last {
                    return Err(Fault::NoCode.into());
                }
                put(block, k, value << scan.approximation.1)?;
                k = k.saturating_add(1);
            }
        }
    }
    if k > last.saturating_add(1) { Err(Fault::NoCode.into()) } else { Ok(()) }
}

/// How many blocks, from this one on, have no new coefficients.
fn band_run(bits: &mut Bits<'_>, size: u32) -> Result<u32> {
    let extra = bits.read(size)?;
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
            let entry = bits.look(ac)?;
            bits.pass(entry)?;
            let (mut run, size) = (entry.run(), entry.size());
            let mut new = 0;
            match size {
                0 if run < 15 => {
                    *end_of_band = band_run(bits, run)?;
                    break;
                }
                0 => {}
                1 => new = if bits.read(1)? == 1 { bit } else { bit.saturating_neg() },
                _ => return Err(Fault::NoCode.into()),
            }
            // Passes `run` zeros, and refines what is not zero on the way.
            loop {
                if k > last {
                    return if new == 0 && run == 0 { Ok(()) } else { Err(Fault::NoCode.into()) };
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

fn slot(block: &mut [i16; 64], k: usize) -> Result<&mut i16, Fault> {
    ZIGZAG.get(k).and_then(|&at| block.get_mut(usize::from(at))).ok_or(Fault::NoCode)
}

fn refine(bits: &mut Bits<'_>, slot: &mut i16, bit: i32) -> Result<()> {
    if bits.read(1)? == 1 && i32::from(*slot) & bit == 0 {
        let change = if *slot >= 0 { bit } else { bit.saturating_neg() };
        *slot = to_i16(i32::from(*slot).saturating_add(change));
    }
    Ok(())
}
