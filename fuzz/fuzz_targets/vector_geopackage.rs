#![no_main]

libfuzzer_sys::fuzz_target!(init: cogclip_fuzz::seeds::write(|| cogclip_fuzz::vector::seeds(".gpkg")), |data: &[u8]| -> libfuzzer_sys::Corpus {
    cogclip_fuzz::vector::run(cogclip::vector::format::Format::GeoPackage, data)
});
