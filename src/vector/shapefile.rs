//! Shapefile.
use bytes::Bytes;

use super::{Layer, Query};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Files.
#[derive(Debug)]
pub struct Files {
    /// .shp
    pub shp: Bytes,
    /// .shx
    pub shx: Option<Bytes>,
    /// .dbf
    pub dbf: Option<Bytes>,
    /// .prj
    pub prj: Option<Bytes>,
    /// .cpg
    pub cpg: Option<Bytes>,
}
/// Read.
///
/// # Errors
/// Always.
pub fn read(_files: &Files, _query: &Query, _limits: &Limits) -> Result<Layer> {
    Err(Error::unsupported("shapefiles are not read yet"))
}
