//! Masked tiles to the bytes of a Cloud Optimized GeoTIFF.

pub mod layout;
pub mod metadata;
pub mod overview;

use crate::codec;
use crate::compose::MaskedTile;
use crate::error::Result;
use crate::header::Header;
use crate::options::ClipOptions;
use crate::packing;
use crate::plan::Plan;
use crate::predictor;
use crate::sample::Samples;
use crate::tiff::code::{Compression, Predictor};

/// A tile's bytes, and those of its mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The image's tile.
    pub image: Vec<u8>,
    /// The tile of the internal mask, when the output has one.
    pub mask: Option<Vec<u8>>,
}

/// Encodes tiles, all alike.
#[derive(Clone, Debug)]
pub struct Encoder {
    bands: usize,
    bits: u16,
    width: usize,
    compression: Compression,
    level: u8,
    predictor: Predictor,
    mask: bool,
}

impl Encoder {
    /// For a plan.
    #[must_use]
    pub fn new(header: &Header, plan: &Plan, options: &ClipOptions) -> Self {
        Self {
            bands: plan.output_bands(),
            bits: header.bits,
            width: plan.blocksize() as usize,
            compression: options.compression,
            level: options.level,
            predictor: plan.predictor,
            mask: plan.validity.mask,
        }
    }

    /// A tile's bytes.
    ///
    /// # Errors
    /// As [`codec::compress`].
    pub fn encode(&self, mut tile: MaskedTile) -> Result<Encoded> {
        predictor::apply(self.predictor, self.bands, self.width, &mut tile.samples)?;
        let packed: Vec<u8>;
        let bytes = if packing::is_packed(tile.samples.sample_type(), self.bits) {
            packed = packing::pack(&tile.samples, self.bits, self.width * self.bands)?;
            &packed
        } else {
            tile.samples.as_bytes()
        };
        let image = codec::compress(self.compression, self.level, bytes)?;
        let mask = match tile.valid {
            // Masks are deflated whatever the image is: they are bits, and every reader inflates.
            Some(valid) if self.mask => {
                let bits = packing::pack(&Samples::U8(valid), 1, self.width)?;
                Some(codec::compress(Compression::Deflate, self.level, &bits)?)
            }
            _ => None,
        };
        Ok(Encoded { image, mask })
    }
}
