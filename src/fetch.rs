//! Brings what parsing and decoding ask for: the header, the tile table, the tiles. Bounded and concurrent.

mod cost;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{Error, Result};
use crate::grid::TileIndex;
use crate::header::image::Place;
use crate::header::{FIRST_BYTES, Header, Image};
use crate::limits::{Limits, within};
use crate::observe::{Event, Observer};
use crate::plan::Plan;
use crate::source::Source;
use crate::tiff::parse::{Fetched, Stop};
use crate::tile::EncodedTile;

/// Connections that share one range that is longer than a request should be.
const SPLIT_WAYS: usize = 4;

/// A semaphore takes no more, on any machine.
const MOST_PERMITS: u32 = u32::MAX >> 4;

/// Bytes asked for when the parser names a smaller range: directories stand close together.
const MIN_HEADER_READ: u64 = 16 * 1024;

/// The header, in as few requests as its place in the file allows: one for a COG.
///
/// # Errors
/// As [`Header::parse`] and [`Source::read`].
pub async fn header(source: &Source, limits: &Limits) -> Result<(Fetched, Header)> {
    header_of(source, 0, limits).await
}

/// The header of one image of the file, by the number of its directory: see [`Header::parse_image`].
///
/// # Errors
/// As [`Header::parse_image`] and [`Source::read`].
pub async fn header_of(source: &Source, ifd: usize, limits: &Limits) -> Result<(Fetched, Header)> {
    let first = source.head(FIRST_BYTES).await?;
    let size = source.meta().map_or(first.len() as u64, |meta| meta.size);
    let mut fetched = Fetched::new(size);
    fetched.insert(0, first);
    let header =
        satisfied(source, &mut fetched, limits, |fetched| Header::parse_image(fetched, ifd, limits)).await?;
    Ok((fetched, header))
}

/// Calls `parse` until it needs nothing more, fetching what it names.
pub(crate) async fn satisfied<T>(
    source: &Source,
    fetched: &mut Fetched,
    limits: &Limits,
    mut parse: impl FnMut(&Fetched) -> Result<T, Stop>,
) -> Result<T> {
    let mut requests = 0;
    loop {
        match parse(fetched) {
            Ok(parsed) => return Ok(parsed),
            Err(Stop::Bad(error)) => return Err(error.at(source.uri())),
            Err(Stop::Need(_)) if requests == limits.header_requests => {
                return Err(Error::limit(format!(
                    "{}: its directories are strewn over the file; they would take more than {requests} requests",
                    source.uri()
                )));
            }
            Err(Stop::Need(range)) => {
                requests += 1;
                let end = range.end.max(range.start.saturating_add(MIN_HEADER_READ)).min(fetched.size);
                let bytes = source.read(range.start..end).await?;
                fetched.insert(range.start, bytes);
            }
        }
    }
}

/// Which image of the source a tile belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The full-resolution image.
    Main,
    /// Its internal mask.
    Mask,
    /// An overview, by its number in the header.
    Overview(usize),
}

impl Which {
    /// The image of a header; `None` when it has none such.
    #[must_use]
    pub fn of(self, header: &Header) -> Option<&Image> {
        match self {
            Self::Main => Some(&header.main),
            Self::Mask => header.mask.as_ref(),
            Self::Overview(number) => header.overviews.get(number).map(|(image, _)| image),
        }
    }
}

/// One request for tiles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The bytes of the file.
    pub range: Range<u64>,
    /// In how many pieces of alike length they are fetched: 1, or more of a long one, side by side.
    pub pieces: u64,
    /// The tiles in it, and sparse ones that are used beside them.
    pub tiles: Vec<(Which, Place)>,
}

/// A plan with the places of its tiles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// The requests, in the order in which their tiles are used.
    pub requests: Vec<Request>,
    /// Number of tiles that the file left out. They stand with the tiles of the request after them, so that they come
    /// when they are used.
    pub sparse: u64,
    /// How many of them are of overviews.
    pub sparse_overviews: u64,
    /// Those behind the last request.
    rest: Vec<(Which, Place)>,
}

impl Requests {
    /// Requests as a server counts them: each piece is one.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.requests.iter().map(|request| request.pieces).sum()
    }

    /// Bytes of all requests.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.requests.iter().map(|request| request.range.end - request.range.start).sum()
    }

    /// Where the full-resolution image's tiles lie, sparse ones included, in order of tile and plane.
    #[must_use]
    pub fn places(&self) -> Vec<&Place> {
        let all = self.requests.iter().flat_map(|request| &request.tiles).chain(&self.rest);
        let mut places: Vec<_> =
            all.filter(|(which, _)| *which == Which::Main).map(|(_, place)| place).collect();
        places.sort_by_key(|place| (place.index, place.plane));
        places
    }

    /// Tiles of all requests.
    #[must_use]
    pub fn tiles(&self) -> u64 {
        let stored = |request: &Request| {
            request.tiles.iter().filter(|(_, place)| place.bytes.is_some()).count() as u64
        };
        self.requests.iter().map(stored).sum()
    }
}

/// The tiles that one or several plans need: plane and tile, row by row, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Of the image.
    pub tiles: Vec<(u16, TileIndex)>,
    /// Of its internal mask.
    pub mask_tiles: Vec<(u16, TileIndex)>,
    /// Of its overviews, by number: tiles that are copied as they are.
    pub overview_tiles: Vec<(usize, TileIndex)>,
}

impl Needed {
    /// What `plans` need together.
    pub fn by<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Self {
        let mut all = Self::default();
        for plan in plans {
            all.tiles.extend_from_slice(&plan.tiles);
            all.mask_tiles.extend_from_slice(&plan.mask_tiles);
            all.overview_tiles.extend(plan.passage.overview_tiles());
        }
        for tiles in [&mut all.tiles, &mut all.mask_tiles] {
            tiles.sort_unstable_by_key(|&(plane, tile)| (tile, plane));
            tiles.dedup();
        }
        all.overview_tiles.sort_unstable();
        all.overview_tiles.dedup();
        all
    }
}

/// Looks up tiles in the tile tables and merges neighbours into requests, of which `in_flight` are to run at a time.
///
/// # Errors
/// As [`crate::header::Image::places`] and [`Source::read`].
pub async fn requests(
    source: &Source,
    fetched: &mut Fetched,
    header: &Header,
    needed: &Needed,
    in_flight: usize,
    limits: &Limits,
) -> Result<Requests> {
    let mut places = Vec::with_capacity(needed.tiles.len() + needed.mask_tiles.len());
    let mut images = vec![(Which::Main, needed.tiles.clone()), (Which::Mask, needed.mask_tiles.clone())];
    for of_one in needed.overview_tiles.chunk_by(|a, b| a.0 == b.0) {
        let Some(&(number, _)) = of_one.first() else { continue };
        images.push((Which::Overview(number), of_one.iter().map(|&(_, tile)| (0, tile)).collect()));
    }
    for (which, tiles) in images {
        let Some(image) = which.of(header) else { continue };
        let found =
            satisfied(source, fetched, limits, |fetched| image.places(&tiles, fetched, limits)).await?;
        // Where its first pixel lies at full resolution.
        let scaled = |at: u32, all: u32, own: u32| u64::from(at) * u64::from(all) / u64::from(own.max(1));
        let (all, own) = (header.main.size(), image.size());
        places.extend(found.into_iter().map(|place| {
            let rect = image.grid.rect(place.index);
            let corner = (scaled(rect.y0, all.height, own.height), scaled(rect.x0, all.width, own.width));
            (corner, which, place)
        }));
    }
    // The order of use: from the top, the image and its mask side by side.
    places.sort_by_key(|(corner, which, place)| {
        let rank = match which {
            Which::Main => 0,
            Which::Mask => 1,
            Which::Overview(number) => 2 + number,
        };
        (*corner, rank, place.plane)
    });
    let mut out = Requests::default();
    // Stored tiles, each with the sparse ones before it.
    let mut wanted: Vec<Vec<(Which, Place)>> = Vec::new();
    let mut ranges = Vec::new();
    for (_, which, place) in places {
        if let Some(bytes) = place.bytes.clone() {
            let mut group = std::mem::take(&mut out.rest);
            group.push((which, place));
            wanted.push(group);
            ranges.push(bytes);
        } else {
            out.sparse += 1;
            out.sparse_overviews += u64::from(matches!(which, Which::Overview(_)));
            out.rest.push((which, place));
        }
    }
    let merged = cost::merged(&ranges, in_flight);
    let pieces = if source.is_remote() {
        let lengths: Vec<_> = merged.iter().map(|one| one.range.end - one.range.start).collect();
        cost::pieces(&lengths, in_flight)
    } else {
        vec![1; merged.len()]
    };
    for (merged, pieces) in merged.into_iter().zip(pieces) {
        let mut tiles = Vec::new();
        for part in merged.parts {
            tiles.append(&mut wanted[part]);
        }
        out.requests.push(Request { range: merged.range, pieces, tiles });
    }
    Ok(out)
}

/// Runs requests, at most `in_flight` at a time and of at most `read_ahead` bytes together, and hands out their tiles in the
/// order of the requests.
pub fn tiles<'a>(
    source: &'a Source,
    header: &'a Header,
    requests: &'a Requests,
    (in_flight, read_ahead): (usize, u64),
    observer: &'a dyn Observer,
) -> impl Stream<Item = Result<Vec<(Which, EncodedTile)>>> + 'a {
    let encoded = move |which: Which, place: &Place, data: Option<Bytes>| {
        let rows = which.of(header).map_or(0, |image| image.stored_rows(place.index));
        (which, EncodedTile { index: place.index, plane: place.plane, rows, data })
    };
    let rest = requests.rest.iter().map(move |(which, place)| Ok(vec![encoded(*which, place, None)]));
    // In KiB, lest a share does not fit its type. A semaphore is fair, so that the request whose turn is next gets its share first.
    let most = u32::try_from(read_ahead >> 10).unwrap_or(u32::MAX).clamp(1, MOST_PERMITS);
    let ahead = Arc::new(Semaphore::new(most as usize));
    let fetched = stream::iter(&requests.requests).map(move |request| (request, Arc::clone(&ahead))).map(
        move |(request, ahead)| async move {
            let share = (request.range.end - request.range.start) >> 10;
            let share = u32::try_from(share).unwrap_or(most).clamp(1, most);
            let held = ahead
                .acquire_many_owned(share)
                .await
                .map_err(|_closed| Error::io("the clip was cancelled"))?;
            let bytes = reading(source.clone(), request.range.clone(), request.pieces).await?;
            observer.event(&Event::Fetched { bytes: bytes.len() as u64 });
            let mut tiles = Vec::with_capacity(request.tiles.len());
            for (which, place) in &request.tiles {
                let data = match &place.bytes {
                    None => None,
                    Some(part) => Some(part_of(&bytes, &request.range, part).ok_or_else(|| {
                        Error::io(format!("a request brought too little for {}", describe(place.index)))
                    })?),
                };
                tiles.push(encoded(*which, place, data));
            }
            Ok((tiles, held))
        },
    );
    // What is handed on no longer counts: the next stage has a bound of its own.
    let handed = |group: Result<(Vec<_>, OwnedSemaphorePermit)>| group.map(|(tiles, _held)| tiles);
    fetched.buffered(in_flight.max(1)).map(handed).chain(stream::iter(rest))
}

/// A range, read by a task of its own: it goes on while whoever wants it is busy with something else, as a connection that
/// nobody reads from would count as stalled.
async fn reading(source: Source, range: Range<u64>, pieces: u64) -> Result<Bytes> {
    match AbortOnDropHandle::new(tokio::spawn(read(source, range, pieces))).await {
        Ok(read) => read,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Error::io("the clip was cancelled").caused_by(error)),
    }
}

/// A range in so many pieces, each over a connection of its own.
async fn read(source: Source, range: Range<u64>, pieces: u64) -> Result<Bytes> {
    let len = range.end - range.start;
    if pieces <= 1 {
        return source.read(range).await;
    }
    let step = usize::try_from(len.div_ceil(pieces)).unwrap_or(usize::MAX);
    let starts = (range.start..range.end).step_by(step);
    let parts = starts.map(|start| source.read(start..start.saturating_add(step as u64).min(range.end)));
    let mut parts = stream::iter(parts).buffered(SPLIT_WAYS);
    let mut whole = Vec::new();
    while let Some(part) = parts.try_next().await? {
        if whole.is_empty() {
            // What has come vouches for the rest: the version is pinned, and the range lies in it.
            whole.reserve_exact(usize::try_from(len).unwrap_or(0));
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.into())
}

fn describe(index: TileIndex) -> String {
    format!("the tile at {index}")
}

fn part_of(bytes: &Bytes, whole: &Range<u64>, part: &Range<u64>) -> Option<Bytes> {
    let from = usize::try_from(part.start.checked_sub(whole.start)?).ok()?;
    let to = usize::try_from(part.end.checked_sub(whole.start)?).ok()?;
    (from <= to && to <= bytes.len()).then(|| bytes.slice(from..to))
}

/// All bytes of a small object, such as a cutline.
///
/// # Errors
/// [`crate::ErrorKind::Limit`] when it is larger than `limits.cutline_bytes`; else as [`Source::read`].
pub async fn whole(source: &Source, limits: &Limits) -> Result<Bytes> {
    let first = source.head(1 << 20).await?;
    let size = source.meta().map_or(first.len() as u64, |meta| meta.size);
    within(size, limits.cutline_bytes, "reading it").map_err(|error| error.at(source.uri()))?;
    if size <= first.len() as u64 {
        return Ok(first);
    }
    let rest = source.read(first.len() as u64..size).await?;
    Ok([first, rest].concat().into())
}
