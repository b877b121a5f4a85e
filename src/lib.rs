//! Clips Cloud Optimized GeoTIFFs by a polygon.

pub mod error;
pub mod limits;
pub mod sample;
pub mod grid;
pub mod geo;
pub mod tiff;
pub mod tile;
pub mod codec;
pub mod cutline;
pub mod source;
pub mod sink;

pub use error::{Error, ErrorKind, Result};
pub use limits::Limits;
