//! Masks against rasterio's: every pixel of random polygons, in both modes.
//!
//! `testdata/mask-cases.bin` holds what rasterio 1.5 (GDAL 3.12) burnt; `scripts/make-mask-cases.py` wrote it and,
//! with `--check`, proves that it still is. `COGCLIP_MASK_CASES` names another such file, made with another seed.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test fails")]

mod cases;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cases::Case;
use cogclip::Limits;
use cogclip::mask::{Mask, Rule};
use sha2::{Digest, Sha256};

/// `b"CGMASK01"`, seed, number of cases, number of strays.
const HEAD: usize = 32;
const SEED: u64 = 20_260_101;

/// The one difference, kept on purpose, wherever it occurs in the committed cases: (case, row, column) of a pixel
/// that rasterio has and cogclip has not, in the all-touched mode.
///
/// Each time a segment starts exactly on the window's right edge, above the window, and leads right and down.
/// GDAL follows it outside the window and burns where it reaches row 0, in the column past the edge, which in
/// memory is column 0 of row 1. `strays` in the script finds them by walking the segments by the rule's text.
const STRAYS: [(u64, usize, usize); 2] = [(16729, 1, 0), (25818, 1, 0)];

#[test]
#[expect(clippy::print_stdout, reason = "the figures, for a run with other polygons and --nocapture")]
fn random_polygons_are_burnt_as_rasterio_burns_them() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/mask-cases.bin");
    let other = std::env::var_os("COGCLIP_MASK_CASES").map(PathBuf::from);
    let file = std::fs::read(other.as_ref().unwrap_or(&committed)).unwrap();
    assert_eq!(&file[..8], b"CGMASK01");
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let (seed, count, strays) = (number(8), number(16), number(24));
    let (hashes, strays_at) = (&file[HEAD..], HEAD + 16 * usize::try_from(count).unwrap());
    assert_eq!(file.len(), strays_at + 16 * usize::try_from(strays).unwrap());
    let (hashes, strays) = hashes.split_at(strays_at - HEAD);
    let strays: Vec<_> = strays
        .as_chunks::<16>()
        .0
        .iter()
        .map(|stray| {
            let number = |at: usize| u32::from_le_bytes(stray[at..at + 4].try_into().unwrap()) as usize;
            (u64::from_le_bytes(*stray.first_chunk().unwrap()), number(8), number(12))
        })
        .collect();
    if other.is_none() {
        assert_eq!(seed, SEED);
        assert!(count >= 20_000, "{count} cases");
    }

    let mut differ = Vec::new();
    let mut strays_seen = Vec::new();
    let mut some_pixels = vec![0_u64; cases::CLASSES.len()];
    for (at, expected) in (0..).zip(hashes.as_chunks::<16>().0) {
        let case = cases::case(seed, at);
        let class = usize::try_from(at).unwrap() % cases::CLASSES.len();
        for (rule, expected) in [Rule::Centre, Rule::AllTouched].into_iter().zip(expected.as_chunks::<8>().0)
        {
            let mask = Mask::burn(&case.polygons, &case.transform, case.window, rule, &Limits::default());
            let mut bits = bits(&mask.unwrap());
            some_pixels[class] += u64::from(bits.contains(&true));
            for &(_, row, col) in strays.iter().filter(|stray| stray.0 == at && rule == Rule::AllTouched) {
                let bit = &mut bits[row * case.window.width as usize + col];
                if !*bit {
                    strays_seen.push((at, row, col));
                }
                *bit = true;
            }
            if digest(&bits) != *expected {
                differ.push((at, rule, report(&case, at, rule, &bits)));
            }
        }
    }
    for ((class, _), some) in cases::CLASSES.iter().zip(&some_pixels) {
        let masks = 2 * count / cases::CLASSES.len() as u64;
        assert!(some * 4 > masks, "{class}: only {some} of {masks} masks have a pixel: too easy to agree on");
    }
    println!("{count} polygons, 2 modes, seed {seed}: {} masks differ, strays {strays_seen:?}", differ.len());
    let all: String = differ.iter().take(5).map(|(_, _, report)| report.as_str()).collect();
    assert!(
        differ.is_empty(),
        "{} of {} masks differ from rasterio's (seed {seed}):\n{all}{:?}",
        differ.len(),
        2 * count,
        differ.iter().map(|(at, rule, _)| (at, rule)).collect::<Vec<_>>()
    );
    if other.is_none() {
        assert_eq!(strays_seen, STRAYS, "pixels past the right edge");
    }
}

/// One value a pixel, row by row.
fn bits(mask: &Mask) -> Vec<bool> {
    let size = mask.size();
    let mut bits = Vec::new();
    for row in 0..size.height {
        let runs = mask.runs(row);
        bits.extend((0..size.width).map(|col| runs.iter().any(|run| (run.start..run.end).contains(&col))));
    }
    bits
}

/// The first 8 bytes of the SHA-256 of the bits, 8 to a byte, the first one highest.
fn digest(bits: &[bool]) -> [u8; 8] {
    let packed: Vec<u8> = bits
        .chunks(8)
        .map(|eight| eight.iter().enumerate().fold(0, |byte, (i, &bit)| byte | (u8::from(bit) << (7 - i))))
        .collect();
    *Sha256::digest(&packed).first_chunk().unwrap()
}

fn report(case: &Case, at: u64, rule: Rule, bits: &[bool]) -> String {
    let mut text = format!(
        "case {at} ({}), {rule:?}, window {}, geotransform {:?}\n{:?}\nburnt here (rasterio's: \
         scripts/make-mask-cases.py --show {at} --seed ...):\n",
        case.class, case.window, case.transform.0, case.polygons
    );
    for row in bits.chunks(case.window.width as usize) {
        let row: String = row.iter().map(|&bit| if bit { '#' } else { '.' }).collect();
        writeln!(text, "{row}").unwrap();
    }
    text
}
