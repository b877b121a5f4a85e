//! What Google's XML API has of its own: hashes and generations of objects, and composing them.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;

use super::object::insert;
use super::xml::element;

/// The query that composes an object of others ("Compose an object").
pub(crate) const COMPOSE: &str = "compose";

/// Bytes of a key ("Objects", object naming).
const MAX_KEY: usize = 1_024;

/// The key beside `key` at which the write `marker` puts its parts together. It ends the same for all, since rules of a bucket
/// that remove what was left over go by the end of a name.
pub(crate) fn beside(key: &str, marker: &str) -> String {
    let end = format!(".{marker}.cogclip-part");
    let start = key.get(..key.floor_char_boundary(MAX_KEY.saturating_sub(end.len()))).unwrap_or_default();
    format!("{start}{end}")
}

/// The list of the one component `key`.
pub(crate) fn component(key: &str) -> String {
    let mut body = String::from("<ComposeRequest><Component>");
    element(&mut body, "Name", key);
    body.push_str("</Component></ComposeRequest>");
    body
}

/// The CRC-32C of an object, of `x-goog-hash: crc32c=…,md5=…`, in one field or in two.
pub(crate) fn crc32c(headers: &HeaderMap) -> Option<u32> {
    let bytes = hash(headers, "crc32c")?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// The MD5 of an object; one that was uploaded in parts has none.
pub(crate) fn md5(headers: &HeaderMap) -> Option<[u8; 16]> {
    hash(headers, "md5")?.try_into().ok()
}

fn hash(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let fields = headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let value = fields.flat_map(|field| field.split(',')).find_map(|hash| {
        let (key, value) = hash.trim().split_once('=')?;
        (key == name).then_some(value)
    })?;
    STANDARD.decode(value).ok()
}

/// Adds the condition that the object is still the one that `seen` is about.
pub(crate) fn add_generation(headers: &mut HeaderMap, seen: &HeaderMap) {
    if let Some(generation) = seen.get("x-goog-generation").and_then(|value| value.to_str().ok()) {
        insert(headers, "x-goog-if-generation-match", generation);
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn keys_beside_are_no_longer_than_keys_may_be() {
        let marker = "0123456789abcdef";
        assert_eq!(beside("a/b.tif", marker), "a/b.tif.0123456789abcdef.cogclip-part");
        let end = 1_024 - 30;
        for (key, kept) in [
            ("k".repeat(end), end),
            ("k".repeat(end + 1), end),
            ("k".repeat(1_024), end),
            // Of a letter of two bytes no half stays.
            ("\u{e9}".repeat(512), end),
            (format!("k{}", "\u{e9}".repeat(511)), end - 1),
        ] {
            let beside = beside(&key, marker);
            assert_eq!(beside, format!("{}.0123456789abcdef.cogclip-part", &key[..kept]));
            assert!(beside.len() <= 1_024);
        }
    }

    #[test]
    fn the_component_is_escaped() {
        assert_eq!(
            component("a&b/<c>.tif"),
            "<ComposeRequest><Component><Name>a&amp;b/&lt;c&gt;.tif</Name></Component></ComposeRequest>"
        );
    }

    #[test]
    fn hashes_come_in_one_field_or_in_two() {
        // The example of Google's reference of the field, and the CRC of "123456789".
        let mut one = HeaderMap::new();
        one.insert("x-goog-hash", HeaderValue::from_static("crc32c=4waSgw==,md5=rL0Y20zC+Fzt72VPzMSk2A=="));
        let mut two = HeaderMap::new();
        two.append("x-goog-hash", HeaderValue::from_static("md5=rL0Y20zC+Fzt72VPzMSk2A=="));
        two.append("x-goog-hash", HeaderValue::from_static("crc32c=4waSgw=="));
        for headers in [one, two] {
            assert_eq!(crc32c(&headers), Some(0xe306_9283));
            assert_eq!(md5(&headers).map(|md5| md5[0]), Some(0xac));
        }
        for odd in ["", "crc32c", "crc32c=", "crc32c=AA==", "crc32c=%", "md5=AA=="] {
            let mut headers = HeaderMap::new();
            headers.insert("x-goog-hash", HeaderValue::from_str(odd).unwrap());
            assert_eq!((crc32c(&headers), md5(&headers)), (None, None), "{odd}");
        }
    }
}
