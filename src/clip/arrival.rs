//! The source's tiles, fetched and decoded in the order of use.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio_util::task::AbortOnDropHandle;

use super::assembly::joined;
use super::memory::Shares;
use crate::compose::Piece;
use crate::decode;
use crate::error::{Error, Result};
use crate::fetch::{self, Requests, Which};
use crate::grid::TileIndex;
use crate::header::Header;
use crate::limits::Limits;
use crate::observe::Observer;
use crate::options::ClipOptions;
use crate::plan::Plan;
use crate::source::Source;
use crate::tiff::code::Compression;
use crate::tile::EncodedTile;

/// A tile of the source.
#[derive(Debug)]
pub(super) struct Arrival {
    /// Which image it belongs to.
    pub(super) which: Which,
    /// Which tile of that.
    pub(super) index: TileIndex,
    /// Its samples; `None` when nobody needs them.
    pub(super) piece: Option<Piece>,
    /// Its bytes as they are stored, when the output takes them as they are.
    pub(super) stored: Option<Bytes>,
}

/// The tiles of `requests`. Those that pass into the output of `plan` as they are stored come with their bytes, and are
/// decoded only when an overview needs them; without a plan all are decoded. No more than `workers` has permits are decoded
/// at a time.
pub(super) fn arrivals<'a>(
    source: &'a Source,
    header: &'a Arc<Header>,
    requests: &'a Requests,
    plan: Option<&'a Plan>,
    (options, shares): (&'a ClipOptions, Shares),
    workers: &'a Arc<Semaphore>,
    observer: &'a dyn Observer,
) -> impl Stream<Item = Result<Arrival>> + 'a {
    let groups = fetch::tiles(source, header, requests, (options.requests, shares.read_ahead), observer);
    let limits = Arc::new(options.limits.clone());
    groups
        .flat_map(|group| match group {
            Ok(tiles) => stream::iter(tiles.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        })
        .map(move |tile| {
            let (header, limits, workers) = (Arc::clone(header), Arc::clone(&limits), Arc::clone(workers));
            async move {
                let (which, tile) = tile?;
                let (stored, needs_samples) = passing(plan, options.check_copied, &header, which, &tile);
                let index = tile.index;
                if !needs_samples {
                    return Ok(Arrival { which, index, piece: None, stored });
                }
                // A task of its own, since a permit that falls to a future that nobody polls would be lost to all others.
                let task = AbortOnDropHandle::new(tokio::spawn(async move {
                    let Ok(permit) = workers.acquire_owned().await else {
                        return Err(Error::io("the clip was cancelled"));
                    };
                    let work = move || {
                        let _permit = permit;
                        decoded(&header, which, &tile, &limits)
                    };
                    joined(spawn_blocking(work).await)
                }));
                Ok(Arrival { which, index, piece: Some(joined(task.await)?), stored })
            }
        })
        .buffered(shares.decoding)
}

/// The bytes of a tile that is copied, and whether it is decoded all the same: for an overview, or to see that it is sound,
/// which costs nothing when it is not compressed.
fn passing(
    plan: Option<&Plan>,
    check: bool,
    header: &Header,
    which: Which,
    tile: &EncodedTile,
) -> (Option<Bytes>, bool) {
    let check = check || header.main.layout.compression == Compression::None;
    let target = plan.and_then(|plan| {
        let overview = match which {
            Which::Main => None,
            Which::Overview(number) => Some(number),
            Which::Mask => return None,
        };
        let (level, index) = plan.passage.target(overview, tile.index)?;
        Some(check || level + 1 < plan.levels.len() && plan.passage.is_halved(level, index))
    });
    match (target, &tile.data) {
        (Some(is_halved), Some(data)) => (Some(data.clone()), is_halved),
        _ => (None, true),
    }
}

fn decoded(header: &Header, which: Which, tile: &EncodedTile, limits: &Limits) -> Result<Piece> {
    let Some(image) = which.of(header) else {
        return Err(Error::usage("a tile of an image that the file does not have"));
    };
    let rect = image.grid.rect(tile.index);
    let decoded = decode::decode(tile, &image.layout, image.size(), limits)
        .map_err(|e| e.at(format!("IFD {}", image.number)))?;
    Ok(Piece { plane: tile.plane, rect, tile: decoded.map(Arc::new) })
}
