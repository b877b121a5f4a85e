//! The files ~/.aws/config and ~/.aws/credentials as the AWS CLI reads them.
//!
//! Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files"; where it leaves something open, what
//! botocore does (Python's `RawConfigParser`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::keys::Given;
use super::process::words;
use super::text_file::{expand, read};
use crate::error::{Error, Result};

/// The settings of a section by their names in small letters. A value of several lines keeps its line breaks.
pub(crate) type Settings = BTreeMap<String, String>;

/// Both files together.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) profiles: BTreeMap<String, Settings>,
    pub(crate) sso_sessions: BTreeMap<String, Settings>,
    pub(crate) services: BTreeMap<String, Settings>,
    /// The files that were looked for, for messages.
    pub(crate) searched: Vec<PathBuf>,
}

impl Files {
    /// Reads what there is of the two files. What the credentials file says of a profile wins over the configuration file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for a file that is not understood, with its line; [`crate::ErrorKind::Io`] for one that
    /// cannot be read.
    pub(crate) fn load(given: Given<'_>) -> Result<Self> {
        let mut files = Self::default();
        if let Some(path) = place(given, "aws_config_file", "config") {
            if let Some(text) = read(&path)? {
                files.add_config(&text, &path)?;
            }
            files.searched.push(path);
        }
        if let Some(path) = place(given, "aws_shared_credentials_file", "credentials") {
            if let Some(text) = read(&path)? {
                files.add_credentials(&text, &path)?;
            }
            files.searched.push(path);
        }
        Ok(files)
    }

    fn add_config(&mut self, text: &str, path: &Path) -> Result<()> {
        for (header, settings) in parse(text, path)? {
            if header == "default" {
                self.profiles.insert(header, settings);
                continue;
            }
            let Some(Ok([kind, name])) = words(&header).map(<[String; 2]>::try_from) else { continue };
            let kinds = match kind.as_str() {
                "profile" => &mut self.profiles,
                "sso-session" => &mut self.sso_sessions,
                "services" => &mut self.services,
                _ => continue,
            };
            kinds.insert(name, settings);
        }
        Ok(())
    }

    fn add_credentials(&mut self, text: &str, path: &Path) -> Result<()> {
        for (name, settings) in parse(text, path)? {
            self.profiles.entry(name).or_default().extend(settings);
        }
        Ok(())
    }

    /// The settings of a service in the `services` section that a profile names.
    pub(crate) fn service(&self, profile: &Settings, service: &str) -> Settings {
        let section = profile.get("services").and_then(|name| self.services.get(name));
        nested(section.and_then(|section| section.get(service)))
    }
}

/// The settings inside a setting: `s3 =` and indented lines below it.
pub(crate) fn nested(value: Option<&String>) -> Settings {
    let lines =
        value.filter(|value| value.starts_with('\n')).map(|value| value.lines()).into_iter().flatten();
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

/// Where a file is: what the key says, or the name in ~/.aws. `None` without a home folder.
fn place(given: Given<'_>, key: &str, name: &str) -> Option<PathBuf> {
    match given.any(key) {
        Some(path) => Some(expand(given, path)),
        None => Some(Path::new(given.home()?).join(".aws").join(name)),
    }
}

/// The sections of a file in their order.
///
/// # Errors
/// [`crate::ErrorKind::Usage`], naming the line; its text is not shown.
fn parse(text: &str, path: &Path) -> Result<Vec<(String, Settings)>> {
    let wrong = |line: usize, what: &str| Error::usage(format!("{}, line {line}: {what}", path.display()));
    let mut sections: Vec<(String, Settings)> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    // The setting that an indented line continues, and its own indent.
    let mut open: Option<(String, usize)> = None;
    for (line, number) in text.lines().zip(1_usize..) {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let indent = line.chars().take_while(|c| c.is_whitespace()).count();
        if let (Some((key, _)), Some((_, settings))) =
            (open.as_ref().filter(|(_, own)| indent > *own), sections.last_mut())
        {
            if let Some(value) = settings.get_mut(key) {
                if (value.is_empty() || value.starts_with('\n')) && !content.contains('=') {
                    return Err(wrong(number, "a setting inside a setting has the form name = value"));
                }
                value.push('\n');
                value.push_str(content);
            }
            continue;
        }
        if let Some(rest) = content.strip_prefix('[') {
            let (name, _) = rest
                .rsplit_once(']')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| wrong(number, "a section is a name between [ and ]"))?;
            if !names.insert(name.to_owned()) {
                return Err(wrong(number, "a section of this name stands above already"));
            }
            sections.push((name.to_owned(), Settings::new()));
            open = None;
            continue;
        }
        let (key, value) = content
            .split_once(['=', ':'])
            .ok_or_else(|| wrong(number, "neither a [section] nor name = value"))?;
        let Some((_, settings)) = sections.last_mut() else {
            return Err(wrong(number, "a setting stands before the first [section]"));
        };
        let key = key.trim().to_ascii_lowercase();
        if key.is_empty() {
            return Err(wrong(number, "a setting has no name"));
        }
        if settings.insert(key.clone(), value.trim().to_owned()).is_some() {
            return Err(wrong(number, "this section has a setting of this name already"));
        }
        open = Some((key, indent));
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    type Sections = Vec<(String, Settings)>;

    fn show(text: &str) -> String {
        match parse(text, Path::new("config")) {
            Ok(sections) => format!("{sections:?}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Usage);
                let message = error.to_string();
                assert!(!message.contains("secret"), "{message}");
                format!("error {}", message.split(':').next().unwrap_or_default())
            }
        }
    }

    // Expected: `botocore.configloader.raw_config_parse` of the same texts, printed by scripts/aws_config_truth.py.
    #[test]
    fn files_are_read_as_botocore_does() {
        let table = include_str!("../../testdata/store/aws_config.json");
        let cases: Vec<(String, Option<Sections>)> = serde_json::from_str(table).unwrap();
        assert!(cases.len() > 15);
        for (text, expected) in cases {
            match expected {
                Some(sections) => assert_eq!(show(&text), format!("{sections:?}"), "{text:?}"),
                None => assert!(show(&text).starts_with("error config, line "), "{text:?}: {}", show(&text)),
            }
        }
    }

    #[test]
    fn both_files_make_the_profiles() {
        let path = Path::new("f");
        let mut files = Files::default();
        files
            .add_config(
                "[default]\nregion = a\n[profile 'x y']\nregion = b\noutput = json\n[z]\nregion = c\n\
                 [sso-session s]\nsso_region = d\n[services m]\ns3 =\n  endpoint_url = http://e\n[profile q]\nservices = m\n",
                path,
            )
            .unwrap();
        files.add_credentials("[x y]\nregion = f\naws_access_key_id = k\n[n]\nregion = g\n", path).unwrap();
        let region = |name: &str| files.profiles.get(name).and_then(|p| p.get("region")).map(String::as_str);
        assert_eq!(region("default"), Some("a"));
        assert_eq!(region("x y"), Some("f"));
        assert_eq!(files.profiles["x y"]["output"], "json");
        assert_eq!(region("z"), None, "without the word profile it is none");
        assert_eq!(region("n"), Some("g"));
        assert_eq!(files.sso_sessions["s"]["sso_region"], "d");
        assert_eq!(files.service(&files.profiles["q"], "s3")["endpoint_url"], "http://e");
        assert!(files.service(&files.profiles["q"], "sts").is_empty());
        assert!(files.service(&files.profiles["default"], "s3").is_empty());
    }

    #[test]
    fn no_text_stops_it() {
        let text = "[profile a]\nregion = x\ns3 =\n  a = b\n[services s]\nsts =\n  endpoint_url = u\n; c\n";
        for end in 0..=text.len() {
            drop(parse(&text[..end], Path::new("f")));
        }
        for at in 0..text.len() {
            for byte in [b'[', b']', b'=', b'\n', b' ', b'#', b'"', 0, 127] {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = byte;
                drop(Files::default().add_config(std::str::from_utf8(&bytes).unwrap(), Path::new("f")));
            }
        }
    }
}
