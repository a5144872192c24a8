//! Column definitions, with the words that several kinds share. Names, types, formats and priorities are those of
//! Kubernetes (`pkg/printers/internalversion/printers.go`, `AddHandlers`), descriptions those of its API fields.

use serde::Serialize;

/// One column. `priority` 0 is always shown, 1 only by `-o wide`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    pub name: &'static str,
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// `name` on the one column that identifies the object, else empty.
    pub format: &'static str,
    pub description: &'static str,
    pub priority: i32,
}

impl Column {
    /// A column of text that is always shown.
    pub(super) const fn text(name: &'static str, description: &'static str) -> Column {
        Column { name, type_: "string", format: "", description, priority: 0 }
    }

    /// A column of text that only `-o wide` shows.
    pub(super) const fn wide(name: &'static str, description: &'static str) -> Column {
        Column { priority: 1, ..Column::text(name, description) }
    }
}

pub(super) const NAME: Column = Column {
    format: "name",
    ..Column::text(
        "Name",
        "Name must be unique within a namespace. Is required when creating resources, although some resources may \
         allow a client to request the generation of an appropriate name automatically. Name is primarily intended for \
         creation idempotence and configuration definition. Cannot be updated. More info: \
         https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
    )
};

pub(super) const AGE: Column = Column::text(
    "Age",
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed \
     to be set in happens-before order across separate operations. Clients may not set this value. It is represented \
     in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: \
     https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
);

/// What an empty value is printed as.
pub(super) const NONE: &str = "<none>";

/// `text`, or [`NONE`] if there is none.
pub(super) fn or_none(text: Option<&str>) -> &str {
    text.filter(|t| !t.is_empty()).unwrap_or(NONE)
}
