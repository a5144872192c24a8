//! Questions that are asked of every object's metadata.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use k8s_openapi::jiff::{SignedDuration, Timestamp, Unit};

/// The owner that manages the object, if one does (`ownerReferences[].controller`).
pub fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|o| o.controller == Some(true))
}

pub fn has_finalizer(meta: &ObjectMeta, finalizer: &str) -> bool {
    meta.finalizers.iter().flatten().any(|f| f == finalizer)
}

pub fn remove_finalizer(meta: &mut ObjectMeta, finalizer: &str) {
    if let Some(finalizers) = &mut meta.finalizers {
        finalizers.retain(|f| f != finalizer);
        if finalizers.is_empty() {
            meta.finalizers = None;
        }
    }
}

pub fn is_deleting(meta: &ObjectMeta) -> bool {
    meta.deletion_timestamp.is_some()
}

pub fn annotation<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(name).map(String::as_str)
}

pub fn label<'a>(meta: &'a ObjectMeta, name: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(name).map(String::as_str)
}

pub fn set_annotation(meta: &mut ObjectMeta, name: &str, value: impl Into<String>) {
    meta.annotations.get_or_insert_default().insert(name.to_owned(), value.into());
}

/// A time as objects hold it: whole seconds, because that is what their JSON can say.
pub fn time(at: Timestamp) -> Time {
    let second = Timestamp::from_second(at.as_second()).unwrap_or(at);
    Time(second)
}

/// A time in an annotation, with microseconds.
pub fn format_micros(at: Timestamp) -> String {
    let at = at.round(Unit::Microsecond).unwrap_or(at);
    format!("{at:.6}")
}

pub fn parse_micros(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// `at` plus `seconds`, stopping at the end of time instead of overflowing.
pub fn add_seconds(at: Timestamp, seconds: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micros_survive_their_text() {
        let at: Timestamp = "2026-01-02T03:04:05.678901Z".parse().unwrap();
        assert_eq!(format_micros(at), "2026-01-02T03:04:05.678901Z");
        assert_eq!(parse_micros(&format_micros(at)), Some(at));
        assert_eq!(time(at).0.to_string(), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn adding_seconds_stops_at_the_end_of_time() {
        assert_eq!(add_seconds(Timestamp::UNIX_EPOCH, i64::MAX), Timestamp::MAX);
        assert_eq!(add_seconds(Timestamp::UNIX_EPOCH, 5).as_second(), 5);
    }
}
