//! The STAC Item beside an output: refused before the work, published after the output.

use std::time::{SystemTime, UNIX_EPOCH};

use url::Url;

use super::args::ClipCommand;
use crate::clip::{Cog, Report};
use crate::error::{Error, Result};
use crate::sink::{CONTENT_TYPE, Sink, SinkOptions};
use crate::stac::{self, Facts};
use crate::store::location::{Location, redact, sibling};

/// An Item to be, or none.
pub(super) struct Described(Option<To>);

struct To {
    sink: Sink,
    /// Where the Item and the output go, without secrets: absolute URLs, also of files.
    item: String,
    output: String,
    id: String,
}

impl Described {
    /// Looks where `--stac` points to.
    ///
    /// # Errors
    /// As [`Sink::create`]: when there is an Item already that may not be replaced, above all.
    pub(super) async fn begin(clip: &ClipCommand) -> Result<Self> {
        let Some(place) = &clip.stac else { return Ok(Self(None)) };
        let place = if place == "auto" { sibling(&clip.dst, "json") } else { place.clone() };
        let [item, output] = [absolute(&place)?, absolute(&clip.dst)?];
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
            ..clip.sink_options()
        };
        let sink = Sink::create(&place, &options).await.map_err(|error| error.at("--stac"))?;
        Ok(Self(Some(To { sink, id: id(&clip.dst), item, output })))
    }

    /// Publishes the Item of an output that has been published.
    ///
    /// # Errors
    /// As [`Sink::publish`]; the message says that the output is there.
    pub(super) async fn publish(self, cog: &Cog, report: &Report) -> Result<()> {
        let Some(To { sink, item, output, id }) = self.0 else { return Ok(()) };
        let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let source = absolute(cog.uri())?;
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
        let text = format!("{:#}\n", stac::item(cog.header(), &report.plan, &facts));
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
fn absolute(uri: &str) -> Result<String> {
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
