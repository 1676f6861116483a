//! Takes a text apart at delimiters: `%{ip} - %{user} [%{ts}]` makes the fields `ip`, `user` and `ts`.
//!
//! What stands between the fields of a mapping is looked for as it is, from left to right; there are no patterns, which makes
//! it fast. The last field takes the rest of the text.
//!
//! - `%{name}` or `%{[outer][name]}`: the text goes into the field.
//! - `%{}` and `%{?name}`: the text is skipped.
//! - `%{+name}`: the text is added to the field, behind the delimiter that stands before it; `%{+name/2}` gives the order.
//! - `%{&name}`: the text goes into a field that is called what `name` holds, be it a skipped one (`%{?name}`) or one of the event.
//! - `%{name->}`: the delimiter behind it may come several times.
//!
//! ## Options
//!
//! - `mapping`: field → how it is taken apart.
//! - `convert_datatype`: field → `int` or `float`; done after the mappings.
//! - `tag_on_failure` (default `["_dissectfailure"]`).
//! - `ecs_compatibility`: accepted, makes no difference.
//!
//! ## Example
//!
//! ```text
//! filter {
//!   dissect {
//!     mapping => { "message" => "%{ip} - %{user} [%{ts}] %{code} %{rest}" }
//!     convert_datatype => { "code" => "int" }
//!   }
//! }
//! ```
//!
//! ```json
//! {"message":"10.0.0.1 - ann [09:43] 200 sent"}
//! =>
//! {"message":"10.0.0.1 - ann [09:43] 200 sent","ip":"10.0.0.1","user":"ann","ts":"09:43","code":200,"rest":"sent"}
//! ```
//!
//! ## On failure
//!
//! A text in which a delimiter is missing, and an empty text, tag the event `_dissectfailure`, and no field is made of it. A field
//! that is missing is no failure. What can't be converted stays and tags `_dataconversionuncoercible_FIELD_TYPE`, or
//! `_dataconversionnullvalue_FIELD_TYPE` where there is none. Each mapping that fits applies the common options.
//!
//! ## Differences from Logstash
//!
//! None known. Like there, an empty value at the very start is not stepped over: `,,` by `%{a},%{b},%{c}` gives `c` the value `,,`.

use elkhound_config::options::{OptionKind, OptionSpec, Options};

use super::common::Common;
use super::reference::{Raised, Reference};
use super::{Context, Filter, Kind, Outcome, optional};
use crate::event::Event;
use crate::number::{Decimal, convert};
use crate::print;
use crate::setup::Setup;
use crate::value::Value;

mod mapping;

use mapping::Mapping;

/// The row of the table.
pub(super) const KIND: Kind =
    Kind { name: "dissect", options: OPTIONS, docs: crate::docs::head(include_str!("dissect.rs")), build };

const OPTIONS: &[OptionSpec] = &[
    optional("convert_datatype", OptionKind::Hash, "{}", "field → `int` or `float`"),
    optional("ecs_compatibility", OptionKind::OneOf(&["disabled", "v1", "v8"]), "the pipeline's", "changes nothing"),
    optional("mapping", OptionKind::Hash, "{}", "field → how it is taken apart"),
    optional("tag_on_failure", OptionKind::Array, "[\"_dissectfailure\"]", "tags of an event that does not fit"),
];

fn build(options: &mut Options<'_>, _setup: &Setup<'_>) -> Option<Box<dyn Filter>> {
    let mappings = mappings(options);
    let conversions = conversions(options);
    let dissect = Dissect {
        mappings: mappings?,
        conversions: conversions?,
        failure_tags: options.texts_or("tag_on_failure", &["_dissectfailure"]),
        common: Common::read(options),
    };
    Some(Box::new(dissect))
}

fn mappings(options: &mut Options<'_>) -> Option<Vec<(Reference, Mapping)>> {
    let mut mappings = Vec::new();
    for (field, written) in options.hash("mapping") {
        let text = written.text();
        if text.is_empty() {
            continue;
        }
        match Mapping::parse(&text) {
            Ok(mapping) => mappings.push((Reference::plain(&field), mapping)),
            Err(mistake) => {
                options.fail_at(written.span, &format!("`{text}` can't take a text apart: {mistake}"), mistake.help());
                return None;
            }
        }
    }
    Some(mappings)
}

fn conversions(options: &mut Options<'_>) -> Option<Vec<Conversion>> {
    let mut conversions = Vec::new();
    for (field, written) in options.hash("convert_datatype") {
        let name = written.text();
        let target = match name.to_uppercase().as_str() {
            "INT" => Target::Integer,
            "FLOAT" => Target::Decimal,
            _ => {
                options.fail_at(written.span, &format!("dissect can't convert to `{name}`"), "write `int` or `float`");
                return None;
            }
        };
        conversions.push(Conversion { field: Reference::plain(&field), suffix: format!("{field}_{name}"), target });
    }
    Some(conversions)
}

struct Dissect {
    mappings: Vec<(Reference, Mapping)>,
    conversions: Vec<Conversion>,
    failure_tags: Vec<String>,
    /// They follow each mapping that fits, and so come before the conversions.
    common: Common,
}

struct Conversion {
    field: Reference,
    /// How its failure tags end.
    suffix: String,
    target: Target,
}

#[derive(Clone, Copy)]
enum Target {
    Integer,
    Decimal,
}

impl Filter for Dissect {
    fn filter(&self, event: &mut Event, cx: &mut Context) -> Outcome {
        if self.dissect(event, cx).is_err() {
            self.tag_failure(event);
        }
        Outcome::Passed
    }
}

impl Dissect {
    fn dissect(&self, event: &mut Event, cx: &mut Context) -> Result<(), Raised> {
        for (field, mapping) in &self.mappings {
            let Some(value) = event.get(&*field.path(event)?) else { continue };
            let text = print::ruby_text(value);
            if mapping.apply(&text, event)? {
                self.common.apply(event, cx)?;
            } else {
                self.tag_failure(event);
            }
        }
        self.conversions.iter().try_for_each(|conversion| conversion.apply(event))
    }

    fn tag_failure(&self, event: &mut Event) {
        self.failure_tags.iter().for_each(|tag| event.tag(tag));
    }
}

impl Conversion {
    fn apply(&self, event: &mut Event) -> Result<(), Raised> {
        let path = &*self.field.path(event)?;
        let number = match event.get(path) {
            None | Some(Value::Null) => {
                event.tag(&format!("_dataconversionnullvalue_{}", self.suffix));
                return Ok(());
            }
            Some(value) => self.target.convert(&print::java_text(value)),
        };
        match number {
            Some(number) => Ok(event.set(path, number)?),
            None => {
                event.tag(&format!("_dataconversionuncoercible_{}", self.suffix));
                Ok(())
            }
        }
    }
}

impl Target {
    fn convert(self, text: &str) -> Option<Value> {
        match self {
            Self::Integer => convert::dissect_integer(text).map(Value::from),
            Self::Decimal => Decimal::parse(text).map(|decimal| Value::Decimal(Box::new(decimal))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::testing::{filtered, mistakes};

    fn dissected(mapping: &str, text: &str) -> String {
        filtered(
            &format!("dissect {{ mapping => {{ '[@metadata][t]' => '{mapping}' }} }}"),
            &format!(r#"{{"@metadata":{{"t":"{text}"}}}}"#),
        )
    }

    #[test]
    fn fields_skips_and_the_rest() {
        assert_eq!(dissected("<%{a}> %{} %{?b}: %{[c][d]}", "<1> x y: z: w"), r#"{"a":"1","c":{"d":"z: w"}}"#);
        assert_eq!(dissected("%{a} (%{b})", "x (y) z"), r#"{"a":"x","b":"y"}"#);
    }

    #[test]
    fn what_does_not_fit_is_tagged() {
        for (mapping, text) in
            [("%{a}: %{b}", "none"), ("<%{a}>", "x<1>"), ("%{a}%{b}", "x"), ("%{a} (%{b})", "x (y"), ("%{a}", "")]
        {
            assert_eq!(dissected(mapping, text), r#"{"tags":["_dissectfailure"]}"#, "{mapping}");
        }
    }

    #[test]
    fn parts_are_joined_in_their_order() {
        assert_eq!(dissected("%{+a/3}-%{+a/1}:%{+a/2}", "x-y:z"), r#"{"a":"y:z x"}"#);
        assert_eq!(dissected("%{+p},%{p};%{q}", "a,b;c"), r#"{"p":"b a","q":"c"}"#);
    }

    #[test]
    fn names_come_from_values() {
        assert_eq!(dissected("%{?k}=%{&k};%{l}=%{&l}", "a=1;b=2"), r#"{"l":"b","a":"1","b":"2"}"#);
    }

    #[test]
    fn arrows_take_repeated_delimiters() {
        assert_eq!(dissected("%{a->},%{b->},%{c}", "1,,,2,3"), r#"{"a":"1","b":"2","c":"3"}"#);
        assert_eq!(dissected("%{ts} %{+ts->} %{msg}", "Jan    15 hello"), r#"{"ts":"Jan ","msg":"15 hello"}"#);
        assert_eq!(dissected("%{->} %{a}", "x y"), r#"{"":"x","a":"y"}"#);
    }

    #[test]
    fn an_empty_start_is_not_stepped_over() {
        assert_eq!(dissected("%{a},%{b},%{c}", ",2,"), r#"{"a":"","b":"","c":",2,"}"#);
        assert_eq!(dissected("%{a},%{b},%{c}", "1,,3"), r#"{"a":"1","b":"","c":"3"}"#);
    }

    #[test]
    fn values_are_converted_or_tagged() {
        assert_eq!(
            filtered(
                "dissect { mapping => { 'm' => '%{a},%{b},%{c}' } convert_datatype => { 'a' => 'int' 'b' => 'float' 'c' => 'int' 'd' => 'int' } }",
                r#"{"m":"12.7,1.50,x"}"#
            ),
            r#"{"m":"12.7,1.50,x","a":12,"b":1.50,"c":"x","tags":["_dataconversionuncoercible_c_int","_dataconversionnullvalue_d_int"]}"#
        );
    }

    #[test]
    fn what_is_no_text_is_taken_as_rubys_text() {
        let section = "dissect { mapping => { 'm' => '%{a} %{b}' } }";
        assert_eq!(filtered(section, r#"{"m":["x",1]}"#), r#"{"m":["x",1],"a":"[\"x\",","b":"1]"}"#);
        assert_eq!(filtered(section, r#"{"m":null}"#), r#"{"m":null,"tags":["_dissectfailure"]}"#);
        assert_eq!(filtered(section, r#"{"x":1}"#), r#"{"x":1}"#);
    }

    #[test]
    fn each_fitting_mapping_applies_the_common_options() {
        assert_eq!(
            filtered(
                "dissect { mapping => { 'a' => '%{x}' 'b' => '%{y}' 'c' => '%{z}=%{z}' } add_tag => ok }",
                r#"{"a":"1","b":"2","c":"3"}"#
            ),
            r#"{"a":"1","b":"2","c":"3","x":"1","tags":["ok","ok","_dissectfailure"],"y":"2"}"#
        );
    }

    #[test]
    fn bad_mappings_are_refused() {
        for mapping in ["plain", "%{+} %{a}", "%{&}", "%{+&a}", "%{&+a}", "%{+->}", "%{&/2}"] {
            assert_eq!(mistakes(&format!("dissect {{ mapping => {{ 'm' => '{mapping}' }} }}")).len(), 1, "{mapping}");
        }
        assert_eq!(mistakes("dissect { convert_datatype => { 'm' => 'long' } }"), ["dissect can't convert to `long`"]);
        assert_eq!(mistakes("dissect { mapping => { 'm' => '' } }").len(), 0);
    }
}
