//! What `elkhound setup` has Elasticsearch hold for an output: an index template, a lifecycle policy, and a data stream or a rollover alias.
//!
//! Plain data: who answers and what was asked for go in, paths and bodies come out; [`super::setup`] sends them. Each template carries a mark of what it
//! was made of, so that a second run knows its own, an old one and somebody else's.

use elkhound_pipeline::template::Template as Name;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::managed::{Lifecycle, Managed, Product, Template, ecs_mappings, encoded, plain_mappings};
use super::target::Target;

/// The number of our templates and policies; raised with each change to them.
pub(super) const VERSION: u64 = 1;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// Nothing is changed; what would be sent is shown.
    pub(crate) dry_run: bool,
    /// What somebody else has made is replaced, too.
    pub(crate) overwrite: bool,
    /// How long documents are kept, such as `30d`; nothing for ever.
    pub(crate) keep: Option<String>,
}

/// Something that Elasticsearch is to hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Thing {
    pub(super) kind: Kind,
    /// Its name, without its kind.
    pub(super) name: String,
    /// Where it is asked for and, but for an alias, where it is put.
    pub(super) path: String,
    /// Where it is put.
    pub(super) target: String,
    /// What is put there, best first: a node that refuses one may take the next.
    pub(super) bodies: Vec<Value>,
}

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Template,
    Policy,
    Stream,
    Alias,
}

impl Kind {
    /// As it is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Template => "index template",
            Self::Policy => "lifecycle policy",
            Self::Stream => "data stream",
            Self::Alias => "rollover alias",
        }
    }
}

/// What an output needs.
#[derive(Clone, Debug)]
pub(crate) struct Outfit {
    place: Place,
    ecs: bool,
    /// The operator's own template, or the name that the output gives ours.
    template: Option<Template>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Indices, by the pattern that all their names match.
    Indices(String),
    Alias(Lifecycle),
    Stream(String),
}

impl Outfit {
    /// What this output needs; nothing where the names of its indices have no common beginning, for a template would be for all indices.
    pub(crate) fn new(target: &Target, managed: &Managed, ecs: bool) -> Option<Self> {
        let place = match (target, &managed.lifecycle) {
            (_, Some(lifecycle)) => Place::Alias(lifecycle.clone()),
            (Target::DataStream(stream), None) => Place::Stream(stream.own_name().to_owned()),
            (Target::Index(name), None) => Place::Indices(pattern(name)?),
        };
        Some(Self { place, ecs, template: managed.template.clone() })
    }

    /// What all names of its indices match, as a data view has it.
    pub(crate) fn pattern(&self) -> String {
        match &self.place {
            Place::Indices(pattern) => pattern.clone(),
            Place::Alias(lifecycle) => format!("{}-*", lifecycle.alias),
            Place::Stream(name) => name.clone(),
        }
    }

    /// Whether documents go to a data stream.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.place, Place::Stream(_))
    }

    /// The policy. Indices that are named by their date need none while they are kept for ever.
    pub(super) fn policy(&self, product: Product, order: &Order) -> Option<Thing> {
        let rolls = !matches!(self.place, Place::Indices(_));
        if !rolls && order.keep.is_none() {
            return None;
        }
        let name = self.policy_name();
        let (path, body) = if product.opensearch {
            let path = format!("_plugins/_ism/policies/{}", encoded(&name));
            (path, self.state_policy(rolls, order.keep.as_deref()))
        } else {
            (format!("_ilm/policy/{}", encoded(&name)), phase_policy(rolls, order.keep.as_deref()))
        };
        Some(Thing { kind: Kind::Policy, name, target: path.clone(), path, bodies: vec![body] })
    }

    /// The index template; `managed` is whether there is a policy for it to name.
    pub(super) fn template(&self, product: Product, managed: bool) -> Thing {
        let name = self.template_name();
        if let Some(given) = self.template.as_ref().filter(|template| template.is_given()) {
            let lifecycle = match &self.place {
                Place::Alias(lifecycle) if managed => Some(lifecycle),
                _ => None,
            };
            let (path, body) = given.request(product, lifecycle);
            return Thing { kind: Kind::Template, name, target: path.clone(), path, bodies: vec![body] };
        }
        let endpoint = if is_composable(product) { "_index_template" } else { "_template" };
        let path = format!("{endpoint}/{}", encoded(&name));
        let labels = labels(product).map(Some).into_iter().chain([None]);
        let bodies = labels.map(|labels| self.body(product, managed, labels)).collect();
        Thing { kind: Kind::Template, name, target: path.clone(), path, bodies }
    }

    /// The stream or the alias, where there is one.
    pub(super) fn first(&self) -> Option<Thing> {
        match &self.place {
            Place::Indices(_) => None,
            Place::Stream(name) => {
                let path = format!("_data_stream/{}", encoded(name));
                let name = name.clone();
                Some(Thing { kind: Kind::Stream, name, target: path.clone(), path, bodies: vec![Value::Null] })
            }
            Place::Alias(lifecycle) => {
                let (target, body) = lifecycle.first_index();
                let (name, path) = (lifecycle.alias.clone(), lifecycle.alias_path());
                Some(Thing { kind: Kind::Alias, name, path, target, bodies: vec![body] })
            }
        }
    }

    fn template_name(&self) -> String {
        match &self.template {
            Some(template) => template.name.clone(),
            None => self.own_name(),
        }
    }

    fn policy_name(&self) -> String {
        match &self.place {
            Place::Alias(lifecycle) => lifecycle.policy.clone(),
            _ => self.own_name(),
        }
    }

    /// `elkhound-logs` for `logs-*`.
    fn own_name(&self) -> String {
        let parts: Vec<String> =
            self.pattern().split(['*', '-']).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        format!("elkhound-{}", parts.join("-"))
    }

    fn body(&self, product: Product, managed: bool, labels: Option<&str>) -> Value {
        let mut settings = json!({ "index.refresh_interval": "5s" });
        match &self.place {
            Place::Alias(lifecycle) if managed && product.opensearch => {
                settings["plugins.index_state_management.rollover_alias"] = json!(lifecycle.alias);
            }
            _ if !managed || product.opensearch => {}
            place => {
                settings["index.lifecycle.name"] = json!(self.policy_name());
                if let Place::Alias(lifecycle) = place {
                    settings["index.lifecycle.rollover_alias"] = json!(lifecycle.alias);
                }
            }
        }
        let mut body = json!({ "index_patterns": [self.pattern()], "version": VERSION });
        let mut mappings = mappings(self.ecs, product, labels);
        let made_of = format!("{}{body}{settings}{mappings}{:?}", self.priority(), self.place);
        mappings["_meta"] = json!({ "elkhound": { "version": VERSION, "fingerprint": fingerprint(&made_of) } });
        if !is_composable(product) {
            // Above the 0 of templates that say nothing of it.
            body["order"] = json!(1);
            body["settings"] = settings;
            body["mappings"] = if product.has_types() { json!({ "doc": mappings }) } else { mappings };
            return body;
        }
        body["priority"] = json!(self.priority());
        if self.is_stream() {
            body["data_stream"] = json!({});
        }
        body["template"] = json!({ "settings": settings, "mappings": mappings });
        body
    }

    /// Elasticsearch's own templates for `logs-*-*` and its like have 100, those of its integrations 200. A pattern that is no narrower than theirs must
    /// stay below them, or their data streams would be made after ours.
    fn priority(&self) -> u64 {
        let pattern = self.pattern();
        let fixed = pattern.split('*').next().unwrap_or_default();
        if self.is_stream() {
            202
        } else if fixed.matches('-').count() >= 2 {
            201
        } else {
            99
        }
    }

    /// OpenSearch's form of a policy: states, as its documentation of "Index State Management" has them (Policies: `rollover`, conditions of transitions,
    /// `ism_template`). It is put on new indices by their names.
    fn state_policy(&self, rolls: bool, keep: Option<&str>) -> Value {
        let actions =
            if rolls { json!([{ "rollover": { "min_size": "50gb", "min_index_age": "30d" } }]) } else { json!([]) };
        // Where nothing is rolled over, an index is as old as its documents.
        let age = if rolls { "min_rollover_age" } else { "min_index_age" };
        let end = keep.map(|keep| json!({ "state_name": "delete", "conditions": { age: keep } }));
        let mut states =
            vec![json!({ "name": "hot", "actions": actions, "transitions": end.iter().collect::<Vec<_>>() })];
        if end.is_some() {
            states.push(json!({ "name": "delete", "actions": [{ "delete": {} }], "transitions": [] }));
        }
        json!({ "policy": {
            "description": "made by elkhound setup",
            "default_state": "hot",
            "states": states,
            "ism_template": [{ "index_patterns": [self.pattern()], "priority": self.priority() }]
        } })
    }
}

/// Elasticsearch's form of a policy: phases.
fn phase_policy(rolls: bool, keep: Option<&str>) -> Value {
    let actions = if rolls { json!({ "rollover": { "max_size": "50gb", "max_age": "30d" } }) } else { json!({}) };
    let mut phases = json!({ "hot": { "actions": actions } });
    if let Some(keep) = keep {
        phases["delete"] = json!({ "min_age": keep, "actions": { "delete": {} } });
    }
    json!({ "policy": { "phases": phases } })
}

/// The pattern that all names made of this one match: a star for each reference. Nothing when it begins with one.
fn pattern(name: &Name) -> Option<String> {
    let (mut pattern, mut rest) = (String::new(), name.as_str());
    while let Some((before, reference)) = rest.split_once("%{") {
        pattern.push_str(before);
        if !pattern.ends_with('*') {
            pattern.push('*');
        }
        // `%{{TIME}}` ends with both braces.
        rest = reference.split_once('}').map_or("", |(_, after)| after.trim_start_matches('}'));
    }
    pattern.push_str(rest);
    (!pattern.starts_with('*') && !pattern.is_empty()).then_some(pattern)
}

fn is_composable(product: Product) -> bool {
    product.is_at_least(7, 8)
}

/// The type that takes any number of labels as one field, where the node may have one.
fn labels(product: Product) -> Option<&'static str> {
    if product.opensearch {
        let has = (product.major, product.minor) >= (2, 7);
        return has.then_some("flat_object");
    }
    product.is_at_least(7, 3).then_some("flattened")
}

/// Fields whose type can't be guessed from a first value, or whose guess would refuse later ones.
const WHOLE_NUMBERS: &[&str] = &[
    "client.port",
    "destination.port",
    "event.sequence",
    "http.request.body.bytes",
    "http.response.body.bytes",
    "http.response.status_code",
    "log.suppressed",
    "server.port",
    "source.port",
];
const ADDRESSES: &[&str] = &["client.ip", "destination.ip", "server.ip", "source.ip"];
const WORDS: &[&str] = &["error.message", "error.stack_trace"];

fn mappings(ecs: bool, product: Product, labels: Option<&str>) -> Value {
    let mut mappings = if ecs { ecs_mappings() } else { plain_mappings() };
    let properties = &mut mappings["properties"];
    if product.is_at_least(7, 0) {
        properties["@timestamp"]["type"] = json!("date_nanos");
    }
    if ecs {
        // A value that is none is left out of the index, and its document stays.
        let lenient = |kind: &str| json!({ "type": kind, "ignore_malformed": true });
        WHOLE_NUMBERS.iter().for_each(|field| put(properties, field, lenient("long")));
        // `ignore_malformed` of addresses came later than the type.
        ADDRESSES.iter().for_each(|field| put(properties, field, lenient("ip")));
        WORDS.iter().for_each(|field| put(properties, field, json!({ "type": "text", "norms": false })));
    }
    if let Some(kind) = labels {
        put(properties, if ecs { "container.labels" } else { "docker.labels" }, json!({ "type": kind }));
    }
    mappings
}

/// Sets a field's mapping, given as `a.b`, below the properties.
fn put(properties: &mut Value, field: &str, mapping: Value) {
    match field.split_once('.') {
        Some((outer, inner)) => put(&mut properties[outer]["properties"], inner, mapping),
        None => properties[field] = mapping,
    }
}

fn fingerprint(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::managed::{DEFAULT_POLICY, testing};
    use super::*;

    const ES6: Product = Product { major: 6, minor: 1, opensearch: false };
    const ES7: Product = Product { major: 7, minor: 7, opensearch: false };
    const ES8: Product = Product { major: 8, minor: 19, opensearch: false };
    const OS2: Product = Product { major: 2, minor: 19, opensearch: true };

    fn indices(name: &str) -> Outfit {
        Outfit::new(&Target::Index(Name::parse(name)), &Managed::default(), true).unwrap()
    }

    fn stream(name: &str) -> Outfit {
        Outfit { place: Place::Stream(name.into()), ecs: true, template: None }
    }

    fn alias() -> Outfit {
        let lifecycle = testing::managed(DEFAULT_POLICY).lifecycle;
        Outfit::new(&Target::Index(Name::parse("x")), &Managed { template: None, lifecycle }, true).unwrap()
    }

    fn kept(keep: &str) -> Order {
        Order { keep: Some(keep.into()), ..Order::default() }
    }

    #[test]
    fn a_pattern_has_a_star_for_each_reference_and_begins_with_a_name() {
        for (name, expected) in [
            ("logs-%{+YYYY.MM.dd}", Some("logs-*")),
            ("logs-%{[service][name]}%{x}-%{+YYYY}-v1", Some("logs-*-*-v1")),
            ("logs-%{{yyyy}}", Some("logs-*")),
            ("plain", Some("plain")),
            ("%{index}", None),
            ("%{index}-logs", None),
        ] {
            assert_eq!(pattern(&Name::parse(name)).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_template_follows_who_answers() {
        let outfit = indices("logs-%{+YYYY.MM.dd}");
        for (product, path, at, nanos, labels) in [
            (ES6, "_template/elkhound-logs", "/mappings/doc/properties", "date", None),
            (ES7, "_template/elkhound-logs", "/mappings/properties", "date_nanos", Some("flattened")),
            (ES8, "_index_template/elkhound-logs", "/template/mappings/properties", "date_nanos", Some("flattened")),
            (OS2, "_index_template/elkhound-logs", "/template/mappings/properties", "date_nanos", Some("flat_object")),
        ] {
            let thing = outfit.template(product, false);
            assert_eq!(thing.path, path);
            let fields = thing.bodies[0].pointer(at).unwrap();
            assert_eq!(fields["@timestamp"]["type"], nanos, "{path}");
            assert_eq!(fields["http"]["properties"]["response"]["properties"]["status_code"]["type"], "long");
            let label = |body: &Value| body.pointer(at).unwrap()["container"]["properties"]["labels"]["type"].clone();
            assert_eq!(label(&thing.bodies[0]), json!(labels));
            assert_eq!(thing.bodies.last().map(label), Some(Value::Null));
        }
    }

    #[test]
    fn a_broad_pattern_stays_below_elasticsearchs_own_templates() {
        let priority = |outfit: Outfit| outfit.template(ES8, false).bodies[0]["priority"].clone();
        assert_eq!(priority(indices("logs-%{+YYYY}")), 99);
        assert_eq!(priority(indices("logs-web-%{+YYYY}")), 201);
        assert_eq!(priority(stream("logs-web-prod")), 202);
    }

    #[test]
    fn dated_indices_have_a_policy_only_when_they_are_not_kept_for_ever() {
        let outfit = indices("logs-%{+YYYY}");
        assert_eq!(outfit.policy(ES8, &Order::default()), None);
        let policy = outfit.policy(ES8, &kept("30d")).unwrap();
        assert_eq!(policy.path, "_ilm/policy/elkhound-logs");
        let phases = json!({ "hot": { "actions": {} }, "delete": { "min_age": "30d", "actions": { "delete": {} } } });
        assert_eq!(policy.bodies, [json!({ "policy": { "phases": phases } })]);
        let settings = outfit.template(ES8, true).bodies[0]["template"]["settings"].clone();
        assert_eq!(settings["index.lifecycle.name"], "elkhound-logs");
    }

    #[test]
    fn a_stream_rolls_over_and_its_policy_has_the_form_of_who_answers() {
        let outfit = stream("logs-web-prod");
        let policy = outfit.policy(ES8, &Order::default()).unwrap();
        assert_eq!(policy.bodies[0]["policy"]["phases"]["hot"]["actions"]["rollover"]["max_size"], "50gb");
        let policy = outfit.policy(OS2, &kept("7d")).unwrap();
        assert_eq!(policy.path, "_plugins/_ism/policies/elkhound-logs-web-prod");
        let body = &policy.bodies[0]["policy"];
        assert_eq!(body["states"][0]["transitions"][0]["conditions"], json!({ "min_rollover_age": "7d" }));
        assert_eq!(body["states"][1]["name"], "delete");
        assert_eq!(body["ism_template"][0]["index_patterns"], json!(["logs-web-prod"]));
        assert_eq!(outfit.template(ES8, true).bodies[0]["data_stream"], json!({}));
        assert_eq!(outfit.first().unwrap().path, "_data_stream/logs-web-prod");
    }

    #[test]
    fn an_alias_is_named_where_it_is_rolled_over() {
        let outfit = alias();
        let settings = |product, managed| outfit.template(product, managed).bodies[0]["template"]["settings"].clone();
        let expected = json!({ "index.lifecycle.name": DEFAULT_POLICY, "index.lifecycle.rollover_alias": "web", "index.refresh_interval": "5s" });
        assert_eq!(settings(ES8, true), expected);
        assert_eq!(settings(OS2, true)["plugins.index_state_management.rollover_alias"], "web");
        assert_eq!(settings(ES8, false), json!({ "index.refresh_interval": "5s" }));
        let first = outfit.first().unwrap();
        assert_eq!((first.path.as_str(), first.target.as_str()), ("_alias/web", "%3Cweb-%7Bnow%2Fd%7D-000001%3E"));
    }

    #[test]
    fn what_differs_has_another_fingerprint() {
        let mark = |outfit: &Outfit, managed| {
            let body = &outfit.template(ES8, managed).bodies[0];
            body["template"]["mappings"]["_meta"]["elkhound"]["fingerprint"].clone()
        };
        let (logs, other) = (indices("logs-%{+YYYY}"), indices("other-%{+YYYY}"));
        assert_eq!(mark(&logs, false), mark(&logs, false));
        assert_ne!(mark(&logs, false), mark(&logs, true));
        assert_ne!(mark(&logs, false), mark(&other, false));
    }
}
