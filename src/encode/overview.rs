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

    let halved = with_samples!(samples, v => Sample::wrap(halved(v, shape, valid, method)));
    (halved, valid.mask.map(|mask| halved_mask(mask, shape, method)))
}

/// Pixels across and down, and samples of a pixel.
#[derive(Clone, Copy)]
struct Shape {
    width: usize,
    height: usize,
    depth: usize,
}

impl Shape {
    /// Samples of a row.
    fn row(self) -> usize {
        self.width * self.depth
    }

    /// Samples of a halved row.
    fn half_row(self) -> usize {
        self.width.div_ceil(2) * self.depth
    }

    /// Blocks of a pair of rows that are two pixels wide; none where the second row is missing.
    fn whole_blocks(self, bottom: usize) -> usize {
        if bottom == 0 { 0 } else { self.width / 2 }
    }
}

fn halved<T: Sample>(input: &[T], shape: Shape, valid: Validity<'_>, method: Resampling) -> Vec<T> {
    let mut out = vec![T::zeroed(); shape.half_row() * shape.height.div_ceil(2)];
    match method {
        Resampling::Nearest => nearest(input, shape, &mut out),
        Resampling::Average if valid.mask.is_none() && valid.nodata.is_none() => {
            reduce::<T, Mean<false>>(input, shape, valid, &mut out);
        }
        Resampling::Average => reduce::<T, Mean<true>>(input, shape, valid, &mut out),
        Resampling::Mode => reduce::<T, Mode>(input, shape, valid, &mut out),
    }
    out
}

fn halved_mask(mask: &[u8], shape: Shape, method: Resampling) -> Vec<u8> {
    let shape = Shape { depth: 1, ..shape };
    let mut out = vec![0; shape.half_row() * shape.height.div_ceil(2)];
    if method == Resampling::Nearest {
        nearest(mask, shape, &mut out);
        for valid in &mut out {
            *valid = u8::from(*valid != 0);
        }
        return out;
    }
    for (rows, out) in mask.chunks(shape.row().max(1) * 2).zip(out.chunks_exact_mut(shape.half_row().max(1)))
    {
        let (top, bottom) = rows.split_at(shape.row());
        let whole = shape.whole_blocks(bottom.len());
        let blocks = top.as_chunks::<2>().0.iter().zip(bottom.as_chunks::<2>().0);
        for (out, ([a, b], [c, d])) in out.iter_mut().zip(blocks) {
            *out = u8::from(a | b | c | d != 0);
        }
        for (out, x) in out.iter_mut().zip(0..).skip(whole) {
            let block = [top.get(x * 2), top.get(x * 2 + 1), bottom.get(x * 2), bottom.get(x * 2 + 1)];
            *out = u8::from(block.into_iter().flatten().any(|&valid| valid != 0));
        }
    }
    out
}

fn nearest<T: Copy>(input: &[T], shape: Shape, out: &mut [T]) {
    match shape.depth {
        1 => nearest_of::<T, 1>(input, shape, out),
        3 => nearest_of::<T, 3>(input, shape, out),
        4 => nearest_of::<T, 4>(input, shape, out),
        depth => {
            let rows = input.chunks_exact(shape.row().max(1)).step_by(2);
            let pixels = rows.flat_map(|row| row.chunks_exact(depth).step_by(2));
            out.chunks_exact_mut(depth.max(1)).zip(pixels).for_each(|(to, from)| to.copy_from_slice(from));
        }
    }
}

fn nearest_of<T: Copy, const DEPTH: usize>(input: &[T], shape: Shape, out: &mut [T]) {
    let rows = input.chunks_exact(shape.row().max(1)).step_by(2);
    for (row, out) in rows.zip(out.chunks_exact_mut(shape.half_row().max(1))) {
        let pixels = row.as_chunks::<DEPTH>().0.chunks(2);
        for (to, from) in out.as_chunks_mut::<DEPTH>().0.iter_mut().zip(pixels) {
            *to = from[0];
        }
    }
}

/// How one sample is made of a block's, which stand row by row.
trait Reduce<T> {
    /// Of a block whose samples all count.
    fn of_all(block: [T; 4]) -> T;

    /// Of those that count, at least one.
    fn of_some(block: [T; 4], counts: [bool; 4]) -> T;
}

/// The mean. Rows are summed first: GDAL's order, which decides a float's last bit. Where there is a mask or a nodata value
/// (`POSITIVE`), the sum starts at 0, so that the mean of negative zeros is positive, as in GDAL.
struct Mean<const POSITIVE: bool>;

impl<T: Sample, const POSITIVE: bool> Reduce<T> for Mean<POSITIVE> {
    #[inline]
    fn of_all([a, b, c, d]: [T; 4]) -> T {
        let sum = (a.widen() + b.widen()) + (c.widen() + d.widen());
        T::mean(if POSITIVE { sum + T::Sum::default() } else { sum }, 4)
    }

    #[inline]
    fn of_some(block: [T; 4], counts: [bool; 4]) -> T {
        let value = |at: usize| if counts[at] { block[at].widen() } else { T::Sum::default() };
        let zero = T::Sum::default();
        let sum = ((zero + value(0)) + value(1)) + ((zero + value(2)) + value(3));
        let mean = match counts.iter().map(|&counts| u8::from(counts)).sum() {
            1 => T::mean(sum, 1),
            2 => T::mean(sum, 2),
            3 => T::mean(sum, 3),
            _ => T::mean(sum, 4),
        };
        if T::TYPE == SampleType::F64 { in_range(mean, block, counts) } else { mean }
    }
}

/// The mean as it is, unless the sum of finite doubles became infinite: then taken from shares.
fn in_range<T: Sample>(mean: T, block: [T; 4], counts: [bool; 4]) -> T {
    let values =
        || block.into_iter().zip(counts).filter(|(_, counts)| *counts).map(|(value, _)| value.to_f64());
    if mean.to_f64().is_infinite() && values().all(f64::is_finite) {
        #[expect(clippy::cast_precision_loss, reason = "there are at most four")]
        let count = values().count() as f64;
        return T::from_f64_nearest(values().map(|value| value / count).sum());
    }
    mean
}

/// The most frequent; of several, the one that is the first to have come so often.
struct Mode;

impl<T: Sample> Reduce<T> for Mode {
    #[inline]
    fn of_all(block: [T; 4]) -> T {
        Self::of_some(block, [true; 4])
    }

    // Without a loop or a branch, so that it is done for many blocks at once.
    #[inline]
    fn of_some([a, b, c, d]: [T; 4], [in_a, in_b, in_c, in_d]: [bool; 4]) -> T {
        let pair = |counts: bool, x: T, y: T| u8::from(counts & x.same(y));
        let (mut best, mut most) = (a, u8::from(in_a));
        let mut next = |value: T, count: u8| {
            best = if count > most { value } else { best };
            most = most.max(count);
        };
        next(b, u8::from(in_b) + pair(in_a & in_b, a, b));
        next(c, u8::from(in_c) + pair(in_a & in_c, a, c) + pair(in_b & in_c, b, c));
        next(d, u8::from(in_d) + pair(in_a & in_d, a, d) + pair(in_b & in_d, b, d) + pair(in_c & in_d, c, d));
        best
    }
}

/// Blocks that are looked at together: where all samples count, or none does, none is looked at by itself.
const SPAN: usize = 32;

fn reduce<T: Sample, R: Reduce<T>>(input: &[T], shape: Shape, valid: Validity<'_>, out: &mut [T]) {
    let nodata: Option<T> = valid.nodata.and_then(NoData::sample);
    let (width, depth) = (shape.width, shape.depth);
    if width == 0 || depth == 0 {
        return;
    }
    let masks = |row: usize| valid.mask.map(|mask| mask.get(row * width..).unwrap_or_default());
    let pairs = input.chunks(shape.row() * 2).zip(out.chunks_exact_mut(shape.half_row()));
    for ((rows, out), y) in pairs.zip((0..).step_by(2)) {
        let (top, bottom) = rows.split_at(shape.row());
        let whole = shape.whole_blocks(bottom.len());
        for start in (0..whole).step_by(SPAN) {
            let end = whole.min(start + SPAN);
            let span = Span {
                top: &top[start * 2 * depth..end * 2 * depth],
                bottom: &bottom[start * 2 * depth..end * 2 * depth],
                masks: masks(y).zip(masks(y + 1)).map(|(a, b)| [a, b].map(|mask| &mask[start * 2..end * 2])),
                depth,
                nodata,
            };
            span.reduce::<R>(&mut out[start * depth..end * depth]);
        }
        // An odd edge.
        for x in whole..width.div_ceil(2) {
            let pixel = |right: usize, down: usize| {
                let column = x * 2 + right;
                let row = if down == 0 { top } else { bottom };
                let samples = row.get(column * depth..(column + 1) * depth).filter(|_| column < width)?;
                let is_masked = masks(y + down).is_some_and(|mask| mask[column] == 0);
                Some(samples).filter(|_| !is_masked)
            };
            let pixels = [pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)];
            for band in 0..depth {
                let block = pixels.map(|pixel| pixel.map_or(T::zeroed(), |pixel| pixel[band]));
                out[x * depth + band] = of_valid::<T, R>(block, pixels.map(|pixel| pixel.is_some()), nodata);
            }
        }
    }
}

/// One sample of a block's samples that are neither masked nor nodata.
#[inline]
fn of_valid<T: Sample, R: Reduce<T>>(block: [T; 4], mut counts: [bool; 4], nodata: Option<T>) -> T {
    if let Some(nodata) = nodata {
        for (counts, value) in counts.iter_mut().zip(block) {
            *counts &= !value.is_nodata(nodata);
        }
    }
    if counts == [false; 4] {
        return nodata.unwrap_or(T::zeroed());
    }
    let value = R::of_some(block, counts);
    if nodata.is_some_and(|nodata| value.is_nodata(nodata)) { value.neighbour() } else { value }
}

/// Some blocks of two by two pixels, side by side.
struct Span<'a, T> {
    top: &'a [T],
    bottom: &'a [T],
    /// The rows' masks.
    masks: Option<[&'a [u8]; 2]>,
    depth: usize,
    nodata: Option<T>,
}

impl<T: Sample> Span<'_, T> {
    fn reduce<R: Reduce<T>>(&self, out: &mut [T]) {
        let masked = self.masks.map_or(0, |[top, bottom]| count(top, |v| v == 0) + count(bottom, |v| v == 0));
        let missing = self.nodata.map_or(0, |nodata| {
            count(self.top, |v| v.is_nodata(nodata)) + count(self.bottom, |v| v.is_nodata(nodata))
        });
        if masked * self.depth == self.top.len() * 2 || missing == self.top.len() * 2 {
            out.fill(self.nodata.unwrap_or(T::zeroed()));
        } else if masked > 0 || missing > 0 {
            self.reduce_valid::<R>(out);
        } else {
            match self.depth {
                1 => self.reduce_all::<R, 1>(out),
                3 => self.reduce_all::<R, 3>(out),
                4 => self.reduce_all::<R, 4>(out),
                _ => self.reduce_bands::<R>(out),
            }
            self.set_right::<R>(out);
        }
    }

    /// Where every sample counts and the depth is known: in a loop that vectorises.
    fn reduce_all<R: Reduce<T>, const DEPTH: usize>(&self, out: &mut [T]) {
        let pairs = |row| <[T]>::as_chunks::<DEPTH>(row).0.as_chunks::<2>().0;
        let blocks = pairs(self.top).iter().zip(pairs(self.bottom));
        for (out, ([a, b], [c, d])) in out.as_chunks_mut::<DEPTH>().0.iter_mut().zip(blocks) {
            for band in 0..DEPTH {
                out[band] = R::of_all([a[band], b[band], c[band], d[band]]);
            }
        }
    }

    /// Where every sample counts.
    fn reduce_bands<R: Reduce<T>>(&self, out: &mut [T]) {
        self.blocks(out, |out, _, [a, b, c, d]| {
            for ((out, (a, b)), (c, d)) in out.iter_mut().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
                *out = R::of_all([*a, *b, *c, *d]);
            }
        });
    }

    /// What a loop over samples that all count leaves undone: means out of range, and those that are nodata.
    fn set_right<R: Reduce<T>>(&self, out: &mut [T]) {
        if T::TYPE == SampleType::F64 && count(out, |v| v.to_f64().is_infinite()) > 0 {
            self.blocks(out, |out, _, block| {
                for (band, out) in out.iter_mut().enumerate().filter(|(_, v)| v.to_f64().is_infinite()) {
                    *out = R::of_some(block.map(|pixel| pixel[band]), [true; 4]);
                }
            });
        }
        if let Some(nodata) = self.nodata
            && count(out, |v| v.is_nodata(nodata)) > 0
        {
            out.iter_mut().filter(|v| v.is_nodata(nodata)).for_each(|v| *v = v.neighbour());
        }
    }

    /// Sample by sample.
    fn reduce_valid<R: Reduce<T>>(&self, out: &mut [T]) {
        self.blocks(out, |out, x, block| {
            let counts = self.masks.map_or([true; 4], |[top, bottom]| {
                [top[x * 2], top[x * 2 + 1], bottom[x * 2], bottom[x * 2 + 1]].map(|valid| valid != 0)
            });
            for (band, out) in out.iter_mut().enumerate() {
                *out = of_valid::<T, R>(block.map(|pixel| pixel[band]), counts, self.nodata);
            }
        });
    }

    /// Calls `make` with each of the halved pixels, its number, and the four that it is made of.
    fn blocks(&self, out: &mut [T], mut make: impl FnMut(&mut [T], usize, [&[T]; 4])) {
        let depth = self.depth;
        let rows = self.top.chunks_exact(depth * 2).zip(self.bottom.chunks_exact(depth * 2));
        for ((out, (top, bottom)), x) in out.chunks_exact_mut(depth).zip(rows).zip(0..) {
            let ((a, b), (c, d)) = (top.split_at(depth), bottom.split_at(depth));
            make(out, x, [a, b, c, d]);
        }
    }
}

/// How many values are of a kind.
fn count<T: Copy>(values: &[T], is: impl Fn(T) -> bool) -> usize {
    values.iter().map(|&value| u32::from(is(value))).sum::<u32>() as usize
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
