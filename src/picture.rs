//! Pictures of plans: the tile grid, the polygon, the tiles by what becomes of them, as SVG and as a page. Pure text; however
//! large a plan is, its picture has at most [`MOST_BYTES`].
//!
//! A picture's coordinates are the source's pixels, counted from the window's top left corner: Chromium keeps them as 32-bit
//! floats, which far from the corner of a large raster would no longer tell pixels apart.

mod html;
mod legend;
mod outline;
mod svg;
mod tiles;

pub use html::{Page, html};
pub use svg::svg;

use crate::cutline::Cutline;
use crate::geo::Affine;
use crate::grid::PixelRect;
use crate::header::Header;
use crate::header::image::Place;
use crate::plan::{Plan, Tallies};

/// Bytes of a drawn plan at most, its caption and its title aside. A page adds its style and script, 20 kB, and what is put on it.
pub const MOST_BYTES: usize = 8 << 20;

/// Characters of a title or a caption that are shown in a drawing; the middle of longer ones is left out.
const MOST_TEXT: usize = 110;

/// A plan as it is to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// What it is a picture of, without secrets: the source's location. Any text.
    pub title: &'a str,
    /// A line beneath it. Any text.
    pub caption: &'a str,
    /// The raster.
    pub header: &'a Header,
    /// The plan.
    pub plan: &'a Plan,
    /// Its cutline, in the raster's CRS.
    pub cutline: &'a Cutline,
    /// Whether what is kept lies outside the cutline.
    pub is_inverted: bool,
    /// Where the tiles lie, in order of tile and plane.
    pub places: &'a [&'a Place],
}

impl Scene<'_> {
    fn tallies(&self) -> Tallies {
        self.plan.tallies(&self.header.main.grid, self.places)
    }

    /// From the raster's world to the picture's coordinates; `None` for a geotransform without an inverse.
    fn world_to_picture(&self) -> Option<Affine> {
        let transform = self.header.geo.transform.unwrap_or(Affine::IDENTITY);
        let window = self.plan.window;
        transform.shifted(f64::from(window.x0), f64::from(window.y0)).inverse()
    }

    fn window(&self) -> Frame {
        Frame::of(self.plan.window, self.plan.window)
    }

    fn raster(&self) -> Frame {
        Frame::of(PixelRect::of(self.header.main.size()), self.plan.window)
    }

    /// What is seen at first: the window and its surroundings.
    fn view(&self) -> Frame {
        let (window, raster) = (self.window(), self.raster());
        let side = window.width.max(window.height);
        let (around, rim) = (window.grown(side * 0.1), raster.grown(side * 0.02));
        around.within(&rim)
    }
}

/// A rectangle in a picture's coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Frame {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Frame {
    fn of(rect: PixelRect, window: PixelRect) -> Self {
        let size = rect.size();
        Self {
            x: f64::from(rect.x0) - f64::from(window.x0),
            y: f64::from(rect.y0) - f64::from(window.y0),
            width: f64::from(size.width),
            height: f64::from(size.height),
        }
    }

    fn right(&self) -> f64 {
        self.x + self.width
    }

    fn bottom(&self) -> f64 {
        self.y + self.height
    }

    fn grown(&self, by: f64) -> Self {
        Self { x: self.x - by, y: self.y - by, width: self.width + 2.0 * by, height: self.height + 2.0 * by }
    }

    fn within(&self, other: &Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        Self { x, y, width: right - x, height: bottom - y }
    }

    fn side(&self) -> f64 {
        self.width.max(self.height)
    }
}

/// Text for an element or a quoted attribute of HTML or XML. What XML 1.0 cannot hold becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(' '),
            // The last two ranges turn the direction of the text around them.
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

/// As [`escaped`], without the middle of what is longer than [`MOST_TEXT`] characters.
fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= MOST_TEXT {
        return escaped(text);
    }
    let head: String = text.chars().take(MOST_TEXT / 3).collect();
    let tail: String = text.chars().skip(count - (MOST_TEXT - MOST_TEXT / 3 - 1)).collect();
    escaped(&format!("{head}\u{2026}{tail}"))
}

/// A coordinate to a thousandth of a pixel, in as few characters as that takes.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escaped("<script>&\"'\u{1}\n\u{202e}é"),
            "&lt;script&gt;&amp;&quot;&#39;\u{fffd} \u{fffd}é"
        );
        let long = format!("start{}end<", "x".repeat(500));
        let short = shortened(&long);
        assert!(short.starts_with("start") && short.ends_with("end&lt;"), "{short}");
        assert_eq!(short.replace("&lt;", "<").chars().count(), MOST_TEXT);
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(1.0, "1"), (-0.0001, "0"), (0.5, "0.5"), (1.23456, "1.235"), (-20.0, "-20"), (100.0, "100")]
        {
            assert_eq!(number(value), text);
        }
    }
}
