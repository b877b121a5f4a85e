//! Where a container of Azure Blob Storage is, and as whom it is asked.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use object_store::azure::{AzureAccessKey, AzureCredential};
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderMap;
use sha2::{Digest, Sha256};
use url::Url;

use super::StoreOptions;
use super::auth::{Auth, AzureAuth};
use super::azure_credential::{Managed, Source, bearer};
use super::endpoint::{Endpoint, Settings, add_segment};
use super::exchange::{add_header, is_loopback, is_private};
use super::key_table::Of;
use super::keys::{Given, key32, web_url};
use super::location::Bucket;
use super::text_file::expand;
use crate::error::{Error, Result};

/// The emulator's account and key, which Microsoft publishes ("Use the Azurite emulator for local Azure Storage development").
const EMULATOR: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const EMULATOR_URL: &str = "http://127.0.0.1:10000";
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// The domains of Azure's clouds (and of OneLake) below which accounts are: no other host gets credentials unless it is configured
/// as an endpoint. Source: Microsoft's "Storage account overview" (standard and Azure DNS zone endpoints) and "Connect to OneLake".
const DOMAINS: [&str; 6] = [
    "core.windows.net",
    "core.chinacloudapi.cn",
    "core.usgovcloudapi.net",
    "core.cloudapi.de",
    "fabric.microsoft.com",
    "storage.azure.net",
];
const IMDS: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// What a connection string says.
#[derive(Default)]
struct Connection {
    account: Option<String>,
    key: Option<String>,
    sas: Option<String>,
    endpoint: Option<Url>,
    emulator: bool,
}

/// The endpoint of a container.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a setting that is wrong or missing, [`crate::ErrorKind::Unsupported`] for a kind of credential
/// that is not supported.
pub(crate) fn bucket(bucket: &Bucket, options: &StoreOptions) -> Result<Endpoint> {
    let given = Given::new(Of::Azure, options);
    let mut connection =
        given.any("azure_storage_connection_string").map(connection).transpose()?.unwrap_or_default();
    let of_url = bucket.host.as_deref().map(account_of_host).transpose()?;
    let anonymous = given.flag("azure_skip_signature")? == Some(true);
    if let (Some(of_url), Some(other)) = (&of_url, &connection.account)
        && !of_url.account.eq_ignore_ascii_case(other)
    {
        if !anonymous {
            return Err(other_account(&of_url.account, "azure_storage_connection_string", other));
        }
        connection = Connection::default();
    }
    let emulator = given.flag("azure_storage_use_emulator")?.unwrap_or(connection.emulator);
    let named =
        given.any("azure_storage_account_name").map(str::to_owned).or_else(|| connection.account.clone());
    let account = match (&of_url, &named) {
        (Some(of_url), _) => of_url.account.clone(),
        (None, Some(account)) => account.clone(),
        (None, None) if emulator => EMULATOR.to_owned(),
        (None, None) => {
            return Err(Error::usage(
                "the storage account is missing: give azure_storage_account_name, or abfss://container@account.dfs.core.windows.net/…",
            ));
        }
    };
    let is_account = (1..=63).contains(&account.len())
        && account.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_account {
        return Err(Error::usage("the name of the storage account must be letters and digits"));
    }
    let mut base = if emulator {
        let mut url = match given.variable("AZURITE_BLOB_STORAGE_URL") {
            Some(value) => web_url(value, "AZURITE_BLOB_STORAGE_URL")?,
            None => web_url(EMULATOR_URL, "use_emulator")?,
        };
        // Its URL may have the account already, as connection strings do.
        if !url.path().trim_end_matches('/').ends_with(&format!("/{account}")) {
            add_segment(&mut url, &account)?;
        }
        url
    } else if let Some(url) = given.url("azure_storage_endpoint")?.or_else(|| connection.endpoint.clone()) {
        url
    } else if let Some(OfUrl { account, zone, domain }) = &of_url {
        if !DOMAINS.contains(&domain.as_str()) {
            let host = bucket.host.as_deref().unwrap_or_default();
            return Err(Error::usage(format!(
                "the host {host} is none of Azure's (such as account.dfs.core.windows.net) and gets no credentials; if it is \
                 yours, give its URL as azure_storage_endpoint"
            )));
        }
        web_url(&format!("https://{account}{zone}.blob.{domain}"), "the account")?
    } else if given.flag("azure_use_fabric_endpoint")? == Some(true) {
        web_url(&format!("https://{account}.blob.fabric.microsoft.com"), "the account")?
    } else {
        web_url(&format!("https://{account}.blob.core.windows.net"), "the account")?
    };
    let query = base.query().map(str::to_owned);
    base.set_query(None);
    add_segment(&mut base, &bucket.name)?;
    let source = if anonymous {
        Source::Nobody
    } else if let Some(query) = query.filter(|query| query.contains("sig=")) {
        Source::Sas(sas(&query)?)
    } else {
        source(given, &connection, emulator)?
    };
    let is_of_account = matches!(source, Source::Key(_) | Source::Sas(_));
    if let Some(other) = named.filter(|other| is_of_account && !other.eq_ignore_ascii_case(&account)) {
        return Err(other_account(&account, "azure_storage_account_name", &other));
    }
    if let (Some(of_url), Some(other), false) = (&of_url, account_of_endpoint(&base), anonymous)
        && !of_url.account.eq_ignore_ascii_case(&other)
    {
        return Err(other_account(&of_url.account, "azure_storage_endpoint", &other));
    }
    let bears = matches!(
        source,
        Source::Token(_)
            | Source::Secret { .. }
            | Source::Federated { .. }
            | Source::Managed(_)
            | Source::Cli { .. }
    );
    if bears && !is_private(&base) {
        return Err(Error::usage(
            "tokens for Azure are sent over https:// only, and its endpoint is http://",
        ));
    }
    let headers = encryption(given)?;
    Ok(Endpoint {
        base,
        auth: Auth::azure(AzureAuth::new(source, account, options)).into(),
        settings: Settings { put_headers: headers.clone(), read_headers: headers, ..Settings::plain() },
        copying: None,
    })
}

/// The customer-provided key.
fn encryption(given: Given<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(text) = given.any("azure_storage_encryption_key") {
        let key = key32(text)
            .ok_or_else(|| Error::usage("azure_storage_encryption_key must be 32 bytes in base64"))?;
        add_header(&mut headers, "x-ms-encryption-key", text)?;
        add_header(&mut headers, "x-ms-encryption-key-sha256", &BASE64_STANDARD.encode(Sha256::digest(key)))?;
        add_header(&mut headers, "x-ms-encryption-algorithm", "AES256")?;
    }
    Ok(headers)
}

/// What the host of an abfs:// URL says.
struct OfUrl {
    account: String,
    /// Empty, or '.' and the zone of an account of Azure DNS zones.
    zone: String,
    /// Without the service.
    domain: String,
}

/// The parts of `account.dfs.core.windows.net` or `account.z6.dfs.storage.azure.net`, in any cloud, Azure's or not.
fn account_of_host(host: &str) -> Result<OfUrl> {
    let host = host.to_ascii_lowercase();
    let parts = host.split_once('.').and_then(|(account, rest)| {
        let (first, after) = rest.split_once('.')?;
        let digits = first.strip_prefix('z').filter(|digits| !digits.is_empty());
        let in_zone = digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let (zone, (service, domain)) = if in_zone {
            (format!(".{first}"), after.split_once('.')?)
        } else {
            (String::new(), (first, after))
        };
        let is_domain = domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        let account = account.to_owned();
        (matches!(service, "dfs" | "blob") && is_domain && !domain.is_empty()).then(|| OfUrl {
            account,
            zone,
            domain: domain.to_owned(),
        })
    });
    parts.ok_or_else(|| {
        Error::usage("after '@' stands the account, as in abfs://container@account.dfs.core.windows.net/path")
    })
}

/// The account of an endpoint of Azure's own; of another host it cannot be told.
fn account_of_endpoint(url: &Url) -> Option<String> {
    let of_host = account_of_host(url.host_str()?).ok()?;
    DOMAINS.contains(&of_host.domain.as_str()).then_some(of_host.account)
}

/// The URL names one account, and an option another, whose secrets are not for the first.
fn other_account(of_url: &str, option: &str, other: &str) -> Error {
    Error::usage(format!(
        "the URL names the storage account {of_url}, and {option} is of {other}; change {option}, or name the account \
         of the credentials in the URL"
    ))
}

/// Microsoft's "Configure Azure Storage connection strings".
fn connection(text: &str) -> Result<Connection> {
    let wrong = |what: &str| Error::usage(format!("azure_storage_connection_string: {what}"));
    let mut found = Connection::default();
    let (mut protocol, mut suffix) = ("https", "core.windows.net");
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| wrong("a part is not Name=value"))?;
        match name.trim().to_ascii_lowercase().as_str() {
            "accountname" => found.account = Some(value.to_owned()),
            "accountkey" => found.key = Some(value.to_owned()),
            "sharedaccesssignature" => found.sas = Some(value.to_owned()),
            "blobendpoint" => {
                let url = web_url(value, "").map_err(|_error| wrong("BlobEndpoint is not a URL"))?;
                found.endpoint = Some(url);
            }
            "defaultendpointsprotocol" if matches!(value, "http" | "https") => protocol = value,
            "endpointsuffix" => suffix = value,
            "usedevelopmentstorage" => found.emulator = value.eq_ignore_ascii_case("true"),
            _ => {}
        }
    }
    if let (None, Some(account)) = (&found.endpoint, &found.account) {
        let url = web_url(&format!("{protocol}://{account}.blob.{suffix}"), "");
        found.endpoint =
            Some(url.map_err(|_error| wrong("of AccountName and EndpointSuffix no URL can be made"))?);
    }
    // The account of an endpoint alone, as in a connection string with a SAS: that of its host, or of the emulator's path.
    if found.account.is_none()
        && let Some(url) = &found.endpoint
    {
        found.account = if is_loopback(url) {
            url.path_segments().and_then(|mut parts| parts.next()).map(str::to_owned)
        } else {
            url.host_str().and_then(|host| host.split('.').next()).map(str::to_owned)
        };
    }
    Ok(found)
}

/// Where credentials come from: in object_store's order, for keys of the user before the environment.
fn source(given: Given<'_>, connection: &Connection, emulator: bool) -> Result<Source> {
    let kind = given.choice("azure_credential_type")?.unwrap_or("auto");
    let auto = kind == "auto";
    let may = |name: &str| auto || kind == name;
    for name in ["azure_fabric_token_service_url", "azure_fabric_session_token"] {
        if given.pair(name).is_some() {
            return Err(Error::unsupported(format!("{name}: tokens of a Fabric notebook are not supported")));
        }
    }
    let client = given.any("azure_storage_client_id");
    let tenant = given.any("azure_storage_tenant_id");
    for look in [Given::pair, Given::environment] {
        if let Some(token) = look(given, "azure_storage_token").filter(|_| may("bearer_token")) {
            let token = bearer(token)
                .ok_or_else(|| Error::usage("azure_storage_token has a character that no token has"))?;
            return Ok(Source::Token(token));
        }
        if let Some(key) = look(given, "azure_storage_account_key").filter(|_| may("access_key")) {
            return access_key(key);
        }
        if let (Some(file), Some(client), Some(tenant), true) =
            (look(given, "azure_federated_token_file"), client, tenant, may("workload_identity"))
        {
            return Ok(Source::Federated {
                url: token_url(given, tenant)?,
                client: client.to_owned(),
                token_file: expand(given, file),
            });
        }
        if let (Some(secret), Some(client), Some(tenant), true) =
            (look(given, "azure_storage_client_secret"), client, tenant, may("client_secret"))
        {
            return Ok(Source::Secret {
                url: token_url(given, tenant)?,
                client: client.to_owned(),
                secret: secret.to_owned(),
            });
        }
        if let Some(text) = look(given, "azure_storage_sas_token").filter(|_| may("sas_token")) {
            return sas(text).map(Source::Sas);
        }
        if look(given, "azure_storage_connection_string").is_some() {
            if let Some(key) = connection.key.as_deref().filter(|_| may("access_key")) {
                return access_key(key);
            }
            if let Some(text) = connection.sas.as_deref().filter(|_| may("sas_token")) {
                return sas(text).map(Source::Sas);
            }
        }
        let certificate = look(given, "azure_client_certificate_path").is_some();
        if auto && certificate && look(given, "azure_storage_client_secret").is_none() {
            return Err(Error::unsupported(
                "azure_client_certificate_path: a service principal with a certificate is not supported; give a secret \
                 (azure_client_secret) or a workload identity (azure_federated_token_file)",
            ));
        }
    }
    if kind == "azure_cli" || (auto && given.flag("azure_use_azure_cli")? == Some(true)) {
        return Ok(Source::Cli { tenant: tenant.map(str::to_owned) });
    }
    if emulator {
        return access_key(EMULATOR_KEY);
    }
    if !may("managed_identity") {
        return Err(Error::usage(format!(
            "azure_credential_type is {kind}, and what that needs is not given (a key, a token, or client, tenant and secret)"
        )));
    }
    managed(given, client).map(Source::Managed)
}

fn access_key(key: &str) -> Result<Source> {
    let key = AzureAccessKey::try_new(key)
        .map_err(|_cause| Error::usage("the key of the storage account is not base64"))?;
    Ok(Source::Key(Arc::new(AzureCredential::AccessKey(key))))
}

fn token_url(given: Given<'_>, tenant: &str) -> Result<Url> {
    let is_tenant = tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if !is_tenant || matches!(tenant, "." | ".." | "") {
        return Err(Error::usage("azure_tenant_id must be the id or the domain of a tenant"));
    }
    let authority = match given.any("azure_storage_authority_host") {
        // AZURE_AUTHORITY_HOST may be a host alone.
        Some(host) if !host.contains("://") => web_url(&format!("https://{host}"), "azure_authority_host")?,
        Some(url) => web_url(url, "azure_authority_host")?,
        None => web_url(AUTHORITY, "azure_authority_host")?,
    };
    if !is_private(&authority) {
        return Err(Error::usage("azure_authority_host must be https://: secrets are sent to it"));
    }
    let mut url = authority;
    url.set_path(&format!("{}/{tenant}/oauth2/v2.0/token", url.path().trim_end_matches('/')));
    Ok(url)
}

fn managed(given: Given<'_>, client: Option<&str>) -> Result<Managed> {
    let identity = client
        .map(|id| ("client_id", id))
        .or_else(|| Some(("object_id", given.any("azure_object_id")?)))
        .or_else(|| Some(("msi_res_id", given.any("azure_msi_resource_id")?)))
        .map(|(name, id)| (name, id.to_owned()));
    let secret = given.variable("IDENTITY_HEADER").map(str::to_owned);
    if given.variable("IDENTITY_ENDPOINT").is_some()
        && given.variable("IMDS_ENDPOINT").is_some()
        && secret.is_none()
    {
        return Err(Error::unsupported(
            "managed identities of Azure Arc are not supported; give a service principal (azure_client_id, \
             azure_client_secret, azure_tenant_id)",
        ));
    }
    let url = match given.url("azure_msi_endpoint")? {
        Some(url) => url,
        None => match (given.variable("IDENTITY_ENDPOINT"), &secret) {
            (Some(value), Some(_)) => web_url(value, "IDENTITY_ENDPOINT")?,
            _ => web_url(IMDS, "azure_msi_endpoint")?,
        },
    };
    // App Service names a resource otherwise.
    let identity = identity.map(|(name, id)| match (name, &secret) {
        ("msi_res_id", Some(_)) => ("mi_res_id", id),
        _ => (name, id),
    });
    Ok(Managed { url, secret, identity })
}

/// The pairs of a shared access signature, with or without '?', percent-encoded or not.
fn sas(text: &str) -> Result<Vec<(String, String)>> {
    let wrong =
        || Error::usage("the shared access signature (SAS) is not name=value&… with a signature (sig)");
    let decode = |part: &str| percent_decode_str(part).decode_utf8().map(String::from);
    let mut pairs = Vec::new();
    for part in text.trim().trim_start_matches('?').split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        let pair = (decode(name).map_err(|_cause| wrong())?, decode(value).map_err(|_cause| wrong())?);
        pairs.push(pair);
    }
    if pairs.iter().any(|(name, value)| name == "sig" && !value.is_empty()) {
        Ok(pairs)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
#[path = "azure_endpoint_tests.rs"]
mod tests;
