//! `cogclip batch`: what becomes of each row, and what a second run makes of the first one's record.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).to_str().unwrap().to_owned()
}

struct Work {
    folder: tempfile::TempDir,
}

impl Work {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn row(&self, dst: &str, more: &Value) -> Value {
        let mut row = json!({
            "src": testdata("sample/scene.tif"),
            "cutline": testdata("sample/field.geojson"),
            "dst": self.path(dst),
        });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    }

    fn manifest(&self, rows: &[Value]) -> String {
        let text: Vec<String> = rows.iter().map(Value::to_string).collect();
        std::fs::write(self.path("manifest.jsonl"), text.join("\n")).unwrap();
        self.path("manifest.jsonl")
    }

    /// Lines of status, by item.
    fn lines(text: &[u8]) -> Vec<Value> {
        let mut lines: Vec<Value> = text
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        lines.sort_by_key(|line| line["item"].as_u64());
        lines
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cogclip"))
        .arg("batch")
        .args(args)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn runs(args: &[&str], code: i32) -> Output {
    let out = run(args);
    assert_eq!(out.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    out
}

#[test]
fn each_row_ends_as_a_clip_of_its_own_would() {
    let work = Work::new();
    let manifest = work.manifest(&[
        work.row("a.tif", &json!({})),
        work.row("b.tif", &json!({"all_touched": true, "pad": 2})),
        work.row("c.tif", &json!({"src": "/nowhere.tif"})),
        work.row("d.tif", &json!({"cutline": "POLYGON ((0 0, 1 0, 1 1, 0 0))", "cutline_crs": "source"})),
        work.row("e.tif", &json!({"cutline": "POLYGON ((0 0, 1 0, 1 1, 0 0))", "cutline_crs": "source", "on_empty": "skip"})),
        work.row("f.tif", &json!({"cutline": testdata("sample/scene.tif")})),
        work.row("g.tif", &json!({"cutline": serde_json::from_str::<Value>(&std::fs::read_to_string(testdata("sample/field.geojson")).unwrap()).unwrap()})),
    ]);
    let out = runs(&[&manifest], 1);
    let lines = Work::lines(&out.stdout);
    let said: Vec<_> =
        lines.iter().map(|line| (line["status"].as_str().unwrap(), line["exit_code"].as_u64())).collect();
    assert_eq!(
        said,
        [
            ("done", None),
            ("done", None),
            ("failed", Some(5)),
            ("failed", Some(8)),
            ("skipped", None),
            ("failed", Some(4)),
            ("done", None)
        ]
    );
    assert!(lines[2]["error"].as_str().unwrap().contains("/nowhere.tif"), "{}", lines[2]);
    assert_eq!(lines[4]["reason"], "no overlap");
    let summary = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(summary.contains("7 items: 3 done, 1 skipped, 3 failed;"), "{summary}");
    // The same bytes as a clip of its own.
    for (name, more) in [("a.tif", vec![]), ("b.tif", vec!["--all-touched", "--pad", "2"])] {
        let alone = work.path("alone.tif");
        let (src, cut) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
        let args = [&["clip", &src, &alone, "--cutline", &cut, "--overwrite"], more.as_slice()].concat();
        let clip = Command::new(env!("CARGO_BIN_EXE_cogclip")).args(args).output().unwrap();
        assert!(clip.status.success());
        assert!(std::fs::read(work.path(name)).unwrap() == std::fs::read(&alone).unwrap(), "{name}");
    }
    for absent in ["c.tif", "d.tif", "e.tif", "f.tif"] {
        assert!(!Path::new(&work.path(absent)).exists(), "{absent}");
    }
}

#[test]
fn rows_of_one_source_share_its_tiles_whatever_their_options_are() {
    let work = Work::new();
    let options = [
        json!({}),
        json!({"all_touched": true, "compress": "zstd", "blocksize": 64}),
        json!({"bands": [1], "no_overviews": true, "level": 6}),
        json!({"overview_resampling": "nearest", "sparse": true, "nodata": "7", "no_crop": true}),
    ];
    let fetched = |rows: &[Value]| {
        let status = work.path("status.jsonl");
        let out = runs(&[&work.manifest(rows), "--status", &status, "--json", "--overwrite"], 0);
        let summary: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(summary["done"], rows.len(), "{summary}");
        summary["bytes"].as_u64().unwrap()
    };
    let rows: Vec<Value> =
        options.iter().enumerate().map(|(n, more)| work.row(&format!("{n}.tif"), more)).collect();
    // The last needs all tiles of the others, and perhaps more.
    let largest = fetched(&rows[3..]);
    let alone: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| {
            fetched(std::slice::from_ref(row));
            std::fs::read(row["dst"].as_str().unwrap()).unwrap()
        })
        .collect();
    assert_eq!(fetched(&rows), largest, "tiles were fetched more than once");
    for (row, alone) in rows.iter().zip(alone) {
        assert!(std::fs::read(row["dst"].as_str().unwrap()).unwrap() == alone, "{row}");
    }
}

#[test]
fn options_for_all_rows_and_of_one() {
    let work = Work::new();
    let manifest = work.manifest(&[
        work.row("a.tif", &json!({})),
        work.row("b.tif", &json!({"pad": 0})),
        work.row(
            "c.tif",
            &json!({"bbox": "463000,5240000,463100,5240100", "cutline": null, "cutline_crs": "source"}),
        ),
    ]);
    let out = runs(&[&manifest, "--pad", "3", "--cutline-crs", "EPSG:4326", "--on-empty", "write"], 0);
    let lines = Work::lines(&out.stdout);
    let width = |n: usize| lines[n]["width"].as_u64().unwrap();
    assert_eq!(width(0), width(1) + 6);
    // What is no option, and what is not for a row, is said before anything is done.
    for (more, says) in [
        (json!({"pads": 1}), "unexpected argument '--pads'"),
        (json!({"bands": "x"}), "invalid value 'x'"),
        (json!({"store_option": "region=x"}), "this is for the whole batch"),
        (json!({"cutline": "-"}), "standard input"),
    ] {
        let manifest = work.manifest(&[work.row("x.tif", &json!({})), work.row("y.tif", &more)]);
        let out = runs(&[&manifest], 2);
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(stderr.contains(says) && stderr.contains("item 1"), "{stderr}");
        assert!(out.stdout.is_empty() && !Path::new(&work.path("x.tif")).exists());
    }
}

#[test]
fn a_further_run_does_what_is_left() {
    let work = Work::new();
    let rows = [
        work.row("a.tif", &json!({})),
        work.row("b.tif", &json!({"src": work.path("later.tif")})),
        work.row("c.tif", &json!({"pad": 1})),
    ];
    let manifest = work.manifest(&rows);
    let status = work.path("status.jsonl");
    let args = [manifest.as_str(), "--status", &status, "--json", "--resume"];
    let summary = |out: &Output| -> Value { serde_json::from_slice(&out.stdout).unwrap() };
    let first = summary(&runs(&args, 1));
    assert_eq!((&first["done"], &first["failed"], &first["already"]), (&json!(2), &json!(1), &json!(0)));
    std::fs::copy(testdata("sample/scene.tif"), work.path("later.tif")).unwrap();
    let before = std::fs::metadata(work.path("a.tif")).unwrap().modified().unwrap();
    let second = summary(&runs(&args, 0));
    assert_eq!((&second["done"], &second["already"]), (&json!(1), &json!(2)));
    // As a kill between publishing and recording leaves it: the output says itself what it is.
    let lines = std::fs::read_to_string(&status).unwrap();
    let kept: Vec<&str> = lines.lines().filter(|line| !line.contains("c.tif")).collect();
    std::fs::write(&status, kept.join("\n")).unwrap();
    let third = summary(&runs(&args, 0));
    assert_eq!((&third["done"], &third["already"]), (&json!(0), &json!(3)));
    let text = std::fs::read(&status).unwrap();
    let found = Work::lines(&text).into_iter().filter(|line| line["found"] == true).count();
    assert_eq!(found, 1);
    assert_eq!(std::fs::metadata(work.path("a.tif")).unwrap().modified().unwrap(), before);
    // A source that has changed: its output is made anew, since it is what was written, and nothing else.
    std::fs::write(work.path("later.tif"), std::fs::read(testdata("sample/scene.tif")).unwrap()).unwrap();
    let changed = summary(&runs(&args, 0));
    assert_eq!((&changed["done"], &changed["already"]), (&json!(1), &json!(2)));
    // Other options, and an output that is no longer what was written: those are done again, and nothing else.
    std::fs::write(work.path("a.tif"), b"something else").unwrap();
    let manifest = work.manifest(&[rows[0].clone(), rows[1].clone(), work.row("c.tif", &json!({"pad": 2}))]);
    let args = [manifest.as_str(), "--status", &status, "--json", "--resume", "--if-exists", "overwrite"];
    let fourth = summary(&runs(&args, 0));
    assert_eq!((&fourth["done"], &fourth["already"]), (&json!(2), &json!(1)));
    let fifth = summary(&runs(&args, 0));
    assert_eq!((&fifth["done"], &fifth["already"]), (&json!(0), &json!(3)));
    // An option for all rows counts as one of each.
    let sixth = summary(&runs(&[args.as_slice(), &["--sparse"]].concat(), 0));
    assert_eq!((&sixth["done"], &sixth["already"]), (&json!(3), &json!(0)));
}

#[test]
fn what_exists_is_kept_unless_told_otherwise() {
    let work = Work::new();
    std::fs::write(work.path("a.tif"), b"mine").unwrap();
    let manifest = work.manifest(&[work.row("a.tif", &json!({})), work.row("b.tif", &json!({}))]);
    let first = Work::lines(&runs(&[&manifest, "-q"], 1).stdout);
    assert_eq!((&first[0]["status"], &first[0]["exit_code"]), (&json!("failed"), &json!(9)));
    assert_eq!(first[1]["status"], "done");
    let second = Work::lines(&runs(&[&manifest, "-q", "--if-exists", "skip"], 0).stdout);
    assert_eq!((&second[0]["status"], &second[1]["status"]), (&json!("skipped"), &json!("skipped")));
    assert_eq!(std::fs::read(work.path("a.tif")).unwrap(), b"mine");
    let third = Work::lines(&runs(&[&manifest, "-q", "--if-exists", "overwrite"], 0).stdout);
    assert_eq!((&third[0]["status"], &third[1]["status"]), (&json!("done"), &json!("done")));
    assert!(std::fs::read(work.path("a.tif")).unwrap().len() > 1000);
}

#[test]
fn outputs_are_described_and_a_resumed_run_describes_what_is_not() {
    let work = Work::new();
    let rows = [
        work.row("a.tif", &json!({})),
        work.row("b.tif", &json!({"stac": work.path("named.json")})),
        work.row("c.tif", &json!({"stac": null})),
    ];
    let manifest = work.manifest(&rows);
    let status = work.path("status.jsonl");
    let args = [manifest.as_str(), "--status", &status, "--stac", "auto", "--resume", "-q"];
    runs(&args, 0);
    let item = |name: &str| -> Value {
        let text = std::fs::read(work.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        serde_json::from_slice(&text).unwrap()
    };
    for (name, id) in [("a.json", "a"), ("named.json", "b")] {
        let item = item(name);
        assert_eq!(item["id"], id);
        let size = std::fs::metadata(work.path(&format!("{id}.tif"))).unwrap().len();
        assert!(item["assets"].to_string().contains(&format!("\"file:size\":{size}")), "{item}");
    }
    assert!(!Path::new(&work.path("c.json")).exists());
    // A run that was killed between an output and its Item, with and without a record of the output.
    std::fs::remove_file(work.path("a.json")).unwrap();
    runs(&args, 0);
    assert_eq!(item("a.json")["id"], "a");
    std::fs::remove_file(work.path("a.json")).unwrap();
    std::fs::remove_file(&status).unwrap();
    let made = std::fs::metadata(work.path("b.tif")).unwrap().modified().unwrap();
    runs(&args, 0);
    assert_eq!(item("a.json")["id"], "a");
    assert_eq!(std::fs::metadata(work.path("b.tif")).unwrap().modified().unwrap(), made);
    // An Item that exists is as good as an output that does, and is looked for before the work.
    let other = work.manifest(&[work.row("d.tif", &json!({"stac": work.path("named.json")}))]);
    let lines = Work::lines(&runs(&["-q", &other], 1).stdout);
    assert_eq!(lines[0]["exit_code"], 9, "{}", lines[0]);
    assert!(!Path::new(&work.path("d.tif")).exists());
}

#[test]
fn what_it_would_take_is_said_without_doing_it() {
    let work = Work::new();
    let manifest =
        work.manifest(&[work.row("a.tif", &json!({})), work.row("b.tif", &json!({"src": "/nowhere"}))]);
    let out = runs(&[&manifest, "--dry-run"], 1);
    let lines = Work::lines(&out.stdout);
    assert_eq!((&lines[0]["status"], &lines[1]["status"]), (&json!("planned"), &json!("failed")));
    let (src, cut) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
    let plan = Command::new(env!("CARGO_BIN_EXE_cogclip"))
        .args(["plan", &src, "--cutline", &cut, "--json"])
        .output()
        .unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!((&lines[0]["requests"], &lines[0]["bytes"]), (&plan["requests"], &plan["bytes"]));
    assert!(!Path::new(&work.path("a.tif")).exists());
    // Altogether, headers count, and a tile that two rows need does once: it is what the run then takes.
    let manifest = work.manifest(&[
        work.row("a.tif", &json!({})),
        work.row("b.tif", &json!({"all_touched": true, "align_tiles": true})),
    ]);
    let status = work.path("status.jsonl");
    let sums = |more: &[&str]| -> Value {
        let out = runs(&[&[&*manifest, "--status", &status, "--json"], more].concat(), 0);
        serde_json::from_slice(&out.stdout).unwrap()
    };
    let (dry, wet) = (sums(&["--dry-run"]), sums(&[]));
    assert_eq!((&dry["planned"], &wet["done"]), (&json!(2), &json!(2)));
    assert_eq!((&dry["requests"], &dry["bytes"]), (&wet["requests"], &wet["bytes"]));
    std::fs::remove_file(work.path("a.tif")).unwrap();
    let manifest = work.manifest(&[work.row("a.tif", &json!({}))]);
    let dry = runs(&[&manifest, "--status", &status, "--json", "--dry-run"], 0);
    let dry: Value = serde_json::from_slice(&dry.stdout).unwrap();
    let most = dry["bytes"].as_u64().unwrap();
    assert!(most >= plan["bytes"].as_u64().unwrap(), "{dry}");
    let out = runs(&[&manifest, "--max-bytes", &(most - 1).to_string()], 6);
    assert!(String::from_utf8_lossy(&out.stderr).contains("more than --max-bytes"));
    assert!(!Path::new(&work.path("a.tif")).exists());
    runs(&[&manifest, "--max-bytes", &most.to_string()], 0);
    assert!(Path::new(&work.path("a.tif")).exists());
}

#[test]
fn nothing_more_is_begun_after_a_failure_if_so_asked() {
    let work = Work::new();
    let rows: Vec<Value> = (0..20)
        .map(|n| work.row(&format!("{n}.tif"), &json!({"src": format!("/nowhere/{n}.tif")})))
        .collect();
    let manifest = work.manifest(&rows);
    assert_eq!(Work::lines(&runs(&[&manifest, "-q"], 1).stdout).len(), 20);
    let out = runs(&[&manifest, "--jobs", "1", "--fail-fast"], 1);
    assert_eq!(Work::lines(&out.stdout).len(), 1);
    assert!(String::from_utf8_lossy(&out.stderr).contains("1 failed, 19 left"));
}

#[test]
fn manifests_come_as_csv_too_and_from_standard_input() {
    use std::io::Write;
    let work = Work::new();
    let (src, cut) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
    let text = format!(
        "src,cutline,dst,all_touched\n{src},{cut},{},true\n{src},{cut},{},\n",
        work.path("a.tif"),
        work.path("b.tif")
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_cogclip"))
        .args(["batch", "-", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    let lines = Work::lines(&out.stdout);
    assert!(lines[0]["inside"].as_u64() > lines[1]["inside"].as_u64(), "{lines:?}");
    for (text, says) in
        [("", "has no row"), ("src,dst\n", "has no row"), ("{\"src\": 1}\n", "line 1: the row has no src")]
    {
        std::fs::write(work.path("bad"), text).unwrap();
        let out = runs(&[&work.path("bad")], 2);
        assert!(String::from_utf8_lossy(&out.stderr).contains(says), "{text:?}");
    }
}

#[test]
fn patterns_and_features_are_many_items() {
    let work = Work::new();
    for name in ["one.tif", "two.tif", "three.TIF", "other.txt"] {
        std::fs::copy(testdata("sample/scene.tif"), work.path(name)).unwrap();
    }
    let cut = testdata("sample/field.geojson");
    let (pattern, dst) = (work.path("*.tif"), work.path("out/{stem}_clip.tif"));
    let names = |lines: &[Value]| -> Vec<String> {
        lines
            .iter()
            .map(|line| line["dst"].as_str().unwrap().rsplit('/').next().unwrap().to_owned())
            .collect()
    };
    let done = Work::lines(&runs(&["-q", "--src", &pattern, "--dst", &dst, "--cutline", &cut], 0).stdout);
    assert_eq!(names(&done), ["one_clip.tif", "two_clip.tif"]);
    // Each feature of each source, named by both.
    std::fs::write(work.path("list"), format!("{}\n\n{}\n", work.path("one.tif"), work.path("two.tif")))
        .unwrap();
    let features = json!({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"name": "a/b"}, "geometry": field()},
        {"type": "Feature", "properties": {"name": "c"}, "geometry": field()},
    ]});
    std::fs::write(work.path("two.geojson"), features.to_string()).unwrap();
    let (list, both, dst) =
        (work.path("list"), work.path("two.geojson"), work.path("split/{stem}-{name}.tif"));
    let args = ["-q", "--src-list", &list, "--dst", &dst, "--cutline", &both, "--split"];
    let done = Work::lines(&runs(&args, 0).stdout);
    assert_eq!(names(&done), ["one-a_b.tif", "one-c.tif", "two-a_b.tif", "two-c.tif"]);
    assert!(Path::new(&work.path("split/two-c.tif")).exists());
    for (args, says) in [
        (vec!["--src", &work.path("*.nothing"), "--dst", &dst, "--cutline", &cut], "nothing matches"),
        (vec!["--src", &pattern, "--dst", &work.path("same.tif"), "--cutline", &cut], "tell them apart"),
        (vec!["--src", &pattern, "--cutline", &cut], "--dst"),
    ] {
        let out = runs(&args.iter().map(|arg| &**arg).collect::<Vec<_>>(), 2);
        assert!(
            String::from_utf8_lossy(&out.stderr).contains(says),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

/// The sample's polygon.
fn field() -> Value {
    let text = std::fs::read_to_string(testdata("sample/field.geojson")).unwrap();
    let collection: Value = serde_json::from_str(&text).unwrap();
    collection["features"][0]["geometry"].clone()
}

#[test]
fn assets_of_stac_are_many_items_and_the_file_counts() {
    let work = Work::new();
    std::fs::copy(testdata("sample/scene.tif"), work.path("B04.tif")).unwrap();
    let item = |id: &str, code: &str, nodata: Value| {
        json!({
            "type": "Feature", "stac_version": "1.1.0", "id": id, "geometry": null, "links": [],
            "properties": {"datetime": "2024-05-01T00:00:00Z"},
            "assets": {
                "B04": {"href": "./B04.tif", "type": "image/tiff; application=geotiff", "proj:code": code, "data_type": "uint8", "nodata": nodata},
                "thumbnail": {"href": "./t.png", "type": "image/png", "roles": ["thumbnail"]},
            },
        })
    };
    let items = json!({"type": "FeatureCollection", "features": [item("x", "EPSG:32633", json!(null)), item("y", "EPSG:32632", json!(77))]});
    std::fs::write(work.path("items.json"), items.to_string()).unwrap();
    for (src, expected) in [("items.json", 2), ("items.json#asset=B04", 2)] {
        let manifest = work.manifest(&[work.row("{item}-{asset}.tif", &json!({"src": work.path(src)}))]);
        let done = Work::lines(&runs(&["-q", &manifest, "--if-exists", "overwrite"], 0).stdout);
        assert_eq!(done.len(), expected);
        assert!(Path::new(&work.path("x-B04.tif")).exists() && Path::new(&work.path("y-B04.tif")).exists());
        let warnings = |line: &Value| line["warnings"].to_string();
        assert!(!warnings(&done[0]).contains("STAC"), "{}", done[0]);
        for said in ["says EPSG:32632, the file EPSG:32633", "says nodata 77, the file "] {
            assert!(warnings(&done[1]).contains(said), "{said}: {}", done[1]);
        }
    }
    let manifest =
        work.manifest(&[work.row("{item}.tif", &json!({"src": work.path("items.json#asset=B99")}))]);
    let out = runs(&["-q", &manifest], 2);
    assert!(String::from_utf8_lossy(&out.stderr).contains("B99"), "{}", String::from_utf8_lossy(&out.stderr));
}
