//! The job that a new object of S3 stands for.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

use crate::batch::manifest::Row;
use crate::error::{Error, Result};

/// What stands in a template for parts of an object's location.
const NAMES: [&str; 6] = ["bucket", "key", "path", "folder", "name", "stem"];

/// What a key's characters are in the path of a URL (RFC 3986 §3.3), slashes kept.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A job with `{bucket}`, `{key}`, `{path}` (the key without its extension), `{folder}` (with the slash at its end), `{name}` and
/// `{stem}` (the name without its extension) in its texts. Without `src`, that is the object itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Row);

/// A new object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) bucket: String,
    /// As it is, not percent-encoded.
    pub(super) key: String,
}

impl Template {
    /// Reads the JSON of a template.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when it is no object, has no `dst`, or a name in braces stands for nothing.
    pub fn parse(text: &str) -> Result<Self> {
        let mut row: Row = serde_json::from_str(text)
            .map_err(|cause| Error::usage("the template of jobs is not a JSON object").caused_by(cause))?;
        row.entry("src").or_insert_with(|| "s3://{bucket}/{key}".into());
        if !matches!(row.get("dst"), Some(Value::String(dst)) if !dst.is_empty()) {
            return Err(Error::usage("the template of jobs has no `dst`, such as s3://clips/{path}.tif"));
        }
        let template = Self(row);
        for text in template.0.values().flat_map(texts) {
            if let Some(name) = unknown(text) {
                return Err(Error::usage(format!(
                    "the template of jobs has {{{name}}}, which stands for nothing; there are {}",
                    NAMES.map(|name| format!("{{{name}}}")).join(", ")
                )));
            }
        }
        Ok(template)
    }

    /// The job of an object; `None` for one that lies where the template's own outputs go: they would be clipped again, and again.
    pub(super) fn job(&self, object: &Object) -> Option<Row> {
        let dst = self.0.get("dst").and_then(Value::as_str).unwrap_or_default();
        let own =
            before_key(&filled(dst, &|name| (name == "bucket").then(|| object.bucket.clone()))).to_owned();
        let root = format!("s3://{}/", object.bucket);
        if own.len() > root.len() && format!("{root}{}", object.key).starts_with(&own) {
            return None;
        }
        let job = self.0.iter().map(|(name, value)| (name.clone(), object.fill(value)));
        Some(job.collect())
    }
}

impl Object {
    /// What a name stands for.
    fn part(&self, name: &str) -> Option<&str> {
        let key = self.key.as_str();
        let (folder, file) = key.split_at(key.rfind('/').map_or(0, |slash| slash + 1));
        let stem = match file.rfind('.') {
            Some(dot) if dot > 0 => file.get(..dot).unwrap_or(file),
            _ => file,
        };
        match name {
            "bucket" => Some(&self.bucket),
            "key" => Some(key),
            "path" => key.get(..folder.len() + stem.len()),
            "folder" => Some(folder),
            "name" => Some(file),
            "stem" => Some(stem),
            _ => None,
        }
    }

    fn fill(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                // Keys are taken as they are in s3://, and encoded in URLs of the web.
                let is_web = text.starts_with("http://") || text.starts_with("https://");
                let part = |name: &str| {
                    let part = self.part(name)?;
                    Some(if is_web {
                        utf8_percent_encode(part, IN_PATH).to_string()
                    } else {
                        part.to_owned()
                    })
                };
                filled(text, &part).into()
            }
            Value::Array(values) => values.iter().map(|value| self.fill(value)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.clone(),
        }
    }
}

/// The texts of a value in which names are looked for: those of an object are GeoJSON's.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    }
}

/// The pieces of a text, and the names in braces between them. Other braces are text.
fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut from = 0;
        while let Some(open) = text.get(from..)?.find('{').map(|at| from + at) {
            let inner = text.get(open + 1..)?;
            let end = inner.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(inner.len());
            if end > 0 && inner.get(end..)?.starts_with('}') {
                rest = inner.get(end + 1..);
                return Some((text.get(..open)?, inner.get(..end)));
            }
            from = open + 1;
        }
        rest = None;
        Some((text, None))
    })
}

fn unknown(text: &str) -> Option<&str> {
    pieces(text).filter_map(|(_, name)| name).find(|name| !NAMES.contains(name))
}

/// `text` with what names stand for; those that stand for nothing stay.
fn filled(text: &str, part: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    for (before, name) in pieces(text) {
        out.push_str(before);
        if let Some(name) = name {
            out.push_str(&part(name).unwrap_or_else(|| format!("{{{name}}}")));
        }
    }
    out
}

/// What stands before the first name.
fn before_key(text: &str) -> &str {
    pieces(text).next().map_or("", |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(template: &Value, key: &str, expected: Option<&Value>) {
        let template = Template::parse(&template.to_string()).unwrap();
        let object = Object { bucket: "b".to_owned(), key: key.to_owned() };
        assert_eq!(template.job(&object).map(Value::Object).as_ref(), expected, "{key}");
    }

    #[test]
    fn names_stand_for_parts_of_the_location() {
        check(
            &json!({ "dst": "s3://out/{path}-clip.tif", "bbox": "0,0,1,1", "all_touched": true }),
            "in/2024/a b.c.tif",
            Some(&json!({
                "src": "s3://b/in/2024/a b.c.tif", "dst": "s3://out/in/2024/a b.c-clip.tif", "bbox": "0,0,1,1",
                "all_touched": true
            })),
        );
        check(
            &json!({ "dst": "s3://{bucket}-out/{folder}x/{name}", "cutline": "https://h/{stem}.json?a={key}", "metadata": ["of={key}"] }),
            "a%20é?.tif",
            Some(&json!({
                "src": "s3://b/a%20é?.tif", "dst": "s3://b-out/x/a%20é?.tif",
                "cutline": "https://h/a%2520%C3%A9%3F.json?a=a%2520%C3%A9%3F.tif", "metadata": ["of=a%20é?.tif"]
            })),
        );
        // A name of dots, and braces that are none of ours.
        check(
            &json!({ "dst": "s3://o/{stem}", "cutline": "{\"type\": \"{Key}\"}", "src": "/x/{bucket}" }),
            "in/.hidden",
            Some(&json!({ "dst": "s3://o/.hidden", "cutline": "{\"type\": \"{Key}\"}", "src": "/x/b" })),
        );
    }

    #[test]
    fn outputs_are_not_clipped_again() {
        let template = json!({ "dst": "s3://{bucket}/clips/{key}", "bbox": "0,0,1,1" });
        check(&template, "clips/a.tif", None);
        check(&template, "clips/clips/a.tif", None);
        check(
            &template,
            "in/a.tif",
            Some(&json!({ "src": "s3://b/in/a.tif", "dst": "s3://b/clips/in/a.tif", "bbox": "0,0,1,1" })),
        );
        // Of another bucket, and of all of this one, nothing can be said.
        check(
            &json!({ "dst": "s3://c/in/{key}" }),
            "in/a",
            Some(&json!({ "src": "s3://b/in/a", "dst": "s3://c/in/in/a" })),
        );
        check(
            &json!({ "dst": "s3://b/{key}.clip" }),
            "a",
            Some(&json!({ "src": "s3://b/a", "dst": "s3://b/a.clip" })),
        );
    }

    #[test]
    fn what_is_no_template() {
        for (text, says) in [
            ("[]", "not a JSON object"),
            ("{", "not a JSON object"),
            ("{}", "no `dst`"),
            ("{\"dst\": 1}", "no `dst`"),
            ("{\"dst\": \"s3://o/{file}.tif\"}", "{file}, which stands for nothing"),
            ("{\"dst\": \"s3://o/{key}\", \"metadata\": [\"a={x}\"]}", "{x}, which stands for nothing"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(error.with_causes().contains(says), "{text}: {error}");
            assert_eq!(error.kind(), crate::ErrorKind::Usage);
        }
    }
}
