//! A header, and the findings of `validate`, as a person or a program reads them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::exit::one_line;
use super::report;
use crate::clip::Cog;
use crate::header::{Directory, Image};
use crate::source::Source;
use crate::validate::Findings;

fn image(image: &Image) -> Value {
    json!({
        "ifd": image.number,
        "width": image.size().width,
        "height": image.size().height,
        "tiled": image.tiled,
        "block": [image.layout.size.width, image.layout.size.height],
        "tiles": image.stored_tiles(),
        "compression": image.layout.compression.to_string(),
        "predictor": image.layout.predictor.code(),
        "interleave": if image.planes == 1 { "pixel" } else { "band" },
    })
}

fn directory(directory: &Directory) -> Value {
    json!({
        "ifd": directory.number,
        "parent": directory.parent,
        "width": directory.size.map(|size| size.width),
        "height": directory.size.map(|size| size.height),
        "bands": directory.bands,
        "dtype": directory.sample_type,
        "compression": directory.compression.to_string(),
        "kind": directory.kind.name(),
    })
}

/// A tag by its name, or by its number.
fn tag_name(tag: u16) -> String {
    crate::tiff::code::tag::name(tag).map_or_else(|| tag.to_string(), str::to_owned)
}

/// The header as JSON.
pub(super) fn json(cog: &Cog) -> Value {
    let header = cog.header();
    let meta = cog.meta();
    let bounds = cog.bounds();
    json!({
        "uri": cog.uri(),
        "size": meta.as_ref().map(|meta| meta.size),
        "etag": meta.and_then(|meta| meta.etag),
        "bigtiff": header.big,
        "byte_order": match header.order {
            crate::tiff::code::ByteOrder::Little => "little",
            crate::tiff::code::ByteOrder::Big => "big",
        },
        "width": header.main.size().width,
        "height": header.main.size().height,
        "bands": header.bands,
        "dtype": header.sample_type.name(),
        "photometric": header.photometric.to_string(),
        "nodata": header.nodata.as_ref().map(crate::sample::NoData::text),
        "crs": report::crs(cog),
        "transform": header.geo.transform.map(|transform| transform.0),
        "bounds": header.geo.transform.map(|_| [bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y]),
        "area_or_point": if header.geo.pixel_is_point { "Point" } else { "Area" },
        "gcps": header.geo.gcps.len(),
        "rpc": header.geo.rpc.is_some(),
        "image": image(&header.main),
        "mask": header.mask.as_ref().map(image),
        "overviews": header.overviews.iter().map(|(overview, mask)| {
            let mut value = image(overview);
            value["mask"] = mask.is_some().into();
            value
        }).collect::<Vec<_>>(),
        "directories": header.directories.iter().map(directory).collect::<Vec<_>>(),
        "dropped_tags": header.dropped.iter().map(|&tag| tag_name(tag)).collect::<Vec<_>>(),
        "remarks": header.remarks,
        "others": header.others,
        "sidecars_not_followed": cog.sidecars().iter().map(|side| {
            json!({ "path": side.path.display().to_string(), "kind": side.kind.name() })
        }).collect::<Vec<_>>(),
        "ghost": header.ghost,
        "requests": cog.stats().requests,
    })
}

/// The header for a person.
pub(super) fn text(cog: &Cog) -> String {
    let (header, mut out) = (cog.header(), String::new());
    let mut line = |name: &str, value: String| {
        let _ = writeln!(out, "{name:<12}{}", one_line(&value));
    };
    let describe = |image: &Image| {
        format!(
            "{}, {} of {}, {}, predictor {}, {} interleaved",
            image.size(),
            if image.tiled { "tiles" } else { "strips" },
            image.layout.size,
            image.layout.compression,
            image.layout.predictor.code(),
            if image.planes == 1 { "pixel" } else { "band" },
        )
    };
    line("file", cog.uri().to_owned());
    line(
        "format",
        format!(
            "{}, {}, {} bytes{}",
            if header.big { "BigTIFF" } else { "classic TIFF" },
            match header.order {
                crate::tiff::code::ByteOrder::Little => "little-endian",
                crate::tiff::code::ByteOrder::Big => "big-endian",
            },
            cog.meta().map_or(0, |meta| meta.size),
            if header.ghost.is_some() { ", laid out by a COG writer" } else { "" },
        ),
    );
    line("bands", format!("{} of {}, {}", header.bands, header.sample_type.name(), header.photometric));
    line("image", describe(&header.main));
    if let Some(mask) = &header.mask {
        line("mask", describe(mask));
    }
    for (overview, mask) in &header.overviews {
        line(
            "overview",
            format!("{}{}", describe(overview), if mask.is_some() { ", with a mask" } else { "" }),
        );
    }
    line("nodata", header.nodata.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string));
    let crs = match header.geo.crs() {
        Ok(Some(crs)) => crs.to_string(),
        Ok(None) => "none".to_owned(),
        Err(error) => error.to_string(),
    };
    line("crs", crs);
    match header.geo.transform {
        Some(transform) => {
            let bounds = cog.bounds();
            line("transform", transform.0.map(|v| v.to_string()).join(" "));
            line(
                "bounds",
                [bounds.min_x, bounds.min_y, bounds.max_x, bounds.max_y].map(|v| v.to_string()).join(" "),
            );
        }
        None => line("transform", format!("none; {} ground control points", header.geo.gcps.len())),
    }
    line("pixel is", if header.geo.pixel_is_point { "point" } else { "area" }.to_owned());
    for directory in &header.directories {
        let chosen = if directory.number == header.main.number { ", this one" } else { "" };
        line("ifd", format!("{directory}{chosen}"));
    }
    if !header.dropped.is_empty() {
        let names: Vec<String> = header.dropped.iter().map(|&tag| tag_name(tag)).collect();
        line("clips drop", names.join(", "));
    }
    for remark in &header.remarks {
        line("note", remark.clone());
    }
    for other in &header.others {
        line("also", other.clone());
    }
    for side in cog.sidecars() {
        line("beside it", format!("{}: {}, not followed", side.path.display(), side.kind.name()));
    }
    out
}

/// The findings of `validate` as JSON.
pub(super) fn findings_json(source: &Source, findings: &Findings) -> Value {
    json!({
        "uri": source.uri(),
        "valid": findings.errors.is_empty(),
        "errors": findings.errors,
        "warnings": findings.warnings,
    })
}

/// The findings of `validate` for a person.
pub(super) fn findings_text(source: &Source, findings: &Findings) -> String {
    let verdict = if findings.errors.is_empty() { "is a valid COG" } else { "is NOT a valid COG" };
    let mut out = format!("{} {verdict}\n", source.uri());
    for (kind, texts) in [("error", &findings.errors), ("warning", &findings.warnings)] {
        for text in texts {
            let _ = writeln!(out, "{kind}: {text}");
        }
    }
    out
}
