//! GDAL_METADATA (tag 42112): an XML text of items, some of them about one band.

use std::collections::HashMap;
use std::fmt::Write as _;

use roxmltree::{Document, ParsingOptions};

use crate::provenance::{self, Provenance};

/// Elements and texts of a file's metadata; beyond that it is not looked into.
const MAX_NODES: u32 = 1 << 20;

/// The text for the kept bands (from 0, in the output's order): items about other bands go, items about kept ones get
/// their new number, statistics and what tells of an earlier clip go because a clip makes them false. `None` when nothing is left.
///
/// A text that is not well-formed XML is handed on as it is when all bands are kept, and dropped otherwise: GDAL itself
/// ignores it.
#[must_use]
pub fn of_bands(text: &str, bands: &[u16], of: u16) -> Option<String> {
    let all = bands.iter().copied().eq(0..of);
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(text, options) else {
        return all.then(|| text.to_owned());
    };
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (to, band) in bands.iter().enumerate() {
        places.entry(band.to_string()).or_default().push(to);
    }
    let mut out = String::new();
    for item in document.root_element().children().filter(roxmltree::Node::is_element) {
        if item.attribute("name").is_some_and(|name| name.starts_with("STATISTICS_"))
            || provenance::is_of_domain(item.attribute("domain"))
        {
            continue;
        }
        let source = &text[item.range()];
        let Some(sample) = item.attribute_node("sample") else {
            let _ = writeln!(out, "  {source}");
            continue;
        };
        let value = sample.range_value();
        let (start, end) = (value.start - item.range().start, value.end - item.range().start);
        for to in places.get(sample.value()).into_iter().flatten() {
            let _ = writeln!(out, "  {}{to}{}", &source[..start], &source[end..]);
        }
    }
    (!out.is_empty()).then(|| format!("<GDALMetadata>\n{out}</GDALMetadata>\n"))
}

/// The text with further items, each a line. A text that does not end as it should, which GDAL ignores, gives way to them.
#[must_use]
pub fn with_items(text: Option<&str>, items: &str) -> String {
    let kept = text.and_then(|text| text.trim_end().strip_suffix("</GDALMetadata>"));
    format!("{}{items}</GDALMetadata>\n", kept.unwrap_or("<GDALMetadata>\n"))
}

/// The text with where the output comes from. What GDAL ignores, because it does not end as it should, is not touched.
#[must_use]
pub fn with_provenance(text: Option<String>, provenance: &Provenance) -> Option<String> {
    match text {
        Some(text) if !text.trim_end().ends_with("</GDALMetadata>") => Some(text),
        text => Some(with_items(text.as_deref(), &provenance.items())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<GDALMetadata>\n  <Item name=\"AUTHOR\">a &amp; b</Item>\n  <Item name=\"STATISTICS_MEAN\" \
                        sample=\"0\">3</Item>\n  <Item name=\"DESCRIPTION\" sample='1' role=\"description\">red</Item>\n\
                        </GDALMetadata>\n\0";

    #[test]
    fn items_follow_their_bands_and_statistics_go() {
        let text = TEXT.trim_end_matches('\0');
        assert_eq!(
            of_bands(text, &[2, 1, 1], 3).as_deref(),
            Some(
                "<GDALMetadata>\n  <Item name=\"AUTHOR\">a &amp; b</Item>\n  <Item name=\"DESCRIPTION\" sample='1' \
                 role=\"description\">red</Item>\n  <Item name=\"DESCRIPTION\" sample='2' \
                 role=\"description\">red</Item>\n</GDALMetadata>\n"
            )
        );
        assert_eq!(
            of_bands("<GDALMetadata><Item name='STATISTICS_MAX' sample='0'>1</Item></GDALMetadata>", &[0], 1),
            None
        );
        assert_eq!(of_bands("<not xml", &[0], 1).as_deref(), Some("<not xml"));
        assert_eq!(of_bands("<not xml", &[0], 2), None);
        let one = "<GDALMetadata>\n  <Item name=\"A\">1</Item>\n</GDALMetadata>\n";
        let more = "  <Item name=\"B\">2</Item>\n";
        let both =
            "<GDALMetadata>\n  <Item name=\"A\">1</Item>\n  <Item name=\"B\">2</Item>\n</GDALMetadata>\n";
        assert_eq!(with_items(Some(one), more), both);
        assert_eq!(with_items(None, more), format!("<GDALMetadata>\n{more}</GDALMetadata>\n"));
    }
}
