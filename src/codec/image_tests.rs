//! JPEG, WebP and CCITT against libtiff, libjpeg-turbo and libwebp, by scripts/make-image-codec-fixtures.py; and
//! against damaged data.
#![cfg(any(feature = "ccitt", feature = "jpeg", feature = "webp"))]
#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    dead_code,
    clippy::cast_possible_truncation,
    reason = "these inputs are our own; not all features are always on"
)]

use crate::ErrorKind;
use crate::error::Result;

struct Case {
    name: &'static str,
    kind: &'static str,
    width: usize,
    samples: usize,
    data: &'static [u8],
    tables: Option<&'static [u8]>,
    expected: &'static [u8],
}

fn cases() -> Vec<Case> {
    let stored: &'static [u8] = include_bytes!("../../testdata/codec/images.bin");
    let expected: &'static [u8] = include_bytes!("../../testdata/codec/images-expected.bin");
    let case = |line: &'static str| {
        let words: Vec<&'static str> = line.split('\t').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        let part = |all: &'static [u8], at: usize| &all[number(at)..number(at) + number(at + 1)];
        Case {
            name: words[0],
            kind: words[1],
            width: number(2),
            samples: number(4),
            data: part(stored, 5),
            tables: Some(part(stored, 7)).filter(|tables| !tables.is_empty()),
            expected: part(expected, 9),
        }
    };
    include_str!("../../testdata/codec/images.tsv")
        .lines()
        .map(case)
        .filter(|case| is_on(case.kind))
        .collect()
}

fn is_on(kind: &str) -> bool {
    match kind {
        "ycbcr" | "raw" => cfg!(feature = "jpeg"),
        "webp" => cfg!(feature = "webp"),
        _ => cfg!(feature = "ccitt"),
    }
}

fn decode(case: &Case, data: &[u8], out: &mut [u8]) -> Result<()> {
    match case.kind {
        #[cfg(feature = "jpeg")]
        "ycbcr" | "raw" => {
            super::jpeg::decompress(data, case.tables, case.kind == "ycbcr", case.width, case.samples, out)
        }
        #[cfg(feature = "webp")]
        "webp" => super::webp::decompress(data, case.width, case.samples, out),
        #[cfg(feature = "ccitt")]
        "rle" => super::ccitt::decompress(super::ccitt::Scheme::Rle, data, case.width, out),
        #[cfg(feature = "ccitt")]
        "g4" => super::ccitt::decompress(super::ccitt::Scheme::Group4, data, case.width, out),
        #[cfg(feature = "ccitt")]
        "g3-1d" | "g3-2d" => {
            let two_dimensional = case.kind == "g3-2d";
            super::ccitt::decompress(super::ccitt::Scheme::Group3 { two_dimensional }, data, case.width, out)
        }
        other => panic!("{other} is not a kind"),
    }
}

#[test]
fn pixels_are_those_of_libtiff_to_the_bit() {
    let mut seen = 0;
    for case in cases() {
        let mut out = vec![1; case.expected.len()];
        decode(&case, case.data, &mut out).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let worst = out.iter().zip(case.expected).map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(worst, Some(0), "{}", case.name);
        seen += 1;
    }
    assert!(seen > 10);
}

#[test]
fn data_cut_off_anywhere_are_refused_or_lack_only_what_no_pixel_needs() {
    for case in cases().iter().filter(|case| case.data.len() < 2500) {
        let mut out = vec![1; case.expected.len()];
        for len in 0..case.data.len() {
            match decode(case, &case.data[..len], &mut out) {
                Ok(()) => assert!(out == case.expected, "{}: {len} of {}", case.name, case.data.len()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Format, "{}: {error}", case.name),
            }
        }
    }
}

#[test]
fn damaged_data_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % end as u64).unwrap()
    };
    let cases = cases();
    for _ in 0..4000 {
        let case = &cases[random(cases.len())];
        let mut data = case.data.to_vec();
        for _ in 0..=random(4) {
            let at = random(data.len());
            data[at] ^= 1 << random(8);
        }
        let mut out = vec![0; case.expected.len()];
        let _ = decode(case, &data, &mut out);
    }
}

#[cfg(feature = "jpeg")]
#[test]
fn jpeg_of_other_kinds_and_sizes_is_refused_before_anything_is_allocated() {
    let check = |marker: u8, precision: u8, sizes: [u8; 4], kind: ErrorKind, expected: &str| {
        let [h1, h0, w1, w0] = sizes;
        let data = [0xff, 0xd8, 0xff, marker, 0, 11, precision, h1, h0, w1, w0, 1, 1, 0x11, 0];
        let error = super::jpeg::decompress(&data, None, false, 8, 1, &mut [0; 64]).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let eight = [0, 8, 0, 8];
    check(0xc1, 12, eight, ErrorKind::Unsupported, "12 bits per sample");
    check(0xc3, 8, eight, ErrorKind::Unsupported, "lossless JPEG");
    check(0xc9, 8, eight, ErrorKind::Unsupported, "arithmetic");
    check(0xc0, 8, [0xff; 4], ErrorKind::Format, "65535 x 65535 pixels of 1 samples, not 8 x 8 of 1");
    check(0xc0, 8, [0, 7, 0, 8], ErrorKind::Format, "8 x 7 pixels");
}

#[cfg(feature = "jpeg")]
#[test]
fn jpeg_that_was_compressed_comes_back_nearly() {
    for (samples, ycbcr) in [(1, false), (3, true), (3, false), (4, false)] {
        let (width, rows) = (45_usize, 37_usize);
        let data: Vec<u8> = (0..width * rows)
            .flat_map(|at| {
                (0..samples).map(move |band| (at % width * 3 + at / width * (band + 1)).min(255) as u8)
            })
            .collect();
        let packed = super::jpeg::compress(95, ycbcr, width, samples, &data).unwrap();
        assert_eq!(packed, super::jpeg::compress(95, ycbcr, width, samples, &data).unwrap());
        let mut out = vec![0; data.len()];
        super::jpeg::decompress(&packed, None, ycbcr, width, samples, &mut out).unwrap();
        let sum: usize = out.iter().zip(&data).map(|(a, b)| usize::from(a.abs_diff(*b))).sum();
        assert!(sum < data.len() * 3, "{samples} {ycbcr}: {sum} over {}", data.len());
    }
    assert_eq!(super::jpeg::compress(0, false, 1, 1, &[0]).unwrap_err().kind(), ErrorKind::Usage);
}

#[cfg(feature = "webp")]
#[test]
fn webp_that_was_compressed_comes_back() {
    for samples in [3, 4] {
        let data: Vec<u8> = (0..33 * 20 * samples).map(|at| (at * at / 7 % 251) as u8).collect();
        let packed = super::webp::compress(None, 33, samples, &data).unwrap();
        let mut out = vec![0; data.len()];
        super::webp::decompress(&packed, 33, samples, &mut out).unwrap();
        assert!(out == data);
        // Another size than the tile's.
        let error = super::webp::decompress(&packed, 20, samples, &mut out).unwrap_err();
        assert_eq!(error.to_string(), "the WebP data hold 33 x 20 pixels, not 20 x 33");
    }
    assert_eq!(super::webp::compress(Some(0), 1, 3, &[0; 3]).unwrap_err().kind(), ErrorKind::Usage);
}

#[cfg(feature = "webp")]
#[test]
fn lossy_webp_loses_little_and_no_alpha() {
    for samples in [3, 4] {
        // Smooth colours, and an alpha that is not.
        let value = |x: usize, y: usize, band: usize| match band {
            3 => (x * 37 + y * 11) % 256,
            band => 40 + x + y * (band + 1) / 2,
        };
        let pixels = (0..48).flat_map(|y| (0..64).map(move |x| (x, y)));
        let data: Vec<u8> =
            pixels.flat_map(|(x, y)| (0..samples).map(move |band| value(x, y, band) as u8)).collect();
        let packed = super::webp::compress(Some(75), 64, samples, &data).unwrap();
        assert!(packed == super::webp::compress(Some(75), 64, samples, &data).unwrap());
        let mut out = vec![0; data.len()];
        super::webp::decompress(&packed, 64, samples, &mut out).unwrap();
        let mut worst = 0;
        for (got, wanted) in out.chunks(samples).zip(data.chunks(samples)) {
            worst = got
                .iter()
                .zip(wanted)
                .take(3)
                .fold(worst, |worst, (got, wanted)| worst.max(got.abs_diff(*wanted)));
            assert_eq!(got.get(3), wanted.get(3));
        }
        assert!((1..=12).contains(&worst), "{samples} samples: up to {worst} off");
    }
}
