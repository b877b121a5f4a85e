//! Projects points: what `scripts/crs-agreement.py` compares with PROJ.
//!
//! Reads lines of `FROM TO LON,LAT X Y`, divided by tabs: two codes such as `EPSG:27700` or `ESRI:54030`, the place that
//! chooses the datum operation (degrees of Greenwich) or `-`, and a coordinate. For each it writes `X Y ACCURACY OPERATION`,
//! or `-` and why there is none.

use std::io::{BufRead, BufWriter, Write};

use cogclip::geo::epsg::{self, Authority};
use cogclip::geo::{Choice, Projector};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match project(&line) {
            Ok(answer) => writeln!(out, "{answer}")?,
            Err(reason) => writeln!(out, "-\t{reason}")?,
        }
    }
    Ok(())
}

fn project(line: &str) -> Result<String, Box<dyn std::error::Error>> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [from, to, area, x, y] = fields.as_slice() else { return Err("a line has five fields".into()) };
    let area = match area.split_once(',') {
        Some((lon, lat)) => {
            let (lon, lat) = (lon.parse()?, lat.parse()?);
            Some([lon, lat, lon, lat])
        }
        None => None,
    };
    let choice = Choice { area, max_error: f64::INFINITY, allow_ballpark: false, grids: &[] };
    let names = [(*from).to_owned(), (*to).to_owned()];
    let projector = Projector::between(&definition(from)?, &definition(to)?, names, &choice)?;
    let [x, y] = projector.project([x.parse()?, y.parse()?])?;
    let operation = projector.operation();
    if operation.is_ballpark {
        return Err(format!("Ballpark: {}", operation.name).into());
    }
    Ok(format!("{x}\t{y}\t{}\t{}", operation.accuracy.unwrap_or(-1.0), operation.name))
}

fn definition(code: &str) -> Result<cogclip::geo::Definition, Box<dyn std::error::Error>> {
    let (authority, code) = match code.split_once(':') {
        Some(("EPSG", code)) => (Authority::Epsg, code.parse()?),
        Some(("ESRI", code)) => (Authority::Esri, code.parse()?),
        _ => return Err("a code is EPSG:n or ESRI:n".into()),
    };
    let entry = epsg::find(authority, code);
    Ok(entry.ok_or_else(|| epsg::refusal(authority, code).unwrap_or("not in the table"))?.definition)
}
