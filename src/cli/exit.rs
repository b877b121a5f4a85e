//! Exit codes: one for each kind of error.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use crate::error::{Error, ErrorKind};

/// The exit code of a kind of error.
pub(super) fn code(kind: ErrorKind) -> ExitCode {
    ExitCode::from(kind.exit_code())
}

/// Prints an error with its causes, one line, and returns its exit code.
pub(super) fn of(error: &Error) -> ExitCode {
    let line = format!("cogclip: {}", error.with_causes());
    let _ = writeln!(std::io::stderr().lock(), "{}", one_line(&line));
    code(error.kind())
}

/// A text that may come out of a file, fit for a terminal and a log: one line of at most 2,000 characters, control
/// characters escaped.
pub(super) fn one_line(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(2000) {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// A text of JSON, fit for a log: what control characters it has, which can be in its strings only, are escaped as JSON has it, and so
/// are those that some take for the end of a line. Not cut short, lest it were no JSON.
pub(super) fn one_line_of_json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
            let _infallible = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Prints what clap has to say: help and version to standard output, the rest to standard error.
pub(super) fn of_clap(error: &clap::Error) -> ExitCode {
    if let Some(stray) = stray(error) {
        let _ = writeln!(std::io::stderr().lock(), "error: {stray}\n\nFor more information, try '--help'.");
    } else {
        let _ = error.print();
    }
    if error.use_stderr() { code(ErrorKind::Usage) } else { ExitCode::SUCCESS }
}

/// What is said of an argument too many: it may be an option's value that holds a secret, and is not repeated.
fn stray(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    if error.kind() != clap::error::ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return None };
    match given.split_once('=') {
        _ if !given.starts_with('-') => Some(
            "there is an argument too many; its text is not repeated here, since it may be a secret. Is the option \
             missing that it belongs to?"
                .to_owned(),
        ),
        Some((name, _)) => Some(format!("there is no option {}", one_line(name))),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_stays_json() {
        for text in ["a\u{7f}\u{80}\u{85}\u{9f}b\u{2028}\u{2029}\n\0\"\\u{1f600}", &"x".repeat(9000)] {
            let line = one_line_of_json(&serde_json::json!({ "text": text }).to_string());
            assert!(
                !line.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')),
                "{line:?}"
            );
            assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["text"], text);
        }
        assert_eq!(one_line("a\n\u{85}"), "a\\n\\u{85}");
    }
}
