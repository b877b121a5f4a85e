//! The rules of ARCHITECTURE.md, held against the text of `src/`.
//!
//! [`violations`] is a function from a file's path and text to what is wrong with it. The last tests plant a
//! violation of each rule and see it found, so that a rule that finds nothing is known to be obeyed, not asleep.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const EVERYTHING_ABOVE: &str = "all of the above";

/// Module, what it may import besides `error`, and its kind. Only `pure` forbids `async`. The same table stands
/// in ARCHITECTURE.md; `the_document_has_the_same_table` compares them.
const TABLE: &[(&str, &[&str], &str)] = &[
    ("error", &[], "pure"),
    ("limits", &["limits"], "pure"),
    ("grid", &["limits"], "pure"),
    ("sample", &["limits"], "pure"),
    ("geo", &["limits", "grid"], "pure"),
    ("observe", &["grid"], "pure"),
    ("tiff", &["limits"], "pure"),
    ("packing", &["sample", "tiff"], "pure"),
    ("tile", &["sample", "grid", "tiff", "packing"], "pure"),
    ("codec", &["limits", "sample", "grid", "tiff", "tile"], "pure"),
    ("predictor", &["limits", "sample", "grid", "tiff", "tile"], "pure"),
    ("vector", &["limits", "geo"], "pure"),
    ("cutline", &["limits", "geo", "grid", "vector"], "pure"),
    ("mask", &["limits", "grid", "geo", "cutline"], "pure"),
    ("options", &["limits", "sample", "geo", "mask", "tiff"], "pure"),
    ("provenance", &[], "pure"),
    ("store", &["limits", "observe"], "I/O"),
    ("source", &["limits", "observe", "store"], "I/O"),
    ("sink", &["limits", "observe", "store", "source"], "I/O"),
    ("header", &["limits", "sample", "grid", "geo", "tiff", "packing", "tile"], "pure"),
    (
        "plan",
        &[
            "limits",
            "sample",
            "grid",
            "geo",
            "tiff",
            "tile",
            "codec",
            "header",
            "cutline",
            "options",
            "mask",
            "provenance",
        ],
        "pure",
    ),
    ("fetch", &["limits", "source", "grid", "tiff", "tile", "header", "plan", "observe"], "I/O"),
    ("layer", &["limits", "geo", "store", "source", "fetch", "vector"], "I/O"),
    ("decode", &["limits", "sample", "grid", "tiff", "packing", "tile", "codec", "predictor"], "pure"),
    ("compose", &["limits", "sample", "grid", "tile", "mask", "header", "plan"], "pure"),
    (
        "encode",
        &[
            "limits",
            "sample",
            "grid",
            "geo",
            "tiff",
            "packing",
            "tile",
            "codec",
            "predictor",
            "header",
            "options",
            "provenance",
            "plan",
            "compose",
        ],
        "pure",
    ),
    ("stac", &["limits", "sample", "grid", "geo", "tiff", "cutline", "header", "plan", "encode"], "pure"),
    ("picture", &["limits", "grid", "geo", "tiff", "cutline", "mask", "header", "plan"], "pure"),
    ("validate", &["limits", "source", "grid", "tiff", "header", "fetch"], "I/O"),
    ("clip", &[EVERYTHING_ABOVE], "orchestration"),
    ("batch", &[EVERYTHING_ABOVE], "orchestration"),
    ("jobs", &["observe", "batch"], "orchestration"),
    ("serve", &["observe", "store", "layer", "clip", "batch", "jobs"], "I/O"),
    ("lambda", &["limits", "observe", "store", "layer", "sink", "clip", "batch", "jobs"], "I/O"),
    (
        "cli",
        &[
            "limits", "sample", "grid", "geo", "observe", "tiff", "vector", "cutline", "mask", "options",
            "store", "source", "sink", "header", "plan", "fetch", "layer", "stac", "validate", "clip",
            "batch", "jobs", "serve", "lambda", "picture",
        ],
        "terminal",
    ),
];

const MAX_LINES: usize = 800;

/// Words that only `cli` may say.
const ONLY_IN_CLI: &[&str] = &[
    "std::env",
    "env::var",
    "env::args",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "process::exit",
    "clap",
];

/// Names at the crate's root that are not modules: re-exports and macros, each with the module it comes from.
type RootNames = BTreeMap<String, String>;

// --- the rules ---------------------------------------------------------------------------------------------

/// What is wrong with one file. `path` is relative to the repository: `src/geo/crs.rs`.
fn violations(path: &str, text: &str, root: &RootNames) -> Vec<String> {
    let mut found = Vec::new();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{lines} lines; more than {MAX_LINES} is more than one concept"));
    }
    if parts.len() > 2 {
        found.push("a folder in a folder; folders are one deep".into());
    }
    if parts.last() == Some(&"mod.rs") {
        found.push("mod.rs; the file beside its folder has the folder's name".into());
    }
    let module = parts[0].trim_end_matches(".rs");
    let code = without_tests(&without_comments_and_strings(text));
    if module != "cli" {
        for word in ONLY_IN_CLI {
            if occurrences(&code, word).next().is_some() {
                found.push(format!("`{word}` outside cli"));
            }
        }
        if first_names(&code, "std::").any(|name| name == "env") && !code.contains("std::env") {
            found.push("`std::{env}` outside cli".into());
        }
    }
    if module == "lib" || module == "main" {
        return found;
    }
    let Some(&(_, allowed, kind)) = TABLE.iter().find(|row| row.0 == module) else {
        found.push(format!("module {module} has no row in the table"));
        return found;
    };
    if kind == "pure" && ["async", "await"].iter().any(|word| occurrences(&code, word).next().is_some()) {
        found.push(format!("async in {module}, which is pure"));
    }
    // From src/x.rs, `super::` is the crate's root; from src/x/y.rs, `super::super::` is.
    let up = "super::".repeat(parts.len());
    let names: BTreeSet<String> = first_names(&code, "crate::").chain(first_names(&code, &up)).collect();
    for name in names {
        let target = root.get(&name).cloned().unwrap_or(name);
        if !may_import(module, allowed, &target) {
            found.push(format!("{module} imports {target}, which the table does not allow"));
        }
    }
    found
}

fn may_import(module: &str, allowed: &[&str], target: &str) -> bool {
    let place = |name: &str| TABLE.iter().position(|row| row.0 == name);
    target == module
        || target == "error"
        || allowed.contains(&target)
        || (allowed.contains(&EVERYTHING_ABOVE) && place(target).is_some_and(|at| Some(at) < place(module)))
}

// --- reading Rust, as far as it takes ------------------------------------------------------------------------

/// The same text with comments, strings and character literals blanked; newlines stay.
fn without_comments_and_strings(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let from = i;
        let fresh = i == 0 || !is_word(at(i - 1));
        let raw = if at(i) == 'b' { i + 1 } else { i };
        let hashes = (raw + 1..chars.len()).take_while(|&j| at(j) == '#').count();
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if fresh && at(raw) == 'r' && at(raw + 1 + hashes) == '"' {
            i = raw + 2 + hashes;
            while i < chars.len() && !(at(i) == '"' && (1..=hashes).all(|j| at(i + j) == '#')) {
                i += 1;
            }
            i += 1 + hashes;
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            out.push(at(i));
            i += 1;
            continue;
        }
        out.extend((from..i.min(chars.len())).map(|j| if at(j) == '\n' { '\n' } else { ' ' }));
    }
    out
}

/// The same code without the items under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find("#[cfg(test)]") {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut depth = 0_usize;
        let end = rest.char_indices().find_map(|(i, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            (depth == 0 && (c == '}' || c == ';')).then_some(i + 1)
        });
        rest = &rest[end.unwrap_or(rest.len())..];
    }
    out + rest
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands by itself: no letter right before it, and, if it ends in one, none right behind.
fn occurrences<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let behind = code[at + word.len()..].chars().next();
        let cut = word.ends_with(is_word) && behind.is_some_and(is_word);
        !cut && !before.is_some_and(is_word)
    })
}

/// The names that come right after `prefix`: of `crate::{a::b, c}` and `crate::d::e`, these are a, c and d.
fn first_names(code: &str, prefix: &str) -> impl Iterator<Item = String> {
    let mut names = Vec::new();
    let word = |text: &str| text.trim_start().chars().take_while(|&c| is_word(c)).collect::<String>();
    for at in occurrences(code, prefix) {
        // `super::super::x` is not `super::` followed by a name.
        if code[..at].ends_with("::") {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let mut depth = 1_usize;
        let mut start = 0;
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                names.push(word(&group[start..i]));
                start = i + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    names.into_iter().filter(|name| !name.is_empty() && name != "super" && name != "self")
}

/// Re-exports of lib.rs and exported macros, each with its module.
fn root_names(files: &[(String, String)]) -> RootNames {
    let mut names = RootNames::new();
    for (path, text) in files {
        let code = without_comments_and_strings(text);
        let module = path.split('/').nth(1).unwrap_or_default().trim_end_matches(".rs");
        for at in occurrences(&code, "macro_rules!") {
            let name: String = code[at + 12..].trim_start().chars().take_while(|&c| is_word(c)).collect();
            names.insert(name, module.into());
        }
        if module == "lib" {
            for statement in code.split(';').filter_map(|s| s.trim().strip_prefix("pub use ")) {
                let (from, list) = statement.split_once("::").unwrap_or((statement, ""));
                for name in list.split(|c: char| !is_word(c)).filter(|name| !name.is_empty()) {
                    names.insert(name.into(), from.trim().into());
                }
            }
        }
    }
    // A module stays itself, whatever a re-export's path runs through.
    for (module, ..) in TABLE {
        names.remove(*module);
    }
    names
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of src/: its path from the repository, and its text.
fn source_files() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder of src/") {
            let path = entry.expect("an entry of src/").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&repository().join("src"), &mut paths);
    paths.sort();
    let named = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
        let inside = path.strip_prefix(repository()).expect("below the repository");
        (inside.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/"), text)
    };
    paths.into_iter().map(named).collect()
}

// --- the source obeys --------------------------------------------------------------------------------------

#[test]
fn the_source_obeys_the_table() {
    let files = source_files();
    assert!(files.len() > 5, "src/ was not found: {} files", files.len());
    let root = root_names(&files);
    let mut report = String::new();
    for (path, text) in &files {
        for violation in violations(path, text, &root) {
            writeln!(report, "{path}: {violation}").expect("a String takes everything");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn the_document_has_the_same_table() {
    type Row = (BTreeSet<String>, String);
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let section = text.split("\n## ").find(|s| s.starts_with("Who may import whom")).expect("its heading");
    let words = |cell: &str| -> BTreeSet<String> {
        // What stands in brackets explains and does not count.
        let plain: String = cell.split('(').map(|s| s.split_once(')').map_or(s, |(_, rest)| rest)).collect();
        plain.split(',').map(|word| word.trim().to_owned()).filter(|word| word != "nothing").collect()
    };
    let mut document: BTreeMap<String, Row> = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [modules, may, kind] = cells[..] else { panic!("not three cells: {line}") };
        for module in words(modules) {
            assert!(document.insert(module, (words(may), kind.into())).is_none(), "two rows: {line}");
        }
    }
    let own = |&(module, may, kind): &(&str, &[&str], &str)| {
        (module.to_owned(), (may.iter().map(|&s| s.to_owned()).collect(), kind.to_owned()))
    };
    assert_eq!(document, TABLE.iter().map(own).collect::<BTreeMap<String, Row>>());
}

// --- each rule is seen to fail -----------------------------------------------------------------------------

#[track_caller]
fn finds(path: &str, text: &str, expected: &[&str]) {
    let root = RootNames::from([
        ("Limits".to_owned(), "limits".to_owned()),
        ("Plan".to_owned(), "plan".to_owned()),
        ("with_sample_type".to_owned(), "sample".to_owned()),
    ]);
    let found = violations(path, text, &root);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
}

#[test]
fn planted_imports_are_found() {
    finds("src/grid.rs", "use crate::limits::Limits;\nuse crate::error::Error;", &[]);
    finds("src/grid.rs", "use crate::geo::Crs;", &["grid imports geo"]);
    finds("src/geo/crs.rs", "use crate::tiff::code;", &["geo imports tiff"]);
    finds("src/plan.rs", "fn f(x: crate::source::Source) {}", &["plan imports source"]);
    finds(
        "src/tile.rs",
        "use crate::{\n    grid::{Size, TileIndex},\n    codec::Codec,\n};",
        &["tile imports codec"],
    );
    finds("src/tile.rs", "use super::codec::Codec;", &["tile imports codec"]);
    finds(
        "src/geo/crs.rs",
        "use super::keys::GeoKeys;\nuse super::super::plan::Plan;",
        &["geo imports plan"],
    );
    finds("src/sample.rs", "use crate::Limits;", &[]);
    finds("src/sample.rs", "use crate::Plan;", &["sample imports plan"]);
    finds("src/tiff.rs", "crate::with_sample_type!(x);", &["tiff imports sample"]);
    finds("src/clip.rs", "use crate::encode::Encoder;\nuse crate::cli::Args;", &["clip imports cli"]);
    finds("src/cli/args.rs", "use crate::codec::Codec;", &["cli imports codec"]);
    finds("src/error.rs", "use crate::limits::Limits;", &["error imports limits"]);
    finds("src/stray.rs", "", &["no row"]);
}

#[test]
fn tests_comments_and_strings_may_say_anything() {
    finds(
        "src/grid.rs",
        "/// [`crate::plan::Plan`]\n// println!\n/* async /* clap */ clap */ fn f() {}",
        &[],
    );
    finds(
        "src/grid.rs",
        "const A: &str = \"async \\\" println!\"; const B: &str = r#\"crate::plan \" \"#;",
        &[],
    );
    finds(
        "src/grid.rs",
        "#[cfg(test)]\nmod tests {\n    use crate::plan::Plan;\n    fn f() { println!(); }\n}\n",
        &[],
    );
    finds("src/grid.rs", "#[cfg(test)]\nmod tests { }\nuse crate::plan::Plan;", &["grid imports plan"]);
    finds("src/grid.rs", "const Q: char = '\"'; fn f<'a>(x: &'a str) { println!() }", &["println!"]);
}

#[test]
fn planted_async_is_found() {
    finds("src/header.rs", "pub async fn read() {}", &["async in header"]);
    finds("src/header.rs", "pub fn read() { x.await }", &["async in header"]);
    finds("src/header.rs", "pub fn asynchronous() {}", &[]);
    finds("src/fetch.rs", "pub async fn read() {}", &[]);
}

#[test]
fn planted_length_and_depth_are_found() {
    finds("src/grid.rs", &"\n".repeat(MAX_LINES), &[]);
    finds("src/grid.rs", &"\n".repeat(MAX_LINES + 1), &["801 lines"]);
    finds("src/geo/crs/epsg.rs", "", &["folder in a folder"]);
    finds("src/geo/mod.rs", "", &["mod.rs"]);
}

#[test]
fn planted_terminal_and_environment_are_found() {
    finds("src/clip.rs", "fn f() { println!(\"x\") }", &["`println!` outside cli"]);
    finds("src/clip.rs", "fn f() { eprintln!(\"x\") }", &["`eprintln!` outside cli"]);
    finds("src/source.rs", "use std::env;", &["`std::env` outside cli"]);
    finds("src/source.rs", "use std::{env, fs};", &["`std::{env}` outside cli"]);
    finds("src/source.rs", "fn f() { std::process::exit(1) }", &["`process::exit` outside cli"]);
    finds("src/options.rs", "use clap::Parser;", &["`clap` outside cli"]);
    finds("src/options.rs", "const V: &str = env!(\"CARGO_PKG_VERSION\");", &[]);
    finds("src/cli/args.rs", "use clap::Parser; use std::env; fn f() { println!() }", &[]);
}
