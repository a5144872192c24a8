//! The Kubernetes API over HTTP.

pub mod table;
