//! A page of a list of keys: what is asked of each store, and what its XML says (S3 API Reference, `ListObjectsV2`; Google's XML
//! API, "List objects", which has the same; Azure's REST API, `List Blobs`).
//!
//! Pages are read as a stream of events, in time and memory that grow with their bytes alone, whatever is in them.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt::Write as _;

use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::dialect::{Dialect, encode_value};

/// Keys that are asked for at a time: the most that S3 gives.
const PAGE_KEYS: u32 = 1_000;

/// Bytes of a page that are taken. A thousand of the longest keys, every byte of them escaped, and what is said of each, take 8 MB.
pub(crate) const MAX_PAGE: u64 = 16 << 20;

/// Keys of a page that are taken: a store that heeds nothing of what is asked has at most 5,000 of its own accord.
const MAX_KEYS: usize = 10_000;

/// Bytes of a key or a token, escaped or not; keys have up to 1,024 characters, tokens some hundred bytes more.
const MAX_TEXT: usize = 16 << 10;

/// Elements around each other; the stores have five.
const MAX_DEPTH: usize = 16;

/// What is listed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    /// What all keys begin with.
    pub(super) prefix: &'a str,
    /// Whether keys with a '/' after the prefix are left out.
    pub(super) flat: bool,
    /// Whether keys are to come percent-encoded.
    pub(super) encoded: bool,
    /// Where to go on.
    pub(super) token: Option<&'a str>,
}

impl Asking<'_> {
    /// The query of the bucket's URL, percent-encoded.
    pub(super) fn query(self, dialect: Dialect) -> String {
        let is_azure = dialect == Dialect::Azure;
        let mut query = if is_azure {
            format!("restype=container&comp=list&maxresults={PAGE_KEYS}")
        } else {
            format!("list-type=2&max-keys={PAGE_KEYS}")
        };
        let mut add = |name: &str, value: &str| {
            let _infallible = write!(query, "&{name}={}", encode_value(value));
        };
        if !self.prefix.is_empty() {
            add("prefix", self.prefix);
        }
        if self.flat {
            add("delimiter", "/");
        }
        if self.encoded && !is_azure {
            add("encoding-type", "url");
        }
        if let Some(token) = self.token {
            add(if is_azure { "marker" } else { "continuation-token" }, token);
        }
        query
    }
}

/// A key, and what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) key: String,
    /// Its bytes, where that is said.
    pub(super) size: Option<u64>,
    /// Whether it is a folder, which some of Azure's accounts list among the rest.
    pub(super) is_folder: bool,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) listed: Vec<Listed>,
    /// Folders that were left out.
    pub(super) folders: usize,
    /// Where the next page begins.
    pub(super) token: Option<String>,
    /// Whether there is another, where that is said beside the token.
    pub(super) truncated: Option<bool>,
}

/// Where in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Root,
    Contents,
    Key,
    Size,
    Properties,
    Kind,
    Folders,
    Truncated,
    Token,
    Encoding,
    /// Around blobs, or nothing of interest.
    Blobs,
    Other,
}

impl At {
    /// What the element `name` in this one is.
    fn inner(self, name: &[u8]) -> Self {
        match (self, name) {
            (Self::Root, b"Contents") | (Self::Blobs, b"Blob") => Self::Contents,
            (Self::Root, b"CommonPrefixes") | (Self::Blobs, b"BlobPrefix") => Self::Folders,
            (Self::Root, b"IsTruncated") => Self::Truncated,
            (Self::Root, b"NextContinuationToken" | b"NextMarker") => Self::Token,
            (Self::Root, b"EncodingType") => Self::Encoding,
            (Self::Root, b"Blobs") => Self::Blobs,
            (Self::Contents, b"Key" | b"Name") => Self::Key,
            (Self::Contents, b"Size") | (Self::Properties, b"Content-Length") => Self::Size,
            (Self::Contents, b"Properties") => Self::Properties,
            (Self::Properties, b"ResourceType") => Self::Kind,
            _ => Self::Other,
        }
    }

    /// Whether its text is looked at.
    fn has_text(self) -> bool {
        matches!(self, Self::Key | Self::Size | Self::Kind | Self::Truncated | Self::Token | Self::Encoding)
    }
}

/// A page that is being read.
#[derive(Default)]
struct Reading {
    page: Page,
    around: Vec<At>,
    text: String,
    now: Option<Listed>,
    /// Whether the name of the blob is percent-encoded, as Azure says of each.
    is_encoded: bool,
    /// Whether all keys are, as the others say of a page.
    all_encoded: bool,
}

impl Page {
    /// The page that `body` is; `None` when it is none, or holds what no store's does.
    pub(super) fn parse(dialect: Dialect, body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim();
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let root: &[u8] = if dialect == Dialect::Azure { b"EnumerationResults" } else { b"ListBucketResult" };
        let mut reading = Reading::default();
        let mut is_done = false;
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) if reading.around.is_empty() => {
                    if is_done || start.local_name().as_ref() != root {
                        return None;
                    }
                    reading.around.push(At::Root);
                }
                Event::Start(start) => reading.begin(&start)?,
                Event::End(_) => {
                    reading.end()?;
                    is_done = reading.around.is_empty();
                }
                Event::Text(text) => reading.add(&text.decode().ok()?)?,
                Event::CData(text) => reading.add(&text.decode().ok()?)?,
                Event::GeneralRef(reference) => {
                    let c = match reference.resolve_char_ref().ok()? {
                        Some(c) => c,
                        None => predefined(&reference.decode().ok()?)?,
                    };
                    reading.add(c.encode_utf8(&mut [0; 4]))?;
                }
                // Entities of its own could be any number of bytes.
                Event::DocType(_) => return None,
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Empty(_) => {}
                Event::Eof => break,
            }
        }
        is_done.then(|| reading.decoded())?
    }
}

/// The five that XML has of its own (XML 1.0 §4.6).
fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

impl Reading {
    fn begin(&mut self, start: &BytesStart<'_>) -> Option<()> {
        let inner = self.around.last()?.inner(start.local_name().as_ref());
        if self.around.len() >= MAX_DEPTH {
            return None;
        }
        self.around.push(inner);
        self.text.clear();
        if inner == At::Contents {
            if self.page.listed.len() >= MAX_KEYS {
                return None;
            }
            self.now = Some(Listed::default());
        } else if inner == At::Key {
            let mut attributes = start.attributes();
            // To compare each with all others would take hours of a page full of them.
            attributes.with_checks(false);
            let said = attributes.flatten().find(|said| said.key.as_ref() == b"Encoded");
            self.is_encoded = said.is_some_and(|said| said.value.eq_ignore_ascii_case(b"true"));
        }
        Some(())
    }

    fn add(&mut self, text: &str) -> Option<()> {
        if self.around.last().is_some_and(|at| at.has_text()) {
            if self.text.len().saturating_add(text.len()) > MAX_TEXT {
                return None;
            }
            self.text.push_str(text);
        }
        Some(())
    }

    fn end(&mut self) -> Option<()> {
        let text = std::mem::take(&mut self.text);
        match (self.around.pop()?, &mut self.now) {
            (At::Key, Some(now)) => {
                now.key = if self.is_encoded { percent_decoded(&text)? } else { text };
            }
            (At::Size, Some(now)) => now.size = Some(text.trim().parse().ok()?),
            (At::Kind, Some(now)) => now.is_folder = text.trim().eq_ignore_ascii_case("directory"),
            (At::Contents, now) => {
                // An object without a key is none.
                let listed = now.take().filter(|listed| !listed.key.is_empty())?;
                self.page.listed.push(listed);
            }
            (At::Folders, _) => self.page.folders = self.page.folders.saturating_add(1),
            (At::Truncated, _) => self.page.truncated = Some(text.trim().parse().ok()?),
            (At::Token, _) => self.page.token = Some(text).filter(|token| !token.is_empty()),
            (At::Encoding, _) => self.all_encoded = text.trim() == "url",
            _ => {}
        }
        Some(())
    }

    /// The page with its keys as they are: that they are encoded may have been said after them.
    fn decoded(mut self) -> Option<Page> {
        if self.all_encoded {
            for listed in &mut self.page.listed {
                // As in a form: that is how S3 writes a space.
                listed.key = percent_decoded(&listed.key.replace('+', " "))?;
            }
        }
        Some(self.page)
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(dialect: Dialect, text: &str) -> Option<Vec<String>> {
        Some(Page::parse(dialect, text.as_bytes())?.listed.into_iter().map(|listed| listed.key).collect())
    }

    // The examples of the three stores' references, shortened.
    const S3: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
        <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>quotes</Name><Prefix>E</Prefix>\
        <StartAfter>ExampleGuide.pdf</StartAfter><KeyCount>1</KeyCount><MaxKeys>3</MaxKeys><IsTruncated>true</IsTruncated>\
        <NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken><Contents>\
        <Key>ExampleObject.txt</Key><LastModified>2013-09-17T18:07:53.000Z</LastModified><ETag>&quot;599bab3ed2c697f1d26842727561fd94&quot;</ETag>\
        <Size>857</Size><StorageClass>REDUCED_REDUNDANCY</StorageClass></Contents>\
        <CommonPrefixes><Prefix>E/a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>E/b/</Prefix></CommonPrefixes></ListBucketResult>";
    const AZURE: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://a.blob.core.windows.net/\" \
        ContainerName=\"c\"><Prefix>p</Prefix><Marker /><MaxResults>3</MaxResults><Delimiter>/</Delimiter><Blobs>\
        <BlobPrefix><Name>p/q/</Name></BlobPrefix><Blob><Name Encoded=\"true\">p/a%01%20b%2525.tif</Name><Deleted>false</Deleted><Properties>\
        <Content-Length>12</Content-Length><Etag>0x8CBFF45D8A29A19</Etag><ResourceType>file</ResourceType></Properties></Blob>\
        <Blob><Name>p/c%20+</Name><Properties><ResourceType>directory</ResourceType><Content-Length>0</Content-Length></Properties>\
        <Metadata><Name>no</Name><Size>no</Size></Metadata></Blob></Blobs><NextMarker>2!80!MDA</NextMarker></EnumerationResults>";

    #[test]
    fn pages_are_read() {
        let page = Page::parse(Dialect::S3, S3.as_bytes()).unwrap();
        let listed = |key: &str, size, is_folder| Listed { key: key.to_owned(), size: Some(size), is_folder };
        assert_eq!(
            page,
            Page {
                listed: vec![listed("ExampleObject.txt", 857, false)],
                folders: 2,
                token: Some("1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=".to_owned()),
                truncated: Some(true),
            }
        );
        let page = Page::parse(Dialect::Azure, AZURE.as_bytes()).unwrap();
        assert_eq!(
            page,
            Page {
                listed: vec![listed("p/a\u{1} b%25.tif", 12, false), listed("p/c%20+", 0, true)],
                folders: 1,
                token: Some("2!80!MDA".to_owned()),
                truncated: None,
            }
        );
        let last = AZURE.replace("<NextMarker>2!80!MDA</NextMarker>", "<NextMarker />");
        assert_eq!(Page::parse(Dialect::Azure, last.as_bytes()).unwrap().token, None);
    }

    fn contents(key: &str, more: &str) -> String {
        format!(
            "<ListBucketResult>{more}<Contents><Key>{key}</Key><Size>1</Size></Contents></ListBucketResult>"
        )
    }

    #[test]
    fn keys_of_any_characters_come_as_they_are() {
        for (written, key) in [
            ("a&amp;b&lt;c&gt;&quot;&apos;", "a&b<c>\"'"),
            ("&#97;&#x1F30D;é&#1;\u{2}", "a🌍é\u{1}\u{2}"),
            ("<![CDATA[a&amp;<b>]]>", "a&amp;<b>"),
            (" a  b ", " a  b "),
            ("a%20b+c", "a%20b+c"),
            ("a<!-- no -->b", "ab"),
        ] {
            assert_eq!(keys(Dialect::S3, &contents(written, "")), Some(vec![key.to_owned()]), "{written}");
        }
        // As S3 writes them: `URLEncoder` of Java, in which a space is '+'.
        for (written, key) in [("a%20b+c%2Bd", "a b c+d"), ("%25%32%30%00%E2%82%AC/", "%20\0€/")] {
            let encoded = contents(written, "<EncodingType>url</EncodingType>");
            assert_eq!(keys(Dialect::S3, &encoded), Some(vec![key.to_owned()]), "{written}");
        }
        assert_eq!(keys(Dialect::S3, &contents("%FF", "<EncodingType>url</EncodingType>")), None);
    }

    #[test]
    fn what_is_no_page_is_none() {
        let wide =
            |inner: &str, count| format!("<ListBucketResult>{}</ListBucketResult>", inner.repeat(count));
        let one = "<Contents><Key>k</Key></Contents>";
        assert_eq!(keys(Dialect::S3, &wide(one, MAX_KEYS)).unwrap().len(), MAX_KEYS);
        let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\">]><ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>";
        for text in [
            "",
            "{}",
            "<html><body>Sign in</body></html>",
            "<ListBucketResult>",
            "<ListBucketResult></ListBucketResults>",
            "<ListBucketResult/><ListBucketResult/>",
            "<EnumerationResults/>",
            "<ListBucketResult><Contents><Key/></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><IsTruncated>maybe</IsTruncated></ListBucketResult>",
            "<ListBucketResult><Contents><Key>k</Key><Size>-1</Size></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>&b;</Key></Contents></ListBucketResult>",
            "<ListBucketResult><Contents><Key>&#0;</Key></Contents></ListBucketResult>",
            &contents(&"k".repeat(MAX_TEXT + 1), ""),
            &wide(one, MAX_KEYS + 1),
            bomb,
        ] {
            assert_eq!(keys(Dialect::S3, text), None, "{}", &text[..text.len().min(80)]);
        }
        assert_eq!(keys(Dialect::S3, "<ListBucketResult/>"), Some(Vec::new()));
        assert_eq!(Page::parse(Dialect::S3, b"<ListBucketResult>\xff</ListBucketResult>"), None);
    }

    // What a tree of nodes would take hours or gigabytes for: elements in each other, attributes, namespaces.
    #[test]
    fn hostile_pages_take_no_time() {
        let most = usize::try_from(MAX_PAGE).unwrap();
        let deep = format!("<ListBucketResult>{}", "<a xmlns:a=\"b\">".repeat(most / 15));
        let attributes = (0..most / 20).fold(String::from("<ListBucketResult><a"), |mut text, i| {
            write!(text, " a{i:07}='b'").unwrap();
            text
        });
        let encoded = format!(
            "<EnumerationResults><Blobs><Blob><Name {}/></Blob></Blobs></EnumerationResults>",
            (0..20_000).map(|i| format!(" a{i}=''")).collect::<Vec<_>>().concat()
        );
        let many = format!("<ListBucketResult>{}</ListBucketResult>", "<a/>".repeat(most / 4));
        assert_eq!(keys(Dialect::S3, &deep), None);
        assert_eq!(keys(Dialect::S3, &attributes), None);
        assert_eq!(keys(Dialect::S3, &many), Some(Vec::new()));
        drop(keys(Dialect::Azure, &encoded));
    }

    #[test]
    fn damaged_pages_do_not_panic() {
        for (dialect, text) in [(Dialect::S3, S3), (Dialect::Azure, AZURE)] {
            for at in 0..text.len() {
                drop(Page::parse(dialect, &text.as_bytes()[..at]));
                for flip in [1, 0x20, 0x80, 0xff] {
                    let mut damaged = text.as_bytes().to_vec();
                    damaged[at] ^= flip;
                    drop(Page::parse(dialect, &damaged));
                }
            }
        }
    }

    #[test]
    fn queries() {
        let asking = Asking { prefix: "a b/é+", flat: true, encoded: true, token: Some("a/b+c==") };
        assert_eq!(
            asking.query(Dialect::S3),
            "list-type=2&max-keys=1000&prefix=a%20b%2F%C3%A9%2B&delimiter=%2F&encoding-type=url&continuation-token=a%2Fb%2Bc%3D%3D"
        );
        assert_eq!(
            asking.query(Dialect::Azure),
            "restype=container&comp=list&maxresults=1000&prefix=a%20b%2F%C3%A9%2B&delimiter=%2F&marker=a%2Fb%2Bc%3D%3D"
        );
        let all = Asking { prefix: "", flat: false, encoded: false, token: None };
        assert_eq!(all.query(Dialect::Google), "list-type=2&max-keys=1000");
    }
}
