//! Taking back what this write has published.

use super::object::{Look, Object};
use crate::error::Result;

impl Object {
    /// Deletes the object, if it is still the one that the write with `marker` has made; says whether it is gone. Another
    /// writer's stays.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Io`] when that was refused, or could not be done after all retries.
    pub(crate) async fn discard(&self, marker: &str) -> Result<bool> {
        let headers = match self.look().await? {
            Look::There(_, headers) => headers,
            Look::Nothing => return Ok(true),
            Look::Denied(error) => return Err(error),
        };
        if self.dialect().marker(&headers) != Some(marker) {
            return Ok(false);
        }
        self.delete_if(&self.dialect().same_version(&headers)).await
    }
}
