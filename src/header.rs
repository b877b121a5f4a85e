//! What a raster is: directories turned into a [`Header`] that cannot contradict itself. Parsing is
//! restartable: it names the bytes that it lacks and is called again when they have come.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod directory;
pub mod colours;
pub mod georeference;
pub mod image;
pub mod tag_table;
pub mod tags;

pub use directory::{Directory, Kind};
pub use georeference::Georeference;
pub use image::Image;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::sample::{NoData, SampleType};
use crate::tiff::code::{ByteOrder, FieldType, Photometric, tag};
use crate::tiff::parse::{self, Fetched, Stop};
use crate::tiff::write::Fields;
use crate::tiff::{Container, Ifd, Value, nested};
use crate::tile::Parameters;

/// Bytes asked for first: the whole header of most COGs, in one request.
pub const FIRST_BYTES: u64 = 64 * 1024;

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
    /// Every directory of the file.
    pub directories: Vec<Directory>,
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
    /// Bands, from 0, whose colour GDAL_METADATA names, and whether it is alpha.
    pub named_colours: std::collections::BTreeMap<u16, bool>,
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
    /// Those of the EXIF directory.
    pub exif: Option<Fields>,
    /// Those of the GPS directory.
    pub gps: Option<Fields>,
    /// Tags of the image that a clip drops, because they would be false or mean nothing: see [`tags`].
    pub dropped: Vec<u16>,
    /// The text of the ghost area (GDAL's `GDAL_STRUCTURAL_METADATA`), without its size line.
    pub ghost: Option<String>,
}

impl Header {
    /// Parses what has been fetched; the image is the first directory's.
    ///
    /// # Errors
    /// As [`Self::parse_image`].
    pub fn parse(fetched: &Fetched, limits: &Limits) -> Result<Self, Stop> {
        Self::parse_image(fetched, 0, limits)
    }

    /// Parses what has been fetched; the image is that of directory `ifd` of the main chain, from 0, which may as well be
    /// an overview or a mask. What it does not say itself, its georeference above all, it does not have.
    ///
    /// Its overviews and masks are its SubIFDs and those that follow it up to the next full image; of the first image, all
    /// that follow. A mask has none.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] without such a directory; the message lists what there is. [`Stop::Need`] names bytes to fetch before the next call. [`Stop::Bad`]: [`crate::ErrorKind::Format`]
    /// for a malformed file, [`crate::ErrorKind::Unsupported`] for one that cannot be read (its feature is
    /// named), [`crate::ErrorKind::Limit`] beyond `limits`.
    pub fn parse_image(fetched: &Fetched, ifd: usize, limits: &Limits) -> Result<Self, Stop> {
        let container = parse::parse(fetched, limits)?;
        let directories = Directory::list(&container);
        let main_ifd = container.chain.get(ifd).ok_or_else(|| no_such(ifd, &directories))?;
        let kind = Kind::of(main_ifd);
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
        let photometric = Photometric::from(main_ifd.integer::<u16>(tag::PHOTOMETRIC)?.unwrap_or(1));
        let ycbcr = photometric == Photometric::YCbCr;
        if ycbcr
            && (!matches!(main.layout.parameters, Parameters::Jpeg { ycbcr: true, .. }) || main.bands != 3)
        {
            return Err(Error::unsupported(format!(
                "{}: YCbCr colour outside JPEG compression of three interleaved bands is not supported",
                main_ifd.place()
            ))
            .into());
        }
        // By itself, a mask is a picture.
        let photometric =
            if photometric == Photometric::Mask { Photometric::BlackIsZero } else { photometric };
        let cmyk = photometric == Photometric::Separated && is_cmyk(&main, main_ifd)?;
        let mut remarks = Vec::new();
        if cmyk {
            main.layout.cmyk = true;
            (main.layout.sample_type, main.layout.bits) = (SampleType::U8, 8);
            remarks.push(CMYK.to_owned());
        }
        let shown = if cmyk || ycbcr { Photometric::Rgb } else { photometric };
        let (kept, dropped) = tags::split(main_ifd, container.order, photometric, shown);
        if dropped.contains(&tag::IMAGE_DESCRIPTION) {
            remarks.push(DESCRIBES.to_owned());
        }
        let mut header = Self {
            order: container.order,
            big: container.big,
            mask: None,
            overviews: Vec::new(),
            directories,
            others: Vec::new(),
            bands: if cmyk { 4 } else { main.bands },
            remarks,
            sample_type: main.layout.sample_type,
            bits: if main.layout.sample_type.is_float() {
                main.layout.sample_type.tiff().0
            } else {
                main.layout.bits
            },
            photometric: shown,
            extra_samples: if cmyk { vec![UNASSOCIATED_ALPHA] } else { extra_samples },
            color_map: main_ifd
                .value(tag::COLOR_MAP)
                .filter(|map| map.kind == FieldType::Short && map.count == 3 << main.layout.bits.min(16))
                .cloned(),
            geo: Georeference::parse(main_ifd)?,
            nodata: main_ifd.text(tag::GDAL_NODATA).as_deref().and_then(NoData::of_file),
            named_colours: main_ifd
                .text(tag::GDAL_METADATA)
                .map(|text| colours::named(&text))
                .unwrap_or_default(),
            metadata: main_ifd.text(tag::GDAL_METADATA),
            kept,
            dropped,
            exif: None,
            gps: None,
            ghost: ghost(fetched, container.big),
            main,
        };
        if kind != Kind::Mask {
            let next = container.chain.iter().skip(ifd.saturating_add(1));
            let own = next.take_while(|next| ifd == 0 || Kind::of(next) != Kind::Image);
            let sub = container.sub.iter().filter(|(parent, _)| *parent == ifd).map(|(_, ifd)| ifd);
            header.attach(own.chain(sub), container.order)?;
        }
        header.exif = header.nested(&container, main_ifd, tag::EXIF_IFD, fetched, limits)?;
        header.gps = header.nested(&container, main_ifd, tag::GPS_IFD, fetched, limits)?;
        Ok(header)
    }

    /// Reads a directory that holds no image. What is broken in it is a remark: the pixels do not need it.
    fn nested(
        &mut self,
        container: &Container,
        ifd: &Ifd,
        tag: u16,
        fetched: &Fetched,
        limits: &Limits,
    ) -> Result<Option<Fields>, Stop> {
        let name = if tag == tag::EXIF_IFD { "EXIF" } else { "GPS" };
        let Some(pointer) = ifd.value(tag) else { return Ok(None) };
        let images = || container.chain.iter().chain(container.sub.iter().map(|(_, ifd)| ifd));
        let offset = match pointer.u64() {
            Some(offset) if offset != 0 && images().all(|ifd| ifd.offset != offset) => offset,
            _ => {
                self.remarks
                    .push(format!("the pointer to the {name} tags points to none; they are left out"));
                return Ok(None);
            }
        };
        let wanted = |tag, kind| tags::keeps_nested(tag, kind, self.order);
        match nested::directory(fetched, self.big, offset, limits, wanted) {
            Ok((fields, broken)) => {
                if broken > 0 {
                    self.remarks.push(format!(
                        "{broken} of the {name} tags lie beyond the end of the file and are left out"
                    ));
                }
                let fields: Fields =
                    fields.into_iter().map(|(tag, value)| (tag, tags::narrowed(&value))).collect();
                Ok((!fields.is_empty()).then_some(fields))
            }
            Err(Stop::Bad(error)) => {
                self.remarks.push(format!("the {name} tags at byte {offset} are left out: {error}"));
                Ok(None)
            }
            Err(need @ Stop::Need(_)) => Err(need),
        }
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

    /// Which band, from 0, is an alpha band: the first that GDAL_METADATA names so, or that ExtraSamples does where
    /// GDAL_METADATA is silent.
    #[must_use]
    pub fn alpha(&self) -> Option<u16> {
        let extra = u16::try_from(self.extra_samples.len()).unwrap_or(u16::MAX);
        let colours = self.bands.saturating_sub(extra);
        (0..self.bands).find(|band| {
            self.named_colours.get(band).copied().unwrap_or_else(|| {
                let code = band.checked_sub(colours).and_then(|n| self.extra_samples.get(usize::from(n)));
                matches!(code, Some(1 | 2))
            })
        })
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

/// Directories that an error lists.
const LISTED: usize = 32;

/// What is said when there is no such directory.
fn no_such(ifd: usize, directories: &[Directory]) -> Error {
    let chain = || directories.iter().filter(|directory| directory.parent.is_none());
    let mut list: Vec<String> = chain().take(LISTED).map(ToString::to_string).collect();
    let more = chain().count().saturating_sub(list.len());
    if more > 0 {
        list.push(format!("and {more} more"));
    }
    Error::usage(format!("there is no IFD {ifd}; there are: {}", list.join("; ")))
}

/// ExtraSamples: unassociated alpha.
const UNASSOCIATED_ALPHA: u16 = 2;

/// What is said of an image of inks.
const CMYK: &str = "the raster is 8-bit CMYK; it is read as red, green, blue and an opaque alpha, as GDAL reads it, and \
                    bands beyond the four inks are left out";

/// What is said of a description that is dropped.
const DESCRIBES: &str = "the image's description is an account of the file's images (OME-XML, Leica or ImageJ); \
                         it is not handed on, because it would be false";

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
