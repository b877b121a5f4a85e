//! Files of credentials for Google Cloud: the JSON that `gcloud` and the console write.
//!
//! Source: Google's API Improvement Proposals 4110 to 4117 ("Application Default Credentials").

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::exchange::is_private;
use super::google_fetch::{External, ServiceAccount, Source, Subject, User, rsa_key};
use crate::error::{Error, Result};

/// Google's own token service.
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// How long an impersonated account's tokens live when the file says nothing.
const LIFE: u64 = 3600;

/// What a file says.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) source: Source,
    /// The project that pays.
    pub(crate) project: Option<String>,
    /// The endpoint, in files for emulators.
    pub(crate) base_url: Option<Url>,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: Option<String>,
    quota_project_id: Option<String>,
    universe_domain: Option<String>,
    // service_account
    private_key: Option<String>,
    private_key_id: Option<String>,
    client_email: Option<String>,
    gcs_base_url: Option<String>,
    #[serde(default)]
    disable_oauth: bool,
    // authorized_user
    client_id: Option<String>,
    client_secret: Option<String>,
    refresh_token: Option<String>,
    token_uri: Option<String>,
    // external_account
    audience: Option<String>,
    subject_token_type: Option<String>,
    token_url: Option<String>,
    credential_source: Option<CredentialSource>,
    service_account_impersonation_url: Option<String>,
    service_account_impersonation: Option<Lifetime>,
    workforce_pool_user_project: Option<String>,
    // impersonated_service_account
    source_credentials: Option<Box<Self>>,
    #[serde(default)]
    delegates: Vec<String>,
}

#[derive(Deserialize)]
struct CredentialSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    format: Option<Format>,
    executable: Option<serde::de::IgnoredAny>,
    certificate: Option<serde::de::IgnoredAny>,
    environment_id: Option<String>,
}

#[derive(Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject_token_field_name: Option<String>,
}

#[derive(Deserialize)]
struct Lifetime {
    token_lifetime_seconds: Option<u64>,
}

/// Reads the JSON of credentials. `place` is where it stands, for messages. A `type` that is missing means `expected`.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for what is not such a JSON, lacks something, or would send secrets in the clear;
/// [`crate::ErrorKind::Unsupported`] for another kind of credentials.
pub(crate) fn parse(text: &str, place: &str, expected: &str) -> Result<Credentials> {
    let file: File = serde_json::from_str(text).map_err(|cause| {
        // The cause may quote the text.
        let (line, column) = (cause.line(), cause.column());
        Error::usage(format!(
            "{place} is not the JSON of credentials for Google Cloud (line {line}, column {column})"
        ))
    })?;
    if let Some(domain) = file.universe_domain.as_deref().filter(|domain| *domain != "googleapis.com") {
        // Its value is a host name, no secret; but it is a stranger's text.
        let domain: String = domain.chars().filter(char::is_ascii_graphic).take(60).collect();
        return Err(Error::unsupported(format!("{place} is for another cloud of Google ({domain})")));
    }
    let base_url = file.gcs_base_url.as_deref().map(|url| web(url, place, "gcs_base_url")).transpose()?;
    let project = file.quota_project_id.clone();
    let source = source(file, place, expected)?;
    Ok(Credentials { source, project, base_url })
}

fn source(file: File, place: &str, expected: &str) -> Result<Source> {
    let kind = file.kind.clone();
    let need = |value: Option<String>, name: &str| {
        value.filter(|value| !value.is_empty()).ok_or_else(|| Error::usage(format!("{place} lacks {name}")))
    };
    match kind.as_deref().unwrap_or(expected) {
        "service_account" => {
            if file.disable_oauth {
                return Ok(Source::Nobody);
            }
            let pem = need(file.private_key, "private_key")?;
            let key = rsa_key(&pem).ok_or_else(|| {
                Error::usage(format!("{place}: private_key is not an RSA key in the form PEM"))
            })?;
            Ok(Source::ServiceAccount(ServiceAccount {
                email: need(file.client_email, "client_email")?,
                key_id: need(file.private_key_id, "private_key_id")?,
                key,
            }))
        }
        "authorized_user" => Ok(Source::User(User {
            client_id: need(file.client_id, "client_id")?,
            client_secret: need(file.client_secret, "client_secret")?,
            refresh_token: need(file.refresh_token, "refresh_token")?,
            token_url: private(file.token_uri.as_deref().unwrap_or(TOKEN_URL), place, "token_uri")?,
        })),
        "external_account" => {
            let given = file
                .credential_source
                .ok_or_else(|| Error::usage(format!("{place} lacks credential_source")))?;
            let (subject, field) = subject(given, place)?;
            let client = match (file.client_id, file.client_secret) {
                (Some(id), secret) => Some((id, secret.unwrap_or_default())),
                (None, _) => None,
            };
            let external = External {
                audience: need(file.audience, "audience")?,
                subject_token_type: need(file.subject_token_type, "subject_token_type")?,
                token_url: private(&need(file.token_url, "token_url")?, place, "token_url")?,
                subject,
                field,
                client,
                workforce_project: file.workforce_pool_user_project,
            };
            let source = Source::External(Box::new(external));
            let Some(url) = file.service_account_impersonation_url else { return Ok(source) };
            let url = private(&url, place, "service_account_impersonation_url")?;
            let seconds =
                file.service_account_impersonation.and_then(|lifetime| lifetime.token_lifetime_seconds);
            Ok(Source::Impersonated {
                source: Box::new(source),
                url,
                delegates: Vec::new(),
                seconds: seconds.unwrap_or(LIFE),
            })
        }
        "impersonated_service_account" => {
            let url = need(file.service_account_impersonation_url, "service_account_impersonation_url")?;
            let url = private(&url, place, "service_account_impersonation_url")?;
            let inner = file
                .source_credentials
                .ok_or_else(|| Error::usage(format!("{place} lacks source_credentials")))?;
            let inner = source(*inner, place, "authorized_user")?;
            if matches!(inner, Source::Impersonated { .. }) {
                return Err(Error::unsupported(format!(
                    "{place}: a service account that is impersonated twice"
                )));
            }
            Ok(Source::Impersonated {
                source: Box::new(inner),
                url,
                delegates: file.delegates,
                seconds: LIFE,
            })
        }
        other => {
            let other: String = other.chars().filter(char::is_ascii_graphic).take(60).collect();
            Err(Error::unsupported(format!(
                "{place}: credentials of the type {other} are not supported; service_account, authorized_user, external_account \
                 and impersonated_service_account are"
            )))
        }
    }
}

fn subject(given: CredentialSource, place: &str) -> Result<(Subject, Option<String>)> {
    let refused = if given.environment_id.is_some() {
        Some("of AWS (environment_id)")
    } else if given.executable.is_some() {
        Some("of a program (executable)")
    } else if given.certificate.is_some() {
        Some("of a certificate")
    } else {
        None
    };
    if let Some(what) = refused {
        return Err(Error::unsupported(format!(
            "{place}: a subject token {what} is not supported; one in a file or at a URL is"
        )));
    }
    let field = match given.format {
        Some(format) if format.kind.as_deref() == Some("json") => Some(
            format
                .subject_token_field_name
                .ok_or_else(|| Error::usage(format!("{place} lacks subject_token_field_name")))?,
        ),
        _ => None,
    };
    let subject = match (given.file, given.url) {
        (Some(path), None) => Subject::File(path),
        // A metadata service of the machine is asked in the clear, and no secret is sent to it.
        (None, Some(url)) => Subject::Url(web(&url, place, "credential_source.url")?, given.headers),
        _ => return Err(Error::usage(format!("{place}: credential_source must have either file or url"))),
    };
    Ok((subject, field))
}

fn web(text: &str, place: &str, name: &str) -> Result<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Error::usage(format!("{place}: {name} is not a URL with http:// or https://")))
}

/// A URL to which secrets are sent.
fn private(text: &str, place: &str, name: &str) -> Result<Url> {
    let url = web(text, place, name)?;
    if is_private(&url) {
        return Ok(url);
    }
    Err(Error::usage(format!(
        "{place}: {name} is not https://, and secrets would be sent to it in the clear"
    )))
}
