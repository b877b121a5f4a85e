//! The currency between stages: a tile as it is stored, and a tile as numbers.

use bytes::Bytes;

use crate::grid::{PixelRect, Size, TileIndex};
use crate::packing::{is_packed, row_bytes};
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
    /// Bits that one sample takes in the file; fewer than the type has when samples are packed.
    pub bits: u16,
    /// Whether the bits of every stored byte are in reverse (FillOrder 2; TIFF 6.0 §8).
    pub reversed: bool,
    /// Whether the first four 8-bit samples are inks (CMYK) that decoding turns into red, green, blue and alpha.
    pub cmyk: bool,
    /// What the compression needs to know besides the tile's bytes.
    pub parameters: Parameters,
}

/// What the directory says to a compression about all of an image's tiles.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Parameters {
    /// Nothing: the compression needs no more than the bytes.
    #[default]
    None,
    /// JPEG (TIFF Technical Note 2).
    Jpeg {
        /// The tables that the tiles' abbreviated streams leave out (tag JPEGTables).
        tables: Option<Bytes>,
        /// Whether the samples are stored as YCbCr; they are decoded to red, green and blue.
        ycbcr: bool,
    },
    /// CCITT Group 3 (TIFF 6.0 §11, T4Options): whether rows may be coded by the row before.
    Group3 {
        /// Two-dimensional coding.
        two_dimensional: bool,
    },
    /// LERC (tag LercParameters): the compression around it; 0 none, 1 deflate, 2 Zstandard.
    Lerc {
        /// The second value of the tag.
        wrapping: u64,
    },
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

    /// Samples of one row of a stored tile.
    #[must_use]
    pub fn row(&self) -> u64 {
        u64::from(self.size.width) * u64::from(self.samples_per_pixel)
    }

    /// Bytes that `rows` rows take in the file when nothing is compressed.
    #[must_use]
    pub fn stored_bytes(&self, rows: u32) -> u64 {
        row_bytes(self.row(), self.bits).saturating_mul(rows.into())
    }

    /// Whether samples are stored in fewer bits than their type has.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        is_packed(self.sample_type, self.bits)
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
