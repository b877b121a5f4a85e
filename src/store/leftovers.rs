//! What a probe has put into a store, until it is gone again: objects, and uploads that have begun.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::cleaning::Cleaning;
use super::object::{Begun, Object, Put};
use crate::error::{Error, Result};

/// It is known before it is there. Clones are one.
#[derive(Clone, Default)]
pub(super) struct Leftovers(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    objects: Vec<Object>,
    uploads: Vec<Begun>,
    /// What can be said and not be cleaned up.
    notes: Vec<String>,
    abandoned: bool,
}

/// What is left after all was tried.
#[derive(Default)]
pub(super) struct Left {
    /// Objects, and why they could not be deleted: a sentence each.
    pub(super) objects: Vec<String>,
    /// The same of uploads.
    pub(super) uploads: Vec<String>,
    /// What may be left.
    pub(super) notes: Vec<String>,
}

impl Leftovers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An object is about to be written.
    pub(super) fn add(&self, object: &Object) {
        let mut inner = self.lock();
        if !inner.objects.iter().any(|known| known.key() == object.key()) {
            inner.objects.push(object.clone());
        }
    }

    /// Begins an upload, in a task of its own: a caller that goes away meanwhile must not leave behind one whose id nobody has heard.
    ///
    /// # Errors
    /// As for [`Object::begin`].
    pub(super) async fn begin(&self, object: &Object, how: &Put<'_>) -> Result<Begun> {
        let (sender, receiver) = oneshot::channel();
        let (leftovers, object, cleaning) = (self.clone(), object.clone(), Cleaning::begin());
        let (create, content_type) = (how.create, how.content_type.to_owned());
        let (metadata, marker) = (how.metadata.to_vec(), how.marker.to_owned());
        tokio::spawn(async move {
            let how = Put { create, content_type: &content_type, metadata: &metadata, marker: &marker };
            let begun = object.begin(&how).await;
            if let Ok(begun) = &begun
                && !leftovers.keep(begun)
            {
                drop(object.abort(begun).await);
            }
            drop(sender.send(begun));
            drop(cleaning);
        });
        receiver.await.map_err(|cause| Error::io("an upload was interrupted").caused_by(cause))?
    }

    /// Whether there is still somebody to clean it up.
    fn keep(&self, begun: &Begun) -> bool {
        // Where it is put together, there may be an object for a moment.
        self.add(&begun.at);
        let mut inner = self.lock();
        inner.notes.extend(begun.note());
        if !inner.abandoned {
            inner.uploads.push(begun.clone());
        }
        !inner.abandoned
    }

    /// An upload is no more.
    pub(super) fn ended(&self, begun: &Begun) {
        self.lock().uploads.retain(|known| known.id != begun.id || known.at.key() != begun.at.key());
    }

    /// Aborts an upload to `object`; it is tried again in the end if that fails.
    pub(super) async fn abort(&self, object: &Object, begun: &Begun) -> Result<()> {
        object.abort(begun).await?;
        self.ended(begun);
        Ok(())
    }

    /// Cleans up, and says what is left. What begins from now on is aborted by itself. It can be done again when it was dropped.
    pub(super) async fn clean(&self) -> Left {
        let (objects, uploads, notes) = {
            let mut inner = self.lock();
            inner.abandoned = true;
            (inner.objects.clone(), inner.uploads.clone(), inner.notes.clone())
        };
        let mut left = Left { notes, ..Left::default() };
        // First: a completion whose answer was never heard may make an object.
        for upload in uploads {
            match upload.at.abort(&upload).await {
                Ok(()) => self.ended(&upload),
                Err(error) => left.uploads.push(format!("{}; {error}", named(&upload))),
            }
        }
        for object in objects {
            left.objects.extend(delete(&object).await);
            self.lock().objects.retain(|known| known.key() != object.key());
        }
        left
    }
}

/// What is said of an upload that is left.
pub(super) fn named(upload: &Begun) -> String {
    let (at, id) = (upload.at.shown(), &upload.id);
    format!("the upload {id:?} at {at} may be left; abort it, or a rule of the bucket removes it")
}

/// Deletes it, and says what stands in the way.
async fn delete(object: &Object) -> Option<String> {
    let shown = object.shown();
    match (object.delete().await, object.head().await) {
        (Ok(()), Ok(None)) => None,
        // It may have been hidden all the time.
        (Ok(()), Err(error)) if error.is_absent() => None,
        (Ok(()), Ok(Some(_))) => Some(format!("{shown} is still there; delete it")),
        (Err(error), Ok(None)) => Some(error.to_string()),
        (Err(error), Ok(Some(_))) => Some(format!("{shown} is still there; delete it; {error}")),
        (Ok(()), Err(error)) | (Err(error), Err(_)) => {
            Some(format!("{shown} may still be there; delete it; {error}"))
        }
    }
}
