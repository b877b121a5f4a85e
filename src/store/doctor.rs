//! Stub.
use crate::error::{Error, Result};
use crate::store::{StoreOptions, location::Location};
pub(crate) async fn probe(_: &Location, _: &StoreOptions) -> Result<Vec<crate::sink::Finding>> {
    Err(Error::unsupported("not yet"))
}
