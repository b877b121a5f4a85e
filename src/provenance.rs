//! What an output says of how it was made: items of GDAL_METADATA in a domain of their own.
//!
//! They are facts of the input alone, without times or machines, so that the same clip gives the same bytes; and enough to know an
//! output again as that of one very job.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The metadata domain of the items.
const DOMAIN: &str = "COGCLIP";

/// Where an output comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The source's location, without secrets.
    pub source: String,
    /// The source's version: an object's ETag as the store gives it; of a local file `header:` and the SHA-256 of its first bytes,
    /// which hold the places and lengths of its tiles. `None` where a server says none.
    pub version: Option<String>,
    /// SHA-256 of the cutline's polygons and CRS as they were given, in lower-case hexadecimal.
    pub cutline: String,
    /// SHA-256 of the options that decide what is written, likewise.
    pub options: String,
    /// The version of cogclip.
    pub software: String,
}

impl Provenance {
    /// Names and values of the items.
    fn pairs(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("SOURCE", Some(&self.source)),
            ("SOURCE_ETAG", self.version.as_deref()),
            ("CUTLINE_SHA256", Some(&self.cutline)),
            ("OPTIONS_SHA256", Some(&self.options)),
            ("VERSION", Some(&self.software)),
        ]
    }

    /// Items of GDAL_METADATA, each a line.
    #[must_use]
    pub fn items(&self) -> String {
        let mut out = String::new();
        for (name, value) in self.pairs() {
            let Some(value) = value else { continue };
            // Writing to a String does not fail.
            let _ = writeln!(out, "  <Item name=\"{name}\" domain=\"{DOMAIN}\">{}</Item>", escaped(value));
        }
        out
    }

    /// Whether a text of GDAL_METADATA has the very items that this writes.
    #[must_use]
    pub fn is_in(&self, metadata: &str) -> bool {
        self.version.is_some() && metadata.contains(&self.items())
    }
}

/// Whether an item of GDAL_METADATA, by its domain, tells of a clip that was made before this one.
#[must_use]
pub fn is_of_domain(domain: Option<&str>) -> bool {
    domain == Some(DOMAIN)
}

/// SHA-256 of `bytes` in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    hex(&Sha256::digest(bytes))
}

/// `bytes` in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Text as XML holds it; characters that XML 1.0 §2.2 does not have are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' | '\n' | '\r' => out.push(' '),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() && c < ' ' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_items_are_found_again() {
        let one = Provenance {
            source: "s3://a&b/<x>\u{1}.tif".to_owned(),
            version: Some("\"5f\"".to_owned()),
            cutline: sha256("abc"),
            options: sha256(""),
            software: "1".to_owned(),
        };
        // FIPS 180-2, appendix B.1.
        assert_eq!(one.cutline, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let items = one.items();
        assert!(items.starts_with(
            "  <Item name=\"SOURCE\" domain=\"COGCLIP\">s3://a&amp;b/&lt;x&gt;.tif</Item>\n  <Item name=\"SOURCE_ETAG\""
        ));
        assert!(one.is_in(&format!("<GDALMetadata>\n{items}</GDALMetadata>\n")));
        let other = Provenance { cutline: sha256("abd"), ..one.clone() };
        assert!(!other.is_in(&items));
        // Without a version of the source nobody knows whether it is the same.
        let unknown = Provenance { version: None, ..one };
        assert!(!unknown.is_in(&unknown.items()));
    }
}
