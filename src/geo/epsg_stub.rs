//! What the table of CRSs answers. To be replaced by the table itself.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::definition::{Datum, Definition};

/// Who gave a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Authority {
    Epsg,
    Esri,
}

impl Authority {
    /// Its name as it stands before codes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Epsg => "EPSG",
            Self::Esri => "ESRI",
        }
    }
}

/// What a unit of measure measures: radians or metres in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    Angle(f64),
    Length(f64),
}

/// Lines of `code TAB a TAB b TAB pm TAB names...`.
const GEOGRAPHIC: &str = include_str!("epsg_stub.tsv");

type Geographic = (HashMap<u32, (f64, f64, f64)>, HashMap<String, u32>);

fn geographic() -> &'static Geographic {
    static PARSED: OnceLock<Geographic> = OnceLock::new();
    PARSED.get_or_init(|| {
        let mut all = Geographic::default();
        for line in GEOGRAPHIC.lines() {
            let mut fields = line.split('\t');
            let code: u32 = fields.next().and_then(|f| f.parse().ok()).unwrap_or_default();
            let mut number = || fields.next().and_then(|f| f.parse().ok()).unwrap_or_default();
            all.0.insert(code, (number(), number(), number()));
            for name in fields {
                all.1.entry(folded(name)).or_insert(code);
            }
        }
        all
    })
}

/// A name as it is looked up: CH1903+ is not CH1903.
fn folded(name: &str) -> String {
    super::method::folded(&name.replace('+', "plus"))
}

/// The definition of a code.
pub(super) fn definition(authority: Authority, code: u32) -> Option<Definition> {
    if authority == Authority::Esri {
        return None;
    }
    if let Some(&(a, b, pm)) = geographic().0.get(&code) {
        let pm = if pm == 0.0 { String::new() } else { format!(" +pm={pm}") };
        let is_in_grads = matches!(code, 4807 | 4810 | 4811 | 4816 | 4819 | 4821 | 4901 | 4902);
        let unit = if is_in_grads { " +units=grad" } else { "" };
        return Some(Definition {
            proj: format!("+proj=longlat +a={a} +b={b}{pm}{unit}"),
            datum: Datum::Epsg(code),
        });
    }
    let entry = super::epsg::find(code)?;
    let crs = super::proj_string::crs(entry.proj).ok()?;
    Some(Definition { proj: crs.definition()?.proj.clone(), datum: Datum::Epsg(entry.base) })
}

/// Why a code that PROJ knows is refused.
pub(super) fn refusal(_: Authority, _: u32) -> Option<&'static str> {
    None
}

/// The geographic CRS that a name of a datum or of itself stands for.
pub(super) fn datum_by_name(name: &str) -> Option<u32> {
    geographic().1.get(&folded(name)).copied()
}

/// Semi-axes of an ellipsoid in metres.
pub(super) fn ellipsoid(code: u32) -> Option<(f64, f64)> {
    let b = |a: f64, rf: f64| (a, a - a / rf);
    Some(match code {
        7001 => b(6_377_563.396, 299.324_964_6),
        7004 => b(6_377_397.155, 299.152_812_8),
        7008 => (6_378_206.4, 6_356_583.8),
        7019 => b(6_378_137.0, 298.257_222_101),
        7022 => b(6_378_388.0, 297.0),
        7024 => b(6_378_245.0, 298.3),
        7030 => b(6_378_137.0, 298.257_223_563),
        _ => return None,
    })
}

/// Longitude of a prime meridian in degrees.
pub(super) fn prime_meridian(code: u32) -> Option<f64> {
    Some(match code {
        8901 => 0.0,
        8903 => 2.337_229_17,
        8909 => -17.666_666_666_666_668,
        _ => return None,
    })
}

/// A unit of measure.
pub(super) fn unit(code: u32) -> Option<Measure> {
    Some(match code {
        9001 => Measure::Length(1.0),
        9002 => Measure::Length(0.3048),
        9003 => Measure::Length(super::description::US_FOOT),
        9036 => Measure::Length(1000.0),
        9005 => Measure::Length(0.304_797_265_4),
        9101 => Measure::Angle(1.0),
        9102 | 9122 => Measure::Angle(1.0_f64.to_radians()),
        9105 => Measure::Angle(0.9_f64.to_radians()),
        _ => return None,
    })
}

/// Whether two geographic CRSs are on the same datum.
pub(super) fn datums_agree(a: u32, b: u32) -> bool {
    a == b
}
