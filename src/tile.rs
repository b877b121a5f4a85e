//! The currency between stages: a tile as it is stored, and a tile as numbers.

use bytes::Bytes;

use crate::grid::{PixelRect, Size, TileIndex};
use crate::sample::{SampleType, Samples};
use crate::tiff::code::{ByteOrder, Compression, Predictor};

/// How the bytes of one stored tile or strip become samples: all that decoding needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct TileLayout {
    /// Pixels of a whole stored tile. A strip is a tile as wide as its image; the last strip is shorter.
    pub size: Size,
    /// Samples of one pixel in one stored tile: all bands (chunky), or 1 (planar; TIFF 6.0 §8
    /// PlanarConfiguration).
    pub samples_per_pixel: u16,
    /// Type of every sample.
    pub sample_type: SampleType,
    /// Compression of the tile's bytes.
    pub compression: Compression,
    /// Predictor applied before compression.
    pub predictor: Predictor,
    /// Byte order of samples wider than a byte.
    pub byte_order: ByteOrder,
    /// Whether the first four 8-bit samples are inks (CMYK) that decoding turns into red, green, blue and alpha.
    pub cmyk: bool,
}

impl TileLayout {
    /// Decoded bytes of `rows` rows of a stored tile.
    #[must_use]
    pub fn bytes(&self, rows: u32) -> u64 {
        u64::from(self.size.width)
            .saturating_mul(u64::from(rows))
            .saturating_mul(u64::from(self.samples_per_pixel))
            .saturating_mul(self.sample_type.bytes() as u64)
    }
}

/// A tile as it was fetched.
#[derive(Clone, Debug)]
pub struct EncodedTile {
    /// Which tile.
    pub index: TileIndex,
    /// Which plane: 0 for chunky images, else the band from 0.
    pub plane: u16,
    /// Rows that are stored: the tile's height, or fewer in the last strip.
    pub rows: u32,
    /// The stored bytes; `None` for a sparse tile, which was never written and reads as nodata or zero.
    pub data: Option<Bytes>,
}

/// A tile as numbers, cut to the image: pixel by pixel, row by row, `samples_per_pixel` numbers a pixel.
#[derive(Clone, Debug)]
pub struct DecodedTile {
    /// Which tile.
    pub index: TileIndex,
    /// Which plane: 0 for chunky images, else the band from 0.
    pub plane: u16,
    /// The image's pixels that it holds.
    pub rect: PixelRect,
    /// Numbers of one pixel.
    pub samples_per_pixel: u16,
    /// `rect.size().pixels() * samples_per_pixel` numbers.
    pub samples: Samples,
}
