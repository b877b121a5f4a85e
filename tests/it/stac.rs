//! `clip --stac` as a person or a script meets it. What is in an Item, scripts/stac.py compares with rasterio, pyproj and pystac.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cogclip::Limits;
use cogclip::stac::{Selector, read};

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).to_str().unwrap().to_owned()
}

/// A clip of the sample scene to `out.tif` in a folder, with further words.
fn clip(folder: &Path, src: &str, more: &[&str]) -> Output {
    let out = folder.join("out.tif");
    let cut = testdata("sample/field.geojson");
    Command::new(env!("CARGO_BIN_EXE_cogclip"))
        .args(["clip", src, out.to_str().unwrap(), "--cutline", &cut, "--quiet"])
        .args(more)
        .current_dir(folder)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = names.map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect();
    names.sort();
    names
}

#[track_caller]
fn fails(done: &Output, code: i32, says: &str) {
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(says), "{stderr}");
    assert_eq!(stderr.trim().lines().count(), 1, "{stderr}");
}

#[test]
fn an_item_describes_the_output_and_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let scene = testdata("sample/scene.tif");
    let done = clip(folder.path(), &scene, &["--stac", "auto"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read(folder.path().join("out.json")).unwrap();
    let item: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let size = std::fs::metadata(folder.path().join("out.tif")).unwrap().len();
    assert_eq!(item["assets"]["data"]["file:size"], size);
    assert_eq!(item["links"][0]["rel"], "derived_from");
    assert_eq!(item["links"][0]["href"], format!("file://{scene}"));
    // The asset, found from where the Item lies, is the output, and what is claimed of it is so.
    let place = folder.path().join("out.json");
    let search = read(&text, place.to_str().unwrap(), &Selector::Rasters, &Limits::default()).unwrap();
    let [raster] = search.assets.as_slice() else { panic!("{search:?}") };
    assert_eq!(raster.href, folder.path().join("out.tif").to_str().unwrap());
    assert_eq!((raster.item.as_str(), raster.key.as_str()), ("out", "data"));
    // Grid and CRS as gdalinfo has them.
    assert_eq!((raster.code.as_deref(), raster.shape), (Some("EPSG:32633"), Some([646, 882])));
    assert_eq!(raster.transform, Some([10.0, 0.0, 471_190.0, 0.0, -10.0, 5_274_110.0]));
    assert_eq!(raster.bands.len(), 3);
    assert_eq!(raster.bands[0].data_type.as_deref(), Some("uint8"));
}

#[test]
fn an_item_that_exists_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let scene = testdata("sample/scene.tif");
    let item = folder.path().join("item.json");
    std::fs::write(&item, "mine").unwrap();
    fails(&clip(folder.path(), &scene, &["--stac", "item.json"]), 9, "item.json exists");
    assert_eq!(files(folder.path()), [Path::new("item.json")]);
    assert_eq!(std::fs::read(&item).unwrap(), b"mine");
    let done = clip(folder.path(), &scene, &["--stac", "item.json", "--overwrite"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_ne!(std::fs::read(&item).unwrap(), b"mine");
}

#[test]
fn there_is_no_item_without_an_output() {
    let folder = tempfile::tempdir().unwrap();
    let scene = testdata("sample/scene.tif");
    fails(&clip(folder.path(), &scene, &["--stac", "./out.tif"]), 2, "is the output itself");
    fails(&clip(folder.path(), &scene, &["--stac", "https://h/i.json"]), 2, "read only");
    let far = testdata("crs-epsg5070-u8.tif");
    fails(&clip(folder.path(), &far, &["--stac", "auto"]), 8, "overlap");
    let skipped = clip(folder.path(), &far, &["--stac", "auto", "--on-empty", "skip"]);
    assert!(skipped.status.success(), "{}", String::from_utf8_lossy(&skipped.stderr));
    assert!(files(folder.path()).is_empty(), "{:?}", files(folder.path()));
}
