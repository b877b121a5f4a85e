//! Rows that stand for many: patterns, prefixes and STAC documents as sources, and features that are split.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use futures::StreamExt;
use serde_json::Value;
use tempfile::SpooledTempFile;

use super::Make;
use super::claims::{self, CLAIMS};
use super::manifest::{IN_MEMORY, Manifest, Row};
use crate::clip::naming;
use crate::error::{Error, Result};
use crate::fetch;
use crate::limits::Limits;
use crate::source::{Source, glob};
use crate::stac::{self, RasterAsset, Selector};
use crate::store::{StoreOptions, redact};
use crate::vector::{Feature, Geometry, Value as Property};

/// Marks a row whose `dst` is a template although its source stands for itself alone.
pub(crate) const MANY: &str = " many";

/// Pages of a search result that are followed.
const MOST_PAGES: usize = 10_000;

/// Bytes of rows that are gathered before they are put aside.
const GATHERED: usize = 1 << 20;

/// The manifest with a row for each source, and with `split` each feature, that a row stands for. In `dst`, `{stem}` is a source's
/// name without folder and extension, `{item}`, `{asset}` and `{collection}` are those of STAC, and with `split` the names that
/// [`naming::destination`] knows of a feature. Values are made safe as it says.
///
/// # Errors
/// [`crate::ErrorKind::Usage`] for a pattern that nothing matches, a document without a raster, and a `dst` that does not tell what a
/// row stands for apart; else as [`glob::expand`], [`stac::read`] and [`Source::read`].
pub async fn expand(
    manifest: Manifest,
    make: &Make,
    reading: &StoreOptions,
    limits: &Limits,
) -> Result<Manifest> {
    if !manifest.stands_for_more() {
        return Ok(manifest);
    }
    let mut rows = Rows::new();
    for number in 0..manifest.len() {
        let row = manifest.row(number)?;
        let src = text(&row, "src").to_owned();
        let at = |error: Error| error.at(format!("item {number}"));
        let features = match row.get("split") {
            Some(Value::Bool(true)) => Some(features(&row, make, reading).await.map_err(at)?),
            _ => None,
        };
        if is_stac(&src) {
            for asset in assets(&src, reading, limits).await.map_err(at)? {
                let places = [
                    ("item", asset.item.as_str()),
                    ("asset", asset.key.as_str()),
                    ("collection", asset.collection.as_deref().unwrap_or_default()),
                ];
                let mut own = row.clone();
                own.insert(CLAIMS.to_owned(), claims::of(&asset));
                rows.add(&own, &asset.href, &places, features.as_deref()).await.map_err(at)?;
            }
        } else if glob::is_pattern(&src) {
            let mut found = glob::expand(&src, reading);
            let mut none = true;
            while let Some(location) = found.next().await {
                none = false;
                rows.add(&row, &location?, &[], features.as_deref()).await.map_err(at)?;
            }
            if none {
                return Err(at(Error::usage(format!("{}: nothing matches", redact(&src)))));
            }
        } else if features.is_some() || row.contains_key(MANY) {
            rows.add(&row, &src, &[], features.as_deref()).await.map_err(at)?;
        } else {
            rows.push(&row).await?;
        }
    }
    rows.done(limits).await
}

/// Whether a source stands for others: a pattern, or a STAC document.
pub(super) fn stands_for_more(src: &str) -> bool {
    is_stac(src) || glob::is_pattern(src)
}

/// Whether a source is a STAC document: by its name, or because an asset of it is asked for.
fn is_stac(src: &str) -> bool {
    let (document, asset) = of_fragment(src);
    let path = document.split(['?', '#']).next().unwrap_or(document);
    let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    asset.is_some() || matches!(extension.as_deref(), Some("json" | "geojson"))
}

/// A document's location, and the assets that are asked for.
fn of_fragment(src: &str) -> (&str, Option<&str>) {
    match src.rsplit_once("#asset=") {
        Some((document, assets)) => (document, Some(assets)),
        None => (src, None),
    }
}

/// The rasters of a document, and of the pages that follow it.
async fn assets(src: &str, reading: &StoreOptions, limits: &Limits) -> Result<Vec<RasterAsset>> {
    let (document, keys) = of_fragment(src);
    let selector = match keys {
        None => Selector::Rasters,
        Some(keys) => Selector::Keys(keys.split(',').map(|key| key.trim().to_owned()).collect()),
    };
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = document.to_owned();
    loop {
        let source = Source::open(&at, reading)?;
        let bytes = fetch::whole(&source, limits).await?;
        let found = stac::read(&bytes, &at, &selector, limits)?;
        all.extend(found.assets);
        let Some(next) = found.next else { break };
        if next.method != stac::Method::Get || !next.headers.is_empty() {
            return Err(Error::unsupported(format!(
                "{}: its next page is to be asked for by POST, or with fields of its own; fetch all pages into one file",
                redact(&at)
            )));
        }
        if !seen.insert(at) || seen.len() > MOST_PAGES {
            return Err(Error::format(format!("{}: its pages never end", redact(document))));
        }
        at = next.href;
    }
    if all.is_empty() {
        return Err(Error::usage(format!("{}: it names no raster", redact(document))));
    }
    Ok(all)
}

/// The features of a row that is split.
async fn features(row: &Row, make: &Make, reading: &StoreOptions) -> Result<Vec<Feature>> {
    let mut alone = row.clone();
    alone.remove("split");
    let item = make(&alone)?;
    let selected = item.selection.read_all(reading, &item.options).await?;
    let mut numbers = BTreeSet::new();
    for feature in &selected.layer.features {
        if !numbers.insert(feature.fid) {
            return Err(Error::usage(format!(
                "split: two features of the cutline have the number {}, so that a row cannot name one of them",
                feature.fid
            )));
        }
    }
    if numbers.is_empty() {
        return Err(Error::usage("split: the cutline has no feature, or none that was asked for"));
    }
    // Of a feature only its number and what names it is needed.
    let bare = |feature: Feature| Feature { geometry: Geometry::Collection(Vec::new()), ..feature };
    Ok(selected.layer.features.into_iter().map(bare).collect())
}

fn text<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Rows that are gathered.
struct Rows {
    spool: Option<SpooledTempFile>,
    chunk: Vec<u8>,
}

impl Rows {
    fn new() -> Self {
        Self { spool: Some(SpooledTempFile::new(IN_MEMORY)), chunk: Vec::new() }
    }

    /// A row for `src`, or one for each feature.
    async fn add(
        &mut self,
        row: &Row,
        src: &str,
        places: &[(&str, &str)],
        features: Option<&[Feature]>,
    ) -> Result<()> {
        let template = text(row, "dst");
        if !template.contains('{') {
            return Err(Error::usage(
                "dst: the row stands for several outputs, so that dst must tell them apart, as out/{stem}.tif would",
            ));
        }
        let path = src.split(['?', '#']).next().unwrap_or(src);
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let own = [("stem", stem)].into_iter().chain(places.iter().copied());
        let own: Vec<(Arc<str>, Property)> =
            own.map(|(name, value)| (Arc::from(name), Property::Text(value.to_owned()))).collect();
        let whole =
            Feature { fid: 0, id: None, properties: Vec::new(), geometry: Geometry::Collection(Vec::new()) };
        let id_field = row.get("id_field").and_then(Value::as_str);
        for feature in features.unwrap_or(std::slice::from_ref(&whole)) {
            let mut named = feature.clone();
            // A feature's own property comes first.
            named.properties.extend(own.iter().cloned());
            let mut made = row.clone();
            made.insert("src".to_owned(), src.into());
            made.insert("dst".to_owned(), naming::destination(template, &named, id_field)?.into());
            made.remove("split");
            made.remove(MANY);
            if features.is_some() {
                made.insert("fid".to_owned(), feature.fid.into());
                // It has chosen the features already.
                made.remove("where");
            }
            self.push(&made).await?;
        }
        Ok(())
    }

    async fn push(&mut self, row: &Row) -> Result<()> {
        let failed = |cause| Error::io("a row could not be written").caused_by(cause);
        serde_json::to_writer(&mut self.chunk, row).map_err(|cause| failed(std::io::Error::from(cause)))?;
        self.chunk.push(b'\n');
        if self.chunk.len() >= GATHERED { self.put_aside().await } else { Ok(()) }
    }

    async fn put_aside(&mut self) -> Result<()> {
        let (spool, chunk) = (self.spool.take(), std::mem::take(&mut self.chunk));
        let written = tokio::task::spawn_blocking(move || {
            let mut spool = spool.unwrap_or_else(|| SpooledTempFile::new(IN_MEMORY));
            spool.write_all(&chunk).map(|()| spool)
        });
        let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::io("a temporary file could not be written").caused_by(cause)
        };
        self.spool =
            Some(written.await.map_err(|cause| failed(cause.into()))?.map_err(|cause| failed(cause.into()))?);
        Ok(())
    }

    async fn done(mut self, limits: &Limits) -> Result<Manifest> {
        self.put_aside().await?;
        let (spool, limits) = (self.spool.take(), limits.clone());
        let made = tokio::task::spawn_blocking(move || {
            let spool = spool.unwrap_or_else(|| SpooledTempFile::new(IN_MEMORY));
            Manifest::of_spool(spool, "the rows that the manifest stands for", &limits)
        });
        made.await.map_err(|cause| Error::io("reading the manifest was interrupted").caused_by(cause))?
    }
}
