//! Clips of the test rasters, sample by sample against what rasterio.mask returned (testdata/golden, made by
//! scripts/make-testdata.py).

use std::io::Read;
use std::path::{Path, PathBuf};

use cogclip::StoreOptions;
use cogclip::clip::Cog;
use cogclip::cutline::Cutline;
use cogclip::mask::Rule;
use cogclip::observe::Silent;
use cogclip::options::ClipOptions;
use cogclip::sample::NoData;
use cogclip::sink::SinkOptions;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// A line of golden/index.tsv.
struct Case<'a> {
    source: &'a str,
    cutline: &'a str,
    options: &'a str,
    window: [u32; 4],
    bands: usize,
    dtype: &'a str,
    data: &'a str,
}

impl<'a> Case<'a> {
    fn parse(line: &'a str) -> Self {
        let fields: Vec<&str> = line.split('\t').collect();
        let [source, cutline, options, x, y, w, h, bands, dtype, data, _]: [&str; 11] =
            fields.try_into().unwrap();
        let window = [x, y, w, h].map(|n| n.parse().unwrap());
        Self { source, cutline, options, window, bands: bands.parse().unwrap(), dtype, data }
    }

    /// The samples as little-endian bytes, band after band, and which of them are valid.
    fn expected(&self, width: usize) -> (Vec<u8>, Vec<bool>) {
        let packed = std::fs::read(testdata().join("golden").join(self.data)).unwrap();
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
        let samples = self.bands * self.window[2] as usize * self.window[3] as usize;
        assert_eq!(bytes.len(), samples * (width + 1), "{}", self.data);
        let valid = bytes.split_off(samples * width).into_iter().map(|byte| byte == 1).collect();
        (bytes, valid)
    }
}

/// What an independent reader, the crate `tiff`, finds in an output.
struct Output {
    width: u32,
    height: u32,
    /// Little-endian bytes of the samples, pixel by pixel.
    bytes: Vec<u8>,
    sample_bytes: usize,
    nodata: Option<String>,
    extra: Vec<u16>,
    /// One flag a pixel, from the internal mask.
    mask: Option<Vec<bool>>,
}

fn read(path: &Path) -> Output {
    let mut decoder = Decoder::new(std::io::Cursor::new(as_grey(std::fs::read(path).unwrap())))
        .unwrap()
        .with_limits(tiff::decoder::Limits::unlimited());
    let (width, height) = decoder.dimensions().unwrap();
    let nodata = decoder.find_tag(Tag::GdalNodata).unwrap().map(|v| v.into_string().unwrap());
    let extra = decoder.find_tag_unsigned_vec(Tag::ExtraSamples).unwrap().unwrap_or_default();
    macro_rules! bytes {
        ($($variant:ident)*) => {
            match decoder.read_image().unwrap() {
                $(DecodingResult::$variant(v) => {
                    (v.iter().flat_map(|s| s.to_le_bytes()).collect::<Vec<u8>>(), size_of_val(&v[0]))
                })*
            }
        };
    }
    let (bytes, sample_bytes) = bytes!(U8 U16 U32 U64 I8 I16 I32 I64 F16 F32 F64);
    let mut mask = None;
    while decoder.more_images() {
        decoder.next_image().unwrap();
        if decoder.get_tag_u32(Tag::NewSubfileType).unwrap() == 4 {
            mask = Some(read_mask(&mut decoder, width, height));
        }
    }
    Output { width, height, bytes, sample_bytes, nodata, extra, mask }
}

/// A file with a colour table, or in which 0 is white, said to be plain grey, and complex numbers said to be integers as
/// wide: the crate `tiff` reads no colour tables, turns white over, and knows no complex numbers. Our outputs are little-endian and lead every directory with its number of entries; the first stands
/// where the header says.
fn as_grey(mut file: Vec<u8>) -> Vec<u8> {
    let number = |file: &[u8], at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    assert!(file.starts_with(b"II*\0"), "a classic TIFF");
    let mut ifd = number(&file, 4);
    while ifd != 0 {
        let count = usize::from(u16::from_le_bytes([file[ifd], file[ifd + 1]]));
        for entry in (0..count).map(|n| ifd + 2 + 12 * n) {
            // PhotometricInterpretation (262) = 0 or 3 becomes 1.
            if file[entry..entry + 2] == 262_u16.to_le_bytes() && matches!(file[entry + 8], 0 | 3) {
                file[entry + 8] = 1;
            }
            // SampleFormat (339), of one band.
            let single = number(&file, entry + 4) == 1;
            if single && file[entry..entry + 2] == 339_u16.to_le_bytes() && file[entry + 8] > 4 {
                file[entry + 8] = 1;
            }
        }
        ifd = number(&file, ifd + 2 + 12 * count);
    }
    file
}

/// A 1-bit mask, by its tiles' own bytes: the crate does not unpack them.
fn read_mask(decoder: &mut Decoder<impl Read + std::io::Seek>, width: u32, height: u32) -> Vec<bool> {
    assert_eq!(decoder.get_tag_u32(Tag::BitsPerSample).unwrap(), 1);
    let side = decoder.get_tag_u32(Tag::TileWidth).unwrap();
    let across = width.div_ceil(side);
    let offsets = decoder.get_tag_u64_vec(Tag::TileOffsets).unwrap();
    let counts = decoder.get_tag_u64_vec(Tag::TileByteCounts).unwrap();
    let tiles: Vec<Vec<u8>> = offsets
        .iter()
        .zip(&counts)
        .map(|(&offset, &count)| {
            let file = decoder.inner();
            file.seek(std::io::SeekFrom::Start(offset)).unwrap();
            let mut out = Vec::new();
            flate2::read::ZlibDecoder::new(file.take(count)).read_to_end(&mut out).unwrap();
            out
        })
        .collect();
    let bit = |x: u32, y: u32| {
        let tile = &tiles[(y / side * across + x / side) as usize];
        tile[(y % side * (side / 8) + x % side / 8) as usize] >> (7 - x % 8) & 1 == 1
    };
    (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| bit(x, y)).collect()
}

/// Whether a sample's bytes are those of the nodata value.
fn is_nodata(bytes: &[u8], dtype: &str, nodata: &str) -> bool {
    let nodata = NoData::new(nodata).unwrap();
    macro_rules! compare {
        ($($name:literal $ty:ty,)*) => {
            match dtype {
                $($name => {
                    let value = <$ty>::from_le_bytes(bytes.try_into().unwrap());
                    nodata.sample::<$ty>().is_some_and(|n| cogclip::sample::Sample::same(n, value))
                })*
                // As GDAL's nodata masks have it, the real part decides.
                "complex64" => return is_nodata(&bytes[..4], "float32", nodata.text()),
                "float16" => {
                    let value = half::f16::from_le_bytes(bytes.try_into().unwrap());
                    nodata.sample::<half::f16>().is_some_and(|n| cogclip::sample::Sample::same(n, value))
                }
                other => panic!("{other}"),
            }
        };
    }
    compare!("uint8" u8, "uint16" u16, "uint32" u32, "uint64" u64, "int8" i8, "int16" i16, "int32" i32,
        "int64" i64, "float32" f32, "float64" f64,)
}

async fn check(case: &Case<'_>, folder: &Path) -> Result<(), String> {
    let limits = cogclip::Limits::default();
    let text = std::fs::read_to_string(testdata().join(case.cutline)).unwrap();
    let cutline = Cutline::from_geojson(&text, &limits).unwrap().with_crs(None);
    assert!(matches!(case.options, "-" | "all-touched"), "{}", case.options);
    let rule = if case.options == "-" { Rule::Centre } else { Rule::AllTouched };
    // Small blocks, so that windows of a few dozen pixels have many tiles and overviews.
    let options = ClipOptions { rule, blocksize: Some(16), ..ClipOptions::default() };
    let uri = testdata().join(case.source);
    let out = folder.join(format!("{}.tif", case.data));
    let mut cog = Cog::open(uri.to_str().unwrap(), &StoreOptions::default(), &limits)
        .await
        .map_err(|e| e.to_string())?;
    let plan = cog.plan(&cutline, &options).map_err(|e| e.to_string())?.unwrap();
    let (window, size) = (plan.window, plan.size());
    cog.clip(plan, out.to_str().unwrap(), &options, &SinkOptions::default(), &Silent)
        .await
        .map_err(|e| e.to_string())?;
    let got = read(&out);
    if (got.width, got.height) != (size.width, size.height) {
        return Err(format!("size {} x {}", got.width, got.height));
    }
    let [col_off, row_off, width, height] = case.window;
    // rasterio's window may be larger by the one column or row that rounding alone brought; nothing there may be valid.
    let slack = [
        window.x0.checked_sub(col_off),
        window.y0.checked_sub(row_off),
        (col_off + width).checked_sub(window.x1),
        (row_off + height).checked_sub(window.y1),
    ];
    if !slack.iter().all(|side| side.is_some_and(|side| side <= 1)) {
        return Err(format!("window {window:?}, not {:?}", case.window));
    }
    let bytes = got.sample_bytes;
    let (expected, valid) = case.expected(bytes);
    let alpha = got.extra.iter().position(|&e| e == 1 || e == 2).map(|n| case.bands - got.extra.len() + n);
    for (at, &valid) in valid.iter().enumerate() {
        let pixels = (width * height) as usize;
        let (band, pixel) = (at / pixels, u32::try_from(at % pixels).unwrap());
        let (col, row) = (col_off + pixel % width, row_off + pixel / width);
        let place = || format!("band {band}, column {col}, row {row} of the source");
        if !(window.x0..window.x1).contains(&col) || !(window.y0..window.y1).contains(&row) {
            if valid {
                return Err(format!("{}: a valid sample is left out", place()));
            }
            continue;
        }
        let pixel = (row - window.y0) as usize * size.width as usize + (col - window.x0) as usize;
        let sample = |band: usize| &got.bytes[(pixel * case.bands + band) * bytes..][..bytes];
        let transparent = alpha.is_some_and(|alpha| sample(alpha).iter().all(|&b| b == 0));
        let masked = match &got.mask {
            // The alpha band itself is never masked by itself; what the cutline leaves out is 0 there.
            _ if alpha == Some(band) => transparent && !valid,
            Some(mask) => !mask[pixel],
            None => {
                transparent
                    || got.nodata.as_ref().is_some_and(|nodata| is_nodata(sample(band), case.dtype, nodata))
            }
        };
        if valid && sample(band) != &expected[at * bytes..][..bytes] {
            return Err(format!("{}: a kept sample differs", place()));
        }
        if valid == masked {
            return Err(format!("{}: valid is {valid}, but masked is {masked}", place()));
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_golden_case_equals_rasterio() {
    let index = std::fs::read_to_string(testdata().join("golden/index.tsv")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (mut cases, mut failures) = (0, Vec::new());
    for line in index.lines().skip(1) {
        let case = Case::parse(line);
        cases += 1;
        if let Err(why) = check(&case, folder.path()).await {
            failures.push(format!("{} {} {}: {why}", case.source, case.cutline, case.options));
        }
    }
    assert!(cases >= 300, "{cases} cases");
    assert!(failures.is_empty(), "{} of {cases} differ:\n{}", failures.len(), failures.join("\n"));
}

/// Group 3 with two-dimensional rows, by libtiff's tiffcp; the picture is a formula (scripts/make-fax-fixtures.py).
#[cfg(feature = "ccitt")]
#[tokio::test]
async fn two_dimensional_group_3_holds_the_picture() {
    let (limits, options, folder) =
        (cogclip::Limits::default(), ClipOptions::default(), tempfile::tempdir().unwrap());
    let whole = r#"{"type": "Polygon", "coordinates": [[[0, 0], [131, 0], [131, 97], [0, 97], [0, 0]]]}"#;
    let cutline = Cutline::from_geojson(whole, &limits).unwrap().with_crs(None);
    for name in ["fill", "lsb"] {
        let uri = testdata().join(format!("codec/fax3-2d-{name}-u1.tif"));
        let mut cog = Cog::open(uri.to_str().unwrap(), &StoreOptions::default(), &limits).await.unwrap();
        let plan = cog.plan(&cutline, &options).unwrap().unwrap();
        let out = folder.path().join(name);
        cog.clip(plan, out.to_str().unwrap(), &options, &SinkOptions::default(), &Silent).await.unwrap();
        let rows = read(&out).bytes;
        let is_set = |x: i32, y: i32| (x * 3 + y * 2) % 37 < 9 || (x - 60).pow(2) + (y - 50).pow(2) < 900;
        for (y, row) in (0..).zip(rows.chunks_exact(131_usize.div_ceil(8))) {
            for x in 0..131 {
                let bit = row[usize::try_from(x).unwrap() / 8] >> (7 - x % 8) & 1 == 1;
                assert_eq!(bit, is_set(x, y), "{name}: column {x}, row {y}");
            }
        }
        assert_eq!(rows.len(), 17 * 97);
    }
}
