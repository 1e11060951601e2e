//! The client of the API server.
//!
//! An API server may go without a word: its node dies, and the connection is there for minutes to come. So whatever is asked has to be answered within a
//! bound. A watch is answered when it begins, and may then be quiet for long.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context;
use kube::client::ClientBuilder;
use tower::BoxError;
use tower::util::MapFutureLayer;

/// How long the head of an answer may take. Lists of whole clusters take seconds.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client for the cluster that this runs in, or that the kubeconfig names.
///
/// # Errors
/// Neither is there, or what it says cannot be used.
pub(crate) async fn connect() -> anyhow::Result<kube::Client> {
    let config = kube::Config::infer().await.context("cannot find an API server: set KUBECONFIG, or run in a cluster")?;
    client(config).context("cannot use what is said of the API server")
}

fn client(config: kube::Config) -> kube::Result<kube::Client> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&MapFutureLayer::new(in_time)).build())
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

fn in_time<T: 'static>(answer: Answer<T>) -> Answer<T> {
    Box::pin(async {
        let late = || Err(BoxError::from(format!("the API server did not answer within {} s", TIMEOUT.as_secs())));
        tokio::time::timeout(TIMEOUT, answer).await.unwrap_or_else(|_| late())
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use kube::api::{ListParams, WatchParams};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_says_nothing_is_not_waited_for() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let config = kube::Config::new(format!("http://{}", silent.local_addr().unwrap()).parse().unwrap());
        let api: Api<Namespace> = Api::all(client(config).unwrap());
        let begun = tokio::time::Instant::now();
        let list = api.list(&ListParams::default()).await.err().unwrap();
        let watch = api.watch(&WatchParams::default(), "0").await.err().unwrap();
        for error in [list, watch] {
            assert!(error.to_string().contains("did not answer within 30 s"), "{error}");
        }
        assert!(begun.elapsed() < TIMEOUT * 3);
    }
}
