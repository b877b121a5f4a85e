//! Stub of the part that signs, for this branch only.
use std::time::Instant;
use std::sync::atomic::{AtomicU32, Ordering};
use crate::error::Result;
use super::request::Request;

/// Who asks.
#[derive(Debug, Default)]
pub(crate) struct Auth {
    pub(crate) renewals_left: AtomicU32,
    pub(crate) signed: AtomicU32,
}

impl Auth {
    pub(crate) fn nobody() -> Self {
        Self::default()
    }
    pub(crate) async fn sign(&self, request: &mut Request) -> Result<()> {
        self.signed.fetch_add(1, Ordering::Relaxed);
        std::future::ready(()).await;
        let _ = request;
        Ok(())
    }
    pub(crate) async fn renew(&self, _since: Instant) -> bool {
        std::future::ready(()).await;
        self.renewals_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }
}
