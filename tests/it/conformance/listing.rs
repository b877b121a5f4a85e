//! Listing: what a pattern finds, of more keys than a page has, and of any keys.

use cogclip::source::Source;
use cogclip::source::glob::{expand, is_pattern};
use cogclip::{Error, ErrorKind};
use futures::TryStreamExt as _;

use super::backend::{Backend, ODD_KEYS, Stranger, all_of, options, sample};

async fn found(backend: &dyn Backend, pattern: &str) -> Result<Vec<String>, Error> {
    let pattern = backend.uri(pattern);
    assert!(is_pattern(&pattern), "{pattern}");
    expand(&pattern, &options(backend.pairs())).try_collect().await
}

/// The locations of `keys`, in the order of their bytes.
fn uris(backend: &dyn Backend, keys: &[String]) -> Vec<String> {
    let mut uris: Vec<_> = keys.iter().map(|key| backend.uri(key)).collect();
    uris.sort();
    uris
}

/// The odd keys that the store keeps as they are: Azurite takes a backslash for a slash, and so lists another key.
fn odd_keys(backend: &dyn Backend) -> Vec<&'static str> {
    let is_azure = backend.uri("").starts_with("az://");
    ODD_KEYS.iter().copied().filter(|key| !is_azure || !key.contains('\\')).collect()
}

/// More keys than S3, Google and Azure have on a page, which is 1000.
pub(crate) async fn pages_of_keys(backend: &dyn Backend) {
    let keys: Vec<_> = (0..2_100).map(|number| format!("many/{}/{number:04}.tif", number % 3)).collect();
    for key in &keys {
        backend.put(key, b"x");
    }
    for other in ["many/0/a.txt", "many.tif", "man/a.tif", "many/0-/a.tifx"] {
        backend.put(other, b"x");
    }
    let expected = uris(backend, &keys);
    for pattern in ["many/", "many/*/*.tif", "many/**/*.tif", "many/[0-9]/????.tif"] {
        let got = found(backend, pattern).await.unwrap();
        assert!(got == expected, "{pattern}: {} of {}", got.len(), expected.len());
    }
    let of_one: Vec<_> = keys.iter().filter(|key| key.starts_with("many/1/0")).cloned().collect();
    assert_eq!(found(backend, "many/1/0*.tif").await.unwrap(), uris(backend, &of_one));
}

/// Whatever is in a key, it is found, and what is found opens that very object.
pub(crate) async fn listed_keys_are_opened(backend: &dyn Backend) {
    for (seed, key) in (200..).zip(odd_keys(backend)) {
        backend.put(&format!("odd/{key}"), &sample(50, seed));
    }
    let mut expected: Vec<_> = (200..)
        .zip(odd_keys(backend))
        .map(|(seed, key)| (backend.uri(&format!("odd/{key}")), seed))
        .collect();
    expected.sort();
    // Azure has the order of UTF-16, and these keys have no two for which that counts.
    let got = found(backend, "odd/**").await.unwrap();
    assert_eq!(got, expected.iter().map(|(uri, _)| uri.clone()).collect::<Vec<_>>());
    for (uri, (_, seed)) in got.iter().zip(expected) {
        let source = Source::open(uri, &options(backend.pairs())).unwrap();
        let bytes = source.head(100).await.unwrap_or_else(|error| panic!("{uri}: {error}"));
        assert_eq!(bytes, sample(50, seed), "{uri}");
    }
}

/// What is asked for is encoded and signed, whatever is in it: each of the keys by all of it but its last letter.
pub(crate) async fn prefixes_of_odd_keys(backend: &dyn Backend) {
    for key in odd_keys(backend) {
        backend.put(&format!("odd/{key}"), b"x");
    }
    for key in odd_keys(backend) {
        let start = &key[..key.len() - 1];
        let escaped: String = start
            .chars()
            .map(|c| if "*?[\\".contains(c) { format!("[{c}]") } else { c.to_string() })
            .collect();
        let got = found(backend, &format!("odd/{escaped}?")).await.unwrap();
        assert_eq!(got, [backend.uri(&format!("odd/{key}"))], "{key}");
    }
}

/// A star ends at a folder, and so does what is asked for.
pub(crate) async fn folders_are_not_walked_in_vain(backend: &dyn Backend) {
    for key in ["f/a.tif", "f/b/c.tif", "f/b/d/e.tif", "f/b.tif", "f/g/h.tif", "f/z.tif", "f.tif", "f-/a.tif"]
    {
        backend.put(key, b"x");
    }
    for (pattern, expected) in [
        ("f/*.tif", vec!["f/a.tif", "f/b.tif", "f/z.tif"]),
        ("f/b*", vec!["f/b.tif"]),
        ("f/[!b]*", vec!["f/a.tif", "f/z.tif"]),
        ("f/*/*.tif", vec!["f/b/c.tif", "f/g/h.tif"]),
        ("f/**/*.tif", vec!["f/a.tif", "f/b.tif", "f/b/c.tif", "f/b/d/e.tif", "f/g/h.tif", "f/z.tif"]),
        ("f/b/", vec!["f/b/c.tif", "f/b/d/e.tif"]),
        ("f*/a.tif", vec!["f-/a.tif", "f/a.tif"]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|key| backend.uri(key)).collect();
        assert_eq!(found(backend, pattern).await.unwrap(), expected, "{pattern}");
    }
}

/// What chooses an image stays; what only looks like it is part of the name.
pub(crate) async fn listed_fragments(backend: &dyn Backend) {
    for key in ["i/a.tif", "i/b.tif#ifd=7", "i/c#d.tif"] {
        backend.put(key, b"x");
    }
    for (pattern, expected) in [
        ("i/*", ["i/a.tif", "i/b.tif#ifd=7#ifd=0", "i/c#d.tif"]),
        ("i/*#ifd=2", ["i/a.tif#ifd=2", "i/b.tif#ifd=7#ifd=2", "i/c#d.tif#ifd=2"]),
        ("i/*#asset=B04", ["i/a.tif#asset=B04", "i/b.tif#ifd=7#asset=B04", "i/c#d.tif#asset=B04"]),
    ] {
        let expected = expected.map(|key| backend.uri(key));
        assert_eq!(found(backend, pattern).await.unwrap(), expected, "{pattern}");
    }
}

/// That nothing matches is no error, and a name is not looked for.
pub(crate) async fn nothing_listed(backend: &dyn Backend) {
    backend.put("a.tif", b"x");
    for pattern in ["b*.tif", "none/*.tif", "none/", "a.tif/*", "**/b.tif"] {
        assert_eq!(found(backend, pattern).await.unwrap(), [""; 0], "{pattern}");
    }
    let missing = backend.uri("missing.tif");
    let itself: Vec<_> = expand(&missing, &options(Vec::new())).try_collect().await.unwrap();
    assert_eq!(itself, [missing]);
}

/// Whoever may not list is told just that, without the secret.
pub(crate) async fn denied_listing(backend: &dyn Backend) {
    backend.put("a.tif", b"x");
    let Stranger { uri, pairs, secrets } = backend.stranger().expect("a store that knows strangers");
    let pattern = uri.replace("a.tif", "*.tif");
    let found: Result<Vec<_>, _> = expand(&pattern, &options(pairs)).try_collect().await;
    let error = found.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    // Google's tokens are refused before anything is listed.
    let said = error.to_string();
    assert!(said.contains("listing the keys is not allowed") || said.contains("access is denied"), "{error}");
    for secret in &secrets {
        assert!(!all_of(&error).contains(secret.as_str()), "{secret} in {}", all_of(&error));
    }
}
