//! What goes wrong, and with which requests.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::wire::Call;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status instead of an answer.
    Status(u16),
    /// The same with Retry-After, in seconds.
    RetryAfter(u16, u64),
    /// The connection ends without an answer; what was asked has been done.
    Reset,
    /// The answer's body ends after so many bytes, and with it the connection.
    Truncate(usize),
    /// The answer carries this ETag.
    Etag(&'static str),
    /// There is never an answer; what was asked has been done.
    Stall,
    /// The range is ignored: 200 and everything.
    Whole,
    /// The answer is of the range one byte further.
    WrongRange,
    /// A redirect to this path of the same server.
    Redirect(String),
    /// The object is replaced by these bytes before the answer.
    Replace(Vec<u8>),
    /// The answer comes so much later.
    Latency(Duration),
    /// This status with Retry-After as the date of so many seconds from now.
    RetryAfterDate(u16, u64),
    /// This status with this error code.
    Code(u16, &'static str),
    /// This status and these bytes instead of an answer.
    Say(u16, String),
    /// The connection is reset after so many bytes of the answer's body.
    ResetAt(usize),
    /// The answer's body stops after so many bytes; the connection stays.
    StallAt(usize),
    /// The answer's body comes a byte at a time, with this pause before each.
    Drip(Duration),
    /// The connection is reset after so many bytes of the request's body; nothing is done.
    UploadReset(usize),
    /// Of the request's body no more than so many bytes are taken, and there is no answer; nothing is done.
    UploadStall(usize),
    /// The object is gone before the answer.
    Delete,
    /// The answer waits until as many requests have come as the gate is for.
    Gate(Arc<Gate>),
}

/// Lets requests wait for each other, but not for ever.
#[derive(Debug)]
pub(crate) struct Gate {
    wanted: usize,
    arrived: Mutex<usize>,
    changed: Condvar,
}

impl Gate {
    /// One that opens when `wanted` requests have come.
    pub(crate) fn of(wanted: usize) -> Arc<Self> {
        Arc::new(Self { wanted, arrived: Mutex::new(0), changed: Condvar::new() })
    }

    /// Waits at most `longest`.
    pub(super) fn pass(&self, longest: Duration) {
        let mut arrived = self.arrived.lock().unwrap();
        *arrived += 1;
        self.changed.notify_all();
        drop(self.changed.wait_timeout_while(arrived, longest, |arrived| *arrived < self.wanted).unwrap());
    }

    /// How many requests have come.
    pub(crate) fn arrived(&self) -> usize {
        *self.arrived.lock().unwrap()
    }
}

/// Which requests a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Every one.
    Any,
    /// HEAD.
    Head,
    /// GET of a range from the first byte on.
    First,
    /// GET of a range that starts at this byte or later.
    From(u64),
    /// GET of a range that starts after the first byte and before this one.
    Between(u64),
    /// PUT of a whole object.
    Put,
    /// The start of a multipart upload.
    Create,
    /// A part of one, or a block.
    Part,
    /// A part that the store copies itself.
    Copy,
    /// Its completion, or a block list.
    Complete,
    /// The composition of an object (Google).
    Compose,
    /// Its end without an object.
    Abort,
    /// Whatever is asked of this path.
    At(&'static str),
}

impl Class {
    /// Whether a request of this method and query is of the class, as far as these tell.
    pub(crate) fn is_of(self, method: &str, query: &str) -> bool {
        let is_part = query.contains("partNumber=") || query.contains("comp=block&");
        let is_list = query.contains("comp=blocklist");
        let creates = query.split('&').any(|part| part == "uploads" || part == "uploads=");
        match self {
            Self::Any => true,
            Self::Head => method == "HEAD",
            Self::First | Self::From(_) | Self::Between(_) => method == "GET",
            Self::Put => method == "PUT" && !is_part && !is_list && query != "compose",
            Self::Compose => method == "PUT" && query == "compose",
            Self::Create => method == "POST" && creates,
            Self::Part => method == "PUT" && is_part,
            Self::Complete => method == "POST" && !creates || method == "PUT" && is_list,
            Self::Abort => method == "DELETE" && query.contains("uploadId="),
            // The query does not tell.
            Self::Copy | Self::At(_) => false,
        }
    }

    pub(super) fn has(self, call: &Call) -> bool {
        let starts = |wanted: &dyn Fn(u64) -> bool| call.range().is_some_and(|(start, _)| wanted(start));
        match self {
            Self::At(path) => call.path == path,
            Self::Compose => self.is_of(&call.method, &call.query),
            Self::Copy => call.header("x-amz-copy-source").is_some(),
            _ if !self.is_of(&call.method, &call.query) => false,
            Self::First => starts(&|start| start == 0),
            Self::From(first) => starts(&|start| start >= first),
            Self::Between(end) => starts(&|start| start > 0 && start < end),
            Self::Any | Self::Head | Self::Put | Self::Create | Self::Part | Self::Complete | Self::Abort => {
                true
            }
        }
    }
}

/// What goes wrong with which requests.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    class: Class,
    pub(super) fault: Fault,
    after: usize,
    times: usize,
    every: usize,
    bearing: Option<&'static str>,
    seen: usize,
    done: usize,
}

impl Rule {
    /// `fault` for the next request of `class`.
    pub(crate) fn once(class: Class, fault: Fault) -> Self {
        Self { class, fault, after: 0, times: 1, every: 1, bearing: None, seen: 0, done: 0 }
    }

    /// `fault` for the next so many requests of `class`.
    pub(crate) fn times(times: usize, class: Class, fault: Fault) -> Self {
        Self { times, ..Self::once(class, fault) }
    }

    /// `fault` for every request of `class`.
    pub(crate) fn always(class: Class, fault: Fault) -> Self {
        Self::times(usize::MAX, class, fault)
    }

    /// The same, but the first `after` are answered.
    pub(crate) fn after(self, after: usize) -> Self {
        Self { after, ..self }
    }

    /// The same, but of those only the last of each `every`.
    pub(crate) fn every(self, every: usize) -> Self {
        Self { every, ..self }
    }

    /// The same, but only of requests in whose query or header this text stands.
    pub(crate) fn bearing(self, text: &'static str) -> Self {
        Self { bearing: Some(text), ..self }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.done == 0
    }

    pub(super) fn claims(&mut self, call: &Call) -> bool {
        if !self.class.has(call) || self.bearing.is_some_and(|text| !call.bears(text)) {
            return false;
        }
        self.seen += 1;
        let due = self.seen > self.after && (self.seen - self.after).is_multiple_of(self.every);
        let claimed = due && self.done < self.times;
        self.done += usize::from(claimed);
        claimed
    }
}
