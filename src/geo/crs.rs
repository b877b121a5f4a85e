//! Coordinate reference systems: which one is meant, and how it is named. Moving coordinates between two of
//! them is [`super::project`]'s work.
//!
//! Coordinates are always in GIS axis order, x (easting, longitude) first, whatever order an authority declares.

use std::fmt;
use std::sync::Arc;

use super::definition::Definition;
use super::epsg;
pub(super) use super::epsg::Authority;
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
                Err(cause) => Err(Error::usage(format!("`{text}` has no number after {}", authority.name()))
                    .caused_by(cause)),
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
            name: format!("{}:{code}", authority.name()),
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
        a.is_same(b) || (self.text.is_some() && self.text == other.text)
    }

    /// Whether its coordinates are longitude and latitude in degrees. `false` when that is not known.
    #[must_use]
    pub fn is_geographic(&self) -> bool {
        self.definition().is_some_and(Definition::is_in_degrees)
    }

    /// The error for a CRS without a definition.
    pub(super) fn unlisted(&self) -> Error {
        if let Some((authority, code)) = self.code {
            let why = epsg::refusal(authority, code).map(|why| format!(": {why}")).unwrap_or_default();
            return Error::unsupported(format!(
                "{self} is not among the CRSs that cogclip can project exactly{why}; {WAY_OUT}"
            ));
        }
        let problem = self.problem.as_deref().unwrap_or("it has no definition");
        let problem = problem.strip_suffix(WAY_OUT).map_or(problem, |text| text.trim_end_matches("; "));
        Error::unsupported(format!("cogclip cannot project the CRS \"{self}\": {problem}; {WAY_OUT}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::geo::Datum;

    #[test]
    fn every_spelling_of_a_code_names_the_same_crs() {
        for text in [
            "EPSG:32633",
            " epsg:32633\n",
            "EPSG::32633",
            "EPSG:6.9:32633",
            "EPSG:32633+5773",
            "EPSG:32633+EPSG:5773",
            "urn:ogc:def:crs:EPSG::32633",
            "urn:ogc:def:crs:EPSG:6.9:32633",
            "urn:x-ogc:def:crs:EPSG:32633",
            "urn:ogc:def:crs,crs:EPSG::32633,crs:EPSG::5773",
            "urn:ogc:def:crs,crs:EPSG:6.9:32633,crs:EPSG:6.9:5773",
            "http://www.opengis.net/def/crs/EPSG/0/32633",
            "https://www.opengis.net/def/crs/EPSG/0/32633",
            "http://opengis.net/def/crs/EPSG/9.9.1/32633",
            "http://www.opengis.net/gml/srs/epsg.xml#32633",
            "http://www.opengis.net/def/crs-compound?1=http://www.opengis.net/def/crs/EPSG/0/32633&2=http://www.opengis.net/def/crs/EPSG/0/5773",
            "+init=epsg:32633",
            "+init=EPSG:32633 +no_defs +type=crs",
        ] {
            let crs = Crs::parse(text).unwrap();
            assert_eq!((crs.epsg(), crs.name().as_str()), (Some(32633), "EPSG:32633"), "{text}");
            assert_eq!(crs, Crs::from_epsg(32633).unwrap());
        }
        for text in [
            "OGC:CRS84",
            "CRS84",
            "CRS:84",
            "urn:ogc:def:crs:OGC:1.3:CRS84",
            "urn:ogc:def:crs:OGC::CRS84",
            "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        ] {
            assert_eq!(Crs::parse(text).unwrap(), Crs::wgs84(), "{text}");
        }
        assert!(Crs::wgs84().is_same(&Crs::from_epsg(4326).unwrap()) && Crs::wgs84().is_geographic());
        assert_eq!(Crs::parse("OGC:CRS83").unwrap().epsg(), Some(4269));
        assert_eq!(Crs::parse("urn:ogc:def:crs:OGC:1.3:CRS27").unwrap().epsg(), Some(4267));
        let esri = Crs::parse("esri:102003").unwrap();
        assert_eq!((esri.name().as_str(), esri.epsg()), ("ESRI:102003", None));
    }

    #[test]
    fn what_is_no_crs_says_so() {
        #[track_caller]
        fn check(text: &str, kind: ErrorKind, word: &str) {
            let error = Crs::parse(text).unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains(word), "{text}: {error}");
        }
        check("", ErrorKind::Usage, "EPSG:n");
        check("32633", ErrorKind::Usage, "`EPSG:32633`");
        check("EPSG:", ErrorKind::Usage, "number");
        check("EPSG:-1", ErrorKind::Usage, "number");
        check("EPSG:99999999999", ErrorKind::Usage, "number");
        check("urn:ogc:def:crs:", ErrorKind::Usage, "urn:ogc");
        check("+zone=33", ErrorKind::Usage, "+proj");
        check("WGS 84", ErrorKind::Usage, "WGS 84");
        check("IAU_2015:30100", ErrorKind::Unsupported, "IAU_2015");
        check("+init=IGNF:LAMB93", ErrorKind::Unsupported, "+init");
        check("+proj=longlat +datum=nowhere", ErrorKind::Unsupported, "nowhere");
        check("+proj=longlat +ellps=bessel +nadgrids=BETA2007.gsb", ErrorKind::Unsupported, "BETA2007.gsb");
        check("+proj=longlat +datum=WGS84 +ellps=intl", ErrorKind::Usage, "ellipsoid");
        check("+proj=utm +zone=3 +zone=4", ErrorKind::Usage, "zone=3");
        check("+proj=longlat +ellps=bessel +towgs84=1,2", ErrorKind::Usage, "towgs84");
        check("PROJCS[\"x\"]", ErrorKind::Format, "geographic");
        check("{\"type\":\"ProjectedCRS\",\"name\":\"y\"}", ErrorKind::Format, "\"y\"");
        check("{\"type\":\"VerticalCRS\",\"name\":\"z\"}", ErrorKind::Unsupported, "VerticalCRS");
        check("{", ErrorKind::Format, "JSON");
        check("VERTCS[\"NAVD88\",VDATUM[\"x\"]]", ErrorKind::Unsupported, "VERTCS");
        check("LOCAL_CS[\"mine\",UNIT[\"m\",1]]", ErrorKind::Unsupported, "LOCAL_CS");
        check("GEOCCS[\"mine\",UNIT[\"m\",1]]", ErrorKind::Unsupported, "GEOCCS");
        check(&"x".repeat(TEXT + 1), ErrorKind::Limit, "65536");
        let error = Crs::from_epsg(99999).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(
            error.to_string().contains("EPSG:99999") && error.to_string().contains("--cutline-crs source")
        );
    }

    const GCS: &str = "GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\",SPHEROID[\"WGS_1984\",6378137.0,298.257223563]],PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]]";
    const UTM: &str = "PROJECTION[\"Transverse_Mercator\"],PARAMETER[\"False_Easting\",500000.0],PARAMETER[\"False_Northing\",0.0],PARAMETER[\"Central_Meridian\",15.0],PARAMETER[\"Scale_Factor\",0.9996],PARAMETER[\"Latitude_Of_Origin\",0.0],UNIT[\"Meter\",1.0]";

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (Crs::parse(a).unwrap(), Crs::parse(b).unwrap());
        assert_eq!(a.is_same(&b), b.is_same(&a));
        a.is_same(&b)
    }

    #[test]
    fn the_same_is_said_of_what_is_written_differently() {
        assert!(same("+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs", "EPSG:32633"));
        assert!(same("EPSG:27700", "urn:ogc:def:crs:EPSG::27700"));
        assert!(same(&format!("PROJCS[\"WGS_1984_UTM_Zone_33N\",{GCS},{UTM}]"), "EPSG:32633"));
        assert!(same(GCS, "OGC:CRS84") && same(GCS, "EPSG:4326"));
        // Coordinates are in GIS order whatever the axes say.
        let north_first = GCS.replace("3]]", "3],AXIS[\"Latitude\",NORTH],AXIS[\"Longitude\",EAST]]");
        assert!(same(&north_first, "OGC:CRS84"));
        assert!(same(
            &format!("COMPD_CS[\"x\",{GCS},VERT_CS[\"y\",VERT_DATUM[\"z\",2005],UNIT[\"m\",1]]]"),
            "OGC:CRS84"
        ));
        assert!(same(&format!("{GCS},VERTCS[\"EGM96\",VDATUM[\"EGM96\"],UNIT[\"Meter\",1]]"), "OGC:CRS84"));
        assert!(same("+proj=merc +a=6378137 +b=6378137 +nadgrids=@null +wktext", "EPSG:3857"));
        // What is on an unknown datum is the same only in the same words.
        assert!(same("+zone=33 +proj=utm +ellps=GRS80", "+proj=utm +zone=33 +ellps=GRS80 +type=crs"));
    }

    #[test]
    fn the_same_is_never_said_of_different_datums() {
        // GDA94 and GDA2020: the same string, 1.8 m apart
        assert_eq!(
            Crs::parse("EPSG:28355").unwrap().definition().unwrap().proj,
            Crs::parse("EPSG:7855").unwrap().definition().unwrap().proj
        );
        assert!(!same("EPSG:28355", "EPSG:7855") && !same("EPSG:4283", "EPSG:7844"));
        assert!(!same("+proj=utm +zone=55 +south +ellps=GRS80 +units=m", "EPSG:7855"));
        assert!(!same(
            "+proj=utm +zone=33 +ellps=GRS80",
            "+proj=tmerc +lon_0=15 +k=0.9996 +x_0=500000 +ellps=GRS80"
        ));
        assert!(!same(
            "+proj=longlat +ellps=bessel +towgs84=1,2,3",
            "+proj=longlat +ellps=bessel +towgs84=1,2,4"
        ));
        assert!(!same(&GCS.replace("WGS_1984\"", "Mine\""), "EPSG:4326"));
        let mine = || Crs::named("WGS 84 / Mine", "test");
        assert!(!mine().is_same(&mine()) && mine().unlisted().to_string().contains("test"));
    }

    #[test]
    fn a_code_counts_with_its_own_content_only() {
        let with = |wkt: &str, code: &str| {
            format!("{},AUTHORITY[\"EPSG\",\"{code}\"]]", wkt.strip_suffix(']').unwrap())
        };
        let utm = format!("PROJCS[\"x\",{GCS},{UTM}]");
        assert_eq!(Crs::parse(&with(&utm, "32633")).unwrap(), Crs::parse("EPSG:32633").unwrap());
        let other = Crs::parse(&with(&utm, "32634")).unwrap();
        assert!(other.epsg().is_none() && other.is_same(&Crs::parse("EPSG:32633").unwrap()));
        // A method that is not known cannot be compared with the table's content.
        let odd = utm.replace("Transverse_Mercator", "Berghaus_Star");
        assert!(Crs::parse(&odd).unwrap_err().to_string().contains("Berghaus_Star"));
        assert!(Crs::parse(&with(&odd, "32633")).is_err());
        let unlisted = Crs::parse(&with(&odd, "99999")).unwrap();
        assert!(unlisted.epsg() == Some(99999) && unlisted.definition().is_none());
    }

    #[test]
    fn shifts_in_texts_are_kept_beside_a_known_datum() {
        #[track_caller]
        fn check(text: &str, datum: Datum) {
            assert_eq!(Crs::parse(text).unwrap().definition().unwrap().datum, datum, "{text}");
        }
        let shift = [598.1, 73.7, 418.2, 0.202, 0.045, -2.455, 6.7];
        let words = "598.1,73.7,418.2,0.202,0.045,-2.455,6.7";
        let dhdn = |datum: &str| {
            format!(
                "GEOGCS[\"x\",DATUM[\"{datum}\",SPHEROID[\"Bessel 1841\",6377397.155,299.1528128],TOWGS84[{words}]],PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.0174532925199433]]"
            )
        };
        check(&dhdn("Deutsches_Hauptdreiecksnetz"), Datum::EpsgToWgs84(4314, shift));
        check(&dhdn("mine"), Datum::ToWgs84(shift));
        assert!(same(&dhdn("Deutsches_Hauptdreiecksnetz"), "EPSG:4314"));
        // A name on another ellipsoid is another datum.
        check(&dhdn("WGS_1984"), Datum::ToWgs84(shift));
        check("+proj=longlat +datum=potsdam", Datum::Epsg(4314));
        check(&format!("+proj=longlat +ellps=bessel +towgs84={words}"), Datum::ToWgs84(shift));
        check("+proj=longlat +datum=WGS84 +towgs84=0,0,0", Datum::Epsg(4326));
        check("+proj=longlat +ellps=bessel", Datum::Unknown);
        let grid = dhdn("mine").replace(&format!("TOWGS84[{words}]"), "EXTENSION[\"PROJ4_GRIDS\",\"a.gsb\"]");
        let error = Crs::parse(&grid).unwrap_err();
        assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("a.gsb"));
    }

    #[test]
    fn what_is_not_understood_in_a_text_is_named() {
        #[track_caller]
        fn check(from: &str, to: &str, word: &str) {
            let utm = format!("PROJCS[\"x\",{GCS},{UTM}]");
            assert!(utm.contains(from));
            let error = Crs::parse(&utm.replacen(from, to, 1)).unwrap_err();
            let is_right = matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Format);
            assert!(is_right && error.to_string().contains(word), "{error}");
        }
        check("Latitude_Of_Origin", "Standard_Parallel_1", "Standard_Parallel_1");
        check("\"Latitude_Of_Origin\",0.0", "\"Central_Meridian\",16.0", "Central_Meridian");
        check("\"Scale_Factor\",0.9996", "\"Scale_Factor\",-1", "-1");
        check("PROJECTION[\"Transverse_Mercator\"],", "", "projection");
        check(",UNIT[\"Meter\",1.0]", "", "unit");
        check(",UNIT[\"Meter\",1.0]", ",UNIT[\"Meter\",0]", "factor");
        check("UNIT[\"Meter\",1.0]", "UNIT[\"Meter\",1.0],AXIS[\"E\",WEST],AXIS[\"N\",NORTH]", "WEST");
        check("6378137.0", "0", "ellipsoid");
        check("298.257223563", "0.5", "ellipsoid");
        check("Transverse_Mercator", "Lambert_Conformal_Conic_2SP_Belgium", "Belgium");
        check("Transverse_Mercator", "Albers", "Scale_Factor");
        check("Transverse_Mercator", "Hotine_Oblique_Mercator", "azimuth");
    }

    /// The same at every kind of text: whatever is cut off or changed, there is an answer or an error.
    #[test]
    fn no_mutation_panics() {
        let json = r#"{"type":"ProjectedCRS","name":"x","base_crs":{"name":"WGS 84","datum":{"name":"World Geodetic System 1984","ellipsoid":{"name":"WGS 84","semi_major_axis":6378137,"inverse_flattening":298.257223563}}},"conversion":{"name":"u","method":{"name":"Transverse Mercator","id":{"authority":"EPSG","code":9807}},"parameters":[{"name":"Longitude of natural origin","value":15,"unit":"degree"},{"name":"False easting","value":5e5,"unit":"metre"}]},"coordinate_system":{"subtype":"Cartesian","axis":[{"name":"E","direction":"east","unit":"metre"},{"name":"N","direction":"north","unit":{"type":"LinearUnit","name":"m","conversion_factor":1}}]}}"#;
        assert!(Crs::parse(json).is_ok());
        let (mut understood, mut tried) = (0, 0);
        let texts = [
            format!("PROJCS[\"x\",{GCS},{UTM}]"),
            json.to_owned(),
            "+proj=utm +zone=33 +datum=WGS84 +towgs84=0,0,0 +units=m".to_owned(),
            "http://www.opengis.net/def/crs-compound?1=http://www.opengis.net/def/crs/EPSG/0/4326".to_owned(),
            "urn:ogc:def:crs,crs:EPSG::4326,crs:EPSG::5773".to_owned(),
        ];
        for text in texts {
            for place in 0..text.len() {
                let mut attempts =
                    vec![text[..place].to_owned(), [&text[..place], &text[place + 1..]].concat()];
                for byte in ["\0", "[", "]", "\"", ",", "9", "-", "é", "e999"] {
                    attempts.push([&text[..place], byte, &text[place + 1..]].concat());
                }
                for attempt in attempts {
                    tried += 1;
                    understood += usize::from(Crs::parse(&attempt).is_ok());
                }
            }
        }
        assert!(tried > 10_000 && understood > 1000 && understood < tried / 2, "{understood} of {tried}");
        let many: Vec<String> = (0..9000).map(|n| format!("+p{n}")).collect();
        assert_eq!(Crs::parse(&many.join(" ")).unwrap_err().kind(), ErrorKind::Usage);
        for nested in ["{\"source_crs\":".repeat(10_000), "[".repeat(60_000), "PROJCS[".repeat(9_000)] {
            assert!(Crs::parse(&nested).is_err());
        }
        let bound =
            "{\"type\":\"BoundCRS\",\"target_crs\":{},\"transformation\":{},\"source_crs\":".repeat(50);
        assert!(Crs::parse(&format!("{bound}{{}}{}", "}".repeat(50))).is_err());
    }
}
