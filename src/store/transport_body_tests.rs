//! Bodies, up and down: against a server that does what is written out here.

use std::thread::sleep;

use bytes::Bytes;

use super::tests::{Way, message, ok, options, request, short_idle};
use super::*;
use crate::error::ErrorKind;
use crate::store::scripted::{Asked as Got, Scripted};

#[tokio::test]
async fn a_slow_upload_is_not_a_stalled_one() {
    let server = Scripted::new(|mut got| {
        // More than what is under way unseen, at a pace that takes several idle timeouts.
        let mut left: usize = got.header("content-length").unwrap().parse().unwrap();
        assert!(got.header("transfer-encoding").is_none());
        let mut piece = vec![0; 256 << 10];
        while left > 0 {
            let len = left.min(piece.len());
            std::io::Read::read_exact(&mut got.stream, &mut piece[..len]).unwrap();
            left -= len;
            sleep(Duration::from_millis(20));
        }
        ok(got);
    });
    let way = Way::new(StoreOptions { max_retries: 0, ..short_idle() });
    let body: Vec<_> = (0..32).map(|_| Bytes::from(vec![7; 1 << 20])).collect();
    let request = request(Method::PUT, server.url("/"), body);
    let began = Instant::now();
    way.make(way.call(&request)).await.unwrap();
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_upload_that_is_not_taken_is_a_stall() {
    let server = Scripted::new(|mut got| {
        if got.number == 0 {
            sleep(Duration::from_secs(10));
        } else {
            got.body();
            ok(got);
        }
    });
    let way = Way::new(short_idle());
    let put = request(Method::PUT, server.url("/"), vec![Bytes::from(vec![7; 32 << 20])]);
    let began = Instant::now();
    way.make(Call { doing: "writing", ..way.call(&put) }).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    assert_eq!(way.counts(), (2, 1, 0));
    let events = way.events.0.lock().unwrap();
    let expected = "writing failed: the server went silent for 0.4 s";
    assert!(matches!(&events[0], Event::Retried { reason, .. } if reason == expected), "{events:?}");
}

#[tokio::test]
async fn uploads_say_their_length() {
    let server = Scripted::new(|mut got| {
        let body = String::from_utf8(got.body()).unwrap();
        let length = got.header("content-length").unwrap_or("none").to_owned();
        got.answer("200 OK", "", &format!("{length} {body}"));
    });
    let way = Way::new(options());
    for (method, body, expected) in [
        (Method::PUT, vec!["ab", "", "cde"], "5 abcde"),
        (Method::PUT, vec![], "0 "),
        (Method::POST, vec![], "0 "),
        (Method::POST, vec!["x"], "1 x"),
        (Method::DELETE, vec![], "none "),
        (Method::GET, vec![], "none "),
    ] {
        let body = body.into_iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect();
        let request = request(method.clone(), server.url("/"), body);
        let answer = way.make(way.call(&request)).await.unwrap();
        assert_eq!(answer.body, expected, "{method}");
    }
    assert!(!server.heads.lock().unwrap().concat().to_ascii_lowercase().contains("transfer-encoding"));
}

#[tokio::test]
async fn spaces_keep_a_completion_alive() {
    let drip = |mut got: Got| {
        got.body();
        got.send("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..12 {
            got.send("1\r\n \r\n");
            sleep(Duration::from_millis(100));
        }
        got.send("4\r\ndone\r\n0\r\n\r\n");
    };
    let server = Scripted::new(drip);
    let way = Way::new(StoreOptions { max_retries: 0, ..short_idle() });
    let post = request(Method::POST, server.url("/"), vec![Bytes::from_static(b"parts")]);
    let answer = way.make(way.call(&post)).await.unwrap();
    assert_eq!(answer.body, "            done");
    // The same for a read is a drip.
    let text = message(way.get(server.url("/")).await, ErrorKind::Io);
    assert_eq!(text, "SHOWN: reading failed: the server sent less than 4 KiB in 0.4 s");
}

#[tokio::test]
async fn a_drip_is_a_stall_but_a_short_body_may_come_slowly() {
    let server = Scripted::new(|mut got| {
        let length: usize = got.head.split_whitespace().nth(1).unwrap()[1..].parse().unwrap();
        got.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"));
        // A large one in small drops, a short one a byte at a time.
        let drop = if length > 4096 { 100 } else { 1 };
        for _ in 0..length.div_ceil(drop) {
            if !got.send(vec![b'x'; drop]) {
                return;
            }
            sleep(Duration::from_millis(100));
        }
    });
    let way = Way::new(StoreOptions { max_retries: 0, ..short_idle() });
    assert_eq!(way.get(server.url("/12")).await.unwrap().body.len(), 12);
    let text = message(way.get(server.url("/5000")).await, ErrorKind::Io);
    assert!(text.contains("less than 4 KiB in 0.4 s"), "{text}");
    // It would go on for 20 s.
    let text = message(way.get(server.url("/200")).await, ErrorKind::Io);
    assert!(text.contains("less than 4 KiB in 4 s"), "{text}");
}

#[tokio::test]
async fn a_slow_read_that_gets_on_is_not_a_drip() {
    let server = Scripted::new(|mut got| {
        got.send("HTTP/1.1 200 OK\r\nContent-Length: 320000\r\n\r\n");
        for _ in 0..20 {
            got.send([b'x'; 16_000]);
            sleep(Duration::from_millis(60));
        }
    });
    let way = Way::new(StoreOptions { max_retries: 0, ..short_idle() });
    let began = Instant::now();
    assert_eq!(way.get(server.url("/")).await.unwrap().body.len(), 320_000);
    assert!(began.elapsed() > Duration::from_millis(800));
}

#[tokio::test]
async fn long_bodies_are_cut() {
    let server = Scripted::new(|mut got| {
        let refused = got.head.starts_with("GET /refused");
        got.send(if refused { "HTTP/1.1 400 Bad Request\r\n\r\n" } else { "HTTP/1.1 200 OK\r\n\r\n" });
        // Without an end, until the other side closes.
        while got.send([b'x'; 10_000]) {}
    });
    let way = Way::new(options());
    for (path, most, expected) in [("/", 25_000, 25_000), ("/", 0, 0), ("/refused", 10, 64 << 10)] {
        let request = request(Method::GET, server.url(path), Vec::new());
        let take = |response: Response, _: Tried| Verdict::Done(response);
        let call = Call { most, counted: false, ..way.call(&request) };
        let answer = timeout(Duration::from_secs(20), way.transport.call(call, take)).await.unwrap().unwrap();
        assert_eq!((answer.body.len(), answer.cut), (expected, true), "{path} {most}");
    }
    let server = Scripted::new(ok);
    let request = request(Method::GET, server.url("/"), Vec::new());
    let answer = way.make(Call { most: 4, ..way.call(&request) }).await.unwrap();
    assert_eq!((&answer.body[..], answer.cut), (&b"body"[..], false));
}

#[tokio::test]
async fn the_length_of_a_whole_file_is_said() {
    for (head, taken) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody", true),
        ("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
            true,
        ),
        // With its range, which says the length.
        ("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/9\r\nConnection: close\r\n\r\nbody", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody", false),
        ("HTTP/1.0 200 OK\r\n\r\nbody", false),
    ] {
        let server = Scripted::new(move |mut got| {
            got.send(head);
        });
        let way = Way::new(options());
        let request = request(Method::GET, server.url("/"), Vec::new());
        let answer = way.make(way.call(&request)).await;
        if taken {
            assert_eq!(answer.unwrap().body, "body", "{head}");
        } else {
            assert!(message(answer, ErrorKind::Io).contains("does not say how long its answer is"), "{head}");
            assert_eq!(server.requests(), 1);
            // Answers that are no data are judged by what they hold.
            let call = Call { counted: false, ..way.call(&request) };
            assert_eq!(way.make(call).await.unwrap().body, "body", "{head}");
        }
    }
}

#[tokio::test]
async fn compressed_answers_are_refused() {
    for (headers, taken) in [
        ("Content-Encoding: gzip\r\n", false),
        ("Content-Encoding: identity, br\r\n", false),
        ("Content-Encoding: identity\r\nContent-Encoding: zstd\r\n", false),
        ("Content-Encoding: Identity\r\n", true),
        ("Content-Encoding: aws-chunked\r\n", true),
        ("Content-Encoding: \r\n", true),
        ("", true),
    ] {
        let server = Scripted::new(move |mut got| {
            assert_eq!(got.header("accept-encoding"), Some("identity"));
            got.answer("200 OK", headers, "body");
        });
        let way = Way::new(options());
        let answer = way.get(server.url("/")).await;
        if taken {
            assert_eq!(answer.unwrap().body, "body");
        } else {
            assert!(message(answer, ErrorKind::Unsupported).contains("Content-Encoding"));
            assert_eq!(server.requests(), 1);
        }
    }
}
