//! An API server that has resources of any kind, tells of their changes, and takes a status.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Objects by the path of their list, then by namespace and name.
type Objects = BTreeMap<String, BTreeMap<String, Value>>;

/// The server.
#[derive(Clone)]
pub(crate) struct Resources {
    objects: Arc<Mutex<Objects>>,
    /// Every change so far: the list that it is of, and the line that tells it. A list's version is how many there were.
    log: Arc<Mutex<Vec<(String, String)>>>,
    changed: watch::Sender<usize>,
    writes: Arc<Mutex<usize>>,
    /// What lists of these paths are answered with in place of objects.
    failing: Arc<Mutex<BTreeMap<String, u16>>>,
}

impl Resources {
    /// A server on loopback that has lists of these kinds, as `apis/GROUP/VERSION/PLURAL`, and a client for it.
    pub(crate) async fn start(lists: &[&str]) -> (Self, kube::Client) {
        let objects = lists.iter().map(|list| (format!("/{list}"), BTreeMap::new())).collect();
        let server = Self {
            objects: Arc::new(Mutex::new(objects)),
            log: Arc::default(),
            changed: watch::channel(0).0,
            writes: Arc::default(),
            failing: Arc::default(),
        };
        let router = Router::new().fallback(handle).with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        (server, kube::Client::try_from(config).unwrap())
    }

    /// Makes or changes an object, and tells. Its generation counts its changes.
    pub(crate) fn apply(&self, list: &str, mut object: Value) {
        let key = key(&object);
        let kind = {
            let mut objects = self.objects.lock().unwrap();
            let objects = objects.get_mut(&format!("/{list}")).unwrap();
            let old = objects.get(&key);
            let generation = old.map_or(0, |old| old["metadata"]["generation"].as_i64().unwrap()) + 1;
            object["metadata"]["generation"] = generation.into();
            object["metadata"]["resourceVersion"] = (self.log.lock().unwrap().len() + 1).to_string().into();
            if let Some(old) = old {
                object["status"] = old["status"].clone();
            }
            if objects.insert(key, object.clone()).is_some() { "MODIFIED" } else { "ADDED" }
        };
        self.tell(list, kind, &object);
    }

    /// Answers lists with this code, or with objects again.
    pub(crate) fn fail(&self, list: &str, code: Option<u16>) {
        let mut failing = self.failing.lock().unwrap();
        match code {
            Some(code) => _ = failing.insert(format!("/{list}"), code),
            None => _ = failing.remove(&format!("/{list}")),
        }
    }

    /// Removes an object, and tells.
    pub(crate) fn delete(&self, list: &str, name: &str) {
        let object = self.objects.lock().unwrap().get_mut(&format!("/{list}")).unwrap().remove(name).unwrap();
        self.tell(list, "DELETED", &object);
    }

    /// An object, by its name or `NAMESPACE/NAME`.
    pub(crate) fn get(&self, list: &str, name: &str) -> Value {
        self.objects.lock().unwrap()[&format!("/{list}")][name].clone()
    }

    /// How many statuses were written.
    pub(crate) fn writes(&self) -> usize {
        *self.writes.lock().unwrap()
    }

    fn tell(&self, list: &str, kind: &str, object: &Value) {
        let mut log = self.log.lock().unwrap();
        log.push((format!("/{list}"), format!("{}\n", json!({ "type": kind, "object": object }))));
        self.changed.send_replace(log.len());
    }

    fn patch_status(&self, path: &str, patch: &Value) -> Option<Value> {
        let path = path.strip_suffix("/status")?;
        let (list, key) = self.find(path)?;
        let object = {
            let mut objects = self.objects.lock().unwrap();
            let object = objects.get_mut(&list)?.get_mut(&key)?;
            object["status"] = patch["status"].clone();
            object.clone()
        };
        *self.writes.lock().unwrap() += 1;
        self.tell(list.trim_start_matches('/'), "MODIFIED", &object);
        Some(object)
    }

    /// The list and the key of an object's path.
    fn find(&self, path: &str) -> Option<(String, String)> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            [start @ .., "namespaces", namespace, plural, name] => {
                Some((format!("/{}/{plural}", start.join("/")), format!("{namespace}/{name}")))
            }
            [start @ .., name] => Some((format!("/{}", start.join("/")), (*name).to_owned())),
            [] => None,
        }
    }
}

fn key(object: &Value) -> String {
    let metadata = |field: &str| object["metadata"][field].as_str();
    let name = metadata("name").unwrap();
    metadata("namespace").map_or(name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

async fn handle(State(server): State<Resources>, method: Method, uri: Uri, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    if method == Method::PATCH {
        return match server.patch_status(&path, &serde_json::from_slice(&body).unwrap()) {
            Some(object) => axum::Json(object).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    let parameter = |name: &str| uri.query()?.split('&').find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('='));
    if parameter("watch") == Some("true") {
        // What has happened since the list is told first.
        let since: usize = parameter("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        let changes = unfold((server.changed.subscribe(), server.log, path, since), |(mut changed, log, path, mut next)| async move {
            loop {
                changed.wait_for(|length| *length > next).await.ok()?;
                let (list, line) = log.lock().unwrap()[next].clone();
                next += 1;
                if list == path {
                    return Some((Ok::<_, Infallible>(Bytes::from(line)), (changed, log, path, next)));
                }
            }
        });
        return Body::from_stream(changes).into_response();
    }
    let failure = server.failing.lock().unwrap().get(&path).copied();
    if let Some(code) = failure {
        return failed(code, "it fails");
    }
    let items: Option<Vec<Value>> = server.objects.lock().unwrap().get(&path).map(|objects| objects.values().cloned().collect());
    match items {
        Some(items) => {
            let version = server.log.lock().unwrap().len().to_string();
            axum::Json(json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": items}))
                .into_response()
        }
        None => failed(404, "not found"),
    }
}

fn failed(code: u16, why: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": why, "reason": "Failure", "code": code});
    (StatusCode::from_u16(code).unwrap(), axum::Json(status)).into_response()
}
