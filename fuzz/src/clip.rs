//! A whole clip: options, a cutline and a raster. The output is published whole and is a valid COG whose tiles can be
//! read, or there is an error and nothing is left behind.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{fs, process};

use bytes::Bytes;
use cogclip::geo::{Affine, Bounds, Crs};
use cogclip::grid::{PixelRect, TileIndex};
use cogclip::header::Header;
use cogclip::mask::Rule;
use cogclip::observe::Silent;
use cogclip::options::{Compress, Interleave, MaskStorage, OnEmpty, Resampling};
use cogclip::sample::NoData;
use cogclip::source::Source;
use cogclip::tiff::code::Predictor;
use cogclip::tiff::parse::{Fetched, Stop};
use cogclip::tile::EncodedTile;
use cogclip::{ClipOptions, Cog, Cutline, ErrorKind, Limits, SinkOptions, StoreOptions};
use libfuzzer_sys::Corpus;

use crate::input::Input;
use crate::seeds;

const COMPRESS: [Compress; 12] = [
    Compress::Deflate,
    Compress::Source,
    Compress::None,
    Compress::Lzw,
    Compress::PackBits,
    Compress::Zstd,
    Compress::Lzma,
    Compress::Lerc,
    Compress::LercDeflate,
    Compress::LercZstd,
    Compress::Jpeg,
    Compress::WebP,
];
const NODATA: [&str; 8] = ["", "0", "nan", "-9999", "255", "1e40", "-3.4028234663852886e38", "65535"];
const BLOCKS: [u32; 8] = [64, 16, 32, 48, 128, 256, 512, 17];
/// Bytes of the input that are options.
const OPTIONS: usize = 12;

/// A folder of this process, in that of `COGCLIP_FUZZ_SCRATCH`, which had better be in memory.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let base = std::env::var_os("COGCLIP_FUZZ_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = base.join(format!("cogclip-fuzz-{}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
});

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.max_blocking_threads(4).build().expect("a runtime can be made")
});

/// One run.
pub fn run(data: &[u8]) -> Corpus {
    let mut input = Input(data);
    let (options, ifd, wanted) = options(&mut input);
    let text = input.short();
    let text = input.take(text.into());
    let (source, out) = (FOLDER.join("in.tif"), FOLDER.join("out.tif"));
    let _ = fs::remove_file(&out);
    fs::write(&source, input.0).expect("the source can be written");
    let done = RUNTIME.block_on(clip(&source, &out, &options, ifd, wanted, text));
    let left: Vec<_> = fs::read_dir(&*FOLDER)
        .expect("the folder can be listed")
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| name != "in.tif")
        .collect();
    match done {
        Ok(true) => {
            assert_eq!(left, ["out.tif"]);
            RUNTIME.block_on(check(&out));
        }
        Ok(false) => assert!(left.is_empty(), "nothing was to be written, and {left:?} is there"),
        Err(error) => {
            assert!(left.is_empty(), "{error}: {left:?} is left behind");
            let kinds = [ErrorKind::Io, ErrorKind::Changed, ErrorKind::Exists];
            assert!(!kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
        }
    }
    Corpus::Keep
}

async fn clip(
    source: &Path,
    out: &Path,
    options: &ClipOptions,
    ifd: usize,
    wanted: u8,
    text: &[u8],
) -> cogclip::Result<bool> {
    let name = |path: &Path| path.to_str().expect("the path is text").to_owned();
    let store = StoreOptions::default();
    let mut cog = Cog::open_image(&name(source), Some(ifd), &store, &options.limits).await?;
    let _ = cog.remarks();
    let Some(cutline) = cutline(cog.header(), wanted, text, &options.limits)? else { return Ok(false) };
    let Some(plan) = cog.plan(&cutline, options)? else { return Ok(false) };
    let sink = SinkOptions { overwrite: false, store, ..SinkOptions::default() };
    cog.clip(plan, &name(out), options, &sink, &Silent).await.map(|_| true)
}

fn options(input: &mut Input<'_>) -> (ClipOptions, usize, u8) {
    let flags = input.byte();
    let has = |bit: u8| flags & bit != 0;
    let mut options = ClipOptions {
        rule: if has(1) { Rule::AllTouched } else { Rule::Centre },
        invert: has(2),
        crop: !has(4),
        align_tiles: has(8),
        overviews: !has(16),
        sparse: has(32),
        on_empty: [OnEmpty::Write, OnEmpty::Skip, OnEmpty::Error, OnEmpty::Write][usize::from(flags >> 6)],
        pad: u32::from(input.byte()),
        ..ClipOptions::default()
    };
    options.mask =
        input.one_of(&[MaskStorage::Auto, MaskStorage::Internal, MaskStorage::Alpha, MaskStorage::NoData]);
    options.compress = input.one_of(&COMPRESS);
    // Low efforts: what is looked for does not take high ones.
    options.level = Some(input.byte()).filter(|level| (1..=3).contains(level) || *level > 200);
    if options.level.is_none() && matches!(options.compress, Compress::Zstd | Compress::Lzma) {
        options.level = Some(1);
    }
    let how = input.byte();
    options.predictor =
        [None, Some(Predictor::None), Some(Predictor::Horizontal), Some(Predictor::FloatingPoint)]
            [usize::from(how & 3)];
    options.interleave = if how & 4 == 0 { Interleave::Pixel } else { Interleave::Band };
    options.max_error = [None, Some(0.0), Some(0.5), Some(100.0)][usize::from(how >> 3 & 3)];
    options.resampling = [None, Some(Resampling::Average), Some(Resampling::Nearest), Some(Resampling::Mode)]
        [usize::from(how >> 5 & 3)];
    options.quality = (how & 128 != 0).then_some(40);
    options.blocksize = Some(input.one_of(&BLOCKS));
    // What is copied unseen may be damaged, as it was; the output is to be readable.
    options.check_copied = true;
    options.nodata = NoData::new(input.one_of(&NODATA));
    let bands = input.byte();
    options.bands = [vec![], vec![1], vec![2, 1], vec![3, 2, 1], vec![1, 1], vec![4], vec![0], vec![1, 2, 3]]
        [usize::from(bands & 7)]
    .clone();
    let more = input.byte();
    options.threads = 1 + usize::from(more & 1);
    options.requests = 1 + usize::from(more >> 1 & 1);
    let (ifd, wanted) = (usize::from(more >> 2 & 3), input.byte());
    let _ = input.byte();
    // So that no run is long. A tile of 512 x 512 pixels of 4 bytes fits.
    let limits = &mut options.limits;
    *limits = crate::cutline::limits();
    limits.tile_bytes = 1 << 20;
    limits.pending_bytes = 8 << 20;
    limits.metadata_bytes = 1 << 20;
    limits.table_bytes = 1 << 20;
    limits.ifds = 64;
    limits.ifd_entries = 1 << 12;
    limits.header_requests = 64;
    limits.source_tiles = 512;
    limits.output_tiles = 64;
    (options, ifd, wanted)
}

/// The input's own, a box, or a star.
fn cutline(header: &Header, wanted: u8, text: &[u8], limits: &Limits) -> cogclip::Result<Option<Cutline>> {
    if wanted & 3 == 3 {
        let Ok(text) = std::str::from_utf8(text) else { return Ok(None) };
        let cutline = Cutline::from_geojson(text, limits)?;
        return Ok(Some(if wanted & 4 == 0 { cutline } else { cutline.with_crs(None) }));
    }
    let size = header.main.size();
    let transform = header.geo.transform.unwrap_or(Affine::IDENTITY);
    // Large images are looked at in their corner.
    let (width, height) = (f64::from(size.width.min(512)), f64::from(size.height.min(512)));
    let at = |x: f64, y: f64| transform.apply(x * width, y * height);
    let points: Vec<[f64; 2]> = match wanted & 3 {
        0 => {
            let corner = |n: u32| {
                let (angle, radius) =
                    (f64::from(n) * 0.628_318_530_717_958_6, if n % 2 == 0 { 0.55 } else { 0.2 });
                at(0.5 + radius * angle.sin(), 0.5 - radius * angle.cos())
            };
            (0..=10).map(|n| corner(n % 10)).collect()
        }
        1 => vec![at(0.0, 0.0), at(1.0, 0.0), at(1.0, 1.0), at(0.0, 1.0), at(0.0, 0.0)],
        _ => vec![at(0.3, 0.3), at(0.7, 0.3), at(0.7, 0.6), at(0.3, 0.6), at(0.3, 0.3)],
    };
    if points.iter().flatten().any(|value| !value.is_finite()) {
        let whole = Bounds { min_x: 0.0, min_y: 0.0, max_x: 1.0, max_y: 1.0 };
        return Cutline::from_bounds(whole, Some(Crs::wgs84())).map(Some);
    }
    Ok(Some(Cutline::new(vec![cogclip::cutline::Polygon { rings: vec![points] }], None)))
}

/// The output is a valid COG, and every tile of it can be read.
async fn check(out: &Path) {
    let limits = Limits::default();
    let source =
        Source::open(out.to_str().expect("the path is text"), &StoreOptions::default()).expect("it opens");
    let found = cogclip::validate::validate(&source, &limits).await.expect("the output can be validated");
    assert!(found.errors.is_empty(), "{:?}", found.errors);
    let file = fs::read(out).expect("the output can be read");
    let mut fetched = Fetched::new(file.len() as u64);
    fetched.insert(0, Bytes::from(file.clone()));
    let good = |stop: Stop| panic!("the output cannot be read: {stop:?}");
    let header = Header::parse(&fetched, &limits).unwrap_or_else(good);
    assert!(header.others.is_empty(), "{:?}", header.others);
    let levels = header.overviews.iter().flat_map(|(image, mask)| std::iter::once(image).chain(mask));
    for image in std::iter::once(&header.main).chain(&header.mask).chain(levels) {
        let tiles: Vec<(u16, TileIndex)> = (0..image.planes)
            .flat_map(|plane| image.grid.tiles_in(PixelRect::of(image.size())).map(move |tile| (plane, tile)))
            .collect();
        let places = image.places(&tiles, &fetched, &limits);
        for place in places.unwrap_or_else(|stop| panic!("the output has no tiles: {stop:?}")) {
            let at = |place: u64| usize::try_from(place).expect("the file is small");
            let data = place.bytes.map(|bytes| Bytes::copy_from_slice(&file[at(bytes.start)..at(bytes.end)]));
            let tile = EncodedTile {
                index: place.index,
                plane: place.plane,
                rows: image.stored_rows(place.index),
                data,
            };
            cogclip::decode::decode(&tile, &image.layout, image.size(), &limits)
                .unwrap_or_else(|error| panic!("the output's tile cannot be read: {error}"));
        }
    }
}

/// The rasters of testdata/, each with some options.
pub fn seeds() -> Vec<Vec<u8>> {
    let star = seeds::testdata("cutlines/utm33-star.geojson");
    let mut out = Vec::new();
    for (at, file) in seeds::files("", ".tif").iter().enumerate() {
        let number = |n: usize| u8::try_from(n % 256).unwrap_or(0);
        let mut options = [0; OPTIONS];
        // The defaults first, then all manner of things.
        if at % 3 != 0 {
            options[0] = number(at * 37);
            options[2] = number(at);
            options[5] = number(at * 29);
            options[9] = number(at % 4);
        }
        options[3] = number(at % 12);
        options[6] = number(at % 7);
        let with_text = at % 5 == 4;
        options[10] = if with_text { 3 } else { number(at % 3) };
        let text: &[u8] = if with_text { &star } else { &[] };
        let len = u16::try_from(text.len()).expect("cutlines are short").to_le_bytes();
        out.push([&options[..], &len, text, file].concat());
    }
    out
}
