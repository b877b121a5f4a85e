//! The STAC Item beside an output: refused before the work, published after the output.

use std::time::{SystemTime, UNIX_EPOCH};

use url::Url;

use super::Report;
use crate::error::{Error, Result};
use crate::header::Header;
use crate::sink::{CONTENT_TYPE, Sink, SinkOptions};
use crate::stac::{self, Facts};
use crate::store::location::{Location, redact, sibling};

/// An Item to be.
#[derive(Debug)]
pub struct Described {
    sink: Sink,
    /// Where the Item and the output go, without secrets: absolute URLs, also of files.
    item: String,
    output: String,
    id: String,
}

/// Where the Item of an output goes: `place`, or with `auto` where the output goes, with the extension `.json`.
#[must_use]
pub fn place_of(place: &str, destination: &str) -> String {
    if place == "auto" { sibling(destination, "json") } else { place.to_owned() }
}

impl Described {
    /// Looks whether the Item of the output at `destination` can be written to `place` ([`place_of`]), with the options of the
    /// output's sink; as it is dropped, nothing is left.
    ///
    /// # Errors
    /// As [`Sink::create`]: when there is an Item already that may not be replaced, above all; [`crate::ErrorKind::Usage`] when it
    /// would replace the output.
    pub async fn begin(place: &str, destination: &str, sink: &SinkOptions) -> Result<Self> {
        let place = place_of(place, destination);
        let [item, output] = [absolute(&place)?, absolute(destination)?];
        if item == output {
            return Err(Error::usage(format!(
                "--stac: {} is the output itself; name another file",
                redact(&place)
            )));
        }
        let options = SinkOptions {
            metadata: Vec::new(),
            media_type: stac::MEDIA_TYPE,
            server_side_copy: false,
            hash: false,
            ..sink.clone()
        };
        let sink = Sink::create(&place, &options).await.map_err(|error| error.at("--stac"))?;
        Ok(Self { sink, id: id(destination), item, output })
    }

    /// Publishes the Item of an output that has been published, of the raster at `source` with this header.
    ///
    /// # Errors
    /// As [`Sink::publish`]; the message says that the output is there.
    pub async fn publish(self, source: &str, header: &Header, report: &Report) -> Result<()> {
        let Self { sink, item, output, id } = self;
        let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let source = absolute(source)?;
        let facts = Facts {
            id: &id,
            href: &stac::relative(&item, &output),
            media_type: CONTENT_TYPE,
            source: Some(&source),
            size: report.published.size,
            sha256: report.published.sha256.as_deref(),
            taken: None,
            made: &stac::utc(i64::try_from(made).unwrap_or(i64::MAX)),
        };
        let text = format!("{:#}\n", stac::item(header, &report.plan, &facts));
        let published = sink.publish(text.into()).await.map(|_published| ());
        published.map_err(|error| error.at("the output is published, but not its STAC Item"))
    }
}

/// The name without folders and extension.
fn id(dst: &str) -> String {
    let name = dst.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { name } else { stem }.to_owned()
}

/// A location as a URL without secrets; a path of this machine as a file:// URL, since nobody knows where it is relative to.
pub(crate) fn absolute(uri: &str) -> Result<String> {
    let Location::Local(path) = Location::parse(uri)? else { return Ok(redact(uri)) };
    let path = std::path::absolute(&path)
        .map_err(|cause| Error::io(format!("where {} is cannot be said", path.display())).caused_by(cause))?;
    Url::from_file_path(&path)
        .map(String::from)
        .map_err(|()| Error::usage(format!("{} has no file:// URL", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_called_as_its_output() {
        for (dst, expected) in
            [("out/a.b.tif", "a.b"), ("s3://b/c/d.tif", "d"), ("s3://b/d", "d"), (".tif", ".tif"), ("x", "x")]
        {
            assert_eq!(id(dst), expected, "{dst}");
        }
    }

    #[test]
    fn paths_become_urls_and_secrets_go() {
        assert_eq!(absolute("/a/b c.tif").unwrap(), "file:///a/b%20c.tif");
        assert_eq!(absolute("https://u:p@h/a.tif?sig=x").unwrap(), "https://h/a.tif");
        assert_eq!(absolute("s3://b/a b.tif").unwrap(), "s3://b/a b.tif");
    }
}
