//! Puts a pod into the templates of workloads.

use portcullis_admission::Workload;
use serde_json::{Value, json};

/// The object of a workload that carries `pod`, which has `metadata` and `spec`.
pub(crate) fn wrap(workload: &Workload, pod: &Value) -> Value {
    workload.template.iter().rev().fold(pod.clone(), |inner, field| json!({ *field: inner }))
}

/// What comes before a path of the pod in the object that carries it.
pub(crate) fn prefix(workload: &Workload) -> String {
    workload.template.iter().map(|field| format!("{field}.")).collect()
}
