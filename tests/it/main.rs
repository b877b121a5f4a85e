//! All integration tests, one binary. The table of contents:

/// Every pixel of 29,400 random polygons, against what rasterio burnt.
mod mask;
