//! GeoJSON (RFC 7946, and the `crs` member of GeoJSON 2008 §3).
//!
//! A model of its own, because it has to say where an error is, to skip properties without storing them, and to
//! read coordinates straight into rings.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Cutline, Polygon, Ring};
use crate::error::{Error, Result};
use crate::geo::Crs;
use crate::limits::Limits;

/// The cutline of a GeoJSON text; see [`Cutline::from_geojson`].
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Cutline> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // serde_json refuses values nested deeper than 128, so that recursion is bounded here and below.
    let object: Object = serde_json::from_str(text)
        .map_err(|cause| Error::format(format!("the cutline is not GeoJSON: {cause}")))?;
    let mut found = Found { polygons: Vec::new(), crs: None, vertices: 0, limit: limits.vertices };
    found.object(&object, Some(&Crs::wgs84()), "")?;
    match found.crs {
        Some(crs) if !found.polygons.is_empty() => Ok(Cutline { polygons: found.polygons, crs }),
        _ => Err(Error::usage("the cutline has no polygon: all of its geometries are null or empty")),
    }
}

/// Any object of GeoJSON; members that it does not list are skipped.
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    id: Option<Id<'a>>,
    #[serde(default)]
    coordinates: Option<Coordinates>,
    #[serde(default, borrow)]
    geometries: Option<Vec<Object<'a>>>,
    #[serde(default, borrow)]
    geometry: Option<Box<Object<'a>>>,
    #[serde(default, borrow)]
    features: Option<Vec<Object<'a>>>,
    #[serde(default, borrow, deserialize_with = "present")]
    #[expect(clippy::option_option, reason = "absent, null and an object mean three things")]
    crs: Option<Option<NamedCrs<'a>>>,
}

fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// The `crs` member: `{"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}`.
#[derive(Deserialize)]
struct NamedCrs<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    properties: CrsProperties<'a>,
}

#[derive(Default, Deserialize)]
struct CrsProperties<'a> {
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    /// Of the older form `{"type": "EPSG", "properties": {"code": 32633}}`.
    #[serde(default)]
    code: Option<u32>,
}

impl NamedCrs<'_> {
    fn crs(&self) -> Result<Crs> {
        match (&*self.kind, &self.properties) {
            ("name", CrsProperties { name: Some(name), .. }) => {
                Crs::parse(name).map_err(|error| error.at("the cutline's `crs` member"))
            }
            ("EPSG", CrsProperties { code: Some(code), .. }) => Crs::parse(&format!("EPSG:{code}")),
            (kind, _) => Err(Error::unsupported(format!(
                "the cutline's `crs` member is of the type \"{kind}\" and names no CRS; say which it is with `--cutline-crs`"
            ))),
        }
    }
}

/// The `id` of a feature, for messages: text or a number; anything else is let pass.
enum Id<'a> {
    Text(Cow<'a, str>),
    Number(serde_json::Number),
    Other,
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Number(number) => write!(f, "{number}"),
            Self::Other => f.write_str("?"),
        }
    }
}

/// The `coordinates` of a geometry, as deep as they are nested.
enum Coordinates {
    Number(f64),
    Position([f64; 2]),
    Positions(Ring),
    Lists(Vec<Self>),
    Empty,
}

impl<'de> Deserialize<'de> for Coordinates {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CoordinatesVisitor)
    }
}

struct CoordinatesVisitor;

impl<'de> Visitor<'de> for CoordinatesVisitor {
    type Value = Coordinates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("coordinates: a position of at least 2 numbers, or arrays of them")
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Coordinates, E> {
        Ok(Coordinates::Number(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double is what a coordinate of 16 digits means"
    )]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Coordinates, E> {
        Ok(Coordinates::Number(value as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest double is what a coordinate of 16 digits means"
    )]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Coordinates, E> {
        Ok(Coordinates::Number(value as f64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Coordinates, A::Error> {
        let mixed = || de::Error::custom("coordinates that are nested to different depths");
        Ok(match values.next_element()? {
            None => Coordinates::Empty,
            Some(Coordinates::Number(x)) => {
                let y = values
                    .next_element::<f64>()?
                    .ok_or_else(|| de::Error::custom("a position of one number; it takes two"))?;
                // The height, and whatever some writers append to it.
                while values.next_element::<f64>()?.is_some() {}
                Coordinates::Position([x, y])
            }
            Some(Coordinates::Position(first)) => {
                let mut positions = vec![first];
                while let Some(next) = values.next_element()? {
                    let Coordinates::Position(position) = next else { return Err(mixed()) };
                    positions.push(position);
                }
                Coordinates::Positions(positions)
            }
            Some(first) => {
                let mut lists = vec![first];
                while let Some(next) = values.next_element()? {
                    if matches!(next, Coordinates::Number(_) | Coordinates::Position(_)) {
                        return Err(mixed());
                    }
                    lists.push(next);
                }
                Coordinates::Lists(lists)
            }
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = Id<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Id<'de>, E> {
        Ok(Id::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id<'de>, E> {
        Ok(Id::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Id<'de>, E> {
        Ok(Id::Number(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Id<'de>, E> {
        Ok(Id::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Id<'de>, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Id::Other, Id::Number))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Id<'de>, E> {
        Ok(Id::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Id<'de>, E> {
        Ok(Id::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Id<'de>, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Id::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Id<'de>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Id::Other)
    }
}

/// What has been gathered so far.
struct Found {
    polygons: Vec<Polygon>,
    /// The CRS of the polygons found so far.
    #[expect(clippy::option_option, reason = "none found yet, found to be unknown, found")]
    crs: Option<Option<Crs>>,
    vertices: usize,
    limit: usize,
}

impl Found {
    /// Gathers the polygons of an object. `crs` is that of the object around it, `place` where it stands.
    fn object(&mut self, object: &Object<'_>, crs: Option<&Crs>, place: &str) -> Result<()> {
        let named = match &object.crs {
            Some(Some(named)) => Some(named.crs()?),
            Some(None) | None => None,
        };
        // GeoJSON 2008 §3: null means that no CRS can be assumed.
        let own_crs = if object.crs.is_some() { named.as_ref() } else { crs };
        match &*object.kind {
            "FeatureCollection" => {
                let features = object.features.as_ref().ok_or_else(|| missing(object, "features", place))?;
                for (index, feature) in features.iter().enumerate() {
                    let place = match &feature.id {
                        Some(id) => format!("feature {index} (id {id})"),
                        None => format!("feature {index}"),
                    };
                    self.object(feature, own_crs, &place)?;
                }
                Ok(())
            }
            // A feature without a place is valid, and null geometries are skipped.
            "Feature" => {
                object.geometry.as_ref().map_or(Ok(()), |geometry| self.object(geometry, own_crs, place))
            }
            "GeometryCollection" => object
                .geometries
                .as_ref()
                .ok_or_else(|| missing(object, "geometries", place))?
                .iter()
                .try_for_each(|geometry| self.object(geometry, own_crs, place)),
            "Polygon" => {
                let rings =
                    object.coordinates.as_ref().ok_or_else(|| missing(object, "coordinates", place))?;
                self.polygon(rings, own_crs, place)
            }
            "MultiPolygon" => match &object.coordinates {
                None => Err(missing(object, "coordinates", place)),
                Some(Coordinates::Empty) => Ok(()),
                Some(Coordinates::Lists(polygons)) => {
                    polygons.iter().try_for_each(|rings| self.polygon(rings, own_crs, place))
                }
                Some(_) => Err(misshapen("MultiPolygon", place)),
            },
            kind @ ("Point" | "MultiPoint" | "LineString" | "MultiLineString") => Err(located(
                place,
                Error::usage(format!("a {kind} covers no area; a cutline takes polygons")),
            )),
            kind => Err(located(place, Error::format(format!("\"{kind}\" is no type of GeoJSON")))),
        }
    }

    fn polygon(&mut self, rings: &Coordinates, crs: Option<&Crs>, place: &str) -> Result<()> {
        let lists = match rings {
            Coordinates::Empty => return Ok(()),
            Coordinates::Lists(lists) => lists,
            Coordinates::Number(_) | Coordinates::Position(_) | Coordinates::Positions(_) => {
                return Err(misshapen("Polygon", place));
            }
        };
        let mut polygon = Polygon { rings: Vec::with_capacity(lists.len()) };
        for list in lists {
            match list {
                Coordinates::Empty => {}
                Coordinates::Positions(positions) => {
                    let ring = closed(positions);
                    self.vertices = self.vertices.saturating_add(ring.len());
                    if self.vertices > self.limit {
                        return Err(Error::limit(format!(
                            "the cutline has more than {} vertices, which is the limit",
                            self.limit
                        )));
                    }
                    polygon.rings.push(ring);
                }
                Coordinates::Number(_) | Coordinates::Position(_) | Coordinates::Lists(_) => {
                    return Err(misshapen("Polygon", place));
                }
            }
        }
        if polygon.rings.is_empty() {
            return Ok(());
        }
        match &self.crs {
            None => self.crs = Some(crs.cloned()),
            Some(first) if is_same(first.as_ref(), crs) => {}
            Some(_) => {
                return Err(located(
                    place,
                    Error::unsupported(
                        "this geometry's `crs` member names another CRS than the ones before it",
                    ),
                ));
            }
        }
        self.polygons.push(polygon);
        Ok(())
    }
}

fn is_same(a: Option<&Crs>, b: Option<&Crs>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.is_same(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// The ring with its first point repeated at the end, if it was not.
#[expect(clippy::float_cmp, reason = "a ring is closed by the very same point (RFC 7946 §3.1.6)")]
fn closed(positions: &[[f64; 2]]) -> Ring {
    let mut ring = Vec::with_capacity(positions.len().saturating_add(1));
    ring.extend_from_slice(positions);
    if let (Some(first), Some(last)) = (positions.first(), positions.last())
        && first != last
    {
        ring.push(*first);
    }
    ring
}

fn located(place: &str, error: Error) -> Error {
    if place.is_empty() { error.at("the cutline") } else { error.at(format!("the cutline's {place}")) }
}

fn missing(object: &Object<'_>, member: &str, place: &str) -> Error {
    located(place, Error::format(format!("a {} without `{member}`", object.kind)))
}

fn misshapen(kind: &str, place: &str) -> Error {
    located(
        place,
        Error::format(format!("the coordinates of a {kind} are not nested as one's (RFC 7946 §3.1)")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const RING: &str = "[[0,0],[2,0],[2,1],[0,1],[0,0]]";

    fn read(text: &str) -> Result<Cutline> {
        Cutline::from_geojson(text, &Limits::default())
    }

    fn polygon() -> String {
        format!(r#"{{"type":"Polygon","coordinates":[{RING}]}}"#)
    }

    /// `text` gives this many polygons in this CRS, all of them [`RING`].
    #[track_caller]
    fn check(text: &str, polygons: usize, crs: Option<&str>) {
        let cutline = read(text).unwrap();
        assert_eq!((cutline.polygons.len(), cutline.crs.map(|crs| crs.name()).as_deref()), (polygons, crs));
        for polygon in cutline.polygons {
            assert_eq!(polygon.rings, [[[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0]]]);
        }
    }

    #[test]
    fn every_level_is_read() {
        let p = polygon();
        let crs84 = Some("OGC:CRS84");
        check(&p, 1, crs84);
        check(&format!("\u{feff}{p}"), 1, crs84);
        check(
            &format!(r#"{{"coordinates":[[{RING}],[{RING}]],"type":"MultiPolygon","bbox":[0,0,2,1]}}"#),
            2,
            crs84,
        );
        check(
            &format!(
                r#"{{"type":"Feature","id":7,"properties":{{"crs":[1,{{}}]}},"geometry":{p},"x":null}}"#
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
                {{"type":"Feature","geometry":{{"type":"MultiPolygon","coordinates":[]}}}}]}}"#
            ),
            1,
            crs84,
        );
        // Unclosed; with heights and measures
        check(r#"{"type":"Polygon","coordinates":[[[0,0],[2,0],[2,1],[0,1]]]}"#, 1, crs84);
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0,9],[2,0,9,1],[2.0,1e0,-9],[0,1],[-0.0,0]]]}"#,
            1,
            crs84,
        );
    }

    #[test]
    fn the_crs_member_counts_where_it_stands() {
        let p = polygon();
        let named = |name: &str| format!(r#""crs":{{"type":"name","properties":{{"name":"{name}"}}}}"#);
        let with = |crs: &str| format!(r#"{{"type":"Feature",{crs},"geometry":{p}}}"#);
        check(&with(&named("urn:ogc:def:crs:EPSG::32633")), 1, Some("EPSG:32633"));
        check(&with(&named("EPSG:27700")), 1, Some("EPSG:27700"));
        check(&with(&named("urn:ogc:def:crs:OGC:1.3:CRS84")), 1, Some("OGC:CRS84"));
        check(&with(r#""crs":{"type":"EPSG","properties":{"code":3857}}"#), 1, Some("EPSG:3857"));
        check(&with(r#""crs":null"#), 1, None);
        let collection = |a: &str, b: &str, c: &str| {
            format!(r#"{{"type":"FeatureCollection","features":[{},{}]{c}}}"#, with(a), with(b))
        };
        let (utm, mercator) = (named("EPSG:32633"), named("EPSG:3857"));
        check(&collection(r#""a":1"#, &utm, &format!(",{utm}")), 2, Some("EPSG:32633"));
        for text in [
            collection(&utm, &mercator, ""),
            collection(&utm, r#""a":1"#, ""),
            with(r#""crs":{"type":"link","properties":{"href":"x"}}"#),
        ] {
            assert_eq!(read(&text).unwrap_err().kind(), ErrorKind::Unsupported, "{text}");
        }
        // With no polygon left there is no CRS either, and it is the polygon that is missing.
        assert_eq!(
            read(r#"{"type":"FeatureCollection","crs":null,"features":[]}"#).unwrap_err().kind(),
            ErrorKind::Usage
        );
    }

    #[test]
    fn errors_say_whose_fault_and_where() {
        #[track_caller]
        fn refused(text: &str, kind: ErrorKind, words: &str) {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        use ErrorKind::{Format, Usage};
        refused("", Format, "line 1 column 0");
        refused("{\n\"type\":\"Polygon\",\n\"coordinates\":[[[0,x]]]}", Format, "line 3 column 20");
        refused(r#"{"type":"Polygon","coordinates":[[[0,NaN]]]}"#, Format, "line 1");
        refused(r#"{"type":"Polygon","coordinates":[[[0,1e999]]]}"#, Format, "out of range");
        refused(r#"{"type":"Polygon","coordinates":[[[0]]]}"#, Format, "one number");
        refused(r#"{"type":"Polygon","coordinates":[[[0,null]]]}"#, Format, "null");
        refused(r#"{"type":"Polygon","coordinates":[[[0,"1"]]]}"#, Format, "string");
        refused(r#"{"type":"Polygon","coordinates":[[[0,1],[[1,2]]]]}"#, Format, "different depths");
        refused(r#"{"type":"Polygon","coordinates":[[0,1],[1,2]]}"#, Format, "nested");
        refused(r#"{"type":"Polygon","coordinates":[0,1]}"#, Format, "nested");
        refused(r#"{"type":"MultiPolygon","coordinates":[[[0,1],[1,2]]]}"#, Format, "nested");
        refused(r#"{"type":"Polygon"}"#, Format, "`coordinates`");
        refused(r#"{"type":"FeatureCollection"}"#, Format, "`features`");
        refused(r#"{"type":"GeometryCollection"}"#, Format, "`geometries`");
        refused(r#"{"type":"Circle"}"#, Format, "Circle");
        refused(r#"{"coordinates":[]}"#, Format, "type");
        refused("[1,2]", Format, "line 1");
        refused(&format!("{} {{}}", polygon()), Format, "trailing");
        refused(r#"{"type":"FeatureCollection","features":[]}"#, Usage, "no polygon");
        refused(r#"{"type":"Feature","geometry":null}"#, Usage, "no polygon");
        refused(r#"{"type":"Polygon","coordinates":[[]]}"#, Usage, "no polygon");
        for kind in ["Point", "MultiPoint", "LineString", "MultiLineString"] {
            refused(&format!(r#"{{"type":"{kind}","coordinates":[]}}"#), Usage, kind);
        }
        refused(
            r#"{"type":"FeatureCollection","features":[{"type":"Feature","geometry":null},{"type":"Feature","id":"a7","geometry":{"type":"Point","coordinates":[1,2]}}]}"#,
            Usage,
            "feature 1 (id \"a7\"): a Point",
        );
    }

    #[test]
    fn coordinates_are_read_to_the_last_bit() {
        // Rust's own parser rounds correctly; serde_json does so with its feature `float_roundtrip` only.
        for text in
            ["0.8925104143467577", "-179.99999999999997", "123456789.12345679", "4.9406564584124654e-324"]
        {
            let cutline =
                read(&format!(r#"{{"type":"Polygon","coordinates":[[[{text},1],[2,2],[3,1]]]}}"#)).unwrap();
            assert_eq!(
                cutline.polygons[0].rings[0][0][0].to_bits(),
                text.parse::<f64>().unwrap().to_bits(),
                "{text}"
            );
        }
    }

    #[test]
    fn vertices_and_nesting_are_bounded() {
        let mut limits = Limits { vertices: 4, ..Limits::default() };
        assert_eq!(Cutline::from_geojson(&polygon(), &limits).unwrap_err().kind(), ErrorKind::Limit);
        limits.vertices = 5;
        assert!(Cutline::from_geojson(&polygon(), &limits).is_ok());
        for (open, count) in [
            ("[", 1_000_000),
            (r#"{"type":"GeometryCollection","geometries":["#, 100_000),
            (r#"{"a":"#, 100_000),
        ] {
            assert_eq!(read(&open.repeat(count)).unwrap_err().kind(), ErrorKind::Format);
        }
        let deep =
            format!(r#"{{"type":"Polygon","coordinates":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&deep).unwrap_err().kind(), ErrorKind::Format);
    }

    #[test]
    fn no_truncation_or_mutation_panics() {
        let text = format!(
            r#"{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"EPSG:4326"}}}},"features":[{{"type":"Feature","id":"é","properties":{{"a":[1,"b"]}},"geometry":{}}}]}}"#,
            polygon()
        );
        assert!(read(&text).is_ok());
        for end in (0..text.len()).step_by(7).filter(|end| text.is_char_boundary(*end)) {
            assert_eq!(read(&text[..end]).unwrap_err().kind(), ErrorKind::Format);
        }
        for place in 0..text.len() {
            for byte in *b"{}[]\",:0-e\0" {
                let mut bytes = text.clone().into_bytes();
                bytes[place] = byte;
                if let Ok(mutated) = String::from_utf8(bytes) {
                    drop(read(&mutated));
                }
            }
        }
    }
}
