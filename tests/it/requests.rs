//! A clip over the network: which requests it makes and which bytes it fetches; the same clip from and to every kind of
//! store.

use std::path::Path;

use cogclip::clip::{Cog, Report};
use cogclip::cutline::Cutline;
use cogclip::geo::Bounds;
use cogclip::grid::PixelRect;
use cogclip::mask::TileClass;
use cogclip::observe::Silent;
use cogclip::options::ClipOptions;
use cogclip::sink::SinkOptions;
use cogclip::{ErrorKind, Limits};

use crate::remote::options;
use crate::server::Server;

fn testdata(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)).unwrap()
}

/// A cutline in the raster's own CRS from corners in pixels.
fn pixels(cog: &Cog, corners: &[[f64; 2]]) -> Cutline {
    let transform = cog.header().geo.transform.unwrap();
    let mut ring: Vec<_> = corners.iter().map(|&[col, row]| transform.apply(col, row)).collect();
    ring.push(ring[0]);
    Cutline::new(vec![cogclip::cutline::Polygon { rings: vec![ring] }], None)
}

async fn clip(cog: &mut Cog, cutline: &Cutline, dst: &str, sink: &SinkOptions) -> Report {
    // What it says of where it comes from would differ by place.
    let options = ClipOptions { provenance: false, ..ClipOptions::default() };
    let plan = cog.plan(cutline, &options).unwrap().unwrap();
    cog.clip(plan, dst, &options, sink, &Silent).await.unwrap()
}

#[tokio::test]
async fn a_small_clip_takes_one_header_request_and_one_round_of_tiles() {
    let server = Server::start();
    server.put("/bucket/scene.tif", testdata("sample/scene.tif"));
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("{}/bucket/scene.tif", server.url());
    let limits = Limits::default();

    let mut cog = Cog::open(&uri, &options(&server), &limits).await.unwrap();
    // A triangle over the corner of four tiles that leaves the lower right one alone.
    let tile = cog.header().main.layout.size;
    let (w, h) = (f64::from(tile.width), f64::from(tile.height));
    let cutline = pixels(&cog, &[[w - 60.0, h - 50.0], [w + 40.0, h - 50.0], [w - 60.0, h + 30.0]]);
    let plan = cog.plan(&cutline, &ClipOptions::default()).unwrap().unwrap();
    assert_eq!((plan.tiles.len(), plan.classes.outside), (3, 1));

    // The bytes of every tile of the image, and which of them the cutline touches, from the file itself.
    let image = cog.header().main.clone();
    let mut fetched = cogclip::tiff::Fetched::new(cog.meta().unwrap().size);
    fetched.insert(0, testdata("sample/scene.tif").into());
    let all: Vec<_> = image.grid.tiles_in(PixelRect::of(image.size())).map(|tile| (0, tile)).collect();
    let places = image.places(&all, &fetched, &limits).unwrap();

    let report =
        clip(&mut cog, &cutline, folder.path().join("out.tif").to_str().unwrap(), &SinkOptions::default())
            .await;
    let requests = server.requests();
    assert!(requests.iter().all(|r| r.method == "GET" && r.range.is_some()), "{requests:?}");
    assert_eq!(requests[0].range, Some((0, 65536)), "the header, in one request");
    assert_eq!(requests.len(), 1 + usize::try_from(report.fetched.requests).unwrap());
    assert!(requests.len() <= 4, "{requests:?}");
    let total: u64 = requests.iter().map(|r| r.range.map_or(0, |(start, end)| end - start)).sum();
    assert_eq!(total, cog.stats().bytes);
    assert_eq!(cog.stats().requests, requests.len() as u64);

    let mut wanted = 0;
    for place in places {
        let bytes = place.bytes.unwrap();
        let touched = image.grid.rect(place.index).intersection(plan.window).is_some_and(|r| {
            plan.mask.class(r.relative_to(plan.window.x0, plan.window.y0)) != TileClass::Outside
        });
        let brought = requests[1..].iter().any(|r| {
            let (start, end) = r.range.unwrap();
            start <= bytes.start && bytes.end <= end
        });
        assert_eq!(brought, touched, "the tile at {}", place.index);
        wanted += if touched { bytes.end - bytes.start } else { 0 };
    }
    // Between neighbouring tiles of a COG stand 8 bytes: the one's trailer and the other's leader.
    assert!(
        report.fetched.bytes >= wanted && report.fetched.bytes <= wanted + 16,
        "{} of {wanted}",
        report.fetched.bytes
    );
}

#[tokio::test]
async fn the_choice_of_an_image_stays_here() {
    let server = Server::start();
    server.put("/bucket/pages.tif", testdata("pages.tif"));
    for uri in
        [format!("{}/bucket/pages.tif?token=t#ifd=1", server.url()), "s3://bucket/pages.tif#ifd=1".to_owned()]
    {
        let before = server.requests().len();
        let cog = Cog::open(&uri, &options(&server), &Limits::default()).await.unwrap();
        assert_eq!(cog.header().main.number, 1, "{uri}");
        assert!(!cog.uri().contains("ifd"), "{}", cog.uri());
        let requests = server.requests();
        assert_eq!(requests.len(), before + 1, "{uri}");
        assert!(requests.iter().all(|r| !r.path.contains("ifd") && !r.query.contains("ifd")), "{requests:?}");
    }
}

#[tokio::test]
async fn an_output_says_what_it_was_made_of() {
    let server = Server::start();
    server.put("/bucket/in/scene.tif", testdata("sample/scene.tif"));
    let folder = tempfile::tempdir().unwrap();
    let (limits, store) = (Limits::default(), options(&server));
    let uri = format!("{}/bucket/in/scene.tif?token=SECRET", server.url());
    let metadata = async |src: &str, name: &str, options: &ClipOptions| {
        let mut cog = Cog::open(src, &store, &limits).await.unwrap();
        let cutline = pixels(&cog, &[[100.5, 80.0], [700.0, 200.0], [300.0, 600.0]]);
        let plan = cog.plan(&cutline, options).unwrap().unwrap();
        let provenance = plan.provenance.clone();
        let out = folder.path().join(name).to_str().unwrap().to_owned();
        cog.clip(plan, &out, options, &SinkOptions::default(), &Silent).await.unwrap();
        let cog = Cog::open(&out, &store, &limits).await.unwrap();
        (cog.header().metadata.clone().unwrap_or_default(), provenance, out)
    };
    let (text, provenance, out) = metadata(&uri, "a.tif", &ClipOptions::default()).await;
    let provenance = provenance.unwrap();
    assert!(provenance.is_in(&text), "{text}");
    assert!(!text.contains("SECRET"), "{text}");
    let cog = Cog::open(&uri, &store, &limits).await.unwrap();
    assert_eq!(provenance.version, cog.meta().unwrap().etag);
    for item in [
        format!(">{}/bucket/in/scene.tif</Item>", server.url()),
        format!("<Item name=\"VERSION\" domain=\"COGCLIP\">{}</Item>", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(text.contains(&item), "{text}");
    }
    // Other options, another output; those of the machine change nothing.
    let (_, other, _) = metadata(&uri, "b.tif", &ClipOptions { pad: 1, ..ClipOptions::default() }).await;
    assert_eq!(other.map(|it| it.options == provenance.options), Some(false));
    let (_, alike, _) = metadata(&uri, "c.tif", &ClipOptions { threads: 1, ..ClipOptions::default() }).await;
    assert_eq!(alike, Some(provenance.clone()));
    // A clip of a clip tells of itself alone, or of nothing.
    let (again, own, _) = metadata(&out, "d.tif", &ClipOptions::default()).await;
    assert!(own.unwrap().is_in(&again) && !provenance.is_in(&again), "{again}");
    let silent = ClipOptions { provenance: false, ..ClipOptions::default() };
    let (none, ..) = metadata(&out, "e.tif", &silent).await;
    assert!(!none.contains("COGCLIP"), "{none}");
}

#[tokio::test]
async fn every_store_takes_and_gives_the_same_bytes() {
    let server = Server::start();
    server.put("/bucket/in/scene one.tif", testdata("sample/scene.tif"));
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("local.tif");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample/scene.tif");
    let (limits, store) = (Limits::default(), options(&server));
    let sink = SinkOptions { store: store.clone(), ..SinkOptions::default() };

    let mut cog = Cog::open(path.to_str().unwrap(), &store, &limits).await.unwrap();
    let cutline = pixels(&cog, &[[100.5, 80.0], [700.0, 200.0], [300.0, 600.0]]);
    clip(&mut cog, &cutline, local.to_str().unwrap(), &sink).await;
    let expected = std::fs::read(&local).unwrap();

    let source = format!("{}/bucket/in/scene%20one.tif", server.url());
    for (src, dst, object) in [
        (source.as_str(), "s3://bucket/out/http.tif", "/bucket/out/http.tif"),
        ("s3://bucket/in/scene one.tif", "s3://bucket/out/s3.tif", "/bucket/out/s3.tif"),
        ("gs://bucket/in/scene one.tif", "gs://bucket/out/gs.tif", "/bucket/out/gs.tif"),
        ("az://bucket/in/scene one.tif", "az://bucket/out/az.tif", "/bucket/out/az.tif"),
    ] {
        let mut cog = Cog::open(src, &store, &limits).await.unwrap_or_else(|e| panic!("{src}: {e}"));
        clip(&mut cog, &cutline, dst, &sink).await;
        let got = server
            .get(object)
            .or_else(|| server.paths().iter().find(|p| p.ends_with(object)).and_then(|p| server.get(p)));
        assert!(got.is_some_and(|got| got == expected), "{src} -> {dst}: {:?}", server.paths());
        // A second writer may not win.
        let options = ClipOptions::default();
        let plan = cog.plan(&cutline, &options).unwrap().unwrap();
        let error = cog.clip(plan, dst, &options, &sink, &Silent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exists, "{error}");
    }
}

#[tokio::test]
async fn a_source_that_changes_is_refused_and_nothing_is_published() {
    let server = Server::start();
    server.put("/bucket/scene.tif", testdata("sample/scene.tif"));
    let folder = tempfile::tempdir().unwrap();
    let uri = format!("{}/bucket/scene.tif", server.url());
    let mut cog = Cog::open(&uri, &options(&server), &Limits::default()).await.unwrap();
    let cutline = Cutline::from_bounds(cog.bounds(), None).unwrap();
    let options = ClipOptions::default();
    let plan = cog.plan(&cutline, &options).unwrap().unwrap();
    let mut other = testdata("sample/scene.tif");
    other.push(0);
    server.put("/bucket/scene.tif", other);
    let out = folder.path().join("out.tif");
    let error =
        cog.clip(plan, out.to_str().unwrap(), &options, &SinkOptions::default(), &Silent).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no output and no temporary");
}

#[tokio::test]
async fn the_same_bytes_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/sample/scene.tif");
    let mut outputs = Vec::new();
    for threads in [1, 2, 7] {
        let options = ClipOptions { threads, blocksize: Some(64), ..ClipOptions::default() };
        let mut cog =
            Cog::open(path.to_str().unwrap(), &cogclip::StoreOptions::default(), &Limits::default())
                .await
                .unwrap();
        let Bounds { min_x, min_y, max_x, max_y } = cog.bounds();
        let cutline = Cutline::new(
            vec![cogclip::cutline::Polygon {
                rings: vec![vec![[min_x, min_y], [max_x, max_y], [min_x, max_y], [min_x, min_y]]],
            }],
            None,
        );
        let plan = cog.plan(&cutline, &options).unwrap().unwrap();
        let out = folder.path().join(format!("{threads}.tif"));
        cog.clip(plan, out.to_str().unwrap(), &options, &SinkOptions::default(), &Silent).await.unwrap();
        outputs.push(std::fs::read(out).unwrap());
    }
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]));
}
