//! Pictures: of plans, as drawings ([`svg()`]) and as pages ([`html()`]), and of a raster as it looks ([`preview`]). Pure: facts and
//! numbers come in, text and bytes of a picture go out. However large a plan is, its picture has at most [`MOST_BYTES`].

pub mod bands;
mod html;
mod legend;
pub mod level;
mod outline;
pub mod png;
pub mod preview;
pub mod reduce;
mod scene;
pub mod stretch;
mod svg;
mod text;
mod tiles;

pub use html::{Output, Page, html};
pub use scene::{MOST_BYTES, Scene};
pub use svg::svg;
