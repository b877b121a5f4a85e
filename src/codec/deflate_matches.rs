//! A quick deflater for tiles. It looks for matches as most deflaters do, in chains of places of the same four bytes,
//! with two savings. In the noise of measured values there are next to none: after a few misses it looks less often,
//! and what it passed over it finds by going back from the next match. And the chains are followed far only where the
//! block before showed that matches, not literals, make up the data, as in classifications and masks.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "positions within a tile in memory, of at most MAX_INPUT bytes, and lengths of at most 258"
)]
#![expect(clippy::indexing_slicing, reason = "the indices are remainders by the lengths of the arrays")]

use super::deflate_blocks::{Sequence, Writer};

const HASH_BITS: u32 = 15;
/// As far as a match may reach back in bytes (RFC 1951 §2).
const WINDOW: u32 = 32768;
/// The longest match in bytes.
const MAX_LENGTH: usize = 258;
/// A match of so many bytes is taken without a look at what the next byte would give.
const GOOD_LENGTH: usize = 32;
/// A match of so many bytes always takes less than the literals.
const WORTH_LENGTH: usize = 8;
/// Places looked at where literals make up the data, where matches do, and where few matches do.
const SHALLOW: u32 = 2;
const DEEP: u32 = 24;
const DEEPEST: u32 = 128;
/// After so many misses the next step is a byte longer, up to so many bytes.
const MISSES: usize = 32;
const MAX_STEP: usize = 8;
/// Input bytes of a block, which has its own codes.
const BLOCK: usize = 1 << 16;
/// No position: so far ahead of all others that it is out of every window.
const NOWHERE: u32 = 1 << 31;
/// Bytes that are compressed at most: positions must be told from [`NOWHERE`].
pub(super) const MAX_INPUT: usize = 1 << 30;

/// Chains of positions, the latest first, of four bytes that hash alike.
#[derive(Debug)]
pub(super) struct Matches {
    latest: Box<[u32; 1 << HASH_BITS]>,
    /// What was the latest before, by position in the window.
    earlier: Box<[u32; WINDOW as usize]>,
    sequences: Vec<Sequence>,
}

/// Bytes from `at` that are equal to those from `before`, up to the longest match; `at` is the later one.
fn equal_bytes(data: &[u8], before: usize, at: usize) -> usize {
    let (Some(before), Some(at)) = (data.get(before..), data.get(at..)) else { return 0 };
    let at = at.get(..MAX_LENGTH).unwrap_or(at);
    let Some(before) = before.get(..at.len()) else { return 0 };
    let (chunks, rest) = at.as_chunks::<8>();
    let (chunks_before, rest_before) = before.as_chunks::<8>();
    let mut equal = 0;
    for (a, b) in chunks.iter().zip(chunks_before) {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return equal + differing.trailing_zeros() as usize / 8;
        }
        equal += 8;
    }
    equal + rest.iter().zip(rest_before).take_while(|(a, b)| a == b).count()
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

impl Matches {
    #[expect(clippy::large_stack_arrays, reason = "they go to the heap at once, once a thread")]
    pub(super) fn new() -> Self {
        Self {
            latest: Box::new([NOWHERE; 1 << HASH_BITS]),
            earlier: Box::new([NOWHERE; WINDOW as usize]),
            sequences: Vec::new(),
        }
    }

    /// Notes where four bytes are, and returns where they may have been before.
    #[inline]
    fn insert(&mut self, word: u32, at: usize) -> u32 {
        let hash = word.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS);
        let latest = &mut self.latest[hash as usize % (1 << HASH_BITS)];
        let earlier = &mut self.earlier[at % WINDOW as usize];
        // A position may be looked at twice.
        if *latest != at as u32 {
            *earlier = *latest;
            *latest = at as u32;
        }
        *earlier
    }

    /// The longest match at a position that is longer than `least`, its length and where it was before, having noted
    /// the position; 0 for none. `depth` places are looked at.
    #[inline]
    fn find(&mut self, data: &[u8], at: usize, depth: u32, least: usize) -> (usize, usize) {
        let Some(here) = word(data, at) else { return (0, 0) };
        let mut before = self.insert(here, at);
        let mut best = (least, 0);
        for _ in 0..depth {
            let distance = (at as u32).wrapping_sub(before);
            if !(1..=WINDOW).contains(&distance) {
                break;
            }
            let place = before as usize;
            // Only what has also the four bytes at the end of a longer match can be one.
            let end = best.0.saturating_sub(3);
            if word(data, place) == Some(here) && word(data, place + end) == word(data, at + end) {
                let length = equal_bytes(data, place, at);
                if length > best.0 {
                    best = (length, place);
                }
                if length >= MAX_LENGTH {
                    break;
                }
            }
            before = self.earlier[place % WINDOW as usize];
        }
        if best.0 == least { (0, 0) } else { best }
    }

    /// A zlib stream of `data`, of which there are at most [`MAX_INPUT`] bytes.
    pub(super) fn compress(&mut self, data: &[u8]) -> Vec<u8> {
        self.latest.fill(NOWHERE);
        let mut out = Vec::with_capacity(data.len() / 2 + 64);
        // Deflate with a window of 32 KiB, made fast (RFC 1950 §2.2).
        out.extend([0x78, 0x01]);
        let mut writer = Writer::new(out);
        let (mut start, mut literal_bits, mut depth) = (0, 6 * 16, DEEPEST);
        loop {
            let end = self.sequences_of_block(data, start, literal_bits, depth);
            let is_last = end == data.len();
            let block = data.get(start..end).unwrap_or_default();
            literal_bits = writer.block(block, &self.sequences, is_last);
            let literals: usize = self.sequences.iter().map(|sequence| sequence.literals as usize).sum();
            depth = if self.sequences.len() < block.len() / 40 && literals < block.len() / 8 {
                DEEPEST
            } else if literals < block.len() / 3 {
                DEEP
            } else {
                SHALLOW
            };
            start = end;
            if is_last {
                break;
            }
        }
        let mut out = writer.finish();
        out.extend(simd_adler32::adler32(&data).to_be_bytes());
        out
    }

    /// Finds the sequences of the block that begins at `start`, and returns its end. An average literal takes about
    /// `literal_bits` sixteenths of a bit.
    fn sequences_of_block(&mut self, data: &[u8], start: usize, literal_bits: u32, depth: u32) -> usize {
        self.sequences.clear();
        // The first one is short: nothing is known yet.
        let limit = data.len().min(if start == 0 { BLOCK / 4 } else { start + BLOCK });
        let (mut at, mut literals, mut misses) = (start, start, 0_usize);
        while at < limit {
            let (mut length, mut before) = self.find(data, at, depth, 0);
            if length == 0 {
                misses += 1;
                at += (1 + misses / MISSES).min(MAX_STEP);
                continue;
            }
            if length < GOOD_LENGTH {
                let (next, next_before) = self.find(data, at + 1, depth, length);
                if next > length {
                    (length, before) = (next, next_before);
                    at += 1;
                }
            }
            let found = at + 1;
            // Back over what was passed over.
            while at > literals
                && before > 0
                && length < MAX_LENGTH
                && data.get(at - 1) == data.get(before - 1)
            {
                (at, before, length) = (at - 1, before - 1, length + 1);
            }
            let distance = at - before;
            // About the bits of a match whose length is a rare one, against those of the literals; in sixteenths.
            if length < WORTH_LENGTH && length as u32 * literal_bits < 16 * (11 + (distance as u32).ilog2()) {
                misses += 1;
                at = found + (misses / MISSES).min(MAX_STEP - 1);
                continue;
            }
            self.sequences.push(Sequence {
                literals: (at - literals) as u32,
                length: length as u16,
                distance: distance as u16,
            });
            let end = at + length;
            for inside in found..end {
                if let Some(word) = word(data, inside) {
                    self.insert(word, inside);
                }
            }
            (at, literals, misses) = (end, end, 0);
        }
        let end = literals.max(limit);
        self.sequences.push(Sequence { literals: (end - literals) as u32, length: 0, distance: 0 });
        end
    }
}
