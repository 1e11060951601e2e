//! The CEL of Kubernetes' ValidatingAdmissionPolicy: compiled when a policy is applied, evaluated within a budget.
//!
//! ```text
//!   source ─▶ tokens ─▶ tree ─▶ check (names, types, macros, constants) ─▶ code ─▶ Program
//!                                        └─▶ problems, each with line, column and the way out
//!   Program + Bindings (JSON, borrowed) + Budget (units, deadline) ─▶ Value, or EvaluationError
//! ```
//!
//! Nothing is read, written or asked here. A [`Program`] is made once and used by any number of threads; all of a request is in [`Bindings`] and
//! [`Budget`], which are made for it.
//!
//! # Why an evaluator of our own
//!
//! * **Cost and time are bounded inside of loops.** Every step is charged before it is done, every text and list before memory is taken for it,
//!   and the clock is asked every hundred steps. An interpreter that is called as a whole cannot be stopped there.
//! * **Mistakes are found when a policy is applied.** Macros are not expanded into loops, so that the checker knows what a name is bound to, and
//!   says it in the words of the author. A function that there is not is refused then, never at a request.
//! * **The object is not converted.** A list or map of the request *is* the JSON that was parsed; an element becomes a [`Value`] when it is asked
//!   for.
//!
//! The parser is our own, too: that of the crate `cel` comes with the runtime of a parser generator and dozens of other crates, and expands macros.
//! docs/cel.md has how that crate fares with the vectors of the specification.
//!
//! # What holds
//!
//! * No source, object or pattern panics; what compiles is evaluated within 2 MiB of stack, in any build.
//! * The end of the budget ends the evaluation, and nothing in the expression absorbs it. What the budget buys bounds memory.
//! * An evaluation can be repeated: maps that an expression makes are in the order of their keys.
//! * Where the specification and Kubernetes differ, the answer is that of Kubernetes. Its answers to hundreds of expressions are kept in
//!   `tests/kubernetes`.
//!
//! # Example
//!
//! ```
//! use portcullis_cel::{Bindings, Budget, Environment, Expected, Program};
//! use serde_json::json;
//! use std::time::{Duration, Instant};
//!
//! let source = "object.spec.containers.all(c, !c.image.endsWith(':latest'))";
//! let program = Program::compile(source, &Environment::admission(), Expected::Bool).map_err(|problems| problems[0].clone())?;
//!
//! let object = json!({"spec": {"containers": [{"name": "web", "image": "registry.example.com/web:1.0"}]}});
//! let mut bindings = Bindings::new();
//! bindings.bind("object", &object);
//! let mut budget = Budget::until(Instant::now() + Duration::from_secs(1));
//! assert_eq!(program.evaluate(&bindings, &mut budget)?.as_bool(), Some(true));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
