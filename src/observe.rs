//! How the library reports progress without printing.

/// Something that happened in a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The plan stands: tiles to fetch, in how many requests, bytes of these, and what is to be made of them.
    Planned {
        /// Source tiles to fetch.
        tiles: u64,
        /// Requests that bring them.
        requests: u64,
        /// Bytes of these requests.
        bytes: u64,
        /// Tiles of the output, overviews included.
        output: u64,
    },
    /// A request for tiles brought this many bytes.
    Fetched {
        /// Bytes of the body.
        bytes: u64,
    },
    /// A tile of the output was encoded.
    Encoded {
        /// Its bytes.
        bytes: u64,
    },
    /// The nodata value that was chosen is held by valid pixels: the clip starts over with an internal mask.
    NoDataTaken {
        /// Samples that hold it.
        samples: u64,
    },
    /// A request failed, and is sent again.
    Retried {
        /// The location, without anything secret.
        uri: String,
        /// What went wrong, without anything secret.
        reason: String,
        /// How often it was tried before.
        tries: u32,
        /// Milliseconds until it is sent again.
        wait: u64,
    },
    /// A server asked for fewer requests (429, 503), or does well again: so many may be in flight to it now.
    Paced {
        /// The server's name and port.
        server: String,
        /// Requests.
        in_flight: usize,
    },
    /// A read that takes much longer than the others is asked for a second time.
    Hedged {
        /// The location, without anything secret.
        uri: String,
    },
    /// The output is whole, and is about to be made visible: whoever stops now may not learn whether it was.
    Publishing,
    /// The output is visible under its name.
    Published {
        /// Its bytes.
        bytes: u64,
    },
    /// One of many outputs of a split is published.
    Output {
        /// Outputs that are published.
        done: u64,
        /// Outputs altogether.
        of: u64,
        /// Bytes of this one.
        bytes: u64,
    },
}

/// Is told of every [`Event`], from any thread.
pub trait Observer: Send + Sync {
    /// Called in the order of events; should return at once.
    fn event(&self, event: &Event);
}

/// Ignores every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event) {}
}
