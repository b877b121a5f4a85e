//! Vector data: layers of features with a geometry and properties, from the formats that people have.
//!
//! Readers are pure functions over bytes. They know nothing of rasters, and they name a CRS by its text only.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod code_page;
mod dbf;
pub mod filter;
mod flatbuffer;
pub mod flatgeobuf;
#[cfg(test)]
mod flatgeobuf_tests;
pub mod format;
pub mod geojson;
mod geojson_members;
#[cfg(test)]
mod geojson_tests;
pub mod geopackage;
mod geopackage_index;
#[cfg(test)]
mod geopackage_tests;
#[cfg(feature = "geoparquet")]
pub mod geoparquet;
#[cfg(test)]
#[cfg(feature = "geoparquet")]
mod geoparquet_tests;
#[cfg(test)]
mod golden;
#[cfg(feature = "geoparquet")]
mod parquet;
#[cfg(feature = "geoparquet")]
mod parquet_encoding;
#[cfg(feature = "geoparquet")]
mod parquet_page;
pub mod parts;
mod rings;
pub mod shapefile;
mod sqlite;
mod sqlite_schema;
#[cfg(feature = "geoparquet")]
mod thrift;
pub mod wkb;
pub mod wkt;
pub mod zip;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::geo::Bounds;
use crate::limits::Limits;
use filter::Filter;

/// A ring of a polygon as the file holds it: closed or not, in GIS axis order, heights and measures left out.
pub type Ring = Vec<[f64; 2]>;

/// A geometry, in two dimensions.
#[derive(Clone, Debug, PartialEq)]
pub enum Geometry {
    /// A point.
    Point([f64; 2]),
    /// A line of at least no vertices.
    Line(Vec<[f64; 2]>),
    /// An outer ring and holes, as the file holds them; without rings it is empty.
    Polygon(Vec<Ring>),
    /// Several geometries: a Multi type, or a collection of mixed ones.
    Collection(Vec<Self>),
}

impl Geometry {
    /// Number of vertices, closing ones included.
    #[must_use]
    pub fn vertices(&self) -> usize {
        match self {
            Self::Point(_) => 1,
            Self::Line(line) => line.len(),
            Self::Polygon(rings) => rings.iter().map(Vec::len).sum(),
            Self::Collection(parts) => parts.iter().map(Self::vertices).sum(),
        }
    }

    /// A vertex that is not a place: one with an infinite coordinate, or one that is no number.
    #[must_use]
    pub fn unplaced(&self) -> Option<[f64; 2]> {
        let is_unplaced = |vertex: &[f64; 2]| !vertex.iter().all(|v| v.is_finite());
        match self {
            Self::Point(point) => Some(*point).filter(is_unplaced),
            Self::Line(line) => line.iter().copied().find(is_unplaced),
            Self::Polygon(rings) => rings.iter().flatten().copied().find(is_unplaced),
            Self::Collection(parts) => parts.iter().find_map(Self::unplaced),
        }
    }

    /// The smallest rectangle around all vertices; `None` without any.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        match self {
            Self::Point(point) => Bounds::around([*point]),
            Self::Line(line) => Bounds::around(line.iter().copied()),
            Self::Polygon(rings) => Bounds::around(rings.iter().flatten().copied()),
            Self::Collection(parts) => {
                let corners = |b: Bounds| [[b.min_x, b.min_y], [b.max_x, b.max_y]];
                Bounds::around(parts.iter().filter_map(Self::bounds).flat_map(corners))
            }
        }
    }
}

/// A property's value. Dates and times are text, as ISO 8601 writes them; what is neither is left out.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
}

/// One feature of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its number: the one that the file gives it (a GeoPackage's key, a whole number as GeoJSON's `id`), else its place in
    /// the file from 0, as OGR counts.
    pub fid: i64,
    /// GeoJSON's `id` when it is text.
    pub id: Option<String>,
    /// Properties in the file's order.
    pub properties: Vec<(Arc<str>, Value)>,
    /// Its geometry; a missing one is an empty collection.
    pub geometry: Geometry,
}

impl Feature {
    /// The property `name`; of names that differ only in case, the exact one first.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        property(&self.properties, name)
    }
}

fn property<'a>(properties: &'a [(Arc<str>, Value)], name: &str) -> Option<&'a Value> {
    let exact = properties.iter().find(|(key, _)| **key == *name);
    exact
        .or_else(|| properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value)
}

/// Which way rings run in a format that says so, seen with y upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Winding {
    /// Outer rings counterclockwise, holes clockwise: RFC 7946 §3.1.6.
    Right,
    /// Outer rings clockwise, holes counterclockwise: ESRI's shapefile.
    Left,
    /// The format does not say.
    Any,
}

/// What was asked of a file, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// The text that names its CRS, in any form that [`crate::geo::Crs::parse`] takes; `None` when the file names none.
    pub crs: Option<String>,
    /// Which way its rings should run.
    pub winding: Winding,
    /// The features that were asked for, in the file's order.
    pub features: Vec<Feature>,
}

impl Layer {
    /// One feature without properties.
    #[must_use]
    pub fn of_geometry(name: impl Into<String>, geometry: Geometry) -> Self {
        let feature = Feature { fid: 0, id: None, properties: Vec::new(), geometry };
        Self { name: name.into(), crs: None, winding: Winding::Any, features: vec![feature] }
    }

    /// Of a layer that was read whole, the features that `query` asks for by their numbers and properties: what reading the file
    /// with it would have given.
    ///
    /// # Errors
    /// As [`Gathering::finish`].
    pub fn only(&self, query: &Query, limits: &Limits) -> Result<Self> {
        let mut found = Gathering::new(self.name.clone(), self.winding, query, limits);
        found.set_crs(self.crs.clone());
        for feature in &self.features {
            if found.wants(feature.fid, &feature.properties) {
                found.add(feature.clone())?;
            } else {
                feature.properties.iter().for_each(|(name, _)| found.declare(name));
                found.skip();
            }
        }
        found.finish()
    }
}

/// What is asked of a file. `Default` asks for everything in its only layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// The layer's name; `None` for the only one.
    pub layer: Option<String>,
    /// Conditions on properties, all of which must hold.
    pub filter: Filter,
    /// Numbers of features; empty for all.
    pub fids: BTreeSet<i64>,
    /// Only features whose box touches this area: used where the file has a spatial index, ignored where it has none.
    pub bounds: Option<Area>,
}

/// Where features are wanted, in the layer's own coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area {
    bounds: Bounds,
    turns: bool,
}

impl Area {
    /// The area within `bounds`; of longitudes in degrees, at every turn of them.
    #[must_use]
    pub fn new(bounds: Bounds, in_degrees: bool) -> Self {
        Self { bounds, turns: in_degrees }
    }

    /// Whether a feature's box touches it. A side that is no number holds nothing back.
    #[must_use]
    pub fn touches(&self, feature: &Bounds) -> bool {
        let Bounds { min_x, min_y, max_x, max_y } = self.bounds;
        let is_beside = |turn: f64| feature.min_x > max_x + turn || feature.max_x < min_x + turn;
        // Longitudes are taken up to 540 degrees.
        let turns: &[f64] = if self.turns { &[0.0, -360.0, 360.0, -720.0, 720.0] } else { &[0.0] };
        !(feature.min_y > max_y || feature.max_y < min_y || turns.iter().all(|turn| is_beside(*turn)))
    }
}

impl From<Bounds> for Area {
    fn from(bounds: Bounds) -> Self {
        Self::new(bounds, false)
    }
}

impl Query {
    /// Whether the layer that is asked for can be `name`, which is the file's only one; empty when it has no name.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when another is asked for.
    pub fn names_layer(&self, name: &str) -> Result<()> {
        match &self.layer {
            Some(layer) if layer != name => Err(Error::usage(if name.is_empty() {
                format!("--layer {layer}: the only layer of the file has no name; leave --layer out")
            } else {
                format!("--layer {layer}: the only layer of the file is `{name}`")
            })),
            _ => Ok(()),
        }
    }
}

/// Why reading stopped, in a format that is read by ranges.
#[derive(Debug)]
pub enum Stop {
    /// These bytes of the file are needed; call again when they have come.
    Need(Vec<Range<u64>>),
    /// The file cannot be read.
    Bad(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Bad(error)
    }
}

/// What a feature takes beside its vertices and properties.
const FEATURE_BYTES: u64 = 128;

/// Gathers the features that a query asks for, within limits. Every reader hands its features to one.
#[derive(Debug)]
pub struct Gathering<'a> {
    query: &'a Query,
    limits: &'a Limits,
    layer: Layer,
    vertices: usize,
    text: u64,
    /// Names of properties that were seen, for the message about one that was not.
    seen: BTreeSet<Arc<str>>,
    met: u64,
}

impl<'a> Gathering<'a> {
    /// For the layer `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, winding: Winding, query: &'a Query, limits: &'a Limits) -> Self {
        let layer = Layer { name: name.into(), crs: None, winding, features: Vec::new() };
        Self { query, limits, layer, vertices: 0, text: 0, seen: BTreeSet::new(), met: 0 }
    }

    /// States the layer's CRS.
    pub fn set_crs(&mut self, crs: Option<String>) {
        self.layer.crs = crs;
    }

    /// Declares a property's name, whether or not a feature holds it.
    pub fn declare(&mut self, name: &Arc<str>) {
        if !self.seen.contains(name) {
            self.seen.insert(Arc::clone(name));
        }
    }

    /// Whether a feature of this number can be wanted: readers may skip the others undecoded.
    #[must_use]
    pub fn wants_fid(&self, fid: i64) -> bool {
        self.query.fids.is_empty() || self.query.fids.contains(&fid)
    }

    /// Whether a feature with this number and these properties is wanted: readers may skip the geometry of others.
    #[must_use]
    pub fn wants(&self, fid: i64, properties: &[(Arc<str>, Value)]) -> bool {
        self.wants_fid(fid) && self.query.filter.holds(properties)
    }

    /// Vertices that may still come: a reader checks a count against it before it allocates.
    #[must_use]
    pub fn vertices_left(&self) -> usize {
        self.limits.vertices.saturating_sub(self.vertices)
    }

    /// The error for a count of vertices over the limit.
    #[must_use]
    pub fn too_many_vertices(&self) -> Error {
        Error::limit(format!(
            "the cutline has more than {} vertices, which is the limit",
            self.limits.vertices
        ))
    }

    /// Takes a feature in if it is wanted. Call it, or [`Self::skip`], for every feature of the layer.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Limit`] beyond [`Limits::vertices`], or [`Limits::cutline_bytes`] of text in properties;
    /// - [`crate::ErrorKind::Format`] for a vertex with a coordinate that is infinite or no number.
    pub fn add(&mut self, feature: Feature) -> Result<()> {
        self.met = self.met.saturating_add(1);
        for (name, _) in &feature.properties {
            self.declare(name);
        }
        if !self.wants(feature.fid, &feature.properties) {
            return Ok(());
        }
        self.vertices = self.vertices.saturating_add(feature.geometry.vertices());
        if self.vertices > self.limits.vertices {
            return Err(self.too_many_vertices());
        }
        if let Some([x, y]) = feature.geometry.unplaced() {
            return Err(Error::format(format!(
                "the feature {} has a vertex at {x} {y}, which is nowhere",
                feature.fid
            )));
        }
        let text = |value: &Value| if let Value::Text(text) = value { text.len() as u64 } else { 0 };
        let added: u64 = feature.properties.iter().map(|(_, value)| text(value).saturating_add(48)).sum();
        self.text = self.text.saturating_add(added).saturating_add(FEATURE_BYTES);
        if self.text > self.limits.cutline_bytes {
            return Err(Error::limit(format!(
                "the cutline's features and their properties take more than {} bytes, which is the limit",
                self.limits.cutline_bytes
            )));
        }
        self.layer.features.push(feature);
        Ok(())
    }

    /// Counts a feature that was skipped undecoded.
    pub fn skip(&mut self) {
        self.met = self.met.saturating_add(1);
    }

    /// The layer.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when a condition names a property that the layer does not have, or a number was asked
    /// for that no feature has.
    pub fn finish(self) -> Result<Layer> {
        if self.met > 0
            && let Some(name) = self.query.filter.names().find(|name| !self.has(name))
        {
            let known: Vec<&str> = self.seen.iter().map(|name| &**name).take(40).collect();
            return Err(Error::usage(format!(
                "--where asks for the property `{name}`, which no feature of the layer `{}` has; it has {}",
                self.layer.name,
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        }
        let found: BTreeSet<i64> = self.layer.features.iter().map(|feature| feature.fid).collect();
        if self.query.filter.is_empty()
            && self.query.bounds.is_none()
            && let Some(fid) = self.query.fids.difference(&found).next()
        {
            return Err(Error::usage(format!(
                "--fid {fid}: the layer `{}` of {} features has no feature of that number",
                self.layer.name, self.met
            )));
        }
        Ok(self.layer)
    }

    fn has(&self, name: &str) -> bool {
        self.seen.iter().any(|seen| seen.eq_ignore_ascii_case(name))
    }
}
