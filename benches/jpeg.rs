//! Decoding of JPEG tiles, in bytes of pixels: `cargo bench --bench jpeg`. The pictures are gradients under noise, from hardly
//! any to much, which the library's own encoder packs at quality 75.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;

use cogclip::codec::{self, Encoding};
use cogclip::grid::Size;
use cogclip::sample::{SampleType, Samples};
use cogclip::tiff::code::{ByteOrder, Compression, Predictor};
use cogclip::tile::{Parameters, TileLayout};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIDE: u32 = 512;

/// Waves under noise of -`noise` to `noise`.
fn picture(samples_per_pixel: u16, noise: i32) -> Samples {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i32::try_from(state % u64::from((2 * noise + 1).unsigned_abs())).unwrap_or(0) - noise
    };
    let mut out = Vec::new();
    for y in 0..SIDE {
        for x in 0..SIDE {
            for band in 0..samples_per_pixel {
                let (x, y, band) = (f64::from(x), f64::from(y), f64::from(band));
                let wave = f64::sin(x / (17.0 + 3.0 * band)) + f64::cos(y / (29.0 - 5.0 * band));
                #[expect(clippy::cast_possible_truncation, reason = "-120 to 120")]
                let value = 128 + (wave * 60.0) as i32 + random();
                out.push(u8::try_from(value.clamp(0, 255)).unwrap_or(0));
            }
        }
    }
    Samples::U8(out)
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("jpeg");
    for (name, samples_per_pixel, ycbcr) in [("grey", 1, false), ("rgb", 3, false), ("ycbcr 4:2:0", 3, true)]
    {
        let layout = TileLayout {
            size: Size { width: SIDE, height: SIDE },
            samples_per_pixel,
            sample_type: SampleType::U8,
            compression: Compression::Jpeg,
            predictor: Predictor::None,
            byte_order: ByteOrder::Little,
            bits: 8,
            reversed: false,
            cmyk: false,
            parameters: Parameters::Jpeg { tables: None, ycbcr },
        };
        let encoding = Encoding { ycbcr, ..Encoding::new(Compression::Jpeg) };
        for noise in [2, 20, 80] {
            let mut samples = picture(samples_per_pixel, noise);
            let packed = encoding.encode(SIDE as usize, usize::from(samples_per_pixel), &samples);
            let packed = packed.expect("8-bit samples are encoded");
            group.throughput(Throughput::Bytes(samples.len() as u64));
            group.bench_function(BenchmarkId::new(name, format!("noise {noise}")), |b| {
                b.iter(|| codec::decode(&layout, black_box(&packed), &mut samples).expect("our own stream"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
