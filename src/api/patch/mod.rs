//! Patches: a changed copy of an object's JSON, before it is decoded and checked again like any other write.
//!
//! Three of the four kinds that Kubernetes knows, one file each: [`json`] (RFC 6902), [`merge`] (RFC 7386) and
//! [`strategic`]. All take the stored object as JSON and give the patched JSON or a refusal; none can leave half a
//! change behind. Patches are hostile input: steps, copies and depth are bounded, here and in
//! [`decode`](super::decode), which reads them.

pub mod json;
pub mod merge;
mod order;
mod pointer;
pub mod schema;
pub mod strategic;

/// Why a patch is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It is not a patch of its kind (400).
    #[error("{0}")]
    Malformed(String),
    /// It would take too much to apply (413).
    #[error("{0}")]
    TooLarge(String),
    /// It is a patch, but does not fit this object (422).
    #[error("{0}")]
    DoesNotApply(String),
}
