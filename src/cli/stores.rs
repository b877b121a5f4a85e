//! How stores are reached and written to: what was typed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Args as ClapArgs;

use crate::error::Result;
use crate::observe::Observer;
use crate::sink::SinkOptions;
use crate::store::StoreOptions;
#[cfg(any(feature = "lambda", feature = "serve"))]
use crate::store::address::AddressPolicy;

/// How stores are reached.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Stores")]
pub(super) struct StoreArgs {
    /// An option of the stores that are read and written, such as region=eu-central-1 (repeatable; see docs/stores.md)
    #[arg(long = "store-option", value_name = "KEY=VALUE", value_parser = Pair)]
    pairs: Vec<(String, String)>,
    /// The same for what is read alone: rasters, cutlines, grids (repeatable)
    #[arg(long = "src-option", value_name = "KEY=VALUE", value_parser = Pair)]
    src_pairs: Vec<(String, String)>,
    /// Attempts after a failed one [default: 10]
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,
    /// Give up retrying a request after this time: 500ms, 20s, 5m [default: 3m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    retry_timeout: Option<Duration>,
    /// Take a connection for broken that has brought or taken nothing for this time [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    idle_timeout: Option<Duration>,
    /// Ask a second time for what takes much longer than the other reads
    #[arg(long)]
    hedge: bool,
    /// One for the whole run, so that connections and credentials are shared.
    #[arg(skip)]
    made: OnceLock<StoreOptions>,
}

impl StoreArgs {
    /// For what is read.
    pub(super) fn options(&self) -> StoreOptions {
        let made = self.made.get_or_init(|| self.make(StoreOptions::default()));
        StoreOptions { pairs: [self.pairs.as_slice(), &self.src_pairs].concat(), ..made.clone() }
    }

    fn make(&self, default: StoreOptions) -> StoreOptions {
        StoreOptions {
            environment: std::env::vars_os()
                .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            max_retries: self.max_retries.unwrap_or(default.max_retries),
            retry_timeout: self.retry_timeout.unwrap_or(default.retry_timeout),
            idle_timeout: self.idle_timeout.unwrap_or(default.idle_timeout),
            hedge: self.hedge,
            ..default
        }
    }

    /// For what is written, with its own options.
    pub(super) fn writing(&self, pairs: &[(String, String)]) -> StoreOptions {
        StoreOptions { pairs: [self.pairs.as_slice(), pairs].concat(), ..self.options() }
    }

    /// Tells `observer` of every retry from now on, and reads web servers at such addresses only.
    #[cfg(any(feature = "lambda", feature = "serve"))]
    pub(super) fn guard(&mut self, observer: Arc<dyn Observer>, addresses: AddressPolicy) {
        let default = StoreOptions { addresses, observer, ..StoreOptions::default() };
        self.made = OnceLock::from(self.make(default));
    }

    /// Tells `observer` of every retry from now on.
    pub(super) fn tell(&mut self, observer: Arc<dyn Observer>) {
        self.made = OnceLock::from(self.make(StoreOptions { observer, ..StoreOptions::default() }));
    }
}

/// How a store is written to.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Stores")]
pub(super) struct WriteArgs {
    /// An option of the store that is written to alone (repeatable)
    #[arg(long = "dst-option", value_name = "KEY=VALUE", value_parser = Pair)]
    dst_pairs: Vec<(String, String)>,
    /// User metadata of the object that is written (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = Pair, help_heading = "Output")]
    metadata: Vec<(String, String)>,
    /// Read the output back and compare its SHA-256 with that of what was sent; and decode what --align-tiles copies
    #[arg(long, help_heading = "Output")]
    pub(super) verify: bool,
    /// Replace DST if it exists
    #[arg(long, help_heading = "Output")]
    overwrite: bool,
    /// Have S3 copy long runs of tiles that stay as they are itself, rather than read and write them; not with --verify
    #[arg(long, conflicts_with = "verify")]
    server_side_copy: bool,
}

impl WriteArgs {
    pub(super) fn options(&self, store: &StoreArgs) -> SinkOptions {
        SinkOptions {
            overwrite: self.overwrite,
            store: store.writing(&self.dst_pairs),
            metadata: self.metadata.clone(),
            verify: self.verify,
            server_side_copy: self.server_side_copy,
            ..SinkOptions::default()
        }
    }
}

/// `KEY=VALUE`. What is none is not repeated in the message: it may be a secret.
#[derive(Clone)]
pub(super) struct Pair;

impl clap::builder::TypedValueParser for Pair {
    type Value = (String, String);

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let pair = value.to_str().and_then(|text| text.split_once('='));
        pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| {
            let name = arg.and_then(clap::Arg::get_long).unwrap_or_default();
            clap::Error::raw(
                clap::error::ErrorKind::ValueValidation,
                format!("--{name} takes KEY=VALUE, with an equals sign in it\n"),
            )
            .with_cmd(command)
        })
    }
}

/// `500ms`, `20s`, `5m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("a number with ms, s, m or h is expected, such as 500ms or 20s".to_owned()),
    };
    let number: f64 = number.parse().map_err(|cause| format!("{number:?} is not a number: {cause}"))?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(duration("5").is_err() && duration("s").is_err() && duration("1e400s").is_err());
    }
}
