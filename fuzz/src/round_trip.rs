//! There and back: samples are predicted, packed and compressed as an output is, and decoded again. Without loss they
//! must be the same; LERC must keep its promise.

use bytes::Bytes;
use cogclip::codec::{self, Encoding};
use cogclip::decode::decode;
use cogclip::grid::TileIndex;
use cogclip::sample::{SampleType, Samples};
use cogclip::tiff::code::{ByteOrder, Compression, Predictor};
use cogclip::tile::{EncodedTile, Parameters};
use cogclip::{ErrorKind, Limits, packing, predictor};
use libfuzzer_sys::Corpus;

use crate::input::Input;
use crate::tile::Shape;

/// What is written.
const WRITTEN: &[Compression] = &[
    Compression::None,
    Compression::Lzw,
    Compression::Deflate,
    Compression::PackBits,
    Compression::Zstd,
    Compression::Lzma,
    Compression::Lerc,
    Compression::Jpeg,
    Compression::WebP,
];

const ERRORS: [f64; 6] = [0.0, 0.5, 1.0, 0.01, 1e-7, 1e9];

/// One run.
pub fn run(data: &[u8]) -> Corpus {
    let mut input = Input(data);
    let mut shape = Shape::read(&mut input);
    // Sides of at most 64: encoders are slow.
    (shape.width, shape.rows, shape.tables) = (shape.width & 63, shape.rows & 63, 0);
    let mut layout = shape.layout(WRITTEN, &mut input);
    (layout.byte_order, layout.reversed, layout.cmyk) = (ByteOrder::Little, false, false);
    let mut encoding = Encoding::new(layout.compression);
    let level = input.byte();
    if let Some(levels) = Encoding::levels(layout.compression) {
        // The highest efforts of LZMA and Zstandard take their time.
        encoding.level = level.clamp(*levels.start(), (*levels.end()).min(if level == 255 { 22 } else { 6 }));
    }
    encoding.quality = Some(input.byte()).filter(|quality| (1..=100).contains(quality));
    encoding.max_error = input.one_of(&ERRORS);
    encoding.wrapping = u16::from(shape.wrapping % 3);
    encoding.ycbcr = shape.flags & Shape::YCBCR != 0;
    layout.parameters = match layout.compression {
        Compression::Lerc => Parameters::Lerc { wrapping: encoding.wrapping.into() },
        Compression::Jpeg => Parameters::Jpeg { tables: None, ycbcr: encoding.ycbcr },
        _ => Parameters::None,
    };
    if !codec::has_predictor(layout.compression) {
        layout.predictor = Predictor::None;
    }
    let whole = layout.sample_type.tiff().0 == layout.bits;
    if codec::readable(&layout).is_err()
        || !whole && (!layout.is_packed() || layout.sample_type == SampleType::F32)
        || codec::is_of_samples(layout.compression) && !whole
    {
        return Corpus::Reject;
    }
    let before = samples(input.0, &layout);
    let stored = match store(&before, &layout, &encoding) {
        Ok(stored) => stored,
        // Shapes and samples that a compression does not have.
        Err(error) => {
            let kinds = [ErrorKind::Usage, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
            let free = !codec::is_of_samples(layout.compression);
            assert!(!free || layout.predictor != Predictor::None, "{layout:?} {encoding:?}: {error}");
            return Corpus::Keep;
        }
    };
    let index = TileIndex { row: 0, col: 0 };
    let tile = EncodedTile { index, plane: 0, rows: layout.size.height, data: Some(Bytes::from(stored)) };
    let after = decode(&tile, &layout, layout.size, &Limits::default())
        .unwrap_or_else(|error| {
            panic!("{layout:?} {encoding:?}: {error}: {:?}", std::error::Error::source(&error))
        })
        .expect("the tile is stored")
        .samples;
    assert_eq!(before.len(), after.len());
    if encoding.is_lossy() && encoding.compression != Compression::Lerc {
        return Corpus::Keep;
    }
    let lossless = encoding.compression != Compression::Lerc;
    if lossless {
        assert!(before.as_bytes() == after.as_bytes(), "{layout:?} {encoding:?}");
    } else {
        compare(&before, &after, encoding.max_error);
    }
    Corpus::Keep
}

/// Samples made of the input, which is repeated.
fn samples(data: &[u8], layout: &cogclip::tile::TileLayout) -> Samples {
    let len = usize::try_from(layout.bytes(layout.size.height)).expect("tiles are small")
        / layout.sample_type.bytes();
    let mut samples = Samples::zeroed(layout.sample_type, len);
    let mut source = data.iter().copied().cycle();
    if layout.is_packed() {
        let row = usize::try_from(layout.row()).expect("rows are short");
        let bytes = usize::try_from(layout.stored_bytes(layout.size.height)).expect("tiles are small");
        let packed: Vec<u8> = (0..bytes).map(|_| source.next().unwrap_or(0)).collect();
        packing::unpack(&packed, layout.sample_type, layout.bits, row, ByteOrder::Little, &mut samples)
            .expect("a width that is packed");
    } else {
        samples.as_bytes_mut().fill_with(|| source.next().unwrap_or(0));
    }
    samples
}

/// As `encode::Encoder` does it.
fn store(
    samples: &Samples,
    layout: &cogclip::tile::TileLayout,
    encoding: &Encoding,
) -> cogclip::Result<Vec<u8>> {
    let width = usize::try_from(layout.size.width).expect("tiles are small");
    let samples_per_pixel = usize::from(layout.samples_per_pixel);
    if codec::is_of_samples(encoding.compression) {
        return encoding.encode(width, samples_per_pixel, samples);
    }
    let mut samples = samples.clone();
    predictor::apply(layout.predictor, samples_per_pixel, width, &mut samples)?;
    let row = width * samples_per_pixel;
    if layout.is_packed() {
        let packed = packing::pack(&samples, layout.bits, row)?;
        let row = usize::try_from(packing::row_bytes(row as u64, layout.bits)).expect("rows are short");
        return encoding.compress(row, &packed);
    }
    encoding.compress(row * samples.sample_type().bytes(), samples.as_bytes())
}

/// LERC: NaN stays NaN; all others are off by no more than the error.
fn compare(before: &Samples, after: &Samples, error: f64) {
    macro_rules! each {
        ($($variant:ident)*) => {
            match (before, after) {
                $((Samples::$variant(before), Samples::$variant(after)) => {
                    for (at, (&a, &b)) in before.iter().zip(after).enumerate() {
                        #[allow(clippy::float_cmp, clippy::eq_op, clippy::cast_lossless, reason = "one macro for all")]
                        let same = a == b || a != a && b != b || error > 0.0 && (a as f64 - b as f64).abs() <= error * 1.000_001;
                        assert!(same, "sample {at} was {a:?} and is {b:?}; {error} is allowed");
                    }
                })*
                _ => panic!("other samples came back"),
            }
        };
    }
    each!(U8 I8 U16 I16 U32 I32 F32 F64);
}

/// Every compression with every sample type it takes, and some packed ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let ramp: Vec<u8> = (0..200_u16).flat_map(|i| (i * 37 + i / 9).to_le_bytes()).collect();
    for compression in 0..WRITTEN.len() {
        for sample in 0..SampleType::ALL.len() {
            for (predictor, samples_per_pixel, bits) in
                [(0, 0, 0), (1, 2, 0), (2, 3, 0), (0, 0, 1), (0, 1, 12)]
            {
                let shape = Shape {
                    compression: u8::try_from(compression).unwrap_or(0),
                    predictor,
                    sample: u8::try_from(sample).unwrap_or(0),
                    bits,
                    samples_per_pixel,
                    width: 12,
                    rows: 6,
                    wrapping: u8::try_from(sample % 3).unwrap_or(0),
                    flags: if sample % 2 == 0 { Shape::YCBCR } else { 0 },
                    ..Shape::default()
                };
                let seed =
                    [&shape.bytes(), &[1, 75, u8::try_from(sample % 6).unwrap_or(0)][..], &ramp].concat();
                if matches!(run(&seed), Corpus::Keep) {
                    out.push(seed);
                }
            }
        }
    }
    out
}
