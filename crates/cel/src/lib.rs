//! The CEL of Kubernetes' ValidatingAdmissionPolicy.

#![forbid(unsafe_code)]

mod bindings;
mod budget;
mod check;
mod code;
mod environment;
mod error;
mod evaluate;
mod library;
mod operators;
mod problem;
mod program;
mod syntax;
mod types;
mod value;

pub use bindings::Bindings;
pub use budget::{Budget, EXPRESSION_UNITS, MATCH_CONDITIONS_UNITS, POLICY_UNITS};
pub use environment::{Environment, NEWEST_MINOR};
pub use error::{EvaluationError, Limit};
pub use problem::Problem;
pub use program::{Expected, Program};
pub use types::{Object, Opaque, Type};
pub use value::{Cidr, Duration, List, Map, OpaqueValue, Text, Timestamp, TypeName, Value};
