//! One asset of an Item: whether it is a raster, and what is claimed of it.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::read::{list, map, object};
use super::reference::resolve;
use super::when::{self, When};
use crate::error::{Error, Result};

/// Roles that are not data (item-spec best practices, "List of asset roles").
const OTHER_ROLES: [&str; 3] = ["thumbnail", "overview", "metadata"];
/// Alternates, roles and bands that are looked at.
const MAX_ALTERNATES: usize = 64;
const MAX_ROLES: usize = 64;
const MAX_BANDS: usize = 65_535;
/// Bytes of a code or of a type's name: what an Item says once is handed on with each of its assets and bands.
const MAX_WORD: usize = 256;

/// A raster that an Item names, and what the Item claims of it: to be compared with the file, which alone is believed. A claim
/// that is missing, or of the wrong form, is none. Claims of the asset go before those of the Item's properties.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RasterAsset {
    /// The Item's `id`.
    pub item: String,
    /// The Item's `collection`.
    pub collection: Option<String>,
    /// The asset's key.
    pub key: String,
    /// Where it lies: `href`, settled against where the document lies. It may have a query that is a secret.
    pub href: String,
    /// The same bytes elsewhere (alternate assets 1.2.0), such as `s3://…` of what `href` has as `https://…`.
    pub alternates: Vec<Alternate>,
    /// `type`.
    pub media_type: Option<String>,
    /// `roles`.
    pub roles: Vec<String>,
    /// `proj:code`, or `EPSG:` and the number of `proj:epsg`.
    pub code: Option<String>,
    /// `proj:shape`: rows and columns.
    pub shape: Option<[u64; 2]>,
    /// `proj:transform`: the first two rows of the matrix from columns and rows to coordinates.
    pub transform: Option<[f64; 6]>,
    /// `bands`, or `raster:bands`.
    pub bands: Vec<BandClaims>,
    /// `datetime`, or `start_datetime` and `end_datetime`.
    pub taken: Option<When>,
}

/// Another place of an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternate {
    /// Its key, such as `s3`.
    pub name: String,
    /// Where it lies, settled.
    pub href: String,
}

/// What is claimed of a band.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BandClaims {
    /// `name`.
    pub name: Option<String>,
    /// `data_type`: STAC's name of it, `uint16`.
    pub data_type: Option<String>,
    /// `nodata`, as text: a number, `nan`, `inf` or `-inf`.
    pub nodata: Option<String>,
}

impl RasterAsset {
    /// Where it lies by a scheme, such as `s3`: `href` itself, or an alternate; `None` when it is nowhere so.
    #[must_use]
    pub fn href_by(&self, scheme: &str) -> Option<&str> {
        let hrefs = std::iter::once(self.href.as_str())
            .chain(self.alternates.iter().map(|other| other.href.as_str()));
        hrefs
            .into_iter()
            .find(|href| href.split_once("://").is_some_and(|(own, _)| own.eq_ignore_ascii_case(scheme)))
    }
}

/// What an Item says of all its assets.
pub(super) struct Whose<'a> {
    pub(super) item: &'a str,
    pub(super) collection: Option<&'a str>,
    pub(super) properties: Option<&'a RawValue>,
}

/// What can be said of an asset and of an Item's properties; each is read only when it is needed. Names of older versions of the
/// extensions stand beside today's.
#[derive(Deserialize, Default)]
struct Claims<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    datetime: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    start_datetime: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    end_datetime: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "proj:code")]
    code: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "proj:epsg")]
    epsg: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "proj:shape")]
    shape: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "proj:transform")]
    transform: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    bands: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present", rename = "raster:bands")]
    raster_bands: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    nodata: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data_type: Option<&'a RawValue>,
}

/// `null` is a claim, too: that there is none, whatever the Item's properties say.
fn present<'de, D: Deserializer<'de>>(json: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(json).map(Some)
}

#[derive(Deserialize)]
struct Asset<'a> {
    #[serde(default)]
    href: Option<String>,
    #[serde(default, rename = "type")]
    media_type: Option<String>,
    #[serde(borrow, default)]
    roles: Option<&'a RawValue>,
    #[serde(borrow, default)]
    alternate: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Place {
    href: String,
}

/// An asset's claims; `None` when it is no raster and was not asked for by name.
///
/// # Errors
/// [`crate::ErrorKind::Format`] when it is no asset; as [`resolve`].
pub(super) fn raster(
    whose: &Whose<'_>,
    key: &str,
    text: &str,
    uri: &str,
    is_asked: bool,
) -> Result<Option<RasterAsset>> {
    let asset: Asset<'_> = object(text, "it")?;
    let roles: Vec<String> = asset
        .roles
        .and_then(|roles| list(roles.get(), MAX_ROLES, "roles").ok())
        .map(|roles| roles.into_iter().filter_map(read).collect())
        .unwrap_or_default();
    let Some(href) = asset.href else { return Err(Error::format("it has no `href`")) };
    if !is_asked && !is_raster(asset.media_type.as_deref(), &href, &roles) {
        return Ok(None);
    }
    let href = resolve(uri, &href)?;
    // What cannot be settled is no place that could be read instead.
    let alternates =
        asset.alternate.and_then(|alternates| map(alternates.get(), MAX_ALTERNATES, "alternate").ok());
    let alternates = alternates.unwrap_or_default().into_iter().filter_map(|(name, place)| {
        let Place { href } = read(place)?;
        Some(Alternate { name, href: resolve(uri, &href).ok()? })
    });
    let own: Claims<'_> = object(text, "it")?;
    let properties: Claims<'_> = whose.properties.and_then(read).unwrap_or_default();
    let (own, all) = (&own, &properties);
    let code = own.code.or(own.epsg).or(all.code).or(all.epsg);
    Ok(Some(RasterAsset {
        item: whose.item.to_owned(),
        collection: whose.collection.map(str::to_owned),
        key: key.to_owned(),
        href,
        alternates: alternates.collect(),
        media_type: asset.media_type,
        roles,
        code: code.and_then(read).and_then(|code| match code {
            Value::String(code) => Some(code).filter(|code| code.len() <= MAX_WORD),
            Value::Number(code) => code.as_u64().map(|code| format!("EPSG:{code}")),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }),
        shape: own.shape.or(all.shape).and_then(read),
        transform: own.transform.or(all.transform).and_then(matrix),
        bands: bands(own, all),
        taken: taken(own).or_else(|| taken(all)),
    }))
}

fn is_raster(media_type: Option<&str>, href: &str, roles: &[String]) -> bool {
    if roles.iter().any(|role| OTHER_ROLES.iter().any(|other| role.eq_ignore_ascii_case(other))) {
        return false;
    }
    let Some(media_type) = media_type else {
        let path = href.split(['?', '#']).next().unwrap_or_default();
        let extension = path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        return matches!(extension.as_deref(), Some("tif" | "tiff"));
    };
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // The second and third are what STAC had before 0.9.
    ["image/tiff", "image/vnd.stac.geotiff", "image/x.geotiff"].contains(&essence.as_str())
}

/// A claim as a type; `None` when it is of another.
fn read<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Six numbers of a matrix of six or nine.
fn matrix(raw: &RawValue) -> Option<[f64; 6]> {
    read::<[f64; 6]>(raw).or_else(|| {
        let [x_col, x_row, x, y_col, y_row, y, ..] = read::<[f64; 9]>(raw)?;
        Some([x_col, x_row, x, y_col, y_row, y])
    })
}

fn taken(claims: &Claims<'_>) -> Option<When> {
    let time = |raw: Option<&RawValue>| raw.and_then(read::<String>).and_then(|text| when::parse(&text));
    if let Some(at) = time(claims.datetime) {
        return Some(When::At(at));
    }
    Some(When::Between(time(claims.start_datetime)?, time(claims.end_datetime)?))
}

fn bands(own: &Claims<'_>, all: &Claims<'_>) -> Vec<BandClaims> {
    #[derive(Deserialize)]
    struct Band<'a> {
        #[serde(default)]
        name: Option<String>,
        #[serde(borrow, default, deserialize_with = "present")]
        data_type: Option<&'a RawValue>,
        #[serde(borrow, default, deserialize_with = "present")]
        nodata: Option<&'a RawValue>,
    }
    let text = |raw: Option<&RawValue>| raw.and_then(read::<String>).filter(|text| text.len() <= MAX_WORD);
    let number = |raw: Option<&RawValue>| {
        raw.and_then(read).and_then(|nodata| match nodata {
            Value::Number(number) => Some(number.to_string()),
            Value::String(word) => Some(word).filter(|word| ["nan", "inf", "-inf"].contains(&word.as_str())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
    };
    let (data_type, nodata) = (own.data_type.or(all.data_type), own.nodata.or(all.nodata));
    let bands = own.bands.or(own.raster_bands).and_then(|raw| list(raw.get(), MAX_BANDS, "bands").ok());
    let Some(bands) = bands else {
        // What is said of the asset is said of all its bands, however many there are.
        let band = BandClaims { name: None, data_type: text(data_type), nodata: number(nodata) };
        return if band == BandClaims::default() { Vec::new() } else { vec![band] };
    };
    let band = |raw: &RawValue| {
        let band: Band<'_> = read(raw)?;
        let (data_type, nodata) = (band.data_type.or(data_type), band.nodata.or(nodata));
        Some(BandClaims { name: band.name, data_type: text(data_type), nodata: number(nodata) })
    };
    bands.into_iter().map(|raw| band(raw).unwrap_or_default()).collect()
}
