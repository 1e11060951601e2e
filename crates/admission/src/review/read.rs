//! Reading a request in two steps: what is done to what, and then, where somebody looks at them, the objects.
//!
//! ```text
//!  body ─► UnopenedRequest: all of it is JSON; the objects are text ─┬─► open: AdmissionRequest, with objects
//!                                                                    └─► into_head: AdmissionRequest, without
//! ```
//!
//! An API server asks about much that no standard and no policy is for. To make values of an object's text takes several times as long as to see where it
//! ends.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

use super::{API_VERSION, AdmissionRequest, KIND};

/// Why a body is not a review that can be answered.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Not JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// JSON, but not of the shape of a review.
    #[error("the body is not an AdmissionReview: {0}")]
    NotAReview(#[source] serde_json::Error),
    /// Another kind, or another version of it.
    #[error(r#"the body is {kind:?} of {api_version:?}; expected "{KIND}" of "{API_VERSION}""#)]
    OtherKind {
        /// `apiVersion`.
        api_version: String,
        /// `kind`.
        kind: String,
    },
    /// A review without a request: perhaps an answer.
    #[error("the AdmissionReview has no request")]
    NoRequest,
    /// A request that cannot be answered, because the answer has to carry its uid.
    #[error("the AdmissionReview's request has no uid")]
    NoUid,
    /// An object that is JSON, and nested deeper than 128 levels or with a number that is too large.
    #[error("the request's {field} cannot be read, counted from where it begins: {source}")]
    Object {
        /// `object`, `oldObject` or `options`.
        field: &'static str,
        /// Where, and why.
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<AdmissionRequest<Box<RawValue>>>,
}

/// A request whose objects nobody has looked at.
#[derive(Debug)]
pub struct UnopenedRequest {
    head: AdmissionRequest,
    object: Option<Box<RawValue>>,
    old_object: Option<Box<RawValue>>,
    options: Option<Box<RawValue>>,
}

impl UnopenedRequest {
    /// Reads the body of a request to a webhook.
    ///
    /// # Errors
    /// The body is not a review of version v1 with a request that has a uid.
    pub fn read(body: &[u8]) -> Result<Self, ReadError> {
        let incoming: Incoming = serde_json::from_slice(body)
            .map_err(|error| if error.is_data() { ReadError::NotAReview(error) } else { ReadError::NotJson(error) })?;
        if incoming.api_version != API_VERSION || incoming.kind != KIND {
            return Err(ReadError::OtherKind { api_version: incoming.api_version, kind: incoming.kind });
        }
        let request = incoming.request.ok_or(ReadError::NoRequest)?;
        if request.uid.is_empty() { Err(ReadError::NoUid) } else { Ok(request.into()) }
    }

    /// The request without `object`, `oldObject` and `options`.
    pub const fn head(&self) -> &AdmissionRequest {
        &self.head
    }

    /// The same, for good.
    pub fn into_head(self) -> AdmissionRequest {
        self.head
    }

    /// The whole request.
    ///
    /// # Errors
    /// An object is nested too deeply, or has a number that is too large.
    pub fn open(self) -> Result<AdmissionRequest, ReadError> {
        Ok(AdmissionRequest {
            object: open("object", self.object)?,
            old_object: open("oldObject", self.old_object)?,
            options: open("options", self.options)?,
            ..self.head
        })
    }
}

impl From<AdmissionRequest<Box<RawValue>>> for UnopenedRequest {
    fn from(request: AdmissionRequest<Box<RawValue>>) -> Self {
        let head = AdmissionRequest {
            uid: request.uid,
            kind: request.kind,
            resource: request.resource,
            sub_resource: request.sub_resource,
            request_kind: request.request_kind,
            request_resource: request.request_resource,
            request_sub_resource: request.request_sub_resource,
            name: request.name,
            namespace: request.namespace,
            operation: request.operation,
            user_info: request.user_info,
            object: None,
            old_object: None,
            options: None,
            dry_run: request.dry_run,
        };
        Self { head, object: request.object, old_object: request.old_object, options: request.options }
    }
}

fn open(field: &'static str, text: Option<Box<RawValue>>) -> Result<Option<Value>, ReadError> {
    text.map(|text| serde_json::from_str(text.get()).map_err(|source| ReadError::Object { field, source })).transpose()
}

#[cfg(test)]
mod tests {
    use super::super::Operation;
    use super::*;

    fn read(body: &str) -> Result<AdmissionRequest, ReadError> {
        UnopenedRequest::read(body.as_bytes())?.open()
    }

    fn error(body: &str) -> String {
        read(body).unwrap_err().to_string()
    }

    #[test]
    fn rejects_what_is_not_a_review_and_says_why() {
        assert!(error("").starts_with("the body is not JSON: EOF"));
        assert!(error("{").starts_with("the body is not JSON: EOF"));
        assert!(error("[1]").starts_with("the body is not an AdmissionReview: "));
        assert_eq!(error(r#"{}"#), r#"the body is "" of ""; expected "AdmissionReview" of "admission.k8s.io/v1""#);
        assert_eq!(
            error(r#"{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u"}}"#),
            r#"the body is "AdmissionReview" of "admission.k8s.io/v1beta1"; expected "AdmissionReview" of "admission.k8s.io/v1""#
        );
        assert_eq!(error(r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#), "the AdmissionReview has no request");
        assert_eq!(
            error(r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{}}"#),
            "the AdmissionReview's request has no uid"
        );
    }

    #[test]
    fn rejects_documents_nested_too_deeply_instead_of_overflowing() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!(r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","object":{deep}}}}}"#);
        assert!(error(&body).contains("recursion limit exceeded"));
    }

    #[test]
    fn keeps_what_it_does_not_know_of_an_object() {
        let body = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":
            {"uid":"u","operation":"CREATE","new":1,"object":{"spec":{"future":{"a":[1,null]}}}}}"#;
        let request = read(body).unwrap();
        assert_eq!(request.object.unwrap(), serde_json::json!({"spec":{"future":{"a":[1,null]}}}));
        assert_eq!(request.operation, Operation::Create);
    }

    #[test]
    fn reads_null_as_absent() {
        let body = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","kind":null,"resource":{"group":null,
            "resource":"pods"},"subResource":null,"name":null,"namespace":null,"operation":"UPDATE","userInfo":{"username":null,"groups":null},
            "object":null,"oldObject":null,"dryRun":null}}"#;
        let request = read(body).unwrap();
        assert_eq!((request.name.as_str(), request.resource.resource.as_str(), request.user_info.groups.len()), ("", "pods", 0));
        assert_eq!((request.object, request.operation), (None, Operation::Update));
    }
}
