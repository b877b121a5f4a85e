//! The cutline: polygons, lines and points in a named CRS, from vector input.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod chain;
mod crossings;
mod cut;
mod densify;
mod domain;
mod footprint;
mod meridian;
mod place;
#[cfg(test)]
mod place_tests;
mod plane;
pub mod repair;
mod smooth;

pub use repair::Repairs;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::geo::{Affine, Bounds, Choice, Crs, Operation, Projector, ShiftGrid};
use crate::grid::Size;
use crate::limits::Limits;
use crate::vector::{Feature, Layer, Query, Winding, geojson};
use repair::Mode;

/// A closed ring, first point equal to the last, in world coordinates.
pub type Ring = Vec<[f64; 2]>;

/// The rings of one polygon: an outer ring and holes. They are filled together by the even-odd rule, so their
/// order and direction do not matter.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon {
    /// Its rings.
    pub rings: Vec<Ring>,
}

/// What to cut along: the union of polygons in one CRS.
#[derive(Clone, Debug, PartialEq)]
pub struct Cutline {
    /// The polygons; a pixel belongs when it belongs to any of them.
    pub polygons: Vec<Polygon>,
    /// The CRS that the input named; `None` when it named none.
    pub crs: Option<Crs>,
    /// What was wrong with the polygons.
    pub repairs: Repairs,
    /// How they came into this CRS; `None` when they were given in it.
    pub operation: Option<Operation>,
}

impl Cutline {
    /// Polygons in `crs`; `None` leaves the CRS unknown. Their rings are taken as they are.
    #[must_use]
    pub fn new(polygons: Vec<Polygon>, crs: Option<Crs>) -> Self {
        Self { polygons, crs, repairs: Repairs::default(), operation: None }
    }

    /// The polygons of a GeoJSON text (RFC 7946): a geometry, a Feature or a FeatureCollection.
    ///
    /// The CRS is that of the `crs` member (GeoJSON 2008 §3) if there is one, else longitude and latitude on WGS 84.
    ///
    /// # Errors
    /// As [`Self::from_layer`] and [`geojson::read`]; [`crate::ErrorKind::Usage`] or [`crate::ErrorKind::Unsupported`] for a CRS
    /// that is not understood. The caller bounds the text.
    pub fn from_geojson(text: &str, limits: &Limits) -> Result<Self> {
        let layer = geojson::read(text, &Query::default(), limits)?;
        let crs = layer
            .crs
            .as_deref()
            .map(Crs::parse)
            .transpose()
            .map_err(|error| error.at("the cutline's CRS"))?;
        Ok(Self::from_layer(&layer, Mode::Repair)?.with_crs(crs))
    }

    /// The polygons of a layer's features, without a CRS. What is not valid is filled as GDAL fills it, and counted; heights
    /// are dropped, unclosed rings closed, null and empty geometries skipped.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`], naming the feature, for points and lines, coordinates that are not finite, and with
    /// [`Mode::Strict`] for what is not valid; and when no polygon is left.
    pub fn from_layer(layer: &Layer, mode: Mode) -> Result<Self> {
        let mut this = Self::new(Vec::new(), None);
        for feature in &layer.features {
            this.add(feature, layer.winding, mode)?;
        }
        if this.polygons.is_empty() {
            return Err(Error::usage(match layer.features.len() {
                0 => "the cutline has no feature, or none that was asked for".to_owned(),
                _ => "the cutline has no polygon: all of its geometries are null or empty".to_owned(),
            }));
        }
        Ok(this)
    }

    /// The polygons of one feature, as [`Self::from_layer`]; `None` when there is none.
    ///
    /// # Errors
    /// As [`Self::from_layer`].
    pub fn from_feature(feature: &Feature, winding: Winding, mode: Mode) -> Result<Option<Self>> {
        let mut this = Self::new(Vec::new(), None);
        this.add(feature, winding, mode)?;
        Ok(Some(this).filter(|this| !this.polygons.is_empty()))
    }

    fn add(&mut self, feature: &Feature, winding: Winding, mode: Mode) -> Result<()> {
        repair::repair(&feature.geometry, winding, mode, &mut self.polygons, &mut self.repairs).map_err(
            |error| {
                error.at(match &feature.id {
                    Some(id) => format!("the cutline's feature {} (id \"{id}\")", feature.fid),
                    None => format!("the cutline's feature {}", feature.fid),
                })
            },
        )
    }

    /// SHA-256 of the polygons and the CRS: alike for cutlines of the same vertices in the same order.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let count = |hash: &mut Sha256, len: usize| hash.update((len as u64).to_le_bytes());
        let crs = self.crs.as_ref().map(|crs| format!("{crs:?}")).unwrap_or_default();
        count(&mut hash, crs.len());
        hash.update(crs);
        count(&mut hash, self.polygons.len());
        for polygon in &self.polygons {
            count(&mut hash, polygon.rings.len());
            for ring in &polygon.rings {
                count(&mut hash, ring.len());
                for [x, y] in ring {
                    hash.update(x.to_le_bytes());
                    hash.update(y.to_le_bytes());
                }
            }
        }
        hash.finalize().into()
    }

    /// The rectangle `bounds` as a cutline.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when it is not finite, or when a minimum is not below its maximum.
    pub fn from_bounds(bounds: Bounds, crs: Option<Crs>) -> Result<Self> {
        let Bounds { min_x, min_y, max_x, max_y } = bounds;
        if ![min_x, min_y, max_x, max_y].iter().all(|v| v.is_finite()) || min_x >= max_x || min_y >= max_y {
            return Err(Error::usage(format!(
                "the bounds {min_x},{min_y},{max_x},{max_y} are no rectangle: they are minx,miny,maxx,maxy, and each \
                 minimum must be below its maximum (over the antimeridian longitudes run on: 170,-20,190,-10)"
            )));
        }
        let ring = vec![[min_x, min_y], [max_x, min_y], [max_x, max_y], [min_x, max_y], [min_x, min_y]];
        Ok(Self::new(vec![Polygon { rings: vec![ring] }], crs))
    }

    /// The same coordinates, taken to be in `crs`; `None` leaves the CRS unknown.
    #[must_use]
    pub fn with_crs(self, crs: Option<Crs>) -> Self {
        Self { crs, ..self }
    }

    /// The smallest rectangle around all vertices, in its own CRS; `None` when there are none.
    #[must_use]
    pub fn bounds(&self) -> Option<Bounds> {
        Bounds::around(self.polygons.iter().flat_map(|polygon| &polygon.rings).flatten().copied())
    }

    /// Number of vertices, the closing ones included.
    #[must_use]
    pub fn vertices(&self) -> usize {
        self.polygons.iter().flat_map(|polygon| &polygon.rings).map(Vec::len).sum()
    }

    /// Refuses coordinates that are no longitude and latitude.
    fn on_the_globe(&self, own: &Crs) -> Result<()> {
        let beyond =
            |&&[x, y]: &&[f64; 2]| y.abs() > 90.0 + ROUNDING_DEGREES || x.abs() > 540.0 + ROUNDING_DEGREES;
        for (number, polygon) in self.polygons.iter().enumerate() {
            if let Some([x, y]) = polygon.rings.iter().flatten().find(beyond) {
                return Err(Error::usage(format!(
                    "polygon {number} of the cutline: ({x}, {y}) is no longitude and latitude in degrees, as {own} has them; say \
                     with `--cutline-crs` which CRS its coordinates are in"
                )));
            }
        }
        Ok(())
    }

    /// Where the raster and the cutline may meet: west, south, east and north in degrees of Greenwich.
    fn area(&self, own: &Crs, raster: &Crs, frame: &Frame) -> Option<[f64; 4]> {
        let whole = raster.area(frame.samples(SAMPLES))?;
        let meeting = || {
            let Bounds { min_x, min_y, max_x, max_y } = self.bounds()?;
            let middle = [min_x.midpoint(max_x), min_y.midpoint(max_y)];
            let corners = [middle, [min_x, min_y], [max_x, min_y], [max_x, max_y], [min_x, max_y]];
            common(whole, own.area(corners)?)
        };
        meeting().or(Some(whole))
    }

    /// The cutline in the raster's CRS, with vertices added along its edges until the straight lines between
    /// them are within 0.1 pixel of where the edges really run. In the raster's CRS already, it stays as it is, bit
    /// for bit.
    ///
    /// A polygon that cannot be projected as it is, because an edge crosses the edge of the map or leaves the area for
    /// which the raster's CRS is made, or because it surrounds what the map has no place for, is cut to the raster's
    /// surroundings and where the map is torn; then there may be several polygons, or none, in its place. On a raster
    /// in degrees a polygon appears at every whole turn of longitude that overlaps the raster, and as it is where
    /// none does.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Usage`] when the cutline has no CRS, or a polygon cannot be placed without a guess;
    /// - [`crate::ErrorKind::Unsupported`] when one of the CRSs cannot be projected;
    /// - [`crate::ErrorKind::Format`] when the raster's geotransform has no inverse;
    /// - [`crate::ErrorKind::Limit`] when it takes more vertices than [`Limits::vertices`].
    pub fn to_crs(&self, raster: &Crs, frame: &Frame, terms: &Terms<'_>, limits: &Limits) -> Result<Self> {
        let Some(own) = &self.crs else {
            return Err(Error::usage(
                "the cutline names no CRS; say which one it is in with `--cutline-crs`, for example \
                 `--cutline-crs EPSG:4326`, or `--cutline-crs source` for the raster's own",
            ));
        };
        if own.is_geographic() && !own.is_same(raster) {
            self.on_the_globe(own)?;
        }
        let choice = Choice {
            area: self.area(own, raster, frame),
            max_error: terms.max_error.unwrap_or_else(|| frame.pixel_metres(raster)),
            allow_ballpark: terms.allow_ballpark,
            grids: terms.grids,
        };
        let (polygons, operation) = place::polygons(&self.polygons, own, raster, frame, &choice, limits)?;
        Ok(Self { polygons, crs: Some(raster.clone()), repairs: self.repairs, operation: Some(operation) })
    }
}

/// Degrees beyond a pole or the last turn that are a writer's rounding.
const ROUNDING_DEGREES: f64 = 1e-9;

/// Degrees that an area of interest has in common with another, both without the antimeridian in them.
fn common(a: [f64; 4], b: [f64; 4]) -> Option<[f64; 4]> {
    let [west, south] = [a[0].max(b[0]), a[1].max(b[1])];
    let [east, north] = [a[2].min(b[2]), a[3].min(b[3])];
    (a[0] <= a[2] && b[0] <= b[2] && west <= east && south <= north).then_some([west, south, east, north])
}

/// The raster that a cutline is placed on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Its geotransform.
    pub transform: Affine,
    /// Its size in pixels.
    pub size: Size,
    /// Whether a pixel can only belong by its centre. Then a polygon on another turn of longitude, which reaches into the
    /// raster by less than half a pixel, is left out; it would make the window as wide as the world.
    pub by_centre: bool,
}

/// On which terms a cutline may be taken to another datum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// By how many metres the operation may be wrong; `None` for the shorter side of a pixel.
    pub max_error: Option<f64>,
    /// Whether an operation will do of which nothing is known.
    pub allow_ballpark: bool,
    /// Grids to be used instead, for the datums that they are made for.
    pub grids: &'a [Arc<ShiftGrid>],
}

/// Places along each side of the raster that tell where it lies.
const SAMPLES: u32 = 5;

/// Places along each side of the raster between which its outline is taken to be straight in another CRS, but for
/// [`BULGE`].
const BOX_SAMPLES: u32 = 33;

/// Share of a box by which it is widened.
const BULGE: f64 = 0.1;

/// Degrees of longitude from which a raster may lie around a pole.
const NEARLY_HALF_A_TURN: f64 = 170.0;

impl Frame {
    /// World coordinates of a grid of places of the raster, its centre first, its corners among them.
    fn samples(&self, along: u32) -> impl Iterator<Item = [f64; 2]> {
        let Size { width, height } = self.size;
        let at = move |share_x: f64, share_y: f64| {
            self.transform.apply(f64::from(width) * share_x, f64::from(height) * share_y)
        };
        let last = f64::from(along.saturating_sub(1));
        let shares = move || (0..along).map(move |n| f64::from(n) / last);
        std::iter::once(at(0.5, 0.5)).chain(shares().flat_map(move |y| shares().map(move |x| at(x, y))))
    }

    /// A box in `crs` outside of which nothing concerns the raster; `None` where that cannot be said: next to a pole, over
    /// the end of a map, and where one of the two CRSs is not understood.
    #[must_use]
    pub fn bounds_in(&self, raster: &Crs, crs: &Crs, terms: &Terms<'_>) -> Option<Bounds> {
        let samples = || self.samples(BOX_SAMPLES);
        let choice = Choice {
            area: raster.area(samples()),
            max_error: f64::INFINITY,
            allow_ballpark: true,
            grids: terms.grids,
        };
        let projector = Projector::new(raster, crs, &choice).ok()?;
        let in_degrees = crs.is_geographic();
        let mut first = None;
        let mut places = Vec::new();
        for sample in samples() {
            let [x, y] = projector.project(sample).ok()?;
            let first = *first.get_or_insert(x);
            let turns = if in_degrees { ((x - first) / 360.0).round() * 360.0 } else { 0.0 };
            places.push([x - turns, y]);
        }
        let Bounds { min_x, min_y, max_x, max_y } = Bounds::around(places)?;
        if in_degrees && max_x - min_x > NEARLY_HALF_A_TURN {
            return None;
        }
        // Between the samples an edge may bulge.
        let bulge = if projector.is_identity() { 0.0 } else { BULGE };
        let (x, y) = ((max_x - min_x) * bulge, (max_y - min_y) * bulge);
        Some(Bounds { min_x: min_x - x, min_y: min_y - y, max_x: max_x + x, max_y: max_y + y })
    }

    /// Metres on the ground of the shorter side of the raster's central pixel; 0, which allows no shift, where that is not
    /// known.
    fn pixel_metres(&self, crs: &Crs) -> f64 {
        let [_, across, down_x, _, across_y, down] = self.transform.0;
        let [_, y] =
            self.transform.apply(f64::from(self.size.width) / 2.0, f64::from(self.size.height) / 2.0);
        let Some([east, north]) = crs.definition().map(|definition| definition.metres_per_unit(y)) else {
            return 0.0;
        };
        (across * east).hypot(across_y * north).min((down_x * east).hypot(down * north))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_box_is_a_closed_ring_and_an_empty_one_is_refused() {
        let bounds = Bounds { min_x: 1.0, min_y: 2.0, max_x: 3.0, max_y: 5.0 };
        let cutline = Cutline::from_bounds(bounds, None).unwrap();
        assert_eq!((cutline.vertices(), cutline.bounds()), (5, Some(bounds)));
        for bad in [
            Bounds { max_x: 1.0, ..bounds },
            Bounds { min_y: 6.0, ..bounds },
            Bounds { min_x: f64::NAN, ..bounds },
            Bounds { max_y: f64::INFINITY, ..bounds },
        ] {
            assert_eq!(Cutline::from_bounds(bad, None).unwrap_err().kind(), ErrorKind::Usage, "{bad:?}");
        }
    }
}
