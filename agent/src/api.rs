//! The monitoring API: Logstash's, on Logstash's port, and what Logstash has not: `/metrics`, `/live`, `/ready`, `/logs` and a page at `/`.
//!
//! | path | what |
//! |---|---|
//! | `/` | version, name, status; for browsers the page |
//! | `/_node`, `/_node/{pipelines,os,jvm}`, `/_node/pipelines/ID` | what is set |
//! | `/_node/stats`, `/_node/stats/{events,flow,jvm,os,pipelines,process,queue,reloads}`, `/_node/stats/pipelines/ID` | what was done |
//! | `/_node/plugins`, `/_node/hot_threads`, `/_health_report` | as in Logstash |
//! | `/_node/logging`, `/_node/logging/reset` | what is logged; `PUT` changes it |
//! | `/_node/reload` | `PUT` has all pipelines loaded again, as SIGHUP does |
//! | `/metrics` | for Prometheus |
//! | `/live`, `/ready` | 200, or 503 with the reason; `/health` is Logspout's |
//! | `/logs`, `/logs/id:…`, `/logs/name:…`, `/logs/service:…` | containers' lines as they are read; also by a WebSocket |
//! | `/routes`, `/routes/PIPELINE/OUTPUT` | where events go, as Logspout has it; who would change that is told what to write |
//!
//! What it promises: whoever asks can't cost more than [`CONNECTIONS`] connections with small requests, each of which ends in time; and
//! shipping never waits for it. Lines and rejected documents are shown only to who is on this host or has logged in.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tracing::{debug, info, warn};

use crate::settings::Settings;
use crate::settings::api::{ApiSettings, Login, Pem};
use crate::stats::Stats;
use crate::{log, tls};

mod answer;
mod flow;
mod health;
mod logging;
mod logs;
pub(crate) mod machine;
mod metrics;
mod node;
mod node_stats;
mod page;
mod query;
mod routes;
#[cfg(test)]
mod testing;
mod websocket;

use answer::Answer;
use flow::History;
use node::Node;
use page::Reloading;
use query::Query;
use websocket::{Opening, Slot};

/// Connections at a time; others wait until one ends.
const CONNECTIONS: usize = 64;
/// Viewers of lines at a time; others are told to come back.
const VIEWERS: usize = 16;
/// How long a request's head, its body, and the handshake of TLS may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How large a request's head may be.
const HEAD: usize = 16 << 10;
/// How many headers it may have.
const HEADERS: usize = 64;
/// How large a request's body may be.
const BODY: usize = 64 << 10;

/// What answers are made of.
pub(crate) struct State {
    /// What is counted.
    pub(crate) stats: Arc<Stats>,
    /// Who this is.
    pub(crate) node: Node,
    /// What was counted before.
    pub(crate) history: History,
    /// How often changed pipelines are looked for, if they are.
    pub(crate) reload: Option<Duration>,
    /// Has all pipelines loaded again.
    again: Arc<Notify>,
    login: Option<Login>,
    /// Only this host is listened to, so requests for other names are not meant for it.
    loopback: bool,
    viewers: Arc<Semaphore>,
}

/// The API while it runs; it ends when this is dropped.
pub(crate) struct Serving {
    _tasks: JoinSet<()>,
}

/// Starts it, unless the settings say otherwise.
///
/// # Errors
/// An address that can't be listened on, and a certificate that can't be used.
pub(crate) async fn start(settings: &Settings, stats: &Arc<Stats>, again: &Arc<Notify>) -> Result<Option<Serving>> {
    let api = &settings.api;
    if !api.enabled {
        return Ok(None);
    }
    let acceptor = api.tls.as_ref().map(acceptor).transpose()?;
    let listener = listen(api).await?;
    let address = listener.local_addr().context("the API's address can't be told")?;
    let state = Arc::new(State {
        stats: Arc::clone(stats),
        node: Node::new(settings, address.to_string()),
        history: History::default(),
        reload: settings.reload,
        again: Arc::clone(again),
        login: api.login.clone(),
        loopback: address.ip().is_loopback(),
        viewers: Arc::new(Semaphore::new(VIEWERS)),
    });
    if !state.loopback && (state.login.is_none() || acceptor.is_none()) {
        warn!(%address, "the monitoring API can be reached from other hosts without a login or in clear; set api.auth.type: basic and api.ssl.enabled: true");
    }
    info!(%address, "the monitoring API answers");
    let mut tasks = JoinSet::new();
    tasks.spawn(look(Arc::clone(&state)));
    tasks.spawn(serve(listener, acceptor, state));
    Ok(Some(Serving { _tasks: tasks }))
}

/// Takes the first port that is free.
async fn listen(api: &ApiSettings) -> Result<TcpListener> {
    let (first, last) = (*api.ports.start(), *api.ports.end());
    let place = if first == last { format!("{}:{first}", api.host) } else { format!("{}:{first}-{last}", api.host) };
    let mut trouble = None;
    for port in first..=last {
        let found = lookup_host((api.host.as_str(), port)).await;
        let found = found.with_context(|| {
            format!(
                "the monitoring API can't listen on {place}: `{}` is no address of this host; correct api.http.host",
                api.host
            )
        })?;
        for address in found {
            match TcpListener::bind(address).await {
                Ok(listener) => return Ok(listener),
                Err(error) => trouble = Some(error),
            }
        }
    }
    let reason = trouble.map_or_else(|| "there is no such address".to_owned(), |error| error.to_string());
    bail!(
        "the monitoring API can't listen on {place}: {reason}; end what listens there, give api.http.port another port or several such as 9600-9700, or set api.enabled: false"
    )
}

fn acceptor(pem: &Pem) -> Result<TlsAcceptor> {
    let remedy = "the monitoring API can't speak TLS; correct api.ssl.certificate and api.ssl.key";
    let (certificates, key) =
        (tls::certificates(&pem.certificate).context(remedy)?, tls::private_key(&pem.key).context(remedy)?);
    let config = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .context(remedy)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Looks at the counters again and again, for rates.
async fn look(state: Arc<State>) {
    let mut ticks = interval(flow::EVERY);
    loop {
        ticks.tick().await;
        state.history.look(&state.stats);
    }
}

async fn serve(listener: TcpListener, acceptor: Option<TlsAcceptor>, state: Arc<State>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // No descriptors, as a rule: there may be some again in a moment.
                debug!(reason = %error, "a connection to the monitoring API could not be taken");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
        connections.spawn(async move {
            connection(stream, acceptor, peer.ip(), state).await;
            drop(seat);
        });
    }
}

async fn connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, peer: IpAddr, state: Arc<State>) {
    match acceptor {
        None => talk(stream, peer, state).await,
        Some(acceptor) => match timeout(PATIENCE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => talk(stream, peer, state).await,
            Ok(Err(error)) => debug!(%peer, reason = %error, "a peer of the monitoring API does not speak TLS"),
            Err(_) => debug!(%peer, "a peer of the monitoring API took too long"),
        },
    }
}

/// One request and its answer; the connection then ends, so that nobody keeps one without a use for it, unless it has become a WebSocket.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: IpAddr, state: Arc<State>) {
    let slot = Slot::default();
    let opened = slot.clone();
    let service = service_fn(move |request| {
        let (state, slot) = (Arc::clone(&state), slot.clone());
        async move { Ok::<_, std::convert::Infallible>(respond(&state, peer, request, &slot).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Some(conversation) = opened.take() {
        conversation.hold().await;
    }
    if let Err(error) = served {
        debug!(%peer, reason = %error, "a connection to the monitoring API broke");
    }
}

/// What was asked for.
struct Asked {
    method: Method,
    path: String,
    query: Query,
    accept: String,
    /// May see lines.
    trusted: bool,
    /// By a WebSocket.
    opening: Option<Opening>,
}

async fn respond(state: &State, peer: IpAddr, mut request: Request<Incoming>, slot: &Slot) -> Answer {
    let opening = Opening::of(&mut request, slot);
    let (head, body) = request.into_parts();
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let path = head.uri.path().to_owned();
    if state.loopback && !is_of_this_host(header(HOST)) {
        return answer::error(
            StatusCode::FORBIDDEN,
            &path,
            "this API is for this host only; ask for localhost, or set api.http.host",
        );
    }
    if let Some(login) = &state.login
        && !has_logged_in(login, header(AUTHORIZATION))
    {
        let mut refused = answer::error(StatusCode::UNAUTHORIZED, &path, "a user and a password are needed");
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"elkhound\""));
        return refused;
    }
    let asked = Asked {
        method: head.method.clone(),
        query: Query::parse(head.uri.query().unwrap_or_default()),
        accept: header(ACCEPT).to_owned(),
        trusted: state.login.is_some() || peer.to_canonical().is_loopback(),
        opening,
        path,
    };
    match timeout(PATIENCE, Limited::new(body, BODY).collect()).await {
        Ok(Ok(body)) => answer(state, &asked, &body.to_bytes()).await,
        Ok(Err(_)) => answer::error(StatusCode::PAYLOAD_TOO_LARGE, &asked.path, "the body is too large, or broke off"),
        Err(_) => answer::error(StatusCode::REQUEST_TIMEOUT, &asked.path, "the body took too long"),
    }
}

/// Pages of the web that let their name stand for this host's address must not read what is here.
fn is_of_this_host(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name.is_empty() || name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn has_logged_in(login: &Login, header: &str) -> bool {
    let Some((scheme, given)) = header.split_once(' ') else { return false };
    scheme.eq_ignore_ascii_case("basic") && is_same(given.trim().as_bytes(), login.encoded().as_bytes())
}

/// Takes as long whatever differs, so that time tells nothing about the password.
fn is_same(given: &[u8], expected: &[u8]) -> bool {
    let differences = given.iter().zip(expected).fold(0, |sum, (one, other)| sum | (one ^ other));
    given.len() == expected.len() && differences == 0
}

async fn answer(state: &State, asked: &Asked, body: &Bytes) -> Answer {
    let parts: Vec<&str> = asked.path.split('/').filter(|part| !part.is_empty()).collect();
    if let ["routes", ref id @ ..] = parts[..] {
        return routes::routes(state, asked, id);
    }
    if asked.method == Method::PUT || asked.method == Method::POST {
        return match parts[..] {
            ["_node", "logging"] => change_logging(asked, body),
            ["_node", "logging", "reset"] => reset_logging(asked),
            ["_node", "reload"] => load_again(state, asked),
            _ => answer::not_found(&asked.path),
        };
    }
    if asked.method != Method::GET && asked.method != Method::HEAD {
        return answer::error(StatusCode::METHOD_NOT_ALLOWED, &asked.path, "Method Not Allowed");
    }
    match parts[..] {
        [] if prefers_a_page(&asked.accept) => shown(state, asked),
        [] => document(state, asked, node::root(state)),
        ["_node", ref rest @ ..] => about_node(state, asked, rest).await,
        ["_health_report"] => document(state, asked, health::report(state)),
        ["metrics"] => answer::text(StatusCode::OK, metrics::KIND, metrics::written(state)),
        ["live" | "health"] => answer::text(StatusCode::OK, answer::PLAIN, "elkhound is alive\n"),
        ["ready"] => ready(state),
        ["logs", ..] => lines(state, asked),
        _ => answer::not_found(&asked.path),
    }
}

async fn about_node(state: &State, asked: &Asked, rest: &[&str]) -> Answer {
    match rest {
        [] => document(state, asked, picked(&["pipelines", "os", "jvm"], |name| node::part(state, name))),
        ["plugins"] => document(state, asked, node::plugins()),
        ["logging"] => logging_shown(asked),
        ["hot_threads"] => hot_threads(state, asked).await,
        ["stats"] => document(state, asked, picked(&node_stats::PARTS, |name| node_stats::part(state, name))),
        ["stats", "pipelines", id] => one_pipeline(state, asked, id, |one| node_stats::pipeline_stats(state, one)),
        ["pipelines", id] => one_pipeline(state, asked, id, |one| node::pipeline_info(state, one)),
        ["stats", names] => several(state, asked, names, |name| node_stats::part(state, name)),
        [names] => several(state, asked, names, |name| node::part(state, name)),
        _ => answer::not_found(&asked.path),
    }
}

fn shown(state: &State, asked: &Asked) -> Answer {
    let reloading = if asked.query.is_set("still") { Reloading::Never } else { Reloading::Often };
    page::answer(state, asked.trusted, reloading)
}

/// Parts that are asked for with commas between.
fn several(state: &State, asked: &Asked, names: &str, part: impl Fn(&str) -> Option<Value>) -> Answer {
    let names: Vec<&str> = names.split(',').map(str::trim).collect();
    match picked(&names, part) {
        Value::Object(parts) if parts.is_empty() => answer::not_found(&asked.path),
        parts => document(state, asked, parts),
    }
}

fn picked(names: &[&str], part: impl Fn(&str) -> Option<Value>) -> Value {
    let parts = names.iter().filter_map(|name| Some(((*name).to_owned(), part(name)?)));
    parts.collect::<Map<_, _>>().into()
}

fn one_pipeline(
    state: &State,
    asked: &Asked,
    id: &str,
    shown: impl Fn(&crate::stats::PipelineStats) -> Value,
) -> Answer {
    let id = crate::percent::percent_decoded(id);
    let found = state.stats.pipelines().into_iter().find(|pipeline| pipeline.id == id);
    let Some(found) = found else { return answer::not_found(&asked.path) };
    document(state, asked, json!({ "pipelines": { id: shown(&found) } }))
}

/// A document with what every answer begins with.
fn document(state: &State, asked: &Asked, value: Value) -> Answer {
    let mut whole = node::metadata(state);
    if let Value::Object(own) = value {
        whole.extend(own);
    }
    answer::json(StatusCode::OK, &whole.into(), asked.query.is_set("pretty") || asked.query.is_set("human"))
}

fn ready(state: &State) -> Answer {
    match health::ready(state) {
        Ok(()) => answer::text(StatusCode::OK, answer::PLAIN, "elkhound is ready\n"),
        Err(reason) => {
            answer::text(StatusCode::SERVICE_UNAVAILABLE, answer::PLAIN, format!("elkhound is not ready: {reason}\n"))
        }
    }
}

fn logging_shown(asked: &Asked) -> Answer {
    let loggers = log::levels().map_or_else(|| json!({ "loggers": {} }), logging::shown);
    answer::json(StatusCode::OK, &loggers, asked.query.is_set("pretty"))
}

fn change_logging(asked: &Asked, body: &Bytes) -> Answer {
    match (logging::changes(body), log::levels()) {
        (Ok(changes), Some(levels)) => {
            levels.set(changes);
            answer::json(StatusCode::OK, &json!({ "acknowledged": true }), asked.query.is_set("pretty"))
        }
        (Err(reason), _) => answer::json(StatusCode::BAD_REQUEST, &json!({ "error": reason }), true),
        (_, None) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, &asked.path, "nothing is logged yet"),
    }
}

fn reset_logging(asked: &Asked) -> Answer {
    if let Some(levels) = log::levels() {
        levels.reset();
    }
    answer::json(StatusCode::OK, &json!({ "acknowledged": true }), asked.query.is_set("pretty"))
}

/// Asks for it and does not wait: what comes of it is in the log, and in `/_node/stats/reloads` and `/_node/stats/pipelines`. Pages of the web can't send a `PUT` here,
/// and what they can send does nothing.
fn load_again(state: &State, asked: &Asked) -> Answer {
    if asked.method != Method::PUT {
        return answer::error(StatusCode::METHOD_NOT_ALLOWED, &asked.path, "send a PUT");
    }
    if !asked.trusted {
        return answer::error(
            StatusCode::FORBIDDEN,
            &asked.path,
            "only this host may ask for it, or who has logged in: set api.auth.type",
        );
    }
    state.again.notify_one();
    answer::json(StatusCode::ACCEPTED, &json!({ "acknowledged": true }), asked.query.is_set("pretty"))
}

async fn hot_threads(state: &State, asked: &Asked) -> Answer {
    let most = asked.query.get("threads").and_then(|text| text.parse().ok()).unwrap_or(10);
    let threads: Vec<machine::Thread> = machine::threads().await.into_iter().take(most).collect();
    if asked.query.is_set("human") {
        let line = |thread: &machine::Thread| {
            format!(
                "{:.2} % of cpu usage, state: {}, thread name: '{}', thread id: {}\n",
                thread.percent, thread.state, thread.name, thread.id
            )
        };
        let rule = "=".repeat(80);
        let head = format!("::: {{{}}}\nHot threads, busiestThreads={}:\n{rule}\n", state.node.host, threads.len());
        let lines: String = threads.iter().map(line).collect();
        return answer::text(StatusCode::OK, answer::PLAIN, head + &lines);
    }
    let shown: Vec<Value> = threads
        .iter()
        .map(|thread| {
            json!({ "name": thread.name, "thread_id": thread.id, "percent_of_cpu_time": thread.percent, "state": thread.state, "traces": [] })
        })
        .collect();
    let time = crate::clock::now().to_string();
    document(state, asked, json!({ "hot_threads": { "time": time, "busiest_threads": shown.len(), "threads": shown } }))
}

fn lines(state: &State, asked: &Asked) -> Answer {
    if !asked.trusted {
        return answer::error(StatusCode::FORBIDDEN, &asked.path, untrusted());
    }
    let Some(wanted) = logs::Wanted::parse(asked.path.strip_prefix("/logs").unwrap_or_default(), &asked.query) else {
        return answer::not_found(&asked.path);
    };
    if let Some((status, message)) = asked.opening.as_ref().and_then(Opening::refusal) {
        return answer::error(status, &asked.path, message);
    }
    let Ok(seat) = Arc::clone(&state.viewers).try_acquire_owned() else {
        return answer::error(StatusCode::SERVICE_UNAVAILABLE, &asked.path, "too many look already");
    };
    let form = logs::Form::asked(&asked.accept, &asked.query);
    let texts = logs::texts(state.stats.tap.look(), wanted, form, seat);
    match &asked.opening {
        Some(opening) => opening.accept(&asked.path, Box::pin(texts)),
        None => logs::follow(texts, form),
    }
}

/// Why lines are not shown.
pub(crate) fn untrusted() -> &'static str {
    "lines are shown to this host only, or behind a login: set api.auth.type: basic"
}

/// Whether a browser asks: what it lists first is what it wants.
fn prefers_a_page(accept: &str) -> bool {
    let html = accept.find("text/html");
    html.is_some_and(|html| accept.find("application/json").is_none_or(|json| html < json))
}

/// Where this API answers, for who asks from the same host.
pub(crate) fn reached_at(host: &str) -> &str {
    match host.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() && address.is_ipv6() => "::1",
        Ok(address) if address.is_unspecified() => "127.0.0.1",
        _ => host,
    }
}

/// The address with its port, as in a URL.
pub(crate) fn with_port(host: &str, port: u16) -> String {
    host.parse::<IpAddr>()
        .map_or_else(|_| format!("{host}:{port}"), |address| SocketAddr::new(address, port).to_string())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::testing::{ask, ask_from_elsewhere, get, state};
    use super::*;

    #[tokio::test]
    async fn answers_begin_as_logstashs_do() {
        let state = state();
        let (status, root) = get(&state, "/", "").await;
        assert_eq!(status, 200);
        let root: Value = serde_json::from_str(&root).unwrap();
        for name in ["host", "version", "http_address", "id", "name", "ephemeral_id", "status", "snapshot", "pipeline"]
        {
            assert!(!root[name].is_null(), "{name} in {root}");
        }
        assert_eq!((&root["status"], &root["pipeline"]["workers"]), (&json!("green"), &json!(2)));
    }

    #[tokio::test]
    async fn what_is_not_there_is_told_in_logstashs_form() {
        let state = state();
        for path in [
            "/nothing",
            "/_node/nothing",
            "/_node/stats/nothing",
            "/_node/stats/pipelines/other",
            "/_node/pipelines/other",
            "/logs/what:x",
        ] {
            let (status, body) = get(&state, path, "").await;
            let expected = json!({ "path": path, "status": 404, "error": { "message": "Not Found" } });
            assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (404, expected));
        }
    }

    #[tokio::test]
    async fn every_path_of_the_table_answers() {
        let state = state();
        for (path, expected) in [
            ("/_node", "\"jvm\""),
            ("/_node/os,jvm", "\"available_processors\""),
            ("/_node/pipelines/main", "\"batch_size\""),
            ("/_node/stats", "\"queue_push_duration_in_millis\""),
            ("/_node/stats/pipelines/main", "\"mutate-1\""),
            ("/_node/stats/process", "\"open_file_descriptors\""),
            ("/_node/plugins", "logstash-filter-grok"),
            ("/_node/hot_threads", "\"busiest_threads\""),
            ("/_node/hot_threads?human=true", "Hot threads"),
            ("/_node/logging", "\"loggers\""),
            ("/_health_report", "\"indicators\""),
            ("/metrics", "elkhound_ready 1"),
            ("/live", "alive"),
            ("/health", "alive"),
            ("/ready", "is ready"),
            ("/routes", "\"main/es\""),
        ] {
            let (status, body) = get(&state, path, "").await;
            assert!(status == 200 && body.contains(expected), "{path}: {status} {body}");
        }
        let (_, pretty) = get(&state, "/_node/stats/events?pretty", "").await;
        assert!(pretty.contains("\n  \"events\": {\n"), "{pretty}");
        let (_, page) = get(&state, "/", "text/html,application/xhtml+xml,*/*;q=0.8").await;
        assert!(page.starts_with("<!doctype html>"), "{page}");
    }

    #[tokio::test]
    async fn pipelines_are_loaded_again_for_who_may_ask_for_it() {
        let (state, path) = (state(), "/_node/reload");
        let asked = || state.again.notified().now_or_never().is_some();
        for (method, expected) in [(Method::GET, 404), (Method::POST, 405)] {
            assert_eq!(ask(&state, method, path).await.0, expected);
        }
        assert_eq!((ask_from_elsewhere(&state, Method::PUT, path).await, asked()), (403, false));
        assert_eq!(ask(&state, Method::PUT, path).await, (202, r#"{"acknowledged":true}"#.to_owned()));
        assert!(asked());
    }

    #[test]
    fn only_who_knows_the_password_gets_in() {
        let login = Login { user: "u".into(), password: "p:q".into() };
        for (header, expected) in [
            ("Basic dTpwOnE=", true),
            ("basic dTpwOnE=", true),
            ("Basic dTpwOnI=", false),
            ("Basic dTpwOn", false),
            ("Bearer dTpwOnE=", false),
            ("", false),
        ] {
            assert_eq!(has_logged_in(&login, header), expected, "{header}");
        }
    }

    #[test]
    fn other_names_are_not_this_hosts() {
        for host in ["localhost", "localhost:9600", "127.0.0.1:9600", "[::1]:9600", ""] {
            assert!(is_of_this_host(host), "{host}");
        }
        for host in ["evil.example:9600", "localhost.evil.example", "10.0.0.1"] {
            assert!(!is_of_this_host(host), "{host}");
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_with_the_range_and_the_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let api = testing::settings(port..=port);
        let told = listen(&api).await.unwrap_err().to_string();
        assert!(told.starts_with(&format!("the monitoring API can't listen on 127.0.0.1:{port}: ")), "{told}");
        assert!(told.contains("or set api.enabled: false"), "{told}");
        if port < u16::MAX {
            let next = listen(&testing::settings(port..=u16::MAX)).await.unwrap();
            assert!(next.local_addr().unwrap().port() > port);
        }
    }
}
