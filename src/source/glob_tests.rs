//! Patterns against what Python's fnmatch and glob match (scripts/glob_truth.py), and what is our own about them.

use std::collections::BTreeMap;
use std::path::Path;

use futures::TryStreamExt as _;
use serde::Deserialize;

use super::glob::{expand, is_pattern};
use super::pattern::{Pattern, escape, is_wild};
use super::walk::Walk;
use crate::error::{Error, ErrorKind, Result};
use crate::store::StoreOptions;

/// Python 3.13's answers.
#[derive(Deserialize)]
struct Truth {
    names: Vec<String>,
    matched: Vec<(String, Vec<usize>)>,
    files: Vec<String>,
    links: Vec<(String, String)>,
    paths: Vec<(String, Vec<String>)>,
    keys: Vec<(String, Vec<String>)>,
}

fn truth() -> Truth {
    serde_json::from_str(include_str!("../../testdata/source/patterns.json")).unwrap()
}

fn matches(pattern: &str, key: &str) -> bool {
    let pattern = Pattern::parse(pattern, false).unwrap();
    pattern.name().map_or_else(|| pattern.matches(key), |name| name == key)
}

#[test]
fn names_are_matched_as_by_fnmatch() {
    let Truth { names, matched, .. } = truth();
    assert!(matched.len() >= 600);
    for (pattern, expected) in matched {
        let got: Vec<_> = (0..names.len()).filter(|&index| matches(&pattern, &names[index])).collect();
        let named = |indices: &[usize]| indices.iter().map(|&index| names[index].clone()).collect::<Vec<_>>();
        assert_eq!(named(&got), named(&expected), "{pattern}");
    }
}

#[test]
fn keys_are_matched_as_by_glob() {
    let Truth { files, keys, .. } = truth();
    for (pattern, expected) in keys {
        let mut got: Vec<_> = files.iter().filter(|key| matches(&pattern, key)).cloned().collect();
        got.sort();
        assert_eq!(got, expected, "{pattern}");
        // Whatever is asked of a store gives all that is matched.
        let pattern = Pattern::parse(&pattern, false).unwrap();
        for key in expected.iter().filter(|_| pattern.name().is_none()) {
            let rest = key.strip_prefix(&pattern.prefix()).unwrap();
            assert!(!pattern.is_flat() || !rest.contains('/'), "{key}");
        }
    }
}

/// A tree of empty files.
fn tree(files: &[impl AsRef<str>]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file.as_ref());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    folder
}

#[cfg(unix)]
fn link(folder: &tempfile::TempDir, name: &str, target: impl AsRef<Path>) {
    std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
}

/// All that `expand` gives of a pattern below `folder`, without the folder.
async fn below(folder: &Path, pattern: &str) -> Result<Vec<String>> {
    let folder = format!("{}/", folder.to_str().unwrap());
    let found: Vec<String> =
        expand(&(folder.clone() + pattern), &StoreOptions::default()).try_collect().await?;
    Ok(found.into_iter().map(|uri| uri.strip_prefix(&folder).unwrap().to_owned()).collect())
}

#[cfg(unix)]
#[test]
fn files_are_found_as_by_glob() {
    let Truth { files, links, paths, .. } = truth();
    let folder = tree(&files);
    for (name, target) in links {
        link(&folder, &name, target);
    }
    let root = format!("{}/", folder.path().to_str().unwrap());
    for (pattern, expected) in paths {
        let here = Pattern::parse(&format!("{root}{pattern}"), true).unwrap();
        let named = here.name().filter(|name| Path::new(name).is_file());
        let mut got: Vec<_> =
            named.map(|name| name.strip_prefix(&root).unwrap().to_owned()).into_iter().collect();
        if here.name().is_some() {
            assert_eq!(got, expected, "{pattern}");
            continue;
        }
        let mut walk = Walk::new(here);
        while let Some(path) = walk.next().unwrap() {
            got.push(path.strip_prefix(&root).unwrap().to_owned());
        }
        assert_eq!(got, expected, "{pattern}");
    }
}

#[tokio::test]
async fn a_slash_at_the_end_stands_for_all_tiffs_below() {
    let folder = tree(&[
        "a.tif",
        "b.TIFF",
        "c.Tif",
        "d.tif.aux.xml",
        "tif",
        ".e.tif",
        "x/f.tiff",
        "x/y/g.tif",
        "x.z/h.tif",
        ".i/j.tif",
    ]);
    let all = ["a.tif", "b.TIFF", "c.Tif", "x.z/h.tif", "x/f.tiff", "x/y/g.tif"];
    assert_eq!(below(folder.path(), "").await.unwrap(), all);
    assert_eq!(below(folder.path(), "x*/").await.unwrap(), all[3..]);
    assert_eq!(below(folder.path(), "**/").await.unwrap(), all);
    assert_eq!(below(folder.path(), ".i/").await.unwrap(), [".i/j.tif"]);
    assert_eq!(below(folder.path(), "none/").await.unwrap(), [""; 0]);
    // Nothing is hidden in a bucket.
    assert!(matches("p/", "p/.i/j.tif") && matches("p/", "p/K.TIFF") && matches("", "a/b.tif"));
    assert!(!matches("p/", "p/") && !matches("p/", "p.tif") && !matches("p/", "p/atif"));
}

#[tokio::test]
async fn names_stand_for_themselves() {
    let folder = tree(&["a[1].tif", "a1.tif", "what?.tif", "[*].tif", "b.tif#ifd=1", "c#ifd=x.tif"]);
    for (pattern, expected) in [
        ("missing.tif", vec!["missing.tif"]),
        ("missing.tif#ifd=3", vec!["missing.tif#ifd=3"]),
        ("a[1.tif", vec!["a[1.tif"]),
        ("a\\b\\\\.tif", vec!["a\\b\\\\.tif"]),
        // Files that are there.
        ("a[1].tif", vec!["a[1].tif"]),
        ("a[1].tif#ifd=2", vec!["a[1].tif#ifd=2"]),
        ("what?.tif", vec!["what?.tif"]),
        ("[*].tif", vec!["[*].tif"]),
        // Without any to list, what is escaped is known as well.
        ("no[*]\\?\\[.tif#ifd=2", vec!["no*?[.tif#ifd=2"]),
        ("a[[]1].tif", vec!["a[1].tif"]),
        ("a?1].tif", vec!["a[1].tif"]),
        ("a[0-9].tif", vec!["a1.tif"]),
        // The name's own end is not taken for a choice.
        ("b*", vec!["b.tif#ifd=1#ifd=0"]),
        ("c*", vec!["c#ifd=x.tif"]),
        ("c*#ifd=2", vec!["c#ifd=x.tif#ifd=2"]),
        ("?1.tif#asset=B04", vec!["a1.tif#asset=B04"]),
        ("?1.tif#asset=B04#ifd=1", vec!["a1.tif#asset=B04#ifd=1"]),
        ("*#asset=x/y", vec![]),
        ("n*", vec![]),
    ] {
        assert_eq!(below(folder.path(), pattern).await.unwrap(), expected, "{pattern}");
    }
    // What opens a location opens that file.
    assert_eq!(super::image_of("b.tif#ifd=1#ifd=0", None).await.unwrap(), ("b.tif#ifd=1", 0));
    // No path is looked for in a location.
    let found: Vec<_> = expand("s3://b/k.tif#ifd=1", &StoreOptions::default()).try_collect().await.unwrap();
    assert_eq!(found, ["s3://b/k.tif#ifd=1"]);
}

#[tokio::test]
async fn file_urls_are_decoded() {
    let folder = tree(&["a b.tif", "*.tif", "é1.tif"]);
    let root = folder.path().to_str().unwrap();
    for (pattern, expected) in [
        ("a%20*.tif", vec!["a b.tif"]),
        ("%2a.tif*", vec!["*.tif"]),
        ("%C3%A9?.tif", vec!["é1.tif"]),
        ("*", vec!["*.tif", "a b.tif", "é1.tif"]),
    ] {
        for host in ["", "localhost"] {
            let uri = format!("file://{host}{root}/{pattern}");
            let found: Vec<_> = expand(&uri, &StoreOptions::default()).try_collect().await.unwrap();
            let expected: Vec<_> = expected.iter().map(|name| format!("{root}/{name}")).collect();
            assert_eq!(found, expected, "{uri}");
        }
    }
    for pattern in ["file:///a%/*", "file:///a%zz*", "file:///%ff*", "file:///%+1*"] {
        assert_eq!(refused(pattern).await.kind(), ErrorKind::Usage, "{pattern}");
    }
}

async fn refused(pattern: &str) -> Error {
    expand(pattern, &StoreOptions::default()).try_collect::<Vec<_>>().await.unwrap_err()
}

#[tokio::test]
async fn what_cannot_be_listed_is_refused() {
    for (pattern, says) in [
        ("https://h/a/*.tif?sig=SECRET", "https://h/a/*.tif: the files of a web server cannot be listed"),
        ("https://u:SECRET@h/a/", "https://h/a/: the files of a web server cannot be listed"),
        ("HTTP://h/[ab].tif#ifd=2", "cannot be listed; name each of them"),
        ("s3://b*/a.tif", "s3://b*/a.tif: a bucket's name has no wildcards"),
        ("abfss://c@acct*/", "a bucket's name has no wildcards"),
        ("x*/../a.tif", "x*/../a.tif: '..' after a wildcard"),
    ] {
        let error = refused(pattern).await;
        assert_eq!(error.kind(), ErrorKind::Usage, "{pattern}: {error}");
        assert!(error.to_string().contains(says) && !error.to_string().contains("SECRET"), "{error}");
    }
    let long = format!("{}*", "a".repeat(20_000));
    assert!(refused(&long).await.to_string().contains("too long"));
    let deep = format!("*/{}", "a/".repeat(70));
    assert!(refused(&deep).await.to_string().contains("more than 60 folders"));
    // Refused by whoever opens it.
    for location in ["ftp://h/*.tif", "s3:b/*.tif", "s3:///*.tif", "s3://a@b/*.tif", ""] {
        assert!(!is_pattern(location), "{location}");
    }
}

#[test]
fn patterns_are_told_from_names() {
    for (text, expected) in [
        ("a.tif", false),
        ("a*.tif", true),
        ("a?.tif", true),
        ("a[1].tif", true),
        ("a[1.tif", false),
        ("a]1[.tif", false),
        ("a[/].tif", false),
        ("a\\*", true),
        ("a\\b", false),
        ("a\\\\b", cfg!(windows)),
        ("data/", true),
        ("data", false),
        ("a.tif#ifd=1", false),
        ("a.tif#asset=*", false),
        ("*.tif#ifd=1", true),
        ("c:\\a.tif", false),
        ("s3://b", false),
        ("s3://b/", true),
        ("s3://b/a.tif", false),
        ("s3://b/a/", true),
        ("gs://b/*", true),
        ("az://c/**/a.tif", true),
        ("abfss://c@a.dfs.core.windows.net/x/?.tif", true),
        ("s3://b/what?.tif", true),
        ("http://h/a.tif?x=[1]*&y=/", false),
        ("http://h/a.tif?x=1#*", false),
        ("http://[::1]/a.tif", false),
        ("http://h", false),
        ("http://h?a/*", false),
        ("http://h/*.tif", true),
        ("http://h/a/", true),
        ("http://h/a/?sig=1/", false),
        ("file:///a/*.tif", true),
        ("file:///a/%2A.tif", false),
        ("-", false),
    ] {
        // A backslash separates folders there, and the last row but some means another thing.
        if !(cfg!(windows) && text.contains('\\')) {
            assert_eq!(is_pattern(text), expected, "{text}");
        }
    }
    for name in ["*", "a?[b]", "\\*", "[[]", "é[!a]*"] {
        let escaped = escape(name);
        assert_eq!(Pattern::parse(&escaped, true).unwrap().name(), Some(name));
        assert!(is_wild(&escaped));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_once_and_never_in_circles() {
    let folder = tree(&["a/1.tif", "a/b/2.tif", "c/3.tif", "z.tif"]);
    link(&folder, "a/b/up", "..");
    link(&folder, "a/self", ".");
    link(&folder, "c/to-a", "../a");
    link(&folder, "c/to-a-again", "../a");
    link(&folder, "c/round", "round");
    link(&folder, "c/nowhere", "nothing");
    link(&folder, "y.tif", "z.tif");
    link(&folder, "root", ".");
    let all =
        ["a/1.tif", "a/b/2.tif", "c/3.tif", "c/to-a-again/1.tif", "c/to-a-again/b/2.tif", "y.tif", "z.tif"];
    assert_eq!(below(folder.path(), "**/*.tif").await.unwrap(), all);
    assert_eq!(below(folder.path(), "").await.unwrap(), all);
    // Where the pattern says how deep, there are no circles, and each name counts.
    assert_eq!(below(folder.path(), "c/*/1.tif").await.unwrap(), ["c/to-a-again/1.tif", "c/to-a/1.tif"]);
    // Two links in each of many folders in a row: 2^40 paths.
    let folder = tempfile::tempdir().unwrap();
    for index in 0..40 {
        std::fs::create_dir(folder.path().join(format!("{index:02}"))).unwrap();
        for name in ["l", "m"] {
            link(&folder, &format!("{index:02}/{name}"), format!("../{:02}", index + 1));
        }
    }
    std::fs::create_dir(folder.path().join("40")).unwrap();
    std::fs::write(folder.path().join("40/a.tif"), "").unwrap();
    let found = below(folder.path(), "00/**/*.tif").await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_said_is_an_error() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tree(&["a.tif", "s3:/b.tif"]);
    let name = std::ffi::OsStr::from_bytes(b"b\xff.tif");
    std::fs::write(folder.path().join(name), "").unwrap();
    std::fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"c\xff.txt")), "").unwrap();
    for pattern in ["a*", "**/a*"] {
        assert_eq!(below(folder.path(), pattern).await.unwrap(), ["a.tif"], "it is not matched");
    }
    let error = below(folder.path(), "*.tif").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("not UTF-8"), "{error}");
    std::fs::remove_file(folder.path().join(name)).unwrap();
    // What is no regular file is not found: it could not be read at any position.
    let socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket.tif")).unwrap();
    assert_eq!(below(folder.path(), "*.tif").await.unwrap(), ["a.tif"]);
    drop(socket);
}

// A folder that looks like a URL is found from the working directory as well, which is that of all tests: nothing is changed there.
#[test]
fn paths_that_look_like_urls() {
    let uri = |path: &str| super::glob::local_uri(path, "");
    assert_eq!(uri("s3:/b.tif").unwrap(), "./s3:/b.tif");
    assert_eq!(uri("/x/s3:/b.tif").unwrap(), "/x/s3:/b.tif");
    assert_eq!(uri("http:/b/x://c").unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn hostile_patterns_take_no_time() {
    let name = "a".repeat(4_000);
    let pattern = format!("{}b", "*a".repeat(4_000));
    assert!(!matches(&pattern, &name));
    assert!(matches(&"*a".repeat(2_000), &name));
    let folders = "a/".repeat(2_000) + "a";
    assert!(!matches(&("**/a/".repeat(29) + "b"), &folders));
    assert!(matches(&("**/a/".repeat(29) + "*"), &folders));
    assert!(matches(&format!("[{}]", "a-z".repeat(5_000)), "b"));
}

#[tokio::test]
async fn files_come_in_order_and_none_twice() {
    // More than are looked for at a time.
    let names: Vec<_> = (0..2_345).map(|index| format!("{:03}/{index}.tif", index % 7)).collect();
    let folder = tree(&names);
    let mut expected = names.clone();
    expected.sort();
    for pattern in ["**/*.tif", "*/*", "", "**/**/**"] {
        let found = below(folder.path(), pattern).await.unwrap();
        assert!(found == expected, "{pattern}: {} of {}", found.len(), expected.len());
    }
    let mut counts = BTreeMap::new();
    for name in below(folder.path(), "*/*1.tif").await.unwrap() {
        *counts.entry(name).or_insert(0) += 1;
    }
    let ending = names.iter().filter(|name| name.ends_with("1.tif")).count();
    assert!(counts.len() == ending && counts.values().all(|&count| count == 1));
}
