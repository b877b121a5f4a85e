//! What a clip can be asked to do. `Default` is the truth: no other place knows a default.

use std::sync::Arc;

use crate::geo::grid_shift::ShiftGrid;
use crate::limits::Limits;
use crate::mask::Rule;
use crate::sample::NoData;
use crate::tiff::code::Predictor;

/// Side of an output's tiles in pixels, as GDAL's COG writer has it.
pub const DEFAULT_BLOCKSIZE: u32 = 512;

/// How validity is stored in the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MaskStorage {
    /// As the source does; else a nodata value for signed and floating-point samples, an internal mask for
    /// unsigned ones.
    #[default]
    Auto,
    /// An internal mask.
    Internal,
    /// An alpha band, added if the source has none.
    Alpha,
    /// A nodata value, which must be given or come from the source.
    NoData,
}

/// What to do when the cutline and the raster do not overlap. (A cutline that overlaps the raster and meets no
/// pixel's centre is a clip without a valid pixel, as in rasterio.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEmpty {
    /// Fail with [`crate::ErrorKind::NoOverlap`].
    #[default]
    Error,
    /// Write nothing and report success.
    Skip,
    /// Write an output in which every pixel is masked.
    Write,
}

/// How the pixels of a block become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resampling {
    /// The mean of the valid samples: for measurements.
    Average,
    /// The pixel at the top left, whatever it is: keeps values, aliases.
    Nearest,
    /// The most frequent valid sample; of several, the one that is the first to have come so often, row by
    /// row (`1 2 2 1` gives 2): for classes.
    Mode,
}

/// How the output's tiles are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// As the source's.
    Source,
    /// Not at all.
    None,
    /// LZW.
    Lzw,
    /// Deflate.
    #[default]
    Deflate,
    /// PackBits.
    PackBits,
    /// Zstandard.
    Zstd,
    /// LZMA.
    Lzma,
    /// LERC.
    Lerc,
    /// LERC within deflate.
    LercDeflate,
    /// LERC within Zstandard.
    LercZstd,
    /// JPEG: lossy.
    Jpeg,
    /// WebP: lossless, unless a quality is asked for.
    WebP,
}

/// How the bands of a pixel lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interleave {
    /// Side by side in one tile.
    #[default]
    Pixel,
    /// Each in a tile of its own (PlanarConfiguration 2). The tiles of a place lie side by side in the file.
    Band,
}

/// Options of a clip.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the command line, independent of the others"
)]
pub struct ClipOptions {
    /// Which pixels belong to the cutline.
    pub rule: Rule,
    /// Instead of by `rule`: a pixel belongs when at least this share of it is covered, from over 0 to 1.
    pub min_coverage: Option<f64>,
    /// Add a band that holds how much of each pixel is covered.
    pub coverage_band: bool,
    /// Keep the pixels outside the cutline instead.
    pub invert: bool,
    /// Cut the output to the cutline's bounds, rather than keep the source's whole grid.
    pub crop: bool,
    /// Pixels added on each side of the cropped window, within the raster.
    pub pad: u32,
    /// Widen the window to the source's tile grid, and copy the tiles that lie wholly in the cutline as they are compressed,
    /// where compression, predictor and samples are the output's own.
    pub align_tiles: bool,
    /// The output's nodata value.
    pub nodata: Option<NoData>,
    /// Bands to keep and their order, from 1; empty for all.
    pub bands: Vec<u16>,
    /// How validity is stored.
    pub mask: MaskStorage,
    /// Decode tiles that are copied as they are stored, too, so that a damaged one is found.
    pub check_copied: bool,
    /// Side of the output's tiles in pixels, a multiple of 16; `None` for [`DEFAULT_BLOCKSIZE`], or with `align_tiles` for
    /// the source's.
    pub blocksize: Option<u32>,
    /// The output's compression.
    pub compress: Compress,
    /// Effort of the compression; `None` for the customary one.
    pub level: Option<u8>,
    /// Quality of JPEG and WebP, 1 to 100; `None` for 75, and for WebP without loss.
    pub quality: Option<u8>,
    /// By how much LERC may change a sample; `None` for not at all.
    pub max_error: Option<f64>,
    /// How the bands of a pixel lie.
    pub interleave: Interleave,
    /// The output's predictor; `None` picks the one for the sample type.
    pub predictor: Option<Predictor>,
    /// Whether the output gets overviews.
    pub overviews: bool,
    /// How overviews are made; `None` picks average, or nearest for a colour table.
    pub resampling: Option<Resampling>,
    /// Leave tiles without a valid pixel out of the file.
    pub sparse: bool,
    /// Say in the output's metadata what it was made of and how: source, its version, cutline, options.
    pub provenance: bool,
    /// What to do when nothing overlaps.
    pub on_empty: OnEmpty,
    /// Tiles decoded and encoded at a time; 0 for one a core.
    pub threads: usize,
    /// Requests in flight.
    pub requests: usize,
    /// Bytes of requests that are in flight or have come and wait for their turn, where `max_memory` leaves so much; a single
    /// longer request still goes, alone.
    pub read_ahead: u64,
    /// Bytes of memory that the whole clip is to keep within. What it cannot do without may be more: some 24 MiB for the
    /// program, the source tiles of a row of them, a row of tiles of every overview, one tile at work.
    pub max_memory: u64,
    /// Refuse polygons that are not valid, rather than fill them by the even-odd rule.
    pub strict: bool,
    /// By how many metres the step from the cutline's datum to the raster's may be wrong; `None` for a pixel.
    pub max_crs_error: Option<f64>,
    /// Whether a datum that is not known may be taken for the other one.
    pub allow_ballpark: bool,
    /// NTv2 grids for the step between datums.
    pub grids: Vec<Arc<ShiftGrid>>,
    /// Bounds on what input may make us allocate.
    pub limits: Limits,
}

impl ClipOptions {
    /// A text of all that decides which bytes are written, and of nothing else: alike for options that write alike.
    #[must_use]
    pub fn of_output(&self) -> String {
        let decisive = Self {
            check_copied: false,
            on_empty: OnEmpty::Error,
            threads: 0,
            requests: 0,
            read_ahead: 0,
            max_memory: 0,
            limits: Limits::default(),
            ..self.clone()
        };
        format!("{decisive:?}")
    }
}

impl Default for ClipOptions {
    fn default() -> Self {
        Self {
            rule: Rule::Centre,
            min_coverage: None,
            coverage_band: false,
            invert: false,
            crop: true,
            pad: 0,
            align_tiles: false,
            nodata: None,
            bands: Vec::new(),
            mask: MaskStorage::Auto,
            check_copied: false,
            blocksize: None,
            compress: Compress::Deflate,
            level: None,
            quality: None,
            max_error: None,
            interleave: Interleave::Pixel,
            predictor: None,
            overviews: true,
            resampling: None,
            sparse: false,
            provenance: true,
            on_empty: OnEmpty::Error,
            threads: 0,
            requests: 32,
            read_ahead: 24 << 20,
            max_memory: 128 << 20,
            strict: false,
            max_crs_error: None,
            allow_ballpark: false,
            grids: Vec::new(),
            limits: Limits::default(),
        }
    }
}
