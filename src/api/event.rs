//! What an Event must satisfy (`pkg/apis/core/validation/events.go`, about 1.34).

use k8s_openapi::api::core::v1::Event;

use crate::api::field::{FieldError, Path};
use crate::api::names;

const MAX_TEXT: usize = 128;
const MAX_MESSAGE: usize = 1024;

pub fn validate_event(event: &Event, faults: &mut Vec<FieldError>) {
    let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
    let about = event.involved_object.namespace.as_deref().unwrap_or_default();
    // An event about what has no namespace is kept in `default`.
    let agrees = match (about.is_empty(), event.event_time.is_some()) {
        (true, false) => matches!(namespace, "" | "default"),
        (true, true) => matches!(namespace, "" | "default" | "kube-system"),
        (false, _) => namespace == about,
    };
    if !agrees {
        let path = Path::root("involvedObject").child("namespace");
        faults.push(FieldError::invalid(&path, about, "does not match event.namespace"));
    }
    if event.event_time.is_some() {
        validate_new_style(event, faults);
    }
}

/// An event with `eventTime` is of the newer kind, which says who reports it.
fn validate_new_style(event: &Event, faults: &mut Vec<FieldError>) {
    let controller = event.reporting_component.as_deref().unwrap_or_default();
    let path = Path::root("reportingController");
    match controller {
        "" => faults.push(FieldError::required(&path, "")),
        controller => names::report(&path, controller, names::qualified_name(controller), faults),
    }
    let texts =
        [("reportingInstance", &event.reporting_instance), ("action", &event.action), ("reason", &event.reason)];
    for (field, text) in texts {
        let path = Path::root(field);
        match text.as_deref().unwrap_or_default() {
            "" => faults.push(FieldError::required(&path, "")),
            text if text.len() > MAX_TEXT => {
                let detail = format!("can have at most {MAX_TEXT} characters");
                faults.push(FieldError::invalid(&path, "", detail));
            }
            _ => {}
        }
    }
    if event.message.as_ref().is_some_and(|m| m.len() > MAX_MESSAGE) {
        let detail = format!("can have at most {MAX_MESSAGE} characters");
        faults.push(FieldError::invalid(&Path::root("message"), "", detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn faults(event: Value) -> Vec<String> {
        let mut faults = Vec::new();
        validate_event(&serde_json::from_value(event).unwrap(), &mut faults);
        faults.iter().map(|f| f.field.clone()).collect()
    }

    #[test]
    fn an_event_is_in_the_namespace_of_what_it_is_about() {
        let event =
            |namespace: &str, about: Value| json!({"metadata": {"namespace": namespace}, "involvedObject": about});
        assert_eq!(faults(event("a", json!({"namespace": "a"}))), [] as [&str; 0]);
        assert_eq!(faults(event("default", json!({}))), [] as [&str; 0]);
        assert_eq!(faults(event("a", json!({}))), ["involvedObject.namespace"]);
        assert_eq!(faults(event("a", json!({"namespace": "b"}))), ["involvedObject.namespace"]);
    }

    #[test]
    fn a_new_style_event_says_who_reports_what() {
        let event = json!({"metadata": {"namespace": "a"}, "involvedObject": {"namespace": "a"},
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingInstance": "x".repeat(200)});
        assert_eq!(faults(event), ["reportingController", "reportingInstance", "action", "reason"]);
    }
}
