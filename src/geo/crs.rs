//! Coordinate reference systems: which one is meant, and how it is named. Moving coordinates between two of
//! them is [`super::project`]'s work.
//!
//! Coordinates are always in GIS axis order, x (easting, longitude) first, whatever order an authority declares.

use std::fmt;
use std::sync::Arc;

use super::definition::Definition;
use super::epsg_stub as epsg;
pub(super) use super::epsg_stub::Authority;
use super::{proj_string, projjson, wkt_crs};
use crate::error::{Error, Result};

/// What an error about a CRS that cannot be projected tells the user to do.
pub(super) const WAY_OUT: &str = "reproject the cutline into the raster's own CRS and pass `--cutline-crs source`, which needs no projection";

/// Bytes of the text of a CRS. The longest definition of EPSG takes some 20 KiB as indented PROJJSON.
const TEXT: usize = 64 << 10;

/// A coordinate reference system: a code of an authority, a definition, or only a name.
///
/// Coordinates in it are in GIS axis order: x is easting or longitude, y northing or latitude; geographic ones
/// are in degrees.
#[derive(Clone, Debug, PartialEq)]
pub struct Crs {
    name: String,
    code: Option<(Authority, u32)>,
    definition: Option<Arc<Definition>>,
    /// What a CRS on an unknown datum must share with another to be the same.
    text: Option<Arc<str>>,
    /// Why there is no definition.
    problem: Option<Arc<str>>,
}

impl Crs {
    /// The CRS of an EPSG code of the built-in table.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for a code that is not in the table.
    pub fn from_epsg(code: u32) -> Result<Self> {
        let crs = Self::coded(Authority::Epsg, code);
        if crs.definition.is_some() { Ok(crs) } else { Err(crs.unlisted()) }
    }

    /// The CRS that `text` names, in any of these forms:
    /// - `EPSG:n`, `ESRI:n`, `OGC:CRS84`, `OGC:CRS83`, `OGC:CRS27`, in any case; with a vertical part, `EPSG:n+m`, which
    ///   is left out;
    /// - the same as URNs (`urn:ogc:def:crs:EPSG::n`) or URLs (`http://www.opengis.net/def/crs/EPSG/0/n`), and compound
    ///   ones (`urn:ogc:def:crs,crs:EPSG::n,crs:EPSG::m`);
    /// - WKT1 as GDAL or ESRI write it, WKT2, PROJJSON;
    /// - a PROJ string, `+proj=...`.
    ///
    /// A code that is not in the built-in table is accepted, because a raster in that very CRS can be cut
    /// without projecting anything; projecting it is the error then.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unsupported`] for what is not fully understood, by name; [`crate::ErrorKind::Format`] for WKT
    /// and PROJJSON that is broken; [`crate::ErrorKind::Limit`] for text longer than any definition;
    /// [`crate::ErrorKind::Usage`] for text of no known form.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > TEXT {
            return Err(Error::limit(format!(
                "the text of the CRS has {} bytes; the limit is {TEXT}",
                text.len()
            )));
        }
        let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\0' | '\u{feff}'));
        if text.starts_with('+') || text.starts_with("proj=") || text.starts_with("init=") {
            return proj_string::crs(text);
        }
        if text.starts_with('{') {
            return projjson::crs(text);
        }
        if text.contains('[') || text.contains('(') {
            return wkt_crs::crs(text);
        }
        // The vertical part of a compound CRS, `EPSG:4326+5773`, says nothing here.
        let upper = text.split('+').next().unwrap_or_default().to_ascii_uppercase();
        if let Some(horizontal) = first_of_compound(&upper) {
            return Self::parse(&horizontal);
        }
        let named = ["URN:OGC:DEF:CRS:", "URN:X-OGC:DEF:CRS:"]
            .iter()
            .find_map(|prefix| upper.strip_prefix(prefix))
            .map(|rest| (rest, ':'))
            .or_else(|| {
                let rest = upper.strip_prefix("HTTP://").or_else(|| upper.strip_prefix("HTTPS://"))?;
                let rest = rest.strip_prefix("WWW.").unwrap_or(rest);
                Some((rest.strip_prefix("OPENGIS.NET/DEF/CRS/")?, '/'))
            })
            // GML 2: http://www.opengis.net/gml/srs/epsg.xml#4326
            .or_else(|| {
                let (_, code) = upper.split_once("OPENGIS.NET/GML/SRS/EPSG.XML#")?;
                Some((code, '#'))
            });
        let (authority, code) = match named {
            Some((code, '#')) => ("EPSG", code),
            // authority, version, code; old URNs leave the version out
            Some((rest, separator)) => {
                let parts: Vec<_> = rest.split(separator).collect();
                match parts.as_slice() {
                    [authority, code] | [authority, _, code] => (*authority, *code),
                    _ => ("", ""),
                }
            }
            None => match upper.rsplit_once(':') {
                // EPSG:4326, EPSG:6.9:4326, EPSG::4326
                Some((authority, code)) => (authority.split(':').next().unwrap_or_default(), code),
                None => ("", upper.as_str()),
            },
        };
        match (self::authority(authority), authority, code) {
            (_, "OGC" | "CRS" | "", "CRS84" | "84") if !(authority.is_empty() && code == "84") => {
                Ok(Self::wgs84())
            }
            (_, "OGC" | "CRS", "CRS83" | "83") => Ok(Self::of_ogc("OGC:CRS83", 4269)),
            (_, "OGC" | "CRS", "CRS27" | "27") => Ok(Self::of_ogc("OGC:CRS27", 4267)),
            (Some(authority), _, code) => match code.parse() {
                Ok(code) => Ok(Self::coded(authority, code)),
                Err(cause) => {
                    Err(Error::usage(format!("`{text}` has no number after {authority}")).caused_by(cause))
                }
            },
            (None, "", code) if !code.is_empty() && code.bytes().all(|byte| byte.is_ascii_digit()) => Err(
                Error::usage(format!("`{code}` is only a number; write `EPSG:{code}` if it is an EPSG code")),
            ),
            (None, "", _) => Err(Error::usage(format!(
                "`{}` does not name a CRS; give `EPSG:n`, WKT, PROJJSON or a PROJ string",
                shortened(text)
            ))),
            (None, authority, _) => Err(Error::unsupported(format!(
                "the CRS `{}` is one of the authority {authority}; cogclip knows EPSG, ESRI and OGC:CRS84, WKT, PROJJSON and PROJ strings",
                shortened(text)
            ))),
        }
    }

    /// Longitude and latitude on WGS 84 in degrees, `OGC:CRS84` (RFC 7946 §4). It is EPSG:4326 in GIS axis order.
    #[must_use]
    pub fn wgs84() -> Self {
        Self::of_ogc("OGC:CRS84", 4326)
    }

    /// An OGC name for a geographic CRS of EPSG with longitude first.
    fn of_ogc(name: &str, code: u32) -> Self {
        Self { name: name.to_owned(), ..Self::coded(Authority::Epsg, code) }
    }

    /// The CRS of a code, in the table or not; projecting one that is not is the error.
    pub(super) fn coded(authority: Authority, code: u32) -> Self {
        Self {
            name: format!("{authority}:{code}"),
            code: Some((authority, code)),
            definition: epsg::definition(authority, code).map(Arc::new),
            text: None,
            problem: None,
        }
    }

    /// The same with a definition from elsewhere, because the table has none.
    pub(super) fn with_definition(self, definition: Definition) -> Self {
        Self { definition: Some(Arc::new(definition)), ..self }
    }

    /// A CRS that a text defines.
    pub(super) fn described(name: String, definition: Definition, text: &str) -> Self {
        let squeezed: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            name,
            code: None,
            definition: Some(Arc::new(definition)),
            text: Some(squeezed.into()),
            problem: None,
        }
    }

    /// A CRS of which only the name is known, and why.
    pub(super) fn named(citation: impl Into<String>, problem: &str) -> Self {
        Self {
            name: citation.into(),
            code: None,
            definition: None,
            text: None,
            problem: Some(problem.into()),
        }
    }

    /// Its EPSG code; 4326 for OGC:CRS84, which differs only in the axis order that authorities declare.
    #[must_use]
    pub fn epsg(&self) -> Option<u32> {
        match self.code {
            Some((Authority::Epsg, code)) => Some(code),
            Some((Authority::Esri, _)) | None => None,
        }
    }

    /// Its short name for messages and reports: `EPSG:32633`, `OGC:CRS84`, the PROJ string, the name in the WKT or the
    /// citation.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// What it is made of; `None` when it has only a name, or a code that is not in the built-in table.
    #[must_use]
    pub fn definition(&self) -> Option<&Definition> {
        self.definition.as_deref()
    }

    /// Its PROJ string, without the datum.
    #[must_use]
    pub fn proj_string(&self) -> Option<&str> {
        self.definition().map(|definition| definition.proj.as_str())
    }

    /// The EPSG code of the geographic CRS below it.
    pub(super) fn base(&self) -> Option<u32> {
        match self.definition()?.datum {
            super::Datum::Epsg(code) => Some(code),
            super::Datum::EpsgToWgs84(..) | super::Datum::ToWgs84(_) | super::Datum::Unknown => None,
        }
    }

    /// Whether coordinates of one are coordinates of the other: the same code, or the same datum and the same
    /// projection to less than 0.01 mm, however it is written. On a datum that is not known, only the same text is.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        if let (Some(a), Some(b)) = (self.code, other.code)
            && a == b
        {
            return true;
        }
        // A citation says too little to conclude that two CRSs are the same.
        let (Some(a), Some(b)) = (self.definition(), other.definition()) else { return false };
        a.is_same(b) || (self.text.is_some() && self.text == other.text && a == b)
    }

    /// Whether its coordinates are longitude and latitude in degrees. `false` when that is not known.
    #[must_use]
    pub fn is_geographic(&self) -> bool {
        self.definition().is_some_and(Definition::is_geographic)
    }

    /// The error for a CRS without a definition.
    pub(super) fn unlisted(&self) -> Error {
        match self.code {
            Some(_) => Error::unsupported(format!(
                "{self} is not among the CRSs that cogclip can project exactly; {WAY_OUT}"
            )),
            None => {
                let problem = self.problem.as_deref().unwrap_or("it has no definition");
                Error::unsupported(format!("cogclip cannot project the CRS \"{self}\": {problem}; {WAY_OUT}"))
            }
        }
    }
}

impl fmt::Display for Crs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The authority of that name.
pub(super) fn authority(name: &str) -> Option<Authority> {
    match name.to_ascii_uppercase().as_str() {
        "EPSG" => Some(Authority::Epsg),
        "ESRI" => Some(Authority::Esri),
        _ => None,
    }
}

/// The horizontal part of a compound URN or URL (OGC 07-092r3 §7.5.4, 11-135r2): the first of several.
fn first_of_compound(upper: &str) -> Option<String> {
    if let Some(rest) = upper.strip_prefix("URN:OGC:DEF:CRS,") {
        let first = rest.split(',').next()?;
        return Some(format!("URN:OGC:DEF:{first}"));
    }
    let (_, query) = upper.split_once("OPENGIS.NET/DEF/CRS-COMPOUND?")?;
    let first = query.split('&').next()?;
    let (_, url) = first.split_once('=')?;
    // What it holds is no compound again.
    (!url.contains("CRS-COMPOUND")).then(|| url.to_owned())
}

/// At most the first 80 characters, so that a message stays one line.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}
