//! Pictures of plans as a person or a script meets them: well-formed, the plan's own numbers, of bounded size, and nothing of a file's
//! name or a URL's secrets where it must not be. scripts/pictures.py looks at them in a browser.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cogclip::picture::MOST_BYTES;
use serde_json::Value;

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).to_str().unwrap().to_owned()
}

fn run(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cogclip"))
        .args(args)
        .current_dir(folder)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, args: &[&str]) -> String {
    let done = run(folder, args);
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[track_caller]
fn fails(folder: &Path, args: &[&str], code: i32, says: &str) {
    let done = run(folder, args);
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{args:?}: {stderr}");
    assert!(stderr.contains(says), "{args:?}: {stderr}");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = names.map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect();
    names.sort();
    names
}

fn number(node: roxmltree::Node<'_, '_>, name: &str) -> u64 {
    node.attribute(name).unwrap_or_default().parse().expect(name)
}

/// Tiles, and bytes, of the rectangles of a class; and how many rectangles have it.
fn drawn(svg: &roxmltree::Document<'_>, class: &str) -> (u64, u64, usize) {
    let tiles = svg.descendants().filter(|node| node.attribute("data-class") == Some(class));
    tiles.fold((0, 0, 0), |(tiles, bytes, count), node| {
        (tiles + number(node, "data-tiles"), bytes + number(node, "data-bytes"), count + 1)
    })
}

#[track_caller]
fn check(source: &str, more: &[&str]) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let source = testdata(source);
    let words = [&["plan", &source, "--json", "--svg", "a.svg", "--html", "a.html"], more].concat();
    let plan: Value = serde_json::from_str(&succeeds(folder.path(), &words)).unwrap();
    let text = std::fs::read_to_string(folder.path().join("a.svg")).unwrap();
    let svg = roxmltree::Document::parse(&text).unwrap();
    for class in ["skipped", "copied", "whole", "masked"] {
        let expected = &plan["classes"][class];
        let (tiles, bytes, _) = drawn(&svg, class);
        assert_eq!((&tiles.into(), &bytes.into()), (&expected["tiles"], &expected["bytes"]), "{class}");
        let said = format!("{tiles} tiles");
        assert!(text.contains(&said) && (class == "skipped" || text.contains(&format!("{bytes} bytes"))));
    }
    let sum = |names: &[&str]| -> u64 {
        names.iter().map(|name| plan["classes"][name]["tiles"].as_u64().unwrap()).sum()
    };
    assert_eq!(plan["tiles"]["outside"], sum(&["skipped"]));
    assert_eq!(plan["tiles"]["inside"], sum(&["copied", "whole"]));
    assert_eq!(plan["tiles"]["edge"], sum(&["masked"]));
    let page = std::fs::read_to_string(folder.path().join("a.html")).unwrap();
    let map = &text
        [text.find("<g id=\"cogclip-tiles\">").unwrap()..text.find("<g id=\"cogclip-cutline\"").unwrap()];
    assert!(page.contains(map), "the page has the same tiles");
    assert!(
        page.contains(&format!("<th scope=\"row\">bytes</th><td class=\"value\">{}</td>", plan["bytes"]))
    );
    (plan, text)
}

/// West, south, east and north of a raster.
fn extent(source: &str) -> Vec<f64> {
    let info: Value = serde_json::from_str(&succeeds(Path::new("."), &["info", source, "--json"])).unwrap();
    info["bounds"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn a_drawing_has_the_numbers_of_its_plan() {
    let field = testdata("sample/field.geojson");
    let (plan, text) = check("sample/scene.tif", &["--cutline", &field]);
    let svg = roxmltree::Document::parse(&text).unwrap();
    let tiles: Vec<_> = svg.descendants().filter(|node| node.has_attribute("data-offset")).collect();
    assert_eq!(Value::from(tiles.len()), plan["tiles"]["to_fetch"]);
    // Every tile lies within a range that is fetched, and each where the tile table says, which is what is fetched.
    let ranges = plan["ranges"].as_array().unwrap();
    for tile in tiles {
        let (from, len) = (number(tile, "data-offset"), number(tile, "data-length"));
        let holds = |range: &&Value| {
            range["start"].as_u64().unwrap() <= from && from + len <= range["end"].as_u64().unwrap()
        };
        assert_eq!(ranges.iter().filter(holds).count(), 1, "{tile:?}");
        let title = tile.first_element_child().unwrap().text().unwrap();
        assert!(title.contains(&format!("offset {from}, length {len}")), "{title}");
    }
}

#[test]
fn tiles_that_pass_through_are_drawn_as_such() {
    for name in ["deflate-p2-u16-tiled.tif", "sparse-u16-tiled.tif", "deflate-p2-u16-4band-planar.tif"] {
        let source = testdata(name);
        // The raster's own extent, so that every tile is wholly inside.
        let extent: Vec<String> = extent(&source).iter().map(ToString::to_string).collect();
        let bounds = extent.join(",");
        let (plan, text) = check(
            name,
            &["--bbox", &bounds, "--cutline-crs", "source", "--align-tiles", "--compress", "source"],
        );
        assert_eq!(plan["tiles"]["outside"], 0, "{name}");
        match name {
            "deflate-p2-u16-tiled.tif" => assert!(plan["classes"]["copied"]["tiles"].as_u64() > Some(0)),
            "sparse-u16-tiled.tif" => {
                let svg = roxmltree::Document::parse(&text).unwrap();
                let is_absent = |node: &roxmltree::Node<'_, '_>| {
                    node.attribute("class").is_some_and(|class| class.ends_with(" absent"))
                };
                let absent = svg.descendants().filter(is_absent).count();
                assert!(absent > 0);
                assert_eq!(plan["tiles"]["sparse"], absent);
            }
            _ => assert!(text.contains("stored in 4 planes") && text.contains("plane 2: offset ")),
        }
    }
}

#[test]
fn names_of_files_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a<script>alert('x')<b>&\"b.tif";
    std::fs::copy(testdata("sample/scene.tif"), folder.path().join(name)).unwrap();
    let field = testdata("sample/field.geojson");
    succeeds(folder.path(), &["plan", name, "--cutline", &field, "--svg", "p.svg", "--html", "p.html"]);
    let svg = std::fs::read_to_string(folder.path().join("p.svg")).unwrap();
    let page = std::fs::read_to_string(folder.path().join("p.html")).unwrap();
    let tree = roxmltree::Document::parse(&svg).unwrap();
    assert!(tree.descendants().any(|node| node.text().is_some_and(|text| text.contains(name))));
    assert!(!tree.descendants().any(|node| node.has_tag_name("script")));
    assert_eq!(page.matches("<script>").count(), 1, "its own");
    assert!(page.contains("a&lt;script&gt;alert(&#39;x&#39;)&lt;b&gt;&amp;&quot;b.tif"));
    succeeds(
        folder.path(),
        &["clip", name, "out.tif", "--cutline", &field, "--quiet", "--report-html", "r.html"],
    );
    let page = std::fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert_eq!(page.matches("<script>").count(), 1, "its own");
    // The output's image is the picture that `preview` makes.
    succeeds(folder.path(), &["preview", "out.tif", "--png", "out.png", "--size", "800", "--quiet"]);
    let image = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        std::fs::read(folder.path().join("out.png")).unwrap(),
    );
    assert_eq!(page.matches(&format!("src=\"data:image/png;base64,{image}\"")).count(), 1);
}

#[test]
fn what_is_there_stays_unless_it_may_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, field) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
    let plan = ["plan", &scene, "--cutline", &field];
    std::fs::write(folder.path().join("mine.svg"), "mine").unwrap();
    fails(
        folder.path(),
        &[&plan[..], &["--svg", "mine.svg", "--html", "x.html"]].concat(),
        9,
        "mine.svg exists",
    );
    fails(folder.path(), &[&plan[..], &["--html", "mine.svg"]].concat(), 9, "--html");
    fails(folder.path(), &[&plan[..], &["--svg", "x", "--html", "./x"]].concat(), 2, "what --svg writes");
    fails(folder.path(), &[&plan[..], &["--svg", &scene, "--overwrite"]].concat(), 2, "the source itself");
    fails(folder.path(), &[&plan[..], &["--svg", "https://example.invalid/a.svg"]].concat(), 2, "read only");
    let clip = ["clip", &scene, "out.tif", "--cutline", &field, "--quiet"];
    fails(folder.path(), &[&clip[..], &["--report-html", "mine.svg"]].concat(), 9, "mine.svg exists");
    fails(folder.path(), &[&clip[..], &["--report-html", "./out.tif"]].concat(), 2, "the output itself");
    fails(
        folder.path(),
        &[&clip[..], &["--stac", "auto", "--report-html", "out.json"]].concat(),
        2,
        "what --stac writes",
    );
    fails(folder.path(), &[&clip[..], &["--split", "--report-html", "r.html"]].concat(), 2, "--split");
    // No overlap: nothing to draw.
    let nowhere = ["--bbox", "0,0,1,1", "--cutline-crs", "EPSG:4326", "--on-empty", "skip", "--svg", "n.svg"];
    succeeds(folder.path(), &[&["plan", scene.as_str()][..], &nowhere].concat());
    assert_eq!(files(folder.path()), [Path::new("mine.svg")]);
    assert_eq!(std::fs::read(folder.path().join("mine.svg")).unwrap(), b"mine");
    succeeds(folder.path(), &[&plan[..], &["--svg", "mine.svg", "--overwrite"]].concat());
    assert_ne!(std::fs::read(folder.path().join("mine.svg")).unwrap(), b"mine");
}

#[test]
fn a_report_page_has_the_numbers_of_the_report_and_changes_none() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, field) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
    let clip = ["clip", &scene, "out.tif", "--cutline", &field, "--json", "--overwrite"];
    let plain: Value = serde_json::from_str(&succeeds(folder.path(), &clip)).unwrap();
    let with: Value = serde_json::from_str(&succeeds(
        folder.path(),
        &[&clip[..], &["--report-html", "pages/r.html"]].concat(),
    ))
    .unwrap();
    for name in ["requests", "bytes", "pixels", "tiles", "output", "window"] {
        assert_eq!(plain[name], with[name], "{name}");
    }
    let page = std::fs::read_to_string(folder.path().join("pages/r.html")).unwrap();
    let sha = with["output"]["sha256"].as_str().unwrap();
    for (name, value) in [
        ("output.sha256", sha.to_owned()),
        ("bytes", with["bytes"].to_string()),
        ("pixels.valid", with["pixels"]["valid"].to_string()),
        ("tiles.fetched", with["tiles"]["fetched"].to_string()),
    ] {
        let row = format!("<th scope=\"row\">{name}</th><td class=\"value\">{value}</td>");
        assert!(page.contains(&row), "{row}");
    }
    assert!(
        page.contains("Content-Security-Policy") && !page.contains("http://") || page.contains("www.w3.org")
    );
}

/// A little-endian BigTIFF of one byte a pixel in tiles of 16 x 16, `across` x `down` of them, all of which lie at the same place.
fn many_tiles(across: u32, down: u32) -> Vec<u8> {
    let count = u64::from(across) * u64::from(down);
    let tile_at = 16_u64;
    let offsets_at = tile_at + 256;
    let counts_at = offsets_at + 8 * count;
    let ifd_at = counts_at + 4 * count;
    let mut out = b"II\x2b\x00\x08\x00\x00\x00".to_vec();
    out.extend(ifd_at.to_le_bytes());
    out.extend([7_u8; 256]);
    (0..count).for_each(|_| out.extend(tile_at.to_le_bytes()));
    (0..count).for_each(|_| out.extend(256_u32.to_le_bytes()));
    let entries: [(u16, u16, u64, u64); 10] = [
        (256, 4, 1, u64::from(across) * 16),
        (257, 4, 1, u64::from(down) * 16),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (322, 3, 1, 16),
        (323, 3, 1, 16),
        (324, 16, count, offsets_at),
        (325, 4, count, counts_at),
    ];
    out.extend((entries.len() as u64).to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out.extend(0_u64.to_le_bytes());
    out
}

/// The picture of boxes on a raster of 700 x 700 tiles of 16 pixels: the plan, the drawing, and its rectangles by class.
fn many(boxes: impl Iterator<Item = [u32; 4]>) -> (Value, String, [(u64, u64, usize); 4]) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("many.tif"), many_tiles(700, 700)).unwrap();
    let boxes: Vec<String> = boxes
        .map(|[x0, y0, x1, y1]| format!("[[[{x0},{y0}],[{x1},{y0}],[{x1},{y1}],[{x0},{y1}],[{x0},{y0}]]]"))
        .collect();
    let text = format!(r#"{{"type":"MultiPolygon","coordinates":[{}]}}"#, boxes.join(","));
    std::fs::write(folder.path().join("boxes.geojson"), text).unwrap();
    let words = ["plan", "many.tif", "--cutline", "boxes.geojson", "--cutline-crs", "source"];
    let words = [&words[..], &["--json", "--svg", "m.svg", "--html", "m.html"]].concat();
    let plan: Value = serde_json::from_str(&succeeds(folder.path(), &words)).unwrap();
    let text = std::fs::read_to_string(folder.path().join("m.svg")).unwrap();
    let page = std::fs::metadata(folder.path().join("m.html")).unwrap().len();
    assert!(text.len() < MOST_BYTES && page < MOST_BYTES as u64 + 32_768, "{}, {page}", text.len());
    let svg = roxmltree::Document::parse(&text).unwrap();
    let counts = ["skipped", "copied", "whole", "masked"].map(|class| drawn(&svg, class));
    (plan, text, counts)
}

#[test]
fn tiles_of_a_kind_are_drawn_as_one_where_they_are_too_many() {
    // Rows of boxes, each over two tiles side by side: 120,000 vertices.
    let boxes = (0..30_000).map(|n| {
        let (x, y) = (n % 340 * 32 + 3, n / 340 * 120 + 5);
        [x, y, x + 24, y + 40]
    });
    let (plan, text, counts) = many(boxes);
    let rectangles: usize = counts.iter().map(|count| count.2).sum();
    assert!((100..=10_000).contains(&rectangles), "{rectangles}");
    for (class, (tiles, bytes, _)) in ["copied", "whole", "masked"].into_iter().zip(&counts[1..]) {
        assert_eq!(plan["classes"][class]["tiles"], *tiles, "{class}");
        assert_eq!(plan["classes"][class]["bytes"], *bytes, "{class}");
    }
    assert!(counts[0] == (0, 0, 0) && counts[3].0 > 100_000, "{counts:?}");
    assert!(text.contains("Tiles of one kind that lie side by side are drawn as one"), "it says so");
    assert!(text.contains("The cutline is rounded to"), "it says so");
}

#[test]
fn a_picture_is_small_however_large_its_plan_is() {
    // Boxes far between, here and there: more runs than may be drawn, so that blocks of tiles are.
    let boxes = (0..1600_u32).map(|n| {
        let (x, y) = (n % 40 * 280 + n * 37 % 200, n / 40 * 280 + n * 53 % 200);
        [x, y, x + 70, y + 70]
    });
    let (plan, text, counts) = many(boxes);
    let rectangles: usize = counts.iter().map(|count| count.2).sum();
    assert!((1000..=10_000).contains(&rectangles), "{rectangles}");
    // Blocks count every tile in them, whatever they are drawn as.
    let tiles = |class: &str| plan["classes"][class]["tiles"].as_u64().unwrap();
    let fetched = tiles("whole") + tiles("masked");
    let shown: u64 = counts.iter().map(|count| count.0).sum();
    assert!(fetched > 20_000 && shown >= fetched && shown < fetched + tiles("skipped"), "{counts:?}");
    assert_eq!(counts.iter().map(|count| count.1).sum::<u64>(), fetched * 256);
    assert!(text.contains(" tiles, each as the kind in it that takes the most work"), "it says so");
}

#[test]
fn a_polygon_is_drawn_where_its_pixels_are() {
    let folder = tempfile::tempdir().unwrap();
    let source = testdata("no-crs-u8.tif");
    let extent = extent(&source);
    let (left, top) = (extent[0], extent[3]);
    let (width, height) = (extent[2] - extent[0], extent[3] - extent[1]);
    // From a tenth of the raster to half of it.
    let bounds = format!(
        "{},{},{},{}",
        left + width * 0.1,
        top - height * 0.5,
        left + width * 0.5,
        top - height * 0.1
    );
    let words = ["plan", &source, "--bbox", &bounds, "--cutline-crs", "source", "--json", "--svg", "a.svg"];
    let plan: Value = serde_json::from_str(&succeeds(folder.path(), &words)).unwrap();
    let text = std::fs::read_to_string(folder.path().join("a.svg")).unwrap();
    let svg = roxmltree::Document::parse(&text).unwrap();
    let map = svg.descendants().find(|node| node.attribute("id") == Some("cogclip-map")).unwrap();
    let (column, row) = (number(map, "data-column"), number(map, "data-row"));
    assert_eq!(
        (Value::from(column), Value::from(row)),
        (plan["window"]["col_off"].clone(), plan["window"]["row_off"].clone())
    );
    let group = svg.descendants().find(|node| node.attribute("id") == Some("cogclip-cutline")).unwrap();
    let path = group.first_element_child().unwrap().attribute("d").unwrap();
    let numbers: Vec<f64> = path
        .trim_start_matches('M')
        .trim_end_matches('Z')
        .split(['L', ' '])
        .map(|text| text.parse().unwrap())
        .collect();
    // 70 x 45 pixels: testdata/manifest.tsv.
    let (across, down) = (70.0, 45.0);
    let [column, row] = [column, row].map(|place| f64::from(u32::try_from(place).unwrap()));
    let xs = numbers.iter().step_by(2).map(|x| x + column);
    let ys = numbers.iter().skip(1).step_by(2).map(|y| y + row);
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let ((x0, x1), (y0, y1)) = (ends(&mut { xs }), ends(&mut { ys }));
    for (found, expected) in [(x0, across * 0.1), (x1, across * 0.5), (y0, down * 0.1), (y1, down * 0.5)] {
        assert!((found - expected).abs() < 2e-3, "{found} for {expected}");
    }
}
