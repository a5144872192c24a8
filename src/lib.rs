//! Kubernetes Jobs without a Kubernetes cluster: pods are WebAssembly modules.

pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod controllers;
pub mod http;
pub mod ids;
pub mod logs;
pub mod modules;
pub mod node;
pub mod sandbox;
pub mod scheduler;
pub mod store;
