//! Masked tiles to the bytes of a Cloud Optimized GeoTIFF.

mod fill;
pub mod layout;
pub mod metadata;
pub mod overview;
#[cfg(test)]
mod overview_tests;

use bytes::Bytes;

use crate::codec::{self, Encoding};
use crate::compose::MaskedTile;
use crate::error::Result;
use crate::header::Header;
use crate::options::Interleave;
use crate::packing;
use crate::plan::Plan;
use crate::predictor;
use crate::sample::Samples;
use crate::tiff::code::{Compression, Predictor};

/// A tile's bytes, and those of its mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The image's tile: one, or one for each band.
    pub image: Vec<Bytes>,
    /// The tile of the internal mask, when the output has one.
    pub mask: Option<Bytes>,
}

impl Encoded {
    /// Bytes of the image's tile.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.image.iter().map(Bytes::len).sum()
    }
}

/// Encodes tiles, all alike.
#[derive(Clone, Debug)]
pub struct Encoder {
    bands: usize,
    bits: u16,
    width: usize,
    encoding: Encoding,
    mask_encoding: Encoding,
    predictor: Predictor,
    interleave: Interleave,
    mask: bool,
}

impl Encoder {
    /// For a plan.
    #[must_use]
    pub fn new(header: &Header, plan: &Plan) -> Self {
        let encoding = plan.encoding.clone();
        // Masks are deflated whatever the image is: they are bits, and every reader inflates.
        let mask = Encoding::new(Compression::Deflate);
        let level = if encoding.compression == mask.compression { encoding.level } else { mask.level };
        Self {
            bands: plan.output_bands(),
            bits: header.bits,
            width: plan.blocksize() as usize,
            encoding,
            mask_encoding: Encoding { level, ..mask },
            predictor: plan.predictor,
            interleave: plan.interleave,
            mask: plan.validity.mask,
        }
    }

    /// A tile's bytes.
    ///
    /// # Errors
    /// As [`Encoding::compress`] and [`Encoding::encode`].
    pub fn encode(&self, mut tile: MaskedTile) -> Result<Encoded> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the others ring nowhere")]
        // A fourth band of WebP is kept without loss.
        let colours = match self.encoding.compression {
            Compression::Jpeg => Some(self.bands),
            Compression::WebP if self.encoding.is_lossy() => Some(self.bands.min(3)),
            _ => None,
        };
        if let (Some(colours), Samples::U8(samples), Some(valid)) = (colours, &mut tile.samples, &tile.valid)
        {
            fill::with_means(samples, valid, self.width, self.bands, colours);
        }
        let image = match self.interleave {
            Interleave::Band if self.bands > 1 => (0..self.bands)
                .map(|band| Ok(self.encode_plane(tile.band(band, self.bands), 1)?.into()))
                .collect::<Result<_>>()?,
            // A single band lies as all bands do.
            Interleave::Band | Interleave::Pixel => vec![self.encode_plane(tile.samples, self.bands)?.into()],
        };
        Ok(Encoded { image, mask: self.encode_mask(tile.valid)? })
    }

    /// A tile that is copied as it is stored, with the mask of `valid`, one byte a pixel.
    ///
    /// # Errors
    /// As [`Encoding::compress`].
    pub fn copied(&self, stored: Bytes, valid: Option<Vec<u8>>) -> Result<Encoded> {
        Ok(Encoded { image: vec![stored], mask: self.encode_mask(valid)? })
    }

    /// The tile of the internal mask, when the output has one.
    fn encode_mask(&self, valid: Option<Vec<u8>>) -> Result<Option<Bytes>> {
        match valid {
            Some(valid) if self.mask => {
                let bits = packing::pack(&Samples::U8(valid), 1, self.width)?;
                Ok(Some(self.mask_encoding.compress(self.width / 8, &bits)?.into()))
            }
            _ => Ok(None),
        }
    }

    fn encode_plane(&self, mut samples: Samples, samples_per_pixel: usize) -> Result<Vec<u8>> {
        if codec::is_of_samples(self.encoding.compression) {
            return self.encoding.encode(self.width, samples_per_pixel, &samples);
        }
        predictor::apply(self.predictor, samples_per_pixel, self.width, &mut samples)?;
        let row = self.width * samples_per_pixel;
        if packing::is_packed(samples.sample_type(), self.bits) {
            let packed = packing::pack(&samples, self.bits, row)?;
            let row_bytes = usize::try_from(packing::row_bytes(row as u64, self.bits)).unwrap_or(usize::MAX);
            return self.encoding.compress(row_bytes, &packed);
        }
        self.encoding.compress(row * samples.sample_type().bytes(), samples.as_bytes())
    }
}
