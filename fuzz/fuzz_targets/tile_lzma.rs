#![no_main]

use cogclip_fuzz::tile;

libfuzzer_sys::fuzz_target!(init: cogclip_fuzz::seeds::write(|| tile::seeds(tile::LZMA)), |data: &[u8]| -> libfuzzer_sys::Corpus {
    tile::run(tile::LZMA, data)
});
