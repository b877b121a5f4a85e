//! Files of a few kilobytes that claim to be huge: the program runs with little memory, as `ulimit -v` gives it, and
//! must end soon with an exit code of its own. Without the bounds, each of these takes a gigabyte or more.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::malformed::tiff;

/// Address space of the program in KiB: code, stacks and buffers take half of it.
const MEMORY: u32 = 600_000;

/// What any of these may take. They take some milliseconds, the strewn directories some seconds in a debug build; a busy
/// machine takes many times that.
const TIME: Duration = Duration::from_mins(2);

/// Runs the program in little memory; one that does not end is killed.
fn run(args: &[&str]) -> Output {
    let mut child = Command::new("sh")
        .args(["-c", &format!("ulimit -v {MEMORY} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_cogclip")])
        .args(args)
        // Every thread's own heap reserves 64 MiB of address space, which is no memory.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        let late = start.elapsed() > TIME;
        if late {
            child.kill().unwrap();
        }
        assert!(!late, "{args:?}: does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// Clips a file to its first 32 x 32 pixels.
#[track_caller]
fn check(name: &str, file: &[u8], code: i32, says: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (source, out) = (path("in.tif"), path("out.tif"));
    std::fs::write(&source, file).unwrap();
    let ran = run(&["clip", &source, &out, "--bbox", "0,0,32,32", "--cutline-crs", "source", "--quiet"]);
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(code), "{name}: {:?} {stderr}", ran.status);
    assert!(stderr.contains(says), "{name}: {stderr}");
    assert_eq!(stderr.lines().count(), usize::from(code != 0), "{name}: {stderr}");
    assert_eq!(Path::new(&out).exists(), code == 0, "{name}");
}

type Fields<'a> = &'a [(u16, &'a [u32])];

/// An image of 256 x 256 bytes, `samples` a pixel, in one tile; `changes` replace fields.
fn one_tile(compression: u32, samples: u32, data: &[u8], changes: Fields<'_>) -> Vec<u8> {
    let bits = vec![8; samples as usize];
    let (compression, samples, len) = ([compression], [samples], [u32::try_from(data.len()).unwrap()]);
    let make = |offset: &[u32]| {
        let mut fields: Vec<(u16, &[u32])> = vec![
            (256, &[256]),
            (257, &[256]),
            (258, &bits),
            (259, &compression),
            (262, &[1]),
            (277, &samples),
            (322, &[256]),
            (323, &[256]),
            (324, offset),
            (325, &len),
        ];
        for &(tag, values) in changes {
            match fields.iter_mut().find(|(other, _)| *other == tag) {
                Some(field) => field.1 = values,
                None => fields.push((tag, values)),
            }
        }
        fields.sort_by_key(|(tag, _)| *tag);
        tiff(&fields, 0)
    };
    let head = make(&[0]).len();
    [make(&[u32::try_from(head).unwrap()]), data.to_vec()].concat()
}

#[test]
fn the_cap_leaves_room_for_a_clip() {
    check("plain", &one_tile(1, 1, &vec![7; 1 << 16], &[]), 0, "");
}

/// A zlib stream of 1 GiB of zeros.
fn deflate_bomb() -> Vec<u8> {
    use std::io::Write;
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(1));
    let zeros = vec![0; 1 << 20];
    for _ in 0..1024 {
        writer.write_all(&zeros).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn a_deflate_bomb_ends_where_its_tile_ends() {
    let bomb = deflate_bomb();
    assert!(bomb.len() > 1 << 19, "{}", bomb.len());
    // A tile of 64 KiB is not stored in a megabyte: it is not even read.
    check("whole", &one_tile(8, 1, &bomb, &[]), 6, "the limit is");
    // As much of it as is read: the first 64 KiB are the tile, and the rest is not looked at.
    check("start", &one_tile(8, 1, &bomb[..150_000], &[]), 0, "");
    // Also in LERC, whose blob must be whole: here it may be a third larger than the samples.
    check("LERC", &one_tile(34887, 1, &bomb[..150_000], &[(50674, &[4, 1])]), 3, "deflate");
}

/// A frame (RFC 8878 §3.1.1) of 8192 blocks, each of them 128 KiB of zeros.
#[cfg(feature = "zstd")]
fn zstd_bomb(header: &[u8]) -> Vec<u8> {
    let mut out = [b"\x28\xb5\x2f\xfd", header].concat();
    for block in 0..8192_u32 {
        let last = u32::from(block == 8191);
        out.extend(&((128 << 10) << 3 | 1 << 1 | last).to_le_bytes()[..3]);
        out.push(0);
    }
    out
}

#[cfg(feature = "zstd")]
#[test]
fn a_zstandard_bomb_ends_where_its_tile_ends() {
    // A window of 8 MiB and no content size.
    let bomb = zstd_bomb(&[0, 13 << 3]);
    check("blocks", &one_tile(50000, 1, &bomb, &[]), 0, "");
    check("LERC", &one_tile(34887, 1, &bomb, &[(50674, &[4, 2])]), 3, "Zstandard");
    // One segment: a content, hence a window, of 1 GiB.
    let bomb = zstd_bomb(&[2 << 6 | 1 << 5, 0, 0, 0, 0x40]);
    check("one segment", &one_tile(50000, 1, &bomb, &[]), 3, "Zstandard");
    // A window of 1 GiB, and of the most that a header can say.
    for window in [20 << 3, 0xff] {
        let bomb = zstd_bomb(&[0, window]);
        check("window", &one_tile(50000, 1, &bomb[..1000], &[]), 3, "Zstandard");
    }
}

/// CRC-32 as xz has it.
#[cfg(feature = "lzma")]
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |crc, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 },
        )
    })
}

#[cfg(feature = "lzma")]
#[test]
fn an_xz_dictionary_is_not_taken_at_its_word() {
    use cogclip::codec::Encoding;
    use cogclip::tiff::code::Compression;

    let mut data = Encoding::new(Compression::Lzma).compress(256, &vec![9; 1 << 16]).unwrap();
    // The block header: its length, flags, the filter LZMA2 and its one byte, padding, a CRC-32.
    let len = (usize::from(data[12]) + 1) * 4;
    let at = 12 + data[12..12 + len].windows(2).position(|pair| pair == [0x21, 1]).unwrap() + 2;
    for (size, code, says) in [(37, 0, ""), (40, 0, ""), (41, 3, "LZMA")] {
        // 1.5 GiB, the most of 4 GiB - 1, and what is none.
        data[at] = size;
        let crc = crc32(&data[12..12 + len - 4]);
        data[12 + len - 4..12 + len].copy_from_slice(&crc.to_le_bytes());
        check(&format!("dictionary {size}"), &one_tile(34925, 1, &data, &[]), code, says);
    }
}

/// Numbers in bits, the lowest first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    fn push(mut self, value: u64, bits: usize) -> Self {
        for bit in 0..bits {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= u8::from(value >> bit & 1 != 0) << (self.len % 8);
            self.len += 1;
        }
        self
    }
}

#[cfg(feature = "jxl")]
#[test]
fn a_huge_jpeg_xl_image_is_refused() {
    // ISO/IEC 18181-1: SizeHeader in 30 bits each, then metadata that are all default.
    for side in [65_535_u64, 1 << 30] {
        let bits = Bits::default().push(0, 1).push(3, 2).push(side - 1, 30).push(0, 3);
        let bits = bits.push(3, 2).push(side - 1, 30).push(3, 2).push(0, 64);
        let data = [b"\xff\x0a", &bits.bytes[..]].concat();
        check("JPEG XL", &one_tile(50002, 3, &data, &[(262, &[2])]), 3, &format!("{side} x {side}"));
    }
}

#[cfg(feature = "jpeg")]
#[test]
fn a_huge_jpeg_image_is_refused() {
    let frame = |marker: u8, height: u16, width: u16| {
        let mut out = b"\xff\xd8\xff\xdb\x00\x43\x00".to_vec();
        out.extend([1; 64]);
        out.extend([0xff, marker, 0, 11, 8]);
        out.extend(height.to_be_bytes());
        out.extend(width.to_be_bytes());
        // One component in blocks of 4 x 4.
        out.extend([1, 1, 0x44, 0]);
        out.extend(b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00\x00\xff\xd9");
        out
    };
    check("JPEG", &one_tile(7, 1, &frame(0xc0, 65_535, 65_535), &[]), 3, "65535 x 65535");
    // More rows than are wanted are read up to where the tile ends.
    for (marker, code) in [(0xc0, 3), (0xc2, 3)] {
        check("rows", &one_tile(7, 1, &frame(marker, 65_535, 256), &[]), code, "JPEG");
    }
    // Of a progressive image, all rows would have to be kept.
    let wide: Fields<'_> = &[(256, &[65_535]), (257, &[16]), (322, &[65_535]), (323, &[16])];
    check("progressive", &one_tile(7, 1, &frame(0xc2, 65_535, 65_535), wide), 6, "65535 rows");
}

#[cfg(feature = "webp")]
#[test]
fn a_huge_webp_image_is_refused() {
    let chunk = |name: &[u8], body: &[u8]| {
        [name, &u32::try_from(body.len()).unwrap().to_le_bytes(), body, &vec![0; body.len() % 2]].concat()
    };
    let riff = |chunks: &[u8]| chunk(b"RIFF", &[b"WEBP", chunks].concat());
    let lossy = chunk(b"VP8 ", b"\x10\x00\x00\x9d\x01\x2a\xff\x3f\xff\x3f\0\0\0\0\0\0");
    let lossless = chunk(b"VP8L", b"\x2f\xff\xff\xff\x0f\0\0\0\0\0");
    let extended = [chunk(b"VP8X", b"\0\0\0\0\xff\xff\xff\xff\xff\xff"), lossless.clone()].concat();
    for (data, says) in [(lossy, "16383 x 16383"), (lossless, "16384 x 16384"), (extended, "16384 x 16384")] {
        check("WebP", &one_tile(50001, 3, &riff(&data), &[(262, &[2])]), 3, says);
    }
}

#[cfg(feature = "lerc")]
#[test]
fn a_huge_lerc_image_is_refused() {
    let blob = |numbers: &[u32]| {
        let mut out = b"Lerc2 ".to_vec();
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        out.extend([0; 64]);
        out
    };
    // Version, checksum, rows, columns, depth, valid pixels, block, bytes, type.
    let data = blob(&[4, 0, 65_535, 65_535, 1, u32::MAX, 8, 106, 1]);
    check("LERC", &one_tile(34887, 1, &data, &[(50674, &[4, 0])]), 3, "65535 x 65535");
    let data = blob(&[4, 0, 256, 256, u32::MAX, 65_536, 8, 106, 1]);
    check("depth", &one_tile(34887, 1, &data, &[(50674, &[4, 0])]), 3, "4294967295 samples");
}

#[test]
fn huge_images_are_refused() {
    let (huge, most) = (&[1 << 31][..], &[i32::MAX.cast_unsigned()][..]);
    let data = &[0; 64];
    check("beyond", &one_tile(1, 1, data, &[(256, huge), (257, huge)]), 3, "2147483648 x 2147483648");
    check("tiles", &one_tile(1, 1, data, &[(256, most), (257, most)]), 3, "TileOffsets has 1 entries");
    let one: Fields<'_> = &[(256, most), (257, most), (322, most), (323, most)];
    check("one tile", &one_tile(8, 1, data, one), 6, "the limit is");
    check("bands", &one_tile(8, 1, data, &[one, &[(277, &[65_535])]].concat()), 6, "the limit is");
}

/// One entry of a little-endian directory.
fn entry(tag: u16, kind: u16, count: u32, value: u32) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
}

#[test]
fn huge_tables_are_refused() {
    const LONG: u16 = 4;
    for (tag, kind, count, code, says) in [
        // Of tiles: 16 and 32 GiB, and 200 MiB beyond the end.
        (324, LONG, u32::MAX, 6, "TileOffsets"),
        (325, 16, u32::MAX, 6, "TileByteCounts"),
        (324, LONG, 50 << 20, 3, "beyond the end"),
        // Of other things.
        (330, LONG, u32::MAX, 6, "SubIFDs"),
        (258, 3, u32::MAX, 6, "BitsPerSample"),
        (42112, 2, u32::MAX, 6, "GDAL_METADATA"),
        (34735, 3, 7 << 20, 3, "beyond the end"),
    ] {
        let mut entries = Vec::new();
        for (other, value) in [
            (256, 256),
            (257, 256),
            (258, 8),
            (259, 1),
            (262, 1),
            (277, 1),
            (322, 256),
            (323, 256),
            (324, 8),
            (325, 8),
        ] {
            entries.push((other, entry(other, LONG, 1, value)));
        }
        entries.retain(|(other, _)| *other != tag);
        entries.push((tag, entry(tag, kind, count, 8)));
        entries.sort();
        let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
        let entries: Vec<u8> = entries.into_iter().flat_map(|(_, entry)| entry).collect();
        let file = [b"II*\0\x08\0\0\0", &count[..], &entries, &[0; 4]].concat();
        check(&format!("tag {tag}"), &file, code, says);
    }
    // BigTIFF: 2^63 entries in a directory, 2^61 numbers in a field.
    let big = b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0";
    check("entries", &[&big[..], &(1_u64 << 63).to_le_bytes()].concat(), 6, "entries");
    let mut field = [&1_u64.to_le_bytes()[..], &324_u16.to_le_bytes(), &16_u16.to_le_bytes()].concat();
    field.extend((1_u64 << 61).to_le_bytes());
    field.extend([0; 16]);
    check("numbers", &[&big[..], &field].concat(), 6, "TileOffsets");
}

#[test]
fn directories_that_lead_to_each_other_are_refused() {
    let file = one_tile(1, 1, &[0; 64], &[(330, &[8])]);
    check("itself", &file, 3, "cycle");
    let file = one_tile(1, 1, &[0; 64], &[(330, &vec![8; 5000])]);
    check("many times", &file, 3, "cycle");
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    for next in [14_u32, 20, 8] {
        file.extend([0, 0]);
        file.extend(next.to_le_bytes());
    }
    check("in a ring", &file, 3, "cycle");
}

#[test]
fn strewn_directories_end_in_bounded_time() {
    // Each directory takes a request, and every request has all of them read anew. As many as there may be, with as many
    // entries, took 15 s of a release build.
    const STEP: usize = 17 << 10;
    let first = one_tile(1, 1, &vec![7; 1 << 16], &[]);
    let mut file = first.clone();
    file.resize(1 << 17, 0);
    let next_of_first = 8 + 2 + 12 * 10;
    file[next_of_first..next_of_first + 4].copy_from_slice(&(1_u32 << 17).to_le_bytes());
    for n in 1..1020_u32 {
        let at = file.len();
        file.extend(127_u16.to_le_bytes());
        for tag in 0..127 {
            file.extend(entry(60_000 + tag, 3, 1, n));
        }
        let next = if n == 1019 { 0 } else { u32::try_from(at + STEP).unwrap() };
        file.extend(next.to_le_bytes());
        file.resize(at + STEP, 0);
    }
    check("strewn", &file, 6, "strewn over the file");
}
