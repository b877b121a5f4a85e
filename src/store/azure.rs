//! Writing as Azure Blob Storage has it (REST API, `Put Blob`, `Put Block`, `Put Block List`).
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use reqwest::header::HeaderMap;

use super::checksum::{base64, md5};
use super::dialect::encode_value;
use super::object::{Part, insert};
use super::xml::element;

/// The query of a list of blocks.
pub(crate) const LIST: &str = "comp=blocklist";

/// Adds what makes a body a block blob of its own.
pub(crate) fn add_blob(headers: &mut HeaderMap, content_type: &str, body_md5: Option<&[u8; 16]>) {
    insert(headers, "x-ms-blob-type", "BlockBlob");
    insert(headers, "x-ms-blob-content-type", content_type);
    if let Some(md5) = body_md5 {
        // Of the transfer, which is verified; and of the blob, which is kept.
        insert(headers, "content-md5", &base64(md5));
        insert(headers, "x-ms-blob-content-md5", &base64(md5));
    }
}

/// The id of block `number` of an upload. All ids of a blob have one length, as Azure wants, and those of two uploads differ, so
/// that neither writer can commit a block of the other's.
pub(crate) fn block_id(upload: &str, number: u32) -> String {
    base64(format!("{upload}-{number:010}").as_bytes())
}

/// The query that names a block.
pub(crate) fn block_query(id: &str) -> String {
    format!("comp=block&blockid={}", encode_value(id))
}

/// The list that makes a blob of blocks. Only those that were not yet committed: blocks of an earlier blob of this name are not
/// of this upload.
pub(crate) fn block_list(parts: &[Part]) -> String {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
    for part in parts {
        element(&mut body, "Uncommitted", &part.etag);
    }
    body.push_str("</BlockList>");
    body
}

/// Adds the checksum of the list itself, and what the blob is to be.
pub(crate) fn add_list(headers: &mut HeaderMap, content_type: &str, list: &str, checked: bool) {
    insert(headers, "content-type", "application/xml");
    insert(headers, "x-ms-blob-content-type", content_type);
    if checked {
        insert(headers, "content-md5", &base64(&md5(list.as_bytes())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::checksum::Digests;
    use crate::store::endpoint::Checksum;

    #[test]
    fn blocks_are_named_and_listed() {
        let ids: Vec<_> = [1, 2, u32::MAX].map(|number| block_id("0123456789abcdef", number)).into();
        // Python's base64.b64encode(b"0123456789abcdef-0000000001").
        assert_eq!(ids.first().unwrap(), "MDEyMzQ1Njc4OWFiY2RlZi0wMDAwMDAwMDAx");
        assert!(ids.iter().all(|id| id.len() == 36));
        assert_eq!(block_query("a+b/="), "comp=block&blockid=a%2Bb%2F%3D");
        let digests = Digests::of(&[], false, Checksum::Md5);
        let parts: Vec<_> = ids.iter().take(2).map(|id| Part::new(1, id.clone(), &digests)).collect();
        assert_eq!(
            block_list(&parts),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>\
             <Uncommitted>MDEyMzQ1Njc4OWFiY2RlZi0wMDAwMDAwMDAx</Uncommitted>\
             <Uncommitted>MDEyMzQ1Njc4OWFiY2RlZi0wMDAwMDAwMDAy</Uncommitted></BlockList>"
        );
    }
}
