//! What is wrong with polygons.

use super::{Polygon, Ring};
use crate::error::{Error, Result};
use crate::vector::{Geometry, Winding};

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {}

impl std::ops::AddAssign for Repairs {
    fn add_assign(&mut self, _: Self) {}
}

impl Repairs {
    /// By name.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        std::iter::empty()
    }
}

/// Repair or refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Repair.
    Repair,
    /// Refuse.
    Strict,
}

/// Polygons of a geometry.
///
/// # Errors
/// Points and lines.
pub fn repair(
    geometry: &Geometry,
    winding: Winding,
    mode: Mode,
    out: &mut Vec<Polygon>,
    repairs: &mut Repairs,
) -> Result<()> {
    match geometry {
        Geometry::Point(_) => Err(Error::usage("a Point covers no area; a cutline takes polygons")),
        Geometry::Line(_) => Err(Error::usage("a LineString covers no area; a cutline takes polygons")),
        Geometry::Polygon(rings) => {
            let rings: Vec<Ring> = rings.iter().filter(|ring| !ring.is_empty()).cloned().collect();
            if !rings.is_empty() {
                out.push(Polygon { rings });
            }
            Ok(())
        }
        Geometry::Collection(parts) => {
            parts.iter().try_for_each(|part| repair(part, winding, mode, out, repairs))
        }
    }
}
