//! The filters of a plan as the file has them, in their `if`s: for whoever shows a pipeline and not only a list.

use super::{PlacedFilter, Plan, Step};

/// A line of the outline.
pub struct Outlined<'a> {
    /// How deep it stands in `if`s.
    pub depth: usize,
    /// What stands there.
    pub what: Outline<'a>,
}

/// What stands on a line of the outline.
pub enum Outline<'a> {
    /// The filter with this number.
    Filter(usize, &'a PlacedFilter),
    /// `if`, `else if` or `else`, and the condition on one line.
    Condition(&'static str, String),
}

impl Plan {
    /// Its filters and the conditions around them, in the order of the file. An `else` without filters is not there.
    pub fn outline(&self) -> Vec<Outlined<'_>> {
        let mut lines = Vec::new();
        self.outline_of(&self.steps, 0, &mut lines);
        lines
    }

    fn outline_of<'a>(&'a self, steps: &'a [Step], depth: usize, lines: &mut Vec<Outlined<'a>>) {
        for step in steps {
            match step {
                Step::Plugin(at) => lines.push(Outlined { depth, what: Outline::Filter(*at, &self.filters[*at]) }),
                Step::Branch { arms, otherwise } => {
                    for (number, arm) in arms.iter().enumerate() {
                        let word = if number == 0 { "if" } else { "else if" };
                        lines.push(Outlined { depth, what: Outline::Condition(word, on_one_line(&arm.written)) });
                        self.outline_of(&arm.body, depth + 1, lines);
                    }
                    if !otherwise.is_empty() {
                        lines.push(Outlined { depth, what: Outline::Condition("else", String::new()) });
                        self.outline_of(otherwise, depth + 1, lines);
                    }
                }
            }
        }
    }
}

fn on_one_line(written: &str) -> String {
    written.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan;
    use super::*;

    #[test]
    fn filters_stand_in_their_conditions_in_the_order_of_the_file() {
        let plan = plan(
            "filter { mutate { } if [a]\n  == 1 { drop { } } else if [b] { if [c] { json { source => text } } } else { mutate { id => last } } }",
        );
        let lines = plan.outline().into_iter().map(|line| {
            let text = match line.what {
                Outline::Filter(at, filter) => format!("{at} {}", filter.id),
                Outline::Condition(word, written) => format!("{word} {written}"),
            };
            format!("{}{text}", "  ".repeat(line.depth))
        });
        let expected =
            ["0 mutate-1", "if [a] == 1", "  1 drop-2", "else if [b]", "  if [c]", "    2 json-3", "else ", "  3 last"];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    }
}
