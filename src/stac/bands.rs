//! What GDAL_METADATA says of the output and of its bands: descriptions, scales, offsets, units.

use std::collections::BTreeMap;

use roxmltree::{Document, ParsingOptions};

use crate::encode::metadata;
use crate::header::Header;
use crate::plan::Plan;

/// Elements and texts that are looked at.
const MAX_NODES: u32 = 1 << 20;

/// What is said of one band.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Band {
    pub(super) description: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) scale: Option<f64>,
    pub(super) offset: Option<f64>,
}

/// What the output's GDAL_METADATA says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Of a band, from 0.
    pub(super) bands: BTreeMap<usize, Band>,
    /// Of the whole raster: names and texts.
    pub(super) items: BTreeMap<String, String>,
}

impl Said {
    /// Of an output; nothing when the text is no XML.
    pub(super) fn of(header: &Header, plan: &Plan) -> Self {
        let kept =
            header.metadata.as_ref().and_then(|text| metadata::of_bands(text, &plan.bands, header.bands));
        let text = match &plan.coverage {
            Some(coverage) => Some(metadata::with_items(kept.as_deref(), &coverage.items())),
            None => kept,
        };
        text.map(|text| Self::read(&text)).unwrap_or_default()
    }

    fn read(text: &str) -> Self {
        let options =
            ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
        let mut said = Self::default();
        let Ok(document) = Document::parse_with_options(text.trim_end_matches('\0'), options) else {
            return said;
        };
        for item in document.root_element().children().filter(roxmltree::Node::is_element) {
            let (Some(name), Some(text)) = (item.attribute("name"), item.text()) else { continue };
            let text = unescaped(text);
            let sample = item.attribute("sample").and_then(|sample| sample.parse().ok());
            let Some(sample) = sample else {
                if item.attribute("sample").is_none() {
                    said.items.insert(name.to_owned(), text);
                }
                continue;
            };
            let band = said.bands.entry(sample).or_default();
            let number = || text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            let text = || Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            match item.attribute("role") {
                Some("description") => band.description = text(),
                Some("unittype") => band.unit = text(),
                Some("scale") => band.scale = number(),
                Some("offset") => band.offset = number(),
                _ => {}
            }
        }
        said
    }
}

/// A text as GDAL reads it, which escapes what it writes twice (`CPLUnescapeString`).
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, entity) = rest.split_at(at);
        out.push_str(before);
        // The longest is `&#1114111;`.
        let end = entity.bytes().take(12).position(|byte| byte == b';');
        let name = end.and_then(|end| entity.get(1..end)).unwrap_or_default();
        let character = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => name.strip_prefix('#').and_then(|number| {
                let code = number
                    .strip_prefix('x')
                    .map_or_else(|| number.parse(), |hex| u32::from_str_radix(hex, 16));
                char::from_u32(code.ok()?)
            }),
        };
        let len = if let Some(character) = character {
            out.push(character);
            name.len() + 2
        } else {
            out.push('&');
            1
        };
        rest = entity.get(len..).unwrap_or_default();
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text is what GDAL 3.12 writes for a band with all four, and a dataset with an item in the domain IMAGERY.
    #[test]
    fn items_are_told_by_their_roles() {
        let said = Said::read(
            "<GDALMetadata>\n  <Item name=\"ACQUISITIONDATETIME\" domain=\"IMAGERY\">2024-05-01 10:20:30</Item>\n  <Item \
             name=\"DESCRIPTION\" sample=\"1\" role=\"description\">near &amp;lt;infrared&amp;gt;</Item>\n  <Item name=\"UNITTYPE\" \
             sample=\"1\" role=\"unittype\">m</Item>\n  <Item name=\"OFFSET\" sample=\"1\" role=\"offset\">-0.1</Item>\n  <Item \
             name=\"SCALE\" sample=\"1\" role=\"scale\">0.0001</Item>\n  <Item name=\"SCALE\" sample=\"2\" \
             role=\"scale\">nan</Item>\n  <Item name=\"SCALE\" sample=\"-1\" role=\"scale\">2</Item>\n</GDALMetadata>\n\0",
        );
        let band = Band {
            description: Some("near <infrared>".to_owned()),
            unit: Some("m".to_owned()),
            scale: Some(0.0001),
            offset: Some(-0.1),
        };
        assert_eq!(said.bands, BTreeMap::from([(1, band), (2, Band::default())]));
        let items = BTreeMap::from([("ACQUISITIONDATETIME".to_owned(), "2024-05-01 10:20:30".to_owned())]);
        assert_eq!(said.items, items);
        assert_eq!(Said::read("<no"), Said::default());
    }

    #[test]
    fn what_is_escaped_twice_is_read_twice() {
        for (text, expected) in [
            ("a &lt;b&gt; &amp;amp; &quot;&apos;", "a <b> &amp; \"'"),
            ("&#228;&#xe4;&#x110000;&#;", "ää&#x110000;&#;"),
            ("& &; &unknown; &lt", "& &; &unknown; &lt"),
            ("", ""),
        ] {
            assert_eq!(unescaped(text), expected);
        }
    }
}
