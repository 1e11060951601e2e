//! Admission: may this object be created?
//!
//! A pure library: values in, values out, no I/O, no clock. The webhook, the command line and any scanner use this one engine and so cannot disagree.
//!
//! ```text
//!   AdmissionReview ─► AdmissionRequest ─► decide ─► Decision ─► AdmissionResponse
//!                        (review)            │         (decide)
//!   manifest ────────────────────────────────┤
//!                                            ▼
//!                 Workload::read_pod ─► Pod ─► evaluate ─► Violation, each with Findings and Changes
//!                  (workload)          (pod)   (checks)     (violation)
//! ```
//!
//! * [`Standard`] says what is judged by: a level of the [Pod Security Standards] in the edition of some version of Kubernetes.
//! * [`Workload`] finds the pod in whatever carries it; [`Pod`] reads it from raw JSON, strictly, so that nothing unknown gets lost.
//! * [`CHECKS`] are the standards themselves: exactly those of Pod Security Admission, every revision since 1.0.
//! * [`evaluate`] judges a pod; a [`Violation`] is worded as Pod Security Admission words it, and names each field and the change that would pass.
//! * [`NamespaceStandards`] reads a namespace's `pod-security.kubernetes.io/` labels.
//! * [`policy`] are AdmissionPolicies, Kubernetes' own policies and exceptions, compiled into one immutable set that is asked about a request.
//! * [`admit`] answers a request by both; [`decide`] by the standards alone:
//! * [`decide`] answers an admission request, by namespace standards and exemptions, and documents where it fails open and where closed.
//!
//! [Pod Security Standards]: https://kubernetes.io/docs/concepts/security/pod-security-standards/

#![forbid(unsafe_code)]

mod checks;
mod decide;
mod field;
mod namespace;
pub mod pod;
pub mod policy;
pub mod review;
mod standard;
mod update;
mod violation;
mod workload;

pub use checks::{CHECKS, Check, Revision, applicable, evaluate};
pub use decide::{
    Decision, Denial, Evaluation, Exemption, Exemptions, MAX_FINDINGS_IN_MESSAGE, Mode, NamespaceLookup, Settings, Standards, Templates,
    Verdict, admit, decide, needs_namespace, needs_objects,
};
pub use field::{FieldPath, Malformed, Segment};
pub use namespace::{ExistingPod, LabelError, NamespaceStandards, raised_enforcement, warn_of_existing_pods};
pub use pod::Pod;
pub use review::AdmissionRequest;
pub use standard::{Level, NEWEST_MINOR, Standard, UnknownLevel, UnknownStandard, UnknownVersion, Version};
pub use violation::{Change, Finding, Violation, summarise};
pub use workload::{WORKLOADS, Workload};
