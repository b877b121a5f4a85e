//! A server whose certificate is its own word only.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A TLS server on loopback, with a certificate for 127.0.0.1 that it has signed itself.
pub(super) struct Untrusted {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Untrusted {
    pub(super) fn start() -> Self {
        let made =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        // It ends with the test's process: nobody else knows its port.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::Relaxed);
                let config = Arc::clone(&config);
                std::thread::spawn(move || {
                    let mut tls = rustls::ServerConnection::new(config).unwrap();
                    let _ = rustls::Stream::new(&mut tls, &mut stream).read(&mut [0; 64]);
                });
            }
        });
        Self { address, connections }
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What is wrong with how it was asked: a certificate does not get better by asking again.
    pub(super) fn wrong(&self) -> Option<String> {
        let connections = self.connections.load(Ordering::Relaxed);
        // Looking whether the destination exists, or reading the header: whatever comes first ends it.
        (connections != 1).then(|| format!("{connections} connections"))
    }
}
