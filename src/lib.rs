//! Kubernetes Jobs without a Kubernetes cluster: pods are WebAssembly modules.

pub mod api;
