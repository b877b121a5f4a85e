//! Files of features: the first byte says what is asked for, the rest is the file. What is read is repaired and burnt.

use std::io::Read;

use bytes::Bytes;
use cogclip::cutline::repair::Mode;
use cogclip::geo::{Affine, Bounds};
use cogclip::grid::Size;
use cogclip::mask::{Coverage, Mask, Rule};
use cogclip::vector::format::{self, Format};
use cogclip::vector::{Layer, Query, shapefile};
use cogclip::{Cutline, Error, ErrorKind, Limits};
use libfuzzer_sys::Corpus;

use crate::seeds;

/// Bounds that keep one run short.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.cutline_bytes = 1 << 20;
    limits.vertices = 1 << 14;
    limits.mask_runs = 1 << 16;
    limits.mask_work = 1 << 20;
    limits
}

/// What a byte asks for.
fn query(flags: u8) -> Query {
    let mut query = Query::default();
    if flags & 1 != 0 {
        query.bounds = Some(Bounds { min_x: 0.0, min_y: 0.0, max_x: 20.0, max_y: 50.0 }.into());
    }
    if flags & 2 != 0 {
        query.fids = [0, 2, 3].into();
    }
    if flags & 4 != 0 {
        query.filter = "name!=a and n>=1".parse().expect("it is a condition");
    }
    query
}

/// One run of a format's reader.
pub fn run(format: Format, data: &[u8]) -> Corpus {
    let Some((&flags, file)) = data.split_first() else { return Corpus::Reject };
    let file = Bytes::copy_from_slice(file);
    let _ = Format::detect("a.geojson", &file);
    looked_at(format::read(format, &file, &query(flags), &limits()), flags)
}

/// One run of the shapefile's reader: four bytes say how long the `.shp` is, the rest is the `.dbf`.
pub fn run_shapefile(data: &[u8]) -> Corpus {
    let Some((&[flags, low, high], rest)) = data.split_first_chunk() else { return Corpus::Reject };
    let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
    let (shp, dbf) = rest.split_at(length);
    let files = shapefile::Files {
        name: "fuzz",
        shp,
        dbf: (!dbf.is_empty()).then_some(dbf),
        ..shapefile::Files::default()
    };
    looked_at(shapefile::read(&files, &query(flags), &limits()), flags)
}

fn looked_at(layer: Result<Layer, Error>, flags: u8) -> Corpus {
    let layer = match layer {
        Ok(layer) => layer,
        Err(error) => {
            let kinds = [ErrorKind::Format, ErrorKind::Unsupported, ErrorKind::Limit, ErrorKind::Usage];
            assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
            assert!(error.to_string().len() > 15, "{error}");
            return Corpus::Keep;
        }
    };
    let limits = limits();
    let vertices: usize = layer.features.iter().map(|feature| feature.geometry.vertices()).sum();
    assert!(vertices <= limits.vertices, "{vertices} vertices");
    let mode = if flags & 8 != 0 { Mode::Strict } else { Mode::Repair };
    let Ok(cutline) = Cutline::from_layer(&layer, mode) else { return Corpus::Keep };
    let transform = Affine([-10.0, 1.0, 0.0, 60.0, 0.0, -1.0]);
    let window = Size::new(64, 64);
    if let Ok(mask) = Mask::burn(&cutline.polygons, &transform, window, Rule::AllTouched, &limits) {
        assert!(mask.count() <= 64 * 64);
    }
    if let Ok(coverage) = Coverage::burn(&cutline.polygons, &transform, window, &limits) {
        assert!((-1e-6..=64.0 * 64.0 + 1e-6).contains(&coverage.area()), "{}", coverage.area());
        let kept = coverage.at_least(0.5).expect("it is a share");
        assert!(kept.count() <= 64 * 64);
    }
    Corpus::Keep
}

/// Files of testdata/vector whose name has this in it, unpacked, each asked for in several ways.
pub fn seeds(part: &str) -> Vec<Vec<u8>> {
    let mut files = seeds::files("vector", part);
    for packed in seeds::files("vector", &format!("{part}.gz")) {
        let mut file = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut file).expect("testdata is whole");
        files.push(file);
    }
    files.retain(|file| file.len() <= 64 << 10);
    (0_u8..).step_by(3).zip(files).map(|(flags, file)| [&[flags & 15][..], &file].concat()).collect()
}

/// Texts.
pub fn text_seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| [b"\0", text.as_bytes()].concat()).collect()
}

/// Shapefiles with their tables.
pub fn shapefile_seeds() -> Vec<Vec<u8>> {
    let tables = seeds::files("vector", ".dbf");
    let shapes = seeds::files("vector", ".shp");
    let mut out = Vec::new();
    for (at, shp) in shapes.iter().enumerate() {
        let dbf = tables.get(at).cloned().unwrap_or_default();
        let Ok(length) = u16::try_from(shp.len()) else { continue };
        out.push([&[0][..], &length.to_le_bytes(), shp, &dbf].concat());
    }
    out
}
