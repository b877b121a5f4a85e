//! Steps between datums.

/// How coordinates came from one CRS to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What it is called.
    pub name: String,
    /// By how many metres it may be wrong; `None` when that is not known.
    pub accuracy: Option<f64>,
}
