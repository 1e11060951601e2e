//! The CEL of Kubernetes' ValidatingAdmissionPolicy.

#![forbid(unsafe_code)]
#![expect(dead_code, reason = "the parser and the evaluator follow")]

mod bindings;
mod budget;
mod environment;
mod error;
mod problem;
mod program;
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
