//! Against a server that does what is written out here. Waits are compared with bounds that a busy machine keeps.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;

use bytes::Bytes;
use url::Url;

use super::*;
use crate::error::ErrorKind;
use crate::observe::Observer;
use crate::store::client::{HttpClient, Kind};
use crate::store::scripted::{Asked as Got, Scripted};

/// What a server does with a request.
type Script = fn(Got);

/// What no message may hold.
const SECRET: &str = "SECRET";

#[derive(Default)]
pub(super) struct Events(pub(super) Mutex<Vec<Event>>);

impl Observer for Events {
    fn event(&self, event: &Event) {
        assert!(!format!("{event:?}").contains(SECRET), "{event:?}");
        self.0.lock().unwrap().push(event.clone());
    }
}

/// A transport, and what it tells.
pub(super) struct Way {
    pub(super) transport: Transport,
    pub(super) tally: Tally,
    pub(super) auth: Auth,
    pub(super) events: Arc<Events>,
}

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        max_retries: 3,
        retry_timeout: Duration::from_secs(30),
        backoff_base: Duration::from_millis(2),
        backoff_cap: Duration::from_millis(10),
        idle_timeout: Duration::from_secs(5),
        ..StoreOptions::default()
    }
}

impl Way {
    pub(super) fn new(options: StoreOptions) -> Self {
        let events = Arc::new(Events::default());
        let options = StoreOptions { observer: Arc::clone(&events) as _, ..options };
        let client = HttpClient::new(&options, Kind::Store).unwrap();
        Self {
            transport: Transport::new(client, &options, "server".into()),
            tally: Tally::default(),
            auth: Auth::trial(0),
            events,
        }
    }

    pub(super) fn call<'a>(&'a self, request: &'a Request) -> Call<'a> {
        Call {
            shown: "SHOWN",
            doing: "reading",
            request,
            auth: &self.auth,
            most: 1 << 30,
            tally: &self.tally,
            counted: true,
            hedge: false,
            lost: None,
            redirects: Redirects::No,
        }
    }

    /// Requests, retries and hedges of the tally.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let of = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        (of(&self.tally.requests), of(&self.tally.retries), of(&self.tally.hedges))
    }

    pub(super) async fn make(&self, call: Call<'_>) -> Result<Response> {
        let answer = timeout(Duration::from_mins(1), self.transport.call(call, judge)).await.unwrap();
        if let Err(error) = &answer {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            assert!(!text.contains(SECRET), "{text}");
        }
        answer
    }

    pub(super) async fn get(&self, url: Url) -> Result<Response> {
        let request = request(Method::GET, url, Vec::new());
        self.make(self.call(&request)).await
    }
}

fn judge(response: Response, _: Tried) -> Verdict<Response> {
    let error = Error::io(format!("SHOWN: the server answers {}", response.status));
    match response.status {
        200..=399 => Verdict::Done(response),
        429 | 500.. => Verdict::Again(error, None),
        403 => Verdict::Renew(error),
        _ => Verdict::Never(error),
    }
}

pub(super) fn request(method: Method, url: Url, body: Vec<Bytes>) -> Request {
    Request { method, url, headers: HeaderMap::new(), body, sha256: None }
}

pub(super) fn ok(mut got: Got) {
    got.answer("200 OK", "", "body");
}

/// `script` for the first requests, then an answer.
fn after(fails: usize, script: impl Fn(Got) + Send + Sync + 'static) -> Scripted {
    Scripted::new(move |got| if got.number < fails { script(got) } else { ok(got) })
}

/// The message of an error.
#[track_caller]
pub(super) fn message(answer: Result<Response>, kind: ErrorKind) -> String {
    let error = answer.map(|response| response.status).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error.to_string()
}

pub(super) fn short_idle() -> StoreOptions {
    StoreOptions {
        idle_timeout: Duration::from_millis(400),
        connect_timeout: Duration::from_millis(300),
        ..options()
    }
}

#[tokio::test]
async fn failures_are_tried_again() {
    let scripts: [(&str, Script); 8] = [
        ("closed at once", drop),
        ("closed in the head", |mut got| {
            got.send("HTTP/1.1 200 OK\r\nContent-Le");
        }),
        ("short body", |mut got| {
            got.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbody");
        }),
        ("chunks without an end", |mut got| {
            got.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n");
        }),
        ("reset", |mut got| {
            // What was not read makes closing a reset.
            got.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        }),
        ("stall in the head", |mut got| got.wait()),
        ("stall in the body", |mut got| {
            got.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbody");
            got.wait();
        }),
        ("503", |mut got| got.answer("503 Slow Down", "", "SECRET")),
    ];
    for (name, script) in scripts {
        let server = after(2, script);
        let way = Way::new(short_idle());
        let answer =
            way.get(server.url("/a?sig=SECRET")).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&answer.body[..], b"body", "{name}");
        assert!(!answer.cut);
        assert_eq!(way.counts(), (3, 2, 0), "{name}");
        let mut retried = Vec::new();
        for event in way.events.0.lock().unwrap().iter() {
            if let Event::Retried { uri, tries, reason, .. } = event {
                retried.push((uri.clone(), *tries, reason.clone()));
            }
        }
        assert_eq!(retried.len(), 2, "{name}");
        assert!(
            retried.iter().enumerate().all(|(n, it)| it.0 == "SHOWN" && it.1 as usize == n + 1),
            "{name}"
        );
        assert!(!retried[0].2.contains("SHOWN"), "{name}: {retried:?}");
    }
}

#[tokio::test]
async fn it_says_how_often_it_was_tried() {
    let server = Scripted::new(|mut got| got.answer("500 Oh", "", ""));
    let way = Way::new(options());
    let text = message(way.get(server.url("/")).await, ErrorKind::Io);
    assert!(text.starts_with("SHOWN: the server answers 500, after 4 tries in "), "{text}");
    assert_eq!(way.counts(), (4, 3, 0));
    // Nothing listens there any more.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let way = Way::new(options());
    let text =
        message(way.get(Url::parse(&format!("http://{closed}/?SECRET")).unwrap()).await, ErrorKind::Io);
    assert!(
        text.starts_with("SHOWN: reading failed: the connection failed (connection refused), after 4 tries"),
        "{text}"
    );
    let way = Way::new(StoreOptions { max_retries: 0, ..options() });
    let text = message(way.get(Url::parse("http://nowhere.invalid/?SECRET").unwrap()).await, ErrorKind::Io);
    assert_eq!(text, "SHOWN: reading failed: the server's name cannot be resolved");
}

#[tokio::test]
async fn what_is_hopeless_is_not_tried_again() {
    let server = Scripted::new(|mut got| got.answer("400 Bad Request", "", "SECRET"));
    let way = Way::new(options());
    assert_eq!(message(way.get(server.url("/")).await, ErrorKind::Io), "SHOWN: the server answers 400");
    assert_eq!(way.counts(), (1, 0, 0));
}

#[tokio::test]
async fn what_may_have_been_done_is_remembered() {
    let scripts: [(Script, bool); 4] = [
        (drop, true),
        (|mut got| got.answer("500 Oh", "", ""), true),
        (|mut got| got.answer("429 Slow Down", "", ""), false),
        (|mut got| got.answer("200 OK", "", "failed"), true),
    ];
    for (n, (script, expected)) in scripts.into_iter().enumerate() {
        let server = after(1, script);
        let way = Way::new(options());
        let request = request(Method::GET, server.url("/"), Vec::new());
        let judge = |response: Response, tried: Tried| match judge(response, tried) {
            Verdict::Done(answer) if answer.body != "body" => Verdict::Again(Error::io("failed"), None),
            Verdict::Done(_) => Verdict::Done(tried),
            Verdict::Again(error, wait) => Verdict::Again(error, wait),
            Verdict::Renew(error) | Verdict::Never(error) => Verdict::Never(error),
        };
        let tried = way.transport.call(way.call(&request), judge).await.unwrap();
        assert_eq!(tried, Tried { tries: 2, unknown: expected }, "script {n}");
    }
}

#[tokio::test]
async fn retry_after_is_kept_or_ends_it() {
    let server = after(1, |mut got| got.answer("503 Slow Down", "Retry-After: 1\r\n", ""));
    let way = Way::new(options());
    let began = Instant::now();
    way.get(server.url("/")).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    let server = after(1, |mut got| {
        let headers = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 09:49:37 GMT\r\n";
        got.answer("503 Slow Down", headers, "");
    });
    let text = message(Way::new(options()).get(server.url("/")).await, ErrorKind::Io);
    assert!(text.contains("left alone for 3600 s"), "{text}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn readers_outlast_a_short_outage() {
    let began = std::time::Instant::now();
    let server = Scripted::new(move |mut got| {
        if began.elapsed() < Duration::from_millis(500) {
            got.answer("503 Slow Down", "", "");
        } else {
            ok(got);
        }
    });
    let way = Arc::new(Way::new(StoreOptions::default()));
    let reads = (0..8).map(|_| {
        let (way, url) = (Arc::clone(&way), server.url("/"));
        async move { way.get(url).await.is_ok() }
    });
    let done = futures::future::join_all(reads).await.into_iter().filter(|done| *done).count();
    assert_eq!(done, 8, "{:?}", way.counts());
}

#[tokio::test]
async fn a_server_that_fails_always_is_left_alone() {
    let server = Scripted::new(|mut got| got.answer("500 Oh", "", ""));
    let way =
        Way::new(StoreOptions { max_retries: 49, backoff_base: Duration::ZERO, in_flight: 1, ..options() });
    for _ in 0..2 {
        let text = message(way.get(server.url("/")).await, ErrorKind::Io);
        assert!(text.contains("after 50 tries"), "{text}");
    }
    // 98 of the 100 retries that the bucket pays for are spent.
    let text = message(way.get(server.url("/")).await, ErrorKind::Io);
    assert!(text.contains("after 3 tries") && text.contains("failed too often lately"), "{text}");
    let text = message(way.get(server.url("/")).await, ErrorKind::Io);
    assert!(text.starts_with("SHOWN: the server answers 500, and it is not tried again"), "{text}");
    assert_eq!(server.requests(), 50 + 50 + 3 + 1);
}

#[tokio::test]
async fn never_more_than_the_cap_and_less_when_refused() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counts, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = Scripted::new(move |mut got| {
        peak.fetch_max(counts.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        sleep(Duration::from_millis(20));
        counts.fetch_sub(1, Ordering::SeqCst);
        if got.number < 8 { got.answer("429 Slow Down", "", "") } else { ok(got) }
    });
    let way = Arc::new(Way::new(StoreOptions { in_flight: 8, ..options() }));
    let reads = (0..80).map(|_| {
        let (way, url) = (Arc::clone(&way), server.url("/"));
        async move { way.get(url).await.unwrap() }
    });
    futures::future::join_all(reads).await;
    assert!(most.load(Ordering::SeqCst) <= 8);
    let mut paced = Vec::new();
    for event in way.events.0.lock().unwrap().iter() {
        if let Event::Paced { in_flight, .. } = event {
            paced.push(*in_flight);
        }
    }
    assert!(paced.first() == Some(&4) && paced.last() == Some(&8), "{paced:?}");
}

/// Reads that make the times of a server known.
async fn warm(way: &Way, url: &Url) {
    for _ in 0..10 {
        let request = request(Method::GET, url.clone(), Vec::new());
        way.make(Call { hedge: true, ..way.call(&request) }).await.unwrap();
    }
}

#[tokio::test]
async fn the_second_of_two_reads_may_win() {
    // One read is slow, and the next one of the same thing is not.
    let server = Scripted::new(|mut got| {
        if got.number == 10 {
            sleep(Duration::from_secs(8));
        }
        if got.number == 12 {
            sleep(Duration::from_millis(700));
            got.answer("200 OK", "", "late");
        } else if got.number == 13 {
            got.answer("404 Not Found", "", "");
        } else {
            ok(got);
        }
    });
    let way = Way::new(StoreOptions { hedge: true, ..options() });
    let url = server.url("/");
    warm(&way, &url).await;
    assert_eq!(way.counts(), (10, 0, 0));
    let request = request(Method::GET, url, Vec::new());
    let call = Call { hedge: true, ..way.call(&request) };
    let began = Instant::now();
    assert_eq!(way.make(call).await.unwrap().body, "body");
    assert!(began.elapsed() < Duration::from_secs(7));
    assert_eq!(way.counts(), (12, 0, 1));
    assert_eq!(*way.events.0.lock().unwrap(), [Event::Hedged { uri: "SHOWN".into() }]);
    // One more of eleven reads would be more than one of twenty.
    assert_eq!(way.make(call).await.unwrap().body, "late");
    assert_eq!(way.counts(), (13, 0, 1));
}

#[tokio::test]
async fn the_first_wins_when_the_second_fails() {
    let server = Scripted::new(|mut got| match got.number {
        10 => {
            sleep(Duration::from_millis(900));
            got.answer("200 OK", "", "late");
        }
        11 => got.answer("404 Not Found", "", ""),
        _ => ok(got),
    });
    let way = Way::new(StoreOptions { hedge: true, ..options() });
    warm(&way, &server.url("/")).await;
    let request = request(Method::GET, server.url("/"), Vec::new());
    let call = Call { hedge: true, ..way.call(&request) };
    assert_eq!(way.make(call).await.unwrap().body, "late");
    assert_eq!(way.counts(), (12, 0, 1));
}

#[tokio::test]
async fn hedges_are_only_for_reads_that_want_them() {
    let server = Scripted::new(|mut got| {
        got.body();
        if got.number >= 10 {
            sleep(Duration::from_millis(400));
        }
        ok(got);
    });
    let way = Way::new(StoreOptions { hedge: true, ..options() });
    warm(&way, &server.url("/")).await;
    let put = request(Method::PUT, server.url("/"), vec![Bytes::from_static(b"x")]);
    way.make(Call { hedge: true, ..way.call(&put) }).await.unwrap();
    way.get(server.url("/")).await.unwrap();
    assert_eq!(way.counts(), (12, 0, 0));
}

#[tokio::test]
async fn credentials_are_renewed_once() {
    let refused = |mut got: Got| got.answer("403 Forbidden", "", "SECRET");
    let server = after(1, refused);
    let mut way = Way::new(StoreOptions { max_retries: 0, ..options() });
    way.auth = Auth::trial(9);
    assert_eq!(way.get(server.url("/")).await.unwrap().body, "body");
    assert_eq!(way.counts(), (2, 1, 0));
    assert_eq!(way.auth.signed(), 2);
    // Twice in a row is the answer.
    let server = after(9, refused);
    let text = message(way.get(server.url("/")).await, ErrorKind::Io);
    assert!(text.starts_with("SHOWN: the server answers 403, after 2 tries"), "{text}");
    assert_eq!(server.requests(), 2);
    // After something else, once more.
    let server = Scripted::new(move |mut got| match got.number {
        0 | 2 => refused(got),
        1 => got.answer("500 Oh", "", ""),
        _ => ok(got),
    });
    let mut way = Way::new(options());
    way.auth = Auth::trial(9);
    way.get(server.url("/")).await.unwrap();
    assert_eq!(way.counts(), (4, 3, 0));
    // None to be had.
    let server = after(1, refused);
    way.auth = Auth::trial(0);
    let text = message(way.get(server.url("/")).await, ErrorKind::Io);
    assert_eq!(text, "SHOWN: the server answers 403");
}

#[tokio::test]
async fn redirects_are_followed_as_allowed() {
    use Redirects::{Anywhere, No, SameHost};
    let other = Scripted::new(ok);
    let elsewhere = other.url("/there?SECRET").to_string();
    let server = Scripted::new(move |mut got| {
        let path = got.head.split_whitespace().nth(1).unwrap().to_owned();
        let found = |to: &str| format!("Location: {to}\r\n");
        match path.as_str() {
            "/same" => got.answer("302 Found", &found("/end?x=SECRET"), "SECRET"),
            "/other" => got.answer("307 Temporary Redirect", &found(&elsewhere), ""),
            "/loop" => got.answer("301 Moved", &found("/loop"), ""),
            "/nowhere" => got.answer("301 Moved", "", ""),
            "/file" => got.answer("301 Moved", &found("file:///SECRET"), ""),
            _ => ok(got),
        }
    });
    let way = Way::new(options());
    let headers: HeaderMap = [("range", "bytes=0-3"), ("authorization", SECRET), ("x-key", SECRET)]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let follow = async |method: &Method, path: &str, redirects| {
        let request =
            Request { headers: headers.clone(), ..request(method.clone(), server.url(path), Vec::new()) };
        way.make(Call { redirects, ..way.call(&request) }).await
    };
    let get = &Method::GET;
    assert_eq!(follow(get, "/same", No).await.unwrap().status, 302);
    assert_eq!(follow(&Method::PUT, "/same", SameHost).await.unwrap().status, 302);
    let before = server.requests();
    assert_eq!(follow(get, "/same", SameHost).await.unwrap().body, "body");
    let heads = server.heads.lock().unwrap()[before..].to_vec();
    assert!(heads[1].starts_with("GET /end?x=SECRET HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[1].contains("authorization: SECRET"), "{heads:?}");
    let text = message(follow(get, "/other", SameHost).await, ErrorKind::Io);
    assert!(
        text.contains("/there, another host; that is followed with the store option allow_redirects=true"),
        "{text}"
    );
    assert_eq!(other.requests(), 0);
    assert_eq!(follow(get, "/other", Anywhere).await.unwrap().body, "body");
    let head = other.heads.lock().unwrap()[0].clone();
    assert!(
        head.contains("range: bytes=0-3") && !head.contains("authorization") && !head.contains("x-key"),
        "{head}"
    );
    let text = message(follow(get, "/loop", SameHost).await, ErrorKind::Io);
    assert!(text.contains("more than 10 redirects"), "{text}");
    for path in ["/nowhere", "/file"] {
        let text = message(follow(get, path, Anywhere).await, ErrorKind::Io);
        assert!(text.starts_with("SHOWN: the server redirects to "), "{text}");
    }
}

#[tokio::test]
async fn users_of_urls_are_not_sent() {
    let server = Scripted::new(ok);
    let mut url = server.url("/");
    url.set_username("user").unwrap();
    url.set_password(Some(SECRET)).unwrap();
    Way::new(options()).get(url).await.unwrap();
    let head = server.heads.lock().unwrap()[0].clone();
    assert!(!head.contains("user:") && !head.contains(SECRET) && !head.contains("authorization"), "{head}");
}

#[tokio::test]
async fn a_whole_try_may_be_limited() {
    let server = Scripted::new(|mut got| got.wait());
    let limited = vec![("timeout".to_owned(), "100ms".to_owned())];
    let way = Way::new(StoreOptions { max_retries: 1, pairs: limited, ..options() });
    let text = message(way.get(server.url("/")).await, ErrorKind::Io);
    assert!(text.contains("longer than 0.1 s (store option timeout), after 2 tries"), "{text}");
}

#[test]
fn calls_can_be_spawned() {
    fn check<T: Send>(_: T) {}
    let way = Way::new(options());
    let request = request(Method::GET, Url::parse("http://127.0.0.1/").unwrap(), Vec::new());
    check(way.transport.call(way.call(&request), judge));
}

#[tokio::test]
async fn a_handshake_that_stalls_is_a_connection_that_failed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/?SECRET", listener.local_addr().unwrap());
    let way = Way::new(StoreOptions { max_retries: 1, ..short_idle() });
    let text = message(way.get(Url::parse(&url).unwrap()).await, ErrorKind::Io);
    assert!(text.starts_with("SHOWN: reading failed: connecting took too long, after 2 tries"), "{text}");
}

#[tokio::test]
async fn silence_counts_from_when_the_request_has_left() {
    let server = Scripted::new(|mut got| got.wait());
    let options = StoreOptions { max_retries: 0, connect_timeout: Duration::from_secs(20), ..short_idle() };
    let way = Way::new(options);
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let began = Instant::now();
        let request = request(method.clone(), server.url("/"), Vec::new());
        let text = message(way.make(way.call(&request)).await, ErrorKind::Io);
        assert_eq!(text, "SHOWN: reading failed: the server went silent for 0.4 s", "{method}");
        assert!(began.elapsed() < Duration::from_secs(10), "{method}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_never_connected_was_not_done() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Scripted::new(drop);
    let client = HttpClient::new(&options(), Kind::Store).unwrap();
    for (address, unknown) in [(closed, false), (server.address, true)] {
        let url = Url::parse(&format!("http://{address}/?SECRET")).unwrap();
        let cause = client.of(&url).unwrap().get(url).send().await.unwrap_err();
        let fault = Asked { shown: "SHOWN", doing: "reading" }.of(cause);
        assert_eq!((fault.again, fault.unknown), (true, unknown), "{:?}", fault.error);
    }
}
