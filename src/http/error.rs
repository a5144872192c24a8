//! Refusals as HTTP: each has its code and its `Status` object here and nowhere else.
//!
//! | refusal | code | reason |
//! |---|---|---|
//! | not what it should be | 400 | BadRequest |
//! | no or a wrong token | 401 | Unauthorized |
//! | not allowed, whoever asks | 403 | Forbidden |
//! | no such object, no such path | 404 | NotFound |
//! | the path does not know the method | 405 | MethodNotAllowed |
//! | no form that the client accepts | 406 | NotAcceptable |
//! | the body did not arrive in time | 408 | Timeout |
//! | taken, or changed in the meantime | 409 | AlreadyExists, Conflict |
//! | the history that is asked for is gone | 410 | Expired |
//! | too large | 413 | RequestEntityTooLarge |
//! | a URL that is too long | 414 | RequestURITooLong |
//! | a form of body that is not read | 415 | UnsupportedMediaType |
//! | understood, but invalid | 422 | Invalid |
//! | more requests at a time than allowed | 429 | TooManyRequests |
//! | a fault of ours | 500 | InternalError |
//! | nothing here can do that | 501 | NotImplemented |
//! | the disk has failed | 503 | ServiceUnavailable |
//! | a revision of the future | 504 | Timeout |
//!
//! Reasons and shape: apimachinery `pkg/api/errors/errors.go` and `apis/meta/v1/types.go`.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::api::kind::KindInfo;
use crate::api::managed::conflict::Conflict;
use crate::api::patch::PatchError;
use crate::api::{ApiError, FieldError, Kind, Served};
use crate::store::{CommitError, DiskFailed};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Api(#[from] ApiError),
    /// Query parameters that contradict each other or the rules; `kind` is the options' own, such as `ListOptions`.
    #[error("{} \"{name}\" is invalid: {}", crate::http::error::qualified(.kind), crate::http::error::join(.causes))]
    Options { kind: &'static str, name: String, causes: Vec<FieldError> },
    /// A review that is no question.
    #[error("{} \"\" is invalid: {}", .info.qualified_kind(), crate::http::error::join(.causes))]
    Review { info: &'static KindInfo, causes: Vec<FieldError> },
    /// What a patch makes of the object is no object of its kind, or has fields that are unknown and must not be.
    #[error(" \"\" is invalid: {0}")]
    PatchInvalid(FieldError),
    /// A patch that is well-formed and does not fit the object.
    #[error("the patch does not apply: {0}")]
    DoesNotApply(String),
    /// The snapshot of a list is gone; with a token to go on without it.
    #[error(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )]
    ContinueExpired(String),
    /// There is no object of a kind of which there never is one.
    #[error("{} \"{}\" not found", .0.qualified_resource(), .1)]
    None(&'static KindInfo, String),
    #[error("the server could not find the requested resource")]
    NoSuchPath,
    #[error("the server does not allow this method on the requested resource")]
    NoSuchMethod,
    #[error("Unauthorized: send the server's token as 'Authorization: Bearer TOKEN'")]
    Unauthorized,
    #[error("{0}")]
    Forbidden(String),
    #[error("only the following media types are accepted: {0}")]
    NotAcceptable(&'static str),
    #[error("the body of the request did not arrive in time")]
    TooSlow,
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    UriTooLong(String),
    /// Worded as by the API server (`endpoints/handlers/responsewriters/errors.go` and `filters/maxinflight.go`).
    #[error("Too many requests, please try again later.")]
    TooManyRequests,
    #[error("{0}")]
    UnsupportedMediaType(String),
    #[error("{0}")]
    NotImplemented(String),
}

impl Refusal {
    pub fn bad(message: impl Into<String>) -> Refusal {
        Refusal::Api(ApiError::BadRequest(message.into()))
    }

    fn code_and_reason(&self) -> (StatusCode, &'static str) {
        match self {
            Refusal::Api(error) => match error {
                ApiError::NotFound(..) => (StatusCode::NOT_FOUND, "NotFound"),
                ApiError::AlreadyExists(..) => (StatusCode::CONFLICT, "AlreadyExists"),
                ApiError::Conflict { .. } | ApiError::ApplyConflict(_) => (StatusCode::CONFLICT, "Conflict"),
                ApiError::Invalid { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "Invalid"),
                ApiError::BadRequest(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
                ApiError::Forbidden { .. } | ApiError::NamespaceTerminating(..) => (StatusCode::FORBIDDEN, "Forbidden"),
                ApiError::MethodNotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
                ApiError::Expired(_) => (StatusCode::GONE, "Expired"),
                ApiError::FutureRevision { .. } => (StatusCode::GATEWAY_TIMEOUT, "Timeout"),
                ApiError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
                ApiError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            },
            Refusal::Options { .. } | Refusal::Review { .. } | Refusal::PatchInvalid(_) | Refusal::DoesNotApply(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "Invalid")
            }
            Refusal::ContinueExpired(_) => (StatusCode::GONE, "Expired"),
            Refusal::None(..) | Refusal::NoSuchPath => (StatusCode::NOT_FOUND, "NotFound"),
            Refusal::NoSuchMethod => (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            Refusal::Unauthorized => (StatusCode::UNAUTHORIZED, "Unauthorized"),
            Refusal::Forbidden(_) => (StatusCode::FORBIDDEN, "Forbidden"),
            Refusal::NotAcceptable(_) => (StatusCode::NOT_ACCEPTABLE, "NotAcceptable"),
            Refusal::TooSlow => (StatusCode::REQUEST_TIMEOUT, "Timeout"),
            Refusal::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge"),
            Refusal::UriTooLong(_) => (StatusCode::URI_TOO_LONG, "RequestURITooLong"),
            Refusal::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Refusal::UnsupportedMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType"),
            Refusal::NotImplemented(_) => (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        }
    }

    /// What the refusal is about, for programs. `details.kind` is the resource (`jobs`), except for an invalid object,
    /// whose Kind it is.
    fn details(&self, view: Option<&KindInfo>) -> Option<Value> {
        let info = |kind: Kind| view.unwrap_or(kind.info());
        let about =
            |kind: Kind, name: &str| json!({"name": name, "group": info(kind).group, "kind": info(kind).plural});
        match self {
            Refusal::Api(ApiError::NotFound(kind, key) | ApiError::AlreadyExists(kind, key)) => {
                Some(about(*kind, &key.name))
            }
            Refusal::Api(ApiError::Conflict { kind, key, .. } | ApiError::Forbidden { kind, key, .. }) => {
                Some(about(*kind, &key.name))
            }
            Refusal::Api(ApiError::NamespaceTerminating(kind, key)) => {
                let mut details = about(*kind, &key.name);
                let message = format!("namespace {} is being terminated", key.namespace);
                let cause =
                    json!({"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"});
                details["causes"] = json!([cause]);
                Some(details)
            }
            Refusal::Api(ApiError::Invalid { kind, name, causes }) => {
                let info = info(*kind);
                Some(json!({"name": name, "group": info.group, "kind": info.kind, "causes": all(causes)}))
            }
            Refusal::Api(ApiError::ApplyConflict(conflicts)) => {
                let cause = |c: &Conflict| {
                    let message = format!("conflict with {}", c.manager);
                    json!({"reason": "FieldManagerConflict", "message": message, "field": c.field})
                };
                Some(json!({"causes": conflicts.iter().map(cause).collect::<Vec<_>>()}))
            }
            Refusal::Api(ApiError::FutureRevision { .. }) => Some(json!({
                "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
                "retryAfterSeconds": 1,
            })),
            Refusal::TooManyRequests => Some(json!({"retryAfterSeconds": 1})),
            Refusal::Options { kind, name, causes } => {
                Some(json!({"name": name, "group": options_group(kind), "kind": kind, "causes": all(causes)}))
            }
            Refusal::PatchInvalid(cause) => Some(json!({"causes": all(std::slice::from_ref(cause))})),
            Refusal::Review { info, causes } => {
                Some(json!({"name": "", "group": info.group, "kind": info.kind, "causes": all(causes)}))
            }
            // Empty, as from the API server, and not left out: kubectl looks into it without asking whether it is there.
            Refusal::NoSuchPath | Refusal::NoSuchMethod | Refusal::Api(ApiError::MethodNotAllowed(_)) => {
                Some(json!({}))
            }
            Refusal::None(info, name) => Some(json!({"name": name, "group": info.group, "kind": info.plural})),
            _ => None,
        }
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        self.status_as(None)
    }

    /// The `Status` object; what it is about is named as by this view of it.
    fn status_as(&self, view: Option<&KindInfo>) -> Value {
        let (code, reason) = self.code_and_reason();
        let mut status = Map::new();
        status.insert("kind".to_owned(), "Status".into());
        status.insert("apiVersion".to_owned(), "v1".into());
        let metadata = match self {
            Refusal::ContinueExpired(token) => json!({ "continue": token }),
            _ => json!({}),
        };
        status.insert("metadata".to_owned(), metadata);
        status.insert("status".to_owned(), "Failure".into());
        let message = match (self, view) {
            (Refusal::Api(error), Some(info)) => error.message_as(info),
            _ => self.to_string(),
        };
        status.insert("message".to_owned(), message.into());
        status.insert("reason".to_owned(), reason.into());
        if let Some(details) = self.details(view) {
            status.insert("details".to_owned(), details);
        }
        status.insert("code".to_owned(), code.as_u16().into());
        Value::Object(status)
    }
}

/// The group of the type of options: most are of the machinery, some of the core group.
fn options_group(kind: &str) -> &'static str {
    if matches!(kind, "Binding" | "PodLogOptions") { "" } else { "meta.k8s.io" }
}

/// `PatchOptions.meta.k8s.io`
fn qualified(kind: &str) -> String {
    match options_group(kind) {
        "" => kind.to_owned(),
        group => format!("{kind}.{group}"),
    }
}

/// One line for all causes, as in [`ApiError::Invalid`].
fn join(causes: &[FieldError]) -> String {
    let all: Vec<String> = causes.iter().map(ToString::to_string).collect();
    if all.len() == 1 { all.concat() } else { format!("[{}]", all.join(", ")) }
}

fn all(causes: &[FieldError]) -> Vec<Value> {
    causes.iter().map(|c| json!({"reason": c.fault.reason(), "message": c.message, "field": c.field})).collect()
}

/// Marks an answer that is about an object of a kind with several views, so that [`in_view`] can say it anew.
#[derive(Clone)]
struct Refused(Refusal);

/// The routes of a view whose refusals are to name things as it does: `events.events.k8s.io "x" not found`.
pub async fn in_view(State(served): State<Served>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    match response.extensions().get::<Refused>() {
        Some(Refused(refusal)) => refusal.clone().response(Some(served.info())),
        None => response,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let has_views = matches!(&self, Refusal::Api(error) if error.kind() == Some(Kind::Event));
        let refused = has_views.then(|| Refused(self.clone()));
        let mut response = self.response(None);
        if let Some(refused) = refused {
            response.extensions_mut().insert(refused);
        }
        response
    }
}

impl Refusal {
    fn response(self, view: Option<&KindInfo>) -> Response {
        let (code, _) = self.code_and_reason();
        let mut response = json_response(code, self.status_as(view).to_string().into_bytes());
        let headers = response.headers_mut();
        match self {
            Refusal::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Refusal::Api(ApiError::FutureRevision { .. }) | Refusal::TooManyRequests => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // The rest of the body has not been read, and is not worth reading.
            Refusal::TooLarge(_) | Refusal::TooSlow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Refusal {
        Refusal::Api(error.into())
    }
}

impl From<DiskFailed> for Refusal {
    fn from(error: DiskFailed) -> Refusal {
        Refusal::Api(ApiError::Unavailable(error.to_string()))
    }
}

impl From<PatchError> for Refusal {
    fn from(error: PatchError) -> Refusal {
        match error {
            PatchError::Malformed(detail) => Refusal::bad(detail),
            PatchError::TooLarge(detail) => Refusal::TooLarge(detail),
            PatchError::DoesNotApply(detail) => Refusal::DoesNotApply(detail),
        }
    }
}

pub fn json_response(code: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache, private")];
    (code, headers, body.into()).into_response()
}

/// Bytes of all warnings of one answer together: clients limit the size of headers.
const MAX_WARNINGS: usize = 4096;
/// Warnings of one answer: clients limit the number of headers, too, that of Python to 100 of all sorts.
const MOST_WARNINGS: usize = 64;

/// Adds a `Warning` header (RFC 7234, code 299) per text; kubectl prints them.
pub fn add_warnings(headers: &mut HeaderMap, warnings: &[String]) {
    let mut left = MAX_WARNINGS;
    for warning in warnings.iter().take(MOST_WARNINGS) {
        let mut value = String::from("299 - \"");
        for c in warning.chars() {
            match c {
                '"' | '\\' => value.extend(['\\', c]),
                c if c.is_control() => value.push(' '),
                c => value.push(c),
            }
        }
        value.push('"');
        let Some(rest) = left.checked_sub(value.len()) else { return };
        left = rest;
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.append(header::WARNING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Key, Path};

    #[test]
    fn an_answer_has_fewer_headers_than_clients_can_take() {
        let mut headers = HeaderMap::new();
        add_warnings(&mut headers, &vec!["unknown field \"a\"".to_owned(); 100]);
        assert_eq!(headers.len(), MOST_WARNINGS);
        let mut long = HeaderMap::new();
        add_warnings(&mut long, &vec!["x".repeat(1000); 100]);
        assert_eq!(long.len(), 4);
    }

    #[test]
    fn a_missing_object_is_named_by_its_resource() {
        let status = Refusal::Api(ApiError::NotFound(Kind::Job, Key::new("a", "b"))).status();
        let expected = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "jobs.batch \"b\" not found", "reason": "NotFound",
            "details": {"name": "b", "group": "batch", "kind": "jobs"}, "code": 404});
        assert_eq!(status, expected);
    }

    #[test]
    fn what_is_about_no_object_has_empty_details() {
        for refusal in [Refusal::NoSuchPath, Refusal::NoSuchMethod] {
            assert_eq!(refusal.status()["details"], json!({}));
        }
    }

    #[test]
    fn an_invalid_object_is_named_by_its_kind_with_a_cause_per_fault() {
        let causes =
            vec![FieldError::invalid(&Path::root("spec"), -1, "no"), FieldError::required(&Path::root("x"), "")];
        let status = Refusal::Api(ApiError::Invalid { kind: Kind::Job, name: "b".to_owned(), causes }).status();
        assert_eq!(status["message"], "Job.batch \"b\" is invalid: [spec: Invalid value: -1: no, x: Required value]");
        assert_eq!((&status["details"]["kind"], &status["code"]), (&json!("Job"), &json!(422)));
        let cause = json!({"reason": "FieldValueInvalid", "message": "Invalid value: -1: no", "field": "spec"});
        assert_eq!(status["details"]["causes"][0], cause);
    }

    #[test]
    fn warnings_are_quoted_and_bounded() {
        let mut headers = HeaderMap::new();
        add_warnings(&mut headers, &["a \"b\"\n".to_owned(), "x".repeat(5000)]);
        let all: Vec<_> = headers.get_all(header::WARNING).iter().collect();
        assert_eq!(all, ["299 - \"a \\\"b\\\" \""]);
    }
}
