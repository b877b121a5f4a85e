//! FlatGeobuf against OGR's own reading, and broken ones.

use std::ops::Range;

use bytes::Bytes;

use super::flatgeobuf::{plan, read};
use super::parts::Parts;
use super::{Geometry, Layer, Query, Stop};
use crate::error::ErrorKind::{self, Format, Limit, Unsupported, Usage};
use crate::error::Result;
use crate::geo::Bounds;
use crate::limits::Limits;
use crate::vector::golden;

fn bad<T>(result: Result<T, Stop>) -> Result<T> {
    result.map_err(|stop| match stop {
        Stop::Bad(error) => error,
        Stop::Need(ranges) => panic!("{ranges:?} is all here"),
    })
}

/// The whole file at once.
fn read_whole(bytes: &[u8], query: &Query, limits: &Limits) -> Result<Layer> {
    let parts = Parts::whole(&Bytes::copy_from_slice(bytes));
    let found = bad(plan(&parts, query, limits))?;
    bad(read(&parts, &found, query, limits))
}

/// Only what is asked for, and the number of times and bytes that were asked for.
fn read_by_ranges(bytes: &[u8], query: &Query) -> (Layer, usize, u64) {
    let mut parts = Parts::new(bytes.len() as u64);
    let (mut times, mut count) = (0, 0);
    let mut fetch = |parts: &mut Parts, ranges: Vec<Range<u64>>| {
        times = usize::saturating_add(times, 1);
        for range in ranges {
            count = u64::saturating_add(count, range.end.saturating_sub(range.start));
            let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
            parts.insert(range.start, &Bytes::copy_from_slice(&bytes[start..end]));
        }
    };
    let found = loop {
        match plan(&parts, query, &Limits::default()) {
            Ok(found) => break found,
            Err(Stop::Need(ranges)) => fetch(&mut parts, ranges),
            Err(Stop::Bad(error)) => panic!("{error}"),
        }
    };
    fetch(&mut parts, found.ranges());
    (bad(read(&parts, &found, query, &Limits::default())).unwrap(), times, count)
}

fn boxed(min_x: f64, min_y: f64, max_x: f64, max_y: f64) -> Query {
    Query { bounds: Some(Bounds { min_x, min_y, max_x, max_y }.into()), ..Query::default() }
}

#[test]
fn what_ogr_reads_is_read() {
    for (name, crs) in [
        ("polygons.fgb", Some("EPSG:32633")),
        ("indexed.fgb", Some("EPSG:32633")),
        ("mixed.fgb", None),
        ("grid.fgb", Some("EPSG:32633")),
    ] {
        let bytes = golden::fixture(name);
        let layer = read_whole(&bytes, &Query::default(), &Limits::default()).unwrap();
        golden::check(&layer, name);
        assert_eq!(layer.crs.as_deref(), crs, "{name}");
        assert_eq!(read_by_ranges(&bytes, &Query::default()).0, layer);
    }
    let one = read_whole(&golden::fixture("one.fgb"), &boxed(10.0, 10.0, 11.0, 11.0), &Limits::default());
    let one = one.unwrap();
    golden::check(&one, "one.fgb");
    assert!(one.crs.unwrap().contains("World_Mollweide"));
}

#[test]
fn surfaces_of_polygons_are_read_and_curves_are_named() {
    let ring = vec![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]];
    let surface = Geometry::Collection(vec![Geometry::Polygon(vec![ring]); 2]);
    let layer = read_whole(&golden::fixture("surfaces.fgb"), &Query::default(), &Limits::default()).unwrap();
    assert_eq!(layer.features.len(), 3);
    for feature in layer.features {
        assert_eq!(feature.geometry, surface, "{}", feature.fid);
    }
    for (fid, name) in [(0, "CircularString"), (1, "CurvePolygon"), (2, "CompoundCurve")] {
        let query = Query { fids: [fid].into(), ..Query::default() };
        let error = read_whole(&golden::fixture("curves.fgb"), &query, &Limits::default()).unwrap_err();
        assert!(error.kind() == Unsupported && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn the_index_finds_what_ogr_finds() {
    let bytes = golden::fixture("grid.fgb");
    golden::check(&read_by_ranges(&bytes, &boxed(0.5, 1.5, 3.0, 3.5)).0, "grid-box.fgb");
    assert!(read_by_ranges(&bytes, &boxed(7.5, 0.0, 9.0, 9.0)).0.features.is_empty());
    let all = read_by_ranges(&bytes, &boxed(-1.0, -1.0, 9.0, 9.0)).0;
    golden::check(&all, "grid.fgb");
    // Numbers go straight to their leaves.
    for fid in [0, 15, 16, 40, 41] {
        let query = Query { fids: [fid].into(), ..Query::default() };
        let layer = read_by_ranges(&bytes, &query).0;
        assert_eq!(layer.features[0], all.features[usize::try_from(fid).unwrap()]);
    }
    let query = Query { fids: [42, -1].into(), ..Query::default() };
    let error = read_whole(&bytes, &query, &Limits::default()).unwrap_err();
    assert!(error.kind() == Usage && error.to_string().contains("of 42 features"), "{error}");
}

#[test]
fn only_the_bytes_that_matter_are_asked_for() {
    // The grid, with so many empty bytes in the header that its index is not in the first bytes that are asked for:
    // its fields refer to each other by distances, which do not change.
    let grid = golden::fixture("grid.fgb");
    let length = u32::from_le_bytes(*grid[8..].first_chunk().unwrap());
    let header = usize::try_from(length).unwrap() + 12;
    let padding = 20_000;
    let mut bytes = grid[..8].to_vec();
    bytes.extend((length + padding).to_le_bytes());
    bytes.extend(&grid[12..header]);
    bytes.extend(vec![0; usize::try_from(padding).unwrap()]);
    bytes.extend(&grid[header..]);
    let (layer, times, count) = read_by_ranges(&bytes, &boxed(0.0, 0.0, 0.0, 0.0));
    assert_eq!(layer.features.len(), 1);
    // The first bytes, the rest of the header, 3 levels of the index (one of them near the others), the feature.
    assert!(times <= 6 && count < u64::from(length + padding) + 4500, "{times} times, {count} bytes");
    assert!(count < bytes.len() as u64 - 3000, "{count} of {}", bytes.len());
}

#[test]
fn what_is_no_flatgeobuf_says_so() {
    #[track_caller]
    fn refused(bytes: &[u8], limits: &Limits, kind: ErrorKind, words: &str) {
        let error = read_whole(bytes, &Query::default(), limits).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let (good, limits) = (golden::fixture("mixed.fgb"), Limits::default());
    let edited = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    refused(b"", &limits, Format, "cut short");
    refused(&edited(0, b'x'), &limits, Format, "does not begin");
    refused(&edited(3, 2), &limits, Unsupported, "version 2");
    refused(&edited(11, 1), &limits, Format, "cut short");
    refused(&edited(11, 255), &limits, Limit, "header");
    refused(&good[..good.len() - 1], &limits, Format, "the FlatGeobuf's feature 6");
    refused(&good, &Limits { cutline_bytes: 99, ..Limits::default() }, Limit, "features");
    refused(&good, &Limits { vertices: 8, ..Limits::default() }, Limit, "vertices");
    let query = Query { layer: Some("x".into()), ..Query::default() };
    assert_eq!(read_whole(&good, &query, &limits).unwrap_err().kind(), Usage);
}

#[test]
fn no_truncation_or_mutation_panics() {
    for name in ["polygons.fgb", "indexed.fgb", "mixed.fgb", "one.fgb"] {
        let bytes = golden::fixture(name);
        golden::damage(&bytes, |bytes| {
            drop(read_whole(bytes, &Query::default(), &Limits::default()));
            drop(read_whole(bytes, &boxed(-1.0, -1.0, 20.0, 20.0), &Limits::default()));
        });
    }
}
