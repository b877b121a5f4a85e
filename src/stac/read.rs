//! A STAC document to the rasters that it names: an Item, an ItemCollection, or a page of an API's search (STAC API item-search
//! 1.0.0; OGC API - Features). Nothing in it is believed: see [`RasterAsset`].
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::assets::{self, RasterAsset};
use super::reference::resolve;
use crate::error::{Error, Result};
use crate::limits::{Limits, within};

/// Links of a document, headers of one, assets of an Item.
const MAX_LINKS: usize = 10_000;
const MAX_HEADERS: usize = 64;
const MAX_ASSETS: usize = 10_000;
/// Bytes of an identifier.
const MAX_ID: usize = 4096;
/// Characters of a name in a message, and names.
const SHOWN: usize = 60;
const LISTED: usize = 24;

/// Which assets are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// All that are GeoTIFFs by their media type, or by their name where they have none, and are neither thumbnails nor overviews
    /// nor metadata by their roles.
    #[default]
    Rasters,
    /// Those with these keys, each of which every Item must have. An Item's follow each other in this order.
    Keys(Vec<String>),
}

/// What a document names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Search {
    /// Items that were looked at.
    pub items: usize,
    /// Rasters, in the order of the Items, and of the keys or of the document.
    pub assets: Vec<RasterAsset>,
    /// Where more are to be had.
    pub next: Option<Next>,
}

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST of a JSON body.
    Post,
}

/// The link to the next page of a search (STAC API item-search 1.0.0, "Pagination"). The caller follows it, within bounds: pages
/// may be without end, and a server may name another one, for which credentials are not meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// Where to.
    pub href: String,
    /// How; GET unless the link says otherwise.
    pub method: Method,
    /// Headers that are wanted, beside the usual ones.
    pub headers: Vec<(String, String)>,
    /// The body of a POST, a JSON object as text.
    pub body: Option<String>,
    /// Whether headers and the members of the body are to be laid over those of the request that brought this page, rather than
    /// to replace them.
    pub merge: bool,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(borrow, default)]
    features: Option<&'a RawValue>,
    #[serde(borrow, default)]
    links: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    collection: Option<String>,
    #[serde(borrow, default)]
    properties: Option<&'a RawValue>,
    #[serde(borrow, default)]
    assets: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(default)]
    rel: Option<String>,
    #[serde(default)]
    href: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(default)]
    merge: Option<bool>,
}

/// The rasters that a document names. `uri` is where it lies, a path or a URL: what it names may be relative to that.
///
/// # Errors
/// [`crate::ErrorKind::Format`] for what is no JSON or no Item; [`crate::ErrorKind::Unsupported`] for a Catalog or a Collection;
/// [`crate::ErrorKind::Usage`] for an Item without an asset that `selector` names, and for a document from elsewhere that names a
/// file of this machine; [`crate::ErrorKind::Limit`] beyond `limits`. Messages name the Item and the asset.
pub fn read(bytes: &[u8], uri: &str, selector: &Selector, limits: &Limits) -> Result<Search> {
    within(bytes.len() as u64, limits.stac_bytes, "the STAC document")?;
    let text = std::str::from_utf8(bytes)
        .map_err(|cause| Error::format("the STAC document is not UTF-8").caused_by(cause))?;
    let text = text.trim_start_matches('\u{feff}');
    let document: Document<'_> = object(text, "the STAC document")?;
    let mut search = Search::default();
    let mut found = Found::default();
    match document.kind.as_deref() {
        Some("Feature") => {
            search.items = 1;
            take(text, "the Item", uri, selector, limits, &mut found)?;
        }
        Some("FeatureCollection") => {
            let features = document.features.ok_or_else(|| {
                Error::format("the STAC document is a FeatureCollection without `features`")
            })?;
            let items = list(features.get(), limits.stac_items, "`features` of the STAC document")?;
            search.items = items.len();
            for (number, item) in items.into_iter().enumerate() {
                take(
                    item.get(),
                    &format!("Item number {number} (from 0)"),
                    uri,
                    selector,
                    limits,
                    &mut found,
                )?;
            }
            search.next = next(document.links, uri)?;
        }
        Some(kind @ ("Catalog" | "Collection")) => {
            return Err(Error::unsupported(format!(
                "the STAC document is a {kind}, which names no rasters itself; give an Item, an ItemCollection or a search's result"
            )));
        }
        kind => {
            return Err(Error::format(format!(
                "the STAC document is neither an Item nor an ItemCollection: its `type` is {}",
                kind.map_or("missing".to_owned(), shown)
            )));
        }
    }
    search.assets = found.assets;
    Ok(search)
}

/// What has been taken, and how many assets and bands that is.
#[derive(Default)]
struct Found {
    assets: Vec<RasterAsset>,
    spent: usize,
}

/// The rasters of one Item.
fn take(
    text: &str,
    place: &str,
    uri: &str,
    selector: &Selector,
    limits: &Limits,
    found: &mut Found,
) -> Result<()> {
    let item: Item<'_> = object(text, place)?;
    let Some(id) = item.id.filter(|id| !id.is_empty()) else {
        return Err(Error::format(format!("{place} has no `id`")));
    };
    let name = format!("Item {}", shown(&id));
    // They are handed on with each asset.
    if id.len().max(item.collection.as_ref().map_or(0, String::len)) > MAX_ID {
        return Err(Error::limit(format!("{name}: its `id` or `collection` has more than {MAX_ID} bytes")));
    }
    if item.kind.as_deref() != Some("Feature") {
        return Err(Error::format(format!("{name} is no GeoJSON Feature")));
    }
    let assets =
        item.assets.ok_or_else(|| Error::format(format!("{name} has no `assets`, so it is no STAC Item")))?;
    let assets = map(assets.get(), MAX_ASSETS, &format!("`assets` of {name}"))?;
    let whose =
        assets::Whose { item: &id, collection: item.collection.as_deref(), properties: item.properties };
    let mut add = |key: &str, asset: &RawValue, is_asked: bool| {
        let asset = assets::raster(&whose, key, asset.get(), uri, is_asked);
        let Some(asset) = asset.map_err(|error| error.at(format!("{name}, asset {}", shown(key))))? else {
            return Ok(());
        };
        found.spent = found.spent.saturating_add(asset.bands.len()).saturating_add(1);
        if found.spent > limits.stac_assets {
            return Err(Error::limit(format!(
                "{name}: the STAC document names more than {} rasters and bands; ask for fewer assets or Items",
                limits.stac_assets
            )));
        }
        found.assets.push(asset);
        Ok(())
    };
    match selector {
        Selector::Rasters => assets.iter().try_for_each(|(key, asset)| add(key, asset, false)),
        Selector::Keys(keys) => {
            let by_key: BTreeMap<&str, &RawValue> =
                assets.iter().map(|(key, asset)| (key.as_str(), *asset)).collect();
            keys.iter().try_for_each(|key| match by_key.get(key.as_str()) {
                Some(asset) => add(key, asset, true),
                None => Err(Error::usage(format!(
                    "{name} has no asset {}; it has {}",
                    shown(key),
                    listed(&by_key)
                ))),
            })
        }
    }
}

fn listed(assets: &BTreeMap<&str, &RawValue>) -> String {
    if assets.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<String> = assets.keys().take(LISTED).map(|key| shown(key)).collect();
    let more = if assets.len() > LISTED { ", and more" } else { "" };
    format!("{}{more}", names.join(", "))
}

/// A name for a message: quoted, and not too long.
pub(super) fn shown(name: &str) -> String {
    let mut short: String = name.chars().take(SHOWN).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    format!("{short:?}")
}

fn next(links: Option<&RawValue>, uri: &str) -> Result<Option<Next>> {
    let Some(links) = links else { return Ok(None) };
    for link in list(links.get(), MAX_LINKS, "`links` of the STAC document")? {
        // Other links are none of our business, and may be as they like.
        let Ok(link) = object::<Link<'_>>(link.get(), "a link") else { continue };
        if link.rel.as_deref() != Some("next") {
            continue;
        }
        let place = "the link to the next page";
        let href = link.href.ok_or_else(|| Error::format(format!("{place} has no `href`")))?;
        let href = resolve(uri, &href).map_err(|error| error.at(place))?;
        let method = match link.method.as_deref() {
            None => Method::Get,
            Some(method) if method.eq_ignore_ascii_case("get") => Method::Get,
            Some(method) if method.eq_ignore_ascii_case("post") => Method::Post,
            Some(method) => {
                return Err(Error::unsupported(format!(
                    "{place} is to be followed by {}, not GET or POST",
                    shown(method)
                )));
            }
        };
        let headers = link.headers.map(|headers| self::headers(headers, place)).transpose()?;
        let body = link.body.filter(|body| body.get() != "null");
        if body.is_some_and(|body| !body.get().starts_with('{')) {
            return Err(Error::format(format!("{place} has a `body` that is no JSON object")));
        }
        return Ok(Some(Next {
            href,
            method,
            headers: headers.unwrap_or_default(),
            body: body.map(|body| body.get().to_owned()),
            merge: link.merge.unwrap_or(false),
        }));
    }
    Ok(None)
}

/// Each header's value is a text, or a list of texts.
fn headers(raw: &RawValue, place: &str) -> Result<Vec<(String, String)>> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Values {
        One(String),
        Many(Vec<String>),
    }
    let what = format!("`headers` of {place}");
    if raw.get() == "null" {
        return Ok(Vec::new());
    }
    let mut headers = Vec::new();
    for (name, value) in map(raw.get(), MAX_HEADERS, &what)? {
        let values = match parse(value.get(), &what)? {
            Values::One(value) => vec![value],
            Values::Many(values) => values,
        };
        headers.extend(values.into_iter().take(MAX_HEADERS).map(|value| (name.clone(), value)));
    }
    Ok(headers)
}

/// A JSON object as a type, which would be made of an array as well.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T> {
    if !text.trim_start().starts_with('{') {
        return Err(Error::format(format!("{what} is no JSON object")));
    }
    parse(text, what)
}

/// JSON text as a type.
fn parse<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|cause| Error::format(format!("{what} cannot be read: {cause}")).caused_by(cause))
}

/// The elements of an array, unread, at most so many.
pub(super) fn list<'a>(text: &'a str, limit: usize, what: &str) -> Result<Vec<&'a RawValue>> {
    elements(text, false, limit, what).map(|found| found.into_iter().map(|(_, value)| value).collect())
}

/// The members of an object, unread, at most so many.
pub(super) fn map<'a>(text: &'a str, limit: usize, what: &str) -> Result<Vec<(String, &'a RawValue)>> {
    elements(text, true, limit, what)
}

fn elements<'a>(
    text: &'a str,
    is_map: bool,
    limit: usize,
    what: &str,
) -> Result<Vec<(String, &'a RawValue)>> {
    let mut json = serde_json::Deserializer::from_str(text);
    let (found, is_all) = Bounded { is_map, limit }
        .deserialize(&mut json)
        .map_err(|cause| Error::format(format!("{what} cannot be read: {cause}")).caused_by(cause))?;
    if is_all { Ok(found) } else { Err(Error::limit(format!("{what} has more than {limit} members"))) }
}

/// Members of an array, without names, or of an object, and whether these are all.
struct Bounded {
    is_map: bool,
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for Bounded {
    type Value = (Vec<(String, &'de RawValue)>, bool);

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.is_map { json.deserialize_map(self) } else { json.deserialize_seq(self) }
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = (Vec<(String, &'de RawValue)>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_map { "an object" } else { "an array" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while found.len() < self.limit {
            match seq.next_element()? {
                Some(value) => found.push((String::new(), value)),
                None => return Ok((found, true)),
            }
        }
        let mut is_all = true;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            is_all = false;
        }
        Ok((found, is_all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while found.len() < self.limit {
            match map.next_entry()? {
                Some(entry) => found.push(entry),
                None => return Ok((found, true)),
            }
        }
        let mut is_all = true;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            is_all = false;
        }
        Ok((found, is_all))
    }
}
