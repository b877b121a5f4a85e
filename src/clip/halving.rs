//! A tile of one level at half the size: its quarter of the tile above.

use crate::compose::{MaskedTile, set_band};
use crate::encode::overview;
use crate::grid::Size;
use crate::options::Resampling;
use crate::sample::NoData;

/// How a tile is halved.
pub(super) struct Halving {
    pub(super) size: Size,
    pub(super) bands: usize,
    pub(super) nodata: Option<NoData>,
    pub(super) alpha: Option<usize>,
    pub(super) method: Resampling,
}

impl Halving {
    pub(super) fn of(&self, tile: &MaskedTile) -> MaskedTile {
        let validity = overview::Validity { nodata: self.nodata.as_ref(), mask: tile.valid.as_deref() };
        let (mut samples, valid) =
            overview::halve(&tile.samples, self.size, self.bands, validity, self.method);
        if let Some(alpha) = self.alpha {
            // No value of an alpha band is nodata, and what is masked is transparent.
            let own = tile.band(alpha, self.bands);
            let validity = overview::Validity { nodata: None, mask: tile.valid.as_deref() };
            let (own, _) = overview::halve(&own, self.size, 1, validity, self.method);
            set_band(&mut samples, &own, alpha, self.bands);
        }
        MaskedTile { samples, valid }
    }
}
