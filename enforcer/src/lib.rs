//! The runtime gate of Portcullis: loads the kernel programs, feeds them profiles, and tells what they saw.
//!
//! ```text
//!  kernel      preflight, offsets, load and attach, pins, maps, tables
//!  cgroup      what the path of a cgroup says of a pod and its containers
//!  pods        which pods there are: an index, and a folder that it is fed from
//!  key         what a container is called, and a glob that names containers
//!  names       which cgroups are whose, by both
//!  inventory   the containers that are there already
//!  store       profiles in a folder
//!  learner     observations on their way into a profile
//!  report      what the kernel told → events → sinks
//!  privilege   what the agent gives up once it enforces
//!  agent       all of these together: reconcile, attribute, learn
//!  canary      the proof that the programs deny
//!  command     the command line; run, status: what it does
//! ```
//!
//! # When something goes wrong
//!
//! | what | then |
//! |---|---|
//! | a profile file is not valid | what it held stays in force, for an agent that has just begun too; the error names file, line and reason |
//! | a profile does not fit or cannot be compiled | it stays as it was; no other is affected |
//! | the agent ends, is killed, or is replaced | programs, profiles and containers stay; new containers are armed by the kernel |
//! | an object has no name that can be known | denied in `enforce`, told always |
//! | a container runs that no profile knows | it is learned |
//! | a container of a pod runs whose name is not known yet | it may do what any container of the pod may |
//! | a pod runs that nobody has told of | its containers are watched, nothing is denied, and it is told |
//! | a container is not listed in its workload's profile | it is judged by a profile without rules |
//! | events come faster than the agent reads | the newest are lost and counted, by container; verdicts are unaffected |
//!
//! `unsafe` is confined to [`canary`], for two system calls that have no safe form, and to one line of [`run`].
#![deny(unsafe_code)]

pub mod agent;
#[expect(unsafe_code, reason = "unshare and mmap")]
pub mod canary;
pub mod cgroup;
pub mod cli;
pub mod command;
pub mod inventory;
pub mod kernel;
pub mod key;
pub mod learner;
pub mod names;
pub mod pods;
pub mod privilege;
pub mod report;
pub mod run;
pub mod status;
pub mod store;
