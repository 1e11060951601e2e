//! A scene for a test: namespaces of its own in the cluster that all share, and the webhook as it is shipped, with the rights that it is documented to
//! need and no others.
//!
//! ```text
//!   test ──► API server ──► Service (ExternalName) ──► Front, in kube-proxy's place ──► portcullis-webhook, one or more
//! ```

mod clock;
mod front;
mod load;
mod objects;
pub(crate) mod scene;
mod webhook;

use std::sync::LazyLock;

use portcullis_e2e::cluster::{Cluster, Components};

pub(crate) use clock::Clock;
pub(crate) use front::Front;
pub(crate) use load::Load;
pub(crate) use objects::{deployment, pod, privileged};
pub(crate) use scene::{Scene, refusal};
pub(crate) use webhook::{Webhook, portcullis};

/// The cluster of this process. It ends with it.
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: LazyLock<Result<Cluster, String>> =
        LazyLock::new(|| Cluster::start(Components { controller_manager: true, scheduler: false }).map_err(|error| error.to_string()));
    CLUSTER.as_ref().unwrap_or_else(|error| panic!("{error}"))
}
