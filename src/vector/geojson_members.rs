//! Members of GeoJSON's objects: `coordinates`, `properties`, `id`, `crs`.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Ring, Value};
use crate::error::{Error, Result};

/// A value that may be `null`.
pub(super) struct Nullable<S>(pub(super) S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Nullable<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(from).map(Some)
    }
}

/// The `coordinates` of a geometry, as deep as they are nested. Of lists of lists, empty ones are left out.
pub(super) enum Coordinates {
    Number(f64),
    Position([f64; 2]),
    Positions(Ring),
    Lists(Vec<Self>),
    Empty,
}

impl Coordinates {
    /// A position, or none.
    #[expect(clippy::option_option, reason = "misshapen, empty, a position")]
    pub(super) fn position(self) -> Option<Option<[f64; 2]>> {
        match self {
            Self::Position(position) => Some(Some(position)),
            Self::Empty => Some(None),
            Self::Number(_) | Self::Positions(_) | Self::Lists(_) => None,
        }
    }

    /// A list of positions.
    pub(super) fn positions(self) -> Option<Ring> {
        match self {
            Self::Positions(positions) => Some(positions),
            Self::Empty => Some(Ring::new()),
            Self::Number(_) | Self::Position(_) | Self::Lists(_) => None,
        }
    }

    /// A list of whatever `each` reads.
    pub(super) fn list<T>(self, each: impl Fn(Self) -> Option<T>) -> Option<Vec<T>> {
        match self {
            Self::Lists(lists) => lists.into_iter().map(each).collect(),
            Self::Empty => Some(Vec::new()),
            Self::Number(_) | Self::Position(_) | Self::Positions(_) => None,
        }
    }
}

/// Reads [`Coordinates`] of at most so many positions.
pub(super) struct CoordinatesSeed<'a>(pub(super) &'a mut usize);

impl<'de> DeserializeSeed<'de> for CoordinatesSeed<'_> {
    type Value = Coordinates;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Coordinates, D::Error> {
        from.deserialize_any(self)
    }
}

/// The words of the error for more positions than a [`CoordinatesSeed`] allows.
pub(super) const TOO_MANY: &str = "too many positions";

impl<'de> Visitor<'de> for CoordinatesSeed<'_> {
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
        let left = self.0;
        let mixed = || de::Error::custom("coordinates that are nested to different depths");
        Ok(match values.next_element_seed(CoordinatesSeed(left))? {
            None => Coordinates::Empty,
            Some(Coordinates::Number(x)) => {
                let y = values
                    .next_element::<f64>()?
                    .ok_or_else(|| de::Error::custom("a position of one number; it takes two"))?;
                // The height, and whatever some writers append to it.
                while values.next_element::<f64>()?.is_some() {}
                *left = left.checked_sub(1).ok_or_else(|| de::Error::custom(TOO_MANY))?;
                Coordinates::Position([x, y])
            }
            Some(Coordinates::Position(first)) => {
                let mut positions = vec![first];
                while let Some(next) = values.next_element_seed(CoordinatesSeed(left))? {
                    let Coordinates::Position(position) = next else { return Err(mixed()) };
                    positions.push(position);
                }
                Coordinates::Positions(positions)
            }
            Some(first) => {
                let mut lists = Vec::new();
                let mut next = Some(first);
                while let Some(list) = next {
                    match list {
                        Coordinates::Number(_) | Coordinates::Position(_) => return Err(mixed()),
                        Coordinates::Positions(_) | Coordinates::Lists(_) => lists.push(list),
                        Coordinates::Empty => {}
                    }
                    next = values.next_element_seed(CoordinatesSeed(left))?;
                }
                if lists.is_empty() { Coordinates::Empty } else { Coordinates::Lists(lists) }
            }
        })
    }
}

/// Names of properties, each stored once.
pub(super) type Names = BTreeSet<Arc<str>>;

/// Reads `properties`, with names that are stored once.
pub(super) struct PropertiesSeed<'r>(pub(super) &'r mut Names);

impl<'de> DeserializeSeed<'de> for PropertiesSeed<'_> {
    type Value = Vec<(Arc<str>, Value)>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PropertiesSeed<'_> {
    type Value = Vec<(Arc<str>, Value)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of properties, or null")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut properties = Vec::new();
        while let Some(name) = members.next_key_seed(NameSeed(&mut *self.0))? {
            let value = value_of(members.next_value::<&RawValue>()?.get()).map_err(de::Error::custom)?;
            properties.push((name, value));
        }
        Ok(properties)
    }
}

struct NameSeed<'r>(&'r mut Names);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Arc<str>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Arc<str>, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a property's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Arc<str>, E> {
        Ok(self.0.get(name).cloned().unwrap_or_else(|| {
            let name = Arc::<str>::from(name);
            self.0.insert(Arc::clone(&name));
            name
        }))
    }
}

/// A property's value from its JSON text, which has been found to be JSON.
fn value_of(json: &str) -> Result<Value, serde_json::Error> {
    Ok(match json.as_bytes().first() {
        Some(b'n') => Value::Null,
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'"') => Value::Text(serde_json::from_str(json)?),
        Some(b'[' | b'{') => Value::Text(compact(json)),
        // A number beyond all doubles is infinite, here as in OGR.
        _ => json.parse().map_or_else(|_| Value::Real(json.parse().unwrap_or(f64::NAN)), Value::Integer),
    })
}

/// JSON without the white space between its parts.
fn compact(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let keeps = |c: &char| {
        let keep = is_text || !c.is_ascii_whitespace();
        is_text ^= *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        keep
    };
    json.chars().filter(keeps).collect()
}

/// The `id` of a feature: text or a number; anything else is let pass.
#[derive(Debug)]
pub(super) enum Id {
    Text(String),
    Whole(i64),
    Number(f64),
    Other,
}

impl Id {
    /// The number that it is, if a whole one.
    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => Some(*number),
            Self::Text(_) | Self::Number(_) | Self::Other => None,
        }
    }

    /// The text that it is.
    pub(super) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Whole(_) | Self::Number(_) | Self::Other => None,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Other => f.write_str("?"),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(IdVisitor)
    }
}

struct IdVisitor;

impl<'de> Visitor<'de> for IdVisitor {
    type Value = Id;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        Ok(Id::Text(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Id, E> {
        Ok(Id::Whole(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "only shown in messages")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Id, E> {
        Ok(i64::try_from(value).map_or(Id::Number(value as f64), Id::Whole))
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole numbers of this size are exact in both types")]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Id, E> {
        let is_whole = value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0;
        Ok(if is_whole { Id::Whole(value as i64) } else { Id::Number(value) })
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Id, E> {
        Ok(Id::Other)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Id, E> {
        Ok(Id::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Id, A::Error> {
        while values.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Id::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Id, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Id::Other)
    }
}

/// The `crs` member: `{"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}`, or `null`, which means
/// that no CRS can be assumed (GeoJSON 2008 §3).
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Option<Written>")]
pub(super) enum CrsMember {
    /// `null`.
    Unknown,
    /// The text that names it.
    Named(String),
    /// One that names none, of this type.
    Nameless(String),
}

#[derive(Deserialize)]
struct Written {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    properties: CrsProperties,
}

#[derive(Default, Deserialize)]
struct CrsProperties {
    #[serde(default)]
    name: Option<String>,
    /// Of the older form `{"type": "EPSG", "properties": {"code": 32633}}`.
    #[serde(default)]
    code: Option<u32>,
}

impl From<Option<Written>> for CrsMember {
    fn from(written: Option<Written>) -> Self {
        match written {
            None => Self::Unknown,
            Some(Written { kind, properties: CrsProperties { name: Some(name), .. } }) if kind == "name" => {
                Self::Named(name)
            }
            Some(Written { kind, properties: CrsProperties { code: Some(code), .. } }) if kind == "EPSG" => {
                Self::Named(format!("EPSG:{code}"))
            }
            Some(Written { kind, .. }) => Self::Nameless(kind),
        }
    }
}

/// The CRSs of geometries: what their own `crs` members name, and whether one takes that of the object around it.
#[derive(Debug, Default)]
pub(super) struct CrsUse {
    inherits: bool,
    /// The name; `None` for a CRS that is unknown.
    #[expect(clippy::option_option, reason = "none found yet, found to be unknown, found")]
    named: Option<Option<String>>,
}

impl CrsUse {
    /// That of a geometry without a member of its own; one without vertices has no CRS.
    pub(super) fn of(has_vertices: bool) -> Self {
        Self { inherits: has_vertices, named: None }
    }

    /// Within an object with this member, if it has one.
    pub(super) fn under(self, own: Option<CrsMember>) -> Result<Self> {
        let named = match own {
            None => return Ok(self),
            Some(CrsMember::Unknown) => None,
            Some(CrsMember::Named(name)) => Some(name),
            Some(CrsMember::Nameless(kind)) => {
                return Err(Error::unsupported(format!(
                    "a `crs` member of the type \"{kind}\", which names no CRS; say which it is with `--cutline-crs`"
                )));
            }
        };
        let mut all = Self { inherits: false, named: self.named };
        if self.inherits {
            all.merge(Self { inherits: false, named: Some(named) })?;
        }
        Ok(all)
    }

    /// Adds those of another geometry.
    pub(super) fn merge(&mut self, other: Self) -> Result<()> {
        self.inherits |= other.inherits;
        match (&self.named, other.named) {
            (_, None) => {}
            (None, named) => self.named = named,
            (Some(one), Some(another)) if *one == another => {}
            (Some(one), Some(another)) => {
                let word = |name: &Option<String>| {
                    name.as_ref().map_or("null".to_owned(), |name| format!("`{name}`"))
                };
                return Err(Error::unsupported(format!(
                    "a `crs` member names another CRS, {}, than the ones before it, {}",
                    word(&another),
                    word(one)
                )));
            }
        }
        Ok(())
    }

    /// The name of the one CRS, `None` in it when it is unknown.
    #[expect(clippy::option_option, reason = "none found, found to be unknown, found")]
    pub(super) fn into_named(self) -> Option<Option<String>> {
        self.named
    }
}
