//! Where a bucket of Google Cloud Storage is, and as whom it is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::StoreOptions;
use super::auth::{Auth, GoogleAuth};
use super::aws_config::{expand, read};
use super::endpoint::{Endpoint, Settings, add_segment};
use super::google_fetch::Source;
use super::google_file::{Credentials, parse};
use super::key_table::Of;
use super::keys::{Given, flag};
use super::location::Bucket;
use crate::error::{Error, Result};

const BASE: &str = "https://storage.googleapis.com";
const METADATA_HOST: &str = "metadata.google.internal";
const TOKEN_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";

/// The endpoint of a bucket, by the XML API.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a setting or file that is wrong, [`crate::ErrorKind::Unsupported`] for credentials of another
/// kind, [`crate::ErrorKind::Io`] for a file that cannot be read.
pub(crate) fn bucket(bucket: &Bucket, options: &StoreOptions) -> Result<Endpoint> {
    let given = Given::new(Of::Google, options);
    let credentials = credentials(given)?;
    let mut base = match (given.url("google_base_url")?, credentials.base_url) {
        (Some(url), _) | (None, Some(url)) => url,
        (None, None) => parsed(BASE)?,
    };
    add_segment(&mut base, &bucket.name)?;
    let project = given.any("google_user_project").map(str::to_owned).or(credentials.project);
    let auth = match (&credentials.source, &project) {
        (Source::Nobody, None) => Auth::nobody(),
        _ => Auth::google(GoogleAuth::new(credentials.source, project, options)),
    };
    Ok(Endpoint { base, auth: auth.into(), settings: Settings::plain() })
}

/// The first that is given of: no credentials at all, a token, a service account, a file of application default credentials, the
/// one that gcloud has left, the machine's own. Keys count before the environment.
fn credentials(given: Given<'_>) -> Result<Credentials> {
    let plain = |source| Credentials { source, project: None, base_url: None };
    if given.flag("google_skip_signature")? == Some(true) {
        return Ok(plain(Source::Nobody));
    }
    // A credential that is given as a key is meant, whatever the environment has.
    for look in [Given::pair, Given::environment] {
        if let Some(token) = look(given, "google_bearer_token") {
            return Ok(plain(Source::Token(Arc::from(token))));
        }
        let path = look(given, "google_service_account");
        let key = look(given, "google_service_account_key");
        match (path, key) {
            (Some(_), Some(_)) => {
                return Err(Error::usage(
                    "google_service_account and google_service_account_key: give one of the two",
                ));
            }
            (Some(path), None) => return file(&expand(given, path), "service_account"),
            (None, Some(key)) => return parse(key, "google_service_account_key", "service_account"),
            (None, None) => {}
        }
        if let Some(path) = look(given, "google_application_credentials") {
            return file(&expand(given, path), "service_account");
        }
    }
    if let Some(path) = given.variable("SERVICE_ACCOUNT") {
        return file(Path::new(path), "service_account");
    }
    if let Some(path) = well_known(given)
        && let Some(text) = read(&path)?
    {
        return parse(&text, &path.display().to_string(), "authorized_user");
    }
    if given.variable("NO_GCE_CHECK").and_then(flag) == Some(true) {
        return Err(Error::usage(
            "no credentials for Google Cloud Storage were found, and NO_GCE_CHECK forbids to ask the metadata service: set \
             GOOGLE_APPLICATION_CREDENTIALS, or give skip_signature=true for a public bucket",
        ));
    }
    metadata(given).map(|url| plain(Source::Metadata(url)))
}

fn file(path: &Path, expected: &str) -> Result<Credentials> {
    let shown = path.display().to_string();
    let text = read(path)?.ok_or_else(|| Error::usage(format!("there is no file of credentials {shown}")))?;
    parse(&text, &shown, expected)
}

/// Where `gcloud auth application-default login` leaves its file.
fn well_known(given: Given<'_>) -> Option<PathBuf> {
    const NAME: &str = "application_default_credentials.json";
    if let Some(folder) = given.variable("CLOUDSDK_CONFIG") {
        return Some(Path::new(folder).join(NAME));
    }
    if let Some(folder) = given.variable("APPDATA").filter(|_| cfg!(windows)) {
        return Some(Path::new(folder).join("gcloud").join(NAME));
    }
    Some(Path::new(given.home()?).join(".config").join("gcloud").join(NAME))
}

fn metadata(given: Given<'_>) -> Result<Url> {
    let host = given.any("google_metadata_host");
    let host =
        host.or_else(|| given.variable("GCE_METADATA_HOST")).or_else(|| given.variable("GCE_METADATA_ROOT"));
    let host = host.or_else(|| given.variable("GCE_METADATA_IP")).unwrap_or(METADATA_HOST);
    let is_host = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
    let url = Url::parse(&format!("http://{host}{TOKEN_PATH}")).ok().filter(|url| is_host && url.has_host());
    url.ok_or_else(|| Error::usage("google_metadata_host (GCE_METADATA_HOST) must be a host or host:port"))
}

fn parsed(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|cause| Error::usage("a URL is not valid").caused_by(cause))
}
