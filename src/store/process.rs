//! Programs that hand out credentials on their standard output.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::StoreOptions;
use crate::error::{Error, Result};

/// How long a program may take; some ask their user for a code.
const LIMIT: Duration = Duration::from_mins(1);
/// The most of its output that is read.
const MOST: u64 = 1 << 20;

/// What the program `words` prints. Its standard error is not shown, since it may hold secrets; it gets no input. Besides the
/// environment of this process it gets `options.environment`.
///
/// # Errors
/// [`crate::ErrorKind::Io`] when it cannot be started, fails, takes more than a minute, or prints too much.
pub(crate) async fn run(what: &str, words: Vec<String>, options: &StoreOptions) -> Result<Vec<u8>> {
    let what = what.to_owned();
    let environment = options.environment.clone();
    let task = tokio::task::spawn_blocking(move || wait(&what, &words, environment, LIMIT));
    task.await.map_err(|cause| Error::io("the task that ran a program was stopped").caused_by(cause))?
}

fn wait(
    what: &str,
    words: &[String],
    environment: Vec<(String, String)>,
    limit: Duration,
) -> Result<Vec<u8>> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Error::usage(format!("{what} names no program")));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|cause| Error::io(format!("{what}: the program could not be started")).caused_by(cause))?;
    let output = child.stdout.take();
    // Read beside the waiting, so that a full pipe does not stop it. Dropped at the limit: it ends with the pipe.
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.map(|output| output.take(MOST.saturating_add(1)).read_to_end(&mut bytes));
        drop(sender.send(read.transpose().map(|_read| bytes)));
    });
    let start = Instant::now();
    let bytes = match receiver.recv_timeout(limit) {
        Ok(read) => {
            read.map_err(|cause| Error::io(format!("{what}: its output broke off")).caused_by(cause))?
        }
        Err(_timeout) => {
            drop(child.kill());
            drop(child.wait());
            return Err(Error::io(format!("{what}: the program did not end in {} s", limit.as_secs())));
        }
    };
    if bytes.len() as u64 > MOST {
        drop(child.kill());
        drop(child.wait());
        return Err(Error::io(format!("{what}: the program printed more than {MOST} bytes")));
    }
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(Error::io(format!("{what}: the program did not end in {} s", limit.as_secs())));
            }
            Err(cause) => {
                return Err(
                    Error::io(format!("{what}: the program could not be waited for")).caused_by(cause)
                );
            }
        }
    };
    if !status.success() {
        let how = status.code().map_or_else(|| "by a signal".to_owned(), |code| format!("with code {code}"));
        return Err(Error::io(format!(
            "{what}: the program ended {how}; run it by hand to see what it says"
        )));
    }
    Ok(bytes)
}

/// The words of a command line, split as a POSIX shell splits them: at spaces, with '…', "…" and \x; nothing is expanded.
/// `None` for a quote that is not closed.
pub(crate) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        // Elsewhere in double quotes a backslash stays (POSIX.1-2017 XCU §2.2.3).
                        '\\' => match chars.next()? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' if !cfg!(windows) => word.get_or_insert_default().push(chars.next()?),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected: Python's `shlex.split`, with which botocore splits.
    #[test]
    fn words_are_split_as_by_a_shell() {
        for (line, expected) in [
            ("a b  c", Some(vec!["a", "b", "c"])),
            (" a 'b c' \"d e\" f\\ g ", Some(vec!["a", "b c", "d e", "f g"])),
            (r#"x"a\"b\\c\d$e"y'\'"#, Some(vec![r#"xa"b\c\d$ey\"#])),
            ("a '' \"\"", Some(vec!["a", "", ""])),
            ("", Some(vec![])),
            ("a 'b", None),
            ("a \"b", None),
            ("a \\", None),
        ] {
            assert_eq!(
                words(line),
                expected.map(|words| words.into_iter().map(str::to_owned).collect()),
                "{line}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_program_is_read_and_bounded() {
        let sh = |script: &str, limit| {
            wait("p", &["sh".into(), "-c".into(), script.into()], vec![("A".into(), "x y".into())], limit)
        };
        let minute = Duration::from_mins(1);
        assert_eq!(sh("printf %s \"$A\"", minute).unwrap(), b"x y");
        let error = sh("echo secret >&2; exit 3", minute).unwrap_err().to_string();
        assert!(error.contains("code 3") && !error.contains("secret"), "{error}");
        let slow = sh("sleep 20", Duration::from_millis(200)).unwrap_err().to_string();
        assert!(slow.contains("did not end"), "{slow}");
        let closed = sh("exec >&-; sleep 20", Duration::from_millis(200)).unwrap_err().to_string();
        assert!(closed.contains("did not end"), "{closed}");
        let long = sh("yes", minute).unwrap_err().to_string();
        assert!(long.contains("more than"), "{long}");
        let none = wait("p", &["/none/such".into()], Vec::new(), minute).unwrap_err().to_string();
        assert!(none.contains("could not be started"), "{none}");
    }
}
