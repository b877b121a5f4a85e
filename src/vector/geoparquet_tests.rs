//! GeoParquet, compared with what Arrow and shapely make of the same files (scripts/make-geoparquet-fixtures.py).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::geopackage_tests::{features, inflate};
use super::*;
use crate::error::ErrorKind;

macro_rules! fixture {
    ($name:literal) => {
        inflate(include_bytes!(concat!("../../testdata/vector/", $name, ".parquet.gz")))
    };
}

fn answers() -> BTreeMap<String, Json> {
    serde_json::from_slice(&inflate(include_bytes!("../../testdata/vector/geoparquet.json.gz"))).unwrap()
}

fn read(bytes: &[u8], query: &Query) -> Result<Layer> {
    geoparquet::read(bytes, query, &Limits::default())
}

/// A file is what Arrow says.
#[track_caller]
fn check(name: &str, bytes: &[u8]) {
    let answer = &answers()[name];
    let found = read(bytes, &Query::default()).unwrap();
    let crs = if answer["crs"].is_string() { Json::from("OGC:CRS84") } else { answer["crs"].clone() };
    let crs = Some(crs).filter(|crs| !crs.is_null());
    let found_crs = found.crs.map(|text| serde_json::from_str(&text).unwrap_or(Json::from(text)));
    assert_eq!(found_crs, crs);
    let expected = features(&answer["features"]);
    for (found, expected) in found.features.iter().zip(&expected) {
        for (found, expected) in found.properties.iter().zip(&expected.properties) {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(found.features.len(), expected.len());
}

#[test]
fn columns_of_all_kinds_are_as_arrow_reads_them() {
    check("snappy-v1-dictionary", &fixture!("snappy-v1-dictionary"));
    check("zstd-v2-dictionary", &fixture!("zstd-v2-dictionary"));
    check("none-v1-plain", &fixture!("none-v1-plain"));
    check("gzip-v2-delta", &fixture!("gzip-v2-delta"));
    check("lz4-v1-mixed", &fixture!("lz4-v1-mixed"));
    check("none-v1-int96", &fixture!("none-v1-int96"));
    check("zstd-big-pages", &fixture!("zstd-big-pages"));
    check("empty", &fixture!("empty"));
    check("geopandas-covering", &fixture!("geopandas-covering"));
    check("geopandas-zstd", &fixture!("geopandas-zstd"));
}

#[test]
fn rings_wind_as_the_file_says() {
    let query = Query::default();
    assert_eq!(read(&fixture!("zstd-v2-dictionary"), &query).unwrap().winding, Winding::Right);
    assert_eq!(read(&fixture!("none-v1-plain"), &query).unwrap().winding, Winding::Any);
}

#[test]
fn rows_are_found_by_their_numbers_and_boxes() {
    let fids = |layer: Layer| layer.features.iter().map(|feature| feature.fid).collect::<Vec<_>>();
    for (name, bytes) in
        [("geopandas-covering", fixture!("geopandas-covering")), ("lz4-v1-mixed", fixture!("lz4-v1-mixed"))]
    {
        let found = read(&bytes, &Query { fids: [3, 29].into(), ..Query::default() }).unwrap();
        assert_eq!(fids(found), [3, 29]);
        let error = read(&bytes, &Query { fids: [3, 51].into(), ..Query::default() }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        let answers = answers();
        let boxes = answers[name]["boxes"].as_array().unwrap();
        assert_eq!(boxes.len(), 5);
        for pair in boxes {
            let [min_x, min_y, max_x, max_y] = [0, 1, 2, 3].map(|index| pair[0][index].as_f64().unwrap());
            let bounds = Some(Bounds { min_x, min_y, max_x, max_y });
            let expected: Vec<i64> =
                pair[1].as_array().unwrap().iter().map(|fid| fid.as_i64().unwrap()).collect();
            let found = read(&bytes, &Query { bounds, ..Query::default() }).unwrap();
            assert_eq!(fids(found), expected, "{name} {bounds:?}");
        }
    }
}

#[test]
fn row_groups_beside_the_bounds_are_not_decoded() {
    // The geometries of the second and third group begin somewhere behind the first's; zeros there do no harm if only
    // the first is asked for.
    let bytes = fixture!("geopandas-covering");
    let footer = parquet::Footer::read(&bytes, &Limits::default()).unwrap();
    let mut damaged = bytes.clone();
    for group in &footer.groups[1..] {
        for chunk in &group.chunks {
            let start = usize::try_from(chunk.start).unwrap();
            damaged[start..][..usize::try_from(chunk.size).unwrap()].fill(0);
        }
    }
    let bounds = Some(Bounds { min_x: 1.0, min_y: -100.0, max_x: 3.0, max_y: 100.0 });
    let query = Query { bounds, ..Query::default() };
    assert_eq!(read(&damaged, &query).unwrap(), read(&bytes, &query).unwrap());
    assert_eq!(read(&damaged, &Query::default()).unwrap_err().kind(), ErrorKind::Format);
}

#[track_caller]
fn refused(bytes: &[u8], query: &Query, kind: ErrorKind, words: &str) {
    let error = read(bytes, query).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    use ErrorKind::{Format, Limit, Unsupported, Usage};
    let any = Query::default();
    refused(&fixture!("refused-brotli"), &any, Unsupported, "the codec BROTLI");
    refused(&fixture!("refused-plain"), &any, Unsupported, "no key `geo`");
    refused(&fixture!("refused-spherical"), &any, Unsupported, "`spherical`");
    refused(&fixture!("refused-geoarrow"), &any, Unsupported, "geometry encoding is `polygon`");
    refused(&fixture!("refused-split"), &any, Unsupported, "column `dec9`: it has the encoding 9");
    let other = Query { layer: Some("other".to_owned()), ..Query::default() };
    refused(&fixture!("empty"), &other, Usage, "no geometry column `other`; it has geometry");
    refused(b"PAR1", &any, Format, "`PAR1`");
    refused(b"PAR1\0\0\0\0PARE", &any, Unsupported, "encrypted");
    refused(b"PAR1\xff\xff\0\0PAR1", &any, Format, "claims 65535 bytes, the file has 0");
    refused(b"PAR1\xff\xff\xff\xffPAR1", &any, Limit, "4294967295");
    let limits = Limits { vertices: 60, ..Limits::default() };
    let error = geoparquet::read(&fixture!("none-v1-plain"), &any, &limits).unwrap_err();
    assert_eq!(error.kind(), Limit, "{error}");
    // Decoded, a row group may be four times the limit of a file.
    let limits = Limits { cutline_bytes: 4600, ..Limits::default() };
    let error = geoparquet::read(&fixture!("zstd-big-pages"), &any, &limits).unwrap_err();
    assert_eq!(error.kind(), Limit, "{error}");
}

/// Reads a file with one byte changed, for every `stride`th byte.
#[track_caller]
fn mutate(bytes: &[u8], query: &Query, stride: usize, masks: &[u8]) {
    let start = Instant::now();
    drop(read(bytes, query));
    let once = start.elapsed();
    let mut bytes = bytes.to_vec();
    for at in (0..bytes.len()).step_by(stride) {
        for mask in masks {
            bytes[at] ^= mask;
            let start = Instant::now();
            drop(read(&bytes, query));
            let most = once.saturating_mul(50).saturating_add(Duration::from_millis(1500));
            assert!(start.elapsed() < most, "byte {at} ^ {mask}");
            bytes[at] ^= mask;
        }
    }
}

#[test]
fn no_mutation_panics_or_takes_long() {
    let any = Query::default();
    mutate(&fixture!("zstd-big-pages"), &any, 1, &[0xff, 0x01, 0x80]);
    mutate(&fixture!("none-v1-int96"), &any, 2, &[0xff, 0x01]);
    mutate(&fixture!("gzip-v2-delta"), &any, 7, &[0xff]);
    mutate(&fixture!("snappy-v1-dictionary"), &any, 11, &[0x81]);
    mutate(&fixture!("zstd-v2-dictionary"), &any, 11, &[0xff]);
    mutate(&fixture!("none-v1-plain"), &any, 11, &[0xff]);
    let bounds = Some(Bounds { min_x: 3.0, min_y: 0.0, max_x: 9.0, max_y: 2.0 });
    mutate(&fixture!("lz4-v1-mixed"), &Query { bounds, ..Query::default() }, 11, &[0xff]);
}

#[test]
fn every_truncation_is_a_format_error() {
    for (bytes, stride) in [(fixture!("zstd-big-pages"), 1), (fixture!("snappy-v1-dictionary"), 53)] {
        for end in (0..bytes.len()).step_by(stride) {
            let error = read(&bytes[..end], &Query::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format, "{end} bytes: {error}");
        }
    }
}
