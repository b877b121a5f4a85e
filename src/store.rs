//! Object stores and web servers: where they are, who asks, how often, and what an answer is worth.

pub(crate) mod location;
pub mod options;
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "local reads are not tried again"))]
pub(crate) mod retry;
#[cfg(feature = "cloud")]
#[expect(dead_code, reason = "its users come with the next changes")]
pub(crate) mod request;
#[cfg(feature = "cloud")]
pub(crate) mod auth;
#[cfg(feature = "cloud")]
mod body;
#[cfg(feature = "cloud")]
#[cfg_attr(not(test), expect(dead_code, reason = "its users come with the next changes"))]
pub(crate) mod client;
#[cfg(feature = "cloud")]
mod fault;
#[cfg(feature = "cloud")]
mod hedge;
#[cfg(feature = "cloud")]
mod pace;
#[cfg(feature = "cloud")]
#[cfg_attr(not(test), expect(dead_code, reason = "its users come with the next changes"))]
mod redirect;
#[cfg(feature = "cloud")]
pub(crate) mod retry_after;
#[cfg(feature = "cloud")]
mod roots;
#[cfg(feature = "cloud")]
#[cfg(test)]
mod scripted;
#[cfg(feature = "cloud")]
#[cfg_attr(not(test), expect(dead_code, reason = "its users come with the next changes"))]
pub(crate) mod transport;

pub(crate) use location::{redact, sibling};
pub use options::StoreOptions;

/// What is said of a URL by a build that has no client.
#[cfg(not(feature = "cloud"))]
pub(crate) fn without_cloud(shown: &str) -> crate::error::Error {
    crate::error::Error::unsupported(format!(
        "{shown}: this build reads local files only; build it with the feature `cloud`"
    ))
}
