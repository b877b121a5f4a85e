//! Where keys for AWS come from, and how they are fetched.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::aws::AwsCredential;
use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::StoreOptions;
use super::client::Kind;
use super::credential::Fetched;
use super::exchange::{self, Exchange, Silence, add_header, ascii, get, post};
use super::process::{run, words};
use super::sign;
use super::text_file::{read_beside, token as token_in};
use crate::error::{Error, Result};

/// Keys, with the token of temporary ones.
pub(crate) type Keys = Arc<AwsCredential>;

/// What is said when nobody has any keys.
pub(crate) const NONE: &str = "no credentials for S3 were found: give aws_access_key_id and aws_secret_access_key, a profile, \
     or skip_signature=true for a public bucket";

/// Where keys come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Static(Keys),
    /// AssumeRoleWithWebIdentity.
    WebIdentity {
        token_file: PathBuf,
        role: Role,
    },
    /// AssumeRole.
    Role {
        source: Box<Self>,
        role: Role,
    },
    /// GetRoleCredentials of IAM Identity Center.
    Sso(Sso),
    /// `credential_process` of a profile.
    Process {
        words: Vec<String>,
        profile: String,
    },
    /// A task of ECS, a pod of EKS.
    Container {
        url: Url,
        token: Option<String>,
        token_file: Option<PathBuf>,
    },
    /// The metadata service of EC2, version 2; with `fallback` version 1 where it refuses tokens.
    Instance {
        endpoint: Url,
        fallback: bool,
    },
    /// None is left: the metadata service may not be asked.
    Nothing,
}

/// A role to take.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) session: Option<String>,
    pub(crate) external_id: Option<String>,
    pub(crate) seconds: Option<u32>,
    pub(crate) sts: Url,
    pub(crate) region: String,
}

/// A sign-in of IAM Identity Center, whose token is in a file that `aws sso login` writes.
#[derive(Clone, Debug)]
pub(crate) struct Sso {
    pub(crate) profile: String,
    pub(crate) portal: Url,
    pub(crate) account: String,
    pub(crate) role: String,
    pub(crate) token_file: PathBuf,
}

type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched<Keys>>> + Send + 'a>>;

impl Source {
    /// Whether another fetch may give other keys.
    pub(crate) fn can_change(&self) -> bool {
        !matches!(self, Self::Static(_) | Self::Nothing)
    }

    /// Asks for keys.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when there are none or the sign-in has expired; [`crate::ErrorKind::Io`] when a service
    /// fails.
    pub(crate) fn fetch<'a>(&'a self, options: &'a StoreOptions) -> Fetching<'a> {
        Box::pin(async move {
            match self {
                Self::Static(keys) => Ok(Fetched { value: Arc::clone(keys), expires: None }),
                Self::WebIdentity { token_file, role } => web_identity(token_file, role, options).await,
                Self::Role { source, role } => {
                    let keys = source.fetch(options).await?.value;
                    assume_role(&keys, role, options).await
                }
                Self::Sso(sso) => sso.fetch(options).await,
                Self::Process { words, profile } => process(words.clone(), profile, options).await,
                Self::Container { url, token, token_file } => {
                    container(url, token.as_deref(), token_file.as_deref(), options).await
                }
                Self::Instance { endpoint, fallback } => instance(endpoint, *fallback, options).await,
                Self::Nothing => Err(Error::usage(NONE)),
            }
        })
    }
}

/// Keys, if their parts can stand in headers.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] otherwise, naming `whose` they are.
pub(crate) fn keys(id: &str, secret: &str, token: Option<&str>, whose: &str) -> Result<Keys> {
    let is_id =
        !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',' && byte != b'/');
    if !is_id || secret.is_empty() || token.is_some_and(|token| ascii(token).is_none()) {
        return Err(Error::usage(format!(
            "{whose} holds keys that cannot be: one is empty or has a character that no key has"
        )));
    }
    let token = token.filter(|token| !token.is_empty()).map(str::to_owned);
    Ok(Arc::new(AwsCredential { key_id: id.to_owned(), secret_key: secret.to_owned(), token }))
}

fn fetched(
    id: &str,
    secret: &str,
    token: Option<&str>,
    expires: Option<&str>,
    what: &str,
) -> Result<Fetched<Keys>> {
    let expires = match expires {
        Some(text) => Some(exchange::instant(text).ok_or_else(|| {
            Error::io(format!("the answer of {what} has an expiration that is not a time of RFC 3339"))
        })?),
        None => None,
    };
    Ok(Fetched { value: keys(id, secret, token, what)?, expires })
}

const STS: &str = "the token service of AWS";

async fn web_identity(token_file: &Path, role: &Role, options: &StoreOptions) -> Result<Fetched<Keys>> {
    let token = token_in(token_file).await?;
    let session = session(role);
    let seconds = role.seconds.unwrap_or(3600).to_string();
    let mut request = post(
        role.sts.clone(),
        &[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &session),
            ("DurationSeconds", &seconds),
            ("WebIdentityToken", &token),
        ],
    );
    request.headers.remove(reqwest::header::ACCEPT);
    let body = Exchange::new(options, Kind::Aws)?.send(STS, &request).await?;
    sts_keys(&body)
}

async fn assume_role(keys: &Keys, role: &Role, options: &StoreOptions) -> Result<Fetched<Keys>> {
    let session = session(role);
    let seconds = role.seconds.map(|seconds| seconds.to_string());
    let mut form = vec![
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", role.arn.as_str()),
        ("RoleSessionName", session.as_str()),
    ];
    form.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
    form.extend(seconds.as_deref().map(|seconds| ("DurationSeconds", seconds)));
    let mut request = post(role.sts.clone(), &form);
    request.headers.remove(reqwest::header::ACCEPT);
    sign::aws(
        &mut request,
        keys,
        &sign::Scope { service: "sts", region: &role.region, unsigned: false, payer: false },
    )
    .await?;
    let body = Exchange::new(options, Kind::Aws)?.send(STS, &request).await?;
    sts_keys(&body)
}

fn session(role: &Role) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    role.session.clone().unwrap_or_else(|| format!("cogclip-{}", now.as_secs()))
}

/// The keys in an answer of STS: XML whose element Credentials has them, whatever the namespace.
fn sts_keys(body: &[u8]) -> Result<Fetched<Keys>> {
    let wrong = || Error::io(format!("the answer of {STS} is not the XML of a credential"));
    let text = std::str::from_utf8(body).map_err(|_bytes| wrong())?;
    let document = roxmltree::Document::parse(text).map_err(|_text| wrong())?;
    let credentials =
        document.descendants().find(|node| node.tag_name().name() == "Credentials").ok_or_else(wrong)?;
    let part = |name: &str| {
        let found = credentials.children().find(|node| node.tag_name().name() == name);
        found.and_then(|node| node.text()).map(str::trim)
    };
    match (part("AccessKeyId"), part("SecretAccessKey")) {
        (Some(id), Some(secret)) => fetched(id, secret, part("SessionToken"), part("Expiration"), STS),
        _ => Err(wrong()),
    }
}

/// What `aws sso login` leaves.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoToken {
    access_token: String,
    expires_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoAnswer {
    role_credentials: SsoKeys,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SsoKeys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// Milliseconds since 1970.
    expiration: u64,
}

impl Sso {
    async fn fetch(&self, options: &StoreOptions) -> Result<Fetched<Keys>> {
        const WHAT: &str = "the portal of IAM Identity Center";
        let login = format!("sign in with `aws sso login --profile {}`", self.profile);
        let text = read_beside(&self.token_file)
            .await?
            .ok_or_else(|| Error::usage(format!("profile {}: there is no sign-in: {login}", self.profile)))?;
        let token: SsoToken = serde_json::from_str(&text).map_err(|_cause| {
            Error::usage(format!("{} is not the token of a sign-in: {login}", self.token_file.display()))
        })?;
        if exchange::instant(&token.expires_at).is_none_or(|expires| expires <= SystemTime::now()) {
            return Err(Error::usage(format!("profile {}: the sign-in has expired: {login}", self.profile)));
        }
        let mut url = self.portal.clone();
        url.set_path("/federation/credentials");
        url.query_pairs_mut().append_pair("role_name", &self.role).append_pair("account_id", &self.account);
        let mut request = get(url);
        add_header(&mut request.headers, "x-amz-sso_bearer_token", &token.access_token)?;
        let answer: SsoAnswer = match Exchange::new(options, Kind::Aws)?.json(WHAT, &request).await {
            Err(Silence::Refused(Some(401), _)) => {
                return Err(Error::usage(format!(
                    "profile {}: the sign-in is not taken: {login}",
                    self.profile
                )));
            }
            answer => answer?,
        };
        let answer = answer.role_credentials;
        let value =
            keys(&answer.access_key_id, &answer.secret_access_key, Some(&answer.session_token), WHAT)?;
        Ok(Fetched {
            value,
            expires: SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(answer.expiration)),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessAnswer {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

async fn process(words: Vec<String>, profile: &str, options: &StoreOptions) -> Result<Fetched<Keys>> {
    let what = format!("credential_process of profile {profile}");
    let output = run(&what, words, options).await?;
    let answer: ProcessAnswer = exchange::json(&what, &output)?;
    if answer.version != 1 {
        return Err(Error::unsupported(format!(
            "{what}: its answer has version {}; 1 is known",
            answer.version
        )));
    }
    let (token, expires) = (answer.session_token.as_deref(), answer.expiration.as_deref());
    fetched(&answer.access_key_id, &answer.secret_access_key, token, expires, &what)
}

/// The words of a `credential_process`.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for none, or a quote that is not closed.
pub(crate) fn process_words(line: &str, profile: &str) -> Result<Vec<String>> {
    words(line).filter(|words| !words.is_empty()).ok_or_else(|| {
        Error::usage(format!(
            "profile {profile}: credential_process is empty or has a quote that is not closed"
        ))
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetadataAnswer {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

impl MetadataAnswer {
    fn fetched(&self, what: &str) -> Result<Fetched<Keys>> {
        let (token, expires) = (self.token.as_deref(), self.expiration.as_deref());
        fetched(&self.access_key_id, &self.secret_access_key, token, expires, what)
    }
}

async fn container(
    url: &Url,
    token: Option<&str>,
    token_file: Option<&Path>,
    options: &StoreOptions,
) -> Result<Fetched<Keys>> {
    const WHAT: &str = "the credential service of the container";
    let mut request = get(url.clone());
    let from_file = match token_file {
        Some(path) => Some(token_in(path).await?),
        None => None,
    };
    if let Some(token) = from_file.as_deref().or(token) {
        add_header(&mut request.headers, "authorization", token)?;
    }
    let answer: MetadataAnswer = Exchange::new(options, Kind::Metadata)?.json(WHAT, &request).await?;
    answer.fetched(WHAT)
}

async fn instance(endpoint: &Url, fallback: bool, options: &StoreOptions) -> Result<Fetched<Keys>> {
    const WHAT: &str = "the metadata service of EC2";
    let exchange = Exchange::new(options, Kind::Metadata)?;
    let at = |path: &str| {
        let mut url = endpoint.clone();
        url.set_path(&format!("{}/{path}", endpoint.path().trim_end_matches('/')));
        url
    };
    let mut ask = get(at("latest/api/token"));
    ask.method = Method::PUT;
    add_header(&mut ask.headers, "x-aws-ec2-metadata-token-ttl-seconds", "600")?;
    let token = match exchange.send(WHAT, &ask).await {
        Ok(body) => Some(String::from_utf8_lossy(&body).trim().to_owned()),
        Err(Silence::Unreachable(cause)) => {
            return Err(Error::usage(format!("{NONE} (the metadata service of EC2 is not there either)"))
                .caused_by(cause));
        }
        Err(Silence::Refused(Some(400 | 403 | 404 | 405), _)) if fallback => None,
        Err(refused) => return Err(refused.into()),
    };
    let read = |url| {
        let mut request = get(url);
        if let Some(token) = &token {
            add_header(&mut request.headers, "x-aws-ec2-metadata-token", token)?;
        }
        Ok::<_, Error>(request)
    };
    let folder = "latest/meta-data/iam/security-credentials/";
    let names = match exchange.send(WHAT, &read(at(folder))?).await {
        Err(Silence::Refused(Some(404), _)) => {
            return Err(Error::usage(format!("{NONE} (this instance of EC2 has no role)")));
        }
        names => names?,
    };
    let names = String::from_utf8_lossy(&names).into_owned();
    let name = names.lines().next().unwrap_or_default().trim();
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
        && !matches!(name, "." | "..");
    if !is_name {
        return Err(Error::io(format!("{WHAT} named a role that can be none")));
    }
    let answer: MetadataAnswer = exchange.json(WHAT, &read(at(&format!("{folder}{name}")))?).await?;
    answer.fetched(WHAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The shape is that of the example answer in the AWS STS API Reference, "AssumeRole".
    #[test]
    fn no_answer_of_the_token_service_stops_it() {
        let answer = "<R xmlns=\"u\"><X><Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
            <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></X></R>";
        let keys = sts_keys(answer.as_bytes()).unwrap();
        assert_eq!((keys.value.key_id.as_str(), keys.value.token.as_deref()), ("A", Some("t")));
        assert!(keys.expires.is_some());
        for end in 0..answer.len() {
            assert!(sts_keys(&answer.as_bytes()[..end]).is_err(), "{end}");
        }
        for at in 0..answer.len() {
            for byte in [b'<', b'>', b'&', b'"', b'/', 0, 0xff] {
                let mut bytes = answer.as_bytes().to_vec();
                bytes[at] = byte;
                drop(sts_keys(&bytes));
            }
        }
        let deep = "<a>".repeat(300_000);
        assert!(sts_keys(deep.as_bytes()).is_err());
    }
}
