//! Masks against rasterio's: every pixel of random polygons, in both modes.
//!
//! `testdata/mask-cases.bin` holds what rasterio 1.5 (GDAL 3.12) burnt; `scripts/make-mask-cases.py` wrote it and,
//! with `--check`, proves that it still is. `COGCLIP_MASK_CASES` names another such file, made with another seed.

mod cases;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cases::Case;
use cogclip::Limits;
use cogclip::mask::{Mask, Rule};
use sha2::{Digest, Sha256};

/// `b"CGMASK01"`, seed, number of cases.
const HEAD: usize = 24;
const SEED: u64 = 20_260_101;

#[test]
fn random_polygons_are_burnt_as_rasterio_burns_them() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/mask-cases.bin");
    let other = std::env::var_os("COGCLIP_MASK_CASES").map(PathBuf::from);
    let file = std::fs::read(other.as_ref().unwrap_or(&committed)).unwrap();
    assert_eq!(&file[..8], b"CGMASK01");
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let (seed, count) = (number(8), number(16));
    assert_eq!(file.len(), HEAD + 16 * usize::try_from(count).unwrap());
    if other.is_none() {
        assert_eq!(seed, SEED);
        assert!(count >= 20_000, "{count} cases");
    }

    let mut differ = Vec::new();
    let mut some_pixels = vec![0_u64; cases::CLASSES.len()];
    for (at, expected) in file[HEAD..].as_chunks::<16>().0.iter().enumerate() {
        let case = cases::case(seed, at as u64);
        for (rule, expected) in [Rule::Centre, Rule::AllTouched].into_iter().zip(expected.as_chunks::<8>().0)
        {
            let mask = Mask::burn(&case.polygons, &case.transform, case.window, rule, &Limits::default());
            let bits = bits(&mask.unwrap());
            some_pixels[at % cases::CLASSES.len()] += u64::from(bits.contains(&true));
            if digest(&bits) != *expected {
                differ.push((at, rule, report(&case, at, rule, &bits)));
            }
        }
    }
    for ((class, _), some) in cases::CLASSES.iter().zip(&some_pixels) {
        let masks = 2 * count / cases::CLASSES.len() as u64;
        assert!(some * 4 > masks, "{class}: only {some} of {masks} masks have a pixel: too easy to agree on");
    }
    let all: String = differ.iter().take(5).map(|(_, _, report)| report.as_str()).collect();
    assert!(
        differ.is_empty(),
        "{} of {} masks differ from rasterio's (seed {seed}):\n{all}{:?}",
        differ.len(),
        2 * count,
        differ.iter().map(|(at, rule, _)| (at, rule)).collect::<Vec<_>>()
    );
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

fn report(case: &Case, at: usize, rule: Rule, bits: &[bool]) -> String {
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
