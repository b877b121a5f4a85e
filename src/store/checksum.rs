//! Checksums of what is sent: the stores verify them, and say the same of what they hold.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crc_fast::CrcAlgorithm::{Crc32Iscsi, Crc64Nvme};
use md5::{Digest, Md5};
use sha2::Sha256;

use super::endpoint::Checksum;
use crate::error::{Error, Result};

/// The checksums of one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    /// Bytes of the body.
    pub(crate) size: u64,
    /// Content-MD5 (RFC 1864), and the ETag of most objects of S3.
    pub(crate) md5: [u8; 16],
    /// For S3 only: the signature covers it.
    pub(crate) sha256: Option<[u8; 32]>,
    /// CRC-32C (RFC 3720 §12.1): what Google says of every object.
    pub(crate) crc32c: u32,
    /// CRC-64/NVME: only when it was asked for.
    pub(crate) crc64nvme: Option<u64>,
}

impl Digests {
    /// Those of `body`. With `signed`, SHA-256 as well.
    pub(crate) fn of(body: &[Bytes], signed: bool, chosen: Checksum) -> Self {
        let mut md5 = Md5::new();
        let mut sha256 = (signed || chosen == Checksum::Sha256).then(Sha256::new);
        let mut crc32c = crc_fast::Digest::new(Crc32Iscsi);
        let mut crc64 = (chosen == Checksum::Crc64nvme).then(|| crc_fast::Digest::new(Crc64Nvme));
        let mut size = 0_u64;
        for piece in body {
            size = size.saturating_add(piece.len() as u64);
            md5.update(piece);
            crc32c.update(piece);
            if let Some(sha256) = &mut sha256 {
                sha256.update(piece);
            }
            if let Some(crc64) = &mut crc64 {
                crc64.update(piece);
            }
        }
        Self {
            size,
            md5: md5.finalize().into(),
            sha256: sha256.map(|sha256| sha256.finalize().into()),
            crc32c: low_half(crc32c.finalize()),
            crc64nvme: crc64.map(|crc64| crc64.finalize()),
        }
    }

    /// The same, computed where waiting for it holds up no connection.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when the runtime ends meanwhile.
    pub(crate) async fn in_background(body: &[Bytes], signed: bool, chosen: Checksum) -> Result<Self> {
        let body = body.to_vec();
        let digests = tokio::task::spawn_blocking(move || Self::of(&body, signed, chosen));
        digests.await.map_err(|cause| Error::io("computing a checksum was interrupted").caused_by(cause))
    }
}

/// The CRC-32C of two bodies, one after the other.
pub(crate) fn joined_crc32c(first: u32, second: u32, size_of_second: u64) -> u32 {
    low_half(crc_fast::checksum_combine(Crc32Iscsi, first.into(), second.into(), size_of_second))
}

/// The CRC-64/NVME of two bodies, one after the other.
pub(crate) fn joined_crc64nvme(first: u64, second: u64, size_of_second: u64) -> u64 {
    crc_fast::checksum_combine(Crc64Nvme, first, second, size_of_second)
}

/// The ETag, without quotes, that S3 gives a multipart upload of parts with these MD5s.
pub(crate) fn multipart_etag(parts: impl ExactSizeIterator<Item = [u8; 16]>) -> String {
    let count = parts.len();
    let md5 = parts.fold(Md5::new(), Md5::chain_update);
    format!("{}-{count}", hex(&md5.finalize()))
}

/// A body's MD5 alone.
pub(crate) fn md5(body: &[u8]) -> [u8; 16] {
    Md5::digest(body).into()
}

/// `bytes` as headers have them.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// `bytes` in hexadecimal, lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn low_half(crc: u64) -> u32 {
    u32::try_from(crc & 0xffff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pieces: &[&'static str]) -> Digests {
        let body: Vec<_> = pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
        Digests::of(&body, true, Checksum::Crc64nvme)
    }

    #[test]
    fn known_values() {
        // The check values of the catalogue of CRCs by Greg Cook; MD5 of RFC 1321 A.5, SHA-256 by coreutils.
        let digits = of(&["1234", "", "56789"]);
        assert_eq!(digits.size, 9);
        assert_eq!(digits.crc32c, 0xe306_9283);
        assert_eq!(digits.crc64nvme, Some(0xae8b_1486_0a79_9888));
        assert_eq!(hex(&digits.md5), "25f9e794323b453885f5181f1b624d0b");
        let sha256 = "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225";
        assert_eq!(hex(&digits.sha256.unwrap()), sha256);
        assert_eq!(hex(&of(&["abc"]).md5), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(&of(&[]).md5), "d41d8cd98f00b204e9800998ecf8427e");
        // MD5 of nothing, as every store's documentation has it.
        assert_eq!(base64(&of(&[]).md5), "1B2M2Y8AsgTpgAmY7PhCfg==");
        assert_eq!(Digests::of(&[], false, Checksum::Md5).sha256, None);
        assert_eq!(Digests::of(&[], false, Checksum::Md5).crc64nvme, None);
    }

    #[test]
    fn parts_make_the_checksums_of_the_whole() {
        let (first, second) = (of(&["1234"]), of(&["56789"]));
        assert_eq!(joined_crc32c(first.crc32c, second.crc32c, second.size), 0xe306_9283);
        assert_eq!(joined_crc32c(first.crc32c, of(&[]).crc32c, 0), first.crc32c);
        let (left, right) = (first.crc64nvme.unwrap(), second.crc64nvme.unwrap());
        assert_eq!(joined_crc64nvme(left, right, second.size), 0xae8b_1486_0a79_9888);
        assert_eq!(joined_crc64nvme(0, left, first.size), left);
        // md5sum of the two MD5s, one after the other, in binary.
        assert_eq!(multipart_etag([first.md5, second.md5].into_iter()), "d8399932ce6023ac3365f50fbbcde132-2");
    }
}
