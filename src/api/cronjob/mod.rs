//! CronJobs: their defaults, what Kubernetes demands of them, and when they are due.
//!
//! [`grammar`] reads a schedule, [`schedule`] computes its times in a [`zone`]; the controller only asks them.

#[cfg(test)]
mod admission_test;
pub mod defaults;
mod duration;
pub mod grammar;
pub mod schedule;
mod validate;
pub mod zone;

pub use validate::{validate, validate_update, warnings};

/// Concurrency policies: what happens when a run is due while an earlier one goes on.
pub const ALLOW: &str = "Allow";
pub const FORBID: &str = "Forbid";
pub const REPLACE: &str = "Replace";
