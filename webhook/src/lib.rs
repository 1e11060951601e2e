//! The admission server: HTTPS in front of [`portcullis_admission`].
//!
//! ```text
//!            listener                    routes                  service
//!  TCP ─► TLS ─► HTTP/1.1 ─► POST /validate ─► body ─► AdmissionReview ─► decide ─► answer
//!          │         (bounds on time, number, bytes)      (sync, one immutable snapshot of settings)
//!     certificates (reloaded, or signed here)   health (another port, plain): /livez /readyz /metrics
//! ```
//!
//! [`registration`] tells the API server to call here, once the server has answered itself.
//! Policies are followed at the API server or read from files, compiled, and swapped as one immutable set: see [`policies`].
//!
//! The layers know only what is right of them. [`routes`] turns HTTP into bytes and back; [`service`] turns bytes into an answer and is where the
//! decision log is written; what to decide is [`portcullis_admission::decide`]'s.
//!
//! # Failing
//!
//! A request that is not an AdmissionReview gets an HTTP error and no verdict; the API server then applies the webhook's `failurePolicy`. So do time-outs
//! and overload. Once a review could be read there is always a verdict, and what cannot be judged is denied: the table is in
//! [`portcullis_admission`]'s `decide`. Nothing that one client does may take the server from others: see [`listener`].

#![forbid(unsafe_code)]

mod api_server;
pub mod args;
pub mod authority;
mod body;
pub mod certificates;
pub mod health;
pub mod listener;
pub mod log;
pub mod metrics;
pub mod namespaces;
pub mod policies;
pub mod registration;
pub mod routes;
pub mod serve;
pub mod service;
