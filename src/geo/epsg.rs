//! EPSG codes: PROJ strings and base CRSs, from a table that `scripts/make-epsg.py` makes from PROJ's database.
//!
//! Listed are only CRSs on datums that PROJ takes to WGS 84 without any shift, and only those that proj4rs
//! projects as PROJ does: what is not listed is refused, never put in a slightly wrong place.

/// Lines `code TAB base TAB PROJ string`, sorted by code, and lines `!base TAB base` for pairs of datums between
/// which PROJ does apply a shift; `#` starts a comment.
const TABLE: &str = include_str!("epsg.tsv");

/// One CRS of the table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// EPSG code of its geographic CRS: stands for its datum.
    pub(super) base: u32,
    /// Its PROJ string.
    pub(super) proj: String,
}

/// The entry of a code; `None` when the table lacks it.
pub(super) fn find(code: u32) -> Option<Entry> {
    let wanted = code.to_string();
    TABLE.lines().find_map(|line| {
        let mut fields = line.split('\t');
        if fields.next()? != wanted {
            return None;
        }
        Some(Entry { base: fields.next()?.parse().ok()?, proj: fields.next()?.to_owned() })
    })
}

/// Whether PROJ moves coordinates between the datums of two base CRSs, so that taking them as equal, as proj4rs
/// would, puts them in the wrong place.
pub(super) fn datums_differ(a: u32, b: u32) -> bool {
    let (low, high) = (a.min(b), a.max(b));
    let wanted = format!("!{low}\t{high}");
    TABLE.lines().any(|line| line == wanted)
}
