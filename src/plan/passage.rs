//! Which of the output's tiles are the source's own, byte for byte: tiles that lie wholly in the cutline, on a grid that is
//! the source's, in an encoding that is the source's. They are copied as they are compressed.

use crate::codec::Encoding;
use crate::grid::{PixelRect, TileGrid, TileIndex};
use crate::header::{Header, Image};
use crate::mask::{Mask, TileClass};
use crate::options::{ClipOptions, Interleave};
use crate::plan::{SourceValidity, Validity};
use crate::sample::NoData;
use crate::tiff::code::{ByteOrder, Compression, Predictor};
use crate::tile::Parameters;

/// The tiles that are copied as they are. The default: none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passage {
    /// By level of the output: full resolution first.
    levels: Vec<Level>,
    /// Why none is, when that was asked for.
    obstacle: Option<String>,
}

/// One level of the output.
#[derive(Clone, Debug, PartialEq)]
struct Level {
    /// The source's overview that it is cut from; `None` for the full resolution.
    overview: Option<usize>,
    /// The source's tile under the level's first one.
    origin: TileIndex,
    grid: TileGrid,
    /// Whether each tile is copied, row by row.
    passes: Vec<bool>,
}

impl Level {
    fn passes(&self, index: TileIndex) -> bool {
        let number = usize::try_from(self.grid.number(index)).unwrap_or(usize::MAX);
        index.col < self.grid.across() && self.passes.get(number).copied().unwrap_or(false)
    }
}

/// What a plan knows when it asks for a passage.
#[derive(Debug)]
pub struct Terms<'a> {
    /// The source's pixels that the output holds.
    pub window: PixelRect,
    /// The window's pixels that belong to the cutline.
    pub mask: &'a Mask,
    /// The source's bands that the output holds, from 0.
    pub bands: &'a [u16],
    /// The output's bands, added ones included.
    pub output_bands: usize,
    /// How the output stores validity.
    pub validity: &'a Validity,
    /// The output's compression.
    pub encoding: &'a Encoding,
    /// The output's predictor.
    pub predictor: Predictor,
    /// The output's grids.
    pub levels: &'a [TileGrid],
}

impl Passage {
    /// Of a plan; nothing passes unless `options` ask for the source's tile grid.
    #[must_use]
    pub fn of(header: &Header, terms: &Terms<'_>, options: &ClipOptions) -> Self {
        if !options.align_tiles {
            return Self::default();
        }
        if let Some(obstacle) = obstacle(header, terms, options.interleave) {
            return Self { levels: Vec::new(), obstacle: Some(obstacle) };
        }
        let mut levels = Vec::new();
        for (number, grid) in terms.levels.iter().enumerate() {
            let image = if number == 0 {
                Some((None, &header.main))
            } else if options.resampling.is_none() {
                overview(header, terms, number)
            } else {
                None
            };
            let level = image.and_then(|(overview, image)| level(terms, number, *grid, overview, image));
            // Overviews in a row: one that is made needs the tiles below it, so that those above it may as well be made.
            let Some(level) = level else { break };
            levels.push(level);
        }
        Self { levels, obstacle: None }
    }

    /// Why no tile can be copied, when that was asked for.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.obstacle.as_deref()
    }

    /// Number of tiles that are copied, overviews included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.levels.iter().flat_map(|level| &level.passes).filter(|&&passes| passes).count() as u64
    }

    /// Whether a tile of the output is copied.
    #[must_use]
    pub fn passes(&self, level: usize, index: TileIndex) -> bool {
        self.levels.get(level).is_some_and(|level| level.passes(index))
    }

    /// Where a tile of the source is copied to: the level and the tile of the output. `overview` is the source's overview
    /// that it belongs to, `None` for the full resolution.
    #[must_use]
    pub fn target(&self, overview: Option<usize>, tile: TileIndex) -> Option<(usize, TileIndex)> {
        let (number, level) = self.levels.iter().enumerate().find(|(_, level)| level.overview == overview)?;
        let index = TileIndex {
            row: tile.row.checked_sub(level.origin.row)?,
            col: tile.col.checked_sub(level.origin.col)?,
        };
        level.passes(index).then_some((number, index))
    }

    /// Whether the overview above a tile of the output is made from it, for which its samples are needed.
    #[must_use]
    pub fn is_halved(&self, level: usize, index: TileIndex) -> bool {
        !self.passes(level + 1, TileIndex { row: index.row / 2, col: index.col / 2 })
    }

    /// The tiles of the source's overviews that are copied: the overview and the tile.
    #[must_use]
    pub fn overview_tiles(&self) -> Vec<(usize, TileIndex)> {
        let mut tiles = Vec::new();
        for level in &self.levels {
            let Some(overview) = level.overview else { continue };
            let all = level.grid.tiles_in(PixelRect::of(level.grid.image));
            tiles.extend(all.filter(|&index| level.passes(index)).map(|index| {
                let tile = TileIndex { row: index.row + level.origin.row, col: index.col + level.origin.col };
                (overview, tile)
            }));
        }
        tiles
    }

    /// The same without overviews: for a source that leaves tiles of its overviews out.
    #[must_use]
    pub fn of_full_resolution(mut self) -> Self {
        self.levels.truncate(1);
        self
    }
}

/// What keeps every tile from being copied; in words that follow "no tile is copied as it is compressed: ".
fn obstacle(header: &Header, terms: &Terms<'_>, interleave: Interleave) -> Option<String> {
    let (image, encoding) = (&header.main, terms.encoding);
    let layout = &image.layout;
    let same_bands =
        terms.bands.iter().copied().eq(0..header.bands) && terms.output_bands == usize::from(header.bands);
    if !same_bands {
        return Some("the output's bands are not the source's".to_owned());
    }
    if image.planes != 1 || interleave != Interleave::Pixel {
        return Some("bands lie in tiles of their own".to_owned());
    }
    let tile = terms.levels.first().map(|grid| grid.tile);
    if !image.tiled || tile != Some(image.grid.tile) {
        return Some(format!(
            "the source's {} have {} pixels, the output's tiles {}",
            if image.tiled { "tiles" } else { "strips" },
            image.grid.tile,
            tile.unwrap_or(image.grid.tile)
        ));
    }
    if !same_stream(layout.compression, encoding.compression) {
        return Some(format!(
            "the source is compressed by {}, the output by {}; see --compress source",
            layout.compression, encoding.compression
        ));
    }
    if encoding.is_lossy() || !passes_alone(&layout.parameters, encoding) {
        return Some(format!("tiles of {} depend on more than their bytes here", layout.compression));
    }
    if layout.predictor != terms.predictor {
        return Some(format!(
            "the source's predictor is {:?}, the output's {:?}",
            layout.predictor, terms.predictor
        ));
    }
    let bytes_alone = layout.sample_type.bytes() == 1 || terms.predictor == Predictor::FloatingPoint;
    if layout.byte_order != ByteOrder::Little && !bytes_alone {
        return Some("the source's numbers start with their highest byte".to_owned());
    }
    if layout.sample_type != header.sample_type
        || layout.bits != header.bits
        || layout.reversed
        || layout.cmyk
    {
        return Some("the source's samples are stored in another way than the output's".to_owned());
    }
    // Whatever is to change in a valid or an invalid pixel, or must be counted, takes a look at the samples.
    let validity = terms.validity;
    let source: Option<NoData> = header.nodata.clone().filter(|value| header.holds(value));
    if validity.add_alpha || validity.is_chosen() || validity.fill.is_some() && validity.fill != source {
        return Some("the output marks invalid pixels in another way than the source".to_owned());
    }
    let by_mask = matches!(validity.source, SourceValidity::All | SourceValidity::Mask);
    if validity.mask && !by_mask || validity.source == SourceValidity::Mask && !validity.mask {
        return Some("the output marks invalid pixels in another way than the source".to_owned());
    }
    None
}

/// Whether the bytes of a tile in one compression are those of a tile in another.
fn same_stream(source: Compression, output: Compression) -> bool {
    source == output || (source, output) == (Compression::OldDeflate, Compression::Deflate)
}

/// Whether a tile can be read by what the output's directory says.
fn passes_alone(parameters: &Parameters, encoding: &Encoding) -> bool {
    match parameters {
        Parameters::None => !matches!(encoding.compression, Compression::Jpeg),
        Parameters::Lerc { wrapping } => *wrapping == u64::from(encoding.wrapping),
        Parameters::Jpeg { .. } | Parameters::Group3 { .. } => false,
    }
}

/// The source's overview that level `number` of the output can be cut from: halved as often, and stored alike.
fn overview<'a>(header: &'a Header, terms: &Terms<'_>, number: usize) -> Option<(Option<usize>, &'a Image)> {
    // A mask would have to be copied with it, of which nothing says how it was halved.
    if terms.validity.mask {
        return None;
    }
    let size = (0..number).fold(header.main.size(), |size, _| size.halved());
    header.overviews.iter().enumerate().find_map(|(at, (image, mask))| {
        let same = image.size() == size
            && image.tiled
            && mask.is_none()
            && image.grid.tile == header.main.grid.tile
            && (image.bands, image.planes) == (header.main.bands, header.main.planes)
            && image.layout == header.main.layout;
        same.then_some((Some(at), image))
    })
}

/// The tiles of a level that can be copied; `None` where the grids do not coincide.
fn level(
    terms: &Terms<'_>,
    number: usize,
    grid: TileGrid,
    overview: Option<usize>,
    image: &Image,
) -> Option<Level> {
    let scale = 1_u64.checked_shl(u32::try_from(number).ok()?)?;
    let (window, tile) = (terms.window, grid.tile);
    let origin = |start: u32, step: u32| -> Option<u32> {
        let step = u64::from(step) * scale;
        let start = u64::from(start);
        start.is_multiple_of(step).then(|| u32::try_from(start / step).ok()).flatten()
    };
    let origin = TileIndex { row: origin(window.y0, tile.height)?, col: origin(window.x0, tile.width)? };
    let passes = grid
        .tiles_in(PixelRect::of(grid.image))
        .map(|index| {
            // What the level's tile shows, in the window's full resolution; cut where the window ends.
            let rect = grid.rect(index);
            let full =
                |at: u32, most: u32| u32::try_from((u64::from(at) * scale).min(most.into())).unwrap_or(most);
            let (most_x, most_y) = (window.x1 - window.x0, window.y1 - window.y0);
            let below = PixelRect::new(
                full(rect.x0, most_x),
                full(rect.y0, most_y),
                full(rect.x1, most_x),
                full(rect.y1, most_y),
            );
            // The source's tile must show no more than that: beyond the window there are pixels that the cutline may not keep.
            let theirs =
                image.grid.rect(TileIndex { row: index.row + origin.row, col: index.col + origin.col });
            theirs.size() == rect.size() && terms.mask.class(below) == TileClass::Inside
        })
        .collect();
    Some(Level { overview, origin, grid, passes })
}
