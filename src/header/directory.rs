//! What directories a file has: a list for people and programs, from which they choose an image.

use std::fmt;

use crate::grid::Size;
use crate::tiff::code::{Compression, tag};
use crate::tiff::{Container, Ifd};

/// What a directory of a file holds, by its NewSubfileType (TIFF 6.0 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A full-resolution image, or one page of several.
    Image,
    /// An image at a lower resolution.
    Overview,
    /// A transparency mask, of an image or an overview.
    Mask,
    /// No image: it has no size.
    Other,
}

impl Kind {
    /// Of a directory.
    pub(super) fn of(ifd: &Ifd) -> Self {
        let kind = ifd.value(tag::NEW_SUBFILE_TYPE).and_then(crate::tiff::Value::u64).unwrap_or(0);
        match size(ifd) {
            None => Self::Other,
            Some(_) if kind & 4 != 0 => Self::Mask,
            Some(_) if kind & 1 != 0 => Self::Overview,
            Some(_) => Self::Image,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Overview => "overview",
            Self::Mask => "mask",
            Self::Other => "other",
        }
    }
}

/// One directory. Nothing of it is known to be readable: this is what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Directory {
    /// Its number: first those of the main chain in its order, from 0, by which an image is chosen; then the SubIFDs.
    pub number: usize,
    /// The directory whose SubIFD it is; `None` in the main chain.
    pub parent: Option<usize>,
    /// Its size in pixels.
    pub size: Option<Size>,
    /// Samples of a pixel.
    pub bands: u64,
    /// The type of a sample: `uint8`, `float32`, `uint12`.
    pub sample_type: String,
    /// Its compression.
    pub compression: Compression,
    /// What it holds.
    pub kind: Kind,
}

impl Directory {
    /// All directories of a file.
    pub(super) fn list(container: &Container) -> Vec<Self> {
        let chain = container.chain.iter().map(|ifd| Self::of(ifd, None));
        chain.chain(container.sub.iter().map(|(parent, ifd)| Self::of(ifd, Some(*parent)))).collect()
    }

    fn of(ifd: &Ifd, parent: Option<usize>) -> Self {
        let number = |tag, default| first(ifd, tag).unwrap_or(default);
        let bits = number(tag::BITS_PER_SAMPLE, 1);
        let sample_type = match number(tag::SAMPLE_FORMAT, 1) {
            2 => format!("int{bits}"),
            3 => format!("float{bits}"),
            5 => format!("complex_int{bits}"),
            6 => format!("complex{bits}"),
            _ => format!("uint{bits}"),
        };
        let compression = u16::try_from(number(tag::COMPRESSION, 1)).unwrap_or(u16::MAX);
        Self {
            number: ifd.number,
            parent,
            size: size(ifd),
            bands: number(tag::SAMPLES_PER_PIXEL, 1),
            sample_type,
            compression: Compression::from(compression),
            kind: Kind::of(ifd),
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.number)?;
        if let Some(size) = self.size {
            let s = if self.bands == 1 { "" } else { "s" };
            write!(f, "{size}, {} band{s} of {}, {}, ", self.bands, self.sample_type, self.compression)?;
        }
        f.write_str(self.kind.name())?;
        self.parent.map_or(Ok(()), |parent| write!(f, " (SubIFD of {parent})"))
    }
}

fn first(ifd: &Ifd, tag: u16) -> Option<u64> {
    ifd.value(tag)?.u64()
}

fn size(ifd: &Ifd) -> Option<Size> {
    let side = |tag| u32::try_from(first(ifd, tag)?).ok();
    Some(Size::new(side(tag::IMAGE_WIDTH)?, side(tag::IMAGE_LENGTH)?))
}
