//! NTv2 grids.

use super::epsg::Ellipsoid;

/// stub
#[derive(Debug, PartialEq)]
pub struct ShiftGrid {}
/// One
#[derive(Clone, Debug, PartialEq)]
pub struct System {
/// n
pub name: String, 
/// e
pub ellipsoid: Ellipsoid }
impl std::fmt::Display for ShiftGrid { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("x") } }
impl ShiftGrid {
    pub(super) fn forward(&self, place: [f64; 2]) -> Option<[f64; 2]> { Some(place) }
    pub(super) fn inverse(&self, place: [f64; 2]) -> Option<[f64; 2]> { Some(place) }
    pub(super) fn accuracy(&self) -> Option<f64> { None }
    pub(super) fn source(&self) -> &System { unimplemented!() }
    pub(super) fn target(&self) -> &System { unimplemented!() }
}
