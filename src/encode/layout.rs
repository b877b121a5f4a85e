//! The order of a COG (OGC 21-026 §7; GDAL's "Cloud Optimized GeoTIFF" driver page, "File format details"): header,
//! ghost area, all directories, the overviews' tiles from the smallest up, then the full-resolution tiles.
//!
//! Every tile is led by its size and trailed by its last four bytes, which the ghost area promises to readers.

use bytes::Bytes;

use super::Encoded;
use super::metadata;
use crate::error::{Error, Result};
use crate::grid::TileGrid;
use crate::header::{Header, tags};
use crate::options::Interleave;
use crate::plan::Plan;
use crate::tiff::Value;
use crate::tiff::code::{Compression, Photometric, Predictor, tag};
use crate::tiff::write::{self, Fields};

/// Where a tile lies in its level's run of tiles, and its length; both 0 for a tile that is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    offset: u64,
    len: u32,
}

/// The tiles of one level, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Level {
    /// By plane: one, or one for each band.
    image: Vec<Vec<Entry>>,
    mask: Vec<Entry>,
    bytes: u64,
}

impl Level {
    /// Adds the next tile, row by row; returns the bytes that stand in the file for it.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Limit`] for a tile of 4 GiB or more.
    pub fn add(&mut self, tile: &Encoded) -> Result<Bytes> {
        let room = tile.image_bytes() + tile.mask.as_ref().map_or(0, Bytes::len);
        let mut out = Vec::with_capacity(room + 8 * (tile.image.len() + 1));
        self.image.resize(tile.image.len().max(self.image.len()), Vec::new());
        let planes = tile.image.iter().zip(&mut self.image);
        for (data, entries) in planes.chain(tile.mask.as_ref().map(|data| (data, &mut self.mask))) {
            let len = u32::try_from(data.len())
                .map_err(|cause| Error::limit("a tile of the output has 4 GiB or more").caused_by(cause))?;
            out.extend(len.to_le_bytes());
            entries.push(Entry { offset: self.bytes + out.len() as u64, len });
            out.extend(data);
            out.extend(&data[data.len().saturating_sub(4)..]);
        }
        self.bytes += out.len() as u64;
        Ok(out.into())
    }

    /// Adds the next tiles, whose bytes, leaders and trailers included, are `len` in all: where each starts in them, and how
    /// long it is.
    pub fn add_run(&mut self, tiles: &[(u64, u32)], len: u64) {
        self.image.resize(self.image.len().max(1), Vec::new());
        let base = self.bytes;
        if let Some(entries) = self.image.first_mut() {
            entries.extend(tiles.iter().map(|&(start, len)| Entry { offset: base + start, len }));
        }
        self.bytes += len;
    }

    /// Leaves the next tile out: readers see nodata.
    pub fn skip(&mut self, planes: usize, with_mask: bool) {
        self.image.resize(planes.max(self.image.len()), Vec::new());
        for entries in &mut self.image {
            entries.push(Entry::default());
        }
        if with_mask {
            self.mask.push(Entry::default());
        }
    }

    /// Bytes of all its tiles.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Everything before the tiles: header, ghost area, directories. `levels` holds the full resolution first, then the overviews,
/// largest first; in the file their tiles stand the other way round.
///
/// The output is a BigTIFF when its exact size needs one.
///
/// # Errors
/// [`crate::ErrorKind::Format`] when the source's metadata cannot be cut to the bands asked for.
pub fn head(header: &Header, plan: &Plan, levels: &[Level]) -> Result<Vec<u8>> {
    let body: u64 = levels.iter().map(Level::bytes).sum();
    let ghost = ghost(plan.validity.mask, plan.interleave);
    let fields = image_fields(header, plan)?;
    // Directories in the order of the file: each level, followed by its mask.
    let mut directories = Vec::new();
    for (number, (level, grid)) in levels.iter().zip(&plan.levels).enumerate() {
        directories.push((number, false, level, grid));
        if plan.validity.mask {
            directories.push((number, true, level, grid));
        }
    }
    // Behind them, what the first one points to.
    let nested: Vec<(u16, &Fields)> = [(tag::EXIF_IFD, &header.exif), (tag::GPS_IFD, &header.gps)]
        .into_iter()
        .filter_map(|(tag, fields)| Some((tag, fields.as_ref()?)))
        .collect();
    let build = |big: bool, bases: &[u64], nested_at: &[u64]| -> Vec<Fields> {
        let mut built: Vec<Fields> = directories
            .iter()
            .map(|&(number, is_mask, level, grid)| {
                let base = bases.get(number).copied().unwrap_or(0);
                let entries = if is_mask { level.mask.clone() } else { level.image.concat() };
                let own = if is_mask { mask_fields() } else { fields.of_level(number) };
                with_tiles(own, number, is_mask, grid, &entries, base, big)
            })
            .collect();
        if let Some(first) = built.first_mut() {
            for (number, &(tag, _)) in nested.iter().enumerate() {
                let at = nested_at.get(number).copied().unwrap_or(0);
                // Below 2^32 in a classic TIFF: see `total`.
                let low = u32::try_from(at).unwrap_or(u32::MAX);
                first.insert(tag, if big { Value::long8s(&[at]) } else { Value::longs(&[low]) });
            }
        }
        built
    };
    let front = |big: bool| {
        let fields = build(big, &[], &[]);
        let all = fields.iter().chain(nested.iter().map(|&(_, fields)| fields));
        let lens: Vec<u64> = all.map(|fields| write::directory_len(fields, big)).collect();
        let start = (write::header_len(big) + ghost.len() as u64).next_multiple_of(16);
        (start, lens)
    };
    let total = |(start, lens): &(u64, Vec<u64>)| start + lens.iter().sum::<u64>() + body;
    let classic = front(false);
    let big = total(&classic) > u64::from(u32::MAX);
    let (start, lens) = if big { front(true) } else { classic };

    let mut bases = vec![0; levels.len()];
    let mut at = start + lens.iter().sum::<u64>();
    for (base, level) in bases.iter_mut().zip(levels).rev() {
        *base = at;
        at += level.bytes();
    }
    let mut out = write::header(big, start);
    out.extend(ghost.bytes());
    out.resize(out.len().next_multiple_of(16), 0);
    let count = directories.len();
    let starts = lens.iter().scan(start, |at, len| Some(std::mem::replace(at, *at + len)));
    let nested_at: Vec<u64> = starts.skip(count).collect();
    for (number, (fields, len)) in build(big, &bases, &nested_at).iter().zip(&lens).enumerate() {
        let at = out.len() as u64;
        let next = if number + 1 == count { 0 } else { at + len };
        out.extend(write::directory(fields, big, at, next));
    }
    for (_, fields) in nested {
        out.extend(write::directory(fields, big, out.len() as u64, 0));
    }
    Ok(out)
}

/// The ghost area as GDAL's COG driver writes it: a size line of 43 bytes, then keys. The blank after `NO` leaves room
/// for a writer that breaks the promises to say `YES`.
fn ghost(mask: bool, interleave: Interleave) -> String {
    // With planes, tiles lie place by place: not row by row of each plane, which is what readers would make of the promise.
    let order = if interleave == Interleave::Pixel { "BLOCK_ORDER=ROW_MAJOR\n" } else { "" };
    let text = format!(
        "LAYOUT=IFDS_BEFORE_DATA\n{order}BLOCK_LEADER=SIZE_AS_UINT4\n\
         BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n {}",
        if mask { "MASK_INTERLEAVED_WITH_IMAGERY=YES\n" } else { "" }
    );
    format!("GDAL_STRUCTURAL_METADATA_SIZE={:06} bytes\n{text}", text.len())
}

/// Fields of the image's directories, without its tiles.
struct ImageFields {
    /// Of every level.
    common: Fields,
    /// Of the full resolution alone.
    full: Fields,
}

impl ImageFields {
    fn of_level(&self, number: usize) -> Fields {
        let mut fields = self.common.clone();
        if number == 0 {
            fields.extend(self.full.clone());
        }
        fields
    }
}

fn image_fields(header: &Header, plan: &Plan) -> Result<ImageFields> {
    let bands = plan.output_bands();
    let (bits, (_, format)) = (header.bits, header.sample_type.tiff());
    let photometric = plan.colour.photometric;
    let encoding = &plan.encoding;
    let extra = &plan.colour.extra_samples;
    let spp = u16::try_from(bands)
        .map_err(|cause| Error::limit(format!("the output would have {bands} bands")).caused_by(cause))?;
    let mut common = Fields::from([
        (tag::BITS_PER_SAMPLE, Value::shorts(&vec![bits; bands])),
        (tag::COMPRESSION, Value::shorts(&[encoding.compression.code()])),
        (
            tag::PHOTOMETRIC,
            Value::shorts(&[if encoding.ycbcr { Photometric::YCbCr } else { photometric }.code()]),
        ),
        (tag::SAMPLES_PER_PIXEL, Value::shorts(&[spp])),
        (
            tag::PLANAR_CONFIGURATION,
            Value::shorts(&[if plan.interleave == Interleave::Band { 2 } else { 1 }]),
        ),
        (tag::SAMPLE_FORMAT, Value::shorts(&vec![format; bands])),
    ]);
    if encoding.ycbcr {
        common.insert(tag::YCBCR_SUBSAMPLING, Value::shorts(&[2, 2]));
    }
    if encoding.compression == Compression::Lerc {
        // Version 2.4 of the format, and what is around it.
        common.insert(tag::LERC_PARAMETERS, Value::longs(&[4, encoding.wrapping.into()]));
    }
    if plan.predictor != Predictor::None {
        common.insert(tag::PREDICTOR, Value::shorts(&[plan.predictor.code()]));
    }
    if !extra.is_empty() {
        common.insert(tag::EXTRA_SAMPLES, Value::shorts(extra));
    }
    if let (Photometric::Palette, Some(map)) = (photometric, &header.color_map) {
        common.insert(tag::COLOR_MAP, map.clone());
    }
    if let Some((nodata, _)) = &plan.validity.nodata {
        common.insert(tag::GDAL_NODATA, Value::ascii(nodata.text()));
    }
    let mut full = header.kept.clone();
    let all_bands = plan.bands.iter().copied().eq(0..header.bands);
    tags::retain(&mut full, header.photometric, photometric, all_bands);
    full.extend(header.geo.fields_of_window(plan.window.x0, plan.window.y0));
    let kept = header.metadata.as_ref().and_then(|text| metadata::of_bands(text, &plan.bands, header.bands));
    let kept = match &plan.coverage {
        Some(coverage) => Some(metadata::with_items(kept.as_deref(), &coverage.items())),
        None => kept,
    };
    let kept = match &plan.provenance {
        Some(provenance) => metadata::with_provenance(kept, provenance),
        None => kept,
    };
    if let Some(text) = kept {
        full.insert(tag::GDAL_METADATA, Value::ascii(&text));
    }
    Ok(ImageFields { common, full })
}

fn mask_fields() -> Fields {
    Fields::from([
        (tag::BITS_PER_SAMPLE, Value::shorts(&[1])),
        (tag::COMPRESSION, Value::shorts(&[Compression::Deflate.code()])),
        (tag::PHOTOMETRIC, Value::shorts(&[Photometric::Mask.code()])),
        (tag::SAMPLES_PER_PIXEL, Value::shorts(&[1])),
        (tag::PLANAR_CONFIGURATION, Value::shorts(&[1])),
    ])
}

fn with_tiles(
    mut fields: Fields,
    number: usize,
    is_mask: bool,
    grid: &TileGrid,
    entries: &[Entry],
    base: u64,
    big: bool,
) -> Fields {
    let kind = u32::from(number > 0) | (u32::from(is_mask) << 2);
    if kind != 0 {
        fields.insert(tag::NEW_SUBFILE_TYPE, Value::longs(&[kind]));
    }
    let offsets = entries.iter().map(|entry| if entry.len == 0 { 0 } else { base + entry.offset });
    let offsets = if big {
        Value::long8s(&offsets.collect::<Vec<_>>())
    } else {
        // Below 2^32: a classic TIFF is chosen only then.
        Value::longs(&offsets.map(|offset| u32::try_from(offset).unwrap_or(u32::MAX)).collect::<Vec<_>>())
    };
    fields.extend([
        (tag::IMAGE_WIDTH, Value::longs(&[grid.image.width])),
        (tag::IMAGE_LENGTH, Value::longs(&[grid.image.height])),
        (tag::TILE_WIDTH, Value::longs(&[grid.tile.width])),
        (tag::TILE_LENGTH, Value::longs(&[grid.tile.height])),
        (tag::TILE_OFFSETS, offsets),
        (tag::TILE_BYTE_COUNTS, Value::longs(&entries.iter().map(|entry| entry.len).collect::<Vec<_>>())),
    ]);
    fields
}
