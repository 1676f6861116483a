//! In which order files are read.

use std::cmp::Ordering;

use super::watched::Watched;

/// By what files are sorted, and which comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sorting {
    /// By their paths; otherwise by the time of their last change.
    pub(super) by_path: bool,
    /// The largest, or latest, first.
    pub(super) descending: bool,
}

/// Sorts files.
pub(super) fn sort(watched: &mut [Watched], sorting: Sorting) {
    watched.sort_by(|a, b| {
        let ordering = if sorting.by_path { Ordering::Equal } else { a.modified.cmp(&b.modified) };
        let ordering = ordering.then_with(|| a.path.cmp(&b.path));
        if sorting.descending { ordering.reverse() } else { ordering }
    });
}
