//! Whose certificates are trusted.

use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Certificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::StoreOptions;
use super::aws_chain::Aws;
use super::client::Kind;
use super::key_table::Of;
use super::keys::Given;
use super::text_file::expand;
use crate::error::{Error, Result};

/// The roots that SSL_CERT_FILE and SSL_CERT_DIR of the given environment name, as OpenSSL reads them (a list of directories, with
/// the separator of PATH): instead of the system's, and `None` without either. For AWS, those of AWS_CA_BUNDLE or of the profile's
/// `ca_bundle` instead (AWS SDKs and Tools Reference Guide, "General configuration settings").
///
/// # Errors
/// [`crate::ErrorKind::Usage`] when one cannot be read, or when there is not one certificate in them.
pub(crate) fn named(options: &StoreOptions, kind: Kind) -> Result<Option<Vec<Certificate>>> {
    if kind == Kind::Aws
        && let Some((whose, file)) = bundle(options)?
    {
        let mut roots = Vec::new();
        read(&file, &mut roots).map_err(|cause| {
            Error::usage(format!("{whose}: {} cannot be read", file.display())).caused_by(cause)
        })?;
        if roots.is_empty() {
            return Err(Error::usage(format!(
                "{whose}: {} has no certificate; name a file of certificates in PEM",
                file.display()
            )));
        }
        return Ok(Some(roots));
    }
    let variable = |name: &str| {
        let found = options.environment.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    };
    let (file, directories) = (variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR"));
    if file.is_none() && directories.is_none() {
        return Ok(None);
    }
    let mut roots = Vec::new();
    if let Some(file) = file {
        read(Path::new(file), &mut roots).map_err(|cause| {
            Error::usage(format!("SSL_CERT_FILE: {file} cannot be read")).caused_by(cause)
        })?;
    }
    let separator = if cfg!(windows) { ';' } else { ':' };
    for directory in directories.into_iter().flat_map(|list| list.split(separator)) {
        let unreadable =
            |cause| Error::usage(format!("SSL_CERT_DIR: {directory} cannot be read")).caused_by(cause);
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            // Links that lead nowhere are common there.
            if path.is_file() {
                drop(read(&path, &mut roots));
            }
        }
    }
    if roots.is_empty() {
        return Err(Error::usage(
            "SSL_CERT_FILE and SSL_CERT_DIR name no certificate; name a file of certificates in PEM",
        ));
    }
    Ok(Some(roots))
}

/// The file of certificates for AWS, and who names it.
fn bundle(options: &StoreOptions) -> Result<Option<(&'static str, PathBuf)>> {
    let given = Given::new(Of::S3, options);
    if let Some(path) = given.any("aws_ca_bundle") {
        return Ok(Some(("aws_ca_bundle", expand(given, path))));
    }
    let of_profile = Aws::load(given)?.profile.remove("ca_bundle").filter(|path| !path.is_empty());
    Ok(of_profile.map(|path| ("ca_bundle of the profile", expand(given, &path))))
}

/// The certificates of a PEM text, each of them fit to be a root.
pub(crate) fn of_pem(pem: &[u8]) -> Vec<Certificate> {
    let sound = CertificateDer::pem_slice_iter(pem)
        .filter_map(std::result::Result::ok)
        // One that is not understood must not make the others useless.
        .filter(|der| RootCertStore::empty().add(der.clone()).is_ok());
    sound.filter_map(|der| Certificate::from_der(&der).ok()).collect()
}

/// Mozilla's root certificates, for machines that have none: a client cannot be built there, not even for plain HTTP.
pub(crate) fn mozilla() -> Vec<Certificate> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|der| Certificate::from_der(der).ok()).collect()
}

fn read(path: &Path, roots: &mut Vec<Certificate>) -> std::io::Result<()> {
    roots.extend(of_pem(&fs::read(path)?));
    Ok(())
}
