//! What a STAC document claims of a raster: compared with the file, which counts.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::header::Header;
use crate::sample::NoData;
use crate::stac::{self, RasterAsset};

/// The name that claims have in a row that was made of a document. What begins with a blank is no option.
pub(super) const CLAIMS: &str = " claims";

/// What a document claims of a raster, to stand in its row.
pub(super) fn of(asset: &RasterAsset) -> Value {
    // Of the first band, since what is compared is the raster's.
    let band = asset.bands.first();
    json!({
        "code": asset.code,
        "shape": asset.shape,
        "data_type": band.and_then(|band| band.data_type.as_deref()),
        "nodata": band.and_then(|band| band.nodata.as_deref()),
    })
}

/// What a STAC document says of a raster, where the file says otherwise.
pub(super) fn contradictions(claims: &Value, header: &Header) -> Vec<String> {
    let says = |what: &str, own: &str| format!("the STAC Item says {what}, the file {own}; the file counts");
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let mut found = Vec::new();
    let size = header.main.size();
    let shape = claims.get("shape");
    let shape = shape.and_then(|shape| Some([shape.get(0)?.as_u64()?, shape.get(1)?.as_u64()?]));
    if let Some([rows, columns]) =
        shape.filter(|shape| *shape != [u64::from(size.height), u64::from(size.width)])
    {
        found.push(says(&format!("{columns} x {rows} pixels"), &format!("{size}")));
    }
    let crs = header.geo.crs().ok().flatten().map(|crs| crs.to_string());
    if let (Some(code), Some(own)) = (text("code"), crs)
        && own != code
    {
        found.push(says(code, &own));
    }
    let own = stac::data_type(header.sample_type);
    if let Some(claimed) = text("data_type").filter(|claimed| *claimed != own) {
        found.push(says(&format!("{claimed} samples"), own));
    }
    let own = header.nodata.as_ref().map(NoData::text);
    if let Some(claimed) =
        text("nodata").filter(|claimed| !own.is_some_and(|own| is_same_number(claimed, own)))
    {
        found.push(says(&format!("nodata {claimed}"), own.unwrap_or("none")));
    }
    found
}

/// Whether two texts are one number; NaN is NaN.
fn is_same_number(a: &str, b: &str) -> bool {
    match (a.trim().parse::<f64>(), b.trim().parse::<f64>()) {
        (Ok(a), Ok(b)) => a.partial_cmp(&b).is_some_and(Ordering::is_eq) || (a.is_nan() && b.is_nan()),
        _ => a.trim() == b.trim(),
    }
}
