//! What is being cleaned up in the background, for those who were dropped before they were done: a program that ends waits for it.

use std::sync::LazyLock;

use tokio::sync::watch;

/// How much of it is under way.
static UNDER_WAY: LazyLock<watch::Sender<usize>> = LazyLock::new(|| watch::Sender::new(0));

/// Counts as one until it is dropped.
#[derive(Debug)]
pub(crate) struct Cleaning(());

impl Cleaning {
    /// From now on there is something to wait for.
    pub(crate) fn begin() -> Self {
        UNDER_WAY.send_modify(|count| *count = count.saturating_add(1));
        Self(())
    }
}

impl Drop for Cleaning {
    fn drop(&mut self) {
        UNDER_WAY.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Waits until nothing is being cleaned up.
pub(crate) async fn settled() {
    drop(UNDER_WAY.subscribe().wait_for(|count| *count == 0).await);
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn all_of_it_is_waited_for() {
        let (first, second) = (Cleaning::begin(), Cleaning::begin());
        drop(first);
        assert!(settled().now_or_never().is_none(), "one is under way");
        let waiting = tokio::spawn(settled());
        drop(second);
        waiting.await.unwrap();
    }
}
