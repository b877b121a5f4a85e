//! Pixel space: sizes, half-open rectangles and the grid of tiles. The origin is the top-left corner.

use std::fmt;

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` columns and `height` rows.
    #[must_use]
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels.
    #[must_use]
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Half of it, rounded up: the next overview.
    #[must_use]
    pub fn halved(self) -> Self {
        Self::new(self.width.div_ceil(2), self.height.div_ceil(2))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.width, self.height)
    }
}

/// A rectangle of whole pixels, half-open: columns `x0..x1`, rows `y0..y1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelRect {
    /// First column.
    pub x0: u32,
    /// First row.
    pub y0: u32,
    /// One past the last column.
    pub x1: u32,
    /// One past the last row.
    pub y1: u32,
}

impl PixelRect {
    /// Columns `x0..x1`, rows `y0..y1`.
    #[must_use]
    pub const fn new(x0: u32, y0: u32, x1: u32, y1: u32) -> Self {
        Self { x0, y0, x1, y1 }
    }

    /// The whole of an image of this size.
    #[must_use]
    pub const fn of(size: Size) -> Self {
        Self::new(0, 0, size.width, size.height)
    }

    /// Its width and height.
    #[must_use]
    pub fn size(self) -> Size {
        Size::new(self.x1.saturating_sub(self.x0), self.y1.saturating_sub(self.y0))
    }

    /// Whether it holds no pixel.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.x0 >= self.x1 || self.y0 >= self.y1
    }

    /// The pixels in both; `None` when there are none.
    #[must_use]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let both = Self::new(
            self.x0.max(other.x0),
            self.y0.max(other.y0),
            self.x1.min(other.x1),
            self.y1.min(other.y1),
        );
        (!both.is_empty()).then_some(both)
    }

    /// The same rectangle seen from `(x, y)`, which must not lie right of or below its corner.
    #[must_use]
    pub fn relative_to(self, x: u32, y: u32) -> Self {
        Self::new(self.x0 - x, self.y0 - y, self.x1 - x, self.y1 - y)
    }

    /// The same rectangle moved right by `x` and down by `y`.
    #[must_use]
    pub fn shifted(self, x: u32, y: u32) -> Self {
        Self::new(self.x0 + x, self.y0 + y, self.x1 + x, self.y1 + y)
    }
}

/// Which tile of a [`TileGrid`]: column and row, from 0 at the top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileIndex {
    /// Row of tiles (first, so that the derived order is row by row).
    pub row: u32,
    /// Column of tiles.
    pub col: u32,
}

impl fmt::Display for TileIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}, row {}", self.col, self.row)
    }
}

/// An image cut into tiles (TIFF 6.0 §15). Edge tiles are cut off at the image's right and lower edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileGrid {
    /// The image.
    pub image: Size,
    /// One whole tile; both sides at least 1.
    pub tile: Size,
}

impl TileGrid {
    /// Tiles in a row.
    #[must_use]
    pub fn across(self) -> u32 {
        self.image.width.div_ceil(self.tile.width)
    }

    /// Rows of tiles.
    #[must_use]
    pub fn down(self) -> u32 {
        self.image.height.div_ceil(self.tile.height)
    }

    /// Number of tiles.
    #[must_use]
    pub fn count(self) -> u64 {
        u64::from(self.across()) * u64::from(self.down())
    }

    /// The number of a tile, row by row from 0.
    #[must_use]
    pub fn number(self, tile: TileIndex) -> u64 {
        u64::from(tile.row) * u64::from(self.across()) + u64::from(tile.col)
    }

    /// The image's pixels in a tile: cut off at the image's edge.
    #[must_use]
    pub fn rect(self, tile: TileIndex) -> PixelRect {
        let x0 = tile.col.saturating_mul(self.tile.width).min(self.image.width);
        let y0 = tile.row.saturating_mul(self.tile.height).min(self.image.height);
        PixelRect::new(
            x0,
            y0,
            x0.saturating_add(self.tile.width).min(self.image.width),
            y0.saturating_add(self.tile.height).min(self.image.height),
        )
    }

    /// The tile that holds a pixel.
    #[must_use]
    pub fn at(self, x: u32, y: u32) -> TileIndex {
        TileIndex { row: y / self.tile.height.max(1), col: x / self.tile.width.max(1) }
    }

    /// The tiles that share a pixel with `rect`, row by row. `rect` must lie in the image.
    pub fn tiles_in(self, rect: PixelRect) -> impl Iterator<Item = TileIndex> {
        let (cols, rows) = if rect.is_empty() {
            (0..0, 0..0)
        } else {
            (
                rect.x0 / self.tile.width..rect.x1.div_ceil(self.tile.width),
                rect.y0 / self.tile.height..rect.y1.div_ceil(self.tile.height),
            )
        };
        rows.flat_map(move |row| cols.clone().map(move |col| TileIndex { row, col }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_in_a_rectangle_are_those_that_share_a_pixel() {
        let grid = TileGrid { image: Size::new(100, 50), tile: Size::new(16, 16) };
        assert_eq!((grid.across(), grid.down(), grid.count()), (7, 4, 28));
        let found: Vec<_> = grid.tiles_in(PixelRect::new(15, 16, 33, 17)).map(|t| (t.col, t.row)).collect();
        assert_eq!(found, [(0, 1), (1, 1), (2, 1)]);
        assert_eq!(grid.tiles_in(PixelRect::new(5, 5, 5, 9)).count(), 0);
        assert_eq!(grid.rect(TileIndex { col: 6, row: 3 }), PixelRect::new(96, 48, 100, 50));
    }
}
