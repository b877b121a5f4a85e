//! How a masked pixel is stored, so that no valid pixel ever reads as nodata and no masked one as valid.

use crate::error::{Error, Result};
use crate::header::Header;
use crate::options::{ClipOptions, MaskStorage};
use crate::sample::{NoData, SampleType};

/// Where the output's nodata value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoDataOrigin {
    /// It was asked for.
    Given,
    /// The source declares it.
    Source,
    /// Neither: the customary value for signed and floating-point samples.
    Chosen,
}

/// How the output tells valid pixels from masked ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Validity {
    /// The value that fills masked samples; `None` for zero.
    pub fill: Option<NoData>,
    /// The value that the output declares (tag GDAL_NODATA), and why.
    pub nodata: Option<(NoData, NoDataOrigin)>,
    /// Whether the output has an internal mask.
    pub mask: bool,
    /// The output's band, from 0, that is an alpha band: masked pixels are 0 there.
    pub alpha: Option<usize>,
    /// Whether that alpha band is added, after the source's bands.
    pub add_alpha: bool,
}

impl Validity {
    /// By the source's own kind of validity and the options.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when the nodata value does not fit the samples, or a nodata value is asked for
    /// and there is none.
    pub fn choose(header: &Header, bands: &[u16], options: &ClipOptions) -> Result<Self> {
        let sample = header.sample_type;
        if let Some(given) = &options.nodata
            && !given.fits(sample)
        {
            return Err(Error::usage(format!(
                "nodata {given} does not fit the raster's {} samples",
                sample.name()
            )));
        }
        let declared = header.nodata.clone().map(|value| (value, NoDataOrigin::Source));
        let usable = declared.clone().filter(|(value, _)| value.fits(sample));
        let nodata = options.nodata.clone().map(|value| (value, NoDataOrigin::Given)).or(usable);
        let alpha = header.alpha().and_then(|alpha| bands.iter().position(|&band| band == alpha));
        let this = Self {
            fill: nodata.as_ref().map(|(value, _)| value.clone()),
            // A value that no sample can hold marks nothing, but it stays true: it is handed on.
            nodata: nodata.clone().or(declared),
            mask: header.mask.is_some(),
            alpha,
            add_alpha: false,
        };
        match options.mask {
            MaskStorage::NoData if this.fill.is_some() => Ok(Self { mask: false, ..this }),
            MaskStorage::NoData => Err(Error::usage(
                "--mask nodata needs a value: the raster declares none, so give one with --nodata",
            )),
            MaskStorage::Alpha if alpha.is_some() => Ok(Self { mask: false, ..this }),
            MaskStorage::Alpha => {
                Ok(Self { fill: None, nodata: None, mask: false, alpha: Some(bands.len()), add_alpha: true })
            }
            MaskStorage::Auto if this.fill.is_some() || this.mask => Ok(this),
            MaskStorage::Auto if is_mask_alpha(alpha, bands.len(), sample) => Ok(this),
            MaskStorage::Auto if sample.is_signed() && this.nodata.is_none() => {
                let value = NoData::new(if sample == SampleType::I8 { "-128" } else { "-9999" });
                let nodata = value.clone().map(|value| (value, NoDataOrigin::Chosen));
                Ok(Self { fill: value, nodata, ..this })
            }
            MaskStorage::Auto | MaskStorage::Internal => Ok(Self { mask: true, ..this }),
        }
    }

    /// The same with an internal mask instead of a nodata value: for a source that holds the value that was chosen.
    #[must_use]
    pub fn with_mask_instead(&self) -> Self {
        Self { fill: None, nodata: None, mask: true, alpha: self.alpha, add_alpha: self.add_alpha }
    }

    /// Whether the nodata value was chosen, so that a valid pixel that holds it would be lost.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        self.nodata.as_ref().is_some_and(|(_, origin)| *origin == NoDataOrigin::Chosen)
    }
}

/// Whether readers take the alpha band for the mask of all others. GDAL does so for the last of two or four bands of
/// 8 or 16 bits (`GDALRasterBand::GetMaskBand`); elsewhere an alpha band alone would leave masked pixels valid.
fn is_mask_alpha(alpha: Option<usize>, bands: usize, sample: SampleType) -> bool {
    matches!((alpha, bands), (Some(1), 2) | (Some(3), 4))
        && matches!(sample, SampleType::U8 | SampleType::U16)
}
