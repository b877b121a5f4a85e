//! A file's header: the input says how long the file is, how it comes, and which image is asked for; what is missing of
//! the file is zeros.

use bytes::Bytes;
use cogclip::grid::{PixelRect, TileIndex};
use cogclip::header::Header;
use cogclip::tiff::parse::{Fetched, Stop};
use cogclip::{Error, ErrorKind, Limits, codec};
use libfuzzer_sys::Corpus;

use crate::input::Input;
use crate::seeds;

/// Tiles whose places are looked up.
const TILES: usize = 300;

/// One run.
pub fn run(data: &[u8]) -> Corpus {
    let mut input = Input(data);
    let flags = input.byte();
    let beyond = input.long();
    let file = input.0;
    let size = file.len() as u64 + u64::from(beyond);
    let ifd = usize::from(flags >> 3 & 15);
    let mut limits = Limits::default();
    // One that is read in bits is read again from its start for every bit.
    limits.header_requests = 128;
    if flags & 4 != 0 {
        limits.metadata_bytes = 1 << 16;
        limits.table_bytes = 1 << 16;
        limits.ifds = 8;
    }
    let mut fetched = Fetched::new(size);
    // Whole, its first bytes, or nothing at first.
    match flags & 3 {
        0 => fetched.insert(0, Bytes::copy_from_slice(file)),
        1 => fetched.insert(0, part(file, 0, size.min(64))),
        _ => {}
    }
    let header =
        match satisfied(file, &mut fetched, &limits, |fetched| Header::parse_image(fetched, ifd, &limits)) {
            Ok(Some(header)) => header,
            Ok(None) => return Corpus::Keep,
            Err(error) => {
                check(&error, true);
                return Corpus::Keep;
            }
        };
    look(&header);
    let levels = header.overviews.iter().flat_map(|(image, mask)| std::iter::once(image).chain(mask));
    for image in std::iter::once(&header.main).chain(&header.mask).chain(levels) {
        let _ = codec::readable(&image.layout);
        let mut tiles: Vec<(u16, TileIndex)> =
            image.grid.tiles_in(PixelRect::of(image.size())).take(TILES).map(|tile| (0, tile)).collect();
        let tile = image.layout.size;
        tiles.push((
            image.planes.saturating_sub(1),
            TileIndex {
                row: (image.size().height - 1) / tile.height,
                col: (image.size().width - 1) / tile.width,
            },
        ));
        // The first and the last tile together read the whole table: now and then only.
        if flags & 128 == 0 {
            tiles.pop();
        }
        match satisfied(file, &mut fetched, &limits, |fetched| image.places(&tiles, fetched, &limits)) {
            Ok(Some(places)) => {
                assert_eq!(places.len(), tiles.len());
                for bytes in places.into_iter().filter_map(|place| place.bytes) {
                    assert!(
                        0 < bytes.start && bytes.start < bytes.end && bytes.end <= size,
                        "{bytes:?} of {size}"
                    );
                }
            }
            Ok(None) => {}
            Err(error) => check(&error, false),
        }
    }
    Corpus::Keep
}

/// Calls `go` until it needs nothing more; `None` when it needs too much.
fn satisfied<T>(
    file: &[u8],
    fetched: &mut Fetched,
    limits: &Limits,
    go: impl Fn(&Fetched) -> Result<T, Stop>,
) -> Result<Option<T>, Error> {
    for _ in 0..limits.header_requests {
        match go(fetched) {
            Ok(found) => return Ok(Some(found)),
            Err(Stop::Bad(error)) => return Err(error),
            Err(Stop::Need(range)) => {
                assert!(range.start < range.end && range.end <= fetched.size, "{range:?} is needed");
                // A directory has a bound of its own: 20 bytes an entry in a BigTIFF, and the offset behind them.
                let directory = limits.ifd_entries * 20 + 8;
                let most = limits.table_bytes.max(limits.metadata_bytes).max(directory);
                assert!(range.end - range.start <= most, "{range:?} is needed");
                if range.end - range.start > 1 << 24 {
                    return Ok(None);
                }
                fetched.insert(range.start, part(file, range.start, range.end));
            }
        }
    }
    Ok(None)
}

/// Bytes of the file, zeros behind it.
fn part(file: &[u8], start: u64, end: u64) -> Bytes {
    let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(file.len());
    let mut out = file[at(start)..at(end)].to_vec();
    out.resize(usize::try_from(end - start).expect("it fits"), 0);
    out.into()
}

/// All that a header can be asked.
fn look(header: &Header) {
    assert!(header.bands > 0);
    let size = header.main.size();
    assert!(size.width > 0 && size.height > 0);
    if let Some(alpha) = header.alpha() {
        assert!(alpha < header.bands, "alpha is band {alpha} of {}", header.bands);
    }
    if let Some(nodata) = &header.nodata {
        let _ = header.holds(nodata);
        let _ = nodata.text();
    }
    let _ = header.is_classes();
    let _ = header.geo.crs();
    let _ = header.geo.fields_of_window(size.width - 1, size.height - 1);
    if let Some(transform) = header.geo.transform {
        let _ = transform.inverse();
        let _ = transform.bounds(PixelRect::of(size));
    }
}

fn check(error: &Error, chosen: bool) {
    let kinds = [ErrorKind::Format, ErrorKind::Unsupported, ErrorKind::Limit];
    let usage = chosen && error.kind() == ErrorKind::Usage;
    assert!(usage || kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
    assert!(error.to_string().len() > 15, "{error}");
}

/// The rasters of testdata/, the larger ones cut off.
pub fn seeds() -> Vec<Vec<u8>> {
    const MOST: usize = 6 << 10;
    let mut out = Vec::new();
    for (at, file) in seeds::files("", ".tif").iter().enumerate() {
        let cut = file.len().min(MOST);
        let beyond = u32::try_from(file.len() - cut).unwrap_or(0);
        let flags = u8::try_from(at % 2).unwrap_or(0) | 128;
        let ifd = if at % 8 == 7 { 1 << 3 } else { 0 };
        out.push([&[flags | ifd], &beyond.to_le_bytes()[..], &file[..cut]].concat());
        // Many writers put the directory last.
        if file.len() > MOST && file.len() <= 24 << 10 {
            out.push([&[flags], &[0; 4][..], file].concat());
        }
    }
    out
}
