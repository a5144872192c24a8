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
mod compile_limits;
mod crash;
mod cron_jobs;
mod deadlines;
mod fairness;
mod garbage;
mod harness;
mod job_fields;
mod jobs;
mod kubeconfig;
mod kubectl;
mod kubectl_create;
mod limits;
mod metrics;
mod negative;
mod node;
mod pods;
mod programs;
mod refused;
mod run;
mod server_side_apply;
mod volumes;
