//! The files of this machine that a pattern matches, in the order of their names.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::path::PathBuf;

use super::pattern::{Pattern, States, Step};
use crate::error::{Error, Result};

/// Names that are kept at a time, those of the folders around included: a hundred megabytes.
const MAX_HELD: usize = 1 << 20;

/// Names that are looked at: some minutes of work, if the disk is idle.
const MAX_SEEN: u64 = 1 << 26;

/// Folders in each other. Paths of Linux have at most 2,048.
const MAX_DEPTH: usize = 2_048;

/// A walk that is under way.
///
/// The names of a folder are sorted with a '/' after those of folders, so that whole paths come in the order of their bytes.
pub(super) struct Walk {
    pattern: Pattern,
    /// Before the first folder is entered.
    start: Option<States>,
    /// The folders that are being walked, each in the one before.
    folders: Vec<Folder>,
    held: usize,
    seen: u64,
    /// The folders that links below a `**` have led to.
    followed: HashSet<PathBuf>,
}

struct Folder {
    /// As the pattern spells it, its '/' included; empty for the working directory.
    path: String,
    /// What is left of it, the first last.
    entries: Vec<Entry>,
}

struct Entry {
    /// With a '/' after it if it is a folder.
    name: String,
    step: Step,
    /// Whether it is a link to a folder.
    is_link: bool,
}

impl Walk {
    /// Nothing is looked at yet.
    pub(super) fn new(pattern: Pattern) -> Self {
        let start = Some(pattern.start());
        Self { pattern, start, folders: Vec::new(), held: 0, seen: 0, followed: HashSet::new() }
    }

    /// The next file; `None` when there is none any more. May take its time.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] for a folder that cannot be read, [`crate::ErrorKind::Limit`] for too many names,
    /// [`crate::ErrorKind::Unsupported`] for a name that is not UTF-8.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        if let Some(start) = self.start.take() {
            self.enter(self.pattern.lead().to_owned(), start)?;
        }
        while let Some(folder) = self.folders.last_mut() {
            let Some(Entry { name, mut step, is_link }) = folder.entries.pop() else {
                self.folders.pop();
                continue;
            };
            self.held = self.held.saturating_sub(1);
            let path = format!("{}{name}", folder.path);
            if !name.ends_with('/') {
                return Ok(Some(path));
            }
            // In the order of names, not in that of the disk: of two links to a folder always the same one is followed.
            if is_link && step.is_deeper() && !follows(&path, &folder.path, &mut self.followed) {
                step = step.without_deeper();
            }
            if !step.states().is_none() {
                self.enter(path, step.states())?;
            }
        }
        Ok(None)
    }

    fn enter(&mut self, path: String, states: States) -> Result<()> {
        if self.folders.len() >= MAX_DEPTH {
            return Err(Error::limit(format!("{path}: more than {MAX_DEPTH} folders are in each other")));
        }
        let mut entries = Vec::new();
        if let Some(names) = self.pattern.literals(states) {
            let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
            for name in names {
                let kind = match fs::metadata(format!("{path}{name}")) {
                    Ok(found) => found.file_type(),
                    Err(cause) if is_nothing(&cause) => continue,
                    Err(cause) => return Err(unreadable(&format!("{path}{name}"), cause)),
                };
                let step = self.pattern.step(states, &name);
                self.add(&mut entries, (&path, name.as_ref()), kind, step, false)?;
            }
        } else {
            let from = if path.is_empty() { "." } else { &path };
            let listed = match fs::read_dir(from) {
                Ok(listed) => listed,
                Err(cause) if is_nothing(&cause) => return Ok(()),
                Err(cause) => return Err(unreadable(from, cause)),
            };
            for entry in listed {
                let entry = entry.map_err(|cause| unreadable(from, cause))?;
                let name = entry.file_name();
                let shown = name.to_string_lossy();
                let step = self.pattern.step(states, &shown);
                self.seen = self.seen.saturating_add(1);
                if self.seen > MAX_SEEN {
                    return Err(Error::limit(format!(
                        "{from}: more than {MAX_SEEN} names have been looked at; narrow the pattern"
                    )));
                }
                if !step.is_end() && step.states().is_none() {
                    continue;
                }
                let mut kind = match entry.file_type() {
                    Ok(kind) => kind,
                    Err(cause) if is_nothing(&cause) => continue,
                    Err(cause) => return Err(unreadable(&format!("{path}{shown}"), cause)),
                };
                let is_link = kind.is_symlink();
                if is_link {
                    kind = match fs::metadata(entry.path()) {
                        Ok(found) => found.file_type(),
                        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                            return Err(unreadable(&format!("{path}{shown}"), cause));
                        }
                        // It leads nowhere, or round in a circle.
                        Err(_) => continue,
                    };
                }
                self.add(&mut entries, (&path, &name), kind, step, is_link)?;
            }
        }
        entries.sort_unstable_by(|a, b| b.name.cmp(&a.name));
        self.held = self.held.saturating_add(entries.len());
        self.folders.push(Folder { path, entries });
        Ok(())
    }

    /// Adds an entry for what is matched, or may hold what is.
    fn add(
        &self,
        entries: &mut Vec<Entry>,
        (path, name): (&str, &OsStr),
        kind: FileType,
        step: Step,
        is_link: bool,
    ) -> Result<()> {
        let end = match (kind.is_dir(), kind.is_file()) {
            (true, _) if !step.states().is_none() => "/",
            (_, true) if step.is_end() => "",
            _ => return Ok(()),
        };
        let Some(name) = name.to_str() else {
            return Err(Error::unsupported(format!(
                "{path}{}: the pattern matches a name that is not UTF-8, and cannot be written; rename it",
                name.display()
            )));
        };
        entries.push(Entry { name: format!("{name}{end}"), step, is_link });
        if self.held.saturating_add(entries.len()) > MAX_HELD {
            return Err(Error::limit(format!(
                "{}: more than {MAX_HELD} names are in one folder and those around it; narrow the pattern",
                self.pattern.lead()
            )));
        }
        Ok(())
    }
}

/// Whether the link `link` in the folder `from`, below a `**`, is followed to its folder: not to one around it, and to none twice.
fn follows(link: &str, from: &str, followed: &mut HashSet<PathBuf>) -> bool {
    let from = if from.is_empty() { "." } else { from };
    let (Ok(target), Ok(here)) = (fs::canonicalize(link), fs::canonicalize(from)) else { return false };
    !here.starts_with(&target) && followed.insert(target)
}

fn is_nothing(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn unreadable(path: &str, cause: io::Error) -> Error {
    Error::io(format!(
        "cannot list {path}: {cause}; what is below it is not known: narrow the pattern, or ask for permission"
    ))
    .caused_by(cause)
}
