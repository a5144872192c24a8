//! Tests of the real program through its real clients: `kubectl`, HTTP, files and signals. Each test has a server, a
//! port and a directory of its own; none depends on another. [`harness`] starts and watches the program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that unwraps says by its line what failed; it lives in real time and reports to its terminal"
)]

mod bad_input;
mod compatibility;
mod compile_limits;
mod conformance;
mod crash;
mod cron_jobs;
mod dashboards;
mod deadlines;
mod fairness;
mod garbage;
mod harness;
mod hostile_modules;
mod javascript;
mod job_fields;
mod jobs;
mod kube_rs;
mod kube_rs_watch;
mod kubeconfig;
mod kubectl;
mod kubectl_create;
mod kubectl_read;
mod kubectl_refused;
mod kubectl_write;
mod limits;
mod metrics;
mod module_faults;
mod modules;
mod namespaces;
mod negative;
mod node;
#[path = "../../src/modules/remote/testing.rs"]
#[allow(dead_code, reason = "what is only asked for in the tests of the library")]
mod other_registry;
mod pods;
mod programs;
mod pulls;
mod python;
mod refused;
mod registry;
mod relay;
mod run;
mod server_side_apply;
mod top;
mod verbs;
mod volumes;
