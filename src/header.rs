//! What a raster is: directories turned into a [`Header`] that cannot contradict itself. Parsing is
//! restartable: it names the bytes that it lacks and is called again when they have come.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod georeference;
pub mod image;

pub use georeference::Georeference;
pub use image::Image;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::sample::{NoData, SampleType};
use crate::tiff::code::{ByteOrder, FieldType, Photometric, tag};
use crate::tiff::parse::{self, Fetched, Stop};
use crate::tiff::write::Fields;
use crate::tiff::{Ifd, Value};
use crate::tile::Parameters;

/// Bytes asked for first: the whole header of most COGs, in one request.
pub const FIRST_BYTES: u64 = 64 * 1024;

/// Tags that are handed on as they are, because a clip keeps them true.
const KEPT: &[u16] = &[
    tag::DOCUMENT_NAME,
    tag::IMAGE_DESCRIPTION,
    tag::MAKE,
    tag::MODEL,
    tag::ORIENTATION,
    tag::MIN_SAMPLE_VALUE,
    tag::MAX_SAMPLE_VALUE,
    tag::X_RESOLUTION,
    tag::Y_RESOLUTION,
    tag::PAGE_NAME,
    tag::RESOLUTION_UNIT,
    tag::TRANSFER_FUNCTION,
    tag::SOFTWARE,
    tag::DATE_TIME,
    tag::ARTIST,
    tag::HOST_COMPUTER,
    tag::WHITE_POINT,
    tag::PRIMARY_CHROMATICITIES,
    tag::INK_SET,
    tag::INK_NAMES,
    tag::COPYRIGHT,
    tag::XMP,
    tag::IPTC,
    tag::ICC_PROFILE,
];

/// A raster's header.
#[derive(Clone, Debug)]
pub struct Header {
    /// Byte order of the file.
    pub order: ByteOrder,
    /// Whether the file is a BigTIFF.
    pub big: bool,
    /// The full-resolution image.
    pub main: Image,
    /// Its internal mask, of the same size: 0 is invalid.
    pub mask: Option<Image>,
    /// Overviews, largest first, each with its mask.
    pub overviews: Vec<(Image, Option<Image>)>,
    /// Directories that belong to none of these: other pages, or what could not be understood (with the reason).
    pub others: Vec<String>,
    /// What a user should know: whatever is not handed on as it is stored.
    pub remarks: Vec<String>,
    /// Number of bands.
    pub bands: u16,
    /// Type of every sample.
    pub sample_type: SampleType,
    /// Bits of every sample: fewer than the type has when the file packs them, as the output does then too. 24-bit
    /// floats become 32-bit ones, which hold them exactly.
    pub bits: u16,
    /// How bands 1, 2, … make a colour. 8-bit CMYK is read as RGBA and YCbCr as RGB, as GDAL reads them.
    pub photometric: Photometric,
    /// Meaning of the bands beyond the photometric interpretation's own, in TIFF's codes: 0 unspecified,
    /// 1 associated alpha, 2 unassociated alpha.
    pub extra_samples: Vec<u16>,
    /// The colour table, as the file holds it.
    pub color_map: Option<Value>,
    /// Where the raster lies.
    pub geo: Georeference,
    /// The value that marks samples as invalid.
    pub nodata: Option<NoData>,
    /// GDAL_METADATA, an XML text.
    pub metadata: Option<String>,
    /// Fields that are handed on as they are.
    pub kept: Fields,
    /// The text of the ghost area (GDAL's `GDAL_STRUCTURAL_METADATA`), without its size line.
    pub ghost: Option<String>,
}

impl Header {
    /// Parses what has been fetched.
    ///
    /// # Errors
    /// [`Stop::Need`] names bytes to fetch before the next call. [`Stop::Bad`]: [`crate::ErrorKind::Format`]
    /// for a malformed file, [`crate::ErrorKind::Unsupported`] for one that cannot be read (its feature is
    /// named), [`crate::ErrorKind::Limit`] beyond `limits`.
    pub fn parse(fetched: &Fetched, limits: &Limits) -> Result<Self, Stop> {
        let container = parse::parse(fetched, limits)?;
        let (main_ifd, rest) =
            container.chain.split_first().ok_or_else(|| Error::format("the TIFF holds no image"))?;
        let mut main = Image::parse(main_ifd, container.order)?;
        let extra_samples: Vec<u16> = main_ifd
            .integers(tag::EXTRA_SAMPLES)?
            .unwrap_or_default()
            .iter()
            .map(|&code| u16::try_from(code).unwrap_or(0))
            .collect();
        if extra_samples.len() > usize::from(main.bands) {
            return Err(main_ifd
                .bad(tag::EXTRA_SAMPLES, format!("lists {} samples of {}", extra_samples.len(), main.bands))
                .into());
        }
        let mut photometric = Photometric::from(main_ifd.integer::<u16>(tag::PHOTOMETRIC)?.unwrap_or(1));
        if photometric == Photometric::YCbCr {
            if !matches!(main.layout.parameters, Parameters::Jpeg { ycbcr: true, .. }) || main.bands != 3 {
                return Err(Error::unsupported(format!(
                    "{}: YCbCr colour outside JPEG compression of three interleaved bands is not supported",
                    main_ifd.place()
                ))
                .into());
            }
            photometric = Photometric::Rgb;
        }
        let cmyk = photometric == Photometric::Separated && is_cmyk(&main, main_ifd)?;
        let mut remarks = Vec::new();
        if cmyk {
            main.layout.cmyk = true;
            (main.layout.sample_type, main.layout.bits) = (SampleType::U8, 8);
            remarks.push(CMYK.to_owned());
        }
        let mut header = Self {
            order: container.order,
            big: container.big,
            mask: None,
            overviews: Vec::new(),
            others: Vec::new(),
            bands: if cmyk { 4 } else { main.bands },
            remarks,
            sample_type: main.layout.sample_type,
            bits: if main.layout.sample_type.is_float() {
                main.layout.sample_type.tiff().0
            } else {
                main.layout.bits
            },
            photometric: if cmyk { Photometric::Rgb } else { photometric },
            extra_samples: if cmyk { vec![UNASSOCIATED_ALPHA] } else { extra_samples },
            color_map: main_ifd
                .value(tag::COLOR_MAP)
                .filter(|map| map.kind == FieldType::Short && map.count == 3 << main.layout.bits.min(16))
                .cloned(),
            geo: Georeference::parse(main_ifd)?,
            nodata: main_ifd.text(tag::GDAL_NODATA).as_deref().and_then(NoData::of_file),
            metadata: main_ifd.text(tag::GDAL_METADATA),
            kept: KEPT
                .iter()
                .filter(|&&tag| !(cmyk && matches!(tag, tag::INK_SET | tag::INK_NAMES)))
                .filter_map(|&tag| Some((tag, main_ifd.value(tag)?.clone())))
                .collect(),
            ghost: ghost(fetched, container.big),
            main,
        };
        let sub = container.sub.iter().filter(|(parent, _)| *parent == 0).map(|(_, ifd)| ifd);
        header.attach(rest.iter().chain(sub), container.order)?;
        Ok(header)
    }

    /// Sorts further directories into masks, overviews and others.
    fn attach<'a>(&mut self, ifds: impl Iterator<Item = &'a Ifd>, order: ByteOrder) -> Result<()> {
        let mut masks = Vec::new();
        for ifd in ifds {
            let kind = ifd.integer::<u64>(tag::NEW_SUBFILE_TYPE)?.unwrap_or(0);
            if kind & 5 == 0 {
                self.others.push(format!("{}: another page", ifd.place()));
                continue;
            }
            let own_mask = kind & 5 == 4 && self.mask.is_none() && masks.is_empty();
            match Image::parse(ifd, order) {
                // The mask says which pixels are valid: without it the clip would be wrong.
                Err(error) if own_mask => return Err(error),
                Ok(image) if own_mask && (image.bands != 1 || image.layout.sample_type != SampleType::U8) => {
                    return Err(Error::unsupported(format!(
                        "{}: an internal mask of {} bands of {} is not supported; masks have one band of 1 or 8 bits",
                        ifd.place(),
                        image.bands,
                        image.layout.sample_type.name()
                    )));
                }
                // What is broken or foreign in an overview does not touch a clip, which reads none of them.
                Err(error) => self.others.push(error.to_string()),
                Ok(image) if kind & 4 != 0 => masks.push(image),
                Ok(image) if image.bands == self.main.bands && image.size() != self.main.size() => {
                    self.overviews.push((image, None));
                }
                Ok(_) => self.others.push(format!("{}: a reduced image of another kind", ifd.place())),
            }
        }
        self.overviews.sort_by_key(|(image, _)| std::cmp::Reverse(image.size().pixels()));
        for mask in masks {
            if mask.size() == self.main.size() && self.mask.is_none() {
                self.mask = Some(mask);
            } else if let Some((_, slot)) =
                self.overviews.iter_mut().find(|(image, slot)| slot.is_none() && image.size() == mask.size())
            {
                *slot = Some(mask);
            } else {
                self.others.push(format!("IFD {}: a mask of no image", mask.number));
            }
        }
        Ok(())
    }

    /// Which band, from 0, is an alpha band.
    #[must_use]
    pub fn alpha(&self) -> Option<u16> {
        let first = self.extra_samples.iter().position(|&code| code == 1 || code == 2)?;
        let first = u16::try_from(first).ok()?;
        self.bands.checked_sub(u16::try_from(self.extra_samples.len()).ok()?)?.checked_add(first)
    }

    /// Whether the raster's samples can hold a nodata value, so that pixels can be nodata.
    #[must_use]
    pub fn holds(&self, nodata: &NoData) -> bool {
        nodata.fits(self.sample_type, self.bits)
    }

    /// Whether samples are names of classes rather than amounts, so that averaging them means nothing.
    #[must_use]
    pub fn is_classes(&self) -> bool {
        self.photometric == Photometric::Palette
    }
}

/// ExtraSamples: unassociated alpha.
const UNASSOCIATED_ALPHA: u16 = 2;

/// What is said of an image of inks.
const CMYK: &str = "the raster is 8-bit CMYK; it is read as red, green, blue and an opaque alpha, as GDAL reads it, and \
                    bands beyond the four inks are left out";

/// Whether GDAL reads the image as red, green, blue and alpha, through libtiff's RGBA interface: 8-bit inks.
fn is_cmyk(image: &Image, ifd: &Ifd) -> Result<bool> {
    let cmyk =
        image.bands >= 4 && image.layout.bits == 8 && ifd.integer::<u16>(tag::INK_SET)?.unwrap_or(1) == 1;
    if cmyk && image.planes > 1 {
        return Err(Error::unsupported(format!("{}: CMYK in separate planes is not supported", ifd.place())));
    }
    Ok(cmyk)
}

/// The ghost area that GDAL's COG writer puts between the header and the first directory.
fn ghost(fetched: &Fetched, big: bool) -> Option<String> {
    const LEAD: &[u8] = b"GDAL_STRUCTURAL_METADATA_SIZE=";
    let start = if big { 16_u64 } else { 8 };
    let lead = fetched.get(start..start.checked_add(43)?, "the ghost area").ok()?;
    let digits = lead.strip_prefix(LEAD)?.get(..6)?;
    let len: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let text_start = start.checked_add(43)?;
    let text = fetched.get(text_start..text_start.checked_add(len)?, "the ghost area").ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}
