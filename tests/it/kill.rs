//! Processes that are killed, interrupted, or race each other for a name: there is one whole object, or none.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::faults::raster::{self, Random, Raster};
use crate::faults::run::{self, Credentials, Done, Store};
use crate::server::{Class, Fault, Gate, Rule, Server};

const CLOUDS: [Store; 3] = [Store::S3, Store::Gs, Store::Az];

/// Of the two cores that a test machine has at least.
const AT_ONCE: usize = 2;

/// From one bucket to another, in parts; the network takes its time, so that a good share of the run is upload.
struct Transfer {
    server: Server,
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    src: String,
    dst: String,
    raster: &'static Raster,
}

const OUT: &str = "/bucket/out/clip.tif";

impl Transfer {
    fn of(store: Store) -> Self {
        let server = Server::start();
        let raster = raster::large();
        server.put("/bucket/in/noise.tif", raster.bytes.clone());
        for (class, milliseconds) in [(Class::Part, 80), (Class::Complete, 80), (Class::Any, 15)] {
            server.rule(Rule::always(class, Fault::Latency(Duration::from_millis(milliseconds))));
        }
        let folder = tempfile::tempdir().unwrap();
        let url = server.url();
        let environment = store.environment(&url, Credentials::Static, folder.path());
        let (src, dst) = (store.uri(&url, "in/noise.tif"), store.uri(&url, "out/clip.tif"));
        Self { server, folder, environment, src, dst, raster }
    }

    fn start(&self) -> run::Running {
        run::start(&run::arguments(&self.src, &self.dst, self.raster, &["--json"]), &self.environment)
    }

    /// Sends a signal; false if the process had ended by then. Also how long it lived on.
    fn signalled(&self, when: &Instants, signal: &str) -> (bool, Done, Duration) {
        let began = Instant::now();
        let mut running = self.start();
        while self.server.asked() < when.requests && running.child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let due = if when.requests == 0 { began } else { Instant::now() } + when.time;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let is_alive = running.child.try_wait().unwrap().is_none();
        if is_alive {
            // A child that has not been waited for keeps its number.
            let number = running.child.id().to_string();
            assert!(Command::new("kill").args(["-s", signal, &number]).status().unwrap().success());
        }
        let sent = Instant::now();
        let done = running.end();
        let lived_on = sent.elapsed();
        // What the process had sent by then is still answered.
        assert!(self.server.settle(Duration::from_secs(10)), "connections stay");
        (is_alive, done, lived_on)
    }
}

/// When a signal is sent: so long after so many requests, or after the start.
#[derive(Debug)]
struct Instants {
    requests: usize,
    time: Duration,
}

/// How long it takes when nobody interferes, but as much else runs.
fn whole_run(expected: &[u8]) -> Instants {
    let (times, requests) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    each(3, |i| {
        let transfer = Transfer::of(CLOUDS[i]);
        let done = transfer.start().end();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(transfer.server.get(OUT).unwrap() == expected);
        assert!(transfer.server.requests().iter().any(|r| Class::Part.is_of(&r.method, &r.query)));
        times.lock().unwrap().push(done.took);
        requests.fetch_max(transfer.server.asked(), Ordering::Relaxed);
    });
    let time = times.into_inner().unwrap().into_iter().min().unwrap();
    Instants { requests: requests.into_inner(), time }
}

fn each(count: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= count {
                        break;
                    }
                    work(i);
                }
            });
        }
    });
}

/// Instants all over a whole run, the same in every run of the test: every other one by the clock, the others by how far the
/// run has come, which does not depend on what else the machine does.
fn instants(count: u32, whole: &Instants) -> Vec<Instants> {
    let mut random = Random(11);
    let mut share = || f64::from(u32::try_from(random.next() >> 32).unwrap()) / 4_294_967_296.0;
    let instant = |i| {
        if i % 2 == 0 {
            let at = (f64::from(i) + share()) / f64::from(count);
            return Instants { requests: 0, time: whole.time.mul_f64(at) };
        }
        let requests = 1 + usize::try_from(i).unwrap() / 2 % whole.requests;
        // A request takes some 15 ms, a part 80.
        Instants { requests, time: Duration::from_millis(90).mul_f64(share()) }
    };
    (0..count).map(instant).collect()
}

#[test]
#[expect(clippy::print_stdout, reason = "how far the runs had come tells what was tested")]
fn a_killed_process_leaves_no_object() {
    const KILLS: u32 = 50;
    let expected = raster::expected(raster::large());
    let whole = whole_run(&expected);
    let instants = instants(KILLS, &whole);
    let counts = Mutex::new([0; 3]);
    each(KILLS as usize, |i| {
        let transfer = Transfer::of(CLOUDS[i % 3]);
        let (is_killed, done, _) = transfer.signalled(&instants[i], "KILL");
        let object = transfer.server.get(OUT);
        // Either it had not been completed, or it is whole.
        assert!(object.as_ref().is_none_or(|object| *object == expected), "{:?}: a part of it", instants[i]);
        assert!(object.is_some() || is_killed, "{}", done.stderr);
        let has_begun = transfer.server.requests().iter().any(|r| Class::Part.is_of(&r.method, &r.query));
        let far = if object.is_some() { 2 } else { usize::from(has_begun) };
        counts.lock().unwrap()[far] += 1;
        let again = transfer.start().end();
        let code = if object.is_some() { 9 } else { 0 };
        assert_eq!(again.code, Some(code), "{:?}: {}", instants[i], again.stderr);
        assert!(transfer.server.get(OUT).unwrap() == expected, "{:?}: the rerun differs", instants[i]);
    });
    let [early, midway, late] = counts.into_inner().unwrap();
    println!(
        "of {KILLS} kills over {whole:?}: {early} before a part had arrived, {midway} midway, {late} after the end"
    );
    assert!(midway >= 5, "{midway} midway");
}

#[test]
#[expect(clippy::print_stdout, reason = "how far the runs had come tells what was tested")]
fn an_interrupted_process_leaves_no_object_and_no_upload() {
    const SIGNALS: u32 = 20;
    let expected = raster::expected(raster::large());
    let whole = whole_run(&expected);
    let instants = instants(SIGNALS, &whole);
    let (counts, wrong) = (Mutex::new([0; 4]), Mutex::new(Vec::new()));
    each(SIGNALS as usize, |i| {
        let transfer = Transfer::of(CLOUDS[i % 3]);
        let (signal, code) = [("TERM", 143), ("INT", 130)][i % 2];
        let (is_signalled, done, lived_on) = transfer.signalled(&instants[i], signal);
        let object = transfer.server.get(OUT);
        let requests = transfer.server.requests();
        let far = match done.code {
            // Before it had asked for anything it may not listen to signals yet.
            None if requests.is_empty() => 0,
            Some(143 | 130) if object.is_none() => {
                1 + usize::from(requests.iter().any(|r| Class::Part.is_of(&r.method, &r.query)))
            }
            _ => 3,
        };
        counts.lock().unwrap()[far] += 1;
        let is_right = match done.code {
            None => far == 0,
            // It came too late.
            Some(0) => object.as_ref() == Some(&expected),
            Some(other) => is_signalled && other == code && object.is_none(),
        };
        let stay = transfer.server.open_uploads();
        if !is_right || stay > 0 || lived_on > Duration::from_secs(10) {
            wrong.lock().unwrap().push(format!(
                "{signal} after {:?}: exit code {:?}, {stay} uploads stay, after {lived_on:?}: {}",
                instants[i], done.code, done.stderr
            ));
        }
        drop(transfer.folder);
    });
    let ([none, early, midway, late], wrong) = (counts.into_inner().unwrap(), wrong.into_inner().unwrap());
    println!(
        "of {SIGNALS} signals over {whole:?}: {none} before it listened, {early} before a part had arrived, {midway} \
         midway, {late} too late; wrong: {}",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_being_published_is_let_finish() {
    let expected = raster::expected(raster::large());
    for (store, last) in
        [(Store::S3, Class::Complete), (Store::Gs, Class::Compose), (Store::Az, Class::Complete)]
    {
        let transfer = Transfer::of(store);
        transfer.server.no_rules();
        // The request that makes the object visible is answered late: the gate waits a while for a second one.
        let gate = Gate::of(2);
        transfer.server.rule(Rule::once(last, Fault::Gate(Arc::clone(&gate))));
        let mut running = transfer.start();
        while gate.arrived() == 0 && running.child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(gate.arrived(), 1, "{}", store.name());
        let number = running.child.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &number]).status().unwrap().success());
        let done = running.end();
        // Said to be done, and done.
        assert_eq!(done.code, Some(0), "{}: {}", store.name(), done.stderr);
        assert!(transfer.server.get(OUT).is_some_and(|object| object == expected), "{}", store.name());
        assert_eq!(transfer.server.open_uploads(), 0);
    }
}

/// One of two writers, and what it writes alone.
struct Writer {
    bbox: String,
    expected: Vec<u8>,
}

/// Two that write as much, but not the same: the second leaves out the last column of pixels.
fn writers(raster: &Raster) -> [Writer; 2] {
    let mut corners: Vec<u32> = raster.bbox.split(',').map(|corner| corner.parse().unwrap()).collect();
    let whole = raster.bbox.clone();
    corners[2] -= 10;
    let less = corners.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    [whole, less].map(|bbox| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.tif");
        let src = raster.path();
        let args = arguments(src.to_str().unwrap(), out.to_str().unwrap(), &bbox);
        let done = run::start(&args, &run::environment_of(folder.path())).end();
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        Writer { bbox, expected: std::fs::read(out).unwrap() }
    })
}

fn arguments<'a>(src: &'a str, dst: &'a str, bbox: &'a str) -> Vec<&'a str> {
    let fixed = ["--cutline-crs", "source", "--compress", "none", "--no-overviews", "--no-provenance"];
    [&["clip", src, dst, "--bbox", bbox], fixed.as_slice()].concat()
}

#[test]
#[expect(clippy::print_stdout, reason = "how many met tells what was tested")]
fn of_two_processes_one_wins() {
    const SMALL: usize = 24;
    const LARGE: usize = 10;
    let writers = [raster::small(), raster::large()].map(|raster| (raster, writers(raster)));
    assert!(writers.iter().all(|(_, [a, b])| a.expected != b.expected));
    let (wins, met, wrong) = (Mutex::new([0; 2]), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let races = CLOUDS.len() * (SMALL + LARGE);
    each(races, |i| {
        let (store, round) = (CLOUDS[i % 3], i / 3);
        let is_large = round >= SMALL;
        let (raster, writers) = &writers[usize::from(is_large)];
        let server = Server::start();
        // Every other time they are made to meet: neither request that makes the object visible is answered before the other
        // has come. Else they run freely.
        let gate = Gate::of(2);
        if round % 2 == 0 {
            let last = match (is_large, store) {
                (false, _) => Class::Put,
                (true, Store::Gs) => Class::Compose,
                (true, _) => Class::Complete,
            };
            server.rule(Rule::times(2, last, Fault::Gate(Arc::clone(&gate))));
        }
        let folder = tempfile::tempdir().unwrap();
        let (url, src) = (server.url(), raster.path());
        let environment = store.environment(&url, Credentials::Static, folder.path());
        let dst = store.uri(&url, "out/clip.tif");
        let [a, b] = writers
            .each_ref()
            .map(|writer| run::start(&arguments(src.to_str().unwrap(), &dst, &writer.bbox), &environment));
        let done = [a.end(), b.end()];
        let codes = [done[0].code, done[1].code];
        let winner = codes.iter().position(|&code| code == Some(0));
        let is_right = winner.is_some_and(|winner| {
            codes[1 - winner] == Some(9)
                && server.get(OUT).is_some_and(|object| object == writers[winner].expected)
                && server.open_uploads() == 0
        });
        met.fetch_add(usize::from(gate.arrived() == 2), Ordering::Relaxed);
        if let Some(winner) = winner {
            wins.lock().unwrap()[winner] += 1;
        }
        if !is_right {
            let last = done.each_ref().map(|done| done.stderr.lines().last().unwrap_or_default().to_owned());
            let text = format!(
                "{} {round}: {codes:?}, {} uploads stay, {last:?}",
                store.name(),
                server.open_uploads()
            );
            wrong.lock().unwrap().push(text);
        }
    });
    let (wins, wrong) = (wins.into_inner().unwrap(), wrong.into_inner().unwrap());
    println!(
        "{races} races, of which {} met at the last request; the first started won {}, the second {}",
        met.into_inner(),
        wins[0],
        wins[1]
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
