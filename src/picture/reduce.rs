//! Tiles of a level to the means of a picture's pixels, tile by tile: what is held grows with the picture, not with the level.

use std::sync::Arc;

use super::bands::{Colours, Shown};
use crate::error::{Error, Result};
use crate::grid::{PixelRect, Size};
use crate::header::Header;
use crate::limits::{Limits, within};
use crate::plan::SourceValidity;
use crate::sample::{NoData, Sample, SampleType, with_sample_type};
use crate::tile::DecodedTile;

/// Some tile's samples; `None` for one that the file left out.
pub type Read = Option<Arc<DecodedTile>>;

/// A tile of the level with all that is needed of it.
#[derive(Clone, Debug)]
pub struct Part {
    /// The level's pixels that it holds.
    pub rect: PixelRect,
    /// Its planes by number: 0 for all bands of a chunky image, else the band from 0.
    pub planes: Vec<(u16, Read)>,
    /// The tiles of the level's internal mask that share a pixel with it, each with its pixels, row by row.
    pub masks: Vec<(PixelRect, Read)>,
}

/// One side of the level on one side of the picture: pixel `n` of the picture is made from the level's pixels
/// `n * level / picture` to `(n + 1) * level / picture`, rounded down; each of these belongs to one. Where nothing may be averaged,
/// it is made from the one in which its middle lies, `(n + 1/2) * level / picture`, which need not be among those.
#[derive(Clone, Copy, Debug)]
struct Axis {
    level: u64,
    picture: u64,
    /// Whether only the pixel in which the middle lies counts.
    nearest: bool,
}

impl Axis {
    /// The picture's pixel that pixel `at` of the level goes into, if any.
    fn target(self, at: u32) -> Option<usize> {
        let at = u64::from(at);
        let (target, counts) = if self.nearest {
            // The first whose middle does not lie before `at`.
            let target = (2 * at * self.picture).saturating_sub(self.level).div_ceil(2 * self.level);
            (target, (2 * target + 1) * self.level / (2 * self.picture) == at)
        } else {
            (((at + 1) * self.picture - 1) / self.level, true)
        };
        usize::try_from(target).ok().filter(|_| counts && target < self.picture)
    }
}

/// The pixels of a picture that come to be.
#[derive(Debug)]
pub struct Reducer {
    /// The level's size, and the picture's.
    sizes: (Size, Size),
    sample_type: SampleType,
    /// Whether a tile holds all bands.
    chunky: bool,
    validity: SourceValidity,
    nodata: Option<NoData>,
    /// The bands that are shown, and behind them the alpha band that counts.
    bands: Vec<u16>,
    nearest: bool,
    /// Pixel by pixel, `bands` sums of the samples that count.
    sums: Vec<f64>,
    /// Pixel by pixel, how many count.
    counts: Vec<u64>,
}

/// The pixels of a picture before they are coloured.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduced {
    /// The picture's size.
    pub size: Size,
    /// Numbers of a pixel: the bands that are shown, and alpha.
    pub channels: usize,
    /// Whether the last of them is alpha.
    pub alpha: bool,
    /// Means of what is valid, row by row, pixel by pixel; 0 where nothing is.
    pub means: Vec<f64>,
    /// Whether a pixel has anything valid.
    pub valid: Vec<bool>,
}

impl Reducer {
    /// For the image of a `header`, which becomes a picture of `size`, no side of which is longer. Numbers of colours are not
    /// averaged: the pixel in the middle stands for the others.
    ///
    /// A pixel is valid by GDAL's precedence: an internal mask speaks alone, then nodata (a pixel that has it in every band shown is
    /// invalid), then alpha. One that is NaN in a band shown is invalid too.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Limit`] for a picture that would take more than [`Limits::tile_bytes`].
    pub fn new(header: &Header, shown: &Shown, size: Size, limits: &Limits) -> Result<Self> {
        let mut bands = shown.bands.clone();
        let validity = SourceValidity::of(header);
        if let SourceValidity::Alpha(alpha) = validity {
            bands.push(alpha);
        }
        // The sums and the count; the bytes they become and a copy of one band are less.
        let bytes = size.pixels().saturating_mul(8 * (bands.len() as u64 + 1));
        let pixels = within(bytes, limits.tile_bytes, &format!("a picture of {size} pixels"))?
            / (8 * (bands.len() + 1));
        let level = header.main.size();
        if size.pixels() == 0 || size.width > level.width || size.height > level.height {
            return Err(Error::usage(format!("a picture of {size} pixels cannot be made from {level}")));
        }
        Ok(Self {
            sizes: (level, size),
            sample_type: header.sample_type,
            chunky: header.main.planes == 1,
            validity,
            nodata: header.nodata.clone(),
            nearest: matches!(shown.colours, Colours::Palette(_)),
            sums: vec![0.0; pixels * bands.len()],
            counts: vec![0; pixels],
            bands,
        })
    }

    /// The planes that are needed of each tile, in order.
    #[must_use]
    pub fn planes(&self) -> Vec<u16> {
        let mut planes = if self.chunky { vec![0] } else { self.bands.clone() };
        planes.sort_unstable();
        planes.dedup();
        planes
    }

    /// Takes in a tile, of which [`Self::planes`] and the masks have all come. Each may be taken in once.
    pub fn add(&mut self, part: &Part) {
        with_sample_type!(self.sample_type, T => self.add_of::<T>(part));
    }

    fn add_of<T: Sample>(&mut self, part: &Part) {
        let absent =
            self.nodata.as_ref().and_then(NoData::of_sparse::<T>).unwrap_or(T::from_f64_nearest(0.0));
        let channels: Vec<Channel<'_, T>> =
            self.bands.iter().map(|&band| Channel::of(part, band, self.chunky, absent)).collect();
        let nodata = match &self.validity {
            SourceValidity::NoData(value) => value.sample::<T>(),
            SourceValidity::Mask | SourceValidity::Alpha(_) | SourceValidity::All => None,
        };
        let by_alpha = matches!(self.validity, SourceValidity::Alpha(_));
        let by_mask = self.validity == SourceValidity::Mask;
        let (level, picture) = self.sizes;
        let (nearest, rect) = (self.nearest, part.rect);
        let axis = |level: u32, picture: u32| Axis { level: level.into(), picture: picture.into(), nearest };
        let (across, down) = (axis(level.width, picture.width), axis(level.height, picture.height));
        let columns: Vec<Option<usize>> = (rect.x0..rect.x1).map(|x| across.target(x)).collect();
        let mut mask = vec![1; columns.len()];
        let mut pixel = vec![0.0; channels.len()];
        for y in rect.y0..rect.y1 {
            let Some(row) = down.target(y) else { continue };
            if by_mask {
                mask_row(&part.masks, rect, y, &mut mask);
            }
            let first = (y - rect.y0) as usize * columns.len();
            for (x, (column, &unmasked)) in columns.iter().zip(&mask).enumerate() {
                let Some(column) = column.filter(|_| unmasked != 0) else { continue };
                let mut counts = nodata.is_none();
                for (value, channel) in pixel.iter_mut().zip(&channels) {
                    let sample = channel.at(first + x);
                    *value = sample.to_f64();
                    counts |= nodata.is_some_and(|nodata| !sample.is_nodata(nodata));
                }
                // Alpha is the last; 0 is transparent.
                counts &=
                    !(pixel.iter().any(|value| value.is_nan()) || by_alpha && pixel.last() == Some(&0.0));
                if counts {
                    let at = row * picture.width as usize + column;
                    if let Some(count) = self.counts.get_mut(at) {
                        *count += 1;
                    }
                    let sums = self.sums.iter_mut().skip(at * pixel.len());
                    for (sum, value) in sums.zip(&pixel) {
                        *sum += value;
                    }
                }
            }
        }
    }

    /// The picture's pixels, once all tiles are in.
    #[must_use]
    pub fn finish(mut self) -> Reduced {
        let channels = self.bands.len();
        for (pixel, &count) in self.sums.chunks_exact_mut(channels).zip(&self.counts) {
            if count > 1 {
                #[expect(clippy::cast_precision_loss, reason = "of 2^53 pixels a mean is not exact")]
                for sum in pixel.iter_mut() {
                    *sum /= count as f64;
                }
            }
        }
        Reduced {
            size: self.sizes.1,
            channels,
            alpha: matches!(self.validity, SourceValidity::Alpha(_)),
            means: self.sums,
            valid: self.counts.iter().map(|&count| count > 0).collect(),
        }
    }
}

/// One band of a tile.
struct Channel<'a, T> {
    samples: &'a [T],
    first: usize,
    step: usize,
    /// What a tile reads as that the file left out.
    absent: T,
}

impl<'a, T: Sample> Channel<'a, T> {
    fn of(part: &'a Part, band: u16, chunky: bool, absent: T) -> Self {
        let (plane, first) = if chunky { (0, usize::from(band)) } else { (band, 0) };
        let tile =
            part.planes.iter().find(|(number, _)| *number == plane).and_then(|(_, tile)| tile.as_ref());
        let samples = tile.and_then(|tile| T::unwrap_ref(&tile.samples)).unwrap_or_default();
        let step = tile.map_or(1, |tile| usize::from(tile.samples_per_pixel));
        Self { samples, first, step, absent }
    }

    fn at(&self, pixel: usize) -> T {
        self.samples.get(pixel * self.step + self.first).copied().unwrap_or(self.absent)
    }
}

/// Row `y` of the mask over `rect`: 0 is invalid, and so is what no tile holds.
fn mask_row(masks: &[(PixelRect, Read)], rect: PixelRect, y: u32, row: &mut [u8]) {
    row.fill(0);
    let line = PixelRect::new(rect.x0, y, rect.x1, y + 1);
    // Those of the row, wherever among many it lies.
    let first = masks.partition_point(|(own, _)| own.y1 <= y);
    for (own, tile) in masks.iter().skip(first).take_while(|(own, _)| own.y0 <= y) {
        let Some(shared) = own.intersection(line) else { continue };
        let Some(samples) = tile.as_ref().and_then(|tile| u8::unwrap_ref(&tile.samples)) else { continue };
        let width = (own.x1 - own.x0) as usize;
        let from = (y - own.y0) as usize * width + (shared.x0 - own.x0) as usize;
        let len = (shared.x1 - shared.x0) as usize;
        let to = (shared.x0 - rect.x0) as usize;
        if let (Some(out), Some(samples)) = (row.get_mut(to..to + len), samples.get(from..from + len)) {
            out.copy_from_slice(samples);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_of_a_picture_is_made_from_some_of_the_level() {
        for level in 1..=40_u32 {
            for picture in 1..=level {
                let of = |nearest| {
                    let axis = Axis { level: level.into(), picture: picture.into(), nearest };
                    (0..level).map(move |at| axis.target(at)).collect::<Vec<_>>()
                };
                // Each belongs to one, in order, and none is left over.
                let mut shares = of(false);
                assert!(shares.iter().all(Option::is_some) && shares.is_sorted(), "{level} to {picture}");
                shares.dedup();
                assert_eq!(shares.len(), picture as usize, "{level} to {picture}");
                // Of nearest ones, exactly the middles: here in floating point, which is exact for these.
                let middles: Vec<_> = (0..picture)
                    .map(|n| (f64::from(2 * n + 1) * f64::from(level) / f64::from(2 * picture)).floor())
                    .collect();
                let found: Vec<_> = of(true)
                    .into_iter()
                    .zip(0_u32..)
                    .filter_map(|(target, at)| target.map(|_| f64::from(at)))
                    .collect();
                assert_eq!(found, middles, "{level} to {picture}");
            }
        }
    }
}
