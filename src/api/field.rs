//! A fault in one field of an object, in the words of Kubernetes (apimachinery `util/validation/field/errors.go`).

use std::fmt;

use serde_json::Value;

/// A field path, e.g. `spec.template.spec.containers[0].name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    pub fn root(name: &str) -> Path {
        Path(name.to_owned())
    }

    pub fn child(&self, name: &str) -> Path {
        Path(format!("{}.{name}", self.0))
    }

    pub fn index(&self, i: usize) -> Path {
        Path(format!("{}[{i}]", self.0))
    }

    /// A map entry: `metadata.labels[app]`.
    pub fn key(&self, key: &str) -> Path {
        Path(format!("{}[{key}]", self.0))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of fault, with the `reason` that a Status cause carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Invalid,
    Required,
    NotSupported,
    Duplicate,
    Forbidden,
    TooLong,
    TooMany,
    NotFound,
}

impl Fault {
    pub fn reason(self) -> &'static str {
        match self {
            Fault::Invalid => "FieldValueInvalid",
            Fault::Required => "FieldValueRequired",
            Fault::NotSupported => "FieldValueNotSupported",
            Fault::Duplicate => "FieldValueDuplicate",
            Fault::Forbidden => "FieldValueForbidden",
            Fault::TooLong => "FieldValueTooLong",
            Fault::TooMany => "FieldValueTooMany",
            Fault::NotFound => "FieldValueNotFound",
        }
    }
}

/// A fault in one field. `Display` gives `path: message`; `message` alone is what a Status cause carries, such as
/// `Invalid value: -1: must be greater than or equal to 0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    pub fault: Fault,
    pub field: String,
    pub message: String,
}

impl FieldError {
    fn new(fault: Fault, path: &Path, message: String) -> FieldError {
        FieldError { fault, field: path.to_string(), message }
    }

    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl fmt::Display) -> FieldError {
        FieldError::new(Fault::Invalid, path, format!("Invalid value: {}: {detail}", value.into()))
    }

    pub fn required(path: &Path, detail: impl fmt::Display) -> FieldError {
        let detail = detail.to_string();
        let message = if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        FieldError::new(Fault::Required, path, message)
    }

    /// A value outside a fixed set; the set is printed in the order given.
    pub fn not_supported(path: &Path, value: impl Into<Value>, supported: &[&str]) -> FieldError {
        let list = supported.iter().map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(", ");
        let message = match list.is_empty() {
            true => format!("Unsupported value: {}", value.into()),
            false => format!("Unsupported value: {}: supported values: {list}", value.into()),
        };
        FieldError::new(Fault::NotSupported, path, message)
    }

    pub fn duplicate(path: &Path, value: impl Into<Value>) -> FieldError {
        FieldError::new(Fault::Duplicate, path, format!("Duplicate value: {}", value.into()))
    }

    pub fn forbidden(path: &Path, detail: impl fmt::Display) -> FieldError {
        FieldError::new(Fault::Forbidden, path, format!("Forbidden: {detail}"))
    }

    /// `most` in bytes.
    pub fn too_long(path: &Path, most: usize) -> FieldError {
        FieldError::new(Fault::TooLong, path, format!("Too long: may not be more than {most} bytes"))
    }

    pub fn too_many(path: &Path, actual: usize, most: usize) -> FieldError {
        FieldError::new(Fault::TooMany, path, format!("Too many: {actual}: must have at most {most} items"))
    }

    pub fn not_found(path: &Path, value: impl Into<Value>) -> FieldError {
        FieldError::new(Fault::NotFound, path, format!("Not found: {}", value.into()))
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_as_in_kubernetes() {
        let spec = Path::root("spec");
        assert_eq!(
            FieldError::invalid(&spec.child("completions"), -1, "must be greater than or equal to 0").to_string(),
            "spec.completions: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(
            FieldError::not_supported(&spec.child("x"), "Z", &["A", "B"]).to_string(),
            "spec.x: Unsupported value: \"Z\": supported values: \"A\", \"B\""
        );
        assert_eq!(FieldError::required(&spec.index(0), "").to_string(), "spec[0]: Required value");
    }
}
