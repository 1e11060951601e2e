//! The parts of a policy that hold expressions in CEL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A condition for a request to be judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchCondition {
    /// Its name, for error messages.
    #[schemars(length(min = 1, max = 317))]
    pub name: String,
    /// A boolean in CEL.
    #[schemars(length(min = 1, max = 16384))]
    pub expression: String,
}

/// A value with a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Variable {
    /// An identifier of CEL; expressions have the value as `variables.NAME`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The value in CEL.
    #[schemars(length(min = 1, max = 16384))]
    pub expression: String,
}

/// What has to be true, and what is said where it is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validation {
    /// The control's name, by which exceptions and `portcullis explain` know it; `validations[N]` where unset. Not in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// For which parts of a pod the expression is evaluated, once each, as `container` or `volume`; once for the object where unset. Not in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// A boolean in CEL.
    #[schemars(length(min = 1, max = 16384))]
    pub expression: String,
    /// What is said where it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 5120))]
    pub message: Option<String>,
    /// What is said where it is false, in CEL: one line. In place of `message` where it can be had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub message_expression: Option<String>,
    /// Which HTTP status a denial has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ValidationReason>,
    /// The field that is judged, as `image` or `spec.hostPID`, so that a denial shows its path and value. Not in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub field: Option<String>,
    /// What the field may be, in words. Not in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub allowed: Option<String>,
    /// What to change so that it passes, in words. Not in Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub change: Option<String>,
}

/// The parts of a pod for which an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Each {
    /// Init containers, containers, ephemeral containers.
    Container,
    /// Volumes.
    Volume,
}

impl Each {
    /// The identifier by which an expression has the part.
    #[must_use]
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Volume => "volume",
        }
    }
}

/// Which HTTP status a denial has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ValidationReason {
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 422.
    #[default]
    Invalid,
    /// 413.
    RequestEntityTooLarge,
}

impl fmt::Display for ValidationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
        })
    }
}

/// What is noted of a request in the API server's audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuditAnnotation {
    /// Its key; the policy's name is put before it.
    #[schemars(length(min = 1, max = 63))]
    pub key: String,
    /// A text in CEL, or null for nothing.
    #[schemars(length(min = 1, max = 16384))]
    pub value_expression: String,
}
