//! The Kubernetes API over HTTP.

pub mod discovery;
pub mod openapi;
pub mod table;
