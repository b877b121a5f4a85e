//! The output as a STAC Item (item-spec 1.1.0) with the extensions projection 2.0.0, raster 2.0.0, processing 1.2.0 and file
//! 2.1.0. Only what is true of the output is in it; docs/stac.md says where each field comes from.

use serde_json::{Map, Value, json};

use super::bands::Said;
use super::when::{self, When};
use crate::cutline::outline::Outline;
use crate::geo::{Affine, Crs};
use crate::grid::PixelRect;
use crate::header::Header;
use crate::plan::Plan;
use crate::sample::{NoData, Sample, SampleType, with_sample_type};

/// The media type of an Item (item-spec, "Media types").
pub const MEDIA_TYPE: &str = "application/geo+json";

const VERSION: &str = "1.1.0";
const EXTENSIONS: [&str; 4] = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
];

/// Share by which a pixel's side on the ground may differ from its side in the CRS and be called by the latter: projections
/// of a country or a zone keep within it, those of the world do not.
const SCALE_FACTOR: f64 = 0.01;

/// What an Item says that neither the source's header nor the plan know.
#[derive(Clone, Debug, Default)]
pub struct Facts<'a> {
    /// The Item's identifier; not empty.
    pub id: &'a str,
    /// The output, as it is to be found from the Item: see [`super::relative`].
    pub href: &'a str,
    /// The output's media type.
    pub media_type: &'a str,
    /// The source, without secrets.
    pub source: Option<&'a str>,
    /// Bytes of the output.
    pub size: u64,
    /// Its SHA-256 in hexadecimal, if it is known.
    pub sha256: Option<&'a str>,
    /// When the source was taken, by its own Item.
    pub taken: Option<When>,
    /// When the output was made, in UTC: the source cannot have been taken later. See [`super::utc`].
    pub made: &'a str,
}

/// The Item of an output that was made from a source with `header` by `plan`.
#[must_use]
pub fn item(header: &Header, plan: &Plan, facts: &Facts<'_>) -> Value {
    let said = Said::of(header, plan);
    let crs = header.geo.transform.and_then(|_| header.geo.crs().ok().flatten());
    let outline = crs.as_ref().and_then(|crs| Outline::of(&plan.transform, plan.size(), crs));
    let code = crs.as_ref().and_then(code);
    let mut links = Vec::new();
    if let Some(source) = facts.source {
        let media_type =
            if header.geo.transform.is_some() { "image/tiff; application=geotiff" } else { "image/tiff" };
        links.push(json!({ "rel": "derived_from", "href": source, "type": media_type }));
    }
    let mut item = json!({
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": EXTENSIONS,
        "id": facts.id,
        "geometry": outline.as_ref().map(geometry),
        "properties": properties(header, plan, facts, &said, code.as_deref()),
        "links": links,
        "assets": { "data": asset(header, plan, facts, &said, crs.as_ref().map(|crs| (crs, code))) },
    });
    if let (Some(item), Some(outline)) = (item.as_object_mut(), outline) {
        // Prohibited without a geometry.
        item.insert("bbox".to_owned(), json!(outline.bbox));
    }
    item
}

fn geometry(outline: &Outline) -> Value {
    match outline.polygons.as_slice() {
        [ring] => json!({ "type": "Polygon", "coordinates": [ring] }),
        rings => {
            let polygons: Vec<_> = rings.iter().map(|ring| [ring]).collect();
            json!({ "type": "MultiPolygon", "coordinates": polygons })
        }
    }
}

/// The code of an authority, if the CRS is one's.
fn code(crs: &Crs) -> Option<String> {
    let name = crs.name();
    crs.epsg().map(|code| format!("EPSG:{code}")).or_else(|| name.starts_with("ESRI:").then_some(name))
}

fn properties(
    header: &Header,
    plan: &Plan,
    facts: &Facts<'_>,
    said: &Said,
    code: Option<&str>,
) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut put = |name: &str, value: Value| properties.insert(name.to_owned(), value);
    let (taken, place) = match (&facts.taken, when::of_file(header, &said.items)) {
        (Some(taken), _) => (Some(taken.clone()), "the source's own STAC Item"),
        (None, Some((taken, place))) => (Some(taken), place),
        (None, None) => (None, ""),
    };
    let remark = match taken {
        Some(When::At(time)) => {
            put("datetime", json!(time));
            format!("The date and time are from {place}.")
        }
        Some(When::Between(start, end)) => {
            put("datetime", Value::Null);
            put("start_datetime", json!(start));
            put("end_datetime", json!(end));
            format!("The dates and times are from {place}.")
        }
        None => {
            // What is wanted are bounds, and these are true.
            put("datetime", Value::Null);
            put("start_datetime", json!("0001-01-01T00:00:00Z"));
            put("end_datetime", json!(facts.made));
            "When the data were taken is not known; they were before the clip was made, which is when the range ends.".to_owned()
        }
    };
    put("description", json!(remark));
    put("proj:code", json!(code));
    put("processing:software", json!({ "cogclip": env!("CARGO_PKG_VERSION") }));
    put("processing:lineage", json!(lineage(plan, facts)));
    properties
}

fn lineage(plan: &Plan, facts: &Facts<'_>) -> String {
    let PixelRect { x0, y0, x1, y1 } = plan.window;
    let source = facts.source.unwrap_or("the source");
    let validity = &plan.validity;
    let masked = if let Some((nodata, _)) = &validity.nodata {
        format!("hold the nodata value {}", nodata.text())
    } else if validity.mask {
        "are 0 in an internal mask".to_owned()
    } else if validity.alpha.is_some() {
        "are 0 in the alpha band".to_owned()
    } else {
        "are 0".to_owned()
    };
    format!(
        "Clipped along a cutline from columns {x0} to {x1} and rows {y0} to {y1} (from 0, the ends excluded) of {source}. \
         Masked pixels {masked}."
    )
}

fn asset(
    header: &Header,
    plan: &Plan,
    facts: &Facts<'_>,
    said: &Said,
    crs: Option<(&Crs, Option<String>)>,
) -> Map<String, Value> {
    let mut asset = Map::new();
    let mut put = |name: &str, value: Value| asset.insert(name.to_owned(), value);
    put("href", json!(facts.href));
    put("type", json!(facts.media_type));
    put("roles", json!(["data"]));
    put("file:size", json!(facts.size));
    put("file:byte_order", json!("little-endian"));
    if let Some(sha256) = facts.sha256 {
        // Multihash: SHA-256 is function 0x12, of 32 bytes.
        put("file:checksum", json!(format!("1220{sha256}")));
    }
    let size = plan.size();
    put("proj:shape", json!([size.height, size.width]));
    if header.geo.transform.is_some() {
        let Affine([x, across, down_x, y, across_y, down]) = plan.transform;
        put("proj:transform", json!([across, down_x, x, across_y, down, y, 0.0, 0.0, 1.0]));
        let bounds = plan.transform.bounds(PixelRect::of(size));
        put("proj:bbox", json!([bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y]));
    }
    let resolution = crs.as_ref().and_then(|(crs, _)| resolution(plan, crs));
    put("proj:code", json!(crs.and_then(|(_, code)| code)));
    put("raster:sampling", json!(if header.geo.pixel_is_point { "point" } else { "area" }));
    let nodata = plan.validity.nodata.as_ref().and_then(|(nodata, _)| number(nodata, header.sample_type));
    let bands = (0..plan.output_bands()).map(|number| {
        let mut band = Map::new();
        let mut put = |name: &str, value: Value| band.insert(name.to_owned(), value);
        put("name", json!(format!("b{}", number + 1)));
        put("data_type", json!(data_type(header.sample_type)));
        let (all, _) = header.sample_type.tiff();
        if header.bits < all {
            put("raster:bits_per_sample", json!(header.bits));
        }
        if let Some(nodata) = &nodata {
            put("nodata", nodata.clone());
        }
        if let Some(resolution) = resolution {
            put("raster:spatial_resolution", json!(resolution));
        }
        if let Some(said) = said.bands.get(&number) {
            let texts = [("description", &said.description), ("unit", &said.unit)];
            let numbers = [("raster:scale", said.scale), ("raster:offset", said.offset)];
            texts.into_iter().filter_map(|(name, text)| Some((name, json!(text.as_ref()?)))).for_each(
                |(name, value)| {
                    put(name, value);
                },
            );
            numbers.into_iter().filter_map(|(name, number)| Some((name, json!(number?)))).for_each(
                |(name, value)| {
                    put(name, value);
                },
            );
        }
        Value::Object(band)
    });
    put("bands", bands.collect());
    asset
}

/// STAC's name of a type of sample, such as `uint16` (common metadata 1.1.0, "Data types").
#[must_use]
pub fn data_type(sample: SampleType) -> &'static str {
    // Of real numbers, numpy's names are STAC's.
    match sample.name() {
        "complex_int16" => "cint16",
        "complex_int32" => "cint32",
        "complex64" => "cfloat32",
        "complex128" => "cfloat64",
        name => name,
    }
}

/// The nodata value as readers take it: a number, or the word for what JSON has no number for. `None` when no sample can hold it.
fn number(nodata: &NoData, sample: SampleType) -> Option<Value> {
    let value = with_sample_type!(sample, T => nodata.sample::<T>().map(Sample::to_f64))?;
    let text = nodata.text();
    let whole =
        text.parse::<i64>().ok().map(Value::from).or_else(|| text.parse::<u64>().ok().map(Value::from));
    Some(if value.is_nan() {
        json!("nan")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "inf" } else { "-inf" })
    } else if let (Some(whole), false) = (whole, sample.is_float()) {
        // Exact, also beyond 2^53.
        whole
    } else {
        json!(value)
    })
}

/// Metres of the mean side of a pixel: as the CRS has it where that is true on the ground to a hundredth, else as it is on the
/// ground in the middle of the output. `None` where that is not known.
fn resolution(plan: &Plan, crs: &Crs) -> Option<f64> {
    let size = plan.size();
    let (col, row) = (f64::from(size.width) / 2.0, f64::from(size.height) / 2.0);
    let transform = &plan.transform;
    let [_, across, down_x, _, across_y, down] = transform.0;
    let definition = crs.definition()?;
    let [_, y] = transform.apply(col, row);
    let [east, north] = definition.metres_per_unit(y);
    let length = |x: f64, y: f64| (x * east).hypot(y * north);
    let nominal = f64::midpoint(length(across, across_y), length(down_x, down));
    let known = |metres: f64| (metres.is_finite() && metres > 0.0).then_some(metres);
    let places = [(col, row), (col + 1.0, row), (col, row + 1.0)].map(|(col, row)| transform.apply(col, row));
    let degrees = crs.geographic()?;
    let projector = crate::geo::Projector::new(crs, &degrees, &crate::geo::Choice::ANY).ok()?;
    let [here, right, below] = places.map(|place| projector.project(place).ok());
    let ([here, right], Some(below)) = ([here?, right?], below) else { return None };
    let ground = |to: [f64; 2]| ground(here, to);
    let measured = f64::midpoint(ground(right), ground(below));
    let is_plane = !crs.is_geographic();
    known(if is_plane && (measured / nominal - 1.0).abs() < SCALE_FACTOR { nominal } else { measured })
}

/// Metres between two places in degrees that are near each other, on the ellipsoid of WGS 84, by its radii of curvature.
fn ground(from: [f64; 2], to: [f64; 2]) -> f64 {
    const A: f64 = 6_378_137.0;
    const E2: f64 = 0.006_694_379_990_141_317;
    let (sin, cos) = from[1].to_radians().sin_cos();
    let w = (1.0 - E2 * sin * sin).sqrt();
    let (meridian, normal) = (A * (1.0 - E2) / (w * w * w), A / w);
    let east = to[0] - from[0];
    let east = east - (east / 360.0).round() * 360.0;
    (east.to_radians() * normal * cos).hypot((to[1] - from[1]).to_radians() * meridian)
}
