//! Objects a page at a time, so that neither this program nor the API server ever holds a whole cluster.

use std::time::Duration;

use kube::api::{Api, DynamicObject, ListParams};
use thiserror::Error;

use crate::cluster::{ClusterError, cannot};

/// How many objects a page has: what `kubectl` asks for, too.
const PAGE: u32 = 500;
/// How long a page may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no further page.
#[derive(Debug, Error)]
pub(super) enum PageError {
    #[error("{0}")]
    Api(#[from] Box<kube::Error>),
    #[error("the API server does not answer")]
    TimedOut,
}

impl PageError {
    /// The same, of the list that failed: `what` is listed, and `late` is said where nothing came in time.
    pub(super) fn listing(self, what: &str, late: &'static str) -> ClusterError {
        match self {
            Self::Api(error) => cannot(format!("list the {what}"))(*error),
            Self::TimedOut => ClusterError::TimedOut(late),
        }
    }

    /// Whether the API server has no such resource.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Api(error) if matches!(&**error, kube::Error::Api(status) if status.code == 404))
    }
}

/// The pages of one list.
pub(super) struct Pages {
    api: Api<DynamicObject>,
    params: ListParams,
    ended: bool,
}

impl Pages {
    pub(super) fn of(api: Api<DynamicObject>) -> Self {
        Self::with(api, ListParams::default())
    }

    pub(super) fn with(api: Api<DynamicObject>, params: ListParams) -> Self {
        Self { api, params: params.limit(PAGE), ended: false }
    }

    /// The next page; `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<DynamicObject>>, PageError> {
        if self.ended {
            return Ok(None);
        }
        let list = match self.list().await {
            Err(PageError::Api(error)) => match later(&error) {
                // The place is too old. The API server says where to go on: with objects as they are by now, which is as good here.
                Some(token) => {
                    self.params.continue_token = Some(token);
                    self.list().await?
                }
                None => return Err(error.into()),
            },
            other => other?,
        };
        self.params.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
        self.ended = self.params.continue_token.is_none();
        Ok(Some(list.items))
    }

    async fn list(&self) -> Result<kube::api::ObjectList<DynamicObject>, PageError> {
        let list = tokio::time::timeout(TIMEOUT, self.api.list(&self.params)).await.map_err(|_| PageError::TimedOut)?;
        list.map_err(|error| PageError::Api(Box::new(error)))
    }

    /// All objects. For what is few, and has to be kept.
    pub(super) async fn all(mut self) -> Result<Vec<DynamicObject>, PageError> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }
}

/// Where a list goes on whose place is no longer known: see "Resource expired" in the concepts of Kubernetes' API.
fn later(error: &kube::Error) -> Option<String> {
    match error {
        kube::Error::Api(status) if status.code == 410 => status.metadata.as_ref()?.continue_.clone().filter(|token| !token.is_empty()),
        _ => None,
    }
}
