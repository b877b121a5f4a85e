//! Which format a file of features is in.

use bytes::Bytes;

use super::parts::Parts;
use super::{Layer, Query, Stop, flatgeobuf, geojson, geopackage, shapefile, wkb, wkt, zip};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// A format of files of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// GeoJSON, one object a line and text sequences too: [`super::geojson`].
    GeoJson,
    /// Well-known text: [`super::wkt`].
    Wkt,
    /// Well-known binary, as bytes or hexadecimal digits: [`super::wkb`].
    Wkb,
    /// A `.shp`, whose siblings lie beside it: [`super::shapefile`].
    Shapefile,
    /// A shapefile in a zip archive: [`super::zip`].
    Zip,
    /// FlatGeobuf: [`super::flatgeobuf`].
    FlatGeobuf,
    /// GeoPackage, or another SQLite database.
    GeoPackage,
    /// GeoParquet, or another Parquet file.
    GeoParquet,
}

/// What is read, for messages.
const READ: &str = "GeoJSON, Shapefile (.shp, or in a .zip), GeoPackage, FlatGeobuf, GeoParquet, WKT and WKB";

impl Format {
    /// The format of a file, or of a text given inline, from its first bytes; a kilobyte of them suffices. `name` only
    /// helps to say what is wrong.
    ///
    /// # Errors
    /// - [`crate::ErrorKind::Format`] for an empty file;
    /// - [`crate::ErrorKind::Usage`] for a shapefile's other files;
    /// - [`crate::ErrorKind::Unsupported`] for every other format, listing what is read.
    pub fn detect(name: &str, head: &[u8]) -> Result<Self> {
        let path = name.split(['?', '#']).next().unwrap_or("");
        let file = path.rsplit(['/', '\\']).next().unwrap_or("");
        let ending = file.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase());
        if matches!(ending.as_str(), "shx" | "dbf" | "prj" | "cpg" | "sbn" | "sbx" | "qix") {
            return Err(Error::usage(format!("{file} is a part of a shapefile; name its .shp instead")));
        }
        if shapefile::begins(head) {
            return Ok(Self::Shapefile);
        }
        if flatgeobuf::begins(head) {
            return Ok(Self::FlatGeobuf);
        }
        if head.starts_with(b"SQLite format 3\0") {
            return Ok(Self::GeoPackage);
        }
        if head.starts_with(b"PAR1") {
            return Ok(Self::GeoParquet);
        }
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Ok(Self::Zip);
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        if matches!(text.first(), Some(b'{' | b'[' | 0x1e)) {
            return Ok(Self::GeoJson);
        }
        if wkb::begins(head) || wkb::begins_in_digits(text) {
            return Ok(Self::Wkb);
        }
        // No keyword is longer.
        if wkt::begins(&String::from_utf8_lossy(text.get(..64).unwrap_or(text))) {
            return Ok(Self::Wkt);
        }
        if text.is_empty() {
            return Err(Error::format("the file of features is empty"));
        }
        let found = match text {
            [b'<', ..] => "XML, such as KML or GML; convert it first, for example with ogr2ogr",
            [0x1f, 0x8b, ..] => "compressed by gzip; unpack it first",
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "text in UTF-16; save it as UTF-8",
            [b'P', b'A', b'R', b'E', ..] => "an encrypted Parquet file",
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => {
                "an Arrow (Feather) file; convert it first, for example with ogr2ogr"
            }
            _ => {
                let start = text.get(..12.min(text.len())).unwrap_or(text).escape_ascii();
                return Err(Error::unsupported(format!(
                    "a file of features that begins with `{start}` is in no format that cogclip reads: {READ}{}",
                    match ending.as_str() {
                        "shp" | "zip" | "gpkg" | "fgb" | "parquet" | "geoparquet" | "geojson" | "json" => {
                            format!("; it is named .{ending}, but it is none")
                        }
                        _ => String::new(),
                    }
                )));
            }
        };
        Err(Error::unsupported(format!("the file of features is {found}; cogclip reads {READ}")))
    }
}

/// Whether a text begins as WKT does.
#[must_use]
pub fn is_wkt(text: &str) -> bool {
    wkt::begins(text)
}

/// The features of a file of this format, all of whose bytes are here.
///
/// # Errors
/// Those of the format's reader; [`crate::ErrorKind::Format`] for text that is not UTF-8; [`crate::ErrorKind::Unsupported`] for
/// GeoParquet in a build without it.
pub fn read(format: Format, bytes: &Bytes, query: &Query, limits: &Limits) -> Result<Layer> {
    let text = || {
        std::str::from_utf8(bytes)
            .map_err(|cause| Error::format("the cutline is not UTF-8 text").caused_by(cause))
    };
    match format {
        Format::GeoJson => geojson::read(text()?, query, limits),
        Format::Wkt => wkt::read(text()?, query, limits),
        Format::Wkb => wkb::read(bytes, query, limits),
        Format::Shapefile => {
            shapefile::read(&shapefile::Files { shp: bytes, ..Default::default() }, query, limits)
        }
        Format::Zip => zip::read(bytes, query, limits),
        Format::FlatGeobuf => {
            let parts = Parts::whole(bytes);
            let read = || flatgeobuf::read(&parts, &flatgeobuf::plan(&parts, query, limits)?, query, limits);
            read().map_err(|stop| match stop {
                Stop::Bad(error) => error,
                Stop::Need(_) => Error::format("the FlatGeobuf is cut short"),
            })
        }
        Format::GeoPackage => geopackage::read(bytes, query, limits),
        #[cfg(feature = "geoparquet")]
        Format::GeoParquet => super::geoparquet::read(bytes, query, limits),
        #[cfg(not(feature = "geoparquet"))]
        Format::GeoParquet => {
            Err(Error::unsupported("this build reads no GeoParquet; build it with the feature `geoparquet`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::vector::golden;

    #[test]
    fn files_are_known_by_what_is_in_them() {
        #[track_caller]
        fn check(head: &[u8], format: Format) {
            for name in ["", "x.geojson", "dir.shp/x"] {
                assert_eq!(Format::detect(name, head).unwrap(), format, "{name} {}", head.escape_ascii());
            }
        }
        check(b"{", Format::GeoJson);
        check(b"\xef\xbb\xbf \r\n[", Format::GeoJson);
        check(b"\x1e{", Format::GeoJson);
        check(b"POLYGON((0 0,", Format::Wkt);
        check(b"\xef\xbb\xbf\n multipoint z (", Format::Wkt);
        check(b"SRID=4326;POINT(", Format::Wkt);
        check(b"GEOMETRYCOLLECTION EMPTY", Format::Wkt);
        check(b"0101000000000000000000F03F", Format::Wkb);
        check(b"\n00000003e9", Format::Wkb);
        check(b"\x01\x06\0\0\0\x01", Format::Wkb);
        check(b"\x01\x03\0\0\xa0\xe6\x10\0\0", Format::Wkb);
        check(b"\0\0\0\x03\xeb", Format::Wkb);
        check(b"SQLite format 3\0", Format::GeoPackage);
        check(b"PAR1\x15", Format::GeoParquet);
        for (name, format) in [
            ("polygons.shp", Format::Shapefile),
            ("polygons.zip", Format::Zip),
            ("polygons.fgb", Format::FlatGeobuf),
        ] {
            check(&golden::fixture(name)[..64], format);
        }
    }

    #[test]
    fn what_is_not_read_says_what_is() {
        #[track_caller]
        fn refused(name: &str, head: &[u8], kind: ErrorKind, words: &str) {
            let error = Format::detect(name, head).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        use ErrorKind::{Unsupported, Usage};
        refused("", b"", ErrorKind::Format, "empty");
        refused("a.json", b" \n", ErrorKind::Format, "empty");
        refused("https://x.org/a.DBF?sig=1", b"\x03", Usage, "a.DBF is a part of a shapefile; name its .shp");
        refused("a.shx", &golden::fixture("polygons.shx"), Usage, ".shp");
        refused("a.kml", b"<?xml", Unsupported, "KML");
        refused("a.json.gz", b"\x1f\x8b\x08", Unsupported, "gzip");
        refused("a.json", b"\xff\xfe{\0", Unsupported, "UTF-16");
        refused("a.gpkg", b"hello", Unsupported, "named .gpkg");
        refused("a", b"\x01\x02\x03", Unsupported, "GeoParquet, WKT and WKB");
        refused("", b"points(1 2)", Unsupported, "begins with `points(1 2)`");
        refused("", b"id,wkt\n1,POINT(1 2)", Unsupported, "id,wkt\\n1,POI");
    }
}
