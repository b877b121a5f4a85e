//! Pictures of a plan, and the page of a clip's report: refused before the work, published after it.

use std::time::Duration;

use serde_json::Value;

use super::args::{ClipCommand, PlanCommand};
use super::report;
use crate::clip::described::{absolute, place_of};
use crate::clip::preview::PreviewOptions;
use crate::clip::{Cog, Report};
use crate::cutline::Cutline;
use crate::error::{Error, Result};
use crate::fetch::Requests;
use crate::observe::Silent;
use crate::options::ClipOptions;
use crate::picture::{self, Output, Page, Scene};
use crate::plan::Plan;
use crate::sink::{Sink, SinkOptions};
use crate::store::{StoreOptions, redact};

const SVG: &str = "image/svg+xml";
const HTML: &str = "text/html; charset=utf-8";

/// Pixels of the longer side of an output's image on its page.
const PREVIEW: u32 = 800;

/// A picture to be, and the option that asks for it.
pub(super) struct Begun {
    sink: Sink,
    option: &'static str,
}

/// Looks whether what `option` names can be written. `others` are what else is read or written, each with its name.
///
/// # Errors
/// As [`Sink::create`]; [`crate::ErrorKind::Usage`] when it would replace one of the others.
async fn begin(
    option: &'static str,
    place: &str,
    media_type: &'static str,
    others: &[(&str, &str)],
    sink: &SinkOptions,
) -> Result<Begun> {
    let own = absolute(place)?;
    for (name, other) in others {
        // Some sources, such as a pattern of a web server, have no place to compare.
        if absolute(other).is_ok_and(|other| other == own) {
            return Err(Error::usage(format!("{option}: {} is {name}; name another file", redact(place))));
        }
    }
    let options = SinkOptions {
        metadata: Vec::new(),
        media_type,
        server_side_copy: false,
        hash: false,
        ..sink.clone()
    };
    let sink = Sink::create(place, &options).await.map_err(|error| error.at(option))?;
    Ok(Begun { sink, option })
}

impl Begun {
    async fn publish(self, text: String) -> Result<()> {
        let published = self.sink.publish(text.into()).await.map(|_published| ());
        published.map_err(|error| error.at(self.option))
    }
}

/// What `plan` is to draw.
pub(super) struct OfPlan {
    svg: Option<Begun>,
    html: Option<Begun>,
}

impl OfPlan {
    /// As [`begin`], for `--svg` and `--html`.
    pub(super) async fn begin(command: &PlanCommand) -> Result<Self> {
        let sink = &SinkOptions {
            overwrite: command.overwrite,
            store: command.store.options(),
            ..SinkOptions::default()
        };
        let mut others = vec![("the source itself", command.src.as_str())];
        let svg = match &command.svg {
            Some(place) => Some(begin("--svg", place, SVG, &others, sink).await?),
            None => None,
        };
        others.extend(command.svg.as_deref().map(|place| ("what --svg writes", place)));
        let html = match &command.html {
            Some(place) => Some(begin("--html", place, HTML, &others, sink).await?),
            None => None,
        };
        Ok(Self { svg, html })
    }

    /// Draws a plan of `cutline`, which is in the raster's CRS, and publishes what was asked for.
    pub(super) async fn publish(
        self,
        (cog, plan, requests): (&Cog, &Plan, &Requests),
        cutline: &Cutline,
        options: &ClipOptions,
    ) -> Result<()> {
        let places = requests.places();
        let caption = format!(
            "{} of {} pixels in the cutline; {} requests for {} tiles, {} bytes",
            plan.mask.count(),
            plan.size().pixels(),
            requests.count(),
            requests.tiles(),
            requests.bytes()
        );
        let scene = Scene {
            title: &format!("Plan: {}", cog.uri()),
            caption: &caption,
            header: cog.header(),
            plan,
            cutline,
            is_inverted: options.invert,
            places: &places,
        };
        if let Some(svg) = self.svg {
            svg.publish(picture::svg(&scene)).await?;
        }
        if let Some(html) = self.html {
            let facts = facts(&report::plan_json(cog, plan, requests));
            html.publish(picture::html(&Page { scene, facts: &facts, output: None })).await?;
        }
        Ok(())
    }
}

/// The page that `clip` is to write.
pub(super) struct OfClip {
    begun: Begun,
    /// How the output's store is reached, to look at the output.
    store: StoreOptions,
}

impl OfClip {
    /// As [`begin`], for `--report-html`; `None` without that.
    pub(super) async fn begin(command: &ClipCommand) -> Result<Option<Self>> {
        let Some(place) = command.page() else { return Ok(None) };
        let (src, dst) = (command.src.as_str(), command.dst.as_str());
        let item = command.stac.as_deref().map(|place| place_of(place, dst));
        let mut others = vec![("the source itself", src), ("the output itself", dst)];
        others.extend(item.as_deref().map(|place| ("what --stac writes", place)));
        let sink = command.sink_options();
        let begun = begin("--report-html", place, HTML, &others, &sink).await?;
        Ok(Some(Self { begun, store: sink.store }))
    }

    /// Publishes the page of a clip that has been published to `destination`. `cutline` is in the raster's CRS.
    ///
    /// # Errors
    /// As [`Sink::publish`]; the message says that the output is there.
    pub(super) async fn publish(
        self,
        cog: &mut Cog,
        destination: &str,
        (report, opened): (&Report, Duration),
        cutline: &Cutline,
        options: &ClipOptions,
    ) -> Result<()> {
        // What the report says is not to count what the page takes.
        let said = report::json(cog, destination, report, opened);
        let done = async {
            let requests = cog.requests(&report.plan, options).await?;
            let places = requests.places();
            let caption = format!(
                "{} pixels in the cutline, {} valid; {} requests, {} bytes read; {} bytes written",
                report.counts.inside,
                report.counts.valid,
                said["requests"],
                said["bytes"],
                report.published.size
            );
            let scene = Scene {
                title: &format!("{} \u{2192} {}", cog.uri(), redact(destination)),
                caption: &caption,
                header: cog.header(),
                plan: &report.plan,
                cutline,
                is_inverted: options.invert,
                places: &places,
            };
            let facts = facts(&said);
            // That it cannot be looked at is no reason to lose the page.
            let seen = looks(destination, &self.store, options).await.map_err(|error| error.to_string());
            let output = match &seen {
                Ok((png, words)) => Output::Image { png, words },
                Err(reason) => Output::Nothing(reason),
            };
            let page = Page { scene, facts: &facts, output: Some(output) };
            self.begun.publish(picture::html(&page)).await
        };
        done.await.map_err(|error| error.at("the output is published, but not its page"))
    }
}

/// What an output looks like, as PNG, and what of it that is.
async fn looks(destination: &str, store: &StoreOptions, options: &ClipOptions) -> Result<(Vec<u8>, String)> {
    let looking =
        PreviewOptions { size: PREVIEW, limits: options.limits.clone(), ..PreviewOptions::default() };
    let mut cog = Cog::open_image(destination, Some(0), store, &options.limits).await?;
    let preview = cog.preview(&looking, &Silent).await?;
    let bands: Vec<_> = preview.bands.iter().map(ToString::to_string).collect();
    let words =
        format!("{} pixels of {}, bands {}", preview.size, cog.header().main.size(), bands.join(", "));
    Ok((preview.png, words))
}

/// A report's numbers by their paths (`tiles.fetched`), without those that are null, and without the list of ranges, which can be
/// long.
fn facts(report: &Value) -> Vec<(String, String)> {
    let mut out = Vec::new();
    collect("", report, &mut out);
    out
}

fn collect(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| name.as_str() != "ranges") {
                collect(&below(name), value, out);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            for (number, value) in values.iter().enumerate() {
                collect(&below(&number.to_string()), value, out);
            }
        }
        Value::Array(values) => {
            let texts: Vec<_> = values.iter().map(text).collect();
            out.push((path.to_owned(), texts.join(", ")));
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push((path.to_owned(), text(value))),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_listed_by_its_paths() {
        let report = json!({
            "a": { "b": 1, "none": null, "yes": true },
            "extent": [1.5, 2],
            "levels": [{ "width": 3 }],
            "ranges": [{ "start": 1 }],
            "uri": "<x>",
        });
        let pairs: Vec<_> =
            facts(&report).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs, ["a.b=1", "a.yes=true", "extent=1.5, 2", "levels.0.width=3", "uri=<x>"]);
    }
}
