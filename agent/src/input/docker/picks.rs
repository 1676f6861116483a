//! Which of its lines a container wants to have sent: its hints `include_lines` and `exclude_lines`, lists of patterns with commas between, as Filebeat has them.
//!
//! What it promises: with `include_lines` only lines are sent that one of its patterns matches, and of these none that one of `exclude_lines` does. A container is
//! not trusted with the host's time: a line for which its patterns together cost too much stays in.

use std::sync::Arc;

use elkhound_pipeline::regex::{Budget, Flags, Regex, Scratch};

use super::patience::Patience;

/// What all patterns may cost for a line.
const BUDGET: Budget = Budget::from_millis(20);

/// The most patterns of a list.
const PATTERNS: usize = 32;

/// The patterns of one container.
#[derive(Debug)]
pub(crate) struct Picks {
    container: Arc<str>,
    include: Vec<Regex>,
    exclude: Vec<Regex>,
}

/// Picks lines of one log.
pub(crate) struct Picker {
    picks: Arc<Picks>,
    scratch: Scratch,
    patience: Patience,
}

impl Picks {
    /// Those of the lists `include` and `exclude`, if there are any.
    ///
    /// # Errors
    /// The name of the list that can't be read, and why.
    pub(crate) fn of(
        container: &str,
        include: Option<&str>,
        exclude: Option<&str>,
    ) -> Result<Option<Self>, (&'static str, String)> {
        let patterns = |name, list| patterns(list).map_err(|reason| (name, reason));
        let (include, exclude) = (patterns("include_lines", include)?, patterns("exclude_lines", exclude)?);
        let picks = Self { container: container.into(), include, exclude };
        Ok(Some(picks).filter(|picks| !(picks.include.is_empty() && picks.exclude.is_empty())))
    }

    /// Whether the line is to be sent.
    fn take(&self, line: &str, scratch: &mut Scratch) -> bool {
        let allowance = BUDGET.start(scratch);
        let mut any = |patterns: &[Regex], undecided| {
            patterns.iter().any(|pattern| {
                let left = allowance.left(scratch);
                pattern.is_match(line, scratch, left).unwrap_or(undecided)
            })
        };
        (self.include.is_empty() || any(&self.include, true)) && !any(&self.exclude, false)
    }
}

impl Picker {
    /// Picks as the container wants it.
    pub(crate) fn new(picks: Arc<Picks>) -> Self {
        let patience = Patience::new(Arc::clone(&picks.container));
        Self { picks, scratch: Scratch::default(), patience }
    }

    /// Whether the line is to be sent.
    pub(crate) fn takes(&mut self, line: &str) -> bool {
        self.patience.with(line.len(), &mut self.scratch, |scratch| self.picks.take(line, scratch)).unwrap_or(true)
    }
}

fn patterns(list: Option<&str>) -> Result<Vec<Regex>, String> {
    let written = list.into_iter().flat_map(|list| list.split(',')).map(str::trim).filter(|text| !text.is_empty());
    let mut patterns = Vec::new();
    for pattern in written {
        if patterns.len() == PATTERNS {
            return Err(format!("more than {PATTERNS} patterns"));
        }
        patterns.push(Regex::new(pattern, Flags::default()).map_err(|error| error.to_string())?);
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken<'a>(include: Option<&str>, exclude: Option<&str>, lines: &[&'a str]) -> Vec<&'a str> {
        let picks = Picks::of("web", include, exclude).unwrap().unwrap();
        let mut scratch = Scratch::default();
        lines.iter().copied().filter(|line| picks.take(line, &mut scratch)).collect()
    }

    #[test]
    fn lines_are_included_first_and_then_excluded() {
        let lines = ["ERR one", "WARN two", "DBG three", "ERR known"];
        assert_eq!(taken(Some("^ERR, ^WARN"), None, &lines), ["ERR one", "WARN two", "ERR known"]);
        assert_eq!(taken(None, Some("^DBG"), &lines), ["ERR one", "WARN two", "ERR known"]);
        assert_eq!(taken(Some("^ERR,^WARN"), Some("known$"), &lines), ["ERR one", "WARN two"]);
    }

    #[test]
    fn a_pattern_that_costs_too_much_leaves_the_line_in() {
        let costly = format!("{}!", "a".repeat(4000));
        let hard = r"^(a|aa)+\1*$";
        let kept = taken(None, Some(hard), &[&costly]).len() + taken(Some(hard), None, &[&costly]).len();
        assert_eq!(kept, 2);
    }

    #[test]
    fn many_patterns_cost_a_line_no_more_than_one() {
        let costly = format!("{}!", "a".repeat(4000));
        let all = vec![r"^(a|aa)+\1*$"; PATTERNS].join(",");
        let picks = Picks::of("web", None, Some(&all)).unwrap().unwrap();
        let mut scratch = Scratch::default();
        let twice = Budget::from_millis(40).start(&scratch);
        assert!(picks.take(&costly, &mut scratch));
        let (little, left) = (Regex::new("^(a|aa)+$", Flags::default()).unwrap(), twice.left(&scratch));
        assert_eq!(little.is_match("ab", &mut scratch, left), Ok(false), "less than 40 ms were spent");
    }

    #[test]
    fn what_can_not_be_read_is_told_with_its_list() {
        assert!(Picks::of("web", None, Some(" , ")).unwrap().is_none());
        assert_eq!(Picks::of("web", Some("("), None).unwrap_err().0, "include_lines");
        let many = vec!["x"; PATTERNS + 1].join(",");
        assert_eq!(
            Picks::of("web", None, Some(&many)).unwrap_err(),
            ("exclude_lines", "more than 32 patterns".to_owned())
        );
    }
}
