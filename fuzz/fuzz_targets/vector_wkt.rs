#![no_main]

libfuzzer_sys::fuzz_target!(init: cogclip_fuzz::seeds::write(|| cogclip_fuzz::vector::text_seeds(&[
    "POLYGON ZM ((0 0 1 2, 10 0 1 2, 10 10 1 2, 0 0 1 2), (2 1 0 0, 3 1 0 0, 3 2 0 0, 2 1 0 0))",
    "SRID=4326;MULTIPOLYGON(((0 0,4 4,4 0,0 4,0 0)),EMPTY)\nPOINT(1 2)",
    "GEOMETRYCOLLECTION(LINESTRING(0 0,1e1 -.5),TIN(((0 0,1 0,1 1,0 0))),CURVEPOLYGON EMPTY)",
])), |data: &[u8]| -> libfuzzer_sys::Corpus {
    cogclip_fuzz::vector::run(cogclip::vector::format::Format::Wkt, data)
});
