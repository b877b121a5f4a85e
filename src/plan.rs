//! From a header, a cutline and options to what a clip will do: the window, the pixels, the source tiles, the
//! output grid. Performs no I/O, so that a dry run is a printed [`Plan`].

pub mod colour;
pub mod coverage;
pub mod encoding;
pub mod fate;
pub mod passage;
pub mod validity;
pub mod window;

pub use colour::Colour;
pub use coverage::CoverageBand;
pub use fate::{Fate, Tallies, Tally};
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
use crate::provenance::Provenance;
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
    /// Planes in which each of the window's tiles is stored and, if it is needed, fetched.
    pub planes: usize,
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
    /// What the output says of how it was made; `None` for nothing.
    pub provenance: Option<Provenance>,
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
            planes: planes.len(),
            mask_tiles,
            classes,
            levels,
            predictor,
            encoding,
            interleave: options.interleave,
            passage,
            operation: cutline.operation.clone(),
            repairs: cutline.repairs,
            provenance: None,
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

    /// Tiles of the output, overviews included.
    #[must_use]
    pub fn tiles(&self) -> u64 {
        self.levels.iter().map(|grid| grid.count()).fold(0, u64::saturating_add)
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

/// Tells of the tiles of a grid that have a pixel in the window, row by row, what the cutline makes of them.
fn walk(grid: &TileGrid, window: PixelRect, mask: &Mask, mut tell: impl FnMut(TileIndex, TileClass)) {
    let Some(window) = window.intersection(PixelRect::of(grid.image)) else { return };
    // Where the tiles begin and end in the window's own columns: those at its sides are cut off there.
    let cols = window.x0 / grid.tile.width..window.x1.div_ceil(grid.tile.width);
    let lefts = cols.clone().map(|col| col.saturating_mul(grid.tile.width).max(window.x0) - window.x0);
    let edges: Vec<u32> = lefts.chain([window.size().width]).collect();
    for row in window.y0 / grid.tile.height..window.y1.div_ceil(grid.tile.height) {
        let top = row.saturating_mul(grid.tile.height);
        let bottom = top.saturating_add(grid.tile.height).min(window.y1);
        let rows = top.max(window.y0) - window.y0..bottom - window.y0;
        for (col, class) in cols.clone().zip(mask.classes(rows, &edges)) {
            tell(TileIndex { row, col }, class);
        }
    }
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
    walk(grid, window, mask, |tile, class| {
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
    });
    tiles
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cutline::{Polygon, Ring};
    use crate::mask::Rule;

    fn rectangle(x0: f64, y0: f64, x1: f64, y1: f64) -> Ring {
        vec![[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]
    }

    /// The tiles in which a pixel of the mask lies, pixel by pixel, in every plane; and how many of the window's lie wholly
    /// in it, partly, or not at all.
    #[track_caller]
    fn check(
        name: &str,
        polygons: &[Polygon],
        window: PixelRect,
        grid: TileGrid,
        expected: Option<[u64; 3]>,
    ) {
        let transform = Affine::IDENTITY.shifted(f64::from(window.x0), f64::from(window.y0));
        let limits = Limits::default();
        let mask = Mask::burn(polygons, &transform, window.size(), Rule::Centre, &limits).unwrap();
        let (mut with_a_pixel, mut without_one) = (BTreeSet::new(), BTreeSet::new());
        for y in window.y0..window.y1 {
            let runs = mask.runs(y - window.y0);
            for x in window.x0..window.x1 {
                let is_inside = runs.iter().any(|run| (run.start..run.end).contains(&(x - window.x0)));
                let set = if is_inside { &mut with_a_pixel } else { &mut without_one };
                set.insert(grid.at(x, y));
            }
        }
        let mut classes = Classes::default();
        let tiles = needed(&grid, window, &mask, &[0, 2], Some(&mut classes));
        let both: Vec<_> = with_a_pixel.iter().flat_map(|tile| [(0, *tile), (2, *tile)]).collect();
        assert_eq!(tiles, both, "{name}");
        let edge = with_a_pixel.intersection(&without_one).count() as u64;
        let inside = with_a_pixel.len() as u64 - edge;
        let outside = without_one.len() as u64 - edge;
        let found = [classes.outside, classes.inside, classes.edge];
        assert_eq!(found, [outside, inside, edge].map(|tiles| tiles * 2), "{name}");
        if let Some(expected) = expected {
            assert_eq!([outside, inside, edge], expected, "{name}");
        }
    }

    /// Figures by hand, on tiles of 10 pixels, but for the last.
    #[test]
    fn holes_bays_and_gaps_are_not_fetched() {
        let grid = TileGrid { image: Size::new(96, 75), tile: Size::new(10, 10) };
        let all = PixelRect::of(grid.image);
        let polygon = |rings: &[Ring]| Polygon { rings: rings.to_vec() };
        let hole = [polygon(&[rectangle(0.0, 0.0, 60.0, 60.0), rectangle(18.0, 20.0, 52.0, 40.0)])];
        // 6 x 6 tiles; of the hole's rows 2 and 3, columns 2 to 4 are empty, 1 and 5 are parts.
        check("a hole", &hole, all, grid, Some([80 - 36 + 6, 26, 4]));
        let bay = [polygon(&[vec![
            [0.0, 0.0],
            [90.0, 0.0],
            [90.0, 20.0],
            [30.0, 20.0],
            [30.0, 40.0],
            [90.0, 40.0],
            [90.0, 60.0],
            [0.0, 60.0],
            [0.0, 0.0],
        ]])];
        check("a bay", &bay, all, grid, Some([80 - 42, 42, 0]));
        let parts =
            [polygon(&[rectangle(1.0, 1.0, 9.0, 9.0)]), polygon(&[rectangle(81.0, 61.0, 95.0, 74.0)])];
        check("a gap between parts", &parts, all, grid, Some([80 - 5, 0, 5]));
        check("nothing", &[], all, grid, Some([80, 0, 0]));
        check(
            "all, and cut off tiles",
            &[polygon(&[rectangle(-1.0, -1.0, 99.0, 99.0)])],
            all,
            grid,
            Some([0, 80, 0]),
        );
        // A window that begins and ends within tiles: 7 x 5 of them, of which the hole leaves out 6.
        check("a window", &hole, PixelRect::new(7, 11, 61, 54), grid, None);
        // One pixel of a tile is enough, whichever it is.
        for (x, y) in (30..50).flat_map(|x| (30..50).map(move |y| (f64::from(x), f64::from(y)))) {
            check("a pixel", &[polygon(&[rectangle(x, y, x + 1.0, y + 1.0)])], all, grid, Some([79, 0, 1]));
        }
    }

    /// Stars of any shape on windows and tiles of any size.
    #[test]
    fn tiles_are_those_with_a_pixel() {
        let mut state = 9_u64;
        let mut random = |bound: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).unwrap() % bound
        };
        for _ in 0..400 {
            let tile = Size::new(1 + random(12), 1 + random(12));
            let grid = TileGrid { image: Size::new(1 + random(60), 1 + random(60)), tile };
            let (x0, y0) = (random(grid.image.width), random(grid.image.height));
            let (width, height) = (1 + random(grid.image.width - x0), 1 + random(grid.image.height - y0));
            let window = PixelRect::new(x0, y0, x0 + width, y0 + height);
            let ring = |corners: u32, random: &mut dyn FnMut(u32) -> u32| -> Ring {
                (0..corners).map(|_| [f64::from(random(600)) / 10.0, f64::from(random(600)) / 10.0]).collect()
            };
            let polygons: Vec<Polygon> = (0..=random(3))
                .map(|_| Polygon { rings: vec![ring(5, &mut random), ring(3, &mut random)] })
                .collect();
            check("stars", &polygons, window, grid, None);
        }
    }
}
