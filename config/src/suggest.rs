//! The name that was probably meant. Silence is better than a bad guess, so only near names are suggested.

/// The one of `known` that is nearest to `name`, when it is near enough: one slip of the pen in a short word, three in a long one.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    if name.len() > 64 {
        return None;
    }
    let ranked = known.into_iter().map(|candidate| (distance(&name, candidate), candidate));
    ranked
        .filter(|(distance, candidate)| *distance <= slips(name.len().min(candidate.len())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many slips a word of so many letters may have.
fn slips(letters: usize) -> usize {
    match letters {
        0..4 => 1,
        4..9 => 2,
        _ => 3,
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
fn distance(from: &[char], to: &str) -> usize {
    let to: Vec<char> = to.chars().flat_map(char::to_lowercase).collect();
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = old[j] + usize::from(a != b);
            let mut best = replaced.min(old[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(older[j - 1] + 1);
            }
            row.push(best);
        }
        older = std::mem::replace(&mut old, row);
    }
    old[to.len()]
}

#[cfg(test)]
mod tests {
    use super::near;

    const FILTERS: [&str; 5] = ["date", "grok", "json", "kv", "mutate"];

    #[test]
    fn slips_are_recognised() {
        assert_eq!(near("mutat", FILTERS), Some("mutate"));
        assert_eq!(near("mtuate", FILTERS), Some("mutate"));
        assert_eq!(near("MUTATE", FILTERS), Some("mutate"));
        assert_eq!(near("grokk", FILTERS), Some("grok"));
    }

    #[test]
    fn other_words_are_not() {
        assert_eq!(near("elasticsearch", FILTERS), None);
        assert_eq!(near("xyz", FILTERS), None);
        assert_eq!(near("cluster", ["user"]), None);
        assert_eq!(near("SURICATA", ["URIPATH"]), None);
        assert_eq!(near("", FILTERS), None);
        assert_eq!(near(&"m".repeat(10_000), FILTERS), None);
    }
}
