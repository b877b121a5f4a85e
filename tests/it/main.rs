//! One test binary, a commented table of contents.
#![allow(clippy::unwrap_used, reason = "clippy sees helpers of tests as no tests")]

// A loopback web server, S3, Google Cloud Storage and Azure in one, with faults on demand.
#[cfg(feature = "cloud")]
mod server;
// The HTTP beneath it.
#[cfg(feature = "cloud")]
mod wire;
// Sources: requests and bytes, retries, changes, keys, secrets.
#[cfg(feature = "cloud")]
mod remote;
// Sinks: whole or not at all, the head last, nothing left behind.
#[cfg(feature = "cloud")]
mod publish;
