//! Why a request on an object is refused. `http/error.rs` gives each its HTTP code; `kiln run` prints the message.

use crate::api::field::FieldError;
use crate::api::kind::{Key, Kind};
use crate::api::managed::conflict::{self, Conflict};

/// A refusal, with all that its Status object needs. `Display` is the Status message, as Kubernetes words it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    #[error("{} \"{}\" not found", .0.info().qualified_resource(), .1.name)]
    NotFound(Kind, Key),
    #[error("{} \"{}\" already exists", .0.info().qualified_resource(), .1.name)]
    AlreadyExists(Kind, Key),
    #[error("Operation cannot be fulfilled on {} \"{}\": {detail}", kind.info().qualified_resource(), key.name)]
    Conflict { kind: Kind, key: Key, detail: String },
    /// Fields of an applied object belong to other managers.
    #[error("{}", conflict::message(.0))]
    ApplyConflict(Vec<Conflict>),
    #[error("{} \"{name}\" is invalid: {}", kind.info().qualified_kind(), join(causes))]
    Invalid { kind: Kind, name: String, causes: Vec<FieldError> },
    #[error("{0}")]
    BadRequest(String),
    #[error("{} \"{}\" is forbidden: {detail}", kind.info().qualified_resource(), key.name)]
    Forbidden { kind: Kind, key: Key, detail: String },
    #[error(
        "{} \"{}\" is forbidden: unable to create new content in namespace {} because it is being terminated",
        .0.info().qualified_resource(), .1.name, .1.namespace
    )]
    NamespaceTerminating(Kind, Key),
    #[error("the server does not allow this method on the requested resource: {0}")]
    MethodNotAllowed(String),
    #[error("{0}")]
    Expired(String),
    #[error("Too large resource version: {asked}, current: {current}")]
    FutureRevision { asked: u64, current: u64 },
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// The answer to a write that was based on an older version of the object.
    pub fn stale(kind: Kind, key: Key) -> ApiError {
        let detail =
            "the object has been modified; please apply your changes to the latest version and try again".to_owned();
        ApiError::Conflict { kind, key, detail }
    }

    /// `Ok` if there are no faults.
    pub fn check(kind: Kind, name: &str, causes: Vec<FieldError>) -> Result<(), ApiError> {
        if causes.is_empty() { Ok(()) } else { Err(ApiError::Invalid { kind, name: name.to_owned(), causes }) }
    }
}

fn join(causes: &[FieldError]) -> String {
    let all: Vec<String> = causes.iter().map(ToString::to_string).collect();
    if all.len() == 1 { all[0].clone() } else { format!("[{}]", all.join(", ")) }
}
