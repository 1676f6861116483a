//! The patterns of uap-core, and what they find in a user agent: browser, operating system, device.
//!
//! Of each of the three lists the first pattern that matches wins. What a match means follows uap-java, which Logstash uses: a
//! replacement stands for a group, `$1` to `$9` in it are groups. Brand and model of devices are left out, as there.

use std::sync::OnceLock;

use crate::regex::{Allowance, Budget, Flags, Overrun, Regex, Scratch};
use crate::value::Value;
use crate::yaml;

/// What is said of a user agent that no pattern knows.
const OTHER: &str = "Other";

/// The three lists of patterns.
pub(super) struct Patterns {
    browsers: Vec<Pattern>,
    systems: Vec<Pattern>,
    devices: Vec<Pattern>,
}

/// What a user agent says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) browser: Product,
    pub(super) system: Product,
    pub(super) device: String,
}

/// A name with up to four parts of a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) name: String,
    pub(super) version: [Option<String>; 4],
}

struct Pattern {
    regex: Regex,
    name: Option<String>,
    version: [Option<String>; 4],
}

impl Patterns {
    /// The patterns that come with elkhound, compiled when the first user agent is looked at.
    pub(super) fn shipped() -> &'static Self {
        static SHIPPED: OnceLock<Patterns> = OnceLock::new();
        SHIPPED.get_or_init(|| {
            Self::parse(include_str!("../../../data/useragent.yaml")).expect("a test compiles the shipped patterns")
        })
    }

    /// Compiles the patterns of a `regexes.yaml`.
    ///
    /// # Errors
    /// What is wrong with the file, or with one of its patterns.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lists = yaml::mapping(text).map_err(|error| error.to_string())?;
        let list = |name: &str, names: &Names| {
            let list = lists.iter().find(|(key, _)| key.as_text().is_some_and(|key| key == name));
            let patterns = list.and_then(|(_, list)| list.as_list());
            let patterns = patterns.ok_or_else(|| format!("the list `{name}` is missing"))?;
            patterns.iter().map(|pattern| Pattern::parse(pattern, names)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            browsers: list("user_agent_parsers", BROWSER)?,
            systems: list("os_parsers", SYSTEM)?,
            devices: list("device_parsers", DEVICE)?,
        })
    }

    /// What `text` says. All patterns together may take about a second, and for each what a linear one needs.
    ///
    /// # Errors
    /// They took longer.
    pub(super) fn agent(&self, text: &str, scratch: &mut Scratch) -> Result<Agent, Overrun> {
        let patterns = self.browsers.len() + self.systems.len() + self.devices.len();
        let allowance = Budget::for_text(text.len().saturating_mul(patterns)).start(scratch);
        let read = Reading { text, allowance };
        let browser = first(&self.browsers, |pattern| pattern.browser(&read, scratch))?;
        let system = first(&self.systems, |pattern| pattern.system(&read, scratch))?;
        let device = first(&self.devices, |pattern| pattern.device(&read, scratch))?;
        Ok(Agent {
            browser: browser.unwrap_or_else(Product::other),
            system: system.unwrap_or_else(Product::other),
            device: device.unwrap_or_else(|| OTHER.to_owned()),
        })
    }
}

/// A user agent, and what is left to be spent on it.
struct Reading<'a> {
    text: &'a str,
    allowance: Allowance,
}

/// What a pattern finds, if it matches.
type Found<T> = Result<Option<T>, Overrun>;

fn first<T>(patterns: &[Pattern], mut find: impl FnMut(&Pattern) -> Found<T>) -> Found<T> {
    for pattern in patterns {
        let found = find(pattern)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

impl Product {
    fn other() -> Self {
        Self { name: OTHER.to_owned(), version: Default::default() }
    }
}

/// How the replacements are called in one of the lists.
struct Names {
    name: &'static str,
    version: [&'static str; 4],
}

const BROWSER: &Names = &Names { name: "family_replacement", version: ["v1_replacement", "v2_replacement", "", ""] };

const SYSTEM: &Names = &Names {
    name: "os_replacement",
    version: ["os_v1_replacement", "os_v2_replacement", "os_v3_replacement", "os_v4_replacement"],
};

const DEVICE: &Names = &Names { name: "device_replacement", version: [""; 4] };

impl Pattern {
    fn parse(written: &Value, names: &Names) -> Result<Self, String> {
        let text = |name: &str| written.as_map().and_then(|map| map.get(name)).map(crate::print::ruby_text);
        let regex = text("regex").ok_or("a pattern without `regex`")?;
        let flags = Flags { ignore_case: text("regex_flag").is_some_and(|flag| flag == "i"), ..Flags::default() };
        Ok(Self {
            regex: Regex::new(&regex, flags).map_err(|error| format!("`{regex}` is no regular expression: {error}"))?,
            name: text(names.name).map(|text| text.to_string()),
            version: names.version.map(|name| text(name).map(|text| text.to_string())),
        })
    }

    fn browser(&self, read: &Reading<'_>, scratch: &mut Scratch) -> Found<Product> {
        Ok(Groups::of(self, read, scratch)?.and_then(|groups| self.browser_of(&groups)))
    }

    fn browser_of(&self, groups: &Groups<'_>) -> Option<Product> {
        let name = match (&self.name, groups.get(1)) {
            (Some(name), Some(group)) => name.replacen("$1", group, 1),
            (Some(name), None) => name.clone(),
            (None, group) => group?.to_owned(),
        };
        let part = |at: usize| self.version[at].clone().or_else(|| groups.filled(at + 2).map(ToOwned::to_owned));
        Some(Product { name, version: [part(0), part(1), part(2), part(3)] })
    }

    fn system(&self, read: &Reading<'_>, scratch: &mut Scratch) -> Found<Product> {
        Ok(Groups::of(self, read, scratch)?.and_then(|groups| self.system_of(&groups)))
    }

    fn system_of(&self, groups: &Groups<'_>) -> Option<Product> {
        let name = match (&self.name, groups.get(1)) {
            (Some(name), group) => name.replace("$1", group.unwrap_or_default()),
            (None, group) => group?.to_owned(),
        };
        let part = |at: usize| match &self.version[at] {
            Some(replacement) => Some(groups.filled_in(replacement)).filter(|part| !part.trim().is_empty()),
            None => groups.filled(at + 2).map(ToOwned::to_owned),
        };
        Some(Product { name, version: [part(0), part(1), part(2), part(3)] })
    }

    fn device(&self, read: &Reading<'_>, scratch: &mut Scratch) -> Found<String> {
        Ok(Groups::of(self, read, scratch)?.and_then(|groups| self.device_of(&groups)))
    }

    fn device_of(&self, groups: &Groups<'_>) -> Option<String> {
        match &self.name {
            Some(name) if name.contains('$') => Some(groups.filled_in(name).trim().to_owned()),
            Some(name) => Some(name.clone()),
            None => groups.get(1).map(ToOwned::to_owned),
        }
    }
}

/// The groups of a match.
struct Groups<'a> {
    text: &'a str,
    scratch: &'a Scratch,
    count: usize,
}

impl<'a> Groups<'a> {
    /// The groups, when the pattern matches.
    fn of(pattern: &Pattern, read: &Reading<'a>, scratch: &'a mut Scratch) -> Found<Self> {
        let budget = read.allowance.left(scratch);
        let matched = pattern.regex.is_match(read.text, scratch, budget)?;
        Ok(matched.then(|| Self { text: read.text, scratch, count: pattern.regex.group_count() }))
    }

    fn get(&self, group: usize) -> Option<&'a str> {
        let (start, end) = if group < self.count { self.scratch.group(group)? } else { return None };
        Some(&self.text[start..end])
    }

    /// A group that holds more than white space.
    fn filled(&self, group: usize) -> Option<&'a str> {
        self.get(group).filter(|text| !text.trim().is_empty())
    }

    /// `replacement` with its `$1` to `$9` replaced by groups.
    fn filled_in(&self, replacement: &str) -> String {
        let mut parts = replacement.split('$');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            match part.chars().next().and_then(|digit| digit.to_digit(10)) {
                Some(group) => {
                    out.push_str(self.get(group as usize).unwrap_or_default());
                    out.push_str(&part[1..]);
                }
                None => {
                    out.push('$');
                    out.push_str(part);
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(name: &str, version: [&str; 4]) -> Product {
        let part = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        Product { name: name.to_owned(), version: version.map(part) }
    }

    #[test]
    fn the_shipped_patterns_compile_and_know_browsers() {
        let text = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 \
                    Mobile/15E148 Safari/604.1";
        let agent = Patterns::shipped().agent(text, &mut Scratch::default()).unwrap();
        let expected = Agent {
            browser: product("Mobile Safari", ["17", "5", "", ""]),
            system: product("iOS", ["17", "5", "1", ""]),
            device: "iPhone".to_owned(),
        };
        assert_eq!(agent, expected);
        assert_eq!(Patterns::shipped().agent("-", &mut Scratch::default()).unwrap().browser, Product::other());
    }

    #[test]
    fn replacements_take_groups() {
        let text = "user_agent_parsers:\n  - regex: '(fox)/(\\d+)( |)'\n    family_replacement: 'Fire$1'\n    v2_replacement: '0'\n\
                    os_parsers:\n  - regex: '(n)t(\\d)'\n    os_replacement: '$1ix'\n    os_v1_replacement: 'v$2'\n\
                    device_parsers:\n  - regex: '(\\w)(\\w)(z|)'\n    regex_flag: 'i'\n    device_replacement: '$2$1 $3'\n";
        let agent = Patterns::parse(text).unwrap().agent("fox/7 nt5", &mut Scratch::default()).unwrap();
        let expected = Agent {
            browser: product("Firefox", ["7", "0", "", ""]),
            system: product("nix", ["v5", "", "", ""]),
            device: "of".to_owned(),
        };
        assert_eq!(agent, expected);
    }

    #[test]
    fn patterns_that_go_astray_share_one_budget() {
        let astray = r"  - regex: '^(a+)+\1\d$'";
        let lists = ["user_agent_parsers", "os_parsers", "device_parsers"].map(|list| format!("{list}:\n{astray}\n"));
        let patterns = Patterns::parse(&lists.concat()).unwrap();
        let (text, mut scratch) = ("a".repeat(16 << 10), Scratch::default());
        let start = Budget::for_text(3 * text.len()).start(&scratch);
        assert_eq!(patterns.agent(&text, &mut scratch), Err(Overrun));
        assert_eq!(start.left(&scratch), Budget::from_steps(0));
    }

    #[test]
    fn what_is_no_list_of_patterns_is_refused() {
        assert!(Patterns::parse("a: b\n").is_err());
        assert!(Patterns::parse("user_agent_parsers:\n  - regex: '('\nos_parsers: []\ndevice_parsers: []\n").is_err());
    }
}
