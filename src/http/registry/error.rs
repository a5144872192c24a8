//! Refusals in the form of the distribution specification: `{"errors": [{"code": …, "message": …}]}`.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::modules::{BlobError, DeleteError, ImportError, PublishError, UploadError, WithdrawError};
use crate::store::CommitError;

/// The specification's codes, and the HTTP code that each has here unless another is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    TooManyRequests,
    /// A fault of ours; the specification has no word for that.
    Unknown,
}

impl Code {
    fn words(self) -> (&'static str, StatusCode) {
        match self {
            Code::BlobUnknown => ("BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Code::BlobUploadInvalid => ("BLOB_UPLOAD_INVALID", StatusCode::BAD_REQUEST),
            Code::BlobUploadUnknown => ("BLOB_UPLOAD_UNKNOWN", StatusCode::NOT_FOUND),
            Code::DigestInvalid => ("DIGEST_INVALID", StatusCode::BAD_REQUEST),
            Code::ManifestBlobUnknown => ("MANIFEST_BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Code::ManifestInvalid => ("MANIFEST_INVALID", StatusCode::BAD_REQUEST),
            Code::ManifestUnknown => ("MANIFEST_UNKNOWN", StatusCode::NOT_FOUND),
            Code::NameInvalid => ("NAME_INVALID", StatusCode::BAD_REQUEST),
            Code::NameUnknown => ("NAME_UNKNOWN", StatusCode::NOT_FOUND),
            Code::SizeInvalid => ("SIZE_INVALID", StatusCode::BAD_REQUEST),
            Code::Unauthorized => ("UNAUTHORIZED", StatusCode::UNAUTHORIZED),
            Code::Denied => ("DENIED", StatusCode::FORBIDDEN),
            Code::Unsupported => ("UNSUPPORTED", StatusCode::METHOD_NOT_ALLOWED),
            Code::TooManyRequests => ("TOOMANYREQUESTS", StatusCode::TOO_MANY_REQUESTS),
            Code::Unknown => ("UNKNOWN", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Error {
    pub code: Code,
    pub status: StatusCode,
    pub message: String,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, status: code.words().1, message: message.into() }
    }

    pub fn with_status(self, status: u16) -> Error {
        Error { status: StatusCode::from_u16(status).unwrap_or(self.status), ..self }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let Error { code, status, message } = self;
        if status.is_server_error() {
            tracing::error!(%message, "a request to the registry has failed");
        }
        let body = json!({"errors": [{"code": code.words().0, "message": message, "detail": null}]});
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if code == Code::Unauthorized {
            // The token is the password; a challenge of `Bearer` would send clients to a service of tokens.
            headers
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"kiln\", charset=\"UTF-8\""));
        }
        response
    }
}

impl From<BlobError> for Error {
    fn from(error: BlobError) -> Error {
        let message = error.to_string();
        match error {
            BlobError::TooLarge { .. } => Error::new(Code::SizeInvalid, message).with_status(413),
            BlobError::NotFound(_) => Error::new(Code::BlobUnknown, message),
            BlobError::Mismatch { .. } => Error::new(Code::DigestInvalid, message),
            BlobError::Full(_) => Error::new(Code::Unknown, message).with_status(507),
            BlobError::Damaged(_) | BlobError::Io { .. } => Error::new(Code::Unknown, message),
        }
    }
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Error {
        let message = error.to_string();
        match error {
            UploadError::Unknown => Error::new(Code::BlobUploadUnknown, message),
            UploadError::Busy => Error::new(Code::BlobUploadInvalid, message).with_status(409),
            UploadError::OutOfOrder { .. } => Error::new(Code::BlobUploadInvalid, message).with_status(416),
            UploadError::TooMany => Error::new(Code::TooManyRequests, message),
            UploadError::Source(_) => Error::new(Code::BlobUploadInvalid, message),
            UploadError::Blob(error) => error.into(),
            UploadError::GivenUp => Error::new(Code::Unknown, message).with_status(503),
        }
    }
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Error {
        let message = error.to_string();
        match error {
            ImportError::Source(_) => Error::new(Code::BlobUploadInvalid, message),
            ImportError::Blob(error) => error.into(),
            ImportError::GivenUp | ImportError::Disk(_) => Error::new(Code::Unknown, message).with_status(503),
            _ => Error::new(Code::Unknown, message),
        }
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Error {
        let message = error.to_string();
        match error {
            PublishError::Invalid(_) | PublishError::Contradiction(_) | PublishError::Refused(_) => {
                Error::new(Code::ManifestInvalid, message)
            }
            PublishError::Digest(_) | PublishError::Mismatch { .. } => Error::new(Code::DigestInvalid, message),
            PublishError::Absent(_) => Error::new(Code::ManifestBlobUnknown, message),
            PublishError::Blob(error) => error.into(),
            PublishError::Name(_) => Error::new(Code::Denied, message).with_status(409),
            PublishError::Disk(_) | PublishError::GivenUp => Error::new(Code::Unknown, message).with_status(503),
        }
    }
}

impl From<WithdrawError> for Error {
    fn from(error: WithdrawError) -> Error {
        let message = error.to_string();
        match error {
            WithdrawError::Used(_) => Error::new(Code::Unsupported, message),
            WithdrawError::Blob(error) => error.into(),
            WithdrawError::GivenUp => Error::new(Code::Unknown, message).with_status(503),
        }
    }
}

impl From<DeleteError> for Error {
    fn from(error: DeleteError) -> Error {
        let message = error.to_string();
        match error {
            DeleteError::NotFound(_) => Error::new(Code::ManifestUnknown, message),
            DeleteError::Ambiguous(_) => Error::new(Code::ManifestInvalid, message),
            DeleteError::Used { .. } => Error::new(Code::Denied, message).with_status(409),
            DeleteError::Commit(CommitError::ReadOnly(_)) | DeleteError::Disk(_) => {
                Error::new(Code::Unknown, message).with_status(503)
            }
            DeleteError::Commit(_) => Error::new(Code::Denied, message).with_status(409),
        }
    }
}
