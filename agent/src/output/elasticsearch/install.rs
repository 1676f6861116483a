//! Installs what [`super::managed`] says, once for an output and before its first document.

use elasticsearch::http::Method;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::client::{Client, RequestError};
use super::managed::{Lifecycle, Managed, Product, Template};
use super::verdict;
use crate::backoff::Backoff;
use crate::output::retry::{Retry, Trouble};

/// What all senders of an output wait for.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    managed: Managed,
    done: OnceCell<bool>,
}

impl Ready {
    /// Nothing is installed yet.
    pub(crate) fn new(managed: Managed) -> Self {
        Self { managed, done: OnceCell::new() }
    }

    /// Installs what is to be installed, or waits until another sender has; false when it is time to give up.
    pub(crate) async fn wait(&self, client: &Client, backoff: &Backoff, give_up: &CancellationToken) -> bool {
        let nothing = self.managed == Managed::default();
        let install = || async { nothing || self.managed.install(client, backoff.clone(), give_up).await };
        *self.done.get_or_init(install).await
    }
}

impl Managed {
    async fn install(&self, client: &Client, backoff: Backoff, give_up: &CancellationToken) -> bool {
        let mut retry = Retry::new("elasticsearch", backoff, give_up.clone());
        loop {
            let tried = tokio::select! {
                tried = self.try_to(client) => tried,
                () = give_up.cancelled() => return false,
            };
            let Err(trouble) = tried else { return true };
            if !retry.failed(&trouble).await {
                return false;
            }
        }
    }

    async fn try_to(&self, client: &Client) -> Result<(), Trouble> {
        let product = client.product().await.map_err(|error| trouble("the version", &error))?;
        if let Some(lifecycle) = &self.lifecycle {
            lifecycle.install_policy(client, product).await?;
        }
        if let Some(template) = &self.template {
            match template.install(client, product, self.lifecycle.as_ref()).await {
                Err(refused) if self.lifecycle.is_none() && is_refusal(&refused) => {
                    let Trouble { reason, remedy, .. } = trouble("", &refused);
                    error!(
                        template = template.name,
                        reason, remedy, "the index template can't be installed, and documents are indexed without it"
                    );
                }
                result => result.map_err(|error| trouble(&format!("the template {}", template.name), &error))?,
            }
        }
        match &self.lifecycle {
            Some(lifecycle) => lifecycle.install_alias(client).await,
            None => Ok(()),
        }
    }
}

impl Template {
    async fn install(
        &self,
        client: &Client,
        product: Product,
        lifecycle: Option<&Lifecycle>,
    ) -> Result<(), RequestError> {
        let (path, body) = self.request(product, lifecycle);
        if !self.overwrites && is_there(client, &path).await? {
            return Ok(());
        }
        client.ask(Method::Put, &path, Some(&body)).await?;
        info!(template = self.name, path, "installed an index template");
        Ok(())
    }
}

impl Lifecycle {
    async fn install_policy(&self, client: &Client, product: Product) -> Result<(), Trouble> {
        if product.opensearch {
            warn!(
                alias = self.alias,
                "OpenSearch has no lifecycle policies of Elasticsearch's kind; attach one of its own to the alias, or nothing rolls it over"
            );
            return Ok(());
        }
        let place = || format!("the lifecycle policy {}", self.policy);
        let path = self.policy_path();
        if is_there(client, &path).await.map_err(|error| trouble(&place(), &error))? {
            return Ok(());
        }
        let Some(body) = self.default_policy() else {
            return Err(Trouble::new(place(), "it is not there", "make it, or leave out `ilm_policy`"));
        };
        put(client, &path, &body, &place()).await
    }

    async fn install_alias(&self, client: &Client) -> Result<(), Trouble> {
        let place = format!("the rollover alias {}", self.alias);
        let path = self.alias_path();
        if is_there(client, &path).await.map_err(|error| trouble(&place, &error))? {
            return Ok(());
        }
        let (index, body) = self.first_index();
        match put(client, &index, &body, &place).await {
            // Agents of other hosts start at the same time.
            Err(error) => match is_there(client, &path).await {
                Ok(true) => Ok(()),
                _ => Err(error),
            },
            made => made,
        }
    }
}

async fn put(client: &Client, path: &str, body: &Value, place: &str) -> Result<(), Trouble> {
    client.ask(Method::Put, path, Some(body)).await.map_err(|error| trouble(place, &error))?;
    info!("made {place}");
    Ok(())
}

async fn is_there(client: &Client, path: &str) -> Result<bool, RequestError> {
    match client.ask(Method::Get, path, None).await {
        Ok(_) => Ok(true),
        Err(RequestError::Refused { status: 404, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether trying again would be of no use.
fn is_refusal(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused { status: 400..=499, .. })
        && !matches!(error, RequestError::Refused { status: 401 | 408 | 429, .. })
}

fn trouble(place: &str, error: &RequestError) -> Trouble {
    let remedy = match error {
        RequestError::Unreachable { .. } => "see that Elasticsearch runs and can be reached",
        RequestError::Refused { status: 400 | 405, .. } => {
            "see the reason; set `manage_template => false` or `ilm_enabled => false` where Elasticsearch has no such thing"
        }
        RequestError::Refused { status, kind, .. } => verdict::remedy(*status, kind),
    };
    Trouble::new(place, error, remedy)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::client::Connection;
    use super::super::fake::{Fake, Reply};
    use super::super::managed::testing;
    use super::*;

    /// Installs on a node that answers so; the requests it has seen.
    async fn installed(managed: Managed, script: impl FnMut(usize, &str) -> u16 + Send + 'static) -> Vec<String> {
        let mut script = script;
        let fake = Fake::start_plain("8.0.0", move |number, request| {
            Reply::Whole(script(number, request), r#"{"error":{"type":"t","reason":"r"}}"#.into())
        })
        .await;
        let connection =
            Connection { hosts: vec![fake.url.clone()], timeout: Duration::from_millis(500), ..Connection::default() };
        let client = Client::new(&connection).unwrap();
        let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));
        assert!(Ready::new(managed).wait(&client, &backoff, &CancellationToken::new()).await);
        fake.seen()
    }

    #[tokio::test]
    async fn what_is_there_is_left_alone() {
        let seen = installed(testing::managed("mine"), |_, _| 200).await;
        assert_eq!(seen, ["GET /_ilm/policy/mine", "GET /_index_template/t", "GET /_alias/web"]);
    }

    #[tokio::test]
    async fn policy_template_and_first_index_are_made_in_this_order_and_trouble_is_tried_again() {
        let seen = installed(testing::managed("logstash-policy"), |number, request| match number {
            0 => 503,
            _ if request.starts_with("GET") => 404,
            _ => 200,
        })
        .await;
        let expected = [
            "GET /_ilm/policy/logstash-policy",
            "GET /_ilm/policy/logstash-policy",
            "PUT /_ilm/policy/logstash-policy",
            "GET /_index_template/t",
            "PUT /_index_template/t",
            "GET /_alias/web",
            "PUT /%3Cweb-%7Bnow%2Fd%7D-000001%3E",
        ];
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn a_policy_of_the_operators_is_waited_for() {
        let seen = installed(testing::managed("mine"), |number, _| if number < 2 { 404 } else { 200 }).await;
        assert_eq!(seen[..3], ["GET /_ilm/policy/mine"; 3]);
    }

    #[tokio::test]
    async fn a_refused_template_holds_up_documents_only_where_an_alias_needs_it() {
        let alone = Managed { lifecycle: None, ..testing::managed("mine") };
        assert_eq!(installed(alone, |_, _| 403).await, ["GET /_index_template/t"]);
        let seen = installed(testing::managed("mine"), |number, _| if number == 1 { 403 } else { 200 }).await;
        assert_eq!(seen.len(), 5);
    }

    #[tokio::test]
    async fn an_alias_that_another_agent_has_just_made_is_taken() {
        let seen = installed(testing::managed("mine"), |number, _| match number {
            2 => 404,
            3 => 400,
            _ => 200,
        })
        .await;
        assert_eq!(seen[2..], ["GET /_alias/web", "PUT /%3Cweb-%7Bnow%2Fd%7D-000001%3E", "GET /_alias/web"]);
    }
}
