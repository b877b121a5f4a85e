//! A server for tests: what it does on each connection is written out, byte for byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The longest that any read of the server waits, so that no test hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request as it came, and the connection to answer it on.
pub(crate) struct Asked {
    /// The head with its blank line.
    pub(crate) head: String,
    pub(crate) stream: TcpStream,
    /// How many requests came before, on all connections.
    pub(crate) number: usize,
}

impl Asked {
    /// The value of a header, its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Reads the body, whose length the head says.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        let mut body = vec![0; self.header("content-length").map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    /// Sends bytes; whether they went out.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Answers with a body of known length, and closes.
    pub(crate) fn answer(&mut self, status: &str, headers: &str, body: &str) {
        let length = body.len();
        self.send(format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
        ));
    }

    /// Waits until the other side has closed.
    pub(crate) fn wait(&mut self) {
        let mut rest = [0; 4096];
        while !matches!(self.stream.read(&mut rest), Ok(0) | Err(_)) {}
    }
}

/// A server on a free port of this machine.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    /// The heads of the requests so far.
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// One that does `script` for the first request of each connection, each on a thread.
    pub(crate) fn new(script: impl Fn(Asked) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (Arc::new(script), Arc::clone(&heads));
        // The threads end with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                std::thread::spawn(move || {
                    if let Some(asked) = ask(stream, &seen) {
                        script(asked);
                    }
                });
            }
        });
        Self { address, heads }
    }

    pub(crate) fn url(&self, path: &str) -> url::Url {
        url::Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.heads.lock().unwrap().len()
    }
}

fn ask(mut stream: TcpStream, seen: &Mutex<Vec<String>>) -> Option<Asked> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let mut seen = seen.lock().unwrap();
    let number = seen.len();
    seen.push(head.clone());
    Some(Asked { head, stream, number })
}
