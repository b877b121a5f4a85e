//! S3 on loopback by the crates s3s and s3s-fs: an independent reading of the protocol that checks every signature. What is
//! stored are files, which the tests read and write on their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Method, Request, Response};
use md5::{Digest, Md5};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;

use crate::conformance::listener::Listener;
use crate::conformance::resource::Resource;

/// A running server with the bucket `bucket`.
pub(crate) struct S3sServer {
    listener: Listener,
    root: tempfile::TempDir,
}

impl S3sServer {
    pub(crate) fn start(access_key: &str, secret_key: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("bucket")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let service = OneWriteAtATime { service: service.build(), writing: Arc::default() };
        let listener = Listener::serve(None, service);
        Self { listener, root }
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listener.host())
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // What s3s-fs remembers of an earlier object would be told of this one.
        drop(std::fs::remove_file(self.beside(key, "internal")));
        drop(std::fs::remove_file(self.beside(key, "metadata")));
        let new = self.root.path().join("new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    pub(crate) fn get(&self, key: &str) -> Option<Resource> {
        let path = self.path(key);
        let bytes = std::fs::read(&path).ok()?;
        let told = |kind| -> serde_json::Value {
            let text = std::fs::read(self.beside(key, kind)).unwrap_or_default();
            serde_json::from_slice(&text).unwrap_or_default()
        };
        let (internal, attributes) = (told("internal"), told("metadata"));
        let etag = match internal["e_tag"].as_str() {
            Some(etag) => etag.to_owned(),
            None => {
                Md5::digest(&bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
            }
        };
        let metadata = attributes["user_metadata"].as_object().into_iter().flatten();
        Some(Resource {
            etag: format!("\"{etag}\""),
            modified: path.metadata().and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH),
            content_type: attributes["content_type"].as_str().map(str::to_owned),
            metadata: metadata
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect::<BTreeMap<_, _>>(),
            bytes: bytes.into(),
        })
    }

    pub(crate) fn delete(&self, key: &str) {
        drop(std::fs::remove_file(self.path(key)));
    }

    /// Files of uploads that have begun and have neither been completed nor aborted, and of writes that broke off.
    pub(crate) fn uploads(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| [".upload-", ".upload_id-", ".tmp."].iter().any(|start| name.starts_with(start)))
            .collect()
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.path().join("bucket").join(key)
    }

    /// Where s3s-fs 0.14 keeps what it knows of an object.
    fn beside(&self, key: &str, kind: &str) -> PathBuf {
        let (bucket, key) = (URL_SAFE_NO_PAD.encode("bucket"), URL_SAFE_NO_PAD.encode(key));
        let name = format!(".bucket-{bucket}.object-{key}.{kind}.json");
        Path::new(self.root.path()).join(name)
    }
}

/// s3s-fs looks whether an object exists and writes it later. With one write after the other, its conditions hold as Amazon's do.
#[derive(Clone)]
struct OneWriteAtATime {
    service: S3Service,
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Service<Request<Incoming>> for OneWriteAtATime {
    type Response = Response<s3s::Body>;
    type Error = s3s::HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self { service, writing } = self.clone();
        Box::pin(async move {
            let reads = matches!(*request.method(), Method::GET | Method::HEAD);
            let _held = if reads { None } else { Some(writing.lock_owned().await) };
            Service::call(&service, request).await
        })
    }
}
