//! What is applied of our own kinds, judged as it is applied: what could not be in force is refused at once, and not only in its status.
//!
//! It is a courtesy to whoever applies it. The webhook for it fails open, and what came past it has its problems in its status. An update that leaves the
//! spec as it was passes, so that what is wrong already can be labelled, finalized and deleted. Whether a policy's parameters are served and whether an
//! exception's namespace counts depends on the cluster and the server, and is in the status alone.

use jiff::Timestamp;
use portcullis_api::GROUP;
use portcullis_api::admission_policy::{AdmissionPolicy, PLURAL as POLICIES};
use portcullis_api::policy_exception::{PLURAL as EXCEPTIONS, PolicyException};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::compile::{Problem, compile};
use super::exception::Exception;
use super::report::{MAX_MESSAGE, cut};
use crate::decide::Denial;
use crate::review::{AdmissionRequest, Operation, Status, StatusCause, StatusDetails, StatusReason};

/// Whether it makes or changes a policy or an exception.
pub(crate) fn is_applied(request: &AdmissionRequest) -> bool {
    let resource = &request.resource;
    resource.group == GROUP
        && [POLICIES, EXCEPTIONS].contains(&resource.resource.as_str())
        && request.sub_resource.is_empty()
        && matches!(request.operation, Operation::Create | Operation::Update)
}

/// Why a policy or an exception is not taken; `None` where it is, or where the request makes none.
pub(crate) fn refuse(request: &AdmissionRequest, now: Timestamp) -> Option<Denial> {
    let object = request.object.as_ref().filter(|_| is_applied(request))?;
    let was = request.old_object.as_ref().filter(|_| request.operation == Operation::Update);
    if was.is_some_and(|was| was.get("spec") == object.get("spec")) {
        return None;
    }
    let problems = match request.resource.resource.as_str() {
        POLICIES => read::<AdmissionPolicy>(object).and_then(|policy| compile(&policy).map(drop)),
        _ => read::<PolicyException>(object).and_then(|exception| Exception::compile(&exception, now).map(drop)),
    };
    problems.err().map(|problems| denial(request, &problems))
}

/// Reads a resource of ours as the API server gives it.
///
/// # Errors
/// It has a field that is not known, or of the wrong type.
pub(super) fn read<T: DeserializeOwned>(object: &Value) -> Result<T, Vec<Problem>> {
    T::deserialize(object).map_err(|error| vec![Problem { field: String::new(), message: error.to_string() }])
}

fn denial(request: &AdmissionRequest, problems: &[Problem]) -> Denial {
    let (group, resource, name) = (&request.resource.group, &request.resource.resource, request.object_name());
    let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let message = cut(&format!("{resource}.{group} {name:?} is invalid: {}", listed.join("\n  ")), MAX_MESSAGE);
    let cause = |problem: &Problem| StatusCause {
        reason: "FieldValueInvalid",
        message: cut(&problem.message, MAX_MESSAGE),
        field: problem.field.clone(),
    };
    let causes = problems.iter().map(cause).collect();
    let details = StatusDetails { name: name.to_owned(), group: group.clone(), kind: resource.clone(), causes };
    Status::failure(StatusReason::Invalid, message, Some(details)).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(resource: &str, operation: &str, spec: Value, old: Option<Value>) -> Option<Denial> {
        let kind = if resource == POLICIES { "AdmissionPolicy" } else { "PolicyException" };
        let object = |spec: Value| json!({"apiVersion": "portcullis.dev/v1alpha1", "kind": kind, "metadata": {"name": "p", "namespace": "n"}, "spec": spec});
        let request = json!({"uid": "u", "operation": operation, "name": "p", "resource": {"group": GROUP, "version": "v1alpha1", "resource": resource},
            "object": object(spec), "oldObject": old.map(object)});
        refuse(&serde_json::from_value(request).unwrap(), "2026-11-25T00:00:00Z".parse().unwrap())
    }

    fn policy(expression: &str) -> Value {
        let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]);
        json!({"matchConstraints": {"resourceRules": rules}, "validations": [{"expression": expression}]})
    }

    #[test]
    fn a_policy_that_does_not_compile_is_refused_with_every_place() {
        for operation in ["CREATE", "UPDATE"] {
            let denial = asked(POLICIES, operation, policy("object.spec.x =="), Some(policy("true"))).unwrap();
            let status = &denial.status;
            assert!(status.code == 422 && status.message.starts_with("admissionpolicies.portcullis.dev \"p\" is invalid: "), "{status:?}");
            assert!(status.message.contains("spec.validations[0].expression: "), "{}", status.message);
            assert_eq!(status.details.as_ref().unwrap().causes[0].field, "spec.validations[0].expression");
        }
        assert_eq!(asked(POLICIES, "CREATE", policy("object.spec.x == 1"), None), None);
    }

    #[test]
    fn what_is_wrong_already_can_be_labelled_finalized_and_deleted() {
        let wrong = || policy("object.spec.x ==");
        assert_eq!(asked(POLICIES, "UPDATE", wrong(), Some(wrong())), None);
        assert_eq!(asked(POLICIES, "DELETE", wrong(), Some(wrong())), None);
    }

    #[test]
    fn an_exception_that_nobody_may_make_is_refused() {
        let exception = |expires: &str| json!({"policy": "p", "controls": ["privileged"], "namespaces": ["shop"], "subjects": {"kinds": ["Pod"]}, "reason": "it reads the node's statistics", "expires": expires});
        let denial = asked(EXCEPTIONS, "CREATE", exception("2030-01-01T00:00:00Z"), None).unwrap();
        assert!(denial.status.message.contains("spec.expires: more than 366 days from now"), "{}", denial.status.message);
        assert_eq!(asked(EXCEPTIONS, "CREATE", exception("2027-01-01T00:00:00Z"), None), None);
    }
}
