//! Every spelling of many CRSs against PROJ and GDAL: testdata/crs-spellings.jsonl.gz, which
//! scripts/make-crs-spellings.py makes.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use flate2::read::GzDecoder;
    use proj4rs::Proj;
    use serde_json::Value as Json;

    use super::super::canonical::Canonical;
    use crate::error::Result;
    use crate::geo::{Crs, Datum, Definition, GeoKeys};

    /// Spellings that PROJ or GDAL understand otherwise, or that say less than the CRS is, and why ours is right or at least
    /// not wrong.
    const OTHERWISE: &[(&str, &str)] = &[
        (
            "EPSG:29100 ",
            "SAD69 is the name of two geographic CRSs on two ellipsoids: the datum stays unknown",
        ),
        (
            "EPSG:3140 GeoKeys without IDs",
            "GDAL takes the unit's name, link, for Clarke's link, against the size in key 3077",
        ),
        (
            "EPSG:8044 GeoKeys without IDs",
            "GDAL finds the CRS by its name, and with it axes that the keys do not have",
        ),
        (
            "EPSG:8353 GeoKeys without IDs",
            "GDAL takes ESRI's text for Krovak with axes south and west; its parameters say otherwise",
        ),
        ("EPSG:3410 WKT1_ESRI", "PROJ does not read the standard parallel that it wrote"),
        ("EPSG:3785 ", "web Mercator's sphere stands for WGS 84"),
        ("EPSG:2036 ", "NAD83(CSRS98) is the old name of NAD83(CSRS)"),
        ("EPSG:2954 ", "as above"),
        ("EPSG:5890 WKT1_ESRI", "D_Hughes_1980 is the name of two geographic CRSs on one ellipsoid"),
    ];

    /// The same, of codes: they are right or unlisted.
    const OF_CODES: &[(&str, &str)] = &[("EPSG:9311 GeoKeys", "GDAL loses that the method is spherical")];

    /// Words of the refusals that are right, and why.
    const REFUSED: &[(&str, &str)] = &[
        ("is not among the CRSs", "a code that the table lacks"),
        ("Belgium", "PROJ projects it without its rotation"),
        ("Berghaus_Star", "PROJ has no such projection"),
        ("Tunisia", "PROJ has no such projection"),
        ("Near-Conformal", "PROJ has no such projection"),
        ("West", "PROJ has no such projection"),
        ("South", "PROJ has no such projection (Bonne)"),
        ("ariant", "PROJ has no such projection (polar stereographic C)"),
        ("Hammer_Aitoff", "PROJ does not know ESRI's name"),
        ("Zoned", "one CRS of many planes"),
        ("Adams_Square_II", "proj4rs has no such projection"),
        ("Peirce", "proj4rs has no such projection"),
        ("Tobler", "PROJ has no such projection"),
        ("Cube", "PROJ has no such projection"),
        ("Fuller", "PROJ has no such projection"),
        ("Goode", "interrupted: proj4rs has no such projection"),
        ("told of an ellipsoid", "PROJ projects the spherical method on the ellipsoid"),
        ("scale factor is -", "ESRI's way of turning the axes"),
        ("prime meridian", "in grads or in degrees, WKT1 does not say"),
        ("the axes of", "they point south and west, where the method's do not"),
        ("+R_A", "PROJ takes it otherwise in a string than in the WKT that it wrote it from"),
        ("not its datum's", "+f=0 +datum=WGS84"),
    ];

    fn lines() -> Vec<Json> {
        let mut text = String::new();
        let data = include_bytes!("../../testdata/crs-spellings.jsonl.gz");
        GzDecoder::new(data.as_slice()).read_to_string(&mut text).unwrap();
        text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The CRS of a text or of GeoKeys as the fixture has them.
    fn crs_of(text: &Json) -> Result<Crs> {
        let Some(keys) = text.as_array() else { return Crs::parse(text.as_str().unwrap()) };
        let numbers = |at: usize| keys[at].as_array().unwrap().iter();
        let directory = numbers(0).map(|v| u16::try_from(v.as_u64().unwrap()).unwrap()).collect();
        let ascii =
            keys[2].as_str().unwrap().chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
        let keys = GeoKeys::parse(directory, numbers(1).map(|v| v.as_f64().unwrap()).collect(), ascii)?;
        keys.crs()?.ok_or_else(|| crate::Error::unsupported("the keys name no CRS"))
    }

    /// How far from PROJ, in metres, or why it cannot be told.
    fn apart(definition: &Definition, points: &Json) -> std::result::Result<f64, String> {
        let to = Proj::from_proj_string(&definition.proj.replace(" +units=grad", ""))
            .map_err(|error| format!("{error}: {}", definition.proj))?;
        if to.projname() == "eqc" && definition.ellipsoid().is_none_or(|(a, b)| (a - b).abs() > 1e-3) {
            return Err("eqc is a sphere's in proj4rs".to_owned());
        }
        let from = Proj::from_proj_string("+proj=longlat +ellps=WGS84").unwrap();
        let mut worst = 0.0_f64;
        for point in points.as_array().ok_or("PROJ has no points")? {
            let [lon, lat, x, y] = [0, 1, 2, 3].map(|at| point[at].as_f64().unwrap());
            let mut place = (lon.to_radians(), lat.to_radians(), 0.0);
            proj4rs::transform::transform(&from, &to, &mut place).map_err(|error| error.to_string())?;
            let mut found = [place.0, place.1];
            let unit = if to.is_latlong() { 111_320.0 } else { to.to_meter() };
            if to.is_latlong() {
                let turn = std::f64::consts::TAU / definition.unit();
                found = found.map(|radians| radians / definition.unit());
                found[0] -= ((found[0] - x) / turn).round() * turn;
            }
            worst = worst.max((found[0] - x).abs().max((found[1] - y).abs()) * unit);
        }
        Ok(worst)
    }

    /// A message without its numbers.
    fn kind_of(message: &str) -> String {
        message.chars().filter(|c| !c.is_ascii_digit()).collect()
    }

    #[test]
    fn every_spelling_is_understood_as_proj_understands_it() {
        let (mut wrong, mut refused) = (Vec::<String>::new(), BTreeMap::<String, Vec<String>>::new());
        let (mut right, mut worst) = (0_usize, 0.0_f64);
        let mut unprojected = BTreeMap::<String, usize>::new();
        for line in lines() {
            let code = line["code"].as_str().unwrap();
            let texts = line["texts"].as_object().unwrap();
            let by_string = texts.get("PROJ").and_then(|text| crs_of(text).ok());
            for (spelling, text) in texts {
                let label = format!("{code} {spelling}");
                let crs = match crs_of(text) {
                    Ok(crs) => crs,
                    Err(error) => {
                        refused.entry(kind_of(&error.to_string())).or_default().push(label);
                        continue;
                    }
                };
                let Some(definition) = crs.definition() else {
                    refused.entry(kind_of(&crs.unlisted().to_string())).or_default().push(label);
                    continue;
                };
                let expected = line["datum"].as_u64();
                let found = match definition.datum {
                    Datum::Epsg(code) | Datum::EpsgToWgs84(code, _) => Some(u64::from(code)),
                    Datum::ToWgs84(_) | Datum::Unknown => None,
                };
                let may_lack = spelling == "PROJ" || expected.is_none();
                if found != expected && expected.is_some() && !(may_lack && found.is_none()) {
                    wrong.push(format!("{label}: datum {found:?}, not {expected:?}; {}", definition.proj));
                    continue;
                }
                let points = line["points"].as_array().unwrap();
                let points = points
                    .iter()
                    .find(|points| points["of"].as_array().unwrap().contains(&Json::from(spelling.as_str())));
                match apart(definition, &points.unwrap()["at"]) {
                    // PROJ and proj4rs agree to 1e-6 m where both are sound; a parameter that is off by its last digit shows.
                    Ok(metres) if metres < 1e-3 => {
                        right += 1;
                        worst = worst.max(metres);
                    }
                    Ok(metres) => wrong.push(format!("{label}: {metres} m: {}", definition.proj)),
                    Err(why) => {
                        *unprojected.entry(why.split(':').next().unwrap().to_owned()).or_default() += 1;
                        if let Some(other) = by_string.as_ref().and_then(Crs::definition)
                            && !Canonical::of(&other.proj).is_same(&Canonical::of(&definition.proj))
                        {
                            wrong.push(format!("{label}: {why}; {} is not {}", definition.proj, other.proj));
                        }
                    }
                }
            }
        }
        let mut unused: Vec<&str> = OTHERWISE.iter().map(|(label, _)| *label).collect();
        wrong.retain(|line: &String| !OF_CODES.iter().any(|(label, _)| line.starts_with(label)));
        wrong.retain(|line: &String| match OTHERWISE.iter().find(|(label, _)| line.starts_with(label)) {
            Some((label, _)) => {
                unused.retain(|other| other != label);
                false
            }
            None => true,
        });
        assert!(unused.is_empty(), "no longer otherwise: {unused:?}");
        let unexpected: Vec<_> =
            refused.iter().filter(|(why, _)| !REFUSED.iter().any(|(word, _)| why.contains(word))).collect();
        assert!(unexpected.is_empty(), "{unexpected:#?}");
        for (word, _) in REFUSED {
            assert!(refused.keys().any(|why| why.contains(word)), "no longer refused: {word}");
        }
        assert!(right > 4_500, "only {right} spellings are projected: {unprojected:?}");
        assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), &wrong[..wrong.len().min(60)]);
    }
}
