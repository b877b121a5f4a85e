//! Codes of EPSG and ESRI: CRSs, datums, ellipsoids, meridians, units and datum operations, from a table that
//! `scripts/make-crs-table.py` makes from PROJ's database and describes line by line.
//!
//! What is not listed, or listed as refused, is never put in a slightly wrong place: it cannot be projected.

use std::collections::HashMap;
use std::fmt;
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

use super::definition::{Datum, Definition};

/// The table; its first line tells the versions of PROJ, EPSG and ESRI.
const TABLE: &[u8] = include_bytes!("crs-table.tsv.gz");

/// Bases from here on have numbers of the table's own: they are like EPSG's, but PROJ sorts their operations otherwise.
const OWN_NUMBERS: u32 = 1_000_000;

/// Who gave a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authority {
    /// The EPSG dataset of the IOGP.
    Epsg,
    /// ESRI's codes, where EPSG has none.
    Esri,
}

impl Authority {
    /// Its name as it stands before codes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Epsg => "EPSG",
            Self::Esri => "ESRI",
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a unit of measure measures: radians or metres in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// An angle, in radians.
    Angle(f64),
    /// A length, in metres.
    Length(f64),
}

/// A CRS of the table: geographic 2D, projected, or the horizontal part of a compound one.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What places coordinates. Its datum is always [`Datum::Epsg`].
    pub definition: Definition,
    /// Its name in the authority's database.
    pub name: &'static str,
}

/// An ellipsoid of revolution, in metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ellipsoid {
    /// Semi-major axis.
    pub a: f64,
    /// Semi-minor axis.
    pub b: f64,
    /// Inverse flattening, where that is what defines it; `None` for spheres and where `b` does.
    pub inverse_flattening: Option<f64>,
}

impl Ellipsoid {
    /// As parameters of a PROJ string: `+a=6378137 +rf=298.257223563`, or `+a= +b=`.
    #[must_use]
    pub fn proj(&self) -> String {
        match self.inverse_flattening {
            Some(rf) => format!("+a={} +rf={rf}", self.a),
            None => format!("+a={} +b={}", self.a, self.b),
        }
    }

    /// Whether both axes are alike within a millimetre.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.a - other.a).abs() < 1e-3 && (self.b - other.b).abs() < 1e-3
    }

    /// Whether it is a sphere.
    #[must_use]
    pub fn is_sphere(&self) -> bool {
        (self.a - self.b).abs() < 1e-3
    }
}

/// A geographic 2D CRS, which stands for its datum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Base {
    /// Who gave its code. No code is given by both.
    pub(super) authority: Authority,
    /// Bases with the same number are on the same datum, down to its meridian.
    pub(super) datum: u32,
    /// Its ellipsoid.
    pub(super) ellipsoid: Ellipsoid,
    /// Degrees of its prime meridian east of Greenwich.
    pub(super) meridian: f64,
    /// PROJ's name of its unit; empty for degrees.
    unit: &'static str,
    /// Its name.
    pub(super) name: &'static str,
}

#[derive(Clone, Copy, Debug)]
struct Projected {
    base: u32,
    name: &'static str,
    proj: &'static str,
}

#[derive(Debug, Default)]
struct Table {
    ellipsoids: Vec<Ellipsoid>,
    ellipsoid_codes: HashMap<u32, usize>,
    meridians: HashMap<u32, f64>,
    units: HashMap<u32, f64>,
    bases: HashMap<u32, Base>,
    /// The lines of names: read when a name is asked for.
    names: &'static str,
    /// The lines of the operations from the base of the first code to that of the second.
    operations: HashMap<(u32, u32), &'static str>,
    /// By authority and ascending code: the line from the base on, read when the code is asked for.
    projected: [Vec<(u32, &'static str)>; 2],
    horizontals: HashMap<(Authority, u32), u32>,
    refused: HashMap<(Authority, u32), &'static str>,
}

/// The CRS of a code; `None` when the table lacks or refuses it. For a compound CRS it is its horizontal part.
#[must_use]
pub fn find(authority: Authority, code: u32) -> Option<Entry> {
    let table = table();
    let code = table.horizontals.get(&(authority, code)).copied().unwrap_or(code);
    // A geographic CRS stays in the table for its name even so.
    if table.refused.contains_key(&(authority, code)) {
        return None;
    }
    if let Some(row) = table.projected(authority, code).and_then(Projected::parse) {
        let base = table.bases.get(&row.base)?;
        let mut proj = String::from("+proj=");
        let mut tokens = row.proj.split(' ');
        proj.push_str(tokens.next()?);
        let mut has_ellipsoid = false;
        for token in tokens {
            has_ellipsoid |= ["a=", "R=", "ellps="].iter().any(|name| token.starts_with(name));
            proj.push_str(" +");
            proj.push_str(token);
        }
        if !has_ellipsoid {
            proj.push(' ');
            proj.push_str(&base.ellipsoid.proj());
        }
        if base.meridian != 0.0 {
            proj.push_str(" +pm=");
            proj.push_str(&base.meridian.to_string());
        }
        return Some(Entry { definition: Definition { proj, datum: Datum::Epsg(row.base) }, name: row.name });
    }
    let base = table.bases.get(&code).filter(|base| base.authority == authority && code < OWN_NUMBERS)?;
    Some(Entry { definition: Definition { proj: base.proj(), datum: Datum::Epsg(code) }, name: base.name })
}

/// The definition of a code, as in [`find`].
pub(super) fn definition(authority: Authority, code: u32) -> Option<Definition> {
    find(authority, code).map(|entry| entry.definition)
}

/// Why a code that PROJ knows is refused; `None` for codes that are not refused, or not known.
#[must_use]
pub fn refusal(authority: Authority, code: u32) -> Option<&'static str> {
    let table = table();
    let code = table.horizontals.get(&(authority, code)).copied().unwrap_or(code);
    table.refused.get(&(authority, code)).copied()
}

/// The code of the geographic 2D CRS that stands for a datum, by the name of the datum or of a geographic CRS: EPSG's,
/// its aliases, ESRI's `D_North_American_1927` or `GCS_North_American_1927`, WKT 1's `OSGB_1936`. Case, spaces,
/// underscores, other signs and accents do not count.
#[must_use]
pub fn datum_by_name(name: &str) -> Option<u32> {
    // No name of the table is that long.
    if name.len() > 300 {
        return None;
    }
    names().get(normal_name(name).as_str()).copied()
}

/// The ellipsoid of an EPSG code (7xxx).
#[must_use]
pub fn ellipsoid(code: u32) -> Option<Ellipsoid> {
    let table = table();
    table.ellipsoid_codes.get(&code).and_then(|index| table.ellipsoids.get(*index)).copied()
}

/// Degrees east of Greenwich of the prime meridian of an EPSG code (89xx), as PROJ rounds them.
#[must_use]
pub fn prime_meridian(code: u32) -> Option<f64> {
    table().meridians.get(&code).copied()
}

/// The linear or angular unit of an EPSG code (9xxx). Sexagesimal ones are no factors and
/// are not listed.
#[must_use]
pub fn unit(code: u32) -> Option<Measure> {
    let factor = table().units.get(&code).copied()?;
    // EPSG numbers its angular units so.
    Some(if (9101..9200).contains(&code) { Measure::Angle(factor) } else { Measure::Length(factor) })
}

/// The versions of PROJ, EPSG and ESRI that the table is made from, as one line.
#[must_use]
pub fn version() -> &'static str {
    text().lines().next().unwrap_or_default().trim_start_matches("# ")
}

/// Whether two geographic CRSs are on the same datum.
pub(super) fn is_same_datum(one: u32, other: u32) -> bool {
    one == other || base(one).zip(base(other)).is_some_and(|(one, other)| one.datum == other.datum)
}

/// The geographic CRS of a code of either authority.
pub(super) fn base(code: u32) -> Option<&'static Base> {
    table().bases.get(&code)
}

/// The lines of the operations from one base to another, in PROJ's order; `None` when PROJ has none without a grid, or
/// has them the other way round.
pub(super) fn operations(from: u32, to: u32) -> Option<&'static str> {
    table().operations.get(&(from, to)).copied()
}

/// The table's ellipsoid of a number: operations refer to them.
pub(super) fn numbered_ellipsoid(number: usize) -> Option<Ellipsoid> {
    table().ellipsoids.get(number).copied()
}

/// Lower case, without accents, without any sign but letters, digits and the plus of CH1903+, without a leading `D_` or `GCS_` and without the
/// word `ensemble` at the end.
fn normal_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' | '_' | ' ' | '+' => plain.push(letter),
            'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => plain.push('a'),
            'ç' => plain.push('c'),
            'è' | 'é' | 'ê' | 'ë' => plain.push('e'),
            'ì' | 'í' | 'î' | 'ï' => plain.push('i'),
            'ñ' => plain.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ö' => plain.push('o'),
            'ù' | 'ú' | 'û' | 'ü' => plain.push('u'),
            'ý' | 'ÿ' => plain.push('y'),
            _ => {}
        }
    }
    let plain = plain.strip_prefix("d_").or_else(|| plain.strip_prefix("gcs_")).unwrap_or(&plain);
    let joined = plain.replace(['_', ' '], "");
    joined.strip_suffix("ensemble").map(str::to_owned).unwrap_or(joined)
}

impl Base {
    fn proj(&self) -> String {
        let mut proj = format!("+proj=longlat {}", self.ellipsoid.proj());
        if self.meridian != 0.0 {
            proj.push_str(" +pm=");
            proj.push_str(&self.meridian.to_string());
        }
        if !self.unit.is_empty() {
            proj.push_str(" +units=");
            proj.push_str(self.unit);
        }
        proj
    }
}

fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        // The length is in the last four bytes (RFC 1952 §2.3.1).
        let length = TABLE.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
        let mut text = String::with_capacity(length + 1);
        // The bytes are our own and a test reads every line of them; were they broken, all codes were refused.
        GzDecoder::new(TABLE).read_to_string(&mut text).map(|_| text).unwrap_or_default()
    })
}

/// Reads the table, so that whoever needs it next need not wait: some milliseconds. To be called on a thread that may be busy.
pub(crate) fn prepare() {
    table();
}

fn table() -> &'static Table {
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| Table::parse(text()).0)
}

/// The codes of geographic CRSs by the names of their datums.
fn names() -> &'static HashMap<&'static str, u32> {
    static PARSED: OnceLock<HashMap<&'static str, u32>> = OnceLock::new();
    PARSED.get_or_init(|| table().names.lines().filter_map(name).collect())
}

/// A line of a name.
fn name(line: &'static str) -> Option<(&'static str, u32)> {
    let (code, name) = line.strip_prefix("N\t")?.split_once('\t')?;
    Some((name.split('\t').next()?, code.parse().ok()?))
}

impl Projected {
    /// Its line, from the base on.
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        Some(Self { base: fields.next()?.parse().ok()?, name: fields.next()?, proj: fields.next()? })
    }
}

impl Table {
    fn projected(&self, authority: Authority, code: u32) -> Option<&'static str> {
        let [epsg, esri] = &self.projected;
        let rows = if authority == Authority::Epsg { epsg } else { esri };
        let place = rows.binary_search_by_key(&code, |(code, _)| *code).ok()?;
        rows.get(place).map(|(_, line)| *line)
    }

    /// The table, and how many of its lines could not be read.
    fn parse(text: &'static str) -> (Self, usize) {
        let mut parser = Parser { table: Self::default(), kind: "", last: 0, block: None, names: None, text };
        let mut unread = 0;
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            if parser.line(line.trim_end_matches('\n'), offset).is_none() {
                unread += 1;
            }
            offset += line.len();
        }
        parser.end_block(offset);
        (parser.table, unread)
    }
}

struct Parser {
    table: Table,
    /// Of the line before, and its code.
    kind: &'static str,
    last: u32,
    /// The pair whose operations are being read, and where they start in the text.
    block: Option<((u32, u32), usize)>,
    /// Where the names start.
    names: Option<usize>,
    text: &'static str,
}

impl Parser {
    fn end_block(&mut self, offset: usize) {
        if let Some((pair, start)) = self.block.take() {
            self.table.operations.insert(pair, self.text.get(start..offset).unwrap_or_default());
        }
    }

    fn code(&mut self, kind: &'static str, difference: &str) -> Option<u32> {
        let start = if kind == self.kind { self.last } else { 0 };
        self.kind = kind;
        self.last = start + difference.parse::<u32>().ok()?;
        Some(self.last)
    }

    fn line(&mut self, line: &'static str, offset: usize) -> Option<()> {
        // Most lines, read when they are needed.
        if line.starts_with('o') {
            return Some(());
        }
        if line.starts_with('N') {
            let start = *self.names.get_or_insert(offset);
            self.table.names = self.text.get(start..offset + line.len())?;
            return Some(());
        }
        let (kind, rest) = line.split_once('\t').unwrap_or((line, ""));
        self.end_block(offset);
        let mut fields = rest.split('\t');
        let authority = if kind.starts_with(|letter: char| letter.is_ascii_lowercase()) {
            Authority::Esri
        } else {
            Authority::Epsg
        };
        match kind {
            "E" => {
                let a = fields.next()?.parse().ok()?;
                let shape = fields.next()?;
                let ellipsoid = if let Some(b) = shape.strip_prefix('=') {
                    Ellipsoid { a, b: b.parse().ok()?, inverse_flattening: None }
                } else {
                    match shape.parse::<f64>().ok()? {
                        0.0 => Ellipsoid { a, b: a, inverse_flattening: None },
                        rf => Ellipsoid { a, b: a - a / rf, inverse_flattening: Some(rf) },
                    }
                };
                for code in fields.next()?.split(',').filter(|code| !code.is_empty()) {
                    self.table.ellipsoid_codes.insert(code.parse().ok()?, self.table.ellipsoids.len());
                }
                self.table.ellipsoids.push(ellipsoid);
            }
            "M" | "U" => {
                let code = fields.next()?.parse().ok()?;
                let value = fields.next()?.parse().ok()?;
                let into = if kind == "M" { &mut self.table.meridians } else { &mut self.table.units };
                into.insert(code, value);
            }
            "B" | "b" => {
                let code = self.code(kind, fields.next()?)?;
                let datum = fields.next()?.parse().ok()?;
                let ellipsoid = *self.table.ellipsoids.get(fields.next()?.parse::<usize>().ok()?)?;
                let meridian = match fields.next()? {
                    "" => 0.0,
                    degrees => degrees.parse().ok()?,
                };
                let (unit, name) = (fields.next()?, fields.next()?);
                let base = Base { authority, datum, ellipsoid, meridian, unit, name };
                self.table.bases.insert(code, base);
            }
            "W" => {
                let number = fields.next()?.parse().ok()?;
                let base = *self.table.bases.get(&fields.next()?.parse().ok()?)?;
                self.table.bases.insert(number, base);
            }
            "O" => {
                let pair = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
                self.block = Some((pair, offset + line.len() + 1));
            }
            "P" | "p" => {
                let (difference, row) = rest.split_once('\t')?;
                let code = self.code(kind, difference)?;
                let [epsg, esri] = &mut self.table.projected;
                let rows = if authority == Authority::Epsg { epsg } else { esri };
                rows.push((code, row));
            }
            "V" | "v" => {
                let code = self.code(kind, fields.next()?)?;
                self.table.horizontals.insert((authority, code), fields.next()?.parse().ok()?);
            }
            "X" | "x" => {
                let reason = fields.next()?;
                for code in fields.next()?.split(',') {
                    self.table.refused.insert((authority, code.parse().ok()?), reason);
                }
            }
            _ => return line.starts_with('#').then_some(()),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let (table, unread) = Table::parse(text());
        assert_eq!(unread, 0);
        let codes = table.projected.iter().map(Vec::len).sum::<usize>() + table.bases.len();
        assert!(
            codes > 8800 && table.operations.len() > 1000,
            "{codes} codes, {} pairs",
            table.operations.len()
        );
        assert!(TABLE.len() <= 250 * 1024, "{} bytes", TABLE.len());
        // No code stands for two datums.
        for rows in &table.projected {
            assert!(rows.is_sorted_by(|(one, _), (other, _)| one < other));
            for (code, line) in rows {
                let row = Projected::parse(line).unwrap();
                assert!(table.bases.contains_key(&row.base), "{code}");
            }
        }
        assert!(table.names.lines().count() > 2000 && table.names.lines().all(|line| name(line).is_some()));
        for (from, to) in table.operations.keys() {
            assert!(table.bases.contains_key(from) && table.bases.contains_key(to), "{from} {to}");
        }
        assert!(version().contains("EPSG v12"), "{}", version());
    }

    /// Expected: the EPSG dataset, by PROJ's projinfo.
    #[test]
    fn codes_are_what_their_authorities_say() {
        #[track_caller]
        fn check(authority: Authority, code: u32, name: &str, proj: &str, datum: u32) {
            let entry = find(authority, code).unwrap();
            let expected = Definition { proj: proj.to_owned(), datum: Datum::Epsg(datum) };
            assert_eq!((entry.name, entry.definition), (name, expected));
        }
        check(
            Authority::Epsg,
            27700,
            "OSGB36 / British National Grid",
            "+proj=tmerc +lat_0=49 +lon_0=-2 +k=0.9996012717 +x_0=400000 +y_0=-100000 +a=6377563.396 +rf=299.3249646",
            4277,
        );
        check(
            Authority::Epsg,
            3857,
            "WGS 84 / Pseudo-Mercator",
            "+proj=merc +a=6378137 +b=6378137 +lat_ts=0",
            4326,
        );
        // Grads from Paris, on an ellipsoid of two axes
        check(
            Authority::Epsg,
            4807,
            "NTF (Paris)",
            "+proj=longlat +a=6378249.2 +b=6356515 +pm=2.33722916666667 +units=grad",
            4807,
        );
        // The horizontal part of RGF93 v1 / Lambert-93 + NGF-IGN69 height
        assert_eq!(find(Authority::Epsg, 5698), find(Authority::Epsg, 2154));
        assert!(find(Authority::Esri, 102_001).is_some() && find(Authority::Epsg, 102_001).is_none());
        assert!(find(Authority::Epsg, 5773).is_none(), "a vertical CRS");
        assert!(find(Authority::Epsg, 4978).is_none(), "a geocentric CRS");
        assert!(refusal(Authority::Epsg, 5017).is_some() && find(Authority::Epsg, 5017).is_none());
        assert!(refusal(Authority::Epsg, 4326).is_none());
        assert!(refusal(Authority::Esri, 104_186).is_some() && find(Authority::Esri, 104_186).is_none());
    }

    #[test]
    fn datums_are_found_by_any_of_their_names() {
        for (name, code) in [
            ("WGS 84", 4326),
            ("WGS_1984", 4326),
            ("D_WGS_1984", 4326),
            ("GCS_WGS_1984", 4326),
            ("World Geodetic System 1984 ensemble", 4326),
            ("D_North_American_1927", 4267),
            ("GCS_North_American_1927", 4267),
            ("North American Datum 1983", 4269),
            ("North_American_Datum_1983", 4269),
            ("OSGB_1936", 4277),
            ("Ordnance Survey of Great Britain 1936", 4277),
            ("European_Terrestrial_Reference_System_1989", 4258),
            ("Deutsches_Hauptdreiecksnetz", 4314),
            ("Réseau Géodésique Français 1993 v1", 4171),
            ("Amersfoort", 4289),
            ("CH1903+", 4150),
        ] {
            assert_eq!(datum_by_name(name), Some(code), "{name}");
        }
        assert_eq!((datum_by_name(""), datum_by_name("unknown")), (None, None));
        assert_eq!(datum_by_name(&"x".repeat(10_000_000)), None);
    }

    #[test]
    fn ellipsoids_meridians_and_units_have_codes() {
        let bessel = ellipsoid(7004).unwrap();
        assert_eq!((bessel.a, bessel.inverse_flattening), (6_377_397.155, Some(299.152_812_8)));
        assert_eq!(ellipsoid(7011).unwrap().proj(), "+a=6378249.2 +b=6356515");
        assert_eq!(prime_meridian(8901), Some(0.0));
        assert!((prime_meridian(8903).unwrap() - 2.337_229_17).abs() < 1e-8);
        assert_eq!((unit(9001), unit(9002)), (Some(Measure::Length(1.0)), Some(Measure::Length(0.3048))));
        for (code, degrees) in [(9102, 1.0_f64), (9105, 0.9)] {
            let Some(Measure::Angle(radians)) = unit(code) else { panic!("{code} is no angle") };
            assert!((radians - degrees.to_radians()).abs() < 1e-15, "{code}");
        }
        assert_eq!((ellipsoid(1), prime_meridian(1), unit(1)), (None, None, None));
    }
}
