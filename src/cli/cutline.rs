//! What to cut along, as it was typed and as it is read.

use std::io::Read;

use clap::Args as ClapArgs;

use super::stores::StoreArgs;
use crate::clip::selection::{Polygons, Selection};
use crate::error::{Error, Result};
use crate::layer;
use crate::limits::{Limits, within};
use crate::options::ClipOptions;
use crate::vector::filter::Filter;

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Cutline")]
pub(super) struct CutlineArgs {
    /// Polygons: a path, a URL, `-` for standard input, or GeoJSON or WKT itself; see README for the formats
    #[arg(long, value_name = "CUTLINE", conflicts_with = "bbox")]
    cutline: Option<String>,
    /// A box instead: minx,miny,maxx,maxy
    #[arg(long, value_name = "BOX", allow_hyphen_values = true)]
    bbox: Option<String>,
    /// CRS of the cutline: EPSG:n, ESRI:n, WKT, PROJJSON, a PROJ string, or `source` for the raster's own
    #[arg(long, value_name = "CRS", allow_hyphen_values = true)]
    cutline_crs: Option<String>,
    /// The layer of a file that holds several
    #[arg(long, value_name = "NAME", conflicts_with = "bbox")]
    layer: Option<String>,
    /// Only features for which this holds: name=Alps, area>=2.5, class in (1, 2), joined by `and` (repeatable)
    #[arg(long = "where", value_name = "CONDITION", conflicts_with = "bbox")]
    conditions: Vec<Filter>,
    /// Only the features with these numbers
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        allow_hyphen_values = true,
        conflicts_with = "bbox"
    )]
    fid: Vec<i64>,
    /// The property that names a feature in messages, in reports and as {id} in DST
    #[arg(long, value_name = "NAME")]
    pub(super) id_field: Option<String>,
    /// Refuse polygons that are not valid, rather than fill them as GDAL does
    #[arg(long)]
    strict: bool,
    /// By how much the step between datums may be wrong, in metres [default: a pixel]
    #[arg(long, value_name = "METRES")]
    max_crs_error: Option<f64>,
    /// Take coordinates as they are where no step between the datums is known
    #[arg(long)]
    allow_ballpark: bool,
    /// An NTv2 grid for the step between datums: a path or URL (repeatable)
    #[arg(long, value_name = "FILE.gsb")]
    grid: Vec<String>,
}

impl CutlineArgs {
    /// Options of a clip that concern the cutline.
    pub(super) async fn apply(&self, options: ClipOptions, store: &StoreArgs) -> Result<ClipOptions> {
        let mut grids = Vec::new();
        for uri in &self.grid {
            grids.push(layer::shift_grid(uri, &store.options(), &options.limits).await?);
        }
        Ok(ClipOptions { grids, ..self.of_options(options)? })
    }

    /// The same, without grids, which have to be read.
    pub(super) fn of_options(&self, options: ClipOptions) -> Result<ClipOptions> {
        if self.max_crs_error.is_some_and(|metres| metres.is_nan() || metres < 0.0) {
            return Err(Error::usage("--max-crs-error takes a number of metres, 0 or more"));
        }
        Ok(ClipOptions {
            strict: self.strict,
            max_crs_error: self.max_crs_error,
            allow_ballpark: self.allow_ballpark,
            ..options
        })
    }

    /// What a row of a manifest asks for.
    pub(super) fn selection_of_row(&self, limits: &Limits) -> Result<Selection> {
        if self.cutline.as_deref() == Some("-") {
            return Err(Error::usage("cutline: a row cannot take it from standard input"));
        }
        self.selection(limits)
    }

    /// What was asked for; reads standard input if that is it.
    pub(super) fn selection(&self, limits: &Limits) -> Result<Selection> {
        let polygons = match (&self.bbox, self.cutline.as_deref().unwrap_or_default()) {
            (Some(text), _) => Polygons::Bbox(text.clone()),
            (None, "-") => Polygons::Bytes(
                "standard input".to_owned(),
                standard_input(limits.cutline_bytes, "the cutline")?.into(),
            ),
            (None, text) => Polygons::Text(text.to_owned()),
        };
        Ok(Selection {
            polygons,
            crs: self.cutline_crs.clone(),
            layer: self.layer.clone(),
            conditions: self.conditions.clone(),
            fids: self.fid.iter().copied().collect(),
        })
    }
}

/// All of standard input, which is called `what` in messages.
pub(super) fn standard_input(most: u64, what: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|cause| Error::io("standard input could not be read").caused_by(cause))?;
    within(bytes.len() as u64, most, what)?;
    Ok(bytes)
}
