//! The labels of what is counted. Every value is from a list that is fixed here.

use std::fmt::Write;

use portcullis_admission::policy::Effect;
use portcullis_admission::{AdmissionRequest, Mode, NEWEST_MINOR, Version};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

/// A label whose values are known beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Word(pub(super) &'static str);

impl EncodeLabelValue for Word {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(self.0)
    }
}

/// The version of a standard: of those that are not known yet, all are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PolicyVersion {
    Known(Version),
    Future,
}

impl From<Version> for PolicyVersion {
    fn from(version: Version) -> Self {
        match version {
            Version::Minor(minor) if minor > NEWEST_MINOR => Self::Future,
            known => Self::Known(known),
        }
    }
}

impl EncodeLabelValue for PolicyVersion {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self {
            Self::Known(version) => write!(encoder, "{version}"),
            Self::Future => encoder.write_str("future"),
        }
    }
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) request_operation: Word,
    pub(super) resource: Word,
    pub(super) subresource: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EvaluationLabels {
    pub(super) decision: Word,
    pub(super) policy_level: Word,
    pub(super) policy_version: PolicyVersion,
    pub(super) mode: Word,
    #[prometheus(flatten)]
    pub(super) request: RequestLabels,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ErrorLabels {
    pub(super) fatal: Word,
    #[prometheus(flatten)]
    pub(super) request: RequestLabels,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct EffectLabels {
    pub(super) effect: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) kind: Word,
    pub(super) state: Word,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CodeLabels {
    pub(super) code: u16,
}

pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Audit => "audit",
        Mode::Warn => "warn",
    }
}

pub(super) const fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allow",
        Effect::Audit => "audit",
        Effect::Warn => "warn",
        Effect::Deny => "deny",
        Effect::Ignore => "ignore",
    }
}

pub(super) fn request_labels(request: &AdmissionRequest) -> RequestLabels {
    let resource = match (request.resource.group.as_str(), request.resource.resource.as_str()) {
        ("", "pods") => "pod",
        ("", "namespaces") => "namespace",
        _ => "controller",
    };
    let subresource = match request.sub_resource.as_str() {
        "" => "",
        "ephemeralcontainers" => "ephemeralcontainers",
        "resize" => "resize",
        _ => "other",
    };
    RequestLabels { request_operation: Word(request.operation.as_str()), resource: Word(resource), subresource: Word(subresource) }
}
