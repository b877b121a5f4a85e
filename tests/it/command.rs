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
    assert_eq!(examples.len(), 4, "{help}");
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
    assert!(server.get("/bucket/dem.tif").is_some_and(|bytes| bytes.starts_with(b"II*")));
}
