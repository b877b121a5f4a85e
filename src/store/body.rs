//! Bodies on their way, and whether they get on: what counts is progress, not how long the whole takes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use reqwest::Method;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// Bytes of an upload that are handed over at once. hyper takes up to 16 pieces before it waits for the socket, so that progress
/// shows every 128 KiB.
const SLICE: usize = 8 << 10;
/// Bytes that may have been handed over and not have left the machine yet: hyper's pieces, and what a socket buffers on a slow
/// link.
const HIDDEN: u64 = 512 << 10;
/// The slowest link, in bytes a second, on which the hidden bytes are given time to leave.
const SLOWEST: u64 = 16 << 10;
/// Fewer bytes in the idle timeout are a drip, by which a hostile server could hold a reader for ever.
const DRIP: u64 = 4 << 10;
/// How many idle timeouts a rest may take that is shorter than that.
const LAST: u32 = 10;
/// How long the answer to a POST may drip: S3 sends spaces while it completes a large upload, "several minutes" by its
/// documentation of CompleteMultipartUpload.
const LONGEST_DRIP: Duration = Duration::from_mins(30);
/// The most that is allocated before the bytes have come; what comes beyond grows with them.
const FIRST_ALLOCATION: u64 = 1 << 20;

/// By how many times what has come the room for the rest of a body grows at once: what most requests ask for is then allocated
/// once more, as long as it is, and not twice as long.
const GROWTH: usize = 7;

/// How far a request has come.
#[derive(Debug)]
pub(crate) struct Progress {
    sent: Mutex<Sent>,
    beginning: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at: Instant,
    bytes: u64,
    began: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let sent = Sent { at: Instant::now(), bytes: 0, began: false };
        Self { sent: Mutex::new(sent), beginning: Notify::new() }
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the head was handed over: there is a connection.
    pub(crate) fn began(&self) -> bool {
        self.sent().began
    }

    /// Waits until [`Self::began`]. For one waiter.
    pub(crate) async fn beginning(&self) {
        self.beginning.notified().await;
    }

    fn begin(&self) {
        let mut sent = self.sent();
        if !sent.began {
            *sent = Sent { at: Instant::now(), began: true, ..*sent };
            self.beginning.notify_one();
        }
    }

    /// When it has stood still for too long: `idle` after the last piece was handed over, and the time that this may need to
    /// leave the machine, at most as long again.
    pub(crate) fn deadline(&self, idle: Duration) -> Option<Instant> {
        let Sent { at, bytes, .. } = *self.sent();
        let hidden = Duration::from_millis(bytes.min(HIDDEN).saturating_mul(1000) / SLOWEST);
        at.checked_add(idle.saturating_add(hidden.min(idle)))
    }
}

/// The body of a request in small slices, of a known length: S3 takes no chunked one. It may be empty, and shows even then when
/// the request leaves.
#[derive(Debug)]
pub(crate) struct Upload {
    pieces: std::vec::IntoIter<Bytes>,
    piece: Bytes,
    left: u64,
    progress: Arc<Progress>,
}

impl Upload {
    pub(crate) fn new(pieces: Vec<Bytes>, progress: Arc<Progress>) -> Self {
        let left = length(&pieces);
        Self { pieces: pieces.into_iter(), piece: Bytes::new(), left, progress }
    }
}

/// Bytes of a body.
pub(crate) fn length(pieces: &[Bytes]) -> u64 {
    pieces.iter().fold(0, |sum, piece| sum.saturating_add(piece.len() as u64))
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while self.piece.is_empty() {
            match self.pieces.next() {
                Some(piece) => self.piece = piece,
                None => return Poll::Ready(None),
            }
        }
        let len = self.piece.len().min(SLICE);
        let slice = self.piece.split_to(len);
        self.left = self.left.saturating_sub(len as u64);
        let mut sent = self.progress.sent();
        *sent = Sent { at: Instant::now(), bytes: sent.bytes.saturating_add(len as u64), ..*sent };
        drop(sent);
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        // hyper asks first when it writes the head, which must say whether a body follows: on a connection that is made.
        self.progress.begin();
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Why a body did not come whole.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Nothing came for the idle timeout.
    Silent,
    /// Next to nothing came in this time.
    Drip(Duration),
    /// The connection failed, or the body is shorter than its Content-Length.
    Connection(reqwest::Error),
}

/// The first `most` bytes of a body, and whether there were more. To drop a response that was not read to its end closes its
/// connection.
pub(crate) async fn take(
    mut response: reqwest::Response,
    method: &Method,
    most: u64,
    idle: Duration,
) -> Result<(Bytes, bool), Broken> {
    let whole = response.content_length();
    // The length is the server's word: allocated as it comes true.
    let first = usize::try_from(whole.unwrap_or(0).min(most).min(FIRST_ALLOCATION)).unwrap_or(0);
    let mut bytes = BytesMut::new();
    let mut taken = 0_u64;
    let began = Instant::now();
    let mut last = began;
    let (mut window, mut before) = (began, 0_u64);
    let far = |from: Instant, time: Duration| from.checked_add(time);
    loop {
        let silent = far(last, idle);
        // A short rest may come slowly, but not for ever.
        let is_long = whole.is_none_or(|whole| whole.saturating_sub(before) >= DRIP);
        let patience = if is_long { idle } else { idle.saturating_mul(LAST) };
        let held = *method != Method::POST || began.elapsed() > LONGEST_DRIP;
        let full = if held { far(window, patience) } else { None };
        let chunk = match silent.into_iter().chain(full).min() {
            // Data that is there comes first: it may be this machine that was slow.
            Some(deadline) => timeout_at(deadline, response.chunk()).await,
            None => Ok(response.chunk().await),
        };
        let now = Instant::now();
        match chunk {
            Ok(Err(cause)) => return Err(Broken::Connection(cause)),
            Ok(Ok(None)) => return Ok((bytes.freeze(), false)),
            Ok(Ok(Some(chunk))) => {
                let room = usize::try_from(most.saturating_sub(bytes.len() as u64)).unwrap_or(usize::MAX);
                if chunk.len() > room {
                    bytes.extend_from_slice(chunk.get(..room).unwrap_or_default());
                    return Ok((bytes.freeze(), true));
                }
                if !chunk.is_empty() {
                    last = now;
                }
                if bytes.is_empty() && whole == Some(chunk.len() as u64) {
                    // Nothing is copied when it comes in one piece; the end must still be seen.
                    bytes = BytesMut::from(chunk);
                } else {
                    if bytes.capacity().saturating_sub(bytes.len()) < chunk.len() {
                        let more = if bytes.is_empty() { first } else { bytes.len().saturating_mul(GROWTH) };
                        let rest =
                            whole.map_or(0, |whole| whole.min(most).saturating_sub(bytes.len() as u64));
                        let rest = usize::try_from(rest).unwrap_or(usize::MAX);
                        bytes.reserve(more.min(rest).max(chunk.len()));
                    }
                    bytes.extend_from_slice(&chunk);
                }
                taken = bytes.len() as u64;
            }
            Err(_) if silent.is_some_and(|silent| silent <= now) => return Err(Broken::Silent),
            Err(_) => {}
        }
        if far(window, patience).is_some_and(|end| end <= now) {
            if held && (!is_long || taken.saturating_sub(before) < DRIP) {
                return Err(Broken::Drip(patience));
            }
            (window, before) = (now, taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_hidden_has_time_to_leave() {
        let progress = Arc::new(Progress::new());
        let began = Instant::now();
        let after =
            |idle| progress.deadline(Duration::from_secs(idle)).unwrap().duration_since(began).as_secs();
        assert_eq!(after(30), 30);
        let mut upload = Upload::new(vec![Bytes::from(vec![0; 1 << 20])], Arc::clone(&progress));
        assert_eq!(upload.size_hint().exact(), Some(1 << 20));
        let mut slice = || {
            let frame = Pin::new(&mut upload).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
            matches!(frame, Poll::Ready(Some(Ok(_))))
        };
        // 64 KiB at 16 KiB/s, then 512 KiB, but never more than the idle timeout again.
        assert!((0..8).all(|_| slice()));
        assert_eq!(after(30), 34);
        assert!((0..120).all(|_| slice()));
        assert!(!slice());
        assert_eq!((after(60), after(10)), (92, 20));
        assert!(upload.is_end_stream());
    }
}
