//! Sample types: the one list of what a pixel's number can be, and vectors of them.

mod nodata;

use std::fmt;

use half::f16;

pub use nodata::NoData;

/// One number of one pixel, as it lies in memory. A complex number is a pair: its real and its imaginary part.
pub trait Sample: bytemuck::Pod + PartialEq + PartialOrd + fmt::Debug + Send + Sync + 'static {
    /// Which type this is.
    const TYPE: SampleType;

    /// Its value, rounded to the nearest `f64` (64-bit integers beyond 2^53 are not exact). Of a complex number, the
    /// real part.
    fn to_f64(self) -> f64;

    /// The nearest sample to a value: half-way cases of integers go up, and values out of range become the
    /// nearest end. A complex sample gets an imaginary part of 0.
    fn from_f64_nearest(value: f64) -> Self;

    /// The sample that a text names exactly; `None` when the type cannot hold it.
    fn parse(text: &str) -> Option<Self>;

    /// The sample that GDAL masks when a file declares a nodata value: `text` begins with a number, which `value` is.
    /// `None` when it masks none.
    fn of_nodata(text: &str, value: f64) -> Option<Self>;

    /// Whether readers take it for the nodata value: equal, both NaN, or for floating point within GDAL's
    /// tolerance (`ARE_REAL_EQUAL`: twice single precision's epsilon times the sum, for double precision, too). Of complex numbers, the real parts
    /// are compared, as in GDAL's nodata masks.
    fn is_nodata(self, nodata: Self) -> bool;

    /// The nearest larger value (at the end of the range, smaller) that no reader takes for `self`: where to step
    /// aside to when a computed value happens to be the nodata value.
    #[must_use]
    fn neighbour(self) -> Self;

    /// Equal, or both NaN.
    fn same(self, other: Self) -> bool;

    /// A vector of this type as [`Samples`].
    fn wrap(samples: Vec<Self>) -> Samples;

    /// The samples as this type; `None` when they are of another.
    fn unwrap_ref(samples: &Samples) -> Option<&[Self]>;

    /// The samples as this type; none when they are of another.
    fn unwrap_mut(samples: &mut Samples) -> &mut [Self];
    /// Holds the sum of 255 samples: exactly for integers, in double precision for floats.
    type Sum: Copy + Default + std::ops::Add<Output = Self::Sum>;

    /// The sample as a sum of one.
    fn widen(self) -> Self::Sum;

    /// The mean of `count` samples, at least one, from their sum. Half-way cases of integers go away from
    /// zero, as in GDAL's overviews.
    fn mean(sum: Self::Sum, count: u8) -> Self;
}

/// GDAL's tolerance for nodata, of every floating-point type.
const TOLERANCE: f32 = f32::EPSILON;

/// What every sample type has: its name in the list, and its way into [`Samples`] and back.
macro_rules! vectors_of {
    ($variant:ident) => {
        const TYPE: SampleType = SampleType::$variant;
        fn wrap(samples: Vec<Self>) -> Samples {
            Samples::$variant(samples)
        }
        fn unwrap_ref(samples: &Samples) -> Option<&[Self]> {
            if let Samples::$variant(samples) = samples { Some(samples) } else { None }
        }
        fn unwrap_mut(samples: &mut Samples) -> &mut [Self] {
            if let Samples::$variant(samples) = samples { samples } else { &mut [] }
        }
    };
}

macro_rules! impl_sample {
    (int $variant:ident $ty:ty, $sum:ty) => {
        #[allow(
            clippy::allow_attributes,
            clippy::cast_lossless,
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            clippy::float_cmp,
            clippy::unnecessary_cast,
            unused_comparisons,
            reason = "one macro for all widths; what rounds or saturates is documented on the trait"
        )]
        impl Sample for $ty {
            vectors_of!($variant);
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn from_f64_nearest(value: f64) -> Self {
                (value + 0.5).floor() as $ty
            }
            fn parse(text: &str) -> Option<Self> {
                let text = text.trim();
                text.parse::<$ty>().ok().or_else(|| {
                    let value: f64 = text.parse().ok().filter(|_| size_of::<$ty>() < 8)?;
                    let sample = Self::from_f64_nearest(value);
                    (sample.to_f64() == value && value < <$ty>::MAX.to_f64() + 1.0).then_some(sample)
                })
            }
            fn of_nodata(text: &str, value: f64) -> Option<Self> {
                if size_of::<$ty>() == 8 {
                    // strtoll and strtoull: digits alone, and the ends of the range beyond it. A negative unsigned
                    // number counts down from the end.
                    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
                    let len = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
                    let number = digits[..len].parse::<u128>().unwrap_or(0).min(1 << 64);
                    let number =
                        i128::try_from(number).unwrap_or(0) * if text.starts_with('-') { -1 } else { 1 };
                    let saturated = number.clamp(<$ty>::MIN as i128, <$ty>::MAX as i128) as $ty;
                    return Some(if <$ty>::MIN == 0 && number < 0 { number as $ty } else { saturated });
                }
                // GDAL cuts fractions off. Of all types but int8 it asks first whether the value is in range.
                let asked = if Self::TYPE == SampleType::I8 { value.trunc() } else { value };
                (asked >= <$ty>::MIN as f64 && asked <= <$ty>::MAX as f64).then(|| value.trunc() as $ty)
            }
            #[inline]
            fn is_nodata(self, nodata: Self) -> bool {
                self == nodata
            }
            fn neighbour(self) -> Self {
                if self == <$ty>::MAX { self - 1 } else { self + 1 }
            }
            #[inline]
            fn same(self, other: Self) -> bool {
                self == other
            }
            type Sum = $sum;
            #[inline]
            fn widen(self) -> $sum {
                self.into()
            }
            #[inline]
            fn mean(sum: $sum, count: u8) -> Self {
                let (half, count) = (<$sum>::from(count / 2), <$sum>::from(count));
                ((if sum < 0 { sum - half } else { sum + half }) / count) as $ty
            }
        }
    };
    (float $variant:ident $ty:ty, $sum:ty) => {
        #[allow(
            clippy::allow_attributes,
            clippy::cast_lossless,
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            clippy::float_cmp,
            clippy::unnecessary_cast,
            reason = "one macro for all widths; what rounds or saturates is documented on the trait"
        )]
        impl Sample for $ty {
            vectors_of!($variant);
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn from_f64_nearest(value: f64) -> Self {
                value as $ty
            }
            fn parse(text: &str) -> Option<Self> {
                let value: f64 = text.trim().parse().ok()?;
                let sample = Self::from_f64_nearest(value);
                (sample.is_finite() == value.is_finite()).then_some(sample)
            }
            fn of_nodata(_: &str, value: f64) -> Option<Self> {
                // Beyond single precision's range it is infinite.
                Some(value as $ty)
            }
            #[inline]
            fn is_nodata(self, nodata: Self) -> bool {
                // Without a branch, so that many samples are compared at once.
                self.same(nodata) | ((self - nodata).abs() < TOLERANCE as $ty * (self + nodata).abs() * 2.0)
            }
            fn neighbour(self) -> Self {
                if self.is_infinite() {
                    return <$ty>::MAX.copysign(self);
                }
                // A little more than the tolerance, which is four of these wide.
                let far = self.abs() * (4.1 * TOLERANCE as $ty);
                let down = !(self + far).is_finite();
                let value = if down { self - far } else { self + far };
                // Near zero nothing has been added.
                let value = if value == self { value.next_up() } else { value };
                // Near the ends of the range the comparison itself overflows, and all of one sign is nodata.
                if value.is_nodata(self) { 0.0 } else { value }
            }
            #[inline]
            fn same(self, other: Self) -> bool {
                (self == other) | (self.is_nan() & other.is_nan())
            }
            type Sum = $sum;
            #[inline]
            fn widen(self) -> $sum {
                self.into()
            }
            #[inline]
            fn mean(sum: $sum, count: u8) -> Self {
                (sum / <$sum>::from(count)) as $ty
            }
        }
    };
    (half $variant:ident $ty:ty, $sum:ty) => {
        impl Sample for $ty {
            vectors_of!($variant);
            fn to_f64(self) -> f64 {
                self.into()
            }
            fn from_f64_nearest(value: f64) -> Self {
                Self::from_f64(value)
            }
            fn parse(text: &str) -> Option<Self> {
                let value: f64 = text.trim().parse().ok()?;
                let sample = Self::from_f64(value);
                (sample.is_finite() == value.is_finite()).then_some(sample)
            }
            fn of_nodata(_: &str, value: f64) -> Option<Self> {
                // GDAL compares in single precision with the value as it stands, which a half may not be able to hold.
                let sample = Self::from_f64(value);
                let in_range = sample.is_finite() == value.is_finite();
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "single precision is what is compared in"
                )]
                (in_range && f32::from(sample).is_nodata(value as f32)).then_some(sample)
            }
            #[inline]
            fn is_nodata(self, nodata: Self) -> bool {
                // GDAL compares half floats in single precision, in which two different ones are never within the
                // tolerance: the next half is 2^-11 away or more, relative to their value.
                self.same(nodata)
            }
            fn neighbour(self) -> Self {
                if self.is_nan() {
                    return self;
                }
                // Halves are so far apart that the next one is out of the tolerance.
                let down = self.to_f64() >= Self::MAX.to_f64();
                let bits = self.to_bits();
                let towards_zero = down != self.is_sign_negative();
                match bits {
                    0 | 0x8000 => Self::from_bits(if down { 0x8001 } else { 1 }),
                    bits if towards_zero => Self::from_bits(bits - 1),
                    bits => Self::from_bits(bits + 1),
                }
            }
            #[inline]
            fn same(self, other: Self) -> bool {
                // By their bits: equal, both a zero, or both NaN.
                let (a, b) = (self.to_bits(), other.to_bits());
                let (x, y) = (a & 0x7fff, b & 0x7fff);
                let infinite = Self::INFINITY.to_bits();
                (a == b) | (x | y == 0) | ((x > infinite) & (y > infinite))
            }
            type Sum = $sum;
            #[inline]
            fn widen(self) -> $sum {
                self.into()
            }
            #[inline]
            fn mean(sum: $sum, count: u8) -> Self {
                Self::from_f64(sum / <$sum>::from(count))
            }
        }
    };
    (complex $variant:ident $ty:ty, $sum:ty) => {
        impl Sample for $ty {
            vectors_of!($variant);
            fn to_f64(self) -> f64 {
                self[0].to_f64()
            }
            fn from_f64_nearest(value: f64) -> Self {
                [Sample::from_f64_nearest(value), Sample::from_f64_nearest(0.0)]
            }
            fn parse(text: &str) -> Option<Self> {
                Some([Sample::parse(text)?, Sample::from_f64_nearest(0.0)])
            }
            fn of_nodata(text: &str, value: f64) -> Option<Self> {
                Some([Sample::of_nodata(text, value)?, Sample::from_f64_nearest(0.0)])
            }
            #[inline]
            fn is_nodata(self, nodata: Self) -> bool {
                self[0].is_nodata(nodata[0])
            }
            fn neighbour(self) -> Self {
                [self[0].neighbour(), self[1]]
            }
            #[inline]
            fn same(self, other: Self) -> bool {
                self[0].same(other[0]) && self[1].same(other[1])
            }
            type Sum = Pair<$sum>;
            #[inline]
            fn widen(self) -> Pair<$sum> {
                Pair(self[0].widen(), self[1].widen())
            }
            #[inline]
            fn mean(sum: Pair<$sum>, count: u8) -> Self {
                [Sample::mean(sum.0, count), Sample::mean(sum.1, count)]
            }
        }
    };
}

/// The sums of both parts of complex numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pair<S>(S, S);

impl<S: std::ops::Add<Output = S>> std::ops::Add for Pair<S> {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1)
    }
}

macro_rules! sample_types {
    ($($kind:ident $variant:ident $ty:ty, $sum:ty, $bits:literal, $format:literal, $name:literal, $doc:literal;)*) => {
        /// The type of a sample.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SampleType {
            $(#[doc = $doc] $variant,)*
        }

        impl SampleType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Bytes of one sample.
            #[must_use]
            pub const fn bytes(self) -> usize {
                match self { $(Self::$variant => size_of::<$ty>(),)* }
            }

            /// TIFF's BitsPerSample and SampleFormat (1 unsigned, 2 signed, 3 floating point, 5 complex integer,
            /// 6 complex floating point).
            #[must_use]
            pub const fn tiff(self) -> (u16, u16) {
                match self { $(Self::$variant => ($bits, $format),)* }
            }

            /// numpy's name: `uint16`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        $(impl_sample!($kind $variant $ty, $sum);)*

        /// A vector of samples of one type, in the machine's byte order.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Samples {
            $(#[doc = $doc] $variant(Vec<$ty>),)*
        }

        impl Samples {
            /// `len` zeros of a type.
            #[must_use]
            pub fn zeroed(sample: SampleType, len: usize) -> Self {
                match sample { $(SampleType::$variant => Self::$variant(vec![<$ty as bytemuck::Zeroable>::zeroed(); len]),)* }
            }

            /// Their type.
            #[must_use]
            pub fn sample_type(&self) -> SampleType {
                match self { $(Self::$variant(_) => SampleType::$variant,)* }
            }

            /// Their number.
            #[must_use]
            pub fn len(&self) -> usize {
                match self { $(Self::$variant(v) => v.len(),)* }
            }

            /// Whether there are none.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Their bytes, in the machine's byte order.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8] {
                match self { $(Self::$variant(v) => bytemuck::cast_slice(v),)* }
            }

            /// Their bytes, in the machine's byte order.
            pub fn as_bytes_mut(&mut self) -> &mut [u8] {
                match self { $(Self::$variant(v) => bytemuck::cast_slice_mut(v),)* }
            }
        }
    };
}

sample_types! {
    int U8 u8, u32, 8, 1, "uint8", "8-bit unsigned.";
    int U16 u16, u32, 16, 1, "uint16", "16-bit unsigned.";
    int U32 u32, u64, 32, 1, "uint32", "32-bit unsigned.";
    int U64 u64, u128, 64, 1, "uint64", "64-bit unsigned.";
    int I8 i8, i32, 8, 2, "int8", "8-bit signed.";
    int I16 i16, i32, 16, 2, "int16", "16-bit signed.";
    int I32 i32, i64, 32, 2, "int32", "32-bit signed.";
    int I64 i64, i128, 64, 2, "int64", "64-bit signed.";
    half F16 f16, f64, 16, 3, "float16", "IEEE 754 half precision.";
    float F32 f32, f64, 32, 3, "float32", "IEEE 754 single precision.";
    float F64 f64, f64, 64, 3, "float64", "IEEE 754 double precision.";
    complex CI16 [i16; 2], i32, 32, 5, "complex_int16", "Complex, of 16-bit signed integers.";
    complex CI32 [i32; 2], i64, 64, 5, "complex_int32", "Complex, of 32-bit signed integers.";
    complex CF32 [f32; 2], f64, 64, 6, "complex64", "Complex, of IEEE 754 single precision.";
    complex CF64 [f64; 2], f64, 128, 6, "complex128", "Complex, of IEEE 754 double precision.";
}

impl SampleType {
    /// Whether it is a floating-point type, and not complex.
    #[must_use]
    pub const fn is_float(self) -> bool {
        self.tiff().1 == 3
    }

    /// Whether a sample is a complex number.
    #[must_use]
    pub const fn is_complex(self) -> bool {
        self.tiff().1 > 4
    }

    /// Whether it can be negative.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        self.tiff().1 != 1
    }
}

/// Runs an expression with a name bound to the Rust type of a [`SampleType`]:
/// `with_sample_type!(kind, T => go::<T>(bytes))`.
macro_rules! with_sample_type {
    ($value:expr, $t:ident => $body:expr) => {
        match $value {
            $crate::sample::SampleType::U8 => {
                type $t = u8;
                $body
            }
            $crate::sample::SampleType::U16 => {
                type $t = u16;
                $body
            }
            $crate::sample::SampleType::U32 => {
                type $t = u32;
                $body
            }
            $crate::sample::SampleType::U64 => {
                type $t = u64;
                $body
            }
            $crate::sample::SampleType::I8 => {
                type $t = i8;
                $body
            }
            $crate::sample::SampleType::I16 => {
                type $t = i16;
                $body
            }
            $crate::sample::SampleType::I32 => {
                type $t = i32;
                $body
            }
            $crate::sample::SampleType::I64 => {
                type $t = i64;
                $body
            }
            $crate::sample::SampleType::F32 => {
                type $t = f32;
                $body
            }
            $crate::sample::SampleType::F64 => {
                type $t = f64;
                $body
            }
            $crate::sample::SampleType::F16 => {
                type $t = half::f16;
                $body
            }
            $crate::sample::SampleType::CI16 => {
                type $t = [i16; 2];
                $body
            }
            $crate::sample::SampleType::CI32 => {
                type $t = [i32; 2];
                $body
            }
            $crate::sample::SampleType::CF32 => {
                type $t = [f32; 2];
                $body
            }
            $crate::sample::SampleType::CF64 => {
                type $t = [f64; 2];
                $body
            }
        }
    };
}

/// Runs an expression with a name bound to the vector inside [`Samples`].
macro_rules! with_samples {
    ($value:expr, $v:ident => $body:expr) => {
        match $value {
            $crate::sample::Samples::U8($v) => $body,
            $crate::sample::Samples::U16($v) => $body,
            $crate::sample::Samples::U32($v) => $body,
            $crate::sample::Samples::U64($v) => $body,
            $crate::sample::Samples::I8($v) => $body,
            $crate::sample::Samples::I16($v) => $body,
            $crate::sample::Samples::I32($v) => $body,
            $crate::sample::Samples::I64($v) => $body,
            $crate::sample::Samples::F32($v) => $body,
            $crate::sample::Samples::F64($v) => $body,
            $crate::sample::Samples::F16($v) => $body,
            $crate::sample::Samples::CI16($v) => $body,
            $crate::sample::Samples::CI32($v) => $body,
            $crate::sample::Samples::CF32($v) => $body,
            $crate::sample::Samples::CF64($v) => $body,
        }
    };
}

pub(crate) use {with_sample_type, with_samples};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_nodata_within_single_precision_s_epsilon() {
        // As GDAL 3.12 masks them: up to 4.77e-7 off.
        for nodata in [7.0, -9999.0, 1e6, 1e-5] {
            assert!(
                (nodata * (1.0 + 4.57e-7)).is_nodata(nodata) && (nodata * (1.0 - 4.57e-7)).is_nodata(nodata)
            );
            assert!(
                !(nodata * (1.0 + 4.79e-7)).is_nodata(nodata)
                    && !(nodata * (1.0 - 4.79e-7)).is_nodata(nodata)
            );
        }
        for nodata in
            [7.0, -9999.0, 0.0, f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, -1e-310]
        {
            let aside = nodata.neighbour();
            assert!(!aside.is_nodata(nodata) && aside.is_finite(), "{nodata} {aside}");
            assert!(
                (aside - nodata).abs() <= nodata.abs() * 6e-7 + 1e-300 || nodata.abs() >= f64::MAX,
                "{nodata} {aside}"
            );
        }
        for nodata in [7.0_f32, 0.0, f32::MAX, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, 1e-45] {
            let aside = nodata.neighbour();
            assert!(!aside.is_nodata(nodata) && aside.is_finite(), "{nodata} {aside}");
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the next one is one value")]
    fn the_neighbour_of_a_half_is_the_next_one() {
        let check = |value: f64, next: f64| {
            assert_eq!(f16::from_f64(value).neighbour().to_f64(), next);
        };
        check(1.0, 1.0 + f64::from(f16::EPSILON));
        check(-1.0, -1.0 + f64::from(f16::EPSILON) / 2.0);
        check(65504.0, 65472.0);
        check(-65504.0, -65472.0);
        check(f64::INFINITY, 65504.0);
        check(0.0, f16::MIN_POSITIVE_SUBNORMAL.to_f64());
        assert!(f16::NAN.neighbour().is_nan());
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "equal is what is asked")]
    fn halves_are_nodata_as_in_single_precision() {
        // GDAL converts both and compares with its tolerance.
        for nodata in
            [0, 0x8000, 1, 0x03ff, 0x0400, 0x3c00, 0xbc01, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfc01]
        {
            let nodata = f16::from_bits(nodata);
            for bits in 0..=u16::MAX {
                let half = f16::from_bits(bits);
                let (a, b) = (f32::from(half), f32::from(nodata));
                assert_eq!(half.is_nodata(nodata), a.is_nodata(b), "{half} {nodata}");
                assert_eq!(half.same(nodata), a == b || a.is_nan() && b.is_nan(), "{half} {nodata}");
            }
        }
    }

    #[test]
    fn rounding_is_half_up_and_saturates() {
        assert_eq!([2.5, -2.5, 300.0, -300.0].map(i8::from_f64_nearest), [3, -2, 127, -128]);
    }
}
