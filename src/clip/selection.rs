//! What to cut along: which features of which place, read when the raster is known.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Cog;
use crate::cutline::Cutline;
use crate::cutline::repair::Mode;
use crate::error::{Error, Result};
use crate::geo::{Bounds, Crs};
use crate::layer;
use crate::limits::Limits;
use crate::options::ClipOptions;
use crate::store::StoreOptions;
use crate::vector::filter::Filter;
use crate::vector::{Geometry, Layer, Query};

/// Where the polygons are.
#[derive(Clone, Debug, PartialEq)]
pub enum Polygons {
    /// At a path or URL; or a text of GeoJSON, WKT or WKB itself.
    Text(String),
    /// Bytes that are at hand, and what they are called in messages.
    Bytes(String, Bytes),
    /// A rectangle: `minx,miny,maxx,maxy`.
    Bbox(String),
}

/// Features to cut along.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Where they are.
    pub polygons: Polygons,
    /// Their CRS, in any form that [`Crs::parse`] takes, or `source` for the raster's own; `None` for what the place says.
    pub crs: Option<String>,
    /// The layer of a file that holds several.
    pub layer: Option<String>,
    /// Conditions that all must hold.
    pub conditions: Vec<Filter>,
    /// Numbers of features; empty for all.
    pub fids: BTreeSet<i64>,
}

/// How the CRS of the cutline was given.
enum Given {
    ByFile,
    Raster,
    Crs(Crs),
}

/// Features and their CRS; `None` is the raster's own.
#[derive(Clone, Debug)]
pub struct Selected {
    /// The features.
    pub layer: Layer,
    crs: Option<Crs>,
    place: String,
    /// Whether features beside the raster were left unread.
    by_index: bool,
}

impl Selection {
    /// The same place without conditions, when these choose some of many features of a file: read once, it serves all that
    /// [`Selected::only`] can take of it.
    #[must_use]
    pub fn whole(&self) -> Option<Self> {
        let is_file = matches!(&self.polygons, Polygons::Text(text) if !layer::is_inline(text));
        let chooses = !self.fids.is_empty() || !self.conditions.is_empty();
        (is_file && chooses).then(|| Self { conditions: Vec::new(), fids: BTreeSet::new(), ..self.clone() })
    }

    fn query(&self) -> Query {
        Query {
            layer: self.layer.clone(),
            filter: self.conditions.iter().cloned().fold(Filter::default(), Filter::and),
            fids: self.fids.clone(),
            bounds: None,
        }
    }

    /// Reads the features that were asked for. With `everywhere` those beside the raster, too, which a spatial index would
    /// leave out.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a CRS or a box that is not understood, and when no CRS is named; else as [`layer::read`].
    pub async fn read(
        &self,
        cog: &Cog,
        store: &StoreOptions,
        options: &ClipOptions,
        everywhere: bool,
    ) -> Result<Selected> {
        self.load(Some(cog).filter(|_| !everywhere), store, options).await
    }

    /// Reads the features that were asked for, wherever they lie.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_all(&self, store: &StoreOptions, options: &ClipOptions) -> Result<Selected> {
        self.load(None, store, options).await
    }

    /// Those that a raster may need, or all.
    async fn load(
        &self,
        near: Option<&Cog>,
        store: &StoreOptions,
        options: &ClipOptions,
    ) -> Result<Selected> {
        let limits = &options.limits;
        let crs = match self.crs.as_deref() {
            None => Given::ByFile,
            Some("source") => Given::Raster,
            Some(text) => Given::Crs(Crs::parse(text)?),
        };
        let mut query = self.query();
        let (layer, place) = match &self.polygons {
            Polygons::Bbox(text) => (of_box(text)?, "--bbox".to_owned()),
            Polygons::Bytes(name, bytes) => (layer::parse(name, bytes, &query, limits)?, name.clone()),
            Polygons::Text(text) if layer::is_inline(text) => {
                let bytes = text.as_bytes().to_vec();
                (layer::parse("--cutline", &bytes.into(), &query, limits)?, "--cutline".to_owned())
            }
            Polygons::Text(text) => {
                // Numbers are few, and one that no feature has is an error.
                let near = near.filter(|_| self.fids.is_empty());
                let extent = |own: Option<&str>| match (near?, &crs) {
                    (cog, Given::Raster) => Some(cog.bounds().into()),
                    (cog, Given::Crs(crs)) => cog.area_in(crs, options),
                    (cog, Given::ByFile) => cog.area_in(&Crs::parse(own?).ok()?, options),
                };
                let read = layer::read(text, &mut query, &extent, store, limits).await?;
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

impl Selected {
    /// Of a file that was read whole, what `selection` asks for.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a number or a property that no feature has.
    pub fn only(&self, selection: &Selection, limits: &Limits) -> Result<Self> {
        let layer = self.layer.only(&selection.query(), limits).map_err(|error| error.at(&self.place))?;
        Ok(Self { layer, crs: self.crs.clone(), place: self.place.clone(), by_index: false })
    }

    /// Whether features beside the raster were left unread.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.by_index
    }

    /// Vertices of all features.
    #[must_use]
    pub fn vertices(&self) -> usize {
        self.layer.features.iter().map(|feature| feature.geometry.vertices()).sum()
    }

    /// All features as one cutline.
    ///
    /// # Errors
    /// As [`Cutline::from_layer`].
    pub fn united(&self, options: &ClipOptions) -> Result<Cutline> {
        if self.by_index && self.layer.features.is_empty() {
            // None of them touches the raster, which is for the options to judge.
            return Ok(Cutline::new(Vec::new(), self.crs.clone()));
        }
        let cutline = Cutline::from_layer(&self.layer, mode(options));
        Ok(cutline.map_err(|error| error.at(&self.place))?.with_crs(self.crs.clone()))
    }

    /// One feature as a cutline; `None` when it has no area.
    ///
    /// # Errors
    /// As [`Cutline::from_feature`].
    pub fn alone(&self, number: usize, options: &ClipOptions) -> Result<Option<Cutline>> {
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
