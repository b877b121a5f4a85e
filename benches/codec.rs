//! The codec stage: predictors, compressions, and whole tiles. Noise over a slope stands for a scene: two thirds of it do
//! not compress, as in measured values.

#![expect(missing_docs, reason = "criterion's macro makes a public function without")]

use std::hint::black_box;

use cogclip::codec::{Encoding, decompress};
use cogclip::decode::decode;
use cogclip::grid::{Size, TileIndex};
use cogclip::limits::Limits;
use cogclip::predictor;
use cogclip::sample::Samples;
use cogclip::tiff::code::{ByteOrder, Compression, Predictor};
use cogclip::tile::{EncodedTile, Parameters, TileLayout};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Pixels along a side of a tile.
const SIDE: u32 = 512;

/// A scene of `bands` numbers a pixel.
fn scene<T>(bands: u32, number: impl Fn(u32) -> T) -> Vec<T> {
    let mut state = 1_u32;
    (0..SIDE * SIDE * bands)
        .map(|at| {
            // A linear congruence (Numerical Recipes), of which the high bits are noise.
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number(1000 + at / SIDE / bands + (state >> 25) % 120)
        })
        .collect()
}

fn words(bands: u32) -> Samples {
    Samples::U16(scene(bands, |number| u16::try_from(number).unwrap_or(0)))
}

fn floats() -> Samples {
    Samples::F32(scene(1, |number| f32::from(u16::try_from(number).unwrap_or(0)) / 8.0))
}

fn layout(samples: &Samples, compression: Compression, predictor: Predictor) -> TileLayout {
    let sample_type = samples.sample_type();
    TileLayout {
        size: Size::new(SIDE, SIDE),
        samples_per_pixel: 1,
        sample_type,
        compression,
        predictor,
        byte_order: ByteOrder::Little,
        bits: sample_type.tiff().0,
        reversed: false,
        cmyk: false,
        parameters: Parameters::None,
    }
}

fn predictors(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("predictor");
    let bytes = Samples::U8(scene(3, |number| number.to_le_bytes()[0]));
    for (name, predictor, pixel, samples) in [
        ("u16", Predictor::Horizontal, 1, words(1)),
        ("u16 x 4", Predictor::Horizontal, 4, words(4)),
        ("u8 x 3", Predictor::Horizontal, 3, bytes),
        ("f32 by bytes", Predictor::FloatingPoint, 1, floats()),
    ] {
        group.throughput(Throughput::Bytes(samples.as_bytes().len() as u64));
        // In place, over and over: what the numbers are makes no difference.
        let mut samples = samples;
        group.bench_function(format!("apply {name}"), |bencher| {
            bencher.iter(|| predictor::apply(predictor, pixel, SIDE as usize, black_box(&mut samples)));
        });
        group.bench_function(format!("undo {name}"), |bencher| {
            let order = ByteOrder::Little;
            bencher.iter(|| predictor::undo(predictor, order, pixel, SIDE as usize, black_box(&mut samples)));
        });
    }
    group.finish();
}

fn compressions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compression");
    group.sample_size(20);
    for (name, compression, predictor, samples) in [
        ("deflate u16", Compression::Deflate, Predictor::Horizontal, words(1)),
        ("deflate f32", Compression::Deflate, Predictor::FloatingPoint, floats()),
        ("lzw u16", Compression::Lzw, Predictor::Horizontal, words(1)),
        #[cfg(feature = "zstd")]
        ("zstd f32", Compression::Zstd, Predictor::FloatingPoint, floats()),
    ] {
        let layout = layout(&samples, compression, predictor);
        let mut stored = samples.clone();
        predictor::apply(predictor, 1, SIDE as usize, &mut stored).expect("whole rows");
        let (encoding, row) = (Encoding::new(compression), stored.as_bytes().len() / SIDE as usize);
        let packed = encoding.compress(row, stored.as_bytes()).expect("a known level");
        group.throughput(Throughput::Bytes(stored.as_bytes().len() as u64));
        if compression != Compression::Zstd {
            group.bench_function(format!("compress {name}"), |bencher| {
                bencher.iter(|| encoding.compress(row, black_box(stored.as_bytes())));
            });
        }
        let mut out = vec![0; stored.as_bytes().len()];
        group.bench_function(format!("decompress {name}"), |bencher| {
            bencher.iter(|| decompress(&layout, black_box(&packed), &mut out));
        });
        let tile = EncodedTile {
            index: TileIndex { col: 0, row: 0 },
            plane: 0,
            rows: SIDE,
            data: Some(packed.into()),
        };
        group.bench_function(format!("decode a tile, {name}"), |bencher| {
            bencher.iter(|| decode(black_box(&tile), &layout, layout.size, &Limits::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, predictors, compressions);
criterion_main!(benches);
