//! Logspout's filters: which containers are read, and which of their streams. Written as options, or in the queries of `ROUTE_URIS`.
//!
//! What it promises: each filter means what it means to Logspout. A container is read when all parts of one filter fit it, and of several
//! routes one is enough. It leaves out where routes lead to.

use super::metadata::Container;
use super::position::Stream;
use crate::files::glob;
use crate::percent::percent_decoded;

/// All that were set. None takes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filters(Vec<Filter>);

/// One route's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    /// What the id begins with.
    id: String,
    /// A glob of the name.
    name: Option<String>,
    /// Names of labels, and globs of their values.
    labels: Vec<(String, String)>,
    /// By [`Stream::index`].
    streams: [bool; 2],
}

impl Default for Filter {
    fn default() -> Self {
        Self { id: String::new(), name: None, labels: Vec::new(), streams: [true; 2] }
    }
}

/// A part of a filter that can't be read: its name, what is wrong, and what to write.
pub(crate) type Mistake = (&'static str, String, &'static str);

impl Filters {
    /// One filter of the values of `id`, `name`, `labels` and `sources`; an empty one filters nothing.
    ///
    /// # Errors
    /// The part that can't be read.
    pub(crate) fn one(id: &str, name: &str, labels: &[String], sources: &[String]) -> Result<Self, Mistake> {
        let filter = Filter {
            id: id.trim().to_owned(),
            name: Some(name.trim()).filter(|name| !name.is_empty()).map(ToOwned::to_owned),
            labels: labels.iter().map(|label| parse_label(label)).collect::<Result<_, _>>()?,
            streams: parse_sources(sources)?,
        };
        Ok(Self(if filter == Filter::default() { Vec::new() } else { vec![filter] }))
    }

    /// Those in the queries of `ROUTE_URIS`, such as `logstash://logstash:5000?filter.name=*_web`. A route without a filter takes everything.
    ///
    /// # Errors
    /// The part that can't be read.
    pub(crate) fn of_routes(uris: &str) -> Result<Self, Mistake> {
        let mut filters = Vec::new();
        for uri in uris.split(',').map(str::trim).filter(|uri| !uri.is_empty()) {
            let query = uri.split_once('?').map_or("", |(_, query)| query);
            let value = |name: &str| {
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs.find(|(key, _)| *key == name).map(|(_, value)| percent_decoded(value)).unwrap_or_default()
            };
            let list = |name| value(name).split(',').filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect();
            let (labels, sources): (Vec<String>, Vec<String>) = (list("filter.labels"), list("filter.sources"));
            let Self(mut filter) = Self::one(&value("filter.id"), &value("filter.name"), &labels, &sources)?;
            match filter.pop() {
                Some(filter) => filters.push(filter),
                None => return Ok(Self::default()),
            }
        }
        Ok(Self(filters))
    }

    /// True when everything is taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which streams of `container` are read, by [`Stream::index`]; `None` when no filter takes it.
    pub(crate) fn streams(&self, container: &Container) -> Option<[bool; 2]> {
        if self.0.is_empty() {
            return Some([true; 2]);
        }
        let takes = self.0.iter().filter(|filter| filter.takes(container)).map(|filter| filter.streams);
        takes.reduce(|mine, theirs| [mine[0] || theirs[0], mine[1] || theirs[1]])
    }
}

impl Filter {
    fn takes(&self, container: &Container) -> bool {
        let has = |(name, pattern): &(String, String)| {
            container.labels.get(name).is_some_and(|value| glob(pattern.as_bytes(), value.as_bytes()))
        };
        container.id.starts_with(&self.id)
            && self.name.as_ref().is_none_or(|pattern| glob(pattern.as_bytes(), container.name.as_bytes()))
            && self.labels.iter().all(has)
    }
}

fn parse_label(text: &str) -> Result<(String, String), Mistake> {
    match text.split_once(':') {
        Some((name, pattern)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), pattern.trim().to_owned())),
        _ => {
            let message = format!("{text:?} is no filter of labels");
            Err((
                "filter_labels",
                message,
                "write the label, a colon and a glob of its value, as `com.example.tier:web*`",
            ))
        }
    }
}

fn parse_sources(sources: &[String]) -> Result<[bool; 2], Mistake> {
    if sources.is_empty() {
        return Ok([true; 2]);
    }
    let mut streams = [false; 2];
    for source in sources {
        match Stream::parse(source.trim().as_bytes()) {
            Some(stream) => streams[stream.index()] = true,
            None => {
                return Err(("filter_sources", format!("there is no source {source:?}"), "use `stdout` or `stderr`"));
            }
        }
    }
    Ok(streams)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, name: &str) -> Container {
        let labels = [("tier".to_owned(), "web/front".to_owned()), ("hidden".to_owned(), ".x".to_owned())].into();
        Container { id: id.into(), name: name.into(), labels, ..Container::default() }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn all_parts_of_a_filter_have_to_fit() {
        let shop = container("ab12cd", "shop_web.1.x");
        for (id, name, labels, fits) in [
            ("", "", &[][..], true),
            ("ab12", "", &[], true),
            ("b12", "", &[], false),
            ("", "shop_*", &[], true),
            ("", "shop", &[], false),
            ("ab", "other*", &[], false),
            ("", "", &["tier:web*", "hidden:*"], true),
            ("", "", &["tier:web*", "absent:*"], false),
            ("", "", &["tier: [^x]eb/fron? "], true),
        ] {
            let filters = Filters::one(id, name, &texts(labels), &[]).unwrap();
            assert_eq!(filters.streams(&shop).is_some(), fits, "{id} {name} {labels:?}");
        }
    }

    #[test]
    fn one_of_several_routes_is_enough() {
        let uris =
            "logstash://a:5000?filter.name=db*, raw://b:1?filter.sources=stderr&filter.labels=tier:web%2A%2Chidden:*";
        let filters = Filters::of_routes(uris).unwrap();
        assert_eq!(filters.streams(&container("1", "db-1")), Some([true, true]));
        assert_eq!(filters.streams(&container("1", "x")), Some([false, true]));
        assert_eq!(filters.streams(&Container { name: "x".into(), ..Container::default() }), None);
        let and_all = Filters::of_routes(&format!("{uris},syslog://c:514")).unwrap();
        assert!(and_all.is_empty() && Filters::of_routes("").unwrap().is_empty());
    }

    #[test]
    fn mistakes_name_the_part_and_what_to_write() {
        let (part, message, help) = Filters::one("", "", &[], &texts(&["stdin"])).unwrap_err();
        assert_eq!((part, message.as_str()), ("filter_sources", "there is no source \"stdin\""));
        assert!(help.contains("stderr"));
        assert_eq!(Filters::of_routes("raw://b:1?filter.labels=tier").unwrap_err().0, "filter_labels");
    }
}
