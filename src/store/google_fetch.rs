//! Where tokens for Google Cloud come from, and how they are fetched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use serde::Deserialize;
use url::Url;

use super::StoreOptions;
use super::client::Kind;
use super::credential::Fetched;
use super::exchange::{self, Exchange, Silence, add_header, ascii, get, post};
use super::text_file::read_beside;
use crate::error::{Error, Result};

/// What the tokens are for: the least with which objects are read and written.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";
/// What a token is for that is exchanged for a service account's.
const LENDING: &str = "https://www.googleapis.com/auth/iam";
/// How long tokens that are signed here live: the most that Google takes.
const LIFE: u64 = 3600;

/// Where tokens come from.
#[derive(Debug)]
pub(crate) enum Source {
    Nobody,
    /// Given as it is.
    Token(Arc<str>),
    /// A key with which tokens are signed here (Google's AIP-4111).
    ServiceAccount(ServiceAccount),
    /// A user's permission, exchanged for tokens (AIP-4113).
    User(User),
    /// A token of another identity provider, exchanged for one of Google's (AIP-4117).
    External(Box<External>),
    /// A service account's token in exchange for the one of `source`.
    Impersonated {
        source: Box<Self>,
        url: Url,
        delegates: Vec<String>,
        seconds: u64,
    },
    /// The metadata service of Compute Engine, GKE and Cloud Run.
    Metadata(Url),
}

/// A service account's key.
pub(crate) struct ServiceAccount {
    pub(crate) email: String,
    pub(crate) key_id: String,
    pub(crate) key: Arc<dyn SigningKey>,
}

impl std::fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccount").finish_non_exhaustive()
    }
}

/// A user's permission.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) refresh_token: String,
    pub(crate) token_url: Url,
}

/// A workload identity federation.
#[derive(Debug)]
pub(crate) struct External {
    pub(crate) audience: String,
    pub(crate) subject_token_type: String,
    pub(crate) token_url: Url,
    pub(crate) subject: Subject,
    /// The field of JSON in which the token is; `None`: the token is all of it.
    pub(crate) field: Option<String>,
    pub(crate) client: Option<(String, String)>,
    pub(crate) workforce_project: Option<String>,
}

/// Where the other provider's token is.
#[derive(Debug)]
pub(crate) enum Subject {
    File(PathBuf),
    Url(Url, BTreeMap<String, String>),
}

/// A token for Google Cloud in the answer of any of its services.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
}

impl Answer {
    fn fetched(self, what: &str) -> Result<Fetched<Arc<str>>> {
        if self.access_token.is_empty() || ascii(&self.access_token).is_none() {
            return Err(Error::io(format!("the token of {what} cannot stand in a header")));
        }
        Ok(Fetched::living(Arc::from(self.access_token), self.expires_in.unwrap_or(LIFE)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonation {
    access_token: String,
    expire_time: String,
}

impl Source {
    /// Whether another fetch may give another token.
    pub(crate) fn can_change(&self) -> bool {
        !matches!(self, Self::Nobody | Self::Token(_))
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when there is none to be had; [`crate::ErrorKind::Io`] when a service fails.
    pub(crate) async fn fetch(&self, options: &StoreOptions) -> Result<Fetched<Arc<str>>> {
        let Self::Impersonated { source, url, delegates, seconds } = self else {
            return self.directly(options, SCOPE).await;
        };
        let token = source.directly(options, LENDING).await?.value;
        impersonate(&token, url, delegates, *seconds, options).await
    }

    async fn directly(&self, options: &StoreOptions, scope: &str) -> Result<Fetched<Arc<str>>> {
        match self {
            Self::Nobody => Err(Error::usage("anonymous requests have no token")),
            Self::Token(token) => Ok(Fetched { value: Arc::clone(token), expires: None }),
            Self::ServiceAccount(account) => account.token(scope),
            Self::User(user) => user.fetch(options).await,
            Self::External(external) => external.fetch(options, scope).await,
            Self::Metadata(url) => metadata(url, options).await,
            Self::Impersonated { .. } => {
                Err(Error::unsupported("a service account that is impersonated twice"))
            }
        }
    }
}

/// The key in a PEM of PKCS#8 or PKCS#1; `None` when there is none that signs with RSA.
pub(crate) fn rsa_key(pem: &str) -> Option<Arc<dyn SigningKey>> {
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    let key = rustls::crypto::ring::sign::any_supported_type(&der).ok()?;
    key.choose_scheme(&[rustls::SignatureScheme::RSA_PKCS1_SHA256]).is_some().then_some(key)
}

impl ServiceAccount {
    /// A token that the account signs itself: a JWT with RS256 (RFC 7515, RFC 7519).
    fn token(&self, scope: &str) -> Result<Fetched<Arc<str>>> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let header = serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = serde_json::json!({
            "iss": self.email,
            "sub": self.email,
            "scope": scope,
            "iat": now,
            "exp": now.saturating_add(LIFE),
        });
        let encode = |value: &serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signer = self.key.choose_scheme(&[rustls::SignatureScheme::RSA_PKCS1_SHA256]);
        let signature = signer.and_then(|signer| signer.sign(message.as_bytes()).ok());
        let signature =
            signature.ok_or_else(|| Error::io("the key of the service account could not sign a token"))?;
        let token = format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        Ok(Fetched::living(Arc::from(token), LIFE))
    }
}

impl User {
    async fn fetch(&self, options: &StoreOptions) -> Result<Fetched<Arc<str>>> {
        const WHAT: &str = "the token service of Google";
        let request = post(
            self.token_url.clone(),
            &[
                ("grant_type", "refresh_token"),
                ("client_id", &self.client_id),
                ("client_secret", &self.client_secret),
                ("refresh_token", &self.refresh_token),
            ],
        );
        match Exchange::new(options, Kind::Store)?.json::<Answer>(WHAT, &request).await {
            Err(Silence::Refused(Some(400 | 401), cause)) => Err(Error::usage(
                "the sign-in to Google Cloud is no longer taken: run `gcloud auth application-default login`",
            )
            .caused_by(cause)),
            answer => answer?.fetched(WHAT),
        }
    }
}

impl External {
    async fn fetch(&self, options: &StoreOptions, scope: &str) -> Result<Fetched<Arc<str>>> {
        const WHAT: &str = "the security token service of Google";
        let subject = self.subject(options).await?;
        let extra = self
            .workforce_project
            .as_ref()
            .filter(|_| self.client.is_none())
            .map(|project| serde_json::json!({ "userProject": project }).to_string());
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", self.audience.as_str()),
            ("scope", scope),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", self.subject_token_type.as_str()),
            ("subject_token", subject.as_str()),
        ];
        form.extend(extra.as_deref().map(|extra| ("options", extra)));
        let mut request = post(self.token_url.clone(), &form);
        if let Some((id, secret)) = &self.client {
            let pair = BASE64_STANDARD.encode(format!("{id}:{secret}"));
            add_header(&mut request.headers, "authorization", &format!("Basic {pair}"))?;
        }
        Exchange::new(options, Kind::Store)?.json::<Answer>(WHAT, &request).await?.fetched(WHAT)
    }

    /// The other provider's token, read each time: it is renewed in its place.
    async fn subject(&self, options: &StoreOptions) -> Result<String> {
        const WHAT: &str = "the provider of the subject token";
        let (text, place) = match &self.subject {
            Subject::File(path) => {
                let text = read_beside(path).await?;
                let text =
                    text.ok_or_else(|| Error::io(format!("there is no token file {}", path.display())))?;
                (text, path.display().to_string())
            }
            Subject::Url(url, headers) => {
                let mut request = get(url.clone());
                for (name, value) in headers {
                    let name = HeaderName::from_bytes(name.as_bytes()).ok();
                    let (Some(name), Some(value)) = (name, ascii(value)) else {
                        return Err(Error::usage("a header of credential_source cannot be sent"));
                    };
                    request.headers.insert(name, value);
                }
                let body = Exchange::new(options, Kind::Metadata)?.send(WHAT, &request).await?;
                let text = String::from_utf8(body.to_vec());
                (
                    text.map_err(|_bytes| Error::io(format!("the answer of {WHAT} is not text")))?,
                    WHAT.to_owned(),
                )
            }
        };
        let Some(field) = &self.field else { return Ok(text.trim().to_owned()) };
        let value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let token = value.as_ref().and_then(|value| value.get(field)).and_then(serde_json::Value::as_str);
        token.map(str::to_owned).ok_or_else(|| {
            Error::io(format!("{place} is not JSON with the text {field}, which credential_source names"))
        })
    }
}

async fn impersonate(
    token: &str,
    url: &Url,
    delegates: &[String],
    seconds: u64,
    options: &StoreOptions,
) -> Result<Fetched<Arc<str>>> {
    const WHAT: &str = "the service of Google that lends service accounts";
    let body = serde_json::json!({
        "delegates": delegates,
        "scope": [SCOPE],
        "lifetime": format!("{seconds}s"),
    });
    let mut request = get(url.clone());
    request.method = Method::POST;
    request.body = vec![Bytes::from(body.to_string())];
    request.headers.insert(reqwest::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    add_header(&mut request.headers, "authorization", &format!("Bearer {token}"))?;
    let answer: Impersonation = Exchange::new(options, Kind::Store)?.json(WHAT, &request).await?;
    let expires = exchange::instant(&answer.expire_time)
        .ok_or_else(|| Error::io(format!("the answer of {WHAT} has an expireTime that is not a time")))?;
    let answer = Answer { access_token: answer.access_token, expires_in: None };
    Ok(Fetched { expires: Some(expires), ..answer.fetched(WHAT)? })
}

async fn metadata(url: &Url, options: &StoreOptions) -> Result<Fetched<Arc<str>>> {
    const WHAT: &str = "the metadata service of Google Cloud";
    const NONE: &str = "no credentials for Google Cloud Storage were found: run `gcloud auth application-default login`, set \
        GOOGLE_APPLICATION_CREDENTIALS, or give skip_signature=true for a public bucket";
    let mut request = get(url.clone());
    add_header(&mut request.headers, "metadata-flavor", "Google")?;
    match Exchange::new(options, Kind::Metadata)?.json::<Answer>(WHAT, &request).await {
        Err(Silence::Unreachable(cause)) => {
            Err(Error::usage(format!("{NONE} (the metadata service is not there either)")).caused_by(cause))
        }
        Err(Silence::Refused(Some(404), cause)) => {
            Err(Error::usage(format!("{NONE} (this machine has no service account)")).caused_by(cause))
        }
        answer => answer?.fetched(WHAT),
    }
}
