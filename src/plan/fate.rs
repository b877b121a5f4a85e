//! What becomes of each source tile of the window, and how many bytes that takes: what a dry run reports and a picture shows.

use super::{Plan, walk};
use crate::grid::{TileGrid, TileIndex};
use crate::header::image::Place;
use crate::mask::TileClass;

/// What becomes of a source tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Without a pixel of the cutline: never fetched.
    Skipped,
    /// Wholly in the cutline, and a tile of the output as it is compressed.
    Copied,
    /// Wholly in the cutline: decoded, none of its pixels masked.
    Whole,
    /// With pixels on both sides: decoded, and those outside masked.
    Masked,
}

impl Fate {
    /// All of them, in the order of [`Tallies`].
    pub const ALL: [Self; 4] = [Self::Skipped, Self::Copied, Self::Whole, Self::Masked];

    /// Its name in reports and pictures: lower case, one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Copied => "copied",
            Self::Whole => "whole",
            Self::Masked => "masked",
        }
    }
}

/// How many tiles share a fate. Planes are counted one by one, as in [`super::Classes`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tiles.
    pub tiles: u64,
    /// How many of them the file leaves out.
    pub absent: u64,
    /// Bytes of the others as they are stored. Tiles that share bytes count them once each; what is fetched between tiles, to
    /// save a request, counts for none.
    pub bytes: u64,
}

impl Tally {
    /// Counts a tile of `planes` planes, of which `found` were looked up.
    pub fn add(&mut self, planes: usize, found: &[&Place]) {
        self.tiles += planes as u64;
        for place in found {
            match &place.bytes {
                Some(bytes) => self.bytes = self.bytes.saturating_add(bytes.end - bytes.start),
                None => self.absent += 1,
            }
        }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.tiles += other.tiles;
        self.absent += other.absent;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// The window's source tiles by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies([Tally; 4]);

impl Tallies {
    /// Those of one fate.
    #[must_use]
    pub fn of(&self, fate: Fate) -> Tally {
        self.0[fate as usize]
    }

    /// Those of one fate, to be added to.
    pub fn of_mut(&mut self, fate: Fate) -> &mut Tally {
        &mut self.0[fate as usize]
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Tally {
        self.0.iter().fold(Tally::default(), |mut sum, tally| {
            sum += *tally;
            sum
        })
    }
}

impl Plan {
    /// Tells of every tile of `grid`, the full-resolution image's, that has a pixel in the window: row by row its index, its fate,
    /// and where its planes lie. `places` are in order of tile and plane; tiles without a place there have none.
    pub fn each_tile(
        &self,
        grid: &TileGrid,
        places: &[&Place],
        mut tell: impl FnMut(TileIndex, Fate, &[&Place]),
    ) {
        let mut rest = places;
        walk(grid, self.window, &self.mask, |tile, class| {
            let before = rest.iter().take_while(|place| place.index < tile).count();
            let here = rest[before..].iter().take_while(|place| place.index == tile).count();
            let found = &rest[before..before + here];
            rest = &rest[before + here..];
            let fate = match class {
                TileClass::Outside => Fate::Skipped,
                TileClass::Edge => Fate::Masked,
                TileClass::Inside if self.passage.target(None, tile).is_some() => Fate::Copied,
                TileClass::Inside => Fate::Whole,
            };
            tell(tile, fate, found);
        });
    }

    /// The window's tiles by fate; arguments as of [`Self::each_tile`].
    #[must_use]
    pub fn tallies(&self, grid: &TileGrid, places: &[&Place]) -> Tallies {
        let mut tallies = Tallies::default();
        self.each_tile(grid, places, |_, fate, found| tallies.of_mut(fate).add(self.planes, found));
        tallies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_planes_bytes_and_what_is_left_out() {
        let index = TileIndex { row: 0, col: 0 };
        let place = |plane, bytes| Place { index, plane, bytes };
        let (stored, absent) = (place(0, Some(10..25)), place(1, None));
        let mut tallies = Tallies::default();
        tallies.of_mut(Fate::Masked).add(2, &[&stored, &absent]);
        tallies.of_mut(Fate::Skipped).add(2, &[]);
        assert_eq!(tallies.of(Fate::Masked), Tally { tiles: 2, absent: 1, bytes: 15 });
        assert_eq!(tallies.of(Fate::Skipped), Tally { tiles: 2, absent: 0, bytes: 0 });
        assert_eq!(tallies.of(Fate::Whole), Tally::default());
        assert_eq!(tallies.sum(), Tally { tiles: 4, absent: 1, bytes: 15 });
    }
}
