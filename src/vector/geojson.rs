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
        numbers: BTreeSet::new(),
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
    /// Numbers of the features so far.
    numbers: BTreeSet<i64>,
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

    /// `wanted` if no feature before has that number, else the next that none has: ids and places may meet.
    fn number(&mut self, wanted: i64) -> i64 {
        let free = self.numbers.last().map_or(0, |last| last.saturating_add(1));
        let number = if self.numbers.contains(&wanted) { free } else { wanted };
        self.numbers.insert(number);
        number
    }

    fn feature(
        &mut self,
        id: Option<Id>,
        properties: Vec<(Arc<str>, Value)>,
        geometry: Geometry,
        used: CrsUse,
    ) -> Result<()> {
        let place = i64::try_from(self.place).unwrap_or(i64::MAX);
        let fid = self.number(id.as_ref().and_then(Id::whole).unwrap_or(place));
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
