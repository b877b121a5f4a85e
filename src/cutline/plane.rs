//! What placing a cutline needs of a projection: there, and back.

use std::fmt;

use crate::error::Result;
use crate::geo::project::Projector;
use crate::geo::{Choice, Crs};

/// A map from the coordinates of one plane, the source, to those of another, the target; both in GIS axis order,
/// geographic ones in degrees.
pub(super) trait Plane: fmt::Display {
    /// The place in the target; an error of kind `Usage` where it has none.
    fn project(&self, point: [f64; 2]) -> Result<[f64; 2]>;
    /// The same for a place in an area in which all are known to have one: it is not looked whether it comes back.
    fn project_within(&self, point: [f64; 2]) -> Result<[f64; 2]> {
        self.project(point)
    }
    /// The place in the source; `None` where it has none.
    fn back(&self, point: [f64; 2]) -> Option<[f64; 2]>;
    /// Whether coordinates stay as they are, bit for bit.
    fn is_identity(&self) -> bool;
}

/// The plane between two CRSs.
#[derive(Debug)]
pub(super) struct Between {
    pub(super) there: Projector,
    back: Projector,
}

impl Between {
    pub(super) fn new(from: &Crs, to: &Crs, choice: &Choice<'_>) -> Result<Self> {
        let there = Projector::new(from, to, choice)?;
        Ok(Self { back: there.inverse(), there })
    }
}

impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.there.fmt(f)
    }
}

impl Plane for Between {
    fn project(&self, point: [f64; 2]) -> Result<[f64; 2]> {
        self.there.project(point)
    }

    fn project_within(&self, point: [f64; 2]) -> Result<[f64; 2]> {
        self.there.project_within(point)
    }

    fn back(&self, point: [f64; 2]) -> Option<[f64; 2]> {
        self.back.project(point).ok()
    }

    fn is_identity(&self) -> bool {
        self.there.is_identity()
    }
}
