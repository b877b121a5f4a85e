//! The main job: wires the stages together. `Cog::open` → `Cog::plan` → `Cog::clip`.

mod arrival;
mod assembly;
pub mod described;
mod halving;
mod memory;
pub mod naming;
mod outbox;
#[cfg(feature = "pictures")]
pub mod preview;
pub mod selection;
pub mod split;
mod transfer;
pub mod warnings;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use arrival::arrivals;
use memory::Shares;
use transfer::Transfers;

use crate::compose::{Composer, Counts};
use crate::cutline::{Cutline, Frame, Terms};
use crate::encode::Encoder;
use crate::error::{Error, Result};
use crate::fetch::{self, Needed, Requests};
use crate::geo::{Affine, Bounds, Crs, epsg};
use crate::grid::PixelRect;
use crate::header::{FIRST_BYTES, Header};
use crate::limits::Limits;
use crate::mask::Rule;
use crate::observe::{Event, Observer};
use crate::options::ClipOptions;
use crate::plan::Plan;
use crate::provenance::{self, Provenance};
use crate::sink::{Published, Sink, SinkOptions};
use crate::source::{self, Sidecar, SidecarKind, Source, SourceMeta, SourceStats};
use crate::store::StoreOptions;
use crate::tiff::parse::Fetched;
use crate::vector::Area;

/// A raster that is open: its header has been read.
#[derive(Debug)]
pub struct Cog {
    source: Source,
    fetched: Fetched,
    header: Arc<Header>,
    sidecars: Vec<Sidecar>,
    /// What tells its version from others.
    version: Option<String>,
    /// Permits for work on the processor that are shared with other clips.
    workers: Option<Workers>,
}

/// The threads that several clips share for work on the processor. Clones are the same.
#[derive(Clone, Debug)]
pub struct Workers(Arc<Semaphore>);

impl Workers {
    /// As many as `options.threads` says.
    #[must_use]
    pub fn new(options: &ClipOptions) -> Self {
        Self(Arc::new(Semaphore::new(memory::threads(options))))
    }
}

/// What a clip did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan that was carried out.
    pub plan: Plan,
    /// Pixels by what became of them.
    pub counts: Counts,
    /// Tiles that were fetched, and requests and bytes for them.
    pub fetched: Fetches,
    /// Tiles of the output, overviews included, and how many of them hold no valid pixel.
    pub tiles: (u64, u64),
    /// Of these, what was copied as the source stores it.
    pub copied: Copied,
    /// What was published.
    pub published: Published,
    /// Time for planning and looking up tiles; for fetching, decoding, masking and encoding; for publishing.
    pub times: (Duration, Duration, Duration),
    /// Samples that hold the nodata value that was chosen at first, so that an internal mask was written instead.
    pub nodata_taken: u64,
}

/// What was copied as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Tiles of the output, overviews included.
    pub tiles: u64,
    /// Pixels of the cutline in them that nobody has looked at: whether the source holds them as valid is not known.
    pub pixels: u64,
}

impl std::ops::AddAssign for Copied {
    fn add_assign(&mut self, other: Self) {
        self.tiles += other.tiles;
        self.pixels += other.pixels;
    }
}

/// What was fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fetches {
    /// Tiles.
    pub tiles: u64,
    /// Requests for tiles.
    pub requests: u64,
    /// Bytes of these requests.
    pub bytes: u64,
    /// Tiles that the source left out.
    pub sparse: u64,
}

/// What `options` say of datums.
fn terms(options: &ClipOptions) -> Terms<'_> {
    Terms { max_error: options.max_crs_error, allow_ballpark: options.allow_ballpark, grids: &options.grids }
}

impl Cog {
    /// Opens a raster: reads its header, which takes one request for a COG. `#ifd=N` at the end of `uri` chooses the image
    /// in directory N of a file that holds many.
    ///
    /// # Errors
    /// As [`Self::open_image`].
    pub async fn open(uri: &str, store: &StoreOptions, limits: &Limits) -> Result<Self> {
        Self::open_image(uri, None, store, limits).await
    }

    /// Opens the image in directory `ifd` of the main chain, from 0: see [`Header::parse_image`]. With `ifd`, a file of
    /// this machine may have a name that ends in `#ifd=N`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Usage`] when there is no such image, or `uri` chooses another;
    /// [`crate::ErrorKind::Io`] when it cannot be read; [`crate::ErrorKind::Format`] and
    /// [`crate::ErrorKind::Unsupported`] as [`Header::parse_image`].
    pub async fn open_image(
        uri: &str,
        ifd: Option<usize>,
        store: &StoreOptions,
        limits: &Limits,
    ) -> Result<Self> {
        let (uri, ifd) = source::image_of(uri, ifd).await?;
        let source = Source::open(uri, store)?;
        if source.is_remote() {
            // While the header is under way.
            drop(tokio::task::spawn_blocking(epsg::prepare));
        }
        let (fetched, header) = fetch::header_of(&source, ifd, limits).await?;
        let sidecars = source.sidecars().await;
        let version = if source.is_remote() {
            source.meta().and_then(|meta| meta.etag)
        } else {
            // A file's time would tell two copies of it apart.
            let first = fetched.get(0..FIRST_BYTES.min(fetched.size), "the header").ok();
            first.map(|first| format!("header:{}", provenance::sha256(&first)))
        };
        Ok(Self { source, fetched, header: Arc::new(header), sidecars, version, workers: None })
    }

    /// Files beside the raster that other programs would read with it. None of them is followed.
    #[must_use]
    pub fn sidecars(&self) -> &[Sidecar] {
        &self.sidecars
    }

    /// What a user should know before a clip: the header's remarks, and the files beside it whose absence from the clip
    /// could surprise.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let geo = &self.header.geo;
        let nowhere = geo.transform.is_none() && geo.gcps.is_empty();
        let mut out = self.header.remarks.clone();
        for side in &self.sidecars {
            let what = match side.kind {
                SidecarKind::Mask => "what it masks counts as valid",
                SidecarKind::Metadata => "a CRS, nodata or other metadata in it do not count",
                SidecarKind::WorldFile if nowhere => "the raster counts as one without georeference",
                SidecarKind::WorldFile | SidecarKind::Overviews => continue,
            };
            out.push(format!("{} is not followed: {what}", side.path.display()));
        }
        out
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The location, without anything secret.
    #[must_use]
    pub fn uri(&self) -> &str {
        self.source.uri()
    }

    /// Size and version of the object.
    #[must_use]
    pub fn meta(&self) -> Option<SourceMeta> {
        self.source.meta()
    }

    /// Requests, bytes and retries so far.
    #[must_use]
    pub fn stats(&self) -> SourceStats {
        self.source.stats()
    }

    /// Plans a clip, without any I/O. A cutline that names no CRS, or the raster's own, is taken as it is; another one
    /// is projected.
    ///
    /// `Ok(None)` when nothing overlaps and `options` say to skip that.
    ///
    /// # Errors
    /// As [`Plan::new`] and [`Cutline::to_crs`]; [`crate::ErrorKind::Usage`] when the cutline's CRS is known and the
    /// raster's is not.
    pub fn plan(&self, cutline: &Cutline, options: &ClipOptions) -> Result<Option<Plan>> {
        let planned =
            self.place(cutline, options).and_then(|placed| Plan::new(&self.header, &placed, options));
        let mut planned = planned.map_err(|error| error.at(self.uri()))?;
        if let Some(plan) = planned.as_mut().filter(|_| options.provenance) {
            plan.provenance = Some(self.provenance(cutline, options));
        }
        Ok(planned)
    }

    /// The cutline as [`Self::plan`] lays it over the raster: in the raster's CRS.
    ///
    /// # Errors
    /// As [`Cutline::to_crs`]; [`crate::ErrorKind::Usage`] when the cutline's CRS is known and the raster's is not.
    pub fn placed(&self, cutline: &Cutline, options: &ClipOptions) -> Result<Cutline> {
        let placed = self.place(cutline, options).map(Cow::into_owned);
        placed.map_err(|error| error.at(self.uri()))
    }

    /// As [`Self::placed`], without the raster's name in errors; what need not be moved is not copied.
    fn place<'a>(&self, cutline: &'a Cutline, options: &ClipOptions) -> Result<Cow<'a, Cutline>> {
        if cutline.crs.is_none() {
            return Ok(Cow::Borrowed(cutline));
        }
        let raster = self.header.geo.crs()?.ok_or_else(|| {
            Error::usage(
                "the raster names no CRS, so the cutline cannot be placed on it; if the cutline is already in \
                 the raster's coordinates, say --cutline-crs source",
            )
        })?;
        let Some(frame) = self.frame(options) else {
            return Err(Error::unsupported(
                "the raster has a CRS but no geotransform, only ground control points or RPCs; warp it first, or \
                 give the cutline in pixel coordinates with --cutline-crs source",
            ));
        };
        cutline.to_crs(&raster, &frame, &terms(options), &options.limits).map(Cow::Owned)
    }

    /// What an output of these says of how it was made.
    #[must_use]
    pub fn provenance(&self, cutline: &Cutline, options: &ClipOptions) -> Provenance {
        Provenance {
            source: self.uri().to_owned(),
            version: self.version.clone(),
            cutline: provenance::hex(&cutline.digest()),
            options: provenance::sha256(options.of_output()),
            software: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Where the raster lies; `None` without a geotransform.
    fn frame(&self, options: &ClipOptions) -> Option<Frame> {
        let by_centre =
            options.rule == Rule::Centre && options.min_coverage.is_none() && !options.coverage_band;
        Some(Frame { transform: self.header.geo.transform?, size: self.header.main.size(), by_centre })
    }

    /// The requests that a plan's tiles take. Reads the tile table where the header did not bring it.
    ///
    /// # Errors
    /// As [`fetch::requests`].
    pub async fn requests(&mut self, plan: &Plan, options: &ClipOptions) -> Result<Requests> {
        self.requests_for(&Needed::by([plan]), options).await
    }

    /// The requests that the tiles of several plans take together, each tile once: those of [`Cog::each`], which decodes tiles that
    /// one plan alone could copy.
    ///
    /// # Errors
    /// As [`fetch::requests`].
    pub async fn requests_of_all(
        &mut self,
        plans: impl IntoIterator<Item = &Plan>,
        options: &ClipOptions,
    ) -> Result<Requests> {
        let needed = Needed { overview_tiles: Vec::new(), ..Needed::by(plans) };
        self.requests_for(&needed, options).await
    }

    async fn requests_for(&mut self, needed: &Needed, options: &ClipOptions) -> Result<Requests> {
        fetch::requests(
            &self.source,
            &mut self.fetched,
            &self.header,
            needed,
            options.requests,
            &options.limits,
        )
        .await
    }

    /// Carries out a plan: the output is published whole, or not at all.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Exists`] when the destination exists and may not be replaced;
    /// [`crate::ErrorKind::Io`], [`crate::ErrorKind::Changed`], [`crate::ErrorKind::Format`] when the source cannot be
    /// read; [`crate::ErrorKind::Limit`] beyond `options.limits`.
    pub async fn clip(
        &mut self,
        mut plan: Plan,
        destination: &str,
        options: &ClipOptions,
        sink: &SinkOptions,
        observer: &dyn Observer,
    ) -> Result<Report> {
        let start = Instant::now();
        let shares = self.shares(&plan, options, sink)?;
        let sink = &SinkOptions { spill: shares.spill, uploads: shares.uploads, ..sink.clone() };
        // First of all, so that an existing destination is refused before anything is fetched.
        let mut out = Sink::create(destination, sink).await?;
        let least = out.copies_from(&self.source);
        let (requests, transfers) = match self.requests_of(&mut plan, options, least).await {
            Ok(found) => found,
            Err(error) => {
                return Err(out.abandon(error).await);
            }
        };
        observer.event(&Event::Planned {
            tiles: requests.tiles(),
            requests: requests.count(),
            bytes: requests.bytes(),
            output: plan.tiles(),
        });
        let planned = start.elapsed();
        let mut fetched = Fetches::default();
        let mut nodata_taken = 0;
        loop {
            fetched.tiles += requests.tiles();
            fetched.requests += requests.count();
            fetched.bytes += requests.bytes();
            fetched.sparse = requests.sparse;
            let done = match self
                .assemble(&plan, (&requests, &transfers), (options, shares), &mut out, observer)
                .await
            {
                Ok(done) => done,
                Err(error) => {
                    return Err(out.abandon(error).await);
                }
            };
            if plan.validity.is_chosen() && done.counts.hidden > 0 {
                // The value that we chose is taken by valid pixels, which would become nodata. Nothing is published
                // yet: once more, with an internal mask.
                out.abort().await;
                nodata_taken = done.counts.hidden;
                observer.event(&Event::NoDataTaken { samples: nodata_taken });
                plan.validity = plan.validity.with_mask_instead();
                out = Sink::create(destination, sink).await?;
                continue;
            }
            let fetched_at = start.elapsed();
            observer.event(&Event::Publishing);
            let published = out.publish(done.head.into()).await?;
            observer.event(&Event::Published { bytes: published.size });
            return Ok(Report {
                plan,
                counts: done.counts,
                fetched,
                tiles: done.tiles,
                copied: done.copied,
                published,
                times: (
                    planned,
                    fetched_at.saturating_sub(planned),
                    start.elapsed().saturating_sub(fetched_at),
                ),
                nodata_taken,
            });
        }
    }

    /// The requests of a plan that is to be carried out, and what the store copies itself: runs of `least` bytes or more,
    /// if it does so at all. Where the source leaves out tiles of an overview that would have been copied, overviews are made
    /// instead.
    async fn requests_of(
        &mut self,
        plan: &mut Plan,
        options: &ClipOptions,
        least: Option<u64>,
    ) -> Result<(Requests, Transfers)> {
        let mut requests = self.requests(plan, options).await?;
        if requests.sparse_overviews > 0 {
            plan.passage = std::mem::take(&mut plan.passage).of_full_resolution();
            requests = self.requests(plan, options).await?;
        }
        let Some(least) = least else { return Ok((requests, Transfers::default())) };
        let transfers = Transfers::of(&self.header, plan, &requests, least);
        if !transfers.is_empty() {
            let rest = transfers.rest(plan, Needed::by([&*plan]));
            requests = self.requests_for(&rest, options).await?;
        }
        Ok((requests, transfers))
    }

    async fn assemble(
        &self,
        plan: &Plan,
        (requests, transfers): (&Requests, &Transfers),
        (options, shares): (&ClipOptions, Shares),
        sink: &mut Sink,
        observer: &dyn Observer,
    ) -> Result<assembly::Done> {
        let workers = self.workers(options);
        let how = (options, shares);
        let arrivals = arrivals(&self.source, &self.header, requests, Some(plan), how, &workers, observer);
        let job = self.job(plan, how, observer, &workers, transfers)?;
        job.run(arrivals, sink).await.map_err(|error| error.at(self.uri()))
    }

    /// Has its clips share `workers` with others.
    pub fn share(&mut self, workers: &Workers) {
        self.workers = Some(workers.clone());
    }

    fn workers(&self, options: &ClipOptions) -> Arc<Semaphore> {
        self.workers.clone().unwrap_or_else(|| Workers::new(options)).0
    }

    /// How the memory of a clip is shared out.
    fn shares(&self, plan: &Plan, options: &ClipOptions, sink: &SinkOptions) -> Result<Shares> {
        let composer = Composer::new(&self.header, plan, &options.limits)?;
        Ok(Shares::of(&self.header, plan, &composer, options, sink))
    }

    /// One run; `workers` may be shared with other runs.
    fn job<'a>(
        &'a self,
        plan: &'a Plan,
        (options, shares): (&'a ClipOptions, Shares),
        observer: &'a dyn Observer,
        workers: &Arc<Semaphore>,
        transfers: &'a Transfers,
    ) -> Result<assembly::Job<'a>> {
        let composer = Composer::new(&self.header, plan, &options.limits)?;
        let encoder = Encoder::new(&self.header, plan);
        Ok(assembly::Job {
            header: &self.header,
            plan,
            options,
            workers: Arc::clone(workers),
            shares,
            source: &self.source,
            transfers,
            composer: Arc::new(composer),
            encoder: Arc::new(encoder),
            observer,
        })
    }

    /// Where features in another CRS can concern the raster; `None` where that cannot be said, and everywhere is.
    #[must_use]
    pub fn area_in(&self, crs: &Crs, options: &ClipOptions) -> Option<Area> {
        let raster = self.header.geo.crs().ok().flatten()?;
        let frame = self.frame(options)?;
        frame.bounds_in(&raster, crs, &terms(options)).map(|bounds| Area::new(bounds, crs.is_geographic()))
    }

    /// The world's corner coordinates of the raster's pixels, or of its pixel grid without a geotransform.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let transform = self.header.geo.transform.unwrap_or(Affine::IDENTITY);
        transform.bounds(PixelRect::of(self.header.main.size()))
    }
}
