//! A server on loopback for tests: plain web server, S3 (path style), Google's XML API and Azure's blobs in one,
//! over a map of objects in memory.
//!
//! It records what it was asked, so that tests can pin requests and bytes, and fails on demand. Paths are decoded:
//! the object `/bucket/a b.tif` is what `GET /bucket/a%20b.tif` asks for, whatever store is spoken. It stops when it
//! is dropped. It runs on threads of its own, so that tests with and without a runtime can use it.
#![allow(dead_code, reason = "each test uses what it needs")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

pub(crate) use rules::{Class, Fault, Gate, Rule};

use crate::wire::{Call, Reply, decode, http_date, read_call};

mod rules;

/// A running server.
pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// One request, as it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Percent-decoded, without the query.
    pub(crate) path: String,
    /// As sent, without '?'.
    pub(crate) query: String,
    /// Half-open.
    pub(crate) range: Option<(u64, u64)>,
    /// If-Match, If-None-Match, If-Unmodified-Since and x-goog-if-generation-match, as `name: value`.
    pub(crate) conditions: Vec<String>,
    /// The range of another object that is to be copied; half-open.
    pub(crate) copied: Option<(u64, u64)>,
    /// Bytes of its body.
    pub(crate) body: usize,
    /// 0 when there was no answer.
    pub(crate) status: u16,
}

#[derive(Clone)]
struct Object {
    bytes: Arc<Vec<u8>>,
    version: u64,
    /// `x-amz-meta-*`, `x-goog-meta-*`, `x-ms-meta-*`.
    metadata: Vec<(String, String)>,
}

struct Upload {
    path: String,
    metadata: Vec<(String, String)>,
    parts: BTreeMap<u32, Vec<u8>>,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one habit of a store, independent of the others")]
struct State {
    objects: BTreeMap<String, Object>,
    /// By id.
    uploads: HashMap<String, Upload>,
    /// Azure: by path and block id.
    blocks: HashMap<(String, String), Vec<u8>>,
    requests: Vec<Request>,
    faults: VecDeque<(Option<&'static str>, Fault)>,
    rules: Vec<Rule>,
    /// Queries and header values of all requests.
    heard: Vec<String>,
    connections: BTreeMap<u64, TcpStream>,
    connected: u64,
    versions: u64,
    without_etags: bool,
    without_ranges: bool,
    min_part: usize,
    parts_now: usize,
    parts_peak: usize,
    copies_anything: bool,
    stopped: bool,
}

impl Server {
    /// A server without objects, on a free port of 127.0.0.1.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = {
                    let mut state = shared.lock().unwrap();
                    if state.stopped {
                        return;
                    }
                    state.connected += 1;
                    let number = state.connected;
                    state.connections.insert(number, stream.try_clone().unwrap());
                    number
                };
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let end = serve(&stream, &shared);
                    if end == End::Reset {
                        let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    } else {
                        drop(stream.shutdown(Shutdown::Both));
                    }
                    // Only when no other handle is left is the connection closed.
                    let _ = shared.lock().unwrap().connections.remove(&number);
                });
            }
        });
        Self { address, state }
    }

    /// `http://127.0.0.1:port`, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Store options with which `s3://`, `gs://` and `az://` all lead here, without credentials. Object stores never
    /// see the environment, and so never ask the metadata service for credentials.
    pub(crate) fn options(&self) -> Vec<(String, String)> {
        let url = self.url();
        [
            ("aws_endpoint", url.as_str()),
            ("aws_region", "us-east-1"),
            ("aws_access_key_id", "AKIDEXAMPLE"),
            ("aws_secret_access_key", "not-a-secret"),
            ("google_base_url", &url),
            ("google_bearer_token", "not-a-secret"),
            ("azure_endpoint", &url),
            ("azure_storage_account_name", "account"),
            ("azure_skip_signature", "true"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// Puts an object at `path` (`/bucket/key`), or a new version of it.
    pub(crate) fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.lock().store(path, bytes.into());
    }

    /// The object at `path`.
    pub(crate) fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.lock().objects.get(path).map(|object| object.bytes.to_vec())
    }

    /// The paths of all objects.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().objects.keys().cloned().collect()
    }

    /// All requests so far, in the order of their answers.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// Forgets the requests so far.
    pub(crate) fn clear(&self) {
        self.lock().requests.clear();
    }

    /// Fails the next request that no earlier call has claimed.
    pub(crate) fn fail_next(&self, fault: Fault) {
        self.lock().faults.push_back((None, fault));
    }

    /// Fails the next request of this method.
    pub(crate) fn fail_next_on(&self, method: &'static str, fault: Fault) {
        self.lock().faults.push_back((Some(method), fault));
    }

    /// From now on, this goes wrong. Of several rules that claim a request, the first given counts.
    pub(crate) fn rule(&self, rule: Rule) {
        self.lock().rules.push(rule);
    }

    /// Ends all rules.
    pub(crate) fn no_rules(&self) {
        self.lock().rules.clear();
    }

    /// Whether some request had this text in its query or in a header.
    pub(crate) fn heard(&self, text: &str) -> bool {
        self.lock().heard.iter().any(|heard| heard.contains(text))
    }

    /// Queries and header values of all requests.
    pub(crate) fn all_heard(&self) -> Vec<String> {
        self.lock().heard.clone()
    }

    /// How many requests have come, answered or not.
    pub(crate) fn asked(&self) -> usize {
        self.lock().heard.len()
    }

    /// Those rules that have claimed no request.
    pub(crate) fn idle_rules(&self) -> Vec<String> {
        let state = self.lock();
        state.rules.iter().filter(|rule| rule.is_idle()).map(|rule| format!("{rule:?}")).collect()
    }

    /// Removes the object at `path`.
    pub(crate) fn remove(&self, path: &str) {
        self.lock().objects.remove(path);
    }

    /// Connections that were made so far.
    pub(crate) fn connected(&self) -> u64 {
        self.lock().connected
    }

    /// Waits until all connections have ended, as they do soon after their client has; false if they have not.
    pub(crate) fn settle(&self, longest: Duration) -> bool {
        let end = Instant::now() + longest;
        while !self.lock().connections.is_empty() {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Multipart uploads that have begun and neither been completed nor aborted.
    pub(crate) fn open_uploads(&self) -> usize {
        self.lock().uploads.len()
    }

    /// The most parts that were being received at the same time.
    pub(crate) fn parts_peak(&self) -> usize {
        self.lock().parts_peak
    }

    /// From now on, a part but the last of fewer bytes makes completing fail, as S3 does below 5 MiB.
    pub(crate) fn set_min_part(&self, bytes: usize) {
        self.lock().min_part = bytes;
    }

    /// From now on, the tag of what is to be copied is not looked at, as some stores do.
    pub(crate) fn copies_anything(&self) {
        self.lock().copies_anything = true;
    }

    /// From now on, answers carry no ETag.
    pub(crate) fn without_etags(&self) {
        self.lock().without_etags = true;
    }

    /// From now on, ranges are ignored.
    pub(crate) fn without_ranges(&self) {
        self.lock().without_ranges = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let connections = {
            let mut state = self.lock();
            state.stopped = true;
            std::mem::take(&mut state.connections)
        };
        for connection in connections.into_values() {
            drop(connection.shutdown(Shutdown::Both));
        }
        // Wakes the listener, so that it sees the flag.
        drop(TcpStream::connect(self.address));
    }
}

#[derive(PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// How long a gate holds what nobody comes to open.
const GATE: Duration = Duration::from_secs(5);

fn serve(stream: &TcpStream, shared: &Mutex<State>) -> End {
    let mut reader = BufReader::new(stream);
    while let Some(head) = read_call(&mut reader) {
        let part = Class::Part.has(&head);
        let fault = {
            let mut state = shared.lock().unwrap();
            if part {
                state.parts_now += 1;
                state.parts_peak = state.parts_peak.max(state.parts_now);
            }
            state.heard.push(head.spoken());
            state.fault(&head)
        };
        if let Some(Fault::UploadReset(len) | Fault::UploadStall(len)) = fault {
            let _ = std::io::copy(&mut reader.by_ref().take(len as u64), &mut std::io::sink());
            let mut state = shared.lock().unwrap();
            state.parts_now -= usize::from(part);
            state.note(&head, 0);
            drop(state);
            if matches!(fault, Some(Fault::UploadReset(_))) {
                return End::Reset;
            }
            while !shared.lock().unwrap().stopped {
                std::thread::sleep(Duration::from_millis(20));
            }
            return End::Closed;
        }
        let Some(call) = head.with_body(&mut reader) else { return End::Closed };
        match &fault {
            Some(Fault::Latency(time)) => std::thread::sleep(*time),
            Some(Fault::Gate(gate)) => gate.pass(GATE),
            _ => {}
        }
        let reply = {
            let mut state = shared.lock().unwrap();
            state.parts_now -= usize::from(part);
            let reply = state.answer(&call, fault.as_ref());
            let silent = matches!(fault, Some(Fault::Reset | Fault::Stall));
            state.note(&call, if silent { 0 } else { reply.status });
            reply
        };
        let mut out = stream;
        match fault {
            Some(Fault::Reset) => return End::Closed,
            Some(Fault::Stall) => {
                // Until the other side has had enough.
                let _ = reader.read(&mut [0]);
                return End::Closed;
            }
            Some(Fault::Truncate(len)) => {
                let _ = out.write_all(&reply.encode(&call, Some(len)));
                return End::Closed;
            }
            Some(Fault::ResetAt(len)) => {
                let _ = out.write_all(&reply.encode(&call, Some(len)));
                return End::Reset;
            }
            Some(Fault::StallAt(len)) => {
                let _ = out.write_all(&reply.encode(&call, Some(len)));
                let _ = reader.read(&mut [0]);
                return End::Closed;
            }
            Some(Fault::Drip(pause)) => {
                let bytes = reply.encode(&call, None);
                let head = reply.encode(&call, Some(0)).len();
                let sent = out.write_all(&bytes[..head]).is_ok();
                let dripped = |byte: &u8| {
                    std::thread::sleep(pause);
                    (&mut &*stream).write_all(&[*byte]).is_ok()
                };
                if !(sent && bytes[head..].iter().all(dripped)) {
                    return End::Closed;
                }
            }
            _ => {
                if out.write_all(&reply.encode(&call, None)).is_err() {
                    return End::Closed;
                }
            }
        }
    }
    End::Closed
}

impl State {
    fn fault(&mut self, call: &Call) -> Option<Fault> {
        let queued = self.faults.iter().position(|(on, _)| on.is_none_or(|on| on == call.method));
        if let Some((_, fault)) = queued.and_then(|at| self.faults.remove(at)) {
            return Some(fault);
        }
        let mut claimed = None;
        for rule in &mut self.rules {
            if rule.claims(call) && claimed.is_none() {
                claimed = Some(rule.fault.clone());
            }
        }
        claimed
    }

    fn note(&mut self, call: &Call, status: u16) {
        self.requests.push(Request {
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            range: call.range(),
            conditions: call.conditions(),
            copied: call.range_of("x-amz-copy-source-range"),
            body: call.body.len(),
            status,
        });
    }

    fn store(&mut self, path: &str, bytes: Vec<u8>) {
        self.store_with(path, bytes, Vec::new());
    }

    fn store_with(&mut self, path: &str, bytes: Vec<u8>, metadata: Vec<(String, String)>) {
        self.versions += 1;
        let object = Object { bytes: Arc::new(bytes), version: self.versions, metadata };
        self.objects.insert(path.to_owned(), object);
    }

    fn answer(&mut self, call: &Call, fault: Option<&Fault>) -> Reply {
        match fault {
            Some(Fault::Status(status)) => return Reply::error(*status, "Fault"),
            Some(Fault::RetryAfter(status, seconds)) => {
                return Reply::error(*status, "SlowDown").with("Retry-After", seconds.to_string());
            }
            Some(Fault::Redirect(path)) => return Reply::new(302).with("Location", path.clone()),
            Some(Fault::RetryAfterDate(status, seconds)) => {
                let now = std::time::SystemTime::now();
                return Reply::error(*status, "SlowDown")
                    .with("Date", http_date(now))
                    .with("Retry-After", http_date(now + Duration::from_secs(*seconds)));
            }
            Some(Fault::Code(status, code)) => return Reply::error(*status, code),
            Some(Fault::Say(status, text)) => return Reply::new(*status).body(text.clone().into_bytes()),
            Some(Fault::Replace(bytes)) => self.store(&call.path, bytes.clone()),
            Some(Fault::Delete) => drop(self.objects.remove(&call.path)),
            _ => {}
        }
        // Google takes no condition with anything of an upload in parts.
        let of_upload = ["uploads", "uploadId"].iter().any(|name| call.parameter(name).is_some());
        if of_upload && call.header("x-goog-if-generation-match").is_some() {
            return Reply::error(400, "NotImplemented");
        }
        let mut reply = match call.method.as_str() {
            "GET" | "HEAD" => self.read(call, fault),
            "PUT" => self.write(call),
            "POST" => self.multipart(call),
            "DELETE" => self.delete(call),
            _ => Reply::error(405, "MethodNotAllowed"),
        };
        if let Some(Fault::Etag(etag)) = fault {
            reply.set("ETag", (*etag).to_owned());
        }
        reply
    }

    fn described(&self, reply: Reply, object: &Object) -> Reply {
        let etag = (!self.without_etags).then(|| etag(object));
        let mut reply = reply
            .with("Last-Modified", modified(object))
            .with("x-goog-generation", object.version.to_string());
        for (name, value) in &object.metadata {
            reply = reply.with(name.clone(), value.clone());
        }
        match etag {
            Some(etag) => reply.with("ETag", etag),
            None => reply,
        }
    }

    fn read(&self, call: &Call, fault: Option<&Fault>) -> Reply {
        let Some(object) = self.objects.get(&call.path) else { return Reply::error(404, "NoSuchKey") };
        if call.header("if-match").is_some_and(|tag| tag != etag(object) && tag != "*")
            || call.header("if-unmodified-since").is_some_and(|date| date != modified(object))
        {
            return Reply::error(412, "PreconditionFailed");
        }
        let size = object.bytes.len() as u64;
        let whole = self.without_ranges || matches!(fault, Some(Fault::Whole));
        let Some((mut start, end)) = call.range().filter(|_| !whole) else {
            return self.described(Reply::new(200).body(object.bytes.to_vec()), object);
        };
        if start >= size {
            return Reply::error(416, "InvalidRange").with("Content-Range", format!("bytes */{size}"));
        }
        let end = end.min(size);
        if matches!(fault, Some(Fault::WrongRange)) {
            start += 1;
        }
        let body = object.bytes[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()].to_vec();
        let reply =
            Reply::new(206).with("Content-Range", format!("bytes {start}-{}/{size}", end - 1)).body(body);
        self.described(reply, object)
    }

    /// Whether the request wants the object not to exist, and it does.
    fn is_taken(&self, call: &Call) -> bool {
        let create = call.header("if-none-match") == Some("*")
            || call.header("x-goog-if-generation-match") == Some("0");
        create && self.objects.contains_key(&call.path)
    }

    fn write(&mut self, call: &Call) -> Reply {
        if let (Some(number), Some(id)) = (call.parameter("partNumber"), call.parameter("uploadId")) {
            if call.header("x-amz-copy-source").is_some() {
                return self.copy_part(call, &number, &id);
            }
            let Some(upload) = self.uploads.get_mut(&id) else {
                return Reply::error(404, "NoSuchUpload");
            };
            assert_eq!(upload.path, call.path);
            upload.parts.insert(number.parse().unwrap(), call.body.clone());
            return Reply::new(200).with("ETag", part_etag(&id, &number));
        }
        match call.parameter("comp").as_deref() {
            Some("block") => {
                let id = call.parameter("blockid").unwrap();
                self.blocks.insert((call.path.clone(), id), call.body.clone());
                return Reply::new(201);
            }
            Some("blocklist") => return self.commit_blocks(call),
            _ => {}
        }
        if self.is_taken(call) {
            return taken(call);
        }
        if call.parameter("compose").is_some() {
            return self.compose(call);
        }
        self.store_with(&call.path, call.body.clone(), call.metadata());
        self.stored(call, Reply::new(201))
    }

    /// S3's: a part that is a range of another object.
    fn copy_part(&mut self, call: &Call, number: &str, id: &str) -> Reply {
        let path = format!("/{}", decode(call.header("x-amz-copy-source").unwrap()));
        let Some(source) = self.objects.get(&path) else { return Reply::error(404, "NoSuchKey") };
        let tag = call.header("x-amz-copy-source-if-match");
        if !self.copies_anything && tag != Some(&etag(source)) {
            return Reply::error(412, "PreconditionFailed");
        }
        let (start, end) = call.range_of("x-amz-copy-source-range").unwrap();
        let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
        let Some(bytes) = source.bytes.get(range).map(<[u8]>::to_vec) else {
            return Reply::error(400, "InvalidRange");
        };
        let Some(upload) = self.uploads.get_mut(id) else { return Reply::error(404, "NoSuchUpload") };
        assert_eq!(upload.path, call.path);
        upload.parts.insert(number.parse().unwrap(), bytes);
        let tag = part_etag(id, number);
        Reply::new(200).body(format!("<CopyPartResult><ETag>{tag}</ETag></CopyPartResult>").into_bytes())
    }

    /// Google's: the components, one after the other.
    fn compose(&mut self, call: &Call) -> Reply {
        let text = String::from_utf8(call.body.clone()).unwrap();
        let bucket = call.path[1..].split('/').next().unwrap();
        let mut whole = Vec::new();
        for key in between(&text, "<Component><Name>", "</Name></Component>") {
            let key = key.replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'");
            let key = key.replace("&quot;", "\"").replace("&amp;", "&");
            match self.objects.get(&format!("/{bucket}/{key}")) {
                Some(object) => whole.extend_from_slice(&object.bytes),
                None => return Reply::error(404, "NoSuchKey"),
            }
        }
        self.store_with(&call.path, whole, call.metadata());
        self.stored(call, Reply::new(200))
    }

    fn stored(&self, call: &Call, reply: Reply) -> Reply {
        match self.objects.get(&call.path) {
            Some(object) => self.described(reply, object),
            None => reply,
        }
    }

    fn commit_blocks(&mut self, call: &Call) -> Reply {
        if self.is_taken(call) {
            return taken(call);
        }
        let text = String::from_utf8(call.body.clone()).unwrap();
        let mut whole = Vec::new();
        for id in between(&text, "<Uncommitted>", "</Uncommitted>") {
            match self.blocks.remove(&(call.path.clone(), id.to_owned())) {
                Some(block) => whole.extend(block),
                None => return Reply::error(400, "InvalidBlockList"),
            }
        }
        self.blocks.retain(|(path, _), _| *path != call.path);
        self.store_with(&call.path, whole, call.metadata());
        self.stored(call, Reply::new(201))
    }

    fn multipart(&mut self, call: &Call) -> Reply {
        if call.query.split('&').any(|part| part == "uploads" || part == "uploads=") {
            self.versions += 1;
            let id = format!("upload-{}", self.versions);
            let upload =
                Upload { path: call.path.clone(), metadata: call.metadata(), parts: BTreeMap::new() };
            self.uploads.insert(id.clone(), upload);
            let text = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            );
            return Reply::new(200).body(text.into_bytes());
        }
        let Some(id) = call.parameter("uploadId") else { return Reply::error(400, "InvalidRequest") };
        let Some(Upload { parts, .. }) = self.uploads.get(&id) else {
            return Reply::error(404, "NoSuchUpload");
        };
        if self.is_taken(call) {
            return Reply::error(412, "PreconditionFailed");
        }
        let text = String::from_utf8(call.body.clone()).unwrap().replace("&quot;", "\"");
        let numbers = between(&text, "<PartNumber>", "</PartNumber>");
        let tags = between(&text, "<ETag>", "</ETag>");
        let mut whole = Vec::new();
        let mut last = 0;
        for (i, (number, tag)) in numbers.iter().zip(&tags).enumerate() {
            let n: u32 = number.parse().unwrap();
            let Some(part) = parts.get(&n).filter(|_| *tag == part_etag(&id, number)) else {
                return Reply::error(400, "InvalidPart");
            };
            if n <= last {
                return Reply::error(400, "InvalidPartOrder");
            }
            if i + 1 < numbers.len() && part.len() < self.min_part {
                return Reply::error(400, "EntityTooSmall");
            }
            last = n;
            whole.extend(part);
        }
        let metadata = self.uploads.remove(&id).map(|upload| upload.metadata).unwrap_or_default();
        self.store_with(&call.path, whole, metadata);
        let tag = etag(&self.objects[&call.path]);
        let text =
            format!("<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>");
        self.stored(call, Reply::new(200).body(text.into_bytes()))
    }

    fn delete(&mut self, call: &Call) -> Reply {
        let found = match call.parameter("uploadId") {
            Some(id) => self.uploads.remove(&id).is_some(),
            None => self.objects.remove(&call.path).is_some(),
        };
        if found { Reply::new(204) } else { Reply::error(404, "NotFound") }
    }
}

/// What is said of an object that should not exist: Azure has a status of its own.
fn taken(call: &Call) -> Reply {
    if call.header("x-ms-version").is_some() {
        Reply::error(409, "BlobAlreadyExists")
    } else {
        Reply::error(412, "PreconditionFailed")
    }
}

fn etag(object: &Object) -> String {
    format!("\"v{}-{}\"", object.version, object.bytes.len())
}

fn part_etag(id: &str, number: &str) -> String {
    format!("\"{id}-{number}\"")
}

/// A date that differs from version to version. 1 January 2025 was a Wednesday.
fn modified(object: &Object) -> String {
    format!("Wed, 01 Jan 2025 00:{:02}:{:02} GMT", object.version / 60 % 60, object.version % 60)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// A parameter's value in `query`, decoded.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| decode(value))
    })
}
