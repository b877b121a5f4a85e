//! For tests: a server on the loopback interface that answers as it is told and remembers what it was asked.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::StoreOptions;
use super::location::Location;
use super::object::Object;
use super::tally::Tally;

/// What it was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// As it came, still percent-encoded.
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The bytes of an answer; none: the connection is closed without one.
pub(crate) type Raw = Vec<u8>;

pub(crate) struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers whatever `answer` makes of a request and of how many came before it.
    pub(crate) fn new(answer: impl FnMut(&Asked, usize) -> Raw + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (seen, answer) = (Arc::clone(&asked), Arc::new(Mutex::new(answer)));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    let Some(call) = read(&stream) else { return };
                    let raw = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(call.clone());
                        (answer.lock().unwrap())(&call, seen.len() - 1)
                    };
                    // The client may have gone away.
                    drop((&stream).write_all(&raw));
                });
            }
        });
        Self { url, asked }
    }

    /// Answers each request with the next of `answers`, and then with 599.
    pub(crate) fn script(answers: Vec<Raw>) -> Self {
        Self::new(move |_, index| answers.get(index).cloned().unwrap_or_else(|| reply(599, &[], "")))
    }

    /// Everything it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The object `key` of each store, here.
    pub(crate) fn object(&self, scheme: &str, key: &str, more: &[(&str, &str)]) -> Object {
        let uri = match scheme {
            "http" => format!("{}/{key}", self.url),
            scheme => format!("{scheme}://bucket/{key}"),
        };
        let location = Location::parse(&uri).unwrap();
        Object::open(&location, &uri, &self.options(more), Arc::new(Tally::default())).unwrap()
    }

    pub(crate) fn options(&self, more: &[(&str, &str)]) -> StoreOptions {
        let url = self.url.as_str();
        let pairs = [
            ("aws_endpoint", url),
            ("aws_region", "us-east-1"),
            ("aws_skip_signature", "true"),
            ("google_base_url", url),
            ("google_skip_signature", "true"),
            ("azure_endpoint", url),
            ("azure_storage_account_name", "account"),
            ("azure_skip_signature", "true"),
        ];
        StoreOptions {
            pairs: pairs.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            max_retries: 2,
            backoff_base: Duration::from_millis(1),
            backoff_cap: Duration::from_millis(2),
            ..StoreOptions::default()
        }
    }
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `PUT /bucket/key?query`.
    pub(crate) fn line(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, self.query)
    }
}

/// An answer with a length, after which the connection is closed.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Raw {
    let mut raw = head(status, headers, body.len());
    raw.extend(body.as_bytes());
    raw
}

/// An answer to a HEAD: no body, whatever its length.
pub(crate) fn head(status: u16, headers: &[(&str, &str)], len: usize) -> Raw {
    let mut text = format!("HTTP/1.1 {status} Status\r\nConnection: close\r\nContent-Length: {len}\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked { method, path, query, headers, body: Vec::new() };
    if let Some(len) = asked.header("content-length") {
        asked.body = vec![0; len.parse().unwrap()];
        reader.read_exact(&mut asked.body).ok()?;
    }
    Some(asked)
}
