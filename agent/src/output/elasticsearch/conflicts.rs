//! Settings that don't go together, as Logstash finds when it starts. A pipeline that Logstash does not start is none that elkhound takes.

use elkhound_config::options::Options;

use super::connection::addresses;

/// Reports the conflicts between settings.
pub(super) fn find(options: &mut Options<'_>) {
    for find in [logins, schemes, paths, versions, updates, ids] {
        find(options);
    }
}

/// One way to log in, and an API key only where nobody can read it on the way.
fn logins(options: &mut Options<'_>) {
    let user = if options.was_set("user") { "user" } else { "password" };
    let set: Vec<&str> = [user, "cloud_auth", "api_key"].into_iter().filter(|name| options.was_set(name)).collect();
    if let [first, .., last] = set.as_slice() {
        let message = format!("`{first}` and `{last}` are two logins");
        return options.fail(last, &message, "keep one of them");
    }
    let hosts = hosts(options);
    let encrypted = options.boolean("ssl_enabled", false)
        || options.was_set("cloud_id")
        || !hosts.is_empty() && hosts.iter().all(|host| host.starts_with("https://"));
    if set == ["api_key"] && !encrypted {
        let help = "write `https://` before the hosts, or `ssl_enabled => true`";
        options.fail("api_key", "an API key is not sent without TLS", help);
    }
}

fn schemes(options: &mut Options<'_>) {
    let plain = hosts(options).into_iter().find(|host| host.starts_with("http://"));
    if let Some(host) = plain.filter(|_| options.boolean("ssl_enabled", false)) {
        let message = format!("`ssl_enabled => true` contradicts `{host}`");
        options.fail("ssl_enabled", &message, "write `https://` before the host, or take one of them out");
    }
}

/// A path in the addresses and another in the option.
fn paths(options: &mut Options<'_>) {
    let bare = |path: &str| path.trim_matches('/').to_owned();
    let option = options.text("path").map(|path| bare(&path)).unwrap_or_default();
    let of_host = |host: &String| {
        let (_, rest) = host.split_once("://")?;
        let (_, path) = rest.split_once('/')?;
        Some(bare(path.split(['?', '#']).next()?))
    };
    let other =
        hosts(options).into_iter().find(|host| of_host(host).is_some_and(|path| !path.is_empty() && path != option));
    if let Some(host) = other.filter(|_| !option.is_empty()) {
        let message = format!("`path => \"/{option}\"` contradicts `{host}`");
        options.fail("path", &message, "write the path in one of them");
    }
}

fn hosts(options: &Options<'_>) -> Vec<String> {
    options.texts("hosts").iter().flat_map(|text| addresses(text)).collect()
}

fn versions(options: &mut Options<'_>) {
    if !options.text("version_type").is_some_and(|kind| kind.starts_with("external")) {
        return;
    }
    if !options.was_set("version") {
        return options.fail("version_type", "versions of your own need the option `version`", "add `version`");
    }
    if let Some(action @ ("create" | "update")) = options.text("action").as_deref() {
        let message = format!("`{action}` takes no versions of your own");
        options.fail("version_type", &message, "use `action => index`, or leave `version_type` out");
    }
}

fn updates(options: &mut Options<'_>) {
    if options.boolean("doc_as_upsert", false) && options.boolean("scripted_upsert", false) {
        let message = "`doc_as_upsert` and `scripted_upsert` exclude each other";
        options.fail("scripted_upsert", message, "keep one of them");
    }
    if options.text("action").as_deref() == Some("update") && options.text_or("document_id", "").is_empty() {
        let help = "add `document_id`, as `%{[@metadata][id]}`";
        options.fail("action", "an update needs the id of its document", help);
    }
}

/// What names a document can't do so without its id.
fn ids(options: &mut Options<'_>) {
    if options.boolean("bulk_ids", true) {
        return;
    }
    let set = ["document_id", "version"].into_iter().find(|name| options.was_set(name));
    let other = options.text("action").is_some_and(|action| !matches!(action.as_str(), "create" | "index"));
    if let Some(name) = set.or_else(|| other.then_some("action")) {
        let message = format!("`{name}` needs ids, and `bulk_ids` is off");
        options.fail("bulk_ids", &message, "take one of them out");
    }
}
