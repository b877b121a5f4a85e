//! A matrix of faults: what goes wrong × where it reads or writes × which store. Every run of the command ends with the output
//! that it has without faults, byte for byte, or with its exit code and no object. No run prints a secret.
//!
//! A fault that passes must end in the same output; one that stays in its exit code. No cell allows both.

pub(crate) mod raster;
mod reading;
pub(crate) mod run;
pub(crate) mod secrets;
mod tls;
mod writing;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::server::{Class, Fault, Rule, Server};
use raster::Raster;
use run::{Credentials, Done, Store, TOKENS};

/// Runs at the same time: most of the time they wait for a second try.
const AT_ONCE: usize = 8;

/// Runs without which the matrix has shrunk.
const LEAST: usize = 200;

/// How a run must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The output is what it is without faults.
    Equal,
    /// This exit code, and no object.
    Exit(i32),
}

/// What is read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Job {
    /// From the store, tile by tile, to a file.
    Read,
    /// From a file to the store, in one request.
    Put,
    /// From a file to the store, in parts.
    Parts,
}

/// Where it is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Server,
    /// A name that does not exist (RFC 2606).
    NoName,
    /// A port that nobody listens at.
    NoPort,
    /// A server whose certificate nobody has signed.
    Untrusted,
}

/// One fault.
struct Row {
    name: String,
    job: Job,
    raster: &'static Raster,
    stores: &'static [Store],
    rules: Vec<Rule>,
    outcome: Outcome,
    place: Place,
    who: Credentials,
    arguments: &'static [&'static str],
    /// The error says so.
    says: &'static str,
    /// It takes no less: the server asked for it.
    least: Duration,
    /// It takes no more: what is hopeless is not tried again.
    most: Duration,
    /// Uploads that may stay open, since nothing tells that they were begun, or nothing can end them.
    strays: usize,
    /// What stands at the destination from the start, or in the end when another writer wins.
    other: Option<&'static [u8]>,
    exists: bool,
    /// Further arguments.
    flags: &'static [&'static str],
}

const CLOUDS: &[Store] = &[Store::S3, Store::Gs, Store::Az];
const ALL: &[Store] = &[Store::Web, Store::S3, Store::Gs, Store::Az];

/// Tries that are enough for every fault that passes.
const PATIENT: &[&str] = &["--max-retries", "8", "--retry-timeout", "30s"];
/// So few that a fault that stays is soon believed.
const SHORT: &[&str] = &["--max-retries", "3", "--retry-timeout", "10s"];

impl Row {
    /// Faults that pass.
    fn passes(job: Job, name: &str, rules: Vec<Rule>) -> Self {
        Self {
            name: name.to_owned(),
            job,
            raster: if job == Job::Parts { raster::large() } else { raster::small() },
            stores: if job == Job::Read { ALL } else { CLOUDS },
            rules,
            outcome: Outcome::Equal,
            place: Place::Server,
            who: Credentials::Static,
            arguments: PATIENT,
            says: "",
            least: Duration::ZERO,
            most: Duration::MAX,
            strays: 0,
            other: None,
            exists: false,
            flags: &[],
        }
    }

    /// Faults that stay.
    fn ends(job: Job, name: &str, code: i32, rules: Vec<Rule>) -> Self {
        Self { outcome: Outcome::Exit(code), arguments: SHORT, ..Self::passes(job, name, rules) }
    }

    fn only(self, stores: &'static [Store]) -> Self {
        Self { stores, ..self }
    }

    fn by(self, who: Credentials) -> Self {
        Self { who, ..self }
    }

    fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    fn takes_at_least(self, least: Duration) -> Self {
        Self { least, ..self }
    }

    /// Needs a limit for silence: the default takes half a minute.
    fn silent(self) -> Self {
        self.flags(&["--idle-timeout", "400ms"])
    }

    fn flags(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    fn of(self, raster: &'static Raster) -> Self {
        Self { raster, ..self }
    }
}

/// A refused token and the next one. Azure and Google say 401; S3 says 400 and a code, or 403.
fn renewed(job: Job, name: &str, at: Class, refusal: Fault) -> Row {
    let refused = Rule::always(at, refusal).bearing(secrets::FIRST_TOKEN);
    Row::passes(job, name, vec![refused]).by(Credentials::Service).only(CLOUDS)
}

/// The same three ends of every road, for each job.
fn unreachable(job: Job) -> Vec<Row> {
    let place = |name: &str, place, says| Row {
        place,
        // A connection that is refused is tried again, at most this often; a certificate is not.
        arguments: &["--max-retries", "2", "--retry-timeout", "10s"],
        ..Row::ends(job, name, 5, vec![]).says(says)
    };
    vec![
        place("no such name", Place::NoName, ""),
        place("no such port", Place::NoPort, ""),
        Row {
            most: Duration::from_secs(5),
            ..place("TLS: a certificate that nobody signed", Place::Untrusted, "ertificate")
        },
    ]
}

/// One cell's verdict.
struct Verdict {
    shown: String,
    wrong: Option<String>,
    leaks: Vec<String>,
    took: Duration,
}

#[test]
fn every_fault_ends_as_it_must() {
    let began = Instant::now();
    let rows: Vec<Row> =
        [reading::rows(), writing::single(), writing::parts()].into_iter().flatten().collect();
    let rasters = [raster::small(), raster::medium(), raster::large()];
    let expected = rasters.map(|raster| (raster, raster::expected(raster)));
    let forms = secrets::forms();
    let cells: Vec<(usize, Store)> = rows
        .iter()
        .enumerate()
        .flat_map(|(row, it)| it.stores.iter().map(move |&store| (row, store)))
        .collect();
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(&(row, store)) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (_, whole) =
                        expected.iter().find(|(raster, _)| std::ptr::eq(*raster, rows[row].raster)).unwrap();
                    let verdict = judge(&rows[row], store, row + store as usize, whole, &forms);
                    verdicts.lock().unwrap().insert((row, store as usize), verdict);
                }
            });
        }
    });
    let verdicts = verdicts.into_inner().unwrap();
    report(&rows, &verdicts, forms.len(), began.elapsed());
}

/// Prints the table; fails when a cell did, or too few ran.
#[expect(clippy::print_stdout, reason = "the table is what this test is read for")]
fn report(rows: &[Row], verdicts: &BTreeMap<(usize, usize), Verdict>, forms: usize, took: Duration) {
    let mut table = String::new();
    let mut heading = None;
    for (number, row) in rows.iter().enumerate() {
        if heading != Some(row.job) {
            heading = Some(row.job);
            let [web, s3, gs, az] = ["web", "s3", "gs", "az"];
            writeln!(table, "\n{:<58}{web:<14}{s3:<14}{gs:<14}{az}", format!("{:?}", row.job)).unwrap();
        }
        let cells = ALL.iter().map(|&store| {
            let shown = verdicts.get(&(number, store as usize)).map(|verdict| verdict.shown.as_str());
            format!("{:<14}", shown.unwrap_or_default())
        });
        writeln!(table, "{:<58}{}", row.name, cells.collect::<String>().trim_end()).unwrap();
    }
    let leaks: Vec<_> = verdicts.values().flat_map(|verdict| &verdict.leaks).collect();
    writeln!(
        table,
        "\n{} runs in {:.0} s; {forms} forms of secrets looked for in each, and the signatures sent: {} found",
        verdicts.len(),
        took.as_secs_f64(),
        leaks.len()
    )
    .unwrap();
    let slow = verdicts.iter().max_by_key(|(_, verdict)| verdict.took);
    if let Some((&(row, store), verdict)) = slow {
        writeln!(table, "the longest run: {}, {}, {:?}", rows[row].name, ALL[store].name(), verdict.took)
            .unwrap();
    }
    println!("{table}");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults.txt");
    drop(std::fs::write(file, &table));
    let wrong: Vec<_> = verdicts
        .iter()
        .filter_map(|(&(row, store), verdict)| {
            let wrong = verdict.wrong.as_ref()?;
            Some(format!("{:?}, {}, {}: {wrong}", rows[row].job, rows[row].name, ALL[store].name()))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} cells:\n{}\n", wrong.len(), verdicts.len(), wrong.join("\n"));
    assert!(leaks.is_empty(), "{leaks:?}");
    assert!(verdicts.len() >= LEAST, "{} runs", verdicts.len());
}

/// Runs one cell.
fn judge(row: &Row, store: Store, number: usize, expected: &[u8], forms: &[String]) -> Verdict {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let untrusted = (row.place == Place::Untrusted).then(tls::Untrusted::start);
    let url = match row.place {
        Place::Server => server.url(),
        Place::NoName => "http://no-such-host.invalid".to_owned(),
        // Port 1 is tcpmux's, which nobody has listened at for decades.
        Place::NoPort => "http://127.0.0.1:1".to_owned(),
        Place::Untrusted => untrusted.as_ref().unwrap().url(),
    };
    let raster = row.raster;
    let source = Store::uri(store, &url, "in/noise.tif");
    let (src, dst) = match row.job {
        Job::Read => {
            server.put("/bucket/in/noise.tif", raster.bytes.clone());
            (source, out.join("out.tif").to_str().unwrap().to_owned())
        }
        Job::Put | Job::Parts => {
            (raster.path().to_str().unwrap().to_owned(), store.uri(&url, "out/clip.tif"))
        }
    };
    if row.exists {
        server.put("/bucket/out/clip.tif", row.other.unwrap());
    }
    if row.who == Credentials::Service {
        let at = TOKENS[store as usize - 1];
        server.rule(Rule::once(Class::At(at), Fault::Say(200, store.token(secrets::FIRST_TOKEN))));
        server.rule(Rule::always(Class::At(at), Fault::Say(200, store.token(secrets::SECOND_TOKEN))));
    }
    for rule in &row.rules {
        server.rule(rule.clone());
    }
    let mut extra = row.arguments.to_vec();
    extra.extend(row.flags);
    // Half of the runs log as JSON, half as text; all of them as much as there is.
    extra.extend(["--json", "-vv"]);
    if number.is_multiple_of(2) {
        extra.extend(["--log-format", "json"]);
    }
    let who = if row.who == Credentials::Static && (number / 2).is_multiple_of(2) {
        Credentials::Other
    } else {
        row.who
    };
    let done = run::clip(&src, &dst, raster, &extra, &store.environment(&url, who, folder.path()));
    let found = Found::of(row.job, &server, &out);
    let wrong = check(row, &done, &found, expected).err().or_else(|| {
        let idle = server.idle_rules();
        (!idle.is_empty()).then(|| format!("never happened: {idle:?}"))
    });
    let wrong = wrong.or_else(|| {
        let is_spoken = row.place != Place::Server || server.heard(store.spoken(who));
        (!is_spoken).then(|| "the secrets are not in use".to_owned())
    });
    let wrong = wrong.or_else(|| untrusted.as_ref().and_then(tls::Untrusted::wrong));
    let shown = match (&wrong, row.outcome) {
        (None, Outcome::Equal) => "equal".to_owned(),
        (None, Outcome::Exit(code)) => format!("exit {code}"),
        (Some(_), _) => format!("!{}", done.code.map_or("killed".to_owned(), |code| format!("exit {code}"))),
    };
    let leaks = secrets::printed(&done, forms, &secrets::signatures(&server.all_heard()));
    Verdict {
        shown,
        wrong: wrong.map(|wrong| format!("{wrong}\n    {}", last_lines(&done))),
        took: done.took,
        leaks: leaks.into_iter().map(|leak| format!("{}, {}: {leak}", row.name, store.name())).collect(),
    }
}

/// What is there after a run.
struct Found {
    object: Option<Vec<u8>>,
    /// Files beside it, and uploads that are still open.
    strays: usize,
}

impl Found {
    fn of(job: Job, server: &Server, out: &Path) -> Self {
        if job != Job::Read {
            // On Google, what an upload was put together in.
            let beside = server.paths().iter().filter(|path| path.ends_with(".cogclip-part")).count();
            let strays = server.open_uploads() + beside;
            return Self { object: server.get("/bucket/out/clip.tif"), strays };
        }
        let object = std::fs::read(out.join("out.tif")).ok();
        let files = std::fs::read_dir(out).unwrap().count();
        Self { strays: files - usize::from(object.is_some()), object }
    }
}

fn check(row: &Row, done: &Done, found: &Found, expected: &[u8]) -> Result<(), String> {
    let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let code = match row.outcome {
        Outcome::Equal => 0,
        Outcome::Exit(code) => code,
    };
    if done.code != Some(code) {
        return Err(format!("exit code {:?} and not {code}", done.code));
    }
    match (row.outcome, row.other) {
        (Outcome::Equal, _) => {
            ensure(found.object.as_deref() == Some(expected), "the output differs")?;
            let report: Result<serde_json::Value, _> = serde_json::from_str(&done.stdout);
            ensure(report.is_ok_and(|report| report["status"] == "done"), "no report")?;
        }
        (Outcome::Exit(_), None) => ensure(found.object.is_none(), "there is an object")?,
        (Outcome::Exit(_), other) => ensure(found.object.as_deref() == other, "the other object is gone")?,
    }
    ensure(found.strays <= row.strays, &format!("{} uploads or files stay", found.strays))?;
    ensure(!done.stderr.contains("panicked"), "a panic")?;
    ensure(done.stderr.contains(row.says), &format!("does not say {:?}", row.says))?;
    ensure(done.took >= row.least, &format!("took {:?}, less than was asked for", done.took))?;
    ensure(done.took <= row.most, &format!("took {:?}", done.took))
}

fn last_lines(done: &Done) -> String {
    let lines: Vec<_> = done.stderr.lines().rev().take(2).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// Source, destination, further arguments, environment, and whether object_store does it.
type Case<'a> = (&'a str, &'a str, &'a [&'a str], Vec<(&'a str, &'a str)>);

/// What is wrong before anything is asked is said without the value: it may be a key in the wrong place.
#[test]
fn what_is_refused_at_once_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let raster = raster::small();
    let path = raster.path();
    let local = path.to_str().unwrap();
    let out = folder.path().join("out.tif");
    let out = out.to_str().unwrap();
    let keys: &[(&str, &str)] = &[
        ("AWS_REGION", "x"),
        ("AWS_ACCESS_KEY_ID", secrets::ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", "planted"),
    ];
    let account = ("AZURE_STORAGE_ACCOUNT_NAME", "a");
    let cases: [Case; 19] = [
        (local, "s3://b/k", &["--store-option", "aws_secret_acces_key=planted"], vec![]),
        (local, "s3://b/k", &["--store-option", "aws_secret_access_key:planted"], vec![]),
        (local, "s3://b/k", &["--store-option", "skip_signature=planted"], keys.to_vec()),
        (
            local,
            "s3://b/k",
            &[],
            [keys, &[("AWS_ENDPOINT_URL", "https://u:planted@[::1/?s=planted")]].concat(),
        ),
        (
            local,
            "s3://b/k",
            &[],
            [
                keys,
                &[("AWS_SERVER_SIDE_ENCRYPTION", "sse-c"), ("AWS_SSE_CUSTOMER_KEY_BASE64", "planted not")],
            ]
            .concat(),
        ),
        (local, "az://b/k", &[], vec![account, ("AZURE_STORAGE_ACCOUNT_KEY", "planted, not base64")]),
        (local, "az://b/k", &[], vec![account, ("AZURE_STORAGE_SAS_TOKEN", "planted not a query")]),
        (local, "gs://b/k", &[], vec![("GOOGLE_SERVICE_ACCOUNT_KEY", "{\"planted\": \"planted")]),
        (local, "ftp://u:planted@h/k?s=planted", &[], vec![]),
        (local, "https://u:planted@h/k?s=planted", &[], vec![]),
        ("https://u:planted@h:x/k?s=planted", out, &[], vec![]),
        ("/vsicurl/https://u:planted@h/k?s=planted", out, &[], vec![]),
        ("s3://planted@b/k", out, &[], vec![]),
        ("http:/u:planted@h/k?s=planted", out, &[], vec![]),
        ("https:u:planted@h/k?s=planted", out, &[], vec![]),
        ("s3://b/k?X-Amz-Signature=planted", "ftp://h/k", &[], vec![]),
        (local, "s3://b/k", &["aws_secret_access_key=planted"], vec![]),
        (local, "s3://b/k", &["--aws-secret-access-key=planted"], vec![]),
        ("https://u:planted@h/k?s=planted#ifd=planted", out, &[], vec![]),
    ];
    let forms = secrets::forms();
    let mut wrong = Vec::new();
    for (src, dst, extra, mut environment) in cases {
        environment.push(("AWS_EC2_METADATA_DISABLED", "true"));
        let environment: Vec<_> =
            environment.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let done = run::clip(src, dst, raster, &[extra, &["-vv", "--json"]].concat(), &environment);
        let leaks = secrets::printed(&done, &forms, &[]);
        let is_right = done.code == Some(2) && leaks.is_empty() && done.took < Duration::from_secs(5);
        if !is_right {
            wrong.push(format!("{src} {dst} {extra:?}: {leaks:?} in {done:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
