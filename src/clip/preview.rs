//! A picture of a raster: which level is read, what that takes, and what comes of it. Memory is bounded by the picture and the
//! tiles in flight, however large the level is.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use tokio::task::spawn_blocking;

use super::arrival::{Arrival, arrivals};
use super::assembly::joined;
use super::memory::Shares;
use super::{Cog, Fetches, memory};
use crate::compose::Piece;
use crate::error::{Error, Result};
use crate::fetch::{self, Needed, Requests, Which};
use crate::grid::{PixelRect, Size, TileGrid, TileIndex};
use crate::header::{Header, Image};
use crate::limits::{Limits, within};
use crate::observe::{Event, Observer};
use crate::options::ClipOptions;
use crate::picture::bands::Shown;
use crate::picture::level::{Level, fitted};
use crate::picture::png;
use crate::picture::preview::{Steps, painted};
use crate::picture::reduce::{Part, Reducer};
use crate::picture::stretch::Stretch;

/// Pieces that a tile may be cut into by the tiles of the mask, on average over as many tiles as there may be.
const PIECES: u64 = 16;

/// What kind of picture is wanted.
#[derive(Clone, Debug)]
pub struct PreviewOptions {
    /// Pixels of the picture's longer side at most; nothing is enlarged.
    pub size: u32,
    /// Bands to show, counted from 1: one as grey, or three as red, green and blue. Empty for those that [`Shown::of`] takes.
    pub bands: Vec<u16>,
    /// Which samples become black and white.
    pub stretch: Stretch,
    /// Bytes of tiles that may be fetched.
    pub max_bytes: u64,
    /// Requests that may run at a time.
    pub requests: usize,
    /// Tiles decoded at a time; 0 for one a core.
    pub threads: usize,
    /// Bounds on what the file may take.
    pub limits: Limits,
}

impl Default for PreviewOptions {
    fn default() -> Self {
        let clip = ClipOptions::default();
        Self {
            size: 1024,
            bands: Vec::new(),
            stretch: Stretch::Auto,
            max_bytes: 256 << 20,
            requests: clip.requests,
            threads: clip.threads,
            limits: clip.limits,
        }
    }
}

/// A picture, and how it came to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The bytes of a PNG file.
    pub png: Vec<u8>,
    /// The picture's size in pixels.
    pub size: Size,
    /// What it was made from.
    pub level: Level,
    /// Bands that it shows, counted from 1.
    pub bands: Vec<u16>,
    /// How samples became colours.
    pub steps: Steps,
    /// Pixels that are fully transparent.
    pub transparent: u64,
    /// Tiles that were fetched, and requests and bytes for them; without the header's.
    pub fetched: Fetches,
}

impl Cog {
    /// A picture of the whole raster, made from the smallest level whose longer side has as many pixels as are wanted, or from
    /// the image itself. A level that is larger than that is reduced while it is read: each pixel of the picture is the mean of
    /// those valid pixels of the level that it covers, or, where samples are numbers of colours, the one in the middle.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for bands that there are not, or a size of 0; [`crate::ErrorKind::Limit`] when more than
    /// `options.max_bytes` would have to be fetched, and beyond `options.limits`; [`crate::ErrorKind::Io`],
    /// [`crate::ErrorKind::Changed`], [`crate::ErrorKind::Format`] and [`crate::ErrorKind::Unsupported`] when the level cannot be
    /// read.
    pub async fn preview(&mut self, options: &PreviewOptions, observer: &dyn Observer) -> Result<Preview> {
        let preview = self.previewed(options, observer).await;
        preview.map_err(|error| error.at(self.uri()))
    }

    async fn previewed(&mut self, options: &PreviewOptions, observer: &dyn Observer) -> Result<Preview> {
        if options.size == 0 {
            return Err(Error::usage("a picture of 0 pixels; its longer side must have 1 or more"));
        }
        let shown = Shown::of(&self.header, &options.bands)?;
        let level = Level::choose(&self.header, options.size);
        let header = Arc::new(level.header(&self.header));
        let size = fitted(level.size, options.size);
        let reducer = Reducer::new(&header, &shown, size, &options.limits)?;
        let clip = ClipOptions {
            requests: options.requests,
            threads: options.threads,
            limits: options.limits.clone(),
            ..ClipOptions::default()
        };
        let needed = needed(&header, &reducer, &options.limits)?;
        let requests =
            fetch::requests(&self.source, &mut self.fetched, &header, &needed, clip.requests, &clip.limits)
                .await?;
        let fetched = Fetches {
            tiles: requests.tiles(),
            requests: requests.count(),
            bytes: requests.bytes(),
            sparse: requests.sparse,
        };
        if fetched.bytes > options.max_bytes {
            return Err(Error::limit(format!(
                "the smallest level that is large enough has {} pixels, of which {} bytes would be fetched; the limit is {}. A \
                 smaller picture may take less, and the raster may want overviews",
                level.size, fetched.bytes, options.max_bytes
            )));
        }
        observer.event(&Event::Planned {
            tiles: fetched.tiles,
            requests: fetched.requests,
            bytes: fetched.bytes,
            output: 0,
        });

        let reducer = self.reduced(&header, &requests, reducer, &clip, observer).await?;
        let bands = shown.bands.iter().map(|band| band + 1).collect();
        let stretch = options.stretch;
        let work = move || {
            let (picture, steps, transparent) = painted(&header, &shown, &reducer.finish(), stretch);
            Ok((png::encode(&picture)?, steps, transparent))
        };
        let (png, steps, transparent) = joined(spawn_blocking(work).await)?;
        Ok(Preview { png, size, level, bands, steps, transparent, fetched })
    }

    /// Fetches and decodes the level's tiles, and takes each in as soon as all that belongs to it has come.
    async fn reduced(
        &self,
        header: &Arc<Header>,
        requests: &Requests,
        mut reducer: Reducer,
        options: &ClipOptions,
        observer: &dyn Observer,
    ) -> Result<Reducer> {
        let workers = self.workers(options);
        let how = (options, shares(header, options));
        let tiles = arrivals(&self.source, header, requests, None, how, &workers, observer);
        futures::pin_mut!(tiles);
        let mut gathering = Gathering::new(header, &reducer, &options.limits);
        while let Some(arrival) = tiles.next().await {
            let parts = gathering.take(arrival?)?;
            if !parts.is_empty() {
                let work = move || {
                    for part in &parts {
                        reducer.add(part);
                    }
                    Ok(reducer)
                };
                reducer = joined(spawn_blocking(work).await)?;
            }
        }
        Ok(reducer)
    }
}

/// All tiles of a level's bands that are shown, and of its mask.
fn needed(header: &Header, reducer: &Reducer, limits: &Limits) -> Result<Needed> {
    let planes = reducer.planes();
    let tiles = |image: &Image| image.grid.count();
    let masks = header.mask.as_ref().map_or(0, tiles);
    let count = tiles(&header.main).saturating_mul(planes.len() as u64).saturating_add(masks);
    if count > limits.source_tiles {
        return Err(Error::limit(format!(
            "the level of {} pixels has {count} tiles; the limit is {}",
            header.main.size(),
            limits.source_tiles
        )));
    }
    if let Some(mask) = &header.mask {
        // Sides of tiles and of the mask's tiles divide each side of the level into at most so many pieces.
        let across = u64::from(header.main.grid.across()) + u64::from(mask.grid.across());
        let down = u64::from(header.main.grid.down()) + u64::from(mask.grid.down());
        let most = limits.source_tiles.saturating_mul(PIECES);
        if across.saturating_mul(down) > most {
            return Err(Error::limit(format!(
                "the tiles of the level of {} pixels and of its mask cut each other into {across} x {down} pieces; the limit is {most}",
                header.main.size()
            )));
        }
    }
    let all = |image: &Image, planes: &[u16]| {
        let tiles = image.grid.tiles_in(PixelRect::of(image.size()));
        tiles.flat_map(|tile| planes.iter().map(move |&plane| (plane, tile))).collect()
    };
    Ok(Needed {
        tiles: all(&header.main, &planes),
        mask_tiles: header.mask.as_ref().map_or_else(Vec::new, |mask| all(mask, &[0])),
        overview_tiles: Vec::new(),
    })
}

/// What may be read ahead and decoded at a time: half of a clip's memory, or one tile.
fn shares(header: &Header, options: &ClipOptions) -> Shares {
    let tile = header.main.layout.bytes(header.main.grid.tile.height).max(1);
    let by_memory = (options.max_memory / 2).min(options.limits.tile_bytes) / tile;
    let most = memory::threads(options).saturating_add(1);
    Shares {
        read_ahead: options.read_ahead,
        decoding: usize::try_from(by_memory).unwrap_or(most).clamp(1, most),
        at_work: 1,
        spill: 0,
        uploads: 1,
    }
}

/// Tiles of the level that wait for their other planes and their mask.
struct Gathering<'a> {
    header: &'a Header,
    planes: usize,
    waiting: HashMap<TileIndex, Waiting>,
    masks: HashMap<TileIndex, Mask>,
    /// Bytes of all that wait.
    bytes: u64,
    limits: &'a Limits,
}

/// A tile that waits.
struct Waiting {
    missing: u64,
    planes: Vec<Piece>,
}

/// A tile of the mask, and how many tiles of the level still want it.
struct Mask {
    piece: Piece,
    wanted: u64,
}

impl<'a> Gathering<'a> {
    fn new(header: &'a Header, reducer: &Reducer, limits: &'a Limits) -> Self {
        let planes = reducer.planes().len();
        Self { header, planes, waiting: HashMap::new(), masks: HashMap::new(), bytes: 0, limits }
    }

    /// Takes in a tile; returns the tiles of the level that it made complete.
    fn take(&mut self, arrival: Arrival) -> Result<Vec<Part>> {
        let Some(piece) = arrival.piece else { return Ok(Vec::new()) };
        self.bytes = self.bytes.saturating_add(bytes(&piece));
        let touched: Vec<TileIndex> = if arrival.which == Which::Main {
            vec![arrival.index]
        } else {
            self.header.main.grid.tiles_in(piece.rect).collect()
        };
        if arrival.which == Which::Mask {
            self.masks.insert(arrival.index, Mask { piece: piece.clone(), wanted: touched.len() as u64 });
        }
        let mut whole = Vec::new();
        for index in touched {
            let rect = self.header.main.grid.rect(index);
            let masks = self.header.mask.as_ref().map_or(0, |mask| count_in(mask.grid, rect));
            let missing = self.planes as u64 + masks;
            let waiting =
                self.waiting.entry(index).or_insert_with(|| Waiting { missing, planes: Vec::new() });
            waiting.missing = waiting.missing.saturating_sub(1);
            if arrival.which == Which::Main {
                waiting.planes.push(piece.clone());
            }
            if waiting.missing == 0 {
                whole.extend(self.whole(index));
            }
        }
        within(self.bytes, self.limits.pending_bytes, "tiles that wait for their neighbours")?;
        Ok(whole)
    }

    /// A tile whose planes and masks have all come; what no other wants of these is let go.
    fn whole(&mut self, index: TileIndex) -> Option<Part> {
        let rect = self.header.main.grid.rect(index);
        let waiting = self.waiting.remove(&index)?;
        self.bytes = self.bytes.saturating_sub(waiting.planes.iter().map(bytes).sum());
        let mut masks = Vec::new();
        for tile in self.header.mask.iter().flat_map(|mask| mask.grid.tiles_in(rect)) {
            let Some(mask) = self.masks.get_mut(&tile) else { continue };
            masks.push((mask.piece.rect, mask.piece.tile.clone()));
            mask.wanted = mask.wanted.saturating_sub(1);
            if mask.wanted == 0 {
                self.bytes = self.bytes.saturating_sub(bytes(&mask.piece));
                self.masks.remove(&tile);
            }
        }
        let planes = waiting.planes.into_iter().map(|piece| (piece.plane, piece.tile)).collect();
        Some(Part { rect, planes, masks })
    }
}

/// Bytes of a tile's samples.
fn bytes(piece: &Piece) -> u64 {
    piece.tile.as_ref().map_or(0, |tile| tile.samples.as_bytes().len() as u64)
}

/// How many tiles of `grid` share a pixel with `rect`, which lies in the image.
fn count_in(grid: TileGrid, rect: PixelRect) -> u64 {
    let along = |from: u32, to: u32, tile: u32| u64::from(to.div_ceil(tile).saturating_sub(from / tile));
    along(rect.x0, rect.x1, grid.tile.width) * along(rect.y0, rect.y1, grid.tile.height)
}
