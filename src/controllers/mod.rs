//! The controllers. Each is a view fed by changes and plain functions from that view and the time to a plan; none
//! does I/O, asks a clock or knows the store.

pub mod cronjob;
pub mod event_ttl;
pub mod gc;
pub mod job;
pub mod namespace;
pub mod pod_gc;
pub mod service_account;
pub mod ttl;
