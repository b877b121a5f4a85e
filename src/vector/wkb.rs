//! Well-known binary: OGC 06-103r4 §8, ISO 13249-3, and PostGIS's EWKB, in either byte order.

use super::{Feature, Gathering, Geometry, Layer, Query, Ring, Winding};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Levels of collections in collections that are followed: OGR's own bound, so that recursion is bounded.
const DEEPEST: usize = 32;

/// EWKB's flags of heights, of measures and of an SRID, beside the type (PostGIS, `ZMgeoms.txt`).
const HAS_Z: u32 = 0x8000_0000;
const HAS_M: u32 = 0x4000_0000;
const HAS_SRID: u32 = 0x2000_0000;

/// The geometry that `bytes` are, all of them, and the SRID that they name; without one, or with an unknown one
/// (0 or less), `None`.
///
/// Heights and measures are left out. Triangles are polygons; polyhedral surfaces and TINs are collections of them. An
/// empty point is an empty collection, and empty rings are left out.
///
/// # Errors
/// - [`crate::ErrorKind::Format`] for bytes that are not WKB, or that go on behind the geometry;
/// - [`crate::ErrorKind::Unsupported`] for curves, by name;
/// - [`crate::ErrorKind::Limit`] for more than `vertices_left` vertices.
pub fn geometry(bytes: &[u8], vertices_left: usize) -> Result<(Geometry, Option<u32>)> {
    let mut reader = Reader { rest: bytes, size: bytes.len(), vertices_left, srid: None };
    let (_, geometry) = reader.geometry(0)?;
    if !reader.rest.is_empty() {
        return Err(reader.bad(format_args!("{} bytes behind the geometry's end", reader.rest.len())));
    }
    Ok((geometry, reader.srid.and_then(|srid| u32::try_from(srid).ok()).filter(|srid| *srid > 0)))
}

/// The features of `bytes`, which are one geometry in WKB, or several written as hexadecimal digits, one a line.
///
/// They are numbered from 0. The CRS is `EPSG:n` for the SRID `n`.
///
/// # Errors
/// Those of [`geometry`], and [`crate::ErrorKind::Unsupported`] for geometries of different SRIDs.
pub fn read(bytes: &[u8], query: &Query, limits: &Limits) -> Result<Layer> {
    query.names_layer("")?;
    let mut gathering = Gathering::new("", Winding::Any, query, limits);
    let mut crs = None;
    let mut add = |fid: i64, bytes: &[u8]| {
        if !gathering.wants(fid, &[]) {
            gathering.skip();
            return Ok(());
        }
        let (geometry, srid) = geometry(bytes, gathering.vertices_left())?;
        match crs {
            None => crs = Some(srid),
            Some(before) if before == srid => {}
            Some(_) => {
                return Err(Error::unsupported("its SRID is another than that of the geometries before it"));
            }
        }
        gathering.add(Feature { fid, id: None, properties: Vec::new(), geometry })
    };
    if matches!(bytes.first(), Some(0 | 1)) {
        add(0, bytes).map_err(|error| error.at("the WKB"))?;
    } else {
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        for (fid, line) in (0..).zip(lines.filter(|line| !line.is_empty())) {
            unhex(line)
                .and_then(|bytes| add(fid, &bytes))
                .map_err(|error| error.at(format_args!("the WKB's geometry {fid}")))?;
        }
    }
    if bytes.trim_ascii().is_empty() {
        return Err(Error::format("a WKB without a geometry: it is empty"));
    }
    gathering.set_crs(crs.flatten().map(|srid| format!("EPSG:{srid}")));
    gathering.finish()
}

/// Whether `head` begins as WKB does: with a byte order, and a type that is known in it.
pub(super) fn begins(head: &[u8]) -> bool {
    let code = match head.split_first() {
        Some((0, rest)) => rest.first_chunk().map(|code| u32::from_be_bytes(*code)),
        Some((1, rest)) => rest.first_chunk().map(|code| u32::from_le_bytes(*code)),
        _ => None,
    };
    let plain = code.map(|code| code & !(HAS_Z | HAS_M | HAS_SRID));
    plain.is_some_and(|code| code / 1000 <= 3 && !matches!(Kind::of(code % 1000), Err(None)))
}

/// Whether `head` begins as hexadecimal digits of WKB.
pub(super) fn begins_in_digits(head: &[u8]) -> bool {
    head.get(..10).and_then(|digits| unhex(digits).ok()).is_some_and(|bytes| begins(&bytes))
}

fn unhex(digits: &[u8]) -> Result<Vec<u8>> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::format(format!(
            "{} hexadecimal digits, which is no number of bytes",
            digits.len()
        )));
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    pairs
        .iter()
        .map(|[high, low]| {
            let (high, low) = (nibble(*high)?, nibble(*low)?);
            u8::try_from((high << 4) | low).ok()
        })
        .collect::<Option<_>>()
        .ok_or_else(|| {
            let at = digits.iter().position(|digit| !digit.is_ascii_hexdigit()).unwrap_or(0);
            Error::format(format!("the character {at} is no hexadecimal digit"))
        })
}

/// A type of geometry, of those that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Point,
    LineString,
    Polygon,
    MultiPoint,
    MultiLineString,
    MultiPolygon,
    GeometryCollection,
    MultiCurve,
    MultiSurface,
    PolyhedralSurface,
    Tin,
    Triangle,
}

impl Kind {
    /// The type of a code without flags and thousands, or the name of one that is not read.
    fn of(code: u32) -> Result<Self, Option<&'static str>> {
        Ok(match code {
            1 => Self::Point,
            2 => Self::LineString,
            3 => Self::Polygon,
            4 => Self::MultiPoint,
            5 => Self::MultiLineString,
            6 => Self::MultiPolygon,
            7 => Self::GeometryCollection,
            11 => Self::MultiCurve,
            12 => Self::MultiSurface,
            15 => Self::PolyhedralSurface,
            16 => Self::Tin,
            17 => Self::Triangle,
            8 => return Err(Some("CircularString")),
            9 => return Err(Some("CompoundCurve")),
            10 => return Err(Some("CurvePolygon")),
            13 => return Err(Some("Curve")),
            14 => return Err(Some("Surface")),
            _ => return Err(None),
        })
    }

    /// Whether a geometry of this type may be a part of one of the type `whole`.
    fn is_part_of(self, whole: Self) -> bool {
        match whole {
            Self::MultiPoint => self == Self::Point,
            Self::MultiLineString | Self::MultiCurve => self == Self::LineString,
            Self::MultiPolygon | Self::MultiSurface | Self::PolyhedralSurface => {
                matches!(self, Self::Polygon | Self::Triangle)
            }
            Self::Tin => self == Self::Triangle,
            Self::GeometryCollection => true,
            Self::Point | Self::LineString | Self::Polygon | Self::Triangle => false,
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    size: usize,
    vertices_left: usize,
    srid: Option<i32>,
}

impl Reader<'_> {
    fn bad(&self, what: impl std::fmt::Display) -> Error {
        let at = self.size.saturating_sub(self.rest.len());
        Error::format(format!("{what}, at its byte {at} of {}", self.size))
    }

    fn u32(&mut self, is_little: bool) -> Result<u32> {
        let (bytes, rest) =
            self.rest.split_first_chunk().ok_or_else(|| self.bad("it ends in the middle of a number"))?;
        self.rest = rest;
        Ok(if is_little { u32::from_le_bytes(*bytes) } else { u32::from_be_bytes(*bytes) })
    }

    /// A count of things of at least `each` bytes.
    fn count(&mut self, is_little: bool, what: &str, each: usize) -> Result<usize> {
        let count = self.u32(is_little)?;
        let most = self.rest.len().checked_div(each).unwrap_or(0);
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= most)
            .ok_or_else(|| self.bad(format_args!("a count of {count} {what}, where at most {most} fit")))
    }

    fn geometry(&mut self, depth: usize) -> Result<(Kind, Geometry)> {
        if depth > DEEPEST {
            return Err(self.bad(format_args!("collections in collections, more than {DEEPEST} deep")));
        }
        let is_little = match self.rest.split_first() {
            Some((order @ (0 | 1), rest)) => {
                self.rest = rest;
                *order == 1
            }
            Some((order, _)) => {
                return Err(self.bad(format_args!(
                    "a byte order of {order}, which is neither 0 (big-endian) nor 1 (little-endian)"
                )));
            }
            None => return Err(self.bad("it ends where a geometry should begin")),
        };
        let code = self.u32(is_little)?;
        let plain = code & !(HAS_Z | HAS_M | HAS_SRID);
        let kind = match (plain / 1000, Kind::of(plain % 1000)) {
            (0..=3, Ok(kind)) => kind,
            (0..=3, Err(Some(name))) => {
                return Err(Error::unsupported(format!(
                    "a {name}, a type with curves, which cogclip does not read; turn it into lines first, for example with \
                     `ogr2ogr -nlt CONVERT_TO_LINEAR`"
                )));
            }
            _ => return Err(self.bad(format_args!("the unknown geometry type {code}"))),
        };
        let has_z = code & HAS_Z != 0 || matches!(plain / 1000, 1 | 3);
        let has_m = code & HAS_M != 0 || matches!(plain / 1000, 2 | 3);
        let dimensions = 2_usize.saturating_add(has_z.into()).saturating_add(has_m.into());
        if code & HAS_SRID != 0 {
            let srid = self.u32(is_little)?.cast_signed();
            if self.srid.is_some_and(|whole| whole != srid) {
                return Err(self.bad(format_args!("a part of another SRID ({srid}) than its whole")));
            }
            self.srid = Some(srid);
        }
        let geometry = match kind {
            Kind::Point => match *self.positions(is_little, dimensions, Some(1))? {
                // How OGC 12-128r19 §2.1.3 and PostGIS write an empty point
                [[x, y]] if x.is_nan() && y.is_nan() => Geometry::Collection(Vec::new()),
                [position] => Geometry::Point(position),
                _ => return Err(self.bad("a point without a position")),
            },
            Kind::LineString => Geometry::Line(self.positions(is_little, dimensions, None)?),
            Kind::Polygon | Kind::Triangle => {
                let count = self.count(is_little, "rings", 4)?;
                let mut rings = Vec::new();
                for _ in 0..count {
                    let ring = self.positions(is_little, dimensions, None)?;
                    if !ring.is_empty() {
                        rings.push(ring);
                    }
                }
                Geometry::Polygon(rings)
            }
            Kind::MultiPoint
            | Kind::MultiLineString
            | Kind::MultiPolygon
            | Kind::GeometryCollection
            | Kind::MultiCurve
            | Kind::MultiSurface
            | Kind::PolyhedralSurface
            | Kind::Tin => {
                // The least geometry has a byte order, a type and a count.
                let count = self.count(is_little, "parts", 9)?;
                let mut parts = Vec::new();
                for _ in 0..count {
                    let (part, geometry) = self.geometry(depth.saturating_add(1))?;
                    if !part.is_part_of(kind) {
                        return Err(self.bad(format_args!("a {part:?} as a part of a {kind:?}")));
                    }
                    parts.push(geometry);
                }
                Geometry::Collection(parts)
            }
        };
        Ok((kind, geometry))
    }

    /// `count` positions, or as many as the number before them says.
    fn positions(&mut self, is_little: bool, dimensions: usize, count: Option<usize>) -> Result<Ring> {
        let each = dimensions.saturating_mul(8);
        let count = match count {
            Some(count) => count,
            None => self.count(is_little, "positions", each)?,
        };
        let Some((bytes, rest)) = self.rest.split_at_checked(count.saturating_mul(each)) else {
            return Err(self.bad("it ends in the middle of a position"));
        };
        self.vertices_left = self.vertices_left.checked_sub(count).ok_or_else(|| {
            Error::limit("a geometry has more vertices than the limit of all vertices of a cutline leaves")
        })?;
        let number =
            |bytes: &[u8; 8]| if is_little { f64::from_le_bytes(*bytes) } else { f64::from_be_bytes(*bytes) };
        let positions = bytes.chunks_exact(each).filter_map(|position| {
            let (x, rest) = position.split_first_chunk()?;
            Some([number(x), number(rest.first_chunk()?)])
        });
        let positions = positions.collect();
        self.rest = rest;
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// `hex` is read as this, in the form of `Debug` with the names of collections left out, and this SRID.
    #[track_caller]
    fn check(hex: &str, expected: &str, srid: Option<u32>) {
        let (geometry, found) = geometry(&unhex(hex.as_bytes()).unwrap(), 10).unwrap();
        assert_eq!((format!("{geometry:?}").replace("Collection", ""), found), (expected.to_owned(), srid));
    }

    const POLYGON: &str = "010300000002000000040000000000000000000000000000000000000000000000000000400000000000000000000000000000004000000000000000400000000000000000000000000000000004000000000000000000E03F000000000000D03F000000000000F03F000000000000D03F000000000000F03F000000000000E03F000000000000E03F000000000000D03F";
    const COLLECTION: &str = "0107000020797F0000030000000101000000000000000000F03F0000000000000040010200000000000000010300000000000000";
    const HEIGHTS: &str = "01EE0300000100000001EB0300000100000004000000000000000000000000000000000000000000000000002240000000000000004000000000000000000000000000002240000000000000004000000000000000400000000000002240000000000000000000000000000000000000000000002240";

    #[test]
    fn what_geos_writes_is_read() {
        // shapely.to_wkb of GEOS 3.14.1: either byte order, the flavours `iso` and `extended`
        check("0101000000000000000000F03F0000000000000040", "Point([1.0, 2.0])", None);
        check("00000003E93FF000000000000040000000000000004008000000000000", "Point([1.0, 2.0])", None);
        check("0101000080000000000000F03F00000000000000400000000000000840", "Point([1.0, 2.0])", None);
        check("0101000000000000000000F87F000000000000F87F", "([])", None);
        let line = "Line([[1.0, 2.0], [5.0, 6.0]])";
        let positions = "02000000000000000000F03F000000000000004000000000000008400000000000001040000000000000144000000000000018400000000000001C400000000000002040";
        check(&format!("01BA0B0000{positions}"), line, None);
        check(&format!("01020000C0{positions}"), line, None);
        check(
            "01D207000002000000000000000000F03F00000000000000400000000000001040000000000000144000000000000018400000000000002040",
            line,
            None,
        );
        check(
            POLYGON,
            "Polygon([[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 0.0]], [[0.5, 0.25], [1.0, 0.25], [1.0, 0.5], [0.5, 0.25]]])",
            None,
        );
        check(
            "00000000040000000200000000013FF00000000000004000000000000000000000000140080000000000004010000000000000",
            "([Point([1.0, 2.0]), Point([3.0, 4.0])])",
            None,
        );
        check(HEIGHTS, "([Polygon([[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 0.0]]])])", None);
        check(COLLECTION, "([Point([1.0, 2.0]), Line([]), Polygon([])])", Some(32633));
    }

    #[test]
    fn surfaces_of_polygons_are_read_and_curves_are_named() {
        // By hand, after OGC 06-103r4 table 4: types 15, 16 and 17, ISO's with heights too
        let ring = &HEIGHTS[36..];
        let expected = "([Polygon([[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 0.0]]])])";
        check(&format!("01F70300000100000001EB030000{}{ring}", "01000000"), expected, None);
        check(&format!("01F80300000100000001F9030000{}{ring}", "01000000"), expected, None);
        for (code, name) in
            [("08", "CircularString"), ("09", "CompoundCurve"), ("0A", "CurvePolygon"), ("0E", "Surface")]
        {
            for hex in
                [format!("01{code}00000000000000"), format!("010C0000000100000001{code}00000000000000")]
            {
                let error = geometry(&unhex(hex.as_bytes()).unwrap(), 10).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }

    #[test]
    fn what_is_no_wkb_says_where() {
        #[track_caller]
        fn refused(hex: &str, kind: ErrorKind, words: &str) {
            let error = unhex(hex.as_bytes()).and_then(|bytes| geometry(&bytes, 7)).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        use ErrorKind::{Format, Limit};
        refused("", Format, "where a geometry should begin");
        refused("02", Format, "byte order of 2");
        refused("0101", Format, "middle of a number");
        refused("0101000000000000000000F03F", Format, "middle of a position");
        refused("0163000000", Format, "type 99");
        refused("01A10F0000", Format, "type 4001");
        refused(
            "0102000000FFFFFFFF",
            Format,
            "4294967295 positions, where at most 0 fit, at its byte 9 of 9",
        );
        refused("0107000000FFFFFF7F", Format, "parts");
        refused("010400000001000000010200000000000000", Format, "a LineString as a part of a MultiPoint");
        refused("0101000000000000000000F03F000000000000004000", Format, "1 bytes behind");
        refused(&"010700000001000000".repeat(40), Format, "deep");
        refused(POLYGON, Limit, "vertices");
        refused("010", Format, "3 hexadecimal digits");
        refused("01zz", Format, "character 2");
    }

    #[test]
    fn one_geometry_a_line_is_a_feature_each() {
        let limits = Limits::default();
        let read = |text: &str| read(text.as_bytes(), &Query::default(), &limits);
        let layer = read(&format!("{COLLECTION}\r\n\n{}\n", COLLECTION.to_lowercase())).unwrap();
        assert_eq!(layer.crs.as_deref(), Some("EPSG:32633"));
        assert_eq!(layer.features.iter().map(|feature| feature.fid).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(layer.features[0].geometry, layer.features[1].geometry);
        assert_eq!(read(&format!("{COLLECTION}\n{POLYGON}")).unwrap_err().kind(), ErrorKind::Unsupported);
        let query = Query { fids: [1].into(), ..Query::default() };
        let layer = super::read(format!("{COLLECTION}\n{POLYGON}").as_bytes(), &query, &limits).unwrap();
        assert_eq!((layer.crs, layer.features[0].geometry.vertices()), (None, 8));
        let nan = POLYGON.replace("E03F", "F87F");
        assert_eq!(read(&nan).unwrap_err().kind(), ErrorKind::Format);
    }

    #[test]
    fn no_truncation_or_mutation_panics() {
        let (query, limits) = (Query::default(), Limits::default());
        for hex in [POLYGON, COLLECTION, HEIGHTS] {
            let bytes = unhex(hex.as_bytes()).unwrap();
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end], &query, &limits).unwrap_err().kind(), ErrorKind::Format);
                assert_eq!(
                    read(&hex.as_bytes()[..=end], &query, &limits).unwrap_err().kind(),
                    ErrorKind::Format
                );
            }
            for place in 0..bytes.len() {
                for value in 0..=255 {
                    let mut mutated = bytes.clone();
                    mutated[place] = value;
                    drop(read(&mutated, &query, &limits));
                }
            }
        }
    }
}
