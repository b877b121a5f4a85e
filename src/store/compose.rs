//! Creating a large object on Google Cloud Storage: put together beside its place, and composed to it on a condition.
//!
//! Google takes conditions with no request of an upload in parts ("XML API multipart uploads", considerations), so completing one
//! replaces whatever has come to be there. Composing takes them ("Compose an object"; `x-goog-if-generation-match` is one of the
//! common headers of "PUT Object"): of two writers one wins. So the upload is completed at a key of its own, which is
//! composed to the destination, one component being enough, and deleted.

use bytes::Bytes;
use reqwest::Method;

use super::dialect::Dialect;
use super::failure::Failure;
use super::gcs;
use super::object::{Begun, Expected, Object, Part, Put};
use super::publish::{Outcome, Write, etag};
use super::request::{Request, Response};
use crate::error::{Error, Result};

impl Object {
    /// Where an upload in parts is to be put together: here, or beside it when only composing can tell whether it exists.
    pub(super) fn assembly(&self, how: &Put<'_>) -> Self {
        if how.create && self.dialect() == Dialect::Google && self.settings().conditional_put {
            self.beside(&gcs::beside(self.key(), how.marker))
        } else {
            self.clone()
        }
    }

    /// Completes an upload beside the destination, composes it to the destination if there is nothing, and deletes what was
    /// beside it, whatever came of it. Gives the ETag, and what is left over.
    ///
    /// # Errors
    /// As for [`Self::complete`].
    pub(super) async fn create_composed(
        &self,
        begun: &Begun,
        parts: &[Part],
        write: &Write<'_>,
    ) -> Result<(Option<String>, Option<String>)> {
        let composed = async {
            self.assemble(begun, parts, write.how).await?;
            self.compose(begun, write).await
        };
        let composed = composed.await;
        let deleted = begun.at.delete().await;
        let left = |begun: &Begun| {
            format!(
                "{}, where the object was put together, could not be deleted; delete it if it exists",
                begun.at.shown()
            )
        };
        // That it is left over makes the object no less whole.
        match (composed, deleted) {
            (Ok(etag), Ok(())) => Ok((etag, None)),
            (Ok(etag), Err(_)) => Ok((etag, Some(left(begun)))),
            (Err(error), Ok(())) => Err(error),
            (Err(error), Err(_)) => Err(error.and(format_args!("and {}", left(begun)))),
        }
    }

    /// Completes an upload beside the destination. Nobody else writes there.
    pub(super) async fn assemble(&self, begun: &Begun, parts: &[Part], how: &Put<'_>) -> Result<()> {
        let request = self.completing(begun, parts, how)?;
        let anyway = Put { create: false, ..*how };
        let write = Write { how: &anyway, expected: &Expected::parts(parts) };
        begun.at.publish(request, &write, "completing the upload", &begun.at.completed()).await?;
        Ok(())
    }

    /// The request that composes the object from what is beside it, without a condition.
    pub(super) fn composing(&self, begun: &Begun, how: &Put<'_>) -> Result<Request> {
        let mut request = self.request(Method::PUT, Some(gcs::COMPOSE));
        // The content type is that of the object to be, not of the list in the body.
        self.describe(&mut request.headers, how)?;
        request.body = vec![Bytes::from(gcs::component(begun.at.key()))];
        Ok(request)
    }

    async fn compose(&self, begun: &Begun, write: &Write<'_>) -> Result<Option<String>> {
        let mut request = self.composing(begun, write.how)?;
        let (name, value) = self.dialect().create_condition();
        request.headers.insert(name, value);
        let done = |response: &Response| (response.status == 200).then(|| etag(&response.headers));
        match self.publish_once(&request, write, "composing", &done).await? {
            Outcome::Unconditional { .. } => Err(Error::io(format!(
                "{}: the server cannot compose objects, without which it cannot be told whether another writer has created a \
                 large object meanwhile; nothing has been written, allow overwriting to write it all the same",
                self.shown()
            ))),
            // What is not found is the component: somebody has deleted it, or a rule of the bucket.
            Outcome::Gone { error, unknown } => {
                let error = error.at(format!("composing from {}", begun.at.shown()));
                self.settled(Outcome::Gone { error, unknown }, write).await
            }
            outcome @ (Outcome::Stored(_) | Outcome::Exists { .. }) => self.settled(outcome, write).await,
        }
    }
}

/// Whether `failure` says to a request that composes that the server knows no such thing. One that knows it names what is
/// missing.
pub(super) fn is_unknown(request: &Request, failure: &Failure) -> bool {
    is_composing(request)
        && (failure.status == 405 || failure.status == 404 && !failure.is(&["NoSuchKey", "NoSuchBucket"]))
}

/// `error`, with what an account needs that may write, and yet not compose.
pub(super) fn explained(request: &Request, failure: &Failure, error: Error) -> Error {
    if is_composing(request) && failure.status == 403 {
        error.and(
            "which must allow to read and to delete what has been written (storage.objects.get and storage.objects.delete): \
             a large object is put together beside its place, unless overwriting is allowed",
        )
    } else {
        error
    }
}

fn is_composing(request: &Request) -> bool {
    request.url.query() == Some(gcs::COMPOSE)
}
