//! The nouns: kinds, defaults, validation, selectors, quantities. Plain functions over plain values: no I/O, no
//! clock, no randomness; the current time is an argument where it is needed.

pub mod admission;
pub mod age;
pub mod config;
pub mod cronjob;
pub mod decode;
pub mod deletion;
pub mod error;
pub mod event;
pub mod events_v1;
pub mod field;
pub mod field_selector;
pub mod job;
pub mod kind;
pub mod lease;
pub mod managed;
pub mod meta;
pub mod module;
pub mod names;
pub mod namespace;
pub mod node;
pub mod patch;
pub mod plain;
pub mod pod;
pub mod quantity;
pub mod selector;
mod selector_text;
pub mod served;
pub mod service_account;
pub mod unsupported;
pub mod validate_meta;
pub mod well_known;

pub use error::ApiError;
pub use field::{FieldError, Path};
pub use kind::{Key, Kind, Object};
pub use served::Served;
