//! Why a request on an object is refused. `http/error.rs` gives each its HTTP code; `kiln run` prints the message.

use crate::api::field::FieldError;
use crate::api::kind::{Key, Kind, KindInfo};
use crate::api::managed::conflict::{self as managers, Conflict};

/// A refusal, with all that its Status object needs. `Display` is the Status message, as Kubernetes words it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    #[error("{}", not_found(.0.info(), .1))]
    NotFound(Kind, Key),
    #[error("{}", already_exists(.0.info(), .1))]
    AlreadyExists(Kind, Key),
    #[error("{}", conflict(kind.info(), key, detail))]
    Conflict { kind: Kind, key: Key, detail: String },
    /// Fields of an applied object belong to other managers.
    #[error("{}", managers::message(.0))]
    ApplyConflict(Vec<Conflict>),
    #[error("{}", invalid(kind.info(), name, causes))]
    Invalid { kind: Kind, name: String, causes: Vec<FieldError> },
    #[error("{0}")]
    BadRequest(String),
    #[error("{}", forbidden(kind.info(), key, detail))]
    Forbidden { kind: Kind, key: Key, detail: String },
    #[error("{}", terminating(.0.info(), .1))]
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

    /// The kind of the object that it is about, if it is about one.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            ApiError::NotFound(kind, _)
            | ApiError::AlreadyExists(kind, _)
            | ApiError::NamespaceTerminating(kind, _) => Some(*kind),
            ApiError::Conflict { kind, .. } | ApiError::Invalid { kind, .. } | ApiError::Forbidden { kind, .. } => {
                Some(*kind)
            }
            _ => None,
        }
    }

    /// The message, with the object's kind under the names of a view of it.
    pub fn message_as(&self, info: &KindInfo) -> String {
        match self {
            ApiError::NotFound(_, key) => not_found(info, key),
            ApiError::AlreadyExists(_, key) => already_exists(info, key),
            ApiError::NamespaceTerminating(_, key) => terminating(info, key),
            ApiError::Conflict { key, detail, .. } => conflict(info, key, detail),
            ApiError::Forbidden { key, detail, .. } => forbidden(info, key, detail),
            ApiError::Invalid { name, causes, .. } => invalid(info, name, causes),
            other => other.to_string(),
        }
    }

    /// `Ok` if there are no faults.
    pub fn check(kind: Kind, name: &str, causes: Vec<FieldError>) -> Result<(), ApiError> {
        if causes.is_empty() { Ok(()) } else { Err(ApiError::Invalid { kind, name: name.to_owned(), causes }) }
    }
}

fn not_found(info: &KindInfo, key: &Key) -> String {
    format!("{} \"{}\" not found", info.qualified_resource(), key.name)
}

fn already_exists(info: &KindInfo, key: &Key) -> String {
    format!("{} \"{}\" already exists", info.qualified_resource(), key.name)
}

fn conflict(info: &KindInfo, key: &Key, detail: &str) -> String {
    format!("Operation cannot be fulfilled on {} \"{}\": {detail}", info.qualified_resource(), key.name)
}

fn forbidden(info: &KindInfo, key: &Key, detail: &str) -> String {
    format!("{} \"{}\" is forbidden: {detail}", info.qualified_resource(), key.name)
}

fn terminating(info: &KindInfo, key: &Key) -> String {
    let detail = format!("unable to create new content in namespace {} because it is being terminated", key.namespace);
    forbidden(info, key, &detail)
}

fn invalid(info: &KindInfo, name: &str, causes: &[FieldError]) -> String {
    format!("{} \"{name}\" is invalid: {}", info.qualified_kind(), join(causes))
}

fn join(causes: &[FieldError]) -> String {
    let all: Vec<String> = causes.iter().map(ToString::to_string).collect();
    if all.len() == 1 { all[0].clone() } else { format!("[{}]", all.join(", ")) }
}
