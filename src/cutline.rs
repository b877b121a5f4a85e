//! The cutline: polygons, lines and points in a named CRS, from vector input.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod chain;
mod cut;
mod densify;
mod domain;
mod footprint;
mod geojson;
mod meridian;
mod place;
#[cfg(test)]
mod place_tests;
mod plane;

use crate::error::{Error, Result};
use crate::geo::{Affine, Bounds, Crs};
use crate::grid::Size;
use crate::limits::Limits;

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
}

impl Cutline {
    /// The polygons of a GeoJSON text (RFC 7946): a geometry, a Feature or a FeatureCollection.
    ///
    /// The CRS is that of the `crs` member (GeoJSON 2008 §3) if there is one, else longitude and latitude on
    /// WGS 84. Heights are dropped, unclosed rings closed, null and empty geometries skipped.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Format`], with line and column, for text that is not GeoJSON;
    /// - [`crate::ErrorKind::Usage`] for points and lines, and when no polygon is left;
    /// - [`crate::ErrorKind::Unsupported`] for a CRS that cannot be understood, and for several in one text;
    /// - [`crate::ErrorKind::Limit`] for more vertices than [`Limits::vertices`]. The caller bounds the text.
    pub fn from_geojson(text: &str, limits: &Limits) -> Result<Self> {
        geojson::parse(text, limits)
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
        Ok(Self { polygons: vec![Polygon { rings: vec![ring] }], crs })
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
    pub fn to_crs(&self, raster: &Crs, frame: &Frame, limits: &Limits) -> Result<Self> {
        let Some(own) = &self.crs else {
            return Err(Error::usage(
                "the cutline names no CRS; say which one it is in with `--cutline-crs`, for example \
                 `--cutline-crs EPSG:4326`, or `--cutline-crs source` for the raster's own",
            ));
        };
        let polygons = place::polygons(&self.polygons, own, raster, frame, limits)?;
        Ok(Self { polygons, crs: Some(raster.clone()) })
    }
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
