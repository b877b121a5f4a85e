//! What an event is: a job, or where in it jobs are.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::template::{Object, Template};
use crate::batch::manifest::Row;
use crate::error::{Error, Result};

/// Envelopes in envelopes, at most: a queue has what a topic has what a bucket said.
const DEPTH: usize = 4;

/// What an event asks for.
#[derive(Debug)]
pub(super) enum Event {
    /// One job, whose report is the answer.
    Job(Row),
    /// Messages of a queue, each of which is done or fails by itself.
    Queue {
        messages: Vec<Message>,
        /// Whether the order of messages of a group matters.
        fifo: bool,
    },
    /// Notices of S3, also by way of SNS or `EventBridge`: nobody waits for the answer.
    Notices(Vec<Notice>),
}

/// A message of a queue.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) group: Option<String>,
    pub(super) notices: Result<Vec<Notice>>,
}

/// What a record stands for.
#[derive(Debug, PartialEq)]
pub(super) enum Notice {
    Job(Row),
    /// Nothing is to be done, for this reason.
    Ignored(String),
}

impl Event {
    /// What the event's JSON asks for; `template` is the job of a new object.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for what is none of the events that are known.
    pub(super) fn parse(bytes: &[u8], template: Option<&Template>) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|cause| Error::usage("the event is not JSON").caused_by(cause))?;
        // What Lambda reads from a queue itself, and what an EventBridge Pipe does.
        let records = value.get("Records").unwrap_or(&value).as_array();
        if let Some(records) = records.filter(|records| records.first().is_some_and(is_of_queue)) {
            return queue(records, template);
        }
        let is_for_one = value.get("Records").is_none();
        let mut found = notices(value, template, DEPTH)?;
        match (found.pop(), found.is_empty()) {
            (Some(Notice::Job(job)), true) if is_for_one => Ok(Self::Job(job)),
            (last, _) => {
                found.extend(last);
                Ok(Self::Notices(found))
            }
        }
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn is_of_queue(record: &Value) -> bool {
    text(record, "/eventSource") == Some("aws:sqs")
}

fn queue(records: &[Value], template: Option<&Template>) -> Result<Event> {
    let mut messages = Vec::with_capacity(records.len());
    let mut fifo = false;
    for record in records {
        // What has no id cannot be reported alone.
        let id = text(record, "/messageId").filter(|id| !id.is_empty());
        let Some(id) = id.filter(|_| is_of_queue(record)) else {
            return Err(Error::usage("a record of the batch has no messageId, or is none of the queue"));
        };
        let name = text(record, "/eventSourceARN").unwrap_or_default();
        // As queues with an order must be called.
        fifo |= name.strip_suffix(".fifo").is_some();
        let body = text(record, "/body").unwrap_or_default();
        let notices = serde_json::from_str(body)
            .map_err(|cause| Error::usage("the body of the message is not JSON").caused_by(cause))
            .and_then(|value| notices(value, template, DEPTH));
        let group = text(record, "/attributes/MessageGroupId").map(str::to_owned);
        messages.push(Message { id: id.to_owned(), group, notices });
    }
    Ok(Event::Queue { messages, fifo })
}

/// What is in an envelope, and in those in it.
fn notices(value: Value, template: Option<&Template>, depth: usize) -> Result<Vec<Notice>> {
    if depth == 0 {
        return Err(Error::usage("there are events in events in events; the innermost was not looked at"));
    }
    let Value::Object(mut event) = value else {
        return Err(Error::usage("a job is a JSON object with `src`, `dst` and `cutline` or `bbox`"));
    };
    if let Some(records) = event.remove("Records") {
        let Value::Array(records) = records else {
            return Err(Error::usage("the event's Records are no array"));
        };
        let mut found = Vec::new();
        for record in records {
            found.extend(of_record(&record, template, depth)?);
        }
        return Ok(found);
    }
    // What S3 says to a queue or a topic when it is told to send its notices there.
    if event.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
        return Ok(vec![Notice::Ignored("it is the test event of S3".to_owned())]);
    }
    let string = |name: &str| event.get(name).and_then(Value::as_str);
    // A message of SNS as a queue has it.
    if string("Type") == Some("Notification") && event.contains_key("TopicArn") {
        return message_of_topic(string("Message").unwrap_or_default(), template, depth);
    }
    if let (Some(kind), true) = (string("detail-type"), event.contains_key("detail")) {
        let kind = kind.to_owned();
        let is_of_s3 = string("source") == Some("aws.s3");
        let detail = event.remove("detail").unwrap_or_default();
        if !is_of_s3 {
            return notices(detail, template, depth - 1);
        }
        if kind != "Object Created" {
            return Ok(vec![Notice::Ignored(format!("{kind:?} brings no object"))]);
        }
        let (bucket, key) = (text(&detail, "/bucket/name"), text(&detail, "/object/key"));
        // Not encoded here.
        let place = bucket.zip(key).map(|(bucket, key)| (bucket.to_owned(), key.to_owned()));
        return object(place, template).map(|notice| vec![notice]);
    }
    Ok(vec![Notice::Job(event)])
}

fn of_record(record: &Value, template: Option<&Template>, depth: usize) -> Result<Vec<Notice>> {
    let source = text(record, "/eventSource").or_else(|| text(record, "/EventSource")).unwrap_or_default();
    match source {
        "aws:s3" => {
            let name = text(record, "/eventName").unwrap_or_default();
            if !name.starts_with("ObjectCreated:") {
                return Ok(vec![Notice::Ignored(format!("{name:?} brings no object"))]);
            }
            let bucket = text(record, "/s3/bucket/name");
            let place = match bucket.zip(text(record, "/s3/object/key")) {
                Some((bucket, key)) => Some((bucket.to_owned(), decoded(key)?)),
                None => None,
            };
            object(place, template).map(|notice| vec![notice])
        }
        "aws:sns" => {
            let message = text(record, "/Sns/Message").unwrap_or_default().to_owned();
            message_of_topic(&message, template, depth)
        }
        other => Err(Error::usage(format!(
            "records of {other:?} are not supported; there are those of aws:sqs, aws:s3 and aws:sns"
        ))),
    }
}

fn message_of_topic(message: &str, template: Option<&Template>, depth: usize) -> Result<Vec<Notice>> {
    let value = serde_json::from_str(message)
        .map_err(|cause| Error::usage("the message of the topic is not JSON").caused_by(cause))?;
    notices(value, template, depth - 1)
}

/// The job of a new object.
fn object(place: Option<(String, String)>, template: Option<&Template>) -> Result<Notice> {
    let Some((bucket, key)) = place else {
        return Err(Error::usage("the event of S3 names no bucket, or no key"));
    };
    let Some(template) = template else {
        return Err(Error::usage(
            "an event of S3 says which object is new, and not what is to be done with it: set COGCLIP_JOB to the template of a job",
        ));
    };
    if key.ends_with('/') {
        return Ok(Notice::Ignored("it is a folder".to_owned()));
    }
    let job = template.job(&Object { bucket, key });
    Ok(job.map_or_else(|| Notice::Ignored("it lies where outputs go".to_owned()), Notice::Job))
}

/// A key of a notice, which is encoded as in a form: blanks are `+`.
fn decoded(key: &str) -> Result<String> {
    let key = key.replace('+', " ");
    match percent_decode_str(&key).decode_utf8() {
        Ok(key) => Ok(key.into_owned()),
        Err(cause) => Err(Error::usage("the key of the new object is not UTF-8").caused_by(cause)),
    }
}
