//! What a clip does before it fetches the first tile: reading the cutline, placing it on the raster, burning it, telling
//! the tiles apart. Numbers of vertices run from 10^2 to 10^6: a cost a vertex that grows with them is a mistake.
//!
//! The cutline is a wavy ring with a jagged outline in longitude and latitude, across a raster of 10980 x 10980 pixels
//! of 10 m in UTM, as Sentinel-2's are.
#![expect(missing_docs, reason = "criterion's macros make functions without any")]

use std::f64::consts::TAU;
use std::fmt::Write;
use std::hint::black_box;

use cogclip::cutline::repair::Mode;
use cogclip::cutline::{Cutline, Frame, Terms};
use cogclip::geo::{Affine, Crs};
use cogclip::grid::{PixelRect, Size, TileGrid};
use cogclip::limits::Limits;
use cogclip::mask::{Mask, Rule};
use cogclip::vector::{Query, geojson};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZE: Size = Size::new(10_980, 10_980);
const TRANSFORM: Affine = Affine([399_960.0, 10.0, 0.0, 5_400_000.0, 0.0, -10.0]);
const TILE: u32 = 1024;
const VERTICES: [u32; 5] = [100, 1_000, 10_000, 100_000, 1_000_000];

/// GeoJSON of one polygon whose ring has so many vertices, which does not cross itself.
fn text(vertices: u32) -> String {
    let mut text = String::from("{\"type\": \"Polygon\", \"coordinates\": [[");
    let mut state = 12_345_u64;
    for vertex in 0..=vertices {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let jag = f64::from((state >> 48) as u16) / f64::from(u16::MAX) / f64::from(vertices);
        let angle = f64::from(vertex % vertices) / f64::from(vertices) * TAU;
        // The last one is the first.
        let jag = if vertex % vertices == 0 { 0.0 } else { jag };
        let radius = 0.4 + 0.1 * (angle * 13.0).sin() + 0.05 * (angle * 101.0).sin() + jag;
        let comma = if vertex == 0 { "" } else { ", " };
        let (x, y) = (14.36 + 1.4 * radius * angle.cos(), 48.25 + 0.9 * radius * angle.sin());
        write!(text, "{comma}[{x:.9}, {y:.9}]").expect("a string takes all");
    }
    text.push_str("]]}");
    text
}

fn stages(criterion: &mut Criterion) {
    let limits = Limits::default();
    let raster = Crs::parse("EPSG:32633").expect("a code of the table");
    let frame = Frame { transform: TRANSFORM, size: SIZE, by_centre: true };
    let grid = TileGrid { image: SIZE, tile: Size::new(TILE, TILE) };
    let edges: Vec<u32> = (0..grid.across()).map(|col| col * TILE).chain([SIZE.width]).collect();
    for vertices in VERTICES {
        let text = text(vertices);
        let layer = geojson::read(&text, &Query::default(), &limits).expect("GeoJSON");
        let cutline =
            Cutline::from_layer(&layer, Mode::Repair).expect("a polygon").with_crs(Some(Crs::wgs84()));
        let there = || {
            cutline.to_crs(&raster, &frame, &Terms::default(), &limits).expect("within the projection's area")
        };
        let placed = there();
        let burn = || {
            Mask::burn(&placed.polygons, &TRANSFORM, SIZE, Rule::Centre, &limits)
                .expect("a mask within limits")
        };
        let mask = burn();
        let class = || {
            let rows = |row: u32| row * TILE..(row * TILE + TILE).min(SIZE.height);
            (0..grid.down()).map(|row| mask.classes(rows(row), &edges).len()).sum::<usize>()
        };
        let class_one_by_one = || {
            let tiles = grid.tiles_in(PixelRect::of(SIZE));
            tiles.map(|tile| mask.class(grid.rect(tile)) as usize).sum::<usize>()
        };
        let mut group = criterion.benchmark_group("cutline");
        group.sample_size(if vertices >= 100_000 { 10 } else { 30 });
        group.throughput(Throughput::Elements(u64::from(vertices)));
        let id = |stage: &str| BenchmarkId::new(stage, vertices);
        group.bench_function(id("read GeoJSON"), |bencher| {
            bencher.iter(|| geojson::read(black_box(&text), &Query::default(), &limits));
        });
        group.bench_function(id("repair"), |bencher| {
            bencher.iter(|| Cutline::from_layer(black_box(&layer), Mode::Repair));
        });
        group.bench_function(id("to_crs"), |bencher| bencher.iter(there));
        group.bench_function(id("burn"), |bencher| bencher.iter(burn));
        group.bench_function(id("classes"), |bencher| bencher.iter(class));
        group.bench_function(id("class, tile by tile"), |bencher| bencher.iter(class_one_by_one));
        group.finish();
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
