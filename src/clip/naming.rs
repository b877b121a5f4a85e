//! Destinations of a split: a template whose braces name a feature's number, id or property.

use crate::error::{Error, Result};
use crate::vector::{Feature, Value};

/// Bytes of a value in a name: file systems take names of 255, and the template adds to it.
const VALUE_BYTES: usize = 180;

/// The destination of one feature: `{fid}` is its number, `{id}` the property `id_field` if one is given, else the file's own
/// id, else its number, and `{name}` its property of that name. `{{` and `}}` are braces.
///
/// Values are made safe as a part of a name: letters, digits, `-`, `_` and `.` stay, unless it is a dot at the start; all
/// else, slashes among it, becomes `_`. So no value leads to another folder.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a brace without its partner, a template without a name, a feature that has no such
/// property or no value for it, and a value that is too long for a name.
pub fn destination(template: &str, feature: &Feature, id_field: Option<&str>) -> Result<String> {
    let mut out = String::with_capacity(template.len() + 16);
    let mut rest = template;
    let mut named = false;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = behind.strip_prefix("{{") {
            out.push('{');
            rest = after;
        } else if let Some(after) = behind.strip_prefix("}}") {
            out.push('}');
            rest = after;
        } else if let Some((name, after)) = behind.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            out.push_str(&value_of(feature, name, id_field)?);
            named = true;
            rest = after;
        } else {
            return Err(Error::usage(format!(
                "the destination `{template}` has a brace without its partner; {{{{ and }}}} stand for braces themselves"
            )));
        }
    }
    if !named {
        return Err(Error::usage(format!(
            "with --split the destination must tell the outputs apart, as {{id}} or {{name-of-a-property}} in `{template}` would"
        )));
    }
    out.push_str(rest);
    Ok(out)
}

/// What a feature is called in messages: its number, and its id if it has one.
#[must_use]
pub fn described(feature: &Feature, id_field: Option<&str>) -> String {
    let id = id_field.and_then(|name| text_of(feature.property(name)?)).or_else(|| feature.id.clone());
    match id {
        Some(id) => format!("feature {} (id {id})", feature.fid),
        None => format!("feature {}", feature.fid),
    }
}

fn value_of(feature: &Feature, name: &str, id_field: Option<&str>) -> Result<String> {
    let property = |name: &str| match feature.property(name) {
        None => Err(Error::usage(format!(
            "feature {} has no property `{name}` to name its output by; it has {}",
            feature.fid,
            listed(feature)
        ))),
        Some(value) => text_of(value).filter(|text| !text.is_empty()).ok_or_else(|| {
            Error::usage(format!("feature {} has no value for `{name}` to name its output by", feature.fid))
        }),
    };
    let text = match (name, id_field) {
        ("fid", _) => feature.fid.to_string(),
        ("id", Some(field)) => property(field)?,
        ("id", None) => feature.id.clone().unwrap_or_else(|| feature.fid.to_string()),
        (name, _) => property(name)?,
    };
    let safe = safe(&text);
    if safe.len() > VALUE_BYTES {
        return Err(Error::usage(format!(
            "feature {}: its `{name}` takes {} bytes, too long for a name, which takes {VALUE_BYTES}",
            feature.fid,
            safe.len()
        )));
    }
    Ok(safe)
}

fn listed(feature: &Feature) -> String {
    let names: Vec<&str> = feature.properties.iter().map(|(name, _)| &**name).take(40).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// A value as text; `None` for null.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Integer(value) => Some(value.to_string()),
        Value::Real(value) => Some(value.to_string()),
        Value::Text(value) => Some(value.clone()),
    }
}

/// The text as a part of a name.
fn safe(text: &str) -> String {
    let stays = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut out: String = text.trim().chars().map(|c| if stays(c) { c } else { '_' }).collect();
    if out.starts_with('.') {
        out.replace_range(..1, "_");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Geometry;

    fn feature() -> Feature {
        let text = |text: &str| Value::Text(text.to_owned());
        Feature {
            fid: 7,
            id: None,
            properties: vec![
                ("name".into(), text("Große Wiese/Nord")),
                ("trick".into(), text("../../etc/passwd")),
                ("dots".into(), text("..")),
                ("n".into(), Value::Real(2.5)),
                ("none".into(), Value::Null),
                ("empty".into(), text("")),
                ("long".into(), text(&"x".repeat(200))),
                ("nul".into(), text("a\0b\nc")),
            ],
            geometry: Geometry::Collection(Vec::new()),
        }
    }

    #[test]
    fn names_are_filled_in_and_safe() {
        #[track_caller]
        fn check(template: &str, id_field: Option<&str>, expected: &str) {
            assert_eq!(destination(template, &feature(), id_field).unwrap(), expected);
        }
        check("out/{id}.tif", None, "out/7.tif");
        check("out/{id}.tif", Some("n"), "out/2.5.tif");
        check("s3://bucket/{name}/{fid}.tif", None, "s3://bucket/Große_Wiese_Nord/7.tif");
        check("{NAME}.tif", None, "Große_Wiese_Nord.tif");
        check("{trick}.tif", None, "_._.._etc_passwd.tif");
        check("{dots}/x.tif", None, "_./x.tif");
        check("{nul}.tif", None, "a_b_c.tif");
        check("{{{fid}}}.tif", None, "{7}.tif");
        let own = Feature { id: Some("a/b".to_owned()), ..feature() };
        assert_eq!(destination("{id}", &own, None).unwrap(), "a_b");
        assert_eq!(described(&own, None), "feature 7 (id a/b)");
        assert_eq!(described(&own, Some("n")), "feature 7 (id 2.5)");
    }

    #[test]
    fn what_cannot_name_is_refused() {
        for (template, words) in [
            ("out.tif", "must tell the outputs apart"),
            ("{{fid}}.tif", "must tell the outputs apart"),
            ("{fid.tif", "brace"),
            ("fid}.tif", "brace"),
            ("{missing}.tif", "it has name, trick"),
            ("{none}.tif", "no value"),
            ("{empty}.tif", "no value"),
            ("{long}.tif", "too long"),
        ] {
            let error = destination(template, &feature(), None).unwrap_err();
            assert!(error.to_string().contains(words), "{template}: {error}");
        }
    }
}
