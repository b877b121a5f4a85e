//! What to cut along, as it was typed and as it is read.

use std::collections::BTreeSet;
use std::io::Read;

use clap::Args as ClapArgs;

use super::args::StoreArgs;
use crate::clip::Cog;
use crate::cutline::Cutline;
use crate::cutline::repair::Mode;
use crate::error::{Error, Result};
use crate::geo::{Bounds, Crs};
use crate::layer;
use crate::limits::{Limits, within};
use crate::options::ClipOptions;
use crate::vector::filter::Filter;
use crate::vector::{Geometry, Layer, Query};

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Cutline")]
pub(super) struct CutlineArgs {
    /// Polygons: a path, a URL, `-` for standard input, or GeoJSON or WKT itself; see README for the formats
    #[arg(long, value_name = "CUTLINE", required_unless_present = "bbox", conflicts_with = "bbox")]
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
        if self.max_crs_error.is_some_and(|metres| metres.is_nan() || metres < 0.0) {
            return Err(Error::usage("--max-crs-error takes a number of metres, 0 or more"));
        }
        let mut grids = Vec::new();
        for uri in &self.grid {
            grids.push(layer::shift_grid(uri, &store.options(), &options.limits).await?);
        }
        Ok(ClipOptions {
            strict: self.strict,
            max_crs_error: self.max_crs_error,
            allow_ballpark: self.allow_ballpark,
            grids,
            ..options
        })
    }

    /// Reads the features that were asked for.
    ///
    /// With `everywhere` those beside the raster, too, which a spatial index would leave out.
    pub(super) async fn read(
        &self,
        cog: &Cog,
        store: &StoreArgs,
        options: &ClipOptions,
        everywhere: bool,
    ) -> Result<Selected> {
        let limits = &options.limits;
        let crs = match self.cutline_crs.as_deref() {
            None => Given::ByFile,
            Some("source") => Given::Raster,
            Some(text) => Given::Crs(Crs::parse(text)?),
        };
        let mut query = Query {
            layer: self.layer.clone(),
            filter: self.conditions.iter().cloned().fold(Filter::default(), Filter::and),
            fids: self.fid.iter().copied().collect::<BTreeSet<_>>(),
            bounds: None,
        };
        let (layer, place) = if let Some(text) = &self.bbox {
            (of_box(text)?, "--bbox".to_owned())
        } else {
            let text = self.cutline.as_deref().unwrap_or_default();
            if text == "-" {
                let bytes = standard_input(limits)?;
                (layer::parse("standard input", &bytes.into(), &query, limits)?, "standard input".to_owned())
            } else if layer::is_inline(text) {
                let bytes = text.as_bytes().to_vec();
                (layer::parse("--cutline", &bytes.into(), &query, limits)?, "--cutline".to_owned())
            } else {
                // Numbers are few, and one that no feature has is an error.
                let everywhere = everywhere || !self.fid.is_empty();
                let extent = |own: Option<&str>| match &crs {
                    _ if everywhere => None,
                    Given::Raster => Some(cog.bounds().into()),
                    Given::Crs(crs) => cog.area_in(crs, options),
                    Given::ByFile => cog.area_in(&Crs::parse(own?).ok()?, options),
                };
                let read = layer::read(text, &mut query, &extent, &store.options(), limits).await?;
                (read, crate::store::redact(text))
            }
        };
        let crs = match crs {
            Given::Raster => None,
            Given::Crs(crs) => Some(crs),
            Given::ByFile => match &layer.crs {
                Some(text) => {
                    Some(Crs::parse(text).map_err(|error| error.at(format!("the CRS of {place}")))?)
                }
                None => {
                    return Err(Error::usage(format!(
                        "{place} names no CRS; say which with --cutline-crs (EPSG:n, WKT, a PROJ string, or source for \
                         coordinates in the raster's own CRS)"
                    )));
                }
            },
        };
        Ok(Selected { by_index: query.bounds.is_some(), layer, crs, place })
    }
}

/// How the CRS of the cutline was given.
enum Given {
    ByFile,
    Raster,
    Crs(Crs),
}

/// Features and their CRS; `None` is the raster's own.
pub(super) struct Selected {
    pub(super) layer: Layer,
    crs: Option<Crs>,
    place: String,
    /// Whether features beside the raster were left unread.
    by_index: bool,
}

impl Selected {
    /// All features as one cutline.
    pub(super) fn united(&self, options: &ClipOptions) -> Result<Cutline> {
        if self.by_index && self.layer.features.is_empty() {
            // None of them touches the raster, which is for the options to judge.
            return Ok(Cutline::new(Vec::new(), self.crs.clone()));
        }
        let cutline = Cutline::from_layer(&self.layer, mode(options));
        Ok(cutline.map_err(|error| error.at(&self.place))?.with_crs(self.crs.clone()))
    }

    /// One feature as a cutline; `None` when it has no area.
    pub(super) fn alone(&self, number: usize, options: &ClipOptions) -> Result<Option<Cutline>> {
        let Some(feature) = self.layer.features.get(number) else { return Ok(None) };
        let cutline = Cutline::from_feature(feature, self.layer.winding, mode(options));
        Ok(cutline.map_err(|error| error.at(&self.place))?.map(|cutline| cutline.with_crs(self.crs.clone())))
    }
}

fn mode(options: &ClipOptions) -> Mode {
    if options.strict { Mode::Strict } else { Mode::Repair }
}

fn of_box(text: &str) -> Result<Layer> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    let Some(&[min_x, min_y, max_x, max_y]) = numbers.as_deref() else {
        return Err(Error::usage(format!("--bbox {text}: four numbers are expected, minx,miny,maxx,maxy")));
    };
    let cutline = Cutline::from_bounds(Bounds { min_x, min_y, max_x, max_y }, None)?;
    let rings = cutline.polygons.into_iter().map(|polygon| Geometry::Polygon(polygon.rings)).collect();
    Ok(Layer::of_geometry("--bbox", Geometry::Collection(rings)))
}

fn standard_input(limits: &Limits) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(limits.cutline_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|cause| Error::io("standard input could not be read").caused_by(cause))?;
    within(bytes.len() as u64, limits.cutline_bytes, "the cutline")?;
    Ok(bytes)
}
