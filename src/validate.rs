//! Is a file a valid Cloud Optimized GeoTIFF, and why not: the rules of OGC 21-026 §7 and of GDAL's
//! `validate_cloud_optimized_geotiff.py`.

use crate::error::{Error, Result};
use crate::fetch;
use crate::grid::{PixelRect, TileIndex};
use crate::header::image::Place;
use crate::header::{Header, Image};
use crate::limits::Limits;
use crate::source::Source;
use crate::tiff::parse::Fetched;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Why the file is no valid COG; empty for one that is.
    pub errors: Vec<String>,
    /// What is valid but worse than it could be.
    pub warnings: Vec<String>,
}

/// Tiles of a level whose leader and trailer are looked at: all of a small level, else evenly spread ones.
const SAMPLED: usize = 64;

/// Reads the header and the tile tables, and looks at the bytes around some tiles.
///
/// # Errors
/// As [`fetch::header`]: a file that is no TIFF at all is an error, not a finding.
pub async fn validate(source: &Source, limits: &Limits) -> Result<Findings> {
    let (mut fetched, header) = fetch::header(source, limits).await?;
    let mut findings = Findings::default();
    shape(&header, &mut findings);
    let mut levels = vec![&header.main];
    levels.extend(header.overviews.iter().map(|(image, _)| image));
    let tiles = levels.iter().map(|image| image.stored_tiles()).fold(0_u64, u64::saturating_add);
    if tiles > limits.source_tiles {
        return Err(Error::limit(format!(
            "{}: its levels have {tiles} tiles; the limit is {}",
            source.uri(),
            limits.source_tiles
        )));
    }
    let mut places = Vec::new();
    for image in &levels {
        places.push(all_places(source, &mut fetched, image, limits).await?);
    }
    order(&header, &levels, &places, &mut findings);
    if let Some(ghost) = &header.ghost {
        if ghost.contains("KNOWN_INCOMPATIBLE_EDITION=YES") {
            findings
                .warnings
                .push("the file was edited after it was written: its ghost area says so".to_owned());
        } else {
            for (image, places) in levels.iter().zip(&places) {
                surroundings(source, &mut fetched, image, places, &mut findings).await?;
            }
        }
    }
    Ok(findings)
}

/// Rules about sizes and tiling.
fn shape(header: &Header, findings: &mut Findings) {
    let main = &header.main;
    let size = main.size();
    let large = size.width > 512 || size.height > 512;
    if large && !main.tiled {
        findings
            .errors
            .push(format!("the image of {size} pixels has strips; above 512 pixels it must have tiles"));
    } else if large && main.layout.size.width == size.width && main.layout.size.width > 1024 {
        findings.errors.push(format!("the image has tiles as wide as itself ({} pixels)", size.width));
    }
    if large && header.overviews.is_empty() {
        findings.warnings.push(format!("the image of {size} pixels has no overviews"));
    }
    for (overview, _) in &header.overviews {
        let ov = overview.size();
        if (ov.width > 512 || ov.height > 512) && !overview.tiled {
            findings.errors.push(format!("the overview of {ov} pixels has strips; it must have tiles"));
        }
    }
    if let Some((last, _)) = header.overviews.last()
        && last.size().width.max(last.size().height) > main.layout.size.width.max(512).saturating_mul(4)
    {
        findings.warnings.push(format!("the smallest overview still has {} pixels", last.size()));
    }
}

async fn all_places(
    source: &Source,
    fetched: &mut Fetched,
    image: &Image,
    limits: &Limits,
) -> Result<Vec<Place>> {
    let tiles: Vec<(u16, TileIndex)> = (0..image.planes)
        .flat_map(|plane| image.grid.tiles_in(PixelRect::of(image.size())).map(move |tile| (plane, tile)))
        .collect();
    fetch::satisfied(source, fetched, limits, |fetched| image.places(&tiles, fetched, limits)).await
}

/// Rules about what stands where: directories first, from large to small; data from small to large.
fn order(header: &Header, levels: &[&Image], places: &[Vec<Place>], findings: &mut Findings) {
    let first_ifd = if header.big { 16 } else { 8 };
    let ghost_end = header.ghost.as_ref().map_or(first_ifd, |ghost| first_ifd + 43 + ghost.len() as u64);
    if header.main.ifd_offset > ghost_end.next_multiple_of(16) {
        findings.errors.push(format!(
            "the first directory stands at byte {}, not at the start of the file",
            header.main.ifd_offset
        ));
    }
    for pair in levels.windows(2) {
        if let [larger, smaller] = pair
            && larger.ifd_offset > smaller.ifd_offset
        {
            findings.errors.push(format!(
                "the directory of the {} image stands after that of the {} one",
                larger.size(),
                smaller.size()
            ));
        }
    }
    let start_of =
        |places: &[Place]| places.iter().filter_map(|p| p.bytes.as_ref()).map(|bytes| bytes.start).min();
    let starts: Vec<Option<u64>> = places.iter().map(|places| start_of(places)).collect();
    for ((level, start), after) in levels.iter().zip(&starts).zip(starts.iter().skip(1)) {
        if let (Some(start), Some(after)) = (start, after)
            && start < after
        {
            findings.errors.push(format!(
                "the data of the {} image starts at byte {start}, before that of its next overview (byte {after})",
                level.size()
            ));
        }
    }
    let last_ifd = levels.iter().map(|level| level.ifd_offset).max();
    if let (Some(last_ifd), Some(first_data)) = (last_ifd, starts.iter().flatten().min())
        && last_ifd > *first_data
    {
        findings
            .errors
            .push(format!("a directory (byte {last_ifd}) stands after the first data (byte {first_data})"));
    }
}

/// The promises of the ghost area: every tile led by its size, trailed by its last four bytes.
async fn surroundings(
    source: &Source,
    fetched: &mut Fetched,
    image: &Image,
    places: &[Place],
    findings: &mut Findings,
) -> Result<()> {
    let step = places.len().div_ceil(SAMPLED).max(1);
    for place in places.iter().step_by(step) {
        let Some(bytes) = &place.bytes else { continue };
        let len = bytes.end - bytes.start;
        if len < 4 || bytes.start < 4 || bytes.end + 4 > fetched.size {
            findings
                .errors
                .push(format!("{} has no room for its leader and trailer", image.place(place.index)));
            return Ok(());
        }
        let leader = source.read(bytes.start - 4..bytes.start).await?;
        let trailer = source.read(bytes.end - 4..bytes.end + 4).await?;
        if leader[..] != u32::try_from(len).unwrap_or(0).to_le_bytes() {
            findings.errors.push(format!("{} is not led by its size, {len}", image.place(place.index)));
            return Ok(());
        }
        let (last, repeated) = trailer.split_at(4.min(trailer.len()));
        if last != repeated {
            findings
                .errors
                .push(format!("{} is not trailed by its last four bytes", image.place(place.index)));
            return Ok(());
        }
    }
    Ok(())
}
