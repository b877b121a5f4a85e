//! Halving sample by sample, with nothing in mind but the rules: what the fast way is held against.

use super::overview::{Validity, halve};
use crate::grid::Size;
use crate::options::Resampling;
use crate::sample::{NoData, Sample, SampleType, Samples, with_sample_type, with_samples};

/// One sample of the halved block, from nothing but the rules.
fn one<T: Sample>(block: &[(T, bool, usize)], nodata: Option<T>, method: Resampling, is_plain: bool) -> T {
    let counted: Vec<_> =
        block.iter().filter(|(v, valid, _)| *valid && !nodata.is_some_and(|n| v.is_nodata(n))).collect();
    let times = |v: T, upto: usize| counted.iter().take(upto).filter(|other| other.0.same(v)).count();
    if counted.is_empty() {
        return nodata.unwrap_or(T::zeroed());
    }
    let value = if method == Resampling::Average {
        let row = |row: usize| {
            let values = || counted.iter().filter(|v| v.2 == row).map(|v| v.0.widen());
            let start = if is_plain { None } else { Some(T::Sum::default()) };
            start.into_iter().chain(values()).reduce(|a, b| a + b).unwrap_or_default()
        };
        let count = u8::try_from(counted.len()).unwrap();
        let mean = T::mean(row(0) + row(1), count);
        let shares = || counted.iter().map(|v| v.0.to_f64() / f64::from(count));
        let is_too_large = T::TYPE == SampleType::F64 && mean.to_f64().is_infinite();
        if is_too_large && shares().all(f64::is_finite) { T::from_f64_nearest(shares().sum()) } else { mean }
    } else {
        let most = (0..counted.len()).map(|at| times(counted[at].0, at + 1)).max().unwrap();
        let at = (0..counted.len()).find(|&at| times(counted[at].0, at + 1) == most).unwrap();
        counted[at].0
    };
    if nodata.is_some_and(|n| value.is_nodata(n)) { value.neighbour() } else { value }
}

fn by_one<T: Sample>(v: &[T], size: Size, depth: usize, valid: Validity<'_>, method: Resampling) -> Vec<T> {
    let (width, height) = (size.width as usize, size.height as usize);
    let nodata = valid.nodata.and_then(NoData::sample);
    // Rows of whole blocks, where nothing can be missing.
    let is_plain = |x: usize, y: usize| {
        valid.nodata.is_none() && valid.mask.is_none() && x + 1 < width && y + 1 < height
    };
    let mut out = Vec::new();
    for (y, x) in (0..height).step_by(2).flat_map(|y| (0..width).step_by(2).map(move |x| (y, x))) {
        let pixels = [(y, x), (y, x + 1), (y + 1, x), (y + 1, x + 1)];
        let pixels = || pixels.iter().filter(|(y, x)| *y < height && *x < width);
        out.extend((0..depth).map(|band| {
            let at = |&(row, x): &(usize, usize)| {
                let pixel = row * width + x;
                (v[pixel * depth + band], valid.mask.is_none_or(|mask| mask[pixel] != 0), row - y)
            };
            let block: Vec<_> = pixels().map(at).collect();
            if method == Resampling::Nearest {
                block[0].0
            } else {
                one(&block, nodata, method, is_plain(x, y))
            }
        }));
    }
    out
}

#[test]
fn a_halved_block_is_what_its_samples_are_one_by_one() {
    let mut state = 1_u64;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % end
    };
    let values = [0.0, 7.0, 3.0, 250.0, f64::NAN, 7.000_000_5, -0.0, f64::MAX, f64::INFINITY, -f64::MAX];
    for round in 0..3_000 {
        let kind = SampleType::ALL[round % SampleType::ALL.len()];
        let sides = [1, 2, 3, 10, 64, 65, 150];
        let size = [0, 1].map(|_| u32::try_from(sides[below(sides.len())]).unwrap());
        let (size, depth) = (Size::new(size[0], size[1].min(7)), 1 + below(5));
        let pixels = usize::try_from(size.pixels()).unwrap();
        // Stretches of the same value, so that whole spans are valid or not.
        let (few, stretch) = (1 + below(values.len()), 1 + below(200));
        let is_masked = below(2) == 0;
        let mut value = 0.0;
        let mut numbers = |at: usize| {
            value = if at.is_multiple_of(stretch) { values[below(few)] } else { value };
            value
        };
        let samples = with_sample_type!(kind, T => {
            Sample::wrap((0..pixels * depth).map(|at| T::from_f64_nearest(numbers(at))).collect())
        });
        let mask: Option<Vec<u8>> =
            is_masked.then(|| (0..pixels).map(|at| [0, 255][usize::from(numbers(at) > 5.0)]).collect());
        let nodata = [None, NoData::new("7"), NoData::new("nan"), NoData::new("0")][below(4)].clone();
        let valid = Validity { nodata: nodata.as_ref(), mask: mask.as_deref() };
        let method = [Resampling::Average, Resampling::Mode, Resampling::Nearest][below(3)];
        let (half, half_mask) = halve(&samples, size, depth, valid, method);
        let place = || {
            format!(
                "round {round}: {kind:?} x {depth}, {size}, {method:?}, {nodata:?}, {samples:?}, {mask:?}"
            )
        };
        with_samples!(&samples, v => {
            let expected = by_one(v, size, depth, valid, method);
            let same = |(a, b): (&_, &_)| {
                bytemuck::bytes_of(a) == bytemuck::bytes_of(b) || Sample::to_f64(*a).is_nan()
            };
            let half = of_type(v, &half);
            assert!(half.len() == expected.len() && half.iter().zip(&expected).all(same), "{}: {half:?}", place());
        });
        let expected = mask.as_ref().map(|mask| {
            let method = if method == Resampling::Nearest { method } else { Resampling::Average };
            let largest = by_one(
                &mask.iter().map(|v| u64::from(*v)).collect::<Vec<_>>(),
                size,
                1,
                Validity::default(),
                method,
            );
            largest.iter().map(|v| u8::from(*v > 0)).collect::<Vec<_>>()
        });
        assert_eq!(half_mask, expected, "{}", place());
    }
}

/// Samples as the type of others.
fn of_type<'a, T: Sample>(_: &[T], samples: &'a Samples) -> &'a [T] {
    T::unwrap_ref(samples).unwrap()
}
