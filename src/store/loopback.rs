//! A web server on this machine for tests of credentials: it answers by a function and keeps what came.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    /// `GET /path?query`.
    pub(crate) line: String,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Came {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Server {
    /// Answers each request with a status and a body.
    pub(crate) fn start(answer: impl Fn(&Came) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let came = Arc::new(Mutex::new(Vec::new()));
        let (all, answer) = (Arc::clone(&came), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &all, &*answer));
            }
        });
        Self { url, came }
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// The lines of the requests that came.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.came().into_iter().map(|came| came.line).collect()
    }
}

fn serve(stream: TcpStream, all: &Mutex<Vec<Came>>, answer: &dyn Fn(&Came) -> (u16, String)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        let headers: Vec<(String, String)> = head[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let line = head[0].trim_end_matches(" HTTP/1.1").to_owned();
        let came = Came { line, headers, body: String::from_utf8_lossy(&body).into_owned() };
        let (status, text) = answer(&came);
        all.lock().unwrap().push(came);
        let length = text.len();
        drop(write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{text}"));
    }
}
