//! The codecs against themselves and against damaged data. Against other programs: `decode`'s tests.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "these inputs are our own"
)]

use super::*;
use crate::ErrorKind;

const READ: [Compression; 5] = [
    Compression::None,
    Compression::Lzw,
    Compression::Deflate,
    Compression::OldDeflate,
    Compression::PackBits,
];

/// As [`super::decompress`], of one row of bytes.
fn decompress(compression: Compression, data: &[u8], out: &mut [u8]) -> Result<()> {
    let layout = TileLayout {
        size: crate::grid::Size::new(u32::try_from(out.len()).unwrap(), 1),
        samples_per_pixel: 1,
        sample_type: SampleType::U8,
        compression,
        predictor: Predictor::None,
        byte_order: crate::tiff::code::ByteOrder::Little,
        bits: 8,
        reversed: false,
        cmyk: false,
        parameters: <_>::default(),
    };
    super::decompress(&layout, data, out)
}

/// Compressed at a level.
fn compress(compression: Compression, level: u8, data: &[u8]) -> Result<Vec<u8>> {
    Encoding { level, ..Encoding::new(compression) }.compress(data.len(), data)
}

/// As [`compress`], but PackBits in runs alone.
fn pack(compression: Compression, level: u8, data: &[u8]) -> Vec<u8> {
    if compression == Compression::PackBits {
        let runs = data.chunk_by(|a, b| a == b).flat_map(|run| run.chunks(128));
        runs.flat_map(|run| match run {
            [one] => [0, *one],
            more => [u8::try_from(257 - more.len()).unwrap(), more[0]],
        })
        .collect()
    } else {
        compress(compression, level, data).unwrap()
    }
}

/// A fixed sequence of numbers: Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

/// Data of several kinds: empty, one byte, runs, a ramp, noise, and enough of it to fill LZW's table twice.
fn samples() -> Vec<Vec<u8>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let noise: Vec<u8> = (0..20_000).map(|_| random.next().to_le_bytes()[3]).collect();
    let runs = noise.iter().take(200).flat_map(|&b| vec![b; usize::from(b) + 1]).collect();
    let ramp = (0..5000_u16).flat_map(|i| (i / 3).to_le_bytes()).collect();
    let pairs = noise.iter().take(300).flat_map(|&b| [b, b, 7, 7, 7]).collect();
    vec![vec![], vec![42], vec![0; 3000], runs, ramp, pairs, noise]
}

#[test]
fn what_is_compressed_comes_back() {
    for compression in READ {
        for data in samples() {
            for level in [0, 1, 6, 9] {
                let packed = pack(compression, level, &data);
                let mut out = vec![1; data.len()];
                decompress(compression, &packed, &mut out).unwrap();
                assert!(out == data, "{compression}, level {level}, {} bytes", data.len());
            }
        }
    }
}

#[test]
fn the_same_data_give_the_same_bytes_whatever_came_before() {
    let samples = samples();
    for compression in READ {
        let first: Vec<_> = samples.iter().map(|data| pack(compression, 6, data)).collect();
        for (data, expected) in samples.iter().zip(&first).rev() {
            pack(compression, 1, data);
            assert!(pack(compression, 6, data) == *expected, "{compression}");
        }
    }
}

#[test]
fn data_cut_off_anywhere_are_refused_and_more_than_needed_are_not() {
    let data: Vec<u8> = (0..700_u16).flat_map(|i| (i / 3).to_le_bytes()).collect();
    for compression in READ {
        let packed = pack(compression, 6, &data);
        let mut out = vec![0; data.len()];
        // What may be missing: deflate's checksum and its end-of-block code; LZW's end code with its padding.
        let needed = match compression {
            Compression::Deflate | Compression::OldDeflate => packed.len() - 6,
            Compression::Lzw => packed.len() - 3,
            _ => packed.len(),
        };
        for len in 0..packed.len() {
            match decompress(compression, &packed[..len], &mut out) {
                Ok(()) => assert!(len >= needed && out == data, "{compression}, {len} of {}", packed.len()),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Format);
                    assert!(error.to_string().contains("of 1400 decompressed bytes"), "{error}");
                }
            }
        }
        let longer = [&packed[..], b"extra"].concat();
        decompress(compression, &longer, &mut out).unwrap();
        assert!(out == data);
        // A short last strip that was stored in full.
        for len in [0, 1, 2, 500, 1399] {
            decompress(compression, &packed, &mut out[..len]).unwrap();
            assert!(out[..len] == data[..len], "{compression}, {len}");
        }
    }
}

#[test]
fn damaged_data_never_panic() {
    let mut random = Random(88_172_645_463_325_252);
    for compression in READ {
        for data in samples() {
            let packed = pack(compression, 6, &data[..data.len().min(6000)]);
            for _ in 0..300 {
                let mut damaged = packed.clone();
                for _ in 0..=random.below(6) {
                    let at = random.below(damaged.len().max(1));
                    if let Some(byte) = damaged.get_mut(at) {
                        *byte = random.next().to_le_bytes()[5];
                    }
                }
                let mut out = vec![0; random.below(9000)];
                if let Err(error) = decompress(compression, &damaged, &mut out) {
                    assert!(matches!(error.kind(), ErrorKind::Format | ErrorKind::Unsupported), "{error}");
                }
            }
        }
        for _ in 0..3000 {
            let noise: Vec<u8> = (0..random.below(200)).map(|_| random.next().to_le_bytes()[1]).collect();
            let mut out = vec![0; random.below(5000)];
            if let Err(error) = decompress(compression, &noise, &mut out) {
                assert!(matches!(error.kind(), ErrorKind::Format | ErrorKind::Unsupported), "{error}");
            }
        }
    }
}

/// Packs LZW codes as TIFF 6.0 §13 says, most significant bit first and with the early change of width.
fn lzw_codes(codes: &[u16]) -> Vec<u8> {
    let (mut bits, mut width, mut next, mut first) = (Vec::new(), 9, 258, true);
    for &code in codes {
        bits.extend((0..width).rev().map(|bit| (code >> bit) & 1 == 1));
        if code == 256 {
            (width, next, first) = (9, 258, true);
        } else {
            next += i32::from(!first);
            first = false;
            if next >= (1 << width) - 1 && width < 12 {
                width += 1;
            }
        }
    }
    bits.chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |sum, (at, &bit)| sum | u8::from(bit) << (7 - at)))
        .collect()
}

#[track_caller]
fn check_lzw(codes: &[u16], expected: Option<&[u8]>) {
    let data = lzw_codes(codes);
    let mut out = vec![0; expected.map_or(6, <[u8]>::len)];
    let result = decompress(Compression::Lzw, &data, &mut out);
    assert_eq!(result.is_ok().then_some(&out[..]), expected, "{result:?}");
}

#[test]
fn lzw_is_read_as_leniently_as_libtiff_does() {
    // The example of TIFF 6.0 §13, in its numbers.
    check_lzw(&[256, 7, 258, 8, 8, 258, 6, 6, 257], Some(&[7, 7, 7, 8, 8, 7, 7, 6, 6]));
    // No end code; several clear codes; more codes than wanted; a clear code in between.
    check_lzw(&[256, 1, 2, 3, 4, 5, 6], Some(&[1, 2, 3, 4, 5, 6]));
    check_lzw(&[256, 256, 256, 1, 2, 3, 4, 5, 6, 257], Some(&[1, 2, 3, 4, 5, 6]));
    check_lzw(&[256, 1, 2, 3, 4, 5, 6, 7, 4000], Some(&[1, 2, 3, 4, 5, 6]));
    check_lzw(&[256, 1, 2, 256, 3, 258, 256, 4, 257], Some(&[1, 2, 3, 3, 3, 4]));
    // No clear code at the start: libtiff refuses it, but it can mean one thing only.
    check_lzw(&[1, 2, 3, 4, 5, 6, 257], Some(&[1, 2, 3, 4, 5, 6]));
    // An end code too early, a code that is not there yet, and one far away.
    check_lzw(&[256, 1, 2, 3, 257, 4, 5, 6], None);
    check_lzw(&[256, 258, 1, 2, 3, 4, 5, 6], None);
    check_lzw(&[256, 1, 400, 2, 3, 4, 5, 6], None);
}

#[test]
fn old_style_lzw_starts_at_the_lowest_bit() {
    // By hand: clear, 1, 2, 258 (1 2), 3, end, in 9 bits each from the lowest bit up.
    let mut bits = Vec::new();
    for code in [256_u16, 1, 2, 258, 3, 257] {
        bits.extend((0..9).map(|bit| code >> bit & 1 == 1));
    }
    let data: Vec<u8> = bits
        .chunks(8)
        .map(|byte| byte.iter().enumerate().fold(0, |sum, (at, &bit)| sum | u8::from(bit) << at))
        .collect();
    let mut out = [0; 5];
    decompress(Compression::Lzw, &data, &mut out).unwrap();
    assert_eq!(out, [1, 2, 1, 2, 3]);
    let error = decompress(Compression::Lzw, &data, &mut [0; 6]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Format);
}

#[test]
fn deflate_needs_no_checksum_but_no_wrong_one() {
    let data = [5; 100];
    let packed = compress(Compression::Deflate, 6, &data).unwrap();
    let mut out = [0; 100];
    decompress(Compression::Deflate, &packed[..packed.len() - 4], &mut out).unwrap();
    assert_eq!(out, data);
    let mut wrong = packed.clone();
    *wrong.last_mut().unwrap() ^= 1;
    // GDAL refuses this too.
    let error = decompress(Compression::Deflate, &wrong, &mut out).unwrap_err();
    assert_eq!(error.to_string(), "the deflate data are damaged after 100 of 100 decompressed bytes");
    // A stream that goes on is left alone: its checksum is not reached.
    decompress(Compression::Deflate, &wrong, &mut out[..99]).unwrap();
}

#[test]
fn packbits_reads_the_specification_s_example() {
    // TIFF 6.0 §9, with the no-operation -128 put in front.
    let packed =
        [0x80, 0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
    let expected = [
        0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22, 0xaa, 0xaa, 0xaa,
        0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
    ];
    let mut out = [0; 24];
    decompress(Compression::PackBits, &packed, &mut out).unwrap();
    assert_eq!(out, expected);
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let check = |compression: Compression, data: &[u8], expected: &str| {
        let error = decompress(compression, data, &mut [0; 9]).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unsupported, expected));
    };
    check(Compression::OldJpeg, b"", "compression old-style JPEG (6) is not supported");
    check(Compression::Unknown(34712 + 1), b"", "compression 34713 is not supported");
    for compression in [Compression::OldJpeg, Compression::Group4] {
        assert_eq!(compress(compression, 6, b"").unwrap_err().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(compress(Compression::Deflate, 13, b"").unwrap_err().kind(), ErrorKind::Usage);
}
