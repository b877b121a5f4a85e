//! Where a bucket of Google Cloud Storage is, and as whom it is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use url::Url;

use super::StoreOptions;
use super::auth::{Auth, GoogleAuth};
use super::endpoint::{Endpoint, Settings, add_segment};
use super::google_fetch::Source;
use super::google_file::{Credentials, parse};
use super::key_table::Of;
use super::keys::{Given, flag};
use super::location::Bucket;
use super::text_file::{expand, read};
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
    Ok(Endpoint { base, auth: auth.into(), settings: Settings::plain(), copying: None })
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::exchange::get;
    use super::super::location::Location;
    use super::super::loopback::Server;
    use super::*;
    use crate::error::ErrorKind;

    fn options(pairs: &[(&str, &str)], environment: &[(&str, &str)]) -> StoreOptions {
        let own =
            |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        StoreOptions {
            pairs: own(pairs),
            environment: own(environment),
            max_retries: 1,
            backoff_base: Duration::from_millis(1),
            ..StoreOptions::default()
        }
    }

    fn open(pairs: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Endpoint> {
        let Ok(Location::Bucket(place)) = Location::parse("gs://bucket/k") else { panic!() };
        super::super::endpoint::bucket(&place, "gs://bucket/k", &options(pairs, environment))
    }

    /// Authorization and project of a signed request.
    async fn signed(endpoint: &Endpoint) -> Result<String> {
        let mut request = get(endpoint.base.clone());
        endpoint.auth.sign(&mut request).await?;
        let part = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        Ok([part("authorization"), part("x-goog-user-project")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" for "))
    }

    fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn without_a_question() {
        let plain = open(&[("skip_signature", "true")], &[("GOOGLE_BEARER_TOKEN", "t")]).unwrap();
        assert_eq!(plain.base.as_str(), "https://storage.googleapis.com/bucket");
        assert_eq!(signed(&plain).await.unwrap(), "");
        assert!(!plain.auth.renew(Instant::now()).await);
        let token = open(
            &[("google_base_url", "http://h:1/p/"), ("user_project", "mine")],
            &[("GOOGLE_BEARER_TOKEN", "t")],
        )
        .unwrap();
        assert_eq!(token.base.as_str(), "http://h:1/p/bucket");
        assert_eq!(signed(&token).await.unwrap(), "Bearer t for mine");
        assert!(!token.auth.renew(Instant::now()).await);
        let emulator = open(&[("service_account_key", r#"{"gcs_base_url":"http://localhost:4443","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}"#)], &[]).unwrap();
        assert_eq!(emulator.base.as_str(), "http://localhost:4443/bucket");
        assert_eq!(signed(&emulator).await.unwrap(), "");
    }

    // The key pair is made by scripts/google_key.py; the signature is checked with its public half by ring.
    #[tokio::test]
    async fn a_service_account_signs_its_own_token() {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD;
        let json = include_str!("../../testdata/store/service_account.json");
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder, "sa.json", json);
        let endpoint = open(&[], &[("GOOGLE_APPLICATION_CREDENTIALS", &path)]).unwrap();
        let bearer = signed(&endpoint).await.unwrap();
        let token = bearer.strip_prefix("Bearer ").unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&decode(header)).unwrap();
        assert_eq!(header, serde_json::json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
        let claims: serde_json::Value = serde_json::from_slice(&decode(claims)).unwrap();
        assert_eq!(claims["iss"], "sa@project.example");
        assert_eq!(claims["sub"], claims["iss"]);
        assert_eq!(claims["scope"], "https://www.googleapis.com/auth/devstorage.read_write");
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3600);
        let public = include_bytes!("../../testdata/store/service_account.pub.der");
        let algorithm = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let (_, rs256) = algorithm
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == rustls::SignatureScheme::RSA_PKCS1_SHA256)
            .unwrap();
        let verified = rs256
            .iter()
            .any(|one| one.verify_signature(public, message.as_bytes(), &decode(signature)).is_ok());
        assert!(verified);
        assert_eq!(signed(&endpoint).await.unwrap(), bearer, "it is kept");
    }

    #[tokio::test]
    async fn the_metadata_service_is_the_last_that_is_asked() {
        let server = Server::start(|_| {
            (200, r#"{"access_token":"from-metadata","expires_in":3599,"token_type":"Bearer"}"#.into())
        });
        let host = server.url.trim_start_matches("http://").to_owned();
        let folder = tempfile::tempdir().unwrap();
        let home = ("HOME", folder.path().to_str().unwrap());
        let endpoint = open(&[], &[home, ("GCE_METADATA_HOST", &host)]).unwrap();
        assert!(server.lines().is_empty());
        for _ in 0..2 {
            assert_eq!(signed(&endpoint).await.unwrap(), "Bearer from-metadata");
        }
        let line = "GET /computeMetadata/v1/instance/service-accounts/default/token";
        assert_eq!(server.lines(), [line]);
        assert_eq!(server.came()[0].header("metadata-flavor"), Some("Google"));
        assert!(endpoint.auth.renew(Instant::now()).await);
        assert_eq!(signed(&endpoint).await.unwrap(), "Bearer from-metadata");
        assert_eq!(server.lines(), [line, line]);
        // A user's file at its usual place comes before it.
        let tokens = Server::start(|_| (200, r#"{"access_token":"from-user","expires_in":3599}"#.into()));
        write(
            &folder,
            ".config/gcloud/application_default_credentials.json",
            &format!(
                r#"{{"type":"authorized_user","client_id":"c","client_secret":"s&","refresh_token":"r/","quota_project_id":"q","token_uri":"{}/token"}}"#,
                tokens.url
            ),
        );
        let endpoint = open(&[], &[home, ("GCE_METADATA_HOST", &host)]).unwrap();
        assert_eq!(signed(&endpoint).await.unwrap(), "Bearer from-user for q");
        assert_eq!(server.lines().len(), 2);
        assert_eq!(tokens.lines(), ["POST /token"]);
        assert_eq!(
            tokens.came()[0].body,
            "grant_type=refresh_token&client_id=c&client_secret=s%26&refresh_token=r%2F"
        );
        let error = open(&[], &[("NO_GCE_CHECK", "true")]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Usage);
    }

    // The requests are those that google-auth 2.62.2 sent to such a server for the second file (`google.auth.identity_pool`), but
    // for the order of the fields, and `delegates`, which is null there.
    #[tokio::test]
    async fn a_federated_token_is_exchanged_and_lends_a_service_account() {
        let server = Server::start(|came| match came.line.split('?').next().unwrap() {
            "GET /subject" => (200, r#"{"value":"from-url"}"#.into()),
            "POST /v1/token" => (200, r#"{"access_token":"federated","expires_in":3600}"#.into()),
            "POST /sa:generateAccessToken" => {
                (200, r#"{"accessToken":"lent","expireTime":"2099-01-01T00:00:00Z"}"#.into())
            }
            _ => (404, String::new()),
        });
        let folder = tempfile::tempdir().unwrap();
        let token = write(&folder, "token", "from-file\n");
        let common = format!(
            r#""type":"external_account","audience":"//iam/x","subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"{}/v1/token""#,
            server.url
        );
        let plain =
            write(&folder, "a.json", &format!(r#"{{{common},"credential_source":{{"file":"{token}"}}}}"#));
        let lent = write(
            &folder,
            "b.json",
            &format!(
                r#"{{{common},"service_account_impersonation_url":"{0}/sa:generateAccessToken","service_account_impersonation":{{"token_lifetime_seconds":1200}},"credential_source":{{"url":"{0}/subject?a=b","headers":{{"Metadata":"True"}},"format":{{"type":"json","subject_token_field_name":"value"}}}}}}"#,
                server.url
            ),
        );
        let endpoint = open(&[("google_application_credentials", &plain)], &[]).unwrap();
        assert_eq!(signed(&endpoint).await.unwrap(), "Bearer federated");
        let scope = "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdevstorage.read_write";
        let body = |scope: &str, subject: &str| {
            format!(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=%2F%2Fiam%2Fx&scope={scope}\
             &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
             &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token={subject}"
            )
        };
        assert_eq!(server.lines(), ["POST /v1/token"]);
        assert_eq!(server.came()[0].body, body(scope, "from-file"));
        let endpoint = open(&[("google_application_credentials", &lent)], &[]).unwrap();
        assert_eq!(signed(&endpoint).await.unwrap(), "Bearer lent");
        let came = server.came();
        assert_eq!(
            server.lines()[1..],
            ["GET /subject?a=b", "POST /v1/token", "POST /sa:generateAccessToken"]
        );
        assert_eq!(came[1].header("metadata"), Some("True"));
        assert_eq!(came[2].body, body("https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fiam", "from-url"));
        assert_eq!(came[3].header("authorization"), Some("Bearer federated"));
        let asked: serde_json::Value = serde_json::from_str(&came[3].body).unwrap();
        assert_eq!(
            asked,
            serde_json::json!({"delegates": [], "scope": ["https://www.googleapis.com/auth/devstorage.read_write"], "lifetime": "1200s"})
        );
    }

    #[track_caller]
    fn check_refused(json: &str, kind: ErrorKind, part: &str) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(&folder, "c.json", json);
        let error = open(&[("google_application_credentials", &path)], &[]).err().expect("it is refused");
        let message = error.to_string();
        assert!(error.kind() == kind && message.contains(part) && !message.contains("hidden"), "{message}");
    }

    #[test]
    fn files_that_are_refused() {
        use ErrorKind::{Unsupported, Usage};
        check_refused("hidden", Usage, "line 1");
        check_refused(r#"{"type":"authorized_user","client_id":["hidden"]}"#, Usage, "line 1");
        check_refused(
            r#"{"type":"authorized_user","client_id":"c","client_secret":"hidden"}"#,
            Usage,
            "lacks refresh_token",
        );
        check_refused(
            r#"{"type":"authorized_user","client_id":"c","client_secret":"hidden","refresh_token":"r","token_uri":"http://evil.example/"}"#,
            Usage,
            "in the clear",
        );
        check_refused(
            r#"{"type":"service_account","client_email":"e","private_key_id":"i","private_key":"hidden"}"#,
            Usage,
            "not an RSA key",
        );
        check_refused(r#"{"type":"gdch_service_account"}"#, Unsupported, "gdch_service_account");
        check_refused(
            r#"{"type":"service_account","universe_domain":"other.example"}"#,
            Unsupported,
            "another cloud",
        );
        let external = r#""type":"external_account","audience":"a","subject_token_type":"t","token_url":"https://sts.googleapis.com/v1/token""#;
        check_refused(
            &format!(r#"{{{external},"credential_source":{{"environment_id":"aws1"}}}}"#),
            Unsupported,
            "of AWS",
        );
        check_refused(
            &format!(r#"{{{external},"credential_source":{{"executable":{{"command":"hidden"}}}}}}"#),
            Unsupported,
            "of a program",
        );
        check_refused(&format!(r#"{{{external},"credential_source":{{}}}}"#), Usage, "either file or url");
        check_refused(&format!("{{{external}}}"), Usage, "lacks credential_source");
        let error = open(&[("google_application_credentials", "/none/such")], &[]).err().unwrap();
        assert!(error.to_string().contains("/none/such"), "{error}");
    }

    #[tokio::test]
    async fn a_sign_in_that_is_no_longer_taken_says_what_to_do() {
        let server =
            Server::start(|_| (400, r#"{"error":"invalid_grant","error_description":"hidden"}"#.into()));
        let folder = tempfile::tempdir().unwrap();
        let path = write(
            &folder,
            "c.json",
            &format!(
                r#"{{"type":"authorized_user","client_id":"c","client_secret":"s","refresh_token":"r","token_uri":"{}/token"}}"#,
                server.url
            ),
        );
        let error = signed(&open(&[("application_credentials", &path)], &[]).unwrap()).await.unwrap_err();
        assert!(
            error.kind() == ErrorKind::Usage
                && error.to_string().contains("gcloud auth application-default login"),
            "{error}"
        );
        assert_eq!(server.came().len(), 1);
    }
}
