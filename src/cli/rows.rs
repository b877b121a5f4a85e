//! A row of a manifest as a command line of `clip`: every option by its name, with underscores.

use clap::parser::ValueSource;
use clap::{ArgAction, CommandFactory, Parser};
use serde_json::Value;

use super::args::ClipCommand;
use super::stores::{StoreArgs, WriteArgs};
use crate::batch::Item;
use crate::batch::manifest::Row;
use crate::error::{Error, Result};
use crate::options::ClipOptions;
use crate::sink::SinkOptions;

/// Names of a row that are no options.
const PLACES: [&str; 2] = ["src", "dst"];

/// Options that are the batch's own, since all rows share connections, credentials and memory.
const SHARED: [&str; 10] = [
    "store-option",
    "src-option",
    "dst-option",
    "max-retries",
    "retry-timeout",
    "idle-timeout",
    "hedge",
    "max-memory",
    "threads",
    "grid",
];

/// A row as a command line.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct RowCommand {
    #[command(flatten)]
    clip: ClipCommand,
}

/// What was given for all rows, as it was given, since a row may say otherwise: names of options, with a value or without.
pub(super) type Given = Vec<(String, Option<String>)>;

/// What `batch` was given of the options of `clip`.
pub(super) fn given(matches: &clap::ArgMatches) -> Given {
    let mut given = Given::new();
    for arg in RowCommand::command().get_arguments() {
        let (id, Some(name)) = (arg.get_id().as_str(), arg.get_long()) else { continue };
        let is_given =
            matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine);
        if !is_given || SHARED.contains(&name) || matches!(name, "json" | "quiet") {
            continue;
        }
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            given.push((name.to_owned(), None));
        } else {
            let values = matches.get_raw(id).into_iter().flatten();
            let texts = values.map(|value| (name.to_owned(), Some(value.to_string_lossy().into_owned())));
            given.extend(texts);
        }
    }
    given
}

/// Options that are no row's.
const NOT_OF_A_ROW: [&str; 6] = ["json", "quiet", "verbose", "log-format", "split", "report-html"];

/// JSON Schemas of what a row may hold beside its places, by name.
#[cfg(feature = "serve")]
pub(super) fn schemas() -> serde_json::Map<String, Value> {
    use serde_json::json;
    let mut out = serde_json::Map::new();
    for arg in RowCommand::command().get_arguments() {
        let Some(name) = arg.get_long() else { continue };
        if SHARED.contains(&name) || NOT_OF_A_ROW.contains(&name) {
            continue;
        }
        let names: Vec<_> =
            arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        let one = match name {
            "cutline" => json!({ "type": ["string", "object", "null"] }),
            _ if !names.is_empty() => {
                json!({ "enum": names.into_iter().map(Some).chain([None]).collect::<Vec<_>>() })
            }
            _ => json!({ "type": ["string", "number", "null"] }),
        };
        let action = arg.get_action();
        let mut schema = if matches!(action, ArgAction::SetTrue) {
            json!({ "type": ["boolean", "null"] })
        } else if matches!(action, ArgAction::Append) {
            json!({ "anyOf": [one.clone(), { "type": "array", "items": one }] })
        } else {
            one
        };
        if let Some(help) = arg.get_help() {
            schema["description"] = help.to_string().into();
        }
        out.insert(name.replace('-', "_"), schema);
    }
    out
}

/// Refuses what is no option of a job, and values of the wrong form: a job is held to more than a row of a manifest, whose columns may
/// be empty and are none the worse for it. What [`schemas`] says is what is taken.
///
/// # Errors
/// [`crate::ErrorKind::Usage`]
#[cfg(any(feature = "lambda", feature = "serve"))]
pub(super) fn check_job(row: &Row) -> Result<()> {
    let command = RowCommand::command();
    for (name, value) in row.iter().filter(|(name, _)| !PLACES.contains(&name.as_str())) {
        let long = name.replace('_', "-");
        let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(long.as_str())) else {
            return Err(Error::usage(format!("{name:?} is not the name of an option of clip")));
        };
        let is_one = |value: &Value| match value {
            Value::Null | Value::String(_) | Value::Number(_) => true,
            Value::Object(_) => name == "cutline",
            Value::Bool(_) | Value::Array(_) => false,
        };
        let (fits, expected) = if matches!(arg.get_action(), ArgAction::SetTrue) {
            (matches!(value, Value::Null | Value::Bool(_)), "true or false")
        } else if matches!(arg.get_action(), ArgAction::Append) {
            let are = value.as_array().map_or_else(|| is_one(value), |all| all.iter().all(is_one));
            (are, "a string, a number, or a list of these")
        } else {
            (is_one(value), "a string or a number")
        };
        if !fits {
            return Err(Error::usage(format!("{name}: {expected} is expected")));
        }
    }
    Ok(())
}

/// The command line that a row stands for.
fn arguments(row: &Row, given: &[(String, Option<String>)]) -> Result<Vec<String>> {
    let mut out = Vec::new();
    let place = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let says = |name: &str| {
        let name = name.replace('-', "_");
        let is_said = |name: &str| row.get(name).is_some_and(|value| !value.is_null());
        row.contains_key(&name)
            // One of the two is enough.
            || name == "cutline" && is_said("bbox")
            || name == "bbox" && is_said("cutline")
    };
    for (name, value) in given.iter().filter(|(name, _)| !says(name)) {
        out.push(argument(name, value.as_deref()));
    }
    // What begins with a blank is the batch's own.
    let is_option = |name: &str| !PLACES.contains(&name) && !name.starts_with(' ');
    for (name, value) in row.iter().filter(|(name, _)| is_option(name)) {
        // `store_option=x` would be an option and its value in one.
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-'));
        if !is_name {
            return Err(Error::usage(format!("{name:?} is not the name of an option of clip")));
        }
        let long = name.replace('_', "-");
        if SHARED.contains(&long.as_str()) {
            return Err(Error::usage(format!(
                "{name}: this is for the whole batch, not for a row; give it as --{long}"
            )));
        }
        if NOT_OF_A_ROW.contains(&long.as_str()) {
            return Err(Error::usage(format!("{name}: a row cannot have this")));
        }
        push(&mut out, &long, value);
    }
    // What follows are places, even if they begin with a hyphen.
    out.extend(["--".to_owned(), place("src"), place("dst")]);
    Ok(out)
}

fn push(out: &mut Vec<String>, name: &str, value: &Value) {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Bool(true) => out.push(argument(name, None)),
        Value::String(text) => out.push(argument(name, Some(text))),
        Value::Array(values) => values.iter().for_each(|value| push(out, name, value)),
        // Numbers as they are written; an object is GeoJSON, or what its option will say is none.
        Value::Number(_) | Value::Object(_) => out.push(argument(name, Some(&value.to_string()))),
    }
}

fn argument(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    }
}

/// What makes items of rows.
pub(super) struct Maker {
    pub(super) given: Given,
    pub(super) store: StoreArgs,
    /// The batch's own options that all items share.
    pub(super) shared: ClipOptions,
    pub(super) writing: WriteArgs,
}

impl Maker {
    pub(super) fn item(&self, row: &Row) -> Result<Item> {
        let arguments = arguments(row, &self.given)?;
        let parsed = RowCommand::try_parse_from(arguments).map_err(|error| {
            // The first line says it; what follows is about the command line.
            let text = error.render().to_string();
            let said = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Error::usage(format!("the row is not understood: {said}"))
        })?;
        let clip = parsed.clip;
        let options = ClipOptions {
            grids: self.shared.grids.clone(),
            threads: self.shared.threads,
            check_copied: clip.verifies(),
            ..clip.cutline.of_options(clip.what.options()?)?
        };
        let selection = clip.cutline.selection_of_row(&options.limits)?;
        let own = clip.write.options(&self.store);
        let sink =
            SinkOptions { store: self.writing.options(&self.store).store, hash: clip.stac.is_some(), ..own };
        Ok(Item {
            src: clip.src,
            ifd: clip.image.ifd,
            dst: clip.dst,
            selection,
            options,
            sink,
            stac: clip.stac,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect()
    }

    #[test]
    fn a_row_is_a_command_line_and_has_the_last_word() {
        let row = |text: &str| serde_json::from_str::<Row>(text).unwrap();
        let all = given(&[
            ("all-touched", None),
            ("cutline", Some("c")),
            ("bands", Some("1")),
            ("bands", Some("2")),
        ]);
        let line = |text: &str| arguments(&row(text), &all).map(|line| line.join(" "));
        assert_eq!(
            line("{\"src\": \"-a\", \"dst\": \"b\"}").unwrap(),
            "--all-touched --cutline=c --bands=1 --bands=2 -- -a b"
        );
        assert_eq!(
            line("{\"src\": \"a\", \"dst\": \"b\", \"all_touched\": false, \"bbox\": \"0,0,1,1\", \"bands\": [3, 1], \"pad\": 2}")
                .unwrap(),
            "--bands=3 --bands=1 --bbox=0,0,1,1 --pad=2 -- a b"
        );
        assert_eq!(
            line("{\"src\": \"a\", \"dst\": \"b\", \"cutline\": {\"type\": \"Point\"}, \"nodata\": -1.5, \"level\": null}")
                .unwrap(),
            "--all-touched --bands=1 --bands=2 --cutline={\"type\":\"Point\"} --nodata=-1.5 -- a b"
        );
        for name in [
            "store_option",
            "max_memory",
            "json",
            "split",
            "store_option=aws_endpoint",
            "grid=/x",
            "",
            "-q",
            "--",
            "Grid",
            "cutline crs",
        ] {
            let text = format!("{{\"src\": \"a\", \"dst\": \"b\", \"{name}\": \"x\"}}");
            assert_eq!(line(&text).unwrap_err().kind(), crate::ErrorKind::Usage, "{name}");
        }
    }

    /// Whoever adds an option of `clip` decides here whether strangers may give it to the service. One that names a place to read or
    /// write goes into [`NOT_OF_A_ROW`], unless `crate::serve` holds that place against what is allowed, as it does `cutline` and `stac`.
    #[cfg(feature = "serve")]
    #[test]
    fn what_a_job_of_the_service_may_say_is_written_down() {
        let mut names: Vec<_> = schemas().keys().cloned().collect();
        names.sort_unstable();
        let mut known: Vec<_> = "align_tiles all_touched allow_ballpark bands bbox blocksize compress coverage_band cutline \
             cutline_crs fid id_field ifd interleave invert layer level mask max_crs_error max_error metadata min_coverage \
             no_crop no_overviews no_provenance nodata on_empty overview_resampling overwrite pad predictor quality \
             server_side_copy sparse stac strict verify where"
            .split_whitespace()
            .collect();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn every_option_of_a_clip_can_stand_in_a_row() {
        RowCommand::command().debug_assert();
        let line = arguments(
            &serde_json::from_str::<Row>(
                "{\"src\": \"a\", \"dst\": \"b\", \"cutline\": \"c\", \"all_touched\": true, \"nodata\": -9, \"fid\": [1, 2], \
                 \"where\": \"x=1\", \"overwrite\": true, \"metadata\": [\"k=v\"]}",
            )
            .unwrap(),
            &[],
        );
        let clip = RowCommand::try_parse_from(line.unwrap()).unwrap().clip;
        let options = clip.what.options().unwrap();
        assert_eq!(options.rule, crate::mask::Rule::AllTouched);
        assert_eq!(options.nodata.unwrap().text(), "-9");
        assert!(clip.sink_options().overwrite);
        assert_eq!(clip.sink_options().metadata, [("k".to_owned(), "v".to_owned())]);
    }
}
