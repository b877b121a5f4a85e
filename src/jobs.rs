//! Who carries out the jobs that a service or a function is sent.

use std::any::Any;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::Value;

use crate::batch::Item;
use crate::batch::manifest::Row;
use crate::error::Result;
use crate::observe::Observer;

/// What holds a job's turn: it is given back when nobody has a clone any longer.
pub type Turn = Arc<dyn Any + Send + Sync>;

/// What a service or a function does.
pub trait Jobs: Send + Sync + 'static {
    /// The item that a job stands for; for a plan `dst` may be missing, and counts for nothing. Nothing is read.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] for what is missing or not understood.
    fn item(&self, job: &Row, plan: bool) -> Result<Item>;

    /// Carries it out, and gives its report.
    fn clip<'a>(&'a self, item: Item, observer: &'a dyn Observer, turn: Turn)
    -> BoxFuture<'a, Result<Value>>;

    /// Plans it, and gives that report.
    fn plan(&self, item: Item, turn: Turn) -> BoxFuture<'_, Result<Value>>;
}
