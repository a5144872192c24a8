//! Strict decoding: bytes of a request or a manifest become an [`Object`], or a refusal that says which field is wrong.
//!
//! It exists because the derived decoders drop unknown fields and keep the last of duplicate ones, while Kubernetes
//! reports both (`fieldValidation`), and because a decoder's own words ("expected i32") are not a user's. Three stages:
//! [`json`], [`yaml`] or [`protobuf`] give a [`Parsed`] value, [`object`] gives the typed object and its complaints, and the caller
//! chooses what complaints mean: [`Decoded::strict`], or a warning for each.
//!
//! Input is hostile: depth is at most [`MAX_DEPTH`], complaints at most [`MAX_COMPLAINTS`], quoted values are cut, and
//! nothing here panics. Messages follow apiserver `endpoints/handlers/rest.go` (`transformDecodeError`) and
//! sigs.k8s.io/json (`unknown field "spec.foo"`).

pub mod json;
mod nulls;
pub mod object;
pub mod path;
pub mod protobuf;
pub mod yaml;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::kind::{Kind, KindInfo, Object};

/// Nesting of lists and maps: what `serde_json` itself stops at, so that no accepted value can overflow a stack.
pub const MAX_DEPTH: usize = 127;

/// Strict complaints kept per document, as in sigs.k8s.io/json.
pub const MAX_COMPLAINTS: usize = 100;

/// A value without a type yet, and what strict decoding already has to complain of: `duplicate field "spec.foo"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    pub value: Value,
    pub duplicates: Vec<String>,
    /// What was left out of a form in which that is no fault: unknown fields of protobuf.
    pub dropped: Vec<String>,
}

impl From<Value> for Parsed {
    fn from(value: Value) -> Parsed {
        Parsed { value, duplicates: Vec::new(), dropped: Vec::new() }
    }
}

/// A typed object, and the strict complaints about its source: unknown fields first, then duplicate ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<T = Object> {
    pub object: T,
    /// `unknown field "spec.foo"`, `duplicate field "spec.bar"`.
    pub unknown: Vec<String>,
    /// What is told and refused by nobody: [`Parsed::dropped`].
    pub dropped: Vec<String>,
}

impl Decoded<Object> {
    /// The object, or the refusal of `fieldValidation=Strict` if there is any complaint.
    pub fn strict(self) -> Result<Object, ApiError> {
        let info = self.object.kind().info();
        self.strict_as(info)
    }
}

impl<T> Decoded<T> {
    /// As [`Decoded::strict`], of any type.
    pub fn strict_as(self, info: &KindInfo) -> Result<T, ApiError> {
        if self.unknown.is_empty() {
            return Ok(self.object);
        }
        Err(ApiError::BadRequest(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            info.kind,
            info.version,
            info.kind,
            self.unknown.join(", ")
        )))
    }
}

/// Why a document is not an object of the kind asked for. `Display` is the message for a user.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON; line and column count from 1.
    #[error("invalid JSON at line {line}, column {column}: {detail}")]
    Json { line: usize, column: usize, detail: String },
    #[error(transparent)]
    Yaml(#[from] yaml::YamlError),
    /// A field has a value of the wrong type. `path` is empty for the document itself.
    #[error("{}{message}", prefix(.path))]
    Field { path: String, message: String },
    /// `apiVersion` and `kind` name something that is not served here.
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    NotRegistered { api_version: String, kind: String },
    #[error("the API version in the data ({found}) does not match the expected API version ({expected})")]
    Version { found: String, expected: String },
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

impl DecodeError {
    /// The field that is at fault, if one is.
    pub fn path(&self) -> Option<&str> {
        match self {
            DecodeError::Field { path, .. } if !path.is_empty() => Some(path),
            _ => None,
        }
    }

    /// The refusal as the API server words it for a body that should have been a `kind`. `found` is the `kind` that
    /// the body claims, if it could be read.
    fn for_body(self, info: &KindInfo, found: Option<&str>) -> ApiError {
        ApiError::BadRequest(match (&self, found) {
            (DecodeError::Version { .. }, _) => self.to_string(),
            (_, Some(found)) => {
                format!("{found} in version \"{}\" cannot be handled as a {}: {self}", info.version, info.kind)
            }
            (_, None) => format!("the object provided is unrecognized (must be of type {}): {self}", info.kind),
        })
    }
}

/// Decodes a JSON request body. `apiVersion` and `kind` may be absent, as at the real API server: the path gave them.
pub fn json_body(kind: Kind, body: &[u8]) -> Result<Decoded, ApiError> {
    typed_body(kind, json::parse(body))
}

/// Decodes an `application/yaml` request body: exactly one document.
pub fn yaml_body(kind: Kind, body: &[u8]) -> Result<Decoded, ApiError> {
    typed_body(kind, yaml::single(body).map_err(DecodeError::from))
}

/// Decodes an `application/vnd.kubernetes.protobuf` request body.
pub fn protobuf_body(kind: Kind, body: &[u8]) -> Result<Decoded, ApiError> {
    let info = kind.info();
    let envelope = protobuf::Envelope::open(body).map_err(|e| e.for_body(info, None))?;
    let claimed = if envelope.kind.is_empty() { info.kind } else { envelope.kind };
    object::check_kind(info, &envelope.type_meta())
        .and_then(|()| envelope.read(&message_of(info)))
        .and_then(|parsed| object::decode(kind, parsed))
        .map_err(|e| e.for_body(info, Some(&path::shorten(claimed))))
}

/// The name of a kind's protobuf message: `core/v1.Pod`, `events/v1.Event`.
pub fn message_of(info: &KindInfo) -> String {
    let group = info.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
    format!("{group}/{}.{}", info.version, info.kind)
}

/// Decodes a value that is already JSON, such as the result of a patch.
pub fn value_body(kind: Kind, parsed: Parsed) -> Result<Decoded, ApiError> {
    typed_body(kind, Ok(parsed))
}

fn typed_body(kind: Kind, parsed: Result<Parsed, DecodeError>) -> Result<Decoded, ApiError> {
    let info = kind.info();
    let parsed = parsed.map_err(|e| e.for_body(info, None))?;
    let claimed = claimed(info, &parsed)?;
    object::decode(kind, parsed).map_err(|e| e.for_body(info, claimed.as_deref()))
}

/// Decodes a value of a type that is no kind of the table, but has an `info` as if it were, such as a review.
pub fn value_as<T: DeserializeOwned>(info: &KindInfo, parsed: &Parsed) -> Result<Decoded<T>, ApiError> {
    let claimed = claimed(info, parsed)?;
    object::check_kind(info, &parsed.value)
        .and_then(|()| object::decode_as(parsed))
        .map_err(|e| e.for_body(info, claimed.as_deref()))
}

/// The `kind` that an object claims to be of, if that can be read.
fn claimed(info: &KindInfo, parsed: &Parsed) -> Result<Option<String>, ApiError> {
    if !parsed.value.is_object() {
        let message = format!("must be an object, found {}", path::describe(&parsed.value));
        return Err(DecodeError::Field { path: String::new(), message }.for_body(info, None));
    }
    Ok(parsed.value.get("kind").map_or(Some(info.kind), Value::as_str).map(path::shorten))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: Kind, body: &str) -> String {
        match json_body(kind, body.as_bytes()).and_then(Decoded::strict) {
            Err(ApiError::BadRequest(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn refusals_read_as_those_of_the_api_server() {
        let job = |rest: &str| format!(r#"{{"apiVersion":"batch/v1","kind":"Job",{rest}}}"#);
        let cases = [
            (
                job(r#""spec":{"foo":1},"x":2,"x":3"#),
                r#"Job in version "v1" cannot be handled as a Job: strict decoding error: unknown field "spec.foo", unknown field "x", duplicate field "x""#,
            ),
            (
                job(r#""spec":{"completions":"x"}"#),
                r#"Job in version "v1" cannot be handled as a Job: spec.completions: must be a 32-bit integer, found string "x""#,
            ),
            (
                "{".to_owned(),
                "the object provided is unrecognized (must be of type Job): invalid JSON at line 1, column 1: EOF while parsing an object",
            ),
            (
                "[]".to_owned(),
                "the object provided is unrecognized (must be of type Job): must be an object, found a list",
            ),
            (
                r#"{"apiVersion":"v1","kind":"Pod"}"#.to_owned(),
                "the API version in the data (v1) does not match the expected API version (batch/v1)",
            ),
            (
                r#"{"apiVersion":"batch/v1","kind":"Pod"}"#.to_owned(),
                r#"Pod in version "v1" cannot be handled as a Job: no kind "Pod" is registered for version "batch/v1""#,
            ),
            (
                r#"{"kind":5}"#.to_owned(),
                "the object provided is unrecognized (must be of type Job): kind: must be a string, found number 5",
            ),
        ];
        for (body, message) in cases {
            assert_eq!(refused(Kind::Job, &body), message);
        }
    }

    #[test]
    fn a_body_may_leave_its_version_and_kind_to_the_path() {
        let decoded = json_body(Kind::Job, br#"{"metadata":{"name":"a"}}"#).unwrap();
        assert_eq!(decoded.object.meta().name.as_deref(), Some("a"));
        let decoded = yaml_body(Kind::Job, b"metadata:\n  name: a\n").unwrap();
        assert_eq!(decoded.strict().unwrap().meta().name.as_deref(), Some("a"));
    }

    #[test]
    fn a_yaml_body_complains_of_duplicates_as_a_json_body_does() {
        let decoded = yaml_body(Kind::Job, b"spec: {suspend: true, suspend: false}").unwrap();
        assert_eq!(decoded.unknown, [r#"duplicate field "spec.suspend""#]);
        let error = yaml_body(Kind::Job, b"{}\n---\n{}\n").unwrap_err();
        assert!(error.to_string().ends_with("must hold one document, found 2"), "{error}");
    }
}
