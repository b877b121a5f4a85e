//! Faults of what is read.

use std::time::Duration;

use super::{CLOUDS, Job, Row, raster, renewed, unreachable};
use crate::server::{Class, Fault, Rule};

const READ: Job = Job::Read;

/// The three kinds of reads of the small raster: its first bytes, the arrays at its end, and tiles.
fn stages() -> [(&'static str, Class); 3] {
    let arrays = raster::small().arrays;
    [("first", Class::First), ("header", Class::From(arrays)), ("tile", Class::Between(arrays))]
}

pub(super) fn rows() -> Vec<Row> {
    let passes = |name: &str, rules| Row::passes(READ, name, rules);
    let ends = |name: &str, code, rules| Row::ends(READ, name, code, rules);
    let [_, (_, header), (_, tile)] = stages();
    let of_many = Class::Between(raster::medium().arrays);
    let mut rows = vec![passes("latency of 20 ms", vec![Rule::always(Class::Any, Fault::Latency(ms(20)))])];
    for (stage, class) in stages() {
        let at = |what: &str| format!("{what}, {stage}");
        let wait = Fault::RetryAfter(429, 1);
        rows.push(
            passes(&at("429, Retry-After 1 s"), vec![Rule::once(class, wait)]).takes_at_least(ms(1000)),
        );
        rows.push(passes(&at("500"), vec![Rule::once(class, Fault::Status(500))]));
        rows.push(passes(&at("503, three in a row"), vec![Rule::times(3, class, Fault::Status(503))]));
        rows.push(ends(&at("503 for ever"), 5, vec![Rule::always(class, Fault::Status(503))]).says("503"));
        rows.push(passes(&at("no answer, connection closed"), vec![Rule::times(2, class, Fault::Reset)]));
        rows.push(passes(&at("reset at byte 100"), vec![Rule::times(2, class, Fault::ResetAt(100))]));
        rows.push(passes(&at("truncated at byte 7"), vec![Rule::times(2, class, Fault::Truncate(7))]));
        // Not one byte: a client that goes on where it was cut off would get there in the end.
        rows.push(ends(&at("truncated for ever"), 5, vec![Rule::always(class, Fault::Truncate(0))]));
        rows.push(ends(&at("wrong Content-Range"), 5, vec![Rule::always(class, Fault::WrongRange)]));
        rows.push(
            ends(&at("403"), 5, vec![Rule::always(class, Fault::Code(403, "AccessDenied"))]).says("denied"),
        );
        rows.push(passes(&at("stall before the answer"), vec![Rule::once(class, Fault::Stall)]).silent());
        rows.push(passes(&at("stall at byte 100"), vec![Rule::once(class, Fault::StallAt(100))]).silent());
    }
    rows.extend([
        // The date has whole seconds: of two, more than one is left.
        passes("429, Retry-After as a date, tile", vec![Rule::once(tile, Fault::RetryAfterDate(429, 2))])
            .takes_at_least(ms(1000)),
        passes("503, a burst over all tiles", vec![Rule::times(40, tile, Fault::Status(503))]),
        passes("truncated at byte 0, tile", vec![Rule::once(tile, Fault::Truncate(0))]),
        passes("truncated at byte 8191, tile", vec![Rule::once(tile, Fault::Truncate(8191))]),
        ends("reset at byte 1000 for ever, tile", 5, vec![Rule::always(tile, Fault::ResetAt(1000))]),
        passes("every 7th connection dropped", vec![Rule::always(Class::Any, Fault::Reset).every(7)]),
        passes("slow drip, tile", vec![Rule::once(tile, Fault::Drip(ms(20)))]).silent(),
        ends("slow drip for ever, tile", 5, vec![Rule::always(tile, Fault::Drip(ms(20)))]).silent(),
        ends("stall for ever, tile", 5, vec![Rule::always(tile, Fault::Stall)]).silent(),
        Row {
            most: ms(5500),
            ..passes(
                "one tile of many takes 6 s",
                vec![Rule::once(of_many, Fault::Latency(ms(6000))).after(200)],
            )
        }
        .of(raster::medium())
        .flags(&["--hedge"]),
        // A small file may come whole from a server without ranges; this one has 2 MiB.
        ends("the whole instead of a range, first", 5, vec![Rule::always(Class::First, Fault::Whole)])
            .of(raster::medium()),
        ends("the whole instead of a range, tile", 5, vec![Rule::always(of_many, Fault::Whole)])
            .of(raster::medium()),
        passes("the whole of 650 KiB instead of a range, tile", vec![Rule::times(3, tile, Fault::Whole)]),
        ends("404, first", 5, vec![Rule::once(Class::First, Fault::Delete)]).says("not found"),
        ends("removed midway, tile", 5, vec![Rule::once(tile, Fault::Delete).after(3)]),
        // A server that ignores If-Match.
        ends("another ETag, tile", 7, vec![Rule::once(tile, Fault::Etag("\"other\"")).after(3)])
            .says("changed"),
        ends("replaced midway, ETag as long, tile", 7, vec![replaced(tile).after(3)]).says("changed"),
        ends("replaced between header and tiles", 7, vec![replaced(tile)]).says("changed"),
        ends(
            "503, then replaced, tile",
            7,
            vec![Rule::once(tile, Fault::Status(503)), replaced(tile).after(1)],
        )
        .says("changed"),
        ends(
            "403 for a while of tiles",
            5,
            vec![Rule::times(5, tile, Fault::Code(403, "AccessDenied")).after(9)],
        )
        .says("denied"),
        renewed(READ, "token expired (401), tile", tile, Fault::Code(401, "AuthenticationFailed"))
            .only(&CLOUDS[1..]),
        renewed(READ, "token expired (403), tile", tile, Fault::Code(403, "ExpiredToken")).only(&CLOUDS[..1]),
        renewed(READ, "token expired (400), tile", tile, Fault::Code(400, "ExpiredToken")).only(&CLOUDS[..1]),
        renewed(READ, "token expired (401), header", header, Fault::Code(401, "AuthenticationFailed"))
            .only(&CLOUDS[1..]),
        renewed(READ, "token expired (400), header", header, Fault::Code(400, "ExpiredToken"))
            .only(&CLOUDS[..1]),
    ]);
    rows.extend(unreachable(READ));
    rows
}

/// Other samples under the same name, as long, so that the ETag is as long, too.
fn replaced(class: Class) -> Rule {
    let mut bytes = raster::small().bytes.clone();
    bytes[70_000..].iter_mut().take(500_000).for_each(|byte| *byte ^= 0x55);
    Rule::once(class, Fault::Replace(bytes))
}

pub(super) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
