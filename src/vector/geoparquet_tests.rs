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
            let bounds = Some(Bounds { min_x, min_y, max_x, max_y }.into());
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
    let bounds = Some(Bounds { min_x: 1.0, min_y: -100.0, max_x: 3.0, max_y: 100.0 }.into());
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

/// A page of a column, its header as Thrift's compact protocol writes it.
fn page(kind: u8, claimed: u32, values: u32, encoding: u8, body: &[u8]) -> Vec<u8> {
    let integer = |value: u32| {
        let mut bytes = vec![0x15];
        let mut rest = u64::from(value) << 1;
        while rest > 0x7f {
            bytes.push(0x80 | u8::try_from(rest & 0x7f).unwrap());
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).unwrap());
        bytes
    };
    let header =
        [integer(kind.into()), integer(claimed), integer(u32::try_from(body.len()).unwrap())].concat();
    // The fields 5 and 7, of pages of data and of dictionaries; RLE for levels
    let inner = if kind == 0 { 0x2c } else { 0x4c };
    let details = [integer(values), integer(encoding.into()), integer(3), integer(3)].concat();
    [header, vec![inner], details, vec![0, 0], body.to_vec()].concat()
}

#[test]
fn bombs_and_lies_in_pages_are_refused() {
    use parquet::{Budget, Chunk, Leaf, Logical, Physical};
    #[track_caller]
    fn check(pages: &[Vec<u8>], physical: Physical, codec: i64, kind: ErrorKind, words: &str) {
        let path = Vec::new();
        let leaf = Leaf { path, physical, logical: Logical::Plain, max_definition: 0, is_repeated: false };
        let bytes = pages.concat();
        let chunk = Chunk { codec, start: 0, size: bytes.len() as u64, min: None, max: None };
        let mut budget = Budget { held: 1 << 26, total: 1 << 30 };
        let start = Instant::now();
        let error = parquet_page::column(&bytes, &leaf, &chunk, 100_000, &mut budget).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    use ErrorKind::{Format, Limit, Unsupported};
    let (data, dictionary) = (0, 2);
    for codec in [1, 2, 6, 7] {
        let claims = page(data, 1 << 30, 1, 0, &[0; 100]);
        check(&[claims], Physical::Int64, codec, Limit, "limit for a cutline");
        let claims = page(data, 1 << 20, 1, 0, &[0; 100]);
        check(&[claims], Physical::Int64, codec, Format, "a page of 1048576 bytes d");
    }
    // Each of 100,000 values is the one before and a letter: 5 GB of 100 KB.
    let (mut prefixes, mut suffixes) =
        (vec![0x80, 1, 4, 0xa0, 0x8d, 6, 0], vec![0x80, 1, 4, 0xa0, 0x8d, 6, 2]);
    for _ in 0..782 {
        prefixes.extend([2, 0, 0, 0, 0]);
        suffixes.extend([0, 0, 0, 0, 0]);
    }
    let growing = [prefixes, suffixes, vec![b'a'; 100_000]].concat();
    let size = u32::try_from(growing.len()).unwrap();
    check(&[page(data, size, 100_000, 7, &growing)], Physical::Bytes, 0, Limit, "limit for a cutline");
    // A dictionary of values of no bytes
    check(&[page(dictionary, 0, u32::MAX >> 1, 0, &[])], Physical::Fixed(0), 0, Limit, "limit for a cutline");
    check(&[page(data, 0, 100_001, 0, &[])], Physical::Int32, 0, Format, "more values than there are rows");
    check(&vec![page(data, 0, 0, 0, &[]); 1000], Physical::Int32, 0, Format, "end before the rows do");
    check(&[page(data, 3, 3, 8, &[1, 6, 0])], Physical::Int32, 0, Format, "a dictionary is missing");
    let one = page(dictionary, 4, 1, 0, &[1, 0, 0, 0]);
    check(&[one.clone(), one.clone()], Physical::Int32, 0, Format, "a dictionary stands where none may be");
    check(&[one, page(data, 3, 3, 8, &[1, 6, 1])], Physical::Int32, 0, Format, "the indices");
    check(&[page(data, 8, 3, 0, &[0; 8])], Physical::Int32, 0, Format, "values are cut short");
    check(&[page(data, 8, 1, 4, &[0; 8])], Physical::Int32, 0, Unsupported, "encoding 4");
    check(&[page(data, 8, 1, 0, &[0; 8])], Physical::Int32, 3, Unsupported, "LZO");
    check(&[vec![0x1c; 100_000]], Physical::Int32, 0, Format, "a header cannot be understood");
}

#[test]
fn encodings_are_as_the_specification_has_them() {
    // Encodings.md: the numbers 0 to 7 packed in 3 bits each; a run has its length doubled before it.
    let mut found = Vec::new();
    let mut bytes: &[u8] = &[3, 0x88, 0xc6, 0xfa, 10, 5];
    parquet_encoding::runs(&mut bytes, 3, 13, |value| found.push(value)).unwrap();
    assert_eq!((found.as_slice(), bytes.len()), (&[0, 1, 2, 3, 4, 5, 6, 7, 5, 5, 5, 5, 5][..], 0));
    // Encodings.md, the examples of DELTA_BINARY_PACKED
    for (mut bytes, expected) in [
        (&[8, 1, 5, 2, 2, 0][..], vec![1, 2, 3, 4, 5]),
        (&[8, 1, 8, 14, 3, 2, 0xc0, 0x3f][..], vec![7, 5, 3, 1, 2, 3, 4, 5]),
    ] {
        let mut found = Vec::new();
        parquet_encoding::deltas(&mut bytes, expected.len(), |value| found.push(value)).unwrap();
        assert_eq!(found, expected);
    }
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
            let most = once.saturating_mul(50).saturating_add(Duration::from_secs(5));
            assert!(start.elapsed() < most, "byte {at} ^ {mask}");
            bytes[at] ^= mask;
        }
    }
}

#[test]
fn no_mutation_panics_or_takes_long() {
    let any = Query::default();
    mutate(&fixture!("zstd-big-pages"), &any, 3, &[0xff, 0x01]);
    mutate(&fixture!("none-v1-int96"), &any, 3, &[0xff]);
    mutate(&fixture!("gzip-v2-delta"), &any, 29, &[0xff]);
    mutate(&fixture!("snappy-v1-dictionary"), &any, 31, &[0x81]);
    mutate(&fixture!("zstd-v2-dictionary"), &any, 31, &[0xff]);
    mutate(&fixture!("none-v1-plain"), &any, 31, &[0xff]);
    let bounds = Some(Bounds { min_x: 3.0, min_y: 0.0, max_x: 9.0, max_y: 2.0 }.into());
    mutate(&fixture!("lz4-v1-mixed"), &Query { bounds, ..Query::default() }, 31, &[0xff]);
}

#[test]
fn every_truncation_is_a_format_error() {
    for (bytes, stride) in [(fixture!("zstd-big-pages"), 3), (fixture!("snappy-v1-dictionary"), 53)] {
        for end in (0..bytes.len()).step_by(stride) {
            let error = read(&bytes[..end], &Query::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format, "{end} bytes: {error}");
        }
    }
}
