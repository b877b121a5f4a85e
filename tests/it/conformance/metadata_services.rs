//! The metadata services of the clouds, as a listener that counts: with credentials of its own, nobody has to ask them.

use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

static ASKED: AtomicUsize = AtomicUsize::new(0);

/// `127.0.0.1:port` of the one listener of this process.
static ADDRESS: LazyLock<String> = LazyLock::new(|| {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            ASKED.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    address
});

/// An environment in which every metadata service is that listener, and nobody is at home.
pub(crate) fn environment() -> Vec<(String, String)> {
    let host = ADDRESS.as_str();
    [
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{host}")),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{host}/ecs")),
        ("AWS_CONFIG_FILE", "/nonexistent/aws/config".to_owned()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/aws/credentials".to_owned()),
        ("GCE_METADATA_HOST", host.to_owned()),
        ("GCE_METADATA_ROOT", host.to_owned()),
        ("GCE_METADATA_IP", host.to_owned()),
        ("IDENTITY_ENDPOINT", format!("http://{host}/msi")),
        ("IDENTITY_HEADER", "nobody".to_owned()),
        ("MSI_ENDPOINT", format!("http://{host}/msi")),
        ("AZURE_MSI_ENDPOINT", format!("http://{host}/msi")),
        ("AZURE_POD_IDENTITY_AUTHORITY_HOST", format!("http://{host}")),
        ("HOME", "/nonexistent".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

pub(crate) fn assert_not_asked() {
    assert_eq!(ASKED.load(Ordering::SeqCst), 0, "a metadata service was asked for credentials");
}

#[test]
fn the_listener_counts() {
    // In a process of its own: the count of this one must stay 0.
    if std::env::var("COUNTS_HERE").is_err() {
        let test = "conformance::metadata_services::the_listener_counts";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let status = again.args([test, "--exact"]).env("COUNTS_HERE", "1").status().unwrap();
        assert!(status.success());
        return;
    }
    drop(std::net::TcpStream::connect(ADDRESS.as_str()).unwrap());
    for _ in 0..1000 {
        if ASKED.load(Ordering::SeqCst) == 1 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the contact was not counted");
}
