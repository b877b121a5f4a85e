//! Faults of what is written: in one request, and in parts.

use super::reading::ms;
use super::run::Store;
use super::{CLOUDS, Job, Row, renewed, unreachable};
use crate::server::{Class, Fault, Rule};

const XML: &[Store] = &[Store::S3, Store::Gs];
const GS: &[Store] = &[Store::Gs];
const OTHER: &[u8] = b"another writer's";

/// One conditional PUT.
pub(super) fn single() -> Vec<Row> {
    let job = Job::Put;
    let passes = |name: &str, rules| Row::passes(job, name, rules);
    let ends = |name: &str, code, rules| Row::ends(job, name, code, rules);
    let put = Class::Put;
    let mut rows = common(job, put);
    rows.extend([
        passes(
            "503, twice, looking whether it exists",
            vec![Rule::times(2, Class::Head, Fault::Status(503))],
        ),
        passes("done, but the answer is lost", vec![Rule::once(put, Fault::Reset)]),
        passes("done, but the answer never comes", vec![Rule::once(put, Fault::Stall)]).silent(),
        Row { exists: true, other: Some(OTHER), ..ends("exists from the start", 9, vec![]).says("exists") },
        Row {
            other: Some(OTHER),
            ..ends("another writer comes first", 9, vec![overtaken(put)]).says("exists")
        },
        Row {
            other: Some(OTHER),
            ..ends(
                "503, then another writer comes first",
                9,
                vec![Rule::once(put, Fault::Status(503)), overtaken(put).after(1)],
            )
        },
    ]);
    rows.extend(unreachable(job));
    rows
}

/// Three parts and what begins and ends them.
pub(super) fn parts() -> Vec<Row> {
    let job = Job::Parts;
    let passes = |name: &str, rules| Row::passes(job, name, rules);
    let ends = |name: &str, code, rules| Row::ends(job, name, code, rules);
    let (part, complete) = (Class::Part, Class::Complete);
    let denied = Fault::Code(403, "AccessDenied");
    let in_body =
        |code| Fault::Say(200, format!("<Error><Code>{code}</Code><Message>because</Message></Error>"));
    let mut rows = common(job, part);
    rows.extend([
        passes("503, creating", vec![Rule::once(Class::Create, Fault::Status(503))]).only(XML),
        ends("503 for ever, creating", 5, vec![Rule::always(Class::Create, Fault::Status(503))]).only(XML),
        Row {
            // The upload that was begun and not told of.
            strays: 1,
            ..passes("created, but the answer is lost", vec![Rule::once(Class::Create, Fault::Reset)])
                .only(XML)
        },
        passes("stored, but the answer is lost, part", vec![Rule::once(part, Fault::Reset)]),
        ends("403, last part", 5, vec![Rule::always(part, denied.clone()).after(2)]).says("denied"),
        Row {
            strays: 1,
            ..ends(
                "403, and it cannot be aborted",
                5,
                vec![Rule::always(part, denied.clone()), Rule::always(Class::Abort, denied.clone())],
            )
            .only(XML)
        },
        passes("500, completing", vec![Rule::once(complete, Fault::Status(500))]),
        ends("503 for ever, completing", 5, vec![Rule::always(complete, Fault::Status(503))]).says("503"),
        ends("403, completing", 5, vec![Rule::always(complete, denied)]).says("403"),
        passes("reset before it is completed", vec![Rule::once(complete, Fault::UploadReset(10))]),
        passes("completing: 200 and an error, once", vec![Rule::once(complete, in_body("InternalError"))])
            .only(XML),
        ends("completing: 200 and an error", 5, vec![Rule::always(complete, in_body("InternalError"))])
            .only(XML),
        passes("completed, but the answer is lost", vec![Rule::once(complete, Fault::Reset)]),
        passes("completed, but the answer never comes", vec![Rule::once(complete, Fault::Stall)]).silent(),
        // As a gateway says it, when what is behind it goes on.
        Row {
            other: Some(OTHER),
            ..ends("another writer comes first, completing", 9, vec![overtaken(complete)])
                .says("exists")
                .only(&[Store::S3, Store::Az])
        },
        // Google takes the condition with composing alone.
        Row {
            other: Some(OTHER),
            ..ends("another writer comes first, composing", 9, vec![overtaken(Class::Compose)])
                .says("exists")
                .only(GS)
        },
        passes("503, composing", vec![Rule::once(Class::Compose, Fault::Status(503))]).only(GS),
        passes("composed, but the answer is lost", vec![Rule::once(Class::Compose, Fault::Reset)]).only(GS),
        ends("403, composing", 5, vec![Rule::always(Class::Compose, Fault::Code(403, "AccessDenied"))])
            .says("storage.objects.get")
            .only(GS),
        Row { exists: true, other: Some(OTHER), ..ends("exists from the start", 9, vec![]).says("exists") },
        renewed(job, "token expired (400), completing", complete, Fault::Code(400, "ExpiredToken"))
            .only(&CLOUDS[..1]),
        renewed(job, "token expired (401), completing", complete, Fault::Code(401, "AuthenticationFailed"))
            .only(&CLOUDS[1..]),
    ]);
    rows
}

/// Faults of any upload of bytes.
fn common(job: Job, class: Class) -> Vec<Row> {
    let passes = |name: &str, rules| Row::passes(job, name, rules);
    let ends = |name: &str, code, rules| Row::ends(job, name, code, rules);
    vec![
        passes("latency of 50 ms", vec![Rule::always(Class::Any, Fault::Latency(ms(50)))]),
        passes("429, Retry-After 1 s", vec![Rule::once(class, Fault::RetryAfter(429, 1))])
            .takes_at_least(ms(1000)),
        passes("429, Retry-After as a date", vec![Rule::once(class, Fault::RetryAfterDate(429, 2))])
            .takes_at_least(ms(1000)),
        passes("500", vec![Rule::once(class, Fault::Status(500))]),
        passes("503, three in a row", vec![Rule::times(3, class, Fault::Status(503))]),
        ends("503 for ever", 5, vec![Rule::always(class, Fault::Status(503))]).says("503"),
        passes("reset before the first byte", vec![Rule::times(2, class, Fault::UploadReset(0))]),
        passes("reset at byte 100000", vec![Rule::times(2, class, Fault::UploadReset(100_000))]),
        ends("reset at byte 100000 for ever", 5, vec![Rule::always(class, Fault::UploadReset(100_000))]),
        passes(
            "every 2nd request dropped, 5 times",
            vec![Rule::times(5, Class::Any, Fault::UploadReset(0)).every(2)],
        ),
        passes("stall at byte 100000", vec![Rule::once(class, Fault::UploadStall(100_000))]).silent(),
        ends("stall for ever", 5, vec![Rule::always(class, Fault::UploadStall(100_000))]).silent(),
        ends("403", 5, vec![Rule::always(class, Fault::Code(403, "AccessDenied"))]).says("denied"),
        renewed(job, "token expired (401)", class, Fault::Code(401, "AuthenticationFailed"))
            .only(&CLOUDS[1..]),
        renewed(job, "token expired (400)", class, Fault::Code(400, "ExpiredToken")).only(&CLOUDS[..1]),
        renewed(job, "token expired (403)", class, Fault::Code(403, "ExpiredToken")).only(&CLOUDS[..1]),
    ]
}

fn overtaken(class: Class) -> Rule {
    Rule::once(class, Fault::Replace(OTHER.to_vec()))
}
