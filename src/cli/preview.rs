//! `preview`: a picture of a raster.

use clap::Args as ClapArgs;
use serde_json::json;

use super::args::{ImageArgs, bytes};
use super::stores::{Pair, StoreArgs};
use super::{note, print, print_bytes};
use crate::clip::Cog;
use crate::clip::preview::{Preview, PreviewOptions};
use crate::error::{Error, Result};
use crate::observe::Silent;
use crate::picture::preview::Steps;
use crate::picture::stretch::Stretch;
use crate::sink::{Sink, SinkOptions};

/// What stands for standard output.
const STDOUT: &str = "-";

#[derive(Debug, ClapArgs)]
pub(super) struct PreviewCommand {
    /// The raster: a path, or a file://, http(s)://, s3://, gs:// or az:// URL; #ifd=N chooses one image of many
    src: String,
    /// The picture: a path, a file://, s3://, gs:// or az:// URL, or - for standard output
    #[arg(long, value_name = "FILE")]
    png: String,
    /// Pixels of the picture's longer side at most; nothing is enlarged [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Picture")]
    size: Option<u32>,
    /// One band, or three as red, green and blue: 4,3,2 [default: the first three, or the first]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Picture")]
    bands: Vec<u16>,
    /// What becomes black and white: auto, minmax, or two values [default: auto: bytes as they are, else 2nd to 98th percentile]
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, help_heading = "Picture")]
    stretch: Option<Stretch>,
    /// Replace FILE if it exists
    #[arg(long, help_heading = "Picture")]
    overwrite: bool,
    #[command(flatten)]
    image: ImageArgs,
    /// Fetch no more bytes of tiles than that (exit code 6) [default: 256MiB]
    #[arg(long, value_name = "BYTES", value_parser = bytes, help_heading = "Reading")]
    max_bytes: Option<u64>,
    #[command(flatten)]
    store: StoreArgs,
    /// An option of the store that is written to alone (repeatable)
    #[arg(long = "dst-option", value_name = "KEY=VALUE", value_parser = Pair, help_heading = "Stores")]
    dst_pairs: Vec<(String, String)>,
    /// Print a report as one JSON object on standard output
    #[arg(long, help_heading = "Report")]
    json: bool,
    /// No summary
    #[arg(short, long, help_heading = "Report")]
    quiet: bool,
}

impl PreviewCommand {
    fn options(&self) -> PreviewOptions {
        let default = PreviewOptions::default();
        PreviewOptions {
            size: self.size.unwrap_or(default.size),
            bands: self.bands.clone(),
            stretch: self.stretch.unwrap_or(default.stretch),
            max_bytes: self.max_bytes.unwrap_or(default.max_bytes),
            ..default
        }
    }

    fn sink(&self) -> SinkOptions {
        SinkOptions {
            overwrite: self.overwrite,
            store: self.store.writing(&self.dst_pairs),
            media_type: "image/png",
            hash: false,
            ..SinkOptions::default()
        }
    }
}

/// Makes the picture; it is written whole or not at all.
pub(super) async fn run(command: &PreviewCommand) -> Result<std::process::ExitCode> {
    if command.png == STDOUT && command.json {
        return Err(Error::usage("the picture and the report cannot both go to standard output"));
    }
    let (options, store) = (command.options(), command.store.options());
    store.check()?;
    let mut cog = Cog::open_image(&command.src, command.image.ifd, &store, &options.limits).await?;
    let preview = if command.png == STDOUT {
        let preview = cog.preview(&options, &Silent).await?;
        print_bytes(&preview.png)?;
        preview
    } else {
        let sink = command.sink();
        sink.store.check()?;
        // First of all, so that an existing destination is refused before anything is fetched.
        let out = Sink::create(&command.png, &sink).await?;
        match cog.preview(&options, &Silent).await {
            Ok(preview) => {
                out.publish(preview.png.clone().into()).await?;
                preview
            }
            Err(error) => return Err(out.abandon(error).await),
        }
    };
    let remarks: Vec<String> = cog.remarks().into_iter().chain(preview.level.remarks.clone()).collect();
    for remark in &remarks {
        note(&format!("warning: {remark}"));
    }
    if command.json {
        print(&format!("{:#}\n", report(&cog, command, &preview, &remarks)))?;
    } else if !command.quiet {
        note(&summary(&cog, &preview));
    }
    Ok(std::process::ExitCode::SUCCESS)
}

fn report(cog: &Cog, command: &PreviewCommand, preview: &Preview, remarks: &[String]) -> serde_json::Value {
    let stats = cog.stats();
    json!({
        "uri": cog.uri(),
        "level": {
            "overview": preview.level.overview,
            "width": preview.level.size.width,
            "height": preview.level.size.height,
        },
        "picture": {
            "uri": crate::store::location::redact(&command.png),
            "width": preview.size.width,
            "height": preview.size.height,
            "size": preview.png.len(),
            "transparent": preview.transparent,
        },
        "bands": preview.bands,
        "stretch": match &preview.steps {
            Steps::AsStored => None,
            Steps::Stretched(ranges) => {
                Some(ranges.iter().map(|range| range.map(|(black, white)| [black, white])).collect::<Vec<_>>())
            }
        },
        "fetched": {
            "tiles": preview.fetched.tiles,
            "requests": preview.fetched.requests,
            "bytes": preview.fetched.bytes,
            "sparse": preview.fetched.sparse,
        },
        "source": { "requests": stats.requests, "bytes": stats.bytes, "retries": stats.retries },
        "remarks": remarks,
    })
}

fn summary(cog: &Cog, preview: &Preview) -> String {
    let level = match preview.level.overview {
        Some(number) => format!("overview {number} of {} pixels", preview.level.size),
        None => format!("the image of {} pixels", preview.level.size),
    };
    let bands: Vec<String> = preview.bands.iter().map(ToString::to_string).collect();
    let steps = match &preview.steps {
        Steps::AsStored => "as stored".to_owned(),
        Steps::Stretched(ranges) => {
            let range = |range: &Option<(f64, f64)>| match range {
                Some((black, white)) => format!("{black} to {white}"),
                None => "nothing valid".to_owned(),
            };
            format!("stretched {}", ranges.iter().map(range).collect::<Vec<_>>().join(", "))
        }
    };
    let stats = cog.stats();
    format!(
        "{}: {} pixels from {level}, bands {} {steps}; {} bytes in {} requests",
        cog.uri(),
        preview.size,
        bands.join(","),
        stats.bytes,
        stats.requests
    )
}
