//! Pictures: of a raster as it looks ([`preview`]). Pure: numbers come in, bytes of a picture go out.

pub mod bands;
pub mod level;
pub mod png;
pub mod preview;
pub mod reduce;
pub mod stretch;
