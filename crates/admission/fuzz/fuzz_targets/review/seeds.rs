//! Reviews to begin with: the fixtures of every check, as pods, in what carries pods, and as updates; and what is not about pods.

use std::path::Path;
use std::{env, fs};

use portcullis_admission::{CHECKS, WORKLOADS};
use serde_json::{Value, json};

use crate::fixtures;

/// Names the folder that the seeds are written into. Without it there are none.
const FOLDER: &str = "SEEDS";

pub(crate) fn write() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let pods = CHECKS.iter().flat_map(|check| fixtures::own(check)).flat_map(|revision| revision.cases).map(|case| case.pod);
    let reviews = pods.enumerate().map(|(index, pod)| review_of(index, &pod)).chain(others());
    for (index, review) in reviews.enumerate() {
        fs::write(Path::new(&folder).join(format!("seed-{index:04}")), review.to_string()).unwrap();
    }
}

/// Of the pods, each in another way.
fn review_of(index: usize, pod: &Value) -> Value {
    let workload = WORKLOADS.iter().cycle().nth(index).unwrap();
    let object = match workload.kind {
        "Pod" => pod.clone(),
        "PodTemplate" => json!({"metadata": {"name": "a"}, "template": pod}),
        "CronJob" => json!({"metadata": {"name": "a"}, "spec": {"jobTemplate": {"spec": {"template": pod}}}}),
        _ => json!({"metadata": {"name": "a"}, "spec": {"template": pod}}),
    };
    let is_update = index % 3 == 2;
    request(json!({
        "operation": if is_update { "UPDATE" } else { "CREATE" },
        "kind": {"group": workload.group, "version": "v1", "kind": workload.kind},
        "resource": {"group": workload.group, "version": "v1", "resource": workload.resource},
        "oldObject": is_update.then(|| json!({"spec": {"containers": [{"name": "a", "image": "y"}]}})),
        "object": object,
    }))
}

fn others() -> impl Iterator<Item = Value> {
    let labels = |level: &str| json!({"metadata": {"name": "shop", "labels": {"pod-security.kubernetes.io/enforce": level}}});
    let namespaces = json!({
        "operation": "UPDATE", "kind": {"group": "", "version": "v1", "kind": "Namespace"},
        "resource": {"group": "", "version": "v1", "resource": "namespaces"},
        "object": labels("restricted"), "oldObject": labels("v"),
    });
    let exec = json!({
        "operation": "CONNECT", "kind": {"group": "", "version": "v1", "kind": "PodExecOptions"},
        "resource": {"group": "", "version": "v1", "resource": "pods"}, "subResource": "exec",
        "object": {"stdin": true, "command": ["sh"]},
    });
    let delete = json!({"operation": "DELETE", "resource": {"group": "apps", "version": "v1", "resource": "deployments"}, "oldObject": {}});
    [namespaces, exec, delete].into_iter().map(request)
}

fn request(mut request: Value) -> Value {
    let common = json!({"uid": "u", "name": "a", "namespace": "shop", "userInfo": {"username": "jane", "groups": ["g"]}});
    let common = common.as_object().cloned().unwrap_or_default();
    request.as_object_mut().into_iter().for_each(|request| request.extend(common.clone()));
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
}
