//! Projections that proj4rs lacks or gets wrong, by formulas of our own.
//!
//! Sources: EPSG Guidance Note 7-2 for equidistant cylindrical (method 1028) and Colombia Urban (method 1052); Snyder, "Map
//! Projections: A Working Manual", for Mollweide; Karney, "Transverse Mercator with an accuracy of a few nanometers", for
//! the arc of the meridian.

use std::f64::consts::{FRAC_PI_2, PI, SQRT_2, TAU};

use super::epsg::Ellipsoid;

/// A projection with its frame: longitudes and latitudes of Greenwich in radians to the plane's unit.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    formula: Formula,
    ellipsoid: Ellipsoid,
    /// Radians: that of the origin, from Greenwich.
    lon_0: f64,
    /// Metres.
    false_origin: [f64; 2],
    pub(super) to_metre: f64,
}

#[derive(Clone, Debug)]
enum Formula {
    /// Metres of an arc of the parallel that is true to scale, per radian; metres of the meridian's arc to the origin.
    EquidistantCylindrical {
        across: f64,
        origin: f64,
    },
    Mollweide,
    ColombiaUrban {
        lat_0: f64,
        height: f64,
    },
}

impl Plane {
    /// The plane of a PROJ string's parameters, without their `+`; `None` when it is not one of these.
    pub(super) fn new(tokens: &[&str], ellipsoid: Ellipsoid, to_metre: f64) -> Option<Self> {
        let value = |name: &str| {
            let find = |token: &&str| {
                token.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
            };
            tokens.iter().find_map(find)
        };
        let number = |name: &str| match value(name) {
            Some(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()),
            None => Some(0.0),
        };
        let known = |names: &[&str]| {
            tokens.iter().all(|token| {
                let key = token.split('=').next().unwrap_or_default();
                let frame = [
                    "proj", "lon_0", "x_0", "y_0", "a", "b", "rf", "f", "R", "ellps", "units", "to_meter",
                    "pm",
                ];
                let silent = ["no_defs", "type", "wktext"];
                frame.contains(&key) || silent.contains(&key) || names.contains(&key)
            })
        };
        let formula = match value("proj")?.as_str() {
            "eqc" if known(&["lat_ts", "lat_0"]) => {
                let true_scale = number("lat_ts")?.to_radians();
                Formula::EquidistantCylindrical {
                    across: prime_vertical(&ellipsoid, true_scale) * true_scale.cos(),
                    origin: Meridian::new(&ellipsoid).arc(number("lat_0")?.to_radians()),
                }
            }
            "moll" if known(&[]) => Formula::Mollweide,
            "col_urban" if known(&["lat_0", "h_0"]) => {
                Formula::ColombiaUrban { lat_0: number("lat_0")?.to_radians(), height: number("h_0")? }
            }
            _ => return None,
        };
        let lon_0 = (number("lon_0")? + number("pm")?).to_radians();
        Some(Self { formula, ellipsoid, lon_0, false_origin: [number("x_0")?, number("y_0")?], to_metre })
    }

    /// A place in the plane; `None` where it has none.
    pub(super) fn forward(&self, [lon, lat]: [f64; 2]) -> Option<[f64; 2]> {
        if !lon.is_finite() || lat.is_nan() || lat.abs() > FRAC_PI_2 + 1e-12 {
            return None;
        }
        let turned = lon - self.lon_0;
        // Both edges of the map keep their side.
        let east = if turned.abs() <= PI + 1e-9 { turned } else { turned - (turned / TAU).round() * TAU };
        let a = self.ellipsoid.a;
        let [x, y] = match self.formula {
            Formula::EquidistantCylindrical { across, origin } => {
                [across * east, Meridian::new(&self.ellipsoid).arc(lat) - origin]
            }
            Formula::Mollweide => {
                let half = mollweide_angle(lat.abs()) / 2.0;
                [a * 2.0 * SQRT_2 / PI * east * half.sin(), a * SQRT_2 * half.cos() * lat.signum()]
            }
            Formula::ColombiaUrban { lat_0, height } => {
                let es = squared_eccentricity(&self.ellipsoid);
                let radius = meridional_radius(&self.ellipsoid, lat_0);
                let nu_0 = prime_vertical(&self.ellipsoid, lat_0);
                let across = east * prime_vertical(&self.ellipsoid, lat) * lat.cos();
                let middle = f64::midpoint(lat, lat_0).sin();
                let growth = 1.0 + height / (a * (1.0 - es) / (1.0 - es * middle * middle).powf(1.5));
                let bend = lat_0.tan() / (2.0 * radius * nu_0);
                [(1.0 + height / nu_0) * across, growth * radius * ((lat - lat_0) + bend * across * across)]
            }
        };
        Some([(x + self.false_origin[0]) / self.to_metre, (y + self.false_origin[1]) / self.to_metre])
    }

    /// The longitude and latitude of a place in the plane; `None` outside it.
    pub(super) fn inverse(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let [x, y] = [x * self.to_metre - self.false_origin[0], y * self.to_metre - self.false_origin[1]];
        let a = self.ellipsoid.a;
        let [east, lat] = match self.formula {
            Formula::EquidistantCylindrical { across, origin } => {
                [x / across, Meridian::new(&self.ellipsoid).latitude(y + origin)]
            }
            Formula::Mollweide => {
                let height = y.abs() / (a * SQRT_2);
                // A micrometre above the pole is rounding.
                if height > 1.0 + 1e-13 {
                    return None;
                }
                let angle = 2.0 * height.min(1.0).acos();
                let lat = FRAC_PI_2 - 2.0 * ((angle - angle.sin()) / TAU).sqrt().min(1.0).asin();
                let width = a * 2.0 * SQRT_2 / PI * (angle / 2.0).sin();
                [if x == 0.0 { 0.0 } else { x / width }, lat * y.signum()]
            }
            Formula::ColombiaUrban { lat_0, height } => {
                let es = squared_eccentricity(&self.ellipsoid);
                let radius = meridional_radius(&self.ellipsoid, lat_0);
                let bend = lat_0.tan() / (2.0 * radius * prime_vertical(&self.ellipsoid, lat_0));
                let scale = 1.0 + height / a;
                let lat =
                    lat_0 + y / (radius * (1.0 + height / (a * (1.0 - es)))) - bend * (x / scale).powi(2);
                [x / (scale * prime_vertical(&self.ellipsoid, lat) * lat.cos()), lat]
            }
        };
        // A hundredth of a second beyond the edge is rounding; so it is at the poles.
        let is_within = east.abs() <= PI + 5e-8 && lat.abs() <= FRAC_PI_2 + 5e-8;
        is_within.then(|| [east + self.lon_0, lat.clamp(-FRAC_PI_2, FRAC_PI_2)])
    }
}

/// The angle v from the pole for which v - sin v = pi (1 - sin lat): twice the complement of Snyder's theta.
fn mollweide_angle(lat: f64) -> f64 {
    let target = TAU * ((FRAC_PI_2 - lat) / 2.0).sin().powi(2);
    let mut angle = (6.0 * target).cbrt();
    if target <= 0.0 {
        return 0.0;
    }
    // Newton's method: after the first step from the right side of a convex function's root.
    for _ in 0..20 {
        let step = (angle - angle.sin() - target) / (1.0 - angle.cos());
        angle -= step;
        if step.abs() < 1e-15 {
            break;
        }
    }
    angle
}

fn squared_eccentricity(ellipsoid: &Ellipsoid) -> f64 {
    1.0 - (ellipsoid.b * ellipsoid.b) / (ellipsoid.a * ellipsoid.a)
}

fn prime_vertical(ellipsoid: &Ellipsoid, lat: f64) -> f64 {
    let sin = lat.sin();
    ellipsoid.a / (1.0 - squared_eccentricity(ellipsoid) * sin * sin).sqrt()
}

fn meridional_radius(ellipsoid: &Ellipsoid, lat: f64) -> f64 {
    let (es, sin) = (squared_eccentricity(ellipsoid), lat.sin());
    ellipsoid.a * (1.0 - es) / (1.0 - es * sin * sin).powf(1.5)
}

/// The meridian's arc by series in the third flattening n, to its fourth power: what is left out is below a micrometre.
struct Meridian {
    /// Metres of the arc per radian of rectifying latitude.
    radius: f64,
    forward: [f64; 4],
    inverse: [f64; 4],
}

impl Meridian {
    fn new(ellipsoid: &Ellipsoid) -> Self {
        let n = (ellipsoid.a - ellipsoid.b) / (ellipsoid.a + ellipsoid.b);
        let [n2, n3, n4] = [n.powi(2), n.powi(3), n.powi(4)];
        Self {
            radius: ellipsoid.a / (1.0 + n) * (1.0 + n2 / 4.0 + n4 / 64.0),
            forward: [
                -3.0 / 2.0 * n + 9.0 / 16.0 * n3,
                15.0 / 16.0 * n2 - 15.0 / 32.0 * n4,
                -35.0 / 48.0 * n3,
                315.0 / 512.0 * n4,
            ],
            inverse: [
                3.0 / 2.0 * n - 27.0 / 32.0 * n3,
                21.0 / 16.0 * n2 - 55.0 / 32.0 * n4,
                151.0 / 96.0 * n3,
                1097.0 / 512.0 * n4,
            ],
        }
    }

    fn arc(&self, lat: f64) -> f64 {
        self.radius * sum(lat, &self.forward)
    }

    fn latitude(&self, arc: f64) -> f64 {
        sum(arc / self.radius, &self.inverse)
    }
}

/// `angle` and the sines of its even multiples.
fn sum(angle: f64, coefficients: &[f64; 4]) -> f64 {
    let [c2, c4, c6, c8] = coefficients;
    angle
        + c2 * (2.0 * angle).sin()
        + c4 * (4.0 * angle).sin()
        + c6 * (6.0 * angle).sin()
        + c8 * (8.0 * angle).sin()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WGS84: Ellipsoid = Ellipsoid { a: 6_378_137.0, b: 6_356_752.314_245_179, inverse_flattening: None };

    fn sphere(radius: f64) -> Ellipsoid {
        Ellipsoid { a: radius, b: radius, inverse_flattening: None }
    }

    /// Expected: PROJ 9.8.1.
    #[test]
    fn places_are_where_proj_has_them_both_ways() {
        #[track_caller]
        fn check(proj: &str, ellipsoid: Ellipsoid, to_metre: f64, [lon, lat]: [f64; 2], expected: [f64; 2]) {
            let tokens: Vec<&str> = proj.split(' ').collect();
            let plane = Plane::new(&tokens, ellipsoid, to_metre).unwrap();
            let got = plane.forward([lon.to_radians(), lat.to_radians()]).unwrap();
            let off = (got[0] - expected[0]).hypot(got[1] - expected[1]);
            // PROJ ends Mollweide's iteration at 1e-7 radians.
            assert!(off < 1e-4, "{got:?}: {off}");
            let back = plane.inverse(expected).unwrap();
            let east = (back[0] - lon.to_radians()) / TAU;
            let off =
                ((east - east.round()) * TAU * lat.to_radians().cos()).hypot(back[1] - lat.to_radians());
            // Colombia Urban's inverse is an approximation, also EPSG's: 0.7 mm here, 25 km from the origin.
            let allowed = if proj.contains("col_urban") { 1e-3 } else { 1e-5 };
            assert!(off * 6_378_137.0 < allowed, "{back:?}: {off}");
        }
        let arc = "proj=eqc lat_ts=22.94791772";
        check(arc, WGS84, 1.0, [12.5, 41.25], [1_282_022.841_984_477_6, 4_568_337.372_499_878_5]);
        check(arc, WGS84, 1.0, [-179.9, -89.5], [-18_450_872.741_840_6, -9_946_118.753_864_447]);
        check(
            "proj=eqc R=6371000 lat_ts=45",
            sphere(6_371_000.0),
            1.0,
            [12.5, 41.25],
            [982_833.583_298_852_4, 4_586_790.724_088_048],
        );
        let feet = "proj=eqc lat_ts=30 lat_0=10 lon_0=20 x_0=1000 y_0=-500 units=us-ft";
        let grs80 = Ellipsoid { b: 6_356_752.314_140_356, ..WGS84 };
        check(
            feet,
            grs80,
            1200.0 / 3937.0,
            [12.5, 41.25],
            [-2_370_884.700_100_028_4, 11_358_187.713_978_838],
        );
        check("proj=moll", WGS84, 1.0, [12.5, 41.25], [1_049_230.201_451_631_5, 4_928_634.274_406_257]);
        check("proj=moll", WGS84, 1.0, [-100.0, 89.9], [-153_438.639_845_145_17, 9_018_990.687_123_366]);
        check("proj=moll", WGS84, 1.0, [30.0, 0.0], [3_006_682.616_024_548, 0.0]);
        let modis = sphere(6_371_007.181);
        check(
            "proj=moll lon_0=150",
            modis,
            1.0,
            [-170.0, 60.0],
            [2_591_355.725_756_666_4, 6_869_071.788_283_026],
        );
        let bogota = "proj=col_urban lat_0=4.68048611111111 lon_0=-74.1465916666667 x_0=92334.879 y_0=109320.965 h_0=2550";
        check(bogota, grs80, 1.0, [-74.0, 4.9], [108_600.646_808_477_93, 133_606.644_284_033_1]);
    }

    #[test]
    fn what_is_outside_has_no_place() {
        let plane = |proj: &str| Plane::new(&proj.split(' ').collect::<Vec<_>>(), WGS84, 1.0);
        let mollweide = plane("proj=moll").unwrap();
        for [x, y] in [[0.0, 9.1e6], [1.81e7, 0.0], [1.7e7, 5e6], [f64::NAN, 0.0], [0.0, f64::INFINITY]] {
            assert_eq!(mollweide.inverse([x, y]), None, "{x} {y}");
        }
        assert_eq!(mollweide.forward([0.0, 1.6]), None);
        assert!(mollweide.forward([0.0, FRAC_PI_2]).is_some(), "the poles are points");
        assert_eq!(plane("proj=eqc").unwrap().inverse([0.0, 1.01e7]), None);
        // What is not understood is not guessed at.
        for proj in ["proj=merc", "proj=eqc axis=wsu", "proj=eqc lat_ts=x", "proj=eqc lat_ts=inf", "lon_0=1"]
        {
            assert!(plane(proj).is_none(), "{proj}");
        }
    }
}
