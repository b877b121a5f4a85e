//! The TIFF container, both ways: classic and BigTIFF, either byte order (TIFF 6.0; BigTIFF as libtiff
//! defines it). Nothing here knows what a raster is.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod code;
pub mod ifd;
pub mod nested;
pub mod parse;
pub mod value;
pub mod write;

pub use ifd::{Field, Ifd, Table};
pub use parse::{Container, Fetched, Stop};
pub use value::Value;
