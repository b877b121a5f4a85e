//! SpatioTemporal Asset Catalogs (STAC 1.1.0): what an output is, as an Item beside it; which rasters a document names.

mod assets;
mod bands;
mod item;
mod read;
#[cfg(test)]
mod read_tests;
mod reference;
mod when;

pub use assets::{Alternate, BandClaims, RasterAsset};
pub use item::{Facts, MEDIA_TYPE, data_type, item};
pub use read::{Method, Next, Search, Selector, read};
pub use reference::{relative, resolve};
pub use when::{When, utc};
