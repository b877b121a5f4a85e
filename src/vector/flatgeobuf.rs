//! FlatGeobuf.
use super::parts::Parts;
use super::{Layer, Query, Stop};
use crate::error::Error;
use crate::limits::Limits;

/// Found.
#[derive(Debug)]
pub struct Found {}
/// CRS.
///
/// # Errors
/// Always.
pub fn crs(_parts: &Parts, _limits: &Limits) -> Result<Option<String>, Stop> {
    Err(Error::unsupported("FlatGeobuf is not read yet").into())
}
/// Plan.
///
/// # Errors
/// Always.
pub fn plan(_parts: &Parts, _query: &Query, _limits: &Limits) -> Result<Found, Stop> {
    Err(Error::unsupported("FlatGeobuf is not read yet").into())
}
/// Read.
///
/// # Errors
/// Always.
pub fn read(_parts: &Parts, _found: &Found, _query: &Query, _limits: &Limits) -> Result<Layer, Stop> {
    Err(Error::unsupported("FlatGeobuf is not read yet").into())
}
