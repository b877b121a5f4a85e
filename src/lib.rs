#![doc = include_str!("../README.md")]

pub mod error;
pub mod limits;
pub mod sample;
pub mod grid;
pub mod geo;
pub mod observe;
pub mod tiff;
pub mod packing;
pub mod tile;
pub mod codec;
pub mod predictor;
pub mod vector;
pub mod cutline;
pub mod mask;
pub mod options;
pub mod provenance;
pub mod store;
pub mod source;
pub mod header;
pub mod plan;
pub mod fetch;
pub mod layer;
pub mod decode;
pub mod compose;
pub mod encode;
pub mod stac;
#[cfg(feature = "pictures")]
pub mod picture;
pub mod sink;
pub mod clip;
pub mod validate;
pub mod batch;
#[cfg(any(feature = "lambda", feature = "serve"))]
pub mod jobs;
#[cfg(feature = "serve")]
pub mod serve;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "cli")]
pub mod cli;

pub use clip::{Cog, Report};
pub use cutline::Cutline;
pub use error::{Error, ErrorKind, Result};
pub use limits::Limits;
pub use options::ClipOptions;
pub use plan::Plan;
pub use sink::SinkOptions;
pub use store::StoreOptions;
