//! Sinks whose store copies ranges itself: the same bytes as if they had been read, or none; and what is asked for.

use bytes::Bytes;
use cogclip::clip::Cog;
use cogclip::cutline::{Cutline, Polygon};
use cogclip::observe::Silent;
use cogclip::options::ClipOptions;
use cogclip::sink::{Published, Sink, SinkOptions};
use cogclip::source::Source;
use cogclip::{Error, ErrorKind, Limits, StoreOptions};

use crate::remote::options as store_options;
use crate::server::{Class, Fault, Rule, Server};

/// Bytes of the object that is copied from.
const SOURCE: usize = 20_000;
const HEAD: &[u8] = b"the head";

/// Parts of 1,000 bytes, so that little data makes many.
fn options(server: &Server) -> SinkOptions {
    let store = store_options(server);
    SinkOptions { store, part_size: 1000, server_side_copy: true, ..SinkOptions::default() }
}

/// Bytes in which each range of four differs from its neighbours.
fn sample(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(step).take(len).collect()
}

/// A server with a source at `s3://b/source`, of which parts below 1,000 bytes are not taken.
fn server() -> Server {
    let server = Server::start();
    server.set_min_part(1000);
    server.put("/b/source", sample(SOURCE, 1));
    server
}

/// A source whose version is pinned.
async fn open(uri: &str, options: &StoreOptions) -> Source {
    let source = Source::open(uri, options).unwrap();
    source.head(100).await.unwrap();
    source
}

/// What is to be written next: bytes of our own, or a range of the source.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Own(usize),
    Of(usize, usize),
}
use Piece::{Of, Own};

/// Writes `pieces`, each to its section, and gives what the body must be.
async fn write(sink: &mut Sink, source: &Source, pieces: &[(usize, Piece)]) -> Result<Vec<u8>, Error> {
    let mut sections: Vec<Vec<u8>> = Vec::new();
    let original = sample(SOURCE, 1);
    for (i, &(number, piece)) in pieces.iter().enumerate() {
        sections.resize(sections.len().max(number + 1), Vec::new());
        match piece {
            Own(len) => {
                let own = sample(len, u32::try_from(i).unwrap() + 100);
                sink.append_to(number, Bytes::from(own.clone())).await?;
                sections[number].extend(own);
            }
            Of(start, end) => {
                sink.append_copy(number, source, start as u64..end as u64).await?;
                sections[number].extend(&original[start..end]);
            }
        }
    }
    Ok(sections.into_iter().rev().flatten().collect())
}

/// Writes `pieces` to `uri`; what was published, and what the object must be.
async fn written(
    uri: &str,
    options: &SinkOptions,
    source: &Source,
    most: &[u64],
    pieces: &[(usize, Piece)],
) -> Result<(Published, Vec<u8>), Error> {
    let mut sink = Sink::create(uri, options).await?;
    sink.expect(most);
    let body = match write(&mut sink, source, pieces).await {
        Ok(body) => body,
        Err(error) => return Err(sink.abandon(error).await),
    };
    Ok((sink.publish(Bytes::from_static(HEAD)).await?, [HEAD, &body].concat()))
}

/// Ranges that were copied and parts that were sent, in the order of their numbers.
fn parts(server: &Server) -> Vec<String> {
    let number = |query: &str| crate::server::parameter(query, "partNumber").unwrap().parse::<u32>().unwrap();
    let mut parts: Vec<_> = server
        .requests()
        .iter()
        .filter(|request| request.method == "PUT" && request.query.contains("partNumber="))
        .map(|request| match request.copied {
            Some((start, end)) => (number(&request.query), format!("{start}..{end}")),
            None => (number(&request.query), request.body.to_string()),
        })
        .collect();
    parts.sort();
    parts.into_iter().map(|(number, what)| format!("{number}: {what}")).collect()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(what: &str, result: Result<T, Error>, kind: ErrorKind, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), kind, "{what}: {error}");
    assert!(error.to_string().contains(says), "{what}: {error}");
}

/// `copied`: how many bytes the store must have copied.
#[track_caller]
fn whole(server: &Server, what: &str, got: Result<(Published, Vec<u8>), Error>, copied: u64) -> Published {
    let (published, expected) = got.map_err(|error| format!("{what}: {error}")).unwrap();
    assert!(server.get("/b/out").unwrap() == expected, "{what}: other bytes");
    assert_eq!((published.size, published.copied), (expected.len() as u64, copied), "{what}");
    assert_eq!(server.open_uploads(), 0, "{what}");
    published
}

// By hand: the first 1,000 bytes of a section are held back, and a part has 1,000; the start of a range is read until both are full, and
// the rest is copied if that makes a part.
#[tokio::test]
async fn what_is_copied_begins_with_a_whole_part() {
    for (own, len, copied) in [
        (0, 1, 0),
        (0, 1999, 0),
        (0, 2000, 1000),
        (0, 9000, 8000),
        (700, 1299, 0),
        (700, 1300, 1000),
        (1000, 999, 0),
        (1000, 1000, 1000),
        (1000, 1001, 1001),
        (1000, 20_000, 20_000),
        (1001, 1998, 0),
        (1001, 1999, 1000),
        (1999, 1000, 0),
        (1999, 1001, 1000),
        (2000, 1000, 1000),
        (3300, 5000, 4300),
    ] {
        // What comes before, between and after does not matter.
        for pieces in [
            vec![(0, Own(own)), (0, Of(0, len))],
            vec![(0, Own(own)), (0, Of(SOURCE - len, SOURCE)), (0, Own(1)), (0, Own(2700))],
        ] {
            let server = server();
            let source = open("s3://b/source", &store_options(&server)).await;
            let read = source.stats().bytes;
            let got = written("s3://b/out", &options(&server), &source, &[], &pieces).await;
            let what = format!("{pieces:?}");
            whole(&server, &what, got, copied);
            // One byte is read to see that the source is still what it was.
            let read = source.stats().bytes - read;
            assert_eq!(read, len as u64 - copied + u64::from(copied > 0), "{what}");
        }
    }
}

#[tokio::test]
async fn copies_are_parts_between_others() {
    let server = server();
    let source = open("s3://b/source", &store_options(&server)).await;
    let pieces = [
        (0, Own(1500)),
        (0, Of(100, 4000)),
        (0, Of(9000, 11_000)),
        (0, Own(10)),
        (0, Of(12_000, 12_500)),
        (0, Own(500)),
        (0, Own(20)),
    ];
    let got = written("s3://b/out", &options(&server), &source, &[], &pieces).await;
    let published = whole(&server, "parts", got, 5400);
    assert_eq!((published.requests, published.retries), (6, 0));
    let expected = ["1: 1008", "2: 1000", "3: 600..4000", "4: 9000..11000", "5: 1000", "6: 30"];
    assert_eq!(parts(&server), expected);
}

// Sums that lanes of their own for both sections: overviews of more than 96 MiB are expected.
const TWO: [u64; 2] = [100 << 20, 97 << 20];

#[tokio::test]
async fn every_section_has_copies_of_its_own() {
    let server = server();
    let source = open("s3://b/source", &store_options(&server)).await;
    let pieces = [
        (0, Own(1000)),
        (1, Of(0, 3000)),
        (0, Of(3000, 5000)),
        (1, Own(200)),
        (0, Own(5)),
        (1, Of(6000, 9000)),
        (0, Of(9000, 12_000)),
        // Without a lane, all of it waits.
        (2, Of(100, 2500)),
    ];
    let got = written("s3://b/out", &options(&server), &source, &TWO, &pieces).await;
    whole(&server, "sections", got, 2000 + 2200 + 2000 + 2005);
    let expected = [
        "1: 3408",
        "2: 1000..3000",
        "3: 1000",
        "4: 6800..9000",
        "5001: 1000",
        "5002: 3000..5000",
        "5003: 1000",
        "5004: 9995..12000",
    ];
    assert_eq!(parts(&server), expected);
}

#[tokio::test]
async fn any_mixture_makes_the_same_bytes() {
    let mut state = 7_u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 8).unwrap() % below
    };
    let mut copied = 0;
    for round in 0..40 {
        let server = server();
        let source = open("s3://b/source", &store_options(&server)).await;
        let pieces: Vec<_> = (0..12)
            .map(|_| {
                let number = next(3);
                if next(2) == 0 {
                    return (number, Own(next(2500)));
                }
                let start = next(SOURCE);
                (number, Of(start, start + next(6000).min(SOURCE - start)))
            })
            .collect();
        let most: &[u64] = if round % 2 == 0 { &TWO } else { &[] };
        let (published, expected) =
            written("s3://b/out", &options(&server), &source, most, &pieces).await.unwrap();
        assert!(server.get("/b/out").unwrap() == expected, "{round}: {pieces:?}");
        copied += published.copied;
    }
    assert!(copied > 100_000, "{copied}");
}

#[tokio::test]
async fn where_nothing_can_be_copied_it_is_read() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("source");
    std::fs::write(&local, sample(SOURCE, 1)).unwrap();
    let (local, store) = (local.to_str().unwrap(), store_options(&server));
    let out = folder.path().join("out");
    let with = |key: &str, value: &str| {
        let mut pairs = store.pairs.clone();
        pairs.push((key.to_owned(), value.to_owned()));
        StoreOptions { pairs, ..store.clone() }
    };
    let http = format!("{}/b/source", server.url());
    for (bucket, container) in [("gs", "/b/source"), ("az", "/b/source")] {
        server.put(container, sample(SOURCE, 1));
        let _ = bucket;
    }
    let on = options(&server);
    let replace = |options: SinkOptions| SinkOptions { overwrite: true, ..options };
    let cases = [
        ("a file", "s3://b/source", store.clone(), out.to_str().unwrap(), on.clone()),
        ("of a file", local, store.clone(), "s3://b/out", on.clone()),
        ("of the web", &http, store.clone(), "s3://b/out", on.clone()),
        ("of Google", "gs://b/source", store.clone(), "s3://b/out", on.clone()),
        ("to Google", "s3://b/source", store.clone(), "gs://b/out", on.clone()),
        ("on Google", "gs://b/source", store.clone(), "gs://b/out", on.clone()),
        ("on Azure", "az://b/source", store.clone(), "az://b/out", on.clone()),
        (
            "off",
            "s3://b/source",
            store.clone(),
            "s3://b/out",
            SinkOptions { server_side_copy: false, ..on.clone() },
        ),
        (
            "verified",
            "s3://b/source",
            store.clone(),
            "s3://b/out",
            SinkOptions { verify: true, ..on.clone() },
        ),
        ("another region", "s3://b/source", with("region", "eu-central-1"), "s3://b/out", on.clone()),
        ("as another", "s3://b/source", with("aws_access_key_id", "OTHER"), "s3://b/out", on.clone()),
    ];
    for (what, from, reading, to, options) in cases {
        let source = open(from, &reading).await;
        let mut sink = Sink::create(to, &replace(options)).await.unwrap();
        assert_eq!(sink.copies_from(&source), None, "{what}");
        let body = write(&mut sink, &source, &[(0, Own(10)), (0, Of(0, SOURCE)), (0, Own(2))]).await.unwrap();
        let published = sink.publish(Bytes::from_static(HEAD)).await.unwrap();
        let expected = [HEAD, &body].concat();
        assert_eq!((published.size, published.copied), (expected.len() as u64, 0), "{what}");
        let got = if what == "a file" { std::fs::read(&out).ok() } else { server.get("/b/out") };
        assert!(got.unwrap() == expected, "{what}");
    }
    assert!(server.requests().iter().all(|request| request.copied.is_none()));
    // Nothing is known of it yet.
    let source = Source::open("s3://b/source", &store).unwrap();
    let sink = Sink::create("s3://b/new", &on).await.unwrap();
    assert_eq!(sink.copies_from(&source), None);
    source.head(1).await.unwrap();
    assert_eq!(sink.copies_from(&source), Some(2000));
    // Options of one side do not matter.
    let source = open("s3://b/source", &with("checksum", "none")).await;
    assert_eq!(sink.copies_from(&source), Some(2000));
    server.without_etags();
    let source = open("s3://b/source", &store).await;
    assert_eq!(sink.copies_from(&source), None, "no version");
}

#[tokio::test]
async fn ranges_are_those_of_the_source() {
    let server = server();
    let source = open("s3://b/source", &store_options(&server)).await;
    for (start, end) in [(0, SOURCE + 1), (SOURCE, SOURCE + 5000)] {
        let mut sink = Sink::create("s3://b/out", &options(&server)).await.unwrap();
        sink.append(Bytes::from(vec![0; 1000])).await.unwrap();
        let result = sink.append_copy(0, &source, start as u64..end as u64).await;
        refused("beyond", result, ErrorKind::Format, "beyond the end (20000)");
        sink.abort().await;
    }
    let mut sink = Sink::create("s3://b/out", &options(&server)).await.unwrap();
    #[expect(clippy::reversed_empty_ranges, reason = "it is empty")]
    for range in [5..5, 7..3, SOURCE as u64 + 9..3] {
        sink.append_copy(0, &source, range).await.unwrap();
    }
    assert_eq!(sink.publish(Bytes::from_static(HEAD)).await.unwrap().size, HEAD.len() as u64);
}

const PIECES: [(usize, Piece); 4] = [(0, Own(1000)), (0, Of(0, 5000)), (0, Own(1000)), (0, Of(5000, 15_000))];

#[tokio::test]
async fn copies_that_fail_are_tried_again() {
    let internal = "  <Error><Code>InternalError</Code></Error>".to_owned();
    for fault in [
        Fault::Status(503),
        Fault::Code(500, "InternalError"),
        Fault::RetryAfter(503, 0),
        Fault::Say(200, internal),
        Fault::Reset,
        Fault::Truncate(9),
    ] {
        for after in [0, 1] {
            let server = server();
            let source = open("s3://b/source", &store_options(&server)).await;
            server.rule(Rule::once(Class::Copy, fault.clone()).after(after));
            let got = written("s3://b/out", &options(&server), &source, &[], &PIECES).await;
            let published = whole(&server, &format!("{fault:?}"), got, 15_000);
            assert_eq!(published.retries, 1, "{fault:?}");
            assert_eq!(server.idle_rules(), [""; 0]);
            assert_eq!(server.requests().iter().filter(|request| request.copied.is_some()).count(), 3);
        }
    }
    let server = server();
    let source = open("s3://b/source", &store_options(&server)).await;
    server.rule(Rule::always(Class::Copy, Fault::Status(503)).after(1));
    let got = written("s3://b/out", &options(&server), &source, &[], &PIECES).await;
    refused("always", got, ErrorKind::Io, "s3://b/out: copying failed: the server answers 503");
    assert_eq!((server.get("/b/out"), server.open_uploads()), (None, 0));
}

#[tokio::test]
async fn what_cannot_be_copied_is_read_when_the_first_shows_it() {
    for fault in [
        Fault::Code(501, "NotImplemented"),
        Fault::Code(403, "AccessDenied"),
        Fault::Code(400, "InvalidRequest"),
        Fault::Say(200, "<Error><Code>AccessDenied</Code></Error>".to_owned()),
        // Not understood, and taken for a part without bytes.
        Fault::Say(200, String::new()),
    ] {
        let server = server();
        let source = open("s3://b/source", &store_options(&server)).await;
        server.rule(Rule::always(Class::Copy, fault.clone()));
        let mut sink = Sink::create("s3://b/out", &options(&server)).await.unwrap();
        assert_eq!(sink.copies_from(&source), Some(2000));
        let body = write(&mut sink, &source, &PIECES).await.unwrap();
        assert_eq!(sink.copies_from(&source), None, "{fault:?}");
        let published = sink.publish(Bytes::from_static(HEAD)).await.unwrap();
        let published = whole(&server, &format!("{fault:?}"), Ok((published, [HEAD, &body].concat())), 0);
        let remark = published.remarks.concat();
        assert!(remark.starts_with("s3://b/source was read, since the store does not copy it ("), "{remark}");
        assert_eq!(server.requests().iter().filter(|request| request.copied.is_some()).count(), 1);
        // Later it is too late: what is asked for then has its number.
        let server = self::server();
        let source = open("s3://b/source", &store_options(&server)).await;
        server.rule(Rule::always(Class::Copy, fault.clone()).after(1));
        let got = written("s3://b/out", &options(&server), &source, &[], &PIECES).await;
        refused("later", got, ErrorKind::Io, "s3://b/out: ");
        assert_eq!((server.get("/b/out"), server.open_uploads()), (None, 0));
    }
}

#[tokio::test]
async fn a_source_that_changes_is_refused_and_nothing_is_left() {
    // Before the first copy, before the second, and after both; with a store that looks at the tag, and one that does not.
    for ignores in [false, true] {
        for at in 0..3 {
            let server = server();
            if ignores {
                server.copies_anything();
            }
            let source = open("s3://b/source", &store_options(&server)).await;
            let mut sink = Sink::create("s3://b/out", &options(&server)).await.unwrap();
            let mut pieces = PIECES.to_vec();
            let rest = pieces.split_off(2 * at.min(2));
            let change = || server.put("/b/source", sample(SOURCE, 2));
            let result = async {
                write(&mut sink, &source, &pieces).await?;
                change();
                write(&mut sink, &source, &rest).await
            };
            let result = match result.await {
                Ok(_) => sink.publish(Bytes::from_static(HEAD)).await,
                Err(error) => Err(sink.abandon(error).await),
            };
            refused(&format!("{at}"), result, ErrorKind::Changed, "s3://b/source changed while it was");
            assert_eq!((server.get("/b/out"), server.open_uploads()), (None, 0), "{at}");
        }
    }
    // Of another size, or gone.
    for gone in [false, true] {
        let server = server();
        let source = open("s3://b/source", &store_options(&server)).await;
        let mut sink = Sink::create("s3://b/out", &options(&server)).await.unwrap();
        sink.append(Bytes::from(vec![0; 1000])).await.unwrap();
        if gone {
            server.remove("/b/source");
        } else {
            server.put("/b/source", sample(10, 1));
        }
        let result = sink.append_copy(0, &source, 0..5000).await;
        refused("gone", result, ErrorKind::Changed, "s3://b/source changed while it was copied");
        sink.abort().await;
        assert_eq!(server.open_uploads(), 0);
    }
}

/// A COG of many small tiles, row by row, with leaders and trailers: of the sample, one band, all of it.
async fn many_tiles(folder: &std::path::Path) -> Vec<u8> {
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample/scene.tif");
    let options = ClipOptions {
        bands: vec![1],
        nodata: cogclip::sample::NoData::new("0"),
        blocksize: Some(32),
        ..ClipOptions::default()
    };
    let mut cog =
        Cog::open(sample.to_str().unwrap(), &StoreOptions::default(), &Limits::default()).await.unwrap();
    let all = Cutline::from_bounds(cog.bounds(), None).unwrap();
    let plan = cog.plan(&all, &options).unwrap().unwrap();
    let out = folder.join("tiles.tif");
    cog.clip(plan, out.to_str().unwrap(), &options, &SinkOptions::default(), &Silent).await.unwrap();
    std::fs::read(out).unwrap()
}

#[tokio::test]
async fn a_clip_is_the_same_whether_its_tiles_come_here_or_not() {
    let server = Server::start();
    server.set_min_part(1000);
    let folder = tempfile::tempdir().unwrap();
    let file = many_tiles(folder.path()).await;
    let size = file.len() as u64;
    server.put("/b/source", file);
    for overviews in [false, true] {
        let mut outputs = Vec::new();
        for server_side_copy in [false, true] {
            server.clear();
            let sink = SinkOptions { server_side_copy, overwrite: true, ..options(&server) };
            let clip = ClipOptions { align_tiles: true, overviews, ..ClipOptions::default() };
            let mut cog = Cog::open("s3://b/source", &sink.store, &Limits::default()).await.unwrap();
            // All of the raster but its lower right corner.
            let bounds = cog.bounds();
            let (middle_x, middle_y) =
                (f64::midpoint(bounds.min_x, bounds.max_x), f64::midpoint(bounds.min_y, bounds.max_y));
            let ring = vec![
                [bounds.min_x, bounds.min_y],
                [bounds.min_x, bounds.max_y],
                [bounds.max_x, bounds.max_y],
                [bounds.max_x, middle_y],
                [middle_x, bounds.min_y],
                [bounds.min_x, bounds.min_y],
            ];
            let cutline = Cutline::new(vec![Polygon { rings: vec![ring] }], None);
            let plan = cog.plan(&cutline, &clip).unwrap().unwrap();
            let planned = plan.passage.count();
            let report = cog.clip(plan, "s3://b/out", &clip, &sink, &Silent).await.unwrap();
            assert_eq!(report.copied.tiles, planned);
            assert!(planned * 2 > report.tiles.0, "{planned} of {} tiles", report.tiles.0);
            let read: u64 = server
                .requests()
                .iter()
                .filter(|request| request.method == "GET")
                .filter_map(|request| request.range)
                .map(|(start, end)| end - start)
                .sum();
            // With overviews, those on the source's grid are copied too, so that little must be looked at.
            if server_side_copy {
                assert!(report.published.copied > size / 4, "{} bytes copied", report.published.copied);
                assert!(read < size * 3 / 4, "{read} of {size} bytes read");
            } else {
                assert_eq!(report.published.copied, 0);
            }
            outputs.push((server.get("/b/out").unwrap(), report.counts, report.copied));
        }
        assert!(outputs[0] == outputs[1], "overviews: {overviews}");
    }
}
