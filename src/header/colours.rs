//! What GDAL_METADATA (tag 42112) says of single bands' colours: where it speaks, GDAL believes it rather than the TIFF's own
//! tags.

use std::collections::BTreeMap;

use roxmltree::{Document, ParsingOptions};

/// Elements and texts that are looked at.
const MAX_NODES: u32 = 1 << 20;

/// The bands, from 0, whose colour the text names (`role="colorinterp"`), and whether it is alpha. Empty for a text that is
/// no XML.
#[must_use]
pub fn named(metadata: &str) -> BTreeMap<u16, bool> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let Ok(document) = Document::parse_with_options(metadata, options) else { return BTreeMap::new() };
    let items =
        document.root_element().children().filter(|item| item.attribute("role") == Some("colorinterp"));
    items
        .filter_map(|item| {
            let band = item.attribute("sample")?.parse().ok()?;
            Some((band, item.text()?.trim().eq_ignore_ascii_case("alpha")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_named_band_by_band() {
        let text = "<GDALMetadata>\n  <Item name=\"COLORINTERP\" sample=\"0\" role=\"colorinterp\">Alpha</Item>\n  \
                    <Item name=\"COLORINTERP\" sample=\"3\" role=\"colorinterp\">Blue</Item>\n  <Item \
                    name=\"x\">Alpha</Item></GDALMetadata>";
        assert_eq!(named(text), BTreeMap::from([(0, true), (3, false)]));
        assert!(named("<no").is_empty());
    }
}
