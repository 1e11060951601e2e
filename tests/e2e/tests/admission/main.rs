//! Admission before a real API server: the webhook, its registration, its certificates and the command line, with Kubernetes' own PodSecurity plugin
//! as the judge of what the standards say. All tests share one cluster; each has namespaces and a webhook of its own.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail by panicking")]

mod certificates;
mod clocks;
mod converted;
mod differential;
#[path = "../../../../crates/admission/tests/support/fixtures.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod fixtures;
mod gate;
mod lifecycle;
mod policies;
mod registration;
mod scan;
mod support;
mod uninstall;
