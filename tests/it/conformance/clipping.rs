//! A clip from bucket to bucket by the binary: the same bytes as from file to file.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::backend::Backend;
use super::metadata_services;

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).to_str().unwrap().to_owned()
}

/// Runs the binary with these store options, or else the backend's own.
pub(crate) fn cogclip(backend: &dyn Backend, args: &[&str], pairs: &[(String, String)]) -> Output {
    let own = backend.pairs();
    let pairs = if pairs.is_empty() { &own } else { pairs };
    let mut command = Command::new(env!("CARGO_BIN_EXE_cogclip"));
    command.args(args);
    for (key, value) in pairs {
        command.arg("--store-option").arg(format!("{key}={value}"));
    }
    // What the environment of the tests holds must not change what they find.
    command.env_clear().envs(metadata_services::environment());
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
}

/// What the clip is from file to file.
fn expected(backend: &dyn Backend) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.tif");
    let (src, cutline) = (testdata("sample/scene.tif"), testdata("sample/field.geojson"));
    let args = ["clip", &src, path.to_str().unwrap(), "--cutline", &cutline, "--no-provenance"];
    succeeds(&cogclip(backend, &args, &[]));
    std::fs::read(path).unwrap()
}

/// A read-only backend's clips go to a file.
fn destination(backend: &dyn Backend, key: &str, folder: &Path) -> (String, bool) {
    let uri = backend.uri(key);
    if uri.starts_with("http") {
        (folder.join("out.tif").to_str().unwrap().to_owned(), true)
    } else {
        (uri, false)
    }
}

/// Raster and cutline from there, the output to there, and a second time it exists.
pub(crate) async fn same_bytes_as_local(backend: &dyn Backend) {
    backend.put("in/scene one.tif", &std::fs::read(testdata("sample/scene.tif")).unwrap());
    backend.put("in/field.geojson", &std::fs::read(testdata("sample/field.geojson")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (dst, local) = destination(backend, "out/clip one.tif", folder.path());
    let (src, cutline) = (backend.uri("in/scene one.tif"), backend.uri("in/field.geojson"));
    let args = ["clip", &src, &dst, "--cutline", &cutline, "--json", "--no-provenance"];
    let output = cogclip(backend, &args, &[]);
    succeeds(&output);
    let got = if local {
        std::fs::read(&dst).unwrap()
    } else {
        backend.get("out/clip one.tif").expect("the output").bytes.to_vec()
    };
    assert!(got == expected(backend), "{} bytes differ from the local clip", got.len());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["output"]["size"], got.len());
    if !local {
        let etag = backend.get("out/clip one.tif").unwrap().etag;
        assert_eq!(report["output"]["etag"].as_str().unwrap_or_default(), etag);
        assert_eq!(backend.leftovers(), [""; 0]);
    }
    let again = cogclip(backend, &args, &[]);
    assert_eq!(again.status.code(), Some(9), "{}", String::from_utf8_lossy(&again.stderr));
}

/// What the user says of the output is stored with it.
pub(crate) async fn user_metadata(backend: &dyn Backend) {
    backend.put("in/scene.tif", &std::fs::read(testdata("sample/scene.tif")).unwrap());
    let (src, dst) = (backend.uri("in/scene.tif"), backend.uri("out/with metadata.tif"));
    let cutline = testdata("sample/field.geojson");
    let args =
        ["clip", &src, &dst, "--cutline", &cutline, "--metadata", "owner=survey", "--metadata", "run=7 of 9"];
    succeeds(&cogclip(backend, &args, &[]));
    let found = backend.get("out/with metadata.tif").expect("the output");
    let value = |name: &str| found.metadata.get(name).map(String::as_str);
    assert_eq!((value("owner"), value("run")), (Some("survey"), Some("7 of 9")), "{:?}", found.metadata);
}
