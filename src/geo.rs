//! World space: the affine geotransform, bounds, and coordinate reference systems.

mod base;
mod candidate;
mod canonical;
pub mod crs;
pub mod datum;
pub mod definition;
mod description;
pub mod epsg;
mod formula;
pub mod grid_shift;
mod helmert;
mod key_crs;
pub mod keys;
mod method;
mod parameters;
mod proj_string;
pub mod project;
mod projjson;
mod shift;
#[cfg(test)]
mod spellings;
mod wkt;
mod wkt_crs;

pub use crs::Crs;
pub use datum::{Choice, Operation};
pub use definition::{Datum, Definition};
pub use grid_shift::ShiftGrid;
pub use keys::GeoKeys;
pub use project::Projector;

use crate::grid::PixelRect;

/// A geotransform in GDAL's order: `x = gt[0] + column * gt[1] + row * gt[2]`,
/// `y = gt[3] + column * gt[4] + row * gt[5]`; columns and rows count from the top-left corner of the image,
/// so (0.5, 0.5) is the centre of its first pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine(pub [f64; 6]);

impl Affine {
    /// World coordinates are pixel coordinates.
    pub const IDENTITY: Self = Self([0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);

    /// Column and row to world.
    #[must_use]
    pub fn apply(&self, col: f64, row: f64) -> [f64; 2] {
        let g = &self.0;
        [g[0] + col * g[1] + row * g[2], g[3] + col * g[4] + row * g[5]]
    }

    /// Whether rows or columns are turned against the world's axes.
    #[must_use]
    pub fn is_rotated(&self) -> bool {
        self.0[2] != 0.0 || self.0[4] != 0.0
    }

    /// World to column and row, computed in the very order of GDAL's `GDALInvGeoTransform`, because the
    /// last bit decides which pixel a vertex on a pixel's edge belongs to; `None` when it has no inverse.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let g = &self.0;
        let inverse = if self.is_rotated() {
            let det = g[1] * g[5] - g[2] * g[4];
            let id = 1.0 / det;
            [
                (g[2] * g[3] - g[0] * g[5]) * id,
                g[5] * id,
                -g[2] * id,
                (-g[1] * g[3] + g[0] * g[4]) * id,
                -g[4] * id,
                g[1] * id,
            ]
        } else {
            [-g[0] / g[1], 1.0 / g[1], 0.0, -g[3] / g[5], 0.0, 1.0 / g[5]]
        };
        inverse.iter().all(|v| v.is_finite()).then_some(Self(inverse))
    }

    /// The geotransform of a window whose first pixel is `(col, row)` of this one, rounded as rasterio's
    /// `window_transform` rounds it: the last bit decides which pixel a vertex on a pixel's edge belongs to.
    #[must_use]
    pub fn shifted(&self, col: f64, row: f64) -> Self {
        let g = &self.0;
        let x = (col * g[1] + row * g[2] + g[0]) - g[0];
        let y = (col * g[4] + row * g[5] + g[3]) - g[3];
        Self([g[0] + x, g[1], g[2], g[3] + y, g[4], g[5]])
    }

    /// The world's bounds of a rectangle of pixels.
    #[must_use]
    pub fn bounds(&self, rect: PixelRect) -> Bounds {
        let [x0, y0, x1, y1] = [rect.x0, rect.y0, rect.x1, rect.y1].map(f64::from);
        Bounds::around([self.apply(x0, y0), self.apply(x1, y0), self.apply(x0, y1), self.apply(x1, y1)])
            .unwrap_or(Bounds { min_x: 0.0, min_y: 0.0, max_x: 0.0, max_y: 0.0 })
    }
}

/// A rectangle in world coordinates, closed on all sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// West.
    pub min_x: f64,
    /// South.
    pub min_y: f64,
    /// East.
    pub max_x: f64,
    /// North.
    pub max_y: f64,
}

impl Bounds {
    /// The smallest rectangle around some points; `None` without points.
    pub fn around(points: impl IntoIterator<Item = [f64; 2]>) -> Option<Self> {
        points.into_iter().fold(None, |bounds: Option<Self>, [x, y]| {
            Some(bounds.map_or(Self { min_x: x, min_y: y, max_x: x, max_y: y }, |b| Self {
                min_x: b.min_x.min(x),
                min_y: b.min_y.min(y),
                max_x: b.max_x.max(x),
                max_y: b.max_y.max(y),
            }))
        })
    }
}
