//! What is told of resources: which, and how they fare.

use jiff::Timestamp;

use super::Problem;

/// Names a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyKey {
    /// A policy of ours.
    Policy(String),
    /// A policy of Kubernetes.
    Validating(String),
    /// A binding of Kubernetes.
    Binding(String),
    /// An exception: namespace and name.
    Exception(String, String),
}

/// How a resource fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub key: PolicyKey,
    /// The generation that this is about.
    pub generation: Option<i64>,
    /// Why this generation is not in force; nothing where it is.
    pub problems: Vec<Problem>,
    /// Whether an earlier generation is in force in its place.
    pub kept: bool,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
}
