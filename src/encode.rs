//! From masked tiles to the bytes of a COG.

pub mod overview;
