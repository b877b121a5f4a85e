//! The page: the map to look around in, its legend, an image of the output where there is one, and the numbers. One file that asks
//! for nothing from elsewhere.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest, Sha256};

use super::legend;
use super::scene::Scene;
use super::svg::{self, STYLE};
use super::text::escaped;

const PAGE_STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a page holds.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The plan's picture.
    pub scene: Scene<'a>,
    /// Names and values, in order. Any text, without secrets.
    pub facts: &'a [(String, String)],
    /// The output, of a page about a clip.
    pub output: Option<Output<'a>>,
}

/// What a page shows of an output.
#[derive(Clone, Copy, Debug)]
pub enum Output<'a> {
    /// How it looks.
    Image {
        /// A PNG file; with its 4/3 bytes the page is longer.
        png: &'a [u8],
        /// What it shows. Any text.
        words: &'a str,
    },
    /// Why that cannot be shown. Any text, without secrets.
    Nothing(&'a str),
}

/// A page as one file of HTML. Its policy allows no request and no script but its own, known by its hash.
#[must_use]
pub fn html(page: &Page<'_>) -> String {
    let scene = &page.scene;
    let entries = legend::entries(scene);
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{PAGE_STYLE}{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{title}</h1><p>{}</p></header>\n<main>\n<div class=\"board\">\n",
        BASE64.encode(Sha256::digest(SCRIPT)),
        escaped(scene.caption),
        title = escaped(scene.title),
    );
    svg::map(
        scene,
        "tabindex=\"0\" role=\"group\" aria-labelledby=\"cogclip-title\" aria-describedby=\"cogclip-words told\"",
        &entries,
        &mut out,
    );
    out.push_str(
        "<div class=\"tools\"><button id=\"nearer\" aria-label=\"nearer\">+</button>\
         <button id=\"farther\" aria-label=\"farther\">\u{2212}</button><button id=\"window\">window</button>\
         <button id=\"all\">raster</button></div>\n</div>\n\
         <p class=\"told\" id=\"told\" role=\"status\">Point at a tile, or click it.</p>\n\
         <p class=\"hint\">Wheel and drag look around. With the keyboard: arrows go from tile to tile, + and \u{2212} zoom, 0 goes \
         back, Esc lets go.</p>\n",
    );
    for note in svg::notes(scene) {
        let _ = writeln!(out, "<p>{}</p>", escaped(&note));
    }
    legend_table(scene, &entries, &mut out);
    match page.output {
        Some(Output::Image { png, words }) => {
            let words = escaped(words);
            let _ = writeln!(
                out,
                "<h2>The output</h2>\n<figure><img id=\"preview\" alt=\"{words}\" src=\"data:image/png;base64,{}\">\
                 <figcaption>{words}</figcaption></figure>",
                BASE64.encode(png)
            );
        }
        Some(Output::Nothing(reason)) => {
            let _ = writeln!(out, "<h2>The output</h2>\n<p>It cannot be shown: {}</p>", escaped(reason));
        }
        None => {}
    }
    out.push_str("<h2>Numbers</h2>\n<div class=\"wide\"><table id=\"numbers\"><tbody>\n");
    for (name, value) in page.facts {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"value\">{}</td></tr>",
            escaped(name),
            escaped(value)
        );
    }
    let _ = write!(out, "</tbody></table></div>\n</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

fn legend_table(scene: &Scene<'_>, entries: &[legend::Entry], out: &mut String) {
    out.push_str(
        "<h2>Tiles of the window</h2>\n<div class=\"side\"><div class=\"wide\"><table id=\"legend\">\
         <thead><tr><th scope=\"col\">what becomes of them</th><th scope=\"col\" class=\"number\">tiles</th>\
         <th scope=\"col\" class=\"number\">not in the file</th><th scope=\"col\" class=\"number\">bytes</th>\
         <th scope=\"col\"></th></tr></thead><tbody>\n",
    );
    for entry in entries {
        let tally = entry.tally;
        let _ = writeln!(
            out,
            "<tr data-class=\"{class}\"><th scope=\"row\"><svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"{class}\" \
             width=\"100%\" height=\"100%\"/></svg>{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td>{}</td></tr>",
            entry.label,
            tally.tiles,
            tally.absent,
            tally.bytes,
            entry.meaning,
            class = entry.class,
        );
    }
    let _ = writeln!(out, "</tbody></table></div>\n<svg{}</div>", svg::locator(scene));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_into_a_page_cannot_end_early() {
        // Neither may hold what ends the element that it stands in; in the drawing, which is XML, no markup at all.
        assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("<!--"));
        assert!(!PAGE_STYLE.contains('<') && !STYLE.contains(['<', '&', '>']));
    }
}
