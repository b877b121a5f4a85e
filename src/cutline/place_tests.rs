//! Cutlines in the hard places of the globe.
//!
//! Counts without another source are of the pixels whose centre PROJ 9.8.1 takes to the cutline's CRS, and back to where it
//! was, and shapely 2.2 finds inside there.

use super::cut;
use super::footprint::{Footprint, Samples};
use super::meridian::{Tear, tear, windows};
use super::plane::Between;
use super::{Cutline, Frame, Polygon, Ring, Terms};
use crate::error::{ErrorKind, Result};
use crate::geo::{Affine, Choice, Crs};
use crate::grid::Size;
use crate::limits::Limits;

const WIDTH: u16 = 40;
const HEIGHT: u16 = 30;

const LAEA: &str = "+proj=laea +lat_0=52 +lon_0=10 +ellps=WGS84";
const GOES: &str = "+proj=geos +h=35786023 +lon_0=-75 +sweep=x +a=6378137 +b=6356752.31414 +units=m";
const MOLLWEIDE: &str = "+proj=moll +lon_0=0 +R=6371000";

/// All of the world, as one writes it in longitude and latitude.
const WORLD: &[[f64; 2]] = &[[-180.0, -90.0], [180.0, -90.0], [180.0, 90.0], [-180.0, 90.0]];
/// Over the antimeridian, longitudes running on.
const FIJI: &[[f64; 2]] = &[[177.1, -19.2], [182.3, -18.8], [183.1, -15.9], [178.2, -15.1]];
/// Around the pole of a polar plane, in metres.
const AROUND_THE_POLE: &[[f64; 2]] = &[[-2.1e6, -1.9e6], [2.2e6, -1.6e6], [1.4e6, 2.3e6], [-1.8e6, 1.1e6]];
/// A UTM zone's places over its antimeridian.
const UTM_OVER: &[[f64; 2]] = &[[1e5, 5.5e6], [6e5, 5.4e6], [5e5, 6e6], [-1e5, 5.9e6]];

fn closed(points: &[[f64; 2]]) -> Ring {
    points.iter().chain(points.first()).copied().collect()
}

fn cutline(rings: &[&[[f64; 2]]], crs: &str) -> Cutline {
    let rings = rings.iter().map(|ring| closed(ring)).collect();
    Cutline::new(vec![Polygon { rings }], Some(Crs::parse(crs).unwrap()))
}

/// A raster of 40 x 30 pixels: west, north, pixel width and height.
fn frame([x, y, dx, dy]: [f64; 4]) -> Frame {
    let transform = Affine([x, dx, 0.0, y, 0.0, -dy]);
    Frame { transform, size: Size::new(WIDTH.into(), HEIGHT.into()), by_centre: true }
}

fn place(cutline: &Cutline, raster: &str, place: [f64; 4]) -> Result<Cutline> {
    cutline.to_crs(&Crs::parse(raster).unwrap(), &frame(place), &Terms::default(), &Limits::default())
}

/// Pixels whose centre is inside one of the polygons.
fn count(placed: &Cutline, frame: &Frame) -> usize {
    let centres = (0..HEIGHT).flat_map(|row| (0..WIDTH).map(move |col| (col, row)));
    centres
        .filter(|&(col, row)| {
            let [x, y] = frame.transform.apply(f64::from(col) + 0.5, f64::from(row) + 0.5);
            placed.polygons.iter().any(|polygon| cut::is_inside(&polygon.rings, [x, y]))
        })
        .count()
}

#[track_caller]
fn check(rings: &[&[[f64; 2]]], from: &str, to: &str, place_of_raster: [f64; 4], pixels: usize) {
    let placed = place(&cutline(rings, from), to, place_of_raster).unwrap();
    assert_eq!(count(&placed, &frame(place_of_raster)), pixels, "{from} to {to}");
}

#[test]
fn over_the_antimeridian_a_polygon_is_split() {
    let lonlat = "EPSG:4326";
    check(&[FIJI], lonlat, "EPSG:3857", [19.2e6, -1.6e6, 40e3, 40e3], 73);
    check(&[FIJI], lonlat, "EPSG:3857", [-20.1e6, -1.6e6, 40e3, 40e3], 65);
    // This map has its own end elsewhere.
    check(&[FIJI], lonlat, "EPSG:3832", [2.9e6, -1.6e6, 30e3, 30e3], 256);
    check(
        &[&[[150.0, -40.0], [230.0, -60.0], [220.0, 70.0], [160.0, 50.0]]],
        lonlat,
        MOLLWEIDE,
        [-18.1e6, 9.1e6, 905e3, 607e3],
        142,
    );
    check(&[UTM_OVER], "EPSG:32601", lonlat, [174.1, 56.2, 0.31, 0.31], 373);
    check(&[UTM_OVER], "EPSG:32601", lonlat, [-180.0, 56.2, 0.31, 0.31], 190);
    // More than all longitudes: what is there twice is inside, not outside.
    let band: &[[f64; 2]] = &[[-190.0, 60.3], [190.0, 60.3], [190.0, 75.2], [-190.0, 75.2]];
    check(&[band], lonlat, "EPSG:3413", [-4.07e6, 3.03e6, 0.2e6, 0.2e6], 622);
}

#[test]
fn a_jump_of_longitude_means_the_long_way_round() {
    // RFC 7946 §3.1.9: the ring runs through Greenwich. All pixels whose longitude is not between 179 and 181.
    let literal: &[[f64; 2]] = &[[179.0, -60.0], [-179.0, -60.0], [-179.0, 60.0], [179.0, 60.0]];
    check(&[literal], "EPSG:4326", "EPSG:4326", [-180.0, 60.0, 9.0, 4.0], 40 * 30);
    check(&[literal], "EPSG:4326", "EPSG:4326", [160.0, 60.0, 1.0, 4.0], 38 * 30);
}

#[test]
fn around_a_pole_a_ring_is_closed_over_it() {
    check(&[AROUND_THE_POLE], "EPSG:3413", "EPSG:4326", [-180.0, 90.0, 9.0, 1.31], 566);
    check(&[AROUND_THE_POLE], "EPSG:3413", "EPSG:4326", [0.0, 90.0, 9.0, 1.31], 566);
    check(&[AROUND_THE_POLE], "EPSG:3413", "EPSG:3857", [-2.01e7, 2.9e7, 1e6, 0.71e6], 979);
    check(&[AROUND_THE_POLE], "EPSG:3031", "EPSG:6933", [-17.4e6, -6.2e6, 871e3, 41e3], 386);
    let antarctica: &[[f64; 2]] = &[
        [-180.0, -90.0],
        [-180.0, -71.3],
        [-60.0, -64.2],
        [10.0, -72.4],
        [90.0, -66.1],
        [180.0, -71.3],
        [180.0, -90.0],
    ];
    check(&[antarctica], "EPSG:4326", "EPSG:3031", [-4.07e6, 3.03e6, 0.2e6, 0.2e6], 447);
    // A hole around the pole, and the whole outline beyond the raster: what lies south of 60 degrees south.
    let far: &[[f64; 2]] = &[[-8e6, -8e6], [8e6, -8e6], [8e6, 8e6], [-8e6, 8e6]];
    check(&[far], "EPSG:3031", "EPSG:4326", [-180.0, -60.0, 9.0, 1.0], 40 * 30);
    check(&[far, AROUND_THE_POLE], "EPSG:3031", "EPSG:6933", [-17.4e6, -6.2e6, 871e3, 41e3], 1120 - 386);
}

/// The world in longitude and latitude, where it has no single outline on the map, is all of the raster that is on it.
#[test]
fn what_the_map_has_no_place_for_is_cut_off() {
    let lonlat = "EPSG:4326";
    let polar = [-4.07e6, 3.03e6, 0.2e6, 0.2e6];
    check(&[WORLD], lonlat, "EPSG:3413", polar, 40 * 30);
    check(&[WORLD], lonlat, "EPSG:3035", [3e6, 4e6, 1e4, 1e4], 40 * 30);
    check(&[WORLD], lonlat, "EPSG:32633", [3e5, 6e6, 1e4, 1e4], 40 * 30);
    check(&[WORLD], lonlat, "EPSG:5070", [-2e6, 3e6, 1e5, 1e5], 40 * 30);
    check(&[WORLD], lonlat, GOES, [-5.5e6, 5.5e6, 0.275e6, 0.366e6], 922);
    let east: &[[f64; 2]] = &[[-60.0, -50.0], [60.0, -40.0], [60.0, 50.0], [-60.0, 40.0]];
    check(&[east], lonlat, GOES, [-5.5e6, 5.5e6, 0.275e6, 0.366e6], 277);
    let opposite: &[[f64; 2]] = &[[-175.0, -60.0], [-160.0, -60.0], [-160.0, -45.0], [-175.0, -45.0]];
    check(&[opposite], lonlat, "EPSG:3035", [3e6, 4e6, 1e4, 1e4], 0);
    check(&[WORLD, opposite], lonlat, LAEA, [-13e6, 13e6, 0.65e6, 0.867e6], 910);
    check(
        &[&[[0.0, 70.0], [90.0, 70.0], [90.0, 90.0], [0.0, 90.0]]],
        lonlat,
        "EPSG:3857",
        [-2.01e7, 2.9e7, 1e6, 0.71e6],
        250,
    );
    // The far side of a cone's map, and far from a zone: nothing is left of it.
    let far: &[[f64; 2]] = &[[80.0, 50.0], [110.0, 0.0], [90.0, 60.0]];
    for (to, raster) in [("EPSG:5070", [-2e6, 3e6, 1e4, 1e4]), ("EPSG:32633", [3e5, 6e6, 10.0, 10.0])] {
        check(&[far], lonlat, to, raster, 0);
    }
}

/// Worked by hand: columns of 9 degrees, rows of 6.
#[test]
fn on_a_raster_in_degrees_a_polygon_appears_at_every_turn() {
    let (lonlat, pacific, atlantic) = ("EPSG:4326", [0.0, 90.0, 9.0, 6.0], [-180.0, 90.0, 9.0, 6.0]);
    let greenwich: &[[f64; 2]] = &[[-20.0, -30.0], [20.0, -30.0], [20.0, 30.0], [-20.0, 30.0]];
    // Two columns at each end; or the four in the middle.
    check(&[greenwich], lonlat, lonlat, pacific, 4 * 10);
    check(&[greenwich], lonlat, lonlat, atlantic, 4 * 10);
    let beyond: &[[f64; 2]] = &[[340.0, -30.0], [380.0, -30.0], [380.0, 30.0], [340.0, 30.0]];
    check(&[beyond], "EPSG:4258", lonlat, atlantic, 4 * 10);
    // On its own turn not a bit moves, and no other turn is added that only touches.
    for rings in [[greenwich], [WORLD], [&[[170.1, 1.0], [180.0, 1.0], [180.0, 2.0]]]] {
        let cutline = cutline(&rings, lonlat);
        assert_eq!(place(&cutline, lonlat, atlantic).unwrap().polygons, cutline.polygons);
        assert_eq!(place(&cutline, "EPSG:4258", atlantic).unwrap().polygons, cutline.polygons);
    }
    // Where it does not overlap at all it stays, because the window takes its bounds into account.
    let south: &[[f64; 2]] = &[[-20.0, -80.0], [20.0, -80.0], [20.0, -70.0]];
    let cutline = cutline(&[south], lonlat);
    assert_eq!(place(&cutline, lonlat, [0.0, 90.0, 9.0, 1.0]).unwrap().polygons, cutline.polygons);
}

/// The first column's centres are at -180: by centre a polygon up to 180 takes nothing of it, or all.
#[test]
fn another_turn_counts_from_the_first_centre_on_or_from_the_first_touch() {
    let raster = frame([-180.1, 10.0, 9.0, 1.0]);
    let touched = Frame { by_centre: false, ..raster };
    let east = cutline(&[&[[170.0, 0.0], [180.0, 0.0], [180.0, 9.0]]], "EPSG:4326");
    for (frame, polygons) in [(raster, 1), (touched, 2)] {
        let placed = east.to_crs(&Crs::wgs84(), &frame, &Terms::default(), &Limits::default()).unwrap();
        assert_eq!(placed.polygons.len(), polygons);
    }
}

#[test]
fn what_reaches_beyond_the_raster_still_does() {
    // Cut, because it crosses the end of the map; beyond the raster on all sides.
    let raster = [19e6, 1e6, 1e4, 1e4];
    let wide = cutline(&[&[[100.0, -60.0], [250.0, -60.0], [250.0, 60.0], [100.0, 60.0]]], "EPSG:4326");
    let placed = place(&wide, "EPSG:3857", raster).unwrap();
    let (bounds, pixels) = (
        placed.bounds().unwrap(),
        frame(raster).transform.bounds(crate::grid::PixelRect::of(frame(raster).size)),
    );
    assert!(bounds.min_x < pixels.min_x && bounds.max_x > pixels.max_x, "{bounds:?}");
    assert!(bounds.min_y < pixels.min_y && bounds.max_y > pixels.max_y, "{bounds:?}");
}

#[test]
fn no_coordinate_panics_or_hangs() {
    let odd =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 1e-300, 539.9, -541.0, 90.000_1, 0.0];
    let rasters = [
        ("EPSG:4326", [-1e12, 1e12, 1e11, 1e11]),
        ("EPSG:3857", [19e6, 1e6, 1e4, 1e4]),
        ("EPSG:32633", [1e300, 1e300, 1e290, 1e290]),
        ("EPSG:3035", [0.0, 0.0, 1e-300, 1e-300]),
        (GOES, [6e6, 6e6, 1.0, 1.0]),
    ];
    let limits = Limits { vertices: 20_000, ..Limits::default() };
    for (raster, at) in rasters {
        for (from, step) in [("EPSG:4326", 3), ("EPSG:3031", 7)] {
            for (x, y) in odd.into_iter().zip(odd.into_iter().cycle().skip(step)) {
                let hostile =
                    cutline(&[&[[0.0, 0.0], [x, 1.0], [1.0, y]], &[[x, y], [5.0, 5.0], [y, x]]], from);
                match hostile.to_crs(&Crs::parse(raster).unwrap(), &frame(at), &Terms::default(), &limits) {
                    Ok(placed) => assert!(placed.vertices() <= limits.vertices),
                    Err(error) => {
                        assert!(matches!(error.kind(), ErrorKind::Usage | ErrorKind::Limit), "{error}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_placed_says_where_and_what_to_do() {
    // Beyond the end of web Mercator's own world, in the raster.
    let beyond: &[[f64; 2]] = &[[19e6, 0.0], [21e6, 0.0], [21e6, 1e6]];
    let error = place(&cutline(&[beyond], "EPSG:3857"), "EPSG:4326", [160.0, 10.0, 1.0, 1.0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("polygon 0") && error.to_string().contains("EPSG:3857"), "{error}");
}

#[track_caller]
fn check_tear(crs: &str, lat: (f64, f64), expected: Option<f64>) {
    let plane = Between::new(&Crs::wgs84(), &Crs::parse(crs).unwrap(), &Choice::ANY).unwrap();
    match (tear(&plane, lat), expected) {
        (Some(Tear { east_end, west_end }), Some(lon)) => {
            let off = (east_end - lon + 1.0).rem_euclid(360.0) - 1.0;
            // To within 1e-7 degrees a projector takes a place to be on the map.
            assert!(off.abs() < 1e-7 && (west_end - east_end).abs() < 2e-9, "{crs}: {east_end} {west_end}");
        }
        (found, expected) => assert!(found.is_none() && expected.is_none(), "{crs}: {found:?}"),
    }
}

/// Half a turn from the central meridian, by each projection's definition; none where the map is whole there.
#[test]
fn maps_are_torn_opposite_their_central_meridian() {
    check_tear("EPSG:3857", (-85.0, 85.0), Some(180.0));
    check_tear("EPSG:3832", (-40.0, 10.0), Some(-30.0));
    check_tear("EPSG:6933", (-90.0, 90.0), Some(180.0));
    check_tear("EPSG:8857", (-89.0, 89.0), Some(180.0));
    check_tear("EPSG:5070", (20.0, 60.0), Some(84.0));
    check_tear(MOLLWEIDE, (-89.0, 89.0), Some(180.0));
    check_tear("EPSG:3413", (40.0, 90.0), None);
    check_tear("EPSG:3035", (30.0, 70.0), None);
    check_tear("EPSG:32633", (40.0, 60.0), None);
}

#[test]
fn windows_avoid_the_tear() {
    let tear = Some(Tear { east_end: 180.0, west_end: 180.5 });
    for (lon, tear, expected) in [
        (None, tear, vec![(180.5 - 360.0, 180.0)]),
        (None, None, vec![(-170.0, 190.0 + 1e-6)]),
        (Some((10.0, 20.0)), tear, vec![(10.0, 20.0)]),
        (Some((170.0, 200.0)), tear, vec![(170.0, 180.0), (180.5 - 360.0, 200.0 - 360.0)]),
        (Some((-190.0, -170.0)), tear, vec![(170.0, 180.0), (-179.5, -170.0)]),
        (Some((510.0, 530.0)), None, vec![(150.0, 170.0)]),
    ] {
        let footprint = Footprint { lon, lat: (-1.0, 1.0), pixel: 0.1 };
        let mut got = windows(&footprint, tear, -170.0);
        for (west, _) in &mut got {
            *west = (*west * 1e9).round() / 1e9;
        }
        assert_eq!(got, expected, "{lon:?}");
    }
}

/// The places of a raster's corners by PROJ lie within what is taken for its surroundings, and these are not much more.
#[test]
fn surroundings_hold_the_raster() {
    let of = |crs: &str, at| {
        let plane = Between::new(&Crs::wgs84(), &Crs::parse(crs).unwrap(), &Choice::ANY).unwrap();
        Samples::new(&plane, &frame(at)).footprint(&plane).unwrap()
    };
    // UTM 33N: 12.005 to 18.0 degrees east, 45.1 to 47.9 north
    let utm = of("EPSG:32633", [264_523.0, 5_300_000.0, 11_000.0, 10_000.0]);
    let (west, east) = utm.lon.map(|(west, east)| (west - 360.0, east - 360.0)).unwrap();
    assert!((10.0..12.0).contains(&west) && (18.0..20.0).contains(&east), "{utm:?}");
    assert!((44.0..45.2).contains(&utm.lat.0) && (47.8..49.0).contains(&utm.lat.1), "{utm:?}");
    // Ten kilometres are 0.09 degrees of latitude.
    assert!((0.08..0.1).contains(&utm.pixel), "{utm:?}");
    let polar = of("EPSG:3413", [-4.07e6, 3.03e6, 0.2e6, 0.2e6]);
    assert!(polar.lon.is_none() && polar.lat.1 >= 90.0 && (20.0..45.0).contains(&polar.lat.0), "{polar:?}");
    let beside = of("EPSG:3413", [2e6, -2e6, 1e4, 1e4]);
    assert!(beside.lon.is_some() && beside.lat.1 < 75.0, "{beside:?}");
}
