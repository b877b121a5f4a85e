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

codes! {
    /// The type of a field's values (TIFF 6.0 §2; BigTIFF adds 16, 17 and 18).
    FieldType {
        /// 8-bit unsigned.
        Byte = 1 "BYTE",
        /// 8-bit text, NUL-terminated.
        Ascii = 2 "ASCII",
        /// 16-bit unsigned.
        Short = 3 "SHORT",
        /// 32-bit unsigned.
        Long = 4 "LONG",
        /// Two 32-bit unsigned: numerator and denominator.
        Rational = 5 "RATIONAL",
        /// 8-bit signed.
        SByte = 6 "SBYTE",
        /// 8-bit of anything.
        Undefined = 7 "UNDEFINED",
        /// 16-bit signed.
        SShort = 8 "SSHORT",
        /// 32-bit signed.
        SLong = 9 "SLONG",
        /// Two 32-bit signed.
        SRational = 10 "SRATIONAL",
        /// IEEE 754 single precision.
        Float = 11 "FLOAT",
        /// IEEE 754 double precision.
        Double = 12 "DOUBLE",
        /// Offset of a directory, 32-bit.
        Ifd = 13 "IFD",
        /// 64-bit unsigned.
        Long8 = 16 "LONG8",
        /// 64-bit signed.
        SLong8 = 17 "SLONG8",
        /// Offset of a directory, 64-bit.
        Ifd8 = 18 "IFD8",
    }
}

impl FieldType {
    /// Bytes of one value, and of the unit that byte order applies to; `None` for an unknown type.
    #[must_use]
    pub const fn widths(self) -> Option<(u64, usize)> {
        Some(match self {
            Self::Byte | Self::Ascii | Self::SByte | Self::Undefined => (1, 1),
            Self::Short | Self::SShort => (2, 2),
            Self::Long | Self::SLong | Self::Float | Self::Ifd => (4, 4),
            Self::Rational | Self::SRational => (8, 4),
            Self::Double | Self::Long8 | Self::SLong8 | Self::Ifd8 => (8, 8),
            Self::Unknown(_) => return None,
        })
    }
}

macro_rules! tags {
    ($($name:ident = $code:literal $text:literal;)*) => {
        /// Tag numbers.
        pub mod tag {
            $(#[doc = $text] pub const $name: u16 = $code;)*

            /// A tag's name in the specifications; `None` for one that is not in this list.
            #[must_use]
            pub const fn name(tag: u16) -> Option<&'static str> {
                match tag { $($code => Some($text),)* _ => None }
            }
        }
    };
}

tags! {
    NEW_SUBFILE_TYPE = 254 "NewSubfileType";
    SUBFILE_TYPE = 255 "SubfileType";
    IMAGE_WIDTH = 256 "ImageWidth";
    IMAGE_LENGTH = 257 "ImageLength";
    BITS_PER_SAMPLE = 258 "BitsPerSample";
    COMPRESSION = 259 "Compression";
    PHOTOMETRIC = 262 "PhotometricInterpretation";
    FILL_ORDER = 266 "FillOrder";
    DOCUMENT_NAME = 269 "DocumentName";
    IMAGE_DESCRIPTION = 270 "ImageDescription";
    MAKE = 271 "Make";
    MODEL = 272 "Model";
    STRIP_OFFSETS = 273 "StripOffsets";
    ORIENTATION = 274 "Orientation";
    SAMPLES_PER_PIXEL = 277 "SamplesPerPixel";
    ROWS_PER_STRIP = 278 "RowsPerStrip";
    T4_OPTIONS = 292 "T4Options";
    STRIP_BYTE_COUNTS = 279 "StripByteCounts";
    MIN_SAMPLE_VALUE = 280 "MinSampleValue";
    MAX_SAMPLE_VALUE = 281 "MaxSampleValue";
    X_RESOLUTION = 282 "XResolution";
    Y_RESOLUTION = 283 "YResolution";
    PLANAR_CONFIGURATION = 284 "PlanarConfiguration";
    PAGE_NAME = 285 "PageName";
    RESOLUTION_UNIT = 296 "ResolutionUnit";
    PAGE_NUMBER = 297 "PageNumber";
    SOFTWARE = 305 "Software";
    DATE_TIME = 306 "DateTime";
    TRANSFER_FUNCTION = 301 "TransferFunction";
    ARTIST = 315 "Artist";
    HOST_COMPUTER = 316 "HostComputer";
    PREDICTOR = 317 "Predictor";
    WHITE_POINT = 318 "WhitePoint";
    PRIMARY_CHROMATICITIES = 319 "PrimaryChromaticities";
    COLOR_MAP = 320 "ColorMap";
    TILE_WIDTH = 322 "TileWidth";
    TILE_LENGTH = 323 "TileLength";
    TILE_OFFSETS = 324 "TileOffsets";
    TILE_BYTE_COUNTS = 325 "TileByteCounts";
    SUB_IFDS = 330 "SubIFDs";
    INK_SET = 332 "InkSet";
    INK_NAMES = 333 "InkNames";
    EXTRA_SAMPLES = 338 "ExtraSamples";
    SAMPLE_FORMAT = 339 "SampleFormat";
    JPEG_TABLES = 347 "JPEGTables";
    YCBCR_SUBSAMPLING = 530 "YCbCrSubSampling";
    COPYRIGHT = 33432 "Copyright";
    MODEL_PIXEL_SCALE = 33550 "ModelPixelScaleTag";
    MODEL_TIEPOINT = 33922 "ModelTiepointTag";
    MODEL_TRANSFORMATION = 34264 "ModelTransformationTag";
    GEO_KEY_DIRECTORY = 34735 "GeoKeyDirectoryTag";
    GEO_DOUBLE_PARAMS = 34736 "GeoDoubleParamsTag";
    GEO_ASCII_PARAMS = 34737 "GeoAsciiParamsTag";
    XMP = 700 "XMP";
    IPTC = 33723 "IPTC";
    ICC_PROFILE = 34675 "ICC Profile";
    GDAL_METADATA = 42112 "GDAL_METADATA";
    GDAL_NODATA = 42113 "GDAL_NODATA";
    LERC_PARAMETERS = 50674 "LercParameters";
    RPC_COEFFICIENT = 50844 "RPCCoefficientTag";
}
