//! Masked pixels beside kept ones, before lossy compression: a hard edge to 0 would ring into the pixels that are kept.

/// Side of a block in pixels: JPEG's blocks of 8, twice as wide where colours are halved.
const BLOCK: usize = 16;

/// Gives the masked pixels of each block that also holds valid ones the mean of these, band by band. `samples` are rows
/// of `width` pixels of `bands` interleaved bands, of which the first `colours` are treated so; `valid` has a byte a pixel, 0 where masked.
pub(super) fn with_means(samples: &mut [u8], valid: &[u8], width: usize, bands: usize, colours: usize) {
    let (width, bands) = (width.max(1), bands.max(1));
    let rows = valid.len() / width;
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..width).step_by(BLOCK) {
            let pixels = || {
                (top..rows.min(top + BLOCK))
                    .flat_map(move |y| (left..width.min(left + BLOCK)).map(move |x| y * width + x))
            };
            let kept = pixels().filter(|&at| valid[at] != 0).count();
            if kept == 0 || kept == pixels().count() {
                continue;
            }
            for band in 0..colours.min(bands) {
                let sum: usize = pixels()
                    .filter(|&at| valid[at] != 0)
                    .map(|at| usize::from(samples[at * bands + band]))
                    .sum();
                // A mean of bytes is one.
                let mean = u8::try_from((sum + kept / 2) / kept).unwrap_or(u8::MAX);
                pixels().filter(|&at| valid[at] == 0).for_each(|at| samples[at * bands + band] = mean);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_pixels_get_the_mean_of_their_block() {
        // Two blocks of 16 x 16 and two bands: half of the first is masked, all of the second.
        let mut samples: Vec<u8> = (0..16 * 32_usize)
            .flat_map(|at| [u8::from(at % 32 < 8) * 100, 7 * u8::from(at % 3 < 1)])
            .collect();
        let valid: Vec<u8> = (0..16 * 32).map(|at| u8::from(at % 32 < 8)).collect();
        with_means(&mut samples, &valid, 32, 2, 1);
        for (at, pixel) in samples.chunks(2).enumerate() {
            let second = 7 * u8::from(at % 3 < 1);
            assert_eq!(pixel, [u8::from(at % 32 < 16) * 100, second], "{at}");
        }
    }
}
