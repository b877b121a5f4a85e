//! What the user says of stores: keys and variables of the environment, looked up and checked.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::HeaderName;
use url::Url;

use super::StoreOptions;
use super::exchange::ascii;
use super::key_table::{KEYS, Key, Of, Value};
use crate::error::{Error, Result};

/// Headers that are the program's own business.
const RESERVED: [&str; 8] = [
    "host",
    "range",
    "connection",
    "content-length",
    "transfer-encoding",
    "te",
    "upgrade",
    "accept-encoding",
];

/// What is said of one store.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    of: Of,
    options: &'a StoreOptions,
}

impl<'a> Given<'a> {
    pub(crate) fn new(of: Of, options: &'a StoreOptions) -> Self {
        Self { of, options }
    }

    /// The value of a key by its first name: the last that was given by any of its names.
    pub(crate) fn pair(self, name: &str) -> Option<&'a str> {
        let key = self.key(name)?;
        let found =
            self.options.pairs.iter().rev().find(|(given, _)| key.names.contains(&plain(given).as_str()));
        found.map(|(_, value)| value.as_str())
    }

    /// The value of a key, or else of its variables of the environment.
    pub(crate) fn any(self, name: &str) -> Option<&'a str> {
        self.pair(name).or_else(|| self.environment(name))
    }

    /// The value of a key's variables of the environment.
    pub(crate) fn environment(self, name: &str) -> Option<&'a str> {
        let names = self.key(name)?.names.iter();
        let is_variable =
            |name: &&&str| ["aws_", "google_", "azure_"].iter().any(|start| name.starts_with(start));
        names.filter(is_variable).find_map(|name| self.variable(&name.to_ascii_uppercase()))
    }

    /// A variable of the environment, unless it is empty.
    pub(crate) fn variable(self, name: &str) -> Option<&'a str> {
        let found = self.options.environment.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a key is set to true; `None` when it is not set.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when it is neither true nor false.
    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>> {
        let Some(value) = self.any(name) else { return Ok(None) };
        flag(value).map(Some).ok_or_else(|| Error::usage(format!("{name} must be true or false")))
    }

    /// A key's URL.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when it is none of http or https.
    pub(crate) fn url(self, name: &str) -> Result<Option<Url>> {
        self.any(name).map(|value| web_url(value, name)).transpose()
    }

    /// A key's value where it is one of those that the table lists, in the table's own spelling.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for another.
    pub(crate) fn choice(self, name: &str) -> Result<Option<&'static str>> {
        let (Some(value), Some(key)) = (self.any(name), self.key(name)) else { return Ok(None) };
        let Value::Choice(all) = key.value else { return Ok(None) };
        let found = all.iter().find(|choice| choice.eq_ignore_ascii_case(value));
        found.copied().map(Some).ok_or_else(|| wrong(name, key.value))
    }

    /// The home folder.
    pub(crate) fn home(self) -> Option<&'a str> {
        self.variable("HOME").or_else(|| self.variable("USERPROFILE"))
    }

    fn key(self, name: &str) -> Option<&'static Key> {
        let found =
            KEYS.iter().find(|key| (key.of == self.of || key.of == Of::Client) && key.names.contains(&name));
        debug_assert!(found.is_some(), "no key {name}");
        found
    }
}

/// Refuses keys that no store knows, since a slip must not silently mean the default, and values that cannot be right.
/// No value is shown.
///
/// # Errors
/// [`crate::ErrorKind::Usage`], naming the key, and the nearest known one.
pub(crate) fn check_keys(options: &StoreOptions) -> Result<()> {
    for (given, value) in &options.pairs {
        let name = plain(given);
        let keys = || KEYS.iter().filter(|key| key.names.contains(&name.as_str()));
        if keys().next().is_none() {
            // What looks like no key may be a secret in the wrong place.
            let shown = name.chars().take(40).collect::<String>();
            let nearest = nearest(&shown).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            return Err(Error::usage(format!(
                "the store option {shown:?} is not known{nearest} (all of them are in docs/stores.md)"
            )));
        }
        // A name that two stores share may have another meaning in the other: one must take the value.
        if !keys().any(|key| fits(value, key.value)) {
            return Err(wrong(&name, keys().next().map_or(Value::Text, |key| key.value)));
        }
    }
    Ok(())
}

/// Every key as a table of Markdown, one row a key: docs/stores.md holds it.
#[cfg(test)]
fn markdown() -> String {
    let mut table = "| keys | of | meaning |\n| --- | --- | --- |\n".to_owned();
    for key in KEYS {
        let names = key.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let of = match key.of {
            Of::S3 => "S3",
            Of::Google => "Google",
            Of::Azure => "Azure",
            Of::Web => "web",
            Of::Client => "all",
        };
        table.push_str(&["| ", &names, " | ", of, " | ", &key.meaning.replace('|', "\\|"), " |\n"].concat());
    }
    table
}

fn wrong(name: &str, value: Value) -> Error {
    let due = match value {
        Value::Text | Value::Void => "not be empty".to_owned(),
        Value::Secret => "be printable ASCII".to_owned(),
        Value::Flag => "be true or false".to_owned(),
        Value::Url => "be a URL with http:// or https://".to_owned(),
        Value::Region => "be a name of letters, digits and '-', such as eu-central-1".to_owned(),
        Value::Duration => "be a time such as 30s, 500ms or 2m".to_owned(),
        Value::Number => "be a whole number".to_owned(),
        Value::Choice(all) => format!("be one of {}", all.join(", ")),
        Value::Header => format!("be `Name: value` in printable ASCII, and not {}", RESERVED.join(", ")),
        Value::Key32 => "be 32 bytes in base64".to_owned(),
        Value::Payer => "be requester, true or false".to_owned(),
    };
    Error::usage(format!("the value of the store option {name} must {due}"))
}

fn fits(value: &str, kind: Value) -> bool {
    match kind {
        Value::Text => !value.is_empty(),
        Value::Void => true,
        Value::Secret => !value.is_empty() && ascii(value).is_some(),
        Value::Flag => flag(value).is_some(),
        Value::Url => web_url(value, "").is_ok(),
        Value::Region => is_region(value),
        // The rest is checked where it is used.
        Value::Duration => value.trim().starts_with(|c: char| c.is_ascii_digit()),
        Value::Number => value.parse::<u32>().is_ok(),
        Value::Choice(all) => all.iter().any(|choice| choice.eq_ignore_ascii_case(value)),
        Value::Header => header(value).is_some(),
        Value::Key32 => key32(value).is_some(),
        Value::Payer => payer(value).is_some(),
    }
}

/// A key as it is compared: without regard to capitals, and for those of the connections without the prefix of a store.
fn plain(given: &str) -> String {
    let name = given.trim().to_ascii_lowercase();
    let is_client = |name: &str| KEYS.iter().any(|key| key.of == Of::Client && key.names.contains(&name));
    let bare = ["aws_", "google_", "azure_"].iter().find_map(|start| name.strip_prefix(start));
    match bare.filter(|bare| is_client(bare)) {
        Some(bare) => bare.to_owned(),
        None => name,
    }
}

/// The known name that differs least, by no more than a third of its letters.
fn nearest(name: &str) -> Option<&'static str> {
    let all = KEYS.iter().flat_map(|key| key.names);
    let (distance, near) =
        all.map(|known| (distance(name, known), *known)).min_by_key(|(distance, _)| *distance)?;
    (distance.saturating_mul(3) <= near.len()).then_some(near)
}

/// How many letters must be put in, left out, replaced or exchanged with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let mut cost = at(&last, j).saturating_add(usize::from(x != y));
            cost =
                cost.min(at(&last, j.saturating_add(1)).saturating_add(1)).min(at(&row, j).saturating_add(1));
            let swapped = i > 0
                && j > 0
                && a.get(i.saturating_sub(1)) == Some(y)
                && b.get(j.saturating_sub(1)) == Some(x);
            if swapped {
                cost = cost.min(at(&before, j.saturating_sub(1)).saturating_add(1));
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// true or false, in the words that object_store and GDAL take.
pub(crate) fn flag(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" | "y" => Some(true),
        "false" | "0" | "off" | "no" | "n" => Some(false),
        _ => None,
    }
}

/// Whether who asks pays.
pub(crate) fn payer(value: &str) -> Option<bool> {
    if value.trim().eq_ignore_ascii_case("requester") { Some(true) } else { flag(value) }
}

/// The 32 bytes of a key in base64.
pub(crate) fn key32(value: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD.decode(value).ok()?.try_into().ok()
}

/// `Name: value`, unless it is a header that the program sets itself.
pub(crate) fn header(value: &str) -> Option<(HeaderName, &str)> {
    let (name, value) = value.split_once(':')?;
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let value = value.trim();
    let reserved = RESERVED.contains(&name.as_str()) || name.as_str().starts_with("if-");
    (!reserved && ascii(value).is_some()).then_some((name, value))
}

/// Whether it can be the name of a region, which becomes part of a host name.
pub(crate) fn is_region(value: &str) -> bool {
    (1..=63).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !value.starts_with('-')
        && !value.ends_with('-')
}

/// A URL of http or https with a host, without user, query and fragment; `name` is whose.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] otherwise. It is not shown.
pub(crate) fn web_url(value: &str, name: &str) -> Result<Url> {
    let url = Url::parse(value.trim())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none());
    url.ok_or_else(|| wrong(name, Value::Url))
}

#[cfg(test)]
mod tests {
    use object_store::aws::AmazonS3ConfigKey;
    use object_store::azure::AzureConfigKey;
    use object_store::gcp::GoogleConfigKey;

    use super::*;
    use crate::error::ErrorKind;

    fn options(pairs: &[(&str, &str)], environment: &[(&str, &str)]) -> StoreOptions {
        let own =
            |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        StoreOptions { pairs: own(pairs), environment: own(environment), ..StoreOptions::default() }
    }

    // object_store's own names, from its documentation: a file for it or for another program that uses it works here.
    #[test]
    fn what_object_store_knows_is_known() {
        let mut both = 0;
        for key in KEYS {
            for name in key.names {
                let theirs = match key.of {
                    Of::S3 => name.parse::<AmazonS3ConfigKey>().is_ok(),
                    Of::Google => name.parse::<GoogleConfigKey>().is_ok(),
                    Of::Azure => name.parse::<AzureConfigKey>().is_ok(),
                    Of::Client => {
                        assert!(name.parse::<AmazonS3ConfigKey>().is_ok(), "{name} is none of the client's");
                        true
                    }
                    Of::Web => false,
                };
                both += usize::from(theirs);
            }
        }
        // Counted in the source of object_store 0.14.2: 52 + 13 + 46 names of stores and 20 of the client.
        assert!(both >= 125, "{both}");
        let serde = [
            AmazonS3ConfigKey::AccessKeyId.as_ref().to_owned(),
            AmazonS3ConfigKey::Checksum.as_ref().to_owned(),
            AmazonS3ConfigKey::S3Express.as_ref().to_owned(),
            GoogleConfigKey::BaseUrl.as_ref().to_owned(),
            AzureConfigKey::CredentialType.as_ref().to_owned(),
            AzureConfigKey::EncryptionKey.as_ref().to_owned(),
        ];
        for name in serde {
            assert!(KEYS.iter().any(|key| key.names.contains(&name.as_str())), "{name}");
        }
    }

    #[test]
    fn the_table_is_sound() {
        let default = KEYS.iter().find(|key| key.names.contains(&"default_content_type")).unwrap();
        assert_eq!(default.value, Value::Void, "nothing looks at it");
        for key in KEYS {
            let says_so = key.meaning.starts_with("No effect") || key.meaning.starts_with("Not supported");
            assert!(key.value != Value::Void || says_so, "{key:?}");
            assert!(key.meaning.ends_with('.') && !key.meaning.contains('\n'), "{key:?}");
            for name in key.names {
                assert_eq!(*name, name.to_ascii_lowercase());
                let same =
                    KEYS.iter().filter(|other| other.of == key.of && other.names.contains(name)).count();
                assert_eq!(same, 1, "{name}");
            }
        }
    }

    #[test]
    fn the_documentation_has_a_row_for_each() {
        let table = markdown();
        assert_eq!(table.lines().count(), KEYS.len() + 2);
        assert!(
            table.contains(
                "| `aws_region`, `region` | S3 | Region of the bucket; us-east-1 if not given. |\n"
            )
        );
        assert!(table.lines().all(|line| line.matches('|').count() == 4), "a cell breaks the table");
        let document = include_str!("../../docs/stores.md");
        assert!(document.contains(&table), "docs/stores.md should hold this table:\n{table}");
    }

    #[track_caller]
    fn check(name: &str, value: &str, expected: Option<&str>) {
        let result = check_keys(&options(&[(name, value)], &[]));
        match (result, expected) {
            (Ok(()), None) => {}
            (Err(error), Some(part)) => {
                let message = error.to_string();
                assert_eq!(error.kind(), ErrorKind::Usage);
                assert!(message.contains(part), "{name}={value}: {message}");
                assert!(value.len() < 4 || !message.contains(value), "the value is shown: {message}");
            }
            (result, expected) => panic!("{name}={value}: {result:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn keys_and_values_are_checked() {
        check("AWS_Region", "eu-central-1", None);
        check("aws_regoin", "eu-central-1", Some("did you mean aws_region?"));
        check("htpp_header", "A: b-secret", Some("did you mean http_header?"));
        check("gogle_base_url", "https://hidden", Some("did you mean google_base_url?"));
        check("xyzzy", "whatever", Some("\"xyzzy\" is not known (all"));
        check("region", "eu central", Some("letters, digits and '-'"));
        check("region", "evil.example/x", Some("letters, digits and '-'"));
        check("aws_skip_signature", "maybe", Some("true or false"));
        check("skip_signature", "YES", None);
        check("aws_sse_customer_key_base64", "c2hvcnQ=", Some("32 bytes in base64"));
        check("sse_customer_key_base64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", None);
        check("aws_endpoint", "localhost:9000", Some("http:// or https://"));
        check("endpoint", "http://localhost:9000", None);
        check("aws_request_payer", "requester", None);
        check("aws_request_payer", "somebody", Some("requester, true or false"));
        check("http_header", "X-Key: value with spaces", None);
        check("http_header", "X-Key value", Some("`Name: value`"));
        check("http_header", "Range: bytes=0-1", Some("`Name: value`"));
        check("http_header", "If-Match: tagged", Some("`Name: value`"));
        check("http_header", "X-Key: geh\u{e9}im", Some("`Name: value`"));
        check("http_header", "X-Key: a\nHost: b", Some("`Name: value`"));
        check("http_bearer_token", "line\nbreak", Some("printable ASCII"));
        check("aws_connect_timeout", "10s", None);
        check("connect_timeout", "soon", Some("30s"));
        check("azure_pool_max_idle_per_host", "many", Some("whole number"));
        check("checksum", "SHA256", None);
        check("checksum", "sha1-ish", Some("md5, sha256, crc64nvme, none"));
    }

    #[test]
    fn the_last_pair_counts_and_then_the_environment() {
        let options = options(
            &[("region", "a"), ("AWS_REGION", "b"), ("endpoint", "http://both"), ("google_timeout", "5s")],
            &[
                ("AWS_REGION", "c"),
                ("AWS_DEFAULT_REGION", "d"),
                ("AWS_ROLE_ARN", ""),
                ("ENDPOINT_URL", "http://x"),
            ],
        );
        let s3 = Given::new(Of::S3, &options);
        assert_eq!(s3.any("aws_region"), Some("b"));
        assert_eq!(s3.environment("aws_region"), Some("c"));
        assert_eq!(s3.any("aws_default_region"), Some("d"));
        assert_eq!(s3.any("aws_role_arn"), None);
        assert_eq!(s3.any("aws_endpoint"), Some("http://both"));
        assert_eq!(s3.environment("aws_endpoint"), None);
        assert_eq!(Given::new(Of::Azure, &options).any("azure_storage_endpoint"), Some("http://both"));
        assert_eq!(s3.any("timeout"), Some("5s"));
    }

    #[test]
    fn distances() {
        for (a, b, expected) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("kitten", "sitting", 3), ("", "ab", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
