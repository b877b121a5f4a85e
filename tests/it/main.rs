//! One test binary: what no single module can test about itself. The table of contents:

/// The table of who may import whom, and what else only holds of the source as a whole.
mod architecture;

/// Clips of the test rasters against what rasterio.mask made of them.
mod golden;

/// Broken files: an error by kind, never a panic.
mod malformed;

/// Every pixel of 29,400 random polygons, against what rasterio burnt.
mod mask;
