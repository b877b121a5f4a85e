//! The TIFF container, both ways: classic and BigTIFF, either byte order (TIFF 6.0; BigTIFF as libtiff
//! defines it). Nothing here knows what a raster is.

pub mod code;
