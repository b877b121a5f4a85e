//! How the sections of a body become numbered parts of one upload.
//!
//! A store puts parts together by their numbers, whatever the order of their arrival, so that several sections can grow at the
//! same time: each has a lane of numbers of its own, the last section the lowest. What is left of a lane's numbers stays unused;
//! S3, Google and Azure take gaps. Some stores that speak like S3 do not, and while the overviews are small there is no need:
//! then, or when told so, section 0 alone has a lane, and the others wait in memory for the head.

/// Numbers of the parts of one upload end here: S3's and Google's limit (Azure takes 50,000 blocks).
pub(crate) const MAX_PARTS: u32 = 10_000;

/// Sizes of parts within a lane, each twice the one before: what turns out small is sent in small parts.
const SIZES: u64 = 8;

/// Overviews of at most so many bytes wait in memory, so that parts are numbered without gaps.
const HELD_OVERVIEWS: u64 = 96 << 20;

/// What S3 wants every part but the last to have. A section that is not the largest grows slowly, and waits in such parts.
const LEAST_PART: u64 = 5 << 20;

/// The first size of parts is a multiple of this.
const SIZE_STEP: u64 = 1 << 20;

/// The lanes of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lanes {
    /// Bytes that a section holds back.
    held: u64,
    /// Those of the sections that have one.
    lanes: Vec<Lane>,
}

/// The parts of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lane {
    /// Its first number.
    first: u32,
    /// How many numbers there are.
    numbers: u32,
    /// Bytes of its first parts.
    size: u64,
}

impl Lanes {
    /// Lanes for sections of at most `most` bytes each. `part_size` is the least; it grows until every section fits.
    pub(crate) fn new(most: &[u64], part_size: u64, contiguous: bool) -> Self {
        let overviews = most.get(1..).unwrap_or_default();
        let held =
            contiguous || overviews.iter().fold(0, |sum: u64, n| sum.saturating_add(*n)) <= HELD_OVERVIEWS;
        let large = overviews.iter().take_while(|&&bytes| bytes > part_size.saturating_mul(2)).count();
        // Each overview has a quarter of the bytes of the level below, and gets half of its numbers.
        let count = if held { 1 } else { large.min(MOST_OVERVIEW_LANES) + 1 };
        let top = |lane: usize| MAX_PARTS >> lane;
        let least = part_size.min(LEAST_PART);
        let lanes = (0..count).map(|lane| {
            let below = if lane + 1 == count { 0 } else { top(lane + 1) };
            let numbers = top(lane) - below;
            let needed = most.get(lane).map_or(0, |bytes| bytes.div_ceil(units(numbers)));
            let needed = if needed > part_size { needed.next_multiple_of(SIZE_STEP) } else { needed };
            Lane { first: below + 1, numbers, size: needed.max(if lane == 0 { part_size } else { least }) }
        });
        Self { held: least, lanes: lanes.collect() }
    }

    /// Whether parts of a section are sent before all is known.
    pub(crate) fn has(&self, section: usize) -> bool {
        section < self.lanes.len()
    }

    /// Whether numbers are left out.
    pub(crate) fn has_gaps(&self) -> bool {
        self.lanes.len() > 1
    }

    /// Bytes of a section that are held back: they go into one part with what stands before them.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// The number of the part that ends with what a section has held back.
    pub(crate) fn joint(&self, section: usize) -> Option<u32> {
        self.lanes.get(section).map(|lane| lane.first)
    }

    /// Number and bytes of the section's next part, of which `sent` have gone; `None` when it has no number left.
    pub(crate) fn next(&self, section: usize, sent: u32) -> Option<(u32, u64)> {
        let lane = self.lanes.get(section)?;
        // One number is the joint's; of the last lane, another one that of the end.
        let usable = lane.numbers.checked_sub(2)?;
        let doublings = u64::from(sent) / per_size(lane.numbers);
        let size = lane.size.checked_shl(u32::try_from(doublings.min(SIZES - 1)).ok()?)?;
        (sent < usable).then_some((lane.first + 1 + sent, size))
    }
}

/// Overviews that have a lane at most: the next one has a 16,384th of the bytes of an output.
const MOST_OVERVIEW_LANES: usize = 6;

/// Parts of one size in a lane of so many numbers.
fn per_size(numbers: u32) -> u64 {
    (u64::from(numbers.saturating_sub(2)) / SIZES).max(1)
}

/// What a lane of so many numbers takes, in bytes of its first part.
fn units(numbers: u32) -> u64 {
    per_size(numbers) * ((1 << SIZES) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const TIB: u64 = 1 << 40;

    /// What a lane takes before its numbers end.
    fn room(lanes: &Lanes, section: usize) -> u64 {
        (0..).map_while(|sent| lanes.next(section, sent)).map(|(_, size)| size).sum()
    }

    #[test]
    fn what_is_small_is_numbered_without_gaps() {
        for most in [&[100 * MIB, 30 * MIB, 8 * MIB][..], &[TIB], &[]] {
            let lanes = Lanes::new(most, 8 * MIB, false);
            assert!(!lanes.has_gaps() && lanes.has(0) && !lanes.has(1));
            assert_eq!((lanes.joint(0), lanes.next(0, 0).map(|(number, _)| number)), (Some(1), Some(2)));
        }
        let told = Lanes::new(&[2048 * MIB, 512 * MIB, 128 * MIB], 8 * MIB, true);
        assert!(!told.has_gaps());
    }

    #[test]
    fn every_overview_that_is_large_has_a_lane() {
        let lanes =
            Lanes::new(&[2048 * MIB, 512 * MIB, 128 * MIB, 32 * MIB, 8 * MIB, 2 * MIB], 8 * MIB, false);
        let numbers: Vec<_> = lanes.lanes.iter().map(|lane| (lane.first, lane.numbers)).collect();
        assert_eq!(numbers, [(5001, 5000), (2501, 2500), (1251, 1250), (1, 1250)]);
        assert_eq!(lanes.next(1, 0), Some((2502, 5 * MIB)));
        assert!(lanes.has(3) && !lanes.has(4));
        assert_eq!(lanes.next(0, 0), Some((5002, 8 * MIB)));
        assert_eq!(lanes.next(0, 623), Some((5625, 8 * MIB)));
        assert_eq!(lanes.next(0, 624), Some((5626, 16 * MIB)));
        // The last number but one of a lane is its last part's: the last of all is that of the end.
        assert_eq!(lanes.next(0, 4997), Some((9999, 1024 * MIB)));
        assert_eq!(lanes.next(0, 4998), None);
    }

    #[test]
    fn five_tebibytes_fit() {
        // With overviews and without: 4/3 of the full resolution, or it alone.
        let levels: Vec<u64> = (0..10).map(|level| (15 * TIB / 4) >> (2 * level)).collect();
        for most in [&levels[..], &[5 * TIB]] {
            let lanes = Lanes::new(most, 8 * MIB, false);
            for (section, &bytes) in most.iter().enumerate().filter(|&(section, _)| lanes.has(section)) {
                assert!(room(&lanes, section) >= bytes, "{section}: {lanes:?}");
                let largest = (0..).map_while(|sent| lanes.next(section, sent)).map(|(_, size)| size).max();
                // S3 takes 5 GiB, Azure 4,000 MiB.
                assert!(largest.unwrap() <= 4000 * MIB, "{section}: {largest:?}");
            }
        }
    }
}
