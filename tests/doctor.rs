//! `elkhound doctor` on real parts, and where there are none.

use serde_json::json;

use crate::harness::{Container, Elasticsearch, Folder, elkhound, elkhound_in, from_rig};

fn pipeline(docker: &str, url: &str) -> String {
    format!("input {{ docker {{ {docker} }} }} output {{ elasticsearch {{ hosts => [\"{url}\"] index => \"i\" }} }}")
}

#[test]
fn what_is_not_there_is_told_with_a_remedy() {
    let folder = Folder::new("doctor-nothing");
    let path = folder.text();
    let text = pipeline("host => \"unix:///nowhere/docker.sock\"", "http://127.0.0.1:1");
    let output = elkhound(&["doctor", "-e", &text, "--path.data", path], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("ok       1 pipeline can be run\n"), "{said}");
    for text in ["/nowhere/docker.sock", "help: mount /var/run/docker.sock", "http://127.0.0.1:1/ can't be reached"] {
        assert!(said.contains(text), "{text}: {said}");
    }
}

#[test]
#[ignore = "needs the rig: make test"]
fn log_settings_that_lose_lines_are_told_and_all_else_is_well() {
    let name = format!("elkhound-doctor-{}", std::process::id());
    let names = ["good", "single", "none"].map(|kind| format!("{name}-{kind}"));
    let _good = Container::run(&names[0], &[], "echo hello");
    let _single = Container::run(&names[1], &["--log-opt=max-size=1m", "--log-opt=max-file=1"], "echo hello");
    let _none = Container::run(&names[2], &["--log-driver=none"], "echo hello");
    let node = Elasticsearch::shared();
    let folder = Folder::new("doctor");
    let arguments = ["doctor", "-e", &pipeline("", node.url()), "--path.data", folder.text()];
    let output = elkhound_in(&[("DOCKER_HOST", &from_rig("DOCKER_HOST"))], &arguments, "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    for text in [
        "ok       Docker answers at unix://".to_owned(),
        format!("warning  the log settings of {} lose lines\n           help: with one log file", names[1]),
        format!("warning  the log of {} can't be read: its driver none keeps none", names[2]),
        format!("ok       {}/ is Elasticsearch ", node.url()),
    ] {
        assert!(said.contains(&text), "{text}: {said}");
    }
    assert!(!said.contains(&names[0]), "{said}");
}

#[test]
#[ignore = "needs the rig: make test"]
fn rights_that_are_missing_and_templates_are_told() {
    let node = Elasticsearch::secured("doctor-rights");
    let privileges = |index: &str| json!({ "cluster": ["monitor"], "indices": [{ "names": [index], "privileges": ["create_doc", "auto_configure"] }] });
    node.expect("PUT", "_security/role/shipper", Some(&privileges("logs-shop-*")));
    let user = json!({ "password": "shipper-password", "roles": ["shipper"] });
    node.expect("PUT", "_security/user/shipper", Some(&user));
    let doctor = |user: &str, index: &str| {
        let text = format!(
            "input {{ stdin {{ }} }} output {{ elasticsearch {{ hosts => [\"{}\"] user => {user} password => \"{user}-password\"\n\
               ssl_certificate_authorities => \"{}\" index => \"{index}\" }} }}",
            node.url(),
            node.certificate().display(),
        );
        let folder = Folder::new("doctor-rights");
        let output = elkhound(&["doctor", "-e", &text, "--path.data", folder.text()], "");
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (well, said) = doctor("shipper", "logs-shop-%{+yyyy}");
    assert!(well && said.contains("ok       the user shipper may write to logs-shop-*"), "{said}");
    let (well, said) = doctor("shipper", "logs-%{+yyyy}");
    assert!(!well, "{said}");
    let missing = "bad      the user shipper lacks auto_configure on logs-*, create_doc on logs-*\n           help: add these privileges";
    assert!(said.contains(missing), "{said}");

    // Who may list templates is told of them, too.
    let (well, said) = doctor("rig", "rights-%{+yyyy}");
    assert!(well && said.contains("warning  rights-* has no index template"), "{said}");
    node.expect("PUT", "_index_template/rights", Some(&json!({ "index_patterns": ["rights-*"], "template": {} })));
    let (well, said) = doctor("rig", "rights-%{+yyyy}");
    assert!(well && said.contains("ok       rights-* has an index template: rights"), "{said}");
}
