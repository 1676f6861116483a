//! The page for browsers: one document without anything from elsewhere, whose tables need no JavaScript. It loads itself anew every few seconds.
//!
//! Names, reasons and documents come from outside: all of them are escaped, and the browser is told to run nothing.

use std::fmt::Write;

use elkhound_pipeline::flow::meter::read;
use elkhound_pipeline::time::Timestamp;
use hyper::StatusCode;
use hyper::header::{HeaderValue, REFRESH};

use super::State;
use super::answer::{self, Answer};
use super::health;
use crate::amounts::{lasting, number, size};
use crate::clock;
use crate::markup;
use crate::stats::delivery::Delivery;
use crate::stats::{OutputStats, PipelineStats, State as Doing};

/// How often the page loads itself, in seconds.
const EVERY: &str = "5";
/// Nothing is loaded, nothing runs.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "
:root{color-scheme:light dark;--fg:#1c2330;--dim:#5d6778;--bg:#f6f7f9;--card:#fff;--line:#dde1e8;--good:#18794e;--warn:#9a5b00;--bad:#c62a2f;--bar:#3b6fd4}
@media(prefers-color-scheme:dark){:root{--fg:#e6e9ef;--dim:#98a2b3;--bg:#12151b;--card:#1a1f28;--line:#2c3442;--good:#4cc38a;--warn:#f1a10d;--bad:#ff6369;--bar:#6d9bf1}}
*{box-sizing:border-box}body{margin:0 auto;max-width:78rem;padding:1.2rem;background:var(--bg);color:var(--fg);font:14px/1.45 system-ui,sans-serif}
header{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;align-items:baseline}h1{font-size:1.35rem;margin:0}h2{font-size:1.05rem;margin:0 0 .5rem}
section{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.9rem 1rem;margin-top:1rem;overflow-x:auto}
table{border-collapse:collapse;width:100%}th,td{padding:.25rem .6rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--dim);white-space:nowrap}tr:last-child td{border-bottom:0}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.dim{color:var(--dim)}.green{color:var(--good)}.yellow{color:var(--warn)}.red{color:var(--bad)}code{font:12px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
.flow{display:flex;flex-wrap:wrap;gap:.5rem;align-items:stretch;margin-bottom:.8rem}.box{border:1px solid var(--line);border-radius:6px;padding:.4rem .7rem;min-width:8rem}
.box b{display:block}.arrow{align-self:center;color:var(--dim)}.bar{height:6px;border-radius:3px;background:var(--line);margin-top:.3rem;overflow:hidden}.bar i{display:block;height:100%;background:var(--bar)}
form{display:flex;flex-wrap:wrap;gap:.5rem}input,select,button{font:inherit;padding:.25rem .5rem;border:1px solid var(--line);border-radius:5px;background:var(--bg);color:var(--fg)}a{color:var(--bar)}";

/// The page; lines and documents only for who may see them.
pub(crate) fn answer(state: &State, trusted: bool) -> Answer {
    let mut answer = answer::text(StatusCode::OK, "text/html; charset=utf-8", whole(state, trusted));
    answer.headers_mut().insert("content-security-policy", HeaderValue::from_static(POLICY));
    answer.headers_mut().insert(REFRESH, HeaderValue::from_static(EVERY));
    answer
}

fn whole(state: &State, trusted: bool) -> String {
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>elkhound on {}</title><style>{STYLE}</style></head><body>",
        escaped(&state.node.name)
    );
    head(state, &mut out);
    for pipeline in state.stats.pipelines() {
        of_pipeline(state, &pipeline, &mut out);
        of_outputs(&pipeline, trusted, &mut out);
    }
    containers(state, &mut out);
    look(trusted, &mut out);
    out.push_str("</body></html>\n");
    out
}

/// Writes to a text, which can't fail.
macro_rules! put {
    ($out:expr, $($text:tt)*) => {{ let _written = write!($out, $($text)*); }};
}

fn head(state: &State, out: &mut String) {
    let health = health::judge(state);
    let name = health.status.name();
    put!(
        out,
        "<header><h1>elkhound</h1><span>{}</span><span class=\"{name}\">● {name}</span><span class=\"dim\">version {}, up {}</span></header>",
        escaped(&state.node.name),
        env!("CARGO_PKG_VERSION"),
        lasting(state.stats.started.elapsed().as_secs_f64())
    );
    for cause in health.causes {
        put!(out, "<p class=\"{name}\">{}</p>", escaped(&cause));
    }
}

fn of_pipeline(state: &State, pipeline: &PipelineStats, out: &mut String) {
    let rate = |name| state.history.now(pipeline, name);
    let doing = match pipeline.state() {
        Doing::Running => "",
        Doing::Finished => " <span class=\"yellow\">has ended</span>",
        Doing::Failed => " <span class=\"red\">has failed</span>",
    };
    put!(out, "<section><h2>Pipeline {}{doing}</h2><div class=\"flow\">", escaped(&pipeline.id));
    let inputs = pipeline.inputs.iter().map(|input| escaped(&input.id)).collect::<Vec<_>>().join(", ");
    step(out, "inputs", &inputs, &format!("{} events/s", number(rate("input_throughput"))), None);
    let share = pipeline.bytes() as f64 / pipeline.budget.bytes().max(1) as f64;
    let queue = format!("{} of {}", size(pipeline.bytes()), size(pipeline.budget.bytes()));
    let waiting = if pipeline.disk.is_some() { String::new() } else { format!("{} events wait", pipeline.waiting()) };
    step(out, "in flight", &queue, &waiting, Some(share));
    if let Some(disk) = &pipeline.disk {
        let (bytes, most) = (read(&disk.bytes) as usize, disk.settings.limits.bytes as usize);
        let held = format!("{} events", read(&disk.events));
        step(
            out,
            "on disk",
            &format!("{} of {}", size(bytes), size(most)),
            &held,
            Some(bytes as f64 / most.max(1) as f64),
        );
    }
    let busy = rate("worker_utilization");
    let filters = format!("{} filters, {} workers", pipeline.plan.filters().len(), pipeline.workers);
    step(out, "filters", &filters, &format!("{} events/s", number(rate("filter_throughput"))), Some(busy / 100.0));
    let average = pipeline.average_batch();
    let batch = format!("on average, batch size {}", pipeline.batch_size);
    step(
        out,
        "batch",
        &batch,
        &format!("{} events", number(average)),
        Some(average / pipeline.batch_size.max(1) as f64),
    );
    let outputs = pipeline.outputs.iter().map(|output| escaped(&output.id)).collect::<Vec<_>>().join(", ");
    step(out, "outputs", &outputs, &format!("{} events/s", number(rate("output_throughput"))), None);
    out.push_str("</div>");
    filters_of(pipeline, out);
    out.push_str("</section>");
}

fn step(out: &mut String, name: &str, what: &str, rate: &str, share: Option<f64>) {
    let arrow = if out.ends_with("\"flow\">") { "" } else { "<span class=\"arrow\">→</span>" };
    let bar = share.map_or_else(String::new, |share| {
        format!("<div class=\"bar\"><i style=\"width:{:.0}%\"></i></div>", (share * 100.0).clamp(0.0, 100.0))
    });
    put!(out, "{arrow}<div class=\"box\"><span class=\"dim\">{name}</span><b>{rate}</b>{what}{bar}</div>");
}

fn filters_of(pipeline: &PipelineStats, out: &mut String) {
    if pipeline.plan.filters().is_empty() {
        return;
    }
    out.push_str("<table><tr><th>filter</th><th>place</th><th class=\"n\">in</th><th class=\"n\">out</th><th class=\"n\">failed</th><th class=\"n\">time</th><th class=\"n\">an event</th></tr>");
    for filter in pipeline.plan.filters() {
        let counters = &filter.counters;
        let (entered, nanos) = (read(&counters.entered), counters.nanos());
        put!(
            out,
            "<tr><td>{}</td><td class=\"dim\">{}</td><td class=\"n\">{entered}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{} µs</td></tr>",
            escaped(&filter.id),
            escaped(&filter.place),
            read(&counters.left),
            read(&counters.failed),
            lasting(nanos as f64 / 1e9),
            number(nanos as f64 / 1e3 / entered.max(1) as f64)
        );
    }
    out.push_str("</table>");
}

fn of_outputs(pipeline: &PipelineStats, trusted: bool, out: &mut String) {
    for output in &pipeline.outputs {
        if let Some(delivery) = output.delivery.get() {
            of_delivery(output, delivery, trusted, out);
        }
    }
}

fn of_delivery(output: &OutputStats, delivery: &Delivery, trusted: bool, out: &mut String) {
    put!(out, "<section><h2>Output {}</h2>", escaped(&output.id));
    if let Some(trouble) = delivery.trouble() {
        put!(out, "<p class=\"yellow\">not delivering since {}: {}</p>", trouble.since, escaped(&trouble.reason));
    }
    put!(
        out,
        "<table><tr><th class=\"n\">indexed</th><th class=\"n\">refused for good</th><th class=\"n\">sent again</th><th class=\"n\">requests without an answer</th><th>answers</th><th>items not taken</th></tr><tr><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr></table>",
        read(&delivery.indexed),
        read(&delivery.refused),
        read(&delivery.again),
        read(&delivery.failed).saturating_sub(
            delivery.statuses().iter().filter(|(status, _)| **status != 200).map(|(_, count)| count).sum()
        ),
        by_status(&delivery.statuses()),
        by_status(&delivery.item_statuses())
    );
    rejected(delivery, trusted, out);
    out.push_str("</section>");
}

fn by_status(statuses: &std::collections::BTreeMap<u16, u64>) -> String {
    let each = statuses.iter().map(|(status, count)| format!("{status} × {count}"));
    each.collect::<Vec<_>>().join(", ")
}

fn rejected(delivery: &Delivery, trusted: bool, out: &mut String) {
    let rejected = delivery.rejected();
    if rejected.is_empty() {
        return;
    }
    out.push_str("<h2>Last rejected documents</h2><table><tr><th>when</th><th class=\"n\">status</th><th>why</th><th>document</th></tr>");
    for one in rejected {
        let (reason, document) =
            if trusted { (one.reason.as_str(), one.document.as_str()) } else { ("", super::untrusted()) };
        put!(
            out,
            "<tr><td class=\"dim\">{}</td><td class=\"n\">{}</td><td>{} {}</td><td><code>{}</code></td></tr>",
            one.at,
            one.status,
            escaped(&one.kind),
            escaped(reason),
            escaped(document)
        );
    }
    out.push_str("</table>");
}

fn containers(state: &State, out: &mut String) {
    let pipelines = state.stats.pipelines();
    let mut all: Vec<_> =
        pipelines.iter().flat_map(|pipeline| &pipeline.inputs).flat_map(|input| input.containers.all()).collect();
    if all.is_empty() {
        return;
    }
    all.sort_by_key(|container| container.about().name.clone());
    let now = clock::now();
    put!(
        out,
        "<section><h2>Containers ({})</h2><table><tr><th>container</th><th>service</th><th>read from</th><th class=\"n\">lines/s</th><th class=\"n\">lines</th><th class=\"n\">bytes</th><th class=\"n\">last line</th><th class=\"n\">lag</th><th class=\"n\">cursor age</th><th class=\"n\">gaps</th><th class=\"n\">left out</th><th>last error</th></tr>",
        all.len()
    );
    for container in all {
        let about = container.about();
        let error = container.trouble().map(|(at, reason)| format!("{at} {}", escaped(&reason))).unwrap_or_default();
        put!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"dim\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"red\">{error}</td></tr>",
            escaped(&about.name),
            escaped(&about.service),
            about.source,
            number(state.history.lines(&container.id, container.count())),
            container.count(),
            size(read(&container.bytes) as usize),
            ago(container.last(), now),
            lasting(container.lag() as f64 / 1e9),
            lasting(container.cursor_age(now) as f64 / 1e9),
            read(&container.gaps),
            read(&container.suppressed)
        );
    }
    out.push_str("</table></section>");
}

fn look(trusted: bool, out: &mut String) {
    out.push_str("<section><h2>Lines as they are read</h2>");
    if !trusted {
        put!(out, "<p class=\"dim\">{}</p></section>", super::untrusted());
        return;
    }
    out.push_str("<form action=\"/logs\" method=\"get\"><input name=\"name\" placeholder=\"container, * for any\"><input name=\"service\" placeholder=\"service\"><select name=\"source\"><option value=\"\">both streams</option><option>stdout</option><option>stderr</option></select><input name=\"filter\" placeholder=\"holds this text\"><button>Look</button></form></section>");
}

/// A text that means nothing to a browser.
fn escaped(text: &str) -> String {
    markup::escaped(text, |letter| (letter == '\'').then_some("&#39;"))
}

fn ago(time: Option<Timestamp>, now: Timestamp) -> String {
    time.map_or_else(String::new, |time| format!("{} ago", lasting((now.millis() - time.millis()) as f64 / 1e3)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::state;
    use super::*;
    use crate::stats::containers::About;

    #[test]
    fn what_comes_from_outside_is_escaped_and_documents_are_for_the_trusted() {
        let state = state();
        let pipeline = state.stats.pipelines().remove(0);
        let container = pipeline.inputs[0].containers.take_up("ab");
        container.describe(About { name: "<script>alert('x')</script>".into(), ..About::default() });
        let delivery = pipeline.outputs[0].delivery.get().unwrap();
        delivery.reject(400, "mapper_parsing_exception", "no <b>", "{\"secret\":1}");
        let page = whole(&state, true);
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)") && !page.contains("<script"), "{page}");
        assert!(page.contains("{&quot;secret&quot;:1}") && page.contains("no &lt;b&gt;"), "{page}");
        let page = whole(&state, false);
        assert!(!page.contains("secret") && page.contains("api.auth.type: basic"), "{page}");
    }

    #[test]
    fn figures_are_short() {
        let times = [0.0, 0.25, 1.5, 600.0, 7200.0, 259_200.0].map(lasting);
        assert_eq!(times, ["0", "250 ms", "1.5 s", "10 min", "2 h", "3 d"]);
        assert_eq!([0, 2048, 5 << 20, 3 << 30].map(size), ["0 B", "2 KiB", "5.0 MiB", "3.00 GiB"]);
        assert_eq!([0.0, 1.25, 1234.5].map(number), ["0", "1.2", "1234"]);
    }
}
