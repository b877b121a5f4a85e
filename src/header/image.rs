//! One image of a file: its size, its tiles, and where they lie.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::grid::{Size, TileGrid, TileIndex};
use crate::limits::{Limits, within};
use crate::packing::is_packed;
use crate::sample::SampleType;
use crate::tiff::code::{ByteOrder, Compression, Photometric, Predictor, tag};
use crate::tiff::parse::{Fetched, Stop};
use crate::tiff::{Field, Ifd, Table};
use crate::tile::{Parameters, TileLayout};

/// A column of the tile table: where tiles start, or how long they are.
#[derive(Clone, Debug, PartialEq)]
enum Column {
    /// Read already.
    Read(Vec<u64>),
    /// In the file.
    InFile(Table),
    /// Not in the file: the length follows from the layout, because nothing is compressed.
    Uncompressed,
}

impl Column {
    fn len(&self) -> Option<u64> {
        match self {
            Self::Read(values) => Some(values.len() as u64),
            Self::InFile(table) => Some(table.count),
            Self::Uncompressed => None,
        }
    }

    /// Entries `range`, of which there are at least `range.end`.
    fn read(&self, range: Range<u64>, fetched: &Fetched) -> Result<Option<Vec<u64>>, Stop> {
        Ok(match self {
            Self::Read(values) => {
                let at = |n| usize::try_from(n).unwrap_or(usize::MAX);
                Some(values.get(at(range.start)..at(range.end)).unwrap_or_default().to_vec())
            }
            Self::InFile(table) => Some(table.read(range, fetched)?),
            Self::Uncompressed => None,
        })
    }
}

/// Where one stored tile lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which tile.
    pub index: TileIndex,
    /// Which plane.
    pub plane: u16,
    /// Its bytes; `None` for a sparse tile.
    pub bytes: Option<Range<u64>>,
}

/// One image: full resolution, an overview or a mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Number of its directory in the order of reading.
    pub number: usize,
    /// Where its directory starts in the file.
    pub ifd_offset: u64,
    /// Its grid of tiles; strips are tiles as wide as the image.
    pub grid: TileGrid,
    /// Whether it has tiles (TIFF 6.0 §15) rather than strips.
    pub tiled: bool,
    /// Samples of a pixel.
    pub bands: u16,
    /// Stored planes: 1, or one per band (PlanarConfiguration 2).
    pub planes: u16,
    /// How a stored tile becomes samples.
    pub layout: TileLayout,
    offsets: Column,
    byte_counts: Column,
}

impl Image {
    /// From a directory.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] when a field is missing or contradicts another;
    /// [`crate::ErrorKind::Unsupported`] for samples that are not read.
    pub fn parse(ifd: &Ifd, order: ByteOrder) -> Result<Self> {
        let required = |tag| ifd.integer::<u32>(tag)?.ok_or_else(|| ifd.bad(tag, "is missing"));
        let size = Size::new(required(tag::IMAGE_WIDTH)?, required(tag::IMAGE_LENGTH)?);
        if size.width == 0 || size.height == 0 || size.width.max(size.height) > i32::MAX.cast_unsigned() {
            return Err(ifd.bad(tag::IMAGE_WIDTH, format!("and ImageLength are {size}")));
        }
        let bands = ifd.integer::<u16>(tag::SAMPLES_PER_PIXEL)?.unwrap_or(1);
        if bands == 0 {
            return Err(ifd.bad(tag::SAMPLES_PER_PIXEL, "is 0"));
        }
        let (sample_type, bits) = sample_type(ifd, bands)?;
        let planes = match ifd.integer::<u16>(tag::PLANAR_CONFIGURATION)?.unwrap_or(1) {
            1 => 1,
            2 => bands,
            other => return Err(ifd.bad(tag::PLANAR_CONFIGURATION, format!("is {other}, not 1 or 2"))),
        };
        let tiled = ifd.fields.contains_key(&tag::TILE_WIDTH) || ifd.fields.contains_key(&tag::TILE_OFFSETS);
        let tile = if tiled {
            Size::new(required(tag::TILE_WIDTH)?, required(tag::TILE_LENGTH)?)
        } else {
            let rows = ifd.integer::<u64>(tag::ROWS_PER_STRIP)?.unwrap_or(u64::from(u32::MAX));
            Size::new(size.width, u32::try_from(rows).unwrap_or(u32::MAX).min(size.height))
        };
        if tile.width == 0 || tile.height == 0 || tile.width.max(tile.height) > i32::MAX.cast_unsigned() {
            return Err(ifd.bad(
                if tiled { tag::TILE_WIDTH } else { tag::ROWS_PER_STRIP },
                format!("gives tiles of {tile} pixels"),
            ));
        }
        let grid = TileGrid { image: size, tile };
        let layout = TileLayout {
            size: tile,
            samples_per_pixel: if planes == 1 { bands } else { 1 },
            sample_type,
            compression: Compression::from(ifd.integer::<u16>(tag::COMPRESSION)?.unwrap_or(1)),
            predictor: Predictor::from(ifd.integer::<u16>(tag::PREDICTOR)?.unwrap_or(1)),
            byte_order: order,
            bits,
            reversed: ifd.integer::<u16>(tag::FILL_ORDER)?.unwrap_or(1) == 2,
            cmyk: false,
            parameters: parameters(ifd, planes)?,
        };
        if order == ByteOrder::Big
            && bits > 8
            && matches!(layout.compression, Compression::JpegXl | Compression::JpegXlDng)
        {
            // libtiff would swap the decoded samples once more, other programs do not.
            return Err(Error::unsupported(format!(
                "{}: JPEG XL of more than 8 bits in a big-endian file is not supported: readers disagree on its byte order",
                ifd.place()
            )));
        }
        let (offsets, byte_counts) = columns(ifd, tiled, layout.compression, grid, planes)?;
        Ok(Self {
            number: ifd.number,
            ifd_offset: ifd.offset,
            grid,
            tiled,
            bands,
            planes,
            layout,
            offsets,
            byte_counts,
        })
    }

    /// Its size in pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.grid.image
    }

    /// Stored rows of a tile: the tile's height, or fewer in the last strip.
    #[must_use]
    pub fn stored_rows(&self, tile: TileIndex) -> u32 {
        if self.tiled {
            self.layout.size.height
        } else {
            let rect = self.grid.rect(tile);
            rect.y1.saturating_sub(rect.y0)
        }
    }

    /// Number of stored tiles, over all planes.
    #[must_use]
    pub fn stored_tiles(&self) -> u64 {
        self.grid.count().saturating_mul(u64::from(self.planes))
    }

    /// Where some tiles lie, in the given order.
    ///
    /// # Errors
    /// [`Stop::Need`] names the part of the tile table to fetch first. [`Stop::Bad`]:
    /// [`crate::ErrorKind::Format`] for a tile beyond the end of the file, [`crate::ErrorKind::Limit`] for
    /// one larger than `limits` allow.
    pub fn places(
        &self,
        tiles: &[(u16, TileIndex)],
        fetched: &Fetched,
        limits: &Limits,
    ) -> Result<Vec<Place>, Stop> {
        let number = |plane: u16, index| {
            u64::from(plane).saturating_mul(self.grid.count()).saturating_add(self.grid.number(index))
        };
        let numbers = || tiles.iter().map(|&(plane, index)| number(plane, index));
        let (Some(first), Some(last)) = (numbers().min(), numbers().max()) else { return Ok(Vec::new()) };
        let span = first..last.saturating_add(1);
        let offsets = self.offsets.read(span.clone(), fetched)?.unwrap_or_default();
        let counts = self.byte_counts.read(span, fetched)?;
        let mut places = Vec::with_capacity(tiles.len());
        for &(plane, index) in tiles {
            let at = usize::try_from(number(plane, index).saturating_sub(first)).unwrap_or(usize::MAX);
            let rows = self.stored_rows(index);
            let len = match &counts {
                Some(counts) => counts.get(at).copied(),
                None => Some(self.layout.stored_bytes(rows)),
            };
            let (Some(&offset), Some(len)) = (offsets.get(at), len) else {
                return Err(Error::format("the tile table is shorter than its count")
                    .at(self.place(index))
                    .into());
            };
            let bytes = (len != 0).then(|| offset..offset.saturating_add(len));
            if let Some(bytes) = &bytes {
                if offset == 0 || bytes.end > fetched.size {
                    return Err(Error::format(format!(
                        "it lies at bytes {}..{}, but the file has {} bytes; the file is truncated or damaged",
                        bytes.start, bytes.end, fetched.size
                    ))
                    .at(self.place(index))
                    .into());
                }
                // What does not compress grows by less than half in any of the codecs. More is not read at all.
                let decoded = within(self.layout.bytes(rows), limits.tile_bytes, "its pixels");
                let most = decoded.map_err(|e| e.at(self.place(index)))? as u64;
                let most = most.saturating_mul(2).saturating_add(1 << 16);
                within(len, most, "reading it").map_err(|e| e.at(self.place(index)))?;
            }
            places.push(Place { index, plane, bytes });
        }
        Ok(places)
    }

    /// A tile of this image in a message: `IFD 0, tile at column 3, row 4`.
    #[must_use]
    pub fn place(&self, index: TileIndex) -> String {
        let what = if self.tiled { "tile" } else { "strip" };
        format!("IFD {}, {what} at {index}", self.number)
    }
}

/// What the compression of an image needs to know.
fn parameters(ifd: &Ifd, planes: u16) -> Result<Parameters> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others need nothing")]
    Ok(match Compression::from(ifd.integer::<u16>(tag::COMPRESSION)?.unwrap_or(1)) {
        Compression::Jpeg => {
            let photometric = ifd.integer::<u16>(tag::PHOTOMETRIC)?.map(Photometric::from);
            Parameters::Jpeg {
                tables: ifd.value(tag::JPEG_TABLES).map(|value| value.bytes.clone()),
                ycbcr: photometric == Some(Photometric::YCbCr) && planes == 1,
            }
        }
        Compression::Group3 => {
            Parameters::Group3 { two_dimensional: ifd.integer::<u64>(tag::T4_OPTIONS)?.unwrap_or(0) & 1 != 0 }
        }
        Compression::Lerc => {
            let values = ifd.integers(tag::LERC_PARAMETERS)?.unwrap_or_default();
            Parameters::Lerc { wrapping: values.get(1).copied().unwrap_or(0) }
        }
        _ => Parameters::None,
    })
}

/// The type of the samples, and the bits that one takes in the file.
fn sample_type(ifd: &Ifd, bands: u16) -> Result<(SampleType, u16)> {
    let all = |tag, default: u64| -> Result<u64> {
        let values = ifd.integers(tag)?.unwrap_or_default();
        let first = values.first().copied().unwrap_or(default);
        // Some writers give one value for all bands; libtiff reads that.
        match values.iter().take(usize::from(bands)).find(|&&value| value != first) {
            Some(other) => Err(Error::unsupported(format!(
                "{}: bands of different {} ({first} and {other}) are not supported",
                ifd.place(),
                tag::name(tag).unwrap_or_default()
            ))),
            None => Ok(first),
        }
    };
    let bits = all(tag::BITS_PER_SAMPLE, 1)?;
    let format = match all(tag::SAMPLE_FORMAT, 1)? {
        // "Undefined" is read as unsigned, as GDAL does.
        4 => 1,
        format => format,
    };
    let found = SampleType::ALL
        .iter()
        // Types stand from narrow to wide.
        .find(|kind| {
            let (all, kind) = kind.tiff();
            (u64::from(all) >= bits && bits > 0, u64::from(kind)) == (true, format)
        })
        .copied()
        // What is packed, or fills its type.
        .filter(|&kind| {
            let bits = u16::try_from(bits).unwrap_or(0);
            bits == kind.tiff().0 || is_packed(kind, bits)
        });
    let format = match format {
        1 => "unsigned integer".to_owned(),
        2 => "signed integer".to_owned(),
        3 => "floating-point".to_owned(),
        5 => "complex integer".to_owned(),
        6 => "complex floating-point".to_owned(),
        other => format!("format {other}"),
    };
    found.zip(u16::try_from(bits).ok()).ok_or_else(|| {
        Error::unsupported(format!("{}: {bits}-bit {format} samples are not supported", ifd.place()))
    })
}

fn columns(
    ifd: &Ifd,
    tiled: bool,
    compression: Compression,
    grid: TileGrid,
    planes: u16,
) -> Result<(Column, Column)> {
    let (offsets_tag, counts_tag) = if tiled && ifd.fields.contains_key(&tag::TILE_OFFSETS) {
        (tag::TILE_OFFSETS, tag::TILE_BYTE_COUNTS)
    } else {
        (tag::STRIP_OFFSETS, tag::STRIP_BYTE_COUNTS)
    };
    let column = |tag| {
        Ok::<_, Error>(match ifd.fields.get(&tag) {
            Some(Field::Table(table)) => Some(Column::InFile(*table)),
            Some(Field::Value(_)) => ifd.integers(tag)?.map(Column::Read),
            None => None,
        })
    };
    let offsets = column(offsets_tag)?.ok_or_else(|| ifd.bad(offsets_tag, "is missing"))?;
    let byte_counts = match column(counts_tag)? {
        Some(counts) => counts,
        None if compression == Compression::None => Column::Uncompressed,
        None => return Err(ifd.bad(counts_tag, "is missing")),
    };
    let expected = grid.count().saturating_mul(u64::from(planes));
    for (tag, column) in [(offsets_tag, &offsets), (counts_tag, &byte_counts)] {
        if let Some(found) = column.len()
            && found < expected
        {
            return Err(ifd.bad(
                tag,
                format!("has {found} entries, but {} in tiles of {} needs {expected}", grid.image, grid.tile),
            ));
        }
    }
    Ok((offsets, byte_counts))
}
