//! Sample types: the one list of what a pixel's number can be, and vectors of them.

use std::fmt;

/// One number of one pixel, as it lies in memory.
pub trait Sample: bytemuck::Pod + PartialEq + PartialOrd + fmt::Debug + Send + Sync + 'static {
    /// Which type this is.
    const TYPE: SampleType;

    /// Its value, rounded to the nearest `f64` (64-bit integers beyond 2^53 are not exact).
    fn to_f64(self) -> f64;

    /// The nearest sample to a value: half-way cases of integers go up, and values out of range become the
    /// nearest end.
    fn from_f64_nearest(value: f64) -> Self;

    /// The sample that a text names exactly; `None` when the type cannot hold it.
    fn parse(text: &str) -> Option<Self>;

    /// Whether readers take it for the nodata value: equal, both NaN, or for floating point within GDAL's
    /// tolerance (`ARE_REAL_EQUAL`: twice the machine's epsilon times the sum).
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
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn from_f64_nearest(value: f64) -> Self {
                (value + 0.5).floor() as $ty
            }
            fn parse(text: &str) -> Option<Self> {
                let text = text.trim();
                text.parse::<$ty>().ok().or_else(|| {
                    // GDAL reads a 64-bit nodata value as an integer, and of "9.2e18" just the 9. A text on which
                    // readers disagree marks nothing.
                    let value: f64 = text.parse().ok().filter(|_| size_of::<$ty>() < 8)?;
                    let sample = Self::from_f64_nearest(value);
                    (sample.to_f64() == value && value < <$ty>::MAX.to_f64() + 1.0).then_some(sample)
                })
            }
            fn is_nodata(self, nodata: Self) -> bool {
                self == nodata
            }
            fn neighbour(self) -> Self {
                if self == <$ty>::MAX { self - 1 } else { self + 1 }
            }
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
            fn is_nodata(self, nodata: Self) -> bool {
                self.same(nodata) || (self - nodata).abs() < <$ty>::EPSILON * (self + nodata).abs() * 2.0
            }
            fn neighbour(self) -> Self {
                let down = self == <$ty>::MAX || self == <$ty>::INFINITY;
                let step = |value: $ty| if down { value.next_down() } else { value.next_up() };
                let mut value = step(self);
                // A dozen steps at most: the tolerance is four epsilons wide.
                while value.is_nodata(self) && value.is_finite() {
                    value = step(value);
                }
                value
            }
            fn same(self, other: Self) -> bool {
                self == other || (self.is_nan() && other.is_nan())
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

            /// TIFF's BitsPerSample and SampleFormat (1 unsigned, 2 signed, 3 floating point).
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
    float F32 f32, f64, 32, 3, "float32", "IEEE 754 single precision.";
    float F64 f64, f64, 64, 3, "float64", "IEEE 754 double precision.";
}

impl SampleType {
    /// Whether it is a floating-point type.
    #[must_use]
    pub const fn is_float(self) -> bool {
        self.tiff().1 == 3
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
        }
    };
}

pub(crate) use {with_sample_type, with_samples};

/// The value that marks a sample as "no data", as the text of tag 42113 (`GDAL_NODATA`) or of the command
/// line: a text, because no number type holds all of -9999, NaN and 18446744073709551615.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoData(String);

impl NoData {
    /// From a text that names a number, `nan` or `inf`; `None` when it names none, or has more than 64 bytes.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        // No number needs more; it is read again for every tile.
        let text = text.get(..=64).map_or(text, |_| "").trim();
        text.parse::<f64>().ok().map(|_| Self(text.to_owned()))
    }

    /// The sample it stands for; `None` when the type cannot hold it, so that no pixel can be nodata.
    #[must_use]
    pub fn sample<T: Sample>(&self) -> Option<T> {
        T::parse(&self.0)
    }

    /// Whether the type can hold it.
    #[must_use]
    pub fn fits(&self, sample: SampleType) -> bool {
        with_sample_type!(sample, T => self.sample::<T>().is_some())
    }

    /// The text, as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodata_is_exact_or_does_not_fit() {
        let fits = |text: &str, sample| NoData::new(text).is_some_and(|v| v.fits(sample));
        assert!(
            fits("255", SampleType::U8) && fits("255.0", SampleType::U8) && fits("2.55e2", SampleType::U8)
        );
        assert!(!fits("256", SampleType::U8) && !fits("-1", SampleType::U8) && !fits("0.5", SampleType::U8));
        assert!(
            fits("18446744073709551615", SampleType::U64) && !fits("1.8446744073709552e19", SampleType::U64)
        );
        assert!(
            fits("nan", SampleType::F32) && !fits("nan", SampleType::I16) && !fits("1e39", SampleType::F32)
        );
        assert!(fits("-3.4028234663852886e+38", SampleType::F32) && NoData::new("none").is_none());
    }

    #[test]
    fn rounding_is_half_up_and_saturates() {
        assert_eq!([2.5, -2.5, 300.0, -300.0].map(i8::from_f64_nearest), [3, -2, 127, -128]);
    }
}
