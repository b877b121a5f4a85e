//! What a clip keeps of a file's tags, EXIF and GPS; which image of many it takes; what stands beside a file.

use std::path::Path;

use bytes::Bytes;
use cogclip::clip::Cog;
use cogclip::cutline::Cutline;
use cogclip::geo::{Affine, Bounds};
use cogclip::header::Header;
use cogclip::observe::Silent;
use cogclip::tiff::code::tag;
use cogclip::tiff::parse::Fetched;
use cogclip::tiff::write::Fields;
use cogclip::{ClipOptions, Limits, SinkOptions, StoreOptions};

fn testdata(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name).to_str().unwrap().to_owned()
}

/// The header of a file that is all there.
fn header(file: &[u8]) -> Header {
    let mut fetched = Fetched::new(file.len() as u64);
    fetched.insert(0, Bytes::copy_from_slice(file));
    Header::parse(&fetched, &Limits::default()).map_err(|stop| format!("{stop:?}")).unwrap()
}

/// Clips the upper left quarter of an image; returns the output.
async fn quarter(cog: &mut Cog, options: &ClipOptions) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.tif");
    let Bounds { min_x, min_y, max_x, max_y } = cog.bounds();
    let (x, y) = (f64::midpoint(min_x, max_x), f64::midpoint(min_y, max_y));
    let cutline = Cutline::from_bounds(Bounds { min_x, min_y: y, max_x: x, max_y }, None).unwrap();
    let plan = cog.plan(&cutline, options).unwrap().unwrap();
    cog.clip(plan, out.to_str().unwrap(), options, &SinkOptions::default(), &Silent).await.unwrap();
    std::fs::read(out).unwrap()
}

async fn open(name: &str) -> Cog {
    Cog::open(&testdata(name), &StoreOptions::default(), &Limits::default()).await.unwrap()
}

fn tags(fields: &Fields) -> Vec<u16> {
    fields.keys().copied().collect()
}

#[tokio::test]
async fn exif_and_gps_stay_but_for_what_a_clip_makes_false() {
    for name in ["exif-u8.tif", "exif-be-u8.tif"] {
        let mut cog = open(name).await;
        assert!(cog.header().remarks.is_empty(), "{name}: {:?}", cog.header().remarks);
        let out = header(&quarter(&mut cog, &ClipOptions::default()).await);
        let (exif, gps) = (out.exif.unwrap(), out.gps.unwrap());
        // rasterio.tags(ns="EXIF") of the file, without ComponentsConfiguration, SubjectArea, MakerNote,
        // PixelXDimension, PixelYDimension and ImageUniqueID.
        assert_eq!(tags(&exif), [33434, 33437, 34855, 36864, 36867, 37510, 41985, 42036], "{name}");
        assert_eq!(tags(&gps), [0, 1, 2, 3, 4, 6, 29], "{name}");
        assert_eq!(exif[&33434].bytes[..], [1, 0, 0, 0, 250, 0, 0, 0], "ExposureTime");
        assert_eq!(exif[&36867].text().as_deref(), Some("2026:11:22 12:00:00"));
        assert_eq!(exif[&36864].bytes[..], *b"0232");
        assert_eq!(exif[&42036].text().as_deref(), Some("Biogon 60 mm"));
        let degrees = [47_u32, 1, 51, 1, 1234, 100].map(u32::to_le_bytes).concat();
        assert_eq!(gps[&2].bytes[..], degrees[..], "GPSLatitude");
        // Those of the image.
        let kept = |tag| out.kept.get(&tag).and_then(cogclip::tiff::Value::text);
        assert_eq!(kept(tag::ARTIST).as_deref(), Some("nobody"));
        assert_eq!(kept(tag::IMAGE_DESCRIPTION).as_deref(), Some("a field"));
        assert_eq!(kept(65000).as_deref(), Some("a custom tag"));
        assert!(!out.kept.contains_key(&tag::PAGE_NUMBER) && !out.kept.contains_key(&tag::IMAGE_ID));
        assert_eq!(cog.header().dropped, [tag::PAGE_NUMBER, tag::IMAGE_ID]);
    }
}

#[test]
fn broken_exif_is_a_remark_and_no_error() {
    let file = std::fs::read(testdata("exif-u8.tif")).unwrap();
    let entry = |tag: u16| {
        let lead: Vec<u8> = [tag.to_le_bytes(), 4_u16.to_le_bytes()].concat();
        file.windows(4).position(|part| part == lead).unwrap() + 8
    };
    let at = entry(tag::EXIF_IFD);
    let first = u32::from_le_bytes(file[4..8].try_into().unwrap());
    let end = u32::try_from(file.len()).unwrap();
    // To the image's own directory, to nothing, beyond the end, to the last byte.
    for pointer in [first, 0, u32::MAX, end - 1] {
        let mut broken = file.clone();
        broken[at..at + 4].copy_from_slice(&pointer.to_le_bytes());
        let header = header(&broken);
        assert!(header.exif.is_none() && header.gps.is_some(), "{pointer}");
        assert!(header.remarks.iter().any(|remark| remark.contains("EXIF")), "{:?}", header.remarks);
    }
}

#[tokio::test]
async fn far_exif_takes_one_more_read() {
    // The fixture with its EXIF and GPS directories moved 200 kB away: their pointers, and those in them, by hand.
    let file = std::fs::read(testdata("exif-u8.tif")).unwrap();
    let parsed = header(&file);
    let folder = tempfile::tempdir().unwrap();
    let (exif, gps) = (parsed.exif.unwrap(), parsed.gps.unwrap());
    let mut far = file;
    far.resize(200_000, 0);
    for (tag, fields) in [(tag::EXIF_IFD, &exif), (tag::GPS_IFD, &gps)] {
        let lead: Vec<u8> = [tag.to_le_bytes(), 4_u16.to_le_bytes()].concat();
        let entry = far.windows(4).position(|part| part == lead).unwrap() + 8;
        let at = u32::try_from(far.len()).unwrap();
        far[entry..entry + 4].copy_from_slice(&at.to_le_bytes());
        far.extend(cogclip::tiff::write::directory(fields, false, u64::from(at), 0));
    }
    let path = folder.path().join("far.tif");
    std::fs::write(&path, far).unwrap();
    let cog = Cog::open(path.to_str().unwrap(), &StoreOptions::default(), &Limits::default()).await.unwrap();
    assert_eq!(cog.stats().requests, 2);
    assert_eq!((cog.header().exif.as_ref(), cog.header().gps.as_ref()), (Some(&exif), Some(&gps)));
}

/// The samples of a file's first directory, read by an independent reader.
fn samples(file: &[u8]) -> (u32, tiff::decoder::DecodingResult) {
    let mut decoder = tiff::decoder::Decoder::new(std::io::Cursor::new(file)).unwrap();
    let (width, _) = decoder.dimensions().unwrap();
    (width, decoder.read_image().unwrap())
}

/// Clips a window of an image, in its own coordinates.
async fn window(cog: &mut Cog, bounds: Bounds) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.tif");
    let options = ClipOptions { blocksize: Some(16), ..ClipOptions::default() };
    let plan = cog.plan(&Cutline::from_bounds(bounds, None).unwrap(), &options).unwrap().unwrap();
    cog.clip(plan, out.to_str().unwrap(), &options, &SinkOptions::default(), &Silent).await.unwrap();
    std::fs::read(out).unwrap()
}

#[tokio::test]
async fn any_image_of_many_is_clipped() {
    let (store, limits) = (StoreOptions::default(), Limits::default());
    let src = testdata("pages.tif");
    let kinds: Vec<_> = {
        let cog = Cog::open(&src, &store, &limits).await.unwrap();
        assert_eq!(cog.header().main.size().width, 70);
        cog.header().directories.iter().map(|d| (d.kind.name(), d.sample_type.clone())).collect()
    };
    let expected = [("image", "uint8"), ("image", "uint16"), ("overview", "uint16"), ("mask", "uint1")];
    assert!(kinds.iter().zip(expected).all(|((kind, samples), want)| (*kind, samples.as_str()) == want));
    assert_eq!(kinds.len(), 5);

    // The second page, by both ways of choosing it, with what belongs to it and nothing of the first.
    for (uri, ifd) in
        [(format!("{src}#ifd=1"), None), (src.clone(), Some(1)), (format!("{src}#ifd=1"), Some(1))]
    {
        let mut cog = Cog::open_image(&uri, ifd, &store, &limits).await.unwrap();
        let header = cog.header();
        assert_eq!((header.main.number, header.main.size().to_string()), (1, "40 x 30".to_owned()));
        assert_eq!(header.nodata.as_ref().map(ToString::to_string).as_deref(), Some("65535"));
        assert_eq!((header.overviews.len(), header.mask.is_some()), (1, true));
        assert_eq!(header.geo.transform, Some(Affine([6e5, 10.0, 0.0, 5.4e6, 0.0, -10.0])));
        let bounds = Bounds { min_x: 600_100.0, min_y: 5_399_800.0, max_x: 600_300.0, max_y: 5_399_950.0 };
        let (width, got) = samples(&window(&mut cog, bounds).await);
        let tiff::decoder::DecodingResult::U16(got) = got else { panic!("{got:?}") };
        let want: Vec<u16> = (5..20).flat_map(|row| (10..30).map(move |col| row * 40 + col)).collect();
        assert_eq!((width, got), (20, want), "{uri}");
    }

    // Its overview, by itself: it says nothing of where it lies.
    let mut cog = Cog::open_image(&src, Some(2), &store, &limits).await.unwrap();
    assert!(cog.header().geo.transform.is_none() && cog.header().overviews.is_empty());
    let whole = cog.bounds();
    let (_, got) = samples(&window(&mut cog, whole).await);
    let tiff::decoder::DecodingResult::U16(got) = got else { panic!("{got:?}") };
    assert_eq!(got, (0..300).map(|n| 5000 + (n / 20) * 80 + (n % 20) * 2).collect::<Vec<u16>>());

    // Its mask, by itself: GDAL reads bits as 0 and 1, and they stay bits.
    let mut cog = Cog::open_image(&src, Some(3), &store, &limits).await.unwrap();
    assert!(cog.header().mask.is_none());
    let whole = cog.bounds();
    let (_, got) = samples(&window(&mut cog, whole).await);
    let tiff::decoder::DecodingResult::U8(got) = got else { panic!("{got:?}") };
    assert_eq!(got, [[0, 255, 255, 255, 255]; 30].concat());
}

#[tokio::test]
async fn a_name_may_end_like_a_choice() {
    let (store, limits) = (StoreOptions::default(), Limits::default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pages.tif#ifd=2");
    std::fs::copy(testdata("pages.tif"), &path).unwrap();
    let uri = path.to_str().unwrap();
    let number = |cog: &Cog| cog.header().main.number;
    assert_eq!(number(&Cog::open_image(uri, Some(1), &store, &limits).await.unwrap()), 1);
    assert_eq!(number(&Cog::open(&format!("{uri}#ifd=3"), &store, &limits).await.unwrap()), 3);
    // Without --ifd it is a choice, of a file that is not there.
    assert_eq!(Cog::open(uri, &store, &limits).await.unwrap_err().kind(), cogclip::ErrorKind::Io);
}

/// The command line's exit code, standard output and standard error.
#[cfg(feature = "cli")]
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_cogclip")).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

#[cfg(feature = "cli")]
#[test]
fn a_wrong_choice_is_a_usage_error_that_lists_what_there_is() {
    let src = testdata("pages.tif");
    let (code, out, _) = run(&["info", &src, "--ifd", "1", "--json"]);
    let info: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, info["width"].as_u64(), info["image"]["ifd"].as_u64()), (Some(0), Some(40), Some(1)));
    assert_eq!(info["directories"].as_array().unwrap().len(), 5);
    assert_eq!(info["directories"][3]["kind"], "mask");
    let (_, out, _) = run(&["info", &src]);
    assert!(out.contains("2: 20 x 15, 1 band of uint16, deflate, overview"), "{out}");

    let (code, _, error) = run(&["info", &src, "--ifd", "9"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("no IFD 9") && error.contains("1: 40 x 30") && error.contains("mask"), "{error}");
    let (code, _, error) = run(&["info", &format!("{src}#ifd=1"), "--ifd", "2"]);
    assert_eq!(code, Some(2), "{error}");
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("out.tif");
    let (code, report, error) = run(&[
        "clip",
        &format!("{src}#ifd=2"),
        out.to_str().unwrap(),
        "--bbox",
        "0,0,20,15",
        "--cutline-crs",
        "source",
        "--json",
    ]);
    assert_eq!(code, Some(0), "{error}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((&report["source"]["ifd"], &report["dtype"]), (&2.into(), &"uint16".into()));
}

#[cfg(feature = "cli")]
#[test]
fn what_stands_beside_a_file_is_told_and_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scene.tif");
    std::fs::copy(testdata("none-u8-strips.tif"), &path).unwrap();
    let src = path.to_str().unwrap();
    let beside = |end: &str| std::fs::write(format!("{}{end}", src.trim_end_matches(".tif")), "").unwrap();
    let plan = || {
        let box_of = ["--bbox", "500100,5299000,501500,5299900", "--cutline-crs", "source"];
        let (code, out, error) = run(&[&["plan", src][..], &box_of].concat());
        assert_eq!(code, Some(0), "{error}");
        (out, error)
    };
    let (before, warnings) = plan();
    assert_eq!(warnings, "");
    // Neither changes what a clip would be: overviews, and a place for a file that has one.
    beside(".tif.ovr");
    beside(".tfw");
    assert_eq!(plan(), (before.clone(), String::new()));
    beside(".tif.msk");
    beside(".tif.aux.xml");
    let (after, warnings) = plan();
    assert_eq!(after, before);
    assert_eq!(warnings.lines().count(), 2, "{warnings}");
    assert!(warnings.lines().all(|line| line.starts_with("warning: ") && line.contains("not followed")));
    let (_, out, _) = run(&["info", src, "--json"]);
    let info: serde_json::Value = serde_json::from_str(&out).unwrap();
    let kinds: Vec<_> =
        info["sidecars_not_followed"].as_array().unwrap().iter().map(|side| side["kind"].clone()).collect();
    assert_eq!(kinds, ["metadata", "mask", "overviews", "world file"]);
    assert!(run(&["info", src]).1.contains("scene.tfw: world file, not followed"));

    // A world file of a raster that has no place of its own.
    let path = folder.path().join("nowhere.tif");
    let file = std::fs::read(testdata("pages.tif")).unwrap();
    std::fs::write(&path, file).unwrap();
    std::fs::write(folder.path().join("nowhere.wld"), "").unwrap();
    let out = folder.path().join("out.tif");
    let (code, _, error) = run(&[
        "clip",
        path.to_str().unwrap(),
        out.to_str().unwrap(),
        "--ifd",
        "2",
        "--bbox",
        "0,0,20,15",
        "--cutline-crs",
        "source",
    ]);
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains("nowhere.wld is not followed"), "{error}");
}
