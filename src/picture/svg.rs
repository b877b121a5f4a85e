//! The drawing itself: a file by itself, and the map that a page holds.

use std::fmt::Write as _;

use super::legend::{self, Entry};
use super::outline::{self, Drawn};
use super::scene::{Frame, Scene};
use super::text::{escaped, number, shortened};
use super::tiles::{Cell, Cells};
use crate::plan::Fate;

/// What a drawing and a page look like.
pub(super) const STYLE: &str = include_str!("drawing.css");

/// Lines of the tile grid that are drawn; more would be a grey area.
const MOST_LINES: u32 = 600;

/// Pixels of the sheet: its width, its margin, and what its map may be high.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 16.0;
const HIGHEST: f64 = 720.0;
const LOWEST: f64 = 120.0;

/// A plan as an SVG file: the raster and its tile grid, the crop window, the polygon, the tiles by what becomes of them, and a
/// legend with their numbers and bytes. At most [`super::MOST_BYTES`] long.
#[must_use]
pub fn svg(scene: &Scene<'_>) -> String {
    let entries = legend::entries(scene);
    let (view, wide) = (scene.view(), WIDTH - 2.0 * MARGIN);
    let high = (wide * view.height / view.width).clamp(LOWEST, HIGHEST);
    let (top, step) = (MARGIN + 50.0, 24.0);
    let below = top + high + 30.0;
    let end = below + step * f64::from(u8::try_from(entries.len()).unwrap_or(u8::MAX));
    let height = end + 34.0;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"cogclip-title cogclip-words\">\n<style>{STYLE}</style>\n\
         <rect class=\"sheet\" width=\"100%\" height=\"100%\"/>\n",
        height = number(height),
    );
    let title = shortened(scene.title);
    let _ = writeln!(
        out,
        "<g class=\"words\"><text class=\"head\" x=\"{MARGIN}\" y=\"34\">{title}</text>\
         <text class=\"less\" x=\"{MARGIN}\" y=\"56\">{}</text></g>",
        shortened(scene.caption)
    );
    let place = format!("x=\"{MARGIN}\" y=\"{}\" width=\"{wide}\" height=\"{}\"", number(top), number(high));
    map(scene, &place, &entries, &mut out);
    let _ = writeln!(out, "<g class=\"words\">");
    for (number_of, entry) in (0_u8..).zip(&entries) {
        let y = below + step * f64::from(number_of);
        let _ = writeln!(
            out,
            "<rect class=\"{}\" x=\"{MARGIN}\" y=\"{}\" width=\"26\" height=\"16\"/><text x=\"54\" y=\"{}\">{}</text>",
            entry.class,
            number(y - 13.0),
            number(y),
            words(entry),
        );
    }
    let _ = writeln!(
        out,
        "<text class=\"less\" x=\"{MARGIN}\" y=\"{}\">Solid line: the cutline. Dashed: the window. {}</text>\n</g>",
        number(end),
        shortened(&notes(scene).join(" "))
    );
    let _ = writeln!(
        out,
        "<svg x=\"{}\" y=\"{}\" width=\"180\" height=\"{}\"{}",
        number(WIDTH - MARGIN - 180.0),
        number(below - 16.0),
        number(end - below + 8.0),
        locator(scene)
    );
    out.push_str("</svg>\n");
    out
}

/// A row of the legend as a sentence.
fn words(entry: &Entry) -> String {
    let tally = entry.tally;
    let absent =
        if tally.absent > 0 { format!(", {} of them not in the file", tally.absent) } else { String::new() };
    let bytes =
        if entry.class == Fate::Skipped.name() { String::new() } else { format!(", {} bytes", tally.bytes) };
    format!("{}: {} tiles{absent}{bytes} ({})", entry.label, tally.tiles, entry.meaning)
}

/// What the picture does not show as it is.
pub(super) fn notes(scene: &Scene<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if scene.is_inverted {
        out.push("What is kept lies outside the cutline.".to_owned());
    }
    if scene.plan.planes > 1 {
        out.push(format!("Every tile is stored in {} planes, counted one by one.", scene.plan.planes));
    }
    out
}

/// Where the window lies in the raster: the rest of an `svg` element that has been begun.
pub(super) fn locator(scene: &Scene<'_>) -> String {
    let (raster, window) = (scene.raster(), scene.window());
    // A window that is too small to be seen is shown larger, around its centre.
    let least = raster.side() / 60.0;
    let grown = |side: f64| (least - side).max(0.0) / 2.0;
    let (dx, dy) = (grown(window.width), grown(window.height));
    let here = Frame {
        x: window.x - dx,
        y: window.y - dy,
        width: window.width + 2.0 * dx,
        height: window.height + 2.0 * dy,
    };
    format!(
        " class=\"locator\" viewBox=\"{}\" preserveAspectRatio=\"xMaxYMin meet\" role=\"img\" \
         aria-label=\"where the window lies in the raster\">{}{}</svg>",
        corners(&raster.grown(raster.side() * 0.03)),
        rect("raster", &raster, "/>"),
        rect("here", &here, "/>"),
    )
}

fn corners(frame: &Frame) -> String {
    [frame.x, frame.y, frame.width, frame.height].map(number).join(" ")
}

fn rect(class: &str, frame: &Frame, end: &str) -> String {
    format!(
        "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{end}",
        number(frame.x),
        number(frame.y),
        number(frame.width),
        number(frame.height)
    )
}

/// The map as an `svg` element with further attributes. Its coordinates are pixels from the window's corner, which
/// `data-column` and `data-row` place in the raster.
pub(super) fn map(scene: &Scene<'_>, attributes: &str, entries: &[Entry], out: &mut String) {
    let (view, raster, window) = (scene.view(), scene.raster(), scene.window());
    let grid = scene.header.main.grid;
    let cells = Cells::of(scene.plan, &grid, scene.places);
    let drawn = scene.world_to_picture().map_or_else(Drawn::default, |from_world| {
        outline::draw(scene.cutline, &from_world, &raster.grown(view.side() * 0.1), &view)
    });
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" id=\"cogclip-map\" class=\"map\" viewBox=\"{}\" {attributes} \
         data-column=\"{}\" data-row=\"{}\" data-raster=\"{}\" data-window=\"{}\">\n\
         <title id=\"cogclip-title\">{}</title>\n<desc id=\"cogclip-words\">{}</desc>",
        corners(&view),
        scene.plan.window.x0,
        scene.plan.window.y0,
        corners(&raster.grown(raster.side() * 0.02)),
        corners(&view),
        shortened(scene.title),
        escaped(&description(scene, entries, &cells, &drawn)),
    );
    patterns(view.side() / 110.0, out);
    out.push_str(&rect("raster", &raster, "/>\n"));
    lines(scene, &view, out);
    out.push_str("<g id=\"cogclip-tiles\">\n");
    for cell in &cells.cells {
        tile(cell, cells.merged.is_some(), scene, out);
    }
    out.push_str("</g>\n");
    // The polygon is cut off a little beyond the raster: not to show where, the cut lies beyond what is shown.
    let shown = raster.grown(view.side() * 0.09);
    let _ = writeln!(out, "<clipPath id=\"cogclip-near\">{}</clipPath>", rect("near", &shown, "/>"));
    out.push_str(
        "<g id=\"cogclip-cutline\" class=\"cutline\" fill-rule=\"evenodd\" clip-path=\"url(#cogclip-near)\">\n",
    );
    for path in &drawn.paths {
        let _ = writeln!(out, "<path d=\"{path}\"/>");
    }
    out.push_str("</g>\n");
    out.push_str(&rect("window", &window, "/>\n"));
    out.push_str("</svg>\n");
}

/// The picture in words, for whoever does not see it.
fn description(scene: &Scene<'_>, entries: &[Entry], cells: &Cells, drawn: &Drawn) -> String {
    let (size, grid) = (scene.header.main.size(), scene.header.main.grid);
    let mut out = format!(
        "A raster of {size} pixels in {} of {}. The window holds {} pixels from column {}, row {}.",
        if scene.header.main.tiled { "tiles" } else { "strips" },
        grid.tile,
        scene.plan.size(),
        scene.plan.window.x0,
        scene.plan.window.y0
    );
    for entry in entries {
        let _ = write!(out, " {}.", words(entry));
    }
    for note in notes(scene) {
        let _ = write!(out, " {note}");
    }
    match cells.merged {
        Some(1) => out
            .push_str(" Tiles of one kind that lie side by side are drawn as one, skipped ones not at all."),
        Some(block) => {
            let _ = write!(
                out,
                " Drawn are blocks of {block} x {block} tiles, each as the kind in it that takes the most work, skipped ones \
                 not at all."
            );
        }
        None => {}
    }
    if let Some(step) = drawn.step {
        let _ = write!(out, " The cutline is rounded to {} pixels.", number(step));
    }
    if drawn.omitted > 0 {
        let _ =
            write!(out, " Of its polygons {} are left out or cut short: it is too intricate.", drawn.omitted);
    }
    out
}

/// Dots and strokes beside colours, for eyes that do not tell these apart.
fn patterns(unit: f64, out: &mut String) {
    let [one, half, dot, line] = [unit, unit / 2.0, unit * 0.16, unit * 0.22].map(number);
    let pattern = |id: &str, class: &str, mark: &str| {
        format!(
            "<pattern id=\"{id}\" width=\"{one}\" height=\"{one}\" patternUnits=\"userSpaceOnUse\">\
             <rect class=\"{class}\" width=\"{one}\" height=\"{one}\"/>{mark}</pattern>"
        )
    };
    let dots = format!("<circle class=\"copied-mark\" cx=\"{half}\" cy=\"{half}\" r=\"{dot}\"/>");
    let hatch =
        format!("<path class=\"masked-mark\" d=\"M0 {one}L{one} 0\" stroke-width=\"{line}\" fill=\"none\"/>");
    let _ = writeln!(
        out,
        "<defs>{}{}</defs>",
        pattern("cogclip-dots", "copied-ground", &dots),
        pattern("cogclip-hatch", "masked-ground", &hatch)
    );
}

/// The lines of the tile grid: of the whole raster, or of what is seen at first, unless even these are too many.
fn lines(scene: &Scene<'_>, view: &Frame, out: &mut String) {
    let grid = scene.header.main.grid;
    let (raster, window) = (scene.raster(), scene.plan.window);
    let is_all = u64::from(grid.across()) + u64::from(grid.down()) <= u64::from(MOST_LINES);
    let part = if is_all { raster } else { raster.within(view) };
    // Before any is made: a raster may have 2^31 columns of tiles.
    let count = part.width / f64::from(grid.tile.width) + part.height / f64::from(grid.tile.height);
    if count > f64::from(MOST_LINES) {
        return;
    }
    // Where tiles begin between two places of an axis, but for the raster's own edge.
    let between = |from: f64, to: f64, tile: u32, origin: u32| {
        let (tile, origin) = (f64::from(tile), f64::from(origin));
        let first = ((from + origin) / tile).ceil().max(1.0);
        (0..=MOST_LINES)
            .map(move |number_of| (first + f64::from(number_of)) * tile - origin)
            .take_while(move |at| *at < to)
    };
    let mut path = String::new();
    for x in between(part.x, part.right(), grid.tile.width, window.x0) {
        let _ = write!(path, "M{} {}V{}", number(x), number(part.y), number(part.bottom()));
    }
    for y in between(part.y, part.bottom(), grid.tile.height, window.y0) {
        let _ = write!(path, "M{} {}H{}", number(part.x), number(y), number(part.right()));
    }
    if !path.is_empty() {
        let _ = writeln!(out, "<path class=\"grid\" d=\"{path}\"/>");
    }
}

/// A rectangle of tiles, with what there is to say of it.
fn tile(cell: &Cell, is_merged: bool, scene: &Scene<'_>, out: &mut String) {
    let frame = Frame::of(cell.rect(&scene.header.main.grid), scene.plan.window);
    let sum = cell.tallies.sum();
    let is_absent = sum.absent > 0 && sum.absent == sum.tiles;
    let class = format!("tile {}{}", cell.fate.name(), if is_absent { " absent" } else { "" });
    out.push_str(&rect(&class, &frame, ""));
    let _ = write!(
        out,
        " data-col=\"{}\" data-row=\"{}\" data-class=\"{}\" data-tiles=\"{}\" data-bytes=\"{}\"",
        cell.cols.start,
        cell.rows.start,
        cell.fate.name(),
        sum.tiles,
        sum.bytes
    );
    if let [(_, Some(bytes))] = cell.places.as_slice() {
        let _ = write!(out, " data-offset=\"{}\" data-length=\"{}\"", bytes.start, bytes.end - bytes.start);
    }
    let _ = writeln!(out, "><title>{}</title></rect>", told(cell, is_merged, scene));
}

/// A tile, or a run of them, in words.
fn told(cell: &Cell, is_merged: bool, scene: &Scene<'_>) -> String {
    let sum = cell.tallies.sum();
    let span = |one: &str, range: &std::ops::Range<u32>| {
        if range.len() == 1 {
            format!("{one} {}", range.start)
        } else {
            format!("{one}s {} to {}", range.start, range.end - 1)
        }
    };
    let mut out = format!("{}, {}: ", span("column", &cell.cols), span("row", &cell.rows));
    if is_merged {
        let kinds = Fate::ALL.into_iter().filter(|fate| cell.tallies.of(*fate).tiles > 0);
        let kinds: Vec<_> =
            kinds.map(|fate| format!("{} {}", cell.tallies.of(fate).tiles, legend::label(fate))).collect();
        let _ = write!(out, "{}; {} bytes", kinds.join(", "), sum.bytes);
        return out;
    }
    out.push_str(legend::label(cell.fate));
    for (plane, bytes) in &cell.places {
        out.push_str("; ");
        if scene.plan.planes > 1 {
            let _ = write!(out, "plane {plane}: ");
        }
        let _ = match bytes {
            Some(bytes) => write!(out, "offset {}, length {}", bytes.start, bytes.end - bytes.start),
            None => write!(out, "not in the file"),
        };
    }
    let more = scene.plan.planes.saturating_sub(cell.places.len());
    if more > 0 && !cell.places.is_empty() {
        let _ = write!(out, "; and {more} more planes, {} bytes in all", sum.bytes);
    }
    out
}
