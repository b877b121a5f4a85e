//! What the fuzz targets run: each module turns the fuzzer's bytes into calls of cogclip, and panics when an answer is
//! wrong. A panic, a hang or too much memory is a finding; an error is not.

pub mod clip;
pub mod crs;
pub mod cutline;
pub mod header;
pub mod input;
pub mod round_trip;
pub mod seeds;
pub mod tile;
pub mod vector;
