//! The probe of a store, against one in memory that can be told what to get wrong.

use std::collections::BTreeMap;

use super::answering::{Asked, Raw, Server, head, reply};
use super::checksum::{base64, hex, md5};
use super::cleaning::settled;
use super::doctor::{Finding, OPTIONAL, probe};
use super::location::Location;
use crate::error::ErrorKind;

/// What a store gets wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// Conditions of writes are ignored.
    Unconditional,
    /// Conditions of completions are answered with 501.
    NotImplemented,
    /// If-Match is ignored.
    NoMatch,
    /// Metadata and content types are lost.
    Forgetful,
    /// Checksums are not verified.
    Careless,
    /// Parts stand in the order in which they came.
    Disorderly,
    /// Aborting does nothing.
    Tenacious,
    /// Nothing can be deleted.
    Immortal,
    /// Deleting and aborting are not allowed.
    Forbidden,
    /// The ETag that a write is answered with is not that of the object.
    Salted,
    /// Answers to what begins an upload are lost every other time.
    Mumbling,
    /// Objects cannot be composed.
    Single,
    /// Nothing can be written.
    ReadOnly,
}

#[derive(Clone)]
struct Held {
    body: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// What was said when it began, and the parts in the order they came.
type Upload = (Held, Vec<(String, Vec<u8>)>);

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Held>,
    /// By the path and the upload's number, or 0.
    uploads: BTreeMap<(String, usize), Upload>,
    begun: usize,
}

fn error(status: u16, code: &str) -> Raw {
    reply(status, &[("x-ms-error-code", code)], &format!("<Error><Code>{code}</Code></Error>"))
}

impl Store {
    fn answer(&mut self, asked: &Asked, flaw: Flaw) -> Raw {
        let parameter = |name: &str| {
            asked
                .query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
        };
        // Azure compares a blob with the first, if both are given.
        let sent = asked.header("x-ms-blob-content-md5").or(asked.header("content-md5"));
        if flaw != Flaw::Careless && sent.is_some_and(|sent| sent != base64(&md5(&asked.body))) {
            return error(400, "BadDigest");
        }
        if flaw == Flaw::ReadOnly && asked.method != "GET" && asked.method != "HEAD" {
            return error(403, "AccessDenied");
        }
        if flaw == Flaw::Forbidden && asked.method == "DELETE" {
            return error(403, "AccessDenied");
        }
        let kept = |(name, _): &&(String, String)| name.contains("-meta-") || name == "content-type";
        let of = |asked: &Asked| Held {
            body: asked.body.clone(),
            headers: asked.headers.iter().filter(kept).cloned().collect(),
        };
        let upload = (asked.path.clone(), parameter("uploadId").map_or(0, |id| id.parse().unwrap()));
        let etag = format!("\"{}\"", hex(&md5(&asked.body)));
        let etag_of_whole = if flaw == Flaw::Salted { "\"salted\"" } else { &etag };
        // As Google has it.
        if asked.query.starts_with("upload") && asked.header("x-goog-if-generation-match").is_some() {
            return error(400, "NotImplemented");
        }
        match (asked.method.as_str(), asked.query.as_str()) {
            ("POST", "uploads=") => {
                self.begun += 1;
                self.uploads.insert((asked.path.clone(), self.begun), (of(asked), Vec::new()));
                let id = self.begun;
                if flaw == Flaw::Mumbling && id % 2 == 1 {
                    return Vec::new();
                }
                let text = format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                reply(200, &[], &text)
            }
            ("PUT", "comp=blocklist") | ("POST", _) => self.complete(asked, of(asked), &upload, flaw),
            ("PUT", "") => {
                let condition = asked.header("if-none-match").or(asked.header("x-goog-if-generation-match"));
                if let Some(refusal) = self.refusal(asked, condition.is_some(), flaw) {
                    return refusal;
                }
                self.objects.insert(asked.path.clone(), of(asked));
                // Azure: writing or deleting the whole discards blocks.
                self.uploads.remove(&upload);
                reply(201, &[("ETag", etag_of_whole)], "")
            }
            ("PUT", "compose") => self.compose(asked, of(asked), flaw),
            ("PUT", _) => {
                let id = parameter("partNumber").or(parameter("blockid")).unwrap();
                let upload = if id.len() > 5 {
                    self.uploads.entry(upload).or_insert_with(|| (of(asked), Vec::new()))
                } else {
                    let Some(upload) = self.uploads.get_mut(&upload) else {
                        return error(404, "NoSuchUpload");
                    };
                    upload
                };
                upload.1.push((id, asked.body.clone()));
                reply(200, &[("ETag", &etag)], "")
            }
            ("DELETE", "") => {
                if flaw != Flaw::Immortal {
                    self.objects.remove(&asked.path);
                    self.uploads.remove(&upload);
                }
                reply(204, &[], "")
            }
            ("DELETE", _) => {
                if flaw != Flaw::Tenacious {
                    self.uploads.remove(&upload);
                }
                reply(204, &[], "")
            }
            _ => self.read(asked, flaw),
        }
    }

    fn complete(&mut self, asked: &Asked, made: Held, upload: &(String, usize), flaw: Flaw) -> Raw {
        let etag = if flaw == Flaw::Salted { "salted" } else { "e" };
        let condition = asked.header("if-none-match").or(asked.header("x-goog-if-generation-match"));
        match self.refusal(asked, condition.is_some(), flaw) {
            Some(_) if flaw == Flaw::NotImplemented => return error(501, "NotImplemented"),
            Some(refusal) => return refusal,
            None => {}
        }
        let Some((mut held, mut parts)) = self.uploads.remove(upload) else {
            return error(404, "NoSuchUpload");
        };
        if asked.method == "PUT" {
            held = made;
            let name = |(n, v): (String, String)| (n.replace("x-ms-blob-content-type", "content-type"), v);
            let azure =
                asked.headers.iter().filter(|(n, _)| n.contains("-meta-") || n.contains("blob-content-type"));
            held.headers = azure.cloned().map(name).collect();
        }
        if flaw != Flaw::Disorderly {
            // As the list has them.
            let list = String::from_utf8(asked.body.clone()).unwrap();
            parts.sort_by_key(|(id, _)| list.find(&format!(">{id}<")).unwrap());
        }
        held.body = parts.into_iter().flat_map(|(_, body)| body).collect();
        self.objects.insert(asked.path.clone(), held);
        let text =
            format!("<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>");
        reply(if asked.method == "PUT" { 201 } else { 200 }, &[("ETag", etag)], &text)
    }

    fn compose(&mut self, asked: &Asked, made: Held, flaw: Flaw) -> Raw {
        if flaw == Flaw::Single {
            return error(501, "NotImplemented");
        }
        let conditional = asked.header("x-goog-if-generation-match").is_some();
        if let Some(refusal) = self.refusal(asked, conditional, flaw) {
            return refusal;
        }
        let text = String::from_utf8(asked.body.clone()).unwrap();
        let (_, key) = text.split_once("<Name>").unwrap();
        let path = format!("/bucket/{}", key.split_once("</Name>").unwrap().0);
        let Some(component) = self.objects.get(&path) else { return error(404, "NoSuchKey") };
        let composed = Held { body: component.body.clone(), ..made };
        self.objects.insert(asked.path.clone(), composed);
        reply(200, &[("ETag", if flaw == Flaw::Salted { "salted" } else { "e" })], "")
    }

    fn refusal(&self, asked: &Asked, conditional: bool, flaw: Flaw) -> Option<Raw> {
        let refused = conditional && flaw != Flaw::Unconditional && self.objects.contains_key(&asked.path);
        refused.then(|| error(412, "PreconditionFailed"))
    }

    fn read(&self, asked: &Asked, flaw: Flaw) -> Raw {
        let Some(held) = self.objects.get(&asked.path) else { return error(404, "NoSuchKey") };
        let is_whole = held.body.len() < 1_000;
        let etag = if is_whole { format!("\"{}\"", hex(&md5(&held.body))) } else { "e".to_owned() };
        let mut headers = vec![("ETag", etag.as_str())];
        if flaw != Flaw::Forgetful {
            headers.extend(held.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        if asked.method == "HEAD" {
            return head(200, &headers, held.body.len());
        }
        if flaw != Flaw::NoMatch && asked.header("if-match").is_some_and(|asked| asked != etag) {
            return error(412, "PreconditionFailed");
        }
        let (first, last) =
            asked.header("range").unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
        let range = format!("bytes {first}-{last}/{}", held.body.len());
        headers.push(("Content-Range", &range));
        reply(206, &headers, std::str::from_utf8(&held.body[first..=last]).unwrap())
    }
}

/// What is found out of a store with `flaw`, and how many objects and uploads are left in it.
async fn probed(scheme: &str, flaw: Flaw) -> (Vec<Finding>, usize) {
    let (findings, store) = inspected(scheme, flaw).await;
    (findings, store.objects.len() + store.uploads.len())
}

async fn inspected(scheme: &str, flaw: Flaw) -> (Vec<Finding>, Store) {
    let store = std::sync::Arc::new(std::sync::Mutex::new(Store::default()));
    let inside = std::sync::Arc::clone(&store);
    let server = Server::new(move |asked, _| inside.lock().unwrap().answer(asked, flaw));
    let location = Location::parse(&format!("{scheme}://bucket/dir/out.tif")).unwrap();
    let findings = probe(&location, "shown", &server.options(&[])).await.unwrap();
    assert!(server.asked().iter().all(|asked| asked.path.contains("/dir/out.tif.cogclip-probe-")));
    let store = std::mem::take(&mut *store.lock().unwrap());
    (findings, store)
}

#[track_caller]
fn check(findings: &[Finding], failing: &[&str]) {
    let failed: Vec<_> =
        findings.iter().filter(|finding| !finding.holds).map(|finding| finding.what).collect();
    assert_eq!(failed, failing, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.holds || !finding.note.is_empty()));
}

#[tokio::test]
async fn a_good_store_holds_everything() {
    for scheme in ["s3", "gs", "az"] {
        let (findings, left) = probed(scheme, Flaw::None).await;
        check(&findings, &[]);
        assert_eq!((findings.len(), left), (18, 0), "{scheme} {findings:#?}");
        let optional = findings.iter().filter(|finding| !finding.is_needed()).count();
        assert_eq!(optional, OPTIONAL.len(), "each is a finding, by its very words: {findings:#?}");
    }
}

#[tokio::test]
async fn flaws_are_found() {
    let creating = "creating an object that exists is refused";
    let completing = "completing an upload to an object that exists is refused";
    for (flaw, failing) in [
        (Flaw::Unconditional, vec![creating, completing]),
        (Flaw::NotImplemented, vec![completing]),
        (Flaw::NoMatch, vec!["a range of another version is refused (If-Match)"]),
        (
            Flaw::Forgetful,
            vec![
                "the content type is kept",
                "metadata is kept",
                "the content type of an upload in parts is kept",
                "metadata of an upload in parts is kept",
            ],
        ),
        (Flaw::Careless, vec!["a wrong checksum is refused (Content-MD5)"]),
        (Flaw::Disorderly, vec!["the parts stand in their order"]),
        (Flaw::Tenacious, vec!["an upload that is aborted leaves nothing"]),
        (Flaw::ReadOnly, vec!["an object can be created", "an object can be deleted"]),
    ] {
        let (findings, left) = probed("s3", flaw).await;
        check(&findings, &failing);
        assert!(left == 0 || flaw == Flaw::Tenacious, "{failing:?}: {left} are left");
    }
    for (flaw, failing) in [
        (Flaw::Unconditional, vec![creating, completing]),
        (Flaw::Single, vec!["an object can be written in parts, the first one last"]),
    ] {
        let (findings, left) = probed("gs", flaw).await;
        check(&findings, &failing);
        assert_eq!(left, 0, "{failing:?}");
    }
    let (findings, left) = probed("gs", Flaw::Immortal).await;
    check(&findings, &["an object can be deleted"]);
    assert!(left > 0 && findings.last().unwrap().note.contains("is still there; delete it"));
}

#[tokio::test]
async fn all_that_is_left_is_named() {
    for scheme in ["s3", "gs", "az"] {
        for flaw in [Flaw::Immortal, Flaw::Forbidden] {
            let (findings, store) = inspected(scheme, flaw).await;
            let (deletable, aborted) =
                ("an object can be deleted", "an upload that is aborted leaves nothing");
            let uploads = scheme != "az" && flaw == Flaw::Forbidden;
            let note = |what| findings.iter().find(|finding| finding.what == what).unwrap().note.clone();
            let failed: Vec<_> = findings.iter().filter(|it| !it.holds).map(|it| it.what).collect();
            assert!(failed.contains(&deletable), "{scheme}: {findings:#?}");
            assert_eq!(failed.contains(&aborted), uploads, "{scheme}: {findings:#?}");
            assert!(store.objects.len() >= 2, "{scheme}");
            assert!(scheme == "az" || store.uploads.is_empty() != uploads, "{scheme}");
            for path in store.objects.keys() {
                let (_, suffix) = path.split_once(".cogclip-probe-").unwrap();
                let said = format!(".cogclip-probe-{suffix} is still there; delete it");
                assert!(note(deletable).contains(&said), "{said}: {findings:#?}");
            }
            // Azure's have no names, and vanish after a week.
            for (path, id) in store.uploads.keys().filter(|_| scheme != "az") {
                let (_, suffix) = path.split_once(".cogclip-probe-").unwrap();
                let said = format!("{suffix} may be left; abort it");
                assert!(note(aborted).contains(&said), "{said}: {findings:#?}");
                assert!(note(aborted).contains(&format!("the upload \"{id}\" at ")), "{id}: {findings:#?}");
            }
        }
    }
    // Of these nobody has heard: they are not found, but said.
    let (findings, store) = inspected("s3", Flaw::Mumbling).await;
    check(&findings, &[]);
    assert_eq!((store.objects.len(), store.uploads.len()), (0, 3));
    for path in store.uploads.keys().map(|(path, _)| path) {
        let (_, suffix) = path.split_once(".cogclip-probe-").unwrap();
        let said = format!("an upload whose answer was lost may be left at shown.cogclip-probe-{suffix};");
        assert!(findings.iter().any(|finding| finding.note.contains(&said)), "{said}: {findings:#?}");
    }
}

#[tokio::test]
async fn what_its_own_check_deletes_is_no_proof() {
    for scheme in ["s3", "gs", "az"] {
        let (findings, left) = probed(scheme, Flaw::Salted).await;
        check(
            &findings,
            &[
                "size, ETag and checksum are those of what was sent",
                "size, ETag and checksum are those of the parts",
            ],
        );
        assert_eq!(left, 0, "{scheme}");
        let refused = "creating an object that exists is refused";
        assert!(findings.iter().any(|finding| finding.what == refused), "it is tried with another");
    }
}

#[tokio::test]
async fn a_probe_that_is_dropped_cleans_up() {
    for scheme in ["s3", "gs"] {
        // Where it is dropped: the method, and how the query starts.
        for (method, query) in [
            ("PUT", ""),
            ("HEAD", ""),
            ("POST", "uploads="),
            ("PUT", "partNumber=9"),
            ("PUT", "partNumber=1"),
            ("POST", "uploadId="),
            ("DELETE", "uploadId="),
            ("DELETE", ""),
        ] {
            let store = std::sync::Arc::new(std::sync::Mutex::new(Store::default()));
            let reached = std::sync::Arc::new(tokio::sync::Notify::new());
            let (inside, reach, mut hung) =
                (std::sync::Arc::clone(&store), std::sync::Arc::clone(&reached), false);
            let server = Server::new(move |asked, _| {
                let is_here = asked.method == method
                    && (if query.is_empty() {
                        asked.query.is_empty()
                    } else {
                        asked.query.starts_with(query)
                    });
                if is_here && !hung {
                    hung = true;
                    reach.notify_one();
                    // The answer comes when nobody waits for it any more.
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                inside.lock().unwrap().answer(asked, Flaw::None)
            });
            let location = Location::parse(&format!("{scheme}://bucket/dir/out.tif")).unwrap();
            let options = server.options(&[]);
            tokio::select! {
                findings = probe(&location, "shown", &options) => panic!("{method} {query}: {findings:#?}"),
                () = reached.notified() => {}
            }
            settled().await;
            let store = store.lock().unwrap();
            let (objects, uploads): (Vec<_>, Vec<_>) =
                (store.objects.keys().collect(), store.uploads.keys().collect());
            assert!(
                objects.is_empty() && uploads.is_empty(),
                "{scheme} {method} {query}: {objects:?} {uploads:?}"
            );
        }
    }
}

#[tokio::test]
async fn only_buckets_can_be_probed() {
    let server = Server::script(Vec::new());
    for (uri, kind) in [("a.tif", ErrorKind::Usage), ("https://h/a.tif", ErrorKind::Unsupported)] {
        let location = Location::parse(uri).unwrap();
        let error = probe(&location, uri, &server.options(&[])).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
    assert!(server.asked().is_empty());
}
