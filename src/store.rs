//! Object stores and web servers: where they are, who asks, how often, and what an answer is worth.

#[cfg(feature = "cloud")]
pub mod address;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod answering;
#[cfg(feature = "cloud")]
pub(crate) mod auth;
#[cfg(feature = "cloud")]
mod aws_chain;
#[cfg(feature = "cloud")]
mod aws_config;
#[cfg(feature = "cloud")]
mod aws_endpoint;
#[cfg(feature = "cloud")]
mod aws_fetch;
#[cfg(feature = "cloud")]
mod azure;
#[cfg(feature = "cloud")]
mod azure_credential;
#[cfg(feature = "cloud")]
mod azure_endpoint;
#[cfg(feature = "cloud")]
mod body;
#[cfg(feature = "cloud")]
mod check;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod check_tests;
#[cfg(feature = "cloud")]
mod checksum;
#[cfg(feature = "cloud")]
pub(crate) mod cleaning;
#[cfg(feature = "cloud")]
pub(crate) mod client;
#[cfg(feature = "cloud")]
mod compose;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod compose_tests;
#[cfg(feature = "cloud")]
pub mod connections;
#[cfg(feature = "cloud")]
pub(crate) mod copy;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod copy_tests;
#[cfg(feature = "cloud")]
mod credential;
#[cfg(feature = "cloud")]
mod dialect;
#[cfg(feature = "cloud")]
mod discard;
#[cfg(feature = "cloud")]
pub(crate) mod doctor;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod doctor_tests;
#[cfg(feature = "cloud")]
pub(crate) mod endpoint;
#[cfg(feature = "cloud")]
mod exchange;
#[cfg(feature = "cloud")]
mod failure;
#[cfg(feature = "cloud")]
mod fault;
#[cfg(feature = "cloud")]
mod gcs;
#[cfg(feature = "cloud")]
mod google_endpoint;
#[cfg(feature = "cloud")]
mod google_fetch;
#[cfg(feature = "cloud")]
mod google_file;
#[cfg(feature = "cloud")]
mod hedge;
#[cfg(feature = "cloud")]
mod leftovers;
#[cfg(feature = "cloud")]
pub(crate) mod listing;
#[cfg(feature = "cloud")]
mod listing_page;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod listing_tests;
pub(crate) mod location;
#[cfg(feature = "cloud")]
pub mod key_table;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod loopback;
#[cfg(feature = "cloud")]
pub(crate) mod keys;
#[cfg(feature = "cloud")]
pub(crate) mod object;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod object_tests;
pub mod options;
#[cfg(feature = "cloud")]
mod pace;
#[cfg(feature = "cloud")]
mod process;
#[cfg(feature = "cloud")]
mod publish;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod publish_tests;
#[cfg(feature = "cloud")]
mod range;
#[cfg(feature = "cloud")]
mod redirect;
#[cfg(feature = "cloud")]
pub(crate) mod request;
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "local reads are not tried again"))]
pub(crate) mod retry;
#[cfg(feature = "cloud")]
pub(crate) mod retry_after;
#[cfg(feature = "cloud")]
mod roots;
#[cfg(feature = "cloud")]
mod s3;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod scripted;
#[cfg(feature = "cloud")]
mod sign;
pub(crate) mod tally;
#[cfg(feature = "cloud")]
mod text_file;
#[cfg(feature = "cloud")]
pub(crate) mod transport;
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
