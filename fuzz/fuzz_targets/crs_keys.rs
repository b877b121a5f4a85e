#![no_main]

libfuzzer_sys::fuzz_target!(init: cogclip_fuzz::seeds::write(cogclip_fuzz::crs::key_seeds), |data: &[u8]| -> libfuzzer_sys::Corpus {
    cogclip_fuzz::crs::run_keys(data)
});
