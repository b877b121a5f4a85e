//! The function as a process: `bootstrap` with a Runtime API on loopback, over the test server as its S3. The shapes of requests and
//! answers are those of AWS Lambda's developer guide, "Using the Lambda runtime API for custom runtimes".

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::faults::raster;
use crate::faults::run::{Credentials, Store};
use crate::server::{Class, Fault, Gate, Rule, Server};
use crate::wire::{Call, read_call};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Milliseconds that a function has.
const LONG: u64 = 60_000;

/// Lambda: hands out events, one at a time, and takes what becomes of them.
struct Runtime {
    address: SocketAddr,
    events: Sender<String>,
    answers: Receiver<Call>,
    /// Connections that were made.
    connected: Arc<Mutex<usize>>,
}

impl Runtime {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (events, waiting) = channel::<String>();
        let (answered, answers) = channel();
        let (waiting, connected) = (Arc::new(Mutex::new(waiting)), Arc::new(Mutex::new(0)));
        let count = Arc::clone(&connected);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                *count.lock().unwrap() += 1;
                let (waiting, answered) = (Arc::clone(&waiting), answered.clone());
                std::thread::spawn(move || serve(&stream, &waiting, &answered));
            }
        });
        Self { address, events, answers, connected }
    }
}

fn serve(stream: &TcpStream, waiting: &Mutex<Receiver<String>>, answered: &Sender<Call>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let call = read_call(&mut reader)?.with_body(&mut reader)?;
        let reply = if call.method == "GET" {
            assert_eq!(call.path, "/2018-06-01/runtime/invocation/next");
            waiting.lock().unwrap().recv().ok()?
        } else {
            answered.send(call).ok()?;
            "HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{\"status\": \"OK\"}".to_owned()
        };
        stream.write_all(reply.as_bytes()).ok()?;
    }
}

/// A function, and the store that it reads and writes.
struct Function {
    child: Child,
    runtime: Runtime,
    lines: Arc<Mutex<Vec<String>>>,
    store: Server,
    folder: tempfile::TempDir,
    events: usize,
}

/// What became of an event.
struct Answer {
    call: Call,
    body: Value,
}

impl Answer {
    #[track_caller]
    fn response(self) -> Value {
        assert!(self.call.path.ends_with("/response"), "{}: {}", self.call.path, self.body);
        self.body
    }

    /// The kind of the error, and its message.
    #[track_caller]
    fn error(self) -> (String, String) {
        assert!(self.call.path.ends_with("/error"), "{}: {}", self.call.path, self.body);
        let kind = self.body["errorType"].as_str().unwrap().to_owned();
        assert_eq!(self.call.header("lambda-runtime-function-error-type"), Some(kind.as_str()));
        (kind, self.body["errorMessage"].as_str().unwrap().to_owned())
    }
}

impl Function {
    fn start(more: &[(&str, &str)]) -> Self {
        let store = Server::start();
        store.put("/bucket/in/small.tif", raster::small().bytes.clone());
        store.put("/bucket/in/large.tif", raster::large().bytes.clone());
        let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::start());
        // By its name alone is it told what to do.
        let bootstrap = folder.path().join("bootstrap");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cogclip"), &bootstrap).unwrap();
        let mut child = Command::new(bootstrap)
            .env_clear()
            .envs(Store::S3.environment(&store.url(), Credentials::Static, folder.path()))
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("_HANDLER", "bootstrap")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (log, stderr) = (Arc::clone(&lines), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.lock().unwrap().push(line);
            }
        });
        Self { child, runtime, lines, store, folder, events: 0 }
    }

    fn send(&mut self, event: &Value, milliseconds: u64) {
        self.events += 1;
        let (number, body) = (self.events, event.to_string());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let deadline = now.as_millis() + u128::from(milliseconds);
        let head = [
            "HTTP/1.1 200 OK".to_owned(),
            format!("Lambda-Runtime-Aws-Request-Id: request-{number}"),
            format!("Lambda-Runtime-Deadline-Ms: {deadline}"),
            "Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1".to_owned(),
            "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:clip"
                .to_owned(),
            format!("Content-Length: {}", body.len()),
        ];
        self.runtime.events.send(format!("{}\r\n\r\n{body}", head.join("\r\n"))).unwrap();
    }

    #[track_caller]
    fn answer(&mut self) -> Answer {
        let call = self.runtime.answers.recv_timeout(PATIENCE);
        assert!(call.is_ok(), "there is no answer: {:?}", self.lines.lock().unwrap());
        let call = call.unwrap();
        assert!(call.path.starts_with(&format!("/2018-06-01/runtime/invocation/request-{}/", self.events)));
        let body = serde_json::from_slice(&call.body).unwrap();
        Answer { call, body }
    }

    #[track_caller]
    fn invoke(&mut self, event: &Value) -> Answer {
        self.send(event, LONG);
        self.answer()
    }

    fn outputs(&self) -> Vec<String> {
        self.store.paths().into_iter().filter(|path| path.contains("/out/")).collect()
    }

    /// The first line of the log for which this holds, once it is there.
    #[track_caller]
    fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines.lock().unwrap().clone();
            // Every line is an object.
            let mut lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
            if let Some(line) = lines.find(|line| wanted(line)) {
                return line;
            }
            assert!(Instant::now() < end, "there is no such line in {:?}", self.lines.lock().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A clip of all of a raster.
fn job(name: &str, dst: &str) -> Value {
    let raster = if name == "small" { raster::small() } else { raster::large() };
    json!({
        "src": format!("s3://bucket/in/{name}.tif"),
        "dst": format!("s3://bucket/out/{dst}"),
        "bbox": raster.bbox,
        "cutline_crs": "source",
        "compress": "none",
        "no_overviews": true,
    })
}

/// Messages of a queue: ids, groups and bodies.
fn messages(queue: &str, messages: &[(&str, &str, Value)]) -> Value {
    let records = messages.iter().map(|(id, group, body)| {
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        json!({
            "messageId": id, "body": body, "attributes": { "MessageGroupId": group },
            "eventSource": "aws:sqs", "eventSourceARN": format!("arn:aws:sqs:us-east-1:123456789012:{queue}")
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

fn failures(ids: &[&str]) -> Value {
    let failures: Vec<Value> = ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": failures })
}

#[test]
fn jobs_are_done_and_reported_over_one_connection() {
    let mut function = Function::start(&[]);
    let report = function.invoke(&job("small", "a.tif")).response();
    assert_eq!(
        (&report["status"], &report["output"]["uri"]),
        (&json!("done"), &json!("s3://bucket/out/a.tif"))
    );
    assert_eq!(report["output"]["size"], function.store.get("/bucket/out/a.tif").unwrap().len());
    let mut plan = job("small", "none.tif");
    plan["action"] = "plan".into();
    let planned = function.invoke(&plan).response();
    assert_eq!((&planned["status"], &planned["tiles"]["to_fetch"]), (&json!("planned"), &json!(64)));
    // Delivered again, it is found; what is another's is not.
    let again = function.invoke(&job("small", "a.tif")).response();
    assert_eq!((&again["status"], &again["found"]), (&json!("done"), &json!(true)));
    function.store.put("/bucket/out/other.tif", b"x".to_vec());
    assert_eq!(function.invoke(&job("small", "other.tif")).error().0, "exists");
    assert_eq!(function.outputs(), ["/bucket/out/a.tif", "/bucket/out/other.tif"]);
    let line = function.line(|line| line["requestId"] == "request-1");
    assert_eq!(
        (&line["level"], &line["status"], &line["src"]),
        (&json!("INFO"), &json!("done"), &json!("s3://bucket/in/small.tif"))
    );
    assert_eq!((&line["dst"], &line["coldStart"]), (&json!("s3://bucket/out/a.tif"), &json!(true)));
    assert_eq!(line["xrayTraceId"], "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1");
    assert!(line["ms"].as_f64().unwrap() > 0.0 && line["bytes"].as_u64().unwrap() > 100_000, "{line}");
    assert_eq!(*function.runtime.connected.lock().unwrap(), 1, "one connection to the runtime");
}

#[test]
fn errors_are_lambda_s_by_their_kind() {
    let mut function = Function::start(&[("COGCLIP_OPTIONS", "--max-retries 1")]);
    function.store.rule(Rule::always(Class::At("/bucket/in/refused.tif"), Fault::Status(500)));
    let local = function.folder.path().join("a.tif");
    for (changes, kind, says) in [
        (json!({ "bbox": "1,2,3" }), "usage", "1,2,3"),
        (json!({ "no_such": 1 }), "usage", "\"no_such\""),
        (json!({ "max_memory": 1 }), "usage", "max_memory"),
        (json!({ "action": "burn" }), "usage", "clip or plan"),
        (json!({ "bbox": "0,0,1,1" }), "no_overlap", "overlap"),
        (json!({ "src": "s3://bucket/in/none.tif" }), "io", "none.tif"),
        (json!({ "src": "s3://bucket/in/refused.tif" }), "io", "500"),
        // Neither its files nor what listens within the machine are a job's affair.
        (json!({ "src": "/proc/self/environ" }), "usage", "--allow-files"),
        (json!({ "dst": local }), "usage", "--allow-files"),
        (json!({ "bbox": null, "cutline": "/etc/hosts" }), "usage", "--allow-files"),
        (
            json!({ "src": format!("http://{}/2018-06-01/runtime/invocation/next", function.runtime.address) }),
            "usage",
            "address",
        ),
        (json!({ "src": "http://169.254.169.254/latest/meta-data" }), "usage", "address"),
    ] {
        let mut event = job("small", "new.tif");
        for (name, value) in changes.as_object().unwrap() {
            event[name] = value.clone();
        }
        let (found, message) = function.invoke(&event).error();
        assert!(found == kind && message.contains(says), "{event}: {found}: {message}");
    }
    assert!(function.outputs().is_empty() && !local.exists());
    let (kind, message) = function.invoke(&json!({ "Records": [{ "eventSource": "aws:kinesis" }] })).error();
    assert!(kind == "usage" && message.contains("aws:kinesis"), "{message}");
}

#[test]
fn of_a_batch_the_bad_record_alone_is_reported() {
    let mut function = Function::start(&[]);
    let batch = [
        ("m1", "g", job("small", "1.tif")),
        ("m2", "g", json!("{ this is no job")),
        ("m3", "g", job("small", "3.tif")),
        ("m4", "g", job("large", "4.tif")),
    ];
    assert_eq!(function.invoke(&messages("q", &batch)).response(), failures(&["m2"]));
    assert_eq!(function.outputs(), ["/bucket/out/1.tif", "/bucket/out/3.tif", "/bucket/out/4.tif"]);
    let line = function.line(|line| line["messageId"] == "m2");
    assert_eq!((&line["status"], &line["errorType"]), (&json!("failed"), &json!("usage")));
    let all = function.line(|line| line["records"] == 4);
    assert_eq!(all["failed"], 1);
    // All is well the second time, as what is done is found.
    let batch = [batch[0].clone(), batch[2].clone()];
    assert_eq!(function.invoke(&messages("q", &batch)).response(), failures(&[]));
}

#[test]
fn of_a_fifo_queue_what_follows_a_failure_is_left() {
    let mut function = Function::start(&[]);
    let mut broken = job("small", "b2.tif");
    broken["src"] = "s3://bucket/in/none.tif".into();
    let batch = [
        ("a1", "a", job("small", "a1.tif")),
        ("b1", "b", job("small", "b1.tif")),
        ("b2", "b", broken),
        ("a2", "a", job("small", "a2.tif")),
        ("b3", "b", job("small", "b3.tif")),
    ];
    assert_eq!(function.invoke(&messages("q.fifo", &batch)).response(), failures(&["b2", "b3"]));
    assert_eq!(function.outputs(), ["/bucket/out/a1.tif", "/bucket/out/a2.tif", "/bucket/out/b1.tif"]);
    assert_eq!(function.line(|line| line["messageId"] == "b3")["status"], "left");
    // The same groups of a queue without order.
    assert_eq!(function.invoke(&messages("q", &batch)).response(), failures(&["b2"]));
    assert_eq!(function.outputs().len(), 4);
}

#[test]
fn new_objects_are_clipped_by_the_template() {
    let template = json!({
        "dst": "s3://{bucket}/out/{folder}{stem}-clip.tif", "bbox": raster::small().bbox, "cutline_crs": "source"
    });
    let mut function = Function::start(&[("COGCLIP_JOB", &template.to_string())]);
    function.store.put("/bucket/in/a b+é.tif", raster::small().bytes.clone());
    let of_s3 = |name: &str, key: &str| {
        json!({ "Records": [{
            "eventSource": "aws:s3", "eventName": name,
            "s3": { "bucket": { "name": "bucket" }, "object": { "key": key, "size": 1 } }
        }] })
    };
    let put = of_s3("ObjectCreated:Put", "in/a+b%2B%C3%A9.tif");
    let answer = function.invoke(&put).response();
    assert_eq!(answer["reports"][0]["output"]["uri"], "s3://bucket/out/in/a b+é-clip.tif");
    assert_eq!(function.outputs(), ["/bucket/out/in/a b+é-clip.tif"]);
    let bridge = json!({
        "detail-type": "Object Created", "source": "aws.s3",
        "detail": { "bucket": { "name": "bucket" }, "object": { "key": "in/small.tif" } }
    });
    let queued =
        messages("q", &[("1", "g", bridge), ("2", "g", put), ("3", "g", of_s3("ObjectCreated:Put", "none"))]);
    assert_eq!(function.invoke(&queued).response(), failures(&["3"]));
    // Its own output is new as well, and what is deleted is not.
    for event in
        [of_s3("ObjectCreated:Put", "out/in/small-clip.tif"), of_s3("ObjectRemoved:Delete", "in/small.tif")]
    {
        assert_eq!(function.invoke(&event).response()["reports"][0]["status"], "ignored", "{event}");
    }
    assert_eq!(function.outputs().len(), 2);
}

#[test]
fn it_stops_in_time_and_says_how_far_it_was() {
    let mut function = Function::start(&[("COGCLIP_OPTIONS", "--margin 1s --concurrency 1")]);
    // The header comes, and the first of the tiles; the others do not.
    let gate = Gate::of(usize::MAX);
    function.store.rule(Rule::always(Class::At("/bucket/in/large.tif"), Fault::Gate(Arc::clone(&gate))));
    function.send(&job("large", "slow.tif"), 3_000);
    let began = Instant::now();
    let (kind, message) = function.answer().error();
    assert!(kind == "deadline" && message.contains("nothing was published"), "{kind}: {message}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    // Of a queue, what has not begun by then is to be delivered again.
    let batch = [
        ("1", "g", job("small", "1.tif")),
        ("2", "g", job("large", "2.tif")),
        ("3", "g", job("small", "3.tif")),
    ];
    function.send(&messages("q", &batch), 3_000);
    assert_eq!(function.answer().response(), failures(&["2", "3"]));
    assert_eq!(function.line(|line| line["messageId"] == "3")["status"], "left");
    assert_eq!(
        (function.outputs(), function.store.open_uploads()),
        (vec!["/bucket/out/1.tif".to_owned()], 0)
    );
    // And what has begun says how far it came: the table of tiles, at the file's end, is answered, and of the tiles those of its first
    // half. In which order they come, nothing says.
    function.store.no_rules();
    function.store.rule(Rule::always(Class::From(9 << 20), Fault::Stall).after(1));
    function.send(&job("large", "parts.tif"), 3_000);
    let (kind, message) = function.answer().error();
    let words: Vec<&str> = message.split([' ', ':']).collect();
    let before = |what: &str| {
        let at = words.iter().position(|word| *word == what).unwrap();
        [words[at - 3], words[at - 1]].map(|word| word.parse::<u64>().unwrap())
    };
    let ([made, tiles], [fetched, bytes]) = (before("tiles"), before("bytes"));
    // 3072 x 3072 pixels of two bytes in tiles of 512.
    assert!(kind == "deadline" && (tiles, bytes) == (36, 18 << 20), "{message}");
    assert!((1..36).contains(&made) && (1..bytes).contains(&fetched), "{message}");
    assert_eq!((function.outputs().len(), function.store.open_uploads()), (1, 0), "{message}");
    function.store.no_rules();
    assert_eq!(function.invoke(&job("large", "parts.tif")).response()["status"], "done");
}

#[test]
fn what_cannot_start_says_so_to_lambda() {
    let mut function = Function::start(&[("COGCLIP_JOB", "{\"dst\": \"s3://o/{file}\"}")]);
    let call = function.runtime.answers.recv_timeout(PATIENCE).unwrap();
    assert_eq!(call.path, "/2018-06-01/runtime/init/error");
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    assert!(
        body["errorType"] == "usage" && body["errorMessage"].as_str().unwrap().contains("{file}"),
        "{body}"
    );
    assert_eq!(function.child.wait().unwrap().code(), Some(2));
}
