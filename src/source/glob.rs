//! Patterns as sources: the files or objects that a name with wildcards stands for.
//!
//! `*` stands for any characters but '/', `?` for one, `[a-z]` for one of these, `[!a]` for another than these, `**` for any
//! number of folders, and a '/' at the end for all names below it that end in `.tif` or `.tiff`, in any case. A backslash or
//! brackets (`[*]`) take a wildcard its meaning.

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};

use super::local;
use super::pattern::{self, Pattern};
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::store::StoreOptions;
#[cfg(feature = "cloud")]
use crate::store::listing::Listing;
use crate::store::location::{Bucket, Location, Place, redact, split_ifd};

/// Paths that are looked for at a time.
const AT_ONCE: usize = 1_000;

/// Whether `text` is a pattern, of which [`expand`] finds what it stands for, or else a location, which stands for itself.
///
/// A path with brackets or a question mark is one, whether or not there is a file of that name. Of a URL of a web server only the
/// path counts, since '?' begins its query; as a pattern it is refused by [`expand`].
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    let (text, _) = split_fragment(text);
    match Place::of(text) {
        Ok(Place::Local) => pattern::is_wild(&spelled(text)),
        Ok(Place::FileUrl(path)) => pattern::is_wild(path),
        // Behind a query string, a '/' is part of it.
        Ok(Place::Web(path)) => {
            let (folder, name) = path.rsplit_once('/').unwrap_or_default();
            pattern::is_wild(folder)
                || pattern::is_wild(name)
                || (!path.is_empty() && name.is_empty() && text.ends_with(path))
        }
        Ok(Place::Bucket(bucket, _)) => {
            has_wildcard(&bucket) || pattern::is_wild(&bucket.key) || text.ends_with('/')
        }
        Err(_) => false,
    }
}

/// The locations that `pattern` stands for, as [`crate::Cog::open`] takes them: in the order of their bytes, none of them twice.
/// What is not a pattern, and a file of this machine whose name is the pattern, stand for themselves, and nothing is listed. That
/// nothing matches is no error.
///
/// `#ifd=N` and `#asset=…` at the end of the pattern are at the end of each location too. [`crate::source::Source::open`] takes
/// them as well where there is none; a name that itself ends in such is followed by `#ifd=0`, so that it is not taken for one.
///
/// Of a bucket as much is listed as begins with what stands before the first wildcard, and not what is in folders below it when the
/// only wildcards are in the last component. Its keys are in the order of the store: on Azure that of UTF-16, and folder by folder in
/// accounts with a hierarchical namespace. Of this machine names that begin with a dot are found only when the pattern names
/// the dot; `**` follows each link to a folder once, and none to a folder around it. No more is kept than a page of keys, or the
/// names of one folder and those around it. After an error nothing comes any more.
///
/// # Errors
/// In the stream: [`crate::ErrorKind::Usage`] for a web server, which has no list, for a wildcard in a bucket's name, or a location
/// or an option that is not understood; [`crate::ErrorKind::Io`] when listing is not allowed or could not be done after all retries;
/// [`crate::ErrorKind::Unsupported`] for a name that matches and cannot be opened; [`crate::ErrorKind::Limit`] for a list without
/// end.
pub fn expand(
    pattern: &str,
    options: &StoreOptions,
) -> impl Stream<Item = Result<String>> + Send + Unpin + use<> {
    let (pattern, options) = (pattern.to_owned(), options.clone());
    stream::once(async move {
        let found: Found = if is_pattern(&pattern) {
            start(&pattern, &options).await?
        } else {
            stream::iter([Ok(pattern)]).boxed()
        };
        Ok::<_, Error>(found)
    })
    .try_flatten()
    .boxed()
}

type Found = stream::BoxStream<'static, Result<String>>;

async fn start(whole: &str, options: &StoreOptions) -> Result<Found> {
    let (text, fragment) = split_fragment(whole);
    let shown = redact(text);
    let parse = |text: &str, hides| Pattern::parse(text, hides).map_err(|error| error.at(&shown));
    let place = Place::of(text)?;
    let path = match place {
        Place::Web(_) => {
            return Err(Error::usage(format!(
                "{shown}: the files of a web server cannot be listed; name each of them (in its URL '*' is %2A, '[' is %5B), \
                 or give the bucket behind it, as in s3://bucket/prefix/*.tif"
            )));
        }
        Place::Bucket(bucket, before) => {
            if has_wildcard(&bucket) {
                return Err(Error::usage(format!(
                    "{shown}: a bucket's name has no wildcards; give a pattern for each bucket"
                )));
            }
            let pattern = parse(&bucket.key, false)?;
            let (before, fragment) = (before.to_owned(), fragment.to_owned());
            return in_bucket(bucket, pattern, before, fragment, &shown, options);
        }
        Place::FileUrl(path) => decoded(path)?,
        Place::Local => {
            if local::is_file(whole).await || local::is_file(text).await {
                return Ok(one(whole.to_owned()));
            }
            spelled(text)
        }
    };
    let (pattern, fragment) = (parse(&path, true)?, fragment.to_owned());
    if let Some(name) = pattern.name() {
        return Ok(one(local_uri(name, &fragment)?));
    }
    let chunks = stream::try_unfold(Some(Walk::new(pattern)), move |walk| {
        let fragment = fragment.clone();
        async move {
            let Some(mut walk) = walk else { return Ok(None) };
            // A disk may take its time: not on an async thread.
            let task = tokio::task::spawn_blocking(move || {
                let mut chunk = Vec::new();
                while chunk.len() < AT_ONCE {
                    match walk.next().transpose() {
                        Some(path) => {
                            let uri = path.and_then(|path| local_uri(&path, &fragment));
                            let is_last = uri.is_err();
                            chunk.push(uri);
                            if is_last {
                                return (chunk, None);
                            }
                        }
                        None => return (chunk, None),
                    }
                }
                (chunk, Some(walk))
            });
            task.await
                .map(Some)
                .map_err(|cause| Error::io("looking for files was interrupted").caused_by(cause))
        }
    });
    Ok(chunks.map_ok(stream::iter).try_flatten().boxed())
}

/// The objects of a bucket that match.
#[cfg(feature = "cloud")]
fn in_bucket(
    bucket: Bucket,
    pattern: Pattern,
    before: String,
    fragment: String,
    shown: &str,
    options: &StoreOptions,
) -> Result<Found> {
    if let Some(name) = pattern.name() {
        return Ok(one(bucket_uri(&bucket, &before, name, &fragment)?));
    }
    let bucket = Bucket { key: pattern.prefix(), ..bucket };
    let listing = Listing::new(&bucket, pattern.is_flat(), shown, options)?;
    let pages = stream::try_unfold((listing, pattern), move |(mut listing, pattern)| {
        let (bucket, before, fragment) = (bucket.clone(), before.clone(), fragment.clone());
        async move {
            let Some(keys) = listing.page().await? else { return Ok::<_, Error>(None) };
            let matching = keys.into_iter().filter(|key| pattern.matches(key));
            let uris: Vec<_> = matching.map(|key| bucket_uri(&bucket, &before, &key, &fragment)).collect();
            Ok(Some((uris, (listing, pattern))))
        }
    });
    Ok(until_error(pages.map_ok(stream::iter).try_flatten()).boxed())
}

#[cfg(not(feature = "cloud"))]
fn in_bucket(_: Bucket, _: Pattern, _: String, _: String, shown: &str, _: &StoreOptions) -> Result<Found> {
    Err(crate::store::without_cloud(shown))
}

/// `found`, and nothing after its first error.
#[cfg(feature = "cloud")]
fn until_error(
    found: impl Stream<Item = Result<String>> + Send,
) -> impl Stream<Item = Result<String>> + Send {
    found.scan(false, |is_over, item| {
        let item = (!*is_over).then_some(item);
        *is_over = !matches!(item, Some(Ok(_)));
        std::future::ready(item)
    })
}

fn one(uri: String) -> Found {
    stream::iter([Ok(uri)]).boxed()
}

/// The location of a key, which opens that very key.
#[cfg(feature = "cloud")]
fn bucket_uri(bucket: &Bucket, before: &str, key: &str, fragment: &str) -> Result<String> {
    let uri = format!("{before}{key}");
    match Location::parse(&uri) {
        Ok(Location::Bucket(found)) if found.key == key && found.name == bucket.name => {
            Ok(with_fragment(uri, fragment))
        }
        _ => Err(Error::unsupported(format!(
            "{}: the pattern matches a key that cannot be opened: one with an empty, '.' or '..' segment, a control character, \
             or a '/' at its end; narrow the pattern, or rename it",
            redact(&uri).escape_debug()
        ))),
    }
}

/// The location of a path, which opens that very file.
pub(super) fn local_uri(path: &str, fragment: &str) -> Result<String> {
    let is_itself =
        |uri: &str| matches!(Location::parse(uri), Ok(Location::Local(found)) if found.as_os_str() == uri);
    // `s3:/a.tif` looks like a URL that lacks a slash.
    let uri = [path.to_owned(), format!("./{path}")].into_iter().find(|uri| is_itself(uri));
    uri.map(|uri| with_fragment(uri, fragment)).ok_or_else(|| {
        Error::unsupported(format!("{}: the path of a file looks like a URL; rename it", redact(path)))
    })
}

/// `uri` with `fragment`; with one that chooses the first image, if it ends in what looks like one.
fn with_fragment(uri: String, fragment: &str) -> String {
    let is_plain = matches!(split_ifd(&uri), Ok((_, None)));
    if fragment.is_empty() && !is_plain { uri + "#ifd=0" } else { uri + fragment }
}

/// Splits `#ifd=N` and `#asset=…` off the end of a pattern.
fn split_fragment(text: &str) -> (&str, &str) {
    let mut end = text.len();
    loop {
        let (base, _) = text.split_at(end);
        let Some(at) = base.rfind('#') else { break };
        let is_one = match base[at..].split_once('=') {
            Some(("#ifd", number)) => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
            Some(("#asset", name)) => !name.is_empty() && !name.contains('/'),
            _ => false,
        };
        if !is_one {
            break;
        }
        end = at;
    }
    text.split_at(end)
}

fn has_wildcard(bucket: &Bucket) -> bool {
    bucket.name.contains(['*', '?', '['])
        || bucket.host.as_ref().is_some_and(|host| host.contains(['*', '?', '[']))
}

/// A path with the separators of patterns: a backslash is one on Windows, and takes no wildcard its meaning there.
fn spelled(path: &str) -> String {
    if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() }
}

/// The pattern of paths that the path of a `file://` URL is: what is percent-encoded has no meaning as a wildcard.
fn decoded(path: &str) -> Result<String> {
    let wrong = || {
        Error::usage(
            "a file URL with a pattern has a '%' that is not followed by two hexadecimal digits of UTF-8",
        )
    };
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let (plain, encoded) = rest.split_at(at);
        text.push_str(plain);
        // As many as there are in a row: a character may have several bytes.
        let mut bytes = Vec::new();
        rest = encoded;
        while let Some(digits) = rest.strip_prefix('%') {
            let digits = digits.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let digits = digits.ok_or_else(wrong)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|cause| wrong().caused_by(cause))?);
            rest = &rest[3..];
        }
        let chars = String::from_utf8(bytes).map_err(|cause| wrong().caused_by(cause))?;
        text.push_str(&pattern::escape(&chars));
    }
    text.push_str(rest);
    Ok(text)
}
