//! The colours of a preview's pixels.

use super::bands::{Colours, Shown};
use super::reduce::Reduced;
use super::stretch::{Stretch, nearest, step};
use crate::grid::Size;
use crate::header::Header;
use crate::sample::SampleType;

/// A picture of 8 bits a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its size in pixels.
    pub size: Size,
    /// Channels of a pixel: 1 grey, 2 grey and alpha, 3 red, green and blue, 4 these and alpha.
    pub channels: u8,
    /// Row by row, pixel by pixel, channel by channel. Transparent pixels are black.
    pub data: Vec<u8>,
}

/// How samples became steps of 0 to 255.
#[derive(Clone, Debug, PartialEq)]
pub enum Steps {
    /// They are colours already: bytes as they are, or numbers of a colour table.
    AsStored,
    /// Band by band, in the order in which they are shown: the value that became 0 and the one that became 255. `None` for a band
    /// without a valid pixel.
    Stretched(Vec<Option<(f64, f64)>>),
}

/// A picture, how its samples became colours, and how many of its pixels are fully transparent.
///
/// With [`Stretch::Auto`] bytes stay as they are, and samples packed in fewer than 8 bits are stretched over all that they can
/// hold. Percentiles are those of the picture's pixels. An alpha channel is there if not every pixel is opaque.
#[must_use]
pub fn painted(header: &Header, shown: &Shown, reduced: &Reduced, stretch: Stretch) -> (Picture, Steps, u64) {
    let colours = shown.bands.len();
    let steps = match &shown.colours {
        Colours::Palette(_) => Steps::AsStored,
        Colours::Grey { .. } | Colours::Rgb => steps(header, colours, reduced, stretch),
    };
    let pixels = || reduced.means.chunks_exact(reduced.channels.max(1)).zip(&reduced.valid);
    // What an opaque pixel has.
    let full = header.sample_type.tiff().0.min(header.bits).min(63);
    #[expect(clippy::cast_precision_loss, reason = "16 bits at most")]
    let full = ((1_u64 << full) - 1) as f64;
    let opacity = |pixel: &[f64], valid: bool| match pixel.last() {
        _ if !valid => 0,
        Some(&alpha) if reduced.alpha => step(alpha, (0.0, full)),
        _ => 255,
    };
    let with_alpha = pixels().any(|(pixel, &valid)| opacity(pixel, valid) < 255);
    let channels = if colours == 1 && !matches!(shown.colours, Colours::Palette(_)) { 1 } else { 3 };
    let mut data = Vec::with_capacity(reduced.valid.len() * (channels + usize::from(with_alpha)));
    for (pixel, &valid) in pixels() {
        match &shown.colours {
            _ if !valid => data.extend(std::iter::repeat_n(0, channels)),
            Colours::Palette(table) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
                let number = pixel.first().map_or(0, |&number| number as usize);
                data.extend(table.get(number).copied().unwrap_or_default());
            }
            Colours::Grey { inverted } => {
                let grey = pixel.first().map_or(0, |&value| steps.of(0, value));
                data.push(if *inverted { 255 - grey } else { grey });
            }
            Colours::Rgb => {
                data.extend(pixel.iter().take(3).enumerate().map(|(band, &value)| steps.of(band, value)));
            }
        }
        if with_alpha {
            data.push(opacity(pixel, valid));
        }
    }
    let transparent = pixels().filter(|(pixel, valid)| opacity(pixel, **valid) == 0).count() as u64;
    let channels = if channels == 1 { 1 } else { 3 } + u8::from(with_alpha);
    (Picture { size: reduced.size, channels, data }, steps, transparent)
}

/// How the samples of `colours` bands become steps.
fn steps(header: &Header, colours: usize, reduced: &Reduced, stretch: Stretch) -> Steps {
    if stretch == Stretch::Auto && header.sample_type == SampleType::U8 {
        if header.bits >= 8 {
            return Steps::AsStored;
        }
        let most = f64::from((1_u16 << header.bits) - 1);
        return Steps::Stretched(vec![Some((0.0, most)); colours]);
    }
    let of = |band: usize| {
        let pixels = reduced.means.chunks_exact(reduced.channels.max(1)).zip(&reduced.valid);
        let valid = pixels.filter(|(_, valid)| **valid);
        let mut values: Vec<f64> = valid.filter_map(|(pixel, _)| pixel.get(band).copied()).collect();
        stretch.range(&mut values)
    };
    Steps::Stretched((0..colours).map(of).collect())
}

impl Steps {
    /// The step of a value of a band, counted from 0 among those that are shown.
    fn of(&self, band: usize, value: f64) -> u8 {
        match self {
            Self::AsStored => nearest(value),
            Self::Stretched(ranges) => {
                ranges.get(band).copied().flatten().map_or(0, |range| step(value, range))
            }
        }
    }
}
