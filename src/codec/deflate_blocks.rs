//! Deflate's blocks (RFC 1951 §3.2): literals and matches to bits, with the block's own Huffman codes, with the fixed
//! ones, or stored, whichever is smallest.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "counts of bits and bytes of a block, which are far from overflowing"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "indices are symbols of fixed alphabets; the room for a block's bits is made before they are written"
)]

/// Some literals, and then a match. The literals are the next bytes of the block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    /// Bytes before the match.
    pub(super) literals: u32,
    /// Bytes that are the same as those `distance` before: 3 to 258; 0 when the block ends without a match.
    pub(super) length: u16,
    /// From 1 to 32768.
    pub(super) distance: u16,
}

/// Symbols of literals and lengths, and the one that ends a block among them.
const LITERALS: usize = 288;
const END: usize = 256;
/// Symbols of distances.
const DISTANCES: usize = 30;
/// Four of these fit the writer's buffer; RFC 1951 allows 15, and that makes next to no difference.
const MAX_LITERAL_BITS: u8 = 14;
const MAX_DISTANCE_BITS: u8 = 15;
/// Symbols that stand for code lengths, in the order in which they are stored (§3.2.7).
const LENGTHS: usize = 19;
const MAX_LENGTH_BITS: u8 = 7;
const LENGTH_ORDER: [usize; LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Bytes that one stored block can hold.
const MAX_STORED: usize = 65535;

/// A symbol's code, ready to be written, and its bits.
#[derive(Clone, Copy, Debug, Default)]
struct Code {
    code: u32,
    bits: u32,
}

/// Symbol, extra bits and their value for a length of 3 to 258 (§3.2.5).
fn length_symbol(length: u16) -> (usize, u32, u32) {
    let over = u32::from(length) - 3;
    match over {
        0..8 => (257 + over as usize, 0, 0),
        255 => (285, 0, 0),
        _ => {
            let extra = over.ilog2() - 2;
            let within = over >> extra & 3;
            (261 + (extra * 4 + within) as usize, extra, over & ((1 << extra) - 1))
        }
    }
}

/// Symbol, extra bits and their value for a distance of 1 to 32768 (§3.2.5).
fn distance_symbol(distance: u16) -> (usize, u32, u32) {
    let over = u32::from(distance) - 1;
    if over < 4 {
        return (over as usize, 0, 0);
    }
    let extra = over.ilog2() - 1;
    ((extra * 2 + 2 + (over >> extra & 1)) as usize, extra, over & ((1 << extra) - 1))
}

/// The lengths of a Huffman code for symbols of these frequencies, none longer than `most`. At least two symbols get a
/// code: some inflaters want a complete one.
fn code_lengths<const N: usize>(frequencies: &[u32; N], most: u8) -> [u8; N] {
    let mut used: Vec<(u32, usize)> =
        (0..N).map(|at| (frequencies[at], at)).filter(|&(n, _)| n > 0).collect();
    for (symbol, &frequency) in frequencies.iter().enumerate() {
        if used.len() < 2 && frequency == 0 {
            used.push((1, symbol));
        }
    }
    used.sort_unstable();
    // Leaves in order, and behind them the nodes, which are made in order, too: the two least are at the fronts.
    let leaves = used.len();
    let mut weights: Vec<u32> = used.iter().map(|&(n, _)| n).collect();
    let mut parents = vec![0; leaves * 2 - 1];
    let (mut leaf, mut node) = (0, leaves);
    for made in leaves..leaves * 2 - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let least = if leaf < leaves && (node == made || weights[leaf] <= weights[node]) {
                &mut leaf
            } else {
                &mut node
            };
            weight += weights[*least];
            parents[*least] = made;
            *least += 1;
        }
        weights.push(weight);
    }
    let mut counts = [0_u32; 33];
    let mut depths = vec![0_usize; parents.len()];
    for at in (0..parents.len() - 1).rev() {
        depths[at] = depths[parents[at]] + 1;
        if at < leaves {
            // Longer ones are cut, and paid for below.
            counts[depths[at].min(usize::from(most))] += 1;
        }
    }
    // Kraft's sum, in units of the longest code. A leaf higher up becomes a node with two leaves, for one that was cut.
    let most = usize::from(most);
    let mut sum: u32 = (1..=most).map(|bits| counts[bits] << (most - bits)).sum();
    while sum > 1 << most {
        if let Some(bits) = (1..most).rev().find(|&bits| counts[bits] > 0) {
            counts[bits] -= 1;
            counts[bits + 1] += 2;
        }
        counts[most] -= 1;
        sum -= 1;
    }
    let mut lengths = [0; N];
    let mut rarest_first = used.iter();
    for bits in (1..=most).rev() {
        for &(_, symbol) in rarest_first.by_ref().take(counts[bits] as usize) {
            lengths[symbol] = u8::try_from(bits).unwrap_or(0);
        }
    }
    lengths
}

/// The codes that follow from their lengths (§3.2.2), lowest bit first as they are written.
fn codes<const N: usize>(lengths: &[u8; N]) -> [Code; N] {
    let mut next = [0_u32; 17];
    for &bits in lengths {
        if bits > 0 {
            next[usize::from(bits) + 1] += 1;
        }
    }
    for bits in 1..16 {
        next[bits + 1] = (next[bits + 1] + next[bits]) << 1;
    }
    lengths.map(|bits| {
        if bits == 0 {
            return Code::default();
        }
        let next = &mut next[usize::from(bits)];
        let code = next.reverse_bits() >> (32 - u32::from(bits));
        *next += 1;
        Code { code, bits: bits.into() }
    })
}

/// The fixed codes (§3.2.6).
fn fixed() -> ([u8; LITERALS], [u8; DISTANCES]) {
    let mut literals = [8; LITERALS];
    literals[144..256].fill(9);
    literals[256..280].fill(7);
    (literals, [5; DISTANCES])
}

/// Bits of all symbols, each as often as it occurs.
fn cost<const N: usize>(frequencies: &[u32; N], lengths: &[u8; N]) -> u64 {
    frequencies.iter().zip(lengths).map(|(&n, &bits)| u64::from(n) * u64::from(bits)).sum()
}

/// The code lengths of both codes in a row, run by run (§3.2.7): symbol, extra bits, their value.
fn length_runs(lengths: &[u8]) -> Vec<(usize, u32, u32)> {
    let mut runs = Vec::with_capacity(lengths.len());
    for run in lengths.chunk_by(|a, b| a == b) {
        let length = usize::from(run[0]);
        let mut left = run.len();
        if length == 0 {
            while left >= 11 {
                let count = left.min(138);
                runs.push((18, 7, count as u32 - 11));
                left -= count;
            }
            if left >= 3 {
                runs.push((17, 3, left as u32 - 3));
                left = 0;
            }
        } else {
            runs.push((length, 0, 0));
            left -= 1;
            while left >= 3 {
                let count = left.min(6);
                runs.push((16, 2, count as u32 - 3));
                left -= count;
            }
        }
        runs.extend(std::iter::repeat_n((length, 0, 0), left));
    }
    runs
}

/// Bits put together to bytes, the lowest first (§3.1.1).
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    /// Bytes of `out` that are written; behind them is room.
    end: usize,
    held: u64,
    count: u32,
}

impl Writer {
    /// Writes on behind `out`.
    pub(super) fn new(out: Vec<u8>) -> Self {
        let end = out.len();
        Self { out, end, held: 0, count: 0 }
    }

    /// All that was written, filled up to a whole byte.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.make_room(0);
        self.count = self.count.next_multiple_of(8);
        self.flush();
        self.out.truncate(self.end);
        self.out
    }

    /// Room for as many bits, and for what [`Self::flush`] writes beyond them.
    fn make_room(&mut self, bits: u64) {
        let bytes = usize::try_from(bits / 8).unwrap_or(usize::MAX);
        let wanted = self.end.saturating_add(bytes).saturating_add(16);
        if self.out.len() < wanted {
            self.out.resize(wanted, 0);
        }
    }

    #[inline]
    fn hold(&mut self, value: u32, bits: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += bits;
    }

    /// Leaves fewer than 8 bits.
    #[inline]
    fn flush(&mut self) {
        if let Some(to) = self.out.get_mut(self.end..).and_then(<[u8]>::first_chunk_mut) {
            *to = self.held.to_le_bytes();
        }
        self.end += self.count as usize / 8;
        self.held >>= self.count & !7;
        self.count &= 7;
    }

    /// A block: the bytes of `data`, which `sequences` make up from the first to the last. Returns the bits of an
    /// average literal, times 16.
    pub(super) fn block(&mut self, data: &[u8], sequences: &[Sequence], is_last: bool) -> u32 {
        let mut literals = [0_u32; LITERALS];
        let mut distances = [0_u32; DISTANCES];
        // Neighbours are often equal; counters of their own need not wait for each other.
        let mut odd = [0_u32; 256];
        let (mut rest, mut extra_bits) = (data, 0);
        for sequence in sequences {
            let (run, after) = rest.split_at(sequence.literals as usize);
            let (pairs, single) = run.as_chunks();
            for &[first, second] in pairs {
                literals[usize::from(first)] += 1;
                odd[usize::from(second)] += 1;
            }
            for &byte in single {
                literals[usize::from(byte)] += 1;
            }
            if sequence.length > 0 {
                let (symbol, extra, _) = length_symbol(sequence.length);
                literals[symbol] += 1;
                extra_bits += u64::from(extra);
                let (symbol, extra, _) = distance_symbol(sequence.distance);
                distances[symbol] += 1;
                extra_bits += u64::from(extra);
            }
            rest = after.get(usize::from(sequence.length)..).unwrap_or_default();
        }
        for (sum, more) in literals.iter_mut().zip(odd) {
            *sum += more;
        }
        literals[END] = 1;

        let own = (code_lengths(&literals, MAX_LITERAL_BITS), code_lengths(&distances, MAX_DISTANCE_BITS));
        let used = |lengths: &[u8], least: usize| {
            lengths.iter().rposition(|&n| n > 0).map_or(least, |at| (at + 1).max(least))
        };
        let (used_literals, used_distances) = (used(&own.0, 257), used(&own.1, 1));
        let runs = length_runs(&[&own.0[..used_literals], &own.1[..used_distances]].concat());
        let mut frequencies = [0_u32; LENGTHS];
        for &(symbol, ..) in &runs {
            frequencies[symbol] += 1;
        }
        let run_lengths = code_lengths(&frequencies, MAX_LENGTH_BITS);
        let used_lengths =
            LENGTH_ORDER.iter().rposition(|&symbol| run_lengths[symbol] > 0).map_or(4, |at| (at + 1).max(4));
        let header = 14
            + 3 * used_lengths as u64
            + cost(&frequencies, &run_lengths)
            + runs.iter().map(|&(_, extra, _)| u64::from(extra)).sum::<u64>();
        let fixed = fixed();
        let own_bits = header + cost(&literals, &own.0) + cost(&distances, &own.1) + extra_bits;
        let fixed_bits = cost(&literals, &fixed.0) + cost(&distances, &fixed.1) + extra_bits;
        let stored_bits = (data.len() as u64 + 5 * (data.len() / MAX_STORED + 1) as u64) * 8;

        self.make_room(own_bits.min(fixed_bits).min(stored_bits) + 64);
        if stored_bits < own_bits.min(fixed_bits) {
            self.stored(data, is_last);
        } else {
            self.hold(is_last.into(), 1);
            if fixed_bits <= own_bits {
                self.hold(1, 2);
                self.coded(data, sequences, &fixed.0, &fixed.1);
            } else {
                self.hold(2, 2);
                self.hold(used_literals as u32 - 257, 5);
                self.hold(used_distances as u32 - 1, 5);
                self.hold(used_lengths as u32 - 4, 4);
                self.flush();
                for symbol in &LENGTH_ORDER[..used_lengths] {
                    self.hold(run_lengths[*symbol].into(), 3);
                    self.flush();
                }
                let codes = codes(&run_lengths);
                for &(symbol, extra, value) in &runs {
                    self.hold(codes[symbol].code, codes[symbol].bits);
                    self.hold(value, extra);
                    self.flush();
                }
                self.coded(data, sequences, &own.0, &own.1);
            }
        }
        let count: u64 = literals[..256].iter().map(|&n| u64::from(n)).sum();
        let bits: u64 =
            literals[..256].iter().zip(&own.0).map(|(&n, &bits)| u64::from(n) * u64::from(bits)).sum();
        (bits * 16).checked_div(count).and_then(|bits| bits.try_into().ok()).unwrap_or(128)
    }

    fn coded(
        &mut self,
        data: &[u8],
        sequences: &[Sequence],
        literals: &[u8; LITERALS],
        distances: &[u8; DISTANCES],
    ) {
        let (literals, distances) = (codes(literals), codes(distances));
        let bytes: &[Code; 256] = literals.first_chunk().unwrap_or(&[Code { code: 0, bits: 0 }; 256]);
        let code = |byte: u8| bytes[usize::from(byte)];
        let mut rest = data;
        for sequence in sequences {
            let (run, after) = rest.split_at(sequence.literals as usize);
            let (quads, singles) = run.as_chunks();
            for &[a, b, c, d] in quads {
                let (a, b, c, d) = (code(a), code(b), code(c), code(d));
                // Two and two, so that one waits less for the other.
                let low = u64::from(a.code) | u64::from(b.code) << a.bits;
                let high = u64::from(c.code) | u64::from(d.code) << c.bits;
                let (low_bits, high_bits) = (a.bits + b.bits, c.bits + d.bits);
                self.held |= (low | high << low_bits) << self.count;
                self.count += low_bits + high_bits;
                self.flush();
            }
            for &byte in singles {
                self.hold(code(byte).code, code(byte).bits);
            }
            self.flush();
            if sequence.length > 0 {
                let (symbol, extra, value) = length_symbol(sequence.length);
                self.hold(literals[symbol].code, literals[symbol].bits);
                self.hold(value, extra);
                let (symbol, extra, value) = distance_symbol(sequence.distance);
                self.hold(distances[symbol].code, distances[symbol].bits);
                self.hold(value, extra);
                self.flush();
            }
            rest = after.get(usize::from(sequence.length)..).unwrap_or_default();
        }
        self.hold(literals[END].code, literals[END].bits);
        self.flush();
    }

    fn stored(&mut self, data: &[u8], is_last: bool) {
        let mut chunks = data.chunks(MAX_STORED).peekable();
        while let Some(chunk) = chunks.next() {
            self.hold((is_last && chunks.peek().is_none()).into(), 3);
            self.count = self.count.next_multiple_of(8);
            self.flush();
            self.hold(chunk.len() as u32 | !(chunk.len() as u32) << 16, 32);
            self.flush();
            self.out.truncate(self.end);
            self.out.extend_from_slice(chunk);
            self.end = self.out.len();
            self.make_room(64);
        }
    }
}
