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
        /// JPEG XL under the code of Adobe's DNG.
        JpegXlDng = 52546 "JPEG XL (code 52546)",
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
    PROCESSING_SOFTWARE = 11 "ProcessingSoftware";
    NEW_SUBFILE_TYPE = 254 "NewSubfileType";
    SUBFILE_TYPE = 255 "SubfileType";
    IMAGE_WIDTH = 256 "ImageWidth";
    IMAGE_LENGTH = 257 "ImageLength";
    BITS_PER_SAMPLE = 258 "BitsPerSample";
    COMPRESSION = 259 "Compression";
    PHOTOMETRIC = 262 "PhotometricInterpretation";
    THRESHHOLDING = 263 "Threshholding";
    CELL_WIDTH = 264 "CellWidth";
    CELL_LENGTH = 265 "CellLength";
    FILL_ORDER = 266 "FillOrder";
    DOCUMENT_NAME = 269 "DocumentName";
    IMAGE_DESCRIPTION = 270 "ImageDescription";
    MAKE = 271 "Make";
    MODEL = 272 "Model";
    STRIP_OFFSETS = 273 "StripOffsets";
    ORIENTATION = 274 "Orientation";
    SAMPLES_PER_PIXEL = 277 "SamplesPerPixel";
    ROWS_PER_STRIP = 278 "RowsPerStrip";
    STRIP_BYTE_COUNTS = 279 "StripByteCounts";
    MIN_SAMPLE_VALUE = 280 "MinSampleValue";
    MAX_SAMPLE_VALUE = 281 "MaxSampleValue";
    X_RESOLUTION = 282 "XResolution";
    Y_RESOLUTION = 283 "YResolution";
    PLANAR_CONFIGURATION = 284 "PlanarConfiguration";
    PAGE_NAME = 285 "PageName";
    X_POSITION = 286 "XPosition";
    Y_POSITION = 287 "YPosition";
    FREE_OFFSETS = 288 "FreeOffsets";
    FREE_BYTE_COUNTS = 289 "FreeByteCounts";
    GRAY_RESPONSE_UNIT = 290 "GrayResponseUnit";
    GRAY_RESPONSE_CURVE = 291 "GrayResponseCurve";
    T4_OPTIONS = 292 "T4Options";
    T6_OPTIONS = 293 "T6Options";
    RESOLUTION_UNIT = 296 "ResolutionUnit";
    PAGE_NUMBER = 297 "PageNumber";
    COLOR_RESPONSE_UNIT = 300 "ColorResponseUnit";
    TRANSFER_FUNCTION = 301 "TransferFunction";
    SOFTWARE = 305 "Software";
    DATE_TIME = 306 "DateTime";
    ARTIST = 315 "Artist";
    HOST_COMPUTER = 316 "HostComputer";
    PREDICTOR = 317 "Predictor";
    WHITE_POINT = 318 "WhitePoint";
    PRIMARY_CHROMATICITIES = 319 "PrimaryChromaticities";
    COLOR_MAP = 320 "ColorMap";
    HALFTONE_HINTS = 321 "HalftoneHints";
    TILE_WIDTH = 322 "TileWidth";
    TILE_LENGTH = 323 "TileLength";
    TILE_OFFSETS = 324 "TileOffsets";
    TILE_BYTE_COUNTS = 325 "TileByteCounts";
    BAD_FAX_LINES = 326 "BadFaxLines";
    CLEAN_FAX_DATA = 327 "CleanFaxData";
    CONSECUTIVE_BAD_FAX_LINES = 328 "ConsecutiveBadFaxLines";
    SUB_IFDS = 330 "SubIFDs";
    INK_SET = 332 "InkSet";
    INK_NAMES = 333 "InkNames";
    NUMBER_OF_INKS = 334 "NumberOfInks";
    DOT_RANGE = 336 "DotRange";
    TARGET_PRINTER = 337 "TargetPrinter";
    EXTRA_SAMPLES = 338 "ExtraSamples";
    SAMPLE_FORMAT = 339 "SampleFormat";
    S_MIN_SAMPLE_VALUE = 340 "SMinSampleValue";
    S_MAX_SAMPLE_VALUE = 341 "SMaxSampleValue";
    TRANSFER_RANGE = 342 "TransferRange";
    CLIP_PATH = 343 "ClipPath";
    X_CLIP_PATH_UNITS = 344 "XClipPathUnits";
    Y_CLIP_PATH_UNITS = 345 "YClipPathUnits";
    INDEXED = 346 "Indexed";
    JPEG_TABLES = 347 "JPEGTables";
    OPI_PROXY = 351 "OPIProxy";
    GLOBAL_PARAMETERS_IFD = 400 "GlobalParametersIFD";
    PROFILE_TYPE = 401 "ProfileType";
    FAX_PROFILE = 402 "FaxProfile";
    CODING_METHODS = 403 "CodingMethods";
    VERSION_YEAR = 404 "VersionYear";
    MODE_NUMBER = 405 "ModeNumber";
    DECODE = 433 "Decode";
    DEFAULT_IMAGE_COLOR = 434 "DefaultImageColor";
    T82_OPTIONS = 435 "T82Options";
    JPEG_PROC = 512 "JPEGProc";
    JPEG_INTERCHANGE_FORMAT = 513 "JPEGInterchangeFormat";
    JPEG_INTERCHANGE_FORMAT_LENGTH = 514 "JPEGInterchangeFormatLength";
    JPEG_RESTART_INTERVAL = 515 "JPEGRestartInterval";
    JPEG_LOSSLESS_PREDICTORS = 517 "JPEGLosslessPredictors";
    JPEG_POINT_TRANSFORMS = 518 "JPEGPointTransforms";
    JPEGQ_TABLES = 519 "JPEGQTables";
    JPEGDC_TABLES = 520 "JPEGDCTables";
    JPEGAC_TABLES = 521 "JPEGACTables";
    YCBCR_COEFFICIENTS = 529 "YCbCrCoefficients";
    YCBCR_SUBSAMPLING = 530 "YCbCrSubSampling";
    YCBCR_POSITIONING = 531 "YCbCrPositioning";
    REFERENCE_BLACK_WHITE = 532 "ReferenceBlackWhite";
    STRIP_ROW_COUNTS = 559 "StripRowCounts";
    XMP = 700 "XMP";
    GDI_GAMMA = 769 "GDIGamma";
    ICC_PROFILE_DESCRIPTOR = 770 "ICCProfileDescriptor";
    SRGB_RENDERING_INTENT = 771 "SRGBRenderingIntent";
    IMAGE_TITLE = 800 "ImageTitle";
    RATING = 18246 "Rating";
    RATING_PERCENT = 18249 "RatingPercent";
    THUMBNAIL_DATA = 20507 "ThumbnailData";
    PALETTE_HISTOGRAM = 20755 "PaletteHistogram";
    IMAGE_ID = 32781 "ImageID";
    WANG_ANNOTATION = 32932 "WangAnnotation";
    WANG_TAG4 = 32934 "WangTag4";
    IMAGE_REFERENCE_POINTS = 32953 "ImageReferencePoints";
    REGION_XFORM_TACK_POINT = 32954 "RegionXformTackPoint";
    WARP_QUADRILATERAL = 32955 "WarpQuadrilateral";
    AFFINE_TRANSFORM_MAT = 32956 "AffineTransformMat";
    MATTEING = 32995 "Matteing";
    DATA_TYPE = 32996 "DataType";
    IMAGE_DEPTH = 32997 "ImageDepth";
    TILE_DEPTH = 32998 "TileDepth";
    IMAGE_FULL_WIDTH = 33300 "ImageFullWidth";
    IMAGE_FULL_LENGTH = 33301 "ImageFullLength";
    TEXTURE_FORMAT = 33302 "TextureFormat";
    TEXTURE_WRAP_MODES = 33303 "TextureWrapModes";
    FIELD_OF_VIEW_COTANGENT = 33304 "FieldOfViewCotangent";
    MATRIX_WORLD_TO_SCREEN = 33305 "MatrixWorldToScreen";
    MATRIX_WORLD_TO_CAMERA = 33306 "MatrixWorldToCamera";
    WRITER_SERIAL_NUMBER = 33405 "WriterSerialNumber";
    CFA_REPEAT_PATTERN_DIM = 33421 "CFARepeatPatternDim";
    CFA_PATTERN = 33422 "CFAPattern";
    BATTERY_LEVEL = 33423 "BatteryLevel";
    KODAK_IFD = 33424 "KodakIFD";
    COPYRIGHT = 33432 "Copyright";
    EXPOSURE_TIME = 33434 "ExposureTime";
    F_NUMBER = 33437 "FNumber";
    MD_FILE_TAG = 33445 "MDFileTag";
    MD_SCALE_PIXEL = 33446 "MDScalePixel";
    MD_COLOR_TABLE = 33447 "MDColorTable";
    MD_LAB_NAME = 33448 "MDLabName";
    MD_SAMPLE_INFO = 33449 "MDSampleInfo";
    MD_PREP_DATE = 33450 "MDPrepDate";
    MD_PREP_TIME = 33451 "MDPrepTime";
    MD_FILE_UNITS = 33452 "MDFileUnits";
    NIFF_NAVY_COMPRESSION = 33466 "NiffNavyCompression";
    NIFF_TILE_INDEX = 33467 "NiffTileIndex";
    OLYMPUS_INI = 33471 "OlympusINI";
    MODEL_PIXEL_SCALE = 33550 "ModelPixelScaleTag";
    OLYMPUS_SIS = 33560 "OlympusSIS";
    UIC1_TAG = 33628 "UIC1Tag";
    UIC2_TAG = 33629 "UIC2Tag";
    UIC3_TAG = 33630 "UIC3Tag";
    UIC4_TAG = 33631 "UIC4Tag";
    IPTC = 33723 "IPTC";
    EXTENDED_TAGS_OFFSET = 33858 "ExtendedTagsOffset";
    INTERGRAPH_PACKET_DATA = 33918 "IntergraphPacketData";
    INTERGRAPH_FLAG_REGISTERS = 33919 "IntergraphFlagRegisters";
    INTERGRAPH_MATRIX = 33920 "IntergraphMatrix";
    MODEL_TIEPOINT = 33922 "ModelTiepointTag";
    SITE = 34016 "Site";
    COLOR_SEQUENCE = 34017 "ColorSequence";
    IT8_HEADER = 34018 "IT8Header";
    RASTER_PADDING = 34019 "RasterPadding";
    BITS_PER_RUN_LENGTH = 34020 "BitsPerRunLength";
    BITS_PER_EXTENDED_RUN_LENGTH = 34021 "BitsPerExtendedRunLength";
    COLOR_TABLE = 34022 "ColorTable";
    IMAGE_COLOR_INDICATOR = 34023 "ImageColorIndicator";
    BACKGROUND_COLOR_INDICATOR = 34024 "BackgroundColorIndicator";
    IMAGE_COLOR_VALUE = 34025 "ImageColorValue";
    BACKGROUND_COLOR_VALUE = 34026 "BackgroundColorValue";
    PIXEL_INTENSITY_RANGE = 34027 "PixelIntensityRange";
    TRANSPARENCY_INDICATOR = 34028 "TransparencyIndicator";
    COLOR_CHARACTERIZATION = 34029 "ColorCharacterization";
    HC_USAGE = 34030 "HCUsage";
    TRAP_INDICATOR = 34031 "TrapIndicator";
    CMYK_EQUIVALENT = 34032 "CMYKEquivalent";
    CZ_SEM = 34118 "CZ_SEM";
    AFCPIPTC = 34152 "AFCPIPTC";
    PIXEL_MAGIC_JBIG_OPTIONS = 34232 "PixelMagicJBIGOptions";
    JPL_CARTO_IFD = 34263 "JPLCartoIFD";
    MODEL_TRANSFORMATION = 34264 "ModelTransformationTag";
    MM_HEADER = 34361 "MMHeader";
    MM_STAMP = 34362 "MMStamp";
    IMAGE_RESOURCES = 34377 "ImageResources";
    MM_USER_BLOCK = 34386 "MMUserBlock";
    CZ_LSM_INFO = 34412 "CZ_LSMInfo";
    EXIF_IFD = 34665 "ExifIFD";
    ICC_PROFILE = 34675 "ICC Profile";
    FEI_SFEG = 34680 "FEI_SFEG";
    FEI_HELIOS = 34682 "FEI_HELIOS";
    FX_EXTENSIONS = 34687 "FXExtensions";
    MULTI_PROFILES = 34688 "MultiProfiles";
    SHARED_DATA = 34689 "SharedData";
    T88_OPTIONS = 34690 "T88Options";
    IMAGE_LAYER = 34732 "ImageLayer";
    GEO_KEY_DIRECTORY = 34735 "GeoKeyDirectoryTag";
    GEO_DOUBLE_PARAMS = 34736 "GeoDoubleParamsTag";
    GEO_ASCII_PARAMS = 34737 "GeoAsciiParamsTag";
    JBIG_OPTIONS = 34750 "JBIGOptions";
    EXPOSURE_PROGRAM = 34850 "ExposureProgram";
    SPECTRAL_SENSITIVITY = 34852 "SpectralSensitivity";
    GPS_IFD = 34853 "GPSInfoIFD";
    PHOTOGRAPHIC_SENSITIVITY = 34855 "PhotographicSensitivity";
    OECF = 34856 "OECF";
    FAX_RECV_PARAMS = 34908 "FaxRecvParams";
    FAX_SUB_ADDRESS = 34909 "FaxSubAddress";
    FAX_RECV_TIME = 34910 "FaxRecvTime";
    FAX_DCS = 34911 "FaxDcs";
    LEAF_SUB_IFD = 34954 "LeafSubIFD";
    DATE_TIME_ORIGINAL = 36867 "DateTimeOriginal";
    DATE_TIME_DIGITIZED = 36868 "DateTimeDigitized";
    COMPONENTS_CONFIGURATION = 37121 "ComponentsConfiguration";
    COMPRESSED_BITS_PER_PIXEL = 37122 "CompressedBitsPerPixel";
    SHUTTER_SPEED_VALUE = 37377 "ShutterSpeedValue";
    APERTURE_VALUE = 37378 "ApertureValue";
    BRIGHTNESS_VALUE = 37379 "BrightnessValue";
    EXPOSURE_BIAS_VALUE = 37380 "ExposureBiasValue";
    MAX_APERTURE_VALUE = 37381 "MaxApertureValue";
    SUBJECT_DISTANCE = 37382 "SubjectDistance";
    METERING_MODE = 37383 "MeteringMode";
    LIGHT_SOURCE = 37384 "LightSource";
    FLASH = 37385 "Flash";
    FOCAL_LENGTH = 37386 "FocalLength";
    FOCAL_PLANE_X_RESOLUTION = 37390 "FocalPlaneXResolution";
    FOCAL_PLANE_Y_RESOLUTION = 37391 "FocalPlaneYResolution";
    FOCAL_PLANE_RESOLUTION_UNIT = 37392 "FocalPlaneResolutionUnit";
    IMAGE_NUMBER = 37393 "ImageNumber";
    SECURITY_CLASSIFICATION = 37394 "SecurityClassification";
    IMAGE_HISTORY = 37395 "ImageHistory";
    SUBJECT_AREA = 37396 "SubjectArea";
    EXPOSURE_INDEX = 37397 "ExposureIndex";
    TIFFEP_STANDARD_ID = 37398 "TIFFEPStandardID";
    SENSING_METHOD = 37399 "SensingMethod";
    STO_NITS = 37439 "StoNits";
    MAKER_NOTE = 37500 "MakerNote";
    MODI_TEXT = 37679 "MODIText";
    MODIOLE_PROPERTY_SET_STORAGE = 37680 "MODIOLEPropertySetStorage";
    MODI_POSITIONING = 37681 "MODIPositioning";
    TVIPS = 37706 "TVIPS";
    IMAGE_SOURCE_DATA = 37724 "ImageSourceData";
    AMBIENT_TEMPERATURE = 37888 "AmbientTemperature";
    HUMIDITY = 37889 "Humidity";
    PRESSURE = 37890 "Pressure";
    WATER_DEPTH = 37891 "WaterDepth";
    ACCELERATION = 37892 "Acceleration";
    CAMERA_ELEVATION_ANGLE = 37893 "CameraElevationAngle";
    XP_TITLE = 40091 "XPTitle";
    XP_COMMENT = 40092 "XPComment";
    XP_AUTHOR = 40093 "XPAuthor";
    XP_KEYWORDS = 40094 "XPKeywords";
    XP_SUBJECT = 40095 "XPSubject";
    PIXEL_X_DIMENSION = 40962 "PixelXDimension";
    PIXEL_Y_DIMENSION = 40963 "PixelYDimension";
    INTEROPERABILITY_IFD = 40965 "InteroperabilityIFD";
    SAMSUNG_RAW_POINTERS_OFFSET = 40976 "SamsungRawPointersOffset";
    SAMSUNG_RAW_POINTERS_LENGTH = 40977 "SamsungRawPointersLength";
    SPATIAL_FREQUENCY_RESPONSE = 41484 "SpatialFrequencyResponse";
    SUBJECT_LOCATION = 41492 "SubjectLocation";
    EXIF_CFA_PATTERN = 41730 "ExifCFAPattern";
    DEVICE_SETTING_DESCRIPTION = 41995 "DeviceSettingDescription";
    IMAGE_UNIQUE_ID = 42016 "ImageUniqueID";
    GDAL_METADATA = 42112 "GDAL_METADATA";
    GDAL_NODATA = 42113 "GDAL_NODATA";
    NIH_IMAGE_HEADER = 43314 "NIHImageHeader";
    PIXEL_FORMAT = 48129 "PixelFormat";
    TRANSFORMATION = 48130 "Transformation";
    UNCOMPRESSED = 48131 "Uncompressed";
    IMAGE_TYPE = 48132 "ImageType";
    HD_PHOTO_IMAGE_WIDTH = 48256 "HDPhotoImageWidth";
    HD_PHOTO_IMAGE_HEIGHT = 48257 "HDPhotoImageHeight";
    WIDTH_RESOLUTION = 48258 "WidthResolution";
    HEIGHT_RESOLUTION = 48259 "HeightResolution";
    IMAGE_OFFSET = 48320 "ImageOffset";
    IMAGE_BYTE_COUNT = 48321 "ImageByteCount";
    ALPHA_OFFSET = 48322 "AlphaOffset";
    ALPHA_BYTE_COUNT = 48323 "AlphaByteCount";
    IMAGE_DATA_DISCARD = 48324 "ImageDataDiscard";
    ALPHA_DATA_DISCARD = 48325 "AlphaDataDiscard";
    OCE_SCANJOB_DESCRIPTION = 50215 "OceScanjobDescription";
    OCE_APPLICATION_SELECTOR = 50216 "OceApplicationSelector";
    OCE_IDENTIFICATION_NUMBER = 50217 "OceIdentificationNumber";
    OCE_IMAGE_LOGIC_CHARACTERISTICS = 50218 "OceImageLogicCharacteristics";
    ANNOTATIONS = 50255 "Annotations";
    PRINT_IMAGE_MATCHING = 50341 "PrintImageMatching";
    CR2_CFA_PATTERN = 50656 "CR2CFAPattern";
    LERC_PARAMETERS = 50674 "LercParameters";
    DNG_VERSION = 50706 "DNGVersion";
    DNG_BACKWARD_VERSION = 50707 "DNGBackwardVersion";
    UNIQUE_CAMERA_MODEL = 50708 "UniqueCameraModel";
    LOCALIZED_CAMERA_MODEL = 50709 "LocalizedCameraModel";
    CFA_PLANE_COLOR = 50710 "CFAPlaneColor";
    CFA_LAYOUT = 50711 "CFALayout";
    LINEARIZATION_TABLE = 50712 "LinearizationTable";
    BLACK_LEVEL_REPEAT_DIM = 50713 "BlackLevelRepeatDim";
    BLACK_LEVEL = 50714 "BlackLevel";
    BLACK_LEVEL_DELTA_H = 50715 "BlackLevelDeltaH";
    BLACK_LEVEL_DELTA_V = 50716 "BlackLevelDeltaV";
    WHITE_LEVEL = 50717 "WhiteLevel";
    DEFAULT_SCALE = 50718 "DefaultScale";
    DEFAULT_CROP_ORIGIN = 50719 "DefaultCropOrigin";
    DEFAULT_CROP_SIZE = 50720 "DefaultCropSize";
    COLOR_MATRIX1 = 50721 "ColorMatrix1";
    COLOR_MATRIX2 = 50722 "ColorMatrix2";
    CAMERA_CALIBRATION1 = 50723 "CameraCalibration1";
    CAMERA_CALIBRATION2 = 50724 "CameraCalibration2";
    ANALOG_BALANCE = 50727 "AnalogBalance";
    AS_SHOT_NEUTRAL = 50728 "AsShotNeutral";
    AS_SHOT_WHITE_XY = 50729 "AsShotWhiteXY";
    BASELINE_EXPOSURE = 50730 "BaselineExposure";
    LINEAR_RESPONSE_LIMIT = 50734 "LinearResponseLimit";
    CAMERA_SERIAL_NUMBER = 50735 "CameraSerialNumber";
    LENS_INFO = 50736 "LensInfo";
    DNG_PRIVATE_DATA = 50740 "DNGPrivateData";
    MAKER_NOTE_SAFETY = 50741 "MakerNoteSafety";
    RAW_IMAGE_SEGMENTATION = 50752 "RawImageSegmentation";
    CALIBRATION_ILLUMINANT1 = 50778 "CalibrationIlluminant1";
    CALIBRATION_ILLUMINANT2 = 50779 "CalibrationIlluminant2";
    BEST_QUALITY_SCALE = 50780 "BestQualityScale";
    RAW_DATA_UNIQUE_ID = 50781 "RawDataUniqueID";
    ALIAS_LAYER_METADATA = 50784 "AliasLayerMetadata";
    ORIGINAL_RAW_FILE_NAME = 50827 "OriginalRawFileName";
    ORIGINAL_RAW_FILE_DATA = 50828 "OriginalRawFileData";
    ACTIVE_AREA = 50829 "ActiveArea";
    MASKED_AREAS = 50830 "MaskedAreas";
    AS_SHOT_ICC_PROFILE = 50831 "AsShotICCProfile";
    AS_SHOT_PRE_PROFILE_MATRIX = 50832 "AsShotPreProfileMatrix";
    CURRENT_ICC_PROFILE = 50833 "CurrentICCProfile";
    CURRENT_PRE_PROFILE_MATRIX = 50834 "CurrentPreProfileMatrix";
    IMAGE_J_METADATA_BYTE_COUNTS = 50838 "ImageJMetadataByteCounts";
    IMAGE_J_METADATA = 50839 "ImageJMetadata";
    RPC_COEFFICIENT = 50844 "RPCCoefficientTag";
    COLORIMETRIC_REFERENCE = 50879 "ColorimetricReference";
    GEO_METADATA = 50909 "GeoMetadata";
    EXTRA_CAMERA_PROFILES = 50933 "ExtraCameraProfiles";
    PREVIEW_SETTINGS_DIGEST = 50969 "PreviewSettingsDigest";
    RAW_IMAGE_DIGEST = 50972 "RawImageDigest";
    ORIGINAL_RAW_FILE_DIGEST = 50973 "OriginalRawFileDigest";
    SUB_TILE_BLOCK_SIZE = 50974 "SubTileBlockSize";
    ROW_INTERLEAVE_FACTOR = 50975 "RowInterleaveFactor";
    OPCODE_LIST1 = 51008 "OpcodeList1";
    OPCODE_LIST2 = 51009 "OpcodeList2";
    OPCODE_LIST3 = 51022 "OpcodeList3";
    FIBICS_XML = 51023 "FibicsXML";
    TIME_CODES = 51043 "TimeCodes";
    FRAME_RATE = 51044 "FrameRate";
    REEL_NAME = 51081 "ReelName";
    ORIGINAL_DEFAULT_FINAL_SIZE = 51089 "OriginalDefaultFinalSize";
    ORIGINAL_BEST_QUALITY_FINAL_SIZE = 51090 "OriginalBestQualityFinalSize";
    ORIGINAL_DEFAULT_CROP_SIZE = 51091 "OriginalDefaultCropSize";
    CAMERA_LABEL = 51105 "CameraLabel";
    NEW_RAW_IMAGE_DIGEST = 51111 "NewRawImageDigest";
    CACHE_BLOB = 51113 "CacheBlob";
    CACHE_VERSION = 51114 "CacheVersion";
    MICRO_MANAGER_METADATA = 51123 "MicroManagerMetadata";
    DEFAULT_USER_CROP = 51125 "DefaultUserCrop";
    ZIF_ANNOTATIONS = 51160 "ZIFAnnotations";
    DEPTH_FORMAT = 51177 "DepthFormat";
    DEPTH_NEAR = 51178 "DepthNear";
    DEPTH_FAR = 51179 "DepthFar";
    DEPTH_UNITS = 51180 "DepthUnits";
    DEPTH_MEASURE_TYPE = 51181 "DepthMeasureType";
    DECTRIS_IFD = 51192 "DectrisIFD";
    PROFILE_GAIN_TABLE_MAP = 52525 "ProfileGainTableMap";
    SEMANTIC_NAME = 52526 "SemanticName";
    MASK_SUB_AREA = 52536 "MaskSubArea";
    BIG_TABLE_DIGESTS = 52541 "BigTableDigests";
    BIG_TABLE_OFFSETS = 52542 "BigTableOffsets";
    PROFILE_GAIN_TABLE_MAP2 = 52544 "ProfileGainTableMap2";
    C2_PA_MANIFEST_STORE = 52545 "C2PAManifestStore";
    COLUMN_INTERLEAVE_FACTOR = 52547 "ColumnInterleaveFactor";
    IMAGE_STATS = 52550 "ImageStats";
    JXL_DISTANCE = 52553 "JXLDistance";
    JXL_EFFORT = 52554 "JXLEffort";
    JXL_DECODE_SPEED = 52555 "JXLDecodeSpeed";
    APERIO_MAGNIFICATION = 55001 "AperioMagnification";
    APERIO_MPP = 55002 "AperioMPP";
    OFFSET_SCHEMA = 59933 "OffsetSchema";
    NDPI_FORMAT_FLAG = 65420 "NDPIFormatFlag";
    NDPI_MAGNIFICATION = 65421 "NDPIMagnification";
    NDPIX_OFFSET_FROM_SLIDE_CENTRE = 65422 "NDPIXOffsetFromSlideCentre";
    NDPIY_OFFSET_FROM_SLIDE_CENTRE = 65423 "NDPIYOffsetFromSlideCentre";
    NDPI_FOCUS_PLANE = 65424 "NDPIFocusPlane";
    NDPI_MCU_STARTS = 65426 "NDPIMcuStarts";
    NDPI_MCU_STARTS_HIGH_BYTES = 65432 "NDPIMcuStartsHighBytes";
    NDPI_SERIAL_NUMBER = 65442 "NDPISerialNumber";
}
