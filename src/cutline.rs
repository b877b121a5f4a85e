//! The cutline: polygons, lines and points in a named CRS, from vector input.

use crate::geo::Crs;

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
