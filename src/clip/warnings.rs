//! What a person should know of a clip that succeeded.

use super::Report;
use crate::plan::NoDataOrigin;

/// Sentences, without a full stop.
#[must_use]
pub fn of(report: &Report) -> Vec<String> {
    let mut out = report.published.remarks.clone();
    let repairs = report.plan.repairs;
    let tangled = repairs.self_intersections + repairs.nested_rings + repairs.holes_outside;
    if tangled > 0 {
        out.push(format!(
            "the cutline's polygons cross or overlap themselves in {tangled} places; what lies within an odd number of rings was \
             kept, as GDAL does (--strict refuses them)"
        ));
    }
    if repairs.skipped_kinds > 0 {
        out.push(format!(
            "{} points or lines beside polygons in the cutline were left out",
            repairs.skipped_kinds
        ));
    }
    if let Some(operation) = report.plan.operation.as_ref().filter(|operation| operation.is_ballpark) {
        out.push(format!(
            "nothing vouches for how the cutline came to the raster's datum: {}",
            operation.name
        ));
    }
    if let Some(obstacle) = report.plan.passage.obstacle() {
        out.push(format!("--align-tiles: no tile could be copied as it is stored: {obstacle}"));
    }
    if report.counts.inside == 0 {
        out.push(
            "no pixel's centre lies in the cutline, so every pixel is masked; see --all-touched".to_owned(),
        );
    }
    if report.nodata_taken > 0 {
        out.push(format!(
            "{} valid samples hold the value that would have marked masked pixels; an internal mask was written instead",
            report.nodata_taken
        ));
    } else if let Some((value, origin)) = &report.plan.validity.nodata {
        if *origin == NoDataOrigin::Chosen {
            out.push(format!("the raster declares no nodata value; {value} was chosen"));
        } else if report.counts.hidden > 0 {
            out.push(format!(
                "{} valid samples hold the nodata value {value} and now read as nodata",
                report.counts.hidden
            ));
        }
    }
    if report.counts.partial > 0 {
        out.push(format!(
            "{} samples are nodata in the source and read as valid, because their pixel is valid in another band and a mask \
             speaks for all bands",
            report.counts.partial
        ));
    }
    out
}
