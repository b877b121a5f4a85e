//! Buckets, profiles and credentials of S3, against loopback services.

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::error::ErrorKind;
use crate::store::auth::Auth;
use crate::store::exchange::get;
use crate::store::location::{Cloud, Location};
use crate::store::loopback::Server;

/// Pairs, variables, and the access key.
type Case<'a> = (&'a [(&'a str, &'a str)], Vec<(&'a str, &'a str)>, &'a str);

const KEYS: &str = r#"{"Code":"Success","AccessKeyId":"AKFETCHED","SecretAccessKey":"sk","Token":"tok","Expiration":"2099-01-01T00:00:00Z"}"#;

fn options(pairs: &[(&str, &str)], environment: &[(&str, &str)]) -> StoreOptions {
    let own = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    StoreOptions {
        pairs: own(pairs),
        environment: own(environment),
        max_retries: 2,
        backoff_base: Duration::from_millis(1),
        ..StoreOptions::default()
    }
}

fn open(options: &StoreOptions) -> Result<Endpoint> {
    let Ok(Location::Bucket(place)) = Location::parse("s3://bucket/k") else { panic!() };
    assert_eq!(place.cloud, Cloud::S3);
    crate::store::endpoint::bucket(&place, "s3://bucket/k", options)
}

/// The access key and the token of a request that was signed.
async fn key(auth: &Auth) -> Result<String> {
    let mut request = get(Url::parse("https://h/bucket/k").unwrap());
    auth.sign(&mut request).await?;
    let part = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let Some(authorization) = part("authorization") else { return Ok("anonymous".into()) };
    let key = authorization.split("Credential=").nth(1).unwrap().split('/').next().unwrap().to_owned();
    Ok(part("x-amz-security-token").map_or(key.clone(), |token| format!("{key} {token}")))
}

fn home(config: &str, credentials: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join(".aws/sso/cache")).unwrap();
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
    home
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn check_base(pairs: &[(&str, &str)], environment: &[(&str, &str)], config: &str, expected: &str) {
    let home = home(config, "");
    let mut environment = environment.to_vec();
    environment.push(("HOME", text(home.path())));
    let mut pairs = pairs.to_vec();
    pairs.push(("skip_signature", "true"));
    let got = match open(&options(&pairs, &environment)) {
        Ok(endpoint) => endpoint.base.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expected, "{pairs:?} {environment:?}");
}

#[test]
fn where_a_bucket_is() {
    check_base(&[], &[], "", "https://bucket.s3.us-east-1.amazonaws.com/");
    check_base(&[("region", "cn-north-1")], &[], "", "https://bucket.s3.cn-north-1.amazonaws.com.cn/");
    check_base(
        &[("aws_virtual_hosted_style_request", "false")],
        &[],
        "",
        "https://s3.us-east-1.amazonaws.com/bucket",
    );
    check_base(
        &[],
        &[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "x")],
        "[default]\nregion = y\n",
        "https://bucket.s3.eu-west-1.amazonaws.com/",
    );
    check_base(
        &[],
        &[("AWS_DEFAULT_REGION", "eu-west-2")],
        "[default]\nregion = y\n",
        "https://bucket.s3.eu-west-2.amazonaws.com/",
    );
    check_base(&[], &[], "[default]\nregion = eu-west-3\n", "https://bucket.s3.eu-west-3.amazonaws.com/");
    check_base(
        &[("endpoint", "http://h:9000")],
        &[("AWS_ENDPOINT_URL_S3", "http://other")],
        "",
        "http://h:9000/bucket",
    );
    check_base(
        &[],
        &[("AWS_ENDPOINT_URL_S3", "http://a/"), ("AWS_ENDPOINT_URL", "http://b")],
        "",
        "http://a/bucket",
    );
    check_base(
        &[],
        &[("AWS_ENDPOINT_URL", "http://b/p")],
        "[default]\nendpoint_url = http://c\n",
        "http://b/p/bucket",
    );
    check_base(&[], &[], "[default]\nendpoint_url = http://c\n", "http://c/bucket");
    check_base(
        &[],
        &[],
        "[default]\nservices = m\nendpoint_url = http://c\n[services m]\ns3 =\n  endpoint_url = http://d\n",
        "http://d/bucket",
    );
    check_base(
        &[],
        &[("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"), ("AWS_ENDPOINT_URL", "http://b")],
        "",
        "https://bucket.s3.us-east-1.amazonaws.com/",
    );
    check_base(
        &[],
        &[],
        "[default]\ns3 =\n  addressing_style = path\n",
        "https://s3.us-east-1.amazonaws.com/bucket",
    );
    check_base(
        &[("endpoint", "https://h.example"), ("virtual_hosted_style_request", "true")],
        &[],
        "",
        "https://bucket.h.example/",
    );
    check_base(
        &[("endpoint", "https://bucket.h.example"), ("virtual_hosted_style_request", "true")],
        &[],
        "",
        "https://bucket.h.example/",
    );
    check_base(
        &[("aws_use_fips_endpoint", "true"), ("aws_use_dualstack_endpoint", "true")],
        &[],
        "",
        "https://bucket.s3-fips.dualstack.us-east-1.amazonaws.com/",
    );
}

// The order of botocore 1.44.5 (`create_credential_resolver`), asked with the same files and variables by
// scripts/aws_chain_truth.py, which printed the access keys that stand here.
#[tokio::test]
async fn whose_keys_count() {
    let home = home(
        "[default]\nregion = r\n[profile p]\nregion = r\n[profile proc]\ncredential_process = sh -c 'echo \"$OUT\"'\n",
        "[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = s\n\
         [p]\naws_access_key_id = AKP\naws_secret_access_key = s\naws_session_token = t\n",
    );
    let at_home = ("HOME", text(home.path()));
    let static_keys =
        [("AWS_ACCESS_KEY_ID", "AKENV"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_SESSION_TOKEN", "te")];
    let cases: [Case<'_>; 7] = [
        (&[], vec![at_home], "AKDEFAULT"),
        (&[], vec![at_home, ("AWS_PROFILE", "p")], "AKP t"),
        (&[], [&[at_home, ("AWS_PROFILE", "p")], &static_keys[..]].concat(), "AKENV te"),
        (&[("profile", "p")], [&[at_home], &static_keys[..]].concat(), "AKP t"),
        (
            &[("access_key_id", "AKGIVEN"), ("secret_access_key", "s")],
            [&[at_home], &static_keys[..]].concat(),
            "AKGIVEN",
        ),
        (&[("skip_signature", "true")], [&[at_home], &static_keys[..]].concat(), "anonymous"),
        (
            &[("profile", "proc")],
            vec![at_home, ("OUT", r#"{"Version":1,"AccessKeyId":"AKPROC","SecretAccessKey":"s"}"#)],
            "AKPROC",
        ),
    ];
    for (pairs, environment, expected) in cases {
        let endpoint = open(&options(pairs, &environment)).unwrap();
        assert_eq!(key(&endpoint.auth).await.unwrap(), expected, "{pairs:?}");
        assert_eq!(endpoint.auth.renew(Instant::now()).await, expected == "AKPROC", "{pairs:?}");
    }
    let bad = options(
        &[("profile", "proc")],
        &[at_home, ("OUT", r#"{"Version":2,"AccessKeyId":"A","SecretAccessKey":"s"}"#)],
    );
    assert_eq!(key(&open(&bad).unwrap().auth).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[track_caller]
fn check_refused(
    config: &str,
    pairs: &[(&str, &str)],
    environment: &[(&str, &str)],
    kind: ErrorKind,
    part: &str,
) {
    let home = home(config, "");
    let environment = [environment, &[("HOME", text(home.path()))]].concat();
    let error = open(&options(pairs, &environment)).err().expect("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(part) && !error.to_string().contains("hidden"), "{error}");
}

#[test]
fn what_is_refused_at_open() {
    use ErrorKind::{Unsupported, Usage};
    check_refused("", &[("profile", "none")], &[], Usage, "there is no profile none in /");
    check_refused("[default]\nhidden\n", &[], &[], Usage, "config, line 2");
    check_refused("", &[("access_key_id", "hidden")], &[], Usage, "an access key without its secret");
    check_refused(
        "",
        &[],
        &[("AWS_SECRET_ACCESS_KEY", "hidden")],
        Usage,
        "the environment: a secret without",
    );
    check_refused(
        "[default]\nrole_arn = a\nsource_profile = b\n[profile b]\nrole_arn = c\nsource_profile = default\n",
        &[],
        &[],
        Usage,
        "leads back to itself",
    );
    check_refused("[default]\nrole_arn = a\nsource_profile = b\n", &[], &[], Usage, "there is no profile b");
    check_refused("[default]\nrole_arn = a\n", &[], &[], Usage, "neither source_profile");
    check_refused(
        "[default]\nrole_arn = a\nmfa_serial = m\nsource_profile = b\n",
        &[],
        &[],
        Unsupported,
        "mfa_serial",
    );
    check_refused(
        "[default]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n",
        &[],
        &[],
        Usage,
        "[sso-session s]",
    );
    check_refused("[default]\ncredential_process = a 'hidden\n", &[], &[], Usage, "quote that is not closed");
    check_refused("[default]\nregion = a b\n", &[], &[], Usage, "the region");
    check_refused(
        "",
        &[],
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/hidden")],
        Usage,
        "cannot be used",
    );
    check_refused(
        "",
        &[],
        &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "//evil.example/hidden")],
        Usage,
        "cannot be used",
    );
    check_refused("", &[("s3_express", "true")], &[], Unsupported, "directory buckets");
    check_refused("", &[("aws_server_side_encryption", "sse-c")], &[], Usage, "need each other");
    check_refused("", &[("sse_kms_key_id", "hidden")], &[], Usage, "aws:kms");
}

#[tokio::test]
async fn nothing_is_asked_when_the_metadata_service_is_disabled() {
    let endpoint = open(&options(&[], &[("AWS_EC2_METADATA_DISABLED", "true")])).unwrap();
    let error = key(&endpoint.auth).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("skip_signature=true"), "{error}");
}

#[tokio::test]
async fn an_instance_is_asked_once_and_again_when_its_keys_are_refused() {
    let server = Server::start(|came| match came.line.as_str() {
        "PUT /latest/api/token" => (200, "TOKEN".into()),
        "GET /latest/meta-data/iam/security-credentials/" => (200, "my-role\n".into()),
        "GET /latest/meta-data/iam/security-credentials/my-role" => (200, KEYS.into()),
        _ => (404, String::new()),
    });
    let endpoint = open(&options(&[("metadata_endpoint", &server.url)], &[])).unwrap();
    assert!(server.lines().is_empty(), "nothing is asked at open");
    for _ in 0..3 {
        assert_eq!(key(&endpoint.auth).await.unwrap(), "AKFETCHED tok");
    }
    let round = [
        "PUT /latest/api/token",
        "GET /latest/meta-data/iam/security-credentials/",
        "GET /latest/meta-data/iam/security-credentials/my-role",
    ];
    assert_eq!(server.lines(), round);
    let came = server.came();
    assert_eq!(came[0].header("x-aws-ec2-metadata-token-ttl-seconds"), Some("600"));
    assert!(came[1..].iter().all(|came| came.header("x-aws-ec2-metadata-token") == Some("TOKEN")));
    assert!(endpoint.auth.renew(Instant::now()).await);
    assert_eq!(key(&endpoint.auth).await.unwrap(), "AKFETCHED tok");
    assert_eq!(server.lines(), [round, round].concat());
}

#[tokio::test]
async fn an_instance_without_role_or_an_answer_that_is_none() {
    for (answer, part) in
        [((404, String::new()), "has no role"), ((200, "../../x".into()), "a role that can be none")]
    {
        let server =
            Server::start(
                move |came| if came.line.starts_with("PUT") { (200, "T".into()) } else { answer.clone() },
            );
        let endpoint = open(&options(&[("metadata_endpoint", &server.url)], &[])).unwrap();
        let error = key(&endpoint.auth).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_container_is_asked_with_its_token() {
    let server = Server::start(|_| (200, KEYS.into()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "from-file\n").unwrap();
    let full = format!("{}/v2/x?y=z", server.url);
    let disabled = ("AWS_EC2_METADATA_DISABLED", "true");
    for (environment, line, token) in [
        (vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", full.as_str())], "GET /v2/x?y=z", None),
        (
            vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &full),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc"),
            ],
            "GET /v2/x?y=z",
            Some("Basic abc"),
        ),
        (
            vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &full),
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", text(&file)),
            ],
            "GET /v2/x?y=z",
            Some("from-file"),
        ),
        (
            vec![
                ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1"),
                ("AWS_CONTAINER_ENDPOINT", &server.url),
            ],
            "GET /v2/credentials/1",
            None,
        ),
    ] {
        let before = server.came().len();
        let endpoint = open(&options(&[], &[&environment[..], &[disabled]].concat())).unwrap();
        assert_eq!(key(&endpoint.auth).await.unwrap(), "AKFETCHED tok");
        let came = &server.came()[before..];
        assert_eq!(came.len(), 1);
        assert_eq!((came[0].line.as_str(), came[0].header("authorization")), (line, token));
    }
}

fn sts(action: &str) -> String {
    format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><Credentials><AccessKeyId>AKROLE\
         </AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>rt</SessionToken><Expiration>2099-01-01T00:00:00Z\
         </Expiration></Credentials></{action}Result></{action}Response>"
    )
}

#[tokio::test]
async fn a_role_is_taken_with_a_web_identity_after_a_failure_of_the_service() {
    let tries = std::sync::atomic::AtomicU32::new(0);
    let server = Server::start(move |_| {
        let first = tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        if first {
            (503, "<Error><Code>ServiceUnavailable</Code></Error>".into())
        } else {
            (200, sts("AssumeRoleWithWebIdentity"))
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "web/token+\n").unwrap();
    let environment = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", text(&file)),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ROLE_SESSION_NAME", "me"),
        ("AWS_ENDPOINT_URL_STS", &server.url),
    ];
    let endpoint = open(&options(&[], &environment)).unwrap();
    assert_eq!(key(&endpoint.auth).await.unwrap(), "AKROLE rt");
    let came = server.came();
    assert_eq!(came.len(), 2);
    assert_eq!(came[1].line, "POST /");
    assert_eq!(came[1].header("authorization"), None);
    assert_eq!(
        came[1].body,
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr\
         &RoleSessionName=me&DurationSeconds=3600&WebIdentityToken=web%2Ftoken%2B"
    );
}

#[tokio::test]
async fn a_role_is_taken_from_a_source_profile_that_names_itself_and_from_the_environment() {
    let server = Server::start(|_| (200, sts("AssumeRole")));
    let home = home(
        "[default]\nrole_arn = arn:r\nexternal_id = x y\nduration_seconds = 900\nsource_profile = default\n\
         [profile e]\nrole_arn = arn:e\nrole_session_name = n\ncredential_source = Environment\n",
        "[default]\naws_access_key_id = AKSOURCE\naws_secret_access_key = s\n",
    );
    let base = [("HOME", text(home.path())), ("AWS_ENDPOINT_URL_STS", server.url.as_str())];
    let endpoint = open(&options(&[], &base)).unwrap();
    assert_eq!(key(&endpoint.auth).await.unwrap(), "AKROLE rt");
    let keys = [("AWS_ACCESS_KEY_ID", "AKENV"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let endpoint = open(&options(&[("profile", "e")], &[&base[..], &keys].concat())).unwrap();
    assert_eq!(key(&endpoint.auth).await.unwrap(), "AKROLE rt");
    let came = server.came();
    assert_eq!(came.len(), 2);
    assert!(came[0].header("authorization").unwrap().contains("Credential=AKSOURCE/"));
    assert!(came[0].header("authorization").unwrap().contains("/us-east-1/sts/aws4_request"));
    assert!(came[0].body.contains("RoleArn=arn%3Ar&RoleSessionName=cogclip-"), "{}", came[0].body);
    assert!(came[0].body.ends_with("&ExternalId=x+y&DurationSeconds=900"), "{}", came[0].body);
    assert!(came[1].header("authorization").unwrap().contains("Credential=AKENV/"));
    assert_eq!(came[1].body, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ae&RoleSessionName=n");
}

#[tokio::test]
async fn a_refusal_names_its_code_and_no_secret() {
    let server = Server::start(|_| {
        (403, "<R><Error><Code>AccessDenied</Code><Message>hidden</Message></Error></R>".into())
    });
    let home = home(
        "[default]\nrole_arn = arn:r\nsource_profile = default\n",
        "[default]\naws_access_key_id = AK\naws_secret_access_key = hidden\n",
    );
    let endpoint =
        open(&options(&[], &[("HOME", text(home.path())), ("AWS_ENDPOINT_URL", &server.url)])).unwrap();
    let error = key(&endpoint.auth).await.unwrap_err();
    assert_eq!(error.to_string(), "the token service of AWS at 127.0.0.1 answered 403 AccessDenied");
    assert_eq!(server.came().len(), 1);
}

#[tokio::test]
async fn a_sign_in_is_used_until_it_expires() {
    let server = Server::start(|_| {
        (200, r#"{"roleCredentials":{"accessKeyId":"AKSSO","secretAccessKey":"s","sessionToken":"st","expiration":4070908800000}}"#.into())
    });
    let home = home(
        "[profile new]\nsso_session = my\nsso_account_id = 012\nsso_role_name = r/1\n\
         [sso-session my]\nsso_start_url = https://d.example/start\nsso_region = eu-west-1\n\
         [profile old]\nsso_start_url = https://d.example/start\nsso_region = eu-west-1\nsso_account_id = 34\nsso_role_name = r\n",
        "",
    );
    // `printf my | sha1sum`, `printf https://d.example/start | sha1sum`
    let files = ["3ece1471f44f63177cbc35ba0b904e0c096b6783", "59872269b3988acbe73f94f1e908e54f0d278a18"]
        .map(|name| home.path().join(format!(".aws/sso/cache/{name}.json")));
    let open = |profile| {
        open(&options(&[("profile", profile), ("sso_endpoint", &server.url)], &[("HOME", text(home.path()))]))
            .unwrap()
    };
    for (profile, file, line) in [
        ("new", &files[0], "GET /federation/credentials?role_name=r%2F1&account_id=012"),
        ("old", &files[1], "GET /federation/credentials?role_name=r&account_id=34"),
    ] {
        let error = key(&open(profile).auth).await.unwrap_err().to_string();
        assert!(error.contains(&format!("aws sso login --profile {profile}")), "{error}");
        std::fs::write(file, r#"{"accessToken":"hidden","expiresAt":"2020-01-01T00:00:00UTC"}"#).unwrap();
        let error = key(&open(profile).auth).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("has expired"), "{error}");
        let before = server.came().len();
        std::fs::write(
            file,
            r#"{"accessToken":"access","expiresAt":"2099-01-01T00:00:00Z","region":"eu-west-1"}"#,
        )
        .unwrap();
        assert_eq!(key(&open(profile).auth).await.unwrap(), "AKSSO st");
        let came = &server.came()[before..];
        assert_eq!(came.iter().map(|came| came.line.as_str()).collect::<Vec<_>>(), [line]);
        assert_eq!(came[0].header("x-amz-sso_bearer_token"), Some("access"));
    }
}

#[test]
fn what_encryption_adds() {
    let show = |pairs: &[(&str, &str)]| {
        let endpoint = open(&options(&[pairs, &[("skip_signature", "true")]].concat(), &[])).unwrap();
        let show = |headers: &HeaderMap| {
            let mut all: Vec<String> = headers
                .iter()
                .map(|(name, value)| {
                    assert!(value.is_sensitive());
                    format!(
                        "{}={}",
                        name.as_str().trim_start_matches("x-amz-server-side-encryption"),
                        value.to_str().unwrap()
                    )
                })
                .collect();
            all.sort();
            all.join(" ")
        };
        (show(&endpoint.settings.put_headers), show(&endpoint.settings.read_headers))
    };
    assert_eq!(show(&[]), (String::new(), String::new()));
    assert_eq!(show(&[("server_side_encryption", "AES256")]), ("=AES256".into(), String::new()));
    assert_eq!(
        show(&[
            ("server_side_encryption", "aws:kms"),
            ("sse_kms_key_id", "arn"),
            ("sse_bucket_key_enabled", "true")
        ]),
        ("-aws-kms-key-id=arn -bucket-key-enabled=true =aws:kms".into(), String::new())
    );
    // `python3 -c "import base64,hashlib; print(base64.b64encode(hashlib.md5(bytes(range(32))).digest()))"`
    let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let all =
        format!("-customer-algorithm=AES256 -customer-key-md5=tP/LI3N87DFaSk0aoqYgzg== -customer-key={key}");
    assert_eq!(
        show(&[("server_side_encryption", "sse-c"), ("sse_customer_key_base64", key)]),
        (all.clone(), all)
    );
}
