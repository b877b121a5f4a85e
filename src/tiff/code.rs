//! The only list of TIFF's numeric codes. Every code survives reading and writing, also an unknown one.

/// Byte order of a file (TIFF 6.0 §2: `II` or `MM`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// `II`: least significant byte first.
    Little,
    /// `MM`: most significant byte first.
    Big,
}

impl ByteOrder {
    /// This machine's own.
    pub const NATIVE: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A code that is not in this list.
            Unknown(u16),
        }

        impl $name {
            /// The code in a file.
            #[must_use]
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* Self::Unknown(code) => code }
            }

            /// Every code that has a name.
            pub const NAMED: &'static [Self] = &[$(Self::$variant,)*];
        }

        impl From<u16> for $name {
            fn from(code: u16) -> Self {
                match code { $($code => Self::$variant,)* other => Self::Unknown(other) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Unknown(code) => write!(f, "{code}"),
                }
            }
        }
    };
}

codes! {
    /// Tag 259, Compression.
    Compression {
        /// No compression.
        None = 1 "none",
        /// CCITT modified Huffman.
        CcittRle = 2 "CCITT RLE",
        /// CCITT Group 3.
        Group3 = 3 "CCITT Group 3",
        /// CCITT Group 4.
        Group4 = 4 "CCITT Group 4",
        /// LZW (TIFF 6.0 §13).
        Lzw = 5 "LZW",
        /// JPEG as TIFF 6.0 §22 had it.
        OldJpeg = 6 "old-style JPEG",
        /// JPEG (TIFF Technical Note 2).
        Jpeg = 7 "JPEG",
        /// Deflate: a zlib stream (TIFF Supplement 2).
        Deflate = 8 "deflate",
        /// PackBits (TIFF 6.0 §9).
        PackBits = 32773 "PackBits",
        /// Deflate under its older code.
        OldDeflate = 32946 "deflate (code 32946)",
        /// LERC.
        Lerc = 34887 "LERC",
        /// LZMA.
        Lzma = 34925 "LZMA",
        /// Zstandard.
        Zstd = 50000 "Zstandard",
        /// WebP.
        WebP = 50001 "WebP",
        /// JPEG XL.
        JpegXl = 50002 "JPEG XL",
        /// SGI LogLuv.
        SgiLog = 34676 "SGI LogLuv",
        /// ThunderScan.
        ThunderScan = 32809 "ThunderScan",
        /// JPEG 2000.
        Jpeg2000 = 34712 "JPEG 2000",
    }
}

codes! {
    /// Tag 317, Predictor.
    Predictor {
        /// No prediction.
        None = 1 "none",
        /// Horizontal differencing (TIFF 6.0 §14).
        Horizontal = 2 "horizontal",
        /// Floating point (TIFF Technical Note 3).
        FloatingPoint = 3 "floating point",
    }
}

codes! {
    /// Tag 262, PhotometricInterpretation.
    Photometric {
        /// 0 is white.
        WhiteIsZero = 0 "WhiteIsZero",
        /// 0 is black, or simply a number.
        BlackIsZero = 1 "BlackIsZero",
        /// Red, green, blue.
        Rgb = 2 "RGB",
        /// Colour table.
        Palette = 3 "palette",
        /// Transparency mask.
        Mask = 4 "mask",
        /// Cyan, magenta, yellow, black.
        Separated = 5 "separated",
        /// YCbCr.
        YCbCr = 6 "YCbCr",
        /// CIE L*a*b*.
        CieLab = 8 "CIE L*a*b*",
    }
}
