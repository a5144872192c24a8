//! `kubectl get events` (`printEvent`). Old events count in `count`, newer ones in `series`.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use super::column::{Column, NAME};
use super::name_of;
use crate::api::age;

pub(super) const COLUMNS: &[Column] = &[
    Column::text("Last Seen", "The time at which the most recent occurrence of this event was recorded."),
    Column::text("Type", "Type of this event (Normal, Warning), new types could be added in the future"),
    Column::text(
        "Reason",
        "This should be a short, machine understandable string that gives the reason for the transition into the \
         object's current status.",
    ),
    Column::text("Object", "The object that this event is about."),
    Column::wide(
        "Subobject",
        "If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go \
         field access statement, such as desiredState.manifest.containers[2].",
    ),
    Column::wide("Source", "The component reporting this event. Should be a short machine understandable string."),
    Column::text("Message", "A human-readable description of the status of this operation."),
    Column::wide(
        "First Seen",
        "The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)",
    ),
    Column::wide("Count", "The number of times this event has occurred."),
    Column { priority: 1, ..NAME },
];

pub(super) fn cells(event: &Event, now: Timestamp) -> Vec<Value> {
    let text = |text: &Option<String>| Value::from(text.as_deref().unwrap_or_default());
    let about = &event.involved_object;
    let first = event.first_timestamp.as_ref().map(|t| t.0).or(event.event_time.as_ref().map(|t| t.0));
    let (last, count) = match &event.series {
        Some(series) => (series.last_observed_time.as_ref().map(|t| t.0), series.count.unwrap_or(0)),
        // A single event of the newer form has no count.
        None => (event.last_timestamp.as_ref().map(|t| t.0).or(first), event.count.filter(|c| *c != 0).unwrap_or(1)),
    };
    vec![
        age::since(last, now).into(),
        text(&event.type_),
        text(&event.reason),
        object(about.kind.as_deref(), about.name.as_deref()).into(),
        text(&about.field_path),
        source(event).into(),
        event.message.as_deref().unwrap_or_default().trim().into(),
        age::since(first, now).into(),
        count.into(),
        name_of(&event.metadata),
    ]
}

fn object(kind: Option<&str>, name: Option<&str>) -> String {
    let kind = kind.unwrap_or_default().to_lowercase();
    match name {
        Some(name) if !name.is_empty() => format!("{kind}/{name}"),
        _ => kind,
    }
}

/// `component, instance`, where the newer fields fill what the older leave empty.
fn source(event: &Event) -> String {
    let filled = |older: Option<&String>, newer: &Option<String>| {
        older.filter(|s| !s.is_empty()).or(newer.as_ref()).cloned().unwrap_or_default()
    };
    let source = event.source.as_ref();
    let component = filled(source.and_then(|s| s.component.as_ref()), &event.reporting_component);
    let instance = filled(source.and_then(|s| s.host.as_ref()), &event.reporting_instance);
    if instance.is_empty() { component } else { format!("{component}, {instance}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{cells_of, now};
    use crate::api::Kind;

    #[test]
    fn an_event_of_the_older_form() {
        let value = json!({"metadata": {"name": "a.1"}, "type": "Normal", "reason": "Created", "message": " made it\n",
            "involvedObject": {"kind": "Pod", "name": "p", "fieldPath": "spec.containers{c}"}, "count": 3,
            "source": {"component": "kubelet", "host": "n"}, "firstTimestamp": now(-300), "lastTimestamp": now(-10)});
        let expected =
            json!(["10s", "Normal", "Created", "pod/p", "spec.containers{c}", "kubelet, n", "made it", "5m", 3, "a.1"]);
        assert_eq!(cells_of(Kind::Event, value), expected);
    }

    #[test]
    fn events_of_the_newer_form() {
        let value = json!({"metadata": {"name": "a"}, "involvedObject": {"kind": "Job"}, "eventTime": now(-70),
            "reportingComponent": "job-controller"});
        let expected = json!(["70s", "", "", "job", "", "job-controller", "", "70s", 1, "a"]);
        assert_eq!(cells_of(Kind::Event, value), expected);

        let value = json!({"metadata": {"name": "a"}, "involvedObject": {}, "eventTime": now(-70),
            "series": {"count": 4, "lastObservedTime": now(-2)}});
        let cells = cells_of(Kind::Event, value);
        assert_eq!((&cells[0], &cells[7], &cells[8]), (&json!("2s"), &json!("70s"), &json!(4)));
    }
}
