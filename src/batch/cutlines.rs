//! Cutlines that several items want: read once.

use std::sync::{Arc, Mutex, PoisonError};

use super::Item;
use crate::clip::Cog;
use crate::clip::selection::{Selected, Selection};
use crate::error::{ErrorKind, Result};
use crate::store::StoreOptions;

/// Cutlines that are kept, and vertices of them altogether: 16 bytes each.
const KEPT: usize = 64;
const KEPT_VERTICES: usize = 1 << 20;

/// Files that are kept whole, and vertices of one.
const FILES: usize = 2;
const FILE_VERTICES: usize = 1 << 20;

/// What was read last.
#[derive(Default)]
pub(super) struct Cutlines {
    kept: Mutex<Vec<(Selection, Arc<Selected>)>>,
    /// Since items choose features of them; `None` for one that is too large for that.
    files: Mutex<Vec<(Selection, Option<Arc<Selected>>)>>,
}

impl Cutlines {
    /// The cutline of an item on the raster `cog`.
    ///
    /// # Errors
    /// As [`Selection::read`].
    pub(super) async fn read(&self, cog: &Cog, item: &Item, reading: &StoreOptions) -> Result<Arc<Selected>> {
        if let Some(found) = find(&self.kept, &item.selection) {
            return Ok(found);
        }
        let found = match self.file(item, reading).await? {
            Some(file) => file.only(&item.selection, &item.options.limits)?,
            None => item.selection.read(cog, reading, &item.options, false).await?,
        };
        let found = Arc::new(found);
        // One that lacks what is beside this raster is of no use to others; one of a file is cheap to choose again.
        if !found.is_partial() && item.selection.whole().is_none() && found.vertices() <= KEPT_VERTICES / 4 {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((item.selection.clone(), Arc::clone(&found)));
            let mut vertices: usize = kept.iter().map(|(_, found)| found.vertices()).sum();
            while kept.len() > KEPT || vertices > KEPT_VERTICES {
                vertices = vertices.saturating_sub(kept.remove(0).1.vertices());
            }
        }
        Ok(found)
    }

    /// The file that an item chooses features of, read whole; `None` when it chooses none, or the file is too large.
    async fn file(&self, item: &Item, reading: &StoreOptions) -> Result<Option<Arc<Selected>>> {
        let Some(whole) = item.selection.whole() else { return Ok(None) };
        if let Some(file) = find(&self.files, &whole) {
            return Ok(file);
        }
        let file = match whole.read_all(reading, &item.options).await {
            Ok(file) if file.vertices() <= FILE_VERTICES => Some(Arc::new(file)),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::Limit => None,
            Err(error) => return Err(error),
        };
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.push((whole, file.clone()));
        if files.len() > FILES {
            files.remove(0);
        }
        Ok(file)
    }
}

fn find<T: Clone>(list: &Mutex<Vec<(Selection, T)>>, selection: &Selection) -> Option<T> {
    let list = list.lock().unwrap_or_else(PoisonError::into_inner);
    list.iter().find(|(other, _)| other == selection).map(|(_, found)| found.clone())
}
