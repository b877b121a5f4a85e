//! NTv2 grids.

use crate::error::{Error, Result};
use crate::limits::Limits;

/// A grid.
#[derive(Clone, Debug, PartialEq)]
pub struct ShiftGrid {}

impl ShiftGrid {
    /// Reads one.
    ///
    /// # Errors
    /// Always, for now.
    pub fn parse(_name: &str, _bytes: &[u8], _limits: &Limits) -> Result<Self> {
        Err(Error::unsupported("NTv2 grids are not read yet"))
    }
}
