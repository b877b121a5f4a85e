//! An HTTP server on a free port of 127.0.0.1, with TLS and HTTP/2 if wanted. It stops when it is dropped.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper::{HeaderMap, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

/// A running server.
pub(crate) struct Listener {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

/// A whole request.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Percent-decoded; '+' stays '+'.
    pub(crate) path: String,
    /// As sent, without '?'.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) version: Version,
}

/// A whole answer.
pub(crate) type Answer = Response<Full<Bytes>>;

type Failure = Box<dyn Error + Send + Sync>;

impl Listener {
    /// Answers each request by `handler`.
    pub(crate) fn start(
        tls: Option<ServerConfig>,
        handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let handler = Arc::new(handler);
        Self::serve(
            tls,
            service_fn(move |request: Request<Incoming>| {
                let handler = Arc::clone(&handler);
                async move {
                    let Ok(asked) = Asked::read(request).await else {
                        return Ok(refusal(400, "IncompleteBody"));
                    };
                    let answer = handler(&asked);
                    Ok::<_, Infallible>(answer)
                }
            }),
        )
    }

    /// Hands each request to `service`.
    pub(crate) fn serve<S, B>(tls: Option<ServerConfig>, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Future + Send + 'static,
        S::Error: Into<Failure>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Failure>,
    {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                // Small answers must not wait for the other side's acknowledgement.
                drop(stream.set_nodelay(true));
                let (tls, service) = (tls.clone(), service.clone());
                tokio::spawn(async move {
                    match tls {
                        None => converse(stream, service).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                converse(stream, service).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, connections, runtime: Some(runtime) }
    }

    /// `127.0.0.1:port`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Connections that were made, whatever became of them.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not waited for: tests drop it within a runtime, too.
            runtime.shutdown_background();
        }
    }
}

async fn converse<S, B>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Future + Send + 'static,
    S::Error: Into<Failure>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Failure>,
{
    let server = auto::Builder::new(TokioExecutor::new());
    // The other side may go away at any time.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

impl Asked {
    async fn read(request: Request<Incoming>) -> Result<Self, hyper::Error> {
        let (head, body) = request.into_parts();
        Ok(Self {
            method: head.method.to_string(),
            path: decode(head.uri.path()),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
            version: head.version,
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A parameter of the query, decoded; empty when it has no value.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then(|| decode(value))
        })
    }
}

/// An answer of the status, without a body.
pub(crate) fn answer(status: u16) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

/// The same with a header.
pub(crate) fn with(mut answer: Answer, name: &str, value: &str) -> Answer {
    let name: hyper::header::HeaderName = name.parse().unwrap();
    answer.headers_mut().insert(name, value.parse().unwrap());
    answer
}

/// The same with a body.
pub(crate) fn body(mut answer: Answer, bytes: impl Into<Bytes>) -> Answer {
    *answer.body_mut() = Full::new(bytes.into());
    answer
}

/// An error as the XML interfaces of S3 and Google word it.
pub(crate) fn refusal(status: u16, code: &str) -> Answer {
    let text = format!(
        "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>because</Message></Error>"
    );
    with(body(answer(status), text), "content-type", "application/xml")
}

/// `text` with its `%xx` made bytes.
pub(crate) fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
        out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
    }
    String::from_utf8(out).unwrap()
}

/// `text` with all but RFC 3986's unreserved characters and '/' as `%XX`.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
