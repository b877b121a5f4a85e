//! Every bound on what an untrusted file may make us allocate.

use crate::error::{Error, Result};

/// Bounds on what a file, a server's answer or a cutline may make us allocate or do.
///
/// The defaults admit every raster that is known to be in use and stop the rest before memory is spent.
/// All sizes are in bytes unless the name says otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Decoded bytes of one tile or strip, and of all that are being decoded at a time. 1 GiB holds a whole 16-bit
    /// 4-band scene written as one strip.
    pub tile_bytes: u64,
    /// Decoded source tiles that wait for their neighbours. A row of tiles of a window 100,000 pixels wide, of four
    /// bands of floats, takes 0.8 GB.
    pub pending_bytes: u64,
    /// All values of one IFD chain but the tile tables: GDAL metadata, ICC profiles, colour tables.
    pub metadata_bytes: u64,
    /// Bytes of one TileOffsets or TileByteCounts table: 2^25 tiles of 8 bytes, a 2.9 million pixel square.
    pub table_bytes: u64,
    /// Image file directories in one file, overviews, masks and SubIFDs included.
    pub ifds: usize,
    /// Entries of all directories. An image has about 20.
    pub ifd_entries: u64,
    /// Entries that are looked at until the header is read, those that are read again after a request counted again: some
    /// seconds of work. A thousand pages that take a request each take 10^7.
    pub header_work: u64,
    /// Requests for one file's header and tile tables. A COG takes one; a file whose directories are strewn over it
    /// takes one for each.
    pub header_requests: u32,
    /// Source tiles that one clip or validation may look at, planes counted one by one.
    pub source_tiles: u64,
    /// Tiles of the output at full resolution: 2^22 tiles of 512 pixels are a million pixels square.
    pub output_tiles: u64,
    /// Bytes of a cutline as it is read.
    pub cutline_bytes: u64,
    /// Bytes of a STAC document: 10,000 Items of 12 kB each, as Sentinel-2's are, take 120 MB.
    pub stac_bytes: u64,
    /// Items of a STAC document. APIs hand out at most 10,000 a page (STAC API item-search 1.0.0, `limit`).
    pub stac_items: usize,
    /// Assets that are taken from a STAC document and their bands, together: 10,000 Items of 20 assets with a band each.
    pub stac_assets: usize,
    /// Vertices of a cutline, after densifying.
    pub vertices: usize,
    /// Runs of pixels in a mask (16 bytes each).
    pub mask_runs: usize,
    /// Crossings of edges and rows, and steps along edges, that burning a cutline may take: some ten seconds of work. A
    /// country's outline at 10 m takes 10^7.
    pub mask_work: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tile_bytes: 1 << 30,
            pending_bytes: 4 << 30,
            metadata_bytes: 32 << 20,
            table_bytes: 256 << 20,
            ifds: 1024,
            ifd_entries: 1 << 17,
            header_work: 1 << 24,
            header_requests: 1024,
            source_tiles: 1 << 22,
            output_tiles: 1 << 22,
            cutline_bytes: 256 << 20,
            stac_bytes: 128 << 20,
            stac_items: 50_000,
            stac_assets: 500_000,
            vertices: 1 << 26,
            mask_runs: 1 << 27,
            mask_work: 1 << 29,
        }
    }
}

impl Limits {
    /// Limits of a job that is to keep within `share` bytes of memory, so that no input can take what others need.
    #[must_use]
    pub fn of_memory(share: u64) -> Self {
        let default = Self::default();
        let count = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            tile_bytes: default.tile_bytes.min(share),
            pending_bytes: default.pending_bytes.min(share),
            metadata_bytes: default.metadata_bytes.min(share / 4),
            table_bytes: default.table_bytes.min(share / 4),
            cutline_bytes: default.cutline_bytes.min(share / 4),
            // Of 16 bytes each, some of them twice.
            vertices: default.vertices.min(count(share / 64)),
            mask_runs: default.mask_runs.min(count(share / 32)),
            ..default
        }
    }
}

/// `size` as `usize` when it is at most `limit`; `what` names the thing in the message.
///
/// # Errors
/// [`crate::ErrorKind::Limit`] when it is larger.
pub fn within(size: u64, limit: u64, what: &str) -> Result<usize> {
    if size > limit {
        return Err(Error::limit(format!("{what} would take {size} bytes; the limit is {limit}")));
    }
    usize::try_from(size).map_err(|cause| {
        Error::limit(format!("{what} would take {size} bytes, more than this machine can address"))
            .caused_by(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_beyond_the_share_of_memory_or_looser_than_the_default() {
        let small = Limits::of_memory(64 << 20);
        assert_eq!(
            (small.tile_bytes, small.pending_bytes, small.cutline_bytes),
            (64 << 20, 64 << 20, 16 << 20)
        );
        let large = Limits::of_memory(1 << 40);
        assert_eq!(large.tile_bytes, Limits::default().tile_bytes);
    }
}
