//! The few documents of XML that stores exchange: small ones are read, lists of parts are written.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

/// Bytes of a document that are looked at: those of the stores have a few hundred, a hostile one any number.
const MAX_DOCUMENT: usize = 64 << 10;

/// Elements and texts of a document; those of the stores have a dozen.
const MAX_NODES: u32 = 4_096;

/// A document that has been read: the texts of the elements below its root, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    root: String,
    fields: Vec<(String, String)>,
}

impl Document {
    /// The document of `body`; `None` when it is none, has a DTD, or is larger than any store's.
    ///
    /// Names are taken without their namespace: S3 has one, most of those that speak like it have none.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let body = body.get(..body.len().min(MAX_DOCUMENT.saturating_add(1)))?;
        if body.len() > MAX_DOCUMENT {
            return None;
        }
        // S3 sends blanks ahead of a document that takes it long, to keep the connection; an XML declaration may
        // only stand at the very start.
        let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim();
        let options = roxmltree::ParsingOptions {
            allow_dtd: false,
            nodes_limit: MAX_NODES,
            ..roxmltree::ParsingOptions::default()
        };
        let document = roxmltree::Document::parse_with_options(text, options).ok()?;
        let root = document.root_element();
        let fields = root
            .children()
            .filter(roxmltree::Node::is_element)
            .map(|field| {
                (field.tag_name().name().to_owned(), field.text().unwrap_or_default().trim().to_owned())
            })
            .collect();
        Some(Self { root: root.tag_name().name().to_owned(), fields })
    }

    /// The name of the root element.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// The text of the first element `name` below the root, unless it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, text) = self.fields.iter().find(|(key, _)| key == name)?;
        (!text.is_empty()).then_some(text.as_str())
    }
}

/// Appends `<name>text</name>`, the text escaped.
pub(crate) fn element(out: &mut String, name: &str, text: &str) {
    let _infallible = write!(out, "<{name}>");
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    let _infallible = write!(out, "</{name}>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_with_and_without_a_namespace() {
        for text in [
            "<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><UploadId> a&amp;b </UploadId></R>",
            "<?xml version=\"1.0\"?>\n<R><X><UploadId>deep</UploadId></X><UploadId>a&#38;b</UploadId></R>",
            "\u{feff}<?xml version=\"1.0\"?><R><UploadId>a&amp;b</UploadId><UploadId>c</UploadId></R>",
            " \n  <?xml version=\"1.0\"?><R><UploadId><![CDATA[a&b]]></UploadId></R>",
        ] {
            let document = Document::parse(text.as_bytes()).unwrap();
            assert_eq!((document.root(), document.text("UploadId")), ("R", Some("a&b")), "{text}");
            assert_eq!(document.text("ETag"), None);
        }
        assert_eq!(Document::parse(b"<R><ETag/></R>").unwrap().text("ETag"), None);
    }

    #[test]
    fn hostile_documents_are_none() {
        let deep = "<a>".repeat(MAX_DOCUMENT / 3);
        let balanced = format!("{}{}", "<a>".repeat(9_000), "</a>".repeat(9_000));
        let wide = format!("<a>{}</a>", "<b/>".repeat(10_000));
        let long = format!("<a>{}</a>", "x".repeat(MAX_DOCUMENT));
        let attributes = (0..5_000).map(|i| format!(" a{i}=''")).collect::<Vec<_>>().concat();
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;\">]><a><Code>&c;</Code></a>";
        for text in [&deep, &balanced, &wide, &long, bomb, "", "{}", "<a", "<a>", "\u{0}", "<a></b>"] {
            assert_eq!(Document::parse(text.as_bytes()), None, "{}", &text[..text.len().min(40)]);
        }
        assert_eq!(Document::parse(b"<a>\xff</a>"), None);
        assert!(Document::parse(format!("<a{attributes}/>").as_bytes()).is_some());
    }

    #[test]
    fn damaged_documents_do_not_panic() {
        let text =
            b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code><Message>&lt;&#x41;</Message></Error>";
        for at in 0..text.len() {
            drop(Document::parse(&text[..at]));
            for flip in [1, 0x20, 0x80, 0xff] {
                let mut damaged = text.to_vec();
                damaged[at] ^= flip;
                drop(Document::parse(&damaged));
            }
        }
    }

    #[test]
    fn texts_are_escaped_and_read_back() {
        let text = "\"a\"&<b>'é";
        let mut out = String::from("<R>");
        element(&mut out, "ETag", text);
        out.push_str("</R>");
        assert_eq!(out, "<R><ETag>&quot;a&quot;&amp;&lt;b&gt;&apos;é</ETag></R>");
        assert_eq!(Document::parse(out.as_bytes()).unwrap().text("ETag"), Some(text));
    }
}
