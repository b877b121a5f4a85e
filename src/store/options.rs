//! How remote stores are reached: what a user can say of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "cloud")]
use super::address::AddressPolicy;
#[cfg(feature = "cloud")]
use super::connections::Connections;
use crate::error::Result;
use crate::observe::{Observer, Silent};

/// How remote stores are reached, for reading and for writing. Clones share their connections.
#[derive(Clone)]
pub struct StoreOptions {
    /// `--store-option key=value`: keys of the configuration (`aws_endpoint`, `skip_signature`, `google_base_url`,
    /// `azure_storage_account_name`, `proxy_url`, …; all of them are in docs/stores.md). They win over the environment. A key
    /// that only concerns another store is ignored; one that no store knows is an error that names the nearest. The values may
    /// be secrets, so `Debug` shows the keys only.
    pub pairs: Vec<(String, String)>,
    /// The variables of the environment in which credentials and endpoints are looked for (`AWS_*`, `GOOGLE_*`, `AZURE_*`,
    /// `HOME`, …); others are ignored. Empty: none is. The library never looks at the environment itself:
    /// `std::env::vars().collect()` hands it over.
    pub environment: Vec<(String, String)>,
    /// Further tries of one request after the first.
    pub max_retries: u32,
    /// Time from the first try of a request after which it is not tried again.
    pub retry_timeout: Duration,
    /// The longest wait before the first retry; it doubles with each further one.
    pub backoff_base: Duration,
    /// The longest wait before any retry, unless the server asks for more with Retry-After.
    pub backoff_cap: Duration,
    /// How long a connection may bring or take next to nothing before the request counts as failed. There is no limit on a
    /// whole request, since a slow link is not a broken one.
    pub idle_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Requests in flight to one server; fewer after it has said 429 or 503, until it recovers.
    pub in_flight: usize,
    /// Whether a read that takes much longer than the others is asked for a second time; the first answer counts.
    pub hedge: bool,
    /// Which addresses web servers may have: for those who read what others name.
    #[cfg(feature = "cloud")]
    pub addresses: AddressPolicy,
    /// Is told of every retry.
    pub observer: Arc<dyn Observer>,
    /// The connections that are open, which clones share. The default is a list of its own, with none yet.
    #[cfg(feature = "cloud")]
    pub connections: Connections,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            pairs: Vec::new(),
            environment: Vec::new(),
            max_retries: 10,
            retry_timeout: Duration::from_mins(3),
            backoff_base: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            in_flight: 64,
            hedge: false,
            #[cfg(feature = "cloud")]
            addresses: AddressPolicy::default(),
            observer: Arc::new(Silent),
            #[cfg(feature = "cloud")]
            connections: Connections::default(),
        }
    }
}

impl fmt::Debug for StoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| pairs.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        f.debug_struct("StoreOptions")
            .field("keys", &names(&self.pairs))
            .field("environment", &names(&self.environment))
            .field("max_retries", &self.max_retries)
            .field("retry_timeout", &self.retry_timeout)
            .field("backoff_base", &self.backoff_base)
            .field("backoff_cap", &self.backoff_cap)
            .field("idle_timeout", &self.idle_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("in_flight", &self.in_flight)
            .field("hedge", &self.hedge)
            .finish_non_exhaustive()
    }
}

impl StoreOptions {
    /// Refuses keys that no store knows, and values that none takes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`], naming the key and the nearest that is known.
    pub fn check(&self) -> Result<()> {
        #[cfg(feature = "cloud")]
        super::keys::check_keys(self)?;
        Ok(())
    }
}
