//! TLS: whom we believe, and HTTP/2.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use hyper::Version;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::backend::Backend;
use super::metadata_services;
use super::web::Web;

/// A throw-away authority, written to `ca.pem` in `folder`, and what a server of 127.0.0.1 needs that it vouches for.
pub(crate) fn authority(folder: &Path, protocols: &[&[u8]]) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    let issuer = Issuer::new(params, key);

    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

fn scene() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample/scene.tif")).unwrap()
}

fn info(uri: &str, certificates: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cogclip"));
    command.args(["info", uri]).env_clear().envs(metadata_services::environment());
    if let Some(path) = certificates {
        command.env("SSL_CERT_FILE", path);
    }
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn an_authority_of_ones_own_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::start_with(Some(authority(folder.path(), &[])));
    web.put("public/scene.tif", &scene());
    let output = info(&web.public("scene.tif"), Some(&folder.path().join("ca.pem")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(web.spoken().iter().all(|version| *version == Version::HTTP_11), "{:?}", web.spoken());
    metadata_services::assert_not_asked();
}

#[test]
fn where_the_server_speaks_http_2_so_do_we() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::start_with(Some(authority(folder.path(), &[b"h2", b"http/1.1"])));
    web.put("public/scene.tif", &scene());
    let output = info(&web.public("scene.tif"), Some(&folder.path().join("ca.pem")));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!web.spoken().is_empty());
    assert!(web.spoken().iter().all(|version| *version == Version::HTTP_2), "{:?}", web.spoken());
}

/// Trying again would not make it known.
#[test]
fn an_unknown_authority_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let web = Web::start_with(Some(authority(folder.path(), &[])));
    web.put("public/scene.tif", &scene());
    let output = info(&web.public("scene.tif"), None);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.to_lowercase().contains("certificate"), "{stderr}");
    assert_eq!(web.connections(), 1, "it was tried again");
    assert!(web.spoken().is_empty());
}
