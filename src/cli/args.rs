//! What was typed, and what it means. Defaults come from the library's own `Default`s.

use std::ffi::OsString;

use clap::{ArgGroup, Args as ClapArgs, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::batch::BatchCommand;
use super::cutline::CutlineArgs;
#[cfg(feature = "lambda")]
use super::lambda::{self, LambdaCommand};
#[cfg(feature = "pictures")]
use super::preview::PreviewCommand;
#[cfg(feature = "serve")]
use super::serve::ServeCommand;
use super::stores::{Pair, StoreArgs, WriteArgs};
use crate::error::{Error, Result};
use crate::mask::Rule;
use crate::options::{ClipOptions, Compress, Interleave, MaskStorage, OnEmpty, Resampling};
use crate::sample::NoData;
use crate::sink::SinkOptions;
use crate::store::StoreOptions;
use crate::tiff::code::Predictor;

/// Lines that a terminal of 110 columns does not break. tests/it/command.rs runs the examples.
const EXAMPLES: &str = "\
Examples:
  Clip a local raster by a GeoJSON polygon in longitude and latitude:
    cogclip clip scene.tif field.tif --cutline field.geojson

  From a web server to a bucket, every pixel that the outline touches:
    cogclip clip https://example.com/dem.tif s3://bucket/dem.tif --cutline field.geojson \
--all-touched

  One output a field, named by its property `name`, in one pass over the scene:
    cogclip clip scene.tif out/{name}.tif --cutline field.geojson --where name=field --split

  A box in the raster's own coordinates: see what it would fetch, then do it:
    cogclip plan s3://bucket/B04.tif --bbox 472000,5268000,476000,5272000 --cutline-crs source
    cogclip clip s3://bucket/B04.tif box.tif --bbox 472000,5268000,476000,5272000 \
--cutline-crs source

Exit codes:
  0 done                                   6 a limit was exceeded
  2 usage                                  7 the source changed while it was read
  3 the file is malformed                  8 no overlap
  4 valid, but not supported               9 the destination exists
  5 input or output failed, after retries";

/// Clip Cloud Optimized GeoTIFFs by a polygon, bucket to bucket, without GDAL.
#[derive(Debug, Parser)]
#[command(name = "cogclip", version, about, after_help = EXAMPLES, term_width = 110)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The command line.
pub(super) fn parse() -> Result<Args, clap::Error> {
    let words = std::env::args_os().collect();
    #[cfg(feature = "lambda")]
    let words = lambda::words(words, &|name| std::env::var(name).ok());
    parse_from(words)
}

fn parse_from(words: Vec<OsString>) -> Result<Args, clap::Error> {
    let matches = Args::command().try_get_matches_from(words)?;
    let mut args = Args::from_arg_matches(&matches)?;
    if let (Command::Batch(batch), Some((_, given))) = (&mut args.command, matches.subcommand()) {
        batch.remember(given);
    }
    #[cfg(feature = "serve")]
    if let (Command::Serve(serve), Some((_, given))) = (&mut args.command, matches.subcommand()) {
        serve.remember(given);
    }
    #[cfg(feature = "lambda")]
    if let (Command::Lambda(lambda), Some((_, given))) = (&mut args.command, matches.subcommand()) {
        lambda.remember(given);
    }
    Ok(args)
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Clip one raster to one cutline
    #[command(after_help = EXAMPLES)]
    Clip(Box<ClipCommand>),
    /// Many clips from a manifest, concurrently; a run that was stopped can be resumed
    Batch(Box<BatchCommand>),
    /// Clips and plans over HTTP, for Cloud Run, Azure Container Apps and Knative; nothing is allowed that is not named
    #[cfg(feature = "serve")]
    Serve(Box<ServeCommand>),
    /// Run as a function of AWS Lambda: events are jobs, messages of queues, new objects of S3; see docs/lambda.md
    #[cfg(feature = "lambda")]
    Lambda(Box<LambdaCommand>),
    /// Dry run: print the requests, bytes, tiles and output grid of a clip; fetches only the header
    Plan(Box<PlanCommand>),
    /// Print a raster's header, and what images the file holds
    Info(InfoCommand),
    /// Make a PNG of a whole raster from the smallest overview that is large enough, fetching no other pixels
    #[cfg(feature = "pictures")]
    Preview(Box<PreviewCommand>),
    /// Say whether a file is a valid Cloud Optimized GeoTIFF, and why not (exit code 3)
    Validate(ValidateCommand),
    /// Say what the store of a destination can do; writes, reads and deletes a probe (exit code 5 if something is amiss)
    Doctor(DoctorCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page in roff
    Man,
}

impl Command {
    /// Whether it ends what it has begun when it is told to stop.
    pub(super) fn ends_itself(&self) -> bool {
        #[cfg(feature = "serve")]
        if matches!(self, Self::Serve(_)) {
            return true;
        }
        matches!(self, Self::Batch(_))
    }
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("polygons").args(["cutline", "bbox"]).required(true))]
pub(super) struct ClipCommand {
    /// The raster: a path, or a file://, http(s)://, s3://, gs:// or az:// URL; #ifd=N chooses one image of many
    pub(super) src: String,
    /// The output: a path, or a file://, s3://, gs:// or az:// URL
    pub(super) dst: String,
    #[command(flatten)]
    pub(super) cutline: CutlineArgs,
    #[command(flatten)]
    pub(super) image: ImageArgs,
    #[command(flatten)]
    pub(super) what: WhatArgs,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// One output a feature, all in one pass over SRC; DST names them: out/{id}.tif, out/{fid}.tif, out/{property}.tif
    #[arg(long, help_heading = "Cutline", conflicts_with = "bbox")]
    pub(super) split: bool,
    #[command(flatten)]
    pub(super) write: WriteArgs,
    /// Describe the output in a STAC Item: a path, a URL, or auto for DST with the extension .json (see docs/stac.md)
    #[arg(long, value_name = "FILE", help_heading = "Output", conflicts_with = "split")]
    pub(super) stac: Option<String>,
    /// Write a page to look at: the plan's picture and the report's numbers; a path or a URL (see docs/pictures.md)
    #[cfg(feature = "pictures")]
    #[arg(long, value_name = "FILE", help_heading = "Report", conflicts_with = "split")]
    pub(super) report_html: Option<String>,
    /// Print a report as one JSON object on standard output
    #[arg(long, help_heading = "Report")]
    pub(super) json: bool,
    /// No progress and no summary
    #[arg(short, long, help_heading = "Report")]
    pub(super) quiet: bool,
    /// More on standard error; twice for every request and tile
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Report")]
    pub(super) verbose: u8,
    /// Progress on standard error as text or as JSON, a line each [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Report")]
    pub(super) log_format: Option<LogFormat>,
}

/// How progress is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("polygons").args(["cutline", "bbox"]).required(true))]
pub(super) struct PlanCommand {
    /// The raster: a path, or a file://, http(s)://, s3://, gs:// or az:// URL; #ifd=N chooses one image of many
    pub(super) src: String,
    #[command(flatten)]
    pub(super) cutline: CutlineArgs,
    #[command(flatten)]
    pub(super) image: ImageArgs,
    #[command(flatten)]
    pub(super) what: WhatArgs,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// Draw the plan as SVG: the tile grid, the polygon, tiles by what becomes of them; a path or a URL
    #[cfg(feature = "pictures")]
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) svg: Option<String>,
    /// The same as a page to look around in, with the numbers
    #[cfg(feature = "pictures")]
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) html: Option<String>,
    /// Replace what is there already [default: exit code 9]
    #[cfg(feature = "pictures")]
    #[arg(long, help_heading = "Report")]
    pub(super) overwrite: bool,
    /// Print one JSON object
    #[arg(long, help_heading = "Report")]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct InfoCommand {
    /// The raster: a path, or a file://, http(s)://, s3://, gs:// or az:// URL; #ifd=N chooses one image of many
    pub(super) src: String,
    #[command(flatten)]
    pub(super) image: ImageArgs,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// Print one JSON object
    #[arg(long, help_heading = "Report")]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(super) struct ValidateCommand {
    /// The raster: a path, or a file://, http(s)://, s3://, gs:// or az:// URL
    pub(super) src: String,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// Print one JSON object
    #[arg(long, help_heading = "Report")]
    pub(super) json: bool,
}

/// Which image of a file.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Reading")]
pub(super) struct ImageArgs {
    /// The directory that holds the image, counted from 0 as `info` lists them; same as #ifd=N [default: 0]
    #[arg(long, value_name = "N")]
    pub(super) ifd: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum MaskArg {
    Internal,
    Alpha,
    Nodata,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CompressArg {
    Deflate,
    Zstd,
    Lzw,
    Packbits,
    None,
    Lzma,
    Lerc,
    #[value(name = "lerc_deflate")]
    LercDeflate,
    #[value(name = "lerc_zstd")]
    LercZstd,
    Jpeg,
    Webp,
    Source,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum InterleaveArg {
    Pixel,
    Band,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ResamplingArg {
    Average,
    Nearest,
    Mode,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnEmptyArg {
    Error,
    Skip,
    Write,
}

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch, independent of the others")]
pub(super) struct WhatArgs {
    /// Also keep every pixel that the outline touches, not only those whose centre is inside
    #[arg(long, help_heading = "Pixels")]
    all_touched: bool,
    /// Keep the pixels of which at least this share is inside, from over 0 to 1, instead of those whose centre is
    #[arg(long, value_name = "F", help_heading = "Pixels", conflicts_with = "all_touched")]
    min_coverage: Option<f64>,
    /// Add a band that holds how much of each pixel is inside
    #[arg(long, help_heading = "Pixels")]
    coverage_band: bool,
    /// Keep the pixels outside the cutline instead: those of the window, or with --no-crop of the whole raster
    #[arg(long, help_heading = "Pixels")]
    invert: bool,
    /// Keep the source's whole grid, rather than cut it to the cutline's bounds
    #[arg(long, help_heading = "Pixels")]
    no_crop: bool,
    /// Add N pixels on each side of the window
    #[arg(long, value_name = "N", help_heading = "Pixels")]
    pad: Option<u32>,
    /// Widen the window to the source's tile grid; tiles wholly in the cutline are copied as they are compressed
    #[arg(long, help_heading = "Pixels")]
    align_tiles: bool,
    /// Bands to keep, in this order: 4,3,2
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Pixels")]
    bands: Vec<u16>,
    /// The output's nodata value [default: the source's; else -9999 for signed and floating-point samples]
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, help_heading = "Pixels")]
    nodata: Option<String>,
    /// How masked pixels are told from valid ones [default: as the source does]
    #[arg(long, value_enum, help_heading = "Pixels")]
    mask: Option<MaskArg>,
    /// When the cutline and the raster do not overlap [default: error, exit code 8]
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Pixels")]
    on_empty: Option<OnEmptyArg>,
    /// Side of the output's tiles in pixels [default: 512; with --align-tiles the source's]
    #[arg(long, value_name = "N", help_heading = "Output")]
    blocksize: Option<u32>,
    /// Compression [default: deflate]; jpeg is lossy, webp is with --quality, lerc is with --max-error; source keeps the source's
    #[arg(long, value_enum, value_name = "NAME", help_heading = "Output")]
    compress: Option<CompressArg>,
    /// Effort: of deflate 0 to 9 [default: 1], of lzma 0 to 9 [default: 6], of zstd 1 to 22 [default: 9]
    #[arg(long, value_name = "N", help_heading = "Output")]
    level: Option<u8>,
    /// Quality of jpeg and webp, 1 to 100 [default: 75 for jpeg; webp is lossless without]
    #[arg(long, value_name = "N", help_heading = "Output")]
    quality: Option<u8>,
    /// By how much LERC may change a sample [default: 0, lossless]
    #[arg(long, value_name = "VALUE", help_heading = "Output")]
    max_error: Option<f64>,
    /// Bands side by side in a tile, or each in its own [default: pixel]
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Output")]
    interleave: Option<InterleaveArg>,
    /// Predictor: 1 none, 2 horizontal, 3 floating point [default: by the sample type]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=3), help_heading = "Output")]
    predictor: Option<u16>,
    /// Write no overviews
    #[arg(long, help_heading = "Output")]
    no_overviews: bool,
    /// How overviews are made [default: average; nearest for a colour table]
    #[arg(long, value_enum, value_name = "METHOD", help_heading = "Output")]
    overview_resampling: Option<ResamplingArg>,
    /// Leave tiles without a pixel of the cutline out of the file
    #[arg(long, help_heading = "Output")]
    sparse: bool,
    /// Say nothing in the output's metadata of the source, its version, the cutline and the options
    #[arg(long, help_heading = "Output")]
    no_provenance: bool,
    /// Memory to keep within, such as 96MiB: what is held ahead of need is cut to it [default: 128MiB]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Reading")]
    max_memory: Option<u64>,
    /// Tiles decoded and encoded at a time [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Reading")]
    threads: Option<u16>,
}

/// A number of bytes: `500000000`, `96MiB`, `1.5 GB`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let scale: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err("units are B, kB, MB, GB, KiB, MiB, GiB".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_not| "this is no number of bytes".to_owned())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is not negative"
    )]
    Ok((number * scale).round() as u64)
}

impl WhatArgs {
    pub(super) fn max_memory(&self) -> Option<u64> {
        self.max_memory
    }

    pub(super) fn options(&self) -> Result<ClipOptions> {
        let default = ClipOptions::default();
        let nodata = self.nodata.as_deref().map(|text| {
            NoData::new(text).ok_or_else(|| Error::usage(format!("--nodata {text}: this is not a number")))
        });
        Ok(ClipOptions {
            rule: if self.all_touched { Rule::AllTouched } else { default.rule },
            min_coverage: self.min_coverage,
            coverage_band: self.coverage_band,
            invert: self.invert,
            crop: !self.no_crop,
            pad: self.pad.unwrap_or(default.pad),
            align_tiles: self.align_tiles,
            nodata: nodata.transpose()?,
            bands: self.bands.clone(),
            mask: self.mask.map_or(default.mask, |mask| match mask {
                MaskArg::Internal => MaskStorage::Internal,
                MaskArg::Alpha => MaskStorage::Alpha,
                MaskArg::Nodata => MaskStorage::NoData,
            }),
            blocksize: self.blocksize,
            compress: self.compress.map_or(default.compress, |compress| match compress {
                CompressArg::Deflate => Compress::Deflate,
                CompressArg::Zstd => Compress::Zstd,
                CompressArg::Lzw => Compress::Lzw,
                CompressArg::Packbits => Compress::PackBits,
                CompressArg::None => Compress::None,
                CompressArg::Lzma => Compress::Lzma,
                CompressArg::Lerc => Compress::Lerc,
                CompressArg::LercDeflate => Compress::LercDeflate,
                CompressArg::LercZstd => Compress::LercZstd,
                CompressArg::Jpeg => Compress::Jpeg,
                CompressArg::Webp => Compress::WebP,
                CompressArg::Source => Compress::Source,
            }),
            level: self.level,
            quality: self.quality,
            max_error: self.max_error,
            interleave: self.interleave.map_or(default.interleave, |how| match how {
                InterleaveArg::Pixel => Interleave::Pixel,
                InterleaveArg::Band => Interleave::Band,
            }),
            predictor: self.predictor.map(Predictor::from),
            overviews: !self.no_overviews,
            resampling: self.overview_resampling.map(|method| match method {
                ResamplingArg::Average => Resampling::Average,
                ResamplingArg::Nearest => Resampling::Nearest,
                ResamplingArg::Mode => Resampling::Mode,
            }),
            sparse: self.sparse,
            provenance: !self.no_provenance,
            on_empty: self.on_empty.map_or(default.on_empty, |what| match what {
                OnEmptyArg::Error => OnEmpty::Error,
                OnEmptyArg::Skip => OnEmpty::Skip,
                OnEmptyArg::Write => OnEmpty::Write,
            }),
            threads: self.threads.map_or(default.threads, usize::from),
            max_memory: self.max_memory.unwrap_or(default.max_memory),
            ..default
        })
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct DoctorCommand {
    /// An object or a file that could be written: a probe beside it is written, read, and deleted
    pub(super) dst: String,
    #[command(flatten)]
    pub(super) store: StoreArgs,
    /// An option of the store that is written to alone (repeatable)
    #[arg(long = "dst-option", value_name = "KEY=VALUE", value_parser = Pair, help_heading = "Stores")]
    dst_pairs: Vec<(String, String)>,
    /// Print one JSON object
    #[arg(long, help_heading = "Report")]
    pub(super) json: bool,
}

impl DoctorCommand {
    pub(super) fn options(&self) -> StoreOptions {
        self.store.writing(&self.dst_pairs)
    }
}

impl PlanCommand {
    /// Whether a picture is asked for.
    #[cfg_attr(not(feature = "pictures"), expect(clippy::unused_self, reason = "then it draws none"))]
    pub(super) fn is_drawn(&self) -> bool {
        #[cfg(feature = "pictures")]
        return self.svg.is_some() || self.html.is_some();
        #[cfg(not(feature = "pictures"))]
        return false;
    }
}

impl ClipCommand {
    /// Where the page of the report goes.
    #[cfg_attr(not(feature = "pictures"), expect(clippy::unused_self, reason = "then it writes none"))]
    pub(super) fn page(&self) -> Option<&str> {
        #[cfg(feature = "pictures")]
        return self.report_html.as_deref();
        #[cfg(not(feature = "pictures"))]
        return None;
    }

    /// Refuses options of stores that none knows, also where no store is spoken to.
    pub(super) fn check(&self) -> Result<()> {
        self.store.options().check()?;
        self.sink_options().store.check()
    }

    /// Whether progress and warnings are JSON, a line each.
    pub(super) fn logs_json(&self) -> bool {
        self.log_format == Some(LogFormat::Json)
    }

    /// Whether everything is to be looked at once more.
    pub(super) fn verifies(&self) -> bool {
        self.write.verify
    }

    pub(super) fn sink_options(&self) -> SinkOptions {
        // Only the report and the STAC Item say the hash.
        SinkOptions { hash: self.json || self.stac.is_some(), ..self.write.options(&self.store) }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definitions_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn memory_is_a_number_and_a_unit() {
        for (text, expected) in [
            ("500000000", Some(500_000_000)),
            ("96MiB", Some(100_663_296)),
            ("1.5 GB", Some(1_500_000_000)),
            ("64k", Some(64_000)),
            ("", None),
            ("-1", None),
            ("many", None),
            ("1.2.3MB", None),
            ("5 parsecs", None),
        ] {
            assert_eq!(bytes(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn copies_within_the_store_are_asked_for() {
        let parse = |more: &[&str]| {
            let words = ["cogclip", "clip", "s3://b/in", "s3://b/out", "--bbox", "0,0,1,1"];
            Args::try_parse_from(words.iter().chain(more))
        };
        let asked = |more: &[&str]| {
            let Command::Clip(command) = parse(more).unwrap().command else { panic!("it is a clip") };
            command.sink_options().server_side_copy
        };
        assert!(asked(&["--server-side-copy"]) && !asked(&[]) && !asked(&["--verify"]));
        assert!(parse(&["--server-side-copy", "--verify"]).is_err());
    }
}
