//! Asks the elkhound of this host over its monitoring API, for commands that run beside it. The settings say where, and how to log in.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode, Uri};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::api::{reached_at, with_port};
use crate::http;
use crate::settings::api::ApiSettings;
use crate::tls;
use crate::tls::options::Anybody;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of an answer is read: the figures of 1,000 containers and more.
const ANSWER: usize = 4 << 20;

/// Asks at `url`, else on each port of the settings until an elkhound answers: it has taken the first one that was free. `is_ours` knows its answers.
///
/// # Errors
/// Nobody who answers, or only others.
pub(crate) async fn ask(
    url: Option<&str>,
    path: &str,
    api: &ApiSettings,
    is_ours: fn(&str) -> bool,
) -> Result<(StatusCode, String)> {
    if let Some(url) = url {
        return ask_at(url, path, api, is_ours).await;
    }
    if !api.enabled {
        bail!("api.enabled is false, so there is nobody to ask");
    }
    let host = reached_at(&api.host);
    let scheme = if api.tls.is_some() { "https" } else { "http" };
    let mut trouble = None;
    for port in api.ports.clone() {
        let url = format!("{scheme}://{}", with_port(host, port));
        match ask_at(&url, path, api, is_ours).await {
            Ok(answer) => return Ok(answer),
            Err(error) => trouble = trouble.or(Some(error)),
        }
    }
    Err(trouble.unwrap_or_else(|| anyhow::anyhow!("there is no port to ask on")))
}

async fn ask_at(url: &str, path: &str, api: &ApiSettings, is_ours: fn(&str) -> bool) -> Result<(StatusCode, String)> {
    let uri: Uri = url.parse().with_context(|| format!("`{url}` is no address; write http://HOST:PORT"))?;
    let host = uri.host().with_context(|| format!("`{url}` names no host; write http://HOST:PORT"))?;
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 9600 });
    let path = if uri.path().len() > 1 { uri.path() } else { path };
    let asking = async {
        let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.context("nobody listens")?;
        let request = request(uri.authority().map_or(host, |authority| authority.as_str()), path, api)?;
        if secure {
            http::send(encrypted(stream, host, api).await?, request, ANSWER).await
        } else {
            http::send(stream, request, ANSWER).await
        }
    };
    let answered = timeout(PATIENCE, asking).await.context("it took too long").and_then(|answered| answered);
    let (status, said) = answered.with_context(|| format!("{url}{path}"))?;
    if !is_ours(&said) && status == StatusCode::OK && path != uri.path() {
        bail!("{url}{path}: something else answers there");
    }
    Ok((status, said))
}

fn request(authority: &str, path: &str, api: &ApiSettings) -> Result<Request<Empty<Bytes>>> {
    let mut request = Request::get(path).header(HOST, authority);
    if let Some(login) = &api.login {
        request = request.header(AUTHORIZATION, format!("Basic {}", login.encoded()));
    }
    request.body(Empty::new()).context("there is no such request")
}

/// TLS to the API itself. Its certificate is known from the settings, whatever names stand in it; without settings it must be one that the world trusts.
async fn encrypted(stream: TcpStream, host: &str, api: &ApiSettings) -> Result<TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions()?;
    let known = api.tls.as_ref().map(|pem| tls::certificates(&pem.certificate)).transpose()?;
    let config = match &known {
        Some(_) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(tls::provider())))
            .with_no_client_auth(),
        None => {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    if let Some(known) = known
        && shown != known.first()
    {
        bail!("who answers has another certificate than api.ssl.certificate");
    }
    Ok(stream)
}
