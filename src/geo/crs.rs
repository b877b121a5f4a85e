//! Coordinate reference systems.

/// A coordinate reference system.
#[derive(Clone, Debug, PartialEq)]
pub struct Crs;
