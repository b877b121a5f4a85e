//! Which byte ranges are worth one request.

use std::ops::Range;

/// One request that serves one or more of the ranges that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The bytes to read, half-open.
    pub range: Range<u64>,
    /// Indices into the input of [`coalesce`], ascending: the ranges that lie within `range`.
    pub parts: Vec<usize>,
}

/// Merges neighbours in offset order when at most `max_gap` bytes lie between them and the merged range is at
/// most `max_len` bytes long; ordered by the smallest index of the input that each contains.
///
/// A single range longer than `max_len` stays whole, and ranges that it wholly contains share its bytes; ranges
/// that overlap share bytes too, unless that would exceed `max_len`. A range without length asks for nothing, but
/// is a part of some merged range all the same, so that every index of the input occurs exactly once.
#[must_use]
pub fn coalesce(ranges: &[Range<u64>], max_gap: u64, max_len: u64) -> Vec<Merged> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    // At equal starts the longest comes first, so that whatever it contains joins it for free.
    order.sort_by_key(|&i| (ranges[i].start, std::cmp::Reverse(ranges[i].end), i));
    let mut merged: Vec<Merged> = Vec::new();
    for i in order {
        let range = &ranges[i];
        let end = range.end.max(range.start);
        if let Some(last) = merged.last_mut() {
            let near = range.start.saturating_sub(last.range.end) <= max_gap;
            let union = end.max(last.range.end);
            let contained = range.start <= last.range.end && end <= last.range.end;
            if contained || (near && union - last.range.start <= max_len) {
                last.range.end = union;
                last.parts.push(i);
                continue;
            }
        }
        merged.push(Merged { range: range.start..end, parts: vec![i] });
    }
    for one in &mut merged {
        one.parts.sort_unstable();
    }
    merged.sort_by_key(|one| one.parts.first().copied());
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(ranges: &[Range<u64>], max_gap: u64, max_len: u64, expected: &[(Range<u64>, &[usize])]) {
        let got: Vec<_> = coalesce(ranges, max_gap, max_len);
        let expected: Vec<_> = expected
            .iter()
            .map(|(range, parts)| Merged { range: range.clone(), parts: parts.to_vec() })
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "a reversed range must not upset it")]
    #[expect(clippy::single_range_in_vec_init, reason = "one range is meant")]
    fn table() {
        check(&[], 0, 100, &[]);
        // Neighbours touch: no gap.
        check(&[0..10, 10..20], 0, 100, &[(0..20, &[0, 1])]);
        // A gap of exactly max_gap merges, one more does not.
        check(&[0..10, 14..20], 4, 100, &[(0..20, &[0, 1])]);
        check(&[0..10, 15..20], 4, 100, &[(0..10, &[0]), (15..20, &[1])]);
        // The merged length may reach max_len, and not exceed it.
        check(&[0..10, 10..20], 0, 20, &[(0..20, &[0, 1])]);
        check(&[0..10, 10..21], 0, 20, &[(0..10, &[0]), (10..21, &[1])]);
        // A longer range stays whole, and what it contains shares it.
        check(&[0..1000, 10..20], 0, 50, &[(0..1000, &[0, 1])]);
        // Equal ranges are read once.
        check(&[5..9, 5..9, 5..9], 0, 100, &[(5..9, &[0, 1, 2])]);
        check(&[5..90, 5..90], 0, 10, &[(5..90, &[0, 1])]);
        // The order is that of the smallest index, not of the offsets.
        check(&[50..60, 0..5, 62..70], 4, 100, &[(50..70, &[0, 2]), (0..5, &[1])]);
        // Overlapping ranges beyond max_len stay apart.
        check(&[0..8, 4..12], 0, 10, &[(0..8, &[0]), (4..12, &[1])]);
        // Without length.
        check(&[7..7], 0, 100, &[(7..7, &[0])]);
        check(&[0..10, 4..4, 10..10], 0, 100, &[(0..10, &[0, 1, 2])]);
        check(&[9..3], 0, 100, &[(9..9, &[0])]);
        // The ends of the number line.
        check(&[u64::MAX - 1..u64::MAX, 0..1], u64::MAX, u64::MAX, &[(0..u64::MAX, &[0, 1])]);
    }

    #[test]
    fn every_index_occurs_once_and_lies_within() {
        // A fixed linear congruential sequence: many shapes, always the same.
        let mut state = 1_u64;
        let mut next = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        for _ in 0..500 {
            let count = next(20);
            let ranges: Vec<_> = (0..count)
                .map(|_| {
                    let start = next(1000);
                    start..start + next(60)
                })
                .collect();
            let merged = coalesce(&ranges, next(30), 1 + next(200));
            let mut seen: Vec<_> = merged.iter().flat_map(|m| m.parts.clone()).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..ranges.len()).collect::<Vec<_>>());
            for one in &merged {
                for &i in &one.parts {
                    assert!(one.range.start <= ranges[i].start && ranges[i].end <= one.range.end);
                }
            }
            assert!(merged.windows(2).all(|w| w[0].parts[0] < w[1].parts[0]));
        }
    }
}
