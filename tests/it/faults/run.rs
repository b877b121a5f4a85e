//! Runs of the command, with the environment that each cloud's users have.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::raster::Raster;
use super::secrets;

/// How a location is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Web,
    S3,
    Gs,
    Az,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Long-lived ones, in the environment.
    Static,
    /// Another kind of these, where there is one.
    Other,
    /// A token that the machine's own service hands out, and renews.
    Service,
}

/// Where the services that hand out tokens are asked, in the test server.
pub(crate) const TOKENS: [&str; 3] =
    ["/token/container", "/computeMetadata/v1/instance/service-accounts/default/token", "/token/identity"];

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }

    /// The location of `key` in the bucket `bucket`, at the server of `url`.
    pub(crate) fn uri(self, url: &str, key: &str) -> String {
        match self {
            Self::Web => {
                let (scheme, host) = url.split_once("://").unwrap();
                let (user, password) = (secrets::USER, secrets::PASSWORD);
                format!("{scheme}://{user}:{password}@{host}/bucket/{key}?{}", secrets::PRESIGNED)
            }
            Self::S3 | Self::Gs | Self::Az => format!("{}://bucket/{key}", self.name()),
        }
    }

    /// The variables that lead to the server of `url`; a folder for whatever is looked for in files.
    pub(crate) fn environment(self, url: &str, who: Credentials, folder: &Path) -> Vec<(String, String)> {
        let host = url.split_once("://").unwrap().1;
        let file = folder.join("pod-token");
        std::fs::write(&file, secrets::POD_TOKEN).unwrap();
        let token = |path: &str| format!("{url}{path}");
        let pairs: Vec<(&str, String)> = match (self, who) {
            (Self::Web, _) => vec![],
            (Self::S3, Credentials::Service) => vec![
                ("AWS_ENDPOINT_URL", url.into()),
                ("AWS_REGION", "us-east-1".into()),
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", token(TOKENS[0])),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap().into()),
            ],
            (Self::S3, _) => vec![
                ("AWS_ENDPOINT_URL", url.into()),
                ("AWS_REGION", "us-east-1".into()),
                ("AWS_ACCESS_KEY_ID", secrets::ACCESS_KEY.into()),
                ("AWS_SECRET_ACCESS_KEY", secrets::SECRET_KEY.into()),
                ("AWS_SESSION_TOKEN", secrets::SESSION_TOKEN.into()),
                ("AWS_SERVER_SIDE_ENCRYPTION", "sse-c".into()),
                ("AWS_SSE_CUSTOMER_KEY_BASE64", secrets::base64(secrets::CUSTOMER_KEY)),
            ],
            (Self::Gs, Credentials::Service) => {
                vec![("GOOGLE_BASE_URL", url.into()), ("GCE_METADATA_HOST", host.into())]
            }
            (Self::Gs, _) => {
                vec![("GOOGLE_BASE_URL", url.into()), ("GOOGLE_BEARER_TOKEN", secrets::BEARER.into())]
            }
            (Self::Az, who) => {
                let mut pairs =
                    vec![("AZURE_ENDPOINT", url.into()), ("AZURE_STORAGE_ACCOUNT_NAME", "account".into())];
                pairs.extend(match who {
                    Credentials::Static => vec![("AZURE_STORAGE_SAS_TOKEN", secrets::SAS.to_owned())],
                    Credentials::Other => {
                        vec![("AZURE_STORAGE_ACCOUNT_KEY", secrets::base64(secrets::ACCOUNT_KEY))]
                    }
                    Credentials::Service => vec![
                        ("IDENTITY_ENDPOINT", token(TOKENS[2])),
                        ("IDENTITY_HEADER", secrets::IDENTITY_HEADER.into()),
                    ],
                });
                pairs
            }
        };
        let mut all: Vec<_> = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        all.extend(environment_of(folder));
        all
    }

    /// What must have been said to the server for the secrets to be in use.
    pub(crate) fn spoken(self, who: Credentials) -> &'static str {
        match (self, who) {
            (Self::Web, _) => "plantedpresigned",
            (_, Credentials::Service) => secrets::FIRST_TOKEN,
            (Self::S3, _) => secrets::ACCESS_KEY,
            (Self::Gs, _) => secrets::BEARER,
            (Self::Az, Credentials::Static) => "plantedSas",
            (Self::Az, Credentials::Other) => "SharedKey account:",
        }
    }

    /// What its token service says, with this token.
    pub(crate) fn token(self, token: &str) -> String {
        match self {
            Self::Web => String::new(),
            Self::S3 => format!(
                r#"{{"AccessKeyId": "{}", "SecretAccessKey": "{}", "Token": "{token}",
                "Expiration": "2099-01-01T00:00:00Z"}}"#,
                secrets::ACCESS_KEY,
                secrets::SECRET_KEY
            ),
            Self::Gs => {
                format!(r#"{{"access_token": "{token}", "expires_in": 3600, "token_type": "Bearer"}}"#)
            }
            Self::Az => format!(
                r#"{{"access_token": "{token}", "expires_on": "4102444800", "token_type": "Bearer",
                "resource": "https://storage.azure.com/"}}"#
            ),
        }
    }
}

/// A machine without anything to find: no home, no metadata service.
pub(crate) fn environment_of(home: &Path) -> Vec<(String, String)> {
    [("HOME", home.to_str().unwrap()), ("AWS_EC2_METADATA_DISABLED", "true")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Done {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

/// A run that has begun.
pub(crate) struct Running {
    pub(crate) child: Child,
    began: Instant,
    folder: tempfile::TempDir,
}

/// After this a run counts as hanging, and is killed.
const PATIENCE: Duration = Duration::from_mins(1);

impl Running {
    /// Waits for the end.
    pub(crate) fn end(mut self) -> Done {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break Some(status);
            }
            if self.began.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let text = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(self.folder.path().join(name)).unwrap()).into_owned()
        };
        let hung = if status.is_none() { "\nit hung, and was killed" } else { "" };
        Done {
            code: status.as_ref().and_then(ExitStatus::code),
            stdout: text("stdout"),
            stderr: text("stderr") + hung,
            took: self.began.elapsed(),
        }
    }
}

/// Starts the command with this environment and no other.
pub(crate) fn start(args: &[&str], environment: &[(String, String)]) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| Stdio::from(std::fs::File::create(folder.path().join(name)).unwrap());
    let child = Command::new(env!("CARGO_BIN_EXE_cogclip"))
        .args(args)
        .env_clear()
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap();
    Running { child, began: Instant::now(), folder }
}

/// The arguments of a clip of all of `raster`.
pub(crate) fn arguments<'a>(
    src: &'a str,
    dst: &'a str,
    raster: &'a Raster,
    extra: &[&'a str],
) -> Vec<&'a str> {
    let mut args = vec!["clip", src, dst, "--bbox", &raster.bbox, "--cutline-crs", "source"];
    args.extend(["--compress", "none", "--no-overviews", "--no-provenance"]);
    args.extend(extra);
    args
}

/// Clips all of `raster`.
pub(crate) fn clip(
    src: &str,
    dst: &str,
    raster: &Raster,
    extra: &[&str],
    environment: &[(String, String)],
) -> Done {
    start(&arguments(src, dst, raster, extra), environment).end()
}
