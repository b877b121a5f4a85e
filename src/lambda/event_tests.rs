//! Events as AWS documents them; their shapes are those of its developer guides.

use serde_json::{Value, json};

use super::event::{Event, Notice};
use super::template::Template;

fn template() -> Template {
    Template::parse("{\"dst\": \"s3://clips/{path}.tif\"}").unwrap()
}

fn parse(event: &Value) -> crate::error::Result<Event> {
    Event::parse(event.to_string().as_bytes(), Some(&template()))
}

fn job_of(src: &str, dst: &str) -> Notice {
    let Value::Object(row) = json!({ "src": src, "dst": dst }) else { unreachable!() };
    Notice::Job(row)
}

#[track_caller]
fn notices(event: &Value) -> Vec<Notice> {
    match parse(event).unwrap() {
        Event::Notices(notices) => notices,
        Event::Job(job) => vec![Notice::Job(job)],
        Event::Queue { .. } => panic!("it is of a queue"),
    }
}

/// Amazon S3 user guide, "Event message structure".
fn of_s3(name: &str, key: &str) -> Value {
    json!({ "Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-west-2", "eventName": name,
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": { "name": "in", "arn": "arn:aws:s3:::in" },
            "object": { "key": key, "size": 1024, "eTag": "d41d8", "sequencer": "0055AED6DCD90281E5" }
        }
    }] })
}

/// Amazon S3 user guide, "EventBridge event message structure".
fn of_bridge(kind: &str, key: &str) -> Value {
    json!({
        "version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": kind, "source": "aws.s3",
        "account": "111122223333", "time": "2021-11-12T00:00:00Z", "region": "ca-central-1", "resources": ["arn:aws:s3:::in"],
        "detail": { "version": "0", "bucket": { "name": "in" }, "object": { "key": key, "size": 5 }, "reason": "PutObject" }
    })
}

/// AWS Lambda developer guide, "Using Lambda with Amazon SQS".
fn of_sqs(fifo: bool, bodies: &[(&str, &str, String)]) -> Value {
    let arn = if fifo {
        "arn:aws:sqs:us-east-2:123456789012:q.fifo"
    } else {
        "arn:aws:sqs:us-east-2:123456789012:q"
    };
    let records = bodies.iter().map(|(id, group, body)| {
        json!({
            "messageId": id, "receiptHandle": "AQEB", "body": body, "md5OfBody": "", "messageAttributes": {},
            "attributes": { "ApproximateReceiveCount": "1", "MessageGroupId": group },
            "eventSource": "aws:sqs", "eventSourceARN": arn, "awsRegion": "us-east-2"
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

#[test]
fn a_job_is_itself() {
    let event = json!({ "src": "s3://a/b", "dst": "s3://c/d", "bbox": "0,0,1,1" });
    let Event::Job(job) = parse(&event).unwrap() else { panic!("it is a job") };
    assert_eq!(Value::Object(job), event);
    let scheduled = json!({ "detail-type": "Clip", "source": "mine", "detail": { "src": "s3://a/b", "dst": "s3://c/d" } });
    assert!(matches!(parse(&scheduled).unwrap(), Event::Job(_)));
    assert_eq!(notices(&scheduled), [job_of("s3://a/b", "s3://c/d")]);
}

#[test]
fn new_objects_are_jobs_of_the_template() {
    // Encoded as in a form by S3 itself, and not at all by EventBridge.
    let expected = [job_of("s3://in/a b/c+d é.tif", "s3://clips/a b/c+d é.tif")];
    assert_eq!(notices(&of_s3("ObjectCreated:Put", "a+b/c%2Bd+%C3%A9.tif")), expected);
    assert_eq!(notices(&of_bridge("Object Created", "a b/c+d é.tif")), expected);
    let literal = [job_of("s3://in/a+b%20c.tif", "s3://clips/a+b%20c.tif")];
    assert_eq!(notices(&of_bridge("Object Created", "a+b%20c.tif")), literal);
    for event in [
        of_s3("ObjectRemoved:Delete", "a.tif"),
        of_bridge("Object Deleted", "a.tif"),
        of_s3("ObjectCreated:Put", "folder/"),
        json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in" }),
    ] {
        assert!(matches!(&notices(&event)[..], [Notice::Ignored(_)]), "{event}");
    }
}

#[test]
fn envelopes_are_opened() {
    let put = of_s3("ObjectCreated:CompleteMultipartUpload", "x.tif");
    let topic = |message: &Value| json!({ "Records": [{ "EventSource": "aws:sns", "Sns": { "Type": "Notification", "Message": message.to_string() } }] });
    let expected = || vec![job_of("s3://in/x.tif", "s3://clips/x.tif")];
    assert_eq!(notices(&topic(&put)), expected());
    let of_topic = json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": put.to_string() });
    let bodies = [
        ("1", "g", json!({ "src": "s3://a/b", "dst": "s3://c/d" }).to_string()),
        ("2", "g", put.to_string()),
        ("3", "h", of_topic.to_string()),
        ("4", "h", of_bridge("Object Created", "x.tif").to_string()),
        ("5", "h", "no JSON".to_owned()),
        ("6", "h", "[]".to_owned()),
    ];
    for is_fifo in [false, true] {
        let event = of_sqs(is_fifo, &bodies);
        // A Pipe has the records alone.
        for event in [event.clone(), event["Records"].clone()] {
            let Event::Queue { messages, fifo } = parse(&event).unwrap() else { panic!("{event}") };
            assert_eq!(fifo, is_fifo);
            let ids: Vec<_> = messages.iter().map(|message| message.id.as_str()).collect();
            assert_eq!(ids, ["1", "2", "3", "4", "5", "6"]);
            assert_eq!(messages[0].group.as_deref(), Some("g"));
            assert_eq!(messages[0].notices.as_ref().unwrap(), &[job_of("s3://a/b", "s3://c/d")]);
            for message in &messages[1..4] {
                assert_eq!(message.notices.as_ref().unwrap(), &expected(), "{}", message.id);
            }
            assert!(messages[4..].iter().all(|message| message.notices.is_err()));
        }
    }
}

#[test]
fn what_is_no_event_says_why() {
    let deep = (0..5).fold(json!({ "src": "a" }), |inner, _| json!({ "detail-type": "x", "detail": inner }));
    let mut nameless = of_sqs(false, &[("1", "g", "{}".to_owned())]);
    nameless["Records"][0]["messageId"] = Value::Null;
    let mut bare = of_s3("ObjectCreated:Put", "a");
    bare["Records"][0]["s3"]["object"] = json!({});
    for (event, says) in [
        (json!(1), "a job is a JSON object"),
        (json!([]), "a job is a JSON object"),
        (json!({ "Records": 1 }), "no array"),
        (json!({ "Records": [{ "eventSource": "aws:kinesis" }] }), "\"aws:kinesis\" are not supported"),
        (nameless, "no messageId"),
        (bare, "no key"),
        (of_s3("ObjectCreated:Put", "%FF"), "not UTF-8"),
        (deep, "events in events"),
    ] {
        let error = parse(&event).unwrap_err();
        assert!(error.to_string().contains(says), "{event}: {error}");
        assert_eq!(error.kind(), crate::ErrorKind::Usage);
    }
    let error = Event::parse(of_s3("ObjectCreated:Put", "a").to_string().as_bytes(), None).unwrap_err();
    assert!(error.to_string().contains("COGCLIP_JOB"), "{error}");
    assert!(Event::parse(b"{", None).unwrap_err().to_string().contains("not JSON"));
}

#[test]
fn damaged_events_are_errors_or_other_events() {
    let job = json!({ "src": "s3://a/b", "dst": "s3://c/d" });
    let queued = of_sqs(
        true,
        &[("1", "g", of_s3("ObjectCreated:Put", "a+%C3%A9").to_string()), ("2", "g", job.to_string())],
    );
    for event in [job, of_s3("ObjectCreated:Put", "a+%C3%A9/b.tif"), of_bridge("Object Created", "a"), queued]
    {
        let text = event.to_string().into_bytes();
        let (mut parsed, template) = (0, template());
        for at in 0..text.len() {
            assert!(Event::parse(&text[..at], Some(&template)).is_err(), "cut at {at}");
            for bits in [1, 4, 0x10, 0x80] {
                let mut text = text.clone();
                text[at] ^= bits;
                parsed += usize::from(Event::parse(&text, Some(&template)).is_ok());
            }
        }
        // Most bytes are those of names and values that may be others.
        assert!(parsed > text.len(), "{parsed} of {}", text.len());
    }
}
