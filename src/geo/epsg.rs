//! EPSG codes: PROJ strings and base CRSs, from a table that `scripts/make-epsg.py` makes from PROJ's database.
//!
//! Listed are only CRSs on datums that PROJ takes to WGS 84 without any shift, and only those that proj4rs
//! projects as PROJ does: what is not listed is refused, never put in a slightly wrong place.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

/// Lines `code TAB base TAB PROJ string`, and lines `=base TAB base` for pairs of datums between which PROJ applies
/// no shift; the first line, a comment, tells the versions of PROJ and of the EPSG database.
const TABLE: &[u8] = include_bytes!("epsg.tsv.gz");

/// One CRS of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    /// EPSG code of its geographic CRS: stands for its datum.
    pub(super) base: u32,
    /// Its PROJ string.
    pub(super) proj: &'static str,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<u32, Entry>,
    equal: HashSet<(u32, u32)>,
}

/// The entry of a code; `None` when the table lacks it.
pub(super) fn find(code: u32) -> Option<Entry> {
    table().entries.get(&code).copied()
}

/// Whether PROJ leaves coordinates as they are between the datums of two base CRSs of the table: datums that are
/// both taken to WGS 84 without a shift may still lie metres apart.
pub(super) fn datums_agree(a: u32, b: u32) -> bool {
    a == b || a == 4326 || b == 4326 || table().equal.contains(&(a.min(b), a.max(b)))
}

fn table() -> &'static Table {
    static TEXT: OnceLock<String> = OnceLock::new();
    static PARSED: OnceLock<Table> = OnceLock::new();
    PARSED.get_or_init(|| {
        let text = TEXT.get_or_init(|| {
            let mut text = String::new();
            // The bytes are our own and a test reads every line of them; were they broken, all codes were refused.
            GzDecoder::new(TABLE).read_to_string(&mut text).map(|_| text).unwrap_or_default()
        });
        let mut table = Table::default();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let (Some(first), Some(second)) = (fields.next(), fields.next()) else { continue };
            if let Some(low) = first.strip_prefix('=') {
                if let (Ok(low), Ok(high)) = (low.parse(), second.parse()) {
                    table.equal.insert((low, high));
                }
            } else if let (Ok(code), Ok(base), Some(proj)) = (first.parse(), second.parse(), fields.next()) {
                table.entries.insert(code, Entry { base, proj });
            }
        }
        table
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let mut text = String::new();
        GzDecoder::new(TABLE).read_to_string(&mut text).unwrap();
        let (codes, pairs): (Vec<_>, Vec<_>) =
            text.lines().filter(|line| !line.starts_with('#')).partition(|line| !line.starts_with('='));
        assert!(codes.len() > 3000 && pairs.len() > 100, "{} codes, {} pairs", codes.len(), pairs.len());
        assert_eq!((table().entries.len(), table().equal.len()), (codes.len(), pairs.len()));
        // GDA94 and GDA2020 share an ellipsoid and lie 1.8 m apart (Geoscience Australia's manual).
        assert!(!datums_agree(7844, 4283) && !datums_agree(4283, 7844));
        assert!(datums_agree(4326, 7844) && datums_agree(4258, 4171), "WGS 84 and GDA2020; ETRS89 and RGF93");
        assert_eq!(find(27700), None, "OSGB36 takes a shift");
    }
}
