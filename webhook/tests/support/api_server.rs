//! An API server that knows some resources, tells of their changes, and can be silent: enough for a client to talk to.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};

/// Namespaces, and who is told when they change.
#[derive(Clone)]
pub(crate) struct ApiServer {
    namespaces: Arc<Mutex<BTreeMap<String, Value>>>,
    /// Those that are there but that the watch does not tell of, as if it lagged.
    untold: Arc<Mutex<BTreeMap<String, Value>>>,
    /// By namespace.
    pods: Arc<Mutex<BTreeMap<String, Vec<Value>>>>,
    changes: broadcast::Sender<String>,
    /// What is asked for of one namespace: how often at once now and at most, and whether answers are held back.
    asked: watch::Sender<Asked>,
}

/// What is asked for of one namespace: itself, or its pods.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) now: usize,
    pub(crate) most: usize,
    is_held: bool,
}

impl ApiServer {
    /// A server on loopback, and a client for it.
    pub(crate) async fn start() -> (Self, kube::Client) {
        let server = Self {
            namespaces: Arc::default(),
            untold: Arc::default(),
            pods: Arc::default(),
            changes: broadcast::channel(64).0,
            asked: watch::Sender::default(),
        };
        let router = Router::new()
            .route("/api/v1/namespaces", get(list_or_watch))
            .route("/api/v1/namespaces/{name}", get(get_one))
            .route("/api/v1/namespaces/{name}/pods", get(list_pods))
            .with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        (server, kube::Client::try_from(config).unwrap())
    }

    /// Makes or changes a namespace, and tells.
    pub(crate) fn set(&self, name: &str, labels: Value) {
        let namespace = namespace(name, labels);
        let known = self.namespaces.lock().unwrap().insert(name.to_owned(), namespace.clone()).is_some();
        self.tell(if known { "MODIFIED" } else { "ADDED" }, &namespace);
    }

    /// Makes a namespace that the watch does not tell of.
    pub(crate) fn set_untold(&self, name: &str, labels: Value) {
        self.untold.lock().unwrap().insert(name.to_owned(), namespace(name, labels));
    }

    /// Runs a pod.
    pub(crate) fn run(&self, namespace: &str, name: &str, spec: &Value) {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec});
        self.pods.lock().unwrap().entry(namespace.to_owned()).or_default().push(pod);
    }

    /// Holds back the answers to what is asked for of one namespace, or gives them.
    pub(crate) fn hold(&self, is_held: bool) {
        self.asked.send_modify(|asked| asked.is_held = is_held);
    }

    /// Waits until so much is asked for at once.
    pub(crate) async fn until_asked(&self, now: usize) -> Asked {
        *self.asked.subscribe().wait_for(|asked| asked.now == now).await.unwrap()
    }

    async fn wait_while_held(&self) {
        self.asked.send_modify(|asked| {
            asked.now += 1;
            asked.most = asked.most.max(asked.now);
        });
        self.asked.subscribe().wait_for(|asked| !asked.is_held).await.unwrap();
        self.asked.send_modify(|asked| asked.now -= 1);
    }

    /// Removes a namespace, and tells.
    pub(crate) fn delete(&self, name: &str) {
        let namespace = self.namespaces.lock().unwrap().remove(name).unwrap();
        self.tell("DELETED", &namespace);
    }

    fn tell(&self, kind: &str, object: &Value) {
        // Nobody may be listening yet; who comes later lists.
        let _ = self.changes.send(format!("{}\n", json!({ "type": kind, "object": object })));
    }
}

fn namespace(name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace", "status": {"phase": "Active"},
        "metadata": { "name": name, "labels": labels, "resourceVersion": "1", "uid": name },
    })
}

async fn list_or_watch(State(server): State<ApiServer>, RawQuery(query): RawQuery) -> Response {
    if query.is_some_and(|query| query.split('&').any(|parameter| parameter == "watch=true")) {
        let changes = unfold(server.changes.subscribe(), |mut changes| async {
            let line = changes.recv().await.ok()?;
            Some((Ok::<_, Infallible>(Bytes::from(line)), changes))
        });
        return Body::from_stream(changes).into_response();
    }
    let items: Vec<Value> = server.namespaces.lock().unwrap().values().cloned().collect();
    axum::Json(json!({
        "apiVersion": "v1", "kind": "NamespaceList", "metadata": { "resourceVersion": "1" }, "items": items,
    }))
    .into_response()
}

async fn list_pods(State(server): State<ApiServer>, Path(namespace): Path<String>) -> Response {
    server.wait_while_held().await;
    let items = server.pods.lock().unwrap().get(&namespace).cloned().unwrap_or_default();
    axum::Json(json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"remainingItemCount": 2}, "items": items})).into_response()
}

async fn get_one(State(server): State<ApiServer>, Path(name): Path<String>) -> Response {
    server.wait_while_held().await;
    let known = server.namespaces.lock().unwrap().get(&name).cloned();
    match known.or_else(|| server.untold.lock().unwrap().get(&name).cloned()) {
        Some(namespace) => axum::Json(namespace).into_response(),
        None => {
            let message = format!("namespaces \"{name}\" not found");
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "NotFound", "code": 404});
            (StatusCode::NOT_FOUND, axum::Json(status)).into_response()
        }
    }
}
