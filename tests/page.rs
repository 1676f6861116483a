//! The page for browsers, in one: with scripts and without, wide and narrow, in the light and in the dark.
//!
//! With `PICTURES=FOLDER` it leaves pictures of what it has seen there, for whoever changes how the page looks.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Agent, Browser, Container, Elasticsearch, from_rig};

/// Nothing is wider than what it stands in.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth && [...document.querySelectorAll('section')].every(it => it.scrollWidth <= it.clientWidth)";

/// An agent that ships what two containers write, a part of which Elasticsearch refuses; and where its page is.
fn shipping(containers: &str, index: &str) -> (Agent, String) {
    let pipeline = format!(
        "input {{ docker {{ host => \"{}\" filter_name => \"{containers}*\" }} }}\n\
         filter {{\n\
           if [message] =~ /^\\{{/ {{ json {{ id => parsed source => message }} }} else {{ grok {{ id => cut match => {{ message => \"%{{WORD:kind}} %{{INT:number:int}}\" }} }} }}\n\
           if [number] == 2 {{ mutate {{ id => spoilt replace => {{ number => \"two\" }} }} }}\n\
         }}\n\
         output {{ elasticsearch {{ id => es hosts => [\"{}\"] index => \"{index}\" }} }}",
        from_rig("DOCKER_HOST"),
        from_rig("ELASTICSEARCH_URL"),
    );
    let mut agent = Agent::new("page", &pipeline).environment("API_HTTP_PORT", "0").environment("NO_COLOR", "1");
    agent.start();
    let line = agent.wait_for_log("the monitoring API answers", Duration::from_secs(30));
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    let url = format!("http://{address}/");
    (agent, url)
}

fn picture(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("PICTURES") {
        let file = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(file, STANDARD.decode(browser.picture()).unwrap()).unwrap();
    }
}

/// The cells of the row that begins with this name, without marks.
fn row(html: &str, name: &str) -> Option<Vec<String>> {
    let row = html.split("<tr").find(|row| row.split("</td>").next().is_some_and(|cell| text(cell) == name))?;
    let cells = row.split("</td>").map(text);
    // Behind the last one the row ends.
    Some(cells.take(row.matches("</td>").count()).collect())
}

/// What stands between the last pair of marks, roughly: enough for cells.
fn text(html: &str) -> String {
    let parts = html.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
    parts.collect::<String>().trim().to_owned()
}

#[test]
#[ignore = "needs the rig: make test"]
fn the_page_shows_what_goes_on_with_scripts_and_without() {
    let ours = format!("page-{}", std::process::id());
    // Few are refused, so that a document that was opened is still among the last ones when the page is renewed.
    let script = "i=0; while usleep 50000; do i=$((i % 90 + 1)); echo \"<b>odd</b> $i\" >&2; echo \"line $i\"; echo \"{\\\"number\\\":$i}\"; done";
    let web = Container::run(&format!("{ours}-web"), &["--label=com.docker.swarm.service.name=shop_web"], script);
    let silent = Container::run(&format!("{ours}-silent"), &["--log-driver=none"], script);
    let node = Elasticsearch::shared();
    node.create_index(&ours, &json!({ "number": { "type": "long" } }));
    let (agent, url) = shipping(&ours, &ours);
    let mut browser = Browser::start("page");

    browser.run_scripts(false);
    browser.open(&url, 1280);
    // It loads itself anew until there is something of everything.
    let html = browser.until("a page with everything on it", |html| {
        let refused = html.contains("Last rejected documents of es") && html.contains("400 × ");
        (refused && row(html, silent.name())?.last()?.contains("does not support reading")).then(|| html.to_owned())
    });
    let lines = |html: &str| row(html, web.name()).and_then(|cells| cells[4].parse::<u64>().ok());
    let cells = row(&html, web.name()).unwrap();
    assert_eq!((cells[1].as_str(), cells[2].as_str()), ("shop_web", "files"), "{cells:?}");
    assert!(row(&html, "if [number] == 2").is_some() && row(&html, "else").is_some(), "{html}");
    assert!(row(&html, "spoilt").unwrap()[3].parse::<u64>().unwrap() > 0, "{html}");
    assert!(html.contains("<details id=\"at-") && html.contains("stop reloading"), "{html}");
    browser.open(&format!("{url}?still"), 1280);
    assert!(!browser.html().contains("http-equiv=\"refresh\""));

    browser.run_scripts(true);
    browser.open(&url, 1280);
    assert_eq!(browser.value(FITS), true);
    browser.value("document.querySelector('details').open = true; document.forms.look.filter.value = 'odd'");
    let before = lines(&browser.html());
    browser.until("tables that were renewed", |html| (lines(html) > before).then_some(()));
    let kept = browser.value("[document.querySelectorAll('details[open]').length, document.forms.look.filter.value]");
    assert_eq!(kept, json!([1, "odd"]), "what was opened and typed is lost");
    assert_eq!(browser.value("document.getElementById('away').hidden"), true);

    browser.value("document.forms.look.name.value = 'page-*'; document.forms.look.querySelector('button').click()");
    let said = format!("<div class=\"red\"><b>{}</b>&lt;b&gt;odd&lt;/b&gt; ", web.name());
    let html = browser.until("lines as they are read", |html| html.contains(&said).then(|| html.to_owned()));
    assert!(!html.contains("</b>line "), "the filter lets other lines pass: {html}");
    picture(&mut browser, "light");
    let ground = "getComputedStyle(document.body).backgroundColor";
    let light = browser.value(ground);
    browser.tell(
        "Emulation.setEmulatedMedia",
        &json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] }),
    );
    assert_ne!(browser.value(ground), light);
    picture(&mut browser, "dark");
    browser.open(&url, 400);
    assert_eq!(browser.value(FITS), true);
    picture(&mut browser, "narrow");

    drop(agent);
    let away = Value::from(false);
    crate::harness::eventually("that the agent is gone", Duration::from_secs(30), || {
        let hidden = browser.value("document.getElementById('away').hidden");
        if hidden == away { Ok(()) } else { Err(hidden.to_string()) }
    });
    node.remove(&ours);
}
