//! The polygons of a layer's features.

use super::{Cutline, Polygon, Ring};
use crate::error::{Error, Result};
use crate::geo::Crs;
use crate::vector::{Feature, Geometry, Layer};

/// The cutline of a layer: all of its polygons, with every ring closed.
///
/// # Errors
/// - [`crate::ErrorKind::Usage`] for points and lines, naming the feature, and when no polygon is left;
/// - [`crate::ErrorKind::Unsupported`] for a CRS that cannot be understood.
pub(super) fn polygons(layer: Layer) -> Result<Cutline> {
    let mut polygons = Vec::new();
    for feature in layer.features {
        let Feature { fid, id, geometry, .. } = feature;
        add(geometry, &mut polygons).map_err(|error| {
            error.at(match id {
                Some(id) => format!("the cutline's feature {fid} (id \"{id}\")"),
                None => format!("the cutline's feature {fid}"),
            })
        })?;
    }
    if polygons.is_empty() {
        return Err(Error::usage("the cutline has no polygon: all of its geometries are null or empty"));
    }
    let crs = layer.crs.map(|text| Crs::parse(&text).map_err(|error| error.at("the cutline's CRS")));
    Ok(Cutline { polygons, crs: crs.transpose()? })
}

fn add(geometry: Geometry, polygons: &mut Vec<Polygon>) -> Result<()> {
    let refused =
        |kind: &str| Err(Error::usage(format!("a {kind} covers no area; a cutline takes polygons")));
    match geometry {
        Geometry::Point(_) => refused("Point"),
        Geometry::Line(_) => refused("LineString"),
        Geometry::Polygon(rings) => {
            let rings: Vec<Ring> = rings.into_iter().filter(|ring| !ring.is_empty()).map(closed).collect();
            if !rings.is_empty() {
                polygons.push(Polygon { rings });
            }
            Ok(())
        }
        Geometry::Collection(parts) => parts.into_iter().try_for_each(|part| add(part, polygons)),
    }
}

/// The ring with its first point repeated at the end, if it was not.
#[expect(clippy::float_cmp, reason = "a ring is closed by the very same point (RFC 7946 §3.1.6)")]
fn closed(mut ring: Ring) -> Ring {
    if let (Some(first), Some(last)) = (ring.first().copied(), ring.last())
        && first != *last
    {
        ring.push(first);
    }
    ring
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::limits::Limits;

    fn read(text: &str) -> Result<Cutline> {
        Cutline::from_geojson(text, &Limits::default())
    }

    #[test]
    fn polygons_are_collected_and_closed() {
        let ring = "[[0,0],[2,0],[2,1],[0,1]]";
        let text = format!(
            r#"{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"urn:ogc:def:crs:EPSG::32633"}}}},
            "features":[{{"type":"Polygon","coordinates":[{ring}]}},{{"type":"Feature","geometry":null}},
            {{"type":"MultiPolygon","coordinates":[[{ring}],[],[{ring}]]}}]}}"#
        );
        let cutline = read(&text).unwrap();
        assert_eq!(cutline.crs.map(|crs| crs.name()).as_deref(), Some("EPSG:32633"));
        assert_eq!(cutline.polygons.len(), 3);
        for polygon in cutline.polygons {
            assert_eq!(polygon.rings, [[[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0]]]);
        }
    }

    #[test]
    fn what_covers_no_area_is_refused() {
        #[track_caller]
        fn refused(text: &str, kind: ErrorKind, words: &str) {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        use ErrorKind::{Unsupported, Usage};
        refused(r#"{"type":"FeatureCollection","crs":null,"features":[]}"#, Usage, "no polygon");
        refused(r#"{"type":"Feature","geometry":null}"#, Usage, "no polygon");
        refused(r#"{"type":"Polygon","coordinates":[[]]}"#, Usage, "no polygon");
        refused(r#"{"type":"Point","coordinates":[1,2]}"#, Usage, "a Point");
        refused(r#"{"type":"MultiPoint","coordinates":[[1,2]]}"#, Usage, "a Point");
        refused(r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#, Usage, "a LineString");
        refused(r#"{"type":"MultiLineString","coordinates":[[[1,2],[3,4]]]}"#, Usage, "a LineString");
        refused(
            r#"{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null},{"type":"Feature","id":"a7","geometry":{"type":"Point","coordinates":[1,2]}}]}"#,
            Usage,
            "feature 1 (id \"a7\"): a Point",
        );
        refused(
            r#"{"type":"Polygon","coordinates":[[[0,0],[2,0],[2,1]]],"crs":{"type":"name","properties":{"name":"ESRI:54009"}}}"#,
            Unsupported,
            "ESRI",
        );
    }
}
