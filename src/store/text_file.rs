//! Small files of text: configurations, credentials, tokens.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::keys::Given;
use crate::error::{Error, Result};

/// The most of a file that is read.
const MOST: u64 = 4 << 20;

/// A path whose `~/` is the home folder.
pub(crate) fn expand(given: Given<'_>, path: &str) -> PathBuf {
    let inside = path.strip_prefix("~/").or_else(|| path.strip_prefix("~\\"));
    match (inside, given.home()) {
        (Some(inside), Some(home)) => Path::new(home).join(inside),
        _ => PathBuf::from(path),
    }
}

/// A text file; `None` when there is none.
///
/// # Errors
/// [`crate::ErrorKind::Io`] when it cannot be read, [`crate::ErrorKind::Usage`] when it is too long or not UTF-8.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    let shown = path.display();
    let failed = |cause| Error::io(format!("{shown} could not be read")).caused_by(cause);
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(cause)
            if matches!(cause.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(cause) => return Err(failed(cause)),
    };
    let mut bytes = Vec::new();
    file.take(MOST.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST {
        return Err(Error::usage(format!("{shown} is longer than {MOST} bytes: it is no such file")));
    }
    let text =
        String::from_utf8(bytes).map_err(|_bytes| Error::usage(format!("{shown} is not a text of UTF-8")))?;
    Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
}

/// The same, without holding up the runtime's threads.
///
/// # Errors
/// Those of [`read`].
pub(crate) async fn read_beside(path: &Path) -> Result<Option<String>> {
    let path = path.to_owned();
    let task = tokio::task::spawn_blocking(move || read(&path));
    task.await.map_err(|cause| Error::io("the task that read a file was stopped").caused_by(cause))?
}

/// The token in a file, without the white space around it; read each time, since it is renewed in its place.
///
/// # Errors
/// Those of [`read`]; [`crate::ErrorKind::Io`] when there is no such file.
pub(crate) async fn token(path: &Path) -> Result<String> {
    let text = read_beside(path).await?;
    let text = text.ok_or_else(|| Error::io(format!("there is no token file {}", path.display())))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn files_are_there_or_not_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(read(&folder.path().join("none")).unwrap(), None);
        assert_eq!(read(&file("plain", b"x").join("below")).unwrap(), None);
        assert_eq!(read(&file("marked", b"\xef\xbb\xbfa")).unwrap().as_deref(), Some("a"));
        assert_eq!(read(&file("latin", b"\xe9")).unwrap_err().kind(), ErrorKind::Usage);
        let long = vec![b'a'; usize::try_from(MOST).unwrap() + 1];
        assert_eq!(read(&file("long", &long)).unwrap_err().kind(), ErrorKind::Usage);
        assert_eq!(read(&file("full", &long[1..])).unwrap().map(|text| text.len()), Some(long.len() - 1));
        assert_eq!(read(folder.path()).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(token(&file("token", b" t\r\n")).await.unwrap(), "t");
        assert_eq!(token(&folder.path().join("none")).await.unwrap_err().kind(), ErrorKind::Io);
    }
}
