#![no_main]

libfuzzer_sys::fuzz_target!(init: cogclip_fuzz::seeds::write(cogclip_fuzz::round_trip::seeds), |data: &[u8]| -> libfuzzer_sys::Corpus {
    cogclip_fuzz::round_trip::run(data)
});
