//! What becomes of a source's tags: one table, from which the behaviour follows. docs/tags.md is the same table as a
//! text; a test compares them.

use std::fmt;

use crate::tiff::code::{ByteOrder, FieldType, Photometric, tag};
use crate::tiff::write::Fields;
use crate::tiff::{Field, Ifd, Value};
use Fate::{Dropped, InOrder, Kept, Remade, WithBands, WithColour};

pub use super::tag_table::TABLE;

/// What becomes of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Handed on as it is.
    Kept,
    /// Handed on as long as the photometric interpretation is the source's.
    WithColour,
    /// Handed on as long as the bands are the source's, in its order.
    WithBands,
    /// Handed on if the source has the output's byte order.
    InOrder,
    /// Made anew, if the clip has it at all.
    Remade,
    /// Not in the output.
    Dropped,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kept => "kept",
            WithColour => "kept with its colours",
            WithBands => "kept with all bands",
            InOrder => "kept if little-endian",
            Remade => "recomputed",
            Dropped => "dropped",
        })
    }
}

/// A row of the table: the tag, what becomes of it, and why.
#[derive(Clone, Copy, Debug)]
pub struct Row(pub u16, pub Fate, pub &'static str);

/// The first of the private tags (TIFF 6.0 §8). Those that the table does not know are their owners' custom tags.
pub const PRIVATE: u16 = 32768;

/// What becomes of a tag of this type.
#[must_use]
pub fn fate(tag: u16, kind: FieldType) -> Fate {
    match TABLE.binary_search_by_key(&tag, |row| row.0) {
        Ok(at) => TABLE.get(at).map_or(Dropped, |row| row.1),
        // What points into the source's file points to something else in the clip's.
        Err(_) if tag >= PRIVATE && !matches!(kind, FieldType::Ifd | FieldType::Ifd8) => Kept,
        Err(_) => Dropped,
    }
}

/// Splits an image's directory into the fields that are handed on, and the tags that are neither handed on nor made
/// anew. `from` and `to` are its photometric interpretation as stored and as read.
#[must_use]
pub fn split(ifd: &Ifd, order: ByteOrder, from: Photometric, to: Photometric) -> (Fields, Vec<u16>) {
    let (mut kept, mut dropped) = (Fields::new(), Vec::new());
    for (&tag, field) in &ifd.fields {
        let Field::Value(value) = field else { continue };
        let keep = match fate(tag, value.kind) {
            Remade => continue,
            Dropped => false,
            Kept => tag != tag::IMAGE_DESCRIPTION || !describes_the_file(value),
            WithBands => true,
            WithColour => same_colours(tag, from, to),
            InOrder => order == ByteOrder::Little,
        };
        if keep {
            kept.insert(tag, narrowed(value));
        } else {
            dropped.push(tag);
        }
    }
    (kept, dropped)
}

/// Whether an entry of an EXIF or GPS directory is handed on.
#[must_use]
pub fn keeps_nested(tag: u16, kind: FieldType, order: ByteOrder) -> bool {
    // Tags of these directories are numbers of their own below the private ones: GPS has 0 to 31.
    let known = tag >= PRIVATE || TABLE.binary_search_by_key(&tag, |row| row.0).is_ok();
    match fate(tag, kind) {
        _ if matches!(kind, FieldType::Ifd | FieldType::Ifd8) => false,
        _ if !known => true,
        Kept => true,
        InOrder => order == ByteOrder::Little,
        WithColour | WithBands | Remade | Dropped => false,
    }
}

/// The kept fields of a clip with these colours, of all bands in the source's order or not.
pub fn retain(fields: &mut Fields, from: Photometric, to: Photometric, all_bands: bool) {
    fields.retain(|&tag, value| match fate(tag, value.kind) {
        WithColour => same_colours(tag, from, to),
        WithBands => all_bands,
        Kept | InOrder | Remade | Dropped => true,
    });
}

/// Whether what a tag says of colours holds after the change. Profiles and primaries of YCbCr are those of the red, green
/// and blue that it is made of.
fn same_colours(tag: u16, from: Photometric, to: Photometric) -> bool {
    let decoded = (from, to) == (Photometric::YCbCr, Photometric::Rgb);
    from == to || (decoded && tag != tag::REFERENCE_BLACK_WHITE)
}

/// Whether an ImageDescription tells which images of which sizes stand where in the file. OME-XML, Leica's SCN and ImageJ
/// write such, and their readers believe it more than the directories. (tifffile's `{"shape": …}` is believed by tifffile only where
/// the directories agree.)
#[must_use]
pub fn describes_the_file(value: &Value) -> bool {
    let start = value.bytes.get(..value.bytes.len().min(4096)).unwrap_or_default();
    let holds = |what: &str| start.windows(what.len()).any(|part| part == what.as_bytes());
    start.starts_with(b"ImageJ=")
        || (start.trim_ascii_start().starts_with(b"<")
            && ["<OME ", "<OME:OME ", "<ome:OME ", "<scn "].into_iter().any(holds))
}

/// LONG8 as LONG where the values allow: only a BigTIFF may hold LONG8, and the clip may be none.
pub(super) fn narrowed(value: &Value) -> Value {
    let numbers = (value.kind == FieldType::Long8).then(|| value.u64s()).flatten();
    let longs: Option<Vec<u32>> =
        numbers.and_then(|numbers| numbers.into_iter().map(|number| u32::try_from(number).ok()).collect());
    longs.map_or_else(|| value.clone(), |longs| Value::longs(&longs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ifd(fields: Vec<(u16, Value)>) -> Ifd {
        let fields = fields.into_iter().map(|(tag, value)| (tag, Field::Value(value))).collect();
        Ifd { number: 0, offset: 8, fields }
    }

    #[test]
    fn the_table_is_in_order_and_every_tag_has_a_name() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0), "the rows are searched by halving");
        for row in TABLE {
            assert!(tag::name(row.0).is_some(), "{}", row.0);
        }
    }

    #[test]
    fn the_document_is_this_table() {
        let rows: Vec<String> = TABLE
            .iter()
            .map(|&Row(tag, fate, why)| format!("| {tag} | {} | {fate} | {why} |", tag::name(tag).unwrap()))
            .collect();
        let text = include_str!("../../docs/tags.md");
        let found: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
            .collect();
        for (found, row) in found.iter().zip(&rows) {
            assert_eq!(found, row);
        }
        assert_eq!(found.len(), rows.len());
    }

    #[test]
    fn what_stays_true_is_kept() {
        let long = || Value::longs(&[7]);
        let pointer = Value { kind: FieldType::Ifd, ..long() };
        let source = ifd(vec![
            (tag::ARTIST, Value::ascii("a")),
            (tag::PAGE_NUMBER, Value::shorts(&[3, 9])),
            (tag::ICC_PROFILE, long()),
            (tag::REFERENCE_BLACK_WHITE, long()),
            (tag::OECF, long()),
            (tag::LERC_PARAMETERS, long()),
            (tag::GDAL_NODATA, Value::ascii("0")),
            // Nobody's: reserved, private, private and a pointer.
            (20000, long()),
            (60000, long()),
            (60001, pointer),
            (60002, Value::long8s(&[7])),
            (60003, Value::long8s(&[1 << 40])),
        ]);
        let tags = |fields: &Fields| fields.keys().copied().collect::<Vec<_>>();
        let (rgb, cmyk) = (Photometric::Rgb, Photometric::Separated);
        let (mut kept, dropped) = split(&source, ByteOrder::Little, rgb, rgb);
        let with_colour = [tag::REFERENCE_BLACK_WHITE, tag::ICC_PROFILE];
        assert_eq!(
            tags(&kept),
            [tag::ARTIST, with_colour[0], with_colour[1], tag::OECF, 60000, 60002, 60003]
        );
        assert_eq!(dropped, [tag::PAGE_NUMBER, 20000, 60001]);
        assert_eq!((kept[&60002].kind, kept[&60003].kind), (FieldType::Long, FieldType::Long8));
        retain(&mut kept, rgb, Photometric::BlackIsZero, true);
        assert_eq!(tags(&kept), [tag::ARTIST, tag::OECF, 60000, 60002, 60003]);
        let (kept, _) = split(&source, ByteOrder::Big, cmyk, rgb);
        assert_eq!(tags(&kept), [tag::ARTIST, 60000, 60002, 60003]);
        let (kept, _) = split(&source, ByteOrder::Big, Photometric::YCbCr, rgb);
        assert!(kept.contains_key(&tag::ICC_PROFILE) && !kept.contains_key(&tag::REFERENCE_BLACK_WHITE));
    }

    #[test]
    fn an_account_of_the_file_is_dropped_and_a_description_is_not() {
        for (text, account) in [
            ("a field", false),
            ("<svg>in a field</svg>", false),
            ("about <OME and others", false),
            ("<?xml version=\"1.0\"?><OME xmlns=\"x\">", true),
            ("<scn xmlns=\"x\">", true),
            ("ImageJ=1.11a\nimages=3\n", true),
            ("{\"shape\": [3, 4]}", false),
        ] {
            assert_eq!(describes_the_file(&Value::ascii(text)), account, "{text}");
            let (kept, _) = split(
                &ifd(vec![(tag::IMAGE_DESCRIPTION, Value::ascii(text))]),
                ByteOrder::Little,
                Photometric::Rgb,
                Photometric::Rgb,
            );
            assert_eq!(kept.is_empty(), account, "{text}");
        }
    }
}
