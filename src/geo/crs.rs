//! Coordinate reference systems: which one is meant, and how it is named. Moving coordinates between two of
//! them is [`super::project`]'s work.
//!
//! Coordinates are always in GIS axis order, x (easting, longitude) first, whatever order an authority declares.

use std::fmt;

use super::definition::{Datum, Definition};
use super::epsg::{self, Authority};
use crate::error::{Error, Result};

/// What an error about a CRS that cannot be projected tells the user to do.
pub(super) const WAY_OUT: &str = "reproject the cutline into the raster's own CRS and pass `--cutline-crs source`, which needs no projection";

/// A coordinate reference system: an EPSG code, a PROJ string, or only a name.
///
/// Coordinates in it are in GIS axis order: x is easting or longitude, y northing or latitude; geographic ones
/// are in degrees.
#[derive(Clone, Debug, PartialEq)]
pub struct Crs(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// Longitude and latitude on WGS 84, `OGC:CRS84`.
    Crs84,
    /// An EPSG code and, if our table has it, its definition.
    Epsg(u32, Option<epsg::Entry>),
    /// A PROJ string as it was given.
    Proj(String),
    /// A CRS without a code: its citation.
    Named(String),
}

impl Crs {
    /// The CRS of an EPSG code of the built-in table.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a code that is not in the table.
    pub fn from_epsg(code: u32) -> Result<Self> {
        let entry = epsg::find(Authority::Epsg, code).ok_or_else(|| unlisted(code))?;
        Ok(Self(Kind::Epsg(code, Some(entry))))
    }

    /// The CRS that `text` names: `EPSG:n` in any case, `urn:ogc:def:crs:EPSG::n`,
    /// `http://www.opengis.net/def/crs/EPSG/0/n`, the same forms of `OGC:CRS84`, or a PROJ string `+proj=...`.
    ///
    /// An EPSG code that is not in the built-in table is accepted, because a raster in that very CRS can be cut
    /// without projecting anything; projecting it is the error then.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for WKT, PROJJSON and other authorities;
    /// [`crate::ErrorKind::Usage`] for text of no known form.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with('+') {
            return if proj_tokens(text).iter().any(|token| token.starts_with("proj=")) {
                Ok(Self(Kind::Proj(text.to_owned())))
            } else {
                Err(Error::usage(format!("the PROJ string `{text}` has no +proj=")))
            };
        }
        let upper = text.to_ascii_uppercase();
        if upper.contains('[') || upper.starts_with('{') {
            return Err(Error::unsupported(format!(
                "the CRS `{}` is WKT or PROJJSON, which cogclip does not read yet; give its EPSG code or PROJ string",
                shortened(text)
            )));
        }
        let named = ["URN:OGC:DEF:CRS:", "URN:X-OGC:DEF:CRS:"]
            .iter()
            .find_map(|prefix| upper.strip_prefix(prefix))
            .map(|rest| (rest, ':'))
            .or_else(|| {
                let rest = upper.strip_prefix("HTTP://").or_else(|| upper.strip_prefix("HTTPS://"))?;
                Some((rest.strip_prefix("WWW.OPENGIS.NET/DEF/CRS/")?, '/'))
            });
        let (authority, code) = match named {
            // authority, version, code; old URNs leave the version out
            Some((rest, separator)) => {
                let parts: Vec<_> = rest.split(separator).collect();
                match parts.as_slice() {
                    [authority, code] | [authority, _, code] => (*authority, *code),
                    _ => ("", ""),
                }
            }
            None => upper.split_once(':').unwrap_or(("", upper.as_str())),
        };
        match (authority, code) {
            ("OGC" | "", "CRS84") => Ok(Self::wgs84()),
            ("EPSG", code) => match code.parse() {
                Ok(code) => Ok(Self::from_any_epsg(code)),
                Err(cause) => {
                    Err(Error::usage(format!("`{text}` has no number after EPSG")).caused_by(cause))
                }
            },
            ("", _) => Err(Error::usage(format!(
                "`{}` does not name a CRS; give `EPSG:n` or a PROJ string",
                shortened(text)
            ))),
            (authority, _) => Err(Error::unsupported(format!(
                "the CRS `{}` is one of the authority {authority}; cogclip knows EPSG codes, OGC:CRS84 and PROJ strings",
                shortened(text)
            ))),
        }
    }

    /// Longitude and latitude on WGS 84 in degrees, `OGC:CRS84` (RFC 7946 §4). It is EPSG:4326 in GIS axis order.
    #[must_use]
    pub fn wgs84() -> Self {
        Self(Kind::Crs84)
    }

    /// The CRS of an EPSG code, in the table or not; projecting one that is not is the error.
    pub(super) fn from_any_epsg(code: u32) -> Self {
        Self(Kind::Epsg(code, epsg::find(Authority::Epsg, code)))
    }

    /// A CRS of which only the name is known.
    pub(super) fn named(citation: impl Into<String>) -> Self {
        Self(Kind::Named(citation.into()))
    }

    /// Its EPSG code; 4326 for OGC:CRS84, which differs only in the axis order that authorities declare.
    #[must_use]
    pub fn epsg(&self) -> Option<u32> {
        match &self.0 {
            Kind::Crs84 => Some(4326),
            Kind::Epsg(code, _) => Some(*code),
            Kind::Proj(_) | Kind::Named(_) => None,
        }
    }

    /// Its short name for messages and reports: `EPSG:32633`, `OGC:CRS84`, the PROJ string or the citation.
    #[must_use]
    pub fn name(&self) -> String {
        self.to_string()
    }

    /// Its PROJ string; `None` when it has only a name, or a code that is not in the built-in table.
    #[must_use]
    pub fn proj_string(&self) -> Option<&str> {
        match &self.0 {
            Kind::Crs84 => Some("+proj=longlat +datum=WGS84"),
            Kind::Epsg(_, entry) => entry.as_ref().map(|entry| entry.definition.proj.as_str()),
            Kind::Proj(text) => Some(text),
            Kind::Named(_) => None,
        }
    }

    /// What places its coordinates; `None` when it has only a name, or a code that the table lacks.
    #[must_use]
    pub fn definition(&self) -> Option<Definition> {
        let text = match &self.0 {
            Kind::Crs84 => return epsg::find(Authority::Epsg, 4326).map(|entry| entry.definition),
            Kind::Epsg(_, entry) => return entry.as_ref().map(|entry| entry.definition.clone()),
            Kind::Proj(text) => text,
            Kind::Named(_) => return None,
        };
        let mut datum = Datum::Unknown;
        let mut kept = Vec::new();
        for token in proj_tokens(text) {
            match token {
                "datum=WGS84" => {
                    datum = Datum::Epsg(4326);
                    kept.push("+a=6378137 +rf=298.257223563".to_owned());
                }
                "datum=NAD83" => {
                    datum = Datum::Epsg(4269);
                    kept.push("+a=6378137 +rf=298.257222101".to_owned());
                }
                _ => kept.push(format!("+{token}")),
            }
        }
        Some(Definition { proj: kept.join(" "), datum })
    }

    /// Whether coordinates of one are coordinates of the other, bit for bit: the same code, or the same
    /// parameters of a PROJ string in any order.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        if let (Some(a), Some(b)) = (self.epsg(), other.epsg()) {
            return a == b;
        }
        // A citation says too little to conclude that two CRSs are the same.
        let (Some(a), Some(b)) = (self.definition(), other.definition()) else { return false };
        // `+ellps=GRS80` does not say which of the datums on it is meant, so a code is not equal to it.
        a.datum == b.datum && a.has_projection_of(&b)
    }

    /// Whether its coordinates are longitude and latitude in degrees. `false` when that is not known.
    #[must_use]
    pub fn is_geographic(&self) -> bool {
        self.proj_string().is_some_and(|text| {
            proj_tokens(text).iter().any(|token| {
                matches!(*token, "proj=longlat" | "proj=latlong" | "proj=lonlat" | "proj=latlon")
            })
        })
    }
}

impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Crs84 => f.write_str("OGC:CRS84"),
            Kind::Epsg(code, _) => write!(f, "EPSG:{code}"),
            Kind::Proj(text) | Kind::Named(text) => f.write_str(text),
        }
    }
}

/// The error for a code that the table lacks.
pub(super) fn unlisted(code: u32) -> Error {
    Error::unsupported(format!(
        "EPSG:{code} is not among the CRSs that cogclip can project exactly; {WAY_OUT}"
    ))
}

/// The parameters of a PROJ string, without their `+`.
pub(super) fn proj_tokens(text: &str) -> Vec<&str> {
    text.split_whitespace().map(|token| token.strip_prefix('+').unwrap_or(token)).collect()
}

/// At most the first 80 characters, so that a message stays one line.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn every_spelling_names_the_same_crs() {
        for text in [
            "EPSG:32633",
            " epsg:32633 ",
            "urn:ogc:def:crs:EPSG::32633",
            "urn:ogc:def:crs:EPSG:6.9:32633",
            "urn:x-ogc:def:crs:EPSG:32633",
            "http://www.opengis.net/def/crs/EPSG/0/32633",
            "https://www.opengis.net/def/crs/EPSG/0/32633",
        ] {
            let crs = Crs::parse(text).unwrap();
            assert_eq!((crs.epsg(), crs.name().as_str()), (Some(32633), "EPSG:32633"), "{text}");
            assert_eq!(crs, Crs::from_epsg(32633).unwrap());
        }
        for text in [
            "OGC:CRS84",
            "CRS84",
            "urn:ogc:def:crs:OGC:1.3:CRS84",
            "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        ] {
            assert_eq!(Crs::parse(text).unwrap(), Crs::wgs84(), "{text}");
        }
        assert!(Crs::wgs84().is_same(&Crs::from_epsg(4326).unwrap()) && Crs::wgs84().is_geographic());
    }

    #[test]
    fn what_is_no_crs_says_so() {
        for (text, kind) in [
            ("", ErrorKind::Usage),
            ("32633", ErrorKind::Usage),
            ("EPSG:", ErrorKind::Usage),
            ("EPSG:-1", ErrorKind::Usage),
            ("EPSG:99999999999", ErrorKind::Usage),
            ("urn:ogc:def:crs:", ErrorKind::Usage),
            ("+zone=33", ErrorKind::Usage),
            ("ESRI:54009", ErrorKind::Unsupported),
            ("PROJCS[\"x\"]", ErrorKind::Unsupported),
            ("{\"type\":\"ProjectedCRS\"}", ErrorKind::Unsupported),
        ] {
            assert_eq!(Crs::parse(text).unwrap_err().kind(), kind, "{text}");
        }
        let error = Crs::from_epsg(99999).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(
            error.to_string().contains("EPSG:99999") && error.to_string().contains("--cutline-crs source")
        );
    }

    #[test]
    fn the_same_is_never_said_of_different_datums() {
        let same = |a: &str, b: &str| Crs::parse(a).unwrap().is_same(&Crs::parse(b).unwrap());
        assert!(same("+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs", "EPSG:32633"));
        assert!(same("+zone=33 +proj=utm +ellps=GRS80", "+proj=utm +zone=33 +ellps=GRS80 +type=crs"));
        assert!(same("EPSG:27700", "urn:ogc:def:crs:EPSG::27700"));
        // GDA94 and GDA2020: the same projection, 1.8 m apart
        assert_eq!(
            Crs::parse("EPSG:28355").unwrap().definition().map(|definition| definition.proj),
            Crs::parse("EPSG:7855").unwrap().definition().map(|definition| definition.proj)
        );
        assert!(!same("EPSG:28355", "EPSG:7855"));
        assert!(!same("+proj=utm +zone=55 +south +ellps=GRS80 +units=m", "EPSG:7855"));
        assert!(!Crs::named("WGS 84 / Mine").is_same(&Crs::named("WGS 84 / Mine")));
    }
}
