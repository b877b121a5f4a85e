//! GeoKeys (OGC 19-008r4 §7.1.4).

/// The GeoKeys of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoKeys;
