//! Conditions on properties, as `--where` takes them.

use std::sync::Arc;

use super::Value;

/// Conditions, all of which must hold. Empty, it lets everything pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {}

impl Filter {
    /// Whether there is no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Names of the properties that the conditions speak of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// Whether all conditions hold.
    #[must_use]
    pub fn holds(&self, _properties: &[(Arc<str>, Value)]) -> bool {
        true
    }
}
