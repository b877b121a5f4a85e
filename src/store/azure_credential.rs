//! Where credentials for Azure come from, and how they are fetched.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::azure::AzureCredential;
use serde::Deserialize;
use url::Url;

use super::StoreOptions;
use super::client::Kind;
use super::credential::Fetched;
use super::exchange::{self, Exchange, Silence, add_header, ascii, get, post};
use super::process::run;
use super::text_file;
use crate::error::{Error, Result};

/// What tokens are for.
const SCOPE: &str = "https://storage.azure.com/.default";
const RESOURCE: &str = "https://storage.azure.com";
const LIFE: u64 = 3600;

/// Where credentials come from.
#[derive(Debug)]
pub(crate) enum Source {
    Nobody,
    /// The account's key.
    Key(Arc<AzureCredential>),
    /// A shared access signature: the pairs of the query, decoded.
    Sas(Vec<(String, String)>),
    /// Given as it is.
    Token(Arc<AzureCredential>),
    /// A service principal with a secret.
    Secret {
        url: Url,
        client: String,
        secret: String,
    },
    /// A workload identity: a token of another provider.
    Federated {
        url: Url,
        client: String,
        token_file: PathBuf,
    },
    /// An identity of the machine.
    Managed(Managed),
    /// The sign-in of `az`.
    Cli {
        tenant: Option<String>,
    },
}

/// An identity of the machine.
#[derive(Debug)]
pub(crate) struct Managed {
    pub(crate) url: Url,
    /// The secret of App Service and Functions (IDENTITY_HEADER); `None`: the metadata service of a virtual machine.
    pub(crate) secret: Option<String>,
    /// Which identity, when there are several: the name of the query's field, and its value.
    pub(crate) identity: Option<(&'static str, String)>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds; a number, or a number as text.
    #[serde(default)]
    expires_in: serde_json::Value,
    /// Seconds since 1970; likewise.
    #[serde(default)]
    expires_on: serde_json::Value,
}

impl Answer {
    fn fetched(self, what: &str) -> Result<Fetched<Arc<AzureCredential>>> {
        let number = |value: &serde_json::Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let value = bearer(&self.access_token)
            .ok_or_else(|| Error::io(format!("the token of {what} cannot stand in a header")))?;
        Ok(match (number(&self.expires_on), number(&self.expires_in)) {
            (Some(at), _) => {
                Fetched { value, expires: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at)) }
            }
            (None, Some(seconds)) => Fetched::living(value, seconds),
            (None, None) => Fetched::living(value, LIFE),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CliAnswer {
    access_token: String,
    /// Seconds since 1970; `az` before 2.54 has only `expiresOn`, in local time.
    #[serde(rename = "expires_on")]
    expires_on: Option<u64>,
}

/// A token as a credential, if it can stand in a header.
pub(crate) fn bearer(token: &str) -> Option<Arc<AzureCredential>> {
    let fits = !token.is_empty() && ascii(token).is_some();
    fits.then(|| Arc::new(AzureCredential::BearerToken(token.to_owned())))
}

impl Source {
    /// Whether another fetch may give another credential.
    pub(crate) fn can_change(&self) -> bool {
        matches!(self, Self::Secret { .. } | Self::Federated { .. } | Self::Managed(_) | Self::Cli { .. })
    }

    /// Asks for a credential.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when there is none to be had; [`crate::ErrorKind::Io`] when a service fails.
    pub(crate) async fn fetch(&self, options: &StoreOptions) -> Result<Fetched<Arc<AzureCredential>>> {
        const WHAT: &str = "the token service of Microsoft Entra";
        match self {
            Self::Nobody | Self::Sas(_) => Err(Error::usage("these requests have no token")),
            Self::Key(value) | Self::Token(value) => Ok(Fetched { value: Arc::clone(value), expires: None }),
            Self::Secret { url, client, secret } => {
                let form = [
                    ("client_id", client.as_str()),
                    ("client_secret", secret.as_str()),
                    ("scope", SCOPE),
                    ("grant_type", "client_credentials"),
                ];
                let request = post(url.clone(), &form);
                Exchange::new(options, Kind::Store)?.json::<Answer>(WHAT, &request).await?.fetched(WHAT)
            }
            Self::Federated { url, client, token_file } => {
                let token = text_file::token(token_file).await?;
                let form = [
                    ("client_id", client.as_str()),
                    ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                    ("client_assertion", token.as_str()),
                    ("scope", SCOPE),
                    ("grant_type", "client_credentials"),
                ];
                let request = post(url.clone(), &form);
                Exchange::new(options, Kind::Store)?.json::<Answer>(WHAT, &request).await?.fetched(WHAT)
            }
            Self::Managed(managed) => managed.fetch(options).await,
            Self::Cli { tenant } => cli(tenant.as_deref(), options).await,
        }
    }
}

impl Managed {
    async fn fetch(&self, options: &StoreOptions) -> Result<Fetched<Arc<AzureCredential>>> {
        const WHAT: &str = "the service of managed identities";
        const NONE: &str = "no credentials for Azure were found: give azure_storage_account_key, a SAS, a service principal, \
            use_azure_cli=true, or skip_signature=true for a public container";
        let mut url = self.url.clone();
        let version = if self.secret.is_some() { "2019-08-01" } else { "2018-02-01" };
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", RESOURCE);
        if let Some((name, value)) = &self.identity {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut request = get(url);
        match &self.secret {
            Some(secret) => add_header(&mut request.headers, "x-identity-header", secret)?,
            None => add_header(&mut request.headers, "metadata", "true")?,
        }
        match Exchange::new(options, Kind::Metadata)?.json::<Answer>(WHAT, &request).await {
            Err(Silence::Unreachable(cause)) => {
                Err(Error::usage(format!("{NONE} (the metadata service is not there either)"))
                    .caused_by(cause))
            }
            Err(Silence::Refused(Some(400 | 404), cause)) => {
                Err(Error::usage(format!("{NONE} (this machine has no such identity)")).caused_by(cause))
            }
            answer => answer?.fetched(WHAT),
        }
    }
}

async fn cli(tenant: Option<&str>, options: &StoreOptions) -> Result<Fetched<Arc<AzureCredential>>> {
    const WHAT: &str = "az account get-access-token";
    // On Windows az is a script, which only a shell starts.
    let start: &[&str] = if cfg!(windows) { &["cmd", "/C", "az"] } else { &["az"] };
    let rest = ["account", "get-access-token", "--output", "json", "--scope", SCOPE];
    let mut words: Vec<String> = start.iter().chain(&rest).map(|word| (*word).to_owned()).collect();
    words.extend(tenant.into_iter().flat_map(|tenant| ["--tenant".to_owned(), tenant.to_owned()]));
    let output = run(WHAT, words, options).await?;
    let answer: CliAnswer = exchange::json(WHAT, &output)?;
    let value = bearer(&answer.access_token)
        .ok_or_else(|| Error::io(format!("the token of {WHAT} cannot stand in a header")))?;
    Ok(match answer.expires_on {
        Some(at) => Fetched { value, expires: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at)) },
        // az keeps tokens itself and hands out none that lives for less than 5 minutes.
        None => Fetched::living(value, 300),
    })
}
