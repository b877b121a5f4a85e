//! Where a bucket of S3 is, and what its requests carry.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use reqwest::header::HeaderMap;
use sha2::Sha256;
use url::Url;

use super::StoreOptions;
use super::auth::{Auth, AwsAuth};
use super::aws_chain::{Aws, service_url};
use super::aws_config::nested;
use super::endpoint::{Checksum, Copying, Endpoint, Settings, add_segment};
use super::exchange::add_header;
use super::key_table::{KEYS, Of, Value};
use super::keys::{Given, key32, payer, web_url};
use super::location::Bucket;
use crate::error::{Error, Result};

/// Keys that say neither where S3 is nor who asks: they are of one side alone.
const OF_ONE_SIDE: [&str; 10] = [
    "aws_ca_bundle",
    "aws_request_payer",
    "aws_unsigned_payload",
    "checksum",
    "contiguous_parts",
    "aws_conditional_put",
    "aws_server_side_encryption",
    "aws_sse_kms_key_id",
    "aws_sse_bucket_key_enabled",
    "aws_sse_customer_key_base64",
];

/// The endpoint of a bucket.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a setting that is wrong, with where it stands; [`crate::ErrorKind::Unsupported`] for what
/// is not supported.
pub(crate) fn bucket(bucket: &Bucket, options: &StoreOptions) -> Result<Endpoint> {
    let given = Given::new(Of::S3, options);
    let aws = Aws::load(given)?;
    if given.flag("aws_s3_express")? == Some(true) || bucket.name.ends_with("--x-s3") {
        return Err(Error::unsupported(
            "directory buckets (S3 Express One Zone) are not supported; copy the object to a general purpose bucket",
        ));
    }
    let base = base(&aws, &bucket.name)?;
    let payer = match given.any("aws_request_payer") {
        Some(value) => {
            payer(value).ok_or_else(|| Error::usage("aws_request_payer must be requester, true or false"))?
        }
        None => false,
    };
    let auth = if given.flag("aws_skip_signature")? == Some(true) {
        Auth::nobody()
    } else {
        let unsigned = given.flag("aws_unsigned_payload")? == Some(true);
        Auth::aws(AwsAuth::new(aws.source()?, aws.region.clone(), unsigned, payer, options))
    };
    let (put_headers, read_headers) = encryption(given)?;
    let checksum = match given.choice("checksum")? {
        Some("sha256") => Checksum::Sha256,
        Some("crc64nvme") => Checksum::Crc64nvme,
        Some("none") => Checksum::None,
        _ => Checksum::Md5,
    };
    Ok(Endpoint {
        base,
        auth: auth.into(),
        settings: Settings {
            put_headers,
            read_headers,
            conditional_put: given.choice("aws_conditional_put")? != Some("disabled"),
            checksum,
        },
        copying: Some(Copying { bucket: bucket.name.clone(), store: store(given, options), payer }),
    })
}

/// SHA-256 of everything that was said of where S3 is and of who asks: the keys, and the whole environment. What is said alike in
/// two ways differs here, and costs no more than that nothing is copied within the store.
fn store(given: Given<'_>, options: &StoreOptions) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    let names = KEYS.iter().filter(|key| key.of == Of::S3 && key.value != Value::Void);
    for name in names.filter_map(|key| key.names.first()).filter(|name| !OF_ONE_SIDE.contains(name)) {
        if let Some(value) = given.pair(name) {
            add(name);
            add(value);
        }
    }
    // No key is empty: the lists cannot run into each other.
    add("");
    for (name, value) in &options.environment {
        add(name);
        add(value);
    }
    hash.finalize().into()
}

/// The bucket's URL.
fn base(aws: &Aws<'_>, name: &str) -> Result<Url> {
    let given = aws.given;
    let pair =
        ["aws_endpoint_url_s3", "aws_endpoint"].into_iter().find_map(|key| Some((key, given.pair(key)?)));
    let endpoint = match pair {
        Some((key, value)) => Some(web_url(value, key)?),
        None => match aws.configured_endpoint("AWS_ENDPOINT_URL_S3", "s3")? {
            Some(url) => Some(url),
            // The variable of object_store.
            None => given.variable("AWS_ENDPOINT").map(|value| web_url(value, "AWS_ENDPOINT")).transpose()?,
        },
    };
    let style = nested(aws.profile.get("s3")).get("addressing_style").cloned();
    let asked = match given.flag("aws_virtual_hosted_style_request")? {
        Some(asked) => Some(asked),
        None => match style.as_deref() {
            Some("virtual") => Some(true),
            Some("path") => Some(false),
            _ => None,
        },
    };
    // A name with dots does not match the certificate; one with capitals is no host name.
    let is_label = (3..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let is_virtual = asked.unwrap_or(endpoint.is_none() && is_label);
    let mut url = if let Some(url) = endpoint {
        url
    } else {
        let fips = aws.flag("aws_use_fips_endpoint", "use_fips_endpoint")?;
        let dual = aws.flag("aws_use_dualstack_endpoint", "use_dualstack_endpoint")?;
        match (fips, dual) {
            (false, false) => service_url("s3", &aws.region)?,
            (true, false) => service_url("s3-fips", &aws.region)?,
            (false, true) => service_url("s3.dualstack", &aws.region)?,
            (true, true) => service_url("s3-fips.dualstack", &aws.region)?,
        }
    };
    if !is_virtual {
        add_segment(&mut url, name)?;
        return Ok(url);
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    // object_store wants the bucket in the endpoint, the AWS CLI does not: both are taken.
    if host != name && !host.starts_with(&format!("{name}.")) {
        let is_label =
            is_label || name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        let set = is_label
            && matches!(url.host(), Some(url::Host::Domain(_)))
            && url.set_host(Some(&format!("{name}.{host}"))).is_ok();
        if !set {
            return Err(Error::usage(format!(
                "the bucket {name} cannot be part of the host name {host}: set aws_virtual_hosted_style_request=false"
            )));
        }
    }
    Ok(url)
}

/// The headers of encryption by the store: for what is written, and for everything else.
fn encryption(given: Given<'_>) -> Result<(HeaderMap, HeaderMap)> {
    let (mut put, mut read) = (HeaderMap::new(), HeaderMap::new());
    let kind = given.choice("aws_server_side_encryption")?;
    let (kms, customer) = (given.any("aws_sse_kms_key_id"), given.any("aws_sse_customer_key_base64"));
    let bucket_key = given.flag("aws_sse_bucket_key_enabled")?;
    let is_kms = matches!(kind, Some("aws:kms" | "aws:kms:dsse"));
    if !is_kms && (kms.is_some() || (bucket_key.is_some() && kind != Some("AES256") && kind.is_some())) {
        return Err(Error::usage(
            "aws_sse_kms_key_id and aws_sse_bucket_key_enabled need aws_server_side_encryption=aws:kms (or aws:kms:dsse)",
        ));
    }
    if customer.is_some() != (kind == Some("sse-c")) {
        return Err(Error::usage(
            "aws_server_side_encryption=sse-c and aws_sse_customer_key_base64 need each other",
        ));
    }
    if let Some(text) = customer {
        let key = key32(text)
            .ok_or_else(|| Error::usage("aws_sse_customer_key_base64 must be 32 bytes in base64"))?;
        add_header(&mut read, "x-amz-server-side-encryption-customer-algorithm", "AES256")?;
        add_header(&mut read, "x-amz-server-side-encryption-customer-key", text)?;
        let md5 = BASE64_STANDARD.encode(Md5::digest(key));
        add_header(&mut read, "x-amz-server-side-encryption-customer-key-md5", &md5)?;
        put.clone_from(&read);
    } else if let Some(kind) = kind {
        add_header(&mut put, "x-amz-server-side-encryption", kind)?;
        if let Some(id) = kms {
            add_header(&mut put, "x-amz-server-side-encryption-aws-kms-key-id", id)?;
        }
        if let Some(enabled) = bucket_key {
            add_header(&mut put, "x-amz-server-side-encryption-bucket-key-enabled", &enabled.to_string())?;
        }
    }
    Ok((put, read))
}

#[cfg(test)]
#[path = "aws_endpoint_tests.rs"]
mod tests;
