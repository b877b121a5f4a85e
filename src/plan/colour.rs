//! What the output's bands mean as a colour: photometric interpretation and extra samples (TIFF 6.0 §4, §18).

use crate::header::Header;
use crate::tiff::code::Photometric;

/// ExtraSamples: associated and unassociated alpha.
const ALPHA: [u16; 2] = [1, 2];

/// Meaning of the output's bands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Colour {
    /// How the first bands make a colour.
    pub photometric: Photometric,
    /// Codes of the bands beyond these: 0 unspecified, 1 associated alpha, 2 unassociated alpha.
    pub extra_samples: Vec<u16>,
    /// The output's band, from 0, that readers take for an alpha band.
    pub alpha: Option<usize>,
}

impl Colour {
    /// Of the source's bands (from 0) that are kept, in the output's order.
    #[must_use]
    pub fn of_bands(header: &Header, bands: &[u16]) -> Self {
        let colours = usize::from(header.bands).saturating_sub(header.extra_samples.len());
        let own = (0..header.bands).take(colours);
        let leads = bands.len() >= colours && bands.iter().copied().take(colours).eq(own);
        // Bands that were colours and lost their company are amounts of something: grey, and no colour any more.
        let (photometric, colours_kept) =
            if leads { (header.photometric, colours) } else { (Photometric::BlackIsZero, 1) };
        let mut has_alpha = false;
        let extra_samples = bands
            .iter()
            .skip(colours_kept)
            .map(|&band| {
                let code = usize::from(band).checked_sub(colours).and_then(|n| header.extra_samples.get(n));
                let code = code.copied().unwrap_or(0);
                // A second copy of an alpha band is data.
                let again = ALPHA.contains(&code) && std::mem::replace(&mut has_alpha, true);
                if again { 0 } else { code }
            })
            .collect();
        let alpha = header.alpha().and_then(|alpha| bands.iter().position(|&band| band == alpha));
        Self { photometric, extra_samples, alpha }
    }
}
