//! Formats.
use super::{Layer, Query, geojson, geopackage, wkb, wkt};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// GeoJSON.
    GeoJson,
    /// WKT.
    Wkt,
    /// GeoPackage.
    GeoPackage,
    /// FlatGeobuf.
    FlatGeobuf,
    /// Shapefile.
    Shapefile,
}

impl Format {
    /// By content.
    ///
    /// # Errors
    /// Unknown.
    pub fn detect(_name: &str, head: &[u8]) -> Result<Self> {
        Ok(if head.starts_with(b"SQLite") {
            Self::GeoPackage
        } else if head.starts_with(b"{") {
            Self::GeoJson
        } else {
            Self::Wkt
        })
    }
}

/// Whether it is WKT.
#[must_use]
pub fn is_wkt(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Reads.
///
/// # Errors
/// By format.
pub fn read(format: Format, _name: &str, bytes: &[u8], query: &Query, limits: &Limits) -> Result<Layer> {
    let text = || std::str::from_utf8(bytes).map_err(|cause| Error::format("no UTF-8").caused_by(cause));
    match format {
        Format::GeoJson => geojson::read(text()?, query, limits),
        Format::Wkt => wkt::read(text()?, query, limits),
        Format::GeoPackage => geopackage::read(bytes, query, limits),
        Format::FlatGeobuf | Format::Shapefile => wkb::read(bytes, query, limits),
    }
}
