//! The notice that a cloud gives before it takes a host away (`spot.notice`): it is looked for every few seconds, and begins [`crate::haste`].
//!
//! - `aws`: `spot/instance-action` of the instance metadata service, version 2. AWS gives two minutes and asks to look every five seconds:
//!   docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html. `AWS_EC2_METADATA_SERVICE_ENDPOINT` names another address.
//! - `gcp`: `instance/preempted` of the metadata server. Google gives half a minute: cloud.google.com/compute/docs/instances/preemptible.
//!   `GCE_METADATA_HOST` names another address, as HOST or HOST:PORT.
//!
//! A service that does not answer is told and asked on; nothing else depends on it.

use std::env;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode, Uri};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::warn;

use crate::haste;
use crate::http;

/// How much of an answer is read, in bytes.
const ANSWER: usize = 64 << 10;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many looks without an answer lie between two messages about it.
const SAID_EVERY: u32 = 60;

/// Whose hosts go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloud {
    /// Amazon Web Services: Spot instances.
    Aws,
    /// Google Cloud: Spot and preemptible machines.
    Gcp,
}

impl Cloud {
    /// As `spot.notice` names it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "aws" => Some(Self::Aws),
            "gcp" => Some(Self::Gcp),
            _ => None,
        }
    }

    fn every(self) -> Duration {
        match self {
            Self::Aws => Duration::from_secs(5),
            Self::Gcp => Duration::from_secs(2),
        }
    }

    /// HOST:PORT of its metadata service.
    fn address(self) -> String {
        let given = |name: &str| env::var(name).ok().filter(|text| !text.is_empty());
        let given = match self {
            Self::Aws => given("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            Self::Gcp => given("GCE_METADATA_HOST"),
        };
        with_port(given.as_deref().unwrap_or("169.254.169.254"))
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Aws => {
                "in a container of a bridge network give the instance a hop limit of 2 (http-put-response-hop-limit), or leave spot.notice out"
            }
            Self::Gcp => "on hosts that are not Google's leave spot.notice out",
        }
    }
}

/// Looks for the notice until it has come, and begins haste then.
pub(crate) async fn watch(cloud: Cloud) {
    let mut service = Service { cloud, address: cloud.address(), token: None };
    let mut ticks = interval(cloud.every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = 0;
    loop {
        ticks.tick().await;
        match service.tells().await {
            Ok(true) => break,
            Ok(false) => failed = 0,
            Err(error) => {
                if failed % SAID_EVERY == 0 {
                    warn!(
                        address = service.address,
                        remedy = cloud.remedy(),
                        "spot.notice has no effect, for the host's end can't be asked for: {error:#}"
                    );
                }
                failed += 1;
            }
        }
    }
    haste::begin("its cloud");
}

/// A cloud's metadata service.
struct Service {
    cloud: Cloud,
    address: String,
    /// What AWS wants to see with each question.
    token: Option<String>,
}

impl Service {
    /// Whether the notice has come.
    async fn tells(&mut self) -> Result<bool> {
        match self.cloud {
            Cloud::Gcp => {
                let header = ("metadata-flavor", "Google");
                let (status, text) = self.ask(Method::GET, "/computeMetadata/v1/instance/preempted", header).await?;
                preempted(status, &text)
            }
            Cloud::Aws => {
                let token = self.token().await?;
                let header = ("x-aws-ec2-metadata-token", token.as_str());
                let (status, text) = self.ask(Method::GET, "/latest/meta-data/spot/instance-action", header).await?;
                if status == StatusCode::UNAUTHORIZED {
                    self.token = None;
                }
                interrupted(status, &text)
            }
        }
    }

    async fn token(&mut self) -> Result<String> {
        if let Some(token) = &self.token {
            return Ok(token.clone());
        }
        let header = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
        let (status, token) = self.ask(Method::PUT, "/latest/api/token", header).await?;
        if status != StatusCode::OK {
            bail!("no token is given: status {status}");
        }
        self.token = Some(token.clone());
        Ok(token)
    }

    async fn ask(&self, method: Method, path: &str, header: (&str, &str)) -> Result<(StatusCode, String)> {
        let request =
            Request::builder().method(method).uri(path).header(HOST, &self.address).header(header.0, header.1);
        let request = request.body(Empty::<Bytes>::new())?;
        let asking = async {
            let stream = TcpStream::connect(&self.address).await?;
            http::send(stream, request, ANSWER).await
        };
        timeout(PATIENCE, asking).await.context("it took too long")?
    }
}

/// Whether AWS announces an end; 404 is the answer as long as there is none.
fn interrupted(status: StatusCode, text: &str) -> Result<bool> {
    match status {
        StatusCode::NOT_FOUND => Ok(false),
        StatusCode::OK if text.contains("\"action\"") => Ok(true),
        _ => bail!("status {status}, which is no answer of AWS"),
    }
}

/// Whether Google has announced an end.
fn preempted(status: StatusCode, text: &str) -> Result<bool> {
    match (status, text) {
        (StatusCode::OK, "TRUE") => Ok(true),
        (StatusCode::OK, "FALSE") => Ok(false),
        _ => bail!("status {status}, which is no answer of Google's"),
    }
}

/// HOST:PORT of a URL or of an address without a port; what is neither is tried as it is, and told.
fn with_port(given: &str) -> String {
    let authority = given.parse::<Uri>().ok().and_then(|uri| uri.into_parts().authority);
    authority.map_or_else(|| given.to_owned(), |place| format!("{}:{}", place.host(), place.port_u16().unwrap_or(80)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// A service that gives these answers, one a connection; what it was asked.
    async fn service(cloud: Cloud, answers: &'static [(u16, &'static str)]) -> (Service, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            for (status, text) in answers {
                let mut stream = BufReader::new(listener.accept().await.unwrap().0);
                let (mut head, mut line) = (String::new(), String::new());
                while stream.read_line(&mut line).await.unwrap() > 2 {
                    head.push_str(&std::mem::take(&mut line));
                }
                seen.lock().unwrap().push(head);
                let answer = format!("HTTP/1.1 {status} \r\ncontent-length: {}\r\n\r\n{text}", text.len());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (Service { cloud, address, token: None }, asked)
    }

    #[tokio::test]
    async fn aws_is_asked_with_a_token_that_is_renewed() {
        const NOTICE: &str = r#"{"action": "terminate", "time": "2026-11-26T08:22:00Z"}"#;
        let answers = &[(200, "one"), (404, ""), (404, ""), (401, ""), (200, "two"), (200, NOTICE)];
        let (mut service, asked) = service(Cloud::Aws, answers).await;
        assert!(!service.tells().await.unwrap() && !service.tells().await.unwrap());
        assert!(service.tells().await.is_err());
        assert!(service.tells().await.unwrap());
        let asked = asked.lock().unwrap();
        let tokens: Vec<bool> = asked.iter().map(|head| head.starts_with("PUT /latest/api/token")).collect();
        assert_eq!(tokens, [true, false, false, false, true, false]);
        assert!(asked[1].contains("x-aws-ec2-metadata-token: one") && asked[5].contains("token: two"), "{asked:?}");
    }

    #[tokio::test]
    async fn google_is_asked_in_its_flavour() {
        let (mut service, asked) = service(Cloud::Gcp, &[(200, "FALSE"), (200, "TRUE"), (200, "<html>")]).await;
        assert!(!service.tells().await.unwrap());
        assert!(service.tells().await.unwrap());
        assert!(service.tells().await.is_err());
        assert!(asked.lock().unwrap()[0].to_lowercase().contains("metadata-flavor: google"));
    }

    #[test]
    fn addresses_have_a_port() {
        for (given, expected) in [
            ("http://127.0.0.1:1338/", "127.0.0.1:1338"),
            ("169.254.169.254", "169.254.169.254:80"),
            ("http://[fd00:ec2::254]", "[fd00:ec2::254]:80"),
            ("[fd00:ec2::254]:8080", "[fd00:ec2::254]:8080"),
            ("metadata.google.internal", "metadata.google.internal:80"),
        ] {
            assert_eq!(with_port(given), expected);
        }
    }
}
