//! Signatures of requests: AWS Signature Version 4 and Azure's Shared Key, as object_store makes them.

use bytes::Bytes;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::azure::{AzureAuthorizer, AzureCredential};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, HOST, HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};

use super::exchange::ascii;
use super::request::Request;
use crate::error::{Error, Result};

/// A body of more bytes is hashed beside the runtime's own threads.
const MUCH: usize = 1 << 18;

/// What a signature of AWS is for.
pub(crate) struct Scope<'a> {
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    /// The body is not part of the signature.
    pub(crate) unsigned: bool,
    /// Who asks pays: adds that header.
    pub(crate) payer: bool,
}

/// Signs with AWS Signature Version 4: adds Authorization, x-amz-date, x-amz-content-sha256, and x-amz-security-token.
///
/// The URL is taken as it will be sent. For S3 it must be encoded as the signature wants it (RFC 3986 unreserved characters
/// stay, '/' of the path stays, every other byte is %XX in capitals, a space is %20): the server compares with its own encoding.
/// The query need not be sorted. All headers are signed but Content-Length and User-Agent, so none may be changed afterwards.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a header that cannot be signed, [`crate::ErrorKind::Io`] when the body could not be hashed.
pub(crate) async fn aws(request: &mut Request, keys: &AwsCredential, scope: &Scope<'_>) -> Result<()> {
    let digest = match (scope.unsigned, request.sha256) {
        (true, _) => None,
        (false, Some(digest)) => Some(digest),
        (false, None) => Some(sha256(&request.body).await?),
    };
    let mut carrier = carrier(request)?;
    carrier.headers_mut().remove(AUTHORIZATION);
    AwsAuthorizer::new(keys, scope.service, scope.region)
        .with_sign_payload(!scope.unsigned)
        .with_request_payer(scope.payer)
        .try_authorize(&mut carrier, digest.as_ref().map(<[u8; 32]>::as_slice))
        .map_err(|_cause| Error::io("the request could not be signed"))?;
    request.headers = std::mem::take(carrier.headers_mut());
    hide(&mut request.headers, &["authorization", "x-amz-security-token"]);
    Ok(())
}

/// Signs with Azure's Shared Key, or adds a bearer token: adds Authorization, Date, and x-ms-version where it is missing.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a header that cannot be signed.
pub(crate) fn azure(request: &mut Request, credential: &AzureCredential, account: &str) -> Result<()> {
    let mut carrier = carrier(request)?;
    carrier.headers_mut().remove(AUTHORIZATION);
    let length: usize = request.body.iter().map(Bytes::len).sum();
    if length > 0 {
        // It is part of what is signed; sent it is by the client.
        carrier.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    AzureAuthorizer::new(credential, account)
        .try_authorize(&mut carrier)
        .map_err(|_cause| Error::io("the request could not be signed"))?;
    request.headers = std::mem::take(carrier.headers_mut());
    request.headers.remove(CONTENT_LENGTH);
    hide(&mut request.headers, &["authorization"]);
    Ok(())
}

/// What a request to Azure without a signature needs: the version, so that the answer is that of today's service.
pub(crate) fn azure_version(headers: &mut HeaderMap) {
    if !headers.contains_key("x-ms-version") {
        headers.insert("x-ms-version", HeaderValue::from_static("2023-11-03"));
    }
}

/// The request in object_store's type, without its body.
fn carrier(request: &Request) -> Result<HttpRequest> {
    for (name, value) in &request.headers {
        // object_store panics on others.
        if value.to_str().ok().and_then(ascii).is_none() {
            return Err(Error::usage(format!(
                "the header {name} has a character that is not printable ASCII"
            )));
        }
    }
    let uri = request.url.as_str().parse().map_err(|_cause| {
        Error::usage("the URL of a request has a character that must be percent-encoded")
    })?;
    let mut carrier = HttpRequest::new(HttpRequestBody::empty());
    *carrier.method_mut() = request.method.clone();
    *carrier.uri_mut() = uri;
    *carrier.headers_mut() = request.headers.clone();
    carrier.headers_mut().remove(HOST);
    carrier.headers_mut().remove(DATE);
    Ok(carrier)
}

/// Keeps values out of what is printed of headers.
fn hide(headers: &mut HeaderMap, names: &[&str]) {
    for name in names {
        if let Some(value) = headers.get_mut(*name) {
            value.set_sensitive(true);
        }
    }
}

/// The digest of a body in pieces.
async fn sha256(body: &[Bytes]) -> Result<[u8; 32]> {
    let hash = |body: &[Bytes]| {
        let mut hash = Sha256::new();
        for piece in body {
            hash.update(piece);
        }
        hash.finalize().into()
    };
    if body.iter().map(Bytes::len).sum::<usize>() < MUCH {
        return Ok(hash(body));
    }
    // Pieces are counted references.
    let body = body.to_vec();
    let task = tokio::task::spawn_blocking(move || hash(&body));
    task.await.map_err(|cause| Error::io("the task that hashed a body was stopped").caused_by(cause))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write;

    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use object_store::azure::AzureAccessKey;
    use reqwest::Method;
    use reqwest::header::HeaderName;
    use url::Url;

    use super::*;
    use crate::error::ErrorKind;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const ACCOUNT: &str = "devstoreaccount1";
    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    /// RFC 2104 with SHA-256; of keys up to 64 bytes.
    fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
        Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut all, byte| {
            write!(all, "{byte:02x}").unwrap();
            all
        })
    }

    type Headers = BTreeMap<String, String>;

    /// The Authorization of a request that has its date and digest, by AWS's "Create a signed AWS API request". The path and
    /// the query are taken as encoded.
    fn by_hand_aws(
        method: &str,
        url: &Url,
        headers: &Headers,
        region: &str,
        service: &str,
        signed: &str,
    ) -> String {
        let (date, digest) = (&headers["x-amz-date"], &headers["x-amz-content-sha256"]);
        let mut pairs: Vec<String> = url
            .query()
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        pairs.sort();
        let canonical = signed.split(';').fold(String::new(), |mut all, name| {
            let value = headers[name].split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(all, "{name}:{value}").unwrap();
            all
        });
        let request =
            format!("{method}\n{}\n{}\n{canonical}\n{signed}\n{digest}", url.path(), pairs.join("&"));
        let scope = format!("{}/{region}/{service}/aws4_request", &date[..8]);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let mut key = format!("AWS4{SECRET}").into_bytes();
        for part in [&date[..8], region, service, "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex(&hmac(&key, text.as_bytes()));
        format!("AWS4-HMAC-SHA256 Credential={ID}/{scope}, SignedHeaders={signed}, Signature={signature}")
    }

    /// The Authorization by Microsoft's "Authorize with Shared Key".
    fn by_hand_azure(method: &str, url: &Url, headers: &Headers) -> String {
        let get = |name: &str| headers.get(name).cloned().unwrap_or_default();
        let date = if headers.contains_key("x-ms-date") { String::new() } else { get("date") };
        let names = ["content-encoding", "content-language", "content-length", "content-md5", "content-type"];
        let mut text = format!("{method}\n");
        for name in names {
            text += &(get(name) + "\n");
        }
        text += &(date + "\n");
        for name in ["if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"] {
            text += &(get(name) + "\n");
        }
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
            writeln!(text, "{name}:{value}").unwrap();
        }
        write!(text, "/{ACCOUNT}{}", url.path()).unwrap();
        let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        for (name, value) in pairs {
            write!(text, "\n{name}:{value}").unwrap();
        }
        let key = BASE64_STANDARD.decode(KEY).unwrap();
        format!("SharedKey {ACCOUNT}:{}", BASE64_STANDARD.encode(hmac(&key, text.as_bytes())))
    }

    fn shown(headers: &HeaderMap) -> Headers {
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    fn signed_names(authorization: &str) -> &str {
        authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap()
    }

    // The examples of the Amazon S3 API Reference, "Signature Calculations for the Authorization Header".
    #[test]
    fn the_hand_agrees_with_amazons_examples() {
        let empty = hex(&Sha256::digest(""));
        let body = hex(&Sha256::digest("Welcome to Amazon S3."));
        for (method, path, more, digest, expected) in [
            (
                "GET",
                "/test.txt",
                vec![("range", "bytes=0-9")],
                &empty,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test%24file.text",
                vec![
                    ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ],
                &body,
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/?lifecycle",
                vec![],
                &empty,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/?max-keys=2&prefix=J",
                vec![],
                &empty,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let mut headers: Headers = more.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
            headers.insert("host".into(), "examplebucket.s3.amazonaws.com".into());
            headers.insert("x-amz-date".into(), "20130524T000000Z".into());
            headers.insert("x-amz-content-sha256".into(), digest.clone());
            let names = headers.keys().cloned().collect::<Vec<_>>().join(";");
            let url = Url::parse(&format!("https://examplebucket.s3.amazonaws.com{path}")).unwrap();
            let got = by_hand_aws(method, &url, &headers, "us-east-1", "s3", &names);
            assert!(got.ends_with(expected), "{path}: {got}");
        }
    }

    type Case = (String, String, String, String, Headers, String);

    // botocore's and azure-storage-blob's signatures of the same requests (scripts/signature_truth.py) are those by hand; and
    // those by hand are ours, whose date is today's.
    #[tokio::test]
    async fn signatures_agree_with_those_of_botocore_and_azure() {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../testdata/store/signatures.json")).unwrap();
        assert_eq!(cases.len(), 7);
        for (kind, service, method, url, mut headers, body) in cases {
            let url = Url::parse(&url).unwrap();
            let theirs = headers.remove("authorization").unwrap();
            headers.insert("host".into(), url[url::Position::BeforeHost..url::Position::AfterPort].into());
            let digest = hex(&Sha256::digest(&body));
            headers.entry("x-amz-content-sha256".into()).or_insert(digest.clone());
            let mut request = Request {
                method: Method::from_bytes(method.as_bytes()).unwrap(),
                url: url.clone(),
                headers: HeaderMap::new(),
                body: body.as_bytes().chunks(2).map(Bytes::copy_from_slice).collect(),
                sha256: None,
            };
            let of_signer = [
                "host",
                "date",
                "content-length",
                "authorization",
                "x-ms-date",
                "x-amz-date",
                "x-amz-content-sha256",
                "x-amz-security-token",
            ];
            for (name, value) in headers.iter().filter(|(name, _)| !of_signer.contains(&name.as_str())) {
                request
                    .headers
                    .insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            if kind == "aws" {
                assert_eq!(
                    theirs,
                    by_hand_aws(&method, &url, &headers, "eu-central-1", &service, signed_names(&theirs)),
                    "{url}"
                );
                let token = headers.get("x-amz-security-token").cloned();
                let keys =
                    AwsCredential { key_id: ID.into(), secret_key: SECRET.into(), token: token.clone() };
                let scope = Scope {
                    service: &service,
                    region: "eu-central-1",
                    unsigned: false,
                    payer: service == "s3",
                };
                aws(&mut request, &keys, &scope).await.unwrap();
                let mut ours = shown(&request.headers);
                let authorization = ours.remove("authorization").unwrap();
                assert_eq!(ours["x-amz-content-sha256"], digest);
                assert_eq!(ours.get("x-amz-security-token"), token.as_ref());
                assert_eq!(ours.contains_key("x-amz-request-payer"), service == "s3");
                assert!(!ours.contains_key("host"));
                ours.insert("host".into(), headers["host"].clone());
                // Everything that is sent is signed.
                assert_eq!(signed_names(&authorization), ours.keys().cloned().collect::<Vec<_>>().join(";"));
                let by_hand =
                    by_hand_aws(&method, &url, &ours, "eu-central-1", &service, signed_names(&authorization));
                assert_eq!(authorization, by_hand, "{url}");
            } else {
                headers.remove("host");
                headers.remove("x-amz-content-sha256");
                assert_eq!(theirs, by_hand_azure(&method, &url, &headers), "{url}");
                request.headers.remove("content-length");
                if let Some(length) = headers.get("content-length") {
                    request.body = vec![Bytes::from(vec![7; length.parse().unwrap()])];
                }
                let key = AzureCredential::AccessKey(AzureAccessKey::try_new(KEY).unwrap());
                azure(&mut request, &key, ACCOUNT).unwrap();
                let mut ours = shown(&request.headers);
                let authorization = ours.remove("authorization").unwrap();
                assert!(!ours.contains_key("content-length"), "it is the client's");
                let with_length =
                    headers.get("content-length").map(|length| ("content-length".to_owned(), length.clone()));
                ours.extend(with_length);
                assert_eq!(authorization, by_hand_azure(&method, &url, &ours), "{url}");
            }
        }
    }

    #[tokio::test]
    async fn what_would_make_the_signer_panic_is_an_error() {
        let keys = AwsCredential { key_id: ID.into(), secret_key: SECRET.into(), token: None };
        let scope = Scope { service: "s3", region: "eu-central-1", unsigned: true, payer: false };
        let mut request = super::super::exchange::get(Url::parse("https://h/b/k").unwrap());
        request.headers.insert("x-amz-meta-a", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        let error = aws(&mut request, &keys, &scope).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("x-amz-meta-a"), "{error}");
        request.headers.clear();
        aws(&mut request, &keys, &scope).await.unwrap();
        assert_eq!(request.headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD");
        // A URL with what must be encoded in it: an answer, whatever it is.
        for url in ["https://h/b/a|b", "https://h/b/a^b`{}", "https://h/b?a=[x]|y", "https://h/b/'\"<>"] {
            let mut request = super::super::exchange::get(Url::parse(url).unwrap());
            drop(aws(&mut request, &keys, &scope).await);
        }
        // A second signature replaces the first, as on a second try.
        let first = request.headers["authorization"].clone();
        aws(&mut request, &keys, &scope).await.unwrap();
        assert_eq!(request.headers.get_all("authorization").iter().count(), 1);
        drop(first);
    }
}
