//! Documents after the examples of the specifications: Items of STAC 1.0.0 and 1.1.0, pages of an API.

use super::read::read as read_document;
use super::{BandClaims, Method, Next, Search, Selector, When};
use crate::error::ErrorKind;
use crate::limits::Limits;

/// An Item of STAC 1.1.0 with assets of every kind.
const NEW: &str = r#"{
    "type": "Feature", "stac_version": "1.1.0", "id": "S2_33UWP", "collection": "sentinel-2", "geometry": null,
    "properties": {"datetime": "2024-05-01T10:20:30+00:00", "proj:code": "EPSG:32633", "proj:shape": [10980, 10980]},
    "links": [{"rel": "next", "href": "no page of a search"}],
    "assets": {
        "B04": {
            "href": "./B04.tif", "type": "image/tiff; application=geotiff; profile=cloud-optimized", "roles": ["data", "reflectance"],
            "proj:transform": [10, 0, 499980, 0, -10, 5300040, 0, 0, 1],
            "bands": [{"name": "B04", "nodata": 0, "data_type": "uint16", "eo:common_name": "red"}],
            "alternate": {"s3": {"href": "s3://bucket/B04.tif", "alternate:name": "S3"}, "odd": {"href": 1}}
        },
        "SCL": {
            "href": "../SCL.tif", "type": "image/tiff", "proj:shape": [5490, 5490], "proj:code": null, "nodata": "nan",
            "data_type": "uint8", "bands": [{}, {"nodata": 18446744073709551615}], "datetime": "2024-05-02T00:00:00Z"
        },
        "thumbnail": {"href": "t.tif", "type": "image/tiff", "roles": ["thumbnail"]},
        "visual": {"href": "v.tif", "type": "image/tiff", "roles": ["Overview"]},
        "B08": {"href": "B08.jp2", "type": "image/jp2", "roles": ["data"]},
        "old": {"href": "https://h/x.TIF?sig=a"},
        "info": {"href": "info.xml"}
    }
}"#;

/// As catalogues had it before.
const OLD: &str = r#"{
    "type": "Feature", "stac_version": "1.0.0", "id": "old",
    "properties": {"datetime": null, "start_datetime": "2020-01-01T00:00:00Z", "end_datetime": "2020-12-31T23:59:59.5Z", "proj:epsg": 32633},
    "assets": {"dem": {
        "href": "dem.tif", "type": "image/vnd.stac.geotiff; cloud-optimized=true", "proj:transform": [1, 0, 2, 0, -1, 3],
        "raster:bands": [{"nodata": -9999.5, "data_type": "float32", "unit": "m"}, {"nodata": "-inf"}]
    }}
}"#;

fn take(text: &str, selector: &Selector) -> Search {
    read_document(text.as_bytes(), "https://h/a/item.json", selector, &Limits::default()).unwrap()
}

fn keys(names: &[&str]) -> Selector {
    Selector::Keys(names.iter().map(|&name| name.to_owned()).collect())
}

fn band(name: &str, data_type: &str, nodata: &str) -> BandClaims {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    BandClaims { name: some(name), data_type: some(data_type), nodata: some(nodata) }
}

#[test]
fn rasters_are_told_by_media_types_and_roles() {
    let search = take(NEW, &Selector::Rasters);
    let found: Vec<_> = search.assets.iter().map(|asset| (asset.key.as_str(), asset.href.as_str())).collect();
    assert_eq!(
        found,
        [("B04", "https://h/a/B04.tif"), ("SCL", "https://h/SCL.tif"), ("old", "https://h/x.TIF?sig=a")]
    );
    assert_eq!((search.items, search.next), (1, None));
}

#[test]
fn claims_of_an_asset_go_before_those_of_its_item() {
    let search = take(NEW, &keys(&["SCL", "B04", "B08"]));
    let [scl, b04, jp2] = search.assets.as_slice() else { panic!("{search:?}") };
    assert_eq!(
        (b04.item.as_str(), b04.collection.as_deref(), b04.key.as_str()),
        ("S2_33UWP", Some("sentinel-2"), "B04")
    );
    assert_eq!((b04.code.as_deref(), b04.shape), (Some("EPSG:32633"), Some([10980, 10980])));
    assert_eq!(b04.transform, Some([10.0, 0.0, 499_980.0, 0.0, -10.0, 5_300_040.0]));
    assert_eq!(b04.bands, [band("B04", "uint16", "0")]);
    assert_eq!(b04.taken, Some(When::At("2024-05-01T10:20:30Z".to_owned())));
    assert_eq!(b04.roles, ["data", "reflectance"]);
    assert_eq!(
        (b04.href_by("S3"), b04.href_by("https")),
        (Some("s3://bucket/B04.tif"), Some("https://h/a/B04.tif"))
    );
    assert_eq!((b04.alternates.len(), b04.href_by("gs")), (1, None));
    assert_eq!((scl.code.as_deref(), scl.shape, scl.transform), (None, Some([5490, 5490]), None));
    assert_eq!(scl.bands, [band("", "uint8", "nan"), band("", "uint8", "18446744073709551615")]);
    assert_eq!(scl.taken, Some(When::At("2024-05-02T00:00:00Z".to_owned())));
    // What is asked for by name is handed on, whatever it is called.
    assert_eq!((jp2.media_type.as_deref(), jp2.href.as_str()), (Some("image/jp2"), "https://h/a/B08.jp2"));
}

#[test]
fn older_names_are_known() {
    let search = take(OLD, &Selector::Rasters);
    let [dem] = search.assets.as_slice() else { panic!("{search:?}") };
    assert_eq!(
        (dem.code.as_deref(), dem.transform),
        (Some("EPSG:32633"), Some([1.0, 0.0, 2.0, 0.0, -1.0, 3.0]))
    );
    assert_eq!(dem.bands, [band("", "float32", "-9999.5"), band("", "", "-inf")]);
    let range = ("2020-01-01T00:00:00Z".to_owned(), "2020-12-31T23:59:59.5Z".to_owned());
    assert_eq!(dem.taken, Some(When::Between(range.0, range.1)));
}

#[test]
fn a_page_leads_to_the_next_one() {
    #[track_caller]
    fn check(links: &str, expected: Option<&Next>) {
        let text = format!(
            r#"{{"features": [{NEW}, {OLD}], "links": {links}, "type": "FeatureCollection", "numberMatched": 9}}"#
        );
        let search = take(&text, &Selector::Rasters);
        assert_eq!((search.items, search.assets.len()), (2, 4));
        assert_eq!(search.next.as_ref(), expected);
    }
    let get = Next {
        href: "https://h/search?token=n%3A1".to_owned(),
        method: Method::Get,
        headers: Vec::new(),
        body: None,
        merge: false,
    };
    check("[]", None);
    check("null", None);
    check(r#"[{"rel": "self", "href": 1}, 5, {"rel": "next", "href": "/search?token=n%3A1"}]"#, Some(&get));
    let post = Next {
        href: "https://h/a/search".to_owned(),
        method: Method::Post,
        headers: vec![
            ("X".to_owned(), "1".to_owned()),
            ("Y".to_owned(), "a".to_owned()),
            ("Y".to_owned(), "b".to_owned()),
        ],
        body: Some(r#"{"token": "n:1", "limit": 5}"#.to_owned()),
        merge: true,
    };
    check(
        r#"[{"rel": "next", "href": "search", "method": "POST", "headers": {"X": "1", "Y": ["a", "b"]},
            "body": {"token": "n:1", "limit": 5}, "merge": true}]"#,
        Some(&post),
    );
    check(
        r#"[{"rel": "next", "href": "/search?token=n%3A1", "method": "get", "body": null, "headers": null}]"#,
        Some(&get),
    );
}

#[test]
fn what_is_wrong_is_named() {
    #[track_caller]
    fn check(text: &str, selector: &Selector, kind: ErrorKind, says: &str) {
        let error =
            read_document(text.as_bytes(), "s3://b/i.json", selector, &Limits::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let all = &Selector::Rasters;
    check("", all, ErrorKind::Format, "no JSON object");
    check("{", all, ErrorKind::Format, "cannot be read");
    check("[]", all, ErrorKind::Format, "no JSON object");
    check("{}", all, ErrorKind::Format, "`type` is missing");
    check(r#"{"type": "Point"}"#, all, ErrorKind::Format, "\"Point\"");
    check(r#"{"type": "Collection"}"#, all, ErrorKind::Unsupported, "Collection");
    check(r#"{"type": "FeatureCollection"}"#, all, ErrorKind::Format, "without `features`");
    check(r#"{"type": "FeatureCollection", "features": {}}"#, all, ErrorKind::Format, "`features`");
    check(r#"{"type": "FeatureCollection", "features": [3]}"#, all, ErrorKind::Format, "Item number 0");
    check(r#"{"type": "Feature", "id": ""}"#, all, ErrorKind::Format, "no `id`");
    check(r#"{"type": "Feature", "id": "x"}"#, all, ErrorKind::Format, "Item \"x\" has no `assets`");
    check(r#"{"type": "Feature", "id": "x", "id": "y"}"#, all, ErrorKind::Format, "duplicate");
    let asset = |asset: &str| format!(r#"{{"type": "Feature", "id": "x", "assets": {{"a\nb": {asset}}}}}"#);
    check(&asset("{}"), all, ErrorKind::Format, "Item \"x\", asset \"a\\nb\": it has no `href`");
    check(&asset(r#"{"href": "file:///etc/x.tif"}"#), all, ErrorKind::Usage, "a file of this machine");
    check(
        &asset("{}"),
        &keys(&["B04"]),
        ErrorKind::Usage,
        "Item \"x\" has no asset \"B04\"; it has \"a\\nb\"",
    );
    let page = |link: &str| {
        format!(r#"{{"type": "FeatureCollection", "features": [], "links": [{{"rel": "next", {link}}}]}}"#)
    };
    check(&page(r#""method": "GET""#), all, ErrorKind::Format, "no `href`");
    check(&page(r#""href": "x", "method": "PUT""#), all, ErrorKind::Unsupported, "PUT");
    check(&page(r#""href": "x", "body": [1]"#), all, ErrorKind::Format, "no JSON object");
    check(&page(r#""href": "file:///x""#), all, ErrorKind::Usage, "a file of this machine");
}

#[test]
fn hostile_documents_end_at_a_limit() {
    #[track_caller]
    fn check(text: &str, limits: &Limits, says: &str) {
        let error = read_document(text.as_bytes(), "i.json", &Selector::Rasters, limits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let few = Limits { stac_bytes: 100_000, stac_items: 3, stac_assets: 5, ..Limits::default() };
    check(&" ".repeat(100_001), &few, "100001 bytes");
    check(r#"{"type": "FeatureCollection", "features": [0, 0, 0, 0]}"#, &few, "more than 3 members");
    let asset = r#"{"href": "x.tif", "bands": [{}, {}]}"#;
    let item = format!(r#"{{"type": "Feature", "id": "x", "assets": {{"a": {asset}, "b": {asset}}}}}"#);
    check(&item, &few, "more than 5 rasters and bands");
    let id = format!(r#"{{"type": "Feature", "id": "{}", "assets": {{}}}}"#, "x".repeat(5000));
    check(&id, &few, "more than 4096 bytes");
    // Depth: skipped where it is not looked at, an error or no claim where it is.
    let deep = format!("{}{}", "[".repeat(40_000), "]".repeat(40_000));
    let deep = |name: &str| {
        format!(
            r#"{{"type": "Feature", "id": "x", "assets": {{"a": {{"href": "x.tif", "{name}": {deep}}}}}}}"#
        )
    };
    for name in
        ["proj:geometry", "proj:shape", "proj:code", "bands", "datetime", "alternate", "roles", "nodata"]
    {
        let search = take(&deep(name), &Selector::Rasters);
        assert_eq!(search.assets.len(), 1, "{name}");
        assert_eq!((search.assets[0].shape, search.assets[0].code.as_deref()), (None, None));
    }
}

#[test]
fn no_mutation_panics() {
    let document = format!(
        r#"{{"type": "FeatureCollection", "features": [{NEW}, {OLD}], "links": [{{"rel": "next", "href": "x", "method": "POST", "headers": {{"a": ["b"]}}, "body": {{}}}}]}}"#
    );
    let bytes = document.as_bytes();
    let mut taken = 0;
    let mut look = |bytes: &[u8]| {
        let search = read_document(bytes, "s3://b/a/i.json", &Selector::Rasters, &Limits::default());
        taken += usize::from(search.is_ok());
    };
    for at in 0..bytes.len() {
        look(&bytes[..at]);
        for mask in [1, 0x20, 0x80] {
            let mut changed = bytes.to_vec();
            changed[at] ^= mask;
            look(&changed);
        }
    }
    // Changes within names and values leave documents that can be read.
    assert!(taken > 1000, "{taken}");
}
