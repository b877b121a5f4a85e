//! Pictures: of plans, as drawings ([`svg()`]) and as pages ([`html()`]). Pure: facts come in, text goes out; however large a plan
//! is, its picture has at most [`MOST_BYTES`].

mod html;
mod legend;
mod outline;
mod scene;
mod svg;
mod text;
mod tiles;

pub use html::{Image, Page, html};
pub use scene::{MOST_BYTES, Scene};
pub use svg::svg;
