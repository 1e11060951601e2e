//! The messages of `admission.k8s.io/v1`: what the API server asks, and what it is told.
//!
//! Objects stay raw JSON. Fields that the API server may add to a request are ignored, those of objects are kept. Reading ([`UnopenedRequest`]) is the only
//! place where a review can be refused as such ([`ReadError`], an HTTP 400); from then on there is always an answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

mod read;

pub use read::{ReadError, UnopenedRequest};

/// The only version spoken; it has been served since Kubernetes 1.16.
pub const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of both messages.
pub const KIND: &str = "AdmissionReview";

/// What the API server asks: may this user do this to this object?
///
/// Its objects are values, or what else `O` is: text, while it is read.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "O: Deserialize<'de>"))]
pub struct AdmissionRequest<O = Value> {
    /// Names this request; the answer repeats it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub uid: String,
    /// The kind of `object`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub kind: GroupVersionKind,
    /// The resource that is changed.
    #[serde(default, deserialize_with = "null_as_default")]
    pub resource: GroupVersionResource,
    /// The subresource, or empty.
    #[serde(default, deserialize_with = "null_as_default")]
    pub sub_resource: String,
    /// What the client asked for, where the API server converted it to the webhook's version.
    pub request_kind: Option<GroupVersionKind>,
    /// Likewise.
    pub request_resource: Option<GroupVersionResource>,
    /// Likewise.
    pub request_sub_resource: Option<String>,
    /// The object's name; empty where the API server has yet to make one up.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// The object's namespace; empty for cluster-scoped ones.
    #[serde(default, deserialize_with = "null_as_default")]
    pub namespace: String,
    /// What is done.
    #[serde(default, deserialize_with = "null_as_default")]
    pub operation: Operation,
    /// Who does it.
    #[serde(default, deserialize_with = "null_as_default")]
    pub user_info: UserInfo,
    /// The object as it would be stored; absent on DELETE.
    pub object: Option<O>,
    /// The object as it is; present on UPDATE and DELETE.
    pub old_object: Option<O>,
    /// How it is done: `CreateOptions`, `DeleteOptions` and the like.
    pub options: Option<O>,
    /// Whether nothing will be stored. It does not change the answer: judging has no side effects.
    pub dry_run: Option<bool>,
}

/// `kind`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupVersionKind {
    /// API group; empty for the core group.
    #[serde(deserialize_with = "null_as_default")]
    pub group: String,
    /// API version.
    #[serde(deserialize_with = "null_as_default")]
    pub version: String,
    /// Kind.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: String,
}

/// `resource`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupVersionResource {
    /// API group; empty for the core group.
    #[serde(deserialize_with = "null_as_default")]
    pub group: String,
    /// API version.
    #[serde(deserialize_with = "null_as_default")]
    pub version: String,
    /// Plural name.
    #[serde(deserialize_with = "null_as_default")]
    pub resource: String,
}

/// `userInfo`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// The name that was authenticated.
    #[serde(deserialize_with = "null_as_default")]
    pub username: String,
    /// What tells it from others of that name over time.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Its groups.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What the authenticator added.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Reads `null` as what is absent, as the API server's own decoder does.
fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// `operation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(from = "String")]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object.
    Update,
    /// A removed object.
    Delete,
    /// A connection to an object, such as `pods/exec`.
    Connect,
    /// One that Kubernetes did not have when this was written; judged as if something were created.
    #[default]
    Other,
}

impl From<String> for Operation {
    fn from(text: String) -> Self {
        match text.as_str() {
            "CREATE" => Self::Create,
            "UPDATE" => Self::Update,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }
}

impl Operation {
    /// The word as the API server writes it; empty for one that is not known.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Other => "",
        }
    }

    /// The word in lower case, as metrics label it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Connect => "connect",
            Self::Other => "other",
        }
    }
}

impl AdmissionRequest {
    /// The object's name, or the prefix of the one that it will get.
    pub fn object_name(&self) -> &str {
        let metadata = |field| self.object.as_ref()?.get("metadata")?.get(field)?.as_str();
        if self.name.is_empty() { metadata("name").or_else(|| metadata("generateName")).unwrap_or_default() } else { &self.name }
    }
}

/// The review that carries an answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionReviewResponse {
    api_version: &'static str,
    kind: &'static str,
    /// The answer.
    pub response: AdmissionResponse,
}

impl From<AdmissionResponse> for AdmissionReviewResponse {
    fn from(response: AdmissionResponse) -> Self {
        Self { api_version: API_VERSION, kind: KIND, response }
    }
}

/// The answer.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionResponse {
    /// The request's.
    pub uid: String,
    /// Whether it may go on.
    pub allowed: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Shown to the client, allowed or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Stored in the API server's audit log, each key after the webhook's name and a slash.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub audit_annotations: BTreeMap<Cow<'static, str>, String>,
}

/// `meta/v1` Status: an error as the API server returns it to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Always `Failure`.
    pub status: &'static str,
    /// For people.
    pub message: String,
    /// For programs.
    pub reason: StatusReason,
    /// The HTTP status that the client gets.
    pub code: u16,
    /// What it is about, and each field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<StatusDetails>,
}

/// The reasons that are used here; each belongs to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum StatusReason {
    /// 401: a policy has it so.
    Unauthorized,
    /// 403: it violates a policy.
    Forbidden,
    /// 413: a policy has it so.
    RequestEntityTooLarge,
    /// 400: it cannot be judged.
    BadRequest,
    /// 422: its own fields are invalid, or a policy has it so.
    Invalid,
    /// 500: something on this side failed.
    InternalError,
}

impl StatusReason {
    /// The HTTP status that belongs to it.
    pub const fn code(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::RequestEntityTooLarge => 413,
            Self::BadRequest => 400,
            Self::Invalid => 422,
            Self::InternalError => 500,
        }
    }
}

/// `details` of a Status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusDetails {
    /// The object's name.
    pub name: String,
    /// Its API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its resource (the API calls the field so).
    pub kind: String,
    /// One a field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<StatusCause>,
}

/// One field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StatusCause {
    /// `FieldValueForbidden`, `FieldValueRequired`, `FieldValueInvalid`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// The field's path.
    pub field: String,
}

impl Status {
    /// A failure for `reason`, with the code that belongs to it.
    pub fn failure(reason: StatusReason, message: String, details: Option<StatusDetails>) -> Self {
        Self { status: "Failure", message, reason, code: reason.code(), details }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_is_not_known_is_its_own() {
        assert_eq!(Operation::from("PATCH".to_owned()), Operation::Other);
    }
}
