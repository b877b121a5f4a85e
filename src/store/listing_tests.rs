//! Lists of keys: the exact requests, and what is made of odd and hostile answers.

use super::answering::{Asked, Raw, Server, reply};
use super::listing::Listing;
use super::location::Place;
use crate::error::{Error, ErrorKind, Result};

const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

/// A page in the words of each store, with a token or at the end.
fn page(scheme: &str, keys: &[&str], folders: &[&str], token: Option<&str>) -> Raw {
    let escape = |key: &str| key.replace('&', "&amp;").replace('<', "&lt;");
    let token = token.map(escape);
    let text = if scheme == "az" {
        let blob = |key: &&str| {
            format!(
                "<Blob><Name>{}</Name><Properties><Content-Length>{}</Content-Length></Properties></Blob>",
                escape(key),
                size(key)
            )
        };
        let folder = |key: &&str| format!("<BlobPrefix><Name>{key}</Name></BlobPrefix>");
        format!(
            "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{}{}</Blobs><NextMarker>{}</NextMarker></EnumerationResults>",
            keys.iter().map(blob).collect::<String>(),
            folders.iter().map(folder).collect::<String>(),
            token.unwrap_or_default()
        )
    } else {
        let object =
            |key: &&str| format!("<Contents><Key>{}</Key><Size>{}</Size></Contents>", escape(key), size(key));
        let folder = |key: &&str| format!("<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>");
        format!(
            "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>{}</IsTruncated>{}{}{}</ListBucketResult>",
            token.is_some(),
            keys.iter().map(object).collect::<String>(),
            folders.iter().map(folder).collect::<String>(),
            token.map_or_else(String::new, |token| format!(
                "<NextContinuationToken>{token}</NextContinuationToken>"
            ))
        )
    };
    reply(200, &[], &text)
}

fn size(key: &str) -> u32 {
    u32::from(!key.ends_with('/'))
}

fn listing(server: &Server, scheme: &str, prefix: &str, flat: bool) -> Listing {
    let uri = format!("{scheme}://bucket/{prefix}");
    let Ok(Place::Bucket(bucket, _)) = Place::of(&uri) else { panic!("{uri} is of no bucket") };
    Listing::new(&bucket, flat, &format!("{uri}*"), &server.options(&[])).unwrap()
}

async fn all(listing: &mut Listing) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    while let Some(page) = listing.page().await? {
        keys.extend(page);
    }
    Ok(keys)
}

async fn keys(server: &Server, scheme: &str, prefix: &str) -> Result<Vec<String>> {
    all(&mut listing(server, scheme, prefix, false)).await
}

#[tokio::test]
async fn pages_follow_each_other() {
    for scheme in SCHEMES {
        let server = Server::script(vec![
            page(scheme, &["p/a&b", "p/c d"], &[], Some("t+/=&<1")),
            reply(503, &[], ""),
            page(scheme, &[], &["p/x/"], Some("2")),
            page(scheme, &["p/d/", "p/é"], &[], None),
        ]);
        let mut listing = listing(&server, scheme, "p/", true);
        assert_eq!(server.asked().len(), 0, "nothing is asked unasked");
        // Only what has been asked for is there: a page at a time.
        assert_eq!(listing.page().await.unwrap().unwrap(), ["p/a&b", "p/c d"]);
        assert_eq!(server.asked().len(), 1);
        // What stands for a folder is left out.
        assert_eq!(all(&mut listing).await.unwrap(), ["p/é"]);
        assert_eq!(listing.page().await.unwrap(), None);
        let lines: Vec<_> = server.asked().iter().map(Asked::line).collect();
        let (first, token) = if scheme == "az" {
            ("GET /bucket?restype=container&comp=list&maxresults=1000&prefix=p%2F&delimiter=%2F", "marker")
        } else {
            ("GET /bucket?list-type=2&max-keys=1000&prefix=p%2F&delimiter=%2F", "continuation-token")
        };
        let second = format!("{first}&{token}=t%2B%2F%3D%26%3C1");
        assert_eq!(lines, [first.to_owned(), second.clone(), second, format!("{first}&{token}=2")]);
    }
}

#[tokio::test]
async fn keys_that_xml_cannot_hold_come_encoded() {
    for scheme in ["s3", "gs"] {
        let server = Server::new(move |asked, _| {
            let key = if asked.query.contains("encoding-type=url") {
                "<EncodingType>url</EncodingType><Contents><Key>a%00b+c%2B</Key></Contents>"
            } else {
                "<Contents><Key>a&#0;b c+</Key></Contents>"
            };
            reply(200, &[], &format!("<ListBucketResult>{key}</ListBucketResult>"))
        });
        assert_eq!(keys(&server, scheme, "").await.unwrap(), ["a\0b c+"]);
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn folders_of_azure_are_left_out() {
    // An account with a hierarchical namespace lists them, and in the order of its tree.
    let text = "<EnumerationResults><Blobs>\
        <Blob><Name>A</Name><Properties><ResourceType>directory</ResourceType><Content-Length>0</Content-Length></Properties></Blob>\
        <Blob><Name>A/d.tif</Name><Properties><ResourceType>file</ResourceType><Content-Length>9</Content-Length></Properties></Blob>\
        <Blob><Name>A-B.tif</Name><Properties><Content-Length>0</Content-Length></Properties></Blob></Blobs></EnumerationResults>";
    let server = Server::new(move |_, _| reply(200, &[], text));
    assert_eq!(keys(&server, "az", "").await.unwrap(), ["A/d.tif", "A-B.tif"]);
}

#[track_caller]
fn says(error: &Error, kind: ErrorKind, text: &str) {
    let shown = error.to_string();
    assert_eq!(error.kind(), kind, "{shown}");
    assert!(shown.contains(text), "{shown} does not say {text}");
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[tokio::test]
async fn that_listing_is_not_allowed_is_said() {
    let xml = "<Error><Code>AccessDenied</Code><Message>SECRET</Message></Error>";
    for (scheme, right) in
        [("s3", "s3:ListBucket"), ("gs", "storage.objects.list"), ("az", "Storage Blob Data Reader")]
    {
        let server = Server::new(move |_, _| reply(403, &[], xml));
        let error = keys(&server, scheme, "p/").await.unwrap_err();
        says(&error, ErrorKind::Io, "p/*: listing the keys is not allowed (403 Forbidden, AccessDenied)");
        says(&error, ErrorKind::Io, right);
        assert_eq!(server.asked().len(), 1);
    }
    let skewed = "<Error><Code>RequestTimeTooSkewed</Code></Error>";
    let server = Server::new(move |_, _| reply(403, &[], skewed));
    says(&keys(&server, "s3", "").await.unwrap_err(), ErrorKind::Io, "the clock of this machine is wrong");
    let missing = "<Error><Code>NoSuchBucket</Code></Error>";
    let server = Server::new(move |_, _| reply(404, &[], missing));
    says(&keys(&server, "s3", "").await.unwrap_err(), ErrorKind::Io, "the bucket does not exist");
    let server = Server::new(|_, _| reply(404, &[], ""));
    says(
        &keys(&server, "gs", "").await.unwrap_err(),
        ErrorKind::Io,
        "the bucket, or the endpoint, is another",
    );
    // An error that came too late for its status.
    let late = "<Error><Code>InternalError</Code></Error>";
    let server = Server::new(move |_, _| reply(200, &[], late));
    says(&keys(&server, "s3", "").await.unwrap_err(), ErrorKind::Io, "200 OK, InternalError");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn hostile_lists_are_refused() {
    for scheme in SCHEMES {
        let refused = async |text: &str, most: usize, answer: Box<dyn Fn(usize) -> Raw + Send>| {
            let server = Server::new(move |_, index| answer(index));
            let error = keys(&server, scheme, "p/").await.unwrap_err();
            says(&error, ErrorKind::Io, text);
            assert!(server.asked().len() <= most, "{text}: {} requests", server.asked().len());
        };
        // A token that repeats, at once, after a while, and only with folders.
        refused(
            "lists in a circle",
            2,
            Box::new(move |i| page(scheme, &[&format!("p/{i}")], &[], Some("1"))),
        )
        .await;
        refused(
            "lists in a circle",
            16,
            Box::new(move |i| {
                page(
                    scheme,
                    &[],
                    &["p/x/"],
                    Some(["1", "2", "3", "4", "2"][if i < 4 { i } else { 2 + i % 3 }]),
                )
            }),
        )
        .await;
        // Keys that repeat, whatever the tokens.
        refused(
            "in no order",
            4,
            Box::new(move |i| page(scheme, &[["p/a", "p/b"][i % 2]], &[], Some(&i.to_string()))),
        )
        .await;
        refused("in no order", 1, Box::new(move |_| page(scheme, &["p/b", "p/a"], &[], None))).await;
        refused("in no order", 1, Box::new(move |_| page(scheme, &["p/a", "p/a"], &[], None))).await;
        refused(
            "do not begin with what was asked for",
            1,
            Box::new(move |_| page(scheme, &["p"], &[], None)),
        )
        .await;
        refused(
            "do not begin with what was asked for",
            1,
            Box::new(move |_| page(scheme, &["q/a"], &[], None)),
        )
        .await;
        let long = format!("p/{}", "a".repeat(5_000));
        refused("a key of more than 4096 bytes", 1, Box::new(move |_| page(scheme, &[&long], &[], None)))
            .await;
        // Nothing, without an end.
        refused(
            "1000 pages in a row without a key",
            1_000,
            Box::new(move |i| page(scheme, &[], &[], Some(&i.to_string()))),
        )
        .await;
        // No list.
        for text in ["", "{}", "<html>Sign in</html>", "<!DOCTYPE a []><ListBucketResult/>"] {
            refused("no list of keys", 2, Box::new(move |_| reply(200, &[], text))).await;
        }
        let large = " ".repeat((16 << 20) + 1);
        refused("a page of more than 16777216 bytes", 1, Box::new(move |_| reply(200, &[], &large))).await;
    }
    let truncated = "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>";
    let server = Server::new(move |_, _| reply(200, &[], truncated));
    says(&keys(&server, "s3", "").await.unwrap_err(), ErrorKind::Io, "it does not know list-type=2");
}
