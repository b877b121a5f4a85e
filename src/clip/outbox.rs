//! What is on its way to the sink, so that tiles are fetched and encoded while it takes what it was given.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::channel::mpsc;
use tokio::sync::Notify;

/// What the sink is given.
pub(super) enum Item {
    Bytes(Bytes),
    /// Bytes of the source that the store copies.
    Copy(Range<u64>),
}

/// What is on its way to the sink: the section and what comes next in it.
pub(super) struct Outbox {
    sender: mpsc::UnboundedSender<(usize, Item)>,
    pub(super) room: Arc<Room>,
}

/// Counts what the sink has not taken yet.
#[derive(Default)]
pub(super) struct Room {
    queued: AtomicU64,
    taken: Notify,
}

impl Room {
    pub(super) fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn made(&self, bytes: u64) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
        self.taken.notify_one();
    }

    /// Until the sink has taken something.
    pub(super) async fn waits(&self) {
        self.taken.notified().await;
    }
}

impl Outbox {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<(usize, Item)>) {
        let (sender, receiver) = mpsc::unbounded();
        (Self { sender, room: Arc::default() }, receiver)
    }

    pub(super) fn put(&self, section: usize, bytes: Bytes) {
        self.room.queued.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        // A receiver that is gone has failed, and its error comes first.
        drop(self.sender.unbounded_send((section, Item::Bytes(bytes))));
    }

    pub(super) fn copy(&self, section: usize, range: Range<u64>) {
        drop(self.sender.unbounded_send((section, Item::Copy(range))));
    }
}
