//! The object stores' clients: how they are configured, and the HTTP service beneath them.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    BackoffConfig, Certificate, ClientConfigKey, ClientOptions, HeaderValue, ObjectStore, RetryConfig,
    StaticCredentialProvider,
};

use super::Counters;
use super::failure::scrub;
use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::location::{Bucket, Cloud};
use crate::store::retry::retry_after;

/// An object's store, and the object's key in it.
pub(crate) struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) multipart: Arc<dyn MultipartStore>,
    pub(crate) key: Path,
}

/// The client for `bucket`. `counters` count its requests for ranges; with `create_only`, completing a multipart
/// upload to S3 is refused when the object exists.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a key or value that is not understood, or a configuration that lacks something.
pub(crate) fn build(
    bucket: &Bucket,
    shown: &str,
    options: &StoreOptions,
    counters: Option<Arc<Counters>>,
    create_only: bool,
) -> Result<Store> {
    install_tls();
    check_keys(options)?;
    // Parsed, not converted: `Path::from` would percent-encode a key that is meant literally.
    let key = Path::parse(&bucket.key)
        .map_err(|cause| Error::usage(format!("{shown} has a key that is not supported")).caused_by(cause))?;
    let service = Connector { options: options.clone(), counters, create_only: false };
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: options.backoff_base,
            max_backoff: options.backoff_cap,
            base: 2.0,
        },
        max_retries: usize::try_from(options.max_retries).unwrap_or(usize::MAX),
        retry_timeout: options.retry_timeout,
    };
    let wrong = |error: object_store::Error| {
        Error::usage(format!("{shown}: the store cannot be set up: {}", scrub(&error.to_string())))
    };
    match bucket.cloud {
        Cloud::S3 => {
            // object_store reads the environment here, in the names that each cloud's own tools use.
            let mut builder = if !options.environment.is_empty() {
                AmazonS3Builder::from_env()
            } else {
                AmazonS3Builder::new()
            };
            builder = builder.with_bucket_name(&bucket.name).with_retry(retry);
            for (key, value) in known::<AmazonS3ConfigKey>(options) {
                builder = builder.with_config(key, value);
            }
            let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
                .iter()
                .find_map(|key| builder.get_config_value(key));
            if is_plain_http(endpoint.as_deref()) {
                builder = builder.with_allow_http(true);
            }
            let conditional = builder
                .get_config_value(&AmazonS3ConfigKey::ConditionalPut)
                .is_none_or(|value| value != "disabled");
            let service = Connector { create_only: create_only && conditional, ..service };
            let store = Arc::new(builder.with_http_connector(service).build().map_err(wrong)?);
            Ok(Store { objects: Arc::clone(&store) as _, multipart: store, key })
        }
        Cloud::Google => {
            let mut builder = if !options.environment.is_empty() {
                GoogleCloudStorageBuilder::from_env()
            } else {
                GoogleCloudStorageBuilder::new()
            };
            builder = builder.with_bucket_name(&bucket.name).with_retry(retry);
            for (key, value) in known::<GoogleConfigKey>(options) {
                builder = builder.with_config(key, value);
            }
            if is_plain_http(builder.get_config_value(&GoogleConfigKey::BaseUrl).as_deref()) {
                builder = builder.with_config(GoogleConfigKey::Client(ClientConfigKey::AllowHttp), "true");
            }
            if builder.get_config_value(&GoogleConfigKey::SkipSignature).as_deref() == Some("true") {
                // object_store 0.14 skips the signature of reads only: a write would still ask the metadata service
                // of the machine for a token.
                let nobody = GcpCredential { bearer: String::new() };
                builder = builder.with_credentials(Arc::new(StaticCredentialProvider::new(nobody)));
            }
            let store = Arc::new(builder.with_http_connector(service).build().map_err(wrong)?);
            Ok(Store { objects: Arc::clone(&store) as _, multipart: store, key })
        }
        Cloud::Azure => {
            let mut builder = if !options.environment.is_empty() {
                MicrosoftAzureBuilder::from_env()
            } else {
                MicrosoftAzureBuilder::new()
            };
            builder = builder.with_container_name(&bucket.name).with_retry(retry);
            for (key, value) in known::<AzureConfigKey>(options) {
                builder = builder.with_config(key, value);
            }
            if let Some(host) = &bucket.host {
                builder = at_account(builder, host, shown)?;
            }
            if is_plain_http(builder.get_config_value(&AzureConfigKey::Endpoint).as_deref()) {
                builder = builder.with_allow_http(true);
            }
            let store = Arc::new(builder.with_http_connector(service).build().map_err(wrong)?);
            Ok(Store { objects: Arc::clone(&store) as _, multipart: store, key })
        }
    }
}

/// The account of `abfs://container@account.dfs.core.windows.net`, and its blob endpoint, in any of Azure's clouds;
/// an endpoint that was given (an emulator's) stays.
fn at_account(builder: MicrosoftAzureBuilder, host: &str, shown: &str) -> Result<MicrosoftAzureBuilder> {
    let parts = host.split_once('.').and_then(|(account, rest)| {
        let (service, domain) = rest.split_once('.')?;
        matches!(service, "dfs" | "blob").then_some((account, domain))
    });
    let Some((account, domain)) = parts else {
        return Err(Error::usage(format!(
            "{shown}: after '@' stands the account, as in abfs://container@account.dfs.core.windows.net/path"
        )));
    };
    let builder = builder.with_account(account);
    Ok(if builder.get_config_value(&AzureConfigKey::Endpoint).is_some() {
        builder
    } else {
        builder.with_endpoint(format!("https://{account}.blob.{domain}"))
    })
}

fn known<K: std::str::FromStr>(options: &StoreOptions) -> impl Iterator<Item = (K, &str)> {
    options
        .pairs
        .iter()
        .filter_map(|(key, value)| Some((key.to_ascii_lowercase().parse().ok()?, value.as_str())))
}

fn is_plain_http(endpoint: Option<&str>) -> bool {
    endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"))
}

/// Refuses a key that none of the stores knows: a slip in it must not silently mean the default.
///
/// # Errors
/// [`crate::ErrorKind::Usage`], naming the key.
pub(crate) fn check_keys(options: &StoreOptions) -> Result<()> {
    for (key, _) in &options.pairs {
        let key = key.to_ascii_lowercase();
        let known = key.parse::<AmazonS3ConfigKey>().is_ok()
            || key.parse::<GoogleConfigKey>().is_ok()
            || key.parse::<AzureConfigKey>().is_ok();
        if !known {
            return Err(Error::usage(format!(
                "the store option {key:?} is not known to S3, Google Cloud Storage or Azure; \
                 see the configuration keys of object_store (aws_region, google_base_url, azure_endpoint, …)"
            )));
        }
    }
    Ok(())
}

/// Makes ring the provider of rustls, once for the process, unless the program has chosen one.
pub(crate) fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that there is one already.
        drop(rustls::crypto::ring::default_provider().install_default());
    });
}

/// Mozilla's root certificates, for machines that have none: a client cannot be built there, not even for plain
/// HTTP. Where the system has roots, only those are trusted.
pub(crate) fn mozilla_roots() -> Vec<reqwest::Certificate> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|der| reqwest::Certificate::from_der(der).ok()).collect()
}

/// Makes the HTTP clients of a store.
#[derive(Debug)]
struct Connector {
    options: StoreOptions,
    counters: Option<Arc<Counters>>,
    create_only: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, client: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut client = client.clone();
        // object_store's default is 30 seconds for a whole request, which a large part on a slow link exceeds.
        // A limit that the user gave stays.
        let default = ClientOptions::default();
        let is_default = |key| client.get_config_value(&key) == default.get_config_value(&key);
        let (whole, idle, connect) = (
            is_default(ClientConfigKey::Timeout),
            is_default(ClientConfigKey::ReadTimeout),
            is_default(ClientConfigKey::ConnectTimeout),
        );
        if whole {
            client = client.with_timeout_disabled();
        }
        if idle {
            client = client.with_read_timeout(self.options.idle_timeout);
        }
        if connect {
            client = client.with_connect_timeout(self.options.connect_timeout);
        }
        let inner = ReqwestConnector::default().connect(&client).or_else(|_without_system_roots| {
            let mut client = client.clone();
            for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
                client = client.with_root_certificate(Certificate::from_der(der)?);
            }
            ReqwestConnector::default().connect(&client)
        })?;
        Ok(HttpClient::new(Service {
            inner,
            counters: self.counters.clone(),
            create_only: self.create_only,
            longest_wait: self.options.retry_timeout,
            not_before: Mutex::new(None),
        }))
    }
}

/// What object_store lacks: counts the requests for data, honours Retry-After, and completes a multipart upload
/// only if the object does not exist.
#[derive(Debug)]
struct Service {
    inner: HttpClient,
    counters: Option<Arc<Counters>>,
    create_only: bool,
    longest_wait: Duration,
    /// Until when the server asked to be left alone.
    not_before: Mutex<Option<Instant>>,
}

type Answered<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Service {
    fn call<'life0, 'async_trait>(&'life0 self, request: HttpRequest) -> Answered<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.send(request))
    }
}

impl Service {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let not_before = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(instant) = not_before {
            tokio::time::sleep_until(instant.into()).await;
        }
        // Credentials are fetched through the same service, but never by range.
        if let Some(counters) = self.counters.as_ref().filter(|_| request.headers().contains_key("range")) {
            counters.requests.fetch_add(1, Ordering::Relaxed);
        }
        let response = if self.create_only && completes_upload(&request) {
            self.complete(request).await?
        } else {
            self.inner.execute(request).await?
        };
        if matches!(response.status().as_u16(), 429 | 503) {
            let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            if let Some(wait) = asked.and_then(retry_after) {
                // Held back until then are all requests of this client: the server speaks of its load.
                *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) =
                    Instant::now().checked_add(wait.min(self.longest_wait));
            }
        }
        Ok(response)
    }

    /// S3 completes an upload conditionally (`If-None-Match: *`, then 412), but object_store 0.14 offers that for
    /// copies only. The header need not be signed: only Host and `x-amz-*` must be.
    async fn complete(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let plain = request.clone();
        request.headers_mut().insert("if-none-match", HeaderValue::from_static("*"));
        let response = self.inner.execute(request).await?;
        // A store that does not know the condition says so; then the check right before must do.
        if response.status().as_u16() == 501 { self.inner.execute(plain).await } else { Ok(response) }
    }
}

fn completes_upload(request: &HttpRequest) -> bool {
    request.method().as_str() == "POST"
        && request.uri().query().is_some_and(|query| query.starts_with("uploadId="))
}
