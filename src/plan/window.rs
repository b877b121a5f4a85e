//! The window of a clip: which of the source's pixels the output holds.

use crate::cutline::Cutline;
use crate::error::{Error, Result};
use crate::geo::{Affine, Bounds};
use crate::grid::{PixelRect, TileGrid};
use crate::mask::{Coverage, Mask};
use crate::options::ClipOptions;

/// Where a bound is this close to a whole number (in pixels), rounding alone decides on which side it falls.
const DOUBT: f64 = 1e-6;

/// A window and what the cutline makes of its pixels.
#[derive(Clone, Debug)]
pub struct Burnt {
    /// The window, in the source's pixels.
    pub window: PixelRect,
    /// The pixels that belong.
    pub mask: Mask,
    /// How much of each is covered by the cutline, when the options ask for it.
    pub coverage: Option<Coverage>,
}

/// The window and what is burnt in it; `None` when the cutline's bounds and the raster do not overlap.
///
/// The window is that of `rasterio.mask.mask(crop=True)`: floor and ceil of the bounds in pixel space, cut to the
/// raster. Where a bound lies on a pixel's edge but for rounding, the pixels beyond it are taken only if the
/// cutline burns one of them.
///
/// # Errors
/// [`crate::ErrorKind::Unsupported`] for a geotransform without an inverse, or as [`Mask::burn`].
pub fn find(
    cutline: &Cutline,
    transform: &Affine,
    grid: &TileGrid,
    options: &ClipOptions,
) -> Result<Option<Burnt>> {
    if cutline.polygons.is_empty() {
        return Ok(None);
    }
    let image = PixelRect::of(grid.image);
    let burn = |window: PixelRect| -> Result<Burnt> {
        let (mask, coverage) = burn(cutline, transform, window, options)?;
        let mask = if options.invert { mask.inverted(&options.limits)? } else { mask };
        Ok(Burnt { window, mask, coverage: coverage.filter(|_| options.coverage_band) })
    };
    let bounds = pixel_bounds(cutline, transform)?;
    let (Some(outer), inner) = (rounded(bounds, 0.0, image), rounded(bounds, DOUBT, image)) else {
        return Ok(None);
    };
    if !options.crop {
        return burn(image).map(Some);
    }
    let mut window = outer;
    if let Some(inner) = inner
        && inner != outer
    {
        let (mask, _) = self::burn(cutline, transform, outer, options)?;
        if mask.count() == mask.count_in(inner.relative_to(outer.x0, outer.y0)) {
            window = inner;
        }
    }
    let pad = options.pad;
    window = PixelRect::new(
        window.x0.saturating_sub(pad),
        window.y0.saturating_sub(pad),
        window.x1.saturating_add(pad).min(image.x1),
        window.y1.saturating_add(pad).min(image.y1),
    );
    if options.align_tiles {
        let down = |v: u32, step: u32| v / step * step;
        let up = |v: u32, step: u32, most: u32| v.div_ceil(step).saturating_mul(step).min(most);
        window = PixelRect::new(
            down(window.x0, grid.tile.width),
            down(window.y0, grid.tile.height),
            up(window.x1, grid.tile.width, image.x1),
            up(window.y1, grid.tile.height, image.y1),
        );
    }
    burn(window).map(Some)
}

/// The pixels of a window that belong, and how much of each is covered if that was computed.
fn burn(
    cutline: &Cutline,
    transform: &Affine,
    window: PixelRect,
    options: &ClipOptions,
) -> Result<(Mask, Option<Coverage>)> {
    let transform = transform.shifted(f64::from(window.x0), f64::from(window.y0));
    let (polygons, limits) = (&cutline.polygons, &options.limits);
    let coverage = if options.coverage_band || options.min_coverage.is_some() {
        Some(Coverage::burn(polygons, &transform, window.size(), limits)?)
    } else {
        None
    };
    let mask = match (&coverage, options.min_coverage) {
        (Some(coverage), Some(least)) => coverage.at_least(least)?,
        _ => Mask::burn(polygons, &transform, window.size(), options.rule, limits)?,
    };
    Ok((mask, coverage))
}

/// The corners of the cutline's bounds in pixel space, as rasterio's `windows.from_bounds` takes them (of a rotated
/// raster that is more than the cutline needs; equality with rasterio is worth it).
fn pixel_bounds(cutline: &Cutline, transform: &Affine) -> Result<Bounds> {
    let Some(world) = cutline.bounds() else { return Err(Error::usage("the cutline holds no polygon")) };
    let inverse = transform.inverse().ok_or_else(|| {
        Error::unsupported("the raster's geotransform has no inverse; nothing can be placed on it")
    })?;
    let g = &transform.0;
    let pixel = |x: f64, y: f64| {
        if transform.is_rotated() { inverse.apply(x, y) } else { [(x - g[0]) / g[1], (y - g[3]) / g[5]] }
    };
    let corners = [
        pixel(world.min_x, world.max_y),
        pixel(world.max_x, world.max_y),
        pixel(world.max_x, world.min_y),
        pixel(world.min_x, world.min_y),
    ];
    Bounds::around(corners)
        .filter(|b| [b.min_x, b.min_y, b.max_x, b.max_y].iter().all(|v| v.is_finite()))
        .ok_or_else(|| Error::usage("the cutline's bounds are not finite in the raster's pixel space"))
}

/// Floor and ceil of bounds drawn in by `by` pixels, cut to the image.
fn rounded(bounds: Bounds, by: f64, image: PixelRect) -> Option<PixelRect> {
    let clamp = |v: f64, most: u32| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=most")]
        let v = v.clamp(0.0, f64::from(most)) as u32;
        v
    };
    let rect = PixelRect::new(
        clamp((bounds.min_x + by).floor(), image.x1),
        clamp((bounds.min_y + by).floor(), image.y1),
        clamp((bounds.max_x - by).ceil(), image.x1),
        clamp((bounds.max_y - by).ceil(), image.y1),
    );
    (!rect.is_empty()).then_some(rect)
}

/// The sentence for a cutline that meets nothing.
pub(super) fn explain(cutline: &Cutline, transform: &Affine, image: PixelRect) -> String {
    let raster = transform.bounds(image);
    let show = |b: Bounds| format!("{} {} {} {}", b.min_x, b.min_y, b.max_x, b.max_y);
    let Some(bounds) = cutline.bounds().map(show) else {
        return format!(
            "the cutline and the raster do not overlap: nothing of the cutline lies where the raster is, at {}; check \
             --cutline-crs, or see --on-empty",
            show(raster)
        );
    };
    let cutline = bounds;
    format!(
        "the cutline and the raster do not overlap. In the raster's CRS the cutline's bounds are {cutline}, the raster's \
         {}; check --cutline-crs, or see --on-empty",
        show(raster)
    )
}
