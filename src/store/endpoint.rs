//! Stub.
use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::auth::Auth;
use crate::store::location::{Bucket, Cloud};
use reqwest::header::HeaderMap;
use std::sync::Arc;
use url::Url;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    Md5,
    Sha256,
    Crc64nvme,
    None,
}
pub(crate) struct Settings {
    pub(crate) put_headers: HeaderMap,
    pub(crate) read_headers: HeaderMap,
    pub(crate) conditional_put: bool,
    pub(crate) checksum: Checksum,
}
pub(crate) struct Endpoint {
    pub(crate) base: Url,
    pub(crate) auth: Arc<Auth>,
    pub(crate) settings: Settings,
}
fn settings(options: &StoreOptions) -> Settings {
    let get = |key: &str| options.pairs.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    let mut put_headers = HeaderMap::new();
    let mut read_headers = HeaderMap::new();
    if let Some(key) = get("aws_sse_customer_key_base64") {
        for h in [&mut put_headers, &mut read_headers] {
            h.insert("x-amz-server-side-encryption-customer-algorithm", "AES256".parse().unwrap());
            h.insert("x-amz-server-side-encryption-customer-key", key.parse().unwrap());
        }
    }
    Settings {
        put_headers,
        read_headers,
        conditional_put: get("aws_conditional_put") != Some("disabled"),
        checksum: match get("checksum") {
            Some("sha256") => Checksum::Sha256,
            Some("crc64nvme") => Checksum::Crc64nvme,
            Some("none") => Checksum::None,
            _ => Checksum::Md5,
        },
    }
}
pub(crate) fn bucket(bucket: &Bucket, _shown: &str, options: &StoreOptions) -> Result<Endpoint> {
    let key = match bucket.cloud {
        Cloud::S3 => "aws_endpoint",
        Cloud::Google => "google_base_url",
        Cloud::Azure => "azure_endpoint",
    };
    let at = options
        .pairs
        .iter()
        .find(|(k, _)| k == key)
        .map(|(_, v)| v.clone())
        .ok_or_else(|| Error::usage("no endpoint"))?;
    Ok(Endpoint {
        base: Url::parse(&format!("{}/{}", at.trim_end_matches('/'), bucket.name)).unwrap(),
        auth: Arc::new(Auth::nobody()),
        settings: settings(options),
    })
}
pub(crate) fn web(url: &Url, _shown: &str, options: &StoreOptions) -> Result<Endpoint> {
    Ok(Endpoint { base: url.clone(), auth: Arc::new(Auth::nobody()), settings: settings(options) })
}
