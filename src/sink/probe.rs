//! What a destination can do, seen by trying it on a probe beside it.

use super::{Sink, SinkOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;
use crate::store::StoreOptions;
use crate::store::location::Location;
use crate::store::retry::random;

/// What a trial showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was tried.
    pub what: &'static str,
    /// Whether the store does it.
    pub holds: bool,
    /// Whether an output could not be whole, or not be written at all, without it.
    pub needed: bool,
    /// What was seen instead, or what follows; may be empty.
    pub note: String,
}

/// Tries what is needed of a destination: writes a probe beside it, reads it back, and deletes it.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for what cannot be a destination, or an option that is not understood;
/// [`crate::ErrorKind::Io`] when the probe could not even be written.
pub async fn probe(uri: &str, options: &StoreOptions) -> Result<Vec<Finding>> {
    match Location::parse(uri)? {
        Location::Local(_) => Box::pin(local(uri, options)).await,
        Location::Http(_) => Err(Error::usage(format!(
            "{}: http(s):// is read only; name a path, s3://, gs:// or az://",
            crate::store::redact(uri)
        ))),
        #[cfg(feature = "cloud")]
        bucket @ Location::Bucket(_) => {
            let found = crate::store::doctor::probe(&bucket, &crate::store::redact(uri), options).await?;
            let finding = |found: crate::store::doctor::Finding| Finding {
                needed: found.is_needed(),
                what: found.what,
                holds: found.holds,
                note: found.note,
            };
            Ok(found.into_iter().map(finding).collect())
        }
        #[cfg(not(feature = "cloud"))]
        Location::Bucket(_) => Err(crate::store::without_cloud(&crate::store::redact(uri))),
    }
}

/// Of a folder: whether a file can be put there, whether it is refused when it exists, and whether it can be read back.
async fn local(uri: &str, options: &StoreOptions) -> Result<Vec<Finding>> {
    let path = local_path(uri)?;
    let is_folder = tokio::fs::metadata(&path).await.is_ok_and(|found| found.is_dir());
    if is_folder || uri.ends_with('/') {
        return Err(Error::usage(format!("{uri} is a directory; name a file in it that could be written")));
    }
    let probe = format!("{uri}.cogclip-probe-{:016x}", random());
    let sink = SinkOptions { store: options.clone(), ..SinkOptions::default() };
    let content = bytes::Bytes::from_static(b"cogclip doctor");
    Sink::create(&probe, &sink).await?.publish(content.clone()).await?;
    let finding = |what, result: Result<bool>| match result {
        Ok(holds) => Finding { what, holds, needed: true, note: String::new() },
        Err(error) => Finding { what, holds: false, needed: true, note: error.to_string() },
    };
    let read = async { Ok(Source::open(&probe, options)?.head(1 << 10).await? == content) };
    let refused = async {
        match Sink::create(&probe, &sink).await {
            Err(error) if error.kind() == ErrorKind::Exists => Ok(true),
            Err(error) => Err(error),
            Ok(again) => {
                again.abort().await;
                Ok(false)
            }
        }
    };
    let mut findings = vec![
        Finding { what: "write a file and rename it", holds: true, needed: true, note: String::new() },
        finding("read it back", read.await),
        finding("refuse to replace it", refused.await),
    ];
    let deleted = tokio::fs::remove_file(local_path(&probe)?).await;
    findings.push(finding(
        "delete it",
        deleted.map(|()| true).map_err(|cause| Error::io(format!("cannot delete {probe}")).caused_by(cause)),
    ));
    Ok(findings)
}

fn local_path(uri: &str) -> Result<std::path::PathBuf> {
    match Location::parse(uri)? {
        Location::Local(path) => Ok(path),
        Location::Http(_) | Location::Bucket(_) => Err(Error::usage(format!("{uri} is not a path"))),
    }
}
