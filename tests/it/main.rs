//! One test binary: what no single module can test about itself. The table of contents:
#![allow(clippy::unwrap_used, reason = "clippy sees helpers of tests as no tests")]

/// The table of who may import whom, and what else only holds of the source as a whole.
mod architecture;

/// Clips of the test rasters against what rasterio.mask made of them.
mod golden;

/// Tags, EXIF and GPS; one image of many; what stands beside a file.
mod metadata;

/// Broken files: an error by kind, never a panic.
mod malformed;

/// Small files that claim to be huge: little memory, little time.
#[cfg(feature = "cli")]
mod bombs;

/// A destination that takes nothing: how much is read all the same.
#[cfg(feature = "cloud")]
mod back_pressure;

/// Many clips from a manifest: what becomes of each row, and what a second run makes of the first one's record.
#[cfg(feature = "cli")]
mod batch;

/// Every pixel of 29,400 random polygons, against what rasterio burnt.
mod mask;

/// Exact covered fractions of 1,120 random polygons, against exactextract's and GEOS's.
mod coverage;

/// Polygons that are not valid: counted, refused, and filled by the even-odd rule.
mod invalid_geometries;

/// The STAC Item beside an output.
mod stac;

/// Pictures of plans and pages of reports.
#[cfg(all(feature = "cli", feature = "pictures"))]
mod pictures;

/// Pictures of rasters: what they are made from, and what their pixels are.
#[cfg(feature = "pictures")]
mod preview;

/// A loopback web server, S3, Google Cloud Storage and Azure in one, with faults on demand.
#[cfg(feature = "cloud")]
mod server;

/// The HTTP beneath it.
#[cfg(feature = "cloud")]
mod wire;

/// Sources: requests and bytes, retries, changes, keys, secrets.
#[cfg(feature = "cloud")]
mod remote;

/// Sinks: whole or not at all, the head last, nothing left behind.
#[cfg(feature = "cloud")]
mod publish;

/// Sinks whose store copies ranges itself: the same bytes, or none.
#[cfg(feature = "cloud")]
mod copying;

/// A clip over the network: which requests it makes, which bytes it fetches, and from bucket to bucket.
#[cfg(feature = "cloud")]
mod requests;

/// One suite of reading, writing and clipping for every kind of store.
#[cfg(all(feature = "cli", feature = "cloud"))]
mod conformance;

/// Google Cloud Storage's XML interface, with tokens.
#[cfg(all(feature = "cli", feature = "cloud"))]
mod google_server;

/// S3 that checks signatures.
#[cfg(all(feature = "cli", feature = "cloud"))]
mod s3s_server;

/// Every fault of a store against every store, by the command: its exit code, and either the same bytes or none.
#[cfg(all(feature = "cli", feature = "cloud"))]
mod faults;

/// Processes that are killed, interrupted, or race each other.
#[cfg(all(feature = "cli", feature = "cloud", unix))]
mod kill;

/// Clips over HTTP: who may ask, for what, how many at a time, and how it ends.
#[cfg(all(feature = "serve", unix))]
mod serve;

/// A function of AWS Lambda: events of every kind, batches that fail in part, deadlines.
#[cfg(all(feature = "lambda", unix))]
mod lambda;

/// The command line: exit codes, reports, examples.
#[cfg(feature = "cli")]
mod command;
