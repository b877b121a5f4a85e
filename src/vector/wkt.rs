//! Well-known text: OGC 06-103r4 §7, and PostGIS's EWKT.

use super::{Feature, Gathering, Geometry, Layer, Query, Ring, Winding};
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Levels of collections in collections that are followed, so that recursion is bounded.
const DEEPEST: usize = 32;

/// The features of `text`, which is a geometry, or several, each on a line of its own. They are numbered from 0.
///
/// The CRS is `EPSG:n` for `SRID=n;` in front of a geometry. Heights and measures are left out. Triangles are polygons;
/// polyhedral surfaces and TINs are collections of them. An empty point is an empty collection, and empty rings are left
/// out.
///
/// # Errors
/// - [`crate::ErrorKind::Format`], with line and column, for text that is not WKT;
/// - [`crate::ErrorKind::Unsupported`] for curves, by name, and for geometries of different SRIDs;
/// - [`crate::ErrorKind::Limit`] and [`crate::ErrorKind::Usage`] as [`Gathering`] says. The caller bounds the text.
pub fn read(text: &str, query: &Query, limits: &Limits) -> Result<Layer> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    query.names_layer("")?;
    let mut gathering = Gathering::new("", Winding::Any, query, limits);
    let mut parser = Parser { whole: text, rest: text, vertices_left: 0 };
    let mut crs: Option<Option<u32>> = None;
    for fid in 0.. {
        let before = parser.rest;
        parser.rest = before.trim_start();
        let gap = before.get(..before.len().saturating_sub(parser.rest.len())).unwrap_or("");
        if parser.rest.is_empty() && fid > 0 {
            break;
        }
        if fid > 0 && !gap.contains('\n') {
            return Err(parser.bad("the end of the line, where the geometry has ended"));
        }
        // Of a geometry that is not wanted, the vertices do not count.
        let is_wanted = gathering.wants(fid, &[]);
        parser.vertices_left = if is_wanted { gathering.vertices_left() } else { usize::MAX };
        let srid = parser.srid()?;
        let (_, geometry) = parser.tagged(0)?;
        if !is_wanted {
            gathering.skip();
            continue;
        }
        match crs {
            None => crs = Some(srid),
            Some(before) if before == srid => {}
            Some(_) => {
                return Err(Error::unsupported(format!(
                    "the WKT's geometry {fid}: its SRID is another than that of the geometries before it"
                )));
            }
        }
        gathering.add(Feature { fid, id: None, properties: Vec::new(), geometry })?;
    }
    gathering.set_crs(crs.flatten().map(|srid| format!("EPSG:{srid}")));
    gathering.finish()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Point,
    LineString,
    Polygon,
    MultiPoint,
    MultiLineString,
    MultiPolygon,
    GeometryCollection,
}

/// Keywords and what they are read as; those without it have curves.
const KEYWORDS: [(&str, Option<Kind>); 19] = [
    ("POINT", Some(Kind::Point)),
    ("LINESTRING", Some(Kind::LineString)),
    ("LINEARRING", Some(Kind::LineString)),
    ("POLYGON", Some(Kind::Polygon)),
    ("TRIANGLE", Some(Kind::Polygon)),
    ("MULTIPOINT", Some(Kind::MultiPoint)),
    ("MULTILINESTRING", Some(Kind::MultiLineString)),
    ("MULTICURVE", Some(Kind::MultiLineString)),
    ("MULTIPOLYGON", Some(Kind::MultiPolygon)),
    ("MULTISURFACE", Some(Kind::MultiPolygon)),
    ("POLYHEDRALSURFACE", Some(Kind::MultiPolygon)),
    ("TIN", Some(Kind::MultiPolygon)),
    ("GEOMETRYCOLLECTION", Some(Kind::GeometryCollection)),
    ("CIRCULARSTRING", None),
    ("COMPOUNDCURVE", None),
    ("CURVEPOLYGON", None),
    ("CURVE", None),
    ("SURFACE", None),
    ("CIRCLE", None),
];

/// Whether `text` begins as WKT or EWKT does.
pub(super) fn begins(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let mut word = text.chars().take_while(char::is_ascii_alphabetic).collect::<String>();
    word.make_ascii_uppercase();
    word == "SRID" || KEYWORDS.iter().any(|(name, _)| keyword_tail(&word, name).is_some())
}

/// What follows the keyword `name` in `word`: the letters of the dimensions, if that is all that follows.
fn keyword_tail<'a>(word: &'a str, name: &str) -> Option<&'a str> {
    word.strip_prefix(name).filter(|tail| matches!(*tail, "" | "Z" | "M" | "ZM"))
}

struct Parser<'a> {
    whole: &'a str,
    rest: &'a str,
    vertices_left: usize,
}

impl<'a> Parser<'a> {
    /// An error at the place that has been reached, where `expected` should be.
    fn bad(&self, expected: &str) -> Error {
        let at = self.whole.len().saturating_sub(self.rest.len());
        let before = self.whole.get(..at).unwrap_or("");
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or("").chars().count().saturating_add(1);
        let found: String = self.rest.lines().next().unwrap_or("").chars().take(20).collect();
        let found = if found.is_empty() { "the text ends".to_owned() } else { format!("there is `{found}`") };
        Error::format(format!("the WKT, line {line} column {column}: {found}, where {expected} should be"))
    }

    /// Whether `c` comes next; it is passed.
    fn take(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.strip_prefix(c).inspect(|rest| self.rest = rest).is_some()
    }

    /// The letters that come next, which are left where they are.
    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.rest.len());
        self.rest.get(..end).unwrap_or("")
    }

    fn pass(&mut self, word: &str) {
        self.rest = self.rest.get(word.len()..).unwrap_or("");
    }

    fn take_empty(&mut self) -> bool {
        let word = self.word();
        let is_empty = word.eq_ignore_ascii_case("EMPTY");
        if is_empty {
            self.pass(word);
        }
        is_empty
    }

    /// The SRID of EWKT, if one is in front; 0 is none.
    fn srid(&mut self) -> Result<Option<u32>> {
        let word = self.word();
        if !word.eq_ignore_ascii_case("SRID") {
            return Ok(None);
        }
        self.pass(word);
        let number = self.rest.strip_prefix('=').and_then(|rest| rest.split_once(';'));
        let Some((number, rest)) = number else { return Err(self.bad("`=`, a number and `;`")) };
        let number: u32 = number.trim().parse().map_err(|cause| self.bad("a number").caused_by(cause))?;
        self.rest = rest;
        Ok(Some(number).filter(|srid| *srid > 0))
    }

    /// A geometry with its keyword.
    fn tagged(&mut self, depth: usize) -> Result<(Kind, Geometry)> {
        if depth > DEEPEST {
            return Err(self.bad(&format!("no collection, {DEEPEST} deep in others,")));
        }
        let word = self.word();
        let upper = word.to_ascii_uppercase();
        let found = KEYWORDS.iter().find_map(|(name, kind)| Some((name, kind, keyword_tail(&upper, name)?)));
        let Some((name, kind, tail)) = found else { return Err(self.bad("the keyword of a geometry")) };
        let Some(kind) = *kind else {
            return Err(Error::unsupported(format!(
                "the WKT has a {name}, a type with curves, which cogclip does not read; turn it into lines first, for \
                 example with `ogr2ogr -nlt CONVERT_TO_LINEAR`"
            )));
        };
        self.pass(word);
        let mut dimensions = tail.to_owned();
        if dimensions.is_empty() {
            let word = self.word();
            if matches!(word.to_ascii_uppercase().as_str(), "Z" | "M" | "ZM") {
                word.clone_into(&mut dimensions);
                self.pass(word);
            }
        }
        // Without a letter, the positions tell, as in the older OGC 99-049.
        let dimensions = Some(dimensions.len()).filter(|more| *more > 0).map(|more| more.saturating_add(2));
        let geometry = self.body(kind, dimensions, depth)?;
        Ok((kind, geometry))
    }

    /// What follows a keyword.
    fn body(&mut self, kind: Kind, dimensions: Option<usize>, depth: usize) -> Result<Geometry> {
        Ok(match kind {
            Kind::Point if self.take_empty() => Geometry::Collection(Vec::new()),
            Kind::Point => {
                let positions = self.positions(dimensions)?;
                match *positions {
                    [position] => Geometry::Point(position),
                    _ => return Err(self.bad("a point of one position")),
                }
            }
            Kind::LineString => Geometry::Line(self.positions(dimensions)?),
            Kind::Polygon => {
                let mut rings = self.list(|parser| parser.positions(dimensions))?;
                rings.retain(|ring| !ring.is_empty());
                Geometry::Polygon(rings)
            }
            Kind::MultiPoint => Geometry::Collection(self.list(|parser| {
                parser.rest = parser.rest.trim_start();
                if parser.rest.starts_with(['(', 'E', 'e']) {
                    parser.body(Kind::Point, dimensions, depth)
                } else {
                    parser.position(dimensions).map(Geometry::Point)
                }
            })?),
            Kind::MultiLineString | Kind::MultiPolygon => {
                let part = if kind == Kind::MultiPolygon { Kind::Polygon } else { Kind::LineString };
                Geometry::Collection(self.list(|parser| {
                    let word = parser.word();
                    if word.is_empty() || word.eq_ignore_ascii_case("EMPTY") {
                        return parser.body(part, dimensions, depth);
                    }
                    // The parts of a MULTICURVE or MULTISURFACE that are not curves may have their keyword too.
                    match parser.tagged(depth.saturating_add(1))? {
                        (kind, geometry) if kind == part => Ok(geometry),
                        _ => Err(parser.bad(&format!("a part of the type {part:?}"))),
                    }
                })?)
            }
            Kind::GeometryCollection => Geometry::Collection(
                self.list(|parser| parser.tagged(depth.saturating_add(1)).map(|(_, geometry)| geometry))?,
            ),
        })
    }

    /// `EMPTY`, or what `each` reads in parentheses, with commas between.
    fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        if self.take_empty() {
            return Ok(Vec::new());
        }
        if !self.take('(') {
            return Err(self.bad("`(` or EMPTY"));
        }
        let mut all = vec![each(self)?];
        while self.take(',') {
            all.push(each(self)?);
        }
        if self.take(')') { Ok(all) } else { Err(self.bad("`,` or `)`")) }
    }

    fn positions(&mut self, dimensions: Option<usize>) -> Result<Ring> {
        self.list(|parser| parser.position(dimensions))
    }

    fn position(&mut self, dimensions: Option<usize>) -> Result<[f64; 2]> {
        let (x, y) = (self.number()?, self.number()?);
        let mut count = 2_usize;
        while !self.rest.trim_start().starts_with([',', ')']) {
            self.number()?;
            count = count.saturating_add(1);
        }
        if dimensions.is_some_and(|dimensions| count != dimensions) || count > 4 {
            return Err(self.bad(&format!(
                "the end of a position of {} numbers, after {count}",
                dimensions.map_or("2 to 4".to_owned(), |count| count.to_string())
            )));
        }
        self.vertices_left = self.vertices_left.checked_sub(1).ok_or_else(|| {
            Error::limit("the WKT has more vertices than the limit of all vertices of a cutline leaves")
        })?;
        Ok([x, y])
    }

    fn number(&mut self) -> Result<f64> {
        self.rest = self.rest.trim_start();
        let is_end = |c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E');
        let (number, rest) = self.rest.split_at(self.rest.find(is_end).unwrap_or(self.rest.len()));
        let value: f64 = number.parse().map_err(|cause| self.bad("a number").caused_by(cause))?;
        if !value.is_finite() {
            return Err(self.bad("a number that a double can hold"));
        }
        self.rest = rest;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn read(text: &str) -> Result<Layer> {
        super::read(text, &Query::default(), &Limits { vertices: 100, ..Limits::default() })
    }

    /// `text` is read as this, in the form of `Debug` with the names of collections left out.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let layer = read(text).unwrap();
        assert_eq!(format!("{:?}", layer.features[0].geometry).replace("Collection", ""), expected, "{text}");
        assert_eq!(layer.features.len(), 1);
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        // OGC 06-103r4 table 6, and §7.2.6 for the dimensions
        check("Point (10 10)", "Point([10.0, 10.0])");
        check("LineString ( 10 10, 20 20, 30 40)", "Line([[10.0, 10.0], [20.0, 20.0], [30.0, 40.0]])");
        let ring = "[[10.0, 10.0], [10.0, 20.0], [20.0, 20.0], [20.0, 15.0], [10.0, 10.0]]";
        let polygon = "((10 10, 10 20, 20 20, 20 15, 10 10))";
        check(&format!("Polygon {polygon}"), &format!("Polygon([{ring}])"));
        check("MultiPoint ((10 10), (20 20))", "([Point([10.0, 10.0]), Point([20.0, 20.0])])");
        check("MULTIPOINT(10 10,20 20)", "([Point([10.0, 10.0]), Point([20.0, 20.0])])");
        check(
            "MultiLineString ((10 10, 20 20), (15 15, 30 15))",
            "([Line([[10.0, 10.0], [20.0, 20.0]]), Line([[15.0, 15.0], [30.0, 15.0]])])",
        );
        check(
            &format!("MultiPolygon ({polygon}, ((60 60, 70 70, 80 60, 60 60)))"),
            &format!(
                "([Polygon([{ring}]), Polygon([[[60.0, 60.0], [70.0, 70.0], [80.0, 60.0], [60.0, 60.0]]])])"
            ),
        );
        check(
            "GeometryCollection (POINT (10 10), POINT (30 30), LINESTRING (15 15, 20 20))",
            "([Point([10.0, 10.0]), Point([30.0, 30.0]), Line([[15.0, 15.0], [20.0, 20.0]])])",
        );
        check(
            "PolyhedralSurface Z (((0 0 0, 0 0 1, 0 1 1, 0 1 0, 0 0 0)))",
            "([Polygon([[[0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]])])",
        );
        check(
            "Tin Z (((0 0 0, 0 0 1, 0 1 0, 0 0 0)))",
            "([Polygon([[[0.0, 0.0], [0.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])])",
        );
        check("TRIANGLE((0 0,1 0,0 1,0 0))", "Polygon([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])");
        for text in [
            "Point Z (10 10 5)",
            "POINTZ(10 10 5)",
            "point zm(10 10 5 40)",
            "Point M (10 10 40)",
            "POINT(10 10 5)",
        ] {
            check(text, "Point([10.0, 10.0])");
        }
        check("POINT EMPTY", "([])");
        check("LINESTRING Z EMPTY", "Line([])");
        check("POLYGON (EMPTY)", "Polygon([])");
        check(
            "MULTIPOLYGON(EMPTY, ((0 0, 1 0, 0 1, 0 0)))",
            "([Polygon([]), Polygon([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])])",
        );
        check("MULTIPOINT(EMPTY,(1 2))", "([([]), Point([1.0, 2.0])])");
        check(
            "MULTICURVE ((0 0, 1 1), LINESTRING (1 2, 3 4))",
            "([Line([[0.0, 0.0], [1.0, 1.0]]), Line([[1.0, 2.0], [3.0, 4.0]])])",
        );
        check("\u{feff}POINT(\n-1.5e-3\t+.25\n)\n", "Point([-0.0015, 0.25])");
    }

    #[test]
    fn one_geometry_a_line_and_its_srid() {
        let layer = read("SRID=32633;POINT(1 2)\r\nsrid=32633; LINESTRING(1 2,\n3 4)\n\n").unwrap();
        assert_eq!((layer.crs.as_deref(), layer.features.len()), (Some("EPSG:32633"), 2));
        assert_eq!(layer.features[1].fid, 1);
        assert_eq!(read("SRID=0;POINT(1 2)").unwrap().crs, None);
        assert_eq!(read("SRID=4326;POINT(1 2)\nPOINT(1 2)").unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn errors_say_whose_fault_and_where() {
        #[track_caller]
        fn refused(text: &str, kind: ErrorKind, words: &str) {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        use ErrorKind::{Format, Limit, Unsupported};
        for name in ["CIRCULARSTRING", "COMPOUNDCURVE", "CURVEPOLYGON"] {
            refused(&format!("{name}(0 0, 1 1, 2 0)"), Unsupported, name);
            refused(&format!("MULTISURFACE({name}((0 0, 1 1, 2 0)))"), Unsupported, name);
            refused(&format!("MULTICURVE((0 0, 1 1), {name}(0 0, 1 1, 2 0))"), Unsupported, name);
        }
        refused("", Format, "the text ends");
        refused("POINT", Format, "`(` or EMPTY");
        refused("POINT(1)", Format, "a number");
        refused("POINT(1 2", Format, "a number");
        refused("POINT(1 nan)", Format, "line 1 column 9");
        refused("POINT(1 1e999)", Format, "a double can hold");
        refused("POINT Z (1 2)", Format, "3 numbers, after 2");
        refused("POINT (1 2 3 4 5)", Format, "2 to 4 numbers, after 5");
        refused("POINT (1 2, 3 4)", Format, "one position");
        refused("POLYGON((0 0, 1 1, 1 0)\n;", Format, "line 2 column 1");
        refused("POLYGON(0 0, 1 1, 1 0)", Format, "line 1 column 9: there is `0 0, 1 1, 1 0)`");
        refused("POINT(1 2) POINT(3 4)", Format, "the end of the line");
        refused("POINTS(1 2)", Format, "keyword");
        refused("SRID=x;POINT(1 2)", Format, "a number");
        refused("MULTIPOLYGON(LINESTRING(1 2, 3 4))", Format, "type Polygon");
        refused(&"GEOMETRYCOLLECTION(".repeat(100_000), Format, "deep");
        refused(&format!("LINESTRING({}0 0)", "0 0,".repeat(100)), Limit, "vertices");
    }

    #[test]
    fn no_truncation_or_mutation_panics() {
        let text = "SRID=4326;GEOMETRYCOLLECTION Z(MULTIPOINT((1 2 3),EMPTY),MULTIPOLYGON(((0 0 1,1 0 1,0 1e1 1,0 0 1)),EMPTY))";
        assert!(read(text).is_ok());
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]).unwrap_err().kind(), ErrorKind::Format);
        }
        for place in 0..text.len() {
            for byte in 0..128 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[place] = byte;
                drop(read(std::str::from_utf8(&bytes).unwrap()));
            }
        }
    }
}
