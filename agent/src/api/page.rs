//! The page for browsers: one document without anything from elsewhere. Its tables need no JavaScript: without it the page loads itself anew every few
//! seconds; with it only the tables are renewed, and lines are shown on the page as they are read.
//!
//! Names, reasons and documents come from outside: all of them are escaped, and the browser is told to run this page's script and no other.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elkhound_pipeline::time::Timestamp;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};

use super::State;
use super::answer::{self, Answer};
use super::health;
use crate::amounts::lasting;
use crate::clock;
use crate::markup;

mod containers;
mod outputs;
mod pipeline;
mod table;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// Nothing is loaded and nothing runs but what stands on the page itself, known by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    // Letters, digits and signs only, so it is one.
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

/// How a browser that runs no script keeps up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reloading {
    /// It loads the page again and again.
    Often,
    /// It stays as it is, for reading and typing.
    Never,
}

/// The page; lines and documents only for who may see them.
pub(crate) fn answer(state: &State, trusted: bool, reloading: Reloading) -> Answer {
    let mut answer = answer::text(StatusCode::OK, "text/html; charset=utf-8", whole(state, trusted, reloading));
    answer.headers_mut().insert("content-security-policy", POLICY.clone());
    answer
}

fn whole(state: &State, trusted: bool, reloading: Reloading) -> String {
    let refresh = match reloading {
        Reloading::Often => "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>",
        Reloading::Never => "",
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">{refresh}<title>elkhound on {}</title><style>{STYLE}</style></head><body><p id=\"away\" class=\"red\" hidden>elkhound does not answer; this is what was seen last</p><main>{}{}</main>{}<script>{SCRIPT}</script></body></html>\n",
        escaped(&state.node.name),
        head(state, reloading),
        tables(state, trusted),
        lines(trusted)
    )
}

fn head(state: &State, reloading: Reloading) -> String {
    let health = health::judge(state);
    let name = health.status.name();
    let causes: String =
        health.causes.iter().map(|cause| format!("<p class=\"{name}\">{}</p>", escaped(cause))).collect();
    let other = match reloading {
        Reloading::Often => "<a href=\"/?still\">stop reloading</a>",
        Reloading::Never => "<a href=\"/\">reload every five seconds</a>",
    };
    format!(
        "<header><h1>elkhound</h1><span>{}</span><span class=\"{name}\">● {name}</span><span class=\"dim\">version {}, up {}</span><noscript>{other}</noscript></header>{causes}",
        escaped(&state.node.name),
        env!("CARGO_PKG_VERSION"),
        lasting(state.stats.started.elapsed().as_secs_f64()),
    )
}

fn tables(state: &State, trusted: bool) -> String {
    let pipelines = state.stats.pipelines();
    let outputs: Vec<_> = pipelines.iter().flat_map(|pipeline| &pipeline.outputs).collect();
    let mut sections: Vec<String> = pipelines.iter().map(|pipeline| pipeline::shown(state, pipeline)).collect();
    sections.extend(outputs.iter().filter_map(|output| outputs::answers(output)));
    sections.extend(containers::shown(state));
    sections.extend(outputs.iter().filter_map(|output| outputs::rejected(output, trusted)));
    sections.concat()
}

/// The form for lines as they are read; a browser without JavaScript opens them in a tab of their own.
fn lines(trusted: bool) -> String {
    const FORM: &str = "<form id=\"look\" action=\"/logs\" target=\"_blank\"><input name=\"name\" placeholder=\"container, * for any\"><input name=\"service\" placeholder=\"service\"><select name=\"source\"><option value=\"\">both streams</option><option>stdout</option><option>stderr</option></select><input name=\"filter\" placeholder=\"holds this text\"><button>Look</button><button type=\"button\" name=\"end\" hidden>Stop</button></form><div id=\"lines\"></div>";
    let untrusted = || format!("<p class=\"dim\">{}</p>", super::untrusted());
    section("Lines as they are read", &if trusted { FORM.to_owned() } else { untrusted() })
}

fn section(heading: &str, content: &str) -> String {
    format!("<section><h2>{heading}</h2>{content}</section>")
}

/// A text that means nothing to a browser.
fn escaped(text: &str) -> String {
    markup::escaped(text, |letter| (letter == '\'').then_some("&#39;"))
}

/// A number that is coloured when there is something to see.
fn marked(count: u64, colour: &str) -> String {
    if count == 0 { count.to_string() } else { format!("<span class=\"{colour}\">{count}</span>") }
}

/// How long ago it was; the time itself is shown to who points at it.
fn ago(time: Timestamp) -> String {
    let seconds = (clock::now().millis() - time.millis()) as f64 / 1e3;
    format!("<time title=\"{}\">{} ago</time>", escaped(&time.to_string()), lasting(seconds))
}

#[cfg(test)]
mod tests {
    use elkhound_pipeline::flow::meter::add;

    use super::super::testing::state;
    use super::*;
    use crate::amounts::{number, size};
    use crate::stats::containers::About;

    #[test]
    fn what_comes_from_outside_is_escaped_and_documents_are_for_the_trusted() {
        let state = state();
        let pipeline = state.stats.pipelines().remove(0);
        let container = pipeline.inputs[0].containers.take_up("ab");
        container.describe(About { name: "<script>alert('x')</script>".into(), ..About::default() });
        let delivery = pipeline.outputs[0].delivery.get().unwrap();
        delivery.reject(400, "mapper_parsing_exception", "no <b>", "{\"secret\":1}");
        let page = whole(&state, true, Reloading::Often);
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)") && !page.contains("<script>alert"), "{page}");
        assert!(page.contains("{&quot;secret&quot;:1}") && page.contains("no &lt;b&gt;"), "{page}");
        let page = whole(&state, false, Reloading::Often);
        assert!(!page.contains("secret") && page.contains("api.auth.type: basic"), "{page}");
    }

    #[test]
    fn the_browser_runs_what_stands_on_the_page_and_nothing_else() {
        let state = state();
        let page = whole(&state, true, Reloading::Never);
        for (open, close) in [("<script>", "</script>"), ("<style>", "</style>")] {
            let parts: Vec<&str> = page.split(open).collect();
            let text = parts[1].split(close).next().unwrap();
            let hash = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
            assert!(parts.len() == 2 && POLICY.to_str().unwrap().contains(&hash), "{open}");
        }
        assert!(!page.contains(" style=") && !page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn a_page_that_holds_still_does_not_reload() {
        let pages = [Reloading::Often, Reloading::Never].map(|reloading| whole(&state(), true, reloading));
        assert_eq!(pages.each_ref().map(|page| page.contains("http-equiv=\"refresh\"")), [true, false]);
        assert_eq!(pages.map(|page| page.contains("href=\"/?still\"")), [true, false]);
    }

    #[test]
    fn filters_stand_in_their_conditions_with_their_share_of_the_time() {
        let state = state();
        add(&state.stats.pipelines()[0].plan.filters()[0].counters.entered, 5);
        let page = whole(&state, true, Reloading::Often);
        let rows: Vec<&str> = page.split("<tr").filter(|row| row.contains("class=\"in")).collect();
        assert!(rows[0].contains("<span class=\"in0\">mutate-1</span>") && rows[0].contains(">5</td>"), "{rows:?}");
        assert!(rows[1].contains("<span class=\"in0 dim\">if <code>[b] &gt; 1</code></span>"), "{rows:?}");
        assert!(rows[2].contains("<span class=\"in1\">drop-2</span>"), "{rows:?}");
    }

    #[test]
    fn figures_are_short() {
        let times = [0.0, 0.25, 1.5, 600.0, 7200.0, 259_200.0].map(lasting);
        assert_eq!(times, ["0", "250 ms", "1.5 s", "10 min", "2 h", "3 d"]);
        assert_eq!([0, 2048, 5 << 20, 3 << 30].map(size), ["0 B", "2 KiB", "5.0 MiB", "3.00 GiB"]);
        assert_eq!([0.0, 1.25, 1234.5].map(number), ["0", "1.2", "1234"]);
    }
}
