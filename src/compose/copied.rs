//! What is still to be made of a tile whose bytes are copied as they are: its mask, and its samples for the overview above.

use super::{Composer, MaskedTile, Piece, Rows};
use crate::grid::TileIndex;
use crate::plan::SourceValidity;
use crate::sample::{Sample, Samples, with_samples};
use crate::tile::DecodedTile;

impl Composer {
    /// Which pixels of an output tile are valid, by the cutline and the source's internal mask alone, one byte a pixel; `None`
    /// when the output keeps no account of that. The samples of such a tile have not been looked at, so that nodata does not
    /// count: see [`crate::plan::Passage`] for when that is right.
    #[must_use]
    pub fn validity(&self, index: TileIndex, masks: &[Piece]) -> Option<Vec<u8>> {
        if !self.keeps_mask {
            return None;
        }
        let rows = Rows::new(&self.mask, self.grid.rect(index), self.grid.tile.width);
        let mut valid = vec![0_u8; self.pixels()];
        if self.source == SourceValidity::Mask {
            for piece in masks {
                self.read_validity::<u8>(&mut valid, &rows, piece, 0);
            }
        } else {
            rows.visit(rows.rect, |at, _, _, len| valid[at..at + len].fill(1));
        }
        Some(valid)
    }

    /// How many pixels of an output tile belong to the cutline.
    #[must_use]
    pub fn inside(&self, index: TileIndex) -> u64 {
        self.mask.count_in(self.grid.rect(index))
    }

    /// A decoded tile of the source with the shape of a whole output tile; what it lacks at the image's edge is masked.
    #[must_use]
    pub fn padded(&self, tile: &DecodedTile) -> MaskedTile {
        let mut whole = self.ground();
        let row = self.grid.tile.width as usize * self.output_bands;
        let own = (tile.rect.x1 - tile.rect.x0) as usize * usize::from(tile.samples_per_pixel);
        with_samples!(&mut whole.samples, out => copy_rows(out, row, &tile.samples, own));
        if let Some(valid) = &mut whole.valid {
            // An alpha band tells, and where nodata does it speaks for itself; an internal mask is not copied this way.
            match self.source {
                SourceValidity::Alpha(alpha) => {
                    let alpha =
                        with_samples!(&whole.samples, samples => is_set(samples, alpha, self.output_bands));
                    valid.copy_from_slice(&alpha);
                }
                SourceValidity::Mask | SourceValidity::NoData(_) | SourceValidity::All => valid.fill(1),
            }
        }
        whole
    }
}

/// One byte a pixel: whether band `band` of `bands` is not 0.
fn is_set<T: Sample>(samples: &[T], band: u16, bands: usize) -> Vec<u8> {
    let values = samples.iter().skip(band.into()).step_by(bands.max(1));
    values.map(|value| u8::from(!value.same(T::zeroed()))).collect()
}

fn copy_rows<T: Sample>(out: &mut [T], row: usize, samples: &Samples, own: usize) {
    let Some(samples) = T::unwrap_ref(samples) else { return };
    for (to, from) in out.chunks_exact_mut(row.max(1)).zip(samples.chunks_exact(own.max(1))) {
        let len = own.min(row);
        to[..len].copy_from_slice(&from[..len]);
    }
}
