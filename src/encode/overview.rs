//! Overviews: halving a block of pixels, two by two. Made to equal GDAL's overviews of factor 2 on images of
//! even size; at odd edges GDAL stretches its window over the image, while here the last block is narrower.

use crate::grid::Size;
use crate::options::Resampling;
use crate::sample::{NoData, Sample, SampleType, Samples, with_samples};

/// Which samples of a block count. The default: all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validity<'a> {
    /// A sample that holds this value does not count; NaN is a value like any other.
    pub nodata: Option<&'a NoData>,
    /// One byte a pixel, row by row: 0 where none of its samples counts. An alpha band can be turned into
    /// one.
    pub mask: Option<&'a [u8]>,
}

/// A block of `size` pixels of `samples_per_pixel` samples, halved: [`Size::halved`] pixels, each made of two
/// by two; of fewer at an odd right or lower edge. With it the halved mask (0 or 1 a pixel), if there was one.
///
/// Average and mode take the valid samples, each band by itself. Where there is none, the result is nodata,
/// or 0 if there is no nodata value. A mean that happens to equal nodata steps aside to
/// [`Sample::neighbour`], so that no valid pixel disappears; GDAL does so for 8 and 16 unsigned bits, but for
/// wider integers looks before it rounds. Means are exact for integers, half-way cases going away from zero.
/// For floats they are taken in double precision, row by row; NaN is as contagious as in GDAL unless it is
/// nodata.
///
/// A pixel of the halved mask is valid if one of its block is, for average and mode, and if the top left is,
/// for nearest. GDAL resamples the mask by the same method as the pixels, so that a mode's valid value may
/// disappear.
///
/// # Panics
/// When `samples` or the mask is not as long as `size` and `samples_per_pixel` say.
#[must_use]
pub fn halve(
    samples: &Samples,
    size: Size,
    samples_per_pixel: usize,
    valid: Validity<'_>,
    method: Resampling,
) -> (Samples, Option<Vec<u8>>) {
    let shape = Shape { width: size.width as usize, height: size.height as usize, depth: samples_per_pixel };
    let pixels = shape.width * shape.height;
    assert_eq!(samples.len(), pixels * samples_per_pixel, "samples do not match their size");
    assert!(valid.mask.is_none_or(|mask| mask.len() == pixels), "a mask does not match its size");

    let half = size.halved();
    let half_pixels = half.width as usize * half.height as usize;
    let mut out = Samples::zeroed(samples.sample_type(), half_pixels * samples_per_pixel);
    with_samples!(samples, v => {
        let out = bytemuck::cast_slice_mut(out.as_bytes_mut());
        match method {
            Resampling::Nearest => nearest(v, shape, out),
            Resampling::Average if valid.mask.is_none() && valid.nodata.is_none() => match samples_per_pixel {
                1 => mean_of_all::<_, 1>(v, shape, out),
                3 => mean_of_all::<_, 3>(v, shape, out),
                4 => mean_of_all::<_, 4>(v, shape, out),
                _ => of_valid(v, shape, valid, mean, out),
            },
            Resampling::Average => of_valid(v, shape, valid, mean, out),
            Resampling::Mode => of_valid(v, shape, valid, mode, out),
        }
    });
    let mask = valid.mask.map(|mask| match method {
        Resampling::Nearest => {
            let mut out = vec![0; half_pixels];
            nearest(mask, Shape { depth: 1, ..shape }, &mut out);
            out.into_iter().map(|valid: u8| u8::from(valid != 0)).collect()
        }
        Resampling::Average | Resampling::Mode => {
            shape.blocks().map(|block| u8::from(block.pixels().any(|(pixel, _)| mask[pixel] != 0))).collect()
        }
    });
    (out, mask)
}

/// Pixels across and down, and samples of a pixel.
#[derive(Clone, Copy)]
struct Shape {
    width: usize,
    height: usize,
    depth: usize,
}

impl Shape {
    /// Its blocks of two by two pixels, row by row.
    fn blocks(self) -> impl Iterator<Item = Block> {
        (0..self.height).step_by(2).flat_map(move |y| {
            (0..self.width).step_by(2).map(move |x| Block {
                first: y * self.width + x,
                across: (self.width - x).min(2),
                down: (self.height - y).min(2),
                stride: self.width,
            })
        })
    }
}

/// Up to two by two pixels of a larger block.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    across: usize,
    down: usize,
    stride: usize,
}

impl Block {
    /// The numbers of its pixels, row by row, each with its row in the block.
    fn pixels(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.down).flat_map(move |y| (0..self.across).map(move |x| (self.first + y * self.stride + x, y)))
    }
}

fn nearest<T: Copy>(input: &[T], shape: Shape, out: &mut [T]) {
    let rows = input.chunks_exact((shape.width * shape.depth).max(1)).step_by(2);
    let pixels = rows.flat_map(|row| row.chunks_exact(shape.depth).step_by(2));
    for (to, from) in out.chunks_exact_mut(shape.depth.max(1)).zip(pixels) {
        to.copy_from_slice(from);
    }
}

/// Means where every sample counts and the depth is known: the whole blocks in a loop that vectorises.
fn mean_of_all<T: Sample, const DEPTH: usize>(input: &[T], shape: Shape, out: &mut [T]) {
    let pixels = input.as_chunks::<DEPTH>().0;
    let mut out = out.as_chunks_mut::<DEPTH>().0.chunks_exact_mut(shape.width.div_ceil(2).max(1));
    for (rows, out) in pixels.chunks(shape.width.max(1) * 2).zip(&mut out) {
        let (top, bottom) = rows.split_at(shape.width);
        let (out, edge) = out.split_at_mut(if bottom.is_empty() { 0 } else { shape.width / 2 });
        let pairs = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
        for (out, ([a, b], [c, d])) in out.iter_mut().zip(pairs) {
            for band in 0..DEPTH {
                let sum = (a[band].widen() + b[band].widen()) + (c[band].widen() + d[band].widen());
                out[band] = T::mean(sum, 4);
                if T::TYPE == SampleType::F64 {
                    out[band] = in_range(out[band], &[a[band], b[band], c[band], d[band]]);
                }
            }
        }
        // An odd edge: the blocks that the loop has not filled.
        let done = out.len();
        for (at, out) in edge.iter_mut().enumerate() {
            let x = (done + at) * 2;
            let block = [top.get(x), top.get(x + 1), bottom.get(x), bottom.get(x + 1)];
            for (band, out) in out.iter_mut().enumerate() {
                let mut values = Values::default();
                for (at, pixel) in block.into_iter().enumerate() {
                    if let Some(pixel) = pixel {
                        values.push(pixel[band], at / 2);
                    }
                }
                *out = mean(&values);
            }
        }
    }
}

/// The valid samples of one band of a block, row by row.
struct Values<T> {
    samples: [T; 4],
    rows: [usize; 4],
    len: usize,
}

impl<T: Sample> Default for Values<T> {
    fn default() -> Self {
        Self { samples: [T::zeroed(); 4], rows: [0; 4], len: 0 }
    }
}

impl<T: Sample> Values<T> {
    fn push(&mut self, value: T, row: usize) {
        self.samples[self.len] = value;
        self.rows[self.len] = row;
        self.len += 1;
    }

    fn all(&self) -> &[T] {
        &self.samples[..self.len]
    }
}

fn of_valid<T: Sample>(
    input: &[T],
    shape: Shape,
    valid: Validity<'_>,
    one_of: impl Fn(&Values<T>) -> T,
    out: &mut [T],
) {
    let nodata: Option<T> = valid.nodata.and_then(NoData::sample);
    let empty = nodata.unwrap_or_else(T::zeroed);
    for (out, block) in out.chunks_exact_mut(shape.depth.max(1)).zip(shape.blocks()) {
        for (band, out) in out.iter_mut().enumerate() {
            let mut values = Values::default();
            for (pixel, row) in block.pixels() {
                let value = input[pixel * shape.depth + band];
                let masked = valid.mask.is_some_and(|mask| mask[pixel] == 0);
                if !masked && !nodata.is_some_and(|nodata| value.is_nodata(nodata)) {
                    values.push(value, row);
                }
            }
            *out = if values.len == 0 {
                empty
            } else {
                let value = one_of(&values);
                if nodata.is_some_and(|nodata| value.is_nodata(nodata)) { value.neighbour() } else { value }
            };
        }
    }
}

/// The mean of at least one value. Rows are summed first: GDAL's order, which decides a float's last bit.
fn mean<T: Sample>(values: &Values<T>) -> T {
    let mut sums = [T::Sum::default(); 2];
    let mut count = 0;
    for (value, row) in values.all().iter().zip(values.rows) {
        sums[row] = sums[row] + value.widen();
        count += 1;
    }
    let mean = T::mean(sums[0] + sums[1], count);
    if T::TYPE == SampleType::F64 { in_range(mean, values.all()) } else { mean }
}

/// The mean as it is, unless the sum of finite doubles became infinite: then taken from shares.
fn in_range<T: Sample>(mean: T, values: &[T]) -> T {
    if mean.to_f64().is_infinite() && values.iter().all(|value| value.to_f64().is_finite()) {
        #[expect(clippy::cast_precision_loss, reason = "there are at most four")]
        let count = values.len() as f64;
        return T::from_f64_nearest(values.iter().map(|value| value.to_f64() / count).sum());
    }
    mean
}

/// The most frequent of at least one value; of several, the one that is the first to have come so often.
fn mode<T: Sample>(values: &Values<T>) -> T {
    let mut best = (values.samples[0], 0);
    for (at, &value) in values.all().iter().enumerate() {
        let count = values.all().iter().take(at + 1).filter(|other| other.same(value)).count();
        if count > best.1 {
            best = (value, count);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictor;
    use crate::tiff::code::{ByteOrder, Predictor};

    const BLOCKS: &[u8] = include_bytes!("../../testdata/overview/blocks.bin");

    fn samples_at(sample: SampleType, len: usize, offset: &str) -> Samples {
        let mut samples = Samples::zeroed(sample, len);
        let offset: usize = offset.parse().unwrap();
        let bytes = samples.as_bytes_mut();
        bytes.copy_from_slice(&BLOCKS[offset..offset + bytes.len()]);
        predictor::undo(Predictor::None, ByteOrder::Little, 1, len, &mut samples).unwrap();
        samples
    }

    fn mask_at(len: usize, offset: &str) -> Option<Vec<u8>> {
        let offset: usize = offset.parse().ok()?;
        Some(BLOCKS[offset..offset + len].to_vec())
    }

    /// Whether an average differs from GDAL's for a reason: its `double` result is the value before rounding.
    fn differs_for_a_reason(
        kind: SampleType,
        method: Resampling,
        ours: f64,
        gdals: f64,
        nodata: &str,
        masked: bool,
    ) -> bool {
        let float = matches!(kind, SampleType::F32 | SampleType::F64);
        match method {
            // Without nodata or mask GDAL adds floats column by column, and single precision in single
            // precision: the last bits differ. With them, it lets the sum of large doubles overflow.
            Resampling::Average if float => {
                let epsilon = if kind == SampleType::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
                let overflow = gdals.is_infinite() && ours.is_finite();
                if nodata == "-" && !masked { (ours - gdals).abs() <= 4.0 * epsilon } else { overflow }
            }
            // GDAL lets valid pixels become nodata by rounding.
            Resampling::Average => nodata == "2" && (ours, gdals) == (3.0, 2.0),
            // GDAL heeds no mask in the mode of bytes, and makes 0 of nothing but NaN.
            Resampling::Mode => {
                (kind == SampleType::U8 && masked) || (nodata == "nan" && ours.is_nan() && gdals == 0.0)
            }
            Resampling::Nearest => false,
        }
    }

    #[test]
    fn halves_are_those_of_gdal() {
        let (mut blocks, mut compared, mut different) = (0, 0, 0);
        for line in include_str!("../../testdata/overview/blocks.tsv").lines() {
            let field: Vec<_> = line.split('\t').collect();
            let kind = *SampleType::ALL.iter().find(|sample| sample.name() == field[0]).unwrap();
            let method = match field[1] {
                "average" => Resampling::Average,
                "nearest" => Resampling::Nearest,
                _ => Resampling::Mode,
            };
            let nodata = NoData::new(field[2]);
            let depth: usize = field[4].parse().unwrap();
            let size = Size::new(field[5].parse().unwrap(), field[6].parse().unwrap());
            let pixels = |size: Size| usize::try_from(size.pixels()).unwrap();
            let block = samples_at(kind, pixels(size) * depth, field[7]);
            let expected = samples_at(kind, pixels(size.halved()) * depth, field[8]);
            let mask = mask_at(pixels(size), field[9]);
            let expected_mask = mask_at(pixels(size.halved()), field[10]);
            let valid = Validity { nodata: nodata.as_ref(), mask: mask.as_deref() };
            let (half, half_mask) = halve(&block, size, depth, valid, method);
            let numbers = |samples: &Samples| -> Vec<f64> {
                with_samples!(samples, v => v.iter().map(|value| value.to_f64()).collect())
            };
            for (at, (ours, gdals)) in numbers(&half).into_iter().zip(numbers(&expected)).enumerate() {
                compared += 1;
                if !ours.same(gdals) {
                    different += 1;
                    let reason = differs_for_a_reason(kind, method, ours, gdals, field[2], mask.is_some());
                    assert!(reason, "{line}: sample {at} is {ours}, in GDAL {gdals}");
                }
            }
            // GDAL takes the mode of the mask as well.
            if method != Resampling::Mode {
                assert_eq!(half_mask, expected_mask, "{line}");
            }
            blocks += 1;
        }
        assert_eq!((blocks, compared, different), (100, 9720, 91));
    }

    #[test]
    fn odd_edges_make_narrower_blocks() {
        // By hand: 3 x 3 pixels; blocks of 4, 2, 2 and 1.
        let block = Samples::U8(vec![1, 2, 5, 3, 5, 6, 7, 8, 9]);
        let half = |valid, method| halve(&block, Size::new(3, 3), 1, valid, method);
        assert_eq!(half(Validity::default(), Resampling::Average).0, Samples::U8(vec![3, 6, 8, 9]));
        assert_eq!(half(Validity::default(), Resampling::Nearest).0, Samples::U8(vec![1, 5, 7, 9]));
        assert_eq!(half(Validity::default(), Resampling::Mode).0, Samples::U8(vec![1, 5, 7, 9]));
        let mask = Some(&[0, 1, 0, 1, 0, 0, 1, 1, 1][..]);
        let (average, valid) = half(Validity { mask, nodata: None }, Resampling::Average);
        assert_eq!((average, valid), (Samples::U8(vec![3, 0, 8, 9]), Some(vec![1, 0, 1, 1])));
        let (_, valid) = half(Validity { mask, nodata: None }, Resampling::Nearest);
        assert_eq!(valid, Some(vec![0, 0, 1, 1]));
        assert!(
            halve(&Samples::U8(vec![]), Size::new(0, 3), 1, Validity::default(), Resampling::Average)
                .0
                .is_empty()
        );
    }

    #[test]
    fn the_fast_way_and_the_careful_way_agree() {
        let nodata = NoData::new("200").unwrap();
        for depth in 1..6 {
            for size in [Size::new(1, 1), Size::new(7, 4), Size::new(6, 5), Size::new(9, 9)] {
                let len = usize::try_from(size.pixels()).unwrap() * depth;
                let block = Samples::U8((0..len).map(|i| u8::try_from(i * i % 199).unwrap()).collect());
                let fast = halve(&block, size, depth, Validity::default(), Resampling::Average);
                let careful = Validity { nodata: Some(&nodata), mask: None };
                assert_eq!(fast, halve(&block, size, depth, careful, Resampling::Average), "{depth} {size}");
            }
        }
    }

    #[test]
    fn means_stay_in_range_and_off_nodata() {
        let check = |block: Samples, nodata: Option<&str>, expected: Samples| {
            let nodata = nodata.and_then(NoData::new);
            let valid = Validity { nodata: nodata.as_ref(), mask: None };
            assert_eq!(halve(&block, Size::new(2, 2), 1, valid, Resampling::Average).0, expected);
        };
        check(Samples::U64(vec![u64::MAX; 4]), None, Samples::U64(vec![u64::MAX]));
        check(Samples::I64(vec![i64::MIN; 4]), Some("0"), Samples::I64(vec![i64::MIN]));
        check(Samples::F64(vec![f64::MAX; 4]), None, Samples::F64(vec![f64::MAX]));
        check(Samples::F64(vec![f64::MAX; 4]), Some("0"), Samples::F64(vec![f64::MAX]));
        check(Samples::U8(vec![254, 255, 255, 0]), Some("0"), Samples::U8(vec![255]));
        check(Samples::U8(vec![255, 0, 255, 255]), Some("255"), Samples::U8(vec![0]));
        check(Samples::I16(vec![1, 2, 3, 2]), Some("2"), Samples::I16(vec![3]));
        check(Samples::I16(vec![-1, 1, -4, -2]), None, Samples::I16(vec![-2]));
    }
}
