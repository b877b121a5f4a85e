//! Parameters of map projections: by every name and code they go by, and what they are measured in.

use super::method::folded;

/// What a parameter is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Degrees, once understood.
    Angle,
    /// Metres, once understood.
    Length,
    /// A ratio or a choice.
    Number,
}

/// A parameter of the methods.
#[derive(Debug)]
pub(super) struct Parameter {
    /// What it is measured in.
    pub(super) kind: Kind,
    /// Its EPSG codes: several, because EPSG tells the natural origin from the false one and from a centre.
    pub(super) codes: &'static [u32],
    /// Its names in any dialect, as [`folded`] leaves them.
    pub(super) names: &'static [&'static str],
}

impl Parameter {
    /// Whether a name is one of its own.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.names.contains(&folded(name).as_str())
    }
}

/// What a method does with a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// Which.
    pub(super) parameter: &'static Parameter,
    /// Its key in a PROJ string; one that starts with `!` is the method's own business; empty: none.
    pub(super) key: &'static str,
    /// What it is when it is not given.
    pub(super) absent: Absent,
}

/// What a parameter is when it is not given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Absent {
    /// Without it the text is incomplete.
    Never,
    /// This value.
    Is(f64),
    /// The method decides.
    Decided,
    /// PROJ does not know it: it may be given, but only as this value.
    Only(f64),
}

pub(super) const fn required(parameter: &'static Parameter, key: &'static str) -> Term {
    Term { parameter, key, absent: Absent::Never }
}

pub(super) const fn usual(parameter: &'static Parameter, key: &'static str, value: f64) -> Term {
    Term { parameter, key, absent: Absent::Is(value) }
}

pub(super) const fn maybe(parameter: &'static Parameter, key: &'static str) -> Term {
    Term { parameter, key, absent: Absent::Decided }
}

pub(super) const fn neutral(parameter: &'static Parameter, value: f64) -> Term {
    Term { parameter, key: "", absent: Absent::Only(value) }
}

macro_rules! parameters {
    ($($name:ident: $kind:ident $codes:expr, $names:expr;)*) => {
        $(pub(super) static $name: Parameter = Parameter { kind: Kind::$kind, codes: &$codes, names: &$names };)*
    };
}

#[rustfmt::skip]
parameters! {
    LATITUDE: Angle [8801, 8811, 8821, 8834], ["latitudeofnaturalorigin", "latitudeofprojectioncentre", "latitudeoffalseorigin",
        "latitudeoftopocentricorigin", "latitudeoftopographicorigin", "latitudeoforigin", "latitudeofcenter", "latitudeofcentre", "centerlatitude", "centralparallel"];
    NATURAL_LATITUDE: Angle [8801], ["latitudeofnaturalorigin"];
    FALSE_LATITUDE: Angle [8821], ["latitudeoffalseorigin"];
    LONGITUDE: Angle [8802, 8812, 8822, 8833, 8835], ["longitudeofnaturalorigin", "longitudeofprojectioncentre", "longitudeoffalseorigin",
        "longitudeoforigin", "longitudeoftopocentricorigin", "longitudeoftopographicorigin", "longitudeofcenter", "longitudeofcentre", "centerlongitude", "centralmeridian"];
    PARALLEL_1: Angle [8823], ["latitudeof1ststandardparallel", "standardparallel1"];
    PARALLEL_2: Angle [8824], ["latitudeof2ndstandardparallel", "standardparallel2"];
    PARALLEL: Angle [8832], ["latitudeofstandardparallel"];
    SCALE: Number [8805, 8815, 8819], ["scalefactoratnaturalorigin", "scalefactoratprojectioncentre", "scalefactoronpseudostandardparallel",
        "scalefactoroninitialline", "scalefactor"];
    ELLIPSOID_SCALE: Number [1038], ["ellipsoidscalingfactor", "ellipsoidscalefactor"];
    EASTING: Length [8806, 8816, 8826], ["falseeasting", "eastingatprojectioncentre", "eastingatfalseorigin"];
    NORTHING: Length [8807, 8817, 8827], ["falsenorthing", "northingatprojectioncentre", "northingatfalseorigin"];
    AZIMUTH: Angle [8813], ["azimuthatprojectioncentre", "azimuthofinitialline", "azimuth"];
    GRID_ANGLE: Angle [8814], ["anglefromrectifiedtoskewgrid", "rectifiedgridangle"];
    PLANE_ROTATION: Angle [], ["xyplanerotation"];
    COLATITUDE: Angle [1036], ["colatitudeofconeaxis", "azimuth"];
    PSEUDO_PARALLEL: Angle [8818], ["latitudeofpseudostandardparallel", "pseudostandardparallel1"];
    X_SCALE: Number [], ["xscale"];
    Y_SCALE: Number [], ["yscale"];
    HEIGHT: Length [8840], ["satelliteheight", "viewpointheight", "height"];
    PLANE_HEIGHT: Length [1039], ["projectionplaneoriginheight", "height"];
    LATITUDE_1: Angle [], ["latitudeof1stpoint", "latitudeofpoint1"];
    LONGITUDE_1: Angle [], ["longitudeof1stpoint", "longitudeofpoint1"];
    LATITUDE_2: Angle [], ["latitudeof2ndpoint", "latitudeofpoint2"];
    LONGITUDE_2: Angle [], ["longitudeof2ndpoint", "longitudeofpoint2"];
    OPTION: Number [], ["option"];
    SPHERE_TYPE: Number [], ["auxiliaryspheretype"];
}
