//! What a request costs, and so which tiles are worth one together.
//!
//! The model: a request waits a round trip before its first byte, in which its connection could have carried
//! `ROUND_TRIP x BANDWIDTH` bytes. With `in_flight` requests at a time they wait side by side, so that one more request
//! costs an equal share of that. Bytes that nobody asked for are worth fetching where they cost less than the request that
//! they save, as long as all of them together stay a small part of what is needed: they are paid for, too.

use std::ops::Range;

use crate::source::coalesce::{Merged, coalesce};

/// Milliseconds to the first byte: an object store in the same region.
const ROUND_TRIP_MS: u64 = 30;

/// Bytes a second of one connection to such a store.
const BANDWIDTH: u64 = 50_000_000;

/// What flows in the time that a request waits.
const IN_A_ROUND_TRIP: u64 = BANDWIDTH / 1000 * ROUND_TRIP_MS;

/// Bytes between two tiles that are always fetched with them: leaders, trailers, padding.
const PADDING: u64 = 512;

/// The most that may be fetched in vain, as a share of what is needed: one 32nd.
const WASTE_SHARE: u64 = 32;

/// Bytes of a merged request at most: several run at once, and one that must be repeated costs little.
pub(super) const MAX_REQUEST: u64 = 4 << 20;

/// Saving that much of the time in which bytes flow is worth one more connection: half a round trip.
const WORTH_A_CONNECTION: u64 = IN_A_ROUND_TRIP / 2;

/// In how many pieces, each a request of its own, the requests of these lengths are to be fetched when `in_flight` may run at a
/// time. Two kinds have more than one: those that are longer than is good to repeat, and the longest of a few that would leave
/// connections idle, as `n` connections bring all bytes in an n-th of the time.
pub(super) fn pieces(lengths: &[u64], in_flight: usize) -> Vec<u64> {
    let mut pieces: Vec<u64> = lengths
        .iter()
        .map(|&len| if len > 2 * MAX_REQUEST { len.div_ceil(MAX_REQUEST) } else { 1 })
        .collect();
    let all: u64 = lengths.iter().sum();
    let mut count: u64 = pieces.iter().sum();
    // From n connections to n + 1: all / n - all / (n + 1).
    while count < in_flight as u64 && count > 0 && all / (count * (count + 1)) >= WORTH_A_CONNECTION {
        let longest = (0..lengths.len()).max_by_key(|&n| (lengths[n] / pieces[n], std::cmp::Reverse(n)));
        let Some(longest) = longest else { break };
        pieces[longest] += 1;
        count += 1;
    }
    pieces
}

/// Requests for `ranges` when `in_flight` may run at a time; in the order of the smallest index that each contains. Of few
/// bytes more requests are made than of many, so that all connections are used.
pub(super) fn merged(ranges: &[Range<u64>], in_flight: usize) -> Vec<Merged> {
    let in_flight = (in_flight as u64).max(1);
    let needed: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
    let longest = (needed / in_flight).clamp(IN_A_ROUND_TRIP, MAX_REQUEST);
    coalesce(ranges, gap(ranges, needed, in_flight), longest)
}

/// The widest gap that is worth its bytes.
fn gap(ranges: &[Range<u64>], needed: u64, in_flight: u64) -> u64 {
    let worth = IN_A_ROUND_TRIP / in_flight;
    let mut sorted: Vec<_> = ranges.iter().collect();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut end = 0;
    let mut gaps = Vec::new();
    for range in sorted {
        let gap = range.start.saturating_sub(end);
        if end > 0 && gap > PADDING && gap <= worth {
            gaps.push(gap);
        }
        end = end.max(range.end);
    }
    // The narrowest first: each saves as much as any other.
    gaps.sort_unstable();
    let (mut wasted, mut widest) = (0, PADDING);
    for alike in gaps.chunk_by(|a, b| a == b) {
        wasted += alike.iter().sum::<u64>();
        if wasted > needed / WASTE_SHARE {
            break;
        }
        widest = alike.first().copied().unwrap_or(widest);
    }
    widest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(of: &[(u64, u64)]) -> Vec<Range<u64>> {
        of.iter().map(|&(start, len)| start..start + len).collect()
    }

    /// The starts and ends of the requests for ranges given by start and length.
    #[track_caller]
    fn check(of: &[(u64, u64)], in_flight: usize, expected: &[(u64, u64)]) {
        let got: Vec<_> =
            merged(&ranges(of), in_flight).into_iter().map(|one| (one.range.start, one.range.end)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_gap_is_fetched_when_that_costs_less_than_a_request() {
        // 30 ms of 50 MB/s are 1.5 MB; a share of one in 60 is 25 kB. Two tiles of 700 kB may waste 43,750 bytes.
        let tile = 700_000;
        check(&[(1000, tile), (tile + 26_000, tile)], 60, &[(1000, 2 * tile + 26_000)]);
        check(
            &[(1000, tile), (tile + 26_001, tile)],
            60,
            &[(1000, tile + 1000), (tile + 26_001, 2 * tile + 26_001)],
        );
        // With more in flight, one more request costs less.
        check(
            &[(1000, tile), (tile + 26_000, tile)],
            120,
            &[(1000, tile + 1000), (tile + 26_000, 2 * tile + 26_000)],
        );
        // Padding always.
        check(&[(1000, 10), (1522, 10)], 30, &[(1000, 1532)]);
        check(&[(1000, 10), (1523, 10)], 30, &[(1000, 1010), (1523, 1533)]);
    }

    #[test]
    fn few_requests_use_more_connections() {
        // 15 ms saved are worth one: of 1.5 MB, half of 30 ms.
        assert_eq!(pieces(&[1_500_000], 32), [2]);
        assert_eq!(pieces(&[1_499_999], 32), [1]);
        // From two to three: a sixth of 90 ms.
        assert_eq!(pieces(&[1_640_000, 1_650_000], 32), [1, 1]);
        assert_eq!(pieces(&[2_500_000, 2_000_000], 32), [2, 1]);
        assert_eq!(pieces(&[4_000_000, 500_000], 32), [2, 1]);
        // From four to five, a twentieth of 300 ms; no more than may run.
        assert_eq!(pieces(&[15_000_000], 32), [5]);
        assert_eq!(pieces(&[15_000_000], 2), [4]);
        assert_eq!(pieces(&[8_000_000], 1), [1]);
        assert_eq!(pieces(&[], 32), [0; 0]);
    }

    #[test]
    fn what_is_fetched_in_vain_stays_a_small_share() {
        // Every second tile of 20 kB: each gap is worth it, all of them would double the bytes.
        let of: Vec<_> = (0..100).map(|n| (1000 + n * 40_000, 20_000)).collect();
        let needed = 100 * 20_000;
        let total: u64 = merged(&ranges(&of), 30).iter().map(|one| one.range.end - one.range.start).sum();
        assert_eq!(total, needed);
        // Of gaps of different widths the narrow ones are taken: 20 gaps of 3 kB are 60 kB of 62.5 kB, the 79 of 9 kB not.
        let mut at = 1000;
        let mut of = Vec::new();
        for n in 0..100 {
            of.push((at, 20_000));
            at += 20_000 + if n % 5 == 0 { 3000 } else { 9000 };
        }
        let requests = merged(&ranges(&of), 30);
        let total: u64 = requests.iter().map(|one| one.range.end - one.range.start).sum();
        assert_eq!((total, requests.len()), (needed + 60_000, 80));
    }

    #[test]
    fn few_bytes_make_shorter_requests_than_many() {
        let tile = 100_000;
        let tiles = |count: u64| -> Vec<_> { (0..count).map(|n| (1000 + n * tile, tile)).collect() };
        let lengths = |count: u64| -> Vec<u64> {
            merged(&ranges(&tiles(count)), 32).iter().map(|one| one.range.end - one.range.start).collect()
        };
        // 3 MB: as long as a round trip.
        assert_eq!(lengths(30), [1_500_000, 1_500_000]);
        // 80 MB: one for each of 32 connections.
        assert_eq!(lengths(800), [2_500_000; 32]);
        // A gigabyte: no longer than is good to repeat.
        assert!(lengths(10_000).iter().all(|&len| len <= MAX_REQUEST));
        assert_eq!(lengths(10_000)[0], 4_100_000);
    }
}
