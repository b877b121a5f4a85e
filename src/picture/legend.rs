//! What the colours mean, and how many tiles and bytes each stands for: the same rows for a drawing and for a page.

use super::scene::Scene;
use crate::plan::{Fate, Tally};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The class of the rectangles that it explains.
    pub(super) class: &'static str,
    /// The name in a person's words.
    pub(super) label: &'static str,
    /// What it means.
    pub(super) meaning: &'static str,
    pub(super) tally: Tally,
}

/// The name of a fate in a person's words.
pub(super) fn label(fate: Fate) -> &'static str {
    match fate {
        Fate::Skipped => "skipped",
        Fate::Copied => "passed through",
        Fate::Whole => "kept whole",
        Fate::Masked => "masked",
    }
}

fn meaning(fate: Fate) -> &'static str {
    match fate {
        Fate::Skipped => "no pixel is kept: never fetched",
        Fate::Copied => "every pixel is kept: copied as compressed",
        Fate::Whole => "every pixel is kept: decoded, none masked",
        Fate::Masked => "decoded, some pixels masked",
    }
}

/// A row for every fate.
pub(super) fn entries(scene: &Scene<'_>) -> Vec<Entry> {
    let tallies = scene.tallies();
    let entry = |fate: Fate| Entry {
        class: fate.name(),
        label: label(fate),
        meaning: meaning(fate),
        tally: tallies.of(fate),
    };
    Fate::ALL.into_iter().map(entry).collect()
}
