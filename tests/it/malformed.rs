//! Broken files end in an error that says what, where and whose fault; never in a panic, a hang, an allocation beyond
//! the limits, or in other pixels than the whole file's.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use cogclip::decode::decode;
use cogclip::grid::{PixelRect, TileIndex};
use cogclip::header::Header;
use cogclip::sample::Samples;
use cogclip::tiff::parse::{Fetched, Stop};
use cogclip::{Error, ErrorKind, Limits, Result};

/// Memory that a file of a few kilobytes may ask for in these tests.
fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.tile_bytes = 8 << 20;
    limits.metadata_bytes = 1 << 20;
    limits
}

/// Every tile of a file that is all there is, decoded.
fn read_all(file: &[u8], limits: &Limits) -> Result<Vec<Option<Samples>>> {
    let mut fetched = Fetched::new(file.len() as u64);
    fetched.insert(0, Bytes::copy_from_slice(file));
    let bad = |stop| match stop {
        Stop::Bad(error) => error,
        Stop::Need(range) => Error::io(format!("all bytes are there, but {range:?} are asked for")),
    };
    let header = Header::parse(&fetched, limits).map_err(bad)?;
    let image = &header.main;
    if image.stored_tiles() > 1 << 16 {
        return Err(Error::limit("more tiles than these tests read"));
    }
    let tiles: Vec<(u16, TileIndex)> = (0..image.planes)
        .flat_map(|plane| image.grid.tiles_in(PixelRect::of(image.size())).map(move |tile| (plane, tile)))
        .collect();
    let mut out = Vec::new();
    for place in image.places(&tiles, &fetched, limits).map_err(bad)? {
        let data = place.bytes.map(|bytes| {
            Bytes::copy_from_slice(
                &file[usize::try_from(bytes.start).unwrap()..usize::try_from(bytes.end).unwrap()],
            )
        });
        let tile = cogclip::tile::EncodedTile {
            index: place.index,
            plane: place.plane,
            rows: image.stored_rows(place.index),
            data,
        };
        out.push(decode(&tile, &image.layout, image.size(), limits)?.map(|tile| tile.samples));
    }
    Ok(out)
}

fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "tif"))
        .collect();
    files.sort();
    assert!(files.len() >= 40, "{} samples", files.len());
    files
}

#[track_caller]
fn check_error(name: &str, error: &Error) {
    assert!(
        matches!(error.kind(), ErrorKind::Format | ErrorKind::Unsupported | ErrorKind::Limit),
        "{name}: {:?}: {error}",
        error.kind()
    );
    assert!(error.to_string().len() > 15, "{name}: {error}");
}

#[test]
fn a_truncated_file_is_refused_or_reads_the_same() {
    let limits = tight();
    let (mut cuts, mut refused) = (0_u32, 0_u32);
    for path in samples() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = std::fs::read(&path).unwrap();
        let whole = read_all(&file, &limits);
        for len in (0..file.len()).step_by(97) {
            cuts += 1;
            match (read_all(&file[..len], &limits), &whole) {
                (Ok(part), Ok(whole)) => {
                    assert_eq!(&part, whole, "{name} cut to {len} bytes reads otherwise");
                }
                (Ok(_), Err(error)) => panic!("{name} cut to {len} bytes is read; whole it is not: {error}"),
                (Err(error), _) => {
                    refused += 1;
                    check_error(&format!("{name} cut to {len} bytes"), &error);
                }
            }
        }
    }
    // What a cut spares is what GDAL writes last and a clip does not need: overviews, masks, padding.
    assert!(cuts > 3000 && refused * 10 > cuts * 8, "{refused} of {cuts} refused");
}

#[test]
fn single_flipped_bytes_never_panic() {
    let limits = tight();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for path in samples() {
        let file = std::fs::read(&path).unwrap();
        for _ in 0..200 {
            // xorshift64: a fixed sequence, so that a failure comes again.
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let mut broken = file.clone();
            // Most of the damage goes where the directories are.
            let reach = if seed & 1 == 0 { file.len() } else { file.len().min(600) };
            let at = usize::try_from(seed >> 8).unwrap() % reach;
            broken[at] ^= u8::try_from(seed >> 3 & 0xff).unwrap() | 1;
            if let Err(error) = read_all(&broken, &limits) {
                check_error(&format!("{} byte {at}", path.display()), &error);
            }
        }
    }
}

/// A little-endian classic TIFF of one directory at byte 8. Every value is a LONG, stored in the entry if it is one and
/// after the directory if there are more.
pub(crate) fn tiff(fields: &[(u16, &[u32])], next: u32) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    let mut values = Vec::new();
    let after = 8 + 2 + 12 * fields.len() + 4;
    out.extend(u16::try_from(fields.len()).unwrap().to_le_bytes());
    for (tag, longs) in fields {
        out.extend(tag.to_le_bytes());
        out.extend(4_u16.to_le_bytes());
        out.extend(u32::try_from(longs.len()).unwrap().to_le_bytes());
        if let [one] = longs {
            out.extend(one.to_le_bytes());
        } else {
            out.extend(u32::try_from(after + values.len()).unwrap().to_le_bytes());
            values.extend(longs.iter().flat_map(|v| v.to_le_bytes()));
        }
    }
    out.extend(next.to_le_bytes());
    out.extend(values);
    out
}

/// A 32 x 32 image of bytes in 4 tiles of 16 x 16, none of which is stored; fields given replace its own.
fn sparse_tiff(changes: &[(u16, &[u32])], next: u32) -> Vec<u8> {
    let mut fields: Vec<(u16, &[u32])> = vec![
        (256, &[32]),
        (257, &[32]),
        (258, &[8]),
        (259, &[1]),
        (262, &[1]),
        (277, &[1]),
        (322, &[16]),
        (323, &[16]),
        (324, &[0, 0, 0, 0]),
        (325, &[0, 0, 0, 0]),
    ];
    for &(tag, values) in changes {
        match fields.iter_mut().find(|(other, _)| *other == tag) {
            Some(field) => field.1 = values,
            None => fields.push((tag, values)),
        }
    }
    fields.sort_by_key(|(tag, _)| *tag);
    tiff(&fields, next)
}

#[track_caller]
fn check(file: &[u8], kind: ErrorKind, says: &str) {
    let error = read_all(file, &tight()).expect_err("this file is broken");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn the_intact_file_is_read() {
    assert_eq!(read_all(&sparse_tiff(&[], 0), &tight()).unwrap(), vec![None; 4]);
}

#[test]
fn broken_files_are_refused_by_kind() {
    check(b"", ErrorKind::Format, "no TIFF");
    check(b"\x89PNG\r\n\x1a\n and more", ErrorKind::Format, "no TIFF");
    check(b"II*\0\0\0\0\0", ErrorKind::Format, "no image");
    // A directory whose successor is itself.
    check(&sparse_tiff(&[], 8), ErrorKind::Format, "cycle");
    check(&sparse_tiff(&[(330, &[8])], 0), ErrorKind::Format, "cycle");
    // Offsets beyond the end: of the next directory, of a tile, of a table.
    check(&sparse_tiff(&[], 1 << 30), ErrorKind::Format, "beyond the end");
    check(
        &sparse_tiff(&[(324, &[0, 0, 0, u32::MAX]), (325, &[0, 0, 0, 256])], 0),
        ErrorKind::Format,
        "truncated",
    );
    // Sizes of nothing.
    check(&sparse_tiff(&[(322, &[0])], 0), ErrorKind::Format, "TileWidth");
    check(&sparse_tiff(&[(323, &[0])], 0), ErrorKind::Format, "TileWidth");
    check(&sparse_tiff(&[(256, &[0])], 0), ErrorKind::Format, "ImageWidth");
    check(&sparse_tiff(&[(277, &[0])], 0), ErrorKind::Format, "SamplesPerPixel");
    // 2^40 pixels in four tiles, or in one.
    check(&sparse_tiff(&[(256, &[1 << 20]), (257, &[1 << 20])], 0), ErrorKind::Format, "entries");
    let one = [(256, &[1 << 20][..]), (257, &[1 << 20]), (322, &[1 << 20]), (323, &[1 << 20])];
    let stored = [(324, &[8_u32][..]), (325, &[100])];
    check(&sparse_tiff(&[&one[..], &stored[..]].concat(), 0), ErrorKind::Limit, "limit");
    // Tile counts that lie.
    check(&sparse_tiff(&[(324, &[0, 0])], 0), ErrorKind::Format, "TileOffsets has 2 entries");
    check(&sparse_tiff(&[(325, &[0, 0, 0])], 0), ErrorKind::Format, "TileByteCounts has 3 entries");
    check(&sparse_tiff(&[(324, &[8; 4]), (325, &[200; 4])], 0), ErrorKind::Format, "");
    // A tile that is stored with fewer bytes than it has pixels.
    check(&sparse_tiff(&[(324, &[8; 4]), (325, &[10; 4])], 0), ErrorKind::Format, "256");
    // What is valid, but not read.
    check(&sparse_tiff(&[(258, &[33])], 0), ErrorKind::Unsupported, "33-bit");
    check(&sparse_tiff(&[(339, &[5]), (258, &[16])], 0), ErrorKind::Unsupported, "complex");
    check(
        &sparse_tiff(&[(324, &[8; 4]), (325, &[10; 4]), (259, &[34712])], 0),
        ErrorKind::Unsupported,
        "JPEG 2000",
    );
    check(&sparse_tiff(&[(324, &[8; 4]), (325, &[10; 4]), (259, &[777])], 0), ErrorKind::Unsupported, "777");
}

#[test]
fn more_directories_than_the_limit_are_refused() {
    // 2,000 directories of no entries, each naming the next.
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    for n in 1..=2000_u32 {
        file.extend([0, 0]);
        file.extend((8 + 6 * n).to_le_bytes());
    }
    check(&file, ErrorKind::Limit, "directories");
}

#[test]
fn a_tiny_file_cannot_ask_for_a_huge_output() {
    // 380 bytes that say two billion columns, in one sparse tile.
    let wide = &[i32::MAX.cast_unsigned()][..];
    let changes = [(256, wide), (257, &[2048][..]), (322, wide), (323, &[2048]), (324, &[0]), (325, &[0])];
    let file = sparse_tiff(&changes, 0);
    let limits = Limits::default();
    let mut fetched = Fetched::new(file.len() as u64);
    fetched.insert(0, file.into());
    let header = Header::parse(&fetched, &limits).map_err(|stop| format!("{stop:?}")).unwrap();
    let bounds = cogclip::geo::Bounds { min_x: 0.0, min_y: 0.0, max_x: 10.0, max_y: 10.0 };
    let cutline = cogclip::Cutline::from_bounds(bounds, None).unwrap();
    let options = cogclip::ClipOptions { crop: false, ..Default::default() };
    let error = cogclip::Plan::new(&header, &cutline, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    // What the cutline crops is small again, and planned.
    assert!(cogclip::Plan::new(&header, &cutline, &cogclip::ClipOptions::default()).unwrap().is_some());
}
