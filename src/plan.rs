//! From a header, a cutline and options to what a clip will do: the window, the pixels, the source tiles, the
//! output grid. Performs no I/O, so that a dry run is a printed [`Plan`].

pub mod colour;
pub mod coverage;
pub mod encoding;
pub mod passage;
pub mod validity;
pub mod window;

pub use colour::Colour;
pub use coverage::CoverageBand;
pub use passage::Passage;
pub use validity::{NoDataOrigin, SourceValidity, Validity};

use std::sync::Arc;

use crate::codec::{self, Encoding};
use crate::cutline::{Cutline, Repairs};
use crate::error::{Error, Result};
use crate::geo::Affine;
use crate::geo::datum::Operation;
use crate::grid::{PixelRect, Size, TileGrid, TileIndex};
use crate::header::{Header, Image};
use crate::limits::Limits;
use crate::mask::{Coverage, Mask, TileClass};
use crate::options::{ClipOptions, DEFAULT_BLOCKSIZE, Interleave, MaskStorage, OnEmpty};
use crate::tiff::code::Predictor;
use window::Burnt;

/// The largest side of an output's tiles, in pixels.
const MAX_BLOCKSIZE: u32 = 8192;

/// Source tiles of the window by what the cutline makes of them. Planes are counted one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Without a pixel of the cutline: never fetched.
    pub outside: u64,
    /// Wholly in the cutline: copied without looking at single pixels.
    pub inside: u64,
    /// With pixels on both sides.
    pub edge: u64,
}

/// What a clip will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The source's pixels that the output holds.
    pub window: PixelRect,
    /// The window's geotransform; the identity when the source has none.
    pub transform: Affine,
    /// The window's pixels that belong to the cutline.
    pub mask: Arc<Mask>,
    /// The source's bands that the output holds, from 0, in the output's order.
    pub bands: Vec<u16>,
    /// The band behind these that holds how much of each pixel is covered.
    pub coverage: Option<CoverageBand>,
    /// What the output's bands mean as a colour.
    pub colour: Colour,
    /// How a masked pixel is stored.
    pub validity: Validity,
    /// The source's tiles to fetch: plane and tile, row by row.
    pub tiles: Vec<(u16, TileIndex)>,
    /// The tiles of the source's internal mask to fetch.
    pub mask_tiles: Vec<(u16, TileIndex)>,
    /// The window's tiles by class.
    pub classes: Classes,
    /// The output's grids: full resolution first, then its overviews, each half of the one before.
    pub levels: Vec<TileGrid>,
    /// How the output's tiles are compressed.
    pub encoding: Encoding,
    /// The output's predictor.
    pub predictor: Predictor,
    /// How the output's bands lie.
    pub interleave: Interleave,
    /// The output's tiles that are the source's own bytes.
    pub passage: Passage,
    /// How the cutline came into the raster's CRS; `None` when it was given in that.
    pub operation: Option<Operation>,
    /// What was wrong with the cutline's polygons.
    pub repairs: Repairs,
}

impl Plan {
    /// Plans a clip. `cutline` lies in the raster's own CRS: see [`Cutline::to_crs`].
    ///
    /// `Ok(None)` when nothing overlaps and `options` say to skip that.
    ///
    /// # Errors
    /// [`crate::ErrorKind::NoOverlap`] when the cutline's bounds and the raster's do not overlap;
    /// [`crate::ErrorKind::Usage`] for options that do not fit the raster;
    /// [`crate::ErrorKind::Unsupported`] for a raster that cannot be decoded;
    /// [`crate::ErrorKind::Limit`] beyond `options.limits`.
    pub fn new(header: &Header, cutline: &Cutline, options: &ClipOptions) -> Result<Option<Self>> {
        readable(&header.main)?;
        if let Some(mask) = &header.mask {
            readable(mask)?;
        }
        let image = PixelRect::of(header.main.size());
        let transform = header.geo.transform.unwrap_or(Affine::IDENTITY);
        let found = window::find(cutline, &transform, &header.main.grid, options)?;
        let nothing = || match options.on_empty {
            OnEmpty::Error => Err(Error::no_overlap(window::explain(cutline, &transform, image))),
            OnEmpty::Skip => Ok(true),
            OnEmpty::Write => Ok(false),
        };
        let Burnt { window, mask, coverage } = match found {
            Some(found) => found,
            None if nothing()? => return Ok(None),
            None => {
                // Asked to write something: the whole raster's grid, all of it masked.
                let (full, none) =
                    (Mask::full(image.size()), Mask::full(image.size()).inverted(&options.limits)?);
                let nowhere = || Coverage::burn(&[], &transform, image.size(), &options.limits);
                let coverage = options.coverage_band.then(nowhere).transpose()?;
                Burnt { window: image, mask: if options.invert { full } else { none }, coverage }
            }
        };
        let bands = bands(header, options)?;
        let mut colour = Colour::of_bands(header, &bands);
        let coverage = coverage
            .map(|shares| CoverageBand::new(header, bands.len(), colour.photometric, shares, options.invert))
            .transpose()?;
        let own = bands.len() + usize::from(coverage.is_some());
        colour.extra_samples.extend(coverage.as_ref().map(|_| 0));
        let added = usize::from(options.mask == MaskStorage::Alpha && colour.alpha.is_none());
        let encoding = encoding::choose(header, &colour, own + added, options)?;
        let validity = Validity::choose(header, colour.alpha, own, &encoding, options)?;
        if validity.add_alpha {
            // Unassociated: the colours are not multiplied by it.
            colour.extra_samples.push(2);
        }
        let blocksize = block(header, options)?;
        let levels = levels(window.size(), blocksize, options)?;
        let planes: Vec<u16> = if header.main.planes == 1 {
            vec![0]
        } else {
            let mut planes = bands.clone();
            // What says which pixels are valid is read, kept or not.
            if let SourceValidity::Alpha(alpha) = validity.source {
                planes.push(alpha);
            }
            planes.sort_unstable();
            planes.dedup();
            planes
        };
        let mut classes = Classes::default();
        for image in std::iter::once(&header.main).chain(&header.mask) {
            walkable(&image.grid, window, planes.len(), &options.limits)?;
        }
        let tiles = needed(&header.main.grid, window, &mask, &planes, Some(&mut classes));
        let mask_tiles = header
            .mask
            .as_ref()
            .map(|image| needed(&image.grid, window, &mask, &[0], None))
            .unwrap_or_default();
        let predictor = encoding::predictor(header, &encoding, options)?;
        let terms = passage::Terms {
            window,
            mask: &mask,
            bands: &bands,
            output_bands: bands.len() + usize::from(coverage.is_some()) + usize::from(validity.add_alpha),
            validity: &validity,
            encoding: &encoding,
            predictor,
            levels: &levels,
        };
        let passage = Passage::of(header, &terms, options);
        Ok(Some(Self {
            window,
            transform: transform.shifted(f64::from(window.x0), f64::from(window.y0)),
            mask: Arc::new(mask),
            bands,
            coverage,
            colour,
            validity,
            tiles,
            mask_tiles,
            classes,
            levels,
            predictor,
            encoding,
            interleave: options.interleave,
            passage,
            operation: cutline.operation.clone(),
            repairs: cutline.repairs,
        }))
    }

    /// The output's size at full resolution, in pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.window.size()
    }

    /// Side of the output's tiles, in pixels.
    #[must_use]
    pub fn blocksize(&self) -> u32 {
        self.levels.first().map_or(0, |grid| grid.tile.width)
    }

    /// Bands of the output, added ones of coverage and alpha included.
    #[must_use]
    pub fn output_bands(&self) -> usize {
        self.bands.len() + usize::from(self.coverage.is_some()) + usize::from(self.validity.add_alpha)
    }
}

/// Refuses, before anything is fetched, what decoding would refuse.
fn readable(image: &Image) -> Result<()> {
    codec::readable(&image.layout).map_err(|error| error.at(format!("IFD {}", image.number)))
}

fn bands(header: &Header, options: &ClipOptions) -> Result<Vec<u16>> {
    if options.bands.is_empty() {
        return Ok((0..header.bands).collect());
    }
    let band = |&band: &u16| {
        band.checked_sub(1).filter(|&b| b < header.bands).ok_or_else(|| {
            Error::usage(format!("band {band} is asked for, but the raster has bands 1 to {}", header.bands))
        })
    };
    options.bands.iter().map(band).collect()
}

/// Side of the output's tiles, checked. With the window on the source's tile grid it is the source's, where that can be.
fn block(header: &Header, options: &ClipOptions) -> Result<u32> {
    let tile = header.main.grid.tile;
    let own = options.align_tiles && header.main.tiled && tile.width == tile.height;
    let asked = match options.blocksize {
        Some(asked) => asked,
        None if own && tile.width.is_multiple_of(16) && tile.width <= MAX_BLOCKSIZE => tile.width,
        None => DEFAULT_BLOCKSIZE,
    };
    if asked == 0 || !asked.is_multiple_of(16) || asked > MAX_BLOCKSIZE {
        return Err(Error::usage(format!(
            "a block size of {asked} is asked for; it must be a multiple of 16 up to {MAX_BLOCKSIZE} (TIFF 6.0 §15)"
        )));
    }
    Ok(asked)
}

fn levels(size: Size, block: u32, options: &ClipOptions) -> Result<Vec<TileGrid>> {
    let grid = |image| TileGrid { image, tile: Size::new(block, block) };
    let full = grid(size);
    if full.count() > options.limits.output_tiles {
        return Err(Error::limit(format!(
            "the output of {size} pixels would have {} tiles; the limit is {}",
            full.count(),
            options.limits.output_tiles
        )));
    }
    let mut levels = vec![full];
    let mut next = size;
    // As GDAL's COG writer: halve until one tile holds it all. Readers tell an overview's factor by its width, so one column
    // is not halved further.
    while options.overviews && next.width.max(next.height) > block && next.width > 1 {
        next = next.halved();
        levels.push(grid(next));
    }
    Ok(levels)
}

/// Refuses a window over more source tiles than can be looked at one by one.
fn walkable(grid: &TileGrid, window: PixelRect, planes: usize, limits: &Limits) -> Result<()> {
    let span = |from: u32, to: u32, step: u32| u64::from(to.div_ceil(step) - from / step);
    let tiles = span(window.x0, window.x1, grid.tile.width) * span(window.y0, window.y1, grid.tile.height);
    let (tiles, most) = (tiles.saturating_mul(planes as u64), limits.source_tiles);
    if tiles > most {
        return Err(Error::limit(format!(
            "the window of {} pixels holds {tiles} source tiles; the limit is {most}",
            window.size()
        )));
    }
    Ok(())
}

/// The tiles of a grid that hold a pixel of the cutline, row by row, every plane of a tile in turn.
fn needed(
    grid: &TileGrid,
    window: PixelRect,
    mask: &Mask,
    planes: &[u16],
    mut classes: Option<&mut Classes>,
) -> Vec<(u16, TileIndex)> {
    let mut tiles = Vec::new();
    for tile in grid.tiles_in(window) {
        let Some(part) = grid.rect(tile).intersection(window) else { continue };
        let class = mask.class(part.relative_to(window.x0, window.y0));
        if let Some(classes) = classes.as_deref_mut() {
            let counter = match class {
                TileClass::Outside => &mut classes.outside,
                TileClass::Inside => &mut classes.inside,
                TileClass::Edge => &mut classes.edge,
            };
            *counter += planes.len() as u64;
        }
        if class != TileClass::Outside {
            tiles.extend(planes.iter().map(|&plane| (plane, tile)));
        }
    }
    tiles
}
