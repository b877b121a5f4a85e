//! For tests: OGR's own readings of files, as `scripts/make-vector-fixtures.py` writes them, and damage to files.

use super::{Geometry, Layer, Query, Value, wkt};
use crate::limits::Limits;

/// The bytes of a file in `testdata/vector/`.
#[track_caller]
pub(super) fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/testdata/vector/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A layer's features are those of `NAME.json`: numbers, properties and geometries, to the last bit.
#[track_caller]
pub(super) fn check(layer: &Layer, name: &str) {
    let golden: Vec<serde_json::Value> = serde_json::from_slice(&fixture(&format!("{name}.json"))).unwrap();
    let fids: Vec<_> = layer.features.iter().map(|feature| Some(feature.fid)).collect();
    assert_eq!(fids, golden.iter().map(|row| row["fid"].as_i64()).collect::<Vec<_>>(), "{name}");
    for (feature, row) in layer.features.iter().zip(&golden) {
        let place = format!("{name}, feature {}", feature.fid);
        let properties = row["properties"].as_object().unwrap();
        let names: Vec<_> = feature.properties.iter().map(|(name, _)| &**name).collect();
        // What a feature does not hold is null to OGR.
        for (name, value) in properties {
            assert!(value.is_null() || names.contains(&name.as_str()), "{place}: {name}, not in {names:?}");
        }
        for (name, value) in &feature.properties {
            let (wanted, place) = (&properties[&**name], format!("{place}, {name}"));
            match value {
                Value::Null => assert!(wanted.is_null(), "{place}: {wanted}"),
                Value::Bool(value) => assert_eq!(wanted.as_bool(), Some(*value), "{place}"),
                // OGR reads whole numbers of 19 digits and more as real ones.
                Value::Integer(value) if wanted.is_f64() => {
                    assert_eq!(wanted.as_f64(), format!("{value}").parse().ok(), "{place}");
                }
                Value::Integer(value) => assert_eq!(wanted.as_i64(), Some(*value), "{place}"),
                Value::Real(value) => assert_eq!(wanted.as_f64(), Some(*value), "{place}"),
                // OGR writes JSON with other white space.
                Value::Text(value) if value.starts_with(['[', '{']) => {
                    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
                    assert_eq!(parsed(wanted.as_str().unwrap()), parsed(value), "{place}");
                }
                Value::Text(value) => assert_eq!(wanted.as_str(), Some(value.as_str()), "{place}"),
            }
        }
        let geometry = row["wkt"].as_str().map_or(Geometry::Collection(Vec::new()), |text| {
            let layer = wkt::read(text, &Query::default(), &Limits::default()).unwrap();
            layer.features.into_iter().next().unwrap().geometry
        });
        assert_eq!(feature.geometry, geometry, "{place}");
    }
}

/// Hands `read` a file cut short at every length, and with each of its bytes changed in several ways: none may panic.
pub(super) fn damage(bytes: &[u8], mut read: impl FnMut(&[u8])) {
    for end in 0..bytes.len() {
        read(&bytes[..end]);
    }
    let mut damaged = bytes.to_vec();
    for place in 0..bytes.len() {
        for change in [0xff, 0x80, 0x01, 0x10] {
            damaged[place] ^= change;
            read(&damaged);
            damaged[place] = bytes[place];
        }
        for value in [0, 0x7f] {
            damaged[place] = value;
            read(&damaged);
        }
        damaged[place] = bytes[place];
    }
}
