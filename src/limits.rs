//! Every bound on what an untrusted file may make us allocate.

use crate::error::{Error, Result};

/// Bounds on what a file, a server's answer or a cutline may make us allocate or do.
///
/// The defaults admit every raster that is known to be in use and stop the rest before memory is spent.
/// All sizes are in bytes unless the name says otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Decoded bytes of one tile or strip. 1 GiB holds a whole 16-bit 4-band scene written as one strip.
    pub tile_bytes: u64,
    /// Encoded bytes of one tile or strip: a tile that does not compress is hardly larger than its pixels.
    pub encoded_tile_bytes: u64,
    /// All values of one IFD chain but the tile tables: GDAL metadata, ICC profiles, colour tables.
    pub metadata_bytes: u64,
    /// Bytes of one TileOffsets or TileByteCounts table: 2^25 tiles of 8 bytes, a 2.9 million pixel square.
    pub table_bytes: u64,
    /// Image file directories in one file, overviews, masks and SubIFDs included.
    pub ifds: usize,
    /// Entries of one directory. TIFF allows 65,535; no writer comes near.
    pub ifd_entries: u64,
    /// Tiles of the output at full resolution: 2^24 tiles of 512 pixels are a 2.1 million pixel square.
    pub output_tiles: u64,
    /// Bytes of a cutline as it is read.
    pub cutline_bytes: u64,
    /// Vertices of a cutline, after densifying.
    pub vertices: usize,
    /// Runs of pixels in a mask (16 bytes each).
    pub mask_runs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tile_bytes: 1 << 30,
            encoded_tile_bytes: (1 << 30) + (1 << 26),
            metadata_bytes: 64 << 20,
            table_bytes: 256 << 20,
            ifds: 1024,
            ifd_entries: 4096,
            output_tiles: 1 << 24,
            cutline_bytes: 1 << 30,
            vertices: 1 << 26,
            mask_runs: 1 << 27,
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
