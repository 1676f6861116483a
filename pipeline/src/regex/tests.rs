//! The engine as a whole: construct by construct, against the `regex` crate, and against the clock of steps.

mod oracle;

use oracle::Oracle;

use super::exec::memo::WAIT;
use super::{Budget, Flags, Regex, Replacement, Scratch, parse};

const GROK: Flags = Flags { multiline: true, ignore_case: false, extended: false };

fn compiled(pattern: &str, flags: Flags) -> Regex {
    Regex::new(pattern, flags).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

fn gsub(pattern: &str, text: &str, replacement: &str) -> String {
    let regex = compiled(pattern, Flags::default());
    let replacement = Replacement::parse(replacement);
    let replaced = regex.replace_all(text, &replacement, &mut Scratch::new(), Budget::from_millis(500)).unwrap();
    replaced.unwrap_or_else(|| text.to_owned())
}

/// Group 0 and the others of the first match, joined with `|`, `-` for a group that took no part.
fn groups(pattern: &str, text: &str) -> String {
    let regex = compiled(pattern, GROK);
    let mut scratch = Scratch::new();
    if !regex.captures_at(text, 0, &mut scratch, Budget::from_millis(500)).unwrap() {
        return "no".into();
    }
    let shown = |i| scratch.group(i).map_or("-", |(start, end)| &text[start..end]);
    (0..regex.group_count()).map(shown).collect::<Vec<_>>().join("|")
}

#[test]
fn classes_shorthands_and_boundaries() {
    let cases = [
        ("\\w", "aé_9 ż", "WéWW ż"),
        ("\\W", "aé ż", "aWWW"),
        ("\\d", "12 ٣ ४", "WW ٣ ४"),
        ("(?u)\\d", "12 ٣ ४", "WW W W"),
        ("\\s", "a\u{a0}b\u{b}c d", "a\u{a0}bWcWd"),
        ("\\b", "aé bż-c 日本", "WaéW WbżW-WcW W日本W"),
        ("\\B", "aé", "aWé"),
        ("\\h+", "09afAFgG", "WgG"),
        ("\\H", "0g", "0W"),
        ("\\R", "a\r\nb\nc\rd\u{2028}e", "aWbWcWdWe"),
        ("\\X", "e\u{301}👨\u{200d}👩\u{200d}👧a🇩🇪각", "WWWWW"),
        ("[[:alpha:]]+", "abc żółć 12", "W W 12"),
        ("(?a)[[:alpha:]]+", "abcż", "Wż"),
        ("[[:^alpha:]]+", "ab12cd", "abWcd"),
        ("[[:punct:]]", "a!$+<=>^`|~¿é.", "aWWWWWWWWWWWéW"),
        ("[[:word:]]+", "é_1-", "W-"),
        ("\\p{L}", "aż1_日", "WW1_W"),
        ("\\p{^L}", "aż1", "ażW"),
        ("\\P{L}", "aż1", "ażW"),
        ("\\p{Cyrillic}+|\\p{Greek}+", "abc где αβγ", "abc W W"),
        ("[a[bc]]", "abcd", "WWWd"),
        ("[a-z&&[^aeiou]]", "abcde", "aWWWe"),
        ("[^a-y&&[a-z]]", "az!", "aWW"),
        ("[a-]", "a-b", "WWb"),
        ("[]a]", "]ab", "WWb"),
        ("[^]a]", "]ab", "]aW"),
        ("[^\\w]", "aé-", "aWW"),
        ("[\\w-]+", "a-b c", "W W"),
        ("[\\]\\-\\\\]", "]-\\a", "WWWa"),
        ("[é-ż]", "aéżž", "aWWž"),
        ("[\\b]", "a\u{8}", "aW"),
        (".", "a\nb", "W\nW"),
        ("(?m).", "a\nb", "WWW"),
    ];
    for (pattern, text, wanted) in cases {
        assert_eq!(gsub(pattern, text, "W"), wanted, "{pattern}");
    }
}

#[test]
fn escapes() {
    let cases = [
        ("\\x41\\u0042\\u{43}", "ABC", "W"),
        ("\\u{1F680 41}", "🚀A", "W"),
        ("\\xC3\\xA9", "é", "W"),
        ("\\101\\0", "A\0", "W"),
        ("\\cA\\t\\v\\f\\a\\e\\C-b", "\u{1}\t\u{b}\u{c}\u{7}\u{1b}\u{2}", "W"),
        ("\\y\\q\\/", "yq/", "W"),
        ("\\Qa.b\\E", "a.b QaxbE", "a.b W"),
        ("x{,}y{z}{", "x{,}y{z}{", "W"),
        ("a(?#note \\) )b", "ab", "W"),
        ("(?x) a \\s b [ ] # tail\n c", "a b c", "W"),
        ("(?x: a b )c d", "abc d", "W"),
    ];
    for (pattern, text, wanted) in cases {
        assert_eq!(gsub(pattern, text, "W"), wanted, "{pattern}");
    }
}

#[test]
fn case_is_ignored_by_simple_folding_and_sharp_s() {
    let cases = [
        ("(?i)straße", "STRASSE straße STRAßE", "W W W"),
        ("(?i)strasse", "STRASSE straße", "W W"),
        ("(?i)k", "K k \u{212a}", "W W W"),
        ("(?i:a)b", "ab Ab aB", "W W aB"),
        ("(?i)a(?-i)b", "ab Ab aB", "W W aB"),
        ("x(?i)y|z", "xY xZ Z", "W W Z"),
        ("(?i)[a-c]+", "aBC", "W"),
        ("(?i)[^a]", "aAb", "aAW"),
        ("(?i)żółw", "ŻÓŁW", "W"),
        ("(?i)(a)\\1", "aA", "W"),
    ];
    for (pattern, text, wanted) in cases {
        assert_eq!(gsub(pattern, text, "W"), wanted, "{pattern}");
    }
}

#[test]
fn anchors_and_lines() {
    let cases = [
        ("^a", "a\nba\na", "W\nba\nW"),
        ("a$", "a\nab\na", "W\nab\nW"),
        ("$", "a\nb\n", "aW\nbW\nW"),
        ("^", "a\nb\n", "Wa\nWb\n"),
        ("\\Aa|a\\z", "a\na\na", "W\na\nW"),
        ("a\\Z", "a\na\n", "a\nW\n"),
        ("\\Ga", "aab a", "WWb a"),
        ("a\\Kb", "ab b", "aW b"),
        ("x*", "abc", "WaWbWcW"),
        ("b*", "abc", "WaWWcW"),
        ("é*", "aé日", "WaWW日W"),
    ];
    for (pattern, text, wanted) in cases {
        assert_eq!(gsub(pattern, text, "W"), wanted, "{pattern}");
    }
}

#[test]
fn quantifiers() {
    let cases = [
        ("^(a{,2})", "aaa", "aa|aa"),
        ("^(a{2}+)", "aaaaa", "aaaa|aaaa"),
        ("^(a{2}?)b?", "aab", "aab|aa"),
        ("(a+?)(a*)", "aaa", "aaa|a|aa"),
        ("<(.*?)>", "<a><b>", "<a>|a"),
        ("(a{2,3}?)(a*)", "aaaa", "aaaa|aa|aa"),
        ("a++a", "aaa", "no"),
        ("a*+b", "aab", "aab"),
        ("a?+a", "a", "no"),
        ("^((?:ab?)*)c", "aababc", "aababc|aabab"),
        ("(?:a|b)*", "abab!", "abab"),
        ("(a|b)*?c", "abc", "abc|b"),
        ("(?:a?)*b", "aab", "aab"),
        ("(a*)*b", "aab", "aab|"),
        ("(?:)*x", "x", "x"),
        ("(?:ab){2,3}", "abababab", "ababab"),
        ("(?:ab){2,3}?", "abababab", "abab"),
        ("(?:ab){0}c", "abc", "c"),
        ("(?:(?:a|bb){1,30}c){1,90}$", "bbacaac", "bbacaac"),
        ("(?:[ab]c|d){3000}", &"acd".repeat(1500), &"acd".repeat(1500)),
        ("(?:[ab]c|d){1,3000}?x", &format!("{}x", "acd".repeat(1500)), &format!("{}x", "acd".repeat(1500))),
        ("(?:[ab]c|d){1,3000}dx", "acddx", "acddx"),
        ("(?:a?){3000}b", "aab", "aab"),
        (".{3}", "aé日b", "aé日"),
        (".{2,}(.)", "aé日b", "aé日b|b"),
        ("[^a]{1,2}(.)", "éé日", "éé日|日"),
        ("\\p{L}+(.)", "éé日", "éé日|日"),
        ("\\p{L}+?(日)", "éé日", "éé日|日"),
        ("[^ ]{2,9}?é", "żżżé", "żżżé"),
        ("(.*) (.*)", "one two three", "one two three|one two|three"),
        ("(.*)(\\d+)", "ab12", "ab12|ab1|2"),
        ("(.*?)(\\d+)$", "ab12", "ab12|ab|12"),
    ];
    for (pattern, text, wanted) in cases {
        assert_eq!(groups(pattern, text), wanted, "{pattern}");
    }
}

#[test]
fn groups_references_and_calls() {
    let cases = [
        ("(?:(?<v>a)|(?<v>b))+", "ab", "ab|a|b"),
        ("(a)(?<n>b)", "ab", "ab|b"),
        ("(?'n'a)\\k'n'", "aa", "aa|a"),
        ("(?<q>['`]).*?\\k<q>", "say 'hi' x", "'hi'|'"),
        ("(?:(?<x>a)|(?<x>b))\\k<x>", "abb", "bb|-|b"),
        ("(a)(b)\\2\\1", "abba", "abba|a|b"),
        ("(a)(b)\\k<-1>", "abb", "abb|a|b"),
        ("(?<p>\\((?:[^()]|\\g<p>)*\\))", "f(a(b)c)d", "(a(b)c)|(a(b)c)"),
        ("(?<p>\\((?:[^()]|\\g<p>)*\\))", "f(a", "no"),
        ("(?<o>\\d{1,3})\\.\\g<o>", "10.20", "10.20|20"),
        ("(a\\g<1>?b)", "xaabbx", "aabb|aabb"),
        ("\\A(?<a>|.|(?:(?<b>.)\\g<a>\\k<b>))\\z", "x", "x|x|-"),
        ("a\\g<0>?b", "aabb", "aabb"),
        ("(a)?(?(1)b|c)", "ab", "ab|a"),
        ("(a)?(?(1)b|c)", "c", "c|-"),
        ("(?<n>a)?(?(<n>)b|c)", "ab", "ab|a"),
        ("^(?>a|ab)c", "abc", "no"),
        ("(?>a+)(.)", "aab", "aab|b"),
        ("((?>(a)|b)+)c", "abc", "abc|ab|a"),
        ("(?<=a|bc)x", "bcx", "x"),
        ("(?<=ab|abc)x", "abcx", "x"),
        ("(?<!a)x", "ax", "no"),
        ("(?<!ab|é)x", "éxx", "x"),
        ("(?=(a+))a*b", "aab", "aab|aa"),
        ("(?!ab)a", "abac", "a"),
        ("q(?!.*q)", "qaqb", "q"),
        ("(?<a:int>b)", "b", "b|b"),
        ("()|a", "a", "|"),
        ("(a|ab|abc)$", "abc", "abc|abc"),
        ("(GET|GETX)", "GETX", "GET|GET"),
        ("foobar|foobaz|fool", "foobaz", "foobaz"),
        ("a(?:b|bc)(d?)c?", "abcd", "abc|"),
    ];
    for (pattern, text, wanted) in cases {
        assert_eq!(groups(pattern, text), wanted, "{pattern}");
    }
}

#[test]
fn replacements_are_rubys() {
    let cases = [
        ("b", "<&>", "a<&>c"),
        ("b", "<\\0\\&>", "a<bb>c"),
        ("(b)", "<$1\\1>", "a<$1b>c"),
        ("(b)", "<\\2>", "a<>c"),
        ("(?<n>b)", "<\\k<n>>", "a<b>c"),
        ("(b)", "\\12", "ab2c"),
        ("b", "[\\`-\\']", "a[a-c]c"),
        ("b", "\\\\1\\n\\", "a\\1\\n\\c"),
        ("x", "y", "abc"),
    ];
    for (pattern, replacement, wanted) in cases {
        assert_eq!(gsub(pattern, "abc", replacement), wanted, "{replacement}");
    }
    let regex = compiled("(?<n>b)", Flags::default());
    assert_eq!(Replacement::parse("\\k<n>\\k<m>").unknown_name(&regex), Some("m"));
}

#[test]
fn names_come_in_order_of_appearance() {
    let regex = compiled("(?<b>x)(?<a>y)(?<b>z)", Flags::default());
    assert_eq!(regex.names(), [("b".to_owned(), vec![1, 3]), ("a".to_owned(), vec![2])]);
    assert_eq!((regex.group_count(), regex.pattern()), (4, "(?<b>x)(?<a>y)(?<b>z)"));
}

#[test]
fn an_escaped_text_matches_itself() {
    let text: String = (0..128u8).map(char::from).chain("é日".chars()).collect();
    for flags in [Flags::default(), Flags { extended: true, ..GROK }] {
        let regex = compiled(&Regex::escape(&text), flags);
        let found = regex.find_at(&text, 0, &mut Scratch::new(), Budget::UNLIMITED);
        assert_eq!(found, Ok(Some((0, text.len()))));
    }
}

#[test]
fn linear_patterns_stay_linear() {
    let a = "a".repeat(1 << 16);
    let cases = [
        "^(a+)+$",
        "^(a|aa)+$",
        "^(a*)*$",
        "(a*)*b",
        "(?:a?){20}a{20}b",
        "^(?:a|a)*$",
        "^(?:.*a)*$",
        "(.*)(.*)(.*)b$",
        "^(?:(a)|(a))*c",
        "(?:a+a+)+b",
        "^(?>a|aa)+$",
        "(?:a*?)*?b",
        "[a-z]+?[a-c]*?x",
        "a*a*a*a*b",
        "(?:a{1,9}){1,9}b",
        "(?:(?=a)a|a)*b",
        "(?:aa|a(?!b))*b",
        "\\b(?:a+)+\\b\\?",
        "(?:a*a*)*[xy]",
        "a*?[xy]",
        "[ab]*[xy]",
        "(?:a|b)*[xy]",
        "a*?a*?(?:a*?a+?)+[xy]",
        "a*a[xy]",
        "(?:a{0,3}){9}[xy]",
    ];
    for pattern in cases {
        let regex = compiled(pattern, GROK);
        assert!(regex.is_linear(), "{pattern}");
        let text = format!("{a}!");
        let budget = Budget::from_steps(300 * text.len() as u64);
        assert_eq!(regex.is_match(&text, &mut Scratch::new(), budget), Ok(false), "{pattern}");
    }
}

#[test]
fn the_budget_ends_what_is_not_linear() {
    let text = "a".repeat(60) + "b";
    for pattern in ["^(a+)+\\1$", "(?:a|a(?=a*))*\\g<n>(?<n>c)", "(?:a|(a))*\\1!"] {
        let regex = compiled(pattern, GROK);
        assert!(!regex.is_linear(), "{pattern}");
        assert!(regex.is_match(&text, &mut Scratch::new(), Budget::from_steps(300_000)).is_err(), "{pattern}");
    }
}

#[test]
fn matches_that_share_a_budget_end_together() {
    let regex = compiled("(a+)(a+)\\1b|;", GROK);
    let piece = "a".repeat(100) + ";";
    let (mut scratch, budget) = (Scratch::new(), Budget::from_steps(2_000_000));
    let replacement = Replacement::parse("");
    assert!(regex.replace_all(&piece, &replacement, &mut scratch, budget).unwrap().is_some());
    assert!(regex.replace_all(&piece.repeat(100), &replacement, &mut scratch, budget).is_err());
    let allowance = budget.start(&scratch);
    let until = (0..100).position(|_| {
        let left = allowance.left(&scratch);
        regex.is_match(&piece, &mut scratch, left).is_err()
    });
    assert!(until.is_some_and(|at| at > 0), "{until:?}");
    let endless = Budget::UNLIMITED.start(&scratch);
    assert_eq!(endless.left(&scratch), Budget::UNLIMITED);
}

/// A small generator, so that failures repeat: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn text(&mut self, chars: &[&str], most: usize) -> String {
        (0..self.below(most + 1)).map(|_| self.pick(chars)).collect()
    }

    fn atom(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 3 } else { 6 }) {
            0 | 1 => self.text(&["a", "b", "c", "é", " "], 2) + "a",
            2 => self.pick(&["[ab]", "[^a]", ".", "[a-cé]", "\\p{L}", "b", "[^ ]", "[b-d]"]).into(),
            3 => format!("({})", self.pattern(depth - 1)),
            4 => format!("(?:{})", self.pattern(depth - 1)),
            _ => self.pick(&["\\b", "^", "$", "\\A", "\\z", "\\B"]).into(),
        }
    }

    /// A pattern that both engines read alike. Loops do not take bodies that can be empty: there they differ.
    fn pattern(&mut self, depth: usize) -> String {
        let mut pattern = String::new();
        for branch in 0..=self.below(3) {
            pattern += if branch > 0 { "|" } else { "" };
            for _ in 0..=self.below(3) {
                let atom = self.atom(depth);
                let single = Regex::new(&format!("^(?:{atom})$"), GROK).unwrap();
                let empty = single.is_match("", &mut Scratch::new(), Budget::UNLIMITED).unwrap();
                let quantifiers = ["", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?", "{2,}"];
                let quantifier = if empty || atom.contains(['^', '$', '\\']) { "" } else { self.pick(&quantifiers) };
                pattern += &match quantifier {
                    "" => atom,
                    // The empty group keeps the regex crate from sharing equal beginnings of branches, which for
                    // `a*x|a*y` changes what it prefers.
                    _ => format!("()(?:{atom}){quantifier}"),
                };
            }
        }
        pattern
    }
}

#[test]
fn spans_and_captures_agree_with_the_regex_crate() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut scratch = Scratch::new();
    for _ in 0..2000 {
        let pattern = random.pattern(2);
        let ours = compiled(&pattern, GROK);
        let theirs = regex::RegexBuilder::new(&pattern).multi_line(true).dot_matches_new_line(true).build().unwrap();
        for _ in 0..8 {
            let text = random.text(&["a", "b", "c", "é", " ", "d", "aa", "ab"], 12);
            let wanted = theirs.captures(&text).map(|captures| {
                captures.iter().map(|group| group.map(|found| (found.start(), found.end()))).collect::<Vec<_>>()
            });
            for wait in [2000, 12, 1] {
                WAIT.set(wait);
                let found = ours.captures_at(&text, 0, &mut scratch, Budget::UNLIMITED).unwrap();
                let groups = || (0..ours.group_count()).map(|i| scratch.group(i)).collect::<Vec<_>>();
                assert_eq!(found.then(groups), wanted, "{pattern:?} on {text:?}, memoising after {wait} steps");
            }
        }
    }
}

impl Random {
    /// A pattern with whatever Onigmo has, loops over empty bodies included.
    fn rich(&mut self, depth: usize) -> String {
        let branches = 1 + self.below(3);
        (0..branches).map(|_| self.rich_branch(depth)).collect::<Vec<_>>().join("|")
    }

    fn rich_branch(&mut self, depth: usize) -> String {
        let quantifiers = ["", "", "", "*", "+", "?", "*?", "+?", "??", "*+", "++", "{2}", "{1,3}", "{0,2}?", "{2,}"];
        (0..=self.below(3))
            .map(|_| {
                let atom = self.rich_atom(depth);
                format!("{atom}{}", self.pick(&quantifiers))
            })
            .collect()
    }

    fn rich_atom(&mut self, depth: usize) -> String {
        let kind = self.below(if depth == 0 { 5 } else { 14 });
        if kind < 5 {
            let atoms = [
                "a",
                "b",
                "ab",
                "é",
                "[ab]",
                "[^a]",
                ".",
                "[b-dé]",
                "\\w",
                "\\s",
                " ",
                "\\b",
                "^",
                "$",
                "(?<=a)",
                "(?<!ab|c)",
                "(?!a)",
                "(?=b)",
                "\\B",
                "\\z",
                "aa",
                "a",
                "b",
            ];
            return self.pick(&atoms).into();
        }
        let open = ["(", "(", "(?:", "(?:", "(?>", "(?=", "(?!", "(?i:", "(?:"][kind - 5];
        format!("{open}{})", self.rich(depth - 1))
    }
}

#[test]
fn spans_and_captures_agree_with_the_plainest_matcher() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut scratch = Scratch::new();
    for round in 0..2000 {
        let mut pattern = random.rich(2);
        if round % 8 == 0 {
            pattern = format!("({pattern}){}(?:\\1|(?(1)b|c)){}", random.pick(&["", "?"]), random.rich(1));
        }
        let tree = parse::parse(&pattern, GROK).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        let ours = compiled(&pattern, GROK);
        for _ in 0..6 {
            let text = random.text(&["a", "b", "c", "é", " ", "d", "\n", "aa", "ab"], 10);
            let oracle = Oracle { text: &text, fuel: 20_000.into() };
            let wanted = oracle.search(&tree.node, tree.groups);
            if oracle.fuel.get() == 0 {
                continue;
            }
            for wait in [2000, 12, 1] {
                WAIT.set(wait);
                let found = ours.captures_at(&text, 0, &mut scratch, Budget::UNLIMITED).unwrap();
                let groups = || (0..ours.group_count()).map(|i| scratch.group(i)).collect::<Vec<_>>();
                assert_eq!(found.then(groups), wanted, "{pattern:?} on {text:?}, memoising after {wait} steps");
            }
        }
    }
}

#[test]
fn no_text_is_a_pattern_that_panics() {
    let mut random = Random(88_172_645_463_325_252);
    let pieces = [
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "*",
        "+",
        "?",
        "|",
        "\\",
        "^",
        "$",
        ".",
        "a",
        "é",
        "1",
        ",",
        "-",
        ":",
        "<",
        ">",
        "=",
        "!",
        "&&",
        "[:alpha:]",
        "(?",
        "(?<",
        "(?<n>",
        "\\g<n>",
        "\\k<n>",
        "\\1",
        "\\x",
        "\\u",
        "\\p{",
        "L}",
        "(?i)",
        "#",
        " ",
        "(?(1)",
        "\\R",
        "\\X",
        "\\K",
        "{2,3}",
        "{,9}",
        "{50}",
        "\\b",
        "'",
        "(?>",
        "(?<=",
        "(?<!",
        "(?=",
        "(?!",
        "s",
        "ß",
    ];
    let mut scratch = Scratch::new();
    for round in 0..30_000 {
        let pattern = random.text(&pieces, 1 + round % 24);
        let flags = Flags { ignore_case: round % 3 == 0, multiline: round % 2 == 0, extended: round % 5 == 0 };
        let Ok(regex) = Regex::new(&pattern, flags) else { continue };
        for text in ["", "a", "aé1(n)", "ssß\n,a aL}"] {
            let _ = regex.is_match(text, &mut scratch, Budget::from_steps(5_000));
            let replacement = Replacement::parse("<\\1\\k<n>\\0>");
            let _ = regex.replace_all(text, &replacement, &mut scratch, Budget::from_steps(5_000));
        }
    }
}
