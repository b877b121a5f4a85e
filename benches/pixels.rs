//! The stages that touch pixels and nothing else: composing output tiles, and halving them. `cargo bench --bench pixels`.
//!
//! The scene is made here: a raster of 2048 by 2048 pixels in tiles of 512, a disc as the cutline, and samples that are
//! invalid in some discs of their own. The output's tiles do not lie on the source's, as is usual: each takes four.

use std::hint::black_box;
use std::sync::Arc;

use cogclip::compose::{Composer, MaskedTile, Piece};
use cogclip::cutline::{Cutline, Polygon};
use cogclip::encode::overview::{Validity, halve};
use cogclip::grid::{PixelRect, Size, TileIndex};
use cogclip::header::Header;
use cogclip::limits::Limits;
use cogclip::mask::TileClass;
use cogclip::options::{ClipOptions, Resampling};
use cogclip::plan::Plan;
use cogclip::sample::{NoData, SampleType, Samples};
use cogclip::tiff::code::tag;
use cogclip::tiff::write::{self, Fields};
use cogclip::tiff::{Fetched, Value};
use cogclip::tile::DecodedTile;
use criterion::{Criterion, Throughput};

const IMAGE: u16 = 2048;
const TILE: u16 = 512;
const NODATA: u16 = 0;

/// How the source says which pixels are valid.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    All,
    NoData,
    NewNoData,
    Mask,
    Alpha,
}

/// What is composed.
struct Scene {
    header: Header,
    plan: Plan,
    bands: usize,
    pieces: Vec<Piece>,
    masks: Vec<Piece>,
}

/// A TIFF of nothing but directories: the image's, and that of its mask.
fn tiff(sample: SampleType, bands: u16, source: Source) -> Vec<u8> {
    let (bits, format) = sample.tiff();
    let tiles = usize::from(IMAGE / TILE).pow(2);
    let common = |bits: u16, bands: u16| {
        let of = |value: u16| Value::shorts(&vec![value; bands.into()]);
        Fields::from([
            (tag::IMAGE_WIDTH, Value::shorts(&[IMAGE])),
            (tag::IMAGE_LENGTH, Value::shorts(&[IMAGE])),
            (tag::BITS_PER_SAMPLE, of(bits)),
            (tag::COMPRESSION, Value::shorts(&[8])),
            (tag::PHOTOMETRIC, Value::shorts(&[1])),
            (tag::SAMPLES_PER_PIXEL, Value::shorts(&[bands])),
            (tag::TILE_WIDTH, Value::shorts(&[TILE])),
            (tag::TILE_LENGTH, Value::shorts(&[TILE])),
            (tag::TILE_OFFSETS, Value::longs(&vec![0; tiles])),
            (tag::TILE_BYTE_COUNTS, Value::longs(&vec![0; tiles])),
        ])
    };
    let mut image = common(bits, bands);
    image.insert(tag::SAMPLE_FORMAT, Value::shorts(&vec![format; bands.into()]));
    let mut extra = vec![0; usize::from(bands) - 1];
    match source {
        Source::NoData | Source::NewNoData => {
            image.insert(tag::GDAL_NODATA, Value::ascii(&NODATA.to_string()));
        }
        Source::Alpha => *extra.last_mut().expect("a band of alpha") = 2,
        Source::All | Source::Mask => {}
    }
    if !extra.is_empty() {
        image.insert(tag::EXTRA_SAMPLES, Value::shorts(&extra));
    }
    let start = write::header_len(false);
    let mut file = write::header(false, start);
    let mask_at = start + write::directory_len(&image, false);
    let next = if source == Source::Mask { mask_at } else { 0 };
    file.extend(write::directory(&image, false, start, next));
    if source == Source::Mask {
        let mut mask = common(8, 1);
        mask.insert(tag::NEW_SUBFILE_TYPE, Value::longs(&[4]));
        mask.insert(tag::PHOTOMETRIC, Value::shorts(&[4]));
        file.extend(write::directory(&mask, false, mask_at, 0));
    }
    file
}

/// A polygon of many corners around the image's centre.
fn disc() -> Cutline {
    let centre = f64::from(IMAGE) / 2.0;
    let corner = |n: i32| {
        let (sin, cos) = (f64::from(n) / 1000.0 * std::f64::consts::TAU).sin_cos();
        [centre + 950.3 * cos, centre + 950.3 * sin]
    };
    Cutline::new(vec![Polygon { rings: vec![(0..=1000).map(corner).collect()] }], None)
}

/// Whether the source's pixel is valid: all but two discs in each 512 by 512 pixels, a tenth of them.
fn is_valid(x: u32, y: u32) -> bool {
    let near = |cx: i64, cy: i64, radius: i64| {
        let (dx, dy) = (i64::from(x % 512) - cx, i64::from(y % 512) - cy);
        dx * dx + dy * dy < radius * radius
    };
    !near(100, 150, 80) && !near(380, 300, 40)
}

/// A number that looks random, never [`NODATA`].
fn noise(x: u32, y: u32, band: u16) -> u16 {
    let mixed = (x * 7919 + y * 104_729 + u32::from(band) * 1_299_709).wrapping_mul(2_654_435_761);
    u16::try_from(mixed >> 20).unwrap_or(1) + 1
}

fn samples_of(sample: SampleType, numbers: impl Iterator<Item = u16>) -> Samples {
    if sample == SampleType::U8 {
        Samples::U8(numbers.map(|v| u8::try_from(v.min(255)).unwrap_or(1)).collect())
    } else if sample == SampleType::F32 {
        Samples::F32(numbers.map(f32::from).collect())
    } else {
        Samples::U16(numbers.collect())
    }
}

fn scene(sample: SampleType, bands: u16, source: Source) -> Scene {
    let file = tiff(sample, bands, source);
    let limits = Limits::default();
    let mut fetched = Fetched::new(file.len() as u64);
    fetched.insert(0, file.into());
    let header = Header::parse(&fetched, &limits).expect("a header");
    let nodata = (source == Source::NewNoData).then(|| NoData::new("7").expect("a number"));
    let options = ClipOptions { nodata, ..ClipOptions::default() };
    let plan = Plan::new(&header, &disc(), &options).expect("a plan").expect("an overlap");
    let by_value = matches!(source, Source::NoData | Source::NewNoData);
    let piece = |tile: TileIndex, sample: SampleType, bands: u16, number: &dyn Fn(u32, u32, u16) -> u16| {
        let rect = header.main.grid.rect(tile);
        let places = (rect.y0..rect.y1).flat_map(|y| (rect.x0..rect.x1).map(move |x| (x, y)));
        let numbers = places.flat_map(|(x, y)| (0..bands).map(move |band| number(x, y, band)));
        let samples = samples_of(sample, numbers);
        let tile = DecodedTile { index: tile, plane: 0, rect, samples_per_pixel: bands, samples };
        Piece { plane: 0, rect, tile: Some(Arc::new(tile)) }
    };
    let image = |x, y, band| {
        if source == Source::Alpha && band + 1 == bands {
            u16::from(is_valid(x, y)) * u16::MAX
        } else if by_value && !is_valid(x, y) {
            NODATA
        } else {
            noise(x, y, band)
        }
    };
    let pieces = plan.tiles.iter().map(|&(_, tile)| piece(tile, sample, bands, &image)).collect();
    let mask = |x, y, _| u16::from(is_valid(x, y)) * 255;
    let masks = plan.mask_tiles.iter().map(|&(_, tile)| piece(tile, SampleType::U8, 1, &mask)).collect();
    Scene { bands: plan.output_bands(), header, plan, pieces, masks }
}

impl Scene {
    /// The output tile of a class with the most pixels inside, and what it is made of.
    fn tile(&self, class: TileClass) -> (TileIndex, Vec<Piece>, Vec<Piece>) {
        let (grid, mask, window) = (self.plan.levels[0], &self.plan.mask, self.plan.window);
        let index = grid
            .tiles_in(PixelRect::of(grid.image))
            .filter(|&tile| mask.class(grid.rect(tile)) == class)
            .max_by_key(|&tile| mask.count_in(grid.rect(tile)))
            .expect("a tile of the class");
        let rect = grid.rect(index).shifted(window.x0, window.y0);
        let under = |pieces: &[Piece]| {
            pieces.iter().filter(|piece| piece.rect.intersection(rect).is_some()).cloned().collect()
        };
        (index, under(&self.pieces), under(&self.masks))
    }
}

/// What is measured: each kind of sample with each kind of validity.
const CASES: &[(SampleType, u16, Source)] = &[
    (SampleType::U16, 1, Source::All),
    (SampleType::U16, 1, Source::NoData),
    (SampleType::U16, 1, Source::NewNoData),
    (SampleType::U16, 1, Source::Mask),
    (SampleType::U16, 4, Source::All),
    (SampleType::U16, 4, Source::NoData),
    (SampleType::U16, 4, Source::NewNoData),
    (SampleType::U16, 4, Source::Mask),
    (SampleType::U16, 4, Source::Alpha),
    (SampleType::U8, 3, Source::All),
    (SampleType::U8, 3, Source::NoData),
    (SampleType::U8, 4, Source::Alpha),
    (SampleType::F32, 1, Source::All),
    (SampleType::F32, 1, Source::NoData),
];

fn compose(c: &mut Criterion) {
    let mut group = c.benchmark_group("compose");
    for &(sample, bands, source) in CASES {
        let scene = scene(sample, bands, source);
        let composer = Composer::new(&scene.header, &scene.plan, &Limits::default()).expect("a composer");
        group.throughput(Throughput::Bytes(composer.tile_bytes()));
        for class in [TileClass::Inside, TileClass::Edge] {
            let (index, pieces, masks) = scene.tile(class);
            group.bench_function(format!("{} x {bands}, {source:?}, {class:?}", sample.name()), |b| {
                b.iter(|| composer.compose(index, black_box(&pieces), black_box(&masks)));
            });
        }
    }
    group.finish();
}

/// A composed tile, and the nodata value of the output.
fn composed(scene: &Scene) -> (MaskedTile, Option<NoData>) {
    let composer = Composer::new(&scene.header, &scene.plan, &Limits::default()).expect("a composer");
    let (index, pieces, masks) = scene.tile(TileClass::Inside);
    (composer.compose(index, &pieces, &masks).0, scene.plan.validity.fill.clone())
}

fn overview(c: &mut Criterion) {
    let mut group = c.benchmark_group("halve");
    let size = Size::new(TILE.into(), TILE.into());
    for &(sample, bands, source) in CASES {
        let scene = scene(sample, bands, source);
        let (tile, nodata) = composed(&scene);
        group.throughput(Throughput::Bytes(tile.samples.as_bytes().len() as u64));
        let valid = Validity { nodata: nodata.as_ref(), mask: tile.valid.as_deref() };
        for method in [Resampling::Average, Resampling::Mode, Resampling::Nearest] {
            group.bench_function(format!("{} x {bands}, {source:?}, {method:?}", sample.name()), |b| {
                b.iter(|| halve(black_box(&tile.samples), size, scene.bands, black_box(valid), method));
            });
        }
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    compose(&mut criterion);
    overview(&mut criterion);
    criterion.final_summary();
}
