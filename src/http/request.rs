//! What a request asks for: the object or collection of its path, its query parameters, its body.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;

use super::Api;
use super::error::Refusal;
use crate::api::decode::{self, DecodeError, Decoded, Parsed, protobuf};
use crate::api::kind::KindInfo;
use crate::api::{FieldError, Key, Kind, Object, Path, Served};
pub use crate::config::MAX_BODY;

/// The kind of a route, and what its path names.
#[derive(Clone, Debug)]
pub struct Target {
    pub kind: Kind,
    /// The view of it that the path is of.
    pub served: Served,
    /// `None`: a cluster-wide kind, or all namespaces.
    pub namespace: Option<String>,
    /// Empty for a collection.
    pub name: String,
}

impl Target {
    pub fn key(&self) -> Key {
        Key::new(self.namespace.clone().unwrap_or_default(), self.name.clone())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Target, Refusal> {
        let served = *parts.extensions.get::<Served>().ok_or(Refusal::NoSuchPath)?;
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|e| Refusal::bad(e.to_string()))?;
        let get = |name| params.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_owned());
        // Of a client that has forgotten to fill it in; what it means is nobody's guess.
        if params.iter().any(|(_, value)| value.is_empty()) {
            return Err(Refusal::NoSuchPath);
        }
        Ok(Target { kind: served.kind(), served, namespace: get("namespace"), name: get("name").unwrap_or_default() })
    }
}

/// Whether the value of a switch turns it on. `false` may be written in any case (apimachinery `Convert_Slice_string_To_bool`):
/// older Python clients send `False`.
pub fn is_on(value: &str) -> bool {
    !value.eq_ignore_ascii_case("false") && value != "0"
}

/// The query parameters, in order.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params, Refusal> {
        let query = axum::extract::Query::try_from_uri(&parts.uri).map_err(|e| Refusal::bad(e.body_text()))?;
        Ok(Params(query.0))
    }
}

impl Params {
    /// The first value of a parameter; an empty one counts as absent, as in Kubernetes' own conversion.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A switch, as [`is_on`] reads it; absent, it is off.
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|(n, value)| n == name && is_on(value))
    }

    /// Whether a parameter was given, with whatever value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let parse = |text: &str| {
            text.parse().map_err(|_| Refusal::bad(format!("parameter {name:?}: {text:?} is not a whole number")))
        };
        self.get(name).map(parse).transpose()
    }

    /// Whether the request is only to say what it would do (`dryRun=All`). `options` names the parameters as a whole.
    pub fn dry_run(&self, options: &'static str) -> Result<bool, Refusal> {
        let values: Vec<&str> = self.0.iter().filter(|(n, _)| n == "dryRun").map(|(_, v)| v.as_str()).collect();
        dry_run(options, &values)
    }

    /// What becomes of unknown and duplicate fields of a body.
    pub fn validation(&self, options: &'static str) -> Result<Validation, Refusal> {
        match self.get("fieldValidation") {
            None | Some("Warn") => Ok(Validation::Warn),
            Some("Strict") => Ok(Validation::Strict),
            Some("Ignore") => Ok(Validation::Ignore),
            Some(other) => {
                let path = Path::root("fieldValidation");
                let cause = FieldError::not_supported(&path, other, &["Ignore", "Strict", "Warn"]);
                Err(Refusal::Options { kind: options, name: String::new(), causes: vec![cause] })
            }
        }
    }
}

pub fn dry_run(options: &'static str, values: &[&str]) -> Result<bool, Refusal> {
    match values.iter().find(|value| **value != "All") {
        None => Ok(!values.is_empty()),
        Some(other) => {
            let cause = FieldError::not_supported(&Path::root("dryRun"), *other, &["All"]);
            Err(Refusal::Options { kind: options, name: String::new(), causes: vec![cause] })
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    Strict,
    Warn,
    Ignore,
}

impl Validation {
    /// The object, with the warnings that it earns.
    pub fn apply(self, decoded: Decoded) -> Result<(Object, Vec<String>), Refusal> {
        let info = decoded.object.kind().info();
        self.choose(decoded, info)
    }

    /// As [`Validation::apply`], of any type.
    pub fn choose<T>(self, decoded: Decoded<T>, info: &KindInfo) -> Result<(T, Vec<String>), Refusal> {
        match self {
            Validation::Strict => {
                let dropped = decoded.dropped.clone();
                Ok((decoded.strict_as(info)?, dropped))
            }
            Validation::Warn => Ok((decoded.object, [decoded.unknown, decoded.dropped].concat())),
            Validation::Ignore => Ok((decoded.object, Vec::new())),
        }
    }
}

/// A whole body, with what its `Content-Type` says of it.
#[derive(Clone, Debug)]
pub struct Payload {
    pub bytes: Bytes,
    /// The media type in lower case, without parameters; empty if none was sent.
    pub media: String,
}

impl FromRequest<Api> for Payload {
    type Rejection = Refusal;

    async fn from_request(request: Request, api: &Api) -> Result<Payload, Refusal> {
        let media = media_type(request.headers());
        let bytes = tokio::select! {
            bytes = whole(request.into_body()) => bytes?,
            () = api.clock.sleep(Duration::from_secs(api.server.limits.body_seconds)) => return Err(Refusal::TooSlow),
        };
        Ok(Payload { bytes, media })
    }
}

/// What is read of a body that is too large, so that its sender gets to the answer instead of a broken connection.
const DRAINED: usize = 16 << 20;

async fn whole(body: Body) -> Result<Bytes, Refusal> {
    let mut pieces = body.into_data_stream();
    let (mut bytes, mut read) = (BytesMut::new(), 0_usize);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|e| Refusal::bad(format!("the body of the request did not arrive whole: {e}")))?;
        read = read.saturating_add(piece.len());
        if read <= MAX_BODY {
            bytes.extend_from_slice(&piece);
        } else if read > MAX_BODY + DRAINED {
            break;
        }
    }
    if read > MAX_BODY {
        return Err(Refusal::TooLarge(format!("the body of a request may have at most {MAX_BODY} bytes")));
    }
    Ok(bytes.freeze())
}

fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

impl Payload {
    /// The object of `kind` that the body describes.
    pub fn object(&self, kind: Kind) -> Result<Decoded, Refusal> {
        match self.media.as_str() {
            "" | "application/json" => Ok(decode::json_body(kind, &self.bytes)?),
            "application/yaml" => Ok(decode::yaml_body(kind, &self.bytes)?),
            protobuf::MEDIA_TYPE => Ok(decode::protobuf_body(kind, &self.bytes)?),
            other => Err(unsupported(other)),
        }
    }

    /// The object that the body describes in the words of a view.
    pub fn served(&self, served: Served) -> Result<Decoded, Refusal> {
        match served {
            Served::Stored(kind) => self.object(kind),
            Served::EventsV1 => Ok(served.decode(self.value(&decode::message_of(served.info()))?)?),
        }
    }

    /// The object that the body describes, of a type that is no kind of the table.
    pub fn typed<T: DeserializeOwned>(&self, info: &KindInfo) -> Result<Decoded<T>, Refusal> {
        Ok(decode::value_as(info, &self.value(&decode::message_of(info))?)?)
    }

    /// The body as a value of no served kind. `message` is its name in protobuf, such as `meta/v1.DeleteOptions`.
    pub fn value(&self, message: &str) -> Result<Parsed, Refusal> {
        match self.media.as_str() {
            "" | "application/json" => decode::json::parse(&self.bytes),
            "application/yaml" => decode::yaml::single(&self.bytes).map_err(DecodeError::from),
            protobuf::MEDIA_TYPE => protobuf::Envelope::open(&self.bytes).and_then(|body| body.read(message)),
            other => return Err(unsupported(other)),
        }
        .map_err(|e| Refusal::bad(e.to_string()))
    }
}

fn unsupported(media: &str) -> Refusal {
    Refusal::UnsupportedMediaType(format!(
        "{media:?} is not read here; send application/json, application/yaml or {}",
        protobuf::MEDIA_TYPE
    ))
}
