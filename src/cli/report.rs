//! What a clip or a plan says of itself: JSON for programs, lines for people.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clip::split::SplitReport;
use crate::clip::{Cog, Report, warnings};
use crate::fetch::Requests;
use crate::plan::{Fate, NoDataOrigin, Plan};
use crate::store::redact;

/// Milliseconds, to the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn source(cog: &Cog) -> Value {
    let meta = cog.meta();
    json!({
        "uri": cog.uri(),
        "ifd": cog.header().main.number,
        "size": meta.as_ref().map(|meta| meta.size),
        "etag": meta.and_then(|meta| meta.etag),
    })
}

/// A CRS by its name; a file's GeoKeys that are not understood are no failure of a report.
pub(super) fn crs(cog: &Cog) -> Option<String> {
    cog.header().geo.crs().ok().flatten().map(|crs| crs.to_string())
}

fn extent(bounds: crate::geo::Bounds) -> [f64; 4] {
    [bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y]
}

fn window(plan: &Plan) -> Value {
    let size = plan.size();
    json!({ "col_off": plan.window.x0, "row_off": plan.window.y0, "width": size.width, "height": size.height })
}

fn clipped_extent(plan: &Plan) -> [f64; 4] {
    extent(plan.transform.bounds(crate::grid::PixelRect::of(plan.size())))
}

fn nodata(plan: &Plan) -> Value {
    let origin = plan.validity.nodata.as_ref().map(|(_, origin)| match origin {
        NoDataOrigin::Given => "given",
        NoDataOrigin::Source => "source",
        NoDataOrigin::Chosen => "chosen",
    });
    json!({
        "value": plan.validity.nodata.as_ref().map(|(value, _)| value.text()),
        "from": origin,
        "internal_mask": plan.validity.mask,
        "alpha_band": plan.validity.alpha.map(|band| band + 1),
    })
}

fn tile_classes(plan: &Plan) -> Value {
    let classes = plan.classes;
    json!({
        "intersecting": classes.outside + classes.inside + classes.edge,
        "outside": classes.outside,
        "inside": classes.inside,
        "edge": classes.edge,
    })
}

/// The report of a clip that found no overlap and was told to skip it.
pub(super) fn skipped(cog: &Cog) -> Value {
    json!({ "version": env!("CARGO_PKG_VERSION"), "status": "skipped", "reason": "no overlap", "source": source(cog) })
}

/// What a plan and its clip say alike.
fn described(cog: &Cog, plan: &Plan) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "source": source(cog),
        "crs": crs(cog),
        "source_extent": extent(cog.bounds()),
        "extent": clipped_extent(plan),
        "window": window(plan),
        "cutline": cutline(plan),
        "bands": plan.output_bands(),
        "dtype": cog.header().sample_type.name(),
    })
}

/// The report of a clip.
pub(super) fn json(cog: &Cog, destination: &str, report: &Report, opened: Duration) -> Value {
    let (plan, counts, stats) = (&report.plan, report.counts, cog.stats());
    let mut tiles = tile_classes(plan);
    tiles["fetched"] = report.fetched.tiles.into();
    tiles["sparse"] = report.fetched.sparse.into();
    tiles["written"] = report.tiles.0.into();
    tiles["empty"] = report.tiles.1.into();
    tiles["copied"] = report.copied.tiles.into();
    let mut nodata = nodata(plan);
    nodata["valid_samples_that_hold_it"] = counts.hidden.into();
    let (planned, worked, published) = report.times;
    let mut out = described(cog, plan);
    out["status"] = "done".into();
    out["pixels"] = pixels(report);
    out["tiles"] = tiles;
    out["requests"] = stats.requests.into();
    out["bytes"] = stats.bytes.into();
    out["retries"] = stats.retries.into();
    out["hedges"] = stats.hedges.into();
    out["milliseconds"] = json!({
        "open": millis(opened),
        "plan": millis(planned),
        "clip": millis(worked),
        "publish": millis(published),
    });
    out["nodata"] = nodata;
    out["output"] = destination_json(destination, report);
    out
}

fn destination_json(destination: &str, report: &Report) -> Value {
    json!({
        "uri": redact(destination),
        "size": report.published.size,
        "etag": report.published.etag,
        "sha256": report.published.sha256,
        "verified": report.published.verified,
        "requests": report.published.requests,
        "retries": report.published.retries,
        "copied": report.published.copied,
    })
}

fn pixels(report: &Report) -> Value {
    let (window, counts) = (report.plan.size().pixels(), report.counts);
    json!({
        "window": window,
        "inside": counts.inside,
        "valid": counts.valid,
        "not_looked_at": report.copied.pixels,
        "masked": window - counts.inside,
    })
}

/// How the cutline was placed, and what was wrong with it.
fn cutline(plan: &Plan) -> Value {
    let repairs: serde_json::Map<String, Value> = plan
        .repairs
        .counts()
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| (name.to_owned(), count.into()))
        .collect();
    json!({
        "operation": plan.operation.as_ref().map(|operation| json!({ "name": operation.name, "accuracy_metres": operation.accuracy })),
        "repairs": repairs,
    })
}

/// The report of a clip, one line.
pub(super) fn text(cog: &Cog, destination: &str, report: &Report) -> String {
    let (size, stats) = (report.plan.size(), cog.stats());
    let unseen = match report.copied.pixels {
        0 => String::new(),
        pixels => format!(" and {pixels} copied unseen"),
    };
    format!(
        "{} -> {}: {size} pixels, {} in the cutline, {} valid{unseen}; {} requests, {} bytes read; {} bytes written",
        cog.uri(),
        redact(destination),
        report.counts.inside,
        report.counts.valid,
        stats.requests,
        stats.bytes,
        report.published.size,
    )
}

/// What a person should know of a split that succeeded: the same of many outputs once.
pub(super) fn split_warnings(report: &SplitReport) -> Vec<String> {
    let mut seen: Vec<(String, &str, usize)> = Vec::new();
    for (output, report) in &report.outputs {
        for warning in warnings::of(report) {
            if let Some((.., count)) = seen.iter_mut().find(|(text, ..)| *text == warning) {
                *count += 1;
            } else if seen.len() < MOST_WARNINGS {
                seen.push((warning, &output.name, 1));
            }
        }
    }
    let told = |(text, name, count): (String, &str, usize)| match count {
        1 => format!("{name}: {text}"),
        _ => format!("{name} and {} more outputs: {text}", count - 1),
    };
    seen.into_iter().map(told).collect()
}

/// Different warnings about the outputs of a split that are printed.
const MOST_WARNINGS: usize = 20;

/// The report of a split.
pub(super) fn split_json(cog: &Cog, report: &SplitReport, skipped: &[String]) -> Value {
    let stats = cog.stats();
    let outputs = report.outputs.iter().map(|(output, report)| {
        let plan = &report.plan;
        let mut out = json!({
            "feature": output.name,
            "extent": clipped_extent(plan),
            "window": window(plan),
            "pixels": pixels(report),
            "nodata": nodata(plan),
            "cutline": cutline(plan),
        });
        out["output"] = destination_json(&output.destination, report);
        out
    });
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "status": "done",
        "source": source(cog),
        "crs": crs(cog),
        "source_extent": extent(cog.bounds()),
        "outputs": outputs.collect::<Vec<_>>(),
        "skipped": skipped,
        "tiles": { "fetched": report.fetched.tiles, "sparse": report.fetched.sparse },
        "requests": stats.requests,
        "bytes": stats.bytes,
        "retries": stats.retries,
        "hedges": stats.hedges,
        "milliseconds": { "clip": millis(report.time) },
    })
}

/// The report of a split, one line.
pub(super) fn split_text(cog: &Cog, report: &SplitReport, skipped: &[String]) -> String {
    let (stats, bytes) = (cog.stats(), report.outputs.iter().map(|(_, r)| r.published.size).sum::<u64>());
    let left_out = if skipped.is_empty() {
        String::new()
    } else {
        format!(" ({} features without area or overlap left out)", skipped.len())
    };
    format!(
        "{}: {} outputs{left_out}; {} requests, {} bytes read; {bytes} bytes written",
        cog.uri(),
        report.outputs.len(),
        stats.requests,
        stats.bytes,
    )
}

/// The window's tiles by what becomes of them, with their bytes as they are stored.
pub(super) fn classes(cog: &Cog, plan: &Plan, requests: &Requests) -> Value {
    let tallies = plan.tallies(&cog.header().main.grid, &requests.places());
    let class = |fate: Fate| {
        let tally = tallies.of(fate);
        (
            fate.name().to_owned(),
            json!({ "tiles": tally.tiles, "sparse": tally.absent, "bytes": tally.bytes }),
        )
    };
    Value::Object(Fate::ALL.into_iter().map(class).collect())
}

/// A plan as JSON: every request with its byte range.
pub(super) fn plan_json(cog: &Cog, plan: &Plan, requests: &Requests) -> Value {
    let grids = |grid: &crate::grid::TileGrid| json!({ "width": grid.image.width, "height": grid.image.height, "tiles": grid.count() });
    let mut tiles = tile_classes(plan);
    tiles["to_fetch"] = requests.tiles().into();
    tiles["copied"] = plan.passage.count().into();
    tiles["sparse"] = requests.sparse.into();
    let mut out = described(cog, plan);
    out["pixels"] = json!({
        "window": plan.size().pixels(),
        "inside": plan.mask.count(),
        "masked": plan.size().pixels() - plan.mask.count(),
    });
    out["tiles"] = tiles;
    out["classes"] = classes(cog, plan, requests);
    out["header"] = json!({ "requests": cog.stats().requests, "bytes": cog.stats().bytes });
    out["requests"] = requests.count().into();
    out["bytes"] = requests.bytes().into();
    out["ranges"] = requests
        .requests
        .iter()
        .map(|request| {
            json!({
                "start": request.range.start,
                "end": request.range.end,
                "tiles": request.tiles.len(),
                "pieces": request.pieces,
            })
        })
        .collect();
    out["nodata"] = nodata(plan);
    out["output"] =
        json!({ "blocksize": plan.blocksize(), "levels": plan.levels.iter().map(grids).collect::<Vec<_>>() });
    out
}

/// A plan for a person.
pub(super) fn plan_text(cog: &Cog, plan: &Plan, requests: &Requests) -> String {
    let (size, classes, mut out) = (plan.size(), plan.classes, String::new());
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<10}{value}");
    };
    line("source", cog.uri().to_owned());
    line("crs", crs(cog).unwrap_or_else(|| "none that is understood".to_owned()));
    line("window", format!("{size} pixels at column {}, row {}", plan.window.x0, plan.window.y0));
    line("extent", clipped_extent(plan).map(|v| v.to_string()).join(" "));
    line("pixels", format!("{} of {} in the cutline", plan.mask.count(), size.pixels()));
    line(
        "tiles",
        format!(
            "{} in the window: {} outside, {} inside, {} on the edge; {} to fetch",
            classes.outside + classes.inside + classes.edge,
            classes.outside,
            classes.inside,
            classes.edge,
            requests.tiles()
        ),
    );
    if let Some(obstacle) = plan.passage.obstacle() {
        line("copied", format!("no tile can be copied as it is stored: {obstacle}"));
    } else if plan.passage.count() > 0 {
        line("copied", format!("{} tiles of the output as they are stored", plan.passage.count()));
    }
    line("fetch", format!("{} requests, {} bytes", requests.count(), requests.bytes()));
    line("header", format!("{} requests, {} bytes (spent)", cog.stats().requests, cog.stats().bytes));
    let levels: Vec<String> = plan.levels.iter().map(|grid| grid.image.to_string()).collect();
    line(
        "output",
        format!(
            "{} bands of {} in tiles of {}; {}",
            plan.output_bands(),
            cog.header().sample_type.name(),
            plan.blocksize(),
            levels.join(", ")
        ),
    );
    for request in &requests.requests {
        let pieces =
            if request.pieces > 1 { format!(", in {} pieces", request.pieces) } else { String::new() };
        line(
            "range",
            format!("{}..{} ({} tiles{pieces})", request.range.start, request.range.end, request.tiles.len()),
        );
    }
    out
}
