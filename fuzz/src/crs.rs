//! Coordinate reference systems: the first byte says in which form the rest is, text, GeoKeys or an NTv2 grid.

use cogclip::geo::{Choice, Crs, GeoKeys, Projector, ShiftGrid};
use cogclip::{Error, ErrorKind, Limits};
use libfuzzer_sys::Corpus;

use crate::seeds;

/// One run over a text.
pub fn run_text(data: &[u8]) -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    match Crs::parse(text) {
        Ok(crs) => look(&crs),
        Err(error) => check(&error),
    }
    Corpus::Keep
}

/// One run over GeoKeys: a byte for the number of keys, another for that of doubles, then shorts, doubles and text.
pub fn run_keys(data: &[u8]) -> Corpus {
    let Some((&[keys, doubles], rest)) = data.split_first_chunk() else { return Corpus::Reject };
    let (shorts, rest) = rest.split_at(rest.len().min(usize::from(keys) * 8 + 8));
    let (numbers, ascii) = rest.split_at(rest.len().min(usize::from(doubles) * 8));
    let shorts = shorts.as_chunks::<2>().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    let numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    match GeoKeys::parse(shorts, numbers, ascii.to_vec()).and_then(|keys| keys.crs()) {
        Ok(Some(crs)) => look(&crs),
        Ok(None) => {}
        Err(error) => check(&error),
    }
    Corpus::Keep
}

/// One run over a grid.
pub fn run_grid(data: &[u8]) -> Corpus {
    let mut limits = Limits::default();
    limits.cutline_bytes = 1 << 20;
    if let Err(error) = ShiftGrid::parse(data, &limits) {
        check(&error);
    }
    Corpus::Keep
}

fn look(crs: &Crs) {
    assert!(crs.definition().is_none() || crs.is_same(crs) || crs.name().len() < usize::MAX);
    let _ = crs.area([[0.0, 0.0], [1.0, 1.0]]);
    for other in [Crs::wgs84(), Crs::from_epsg(3035).expect("it is listed")] {
        let _ = (crs.is_same(&other), other.is_same(crs));
        match Projector::new(&other, crs, &Choice::ANY) {
            Ok(projector) => {
                if let Ok(there) = projector.project([10.0, 50.0]) {
                    assert!(there.iter().all(|v| v.is_finite()), "{there:?}");
                    let _ = projector.inverse().project(there);
                }
            }
            Err(error) => check(&error),
        }
    }
}

fn check(error: &Error) {
    let kinds = [ErrorKind::Format, ErrorKind::Unsupported, ErrorKind::Limit, ErrorKind::Usage];
    assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
    assert!(error.to_string().len() > 15, "{error}");
}

/// CRSs in all spellings.
pub fn text_seeds() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = [
        "EPSG:32633",
        "ESRI:102003",
        "urn:ogc:def:crs,crs:EPSG::27700,crs:EPSG::5701",
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        "+proj=lcc +lat_1=49 +lat_2=44 +lat_0=46.5 +lon_0=3 +x_0=700000 +y_0=6600000 +ellps=GRS80 +towgs84=0,0,0,0,0,0,0 +units=m",
        "+proj=omerc +lat_0=4 +lonc=102.25 +alpha=323.0257905 +k=0.99984 +ellps=GRS80 +gamma=323.1301023611111",
        "PROJCS[\"x\",GEOGCS[\"GCS_WGS_1984\",DATUM[\"D_WGS_1984\",SPHEROID[\"WGS_1984\",6378137.0,298.257223563]],PRIMEM[\"Greenwich\",0.0],UNIT[\"Degree\",0.0174532925199433]],PROJECTION[\"Transverse_Mercator\"],PARAMETER[\"False_Easting\",500000.0],PARAMETER[\"Central_Meridian\",15.0],PARAMETER[\"Scale_Factor\",0.9996],UNIT[\"Meter\",1.0]]",
        "PROJCRS[\"y\",BASEGEOGCRS[\"WGS 84\",DATUM[\"World Geodetic System 1984\",ELLIPSOID[\"WGS 84\",6378137,298.257223563]]],CONVERSION[\"z\",METHOD[\"Mercator (variant B)\",ID[\"EPSG\",9805]],PARAMETER[\"Latitude of 1st standard parallel\",42,ANGLEUNIT[\"degree\",0.0174532925199433]]],CS[Cartesian,2],AXIS[\"x\",east],AXIS[\"y\",north],LENGTHUNIT[\"metre\",1]]",
        r#"{"type":"GeographicCRS","name":"NAD83","datum":{"type":"GeodeticReferenceFrame","name":"North American Datum 1983","ellipsoid":{"name":"GRS 1980","semi_major_axis":6378137,"inverse_flattening":298.257222101}},"id":{"authority":"EPSG","code":4269}}"#,
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let spellings = seeds::testdata("crs-spellings.jsonl.gz");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(spellings.as_slice()), &mut text).expect("testdata is whole");
    // Every string of the fixture that is no key: CRSs, mostly.
    for line in text.lines().step_by(12) {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("\": \"") {
            let end = after.match_indices('"').find(|(at, _)| !after[..*at].ends_with('\\')).map_or(after.len(), |(at, _)| at);
            out.push(after[..end].replace("\\\"", "\"").into_bytes());
            rest = &after[end..];
        }
    }
    out
}

/// Some keys.
pub fn key_seeds() -> Vec<Vec<u8>> {
    let keys: [u16; 44] = [
        1, 1, 0, 10, 1024, 0, 1, 1, 2048, 0, 1, 32767, 2050, 0, 1, 6326, 2056, 0, 1, 7030, 3072, 0, 1, 32767, 3074, 0, 1,
        32767, 3075, 0, 1, 11, 3076, 0, 1, 9001, 3078, 34736, 1, 0, 3079, 34736, 1, 1,
    ];
    let shorts: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
    let doubles: Vec<u8> = [29.5_f64, 45.5, 23.0, -96.0].iter().flat_map(|number| number.to_le_bytes()).collect();
    vec![
        [&[10, 4][..], &shorts, &doubles, b"My grid|"].concat(),
        [&[10, 0][..], &shorts, b"ESRI PE String = PROJCS[\"x\"]|"].concat(),
    ]
}

/// Grids of testdata/.
pub fn grid_seeds() -> Vec<Vec<u8>> {
    seeds::files("", ".gsb")
}
