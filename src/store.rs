//! Object stores and web servers: where they are, who asks, how often, and what an answer is worth.

#[cfg(feature = "cloud")]
pub(crate) mod auth;
#[cfg(feature = "cloud")]
pub(crate) mod aws_chain;
#[cfg(feature = "cloud")]
pub(crate) mod aws_config;
#[cfg(feature = "cloud")]
pub(crate) mod aws_endpoint;
#[cfg(feature = "cloud")]
pub(crate) mod aws_fetch;
#[cfg(feature = "cloud")]
pub(crate) mod azure_credential;
#[cfg(feature = "cloud")]
pub(crate) mod azure_endpoint;
#[cfg(feature = "cloud")]
pub(crate) mod credential;
#[cfg(feature = "cloud")]
pub(crate) mod endpoint;
#[cfg(feature = "cloud")]
pub(crate) mod exchange;
#[cfg(feature = "cloud")]
pub(crate) mod google_endpoint;
#[cfg(feature = "cloud")]
pub(crate) mod google_fetch;
#[cfg(feature = "cloud")]
pub(crate) mod google_file;
#[cfg(feature = "cloud")]
pub(crate) mod key_table;
#[cfg(feature = "cloud")]
#[cfg(test)]
pub(crate) mod loopback;
#[cfg(feature = "cloud")]
pub(crate) mod keys;
#[cfg(feature = "cloud")]
pub(crate) mod process;
#[cfg(feature = "cloud")]
pub(crate) mod sign;
#[cfg(feature = "cloud")]
pub(crate) mod text_file;
pub(crate) mod location;
pub mod options;
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "local reads are not tried again"))]
pub(crate) mod retry;
#[cfg(feature = "cloud")]
#[expect(dead_code, reason = "its users come with the next changes")]
pub(crate) mod request;

pub(crate) use location::{redact, sibling};
pub use options::StoreOptions;

/// What is said of a URL by a build that has no client.
#[cfg(not(feature = "cloud"))]
pub(crate) fn without_cloud(shown: &str) -> crate::error::Error {
    crate::error::Error::unsupported(format!(
        "{shown}: this build reads local files only; build it with the feature `cloud`"
    ))
}
