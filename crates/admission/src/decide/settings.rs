//! What requests are judged by: the same for all, and what their namespaces ask for.

use std::collections::BTreeSet;

use crate::namespace::NamespaceStandards;
use crate::standard::Standard;

/// What all requests are judged by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The standards of namespaces whose labels say nothing.
    pub defaults: Standards,
    /// Who is not judged.
    pub exemptions: Exemptions,
    /// What happens to a workload whose pods would be denied.
    pub templates: Templates,
}

/// What was found out about the namespace of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceLookup {
    /// What its labels ask for.
    Found(NamespaceStandards),
    /// Nothing, though it was asked for; the text says why.
    Failed(String),
}

impl From<Standards> for NamespaceLookup {
    fn from(standards: Standards) -> Self {
        Self::Found(standards.into())
    }
}

/// A standard for each of Pod Security Admission's modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standards {
    /// What violates it is denied.
    pub enforce: Standard,
    /// What violates it is noted in the API server's audit log.
    pub audit: Standard,
    /// What violates it is answered with a warning.
    pub warn: Standard,
}

impl From<Standards> for NamespaceStandards {
    fn from(standards: Standards) -> Self {
        Self { standards, errors: Vec::new() }
    }
}

impl Standards {
    /// Denies by `standard`; neither audits nor warns.
    pub const fn enforcing(standard: Standard) -> Self {
        Self { enforce: standard, audit: Standard::PRIVILEGED, warn: Standard::PRIVILEGED }
    }

    pub(super) const fn allow_everything(&self) -> bool {
        self.enforce.allows_everything() && self.audit.allows_everything() && self.warn.allows_everything()
    }
}

/// What happens to Deployments and other workloads whose pods would be denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Templates {
    /// They are denied: the author learns at once.
    #[default]
    Enforce,
    /// They are judged by the `audit` and `warn` standards only, as Pod Security Admission does; their pods are denied when they are made.
    AuditAndWarn,
}

/// Who is not judged. Names are compared exactly.
#[derive(Debug, Clone, Default)]
pub struct Exemptions {
    /// Namespaces.
    pub namespaces: BTreeSet<String>,
    /// User names. Exempting a controller's exempts everybody who may create what it controls.
    pub users: BTreeSet<String>,
    /// Runtime classes.
    pub runtime_classes: BTreeSet<String>,
}
