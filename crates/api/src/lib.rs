//! The resources that people write and the events that sinks receive: types, their text forms, and what makes a value of them valid.
//!
//! No I/O: a caller reads the file or watches the API server, and hands over text or values. Every syntax is parsed here and nowhere else,
//! and paths are parsed by `portcullis-matcher`, so what is admitted is what the enforcer can compile.
//!
//! ```text
//!  workload_profile   WorkloadProfile: workload, mode, each container's rules          (portcullis.dev/v1alpha1, and its CRD)
//!  admission_policy   AdmissionPolicy: a Pod Security Standard, validations in CEL     (likewise)
//!  policy_exception   PolicyException: one thing that a policy forbids, allowed        (likewise)
//!  policy_report      PolicyReport: what a scan found                                  (wgpolicyk8s.io/v1alpha2)
//!  validating_…       Kubernetes' own ValidatingAdmissionPolicy and its binding
//!  path, network      what rules are made of: PathPattern, Cidr, Ports                 FromStr + Display, parsed on deserialising
//!  token              what is granted whole: Capability, SocketKind, Privilege, XattrPattern, AbstractName; and what is recorded: Syscall
//!  program_name       what an `exec` rule with `as` lists
//!  rule               one rule by itself, as the fragment that can be pasted in a profile
//!  guard              the trees whose reads are judged unless a profile says otherwise
//!  validate           what the types cannot say: names, duplicates                     WorkloadProfile → problems with field paths
//!  yaml               text → profiles, policies, or every problem with file, line and column; profile → text
//!  registration       labels and annotations of a webhook configuration and of what it selects
//!  event              what was blocked, would be blocked or was observed               JSON
//! ```
//!
//! Resources are strict: a field that is not known is an error, so that nobody believes in a restriction that is not there. Events are
//! open: a reader must pass over fields that it does not know, since later versions add some.
#![forbid(unsafe_code)]

pub mod admission_policy;
pub mod event;
pub mod guard;
pub mod network;
pub mod path;
pub mod policy_exception;
pub mod policy_report;
pub mod program_name;
pub mod registration;
pub mod rule;
pub mod token;
pub mod validate;
pub mod validating_admission_policy;
pub mod workload_profile;
pub mod yaml;

mod invalid;
mod text;
mod text_form;

pub use admission_policy::{AdmissionPolicy, AdmissionPolicySpec};
pub use event::Event;
pub use guard::DEFAULT_GUARD;
pub use invalid::InvalidValue;
pub use network::{Cidr, Ports, Protocol};
pub use path::PathPattern;
pub use policy_exception::{PolicyException, PolicyExceptionSpec};
pub use program_name::ProgramName;
pub use rule::Rule;
pub use token::{AbstractName, Capability, Privilege, SocketKind, Syscall, Token, XattrPattern};
pub use workload_profile::{
    BindRule, ConnectRule, ContainerRules, ExecRule, FileAccess, FileRule, Mode, UnixRules, WorkloadProfile, WorkloadProfileSpec,
    WorkloadReference,
};
pub use yaml::{LoadError, PolicyResource, load, load_policies, to_yaml};

/// The API group of the resources that are ours.
pub const GROUP: &str = "portcullis.dev";
