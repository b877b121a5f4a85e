//! Progress on standard error: a bar on a terminal, nothing otherwise.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::observe::{Event, Observer};

/// A bar over the bytes to fetch.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(quiet: bool, terminal: bool) -> Self {
        let target =
            if quiet || !terminal { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) =
            ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}")
        {
            bar.set_style(style);
        }
        Self(bar)
    }

    pub(super) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Observer for Bar {
    fn event(&self, event: &Event) {
        match event {
            Event::Planned { bytes, .. } => self.0.set_length(*bytes),
            Event::Fetched { bytes } => self.0.inc(*bytes),
            Event::NoDataTaken { .. } => self.0.set_position(0),
            Event::Encoded { .. } | Event::Published { .. } => {}
        }
    }
}
