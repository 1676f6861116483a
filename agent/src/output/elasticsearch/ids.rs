//! What tells apart the ids that several outputs of a pipeline make for one event.
//!
//! An event's identity is the `_id` of its document. Two outputs that write it to the same index would have one document between them, and the
//! second would be told that it is there already. So an output whose index may be that of an earlier one puts its number behind the id: `.o2`.
//!
//! The first output has ids without a number, and so has each whose index is certainly another one, as `audit-%{+YYYY}` is beside `logs-%{+YYYY}`: what
//! stands before the first reference differs. Ids stay the same over restarts and over edits that leave the order of such outputs as it is.
//! After one that changes it, lines that were in flight may be indexed a second time, under the other number; none is lost.

use std::sync::Mutex;

/// The indices that outputs of a pipeline write to, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Claims(Mutex<Vec<Claim>>);

#[derive(Debug)]
struct Claim {
    /// What the name of the index begins with.
    beginning: String,
    /// Whether that is all of it.
    whole: bool,
    number: usize,
}

impl Claims {
    /// Notes an output whose index is called `name`, with references; what it has to put behind its ids.
    pub(crate) fn suffix(&self, name: &str) -> String {
        let (beginning, whole) = name.split_once("%{").map_or((name, true), |(beginning, _)| (beginning, false));
        let mut claim = Claim { beginning: beginning.to_owned(), whole, number: 1 };
        let mut claims = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = claims.iter().filter(|other| other.may_be(&claim)).map(|other| other.number).max();
        claim.number = before.map_or(1, |number| number + 1);
        let number = claim.number;
        claims.push(claim);
        if number == 1 { String::new() } else { format!(".o{number}") }
    }
}

impl Claim {
    /// Whether both may be the same index.
    fn may_be(&self, other: &Self) -> bool {
        let fits = |whole: &Self, part: &Self| whole.beginning.starts_with(&part.beginning);
        match (self.whole, other.whole) {
            (true, true) => self.beginning == other.beginning,
            (true, false) => fits(self, other),
            (false, true) => fits(other, self),
            (false, false) => fits(self, other) || fits(other, self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suffixes(names: &[&str]) -> Vec<String> {
        let claims = Claims::default();
        names.iter().map(|name| claims.suffix(name)).collect()
    }

    #[test]
    fn only_outputs_that_may_write_to_one_index_have_numbers() {
        assert_eq!(suffixes(&["logs-%{+YYYY}", "audit-%{+YYYY}", "logs"]), ["", "", ""]);
        assert_eq!(suffixes(&["logs", "logs", "logs"]), ["", ".o2", ".o3"]);
        assert_eq!(suffixes(&["logs-web", "logs-%{app}", "logs-%{+YYYY}", "%{x}"]), ["", ".o2", ".o3", ".o4"]);
    }

    #[test]
    fn two_that_may_be_the_same_never_have_the_same_number() {
        // The third may be the second, though it can't be the first.
        assert_eq!(suffixes(&["a", "%{f}", "b", "a"]), ["", ".o2", ".o3", ".o3"]);
    }
}
