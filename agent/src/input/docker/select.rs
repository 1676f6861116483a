//! Which containers are left out.

use std::collections::BTreeMap;

use super::filters::Filters;
use super::metadata::Container;

/// A container that the agent itself is, or was: reading its log would feed the agent its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    /// The container that the agent runs in.
    pub(crate) container: Option<String>,
    /// Its Swarm service, whose earlier tasks are left out as well.
    pub(crate) service: Option<String>,
}

impl Own {
    /// Made of the id of the agent's container and its labels.
    pub(crate) fn new(container: Option<String>, labels: &BTreeMap<String, String>) -> Self {
        Self { container, service: labels.get(SERVICE).filter(|service| !service.is_empty()).cloned() }
    }

    fn includes(&self, container: &Container) -> bool {
        let same_service = self.service.is_some() && container.labels.get(SERVICE) == self.service.as_ref();
        same_service || self.container.as_deref() == Some(container.id.as_str())
    }
}

const SERVICE: &str = "com.docker.swarm.service.id";

/// What the operator wants of the containers that do not say it themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Containers with one of these labels and values are left out.
    excluded: Vec<(String, String)>,
    /// Only containers that ask for it are read.
    opt_in: bool,
    /// Only containers and streams that these take are read.
    filters: Filters,
}

impl Wanted {
    /// Labels as Logspout has them: `name:value`, or `name` for the value `true`.
    pub(crate) fn new(labels: &[String], opt_in: bool, filters: Filters) -> Self {
        let label = |text: &String| {
            let (name, value) = text.split_once(':').unwrap_or((text, "true"));
            (name.trim().to_owned(), value.trim().to_owned())
        };
        let named = labels.iter().map(label).filter(|(name, _)| !name.is_empty());
        Self { excluded: named.collect(), opt_in, filters }
    }

    /// Which streams of `container` are read.
    pub(crate) fn streams(&self, container: &Container) -> [bool; 2] {
        self.filters.streams(container).unwrap_or_default()
    }

    /// Why `container` is left out, if it is: what it says itself comes first.
    pub(crate) fn exclusion(&self, container: &Container, own: &Own) -> Option<&'static str> {
        if own.includes(container) {
            return Some("it is elkhound itself");
        }
        if container.variable("LOGSPOUT").is_some_and(|value| value.eq_ignore_ascii_case("ignore")) {
            return Some("its environment says LOGSPOUT=ignore");
        }
        if says(container, "logspout.exclude", "true") {
            return Some("its label says logspout.exclude=true");
        }
        if self.excluded.iter().any(|(name, value)| says(container, name, value)) {
            return Some("it has a label of exclude_labels");
        }
        if says(container, ENABLED, "false") {
            return Some("its label says co.elastic.logs/enabled=false");
        }
        if self.filters.streams(container).is_none() {
            return Some("no filter takes it (filter_id, filter_name, filter_labels or ROUTE_URIS)");
        }
        let left_out = self.opt_in && !says(container, ENABLED, "true");
        left_out.then_some("it has no label co.elastic.logs/enabled=true, which opt_in asks for")
    }
}

/// Filebeat's label, which both it and elkhound read.
const ENABLED: &str = "co.elastic.logs/enabled";

fn says(container: &Container, name: &str, value: &str) -> bool {
    container.labels.get(name).is_some_and(|said| said.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, label: Option<(&str, &str)>, variable: &str) -> Container {
        let labels = label.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Container { id: id.into(), labels, environment: vec![variable.into()], ..Container::default() }
    }

    #[test]
    fn leaves_out_itself_its_service_and_whoever_asks() {
        let own = Own { container: Some("me".into()), service: Some("s1".into()) };
        let wanted = Wanted::new(&["noisy".into(), " tier : test ".into(), String::new()], false, Filters::default());
        let cases = [
            (container("me", None, ""), true),
            (container("other", Some((SERVICE, "s1")), ""), true),
            (container("other", Some((SERVICE, "s2")), ""), false),
            (container("other", None, "LOGSPOUT=Ignore"), true),
            (container("other", None, "LOGSPOUT=no"), false),
            (container("other", Some(("logspout.exclude", "true")), ""), true),
            (container("other", Some(("noisy", "true")), ""), true),
            (container("other", Some(("noisy", "false")), ""), false),
            (container("other", Some(("tier", "test")), ""), true),
            (container("other", Some(("tier", "live")), ""), false),
            (container("other", Some((ENABLED, "false")), ""), true),
        ];
        for (container, excluded) in cases {
            assert_eq!(wanted.exclusion(&container, &own).is_some(), excluded, "{container:?}");
        }
        assert_eq!(Wanted::default().exclusion(&container("x", None, ""), &Own::default()), None);
    }

    #[test]
    fn with_opt_in_only_those_who_ask_are_read() {
        let wanted = Wanted::new(&[], true, Filters::default());
        let excluded = |label| wanted.exclusion(&container("x", label, ""), &Own::default()).is_some();
        assert!(excluded(None) && excluded(Some((ENABLED, "false"))) && !excluded(Some((ENABLED, "true"))));
    }

    #[test]
    fn a_container_that_no_filter_takes_is_left_out_and_so_is_a_stream() {
        let filters = Filters::one("a", "", &[], &["stderr".into()]).unwrap();
        let wanted = Wanted::new(&[], false, filters);
        let exclusion = |id| wanted.exclusion(&container(id, None, ""), &Own::default());
        assert_eq!(exclusion("ab"), None);
        assert!(exclusion("ba").unwrap().contains("filter_id"));
        assert_eq!(wanted.streams(&container("ab", None, "")), [false, true]);
    }
}
