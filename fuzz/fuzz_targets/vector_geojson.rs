#![no_main]

libfuzzer_sys::fuzz_target!(init: cogclip_fuzz::seeds::write(|| cogclip_fuzz::vector::text_seeds(&[
    r#"{"type":"FeatureCollection","name":"x","crs":{"type":"name","properties":{"name":"EPSG:3857"}},"features":[{"type":"Feature","id":3,"properties":{"name":"a","n":1.5,"o":{"p":[1]}},"geometry":{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9,3],[0,0]]]}}]}"#,
    "\u{1e}{\"type\":\"Feature\",\"properties\":null,\"geometry\":null}\n\u{1e}{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[9,9],[9,0],[0,9],[0,0]]]}\n",
])), |data: &[u8]| -> libfuzzer_sys::Corpus {
    cogclip_fuzz::vector::run(cogclip::vector::format::Format::GeoJson, data)
});
