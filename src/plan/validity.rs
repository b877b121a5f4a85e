//! How a masked pixel is stored, so that no valid pixel ever reads as nodata and no masked one as valid.

use crate::codec::Encoding;
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

/// How the source tells valid samples from others, by GDAL's precedence (`GDALRasterBand::GetMaskBand` of a GeoTIFF): an
/// internal mask speaks alone, then nodata, then alpha.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceValidity {
    /// By its internal mask, pixel by pixel.
    Mask,
    /// By a value, sample by sample.
    NoData(NoData),
    /// By an alpha band, from 0, pixel by pixel.
    Alpha(u16),
    /// Everything is valid.
    All,
}

impl SourceValidity {
    /// Of a raster.
    #[must_use]
    pub fn of(header: &Header) -> Self {
        let sample = header.sample_type;
        if header.mask.is_some() {
            return Self::Mask;
        }
        if let Some(nodata) = header.nodata.clone().filter(|value| header.holds(value)) {
            return Self::NoData(nodata);
        }
        match header.alpha() {
            Some(alpha) if is_mask_alpha(Some(alpha.into()), header.bands.into(), sample) => {
                Self::Alpha(alpha)
            }
            _ => Self::All,
        }
    }
}

/// How the output tells valid pixels from masked ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Validity {
    /// How the source does.
    pub source: SourceValidity,
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
    /// By the source's own kind of validity and the options. `alpha` is the output's band, from 0, that is coded as
    /// alpha, and `bands` the number of the output's bands. Lossy compression changes nodata values, and
    /// alpha bands unless it is WebP, so that only an internal mask tells valid pixels from masked ones.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when the nodata value does not fit the samples, a nodata value is asked for and there
    /// is none, or an alpha band is asked for where readers would not take it for the mask; for nodata and alpha with lossy
    /// compression.
    pub fn choose(
        header: &Header,
        alpha: Option<usize>,
        bands: usize,
        encoding: &Encoding,
        options: &ClipOptions,
    ) -> Result<Self> {
        let sample = header.sample_type;
        if let Some(given) = &options.nodata
            && !given.is_exact(sample, header.bits)
        {
            return Err(Error::usage(format!(
                "nodata {given} does not fit the raster's {} samples",
                sample.name()
            )));
        }
        let declared = header.nodata.clone().map(|value| (value, NoDataOrigin::Source));
        let usable = declared.clone().filter(|(value, _)| header.holds(value));
        let nodata = options.nodata.clone().map(|value| (value, NoDataOrigin::Given)).or(usable);
        let source = SourceValidity::of(header);
        let this = Self {
            fill: nodata.as_ref().map(|(value, _)| value.clone()),
            // A value that no sample can hold marks nothing, but it stays true: it is handed on.
            nodata: nodata.or(declared),
            mask: source == SourceValidity::Mask,
            source,
            alpha,
            add_alpha: false,
        };
        if encoding.is_lossy() {
            let by_alpha = options.mask == MaskStorage::Alpha
                || options.mask == MaskStorage::Auto
                    && this.nodata.is_none()
                    && is_mask_alpha(alpha, bands, sample);
            if !(encoding.keeps_alpha() && by_alpha && !this.mask && options.nodata.is_none()) {
                return this.of_lossy(encoding, options);
            }
        }
        match options.mask {
            MaskStorage::NoData if this.fill.is_some() => Ok(Self { mask: false, ..this }),
            MaskStorage::NoData => Err(Error::usage(
                "--mask nodata needs a value: the raster declares none, so give one with --nodata",
            )),
            MaskStorage::Alpha if options.nodata.is_some() => Err(Error::usage(
                "--mask alpha and --nodata exclude each other: readers go by the nodata value alone",
            )),
            MaskStorage::Alpha if alpha.is_some() && matches!(this.source, SourceValidity::NoData(_)) => {
                Err(Error::usage(
                    "--mask alpha: the raster has an alpha band and a nodata value, and its readers go by the nodata value; the \
                     alpha band says something else. Use --mask internal, or leave the alpha band out with --bands",
                ))
            }
            MaskStorage::Alpha => {
                let add_alpha = alpha.is_none();
                let (alpha, bands) = (alpha.unwrap_or(bands), bands + usize::from(add_alpha));
                if !is_mask_alpha(Some(alpha), bands, sample) {
                    return Err(Error::usage(format!(
                        "--mask alpha needs one or three bands of uint8 or uint16 and the alpha band behind them, or readers \
                         do not take it for the mask; the output would have {bands} bands of {}. Use --mask internal",
                        sample.name()
                    )));
                }
                // No nodata value is declared: readers would go by it and not by the alpha band.
                Ok(Self { fill: None, nodata: None, mask: false, alpha: Some(alpha), add_alpha, ..this })
            }
            MaskStorage::Auto if this.fill.is_some() || this.mask => Ok(this),
            MaskStorage::Auto if is_mask_alpha(alpha, bands, sample) => Ok(this),
            MaskStorage::Auto if sample.is_signed() && this.nodata.is_none() => {
                let value = NoData::new(if sample == SampleType::I8 { "-128" } else { "-9999" });
                // Neither 12-bit integers nor half floats can hold it.
                let Some(value) = value.filter(|value| value.is_exact(sample, header.bits)) else {
                    return Ok(Self { mask: true, ..this });
                };
                Ok(Self { fill: Some(value.clone()), nodata: Some((value, NoDataOrigin::Chosen)), ..this })
            }
            MaskStorage::Auto | MaskStorage::Internal => Ok(Self { mask: true, ..this }),
        }
    }

    /// For lossy compression.
    fn of_lossy(self, encoding: &Encoding, options: &ClipOptions) -> Result<Self> {
        if options.nodata.is_some() || options.mask == MaskStorage::NoData {
            return Err(Error::usage(
                "lossy compression does not keep a nodata value; use --mask internal, or a lossless compression",
            ));
        }
        if options.mask == MaskStorage::Alpha || self.alpha.is_some() && !encoding.keeps_alpha() {
            return Err(Error::usage(
                "lossy compression does not keep an alpha band; leave it out with --bands, and the output gets an \
                 internal mask, or choose a lossless compression",
            ));
        }
        Ok(Self { fill: None, nodata: None, mask: true, ..self })
    }

    /// The same with an internal mask instead of a nodata value: for a source that holds the value that was chosen.
    #[must_use]
    pub fn with_mask_instead(&self) -> Self {
        Self { fill: None, nodata: None, mask: true, ..self.clone() }
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
