//! The other way: tiles compressed for an output. One [`Encoding`] speaks for all tiles of an image.

#[cfg(feature = "lerc")]
use super::lerc;
use super::{deflate, lzw, packbits, unsupported};
use crate::error::{Error, Result};
use crate::sample::Samples;
use crate::tiff::code::Compression;

/// How the tiles of an output are compressed. The same samples and encoding give the same bytes, on every machine and
/// thread; but lossy WebP, whose encoder takes the machine's own logarithms, on one machine only.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding {
    /// The compression.
    pub compression: Compression,
    /// Effort of deflate (0 to 9; to 12 with the feature `libdeflate`), Zstandard (1 to 22) and LZMA (0 to 9); the others have none.
    pub level: u8,
    /// Of JPEG and WebP, 1 to 100; `None` is 75 for JPEG, and no loss at all for WebP.
    pub quality: Option<u8>,
    /// Of JPEG: whether red, green and blue are stored as YCbCr, the colours at half the resolution.
    pub ycbcr: bool,
    /// Of LERC: by how much a sample may be off; 0 is lossless.
    pub max_error: f64,
    /// Of LERC: the compression around it, as tag LercParameters has it: 0 none, 1 deflate, 2 Zstandard.
    pub wrapping: u16,
}

impl Encoding {
    /// Without loss, at the customary effort.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            level: Self::default_level(compression),
            quality: None,
            ycbcr: false,
            max_error: 0.0,
            wrapping: 0,
        }
    }

    /// The customary effort.
    #[must_use]
    pub fn default_level(compression: Compression) -> u8 {
        // The least effort whose size is within 3 % of what GDAL writes unless told (libdeflate's level 6 without a
        // predictor; 512 x 512 tiles, the default predictors, MB/s of CPU time on one machine):
        //                       16-bit scene  32-bit DEM  4 bands of 16 bits  RGB of 8 bits  classes
        // 1, our own            325           254         440                 70             95 MB/s
        // 2, zlib-rs            58            110         57                  66             -
        // 6, zlib-rs            48            59          48                  56             64
        // 6, libdeflate         86            107         86                  80             134
        // size of 1 / GDAL's    0.99          0.75        0.94                0.95           1.00
        // zlib-rs's own level 1 has fixed codes only, and makes 16-bit scenes larger than they were.
        if matches!(compression, Compression::Deflate | Compression::OldDeflate) {
            return deflate::QUICK;
        }
        // GDAL's.
        if compression == Compression::Zstd { 9 } else { 6 }
    }

    /// The efforts that a compression knows; `None` when it has no choice.
    #[must_use]
    pub fn levels(compression: Compression) -> Option<std::ops::RangeInclusive<u8>> {
        match compression {
            Compression::Deflate | Compression::OldDeflate => Some(0..=deflate::MAX_LEVEL),
            #[cfg(feature = "zstd")]
            Compression::Zstd => Some(1..=super::zstd::MAX_LEVEL),
            #[cfg(feature = "lzma")]
            Compression::Lzma => Some(0..=super::lzma::MAX_LEVEL),
            _ => None,
        }
    }

    /// Whether decoding may give other samples than were stored.
    #[must_use]
    pub fn is_lossy(&self) -> bool {
        self.compression == Compression::Jpeg
            || self.compression == Compression::WebP && self.quality.is_some()
            || self.compression == Compression::Lerc && self.max_error > 0.0
    }

    /// Whether the fourth of four bands comes back as it was, so that it can be an alpha band.
    #[must_use]
    pub fn keeps_alpha(&self) -> bool {
        self.compression == Compression::WebP || !self.is_lossy()
    }

    /// Refuses what cannot be written.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a compression that this build does not write.
    pub fn writable(compression: Compression) -> Result<()> {
        let written = matches!(
            compression,
            Compression::None | Compression::Lzw | Compression::Deflate | Compression::PackBits
        ) || cfg!(feature = "zstd") && compression == Compression::Zstd
            || cfg!(feature = "lzma") && compression == Compression::Lzma
            || cfg!(feature = "lerc") && compression == Compression::Lerc
            || cfg!(feature = "jpeg") && compression == Compression::Jpeg
            || cfg!(feature = "webp") && compression == Compression::WebP;
        if written { Ok(()) } else { Err(not_written(compression)) }
    }

    /// The bytes of a tile, compressed by a compression of bytes. Each row takes `row` bytes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a level that the compression does not know; [`crate::ErrorKind::Unsupported`] for
    /// a compression that is not written.
    pub fn compress(&self, row: usize, data: &[u8]) -> Result<Vec<u8>> {
        match self.compression {
            Compression::None => Ok(data.to_vec()),
            Compression::Lzw => lzw::compress(data),
            Compression::Deflate | Compression::OldDeflate => deflate::compress(self.level, data),
            Compression::PackBits => Ok(packbits::compress(row, data)),
            #[cfg(feature = "zstd")]
            Compression::Zstd => super::zstd::compress(self.level, data),
            #[cfg(feature = "lzma")]
            Compression::Lzma => super::lzma::compress(self.level, data),
            other => Err(not_written(other)),
        }
    }

    /// The samples of a tile, rows of `width` pixels of `samples_per_pixel` samples, by a compression of samples.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a compression that is not written, or samples that do not go with it.
    #[cfg_attr(
        not(any(feature = "jpeg", feature = "lerc", feature = "webp")),
        expect(unused_variables, reason = "no compression of samples is built in")
    )]
    pub fn encode(&self, width: usize, samples_per_pixel: usize, samples: &Samples) -> Result<Vec<u8>> {
        match (self.compression, samples) {
            #[cfg(feature = "jpeg")]
            (Compression::Jpeg, Samples::U8(samples)) => {
                let quality = self.quality.unwrap_or(75);
                super::jpeg::compress(quality, self.ycbcr, width, samples_per_pixel, samples)
            }
            #[cfg(feature = "webp")]
            (Compression::WebP, Samples::U8(samples)) => {
                super::webp::compress(self.quality, width, samples_per_pixel, samples)
            }
            #[cfg(feature = "lerc")]
            (Compression::Lerc, samples) => {
                let wrapping = match self.wrapping {
                    0 => lerc::Wrapping::None,
                    1 => lerc::Wrapping::Deflate,
                    _ => lerc::Wrapping::Zstd,
                };
                lerc::compress(self.max_error, wrapping, width, samples_per_pixel, samples)
            }
            (other, _) => Err(not_written(other)),
        }
    }
}

fn not_written(compression: Compression) -> Error {
    if super::is_read(compression) {
        return Error::unsupported(format!(
            "compression {compression} ({}) is read, but not written",
            compression.code()
        ));
    }
    unsupported(compression)
}
