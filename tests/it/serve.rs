//! The service as a process: `cogclip serve` on loopback, over the test server as its S3. What no request may reach is tested in
//! src/cli/serve_tests.rs, where the network is injected.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::faults::raster;
use crate::faults::run::{self, Credentials, Store};
use crate::server::{Class, Fault, Rule, Server};

const TOKEN: &str = "a-token-for-tests-only";
/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A service, and the store that it reads and writes.
struct Service {
    child: Child,
    /// `127.0.0.1:port`.
    host: String,
    lines: Arc<Mutex<Vec<Value>>>,
    store: Server,
    folder: tempfile::TempDir,
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json", "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Service {
    fn start(words: &[&str]) -> Self {
        Self::with_environment(words, &[("COGCLIP_TOKEN", TOKEN)])
    }

    fn with_environment(words: &[&str], more: &[(&str, &str)]) -> Self {
        let store = Server::start();
        store.put("/bucket/in/small.tif", raster::small().bytes.clone());
        store.put("/bucket/in/large.tif", raster::large().bytes.clone());
        let folder = tempfile::tempdir().unwrap();
        let environment = Store::S3.environment(&store.url(), Credentials::Static, folder.path());
        let always = ["serve", "--listen", "127.0.0.1:0", "--allow-src", "s3://bucket/in/"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_cogclip"))
            .args(always)
            .args(["--allow-dst", "s3://bucket/out/", "--max-retries", "1"])
            .args(words)
            .env_clear()
            .envs(environment)
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::<Value>::new()));
        let (log, stderr) = (Arc::clone(&lines), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Every line is an object.
                log.lock().unwrap().push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        let mut service = Self { child, host: String::new(), lines, store, folder };
        let line = service.line(|line| {
            line["message"].as_str().is_some_and(|message| message.starts_with("listening at "))
        });
        line["message"].as_str().unwrap().rsplit('/').next().unwrap().clone_into(&mut service.host);
        service
    }

    /// The first line of the log for which this holds, once it is there.
    #[track_caller]
    fn line(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.lines.lock().unwrap().iter().find(|line| wanted(line)) {
                return line.clone();
            }
            assert!(Instant::now() < end, "there is no such line in {:?}", self.lines.lock().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a request, and does not wait for the answer.
    fn send(&self, head: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut text = format!("{head} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if !body.is_empty() {
            let _ = write!(text, "Content-Length: {}\r\n", body.len());
        }
        // What is refused early is not read to its end.
        drop(stream.write_all(format!("{text}\r\n{body}").as_bytes()));
        stream
    }

    fn ask(&self, head: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        answer(self.send(head, headers, body))
    }

    fn post(&self, path: &str, job: &Value) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        self.ask(&format!("POST {path}"), &headers, &job.to_string())
    }

    /// Begins a clip, and waits until its source is being read.
    fn begin(&self, job: &Value) -> TcpStream {
        let before = self.store.asked();
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let stream = self.send("POST /clip", &headers, &job.to_string());
        let end = Instant::now() + PATIENCE;
        while self.store.asked() == before {
            assert!(Instant::now() < end, "the clip does not begin");
            std::thread::sleep(Duration::from_millis(2));
        }
        stream
    }

    fn terminate(&self) {
        let number = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &number]).status().unwrap().success());
    }

    /// The exit code.
    fn end(&mut self) -> Option<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn outputs(&self) -> Vec<String> {
        self.store.paths().into_iter().filter(|path| path.contains("/out/")).collect()
    }

    /// A figure, by its name with its labels.
    #[track_caller]
    fn figure(&self, name: &str) -> u64 {
        let bearer = format!("Bearer {TOKEN}");
        let text = self.ask("GET /metrics", &[("Authorization", &bearer)], "").body;
        let figure = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        assert!(figure.is_some(), "there is no {name} in {text}");
        figure.unwrap().parse().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A connection that is reset after its answer has brought it.
    drop(stream.read_to_end(&mut bytes));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("\r\n\r\n"), "no answer: {text:?}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    Answer {
        status: head[9..12].parse().unwrap(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect(),
        body: body.to_owned(),
    }
}

/// A clip of all of a raster, as [`run::arguments`] has it.
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

#[test]
fn a_clip_is_the_command_s_own() {
    let service = Service::start(&[]);
    let document = service.ask("GET /openapi.json", &[], "").json();
    for name in ["small", "large"] {
        let answer = service.post("/clip", &job(name, &format!("{name}.tif")));
        assert_eq!(answer.status, 200, "{}", answer.body);
        conforms(&document, "/clip", &job(name, "a.tif"), &answer);
        let report = answer.json();
        assert_eq!(
            (&report["status"], &report["output"]["uri"]),
            (&json!("done"), &json!(format!("s3://bucket/out/{name}.tif")))
        );
        // The same with the command, beside it: provenance and all.
        let environment =
            Store::S3.environment(&service.store.url(), Credentials::Static, service.folder.path());
        let (src, dst) =
            (format!("s3://bucket/in/{name}.tif"), format!("s3://bucket/out/{name}-command.tif"));
        let raster = if name == "small" { raster::small() } else { raster::large() };
        let words = [
            "clip",
            &src,
            &dst,
            "--bbox",
            &raster.bbox,
            "--cutline-crs",
            "source",
            "--compress",
            "none",
            "--no-overviews",
        ];
        let done = run::start(&words, &environment).end();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let bytes = |suffix: &str| service.store.get(&format!("/bucket/out/{name}{suffix}.tif")).unwrap();
        assert!(bytes("") == bytes("-command") && bytes("").len() > 500_000, "{name}");
        assert_eq!(report["output"]["size"], bytes("").len());
    }
    let wanted =
        json!({ "src": "s3://bucket/in/small.tif", "bbox": raster::small().bbox, "cutline_crs": "source" });
    let plan = service.post("/plan", &wanted);
    conforms(&document, "/plan", &wanted, &plan);
    assert_eq!((plan.status, &plan.json()["status"]), (200, &json!("planned")));
    assert_eq!(plan.json()["tiles"]["to_fetch"], 64);
    let line = service.line(|line| line["route"] == "/clip");
    assert_eq!(
        (&line["status"], &line["src"], &line["dst"]),
        (&json!(200), &json!("s3://bucket/in/small.tif"), &json!("s3://bucket/out/small.tif"))
    );
}

/// Holds an answer, and the job if it was done, against the schemas of the document.
#[track_caller]
fn conforms(document: &Value, path: &str, job: &Value, answer: &Answer) {
    let operation = &document["paths"][path]["post"];
    let said = &operation["responses"][answer.status.to_string()];
    let kind = &answer.headers["content-type"];
    let schema = &said["content"][kind]["schema"];
    assert!(schema.is_object(), "{path}: {} as {kind} is not in the document", answer.status);
    assert_eq!(fits(document, schema, &answer.json()), Ok(()), "{path} {}", answer.body);
    for name in said["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        assert!(answer.headers.contains_key(&name.to_ascii_lowercase()), "{path}: {name}");
    }
    if answer.status == 200 {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(fits(document, body, job), Ok(()), "{job}");
    }
}

/// Whether a value is as a schema says, with the keywords of JSON Schema that the document uses.
fn fits(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let is = |schema: &Value, value: &Value| fits(document, schema, value).is_ok();
    let all = |list: &Value| list.as_array().unwrap().clone();
    for (keyword, wanted) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "description" => true,
            "$ref" => {
                let named = document.pointer(wanted.as_str().unwrap().trim_start_matches('#')).unwrap();
                fits(document, named, value)?;
                true
            }
            "type" => {
                let is_of = |name: &Value| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "null" => value.is_null(),
                    _ => false,
                };
                wanted.as_array().map_or_else(|| is_of(wanted), |names| names.iter().any(is_of))
            }
            "enum" => all(wanted).contains(value),
            "const" => wanted == value,
            "minimum" => value.as_f64() >= wanted.as_f64(),
            "maximum" => value.as_f64() <= wanted.as_f64(),
            "minLength" => value.as_str().is_none_or(|text| text.len() as u64 >= wanted.as_u64().unwrap()),
            "required" => all(wanted).iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "anyOf" => all(wanted).iter().any(|one| is(one, value)),
            "oneOf" => all(wanted).iter().filter(|one| is(one, value)).count() == 1,
            "items" => value.as_array().is_none_or(|items| items.iter().all(|item| is(wanted, item))),
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        fits(document, schema, value).map_err(|error| format!("{name}: {error}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = schema["properties"].as_object().unwrap();
                value.as_object().is_none_or(|own| own.keys().all(|name| known.contains_key(name)))
            }
            other => return Err(format!("the keyword {other} is not known here")),
        };
        if !holds {
            return Err(format!("{value} against {keyword} {wanted}"));
        }
    }
    Ok(())
}

#[test]
fn a_stac_item_goes_where_outputs_may() {
    let service = Service::start(&[]);
    let document = service.ask("GET /openapi.json", &[], "").json();
    let with = |stac: &str| {
        let mut job = job("small", "a.tif");
        job["stac"] = stac.into();
        job
    };
    let file = service.folder.path().join("item.json");
    for place in [
        "s3://bucket/in/a.json",
        "s3://elsewhere/a.json",
        "s3://bucket/outer/a.json",
        "https://example.com/a.json",
        "-",
        file.to_str().unwrap(),
        &format!("file://{}", file.display()),
    ] {
        let answer = service.post("/clip", &with(place));
        conforms(&document, "/clip", &with(place), &answer);
        assert_eq!((answer.status, &answer.json()["kind"]), (403, &json!("forbidden")), "{place}");
    }
    assert_eq!(service.store.asked(), 0, "nothing is asked for what is refused");
    assert!(!file.exists());
    for (place, path) in
        [("auto", "/bucket/out/a.json"), ("s3://bucket/out/items/x.json", "/bucket/out/items/x.json")]
    {
        let mut job = with(place);
        job["overwrite"] = true.into();
        let answer = service.post("/clip", &job);
        conforms(&document, "/clip", &job, &answer);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let item: Value = serde_json::from_slice(&service.store.get(path).unwrap()).unwrap();
        let output = &answer.json()["output"];
        assert_eq!((&item["type"], &item["id"]), (&json!("Feature"), &json!("a")));
        let asset = item["assets"].as_object().unwrap().values().next().unwrap();
        assert_eq!(asset["file:size"], output["size"], "{item}");
    }
    // A plan writes nothing, and so says nothing of where.
    assert_eq!(service.post("/plan", &with("/tmp/item.json")).status, 200);
    assert_eq!(service.outputs().len(), 3);
}

#[test]
fn no_cutline_of_this_machine_is_read() {
    // The resolver is the system's: localhost is in every hosts file.
    let service = Service::start(&["--allow-src", "http://"]);
    service.store.put("/bucket/in/field.geojson", b"{}".to_vec());
    let port = service.store.url().rsplit(':').next().unwrap().to_owned();
    for host in
        ["localhost", "LOCALHOST", "127.0.0.1", "127.1", "0x7f000001", "[::ffff:127.0.0.1]", "[::1]", "0"]
    {
        for path in ["bucket/in/field.geojson", "field.shp", "field.gpkg"] {
            let mut wanted = job("small", "a.tif");
            wanted.as_object_mut().unwrap().remove("bbox");
            wanted["cutline"] = format!("http://{host}:{port}/{path}").into();
            for answer in [service.post("/clip", &wanted), service.post("/plan", &wanted)] {
                assert_eq!(
                    (answer.status, &answer.json()["kind"]),
                    (403, &json!("forbidden")),
                    "{}",
                    answer.body
                );
            }
        }
    }
    assert!(!service.store.heard("field"));
    assert!(service.outputs().is_empty());
}

#[test]
fn who_has_no_token_is_refused() {
    let service = Service::start(&[]);
    let body = job("small", "a.tif").to_string();
    for given in [None, Some("Bearer not-the-token-at-all"), Some("Bearer"), Some("Basic YTpi"), Some(TOKEN)]
    {
        for head in ["POST /clip", "POST /plan", "GET /metrics"] {
            let mut headers = vec![("Content-Type", "application/json")];
            headers.extend(given.map(|value| ("Authorization", value)));
            let answer = service.ask(head, &headers, if head.starts_with("POST") { &body } else { "" });
            assert_eq!(
                (answer.status, &answer.json()["kind"]),
                (401, &json!("unauthorized")),
                "{head} {given:?}"
            );
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
    assert_eq!(service.store.asked(), 0, "nothing is asked for nobody");
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(service.ask(&format!("GET {path}"), &[], "").status, 200, "{path}");
    }
    assert!(!format!("{:?}", service.lines.lock().unwrap()).contains("token-"), "no token is logged");
}

#[test]
fn each_failure_has_its_status_and_its_error() {
    let service = Service::start(&["--max-body", "20kB"]);
    let document = service.ask("GET /openapi.json", &[], "").json();
    service.store.put("/bucket/in/broken.tif", b"II*\0garbage".to_vec());
    service.store.put("/bucket/out/there.tif", b"x".to_vec());
    let with = |changes: Value| {
        let mut job = job("small", "new.tif");
        for (name, value) in changes.as_object().unwrap() {
            job[name] = value.clone();
        }
        job
    };
    service.store.rule(Rule::always(Class::At("/bucket/in/refused.tif"), Fault::Status(500)));
    for (job, status, kind, exit_code) in [
        (with(json!({ "bbox": "1,2,3" })), 400, "usage", 2),
        (with(json!({ "no_such": 1 })), 400, "usage", 2),
        (with(json!({ "src": "s3://elsewhere/a.tif" })), 403, "forbidden", 2),
        (with(json!({ "dst": "s3://bucket/in/a.tif" })), 403, "forbidden", 2),
        (with(json!({ "src": "s3://bucket/in/none.tif" })), 404, "io", 5),
        (with(json!({ "dst": "s3://bucket/out/there.tif" })), 409, "exists", 9),
        (with(json!({ "src": "s3://bucket/in/broken.tif" })), 422, "format", 3),
        (with(json!({ "bbox": "0,0,1,1" })), 422, "no_overlap", 8),
        (with(json!({ "src": "s3://bucket/in/refused.tif" })), 502, "io", 5),
    ] {
        let answer = service.post("/clip", &job);
        conforms(&document, "/clip", &job, &answer);
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["kind"], &body["exit_code"]),
            (status, &json!(kind), &json!(exit_code)),
            "{job}: {body}"
        );
    }
    let bearer = format!("Bearer {TOKEN}");
    let (auth, typed) = (("Authorization", bearer.as_str()), ("Content-Type", "application/json"));
    let long = format!("{{\"src\": \"{}\"}}", "x".repeat(20_000));
    for (head, headers, body, status) in [
        ("POST /clip", vec![auth, typed], "[1]", 400),
        ("POST /clip", vec![auth, typed], "{\"src\": ", 400),
        ("POST /clip", vec![auth, typed], "", 400),
        ("POST /clip", vec![auth], "{}", 415),
        ("POST /clip", vec![auth, ("Content-Type", "text/plain")], "{}", 415),
        ("POST /clip", vec![auth, typed], &long, 413),
        ("GET /clip", vec![auth], "", 405),
        ("DELETE /healthz", vec![], "", 405),
        ("GET /nothing", vec![], "", 404),
        ("GET /clip/", vec![], "", 404),
        ("GET /../etc/passwd", vec![], "", 404),
    ] {
        let answer = service.ask(head, &headers, body);
        if head == "POST /clip" {
            conforms(&document, "/clip", &json!({}), &answer);
        }
        assert_eq!(answer.status, status, "{head} {body:.20}: {}", answer.body);
        assert!(answer.json()["error"].is_string(), "{head}");
    }
    assert_eq!(service.outputs(), ["/bucket/out/there.tif"]);
    assert_eq!(service.figure("cogclip_requests_total{route=\"/clip\",status=\"403\"}"), 2);
    assert_eq!(service.figure("cogclip_requests_total{route=\"other\",status=\"404\"}"), 3);
}

#[test]
fn more_jobs_than_there_are_places_are_refused_or_wait() {
    let service = Service::start(&["--concurrency", "1", "--queue", "1"]);
    service.store.rule(Rule::once(Class::First, Fault::Latency(Duration::from_millis(1500))));
    let first = service.begin(&job("small", "1.tif"));
    let second = std::thread::scope(|scope| {
        let second = scope.spawn(|| service.post("/clip", &job("small", "2.tif")));
        let end = Instant::now() + PATIENCE;
        while service.figure("cogclip_jobs_waiting") < 1 {
            assert!(Instant::now() < end);
        }
        let third = service.post("/clip", &job("small", "3.tif"));
        assert_eq!((third.status, &third.json()["kind"]), (503, &json!("busy")));
        assert_eq!(third.headers["retry-after"], "1");
        second.join().unwrap()
    });
    assert_eq!((answer(first).status, second.status), (200, 200));
    assert_eq!(service.outputs(), ["/bucket/out/1.tif", "/bucket/out/2.tif"]);
    assert_eq!((service.figure("cogclip_jobs_running"), service.figure("cogclip_jobs_waiting")), (0, 0));
}

#[test]
fn what_takes_too_long_is_given_up_and_leaves_nothing() {
    let service = Service::start(&["--concurrency", "1", "--request-timeout", "1s"]);
    // The last tiles: a part has been uploaded by then.
    service.store.rule(Rule::always(Class::From(17 << 20), Fault::Latency(Duration::from_secs(4))));
    let answer = service.post("/clip", &job("large", "slow.tif"));
    assert_eq!((answer.status, &answer.json()["kind"]), (504, &json!("timeout")));
    settled(&service);
    assert!(service.outputs().is_empty());
    // Its turn is free again.
    assert_eq!(service.post("/clip", &job("small", "next.tif")).status, 200);
}

#[test]
fn a_client_that_goes_away_takes_its_job_along() {
    let service = Service::start(&["--concurrency", "1", "--queue", "0"]);
    // Some of it has been uploaded by then.
    service.store.rule(Rule::always(Class::From(17 << 20), Fault::Latency(Duration::from_secs(4))));
    let stream = service.begin(&job("large", "gone.tif"));
    wait_for_part(&service);
    drop(stream);
    let line = service.line(|line| line["route"] == "/clip");
    assert_eq!(line["status"], 499);
    let end = Instant::now() + PATIENCE;
    while service.post("/clip", &job("small", "next.tif")).status == 503 {
        assert!(Instant::now() < end, "its place stays taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    settled(&service);
    assert_eq!(service.outputs(), ["/bucket/out/next.tif"]);
}

#[test]
fn what_has_begun_ends_after_sigterm() {
    let mut service = Service::start(&["--grace", "30s"]);
    service.store.rule(Rule::times(2, Class::Part, Fault::Latency(Duration::from_millis(700))));
    let stream = service.begin(&job("large", "a.tif"));
    service.terminate();
    service.line(|line| line["message"].as_str().is_some_and(|message| message.starts_with("stopping")));
    assert_eq!(answer(stream).status, 200);
    assert_eq!(service.end(), Some(0));
    assert_eq!(service.outputs(), ["/bucket/out/a.tif"]);
    assert!(TcpStream::connect(&service.host).is_err(), "nobody listens");
}

#[test]
fn what_does_not_end_in_time_is_given_up_and_leaves_nothing() {
    let mut service = Service::start(&["--grace", "300ms"]);
    service.store.rule(Rule::always(Class::From(17 << 20), Fault::Latency(Duration::from_secs(4))));
    let stream = service.begin(&job("large", "a.tif"));
    wait_for_part(&service);
    service.terminate();
    let answer = answer(stream);
    assert_eq!((answer.status, &answer.json()["kind"]), (503, &json!("stopping")));
    assert_eq!(service.end(), Some(143));
    assert!(service.store.settle(PATIENCE));
    assert!(service.outputs().is_empty());
    assert_eq!(service.store.open_uploads(), 0);
}

#[test]
fn what_is_being_published_is_published_all_the_same() {
    let mut service = Service::start(&["--grace", "300ms", "--request-timeout", "1500ms"]);
    service.store.rule(Rule::always(Class::Complete, Fault::Latency(Duration::from_secs(2))));
    // Too late, and stopped, while the store completes it.
    let answer = service.post("/clip", &job("large", "late.tif"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let stream = service.begin(&job("large", "stopped.tif"));
    let end = Instant::now() + PATIENCE;
    while service.store.asked() < 2 || !service.store.heard("uploadId=") || completing(&service) < 2 {
        assert!(Instant::now() < end, "nothing is published");
        std::thread::sleep(Duration::from_millis(2));
    }
    service.terminate();
    assert_eq!(self::answer(stream).status, 200);
    assert_eq!(service.end(), Some(0));
    assert_eq!(service.outputs(), ["/bucket/out/late.tif", "/bucket/out/stopped.tif"]);
}

/// How many uploads have been asked to be completed.
fn completing(service: &Service) -> usize {
    service
        .store
        .all_heard()
        .iter()
        .filter(|heard| heard.contains("uploadId=") && !heard.contains("partNumber="))
        .count()
}

fn wait_for_part(service: &Service) {
    let end = Instant::now() + PATIENCE;
    while !service.store.heard("partNumber=") {
        assert!(Instant::now() < end, "no part is uploaded");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until no upload is open.
fn settled(service: &Service) {
    let end = Instant::now() + PATIENCE;
    while service.store.open_uploads() > 0 {
        assert!(Instant::now() < end, "an upload stays open");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn figures_are_prometheus_text() {
    let service = Service::start(&[]);
    assert_eq!(service.post("/clip", &job("small", "a.tif")).status, 200);
    service.store.rule(Rule::once(Class::First, Fault::Status(503)));
    assert_eq!(service.post("/clip", &job("small", "b.tif")).status, 200);
    let bearer = format!("Bearer {TOKEN}");
    let answer = service.ask("GET /metrics", &[("Authorization", &bearer)], "");
    assert!(answer.headers["content-type"].starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(answer.body.ends_with("# EOF\n"));
    let written = service.store.get("/bucket/out/a.tif").unwrap().len() as u64 * 2;
    assert_eq!(service.figure("cogclip_written_bytes_total"), written);
    // 512 x 512 samples of two bytes, twice.
    assert!(service.figure("cogclip_fetched_bytes_total") >= 2 * 524_288);
    assert_eq!(service.figure("cogclip_retries_total"), 1);
    assert_eq!(service.figure("cogclip_request_duration_seconds_count{route=\"/clip\"}"), 2);
    assert_eq!(service.figure("cogclip_request_duration_seconds_bucket{le=\"+Inf\",route=\"/clip\"}"), 2);
    // This very one.
    assert_eq!(service.figure("cogclip_requests_in_flight"), 1);
}

#[test]
fn the_document_is_of_this_service() {
    for (environment, is_private) in [(&[("COGCLIP_TOKEN", TOKEN)][..], true), (&[], false)] {
        let service = Service::with_environment(&[], environment);
        let document = service.ask("GET /openapi.json", &[], "").json();
        assert_eq!(document["openapi"], "3.1.0");
        let mut count = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                count += 1;
                let status = service.ask(&format!("{} {path}", method.to_ascii_uppercase()), &[], "").status;
                assert!(operation["responses"][status.to_string()].is_object(), "{method} {path}: {status}");
                assert!(![404, 405].contains(&status), "{method} {path}");
                assert_eq!(
                    operation["security"].is_array(),
                    is_private && ["/clip", "/plan", "/metrics"].contains(&path.as_str())
                );
            }
        }
        assert_eq!(count, 6);
    }
}
