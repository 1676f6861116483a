//! The Docker engine's API: where it is, how to reach it, and the few requests an input needs.
//!
//! `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` mean what they mean to Docker's own client. Each request has a connection of
//! its own, as with Docker's client over a socket: a replaced socket or a new address behind a name is found by the next request.
//!
//! bollard knows the engine's answers and asks for them over our connections. The log and event streams are read raw: bollard guesses
//! from the first byte whether there is a terminal, and would panic at a message of the engine itself.
//!
//! What it leaves out: trying again; the input does, with its own delays.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};
use bollard::{ClientVersion, Docker};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

mod address;
mod events;
#[cfg(test)]
pub(crate) mod fake;
mod stream;
mod tls;

pub(crate) use address::{Address, Environment};
pub(crate) use events::{Event, Events};
pub(crate) use stream::ByteStream;

use super::position::Stream;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the engine may take to begin its answer.
const ANSWER: Duration = Duration::from_secs(60);

/// The largest single read of a stream, in bytes.
const READ: usize = 256 << 10;

/// The newest API that bollard's types are made for, as a minor version of 1.
const NEWEST: usize = bollard::API_DEFAULT_VERSION.minor_version;

/// The API of Docker 1.12, for engines that are too old to name theirs.
const OLDEST: usize = 24;

/// The API of Docker 23.0, the first engine that knows a decompressed copy by its file and not by its name.
const OWN_COPIES: usize = 42;

/// What can go wrong between the input and the engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// `DOCKER_HOST` or the option `host` is no address.
    #[error("docker host `{value}` {reason}; write unix:///var/run/docker.sock or tcp://host:2376")]
    Address {
        /// As written.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate or key can't be used.
    #[error(
        "can't use {path} for TLS to the Docker engine: {reason}; DOCKER_CERT_PATH must hold ca.pem, cert.pem and key.pem in PEM"
    )]
    Certificate {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Nobody answers at the address.
    #[error("can't reach the Docker engine at {address}: {reason}; {remedy}")]
    Unreachable {
        /// The address.
        address: String,
        /// Why.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The engine refuses a request.
    #[error("the Docker engine at {address} answered {status} to {path}: {message}")]
    Refused {
        /// The address.
        address: String,
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
        /// The engine's words.
        message: String,
    },
    /// The connection broke, or an answer made no sense.
    #[error("talking to the Docker engine at {address} failed: {reason}")]
    Broken {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
}

impl ApiError {
    /// The HTTP status with which the engine refused, if it did.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// What to read of a container's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogRequest {
    /// Go on when the end is reached, as long as the container runs.
    pub(crate) follow: bool,
    /// Only so many messages from the end; all without a number.
    pub(crate) tail: Option<u64>,
    /// Only one stream; both without.
    pub(crate) only: Option<Stream>,
}

impl LogRequest {
    fn path(self, container: &str) -> String {
        let wanted = |stream| u8::from(self.only.is_none_or(|only| only == stream));
        let (out, err) = (wanted(Stream::Stdout), wanted(Stream::Stderr));
        let tail = self.tail.map_or("all".to_owned(), |lines| lines.to_string());
        let follow = u8::from(self.follow);
        format!("/containers/{container}/logs?follow={follow}&stdout={out}&stderr={err}&timestamps=1&tail={tail}")
    }
}

/// A container in the engine's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The full id.
    pub(crate) id: String,
    /// It runs.
    pub(crate) running: bool,
}

/// An engine that can be asked.
#[derive(Clone)]
pub(crate) struct Engine {
    connector: Arc<Connector>,
    docker: Docker,
    version: usize,
}

impl Engine {
    /// Finds the engine that `environment` names and agrees with it on a version of the API.
    ///
    /// # Errors
    /// All of [`ApiError`].
    pub(crate) async fn connect(environment: &Environment) -> Result<Self, ApiError> {
        let connector = Arc::new(Connector::new(environment)?);
        let answer = connector.ask("/_ping").await?;
        let offered = answer.headers().get("api-version").and_then(|value| minor_version(value.to_str().ok()?));
        let version = offered.unwrap_or(OLDEST).min(NEWEST);
        let client_version = ClientVersion { major_version: 1, minor_version: version };
        let transport = Arc::clone(&connector);
        let send = move |request| {
            let connector = Arc::clone(&transport);
            async move { connector.send(request).await.map_err(|error| io::Error::other(error).into()) }
        };
        let docker =
            Docker::connect_with_custom_transport(send, Some("http://docker"), ANSWER.as_secs(), &client_version)
                .map_err(|error| connector.broken(error))?;
        Ok(Self { connector, docker, version })
    }

    /// The address, as messages name it.
    pub(crate) fn address(&self) -> &Address {
        &self.connector.address
    }

    /// The agreed version of the API: the number behind `1.`.
    pub(crate) fn version(&self) -> usize {
        self.version
    }

    /// Whether the engine gives a reader the decompressed copy that it has made of `X.1.gz` for another one, though a rotation in between has put
    /// another file under that name: what was in it is missing then, and nothing in the stream shows it.
    pub(crate) fn mixes_up_copies(&self) -> bool {
        self.version < OWN_COPIES
    }

    /// What the engine says about its host.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(crate) async fn info(&self) -> Result<bollard::models::SystemInfo, ApiError> {
        self.docker.info().await.map_err(|error| self.connector.failed("/info", error))
    }

    /// All containers, also those that have exited.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(crate) async fn containers(&self) -> Result<Vec<Listed>, ApiError> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let list = self.docker.list_containers(Some(options)).await;
        let list = list.map_err(|error| self.connector.failed("/containers/json", error))?;
        let listed = |container: ContainerSummary| {
            let running = container.state == Some(ContainerSummaryStateEnum::RUNNING);
            container.id.map(|id| Listed { id, running })
        };
        Ok(list.into_iter().filter_map(listed).collect())
    }

    /// All about one container.
    ///
    /// # Errors
    /// [`ApiError`]; status 404 when it is gone.
    pub(crate) async fn inspect(&self, container: &str) -> Result<bollard::models::ContainerInspectResponse, ApiError> {
        let answer = self.docker.inspect_container(container, None::<InspectContainerOptions>).await;
        answer.map_err(|error| self.connector.failed("/containers/ID/json", error))
    }

    /// Subscribes to the events of containers: those that happen after this returns are delivered.
    ///
    /// # Errors
    /// [`ApiError`].
    pub(crate) async fn events(&self) -> Result<Events, ApiError> {
        // {"type":["container"]}
        let body = self.stream("/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D").await?;
        Ok(Events::new(body))
    }

    /// Opens the log of `container`.
    ///
    /// # Errors
    /// [`ApiError`]; status 404 when the container is gone, 409 while it is being removed, 501 when its log driver can't be read.
    pub(crate) async fn logs(&self, container: &str, request: LogRequest) -> Result<ByteStream, ApiError> {
        self.stream(&request.path(container)).await
    }

    async fn stream(&self, path: &str) -> Result<ByteStream, ApiError> {
        ByteStream::open(&self.connector, &format!("/v1.{}{path}", self.version)).await
    }
}

fn minor_version(version: &str) -> Option<usize> {
    version.strip_prefix("1.")?.parse().ok()
}

/// Makes connections to one address.
struct Connector {
    address: Address,
    tls: Option<tls::Tls>,
}

/// What a connection is, whichever way it goes.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection over which requests with bodies of the kind `B` are sent.
type Connection<B> = http1::Connection<TokioIo<Box<dyn Transport>>, B>;

impl Connector {
    fn new(environment: &Environment) -> Result<Self, ApiError> {
        let address = environment.address()?;
        let tls = match &address {
            Address::Tcp { host, secure: true, .. } => Some(tls::Tls::load(&environment.certificates(), host)?),
            _ => None,
        };
        Ok(Self { address, tls })
    }

    async fn connect(&self) -> Result<Box<dyn Transport>, ApiError> {
        let connecting = async {
            let plain = self.address.connect().await?;
            match &self.tls {
                None => Ok(plain),
                Some(tls) => Ok(Box::new(tls.wrap(plain).await?) as Box<dyn Transport>),
            }
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 seconds");
        let result: io::Result<_> = timeout(CONNECT, connecting).await.unwrap_or_else(|_| Err(late()));
        result.map_err(|error| self.address.unreachable(&error))
    }

    /// A new connection, which somebody has to poll, and the way to send a request over it.
    async fn open<B>(&self) -> Result<(SendRequest<B>, Connection<B>), ApiError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let transport = TokioIo::new(self.connect().await?);
        let handshake = http1::Builder::new().max_buf_size(READ).handshake(transport).await;
        handshake.map_err(|error| self.broken(with_causes(&error)))
    }

    /// Sends `request` over a new connection. The connection's task ends with the answer's body.
    async fn send<B>(&self, request: Request<B>) -> Result<Response<Incoming>, ApiError>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut sender, connection) = self.open().await?;
        tokio::spawn(connection);
        self.answer(sender.send_request(origin_form(request))).await
    }

    /// The answer to what was sent, waited for as long as may be.
    async fn answer(
        &self,
        sent: impl Future<Output = hyper::Result<Response<Incoming>>>,
    ) -> Result<Response<Incoming>, ApiError> {
        let answer = timeout(ANSWER, sent).await.map_err(|_| self.broken("no answer within 60 seconds"))?;
        answer.map_err(|error| self.broken(with_causes(&error)))
    }

    /// Asks for `path`; an answer that is no success is an error.
    async fn ask(&self, path: &str) -> Result<Response<Incoming>, ApiError> {
        let answer = self.send(self.get(path)?).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(path, answer).await) }
    }

    fn get(&self, path: &str) -> Result<Request<Empty<Bytes>>, ApiError> {
        Request::get(path).body(Empty::new()).map_err(|error| self.broken(error))
    }

    /// What an answer says that is no success.
    async fn refusal(&self, path: &str, answer: Response<Incoming>) -> ApiError {
        let status = answer.status().as_u16();
        match answer.into_body().collect().await {
            Ok(body) => self.refused(path, status, &message(&body.to_bytes())),
            Err(error) => self.broken(error),
        }
    }

    fn refused(&self, path: &str, status: u16, message: &str) -> ApiError {
        let path = path.split('?').next().unwrap_or(path).to_owned();
        ApiError::Refused { address: self.address.to_string(), path, status, message: message.to_owned() }
    }

    fn failed(&self, path: &str, error: bollard::errors::Error) -> ApiError {
        match error {
            bollard::errors::Error::DockerResponseServerError { status_code, message } => {
                self.refused(path, status_code, &message)
            }
            bollard::errors::Error::IOError { err } => match err.downcast::<ApiError>() {
                Ok(error) => error,
                Err(error) => self.broken(error),
            },
            other => self.broken(other),
        }
    }

    fn broken(&self, reason: impl fmt::Display) -> ApiError {
        ApiError::Broken { address: self.address.to_string(), reason: reason.to_string() }
    }
}

/// An error and what it came of, as `connection error: received fatal alert: CertificateRequired`.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The engine's words: `{"message":"…"}`, or the body as it is.
fn message(body: &[u8]) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = parsed.as_ref().and_then(|value| value.get("message")?.as_str());
    message.map_or_else(|| String::from_utf8_lossy(body).trim().to_owned(), ToOwned::to_owned)
}

/// A server takes the path alone and the host in a header.
fn origin_form<B>(mut request: Request<B>) -> Request<B> {
    let path = request.uri().path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
    if let Ok(uri) = path.parse::<Uri>() {
        *request.uri_mut() = uri;
    }
    request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("docker"));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_what_the_request_says() {
        let both = LogRequest { follow: true, tail: None, only: None };
        assert_eq!(both.path("abc"), "/containers/abc/logs?follow=1&stdout=1&stderr=1&timestamps=1&tail=all");
        let one = LogRequest { follow: false, tail: Some(100), only: Some(Stream::Stderr) };
        assert_eq!(one.path("abc"), "/containers/abc/logs?follow=0&stdout=0&stderr=1&timestamps=1&tail=100");
    }

    #[test]
    fn finds_the_engines_words() {
        assert_eq!(message(br#"{"message":"No such container: x"}"#), "No such container: x");
        assert_eq!(message(b"page not found\n"), "page not found");
    }

    #[tokio::test]
    async fn a_missing_socket_is_told_with_path_reason_and_remedy() {
        let environment = Environment { host: Some("unix:///nowhere/docker.sock".into()), ..Environment::default() };
        let error = Engine::connect(&environment).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "can't reach the Docker engine at unix:///nowhere/docker.sock: No such file or directory (os error 2); \
             is dockerd running? In a container, mount the socket: -v /var/run/docker.sock:/var/run/docker.sock"
        );
    }
}
