//! One test binary: what no single module can test about itself. The table of contents:

/// The table of who may import whom, and what else only holds of the source as a whole.
mod architecture;

/// Every pixel of 28,000 random polygons, against what rasterio burnt.
mod mask;
