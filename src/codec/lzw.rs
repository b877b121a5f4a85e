//! LZW, most significant bit first, with TIFF's early change of code width (TIFF 6.0 §13), through weezl. What writers
//! before TIFF 5.0 made, least significant bit first and without the early change, is read too.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::cell::RefCell;

use weezl::decode::{Configuration, Decoder};
use weezl::encode::Encoder;
use weezl::{BitOrder, LzwStatus};

use super::too_short;
use crate::error::{Error, Result};
use crate::tiff::code::Compression;

/// TIFF's LZW always codes whole bytes, whatever the sample (TIFF 6.0 §13).
const BYTE: u8 = 8;

thread_local! {
    // Tables of 4096 codes: kept from tile to tile.
    static DECODER: RefCell<Option<Decoder>> = const { RefCell::new(None) };
    static OLD_DECODER: RefCell<Option<Decoder>> = const { RefCell::new(None) };
    static ENCODER: RefCell<Option<Encoder>> = const { RefCell::new(None) };
}

pub(super) fn decompress(data: &[u8], out: &mut [u8]) -> Result<()> {
    let wanted = out.len();
    if wanted == 0 {
        return Ok(());
    }
    let old = is_old_style(data);
    let slot = if old { &OLD_DECODER } else { &DECODER };
    slot.with_borrow_mut(|slot| {
        let decoder = slot.get_or_insert_with(|| {
            let configuration = if old {
                Configuration::new(BitOrder::Lsb, BYTE)
            } else {
                Configuration::with_tiff_size_switch(BitOrder::Msb, BYTE)
            };
            // Yielding on a full buffer is what makes a missing end code and trailing rubbish harmless. A
            // stream that does not start with a clear code is read as if it did.
            configuration.with_yield_on_full_buffer(true).build()
        });
        decoder.reset();
        let (mut data, mut out) = (data, out);
        loop {
            let step = decoder.decode_bytes(data, out);
            data = data.get(step.consumed_in..).unwrap_or_default();
            out = out.get_mut(step.consumed_out..).unwrap_or_default();
            if out.is_empty() {
                return Ok(());
            }
            let found = wanted.saturating_sub(out.len());
            match step.status {
                // Also after a clear code, where the decoder pauses.
                Ok(LzwStatus::Ok) => {}
                Ok(LzwStatus::NoProgress | LzwStatus::Done) => {
                    return Err(too_short(Compression::Lzw, found, wanted));
                }
                Err(cause) => {
                    return Err(Error::format(format!(
                        "the LZW data are damaged after {found} of {wanted} decompressed bytes"
                    ))
                    .caused_by(cause));
                }
            }
        }
    })
}

/// Whether the stream starts with a clear code written least significant bit first, which is how libtiff
/// knows the LZW of writers before TIFF 5.0: `00 01`, or `00` and any odd byte.
fn is_old_style(data: &[u8]) -> bool {
    matches!(data, [0, second, ..] if second & 1 != 0)
}

pub(super) fn compress(data: &[u8]) -> Result<Vec<u8>> {
    ENCODER.with_borrow_mut(|slot| {
        let encoder = slot.get_or_insert_with(|| Encoder::with_tiff_size_switch(BitOrder::Msb, BYTE));
        encoder.reset();
        let mut out = Vec::with_capacity((data.len() / 2).saturating_add(64));
        match encoder.into_vec(&mut out).encode_all(data).status {
            Ok(_) => Ok(out),
            Err(cause) => Err(Error::format("LZW refused to compress a tile").caused_by(cause)),
        }
    })
}
