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
