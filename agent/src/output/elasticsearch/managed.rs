//! What is installed before the first document: an index template and, for a rollover alias, its lifecycle policy and its first index.
//!
//! Logstash's options (`manage_template`, `template…`, `ilm_…`) and its order of things, with one difference: its template for
//! `ecs-logstash-*` is installed only where documents can go there, so that whoever names an index of his own needs no right to install templates.
//!
//! What can't be reached is tried again, and documents wait. A template that Elasticsearch refuses is told, and documents go on without it,
//! as in Logstash; without a rollover alias they can't, for they would make an index of its name.

use elkhound_config::options::Options;
use elkhound_pipeline::setup::{Ecs, Setup};
use serde_json::{Value, json};

/// What is to be installed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Managed {
    /// The template.
    pub(crate) template: Option<Template>,
    /// The rollover alias and its policy.
    pub(crate) lifecycle: Option<Lifecycle>,
}

/// An index template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template {
    /// Its name.
    pub(crate) name: String,
    /// Whether one that is there already is replaced.
    pub(crate) overwrites: bool,
    api: Api,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Api {
    Auto,
    Legacy,
    Composable,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// The operator's.
    Given(Value),
    /// Ours, for indices that begin so.
    BuiltIn { ecs: bool, prefix: String },
}

/// A rollover alias and the policy that rolls it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    /// What documents are written to.
    pub(crate) alias: String,
    /// What follows its name in that of the first index.
    pub(super) pattern: String,
    /// The policy's name.
    pub(crate) policy: String,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    /// The first number of its version.
    pub(crate) major: u32,
    /// The second one.
    pub(crate) minor: u32,
    /// Whether it is OpenSearch, whose numbers begin anew.
    pub(crate) opensearch: bool,
}

impl Product {
    /// Whether documents have a type, as before Elasticsearch 7.
    pub(crate) fn has_types(self) -> bool {
        !self.opensearch && self.major < 7
    }

    /// Whether it is Elasticsearch from this version on; OpenSearch began with what Elasticsearch 7.10 had.
    pub(crate) fn is_at_least(self, major: u32, minor: u32) -> bool {
        let version = if self.opensearch { (7, 10) } else { (self.major, self.minor) };
        version >= (major, minor)
    }
}

/// The policy that is made when it is not there; others are the operator's.
pub(super) const DEFAULT_POLICY: &str = "logstash-policy";

impl Managed {
    /// Reads the options; `to_index` is whether documents go to an index, not to a data stream. Nothing when they contradict each other, which is reported.
    pub(crate) fn read(options: &mut Options<'_>, ecs: Ecs, to_index: bool, setup: &Setup<'_>) -> Option<Self> {
        if !to_index {
            return Some(Self::default());
        }
        let lifecycle = Lifecycle::read(options, ecs)?;
        if !options.boolean("manage_template", true) {
            return Some(Self { template: None, lifecycle });
        }
        let given = match options.text("template") {
            Some(path) => Some(given_template(options, &path, setup)?),
            None => None,
        };
        // An index that the operator names is none that our template is for.
        let built_in = lifecycle.is_some() || !options.was_set("index");
        let prefix = lifecycle.as_ref().map_or(default_name(ecs), |lifecycle| &lifecycle.alias).to_owned();
        let body = match given {
            Some(value) => Body::Given(value),
            None if built_in => Body::BuiltIn { ecs: ecs.is_enabled(), prefix: prefix.clone() },
            None => return Some(Self { template: None, lifecycle }),
        };
        let api = match options.text_or("template_api", "auto").as_str() {
            "legacy" => Api::Legacy,
            "composable" => Api::Composable,
            _ => Api::Auto,
        };
        let name = options.text_or("template_name", if lifecycle.is_some() { &prefix } else { default_name(ecs) });
        let overwrites = options.boolean("template_overwrite", false);
        Some(Self { template: Some(Template { name, overwrites, api, body }), lifecycle })
    }
}

/// Where Logstash writes when nobody names an index, without the date.
fn default_name(ecs: Ecs) -> &'static str {
    if ecs.is_enabled() { "ecs-logstash" } else { "logstash" }
}

fn given_template(options: &mut Options<'_>, path: &str, setup: &Setup<'_>) -> Option<Value> {
    let read = (setup.read_file)(std::path::Path::new(path)).map_err(|error| format!("{path} can't be read: {error}"));
    let parsed = read.and_then(|bytes| {
        serde_json::from_slice::<Value>(&bytes).map_err(|error| format!("{path} is no JSON: {error}"))
    });
    match parsed {
        Ok(value) if value.is_object() => Some(value),
        Ok(_) => {
            options.fail("template", &format!("{path} holds no JSON object"), "give the body of an index template");
            None
        }
        Err(message) => {
            options.fail("template", &message, "give a file with the body of an index template");
            None
        }
    }
}

impl Lifecycle {
    /// The lifecycle of the options, when they ask for one; nothing at all when they contradict each other.
    fn read(options: &mut Options<'_>, ecs: Ecs) -> Option<Option<Self>> {
        let enabled = options.text_or("ilm_enabled", "auto");
        let alias = options.text("ilm_rollover_alias").filter(|alias| alias != default_name(ecs));
        let wanted = match enabled.as_str() {
            "false" => false,
            "true" if options.was_set("index") && alias.is_none() => {
                let message = "`ilm_enabled` has no effect beside an index, which is not rolled over";
                options.warn("ilm_enabled", message, "set `ilm_rollover_alias` in place of `index`");
                false
            }
            "true" => true,
            _ => alias.is_some(),
        };
        if !wanted {
            return Some(None);
        }
        let alias = alias.unwrap_or_else(|| default_name(ecs).to_owned());
        if alias.contains("%{") {
            let message = format!("the alias `{alias}` would differ by event, and it is made once");
            options.fail("ilm_rollover_alias", &message, "write a name without references");
            return None;
        }
        if options.was_set("index") {
            let message = format!("`index` has no effect: documents go to the rollover alias `{alias}`");
            options.warn("index", &message, "take it out, or set `ilm_enabled => false`");
        }
        let pattern = options.text_or("ilm_pattern", "{now/d}-000001");
        Some(Some(Self { alias, pattern, policy: options.text_or("ilm_policy", DEFAULT_POLICY) }))
    }

    /// The path of the policy.
    pub(crate) fn policy_path(&self) -> String {
        format!("_ilm/policy/{}", encoded(&self.policy))
    }

    /// The policy that is made when there is none; nothing for one that is the operator's to make.
    pub(crate) fn default_policy(&self) -> Option<Value> {
        let rollover = json!({ "max_size": "50gb", "max_age": "30d" });
        let policy = json!({ "policy": { "phases": { "hot": { "actions": { "rollover": rollover } } } } });
        (self.policy == DEFAULT_POLICY).then_some(policy)
    }

    /// The path at which the alias is asked for.
    pub(crate) fn alias_path(&self) -> String {
        format!("_alias/{}", encoded(&self.alias))
    }

    /// The path and the body that make the first index.
    pub(crate) fn first_index(&self) -> (String, Value) {
        let name = encoded(&format!("<{}-{}>", self.alias, self.pattern));
        (name, json!({ "aliases": { &self.alias: { "is_write_index": true } } }))
    }
}

impl Template {
    /// Whether its body is the operator's.
    pub(super) fn is_given(&self) -> bool {
        matches!(self.body, Body::Given(_))
    }

    /// Path and body of the template for who answers.
    pub(crate) fn request(&self, product: Product, lifecycle: Option<&Lifecycle>) -> (String, Value) {
        let composable = match self.api {
            Api::Auto => product.opensearch || product.major >= 8,
            Api::Legacy => false,
            Api::Composable => true,
        };
        let mut body = match &self.body {
            Body::Given(value) => value.clone(),
            Body::BuiltIn { ecs, prefix } => built_in(*ecs, prefix, composable, product),
        };
        if let Some(lifecycle) = lifecycle {
            let under_template = body.get("template").is_some() || body.get("settings").is_none() && composable;
            if let Some(body) = body.as_object_mut() {
                let pattern = format!("{}-*", lifecycle.alias);
                body.insert("index_patterns".into(), json!([pattern]));
            }
            let settings = if under_template { &mut body["template"]["settings"] } else { &mut body["settings"] };
            if !product.opensearch {
                settings["index.lifecycle.name"] = json!(lifecycle.policy);
                settings["index.lifecycle.rollover_alias"] = json!(lifecycle.alias);
            }
        }
        let endpoint = if composable { "_index_template" } else { "_template" };
        (format!("{endpoint}/{}", encoded(&self.name)), body)
    }
}

/// Our template: texts that people search as words and that programs group by, refreshed every five seconds.
fn built_in(ecs: bool, prefix: &str, composable: bool, product: Product) -> Value {
    let settings = json!({ "index.refresh_interval": "5s" });
    let mut mappings = if ecs { ecs_mappings() } else { plain_mappings() };
    if product.has_types() {
        mappings = json!({ "doc": mappings });
    }
    let patterns = json!([format!("{prefix}-*")]);
    if composable {
        // Above 200, as those of Elasticsearch itself have 100 and 200.
        let template = json!({ "settings": settings, "mappings": mappings });
        return json!({ "index_patterns": patterns, "priority": 201, "template": template });
    }
    json!({ "index_patterns": patterns, "order": 0, "settings": settings, "mappings": mappings })
}

/// What the Elastic Common Schema says of fields, as far as it can't be guessed.
pub(super) fn ecs_mappings() -> Value {
    let place = json!({ "properties": { "geo": { "properties": { "location": { "type": "geo_point" } } } } });
    json!({
        "dynamic_templates": [{
            "texts": {
                "match_mapping_type": "string",
                "mapping": { "type": "keyword", "ignore_above": 1024 }
            }
        }],
        "properties": {
            "@timestamp": { "type": "date" },
            "message": { "type": "text", "norms": false },
            "event": { "properties": { "original": { "type": "keyword", "index": false, "doc_values": false } } },
            "client": place, "destination": place, "host": place, "server": place, "source": place
        }
    })
}

/// The fields of events that are in no schema.
pub(super) fn plain_mappings() -> Value {
    let word = json!({ "type": "keyword", "ignore_above": 256 });
    json!({
        "dynamic_templates": [
            { "messages": { "path_match": "message", "match_mapping_type": "string", "mapping": { "type": "text", "norms": false } } },
            { "texts": { "match": "*", "match_mapping_type": "string", "mapping": { "type": "text", "norms": false, "fields": { "keyword": word } } } }
        ],
        "properties": {
            "@timestamp": { "type": "date" },
            "@version": { "type": "keyword" },
            "geoip": { "properties": { "ip": { "type": "ip" }, "location": { "type": "geo_point" } } }
        }
    })
}

/// A name as a part of a path.
pub(super) fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    name.bytes().map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// The template `t`, and the alias `web` with this policy.
    pub(crate) fn managed(policy: &str) -> Managed {
        let body = Body::Given(json!({}));
        let template = Template { name: "t".into(), overwrites: false, api: Api::Auto, body };
        let lifecycle = Lifecycle { alias: "web".into(), pattern: "{now/d}-000001".into(), policy: policy.into() };
        Managed { template: Some(template), lifecycle: Some(lifecycle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ES6: Product = Product { major: 6, minor: 0, opensearch: false };
    const ES7: Product = Product { major: 7, minor: 0, opensearch: false };
    const ES8: Product = Product { major: 8, minor: 0, opensearch: false };
    const OS2: Product = Product { major: 2, minor: 0, opensearch: true };

    fn template(api: Api, body: Body) -> Template {
        Template { name: "my template".into(), overwrites: false, api, body }
    }

    fn lifecycle() -> Lifecycle {
        Lifecycle { alias: "web".into(), pattern: "{now/d}-000001".into(), policy: DEFAULT_POLICY.into() }
    }

    #[test]
    fn the_form_of_a_template_follows_who_answers() {
        let body = Body::BuiltIn { ecs: true, prefix: "ecs-logstash".into() };
        for (api, product, path, typed) in [
            (Api::Auto, ES6, "_template/my%20template", true),
            (Api::Auto, ES7, "_template/my%20template", false),
            (Api::Auto, ES8, "_index_template/my%20template", false),
            (Api::Auto, OS2, "_index_template/my%20template", false),
            (Api::Legacy, ES8, "_template/my%20template", false),
            (Api::Composable, ES7, "_index_template/my%20template", false),
        ] {
            let (told, body) = template(api, body.clone()).request(product, None);
            assert_eq!(told, path);
            assert_eq!(body["index_patterns"], json!(["ecs-logstash-*"]));
            let mappings = if path.starts_with("_index") { &body["template"]["mappings"] } else { &body["mappings"] };
            assert_eq!(mappings["doc"].is_object(), typed, "{body}");
            let properties = if typed { &mappings["doc"]["properties"] } else { &mappings["properties"] };
            assert_eq!(properties["@timestamp"]["type"], "date", "{body}");
        }
    }

    #[test]
    fn a_lifecycle_is_put_into_the_template_where_its_settings_stand() {
        let lifecycle = lifecycle();
        let settings = json!({ "index.lifecycle.name": "logstash-policy", "index.lifecycle.rollover_alias": "web" });
        let request =
            |body: Value, product| template(Api::Auto, Body::Given(body)).request(product, Some(&lifecycle)).1;
        let composable = json!({ "index_patterns": ["web-*"], "template": { "settings": settings } });
        assert_eq!(request(json!({ "index_patterns": ["x"] }), ES8), composable);
        assert_eq!(request(json!({ "template": { "settings": {} } }), ES8), composable);
        let legacy = json!({ "index_patterns": ["web-*"], "settings": settings });
        assert_eq!(request(json!({ "index_patterns": "x" }), ES7), legacy);
        assert_eq!(request(json!({ "settings": {} }), ES8), legacy);
        let without = request(json!({ "template": { "settings": { "a": 1 } } }), OS2);
        assert_eq!(without["template"]["settings"], json!({ "a": 1 }));
    }

    #[test]
    fn the_first_index_is_named_by_date_math() {
        let (path, body) = lifecycle().first_index();
        assert_eq!(path, "%3Cweb-%7Bnow%2Fd%7D-000001%3E");
        assert_eq!(body, json!({ "aliases": { "web": { "is_write_index": true } } }));
        assert!(lifecycle().default_policy().is_some());
        assert!(Lifecycle { policy: "mine".into(), ..lifecycle() }.default_policy().is_none());
    }
}
