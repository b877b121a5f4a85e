//! All integration tests, one binary. The table of contents:

/// Every pixel of 28,000 random polygons, against what rasterio burnt.
mod mask;
