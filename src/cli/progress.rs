//! Progress on standard error: a bar on a terminal, lines otherwise.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{note, note_json};
use crate::observe::{Event, Observer};

/// Lines in which the outputs of a split are counted.
const PROGRESS_LINES: u64 = 20;

/// How progress is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Show {
    /// Nothing at all.
    pub(super) quiet: bool,
    /// Standard error is a terminal.
    pub(super) terminal: bool,
    /// 0: the plan and the end; 1: the same on a terminal, too; 2: every request and tile.
    pub(super) verbose: u8,
    /// Lines are JSON objects.
    pub(super) json: bool,
}

/// A bar over the bytes to fetch, or lines.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    show: Show,
}

impl Progress {
    pub(super) fn new(show: Show) -> Self {
        let bar_shown = show.terminal && !show.quiet && !show.json && show.verbose < 2;
        let target = if bar_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template(
            "{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta} {msg}",
        ) {
            bar.set_style(style);
        }
        Self { bar, show }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn event(&self, event: &Event) {
        match event {
            Event::Planned { bytes, .. } => self.bar.set_length(*bytes),
            Event::Fetched { bytes } => self.bar.inc(*bytes),
            Event::NoDataTaken { .. } => self.bar.set_position(0),
            Event::Output { done, of, .. } => self.bar.set_message(format!("{done} of {of} outputs")),
            Event::Encoded { .. }
            | Event::Publishing
            | Event::Published { .. }
            | Event::Retried { .. }
            | Event::Paced { .. }
            | Event::Hedged { .. } => {}
        }
        let milestone = u8::from(self.show.terminal);
        let least = match event {
            Event::Fetched { .. } | Event::Encoded { .. } | Event::Publishing => 2,
            Event::Output { done, of, .. }
                if !done.is_multiple_of(of.div_ceil(PROGRESS_LINES)) && done < of =>
            {
                2
            }
            Event::Retried { .. } | Event::Paced { .. } | Event::Hedged { .. } => 1,
            Event::Output { .. }
            | Event::Planned { .. }
            | Event::NoDataTaken { .. }
            | Event::Published { .. } => milestone,
        };
        if !self.show.quiet && self.show.verbose >= least {
            let (name, facts) = described(event);
            if self.show.json {
                note_json(&line_of_json(name, &facts));
            } else {
                note(&line_of_text(name, &facts));
            }
        }
    }
}

/// What happened, in numbers or in words.
enum Fact {
    Number(u64),
    Words(String),
}

/// An event's name and its facts.
fn described(event: &Event) -> (&'static str, Vec<(&'static str, Fact)>) {
    use Fact::{Number, Words};
    match event {
        Event::Planned { tiles, requests, bytes, .. } => (
            "planned",
            vec![("tiles", Number(*tiles)), ("requests", Number(*requests)), ("bytes", Number(*bytes))],
        ),
        Event::Fetched { bytes } => ("fetched", vec![("bytes", Number(*bytes))]),
        Event::Encoded { bytes } => ("encoded", vec![("bytes", Number(*bytes))]),
        Event::NoDataTaken { samples } => {
            ("nodata is taken, starting over with a mask", vec![("samples", Number(*samples))])
        }
        Event::Publishing => ("publishing", Vec::new()),
        Event::Published { bytes } => ("published", vec![("bytes", Number(*bytes))]),
        Event::Output { done, of, bytes } => {
            ("output", vec![("done", Number(*done)), ("outputs", Number(*of)), ("bytes", Number(*bytes))])
        }
        Event::Retried { uri, reason, tries, wait } => (
            "trying again",
            vec![
                ("uri", Words(uri.clone())),
                ("reason", Words(reason.clone())),
                ("tries", Number(u64::from(*tries))),
                ("milliseconds", Number(*wait)),
            ],
        ),
        Event::Paced { server, in_flight } => (
            "paced",
            vec![("server", Words(server.clone())), ("requests in flight", Number(*in_flight as u64))],
        ),
        Event::Hedged { uri } => ("asking twice", vec![("uri", Words(uri.clone()))]),
    }
}

fn line_of_json(name: &str, facts: &[(&str, Fact)]) -> String {
    let mut line = json!({ "level": "info", "event": name });
    for (key, fact) in facts {
        line[key.replace(' ', "_")] = match fact {
            Fact::Number(number) => Value::from(*number),
            Fact::Words(words) => Value::from(words.as_str()),
        };
    }
    line.to_string()
}

fn line_of_text(name: &str, facts: &[(&str, Fact)]) -> String {
    let facts: Vec<String> = facts
        .iter()
        .map(|(key, fact)| match fact {
            Fact::Number(number) => format!("{number} {key}"),
            Fact::Words(words) => words.clone(),
        })
        .collect();
    format!("{name}: {}", facts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_what_happened() {
        let (name, facts) = described(&Event::Planned { tiles: 4, requests: 2, bytes: 142_269, output: 3 });
        assert_eq!(line_of_text(name, &facts), "planned: 4 tiles, 2 requests, 142269 bytes");
        let json: Value = serde_json::from_str(&line_of_json(name, &facts)).unwrap();
        assert_eq!(
            json,
            json!({"level": "info", "event": "planned", "tiles": 4, "requests": 2, "bytes": 142_269})
        );
    }
}
