//! Reports that fit into what Step Functions hands on.

use serde_json::{Value, json};

/// Bytes of an answer, at most: of the 256 KiB that a state of Step Functions may hand on, some are for what is around it.
pub(super) const MOST: usize = 240_000;

/// `report` in at most `most` bytes, as far as its long parts can be cut: lists and texts of the outermost object, the longest
/// first. `cut` says which, and how many entries or characters they had.
pub(super) fn fitted(mut report: Value, most: usize) -> Value {
    let mut cut = serde_json::Map::new();
    loop {
        let size = length(&report);
        if size <= most {
            return report;
        }
        let Value::Object(parts) = &mut report else { return report };
        let longest = parts
            .iter()
            .filter(|(name, value)| *name != "cut" && entries(value) > 0)
            .max_by_key(|(_, value)| length(value))
            .map(|(name, value)| (name.clone(), length(value)));
        let Some((name, bytes)) = longest else { return report };
        let Some(part) = parts.get_mut(&name) else { return report };
        let had = entries(part);
        // As much of it as there is room for, and always less than there was.
        let room = bytes.saturating_sub(size.saturating_sub(most).saturating_add(200));
        let keep = (had as u128 * room as u128 / bytes.max(1) as u128).min(had.saturating_sub(1) as u128);
        let keep = usize::try_from(keep).unwrap_or(0);
        match part {
            Value::Array(values) => values.truncate(keep),
            Value::String(text) => *text = text.chars().take(keep).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return report,
        }
        let of =
            cut.get(&name).and_then(|told: &Value| told.get("of")).cloned().unwrap_or_else(|| had.into());
        cut.insert(name, json!({ "kept": keep, "of": of }));
        parts.insert("cut".to_owned(), Value::Object(cut.clone()));
    }
}

/// Entries of a list, characters of a text.
fn entries(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.len(),
        Value::String(text) => text.chars().count(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => 0,
    }
}

/// Bytes of its JSON.
fn length(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_parts_are_cut_and_it_says_so() {
        let ranges: Vec<Value> = (0..10_000).map(|n| json!({ "start": n, "end": n + 1 })).collect();
        let report = json!({ "status": "planned", "requests": 10_000, "ranges": ranges, "warnings": ["w"] });
        let short = fitted(report.clone(), 20_000);
        let size = short.to_string().len();
        assert!((15_000..=20_000).contains(&size), "{size}");
        let kept = short["ranges"].as_array().unwrap().len();
        assert_eq!(short["cut"], json!({ "ranges": { "kept": kept, "of": 10_000 } }));
        assert_eq!((&short["status"], &short["warnings"]), (&report["status"], &report["warnings"]));
        assert_eq!(short["ranges"][kept - 1], report["ranges"][kept - 1]);
        // What fits stays as it is.
        assert_eq!(fitted(report.clone(), 1 << 20), report);
    }

    #[test]
    fn several_parts_and_texts_and_what_cannot_be_cut() {
        let long = "é".repeat(3000);
        let short = fitted(json!({ "a": long, "b": vec!["x"; 2000], "c": 1 }), 1000);
        assert!(short.to_string().len() <= 1000, "{short}");
        assert_eq!((&short["cut"]["a"]["of"], &short["cut"]["b"]["of"]), (&json!(3000), &json!(2000)));
        let nested = json!({ "a": { "b": long } });
        assert_eq!(fitted(nested.clone(), 100), nested);
        assert_eq!(fitted(json!([1, 2, 3]), 1), json!([1, 2, 3]));
    }
}
