//! Namespaces of a test's own, and what is created in them.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use portcullis_e2e::cluster::Cluster;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cluster;

/// How long something may take that the cluster does by itself, and how often it is looked at where nothing tells of it.
const SOON: Duration = Duration::from_secs(40);
const PAUSE: Duration = Duration::from_millis(20);

/// What the webhook is documented to need (README.md), and nothing else.
const RIGHTS: &str = include_str!("rights.yaml");
/// What it needs beside that to follow policies (docs/policies.md).
const RIGHTS_FOR_POLICIES: &str = include_str!("rights-policies.yaml");

/// A test's place in the cluster.
pub(crate) struct Scene {
    cluster: &'static Cluster,
    id: String,
    client: Client,
    folder: TempDir,
}

impl Scene {
    /// A scene of this name in the cluster that all share, with a namespace for the webhook: `NAME-system`.
    pub(crate) async fn new(id: &str) -> Self {
        // The first one waits for it to start.
        let cluster = tokio::task::spawn_blocking(cluster).await.unwrap();
        Self::within(cluster, id).await
    }

    /// The same in another cluster.
    pub(crate) async fn within(cluster: &'static Cluster, id: &str) -> Self {
        let client = client_of(cluster, |_| {}).await;
        let scene = Self { cluster, id: id.to_owned(), client, folder: tempfile::tempdir().unwrap() };
        scene.create_namespace(&scene.system(), json!({})).await;
        scene.grant_rights().await;
        scene
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The webhook's own namespace.
    pub(crate) fn system(&self) -> String {
        format!("{}-system", self.id)
    }

    /// A client with all rights.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// A folder for files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes a namespace whose pods this scene's webhooks judge: `NAME-SUFFIX`.
    pub(crate) async fn namespace(&self, suffix: &str, labels: Value) -> String {
        let name = format!("{}-{suffix}", self.id);
        self.create_namespace(&name, labels).await;
        name
    }

    async fn create_namespace(&self, name: &str, mut labels: Value) {
        labels["portcullis-test"] = json!(self.id);
        self.create("", &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})).await.unwrap();
        // The controller manager makes it, too, sooner or later; without it no pod can be made.
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        match self.create(name, &account).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Any resource, in a namespace or, where that is empty, of the cluster.
    pub(crate) fn api(&self, namespace: &str, object: &Value) -> Api<DynamicObject> {
        api(self.client(), namespace, object)
    }

    pub(crate) async fn create(&self, namespace: &str, object: &Value) -> kube::Result<DynamicObject> {
        create(&self.api(namespace, object), object, false).await
    }

    /// Makes or changes an object as `kubectl apply --server-side` does.
    pub(crate) async fn apply(&self, namespace: &str, object: &Value) -> kube::Result<DynamicObject> {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.api(namespace, object).patch(name, &PatchParams::apply("portcullis-test").force(), &Patch::Apply(object)).await
    }

    pub(crate) async fn delete(&self, namespace: &str, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap();
        self.api(namespace, object).delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn try_create(&self, namespace: &str, object: &Value) -> kube::Result<DynamicObject> {
        create(&self.api(namespace, object), object, true).await
    }

    /// Waits until the API server calls the webhook for pods of `namespace`: a privileged one is denied.
    pub(crate) async fn enforced(&self, namespace: &str) {
        let probe = super::privileged("probe");
        eventually("the webhook is called", async || {
            let refused = self.try_create(namespace, &probe).await.err()?;
            refused.to_string().contains(".portcullis.dev\" denied the request").then_some(())
        })
        .await;
    }

    /// Installs the definitions that `portcullis definitions` writes with these arguments, and waits until they are served.
    pub(crate) async fn install(&self, arguments: &[&str]) {
        let output = super::portcullis(&[&["definitions"], arguments].concat()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        for definition in text.split("---\n") {
            let definition: Value = serde_saphyr::from_str(definition).unwrap();
            let name = definition["metadata"]["name"].as_str().unwrap();
            let api = self.api("", &definition);
            self.apply("", &definition).await.unwrap();
            eventually("the definition is established", async || {
                let conditions = api.get(name).await.unwrap().data["status"]["conditions"].clone();
                let is_so = |condition: &Value| condition["type"] == "Established" && condition["status"] == "True";
                conditions.as_array().is_some_and(|conditions| conditions.iter().any(is_so)).then_some(())
            })
            .await;
        }
    }

    /// A kubeconfig of the webhook's service account.
    pub(crate) fn webhook_kubeconfig(&self) -> PathBuf {
        self.folder().join("webhook.kubeconfig")
    }

    /// Has webhooks that are started from now on take whatever certificate the API server shows them.
    pub(crate) fn trust_any_api_server(&self) {
        let mut kubeconfig: Value = serde_json::from_slice(&fs::read(self.webhook_kubeconfig()).unwrap()).unwrap();
        let cluster = kubeconfig["clusters"][0]["cluster"].as_object_mut().unwrap();
        cluster.remove("certificate-authority-data");
        cluster.remove("certificate-authority");
        cluster.insert("insecure-skip-tls-verify".to_owned(), json!(true));
        fs::write(self.webhook_kubeconfig(), kubeconfig.to_string()).unwrap();
    }

    /// Lets the webhook follow policies.
    pub(crate) async fn grant_rights_for_policies(&self) {
        self.grant(RIGHTS_FOR_POLICIES).await;
    }

    async fn grant(&self, rights: &str) {
        let text = rights.replace("SYSTEM", &self.system()).replace("SCENE", &self.id);
        for object in text.split("---\n") {
            let object: Value = serde_saphyr::from_str(object).unwrap();
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            self.create(namespace, &object).await.unwrap();
        }
    }

    async fn grant_rights(&self) {
        self.grant(RIGHTS).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), &self.system());
        let request = TokenRequest { spec: Some(TokenRequestSpec::default()), ..Default::default() };
        let token = accounts.create_token_request("webhook", &PostParams::default(), &request).await.unwrap().status.unwrap().token;
        let mut kubeconfig: Value = serde_saphyr::from_str(&fs::read_to_string(self.cluster.kubeconfig()).unwrap()).unwrap();
        kubeconfig["users"][0]["user"] = json!({ "token": token });
        fs::write(self.webhook_kubeconfig(), kubeconfig.to_string()).unwrap();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: the cluster's logs end with\n{}", self.id, self.cluster.logs());
        }
    }
}

/// A client of the administrator's of the cluster that all share, changed in some way.
pub(crate) async fn client(change: impl FnOnce(&mut Config)) -> Client {
    client_of(cluster(), change).await
}

async fn client_of(cluster: &Cluster, change: impl FnOnce(&mut Config)) -> Client {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    change(&mut config);
    Client::try_from(config).unwrap()
}

pub(crate) fn api(client: Client, namespace: &str, object: &Value) -> Api<DynamicObject> {
    let text = |field: &str| object[field].as_str().unwrap();
    let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
    let resource = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, text("kind")));
    if namespace.is_empty() { Api::all_with(client, &resource) } else { Api::namespaced_with(client, namespace, &resource) }
}

pub(crate) async fn create(api: &Api<DynamicObject>, object: &Value, dry_run: bool) -> kube::Result<DynamicObject> {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    api.create(&PostParams { dry_run, ..PostParams::default() }, &object).await
}

/// What the API server's refusal says.
pub(crate) fn refusal<T>(result: kube::Result<T>) -> String {
    match result {
        Err(kube::Error::Api(status)) => status.message.clone(),
        Err(error) => panic!("no refusal, but {error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// Looks until there is something. For what nothing tells of: when the API server has heard of a change.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(SOON, looking).await.unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"))
}
