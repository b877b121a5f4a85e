//! Object stores and web servers: where they are, who asks, how often, and what an answer is worth.

pub(crate) mod location;
pub mod options;
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "local reads are not tried again"))]
pub(crate) mod retry;
#[cfg(feature = "cloud")]
#[expect(dead_code, reason = "its users come with the next changes")]
pub(crate) mod request;
#[cfg(feature = "cloud")]
mod azure;
#[cfg(all(test, feature = "cloud"))]
mod answering;
#[cfg(feature = "cloud")]
mod checksum;
#[cfg(feature = "cloud")]
pub mod connections;
#[cfg(feature = "cloud")]
mod dialect;
#[cfg(feature = "cloud")]
pub(crate) mod doctor;
#[cfg(all(test, feature = "cloud"))]
mod doctor_tests;
#[cfg(feature = "cloud")]
mod failure;
#[cfg(feature = "cloud")]
mod gcs;
#[cfg(feature = "cloud")]
pub(crate) mod object;
#[cfg(all(test, feature = "cloud"))]
mod object_tests;
#[cfg(feature = "cloud")]
mod publish;
#[cfg(all(test, feature = "cloud"))]
mod publish_tests;
#[cfg(feature = "cloud")]
mod range;
#[cfg(feature = "cloud")]
mod s3;
#[cfg(feature = "cloud")]
mod xml;

pub(crate) use location::{redact, sibling};
pub use options::StoreOptions;

/// What is said of a URL by a build that has no client.
#[cfg(not(feature = "cloud"))]
pub(crate) fn without_cloud(shown: &str) -> crate::error::Error {
    crate::error::Error::unsupported(format!(
        "{shown}: this build reads local files only; build it with the feature `cloud`"
    ))
}
