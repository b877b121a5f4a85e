//! GeoJSON (RFC 7946, and the `crs` member of GeoJSON 2008 §3), one object a line or in text sequences (RFC 8142) too.
//!
//! A model of its own over serde, because it hands on one feature at a time, so that only the wanted ones take memory, and
//! has to say where an error is. serde_json refuses values nested deeper than 128, which bounds every recursion here.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::geojson_members::{
    Coordinates, CoordinatesSeed, CrsMember, CrsUse, Id, Names, Nullable, PropertiesSeed, TOO_MANY,
};
use super::{Feature, Gathering, Geometry, Layer, Query, Value, Winding};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// The features of a GeoJSON text: a geometry, a Feature, a FeatureCollection, or several of them, one a line or each led
/// by a record separator (RFC 8142).
///
/// A feature's number is its `id` if that is a whole number, else its place in the text from 0. The CRS is longitude and
/// latitude on WGS 84 (RFC 7946 §4) unless a `crs` member at any level names another, or with `null` none. Properties
/// that are arrays or objects are their JSON text. Empty rings are left out.
///
/// # Errors
/// - [`crate::ErrorKind::Format`], with line and column, for text that is not GeoJSON;
/// - [`crate::ErrorKind::Unsupported`] for a `crs` member that names none, and for wanted geometries in several CRSs;
/// - [`crate::ErrorKind::Limit`] and [`crate::ErrorKind::Usage`] as [`Gathering`] says. The caller bounds the text.
pub fn read(text: &str, query: &Query, limits: &Limits) -> Result<Layer> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        gathering: Gathering::new("", Winding::Right, query, limits),
        query,
        limits,
        names: Names::new(),
        place: 0,
        within: None,
        used: CrsUse::default(),
        has_crs: false,
        error: None,
    };
    let mut used = CrsUse::default();
    let mut declared = None;
    for (line, text) in texts(text) {
        reader.text(text, line, &mut used, &mut declared)?;
    }
    let Reader { mut gathering, has_crs, .. } = reader;
    let Top { name, crs } = declared.unwrap_or_default();
    gathering.layer.name = name.unwrap_or_default();
    query.names_layer(&gathering.layer.name)?;
    if has_crs {
        // What RFC 7946 says of winding, GeoJSON 2008 did not.
        gathering.layer.winding = Winding::Any;
    }
    let named = match crs.unwrap_or_else(crs84) {
        CrsMember::Named(name) => Some(name),
        CrsMember::Unknown | CrsMember::Nameless(_) => None,
    };
    gathering.set_crs(used.into_named().unwrap_or(named));
    gathering.finish()
}

/// The texts of a sequence, or the only one, each with the number of lines before it.
fn texts(text: &str) -> Vec<(usize, &str)> {
    let blank = |text: &str| text.trim_ascii().is_empty();
    if text.trim_ascii_start().starts_with('\u{1e}') {
        let lines = |text: &str| text.matches('\n').count();
        let parts = text.split('\u{1e}').scan(0_usize, |line, part| {
            let first = *line;
            *line = line.saturating_add(lines(part));
            Some((first, part))
        });
        return parts.filter(|(_, part)| !blank(part)).collect();
    }
    let mut lines = text.lines().enumerate().filter(|(_, line)| !blank(line));
    match (lines.next(), lines.next()) {
        // One object a line, if the first is whole: a line break within an object leaves none whole.
        (Some(first), Some(second)) if serde_json::from_str::<IgnoredAny>(first.1).is_ok() => {
            [first, second].into_iter().chain(lines).collect()
        }
        _ => vec![(0, text)],
    }
}

fn crs84() -> CrsMember {
    CrsMember::Named("OGC:CRS84".to_owned())
}

/// What the outermost object says of all.
#[derive(Default)]
struct Top {
    name: Option<String>,
    crs: Option<CrsMember>,
}

struct Reader<'q> {
    gathering: Gathering<'q>,
    query: &'q Query,
    limits: &'q Limits,
    /// Names of properties, each stored once.
    names: Names,
    /// Features so far.
    place: u64,
    /// The feature that is being read, for messages: its place and its `id`, if that came already.
    within: Option<(u64, Option<String>)>,
    /// The CRSs of the wanted geometries of this text.
    used: CrsUse,
    /// Whether there is any `crs` member.
    has_crs: bool,
    /// The error behind one of serde's, which cannot carry its kind.
    error: Option<Error>,
}

impl Reader<'_> {
    /// Reads one text, `line` lines from the beginning of all.
    fn text(&mut self, text: &str, line: usize, used: &mut CrsUse, declared: &mut Option<Top>) -> Result<()> {
        let mut from = serde_json::Deserializer::from_str(text);
        let seed = ObjectSeed { reader: &mut *self, role: Role::Top };
        let done = seed.deserialize(&mut from).and_then(|read| from.end().map(|()| read));
        let top = match done {
            Ok(Object::Top(top)) => top,
            Ok(Object::Feature | Object::Geometry(..)) => Top::default(),
            Err(cause) => return Err(self.located(&cause, line)),
        };
        let all = std::mem::take(&mut self.used).under(Some(top.crs.clone().unwrap_or_else(crs84)));
        all.and_then(|all| used.merge(all)).map_err(|error| error.at("the cutline"))?;
        declared.get_or_insert(top);
        Ok(())
    }

    /// An error with its feature, line and column.
    fn located(&mut self, cause: &serde_json::Error, line: usize) -> Error {
        let place = match self.within.take() {
            Some((place, Some(id))) => format!("the cutline's feature {place} (id {id})"),
            Some((place, None)) => format!("the cutline's feature {place}"),
            None => "the cutline".to_owned(),
        };
        let (line, column) = (cause.line().saturating_add(line), cause.column());
        if let Some(error) = self.error.take() {
            return error.at(format_args!("{place}, line {line} column {column}"));
        }
        let text = cause.to_string();
        if text.starts_with(TOO_MANY) {
            return self.gathering.too_many_vertices().at(format_args!("{place}, line {line}"));
        }
        let words = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
        Error::format(format!("{place} is not GeoJSON: {words} at line {line} column {column}"))
    }

    /// Keeps `error` for [`Self::located`], and stops serde.
    fn stop<E: de::Error>(&mut self, error: Error) -> E {
        self.error = Some(error);
        E::custom("")
    }

    fn feature(
        &mut self,
        id: Option<Id>,
        properties: Vec<(Arc<str>, Value)>,
        geometry: Geometry,
        used: CrsUse,
    ) -> Result<()> {
        let place = i64::try_from(self.place).unwrap_or(i64::MAX);
        let fid = id.as_ref().and_then(Id::whole).unwrap_or(place);
        self.place = self.place.saturating_add(1);
        if !self.gathering.wants(fid, &properties) {
            for (name, _) in &properties {
                self.gathering.declare(name);
            }
            self.gathering.skip();
            return Ok(());
        }
        self.used.merge(used)?;
        let id = id.and_then(Id::into_text);
        self.gathering.add(Feature { fid, id, properties, geometry })
    }
}

/// Where an object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Top,
    Feature,
    Geometry,
}

/// An object, read.
enum Object {
    Top(Top),
    /// Handed on already.
    Feature,
    Geometry(Geometry, CrsUse),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Kind {
    FeatureCollection,
    Feature,
    GeometryCollection,
    Point,
    LineString,
    Polygon,
    MultiPoint,
    MultiLineString,
    MultiPolygon,
}

/// Members that have a meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Member {
    Type,
    Id,
    Properties,
    Coordinates,
    Geometries,
    Geometry,
    Features,
    Crs,
    Name,
    #[serde(other)]
    Other,
}

impl Member {
    /// Whether an object of this type gives the member a meaning: elsewhere it is a foreign one (RFC 7946 §6.1).
    fn belongs(self, kind: Kind) -> bool {
        match self {
            Self::Type | Self::Crs => true,
            Self::Other => false,
            Self::Id | Self::Properties | Self::Geometry => kind == Kind::Feature,
            Self::Features | Self::Name => kind == Kind::FeatureCollection,
            Self::Geometries => kind == Kind::GeometryCollection,
            Self::Coordinates => {
                !matches!(kind, Kind::Feature | Kind::FeatureCollection | Kind::GeometryCollection)
            }
        }
    }
}

struct ObjectSeed<'r, 'q> {
    reader: &'r mut Reader<'q>,
    role: Role,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_, '_> {
    type Value = Object;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Object, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_, '_> {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of GeoJSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Object, A::Error> {
        let Self { reader, role } = self;
        let mut o = Members::default();
        if role == Role::Feature {
            reader.within = Some((reader.place, None));
        }
        while let Some(member) = members.next_key::<Member>()? {
            let belongs = o.kind.is_none_or(|kind| member.belongs(kind))
                && match member {
                    Member::Features | Member::Name => role == Role::Top,
                    Member::Id | Member::Properties | Member::Geometry => role != Role::Geometry,
                    Member::Other => false,
                    Member::Type | Member::Coordinates | Member::Geometries | Member::Crs => true,
                };
            if !belongs {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            if !o.met.insert(member) {
                return Err(de::Error::custom(format_args!("two members `{}`", member.name())));
            }
            match member {
                Member::Type => o.kind = Some(members.next_value()?),
                Member::Id => {
                    o.id = members.next_value()?;
                    if let (Some(within), Some(id)) = (&mut reader.within, &o.id) {
                        within.1 = Some(id.to_string());
                    }
                }
                Member::Properties => {
                    let seed = Nullable(PropertiesSeed(&mut reader.names));
                    o.properties = members.next_value_seed(seed)?.unwrap_or_default();
                }
                Member::Coordinates => {
                    let mut left = reader.limits.vertices;
                    o.coordinates = members.next_value_seed(Nullable(CoordinatesSeed(&mut left)))?;
                }
                Member::Geometries => {
                    o.parts = members.next_value_seed(Nullable(PartsSeed { reader: &mut *reader }))?;
                }
                Member::Geometry => {
                    let is_unwanted =
                        o.id.as_ref().and_then(Id::whole).is_some_and(|id| !reader.gathering.wants_fid(id))
                            || (o.met.contains(&Member::Properties)
                                && !reader.query.filter.holds(&o.properties));
                    if is_unwanted {
                        members.next_value::<IgnoredAny>()?;
                    } else {
                        o.geometry =
                            members.next_value_seed(Nullable(GeometrySeed { reader: &mut *reader }))?;
                    }
                }
                Member::Features => members.next_value_seed(FeaturesSeed { reader: &mut *reader })?,
                Member::Crs => {
                    reader.has_crs = true;
                    o.top.crs = Some(members.next_value()?);
                }
                Member::Name => o.top.name = members.next_value::<Id>()?.into_text(),
                Member::Other => {}
            }
        }
        let Some(kind) = o.kind else { return Err(de::Error::missing_field("type")) };
        let made = o.object(kind, role, reader);
        if made.is_ok() && role == Role::Feature {
            reader.within = None;
        }
        made.map_err(|error| reader.stop(error))
    }
}

/// The members of an object.
#[derive(Default)]
struct Members {
    met: BTreeSet<Member>,
    kind: Option<Kind>,
    id: Option<Id>,
    properties: Vec<(Arc<str>, Value)>,
    coordinates: Option<Coordinates>,
    parts: Option<(Vec<Geometry>, CrsUse)>,
    geometry: Option<(Geometry, CrsUse)>,
    top: Top,
}

impl Members {
    /// The object that they make.
    fn object(self, kind: Kind, role: Role, reader: &mut Reader<'_>) -> Result<Object> {
        let missing = |member: &str| Error::format(format!("a {kind:?} without `{member}`"));
        let has_features = self.met.contains(&Member::Features);
        let crs = self.top.crs;
        let (geometry, used) = match kind {
            Kind::FeatureCollection if role != Role::Top => {
                return Err(Error::format("a FeatureCollection within another object (RFC 7946 §3.3)"));
            }
            Kind::FeatureCollection if has_features => {
                return Ok(Object::Top(Top { name: self.top.name, crs }));
            }
            Kind::FeatureCollection => return Err(missing("features")),
            kind if has_features => {
                return Err(Error::format(format!(
                    "a {kind:?} with `features`, which only a FeatureCollection has"
                )));
            }
            Kind::Feature if role == Role::Geometry => {
                return Err(Error::format("a Feature in the place of a geometry (RFC 7946 §3.2)"));
            }
            Kind::Feature => {
                let (geometry, used) =
                    self.geometry.unwrap_or((Geometry::Collection(Vec::new()), CrsUse::default()));
                reader.feature(self.id, self.properties, geometry, used.under(crs)?)?;
                return Ok(Object::Feature);
            }
            Kind::GeometryCollection => {
                let (parts, used) = self.parts.ok_or_else(|| missing("geometries"))?;
                (Geometry::Collection(parts), used)
            }
            Kind::Point
            | Kind::LineString
            | Kind::Polygon
            | Kind::MultiPoint
            | Kind::MultiLineString
            | Kind::MultiPolygon => {
                let geometry = geometry_of(kind, self.coordinates.ok_or_else(|| missing("coordinates"))?)?;
                let used = CrsUse::of(geometry.vertices() > 0);
                (geometry, used)
            }
        };
        let used = used.under(crs)?;
        if role == Role::Geometry {
            return Ok(Object::Geometry(geometry, used));
        }
        reader.feature(None, Vec::new(), geometry, used)?;
        Ok(Object::Feature)
    }
}

impl Member {
    fn name(self) -> String {
        format!("{self:?}").to_ascii_lowercase()
    }
}

/// The geometry of these coordinates.
fn geometry_of(kind: Kind, coordinates: Coordinates) -> Result<Geometry> {
    let many = |parts: Vec<Geometry>| Geometry::Collection(parts);
    let polygon = |coordinates: Coordinates| coordinates.list(Coordinates::positions).map(Geometry::Polygon);
    let line = |coordinates: Coordinates| coordinates.positions().map(Geometry::Line);
    let geometry = match kind {
        Kind::Point => coordinates.position().map(|point| point.map_or(many(Vec::new()), Geometry::Point)),
        Kind::LineString => line(coordinates),
        Kind::Polygon => polygon(coordinates),
        Kind::MultiPoint => coordinates
            .positions()
            .map(|positions| many(positions.into_iter().map(Geometry::Point).collect())),
        Kind::MultiLineString => coordinates.list(line).map(many),
        Kind::MultiPolygon => coordinates.list(polygon).map(many),
        Kind::FeatureCollection | Kind::Feature | Kind::GeometryCollection => None,
    };
    geometry.ok_or_else(|| {
        Error::format(format!("the coordinates of a {kind:?} are not nested as one's (RFC 7946 §3.1)"))
    })
}

/// The features of a FeatureCollection, each of which is handed on and forgotten.
struct FeaturesSeed<'r, 'q> {
    reader: &'r mut Reader<'q>,
}

impl<'de> DeserializeSeed<'de> for FeaturesSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FeaturesSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of Features")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut features: A) -> Result<(), A::Error> {
        while features
            .next_element_seed(ObjectSeed { reader: &mut *self.reader, role: Role::Feature })?
            .is_some()
        {}
        Ok(())
    }
}

/// The parts of a GeometryCollection.
struct PartsSeed<'r, 'q> {
    reader: &'r mut Reader<'q>,
}

impl<'de> DeserializeSeed<'de> for PartsSeed<'_, '_> {
    type Value = (Vec<Geometry>, CrsUse);

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PartsSeed<'_, '_> {
    type Value = (Vec<Geometry>, CrsUse);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of geometries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        let (mut parts, mut all) = (Vec::new(), CrsUse::default());
        while let Some((part, used)) = values.next_element_seed(GeometrySeed { reader: &mut *self.reader })? {
            parts.push(part);
            all.merge(used).map_err(|error| self.reader.stop(error))?;
        }
        Ok((parts, all))
    }
}

struct GeometrySeed<'r, 'q> {
    reader: &'r mut Reader<'q>,
}

impl<'de> DeserializeSeed<'de> for GeometrySeed<'_, '_> {
    type Value = (Geometry, CrsUse);

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        match (ObjectSeed { reader: self.reader, role: Role::Geometry }).deserialize(from)? {
            Object::Geometry(geometry, used) => Ok((geometry, used)),
            Object::Top(_) | Object::Feature => Err(de::Error::custom("an object that is no geometry")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const RING: &str = "[[0,0],[2,0],[2,1],[0,1],[0,0]]";

    fn read(text: &str) -> Result<Layer> {
        super::read(text, &Query::default(), &Limits::default())
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
        check(
            r#"{"type":"Polygon","coordinates":[[[0,0,9],[2,0,9,1],[2.0,1e0,-9],[0,1],[-0.0,0]]]}"#,
            1,
            crs84,
        );
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
                {"größe":1.5,"n":-3,"ok":true,"none":null,"list":[1,{"a":"b"}],"big":18446744073709551615,"text":"\u00e4\n"}},
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
                ("list", Value::Text(r#"[1,{"a":"b"}]"#.into())),
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
        let only = super::read(text, &query, &limits).unwrap();
        assert_eq!(only.features, [layer.features[1].clone()]);
        let missing = Query { fids: [3].into(), ..Query::default() };
        assert_eq!(super::read(text, &missing, &limits).unwrap_err().kind(), ErrorKind::Usage);
        for (name, is_there) in [("parcels", true), ("Parcels", false)] {
            let query = Query { layer: Some(name.into()), ..Query::default() };
            assert_eq!(super::read(text, &query, &Limits::default()).is_ok(), is_there);
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
        refused(
            r#"{"type":"FeatureCollection","features":[{"type":"FeatureCollection"}]}"#,
            "within another",
        );
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
        for text in
            ["0.8925104143467577", "-179.99999999999997", "123456789.12345679", "4.9406564584124654e-324"]
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
        let read_within = |limits: &Limits| super::read(&polygon(), &Query::default(), limits);
        assert_eq!(read_within(&limits).unwrap_err().kind(), ErrorKind::Limit);
        limits.vertices = 5;
        assert!(read_within(&limits).is_ok());
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
}
