//! The service with the real jobs, over an injected network: what is refused is neither looked up nor connected to.

use std::io::{Read as _, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Parser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::cli::args::{Args, Command};
use crate::store::address::Network;

fn command(words: &[&str]) -> ServeCommand {
    let all = ["cogclip", "serve"].iter().chain(words);
    let Command::Serve(serve) = Args::try_parse_from(all).unwrap().command else { panic!("it is serve") };
    *serve
}

/// All names have one address; what was asked is kept.
struct Told {
    answer: IpAddr,
    resolved: Mutex<Vec<String>>,
    connecting: Mutex<Vec<IpAddr>>,
}

impl Network for Told {
    fn resolve(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
        self.resolved.lock().unwrap().push(name.to_owned());
        Ok(vec![self.answer])
    }

    fn connecting(&self, addresses: &[IpAddr]) {
        self.connecting.lock().unwrap().extend(addresses);
    }
}

/// A service on a free port of this machine, whose network says that all names are this machine's.
struct Running {
    address: SocketAddr,
    told: Arc<Told>,
    lines: Arc<Mutex<Vec<Value>>>,
    stop: CancellationToken,
}

impl Running {
    async fn start(words: &[&str]) -> Self {
        let mut command = command(words);
        let told = Arc::new(Told {
            answer: Ipv4Addr::LOCALHOST.into(),
            resolved: Mutex::default(),
            connecting: Mutex::default(),
        });
        let mut options = command.options().unwrap();
        options.addresses = options.addresses.on(Arc::clone(&told) as _);
        let addresses = options.addresses.clone();
        let shared = command.shared(options.concurrency).await.unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&lines);
        let service =
            Service::new(options, Box::new(move |line| log.lock().unwrap().push(line.clone())), |observer| {
                command.store.guard(observer, addresses);
                Ok(Arc::new(Runner {
                    reading: command.store.options(),
                    workers: Workers::new(&shared),
                    maker: Maker {
                        given: Given::new(),
                        store: command.store,
                        shared,
                        writing: command.write,
                    },
                }))
            })
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(service.run(listener, async move { stopped.cancelled().await }));
        Self { address, told, lines, stop }
    }

    /// The status of the answer to a job, and its body.
    async fn post(&self, path: &str, job: &Value) -> (u16, Value) {
        let body = job.to_string();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A server that answers everything alike, and closes; and how many connections it was brought.
fn server(answer: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            seen.fetch_add(1, Ordering::SeqCst);
            drop(stream.read(&mut [0; 4096]));
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    (address, count)
}

fn box_of(src: &str) -> Value {
    json!({ "src": src, "dst": "s3://out/a.tif", "bbox": "0,0,1,1", "cutline_crs": "source" })
}

#[tokio::test]
async fn no_job_reaches_this_machine_or_its_network() {
    let (inner, reached) =
        server("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned());
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{inner}/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let (outer, asked) = server(redirect);
    let service = Running::start(&[
        "--allow-src",
        "http://",
        "--allow-src",
        "https://",
        "--allow-src",
        "s3://in/",
        "--allow-dst",
        "s3://out/",
        "--allow-address",
        "outer.test",
        "--store-option",
        "allow_redirects=true",
        // Nobody listens there: should anything be sent after all, it stays here.
        "--store-option",
        "aws_endpoint=http://127.0.0.1:9",
        "--max-retries",
        "0",
    ])
    .await;
    let by_name = format!("http://inner.test:{}/x", inner.port());
    let by_redirect = format!("http://outer.test:{}/x", outer.port());
    let inline = "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,0],[1,1],[0,0]]]}";
    let with_cutline =
        |cutline: &str| json!({ "src": "s3://in/a.tif", "dst": "s3://out/a.tif", "cutline": cutline });
    let with_stac = |stac: &str| json!({ "src": "s3://in/a.tif", "dst": "s3://out/a.tif", "cutline": inline, "stac": stac });
    for (job, looked_up, connected) in [
        (box_of("http://169.254.169.254/latest/meta-data/"), 0, 0),
        (box_of("http://[::ffff:169.254.169.254]/"), 0, 0),
        (box_of("http://0xa9fea9fe/"), 0, 0),
        (box_of("http://2852039166/"), 0, 0),
        (box_of("http://0251.0376.0251.0376/"), 0, 0),
        (box_of("http://169.254.169.254./"), 0, 0),
        (box_of("http://[64:ff9b::169.254.169.254]/"), 0, 0),
        (box_of("http://[2002:a9fe:a9fe::1]/"), 0, 0),
        (box_of("http://100.100.100.200/"), 0, 0),
        (box_of("http://[::]/"), 0, 0),
        (box_of("http://224.0.0.1/"), 0, 0),
        (box_of("http://user@example.com/a.tif"), 0, 0),
        (box_of("http://example.com@127.0.0.1/a.tif"), 0, 0),
        (with_cutline("http://169.254.169.254/a.geojson"), 0, 0),
        (with_cutline(&format!("http://{inner}/a.shp")), 0, 0),
        (box_of(&format!("http://{inner}/x")), 0, 0),
        (box_of("file:///etc/passwd"), 0, 0),
        (box_of("/etc/passwd"), 0, 0),
        (box_of("-"), 0, 0),
        (box_of("s3://other/a.tif"), 0, 0),
        (box_of("gs://in/a.tif"), 0, 0),
        (with_cutline("/etc/passwd"), 0, 0),
        (with_cutline("file:///etc/passwd"), 0, 0),
        (with_cutline("s3://other/a.geojson"), 0, 0),
        (json!({ "src": "s3://in/a.tif", "dst": "/tmp/a.tif", "cutline": inline }), 0, 0),
        (json!({ "src": "s3://in/a.tif", "dst": "s3://in/a.tif", "cutline": inline }), 0, 0),
        (json!({ "src": "s3://in/a.tif", "dst": "https://h.test/a.tif", "cutline": inline }), 0, 0),
        (with_stac("/tmp/a.json"), 0, 0),
        (with_stac("file:///tmp/a.json"), 0, 0),
        (with_stac("-"), 0, 0),
        (with_stac("s3://in/a.json"), 0, 0),
        (with_stac("http://169.254.169.254/a.json"), 0, 0),
        (with_stac(&format!("http://{inner}/a.json")), 0, 0),
        (box_of(&by_name), 1, 0),
        (box_of(&by_name.replace("test:", "test.:")), 1, 0),
        (box_of(&by_redirect), 1, 1),
    ] {
        for path in ["/clip", "/plan"] {
            if path == "/plan" && job["src"] == "s3://in/a.tif" && job["cutline"] == inline {
                // A plan writes nothing.
                continue;
            }
            service.told.resolved.lock().unwrap().clear();
            service.told.connecting.lock().unwrap().clear();
            let (status, body) = service.post(path, &job).await;
            assert_eq!((status, &body["kind"]), (403, &json!("forbidden")), "{path} {job}: {body}");
            assert_eq!(service.told.resolved.lock().unwrap().len(), looked_up, "{path} {job}: looked up");
            assert_eq!(
                service.told.connecting.lock().unwrap().len(),
                connected,
                "{path} {job}: connected to"
            );
        }
    }
    assert_eq!(reached.load(Ordering::SeqCst), 0, "the server inside was connected to");
    assert_eq!(asked.load(Ordering::SeqCst), 2, "the redirects were not asked for");
    // The server inside could have been reached: with its name allowed, it is.
    let open = Running::start(&[
        "--allow-src",
        "http://",
        "--allow-dst",
        "s3://out/",
        "--allow-address",
        "inner.test",
    ])
    .await;
    assert_eq!(open.post("/plan", &box_of(&by_name)).await.0, 404);
    assert_eq!(reached.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_a_job_may_not_say_is_refused_and_nothing_secret_is_logged() {
    let service = Running::start(&["--allow-src", "s3://in/", "--allow-dst", "s3://out/"]).await;
    for name in [
        "grid",
        "split",
        "store_option",
        "src_option",
        "dst_option",
        "max_memory",
        "threads",
        "hedge",
        "json",
        "quiet",
        "verbose",
        "no_such_option",
        "help",
        "version",
        "",
    ] {
        for value in [json!("/etc/passwd"), json!(true), json!(["a", "b"])] {
            let mut job = box_of("s3://in/a.tif");
            job[name] = value;
            let (status, body) = service.post("/clip", &job).await;
            assert_eq!((status, &body["kind"]), (400, &json!("usage")), "{job}: {body}");
        }
    }
    let (status, _) = service.post("/clip", &box_of("https://u:SECRET@h/a.tif?sig=SECRET")).await;
    assert_eq!(status, 403);
    let lines = service.lines.lock().unwrap().clone();
    let text = serde_json::to_string(&lines).unwrap();
    assert!(!text.contains("SECRET"), "{text}");
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["route"], &last["status"], &last["kind"]),
        (&json!("/clip"), &json!(403), &json!("forbidden"))
    );
}

#[tokio::test]
async fn without_prefixes_nothing_is_allowed() {
    let service = Running::start(&[]).await;
    for src in ["s3://in/a.tif", "https://example.com/a.tif", "/etc/passwd"] {
        assert_eq!(service.post("/plan", &box_of(src)).await.0, 403, "{src}");
    }
}

#[tokio::test]
async fn what_is_given_must_make_sense() {
    for (words, expected) in [
        (&["--listen", "0.0.0.0:0"][..], "give a token"),
        (&["--listen", "[::]:0"], "give a token"),
        (&["--allow-src", "/data"], "files of this machine cannot be allowed"),
        (&["--allow-dst", "file:///data/"], "--allow-dst"),
        (&["--allow-address", "10.0.0.0/99"], "--allow-address"),
        (&["--max-memory", "64MiB"], "--max-memory"),
        (&["--token-file", "/no/such/file"], "/no/such/file"),
        (&["--store-option", "http_bearer_token=SECRET"], "http_origin"),
        (&["--store-option", "no_such_key=SECRET"], "no_such_key"),
    ] {
        let error = run(command(words)).await.unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Usage, "{words:?}");
        assert!(
            error.with_causes().contains(expected) && !error.with_causes().contains("SECRET"),
            "{words:?}: {error}"
        );
    }
    for (words, port, expected) in [
        (&[][..], None, "127.0.0.1:8080"),
        (&[], Some("9000"), "0.0.0.0:9000"),
        (&["--listen", "127.0.0.1:1"], Some("9000"), "127.0.0.1:1"),
    ] {
        assert_eq!(command(words).address(port).unwrap().to_string(), expected);
    }
    assert!(command(&[]).address(Some("x")).is_err());
}

#[test]
fn every_option_of_a_job_is_documented() {
    let schemas = rows::schemas();
    for name in
        ["cutline", "bbox", "cutline_crs", "all_touched", "compress", "bands", "on_empty", "overwrite", "ifd"]
    {
        assert!(schemas.contains_key(name), "{name}");
    }
    for name in ["grid", "store_option", "max_memory", "json", "split"] {
        assert!(!schemas.contains_key(name), "{name}");
    }
    assert_eq!(schemas["all_touched"]["type"], json!(["boolean", "null"]));
    assert_eq!(schemas["on_empty"]["enum"], json!(["error", "skip", "write", null]));
}
