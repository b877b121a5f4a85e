//! What a picture of a plan is made of, and where it lies: coordinates are the source's pixels, counted from the window's top left
//! corner. Chromium keeps them as 32-bit floats, which far from the corner of a large raster would no longer tell pixels apart.

use crate::cutline::Cutline;
use crate::geo::Affine;
use crate::grid::PixelRect;
use crate::header::Header;
use crate::header::image::Place;
use crate::plan::{Plan, Tallies};

/// Bytes of a drawn plan at most, its caption and its title aside. A page adds its style and script, 20 kB, its facts, and an image.
pub const MOST_BYTES: usize = 8 << 20;

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
    pub(super) fn tallies(&self) -> Tallies {
        self.plan.tallies(&self.header.main.grid, self.places)
    }

    /// From the raster's world to the picture's coordinates; `None` for a geotransform without an inverse.
    pub(super) fn world_to_picture(&self) -> Option<Affine> {
        let transform = self.header.geo.transform.unwrap_or(Affine::IDENTITY);
        let window = self.plan.window;
        transform.shifted(f64::from(window.x0), f64::from(window.y0)).inverse()
    }

    pub(super) fn window(&self) -> Frame {
        Frame::of(self.plan.window, self.plan.window)
    }

    pub(super) fn raster(&self) -> Frame {
        Frame::of(PixelRect::of(self.header.main.size()), self.plan.window)
    }

    /// What is seen at first: the window and its surroundings.
    pub(super) fn view(&self) -> Frame {
        let (window, raster) = (self.window(), self.raster());
        let side = window.width.max(window.height);
        let (around, rim) = (window.grown(side * 0.1), raster.grown(side * 0.02));
        around.within(&rim)
    }
}

/// A rectangle in a picture's coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Frame {
    pub(super) fn of(rect: PixelRect, window: PixelRect) -> Self {
        let size = rect.size();
        Self {
            x: f64::from(rect.x0) - f64::from(window.x0),
            y: f64::from(rect.y0) - f64::from(window.y0),
            width: f64::from(size.width),
            height: f64::from(size.height),
        }
    }

    pub(super) fn right(&self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(&self) -> f64 {
        self.y + self.height
    }

    pub(super) fn grown(&self, by: f64) -> Self {
        Self { x: self.x - by, y: self.y - by, width: self.width + 2.0 * by, height: self.height + 2.0 * by }
    }

    pub(super) fn within(&self, other: &Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        Self { x, y, width: right - x, height: bottom - y }
    }

    pub(super) fn side(&self) -> f64 {
        self.width.max(self.height)
    }
}
