//! The Kubernetes API over HTTP.

pub mod discovery;
pub mod modules;
pub mod openapi;
pub mod table;
