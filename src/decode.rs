//! From a tile as it was fetched to numbers: decompression, predictor, byte order, and the cut to the image.
//! Pure, and heavy on the CPU.

use crate::codec;
use crate::error::{Error, Result};
use crate::grid::{Size, TileGrid};
use crate::limits::{Limits, within};
use crate::predictor;
use crate::sample::{Samples, with_samples};
use crate::tile::{DecodedTile, EncodedTile, TileLayout};

/// The numbers of a tile of an `image` in pixels; `None` for a sparse tile, which has none.
///
/// Tiles at the image's right and lower edge are stored in full (TIFF 6.0 §15); what hangs over is cut off
/// here. A tile that lies wholly in the image is decompressed where it stays.
///
/// # Errors
/// All name the tile. [`crate::ErrorKind::Limit`] when it would decode to more than
/// [`Limits::tile_bytes`], which is found out before any memory is taken. [`crate::ErrorKind::Format`] when
/// its bytes are damaged or too few, when it has fewer rows than the image needs, or when it lies outside the
/// image. [`crate::ErrorKind::Unsupported`] for a compression or predictor that is not read.
pub fn decode(
    tile: &EncodedTile,
    layout: &TileLayout,
    image: Size,
    limits: &Limits,
) -> Result<Option<DecodedTile>> {
    let Some(data) = &tile.data else { return Ok(None) };
    decode_stored(tile, data, layout, image, limits).map(Some).map_err(|error| {
        let plane = if tile.plane == 0 { String::new() } else { format!(", plane {}", tile.plane) };
        error.at(format_args!("tile at {}{plane}", tile.index))
    })
}

fn decode_stored(
    tile: &EncodedTile,
    data: &[u8],
    layout: &TileLayout,
    image: Size,
    limits: &Limits,
) -> Result<DecodedTile> {
    let stored = Size::new(layout.size.width, tile.rows);
    let samples_per_pixel = usize::from(layout.samples_per_pixel);
    let bytes = within(layout.bytes(tile.rows), limits.tile_bytes, "its pixels")?;
    if bytes == 0 {
        return Err(Error::format(format!("{stored} pixels of {samples_per_pixel} samples are none")));
    }
    let rect = TileGrid { image, tile: layout.size }.rect(tile.index);
    let size = rect.size();
    if rect.is_empty() {
        return Err(Error::format(format!("it lies outside the image of {image} pixels")));
    }
    if size.height > tile.rows {
        return Err(Error::format(format!("{} rows are stored; the image needs {}", tile.rows, size.height)));
    }

    let mut samples = Samples::zeroed(layout.sample_type, bytes / layout.sample_type.bytes());
    codec::decompress(layout.compression, data, samples.as_bytes_mut())?;
    let width = within(stored.width.into(), limits.tile_bytes, "a row")?;
    predictor::undo(layout.predictor, layout.byte_order, samples_per_pixel, width, &mut samples)?;

    let kept = within(size.width.into(), limits.tile_bytes, "a row")?;
    let rows = within(size.height.into(), limits.tile_bytes, "a column")?;
    with_samples!(&mut samples, v => crop(v, width * samples_per_pixel, kept * samples_per_pixel, rows));
    Ok(DecodedTile {
        index: tile.index,
        plane: tile.plane,
        rect,
        samples_per_pixel: layout.samples_per_pixel,
        samples,
    })
}

/// Keeps the first `kept` of each `stored` numbers a row, in the first `rows` rows, moving them together in
/// place. `kept` is at most `stored`, and there are at least `rows` rows.
fn crop<T: Copy>(numbers: &mut Vec<T>, stored: usize, kept: usize, rows: usize) {
    if kept < stored {
        for row in 1..rows {
            numbers.copy_within(row * stored..row * stored + kept, row * kept);
        }
    }
    numbers.truncate(rows * kept);
}
