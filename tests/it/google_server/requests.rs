//! The server itself, request by request, against what Google's documentation says of each.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use md5::{Digest, Md5};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::json;

use super::{GoogleServer, between};
use crate::conformance::raw_http::{Reply, ask};

/// A server, and a token that it has issued.
struct Asker {
    server: GoogleServer,
    token: String,
}

impl Asker {
    fn start() -> Self {
        let server = GoogleServer::start(1000, Duration::from_hours(1));
        let form = "grant_type=refresh_token&client_id=tests.apps.invalid&client_secret=GOCSPX-not-a-secret\
                    &refresh_token=1%2F%2Fnot-a-secret";
        let reply = ask(&server.url()[7..], "POST", "/token", &[], form.as_bytes()).expect(&[200]);
        let reply: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let token = reply["access_token"].as_str().unwrap().to_owned();
        Self { server, token }
    }

    fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let headers = [&[("Authorization", bearer.as_str())], headers].concat();
        ask(&self.server.url()[7..], method, target, &headers, body)
    }

    #[track_caller]
    fn check(&self, request: (&str, &str, &[(&str, &str)], &[u8]), status: u16, code: &str) -> Reply {
        let reply = self.ask(request.0, request.1, request.2, request.3).expect(&[status]);
        let text = String::from_utf8_lossy(&reply.body);
        assert!(code.is_empty() || text.contains(&format!("<Code>{code}</Code>")), "{text}");
        reply
    }
}

#[test]
fn only_a_token_that_is_alive_opens_it() {
    let asker = Asker::start();
    asker.server.put("a", b"abc");
    let host = asker.server.url()[7..].to_owned();
    asker.check(("GET", "/bucket/a", &[], b""), 200, "");
    let without = |headers: &[(&str, &str)]| ask(&host, "GET", "/bucket/a", headers, b"").status;
    assert_eq!(without(&[]), 403);
    assert_eq!(without(&[("Authorization", "Bearer")]), 403);
    assert_eq!(without(&[("Authorization", "Bearer ya29.made-up")]), 401);
    assert_eq!(without(&[("Authorization", "Bearer a.b.c")]), 401);
    let refused = |form: &str| ask(&host, "POST", "/token", &[], form.as_bytes()).status;
    assert_eq!(refused("grant_type=refresh_token&client_id=x&client_secret=y&refresh_token=z"), 400);
    assert_eq!(
        refused("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=a.b.c"),
        400
    );
}

#[test]
fn ranges_and_conditions_of_reading() {
    let asker = Asker::start();
    asker.server.put("a b", b"0123456789");
    let whole = asker.check(("HEAD", "/bucket/a%20b", &[], b""), 200, "");
    let etag = whole.header("etag").unwrap();
    // `printf 0123456789 | md5sum`; CRC-32C by google-crc32c: 0x280c069e.
    assert_eq!(etag, "\"781e5e245d69b566979b86e28d23f2c7\"");
    assert_eq!(whole.header("x-goog-hash").unwrap(), "crc32c=KAwGng==,md5=eB5eJF1ptWaXm4bijSPyxw==");
    let generation = whole.header("x-goog-generation").unwrap();
    let part =
        asker.check(("GET", "/bucket/a%20b", &[("Range", "bytes=2-4"), ("If-Match", &etag)], b""), 206, "");
    assert_eq!(
        (part.body.as_slice(), part.header("content-range").unwrap().as_str()),
        (&b"234"[..], "bytes 2-4/10")
    );
    asker.check(("GET", "/bucket/a%20b", &[("x-goog-if-generation-match", &generation)], b""), 200, "");
    for headers in [("If-Match", "\"other\""), ("x-goog-if-generation-match", "1")] {
        asker.check(("GET", "/bucket/a%20b", &[headers], b""), 412, "PreconditionFailed");
    }
    asker.check(("GET", "/bucket/a%20b", &[("Range", "bytes=10-11")], b""), 416, "InvalidRange");
    asker.check(("GET", "/bucket/a+b", &[], b""), 404, "NoSuchKey");
    asker.check(("GET", "/elsewhere/a", &[], b""), 404, "NoSuchBucket");
}

#[test]
fn pages_of_a_list() {
    let asker = Asker::start();
    for key in ["a", "p/a&b", "p/c/1", "p/c/2", "p/d", "p/e/1", "q"] {
        asker.server.put(key, b"x");
    }
    let page = |query: &str| {
        let reply = asker.check(("GET", &format!("/bucket?list-type=2{query}"), &[], b""), 200, "");
        let text = String::from_utf8(reply.body).unwrap();
        let [keys, folders, tokens] = ["Key", "Prefix", "NextContinuationToken"]
            .map(|name| between(&text, &format!("<{name}>"), &format!("</{name}>")));
        assert_eq!(text.contains("<IsTruncated>true</IsTruncated>"), !tokens.is_empty());
        // The first is the prefix that was asked for.
        (keys, folders[1..].to_vec(), tokens.into_iter().next().unwrap_or_default())
    };
    let empty = Vec::<String>::new();
    assert_eq!(page("&prefix=p/&max-keys=1000").0, ["p/a&b", "p/c/1", "p/c/2", "p/d", "p/e/1"]);
    assert_eq!(page("").0.len(), 7);
    let (keys, folders, token) = page("&prefix=p/&delimiter=/&max-keys=2");
    assert_eq!((keys, folders), (vec!["p/a&b".to_owned()], vec!["p/c/".to_owned()]));
    let (keys, folders, token) =
        page(&format!("&prefix=p/&delimiter=/&max-keys=2&continuation-token={}", token.replace('=', "%3D")));
    assert_eq!((keys, folders, token.as_str()), (vec!["p/d".to_owned()], vec!["p/e/".to_owned()], ""));
    assert_eq!(page("&prefix=none").0, empty);
    assert_eq!(page("&prefix=p/a&encoding-type=url").0, ["p/a%26b"]);
    asker.check(("GET", "/bucket", &[], b""), 400, "InvalidArgument");
    asker.check(("GET", "/bucket?list-type=2&continuation-token=!", &[], b""), 400, "InvalidArgument");
}

#[test]
fn conditions_and_digests_of_writing() {
    let asker = Asker::start();
    let create = [
        ("x-goog-if-generation-match", "0"),
        ("x-goog-meta-owner", "survey"),
        ("Content-Type", "image/tiff"),
    ];
    asker.check(("PUT", "/bucket/a", &create, b"first"), 200, "");
    asker.check(("PUT", "/bucket/a", &create, b"second"), 412, "PreconditionFailed");
    let found = asker.check(("GET", "/bucket/a", &[], b""), 200, "");
    assert_eq!(found.body, b"first");
    assert_eq!(found.header("x-goog-meta-owner").unwrap(), "survey");
    assert_eq!(found.header("content-type").unwrap(), "image/tiff");
    let (right, wrong) = (BASE64.encode(Md5::digest(b"second")), BASE64.encode(Md5::digest(b"third")));
    asker.check(("PUT", "/bucket/a", &[("Content-MD5", &wrong)], b"second"), 400, "BadDigest");
    asker.check(("PUT", "/bucket/a", &[("Content-MD5", "no")], b"second"), 400, "InvalidDigest");
    assert_eq!(asker.server.get("a").unwrap().bytes, b"first".as_slice());
    asker.check(("PUT", "/bucket/a", &[("Content-MD5", &right)], b"second"), 200, "");
    // What Google does not know would protect nothing.
    asker.check(("PUT", "/bucket/b", &[("If-None-Match", "*")], b"x"), 400, "InvalidArgument");
    asker.check(("DELETE", "/bucket/a", &[], b""), 204, "");
    asker.check(("DELETE", "/bucket/a", &[], b""), 404, "NoSuchKey");
}

#[test]
fn composing() {
    let asker = Asker::start();
    asker.server.put("a&<b>", b"one ");
    asker.server.put("c", b"two");
    let list = |names: &[&str]| {
        let names = names.iter().map(|name| format!("<Component><Name>{name}</Name></Component>"));
        format!("<ComposeRequest>{}</ComposeRequest>", names.collect::<String>())
    };
    let both = list(&["a&amp;&lt;b&gt;", "c"]);
    let create = [
        ("x-goog-if-generation-match", "0"),
        ("x-goog-meta-owner", "survey"),
        ("Content-Type", "image/tiff"),
    ];
    let target = "/bucket/dir/d?compose";
    asker.check(("PUT", target, &create, list(&["none"]).as_bytes()), 404, "NoSuchKey");
    asker.check(("PUT", target, &create, list(&[]).as_bytes()), 400, "MalformedCompositionRequest");
    asker.check(("PUT", target, &create, list(&["c"; 33]).as_bytes()), 400, "MalformedCompositionRequest");
    let reply = asker.check(("PUT", target, &create, both.as_bytes()), 200, "");
    assert_eq!(reply.header("x-goog-component-count").unwrap(), "2");
    asker.check(("PUT", target, &create, both.as_bytes()), 412, "PreconditionFailed");
    let found = asker.check(("GET", "/bucket/dir/d", &[], b""), 200, "");
    assert_eq!(found.body, b"one two");
    assert_eq!(found.header("x-goog-meta-owner").unwrap(), "survey");
    assert_eq!(found.header("content-type").unwrap(), "image/tiff");
    assert_eq!(found.header("etag"), reply.header("etag"));
    assert!(!found.header("x-goog-hash").unwrap().contains("md5="), "there is none of a composite object");
    assert_eq!(asker.server.get("c").unwrap().bytes, b"two".as_slice(), "components stay");
}

#[test]
fn uploads_in_parts() {
    let asker = Asker::start();
    let begin = || {
        let begun =
            asker.check(("POST", "/bucket/a?uploads", &[("x-goog-meta-owner", "survey")], b""), 200, "");
        let id = between(std::str::from_utf8(&begun.body).unwrap(), "<UploadId>", "</UploadId>").remove(0);
        id.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
    };
    let part = |id: &str, number: u32, bytes: &[u8], digest: &[u8]| {
        let (target, md5) =
            (format!("/bucket/a?partNumber={number}&uploadId={id}"), BASE64.encode(Md5::digest(digest)));
        asker.ask("PUT", &target, &[("Content-MD5", &md5)], bytes)
    };
    let complete = |id: &str, parts: &[(u32, &str)], condition: &str| {
        let list = parts.iter().map(|(number, etag)| {
            format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{}</ETag></Part>",
                etag.replace('"', "&quot;")
            )
        });
        let text = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", list.collect::<String>());
        let headers = [("x-goog-if-generation-match", condition)];
        asker.ask(
            "POST",
            &format!("/bucket/a?uploadId={id}"),
            &headers[..usize::from(!condition.is_empty())],
            text.as_bytes(),
        )
    };
    let says = |reply: &Reply, code: &str| {
        String::from_utf8_lossy(&reply.body).contains(&format!("<Code>{code}</Code>"))
    };

    let id = begin();
    let long = [7; 1000];
    let second = part(&id, 2, b"end", b"end").expect(&[200]).header("etag").unwrap();
    assert!(says(&part(&id, 1, &long, b"other"), "BadDigest"));
    let first = part(&id, 1, &long, &long).expect(&[200]).header("etag").unwrap();
    assert!(says(&complete(&id, &[(1, &second), (2, &second)], ""), "InvalidPart"));
    assert!(says(&complete(&id, &[(2, &second), (1, &first)], ""), "EntityTooSmall"));
    assert!(says(&complete(&id, &[(1, &first), (1, &first)], ""), "InvalidPartOrder"));
    asker.server.put("a", b"came first");
    assert!(says(&complete(&id, &[(1, &first), (2, &second)], "0"), "NotImplemented"));
    assert_eq!(asker.server.uploads().len(), 1, "it can be tried again, or aborted");
    complete(&id, &[(1, &first), (2, &second)], "").expect(&[200]);
    let found = asker.server.get("a").unwrap();
    assert_eq!((found.bytes.len(), &found.bytes[1000..]), (1003, &b"end"[..]));
    assert_eq!(found.metadata["owner"], "survey");
    assert!(says(&complete(&id, &[(1, &first), (2, &second)], ""), "NoSuchUpload"));

    let id = begin();
    asker.check(("DELETE", &format!("/bucket/a?uploadId={id}"), &[], b""), 204, "");
    asker.check(("DELETE", &format!("/bucket/a?uploadId={id}"), &[], b""), 404, "NoSuchUpload");
    assert!(says(&part(&id, 1, b"x", b"x"), "NoSuchUpload"));
    assert_eq!(asker.server.uploads(), [""; 0]);
}

/// A JWT of these claims, signed with the account's key by ring.
fn signed(claims: &serde_json::Value) -> String {
    let der: String =
        include_str!("test-key-not-a-secret.pem").lines().filter(|line| !line.starts_with('-')).collect();
    let pair = RsaKeyPair::from_pkcs8(&BASE64.decode(der).unwrap()).unwrap();
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": "0123456789abcdef0123456789abcdef01234567"});
    let message = [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_signed_jwt_is_exchanged_or_taken() {
    let server = GoogleServer::start(1000, Duration::from_hours(1));
    server.put("a", b"abc");
    let host = server.url()[7..].to_owned();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = |changed: &[(&str, serde_json::Value)]| {
        let mut claims = json!({
            "iss": "reader@tests.invalid", "sub": "reader@tests.invalid", "aud": format!("{}/token", server.url()),
            "scope": "https://www.googleapis.com/auth/devstorage.read_write", "iat": now, "exp": now + 3600,
        });
        for (name, value) in changed {
            claims[*name] = value.clone();
        }
        signed(&claims)
    };
    let exchange = |jwt: &str| {
        let form =
            format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={jwt}");
        ask(&host, "POST", "/token", &[], form.as_bytes())
    };
    let read = |token: &str| {
        ask(&host, "GET", "/bucket/a", &[("Authorization", &format!("Bearer {token}"))], b"").status
    };
    let reply: serde_json::Value =
        serde_json::from_slice(&exchange(&claims(&[])).expect(&[200]).body).unwrap();
    assert_eq!(read(reply["access_token"].as_str().unwrap()), 200);
    assert_eq!(read(&claims(&[])), 200);
    for (what, changed, status) in [
        ("expired", ("exp", json!(now - 1)), 401),
        ("too long", ("exp", json!(now + 7200)), 401),
        ("not yet", ("iat", json!(now + 600)), 401),
        ("another account", ("iss", json!("stranger@tests.invalid")), 401),
    ] {
        let jwt = claims(&[changed]);
        assert_eq!((exchange(&jwt).status, read(&jwt)), (400, status), "{what}");
    }
    assert_eq!(exchange(&claims(&[("aud", json!("https://elsewhere.invalid/token"))])).status, 400);
    assert_eq!(read(&claims(&[("scope", json!("https://www.googleapis.com/auth/bigquery"))])), 403);
    let jwt = claims(&[]);
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let forged =
        format!("{message}.{}{}", if signature.starts_with('A') { 'B' } else { 'A' }, &signature[1..]);
    assert_eq!((exchange(&forged).status, read(&forged)), (400, 401));
}
