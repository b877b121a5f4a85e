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
    let connection =
        given.any("azure_storage_connection_string").map(connection).transpose()?.unwrap_or_default();
    let of_url = bucket.host.as_deref().map(account_of_host).transpose()?;
    let emulator = given.flag("azure_storage_use_emulator")?.unwrap_or(connection.emulator);
    let named =
        given.any("azure_storage_account_name").map(str::to_owned).or_else(|| connection.account.clone());
    let account = match (&of_url, named) {
        (Some((account, _)), _) => account.clone(),
        (None, Some(account)) => account,
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
    } else if let Some((account, domain)) = &of_url {
        web_url(&format!("https://{account}.blob.{domain}"), "the account")?
    } else if given.flag("azure_use_fabric_endpoint")? == Some(true) {
        web_url(&format!("https://{account}.blob.fabric.microsoft.com"), "the account")?
    } else {
        web_url(&format!("https://{account}.blob.core.windows.net"), "the account")?
    };
    let query = base.query().map(str::to_owned);
    base.set_query(None);
    add_segment(&mut base, &bucket.name)?;
    let source = if given.flag("azure_skip_signature")? == Some(true) {
        Source::Nobody
    } else if let Some(query) = query.filter(|query| query.contains("sig=")) {
        Source::Sas(sas(&query)?)
    } else {
        source(given, &connection, emulator)?
    };
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
    let mut headers = HeaderMap::new();
    if let Some(text) = given.any("azure_storage_encryption_key") {
        let key = key32(text)
            .ok_or_else(|| Error::usage("azure_storage_encryption_key must be 32 bytes in base64"))?;
        add_header(&mut headers, "x-ms-encryption-key", text)?;
        add_header(&mut headers, "x-ms-encryption-key-sha256", &BASE64_STANDARD.encode(Sha256::digest(key)))?;
        add_header(&mut headers, "x-ms-encryption-algorithm", "AES256")?;
    }
    Ok(Endpoint {
        base,
        auth: Auth::azure(AzureAuth::new(source, account, options)).into(),
        settings: Settings { put_headers: headers.clone(), read_headers: headers, ..Settings::plain() },
    })
}

/// The account of `account.dfs.core.windows.net`, and its domain without the service, in any of Azure's clouds.
fn account_of_host(host: &str) -> Result<(String, String)> {
    let parts = host.split_once('.').and_then(|(account, rest)| {
        let (service, domain) = rest.split_once('.')?;
        let is_domain = domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
        (matches!(service, "dfs" | "blob") && is_domain && !domain.is_empty())
            .then(|| (account.to_owned(), domain.to_owned()))
    });
    parts.ok_or_else(|| {
        Error::usage("after '@' stands the account, as in abfs://container@account.dfs.core.windows.net/path")
    })
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
mod tests {
    use std::time::{Duration, Instant};

    use super::super::exchange::get;
    use super::super::location::Location;
    use super::super::loopback::Server;
    use super::*;
    use crate::error::ErrorKind;

    type Said<'a> = Vec<(&'a str, &'a str)>;
    /// Pairs, variables, the request, and one of its headers.
    type Case<'a> = (Said<'a>, Said<'a>, String, &'a str, &'a str);

    fn open(uri: &str, pairs: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Endpoint> {
        let own =
            |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let options = StoreOptions {
            pairs: own(pairs),
            environment: own(environment),
            max_retries: 1,
            backoff_base: Duration::from_millis(1),
            ..StoreOptions::default()
        };
        let Ok(Location::Bucket(place)) = Location::parse(uri) else { panic!() };
        super::super::endpoint::bucket(&place, uri, &options)
    }

    /// The query and the Authorization of a signed request.
    async fn signed(endpoint: &Endpoint) -> Result<(String, String)> {
        let mut url = endpoint.base.clone();
        url.set_path(&format!("{}/k", url.path()));
        let mut request = get(url);
        endpoint.auth.sign(&mut request).await?;
        assert!(request.headers.contains_key("x-ms-version"));
        let authorization =
            request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        Ok((request.url.query().unwrap_or_default().to_owned(), authorization.unwrap_or_default()))
    }

    #[track_caller]
    fn check_base(uri: &str, pairs: &[(&str, &str)], environment: &[(&str, &str)], expected: &str) {
        let mut pairs = pairs.to_vec();
        pairs.push(("skip_signature", "true"));
        let got = match open(uri, &pairs, environment) {
            Ok(endpoint) => endpoint.base.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{uri} {pairs:?} {environment:?}");
    }

    #[test]
    fn where_a_container_is() {
        let account = [("azure_storage_account_name", "acct")];
        check_base("az://c/k", &account, &[], "https://acct.blob.core.windows.net/c");
        check_base(
            "az://c/k",
            &[],
            &[("AZURE_STORAGE_ACCOUNT", "acct")],
            "https://acct.blob.core.windows.net/c",
        );
        check_base("abfss://c@acct.dfs.core.windows.net/k", &[], &[], "https://acct.blob.core.windows.net/c");
        check_base(
            "abfss://c@acct.dfs.core.chinacloudapi.cn/k",
            &[("account_name", "other")],
            &[],
            "https://acct.blob.core.chinacloudapi.cn/c",
        );
        check_base(
            "abfss://c@acct.dfs.core.windows.net/k",
            &[("azure_endpoint", "http://h:1")],
            &[],
            "http://h:1/c",
        );
        check_base("az://c/k", &[("use_emulator", "true")], &[], "http://127.0.0.1:10000/devstoreaccount1/c");
        check_base(
            "az://c/k",
            &[("use_emulator", "true")],
            &[("AZURITE_BLOB_STORAGE_URL", "http://h:2")],
            "http://h:2/devstoreaccount1/c",
        );
        check_base(
            "az://c/k",
            &[],
            &[("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true")],
            "http://127.0.0.1:10000/devstoreaccount1/c",
        );
        check_base(
            "az://c/k",
            &[],
            &[(
                "AZURE_STORAGE_CONNECTION_STRING",
                "DefaultEndpointsProtocol=https;AccountName=a1;AccountKey=AA==;EndpointSuffix=core.usgovcloudapi.net",
            )],
            "https://a1.blob.core.usgovcloudapi.net/c",
        );
        check_base(
            "az://c/k",
            &[(
                "azure_storage_connection_string",
                "BlobEndpoint=http://127.0.0.1:3/devstoreaccount1;AccountName=devstoreaccount1;AccountKey=AA==",
            )],
            &[],
            "http://127.0.0.1:3/devstoreaccount1/c",
        );
        check_base(
            "az://c/k",
            &[(
                "azure_storage_connection_string",
                "BlobEndpoint=https://b2.blob.core.windows.net/;SharedAccessSignature=sig=x",
            )],
            &[],
            "https://b2.blob.core.windows.net/c",
        );
        check_base(
            "az://c/k",
            &[("use_fabric_endpoint", "true"), ("account_name", "onelake")],
            &[],
            "https://onelake.blob.fabric.microsoft.com/c",
        );
        check_base(
            "az://c/k",
            &[],
            &[],
            "az://c/k: the storage account is missing: give azure_storage_account_name, or abfss://container@account.dfs.core.windows.net/…",
        );
    }

    #[tokio::test]
    async fn what_is_given_is_used() {
        let account = ("account_name", "acct");
        let sas = "?sv=2022&sp=r&sig=a%2Fb%2B%3D";
        for (pairs, query, authorization) in [
            (vec![account, ("skip_signature", "true")], "", ""),
            (vec![account, ("bearer_token", "tok")], "", "Bearer tok"),
            (vec![account, ("sas_token", sas)], "sv=2022&sp=r&sig=a%2Fb%2B%3D", ""),
            (vec![account, ("sas_token", "sv=2022&sp=r&sig=a/b+=")], "sv=2022&sp=r&sig=a%2Fb%2B%3D", ""),
            (
                vec![(
                    "azure_storage_connection_string",
                    "AccountName=acct;SharedAccessSignature=sp=r&sig=x%3D",
                )],
                "sp=r&sig=x%3D",
                "",
            ),
        ] {
            let endpoint = open("az://c/k", &pairs, &[]).unwrap();
            assert_eq!(
                signed(&endpoint).await.unwrap(),
                (query.to_owned(), authorization.to_owned()),
                "{pairs:?}"
            );
            assert!(!endpoint.auth.renew(Instant::now()).await);
        }
        // The signature itself is tested in `sign`.
        for pairs in [
            vec![account, ("account_key", EMULATOR_KEY)],
            vec![("azure_storage_connection_string", "AccountName=acct;AccountKey=AAAA")],
        ] {
            let (_, authorization) = signed(&open("az://c/k", &pairs, &[]).unwrap()).await.unwrap();
            assert!(authorization.starts_with("SharedKey acct:"), "{authorization}");
        }
        let (_, authorization) =
            signed(&open("az://c/k", &[("use_emulator", "true")], &[]).unwrap()).await.unwrap();
        assert!(authorization.starts_with("SharedKey devstoreaccount1:"), "{authorization}");
    }

    // Microsoft identity platform, "OAuth 2.0 client credentials flow": access token request with a shared secret, and with a
    // federated credential.
    #[tokio::test]
    async fn entra_is_asked_once() {
        let server = Server::start(|_| {
            (200, r#"{"access_token":"entra","expires_in":3599,"token_type":"Bearer"}"#.into())
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "assertion\n").unwrap();
        let common = [
            ("AZURE_STORAGE_ACCOUNT_NAME", "acct"),
            ("AZURE_CLIENT_ID", "cl"),
            ("AZURE_TENANT_ID", "ten"),
            ("AZURE_AUTHORITY_HOST", server.url.as_str()),
        ];
        let federated = ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap());
        for (more, body) in [
            (
                ("AZURE_CLIENT_SECRET", "se&"),
                "client_id=cl&client_secret=se%26&scope=https%3A%2F%2Fstorage.azure.com%2F.default&grant_type=client_credentials",
            ),
            (
                federated,
                "client_id=cl&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=assertion&scope=https%3A%2F%2Fstorage.azure.com%2F.default&grant_type=client_credentials",
            ),
        ] {
            let before = server.came().len();
            let endpoint = open("az://c/k", &[], &[&common[..], &[more]].concat()).unwrap();
            for _ in 0..2 {
                assert_eq!(signed(&endpoint).await.unwrap().1, "Bearer entra");
            }
            let came = &server.came()[before..];
            assert_eq!(came.len(), 1);
            assert_eq!((came[0].line.as_str(), came[0].body.as_str()), ("POST /ten/oauth2/v2.0/token", body));
            assert!(endpoint.auth.renew(Instant::now()).await);
        }
    }

    // The requests are those that azure-identity 1.27.0 sent to such a server (`ManagedIdentityCredential`), but for the header
    // Metadata, which it sends to App Service too.
    #[tokio::test]
    async fn an_identity_of_the_machine() {
        let server = Server::start(|_| {
            (200, r#"{"access_token":"msi","expires_on":"4070908800","expires_in":"86399"}"#.into())
        });
        let url = format!("{}/msi/token", server.url);
        let account = ("account_name", "acct");
        let resource = "resource=https%3A%2F%2Fstorage.azure.com";
        let cases: [Case<'_>; 3] = [
            (
                vec![account, ("msi_endpoint", &url)],
                vec![],
                format!("GET /msi/token?api-version=2018-02-01&{resource}"),
                "metadata",
                "true",
            ),
            (
                vec![account, ("msi_endpoint", &url), ("client_id", "me")],
                vec![],
                format!("GET /msi/token?api-version=2018-02-01&{resource}&client_id=me"),
                "metadata",
                "true",
            ),
            (
                vec![account, ("object_id", "o")],
                vec![("IDENTITY_ENDPOINT", &url), ("IDENTITY_HEADER", "hid")],
                format!("GET /msi/token?api-version=2019-08-01&{resource}&object_id=o"),
                "x-identity-header",
                "hid",
            ),
        ];
        for (pairs, environment, line, header, value) in cases {
            let before = server.came().len();
            let endpoint = open("az://c/k", &pairs, &environment).unwrap();
            assert_eq!(signed(&endpoint).await.unwrap().1, "Bearer msi");
            let came = &server.came()[before..];
            assert_eq!(came.len(), 1);
            assert_eq!((came[0].line.as_str(), came[0].header(header)), (line.as_str(), Some(value)));
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn az_is_asked() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let az = folder.path().join("az");
        std::fs::write(
            &az,
            "#!/bin/sh\necho \"{\\\"accessToken\\\": \\\"$5-$7\\\", \\\"expires_on\\\": 4070908800}\"\n",
        )
        .unwrap();
        std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let endpoint = open(
            "az://c/k",
            &[("account_name", "acct"), ("use_azure_cli", "true"), ("tenant_id", "ten")],
            &[("PATH", &path)],
        )
        .unwrap();
        assert_eq!(signed(&endpoint).await.unwrap().1, "Bearer --scope---tenant");
    }

    #[track_caller]
    fn check_refused(pairs: &[(&str, &str)], environment: &[(&str, &str)], kind: ErrorKind, part: &str) {
        let pairs = [pairs, &[("account_name", "acct")]].concat();
        let error = open("az://c/k", &pairs, environment).err().expect("it is refused");
        let message = error.to_string();
        assert!(error.kind() == kind && message.contains(part) && !message.contains("hidden"), "{message}");
    }

    #[test]
    fn what_is_refused_at_open() {
        use ErrorKind::{Unsupported, Usage};
        check_refused(&[("account_key", "hidden!")], &[], Usage, "not base64");
        check_refused(&[("sas_token", "hidden")], &[], Usage, "(SAS)");
        check_refused(&[("sas_token", "sp=hidden")], &[], Usage, "(SAS)");
        check_refused(
            &[],
            &[("AZURE_CLIENT_CERTIFICATE_PATH", "hidden")],
            Unsupported,
            "azure_client_certificate_path",
        );
        check_refused(
            &[("credential_type", "client_secret")],
            &[],
            Usage,
            "azure_credential_type is client_secret",
        );
        check_refused(&[("fabric_session_token", "hidden")], &[], Unsupported, "fabric_session_token");
        check_refused(
            &[],
            &[("IDENTITY_ENDPOINT", "http://h"), ("IMDS_ENDPOINT", "http://h")],
            Unsupported,
            "Azure Arc",
        );
        check_refused(
            &[("bearer_token", "hidden"), ("azure_endpoint", "http://h.example")],
            &[],
            Usage,
            "https:// only",
        );
        check_refused(
            &[("client_id", "c"), ("client_secret", "hidden"), ("tenant_id", "../x")],
            &[],
            Usage,
            "azure_tenant_id",
        );
        check_refused(
            &[
                ("client_id", "c"),
                ("client_secret", "hidden"),
                ("tenant_id", "t"),
                ("authority_host", "http://h.example"),
            ],
            &[],
            Usage,
            "https://",
        );
        check_refused(
            &[("azure_storage_connection_string", "hidden")],
            &[],
            Usage,
            "azure_storage_connection_string",
        );
    }
}
