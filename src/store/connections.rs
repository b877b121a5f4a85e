//! Connections that are shared: one client, with its pace and its credentials, for each bucket or server.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use url::Url;

use super::StoreOptions;
use super::client::{HttpClient, Kind};
use super::endpoint::{self, Endpoint};
use super::location::{Bucket, Cloud};
use super::transport::Transport;
use crate::error::Result;
use crate::observe::Observer;

/// Buckets and servers whose connections are kept: a service that runs for ever may be told of any number.
const MOST: usize = 256;

/// The connections of a [`StoreOptions`] and its clones: whoever reads many files of one bucket should connect, and ask for
/// credentials, once.
#[derive(Clone, Default)]
pub struct Connections {
    shared: Arc<Mutex<Vec<Shared>>>,
    origins: Arc<Mutex<Vec<First>>>,
}

/// One bucket, or one file of a server.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) endpoint: Endpoint,
}

/// The server that keys of the web are for.
struct First {
    /// SHA-256 of the keys and their values.
    keys: [u8; 32],
    origin: String,
}

struct Shared {
    whose: Whose,
    observer: Arc<dyn Observer>,
    what: What,
}

/// What distinguishes connections.
#[derive(Clone, PartialEq, Eq)]
struct Whose {
    place: String,
    /// SHA-256 of the options, secrets included.
    options: [u8; 32],
}

#[derive(Clone)]
enum What {
    Bucket(Arc<Connection>),
    /// Of a server only the connections are shared: each URL has credentials of its own.
    Server(Transport),
}

impl Connections {
    /// The connection to a bucket.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a configuration that is not understood, or lacks something.
    pub(crate) fn bucket(
        &self,
        bucket: &Bucket,
        shown: &str,
        options: &StoreOptions,
    ) -> Result<Arc<Connection>> {
        let Bucket { cloud, name, host, .. } = bucket;
        let scheme = match cloud {
            Cloud::S3 => "s3",
            Cloud::Google => "gs",
            Cloud::Azure => "az",
        };
        let whose = Whose::of(format!("{scheme}://{name}@{}", host.as_deref().unwrap_or_default()), options);
        if let Some(What::Bucket(connection)) = self.find(&whose, options) {
            return Ok(connection);
        }
        // Not under the lock: it reads files. Two at once make two, and one of them is kept.
        let endpoint = endpoint::bucket(bucket, shown, options)?;
        let kind = if *cloud == Cloud::S3 { Kind::Aws } else { Kind::Store };
        let transport = transport(options, kind, &endpoint.base)?;
        let connection = Arc::new(Connection { transport, endpoint });
        match self.keep(whose, options, What::Bucket(Arc::clone(&connection))) {
            What::Bucket(kept) => Ok(kept),
            What::Server(_) => Ok(connection),
        }
    }

    /// The connection to a web server, for one URL of it.
    ///
    /// # Errors
    /// As for [`Self::bucket`].
    pub(crate) fn web(&self, url: &Url, shown: &str, options: &StoreOptions) -> Result<Arc<Connection>> {
        let endpoint = endpoint::web(url, shown, options)?;
        let whose = Whose::of(url.origin().ascii_serialization(), options);
        let transport = if let Some(What::Server(transport)) = self.find(&whose, options) {
            transport
        } else {
            let made = transport(options, Kind::Web, url)?;
            match self.keep(whose, options, What::Server(made.clone())) {
                What::Server(kept) => kept,
                What::Bucket(_) => made,
            }
        };
        Ok(Arc::new(Connection { transport, endpoint }))
    }

    /// The server that the credentials and headers of `options` are for: `origin`, unless they were for another before.
    pub(crate) fn first_origin(&self, origin: &str, options: &StoreOptions) -> String {
        let mut hash = Sha256::new();
        for (key, value) in options.pairs.iter().filter(|(key, _)| is_of_web(key)) {
            for text in [key, value] {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        let keys: [u8; 32] = hash.finalize().into();
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = origins.iter().find(|first| first.keys == keys) {
            return first.origin.clone();
        }
        origins.push(First { keys, origin: origin.to_owned() });
        origin.to_owned()
    }

    fn find(&self, whose: &Whose, options: &StoreOptions) -> Option<What> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.iter().find(|shared| shared.is(whose, options)).map(|shared| shared.what.clone())
    }

    /// What is there already, else `what`, which is there from now on.
    fn keep(&self, whose: Whose, options: &StoreOptions, what: What) -> What {
        let mut all = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.iter().find(|shared| shared.is(&whose, options)) {
            return shared.what.clone();
        }
        if all.len() >= MOST {
            // The oldest: who is at it keeps it.
            all.remove(0);
        }
        all.push(Shared { whose, observer: Arc::clone(&options.observer), what: what.clone() });
        what
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.shared.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Connections").field("count", &count).finish_non_exhaustive()
    }
}

impl Shared {
    fn is(&self, whose: &Whose, options: &StoreOptions) -> bool {
        self.whose == *whose && Arc::ptr_eq(&self.observer, &options.observer)
    }
}

impl Whose {
    fn of(place: String, options: &StoreOptions) -> Self {
        let StoreOptions {
            pairs,
            environment,
            max_retries,
            retry_timeout,
            backoff_base,
            backoff_cap,
            idle_timeout,
            connect_timeout,
            in_flight,
            hedge,
            addresses,
            // Told by its address; and this very list.
            observer: _,
            connections: _,
        } = options;
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        for list in [pairs, environment] {
            for (key, value) in list {
                add(key);
                add(value);
            }
            // No key is empty where a value follows it: the lists cannot run into each other.
            add("");
        }
        add(&format!(
            "{max_retries} {retry_timeout:?} {backoff_base:?} {backoff_cap:?} {idle_timeout:?} {connect_timeout:?} {in_flight} {hedge} {addresses:?}"
        ));
        Self { place, options: hash.finalize().into() }
    }
}

fn is_of_web(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    matches!(key.as_str(), "http_user" | "http_password" | "http_bearer_token" | "http_header")
}

fn transport(options: &StoreOptions, kind: Kind, url: &Url) -> Result<Transport> {
    // A transport that kept the list that it is in would never be dropped.
    let options = StoreOptions { connections: Connections::default(), ..options.clone() };
    let client = HttpClient::new(&options, kind)?;
    // What is wrong with root certificates is said before anything is asked.
    client.of(url)?;
    let host = url.host_str().unwrap_or_default();
    let server = match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Ok(Transport::new(client, &options, server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::location::Location;

    fn options(more: &[(&str, &str)]) -> StoreOptions {
        let base = [
            ("aws_endpoint", "http://127.0.0.1:9"),
            ("aws_region", "us-east-1"),
            ("aws_skip_signature", "true"),
        ];
        let pairs = base.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        StoreOptions { pairs, ..StoreOptions::default() }
    }

    fn connect(uri: &str, options: &StoreOptions) -> Arc<Connection> {
        match Location::parse(uri).unwrap() {
            Location::Bucket(bucket) => options.connections.bucket(&bucket, uri, options).unwrap(),
            Location::Http(url) => options.connections.web(&url, uri, options).unwrap(),
            Location::Local(_) => panic!("a URL is expected"),
        }
    }

    fn count(options: &StoreOptions) -> usize {
        options.connections.shared.lock().unwrap().len()
    }

    #[test]
    fn clones_share_what_is_configured_alike() {
        let first = options(&[]);
        let clone = first.clone();
        assert!(Arc::ptr_eq(&connect("s3://b/k", &first), &connect("s3://b/other", &clone)));
        assert_eq!(count(&first), 1);
        assert!(!Arc::ptr_eq(&connect("s3://b/k", &first), &connect("s3://c/k", &first)));
        assert_eq!(count(&first), 2);
        // The same list with another configuration: another connection.
        let slower = StoreOptions { max_retries: 3, ..first.clone() };
        let other = StoreOptions { pairs: options(&[("aws_region", "eu-central-1")]).pairs, ..first.clone() };
        let watched = StoreOptions { observer: Arc::new(crate::observe::Silent), ..first.clone() };
        for (index, different) in [slower, other, watched].iter().enumerate() {
            assert!(!Arc::ptr_eq(&connect("s3://b/k", &first), &connect("s3://b/k", different)));
            assert_eq!(count(&first), 3 + index);
        }
        // Not a clone: nothing is shared.
        assert!(!Arc::ptr_eq(&connect("s3://b/k", &first), &connect("s3://b/k", &options(&[]))));
    }

    #[test]
    fn a_server_is_shared_and_its_urls_are_not() {
        let options = options(&[]);
        let first = connect("http://127.0.0.1:9/a?sig=1", &options);
        let second = connect("http://127.0.0.1:9/b?sig=2", &options);
        assert_eq!(count(&options), 1);
        assert_eq!(first.endpoint.base.as_str(), "http://127.0.0.1:9/a?sig=1");
        assert_eq!(second.endpoint.base.as_str(), "http://127.0.0.1:9/b?sig=2");
        connect("http://127.0.0.1:10/a", &options);
        assert_eq!(count(&options), 2);
    }

    #[test]
    fn nothing_is_kept_when_the_options_are_gone() {
        let options = options(&[]);
        let connection = Arc::downgrade(&connect("s3://b/k", &options));
        assert!(connection.upgrade().is_some());
        drop(options);
        assert!(connection.upgrade().is_none());
    }
}
