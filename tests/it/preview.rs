//! Previews: which level and which bytes a picture is made from, what its pixels are, and what is refused. Expected pixels are
//! those that the crate tiff reads, or worked by hand from what testdata/manifest.tsv says that a file holds; scripts/preview.py
//! compares with rasterio.

use std::path::Path;

use cogclip::clip::Cog;
use cogclip::clip::preview::{Preview, PreviewOptions};
use cogclip::grid::{PixelRect, Size};
use cogclip::observe::Silent;
use cogclip::picture::preview::Steps;
use cogclip::picture::stretch::Stretch;
use cogclip::{ErrorKind, Limits, StoreOptions};

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).to_str().unwrap().to_owned()
}

/// A PNG as the crate png reads it: its size, the channels of a pixel, and its bytes.
fn read(file: &[u8]) -> (Size, usize, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.bit_depth, png::BitDepth::Eight);
    (Size::new(info.width, info.height), info.color_type.samples(), bytes)
}

async fn open(name: &str) -> Cog {
    Cog::open(&testdata(name), &StoreOptions::default(), &Limits::default()).await.unwrap()
}

async fn preview(name: &str, options: &PreviewOptions) -> Preview {
    open(name).await.preview(options, &Silent).await.unwrap()
}

fn of_size(size: u32) -> PreviewOptions {
    PreviewOptions { size, ..PreviewOptions::default() }
}

/// The pixels of a level as the crate tiff reads them, which shares no code with this one.
fn by_tiff(name: &str, directory: usize) -> tiff::decoder::DecodingResult {
    let file = std::fs::File::open(testdata(name)).unwrap();
    let mut decoder = tiff::decoder::Decoder::new(file).unwrap();
    decoder.seek_to_image(directory).unwrap();
    decoder.read_image().unwrap()
}

fn bytes(result: tiff::decoder::DecodingResult) -> Vec<u8> {
    let tiff::decoder::DecodingResult::U8(bytes) = result else { unreachable!("these are bytes") };
    bytes
}

#[tokio::test]
async fn bytes_of_an_overview_are_the_pictures_own() {
    let cog = open("cog-u8-rgb.tif").await;
    let small = cog.header().overviews[0].0.size();
    for (size, level, directory) in [(small.width, small, 1), (4000, cog.header().main.size(), 0)] {
        let made = preview("cog-u8-rgb.tif", &of_size(size)).await;
        assert_eq!((made.level.size, &made.steps, made.transparent), (level, &Steps::AsStored, 0));
        let (read_size, channels, pixels) = read(&made.png);
        assert_eq!((read_size, channels), (level, 3));
        assert!(pixels == bytes(by_tiff("cog-u8-rgb.tif", directory)));
    }
}

#[tokio::test]
async fn what_is_larger_than_the_picture_is_averaged() {
    // 70 x 45 pixels: testdata/manifest.tsv. Five by five become one.
    let full = bytes(by_tiff("rgb-u8-strips.tif", 0));
    let made = preview("rgb-u8-strips.tif", &of_size(14)).await;
    let (picture, channels, pixels) = read(&made.png);
    assert_eq!((picture, channels), (Size::new(14, 9), 3));
    for (at, &got) in pixels.iter().enumerate() {
        let (band, x, y) = (at % 3, at / 3 % 14, at / 3 / 14);
        let of_one = (0..25).map(|n| u32::from(full[((y * 5 + n / 5) * 70 + x * 5 + n % 5) * 3 + band]));
        let sum: u32 = of_one.sum();
        assert_eq!(u32::from(got), (2 * sum + 25) / 50, "column {x}, row {y}, band {band}");
    }
}

#[tokio::test]
async fn what_is_invalid_is_transparent_and_does_not_count() {
    // Columns 0 to 7 of 40 are invalid by the mask of page 1; samples are counted from 0 row by row.
    let mut cog =
        Cog::open(&format!("{}#ifd=1", testdata("pages.tif")), &StoreOptions::default(), &Limits::default())
            .await
            .unwrap();
    assert_eq!(cog.header().main.size(), Size::new(40, 30));
    let options = PreviewOptions { stretch: Stretch::Range(0.0, 1199.0), ..of_size(40) };
    let made = cog.preview(&options, &Silent).await.unwrap();
    let (size, channels, pixels) = read(&made.png);
    assert_eq!((size, channels, made.transparent), (Size::new(40, 30), 2, 8 * 30));
    for (n, pixel) in (0_u32..).zip(pixels.chunks_exact(2)) {
        let expected =
            if n % 40 < 8 { [0, 0] } else { [(n * 255 + 599) / 1199, 255].map(|v| v.to_le_bytes()[0]) };
        assert!(
            pixel[0].abs_diff(expected[0]) <= 1 && pixel[1] == expected[1],
            "pixel {n}: {pixel:?}, {expected:?}"
        );
    }
    // Of ten by ten pixels to one, that of columns 0 to 9 is the mean of columns 8 and 9 alone: 8.5 + 40 * 4.5.
    let options = PreviewOptions { stretch: Stretch::Range(188.5 - 100.0, 188.5 + 155.0), ..of_size(4) };
    let made = cog.preview(&options, &Silent).await.unwrap();
    let (size, channels, pixels) = read(&made.png);
    assert_eq!((size, channels, made.transparent, pixels[0]), (Size::new(4, 3), 1, 0, 100));
}

#[tokio::test]
async fn colours_of_a_table_are_not_averaged() {
    // The whole is rasterio's: scripts/preview.py. Of a smaller picture each pixel is the one in the middle of those it stands for.
    let (whole, made) =
        (preview("palette-u8.tif", &of_size(70)).await, preview("palette-u8.tif", &of_size(50)).await);
    let (full, channels, colours) = read(&whole.png);
    let (size, its_channels, pixels) = read(&made.png);
    assert_eq!((full, size, made.steps), (Size::new(70, 45), Size::new(50, 32), Steps::AsStored));
    assert_eq!(its_channels, channels);
    for (n, pixel) in (0_u32..).zip(pixels.chunks_exact(channels)) {
        let [x, y] = [(n % size.width, full.width, size.width), (n / size.width, full.height, size.height)]
            .map(|(at, level, picture)| (2 * at + 1) * level / (2 * picture));
        let at = (y * full.width + x) as usize * channels;
        assert_eq!(pixel, &colours[at..at + channels], "pixel {n}");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_before_anything_is_fetched() {
    let check = async |name: &str, options: PreviewOptions, kind: ErrorKind, says: &str| {
        let mut cog = open(name).await;
        let before = cog.stats().requests;
        let error = cog.preview(&options, &Silent).await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
        assert_eq!(cog.stats().requests, before);
    };
    let options = || of_size(1024);
    check("rgb-u8-strips.tif", of_size(0), ErrorKind::Usage, "a picture of 0 pixels").await;
    let bands = PreviewOptions { bands: vec![4], ..options() };
    check("rgb-u8-strips.tif", bands, ErrorKind::Usage, "there is no band 4").await;
    let mut limits = Limits::default();
    limits.tile_bytes = 1000;
    check("rgb-u8-strips.tif", PreviewOptions { limits, ..options() }, ErrorKind::Limit, "a picture of")
        .await;
    let mut limits = Limits::default();
    limits.source_tiles = 1;
    check(
        "rgb-u8-strips.tif",
        PreviewOptions { limits, ..options() },
        ErrorKind::Limit,
        "tiles; the limit is 1",
    )
    .await;
    let few = PreviewOptions { max_bytes: 100, ..options() };
    check("cog-u8-rgb.tif", few, ErrorKind::Limit, "bytes would be fetched; the limit is 100").await;
}

#[cfg(feature = "cloud")]
#[tokio::test]
async fn the_header_and_one_overview_are_all_that_is_fetched() {
    let server = crate::server::Server::start();
    let file = std::fs::read(testdata("sample/scene.tif")).unwrap();
    server.put("/bucket/scene.tif", file.clone());
    let uri = format!("{}/bucket/scene.tif", server.url());
    let limits = Limits::default();
    let mut cog = Cog::open(&uri, &crate::remote::options(&server), &limits).await.unwrap();
    let (overview, _) = cog.header().overviews[0].clone();
    let made = cog.preview(&of_size(overview.size().width), &Silent).await.unwrap();
    assert_eq!(made.level.overview, Some(0));

    let mut fetched = cogclip::tiff::Fetched::new(file.len() as u64);
    fetched.insert(0, file.into());
    let tiles = |image: &cogclip::header::Image| -> Vec<(u64, u64)> {
        let all: Vec<_> = image.grid.tiles_in(PixelRect::of(image.size())).map(|tile| (0, tile)).collect();
        let places = image.places(&all, &fetched, &limits).unwrap();
        places.into_iter().filter_map(|place| place.bytes).map(|bytes| (bytes.start, bytes.end)).collect()
    };
    let (wanted, unwanted) = (tiles(&overview), tiles(&cog.header().main));
    let requests = server.requests();
    assert_eq!(requests[0].range, Some((0, 65536)), "the header, in one request");
    let ranges: Vec<_> = requests[1..].iter().map(|request| request.range.unwrap()).collect();
    assert_eq!(ranges.len() as u64, made.fetched.requests);
    let bytes: u64 = ranges.iter().map(|(start, end)| end - start).sum();
    assert_eq!((bytes, made.fetched.tiles), (made.fetched.bytes, wanted.len() as u64));
    let net: u64 = wanted.iter().map(|(start, end)| end - start).sum();
    assert!(net > 0 && bytes <= net + 8 * wanted.len() as u64, "{bytes} bytes for {net}");
    for (start, end) in wanted {
        assert!(ranges.iter().any(|range| range.0 <= start && end <= range.1), "{start}..{end}");
    }
    for (start, end) in unwanted {
        assert!(
            !ranges.iter().any(|range| range.0 < end && start < range.1),
            "{start}..{end} is of the image itself"
        );
    }
}
