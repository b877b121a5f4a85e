//! GeoPackages, compared with what OGR and SQLite make of the same files (scripts/make-geopackage-fixtures.py).

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::sqlite::{Database, Field};
use super::*;
use crate::error::ErrorKind;

/// The contents of a gzip file.
pub(super) fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

macro_rules! fixture {
    ($name:literal) => {
        inflate(include_bytes!(concat!("../../testdata/vector/", $name, ".gpkg.gz")))
    };
}

fn positions(json: &Json) -> Vec<[f64; 2]> {
    json.as_array().unwrap().iter().map(position).collect()
}

fn position(json: &Json) -> [f64; 2] {
    [json[0].as_f64().unwrap(), json[1].as_f64().unwrap()]
}

fn geometry(json: &Json) -> Geometry {
    let (kind, inner) = json.as_object().unwrap().iter().next().unwrap();
    match kind.as_str() {
        "point" => Geometry::Point(position(inner)),
        "line" => Geometry::Line(positions(inner)),
        "polygon" => Geometry::Polygon(inner.as_array().unwrap().iter().map(positions).collect()),
        "collection" => Geometry::Collection(inner.as_array().unwrap().iter().map(geometry).collect()),
        other => panic!("{other}"),
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::Real(number.as_f64().unwrap()), Value::Integer)
        }
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => panic!("{json}"),
    }
}

/// Features as the answers' JSON has them.
pub(super) fn features(json: &Json) -> Vec<Feature> {
    let property = |json: &Json| (json[0].as_str().unwrap().into(), value(&json[1]));
    let feature = |json: &Json| Feature {
        fid: json["fid"].as_i64().unwrap(),
        id: None,
        properties: json["properties"].as_array().unwrap().iter().map(property).collect(),
        geometry: geometry(&json["geometry"]),
    };
    json.as_array().unwrap().iter().map(feature).collect()
}

fn answers() -> BTreeMap<String, BTreeMap<String, Json>> {
    serde_json::from_slice(&inflate(include_bytes!("../../testdata/vector/geopackage.json.gz"))).unwrap()
}

fn read(bytes: &[u8], query: &Query) -> Result<Layer> {
    geopackage::read(bytes, query, &Limits::default())
}

fn of(layer: &str) -> Query {
    Query { layer: Some(layer.to_owned()), ..Query::default() }
}

/// Every layer of a file is what OGR and SQLite say.
#[track_caller]
fn check(name: &str, bytes: &[u8]) {
    let answers = answers();
    for (layer, answer) in &answers[name] {
        let found = read(bytes, &of(layer)).unwrap();
        assert_eq!(found.name, *layer);
        assert_eq!(found.crs.as_deref(), answer["crs"].as_str(), "{layer}");
        let expected = features(&answer["features"]);
        assert!(!expected.is_empty());
        for (found, expected) in found.features.iter().zip(&expected) {
            assert_eq!(found, expected, "{name}, layer {layer}");
        }
        assert_eq!(found.features.len(), expected.len());
    }
}

#[test]
fn records_of_all_kinds_are_as_sqlite_and_ogr_read_them() {
    check("odd-512", &fixture!("odd-512"));
    check("odd-1024-reserved-32", &fixture!("odd-1024-reserved-32"));
    check("odd-4096-wal", &fixture!("odd-4096-wal"));
    check("odd-65536", &fixture!("odd-65536"));
    check("odd-1024-utf16le", &fixture!("odd-1024-utf16le"));
    check("odd-512-utf16be", &fixture!("odd-512-utf16be"));
}

#[test]
fn layers_and_their_systems_are_as_ogr_reads_them() {
    check("layers", &fixture!("layers"));
    check("layers-wkt2", &fixture!("layers-wkt2"));
    check("index-512", &fixture!("index-512"));
}

#[test]
fn an_index_lets_pass_what_sqlite_selects() {
    let bytes = fixture!("index-512");
    let answers = answers();
    let boxes = answers["index-512"]["points"]["boxes"].as_array().unwrap();
    assert_eq!(boxes.len(), 5);
    for pair in boxes {
        let [min_x, min_y, max_x, max_y] = [0, 1, 2, 3].map(|index| pair[0][index].as_f64().unwrap());
        let bounds = Some(Bounds { min_x, min_y, max_x, max_y }.into());
        let expected: Vec<i64> = pair[1].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect();
        let found = read(&bytes, &Query { bounds, ..Query::default() }).unwrap();
        assert_eq!(
            found.features.iter().map(|feature| feature.fid).collect::<Vec<_>>(),
            expected,
            "{bounds:?}"
        );
        let fids = BTreeSet::from([3, 700, 1500]);
        let both = read(&bytes, &Query { bounds, fids: fids.clone(), ..Query::default() }).unwrap();
        let expected: Vec<i64> = expected.into_iter().filter(|id| fids.contains(id)).collect();
        assert_eq!(both.features.iter().map(|feature| feature.fid).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn features_are_found_by_their_numbers() {
    let bytes = fixture!("odd-512");
    let found = read(&bytes, &Query { fids: [7, i64::MIN].into(), ..Query::default() }).unwrap();
    assert_eq!(found.features.iter().map(|feature| feature.fid).collect::<Vec<_>>(), [i64::MIN, 7]);
    let error = read(&bytes, &Query { fids: [8].into(), ..Query::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("of 25 features"), "{error}");
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
    refused(
        &fixture!("layers"),
        &any,
        Usage,
        "5 layers; name one with --layer: utm, none, mollweide, custom, seen",
    );
    refused(&fixture!("layers"), &of("roads"), Usage, "no layer `roads`; it has utm, none");
    refused(&fixture!("layers"), &of("attributes"), Usage, "no layer `attributes`");
    refused(&fixture!("layers"), &of("seen"), Unsupported, "a view");
    refused(&fixture!("refused-plain"), &any, Unsupported, "a SQLite database, but no GeoPackage");
    refused(&fixture!("refused-spatialite"), &any, Unsupported, "a SpatiaLite database");
    refused(&fixture!("refused-tiles"), &any, Unsupported, "no table of features, only of tiles");
    refused(&fixture!("refused-without-rowid"), &any, Unsupported, "WITHOUT ROWID");
    refused(
        &fixture!("refused-extended"),
        &any,
        Unsupported,
        "feature 5: its geometry is of the extension `CURV`",
    );
    refused(&fixture!("refused-version"), &any, Unsupported, "version 7");
    refused(&fixture!("refused-envelope"), &any, Format, "unknown kind 5");
    refused(&fixture!("refused-wkb"), &any, Format, "begins with `GP`");
    refused(&fixture!("refused-curve"), &any, Unsupported, "CircularString");
    refused(b"PK\x03\x04", &any, Format, "does not begin");
    let limits = Limits { vertices: 4000, ..Limits::default() };
    let error = geopackage::read(&fixture!("odd-512"), &any, &limits).unwrap_err();
    assert_eq!(error.kind(), Limit, "{error}");
    let limits = Limits { cutline_bytes: 1000, ..Limits::default() };
    let error = geopackage::read(&fixture!("odd-512"), &any, &limits).unwrap_err();
    assert_eq!(error.kind(), Limit, "{error}");
}

#[test]
fn records_are_whole_at_every_length() {
    let bytes = fixture!("lengths-512");
    let database = Database::open(&bytes).unwrap();
    let table = database.table("T").unwrap().unwrap();
    let mut walk = database.walk(table.root, None).unwrap();
    let mut count = 0;
    while let Some(cell) = walk.next().unwrap() {
        let record = walk.record(&cell).unwrap();
        let text = record.column(cell.rowid, table.need("A").unwrap()).unwrap();
        assert_eq!(text, Field::Text("x".repeat(usize::try_from(cell.rowid).unwrap())));
        count += 1;
    }
    assert_eq!(count, 125);
}

#[test]
fn loops_and_lies_are_format_errors() {
    #[track_caller]
    fn check(name: &str, bytes: &[u8], patches: &[(usize, &[u8])], words: &str) {
        let mut bytes = bytes.to_vec();
        for (at, patch) in patches {
            bytes[*at..][..patch.len()].copy_from_slice(patch);
        }
        let walked = || {
            let database = Database::open(&bytes)?;
            let table = database.table("t")?.unwrap();
            let mut walk = database.walk(table.root, None)?;
            while let Some(cell) = walk.next()? {
                drop(walk.record(&cell)?);
            }
            Ok(())
        };
        let error: Error = walked().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
    // Two pages of 512 bytes: the schema, and the empty leaf of t.
    let plain = fixture!("refused-plain");
    let inner = |child: u8| [5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, child];
    check("a page that is its own child", &plain, &[(512, &inner(2))], "page 2 twice");
    check("a child that is not there", &plain, &[(512, &inner(3))], "refers to a page 3");
    check("page 0", &plain, &[(512, &inner(0))], "refers to a page 0");
    check("an index's page", &plain, &[(512, &[10])], "type 10");
    check("more cells than fit", &plain, &[(515, &[0xff; 2])], "damaged");
    check(
        "a cell beyond the page",
        &plain,
        &[(515, &[0, 1, 1, 0, 0, 0xff, 0xff])],
        "page 2 of the SQLite file",
    );
    let two_cells_at_64 = (512, &[13, 0, 0, 0, 2, 0, 0, 0, 0, 64, 0, 64][..]);
    check("overlapping cells", &plain, &[two_cells_at_64, (576, &[0x82, 0x2c, 1, 1])], "damaged cell");
    let long = (576, &[0xbf, 0xff, 0x7f, 1][..]);
    check("a record beyond the file", &plain, &[two_cells_at_64, long], "claims 1048575 bytes");
    // 600 bytes, of which 92 are on the leaf (§1.6: K = 39 + (600 - 39) % 508)
    let overflow = [two_cells_at_64, (576, &[0x84, 0x58, 1]), (671, &[0, 0, 0, 2])];
    check("an overflow page that is the leaf", &plain, &overflow, "page 2 twice");
    check(
        "one page too many",
        &plain,
        &[(31, &[3])],
        "cut short: its header counts 3 pages of 512 bytes, there are 2",
    );
    check("pages of 513 bytes", &plain, &[(17, &[1])], "513");
    check("text in EBCDIC", &plain, &[(59, &[9])], "text encoding");
    check("a table that is none", &plain, &[(500, b"((((((((((((")], "cannot be understood");
}

/// Reads a file with one byte changed, for every `stride`th byte, each in not much more time than the whole file takes.
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
            assert!(
                start.elapsed() < once.saturating_mul(50).saturating_add(Duration::from_secs(5)),
                "byte {at} ^ {mask}"
            );
            bytes[at] ^= mask;
        }
    }
}

#[test]
fn no_mutation_panics_or_takes_long() {
    let any = Query::default();
    mutate(&fixture!("refused-curve"), &any, 1, &[0xff, 0x01, 0x80, 0x10]);
    mutate(&fixture!("odd-512-utf16be"), &any, 3, &[0xff]);
    mutate(&fixture!("odd-1024-reserved-32"), &any, 5, &[0x81]);
    mutate(&fixture!("layers"), &of("custom"), 5, &[0xff]);
    let bounds = Some(Bounds { min_x: 20.0, min_y: 30.0, max_x: 40.0, max_y: 35.5 }.into());
    mutate(&fixture!("index-512"), &Query { bounds, ..Query::default() }, 11, &[0xff]);
}

#[test]
fn every_truncation_is_a_format_error() {
    for (bytes, stride) in
        [(fixture!("refused-curve"), 1), (fixture!("odd-512"), 97), (fixture!("odd-4096-wal"), 89)]
    {
        for end in (0..bytes.len()).step_by(stride) {
            let error = read(&bytes[..end], &Query::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Format, "{end} bytes: {error}");
        }
    }
}
