//! Rasters of noise, made byte by byte, of which it is known where everything stands.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A tiled TIFF of uint16 noise in EPSG:32633, uncompressed, so that a clip of all of it is as large.
pub(crate) struct Raster {
    pub(crate) bytes: Vec<u8>,
    /// Where the arrays of tile offsets and lengths stand: behind all tiles, so that they take a request of their own.
    pub(crate) arrays: u64,
    /// West, south, east, north.
    pub(crate) bbox: String,
    folder: tempfile::TempDir,
}

impl Raster {
    /// The same as a file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("noise.tif")
    }
}

/// 512 x 512 pixels in 64 tiles that stand so far apart that each takes a request; all of it is a single PUT.
pub(crate) fn small() -> &'static Raster {
    static SMALL: OnceLock<Raster> = OnceLock::new();
    SMALL.get_or_init(|| make(512, 64, 1024))
}

/// 1024 x 1024 pixels in 256 such tiles, 2 MiB.
pub(crate) fn medium() -> &'static Raster {
    static MEDIUM: OnceLock<Raster> = OnceLock::new();
    MEDIUM.get_or_init(|| make(1024, 64, 1024))
}

/// 3072 x 3072 pixels, 18 MiB: a clip of all of it takes three parts of at most 8 MiB.
pub(crate) fn large() -> &'static Raster {
    static LARGE: OnceLock<Raster> = OnceLock::new();
    LARGE.get_or_init(|| make(3072, 512, 0))
}

/// TIFF 6.0, sections 2 and 15; GeoTIFF (OGC 19-008r4), 7.1.
fn make(size: u32, tile: u32, gap: u32) -> Raster {
    // Beyond the first request for the header, which is of 64 KiB.
    const FIRST_TILE: u32 = 70_000;
    const DOUBLES: u32 = 1024;
    let count = (size / tile) * (size / tile);
    let tile_bytes = tile * tile * 2;
    let arrays = FIRST_TILE + count * (tile_bytes + gap);
    let mut bytes = vec![0; arrays as usize];
    bytes[..8].copy_from_slice(b"II\x2a\0\x08\0\0\0");
    // Type 3 is SHORT, 4 is LONG, 12 is DOUBLE.
    let entries: [(u16, u16, u32, u32); 14] = [
        (256, 4, 1, size),
        (257, 4, 1, size),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (322, 3, 1, tile),
        (323, 3, 1, tile),
        (324, 4, count, arrays),
        (325, 4, count, arrays + 4 * count),
        (339, 3, 1, 1),
        (33550, 12, 3, DOUBLES),
        (33922, 12, 6, DOUBLES + 24),
        (34735, 3, 16, DOUBLES + 72),
    ];
    let mut ifd = 14u16.to_le_bytes().to_vec();
    for (tag, kind, count, value) in entries {
        ifd.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        ifd.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    ifd.extend([0; 4]);
    bytes[8..8 + ifd.len()].copy_from_slice(&ifd);
    let doubles = [10.0, 10.0, 0.0, 0.0, 0.0, 0.0, 300_000.0, 5_300_000.0, 0.0f64];
    let keys = [1u16, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633];
    let geo: Vec<u8> = doubles
        .iter()
        .flat_map(|d| d.to_le_bytes())
        .chain(keys.iter().flat_map(|k| k.to_le_bytes()))
        .collect();
    bytes[DOUBLES as usize..DOUBLES as usize + geo.len()].copy_from_slice(&geo);
    let mut random = Random(7);
    for chunk in bytes[FIRST_TILE as usize..].chunks_mut(8) {
        let noise = random.next().to_le_bytes();
        chunk.copy_from_slice(&noise[..chunk.len()]);
    }
    for i in 0..count {
        bytes.extend((FIRST_TILE + i * (tile_bytes + gap)).to_le_bytes());
    }
    for _ in 0..count {
        bytes.extend(tile_bytes.to_le_bytes());
    }
    let metres = 10 * size;
    let bbox = format!("300000,{},{},5300000", 5_300_000 - metres, 300_000 + metres);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("noise.tif"), &bytes).unwrap();
    Raster { bytes, arrays: arrays.into(), bbox, folder }
}

/// What a clip of all of `raster` is when nothing goes wrong.
pub(crate) fn expected(raster: &Raster) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.tif");
    let done = super::run::clip(
        raster.path().to_str().unwrap(),
        out.to_str().unwrap(),
        raster,
        &[],
        &super::run::environment_of(folder.path()),
    );
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let bytes = std::fs::read(Path::new(&out)).unwrap();
    // Uncompressed, it holds every sample.
    assert!(bytes.len() > 2 * 512 * 512);
    bytes
}

/// Marsaglia's xorshift64*: numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
