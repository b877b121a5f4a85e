//! Our own deflater against zlib-rs's inflater, and the quick inflater against zlib-rs's.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "these inputs are our own"
)]

use flate2::{Decompress, FlushDecompress, Status};

use super::deflate::{QUICK, compress, decompress, inflate_or_say_why};

/// A fixed sequence of bytes without a pattern: a linear congruence's high bits (Knuth's MMIX).
fn noise(len: usize, mask: u8) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |()| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8 & mask
    };
    std::iter::repeat_n((), len).map(next).collect()
}

#[track_caller]
fn check(data: &[u8]) -> usize {
    let packed = compress(QUICK, data).unwrap();
    // One more, to see an end where there should be one.
    let mut out = vec![0xaa; data.len() + 1];
    let mut inflater = Decompress::new(true);
    let status = inflater.decompress(&packed, &mut out, FlushDecompress::Finish).unwrap();
    assert_eq!(
        (status, inflater.total_in(), inflater.total_out()),
        (Status::StreamEnd, packed.len() as u64, data.len() as u64)
    );
    assert!(&out[..data.len()] == data, "{} bytes", data.len());
    packed.len()
}

#[test]
fn another_inflater_finds_what_was_deflated() {
    let noise = noise(300_000, 0xff);
    for len in (0..600).chain([65_535, 65_536, 65_537, 131_072, 300_000]) {
        check(&noise[..len]);
        check(&vec![7; len]);
        check(&noise.iter().take(len).map(|byte| byte & 3).collect::<Vec<_>>());
        check(&(0..len).map(|at| (at / 5 * at % 251) as u8).collect::<Vec<_>>());
    }
    // Repeats at the ends of the window and beyond it, and of the shortest and the longest matches.
    for period in [1, 2, 3, 4, 5, 257, 258, 259, 32_767, 32_768, 32_769, 40_000] {
        let data: Vec<u8> = noise[..period].iter().copied().cycle().take(200_000).collect();
        let len = check(&data);
        assert!(period > 32_768 || len < period + 4000, "a period of {period} takes {len} bytes");
        for run in [3, 4, 5, 257, 258, 259, 300] {
            check(
                &noise
                    .chunks(50)
                    .flat_map(|chunk| chunk.iter().copied().chain(noise[..run].iter().copied()))
                    .collect::<Vec<_>>(),
            );
        }
    }
    // Half noise, half nothing, changing within a block.
    check(&noise.chunks(700).flat_map(|chunk| chunk.iter().copied().chain(vec![0; 900])).collect::<Vec<_>>());
}

#[test]
fn codes_that_would_be_too_long_are_cut() {
    // Fibonacci numbers as frequencies make the deepest trees.
    let mut data = Vec::new();
    let (mut count, mut next) = (1_usize, 1_usize);
    for symbol in 0..22_u8 {
        data.extend(vec![symbol.wrapping_mul(11); count]);
        (count, next) = (next, count + next);
    }
    // In an order without matches.
    let mut order: Vec<(u8, u8)> = noise(data.len(), 0xff).into_iter().zip(data).collect();
    order.sort_unstable_by_key(|&(key, _)| key);
    let shuffled: Vec<u8> = order.into_iter().map(|(_, byte)| byte).collect();
    check(&shuffled);
    for chunk in shuffled.chunks(20_000) {
        check(chunk);
    }
}

#[test]
fn the_usual_level_is_about_as_small_as_zlib_s() {
    // Noise over a ramp, with the predictor that is usual with it, against zlib-rs's level 6 without one, as most others
    // write it; classes and a mask's bits, which have none. zlib-rs's is a little smaller on classes than libdeflate's, which GDAL has.
    let noise = noise(262_144, 0x1f);
    let scene: Vec<u16> = (0..=u16::MAX).zip(&noise).map(|(at, &byte)| at / 16 + u16::from(byte)).collect();
    let differences = scene.iter().scan(0, |last, &now| Some(now.wrapping_sub(std::mem::replace(last, now))));
    let differences: Vec<u8> = differences.flat_map(u16::to_le_bytes).collect();
    let scene: Vec<u8> = scene.into_iter().flat_map(u16::to_le_bytes).collect();
    // Ten borders that wander from row to row.
    let (mut borders, mut steps) = ([50_u32; 10], noise.iter());
    let mut classes = Vec::new();
    for _ in 0..512 {
        for (class, border) in borders.iter_mut().enumerate() {
            *border = (*border + u32::from(steps.next().unwrap() % 3)).saturating_sub(1);
            classes.extend(vec![class as u8; *border as usize]);
        }
        classes.resize(classes.len().next_multiple_of(512), 10);
    }
    let mask: Vec<u8> = (0..32_768_u32).map(|at| if (at % 64) * 9 < at / 64 { 0xff } else { 0 }).collect();
    for (stored, usual, most) in [(&differences, &scene, 103), (&classes, &classes, 106), (&mask, &mask, 103)]
    {
        let (ours, zlib) = (check(stored), compress(6, usual).unwrap().len());
        assert!(ours * 100 <= zlib * most, "{ours} and {zlib} bytes");
    }
}

#[test]
fn the_quick_inflater_is_as_strict_as_zlib_s() {
    let noise = noise(2000, 0x1f);
    let half: Vec<u8> = noise.chunks(40).flat_map(|chunk| [chunk, &[9; 50]].concat()).collect();
    for level in [0, QUICK, 6] {
        for data in [&noise[..700], &half[..1500], &[5; 300]] {
            let packed = compress(level, data).unwrap();
            let check = |packed: &[u8], what: &str, at: usize| {
                let (mut quick, mut zlib) = (vec![0; data.len()], vec![0; data.len()]);
                let (ours, theirs) = (decompress(packed, &mut quick), inflate_or_say_why(packed, &mut zlib));
                if cfg!(feature = "libdeflate") && ours.is_ok() && theirs.is_err() {
                    // libdeflate takes more codes of distances than there are; the checksum was right.
                    assert!(quick == *data, "{what} {at}");
                    return;
                }
                assert_eq!(
                    ours.as_ref().err().map(ToString::to_string),
                    theirs.as_ref().err().map(ToString::to_string),
                    "{what} {at}"
                );
                assert!(ours.is_err() || quick == zlib, "{what} {at}");
            };
            for at in 0..packed.len() {
                check(&packed[..at], "cut at", at);
                for bit in 0..8 {
                    let mut damaged = packed.clone();
                    damaged[at] ^= 1 << bit;
                    check(&damaged, "flipped in", at);
                }
            }
            // The same stream for smaller and larger tiles.
            for len in [1, data.len() / 2, data.len() - 1, data.len() + 1] {
                let (mut quick, mut zlib) = (vec![0; len], vec![0; len]);
                let (ours, theirs) =
                    (decompress(&packed, &mut quick), inflate_or_say_why(&packed, &mut zlib));
                assert_eq!(ours.map_err(|e| e.to_string()), theirs.map_err(|e| e.to_string()));
                assert!(len > data.len() || quick == zlib);
            }
        }
    }
}
