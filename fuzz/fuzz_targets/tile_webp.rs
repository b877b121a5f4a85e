#![no_main]

use cogclip_fuzz::tile;

libfuzzer_sys::fuzz_target!(init: cogclip_fuzz::seeds::write(|| tile::seeds(tile::WEBP)), |data: &[u8]| -> libfuzzer_sys::Corpus {
    tile::run(tile::WEBP, data)
});
