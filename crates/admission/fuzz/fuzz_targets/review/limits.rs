//! What every answer keeps to, however hostile the question was.

use serde_json::Value;

/// As many causes has a Status at most.
const MAX_CAUSES: usize = 256;
/// What policies may add to a message, an audit annotation and a warning: bytes, bytes, characters; and how many warnings.
const MAX_MESSAGE: usize = 16 * 1024;
const MAX_ANNOTATION: usize = 10 * 1024;
const MAX_WARNING: usize = 256;
const MAX_WARNINGS: usize = 16;
/// The longest key of an audit annotation, which the API server puts after the webhook's name.
const MAX_KEY: usize = 63;

pub(crate) fn hold(uid: &str, review: &Value) {
    assert_eq!((&review["apiVersion"], &review["kind"]), (&"admission.k8s.io/v1".into(), &"AdmissionReview".into()));
    let response = &review["response"];
    assert_eq!(response["uid"], uid, "the answer is to this request");
    let status = response.get("status");
    assert_eq!(response["allowed"].as_bool().unwrap(), status.is_none(), "who is denied is told why, and nobody else");
    status.into_iter().for_each(hold_status);
    let warnings = response["warnings"].as_array().into_iter().flatten().map(|warning| warning.as_str().unwrap());
    // The Pod Security Standard's own names every violation, as Pod Security Admission's does.
    let of_policies: Vec<&str> = warnings.filter(|warning| !warning.starts_with("would violate PodSecurity ")).collect();
    assert!(of_policies.len() <= MAX_WARNINGS);
    assert!(of_policies.iter().all(|warning| warning.chars().count() <= MAX_WARNING && !warning.contains(char::is_control)));
    for (key, value) in response["auditAnnotations"].as_object().into_iter().flatten() {
        assert!(key.len() <= MAX_KEY && !key.contains('/'), "{key}");
        assert!(!key.starts_with("policy-") || value.as_str().unwrap().len() <= MAX_ANNOTATION);
    }
}

fn hold_status(status: &Value) {
    assert!((400..=599).contains(&status["code"].as_u64().unwrap()));
    assert!(status["details"]["causes"].as_array().is_none_or(|causes| causes.len() <= MAX_CAUSES));
    let message = status["message"].as_str().unwrap();
    let of_policies = message.lines().skip_while(|line| !line.starts_with("policy \""));
    assert!(
        message.starts_with("cannot judge ") || of_policies.map(|line| line.len() + 1).sum::<usize>() <= MAX_MESSAGE + 4096,
        "{message}"
    );
}
