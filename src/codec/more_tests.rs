//! Zstandard, LZMA, LERC, JPEG XL and PackBits against tiles of other programs (scripts/make-byte-codec-fixtures.py)
//! and against damaged data.

#![allow(
    clippy::allow_attributes,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    dead_code,
    reason = "these inputs are our own; a part of it is for each feature"
)]

use super::*;
use crate::ErrorKind;
use crate::sample::{SampleType, Samples};

const STORED: &[u8] = include_bytes!("../../testdata/codec/more.stored.bin");
const EXPECTED: &[u8] = include_bytes!("../../testdata/codec/more.expected.bin");

/// One line of more.tsv.
#[derive(Clone)]
struct Tile {
    line: &'static str,
    compression: u16,
    wrapping: u8,
    sample: SampleType,
    samples_per_pixel: usize,
    width: usize,
    rows: usize,
    error: f64,
    data: Vec<u8>,
    expected: &'static [u8],
}

fn tiles() -> Vec<Tile> {
    let lines = include_str!("../../testdata/codec/more.tsv").lines();
    lines
        .map(|line| {
            let field: Vec<_> = line.split('\t').collect();
            let number = |at: usize| field[at].parse::<usize>().unwrap();
            Tile {
                line,
                compression: field[1].parse().unwrap(),
                wrapping: field[2].parse().unwrap(),
                sample: *SampleType::ALL.iter().find(|sample| sample.name() == field[3]).unwrap(),
                samples_per_pixel: number(4),
                width: number(5),
                rows: number(6),
                error: field[7].parse().unwrap(),
                data: STORED[number(8)..][..number(9)].to_vec(),
                expected: &EXPECTED[number(10)..][..number(11)],
            }
        })
        .collect()
}

impl Tile {
    fn zeroed(&self) -> Samples {
        Samples::zeroed(self.sample, self.width * self.rows * self.samples_per_pixel)
    }

    fn expected(&self) -> Samples {
        let mut samples = self.zeroed();
        samples.as_bytes_mut().copy_from_slice(self.expected);
        samples
    }

    /// The samples; none for a compression that is not built in.
    fn decode(&self) -> Option<Result<Samples>> {
        let mut samples = self.zeroed();
        let done = match self.compression {
            #[cfg(feature = "zstd")]
            50000 => zstd::decompress(&self.data, samples.as_bytes_mut()),
            #[cfg(feature = "lzma")]
            34925 => lzma::decompress(&self.data, samples.as_bytes_mut()),
            #[cfg(feature = "lerc")]
            34887 => lerc::decompress(
                &self.data,
                self.wrapping(),
                self.width,
                self.samples_per_pixel,
                &mut samples,
            ),
            #[cfg(feature = "jxl")]
            50002 => jxl::decompress(&self.data, self.width, self.samples_per_pixel, &mut samples),
            32773 => packbits::decompress(&self.data, samples.as_bytes_mut()),
            _ => return None,
        };
        Some(done.map(|()| samples))
    }

    #[cfg(feature = "lerc")]
    fn wrapping(&self) -> lerc::Wrapping {
        [lerc::Wrapping::None, lerc::Wrapping::Deflate, lerc::Wrapping::Zstd][usize::from(self.wrapping)]
    }
}

/// The largest difference of two vectors of samples: infinite where only one is NaN.
fn difference(a: &Samples, b: &Samples) -> f64 {
    use crate::sample::Sample;
    fn most<T: Sample>(a: &[T], b: &Samples) -> f64 {
        let b = T::unwrap_ref(b).unwrap();
        let pairs = a.iter().zip(b);
        pairs
            .map(|(a, b)| if a.same(*b) { 0.0 } else { (a.to_f64() - b.to_f64()).abs() })
            .fold(0.0, |most, one| if one.is_nan() { f64::INFINITY } else { most.max(one) })
    }
    crate::sample::with_samples!(a, v => most(v, b))
}

#[cfg(target_endian = "little")]
#[test]
fn tiles_of_other_programs_hold_what_those_read_back() {
    let mut counts = std::collections::BTreeMap::new();
    for tile in tiles() {
        let Some(decoded) = tile.decode() else { continue };
        let decoded = decoded.unwrap_or_else(|error| panic!("{}: {error} {error:?}", tile.line));
        let found = difference(&tile.expected(), &decoded);
        // GDAL's own reading of lossy LERC is exact; only the lossy JPEG XL tiles differ, by rounding.
        let bound = if tile.compression == 50002 { tile.error } else { 0.0 };
        assert!(found <= bound, "{}: differs by {found}", tile.line);
        *counts.entry(tile.compression).or_insert(0) += 1;
    }
    let built_in = |code, feature| u16::from(feature) * code;
    let codes = [
        32773,
        built_in(34887, cfg!(feature = "lerc")),
        built_in(34925, cfg!(feature = "lzma")),
        built_in(50000, cfg!(feature = "zstd")),
        built_in(50002, cfg!(feature = "jxl")),
    ];
    let wanted: Vec<_> = codes.into_iter().filter(|code| *code > 0).collect();
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), wanted);
}

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }
}

fn check_error(tile: &Tile, result: Option<Result<Samples>>) {
    if let Some(Err(error)) = result {
        assert!(matches!(error.kind(), ErrorKind::Format | ErrorKind::Unsupported), "{}: {error}", tile.line);
    }
}

#[test]
fn data_cut_off_anywhere_are_refused_or_whole() {
    for tile in tiles().into_iter().step_by(5).filter(|tile| tile.data.len() < 3000) {
        for len in 0..tile.data.len() {
            let cut = Tile { data: tile.data[..len].to_vec(), ..tile.clone() };
            match cut.decode() {
                // What may be missing is what follows the last sample: checks and ends of streams.
                Some(Ok(samples)) => {
                    let found = difference(&tile.expected(), &samples);
                    assert!(found <= tile.error, "{}: {len} bytes, differs by {found}", tile.line);
                }
                other => check_error(&tile, other),
            }
        }
    }
}

#[test]
fn damaged_data_never_panic() {
    let mut random = Random(88_172_645_463_325_252);
    let tiles = tiles();
    for code in [50000, 34925, 34887, 50002, 32773] {
        let tiles: Vec<_> = tiles.iter().filter(|tile| tile.compression == code).collect();
        for _ in 0..2000 {
            let mut tile = tiles[random.below(tiles.len())].clone();
            for _ in 0..=random.below(3) {
                let at = random.below(tile.data.len());
                let near = random.below(tile.data.len().min(64));
                let at = if random.below(2) == 0 { at } else { near };
                tile.data[at] ^= 1 << random.below(8);
            }
            if code == 34887 && tile.wrapping == 0 {
                correct_lerc_checksum(&mut tile.data);
            }
            check_error(&tile, tile.decode());
        }
    }
}

/// So that damage reaches the decoder: LERC's checksum (Fletcher's, of 16-bit words from byte 14 on) made right.
fn correct_lerc_checksum(blob: &mut [u8]) {
    let len = |blob: &[u8]| Some(u32::from_le_bytes(blob.get(34..38)?.try_into().ok()?) as usize);
    let Some(body) = len(blob).and_then(|len| blob.get(14..len)) else { return };
    let (mut a, mut b) = (0xffff_u64, 0xffff_u64);
    for word in body.chunks(2) {
        a += u64::from(word[0]) << 8 | word.get(1).map_or(0, |low| u64::from(*low));
        b += a;
        (a, b) = ((a & 0xffff) + (a >> 16), (b & 0xffff) + (b >> 16));
    }
    (a, b) = ((a & 0xffff) + (a >> 16), (b & 0xffff) + (b >> 16));
    let sum = u32::try_from(b << 16 | a).unwrap_or_default();
    blob[10..14].copy_from_slice(&sum.to_le_bytes());
}

/// Other programs' samples through our encoder and back; twice, for the same samples must give the same bytes.
#[cfg(all(feature = "zstd", feature = "lzma", feature = "lerc"))]
#[test]
fn what_is_compressed_comes_back_and_is_always_the_same() {
    for tile in tiles() {
        let samples = tile.expected();
        let bound = if tile.compression == 34887 { tile.error } else { 0.0 };
        for level in [1, 6, 9] {
            let pack = || match tile.compression {
                50000 => Some(zstd::compress(level, samples.as_bytes()).unwrap()),
                34925 => Some(lzma::compress(level, samples.as_bytes()).unwrap()),
                34887 => {
                    let (width, all) = (tile.width, tile.samples_per_pixel);
                    Some(lerc::compress(bound, tile.wrapping(), width, all, &samples).unwrap())
                }
                _ => None,
            };
            let Some(data) = pack() else { continue };
            assert!(pack().as_ref() == Some(&data), "{}", tile.line);
            let packed = Tile { data, ..tile.clone() };
            let found = difference(&samples, &packed.decode().unwrap().unwrap());
            assert!(found <= bound * (1.0 + 1e-6), "{}: differs by {found}", tile.line);
        }
    }
    assert_eq!(zstd::compress(23, &[]).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(zstd::compress(0, &[]).unwrap_err().kind(), ErrorKind::Usage);
    assert_eq!(lzma::compress(10, &[]).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn packbits_packs_as_libtiff_does() {
    // The example of TIFF 6.0 §9, from Apple: its last byte follows a run, and is a literal of its own.
    let unpacked = [
        0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22, 0xaa, 0xaa, 0xaa,
        0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
    ];
    let packed = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
    assert_eq!(packbits::compress(24, &unpacked), packed);
    // A pair between literals stays literal; rows are packed on their own.
    assert_eq!(packbits::compress(4, &[1, 2, 2, 3, 3, 3, 3, 3]), [3, 1, 2, 2, 3, 0xfd, 3]);
    for tile in tiles().iter().filter(|tile| tile.compression == 32773) {
        let row = tile.expected.len() / tile.rows;
        assert_eq!(packbits::compress(row, tile.expected), tile.data, "{}", tile.line);
    }
    for len in [1, 2, 127, 128, 129, 130, 256, 257, 300] {
        let mut random = Random(len as u64);
        let noise: Vec<u8> = (0..len).map(|_| u8::try_from(random.below(3)).unwrap()).collect();
        for data in [vec![9; len], (0..len).map(|at| at.to_le_bytes()[0]).collect(), noise] {
            let packed = packbits::compress(len, &data);
            let mut out = vec![0; len];
            packbits::decompress(&packed, &mut out).unwrap();
            assert!(out == data, "{len}");
            // The worst case of libtiff's choice: a literal of one byte and two pairs, five bytes in six.
            assert!(packed.len() <= len + len / 5 + 2, "{len} bytes became {}", packed.len());
        }
    }
}
