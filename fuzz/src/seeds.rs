//! Inputs to start from, made of testdata/ by the targets themselves: a target that finds `COGCLIP_FUZZ_SEEDS` writes
//! its own into that folder and ends.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

/// Writes what `make` makes if that is what the target was started for.
pub fn write(make: impl Fn() -> Vec<Vec<u8>>) {
    let Some(folder) = env::var_os("COGCLIP_FUZZ_SEEDS").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).expect("the folder of the seeds can be made");
    let seeds = make();
    for (at, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{at:04}")), seed).expect("a seed can be written");
    }
    println!("{} seeds", seeds.len());
    process::exit(0);
}

/// A file of testdata/.
pub fn testdata(name: &str) -> Vec<u8> {
    let path = root().join(name);
    fs::read(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
}

/// The lines of a table in testdata/, as words.
pub fn table(name: &str) -> Vec<Vec<String>> {
    let text = String::from_utf8(testdata(name)).expect("tables are text");
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The files below a folder of testdata/ whose name ends so, by name.
pub fn files(folder: &str, end: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(root().join(folder)).expect("testdata can be listed");
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths.retain(|path| path.to_string_lossy().ends_with(end));
    paths.iter().map(|path| fs::read(path).expect("testdata can be read")).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}
