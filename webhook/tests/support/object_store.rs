//! An API server that stores any objects by their path, with the rules that matter to who writes: versions, conflicts, merge patches, apply.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
pub(crate) struct ObjectStore {
    objects: Arc<Mutex<BTreeMap<String, Value>>>,
    /// What to answer writes with, instead of doing them.
    refuse_writes: Arc<Mutex<Option<u16>>>,
    writes: Arc<Mutex<Vec<String>>>,
}

impl ObjectStore {
    /// A store on loopback, and a client for it.
    pub(crate) async fn start() -> (Self, kube::Client) {
        let store = Self::default();
        let router = Router::new().fallback(handle).with_state(store.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = kube::Config::new(format!("http://{address}").parse().unwrap());
        (store, kube::Client::try_from(config).unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().unwrap().get(path).cloned()
    }

    pub(crate) fn set(&self, path: &str, object: Value) {
        self.objects.lock().unwrap().insert(path.to_owned(), object);
    }

    pub(crate) fn delete(&self, path: &str) {
        self.objects.lock().unwrap().remove(path).unwrap();
    }

    pub(crate) fn refuse_writes(&self, code: Option<u16>) {
        *self.refuse_writes.lock().unwrap() = code;
    }

    /// The methods and paths of all writes so far.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.writes.lock().unwrap().clone()
    }

    fn answer(&self, method: &Method, path: &str, is_apply: bool, body: &Value) -> Result<Value, (u16, &'static str)> {
        let mut objects = self.objects.lock().unwrap();
        if method == Method::GET {
            return objects.get(path).cloned().ok_or((404, "NotFound"));
        }
        if let Some(code) = *self.refuse_writes.lock().unwrap() {
            return Err((code, "Forbidden"));
        }
        let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().map_or(0, |version| version.parse::<u64>().unwrap());
        let path = if method == Method::POST { format!("{path}/{}", body["metadata"]["name"].as_str().unwrap()) } else { path.to_owned() };
        let old = objects.get(&path).cloned();
        let is_stale = |old: &Value| body["metadata"]["resourceVersion"].is_string() && version(old) != version(body);
        let mut new = match (method.as_str(), &old) {
            ("POST", Some(_)) => return Err((409, "AlreadyExists")),
            ("PUT" | "PATCH", Some(old)) if is_stale(old) => return Err((409, "Conflict")),
            ("POST", None) | ("PUT", Some(_)) => body.clone(),
            ("PATCH", None) if is_apply => body.clone(),
            ("PATCH", Some(old)) if is_apply => apply(old.clone(), body),
            ("PATCH", Some(old)) => merge(old.clone(), body),
            _ => return Err((404, "NotFound")),
        };
        new["metadata"]["resourceVersion"] = json!((old.as_ref().map_or(0, version) + 1).to_string());
        self.writes.lock().unwrap().push(format!("{method} {path}"));
        objects.insert(path, new.clone());
        Ok(new)
    }
}

/// Server-side apply where another manager has applied a part of everything: webhooks are known by their names, and none goes away.
fn apply(mut object: Value, patch: &Value) -> Value {
    for change in patch["webhooks"].as_array().unwrap() {
        let webhooks = object["webhooks"].as_array_mut().unwrap();
        match webhooks.iter_mut().find(|webhook| webhook["name"] == change["name"]) {
            Some(webhook) => *webhook = merge(webhook.clone(), change),
            None => webhooks.push(change.clone()),
        }
    }
    object
}

/// A merge patch: lists are replaced whole.
fn merge(object: Value, patch: &Value) -> Value {
    let (Value::Object(mut object), Value::Object(patch)) = (object, patch) else { return patch.clone() };
    for (key, change) in patch {
        if change.is_null() {
            object.remove(key);
        } else {
            let before = object.remove(key).unwrap_or_else(|| json!({}));
            object.insert(key.clone(), merge(before, change));
        }
    }
    Value::Object(object)
}

async fn handle(State(store): State<ObjectStore>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let is_apply = headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/apply-patch+yaml");
    match store.answer(&method, uri.path(), is_apply, &body) {
        Ok(object) => axum::Json(object).into_response(),
        Err((code, reason)) => {
            let status =
                json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code});
            (StatusCode::from_u16(code).unwrap(), axum::Json(status)).into_response()
        }
    }
}
