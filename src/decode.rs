//! From a tile as it was fetched to numbers: decompression, predictor, byte order, and the cut to the image.
//! Pure, and heavy on the CPU.

use crate::codec;
use crate::error::{Error, Result};
use crate::grid::{Size, TileGrid};
use crate::limits::{Limits, within};
use crate::packing;
use crate::predictor;
use crate::sample::{SampleType, Samples, with_samples};
use crate::tiff::code::Predictor;
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
    let width = within(stored.width.into(), limits.tile_bytes, "a row")?;
    let turned: Vec<u8>;
    let data = if layout.reversed && codec::has_fill_order(layout.compression) {
        turned = data.iter().map(|byte| byte.reverse_bits()).collect();
        &turned
    } else {
        data
    };
    let predictor = if codec::has_predictor(layout.compression) { layout.predictor } else { Predictor::None };
    if codec::is_of_samples(layout.compression) {
        codec::decode(layout, data, &mut samples)?;
        predictor::undo(Predictor::None, layout.byte_order, samples_per_pixel, width, &mut samples)?;
    } else if layout.is_packed() {
        let mut packed = vec![0; within(layout.stored_bytes(tile.rows), limits.tile_bytes, "its bytes")?];
        codec::decompress(layout, data, &mut packed)?;
        let order = if layout.sample_type == SampleType::F32 {
            predictor::undo_on_triples(predictor, layout.byte_order, samples_per_pixel, width, &mut packed)?
        } else {
            layout.byte_order
        };
        let row = width * samples_per_pixel;
        packing::unpack(&packed, layout.sample_type, layout.bits, row, order, &mut samples)?;
    } else {
        codec::decompress(layout, data, samples.as_bytes_mut())?;
        predictor::undo(predictor, layout.byte_order, samples_per_pixel, width, &mut samples)?;
    }

    let kept = within(size.width.into(), limits.tile_bytes, "a row")?;
    let rows = within(size.height.into(), limits.tile_bytes, "a column")?;
    let mut samples_per_pixel = samples_per_pixel;
    if let (true, Samples::U8(inks)) = (layout.cmyk, &mut samples) {
        cmyk_to_rgba(inks, samples_per_pixel);
        samples_per_pixel = 4;
    }
    with_samples!(&mut samples, v => crop(v, width * samples_per_pixel, kept * samples_per_pixel, rows));
    Ok(DecodedTile {
        index: tile.index,
        plane: tile.plane,
        rect,
        samples_per_pixel: if layout.cmyk { 4 } else { layout.samples_per_pixel },
        samples,
    })
}

/// Cyan, magenta, yellow, black and whatever follows to red, green, blue and an opaque alpha, in libtiff's arithmetic
/// (`TIFFReadRGBAImage`), which is how GDAL reads such an image.
fn cmyk_to_rgba(inks: &mut Vec<u8>, samples_per_pixel: usize) {
    let rgba = |pixel: &[u8]| {
        let &[c, m, y, k, ..] = pixel else { return [0; 4] };
        let light = u16::from(255 - k);
        // At most 255 * 255 / 255.
        let seen = |ink: u8| u8::try_from(light * u16::from(255 - ink) / 255).unwrap_or(u8::MAX);
        [seen(c), seen(m), seen(y), 255]
    };
    *inks = inks.chunks_exact(samples_per_pixel).flat_map(rgba).collect();
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
    if numbers.len() < numbers.capacity() / 2 {
        numbers.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ErrorKind;
    use crate::grid::{PixelRect, TileIndex};
    use crate::tiff::code::{ByteOrder, Compression};
    use crate::tile::Parameters;

    /// Tiles stored by tifffile and by GDAL, and the samples that those programs put in; see
    /// scripts/make-codec-fixtures.py.
    #[test]
    fn tiles_of_other_programs_hold_what_they_put_in() {
        let stored = Bytes::from_static(include_bytes!("../testdata/codec/stored.bin"));
        let expected = include_bytes!("../testdata/codec/expected.bin");
        let mut count = 0;
        for line in include_str!("../testdata/codec/tiles.tsv").lines() {
            let field: Vec<_> = line.split('\t').collect();
            let number = |at: usize| field[at].parse::<u32>().unwrap();
            let short = |at: usize| field[at].parse::<u16>().unwrap();
            let range = |at: usize| number(at) as usize..(number(at) + number(at + 1)) as usize;
            let layout = TileLayout {
                size: Size::new(number(6), number(7)),
                samples_per_pixel: short(5),
                sample_type: *SampleType::ALL.iter().find(|sample| sample.name() == field[4]).unwrap(),
                compression: Compression::from(short(1)),
                predictor: Predictor::from(short(2)),
                byte_order: if field[3] == "MM" { ByteOrder::Big } else { ByteOrder::Little },
                bits: 0,
                reversed: false,
                cmyk: false,
                parameters: Parameters::None,
            };
            let layout = TileLayout { bits: layout.sample_type.tiff().0, ..layout };
            let tile = EncodedTile {
                index: TileIndex { col: number(10), row: number(11) },
                plane: 0,
                rows: layout.size.height,
                data: Some(stored.slice(range(12))),
            };
            let image = Size::new(number(8), number(9));
            let decoded = decode(&tile, &layout, image, &Limits::default()).unwrap().unwrap();
            let mut samples = decoded.samples;
            // The fixtures are little-endian: on another machine the samples are turned round to compare.
            predictor::apply(Predictor::None, 1, samples.len(), &mut samples).unwrap();
            assert!(samples.as_bytes() == &expected[range(14)], "{line}");
            count += 1;
        }
        assert_eq!(count, 117);
    }

    fn layout() -> TileLayout {
        TileLayout {
            size: Size::new(4, 4),
            samples_per_pixel: 2,
            sample_type: SampleType::U8,
            compression: Compression::None,
            predictor: Predictor::None,
            byte_order: ByteOrder::Little,
            bits: 8,
            reversed: false,
            cmyk: false,
            parameters: Parameters::None,
        }
    }

    fn tile(col: u32, row: u32, rows: u32, data: &'static [u8]) -> EncodedTile {
        EncodedTile { index: TileIndex { row, col }, plane: 0, rows, data: Some(Bytes::from_static(data)) }
    }

    const COUNTED: &[u8] = &[
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
        28, 29, 30, 31,
    ];

    #[test]
    fn edge_tiles_are_cut_to_the_image() {
        let check = |tile: &EncodedTile, image, rect, expected: &[u8]| {
            let decoded = decode(tile, &layout(), image, &Limits::default()).unwrap().unwrap();
            assert_eq!((decoded.rect, decoded.samples.as_bytes()), (rect, expected));
        };
        check(&tile(0, 0, 4, COUNTED), Size::new(9, 9), PixelRect::new(0, 0, 4, 4), COUNTED);
        let corner = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19];
        check(&tile(1, 1, 4, COUNTED), Size::new(6, 7), PixelRect::new(4, 4, 6, 7), &corner);
        // A last strip, stored short and stored in full.
        check(&tile(0, 1, 2, &COUNTED[..16]), Size::new(4, 6), PixelRect::new(0, 4, 4, 6), &COUNTED[..16]);
        check(&tile(0, 1, 2, COUNTED), Size::new(4, 6), PixelRect::new(0, 4, 4, 6), &COUNTED[..16]);
    }

    #[test]
    fn without_compression_there_is_no_predictor() {
        // As GDAL reads such files.
        for predictor in [Predictor::Horizontal, Predictor::FloatingPoint, Predictor::Unknown(7)] {
            let layout = TileLayout { predictor, ..layout() };
            let tile = tile(0, 0, 4, COUNTED);
            let decoded = decode(&tile, &layout, Size::new(4, 4), &Limits::default()).unwrap().unwrap();
            assert_eq!(decoded.samples.as_bytes(), COUNTED);
        }
    }

    #[test]
    fn a_sparse_tile_has_no_numbers() {
        let sparse = EncodedTile { data: None, ..tile(0, 0, 4, &[]) };
        assert!(decode(&sparse, &layout(), Size::new(4, 4), &Limits::default()).unwrap().is_none());
    }

    #[test]
    fn errors_say_which_tile_and_whose_fault() {
        let check = |tile: &EncodedTile, layout: &TileLayout, kind, text: &str| {
            let limits = Limits { tile_bytes: 1000, ..Limits::default() };
            let error = decode(tile, layout, Size::new(8, 8), &limits).unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, text));
        };
        let ended =
            "tile at column 1, row 0: the data (compression: none) end after 31 of 32 decompressed bytes";
        check(&tile(1, 0, 4, &COUNTED[..31]), &layout(), ErrorKind::Format, ended);
        let outside = "tile at column 2, row 0: it lies outside the image of 8 x 8 pixels";
        check(&tile(2, 0, 4, COUNTED), &layout(), ErrorKind::Format, outside);
        let rows = "tile at column 0, row 1: 3 rows are stored; the image needs 4";
        check(&tile(0, 1, 3, COUNTED), &layout(), ErrorKind::Format, rows);
        let huge = TileLayout {
            size: Size::new(u32::MAX, u32::MAX),
            sample_type: SampleType::F64,
            bits: 64,
            ..layout()
        };
        let limit = format!(
            "tile at column 0, row 0, plane 3: its pixels would take {} bytes; the limit is 1000",
            u64::MAX
        );
        check(&EncodedTile { plane: 3, ..tile(0, 0, u32::MAX, &[]) }, &huge, ErrorKind::Limit, &limit);
        let old = TileLayout { compression: Compression::OldJpeg, ..layout() };
        let unsupported = "tile at column 0, row 0: compression old-style JPEG (6) is not supported";
        check(&tile(0, 0, 4, COUNTED), &old, ErrorKind::Unsupported, unsupported);
        let none = TileLayout { size: Size::new(0, 4), ..layout() };
        let text = "tile at column 0, row 0: 0 x 4 pixels of 2 samples are none";
        check(&tile(0, 0, 4, COUNTED), &none, ErrorKind::Format, text);
    }
}
