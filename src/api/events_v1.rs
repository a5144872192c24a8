//! Events as `events.k8s.io/v1` has them (`pkg/apis/events/v1/conversion.go`, `ValidateEventCreate` and
//! `ValidateEventUpdate` in `pkg/apis/core/validation/events.go`, about 1.34). The stored Event is that of the core group:
//!
//! | events.k8s.io/v1 | core v1 |
//! |---|---|
//! | regarding | involvedObject |
//! | note | message |
//! | reportingController | reportingComponent |
//! | deprecatedSource, deprecatedCount | source, count |
//! | deprecatedFirstTimestamp, deprecatedLastTimestamp | firstTimestamp, lastTimestamp |
//!
//! All else has the same name in both.

use k8s_openapi::Resource;
use k8s_openapi::api::core::v1::{Event as Stored, EventSeries as StoredSeries};
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::api::decode::{self, Decoded, Parsed};
use crate::api::error::ApiError;
use crate::api::field::{FieldError, Path};
use crate::api::kind::KindInfo;
use crate::api::validate_meta::{IMMUTABLE, semantically_equal};

pub const INFO: KindInfo = KindInfo {
    group: Event::GROUP,
    version: Event::VERSION,
    kind: Event::KIND,
    plural: "events",
    singular: "event",
    short_names: &["ev"],
    categories: &[],
    namespaced: true,
    has_status: false,
};

/// The stored Event in this view.
pub fn show(stored: &Stored) -> Event {
    let Stored {
        action,
        count,
        event_time,
        first_timestamp,
        involved_object,
        last_timestamp,
        message,
        metadata,
        reason,
        related,
        reporting_component,
        reporting_instance,
        series,
        source,
        type_,
    } = stored.clone();
    let series = series.map(|series| EventSeries {
        count: series.count.unwrap_or(0),
        last_observed_time: series.last_observed_time.unwrap_or(MicroTime(Timestamp::UNIX_EPOCH)),
    });
    Event {
        action,
        deprecated_count: count,
        deprecated_first_timestamp: first_timestamp,
        deprecated_last_timestamp: last_timestamp,
        deprecated_source: source,
        event_time,
        metadata,
        note: message,
        reason,
        regarding: Some(involved_object),
        related,
        reporting_controller: reporting_component,
        reporting_instance,
        series,
        type_,
    }
}

/// What is stored for an Event of this view.
pub fn store(event: Event) -> Stored {
    let Event {
        action,
        deprecated_count,
        deprecated_first_timestamp,
        deprecated_last_timestamp,
        deprecated_source,
        event_time,
        metadata,
        note,
        reason,
        regarding,
        related,
        reporting_controller,
        reporting_instance,
        series,
        type_,
    } = event;
    Stored {
        action,
        count: deprecated_count,
        event_time,
        first_timestamp: deprecated_first_timestamp,
        involved_object: regarding.unwrap_or_default(),
        last_timestamp: deprecated_last_timestamp,
        message: note,
        metadata,
        reason,
        related,
        reporting_component: reporting_controller,
        reporting_instance,
        series: series.map(|s| StoredSeries { count: Some(s.count), last_observed_time: Some(s.last_observed_time) }),
        source: deprecated_source,
        type_,
    }
}

pub fn to_json(stored: &Stored) -> Vec<u8> {
    serde_json::to_vec(&show(stored)).expect("Kubernetes types have string keys only and serialise without error")
}

pub fn to_value(stored: &Stored) -> Value {
    serde_json::to_value(show(stored)).expect("Kubernetes types have string keys only and serialise without error")
}

/// The stored Event that a value of this view describes.
pub fn decode(parsed: &Parsed) -> Result<Decoded, ApiError> {
    let Decoded { object, unknown, dropped } = decode::value_as::<Event>(&INFO, parsed)?;
    Ok(Decoded { object: store(object).into(), unknown, dropped })
}

/// Fields of this view, and what they are called where they are stored.
const NAMES: &[(&str, &str)] = &[
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedSource", "source"),
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
];

/// What a value of this view says, in the words of the stored Event; other than [`decode()`] it leaves out what is not said.
/// The value has no fields that this view does not know.
pub fn stored_words(value: Value) -> Value {
    let Value::Object(said) = value else { return value };
    let rename = |(name, value): (String, Value)| match NAMES.iter().find(|(shown, _)| *shown == name) {
        Some((_, stored)) => ((*stored).to_owned(), value),
        None if name == "apiVersion" => (name, Stored::API_VERSION.into()),
        None => (name, value),
    };
    said.into_iter().map(rename).collect()
}

/// The core group's name of a field that can be selected by.
pub fn stored_field(path: &str) -> Option<String> {
    match path {
        "metadata.name" | "metadata.namespace" | "reason" | "type" => Some(path.to_owned()),
        "reportingController" => Some("reportingComponent".to_owned()),
        path => {
            let field = path.strip_prefix("regarding.")?;
            let known = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];
            known.contains(&field).then(|| format!("involvedObject.{field}"))
        }
    }
}

/// An Event that is made by this view is of the newer sort: it has none of the older fields.
pub fn validate_new(event: &Stored, faults: &mut Vec<FieldError>) {
    validate_series(event, faults);
    if event.event_time.is_none() {
        faults.push(FieldError::required(&Path::root("eventTime"), ""));
    }
    let type_ = event.type_.as_deref().unwrap_or_default();
    if !matches!(type_, "Normal" | "Warning") {
        faults.push(FieldError::invalid(&Path::root("type"), "", format!("has invalid value: {type_}")));
    }
    let source = event.source.as_ref();
    let older = [
        ("firstTimestamp", event.first_timestamp.is_some()),
        ("lastTimestamp", event.last_timestamp.is_some()),
        ("count", event.count.is_some_and(|count| count != 0)),
        ("source", source.is_some_and(|s| s.component.is_some() || s.host.is_some())),
    ];
    for (field, is_set) in older {
        if is_set {
            faults.push(FieldError::invalid(&Path::root(field), "", "needs to be unset"));
        }
    }
}

/// Only the series of an Event and its metadata change.
pub fn validate_change(new: &Stored, old: &Stored, faults: &mut Vec<FieldError>) {
    validate_series(new, faults);
    let mut fixed = |field: &str, same: bool| {
        if !same {
            faults.push(FieldError::invalid(&Path::root(field), "", IMMUTABLE));
        }
    };
    fixed("involvedObject", semantically_equal(&new.involved_object, &old.involved_object));
    fixed("reason", new.reason == old.reason);
    fixed("message", new.message == old.message);
    fixed("source", semantically_equal(&new.source, &old.source));
    fixed("firstTimestamp", new.first_timestamp == old.first_timestamp);
    fixed("lastTimestamp", new.last_timestamp == old.last_timestamp);
    fixed("count", new.count.unwrap_or(0) == old.count.unwrap_or(0));
    fixed("type", new.type_ == old.type_);
    fixed("eventTime", new.event_time == old.event_time);
    fixed("action", new.action == old.action);
    fixed("related", semantically_equal(&new.related, &old.related));
    fixed("reportingController", new.reporting_component == old.reporting_component);
    fixed("reportingInstance", new.reporting_instance == old.reporting_instance);
}

fn validate_series(event: &Stored, faults: &mut Vec<FieldError>) {
    let Some(series) = &event.series else { return };
    let path = Path::root("series");
    if series.count.unwrap_or(0) < 2 {
        faults.push(FieldError::invalid(&path.child("count"), "", "should be at least 2"));
    }
    if series.last_observed_time.is_none() {
        faults.push(FieldError::required(&path.child("lastObservedTime"), ""));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored(value: Value) -> Stored {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_field_has_a_place_in_both_views() {
        let older = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "n"},
            "involvedObject": {"kind": "Pod", "name": "p"}, "related": {"kind": "Node"}, "message": "m", "reason": "R",
            "type": "Normal", "count": 3, "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-02T00:00:00Z",
            "source": {"component": "c", "host": "h"}, "action": "a", "reportingComponent": "rc",
            "reportingInstance": "ri", "eventTime": "2026-01-01T00:00:00.000001Z",
            "series": {"count": 4, "lastObservedTime": "2026-01-01T00:00:00.000002Z"}});
        let newer = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "n"},
            "regarding": {"kind": "Pod", "name": "p"}, "related": {"kind": "Node"}, "note": "m", "reason": "R",
            "type": "Normal", "deprecatedCount": 3, "deprecatedFirstTimestamp": "2026-01-01T00:00:00Z",
            "deprecatedLastTimestamp": "2026-01-02T00:00:00Z", "deprecatedSource": {"component": "c", "host": "h"},
            "action": "a", "reportingController": "rc", "reportingInstance": "ri",
            "eventTime": "2026-01-01T00:00:00.000001Z",
            "series": {"count": 4, "lastObservedTime": "2026-01-01T00:00:00.000002Z"}});
        let event = stored(older.clone());
        assert_eq!(to_value(&event), newer);
        let back = decode(&Parsed::from(newer)).unwrap();
        assert_eq!((back.object.to_value(), back.unknown), (older, vec![]));
        let odd = decode(&Parsed::from(json!({"metadata": {}, "message": "m"}))).unwrap();
        assert_eq!(odd.unknown, ["unknown field \"message\""]);
        assert!(decode(&Parsed::from(json!({"apiVersion": "v1", "kind": "Event", "metadata": {}}))).is_err());
        assert_eq!(stored_field("regarding.fieldPath").as_deref(), Some("involvedObject.fieldPath"));
        assert_eq!((stored_field("regarding.x"), stored_field("source")), (None, None));
    }

    #[test]
    fn an_event_of_this_view_is_of_the_newer_sort_and_changes_in_its_series_only() {
        let fields = |check: &dyn Fn(&mut Vec<FieldError>)| {
            let mut faults = Vec::new();
            check(&mut faults);
            faults.into_iter().map(|f| f.field).collect::<Vec<_>>()
        };
        let older = stored(json!({"metadata": {}, "involvedObject": {}, "count": 1, "source": {"component": "c"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:00:00Z", "series": {"count": 1}}));
        let all = [
            "series.count",
            "series.lastObservedTime",
            "eventTime",
            "type",
            "firstTimestamp",
            "lastTimestamp",
            "count",
            "source",
        ];
        assert_eq!(fields(&|faults| validate_new(&older, faults)), all);
        let newer = stored(json!({"metadata": {}, "involvedObject": {}, "type": "Normal",
            "eventTime": "2026-01-01T00:00:00.000000Z"}));
        assert_eq!(fields(&|faults| validate_new(&newer, faults)), [] as [&str; 0]);
        let mut changed = newer.clone();
        changed.series = Some(StoredSeries { count: Some(2), last_observed_time: changed.event_time.clone() });
        assert_eq!(fields(&|faults| validate_change(&changed, &newer, faults)), [] as [&str; 0]);
        changed.message = Some("other".to_owned());
        changed.reporting_component = Some("other".to_owned());
        assert_eq!(fields(&|faults| validate_change(&changed, &newer, faults)), ["message", "reportingController"]);
    }
}
