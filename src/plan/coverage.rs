//! The band that says how much of each pixel the cutline covers.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::header::Header;
use crate::mask::Coverage;
use crate::tiff::code::Photometric;

/// What a wholly covered pixel holds in a band of whole numbers: the largest of these that its samples can hold. They are
/// decimal, so that a scale factor says exactly what a value means.
const UNITS: [u32; 4] = [10_000, 1_000, 250, 100];

/// A band that holds how much of each pixel the cutline covers, behind the source's bands.
#[derive(Clone, Debug)]
pub struct CoverageBand {
    /// The covered shares of the window.
    pub shares: Arc<Coverage>,
    /// Whether the band holds what is not covered.
    pub inverted: bool,
    /// The output's band, from 0.
    pub band: usize,
    /// The value of a wholly covered pixel: 1 in a band of floats.
    pub unit: u32,
}

impl CoverageBand {
    /// The band number `band` of a raster.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a raster of complex samples, of less than 7 bits, or with a colour table.
    pub fn new(
        header: &Header,
        band: usize,
        photometric: Photometric,
        shares: Coverage,
        inverted: bool,
    ) -> Result<Self> {
        let sample = header.sample_type;
        let refused = |what: &str| {
            Err(Error::usage(format!(
                "--coverage-band adds a band to those of the raster, which {what}; clip without it, or --min-coverage alone"
            )))
        };
        if sample.is_complex() {
            return refused("are complex");
        }
        if photometric == Photometric::Palette {
            return refused("have a colour table");
        }
        let unit = if sample.is_float() {
            1
        } else {
            let bits = u32::from(header.bits) - u32::from(sample.is_signed());
            let largest = 1_u64.checked_shl(bits).map_or(u64::MAX, |v| v - 1);
            match UNITS.into_iter().find(|unit| u64::from(*unit) <= largest) {
                Some(unit) => unit,
                None => return refused(&format!("have {} bits", header.bits)),
            }
        };
        Ok(Self { shares: Arc::new(shares), inverted, band, unit })
    }

    /// Items of GDAL_METADATA that tell what the band holds.
    #[must_use]
    pub fn items(&self) -> String {
        let band = self.band;
        let description =
            format!("  <Item name=\"DESCRIPTION\" sample=\"{band}\" role=\"description\">coverage</Item>\n");
        if self.unit == 1 {
            return description;
        }
        let scale = 1.0 / f64::from(self.unit);
        format!(
            "{description}  <Item name=\"OFFSET\" sample=\"{band}\" role=\"offset\">0</Item>\n  <Item name=\"SCALE\" \
             sample=\"{band}\" role=\"scale\">{scale}</Item>\n"
        )
    }
}
