//! The command line, as a person or a script meets it: exit codes, one-line errors, reports.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).to_str().unwrap().to_owned()
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cogclip"))
        .args(args)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn check(args: &[&str], code: i32, says: &str) {
    let out = run(args);
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {stderr}");
    assert!(stderr.contains(says), "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    if code > 2 {
        assert_eq!(stderr.trim().lines().count(), 1, "one line: {stderr}");
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.tif");
    (folder, out)
}

#[test]
fn the_main_job_reports_what_it_did() {
    let (_folder, out) = folder();
    let (src, cut) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
    let run = run(&["clip", &src, out.to_str().unwrap(), "--cutline", &cut, "--json"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["status"], "done");
    assert_eq!(report["crs"], "EPSG:32633");
    let file = std::fs::read(&out).unwrap();
    assert_eq!(report["output"]["size"], file.len());
    assert_eq!(report["output"]["sha256"], {
        use sha2::Digest;
        sha2::Sha256::digest(&file).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    });
    let pixels = &report["pixels"];
    let number = |name: &str| pixels[name].as_u64().unwrap();
    assert_eq!(number("inside") + number("masked"), number("window"));
    assert!(number("valid") > 0 && number("valid") <= number("inside"));
}

#[test]
fn exit_codes_tell_whose_fault_it_is() {
    let (_folder, out) = folder();
    let out = out.to_str().unwrap();
    let (src, cut) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
    check(&["clip", &src, out], 2, "--cutline");
    check(&["clip", &src, out, "--bbox", "1,2,3"], 2, "minx,miny,maxx,maxy");
    check(&["clip", &src, out, "--bbox", "1,2,3,4"], 2, "--cutline-crs");
    check(&["clip", &src, out, "--cutline", &cut, "--bands", "9"], 2, "band 9");
    check(&["clip", &src, out, "--cutline", &cut, "--nodata", "70000"], 2, "does not fit");
    check(&["clip", &src, out, "--cutline", &cut, "--mask", "nodata"], 2, "--nodata");
    check(&["clip", &src, "https://example.invalid/out.tif", "--cutline", &cut], 2, "read only");
    check(&["clip", &cut, out, "--cutline", &cut], 3, "no TIFF");
    check(&["clip", &src, out, "--cutline", "{\"type\":"], 3, "");
    check(&["clip", "/nonexistent/x.tif", out, "--cutline", &cut], 5, "x.tif");
    check(&["clip", &src, out, "--bbox", "0,0,1,1", "--cutline-crs", "EPSG:4326"], 8, "do not overlap");
    check(
        &["clip", &src, out, "--bbox", "0,0,1,1", "--cutline-crs", "EPSG:4326", "--on-empty", "skip"],
        0,
        "",
    );
    assert!(!Path::new(out).exists());
    check(&["clip", &src, out, "--cutline", &cut], 0, "");
    check(&["clip", &src, out, "--cutline", &cut], 9, "exists");
    check(&["clip", &src, out, "--cutline", &cut, "--overwrite"], 0, "");
    check(&["validate", out], 0, "");
    let strips = run(&["validate", &testdata("sample/scene.tif")]);
    assert!(strips.status.success(), "{}", String::from_utf8_lossy(&strips.stdout));
}

#[test]
fn an_unlisted_crs_is_refused_by_name() {
    let (_folder, out) = folder();
    let src = testdata("sample/scene.tif");
    check(
        &["clip", &src, out.to_str().unwrap(), "--bbox", "0,0,1,1", "--cutline-crs", "EPSG:5224"],
        4,
        "5224",
    );
    // Its datum is joined to the raster's, but not there.
    check(
        &["clip", &src, out.to_str().unwrap(), "--bbox", "0,0,1,1", "--cutline-crs", "EPSG:27700"],
        2,
        "--allow-ballpark",
    );
    check(
        &["clip", &src, out.to_str().unwrap(), "--bbox", "0,0,1,1", "--cutline-crs", "nonsense"],
        2,
        "nonsense",
    );
    check(
        &[
            "clip",
            &testdata("no-crs-u8.tif"),
            out.to_str().unwrap(),
            "--bbox",
            "0,0,1,1",
            "--cutline-crs",
            "EPSG:4326",
        ],
        2,
        "--cutline-crs source",
    );
}

#[test]
fn a_plan_is_what_the_clip_does() {
    let (_folder, out) = folder();
    let (src, cut) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
    let plan: serde_json::Value =
        serde_json::from_slice(&run(&["plan", &src, "--cutline", &cut, "--json"]).stdout).unwrap();
    let clip: serde_json::Value = serde_json::from_slice(
        &run(&["clip", &src, out.to_str().unwrap(), "--cutline", &cut, "--json"]).stdout,
    )
    .unwrap();
    for key in ["window", "extent", "crs", "bands", "dtype"] {
        assert_eq!(plan[key], clip[key], "{key}");
    }
    assert_eq!(plan["pixels"]["inside"], clip["pixels"]["inside"]);
    assert_eq!(plan["tiles"]["to_fetch"], clip["tiles"]["fetched"]);
    let planned = plan["requests"].as_u64().unwrap() + plan["header"]["requests"].as_u64().unwrap();
    assert_eq!(planned, clip["requests"].as_u64().unwrap());
    let bytes = plan["bytes"].as_u64().unwrap() + plan["header"]["bytes"].as_u64().unwrap();
    assert_eq!(bytes, clip["bytes"].as_u64().unwrap());
}

#[test]
fn a_chosen_nodata_value_never_hides_a_valid_pixel() {
    // A signed raster without nodata that holds every value from -128 to 127: -128 would be chosen, and is taken.
    let (folder, out) = folder();
    let fields: [(u16, &[u32]); 9] = [
        (256, &[16]),
        (257, &[16]),
        (258, &[8]),
        (259, &[1]),
        (262, &[1]),
        (273, &[8 + 2 + 12 * 9 + 4]),
        (278, &[16]),
        (279, &[256]),
        (339, &[2]),
    ];
    let mut file = crate::malformed::tiff(&fields, 0);
    file.extend(0..=255_u8);
    let src = folder.path().join("full-range-i8.tif");
    std::fs::write(&src, file).unwrap();
    let src = src.to_str().unwrap();
    let run = run(&[
        "clip",
        src,
        out.to_str().unwrap(),
        "--bbox",
        "0,0,16,16",
        "--cutline-crs",
        "source",
        "--json",
    ]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["nodata"]["internal_mask"], true, "{report:#}");
    assert_eq!(report["nodata"]["value"], serde_json::Value::Null);
    assert!(String::from_utf8_lossy(&run.stderr).contains("internal mask"));
    assert_eq!(report["pixels"]["valid"], 256);
}

#[test]
fn help_completions_and_the_manual_page_are_made() {
    for args in [&["--help"][..], &["clip", "--help"], &["man"], &["completions", "bash"], &["--version"]] {
        let out = run(args);
        assert!(out.status.success() && !out.stdout.is_empty(), "{args:?}");
    }
    let help = String::from_utf8(run(&["clip", "--help"]).stdout).unwrap();
    for word in ["Examples:", "Exit codes:", "--cutline-crs", "--all-touched", "--overwrite"] {
        assert!(help.contains(word), "{word}");
    }
}

/// The examples of `--help`, run as they stand there: in a folder that holds what they name, against a server of our own
/// in place of the web and the bucket.
#[cfg(feature = "cloud")]
#[test]
fn the_examples_of_the_help_work() {
    let server = crate::server::Server::start();
    let folder = tempfile::tempdir().unwrap();
    let scene = std::fs::read(testdata("sample/scene.tif")).unwrap();
    for path in ["/dem.tif", "/bucket/B04.tif"] {
        server.put(path, scene.clone());
    }
    std::fs::write(folder.path().join("scene.tif"), scene).unwrap();
    std::fs::copy(testdata("sample/field.geojson"), folder.path().join("field.geojson")).unwrap();
    let help = String::from_utf8(run(&["clip", "--help"]).stdout).unwrap();
    let examples: Vec<_> = help.lines().filter_map(|line| line.trim().strip_prefix("cogclip ")).collect();
    assert_eq!(examples.len(), 5, "{help}");
    for example in examples {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cogclip"));
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.args(example.split(' ').map(|word| word.replace("https://example.com", &server.url())));
        for (key, value) in server.options() {
            command.arg("--store-option").arg(format!("{key}={value}"));
        }
        let out = command.output().unwrap();
        assert!(out.status.success(), "{example}: {}", String::from_utf8_lossy(&out.stderr));
    }
    assert!(folder.path().join("field.tif").exists() && folder.path().join("box.tif").exists());
    assert!(folder.path().join("out/field.tif").exists());
    assert!(server.get("/bucket/dem.tif").is_some_and(|bytes| bytes.starts_with(b"II*")));
}

/// What the script vectors.py compares with OGR and rasterio, here in small: which features make the cutline.
#[test]
fn features_are_chosen_and_split() {
    const TWO: &str = r#"{"type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
        "features": [
            {"type": "Feature", "id": "west/1", "properties": {"name": "a b", "n": 1, "none": null},
             "geometry": {"type": "Polygon", "coordinates": [[[471000,5270000],[471050,5270000],[471050,5270030],[471000,5270030],[471000,5270000]]]}},
            {"type": "Feature", "id": 7, "properties": {"name": "../c", "n": 2},
             "geometry": {"type": "Polygon", "coordinates": [[[480000,5270000],[480020,5270000],[480020,5270020],[480000,5270020],[480000,5270000]]]}},
            {"type": "Feature", "properties": {"name": "nowhere", "n": 3}, "geometry": null}]}"#;
    let (folder, out) = folder();
    let (src, out) = (testdata("sample/scene.tif"), out.to_str().unwrap());
    let report = |args: &[&str]| -> serde_json::Value {
        let run = run(&[&["clip", &src], args, &["--json", "--overwrite"]].concat());
        assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
        serde_json::from_slice(&run.stdout).unwrap()
    };
    // Pixels of 10 m: 5 x 3 and 2 x 2 of them.
    let inside =
        |more: &[&str]| report(&[&[out, "--cutline", TWO], more].concat())["pixels"]["inside"].clone();
    assert_eq!(inside(&[]), 19);
    assert_eq!(inside(&["--where", "n=2"]), 4);
    assert_eq!(inside(&["--where", "n<5", "--where", "name='a b'"]), 15);
    assert_eq!(inside(&["--fid", "7"]), 4);
    check(&["clip", &src, out, "--cutline", TWO, "--where", "m=2", "--overwrite"], 2, "it has n, name, none");
    check(&["clip", &src, out, "--cutline", TWO, "--where", "n", "--overwrite"], 2, "operator");
    check(&["clip", &src, out, "--cutline", TWO, "--fid", "8", "--overwrite"], 2, "--fid 8");
    check(&["clip", &src, out, "--cutline", TWO, "--split", "--overwrite"], 2, "tell the outputs apart");
    check(&["clip", &src, out, "--cutline", TWO, "--layer", "x", "--overwrite"], 2, "layer");
    let split =
        report(&[&format!("{}/x/{{id}}-{{name}}.tif", folder.path().display()), "--cutline", TWO, "--split"]);
    assert_eq!(
        (&split["outputs"][0]["pixels"]["inside"], &split["outputs"][1]["pixels"]["inside"]),
        (&15.into(), &4.into())
    );
    assert_eq!(split["skipped"], serde_json::json!(["feature 2"]));
    let mut names: Vec<_> = std::fs::read_dir(folder.path().join("x"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["7-_._c.tif", "west_1-a_b.tif"]);
    let same = format!("{}/{{none}}.tif", folder.path().display());
    check(&["clip", &src, &same, "--cutline", TWO, "--split"], 2, "no value for `none`");
    let same = format!("{}/{{block}}.tif", folder.path().display());
    check(&["clip", &src, &same, "--cutline", TWO, "--split"], 2, "no property `block`");
    let same = format!("{}/same-{{n}}.tif", folder.path().display());
    let twice = TWO.replace("\"n\": 2", "\"n\": 1");
    check(&["clip", &src, &same, "--cutline", &twice, "--split"], 2, "same destination");
    assert!(!folder.path().join("same-1.tif").exists(), "nothing is written before all names are known");
}

#[test]
fn invalid_polygons_are_counted_or_refused() {
    let (_folder, out) = folder();
    let (src, out) = (testdata("sample/scene.tif"), out.to_str().unwrap());
    let bow = "POLYGON((471000 5270000,471040 5270040,471040 5270000,471000 5270040,471000 5270000))";
    let args = ["clip", &src, out, "--cutline", bow, "--cutline-crs", "source"];
    let run = run(&[&args[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["cutline"]["repairs"]["self_intersections"], 1, "{report}");
    check(&[&args[..], &["--strict", "--overwrite"]].concat(), 2, "(471020, 5270020)");
    check(&["clip", &src, out, "--cutline", "POINT(1 2)", "--cutline-crs", "source"], 2, "Point");
    check(
        &["clip", &src, out, "--cutline", "CIRCULARSTRING(0 0,1 1,2 0)", "--cutline-crs", "source"],
        4,
        "CIRCULARSTRING",
    );
    check(
        &["clip", &src, out, "--cutline", "POLYGON((0 0,nan 1,1 1,0 0))", "--cutline-crs", "source"],
        3,
        "nan",
    );
}

#[test]
fn coverage_decides_and_is_a_band() {
    let (_folder, out) = folder();
    let (src, out) = (testdata("sample/scene.tif"), out.to_str().unwrap());
    // A pixel of 10 m, and a quarter, a half and a quarter of its neighbours.
    let square = "POLYGON((471005 5270005,471025 5270005,471025 5270020,471005 5270020,471005 5270005))";
    let args = ["clip", &src, out, "--cutline", square, "--cutline-crs", "source", "--json", "--overwrite"];
    for (more, inside) in [
        (&["--min-coverage", "1"][..], 1),
        (&["--min-coverage", "0.5"], 4),
        (&["--min-coverage", "0.25", "--coverage-band"], 6),
        (&["--min-coverage", "0.25", "--invert"], 0),
    ] {
        let run = run(&[&args[..], more].concat());
        let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(report["pixels"]["inside"], inside, "{more:?}");
        assert_eq!(report["bands"], if more.contains(&"--coverage-band") { 4 } else { 3 });
    }
    check(&[&args[..], &["--min-coverage", "0"]].concat(), 2, "0");
    check(&[&args[..], &["--min-coverage", "1.5"]].concat(), 2, "1.5");
    check(&[&args[..], &["--min-coverage", "0.5", "--all-touched"]].concat(), 2, "--all-touched");
}

/// Findings of a review: what was taken without a word.
#[test]
fn nothing_is_taken_that_cannot_be_meant() {
    let (_folder, out) = folder();
    let (src, out) = (testdata("sample/scene.tif"), out.to_str().unwrap());
    let clip = |cutline: &str, more: &[&str], code: i32, says: &str| {
        check(&[&["clip", &src, out, "--cutline", cutline, "--overwrite"], more].concat(), code, says);
    };
    let polygon = |ring: &str| format!(r#"{{"type":"Polygon","coordinates":[[{ring}]]}}"#);
    // A latitude beyond the pole; UTM coordinates in GeoJSON that does not say so; a longitude beyond any turn.
    clip(&polygon("[14.6,47.5],[14.7,47.5],[14.65,95],[14.6,47.5]"), &[], 2, "(14.65, 95)");
    clip(
        &polygon("[471000,5270000],[472000,5270000],[472000,5271000],[471000,5270000]"),
        &[],
        2,
        "--cutline-crs",
    );
    clip(&polygon("[14.6,47.5],[1500,47.5],[14.65,47.6],[14.6,47.5]"), &[], 2, "(1500, 47.5)");
    clip("POLYGON EMPTY", &["--cutline-crs", "source"], 2, "null or empty");
    check(
        &["clip", &src, out, "--bbox", "0,0,1,1", "--cutline-crs", "source", "--where", "a=1"],
        2,
        "--bbox",
    );
    check(&["clip", &src, out, "--bbox", "0,0,1,1", "--cutline-crs", "source", "--fid", "1"], 2, "--bbox");
    // Features beside the raster are no overlap, with an index as without.
    for file in ["vector/indexed.fgb", "vector/polygons.geojson"] {
        clip(&testdata(file), &["--cutline-crs", "EPSG:32633"], 8, "do not overlap");
        clip(&testdata(file), &["--cutline-crs", "EPSG:32633", "--on-empty", "skip"], 0, "");
    }
    clip(&testdata("vector/indexed.fgb"), &["--fid", "0,99999"], 2, "--fid 99999");
    // An id and a place that meet are not one feature.
    let two = r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","id":1,"properties":{},"geometry":{"type":"Polygon","coordinates":[[[471000,5270000],[471050,5270000],[471050,5270030],[471000,5270030],[471000,5270000]]]}},
        {"type":"Feature","properties":{},"geometry":{"type":"Polygon","coordinates":[[[480000,5270000],[480020,5270000],[480020,5270020],[480000,5270020],[480000,5270000]]]}}]}"#;
    for (fid, inside) in [("1", 15), ("2", 4)] {
        let run = run(&[
            "clip",
            &src,
            out,
            "--cutline",
            two,
            "--cutline-crs",
            "source",
            "--fid",
            fid,
            "--overwrite",
            "--json",
        ]);
        let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(report["pixels"]["inside"], inside, "{fid}");
    }
}
