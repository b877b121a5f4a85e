//! JPEG against libjpeg-turbo where streams may take other ways than most do, by scripts/make-jpeg-fixtures.py; and
//! against damage in every place.
#![cfg(feature = "jpeg")]
#![allow(clippy::arithmetic_side_effects, reason = "these inputs are our own")]

use super::jpeg::decompress;
use crate::ErrorKind;
use crate::error::Result;

struct Case {
    name: &'static str,
    ycbcr: bool,
    width: usize,
    samples: usize,
    data: &'static [u8],
    expected: &'static [u8],
}

impl Case {
    fn decode(&self, data: &[u8], out: &mut [u8]) -> Result<()> {
        decompress(data, None, self.ycbcr, self.width, self.samples, out)
    }
}

fn cases() -> Vec<Case> {
    let stored: &'static [u8] = include_bytes!("../../testdata/codec/jpeg.bin");
    let expected: &'static [u8] = include_bytes!("../../testdata/codec/jpeg-expected.bin");
    let case = |line: &'static str| {
        let words: Vec<&'static str> = line.split('\t').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        let part = |all: &'static [u8], at: usize| &all[number(at)..number(at) + number(at + 1)];
        Case {
            name: words[0],
            ycbcr: words[1] == "ycbcr",
            width: number(2),
            samples: number(4),
            data: part(stored, 5),
            expected: part(expected, 7),
        }
    };
    include_str!("../../testdata/codec/jpeg.tsv").lines().map(case).collect()
}

#[test]
fn pixels_are_those_of_libjpeg_to_the_bit() {
    let cases = cases();
    assert_eq!(cases.len(), 15);
    for case in cases {
        let mut out = vec![1; case.expected.len()];
        case.decode(case.data, &mut out).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let wrong = out.iter().zip(case.expected).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "{}", case.name);
    }
}

#[test]
fn fewer_rows_than_the_frame_has_are_its_first() {
    for case in cases() {
        let row = case.width * case.samples;
        for rows in [1, 7, 8, 9, 16, 17, 31] {
            let mut out = vec![1; rows * row];
            if out.len() > case.expected.len() {
                continue;
            }
            case.decode(case.data, &mut out).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            assert!(out == case.expected[..out.len()], "{}: {rows} rows", case.name);
        }
    }
}

#[test]
fn streams_cut_off_anywhere_are_refused_or_whole() {
    for case in cases() {
        let mut out = vec![1; case.expected.len()];
        for len in 0..case.data.len() {
            match case.decode(&case.data[..len], &mut out) {
                Ok(()) => assert!(out == case.expected, "{}: {len} of {}", case.name, case.data.len()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Format, "{}: {error}", case.name),
            }
        }
    }
}

#[test]
fn no_changed_byte_makes_a_panic() {
    for case in cases() {
        let (mut data, mut out) = (case.data.to_vec(), vec![1; case.expected.len()]);
        for at in 0..data.len() {
            for change in [0xff, 1 << (at % 8)] {
                data[at] ^= change;
                // What decodes may be right or wrong: JPEG has no checksum.
                let _ = case.decode(&data, &mut out);
                data[at] ^= change;
            }
        }
    }
}

#[test]
fn what_a_scan_names_must_be_there() {
    #[track_caller]
    fn check(marker: u8, expected: &str) {
        let cases = cases();
        let case = cases.iter().find(|case| case.name == "tall-420").unwrap();
        // All segments with this marker become comments.
        let mut data = case.data.to_vec();
        let mut at = 2;
        while data[at + 1] != 0xda {
            if data[at + 1] == marker {
                data[at + 1] = 0xfe;
            }
            at += 2 + usize::from(u16::from_be_bytes([data[at + 2], data[at + 3]]));
        }
        let error = case.decode(&data, &mut vec![0; case.expected.len()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert_eq!(error.to_string(), expected);
    }
    check(0xdb, "a JPEG component has no quantisation table");
    check(0xc4, "a JPEG scan names a Huffman table that is not there");
    check(0xc0, "a JPEG scan stands before its frame");
}
