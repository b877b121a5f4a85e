//! One clip as a JSON object: a job as it stands in a manifest, run by itself, and its report.

use std::time::Instant;

use serde_json::Value;

use super::rows::{self, Maker};
use super::{blocking, report};
use crate::batch::Item;
use crate::batch::manifest::Row;
use crate::clip::described::Described;
use crate::clip::{Cog, Workers, warnings};
use crate::error::{Error, Result};
use crate::jobs::Turn;
use crate::observe::Observer;
use crate::options::ClipOptions;
use crate::plan::Plan;
use crate::store::StoreOptions;

/// What a job has of those that it runs beside: the workers that all of them share, and its turn.
pub(super) type Together<'a> = (Option<&'a Workers>, Option<Turn>);

/// Where the output of a plan would go, which is not looked at.
const NOWHERE: &str = "-";

/// The item that a job stands for; nothing is read. A job has `src`, `dst`, `cutline` or `bbox`, and any other option of `clip` by
/// its name with underscores. Memory, limits, threads and grids are the maker's.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for what is missing, and for what is no option of a job.
pub(super) fn item(maker: &Maker, row: &Row) -> Result<Item> {
    for name in ["src", "dst"] {
        match row.get(name) {
            Some(Value::String(text)) if !text.is_empty() => {}
            Some(_) => return Err(Error::usage(format!("{name}: a path or a URL is expected, as a string"))),
            None => return Err(Error::usage(format!("the job has no `{name}`"))),
        }
    }
    rows::check_job(row)?;
    let mut item = maker.item(row)?;
    item.options.max_memory = maker.shared.max_memory;
    item.options.limits = maker.shared.limits.clone();
    // The report says it.
    item.sink.hash = true;
    Ok(item)
}

/// As [`item`], for a plan: `dst` may be missing.
///
/// # Errors
/// As [`item`].
pub(super) fn item_of_plan(maker: &Maker, row: &Row) -> Result<Item> {
    let mut row = row.clone();
    row.entry("dst").or_insert_with(|| NOWHERE.into());
    item(maker, &row)
}

/// Carries out an item, and gives the report of `clip --json`, with the warnings. `together` is what it shares with others.
///
/// # Errors
/// As [`Cog::open_image`], [`Cog::plan`] and [`Cog::clip`].
pub(super) async fn clip(
    item: Item,
    reading: &StoreOptions,
    together: Together<'_>,
    observer: &dyn Observer,
) -> Result<Value> {
    let started = Instant::now();
    let (mut cog, opened) = open(&item, reading, together.0).await?;
    let plan;
    (cog, plan) = planned(cog, &item, reading, together.1.clone()).await?;
    let Some(plan) = plan else { return Ok(report::skipped(&cog)) };
    let opened = opened.saturating_duration_since(started);
    let Item { dst, options, sink, stac, .. } = item;
    let described = match &stac {
        // Before the work: it may be there already.
        Some(place) => Some(Described::begin(place, &dst, &sink).await?),
        None => None,
    };
    let report = cog.clip(plan, &dst, &options, &sink, observer).await?;
    if let Some(described) = described {
        described.publish(cog.uri(), cog.header(), &report).await?;
    }
    let mut out = report::json(&cog, &dst, &report, opened);
    out["warnings"] = cog.remarks().into_iter().chain(warnings::of(&report)).collect();
    Ok(out)
}

/// Plans an item, and gives the report of `plan --json`.
///
/// # Errors
/// As [`Cog::open_image`], [`Cog::plan`] and [`Cog::requests`].
pub(super) async fn plan(item: Item, reading: &StoreOptions, together: Together<'_>) -> Result<Value> {
    let (mut cog, _) = open(&item, reading, together.0).await?;
    let plan;
    (cog, plan) = planned(cog, &item, reading, together.1.clone()).await?;
    let Some(plan) = plan else { return Ok(report::skipped(&cog)) };
    let requests = cog.requests(&plan, &item.options).await?;
    let mut out = report::plan_json(&cog, &plan, &requests);
    out["status"] = "planned".into();
    Ok(out)
}

/// The report of an item whose output is there already, when that says itself that it was made of the same source, cutline and
/// options; `None` when it does not.
///
/// # Errors
/// As [`Cog::open_image`], and as [`Cog::plan`] for the cutline.
#[cfg(feature = "lambda")]
pub(super) async fn made_before(
    item: &Item,
    reading: &StoreOptions,
    together: Together<'_>,
) -> Result<Option<Value>> {
    let (cog, _) = open(item, reading, together.0).await?;
    let selected = item.selection.read(&cog, reading, &item.options, false).await?;
    let made_of = cog.provenance(&selected.united(&item.options)?, &item.options);
    let there = Cog::open(&item.dst, &item.sink.store, &item.options.limits).await?;
    if !there.header().metadata.as_deref().is_some_and(|text| made_of.is_in(text)) {
        return Ok(None);
    }
    let meta = there.meta();
    Ok(Some(serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "status": "done",
        "found": true,
        "source": { "uri": cog.uri() },
        "output": {
            "uri": there.uri(),
            "size": meta.as_ref().map(|meta| meta.size),
            "etag": meta.and_then(|meta| meta.etag),
        },
    })))
}

/// Refuses keys that would tell the first web server that a job names what is meant for another.
///
/// # Errors
/// [`crate::ErrorKind::Usage`]
pub(super) fn check_web_keys(options: &StoreOptions) -> Result<()> {
    let has = |name: &str| options.pairs.iter().any(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    let secret = ["http_user", "http_password", "http_bearer_token", "http_header"];
    match secret.iter().find(|name| has(name)) {
        Some(name) if !has("http_origin") => Err(Error::usage(format!(
            "the store option {name} needs http_origin beside it: jobs name web servers, and only that one is to be told"
        ))),
        _ => Ok(()),
    }
}

/// The raster, and when its header had been read.
async fn open(item: &Item, reading: &StoreOptions, workers: Option<&Workers>) -> Result<(Cog, Instant)> {
    let mut cog = Cog::open_image(&item.src, item.ifd, reading, &item.options.limits).await?;
    if let Some(workers) = workers {
        cog.share(workers);
    }
    Ok((cog, Instant::now()))
}

/// The plan; `None` when nothing overlaps, and that is to be skipped.
async fn planned(
    cog: Cog,
    item: &Item,
    reading: &StoreOptions,
    turn: Option<Turn>,
) -> Result<(Cog, Option<Plan>)> {
    let selected = item.selection.read(&cog, reading, &item.options, false).await?;
    let options: ClipOptions = item.options.clone();
    blocking(move || {
        // Given up by whoever waits for it, it goes on: the turn is not free before it has ended.
        let _turn = turn;
        let plan = cog.plan(&selected.united(&options)?, &options)?;
        Ok((cog, plan))
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::args::{Args, Command};
    use crate::observe::Silent;

    fn maker() -> Maker {
        use clap::Parser;
        let words = ["cogclip", "clip", "a", "b", "--bbox", "0,0,1,1", "--max-memory", "90MB"];
        let Command::Clip(clip) = Args::try_parse_from(words).unwrap().command else {
            panic!("it is a clip")
        };
        let shared = clip.what.options().unwrap();
        Maker { given: Vec::new(), store: clip.store, shared, writing: clip.write }
    }

    fn fixture(name: &str) -> String {
        format!("{}/testdata/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn row(value: Value) -> Row {
        let Value::Object(row) = value else { panic!("it is an object") };
        row
    }

    #[tokio::test]
    async fn a_job_is_done_and_reported_as_the_command_does() {
        let maker = maker();
        let store = maker.store.options();
        let folder = tempfile::tempdir().unwrap();
        let dst = folder.path().join("out.tif");
        let mut job = row(json!({
            "src": fixture("sample/scene.tif"),
            "dst": dst,
            "cutline": fixture("sample/field.geojson"),
            "on_empty": "skip",
        }));
        let own = item(&maker, &job).unwrap();
        assert_eq!(own.options.max_memory, 90_000_000);
        let report =
            clip(own, &store, (Some(&Workers::new(&ClipOptions::default())), None), &Silent).await.unwrap();
        assert_eq!(report["status"], "done");
        assert_eq!(report["output"]["sha256"].as_str().unwrap().len(), 64);
        assert!(report["warnings"].is_array() && dst.is_file());
        job.remove("dst");
        let planned = plan(item_of_plan(&maker, &job).unwrap(), &store, (None, None)).await.unwrap();
        assert_eq!((&planned["status"], &planned["window"]), (&json!("planned"), &report["window"]));
        job.remove("cutline");
        job.insert("bbox".to_owned(), "-9,-9,-8,-8".into());
        job.insert("cutline_crs".to_owned(), "source".into());
        let none = plan(item_of_plan(&maker, &job).unwrap(), &store, (None, None)).await.unwrap();
        assert_eq!(none["status"], "skipped");
    }

    #[tokio::test]
    async fn what_fails_says_how_the_command_would_have_ended() {
        let maker = maker();
        let store = maker.store.options();
        for (job, code, kind, says) in [
            (json!({}), 2, "usage", "no `src`"),
            (json!({ "src": 1, "dst": "b" }), 2, "usage", "src: a path or a URL"),
            (json!({ "src": "a", "dst": "" }), 2, "usage", "dst: a path or a URL"),
            (json!({ "src": "a", "dst": "b" }), 2, "usage", "the row is not understood"),
            (json!({ "src": "a", "dst": "b", "bbox": "0,0,1,1", "grid": "/x" }), 2, "usage", "grid"),
            (json!({ "src": "a", "dst": "b", "bbox": "0,0,1,1", "no_such": null }), 2, "usage", "no_such"),
            (json!({ "src": "a", "dst": "b", "bbox": "0,0,1,1", "no_such": false }), 2, "usage", "no_such"),
            (json!({ "src": "a", "dst": "b", "bbox": "0,0,1,1", "fid": false }), 2, "usage", "fid: a string"),
            (json!({ "src": "a", "dst": "b", "bbox": "0,0,1,1", "pad": [1] }), 2, "usage", "pad: a string"),
            (
                json!({ "src": "a", "dst": "b", "bbox": "0,0,1,1", "bands": [[1]] }),
                2,
                "usage",
                "bands: a string",
            ),
            (
                json!({ "src": "a", "dst": "b", "bbox": "0,0,1,1", "layer": {} }),
                2,
                "usage",
                "layer: a string",
            ),
            (
                json!({ "src": "a", "dst": "b", "bbox": "0,0,1,1", "invert": "no" }),
                2,
                "usage",
                "invert: true or false",
            ),
            (json!({ "src": "/none/a.tif", "dst": "b", "bbox": "0,0,1,1" }), 5, "io", "/none/a.tif"),
        ] {
            let done = async { clip(item(&maker, &row(job.clone()))?, &store, (None, None), &Silent).await };
            let failure = done.await.unwrap_err().to_json();
            assert_eq!(
                (&failure["exit_code"], &failure["kind"]),
                (&json!(code), &json!(kind)),
                "{job}: {failure}"
            );
            assert!(failure["error"].as_str().unwrap().contains(says), "{job}: {failure}");
        }
    }
}
