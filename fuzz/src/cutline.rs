//! A cutline: the input is GeoJSON. What is read is projected, and burnt into a small grid.

use cogclip::cutline::{Frame, Terms};
use cogclip::geo::{Affine, Crs};
use cogclip::grid::{PixelRect, Size};
use cogclip::mask::{Mask, Rule};
use cogclip::{Cutline, Limits};
use libfuzzer_sys::Corpus;

use crate::seeds;

/// Bounds that keep one run short.
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.vertices = 1 << 14;
    limits.mask_runs = 1 << 16;
    limits.mask_work = 1 << 20;
    limits
}

/// One run.
pub fn run(data: &[u8]) -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let limits = limits();
    let Ok(cutline) = Cutline::from_geojson(text, &limits) else { return Corpus::Keep };
    assert!(cutline.vertices() <= limits.vertices, "{} vertices", cutline.vertices());
    let _ = cutline.bounds();
    for code in [32633, 3857, 3035, 3413, 4326] {
        let Ok(crs) = Crs::from_epsg(code) else { continue };
        let transform = Affine([0.0, 1000.0, 0.0, 9_000_000.0, 0.0, -1000.0]);
        let frame = Frame { transform, size: Size::new(2000, 2000), by_centre: true };
        let terms = Terms { allow_ballpark: true, ..Terms::default() };
        if let Ok(projected) = cutline.to_crs(&crs, &frame, &terms, &limits) {
            assert!(projected.vertices() <= limits.vertices, "{} vertices", projected.vertices());
        }
    }
    // A degree is 4 pixels.
    let transform = Affine([-180.0, 0.25, 0.0, 90.0, 0.0, -0.25]);
    for rule in [Rule::Centre, Rule::AllTouched] {
        let window = Size::new(1440, 720);
        let Ok(mask) = Mask::burn(&cutline.polygons, &transform, window, rule, &limits) else { continue };
        let all = PixelRect::of(window);
        let count = mask.count();
        assert_eq!(count, mask.count_in(all));
        let Ok(rest) = mask.inverted(&limits) else { continue };
        assert_eq!(u64::from(window.width * window.height), rest.count() + count);
    }
    Corpus::Keep
}

/// Cutlines of testdata/, and one of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut out = seeds::files("cutlines", "json");
    out.extend([
        br#"{"type":"Polygon","coordinates":[[[10,50],[12,50],[12,52],[10,50]],[[10.5,50.2],[11,50.2],[11,51],[10.5,50.2]]]}"#.to_vec(),
        br#"{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::3857"}},"features":[{"type":"Feature","properties":{"a":[1,{}]},"geometry":{"type":"MultiPolygon","coordinates":[[[[0,0],[1e6,0],[1e6,1e6,5],[0,0]]]]}}]}"#.to_vec(),
        br#"{"type":"Feature","geometry":{"type":"GeometryCollection","geometries":[{"type":"Polygon","coordinates":[[[179,10],[181,10],[180,12],[179,10]]]},null]},"properties":null}"#.to_vec(),
    ]);
    out.retain(|seed| seed.len() <= 32 << 10);
    out
}
