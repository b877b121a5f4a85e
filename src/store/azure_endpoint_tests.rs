//! Where containers are, what is sent to them, and what is refused.

use std::time::{Duration, Instant};

use super::*;
use crate::error::ErrorKind;
use crate::store::exchange::get;
use crate::store::location::Location;
use crate::store::loopback::Server;

type Said<'a> = Vec<(&'a str, &'a str)>;
/// Pairs, variables, the request, and one of its headers.
type Case<'a> = (Said<'a>, Said<'a>, String, &'a str, &'a str);

fn open(uri: &str, pairs: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Endpoint> {
    let own = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let options = StoreOptions {
        pairs: own(pairs),
        environment: own(environment),
        max_retries: 1,
        backoff_base: Duration::from_millis(1),
        ..StoreOptions::default()
    };
    let Ok(Location::Bucket(place)) = Location::parse(uri) else { panic!() };
    crate::store::endpoint::bucket(&place, uri, &options)
}

/// The query and the Authorization of a signed request.
async fn signed(endpoint: &Endpoint) -> Result<(String, String)> {
    let mut url = endpoint.base.clone();
    url.set_path(&format!("{}/k", url.path()));
    let mut request = get(url);
    endpoint.auth.sign(&mut request).await?;
    assert!(request.headers.contains_key("x-ms-version"));
    let authorization = request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
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
    check_base("az://c/k", &[], &[("AZURE_STORAGE_ACCOUNT", "acct")], "https://acct.blob.core.windows.net/c");
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
            vec![("azure_storage_connection_string", "AccountName=acct;SharedAccessSignature=sp=r&sig=x%3D")],
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

/// Where requests go that carry credentials, or the refusal; no secret is shown.
#[track_caller]
fn check_whose(
    host: &str,
    pairs: &[(&str, &str)],
    environment: &[(&str, &str)],
    expected: Result<&str, &str>,
) {
    let uri = format!("abfss://c@{host}/k");
    match (open(&uri, pairs, environment), expected) {
        (Ok(endpoint), Ok(base)) => assert_eq!(endpoint.base.as_str(), base, "{uri} {pairs:?}"),
        (Err(error), Err(part)) => {
            let message = error.to_string();
            let is_right = error.kind() == ErrorKind::Usage && message.contains(part);
            assert!(is_right && !message.contains("hidden"), "{uri} {pairs:?}: {message}");
        }
        (Ok(endpoint), Err(part)) => panic!("{uri} {pairs:?}: {} instead of {part}", endpoint.base),
        (Err(error), Ok(base)) => panic!("{uri} {pairs:?}: {error} instead of {base}"),
    }
}

#[test]
fn credentials_go_to_azure_and_configured_endpoints_only() {
    let token = ("bearer_token", "hidden");
    let sas = ("sas_token", "sp=r&sig=hidden");
    let key = ("account_key", "aGlkZGVu");
    let mine = ("account_name", "mine");
    let ours = "none of Azure's";
    for (host, base) in [
        ("acct.dfs.core.windows.net", "https://acct.blob.core.windows.net/c"),
        ("ACCT.blob.Core.Windows.net", "https://acct.blob.core.windows.net/c"),
        ("acct.dfs.core.chinacloudapi.cn", "https://acct.blob.core.chinacloudapi.cn/c"),
        ("acct.dfs.core.usgovcloudapi.net", "https://acct.blob.core.usgovcloudapi.net/c"),
        ("acct.dfs.core.cloudapi.de", "https://acct.blob.core.cloudapi.de/c"),
        ("onelake.dfs.fabric.microsoft.com", "https://onelake.blob.fabric.microsoft.com/c"),
        ("acct.z12.dfs.storage.azure.net", "https://acct.z12.blob.storage.azure.net/c"),
    ] {
        for pair in [token, sas, key] {
            check_whose(host, &[pair], &[], Ok(base));
        }
    }
    for host in [
        "acct.dfs.evil.example",
        "acct.dfs.core.windows.net.evil.example",
        "acct.dfs.evil-core.windows.net",
        "acct.z1.dfs.evil.example",
        "acct.dfs.core.windows.net.",
    ] {
        for pair in [token, sas, key] {
            check_whose(host, &[pair], &[], Err(ours));
        }
        check_whose(host, &[token, ("azure_endpoint", "https://h.example")], &[], Ok("https://h.example/c"));
    }
    let mismatch = "names the storage account acct, and azure_storage_account_name is of mine";
    let host = "acct.dfs.core.windows.net";
    check_whose(host, &[mine, sas], &[], Err(mismatch));
    check_whose(host, &[mine, key], &[], Err(mismatch));
    check_whose(host, &[sas], &[("AZURE_STORAGE_ACCOUNT", "mine")], Err(mismatch));
    check_whose(host, &[("account_name", "ACCT"), sas], &[], Ok("https://acct.blob.core.windows.net/c"));
    // A token is a person's, not an account's.
    check_whose(host, &[mine, token], &[], Ok("https://acct.blob.core.windows.net/c"));
    let text = "AccountName=mine;AccountKey=aGlkZGVu";
    let mismatch = "azure_storage_connection_string is of mine";
    check_whose(host, &[("connection_string", text)], &[], Err(mismatch));
    check_whose(host, &[], &[("AZURE_STORAGE_CONNECTION_STRING", text)], Err(mismatch));
    let anonymous = ("skip_signature", "true");
    let variable = ("AZURE_STORAGE_CONNECTION_STRING", text);
    check_whose(host, &[anonymous], &[variable], Ok("https://acct.blob.core.windows.net/c"));
    let endpoint = ("azure_endpoint", "https://mine.blob.core.windows.net");
    check_whose(host, &[endpoint, sas], &[], Err("azure_storage_endpoint is of mine"));
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
