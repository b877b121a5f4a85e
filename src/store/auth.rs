//! As whom requests are made.

use std::sync::Arc;
use std::time::Instant;

use object_store::azure::AzureCredential;
use reqwest::header::HeaderMap;
use url::{Origin, Url};

use super::StoreOptions;
use super::aws_fetch::{Keys, Source as AwsSource};
use super::azure_credential::Source as AzureSource;
use super::credential::{Cache, Shared};
use super::exchange::add_header;
use super::google_fetch::Source as GoogleSource;
use super::request::Request;
use super::sign;
use crate::error::Result;

/// As whom requests to one endpoint are made. Credentials that are fetched are kept, and renewed 5 minutes before they expire.
pub(crate) struct Auth(Kind);

enum Kind {
    Nobody,
    Aws(AwsAuth),
    Google(GoogleAuth),
    Azure(AzureAuth),
    Web(WebAuth),
    /// Counts, and has so many renewals.
    #[cfg(test)]
    Trial {
        signed: std::sync::atomic::AtomicU32,
        renewals: std::sync::atomic::AtomicU32,
    },
}

/// Keys for AWS.
pub(crate) struct AwsAuth {
    source: AwsSource,
    region: String,
    unsigned: bool,
    payer: bool,
    options: StoreOptions,
    cache: Cache<Keys>,
}

impl AwsAuth {
    pub(crate) fn new(
        source: AwsSource,
        region: String,
        unsigned: bool,
        payer: bool,
        options: &StoreOptions,
    ) -> Self {
        Self { source, region, unsigned, payer, options: options.clone(), cache: Cache::new() }
    }
}

/// A token for Google Cloud.
pub(crate) struct GoogleAuth {
    source: GoogleSource,
    /// Who pays for requests to a requester-pays bucket.
    project: Option<String>,
    options: StoreOptions,
    cache: Cache<Arc<str>>,
}

impl GoogleAuth {
    pub(crate) fn new(source: GoogleSource, project: Option<String>, options: &StoreOptions) -> Self {
        Self { source, project, options: options.clone(), cache: Cache::new() }
    }
}

/// A key, token or signature for Azure.
pub(crate) struct AzureAuth {
    source: AzureSource,
    account: String,
    options: StoreOptions,
    cache: Shared<AzureCredential>,
}

impl AzureAuth {
    pub(crate) fn new(source: AzureSource, account: String, options: &StoreOptions) -> Self {
        Self { source, account, options: options.clone(), cache: Cache::new() }
    }
}

/// Headers for one web server.
pub(crate) struct WebAuth {
    origin: Origin,
    headers: HeaderMap,
}

impl WebAuth {
    /// `headers` for the server of `url`, and no other.
    pub(crate) fn new(url: &Url, headers: HeaderMap) -> Self {
        Self { origin: url.origin(), headers }
    }
}

impl Auth {
    /// Anonymous requests.
    pub(crate) fn nobody() -> Self {
        Self(Kind::Nobody)
    }

    /// Anonymous requests that are counted, with so many renewals.
    #[cfg(test)]
    pub(crate) fn trial(renewals: u32) -> Self {
        Self(Kind::Trial { signed: 0.into(), renewals: renewals.into() })
    }

    /// How often [`Self::sign`] of a [`Self::trial`] was called.
    #[cfg(test)]
    pub(crate) fn signed(&self) -> u32 {
        match &self.0 {
            Kind::Trial { signed, .. } => signed.load(std::sync::atomic::Ordering::Relaxed),
            Kind::Nobody | Kind::Aws(_) | Kind::Google(_) | Kind::Azure(_) | Kind::Web(_) => 0,
        }
    }

    pub(crate) fn aws(auth: AwsAuth) -> Self {
        Self(Kind::Aws(auth))
    }

    pub(crate) fn google(auth: GoogleAuth) -> Self {
        Self(Kind::Google(auth))
    }

    pub(crate) fn azure(auth: AzureAuth) -> Self {
        Self(Kind::Azure(auth))
    }

    pub(crate) fn web(auth: WebAuth) -> Self {
        Self(Kind::Web(auth))
    }

    /// Adds to a request what shows who makes it; to be called for each try, since signatures and tokens age. See
    /// [`sign::aws`] for what it expects of the URL. Nothing of a signed request may be changed but Content-Length.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when there are no credentials, or a header cannot be signed; [`crate::ErrorKind::Io`] when a
    /// service that hands them out fails.
    pub(crate) async fn sign(&self, request: &mut Request) -> Result<()> {
        match &self.0 {
            Kind::Nobody => Ok(()),
            Kind::Aws(auth) => {
                let keys = auth.cache.get(auth.source.fetch(&auth.options)).await?;
                let scope = sign::Scope {
                    service: "s3",
                    region: &auth.region,
                    unsigned: auth.unsigned,
                    payer: auth.payer,
                };
                sign::aws(request, &keys, &scope).await
            }
            Kind::Google(auth) => {
                if let Some(project) = &auth.project {
                    add_header(&mut request.headers, "x-goog-user-project", project)?;
                }
                if matches!(auth.source, GoogleSource::Nobody) {
                    return Ok(());
                }
                let token = auth.cache.get(auth.source.fetch(&auth.options)).await?;
                add_header(&mut request.headers, "authorization", &format!("Bearer {token}"))
            }
            Kind::Azure(auth) => {
                sign::azure_version(&mut request.headers);
                match &auth.source {
                    AzureSource::Nobody => return Ok(()),
                    AzureSource::Sas(pairs) => {
                        request.url.query_pairs_mut().extend_pairs(pairs.iter());
                        return Ok(());
                    }
                    AzureSource::Key(_)
                    | AzureSource::Token(_)
                    | AzureSource::Secret { .. }
                    | AzureSource::Federated { .. }
                    | AzureSource::Managed(_)
                    | AzureSource::Cli { .. } => {}
                }
                let credential = auth.cache.get(auth.source.fetch(&auth.options)).await?;
                sign::azure(request, &credential, &auth.account)
            }
            #[cfg(test)]
            Kind::Trial { signed, .. } => {
                signed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(())
            }
            Kind::Web(auth) => {
                if request.url.origin() == auth.origin {
                    for name in auth.headers.keys() {
                        request.headers.remove(name);
                    }
                    for (name, value) in &auth.headers {
                        request.headers.append(name, value.clone());
                    }
                }
                Ok(())
            }
        }
    }

    /// Forgets credentials that were fetched before `since`, because the store no longer takes them. False when others are not
    /// to be had, and another try is no use.
    #[expect(clippy::unused_async, reason = "the interface leaves room for a source that must be asked")]
    pub(crate) async fn renew(&self, since: Instant) -> bool {
        match &self.0 {
            Kind::Nobody | Kind::Web(_) => false,
            #[cfg(test)]
            Kind::Trial { renewals, .. } => {
                use std::sync::atomic::Ordering::Relaxed;
                renewals.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
            }
            Kind::Aws(auth) => auth.source.can_change() && auth.cache.forget(since),
            Kind::Google(auth) => auth.source.can_change() && auth.cache.forget(since),
            Kind::Azure(auth) => auth.source.can_change() && auth.cache.forget(since),
        }
    }
}
