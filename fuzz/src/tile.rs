//! A tile: the first bytes say how it is stored, the rest is its bytes. One target for each family of compressions, so
//! that each gets its share of the time.

use bytes::Bytes;
use cogclip::decode::decode;
use cogclip::grid::{Size, TileGrid, TileIndex};
use cogclip::sample::SampleType;
use cogclip::tiff::code::{ByteOrder, Compression, Predictor};
use cogclip::tile::{EncodedTile, Parameters, TileLayout};
use cogclip::{Error, ErrorKind, Limits, codec};
use libfuzzer_sys::Corpus;

use crate::input::Input;
use crate::seeds;

/// Compressions of bytes that every TIFF reader has.
pub const BYTES: &[Compression] = &[
    Compression::None,
    Compression::Lzw,
    Compression::Deflate,
    Compression::PackBits,
    Compression::OldDeflate,
    Compression::Unknown(9),
];
/// Zstandard.
pub const ZSTD: &[Compression] = &[Compression::Zstd];
/// LZMA.
pub const LZMA: &[Compression] = &[Compression::Lzma];
/// LERC.
pub const LERC: &[Compression] = &[Compression::Lerc];
/// JPEG.
pub const JPEG: &[Compression] = &[Compression::Jpeg];
/// JPEG XL.
pub const JXL: &[Compression] = &[Compression::JpegXl, Compression::JpegXlDng];
/// WebP.
pub const WEBP: &[Compression] = &[Compression::WebP];
/// CCITT's codes.
pub const CCITT: &[Compression] = &[Compression::CcittRle, Compression::Group3, Compression::Group4];

const PREDICTORS: [Predictor; 4] =
    [Predictor::None, Predictor::Horizontal, Predictor::FloatingPoint, Predictor::Unknown(4)];

/// How a tile is stored, in [`Shape::LEN`] bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shape {
    /// Which compression of the family.
    pub compression: u8,
    /// Which predictor.
    pub predictor: u8,
    /// Which sample type.
    pub sample: u8,
    /// Bits a sample; 0 for all that the type has.
    pub bits: u8,
    /// Samples a pixel, less 1; at most 3.
    pub samples_per_pixel: u8,
    /// Width less 1.
    pub width: u8,
    /// Rows less 1.
    pub rows: u8,
    /// See the constants.
    pub flags: u8,
    /// Columns of the tile beyond the image.
    pub beyond: u8,
    /// Rows of the tile beyond the image.
    pub below: u8,
    /// LERC's wrapping.
    pub wrapping: u8,
    /// Bytes of JPEG tables that stand before the tile.
    pub tables: u16,
}

impl Shape {
    /// Big-endian.
    pub const BIG: u8 = 1;
    /// FillOrder 2.
    pub const REVERSED: u8 = 2;
    /// Inks.
    pub const CMYK: u8 = 4;
    /// YCbCr.
    pub const YCBCR: u8 = 8;
    /// Group 3 in two dimensions.
    pub const TWO_DIMENSIONAL: u8 = 16;
    /// JPEG tables are there.
    pub const TABLES: u8 = 32;

    /// From the front of an input.
    pub fn read(input: &mut Input<'_>) -> Self {
        Self {
            compression: input.byte(),
            predictor: input.byte(),
            sample: input.byte(),
            bits: input.byte(),
            samples_per_pixel: input.byte(),
            width: input.byte(),
            rows: input.byte(),
            flags: input.byte(),
            beyond: input.byte(),
            below: input.byte(),
            wrapping: input.byte(),
            tables: input.short(),
        }
    }

    /// The bytes that [`Self::read`] reads.
    pub fn bytes(self) -> Vec<u8> {
        let mut out = vec![
            self.compression,
            self.predictor,
            self.sample,
            self.bits,
            self.samples_per_pixel,
            self.width,
            self.rows,
            self.flags,
            self.beyond,
            self.below,
            self.wrapping,
        ];
        out.extend(self.tables.to_le_bytes());
        out
    }

    /// The layout that it stands for.
    pub fn layout(self, family: &[Compression], input: &mut Input<'_>) -> TileLayout {
        let sample_type = SampleType::ALL[usize::from(self.sample) % SampleType::ALL.len()];
        let compression = family[usize::from(self.compression) % family.len()];
        let has = |flag| self.flags & flag != 0;
        let tables = Bytes::copy_from_slice(input.take(self.tables.into()));
        TileLayout {
            size: Size::new(u32::from(self.width) + 1, u32::from(self.rows) + 1),
            samples_per_pixel: u16::from(self.samples_per_pixel & 3) + 1,
            sample_type,
            compression,
            predictor: PREDICTORS[usize::from(self.predictor) % PREDICTORS.len()],
            byte_order: if has(Self::BIG) { ByteOrder::Big } else { ByteOrder::Little },
            bits: stored_bits(sample_type, self.bits),
            reversed: has(Self::REVERSED),
            cmyk: has(Self::CMYK) && sample_type == SampleType::U8 && self.samples_per_pixel & 3 == 3,
            parameters: match compression {
                Compression::Jpeg => {
                    Parameters::Jpeg { tables: has(Self::TABLES).then_some(tables), ycbcr: has(Self::YCBCR) }
                }
                Compression::Group3 => Parameters::Group3 { two_dimensional: has(Self::TWO_DIMENSIONAL) },
                Compression::Lerc => Parameters::Lerc { wrapping: u64::from(self.wrapping & 3) },
                _ => Parameters::None,
            },
        }
    }
}

/// As many bits as asked for if a file may have them: of the types that have enough, a header picks the narrowest.
fn stored_bits(sample: SampleType, asked: u8) -> u16 {
    let (all, kind) = sample.tiff();
    let asked = u16::from(asked);
    let narrower = if all == 8 { 0 } else { all / 2 };
    let fits = match kind {
        1 | 2 => all <= 32 && narrower < asked && asked < all,
        _ => sample == SampleType::F32 && asked == 24,
    };
    if fits { asked } else { all }
}

/// One run.
pub fn run(family: &[Compression], data: &[u8]) -> Corpus {
    let mut input = Input(data);
    let shape = Shape::read(&mut input);
    let layout = shape.layout(family, &mut input);
    let readable = codec::readable(&layout);
    // What is not read is refused before anything is fetched; decoding must get along with it all the same.
    let size = layout.size;
    let image = Size::new(
        size.width.saturating_sub(shape.beyond.into()).max(1),
        size.height.saturating_sub(shape.below.into()).max(1),
    );
    let index = TileIndex { row: 0, col: 0 };
    let data = Some(Bytes::copy_from_slice(input.0));
    let tile = EncodedTile { index, plane: 0, rows: size.height, data };
    match decode(&tile, &layout, image, &Limits::default()) {
        Ok(decoded) => {
            let decoded = decoded.expect("the tile is stored");
            let rect = TileGrid { image, tile: size }.rect(index);
            let wanted = rect.size().pixels() * u64::from(decoded.samples_per_pixel);
            assert_eq!(decoded.samples.len() as u64, wanted, "{layout:?}");
        }
        Err(error) => check(&error, readable.is_ok()),
    }
    Corpus::Keep
}

/// What is wrong with a tile is never the user's fault, if the layout was found readable.
fn check(error: &Error, readable: bool) {
    let kinds = [ErrorKind::Format, ErrorKind::Unsupported, ErrorKind::Limit];
    assert!(!readable || kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
    assert!(error.to_string().len() > 15, "{error}");
}

/// The tiles of other programs in testdata/codec/ that are of this family.
pub fn seeds(family: &[Compression]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut add = |code: u16, shape: Shape, tables: &[u8], data: &[u8]| {
        let Some(at) = family.iter().position(|compression| compression.code() == code) else { return };
        let shape = Shape { compression: u8::try_from(at).unwrap_or(0), ..shape };
        out.push([&shape.bytes(), tables, data].concat());
    };
    let sample = |name: &str| {
        let at = SampleType::ALL.iter().position(|sample| sample.name() == name);
        u8::try_from(at.unwrap_or_else(|| panic!("{name} is no sample type"))).unwrap_or(0)
    };
    let number = |word: &str| word.parse::<usize>().expect("a number");
    let less = |word: &str| u8::try_from(number(word) - 1).unwrap_or(255);

    let stored = seeds::testdata("codec/stored.bin");
    for line in seeds::table("codec/tiles.tsv") {
        let shape = Shape {
            predictor: less(&line[2]),
            sample: sample(&line[4]),
            samples_per_pixel: less(&line[5]),
            width: less(&line[6]),
            rows: less(&line[7]),
            flags: if line[3] == "MM" { Shape::BIG } else { 0 },
            ..Shape::default()
        };
        add(line[1].parse().expect("a code"), shape, &[], &stored[number(&line[12])..][..number(&line[13])]);
    }
    let stored = seeds::testdata("codec/more.stored.bin");
    for line in seeds::table("codec/more.tsv") {
        let shape = Shape {
            sample: sample(&line[3]),
            samples_per_pixel: less(&line[4]),
            width: less(&line[5]),
            rows: less(&line[6]),
            wrapping: line[2].parse().unwrap_or(0),
            ..Shape::default()
        };
        add(line[1].parse().expect("a code"), shape, &[], &stored[number(&line[8])..][..number(&line[9])]);
    }
    let stored = seeds::testdata("codec/images.bin");
    for line in seeds::table("codec/images.tsv") {
        let (code, flags) = match line[1].as_str() {
            "ycbcr" => (7, Shape::YCBCR),
            "raw" => (7, 0),
            "webp" => (50001, 0),
            "rle" => (2, 0),
            "g3-1d" => (3, 0),
            "g4" => (4, 0),
            "g3-2d" => (3, Shape::TWO_DIMENSIONAL),
            other => panic!("{other} is not a kind"),
        };
        let tables = &stored[number(&line[7])..][..number(&line[8])];
        let shape = Shape {
            sample: sample("uint8"),
            bits: u8::from(matches!(code, 2..=4)),
            samples_per_pixel: less(&line[4]),
            width: less(&line[2]),
            rows: less(&line[3]),
            flags: flags | if tables.is_empty() { 0 } else { Shape::TABLES },
            tables: u16::try_from(tables.len()).unwrap_or(0),
            ..Shape::default()
        };
        add(code, shape, tables, &stored[number(&line[5])..][..number(&line[6])]);
    }
    assert!(!out.is_empty(), "no seeds");
    out
}
