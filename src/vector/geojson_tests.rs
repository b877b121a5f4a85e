//! Tests of [`super::geojson`].

use super::geojson;
use super::golden;
use super::{Geometry, Layer, Query, Value, Winding};
use crate::error::{ErrorKind, Result};
use crate::limits::Limits;

const RING: &str = "[[0,0],[2,0],[2,1],[0,1],[0,0]]";

fn read(text: &str) -> Result<Layer> {
    geojson::read(text, &Query::default(), &Limits::default())
}

fn polygon() -> String {
    format!(r#"{{"type":"Polygon","coordinates":[{RING}]}}"#)
}

fn polygons(geometry: &Geometry) -> Vec<&Vec<Vec<[f64; 2]>>> {
    match geometry {
        Geometry::Polygon(rings) if rings.is_empty() => Vec::new(),
        Geometry::Polygon(rings) => vec![rings],
        Geometry::Collection(parts) => parts.iter().flat_map(polygons).collect(),
        Geometry::Point(_) | Geometry::Line(_) => panic!("{geometry:?}"),
    }
}

/// `text` gives this many polygons in this CRS, all of them [`RING`].
#[track_caller]
fn check(text: &str, count: usize, crs: Option<&str>) {
    let layer = read(text).unwrap();
    let found: Vec<_> = layer.features.iter().flat_map(|feature| polygons(&feature.geometry)).collect();
    assert_eq!((found.len(), layer.crs.as_deref()), (count, crs));
    for polygon in found {
        let ring = &polygon[0];
        assert_eq!(ring[..4], [[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]]);
    }
}

#[test]
fn every_level_is_read() {
    let p = polygon();
    let crs84 = Some("OGC:CRS84");
    check(&p, 1, crs84);
    check(&format!("\u{feff}{p}"), 1, crs84);
    check(
        &format!(r#"{{"coordinates":[[{RING}],[],[{RING}]],"type":"MultiPolygon","bbox":[0,0,2,1]}}"#),
        2,
        crs84,
    );
    check(
        &format!(
            r#"{{"type":"Feature","id":7,"properties":{{"crs":[1,{{}}]}},"geometry":{p},"x":null,"x":1}}"#
        ),
        1,
        crs84,
    );
    check(&format!(r#"{{"geometry":{p},"type":"Feature","id":{{"odd":[1]}}}}"#), 1, crs84);
    check(
        &format!(
            r#"{{"type":"GeometryCollection","geometries":[{p},{{"type":"GeometryCollection","geometries":[{p}]}}]}}"#
        ),
        2,
        crs84,
    );
    check(
        &format!(
            r#"{{"type":"FeatureCollection","name":"n","features":[
            {{"type":"Feature","properties":null,"geometry":null}},
            {{"type":"Feature","properties":{{}},"geometry":{p}}},
            {{"type":"Feature","geometry":{{"type":"Polygon","coordinates":[]}}}},
            {{"type":"Feature","geometry":{{"type":"MultiPolygon","coordinates":[]}}}},{p}]}}"#
        ),
        2,
        crs84,
    );
    // Unclosed; with heights and measures
    check(r#"{"type":"Polygon","coordinates":[[[0,0],[2,0],[2,1],[0,1]]]}"#, 1, crs84);
    check(r#"{"type":"Polygon","coordinates":[[[0,0,9],[2,0,9,1],[2.0,1e0,-9],[0,1],[-0.0,0]]]}"#, 1, crs84);
    // A Feature's members of other types are foreign to it.
    check(
        &format!(
            r#"{{"type":"Feature","features":7,"coordinates":"x","geometries":0,"geometry":{p},"name":{{}}}}"#
        ),
        1,
        crs84,
    );
}

#[test]
fn what_ogr_reads_is_read() {
    for (name, crs) in [
        ("polygons.geojson", "urn:ogc:def:crs:EPSG::32633"),
        ("polygons.geojsonl", "OGC:CRS84"),
        ("polygons.geojsons", "OGC:CRS84"),
        ("mixed.geojson", "OGC:CRS84"),
    ] {
        let layer = read(std::str::from_utf8(&golden::fixture(name)).unwrap()).unwrap();
        golden::check(&layer, name);
        assert_eq!(layer.crs.as_deref(), Some(crs), "{name}");
    }
}

#[test]
fn sequences_are_read() {
    let p = polygon();
    let feature = format!(r#"{{"type":"Feature","geometry":{p},"properties":{{"a":1}}}}"#);
    check(&format!("{feature}\n{feature}\r\n\n{p}"), 3, Some("OGC:CRS84"));
    // RFC 8142: a text may run over several lines.
    let long = feature.replace(',', ",\n");
    check(&format!("\u{1e}{long}\n\u{1e}{feature}\n"), 2, Some("OGC:CRS84"));
    check(&feature.replace(',', ",\n"), 1, Some("OGC:CRS84"));
    let error = read(&format!("{feature}\n\n{{\"type\":x}}\n")).unwrap_err().to_string();
    assert!(error.contains("line 3 column 9"), "{error}");
    let error = read(&format!("\u{1e}{p}\n\u{1e}{p}\n\u{1e}\n{{}}\n")).unwrap_err().to_string();
    assert!(error.contains("line 4"), "{error}");
    let crs = r#""crs":{"type":"name","properties":{"name":"EPSG:3857"}},"type""#;
    let mixed = format!("{}\n{feature}", feature.replacen(r#""type""#, crs, 1));
    assert_eq!(read(&mixed).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn features_keep_their_names_numbers_and_properties() {
    let text = r#"{"type":"FeatureCollection","name":"parcels","features":[
        {"type":"Feature","id":12,"geometry":{"type":"Point","coordinates":[1,2]},"properties":
            {"größe":1.5,"n":-3,"ok":true,"none":null,"list":[1, {"a" : "b \" c"}],"big":18446744073709551615,"text":"\u00e4\n"}},
        {"type":"Feature","id":"12","geometry":{"type":"LineString","coordinates":[[1,2],[3,4,5]]},"properties":null},
        {"type":"Feature","id":1.5,"geometry":null,"properties":{"huge":1e999}},
        {"type":"Feature","id":9.0,"geometry":{"type":"MultiPoint","coordinates":[[1,2],[3,4]]}},
        {"type":"Feature","geometry":{"type":"MultiLineString","coordinates":[[[1,2],[3,4]],[]]}}]}"#;
    let layer = read(text).unwrap();
    assert_eq!((layer.name.as_str(), layer.winding), ("parcels", Winding::Right));
    let numbers: Vec<_> = layer.features.iter().map(|f| (f.fid, f.id.as_deref())).collect();
    assert_eq!(numbers, [(12, None), (1, Some("12")), (2, None), (9, None), (4, None)]);
    let values: Vec<_> = layer.features[0].properties.iter().map(|(k, v)| (&**k, v.clone())).collect();
    assert_eq!(
        values,
        [
            ("größe", Value::Real(1.5)),
            ("n", Value::Integer(-3)),
            ("ok", Value::Bool(true)),
            ("none", Value::Null),
            ("list", Value::Text(r#"[1,{"a":"b \" c"}]"#.into())),
            ("big", Value::Real(18_446_744_073_709_551_615.0)),
            ("text", Value::Text("ä\n".into())),
        ]
    );
    assert_eq!(layer.features[2].properties[0].1, Value::Real(f64::INFINITY));
    let geometries: Vec<_> = layer.features.iter().map(|f| f.geometry.clone()).collect();
    let points = [Geometry::Point([1.0, 2.0]), Geometry::Point([3.0, 4.0])];
    let line = Geometry::Line(vec![[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(
        geometries,
        [
            points[0].clone(),
            line.clone(),
            Geometry::Collection(vec![]),
            Geometry::Collection(points.to_vec()),
            Geometry::Collection(vec![line]),
        ]
    );
    // Only wanted features count: for the vertices, and for the CRS.
    let query = Query { fids: [1].into(), ..Query::default() };
    let limits = Limits { vertices: 2, ..Limits::default() };
    let only = geojson::read(text, &query, &limits).unwrap();
    assert_eq!(only.features, [layer.features[1].clone()]);
    let missing = Query { fids: [3].into(), ..Query::default() };
    assert_eq!(geojson::read(text, &missing, &limits).unwrap_err().kind(), ErrorKind::Usage);
    for (name, is_there) in [("parcels", true), ("Parcels", false)] {
        let query = Query { layer: Some(name.into()), ..Query::default() };
        assert_eq!(geojson::read(text, &query, &Limits::default()).is_ok(), is_there);
    }
}

#[test]
fn the_crs_member_counts_where_it_stands() {
    let p = polygon();
    let named = |name: &str| format!(r#""crs":{{"type":"name","properties":{{"name":"{name}"}}}}"#);
    let with = |crs: &str| format!(r#"{{"type":"Feature",{crs},"geometry":{p}}}"#);
    let urn = "urn:ogc:def:crs:EPSG::32633";
    check(&with(&named(urn)), 1, Some(urn));
    check(&with(r#""crs":{"type":"EPSG","properties":{"code":3857}}"#), 1, Some("EPSG:3857"));
    check(&with(r#""crs":null"#), 1, None);
    assert_eq!(read(&with(&named(urn))).unwrap().winding, Winding::Any);
    let collection = |a: &str, b: &str, c: &str| {
        format!(r#"{{"type":"FeatureCollection","features":[{},{}]{c}}}"#, with(a), with(b))
    };
    let (utm, mercator) = (named("EPSG:32633"), named("EPSG:3857"));
    check(&collection(r#""a":1"#, &utm, &format!(",{utm}")), 2, Some("EPSG:32633"));
    check(&collection(r#""a":1"#, r#""a":1"#, &format!(",{utm}")), 2, Some("EPSG:32633"));
    check(
        &format!(
            r#"{{"type":"GeometryCollection","geometries":[{}],{utm}}}"#,
            p.replacen('{', &format!("{{{mercator},"), 1)
        ),
        1,
        Some("EPSG:3857"),
    );
    for text in [
        collection(&utm, &mercator, ""),
        collection(&utm, r#""a":1"#, ""),
        collection(&utm, r#""crs":null"#, ""),
        with(r#""crs":{"type":"link","properties":{"href":"x"}}"#),
    ] {
        assert_eq!(read(&text).unwrap_err().kind(), ErrorKind::Unsupported, "{text}");
    }
    check(&format!(r#"{{"type":"FeatureCollection","features":[],{utm}}}"#), 0, Some("EPSG:32633"));
    check(r#"{"type":"FeatureCollection","crs":null,"features":[]}"#, 0, None);
}

#[test]
fn errors_say_whose_fault_and_where() {
    #[track_caller]
    fn refused(text: &str, words: &str) {
        let error = read(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    refused("", "line 1 column 0");
    refused("{\n\"type\":\"Polygon\",\n\"coordinates\":[[[0,x]]]}", "line 3 column 20");
    refused(r#"{"type":"Polygon","coordinates":[[[0,NaN]]]}"#, "line 1");
    refused(r#"{"type":"Polygon","coordinates":[[[0,1e999]]]}"#, "out of range");
    refused(r#"{"type":"Polygon","coordinates":[[[0]]]}"#, "one number");
    refused(r#"{"type":"Polygon","coordinates":[[[0,null]]]}"#, "null");
    refused(r#"{"type":"Polygon","coordinates":[[[0,"1"]]]}"#, "string");
    refused(r#"{"type":"Polygon","coordinates":[[[0,1],[[1,2]]]]}"#, "different depths");
    refused(r#"{"type":"Polygon","coordinates":[[],[0,1]]}"#, "different depths");
    refused(r#"{"type":"Polygon","coordinates":[[0,1],[1,2]]}"#, "nested");
    refused(r#"{"type":"Polygon","coordinates":[0,1]}"#, "nested");
    refused(r#"{"type":"MultiPolygon","coordinates":[[[0,1],[1,2]]]}"#, "nested");
    refused(r#"{"type":"Point","coordinates":[[0,1]]}"#, "nested");
    refused(r#"{"type":"Polygon"}"#, "`coordinates`");
    refused(r#"{"type":"Polygon","coordinates":null}"#, "`coordinates`");
    refused(r#"{"type":"FeatureCollection"}"#, "`features`");
    refused(r#"{"type":"GeometryCollection"}"#, "`geometries`");
    refused(r#"{"features":[],"type":"Feature"}"#, "`features`");
    refused(r#"{"type":"Circle"}"#, "Circle");
    refused(r#"{"coordinates":[]}"#, "type");
    refused(r#"{"type":"Feature","geometry":{"type":"Feature"}}"#, "in the place of a geometry");
    refused(r#"{"type":"FeatureCollection","features":[{"type":"FeatureCollection"}]}"#, "within another");
    refused(r#"{"type":"Feature","type":"Feature"}"#, "two members `type`");
    refused(r#"{"type":"Feature","properties":7}"#, "properties");
    refused("[1,2]", "line 1");
    refused(&format!("{} {{}}", polygon()), "trailing");
    refused(
        "{\"type\":\"FeatureCollection\",\"features\":[{\"type\":\"Feature\",\"geometry\":null},\n{\"type\":\"Feature\",\"id\":\"a7\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[[1]]}}]}",
        "feature 1 (id \"a7\") is not GeoJSON: a position of one number; it takes two at line 2",
    );
    refused(
        r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":3,"geometry":{"type":"Point","coordinates":[[1,2]]}}]}"#,
        "feature 0 (id 3), line 1 column",
    );
}

#[test]
fn coordinates_are_read_to_the_last_bit() {
    // Rust's own parser rounds correctly; serde_json does so with its feature `float_roundtrip` only.
    for text in ["0.8925104143467577", "-179.99999999999997", "123456789.12345679", "4.9406564584124654e-324"]
    {
        let layer =
            read(&format!(r#"{{"type":"Polygon","coordinates":[[[{text},1],[2,2],[3,1]]]}}"#)).unwrap();
        assert_eq!(
            polygons(&layer.features[0].geometry)[0][0][0][0].to_bits(),
            text.parse::<f64>().unwrap().to_bits(),
            "{text}"
        );
    }
}

#[test]
fn vertices_and_nesting_are_bounded() {
    let mut limits = Limits { vertices: 4, ..Limits::default() };
    let read_within = |limits: &Limits| geojson::read(&polygon(), &Query::default(), limits);
    assert_eq!(read_within(&limits).unwrap_err().kind(), ErrorKind::Limit);
    limits.vertices = 5;
    assert!(read_within(&limits).is_ok());
    for (open, count) in
        [("[", 1_000_000), (r#"{"type":"GeometryCollection","geometries":["#, 100_000), (r#"{"a":"#, 100_000)]
    {
        assert_eq!(read(&open.repeat(count)).unwrap_err().kind(), ErrorKind::Format);
    }
    let deep =
        format!(r#"{{"type":"Polygon","coordinates":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read(&deep).unwrap_err().kind(), ErrorKind::Format);
}

#[test]
fn no_truncation_or_mutation_panics() {
    let text = format!(
        r#"{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"EPSG:4326"}}}},"features":[{{"type":"Feature","id":"é","properties":{{"a":[1,"b"],"c":1e3,"d":"\u00e4"}},"geometry":{}}}]}}"#,
        polygon()
    );
    assert!(read(&text).is_ok());
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        assert_eq!(read(&text[..end]).unwrap_err().kind(), ErrorKind::Format);
    }
    for place in 0..text.len() {
        for byte in *b"{}[]\",:0-e\0\n\x1e" {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = byte;
            if let Ok(mutated) = String::from_utf8(bytes) {
                drop(read(&mutated));
            }
        }
    }
}
