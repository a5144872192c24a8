//! PodMetrics and NodeMetrics as clients get them: as objects, as rows, or as metadata only.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use crate::api::kind::KindInfo;
use crate::api::meta;
use crate::api::quantity::Quantity;
use crate::http::form::Form;
use crate::http::table::IncludeObject;
use crate::sandbox::Reading;

/// What is known of a pod or node.
pub(super) struct Shown {
    metadata: ObjectMeta,
    at: Timestamp,
    of: Of,
}

/// Whose use it is.
pub(super) enum Of {
    /// By their names; at least one.
    Containers(Vec<(String, Reading)>),
    Machine(Reading),
}

impl Shown {
    /// Of the pod or node with this metadata, as it was `at`.
    pub(super) fn new(of: &ObjectMeta, at: Timestamp, used: Of) -> Shown {
        let metadata = ObjectMeta {
            name: of.name.clone(),
            namespace: of.namespace.clone(),
            labels: of.labels.clone(),
            creation_timestamp: Some(meta::time(at)),
            ..ObjectMeta::default()
        };
        Shown { metadata, at, of: used }
    }

    fn object(&self) -> Value {
        let mut object = json!({
            "metadata": self.metadata,
            "timestamp": meta::time(self.at),
            "window": go_duration(self.window()),
        });
        match &self.of {
            Of::Containers(all) => {
                let each = all.iter().map(|(name, reading)| json!({"name": name, "usage": usage(reading)}));
                object["containers"] = each.collect();
            }
            Of::Machine(reading) => object["usage"] = usage(reading),
        }
        object
    }

    /// Of several containers the shortest; each figure is of its own.
    fn window(&self) -> Duration {
        match &self.of {
            Of::Containers(all) => all.iter().map(|(_, reading)| reading.window).min().unwrap_or_default(),
            Of::Machine(reading) => reading.window,
        }
    }

    /// The sum over the containers.
    fn cells(&self) -> Value {
        let (cpu, memory) = match &self.of {
            Of::Machine(reading) => (cores(reading), bytes(reading)),
            Of::Containers(all) => {
                let add =
                    |sum: Option<Quantity>, more: Quantity| Some(sum.map_or(more, |sum| sum.saturating_add(more)));
                (
                    all.iter().map(|(_, reading)| cores(reading)).fold(None, add).unwrap_or(Quantity::ZERO),
                    all.iter().map(|(_, reading)| bytes(reading)).fold(None, add).unwrap_or(Quantity::ZERO),
                )
            }
        };
        json!([self.metadata.name, cpu.to_string(), memory.to_string(), go_duration(self.window())])
    }

    fn partial(&self) -> Value {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": self.metadata})
    }
}

/// Cores used on average over the window, to the billionth.
fn cores(reading: &Reading) -> Quantity {
    let window = reading.window.as_nanos().max(1);
    let nanos = reading.cpu.as_nanos().saturating_mul(1_000_000_000) / window;
    Quantity::nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn bytes(reading: &Reading) -> Quantity {
    Quantity::bytes(reading.memory_bytes)
}

fn usage(reading: &Reading) -> Value {
    json!({"cpu": cores(reading).to_string(), "memory": bytes(reading).to_string()})
}

/// A time as Go writes it (`time.Duration.String`), to the millisecond: `1m15.02s`.
fn go_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    if minutes == 0 && rest < 1000 {
        return if rest == 0 { "0s".to_owned() } else { format!("{rest}ms") };
    }
    let fraction = format!("{:03}", rest % 1000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let seconds = format!("{}{point}{fraction}s", rest / 1000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

/// The body of an answer to `get`.
pub(super) fn single(info: &KindInfo, shown: &Shown, form: Form) -> Vec<u8> {
    let body = match form {
        Form::Table(include) => table(std::slice::from_ref(shown), info, include),
        Form::Metadata => shown.partial(),
        Form::Object | Form::EventsV1 => typed(info.kind, info, shown.object()),
    };
    text(&body)
}

/// The body of an answer to `list`.
pub(super) fn list(info: &KindInfo, all: Vec<Shown>, form: Form) -> Vec<u8> {
    let body = match form {
        Form::Table(include) => table(&all, info, include),
        Form::Metadata => {
            let items: Vec<Value> = all.iter().map(Shown::partial).collect();
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": items})
        }
        Form::Object | Form::EventsV1 => {
            let items: Vec<Value> = all.iter().map(Shown::object).collect();
            typed(&format!("{}List", info.kind), info, json!({"metadata": {}, "items": items}))
        }
    };
    text(&body)
}

fn typed(kind: &str, info: &KindInfo, object: Value) -> Value {
    let mut typed = json!({"kind": kind, "apiVersion": info.api_version()});
    if let (Some(typed), Value::Object(object)) = (typed.as_object_mut(), object) {
        typed.extend(object);
    }
    typed
}

fn table(all: &[Shown], info: &KindInfo, include: IncludeObject) -> Value {
    let column = |name: &str, format: &str, description: &str| json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0});
    let columns = [
        column("Name", "name", "Name of the resource"),
        column("cpu", "quantity", "Cores used on average over the window"),
        column("memory", "quantity", "Bytes of memory in use"),
        column("Window", "duration", "The time that the cores are of"),
    ];
    let row = |shown: &Shown| {
        let object = match include {
            IncludeObject::None => Value::Null,
            IncludeObject::Metadata => shown.partial(),
            IncludeObject::Object | IncludeObject::EventsV1 => typed(info.kind, info, shown.object()),
        };
        json!({"cells": shown.cells(), "object": object})
    };
    let rows: Vec<Value> = all.iter().map(row).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": columns, "rows": rows})
}

fn text(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a Value has string keys only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::top::{NODES, PODS};

    fn reading(cpu_nanos: u64, window_millis: u64, memory_bytes: u64) -> Reading {
        let (cpu, window) = (Duration::from_nanos(cpu_nanos), Duration::from_millis(window_millis));
        Reading { cpu, window, memory_bytes }
    }

    #[test]
    fn units_are_those_of_metrics_server() {
        for (cpu, window, cores) in [
            (0, 15_000, "0"),
            (1, 15_000, "0"),
            (123_456, 1000, "123456n"),
            (1_234_567_890, 10_000, "123456789n"),
            (15_000, 15_000, "1u"),
            (500_000_000, 1000, "500m"),
            (15_000_000_000, 15_000, "1"),
            // What cannot be is a number all the same.
            (u64::MAX, 1, "18446744073709551615n"),
            (5, 0, "5"),
        ] {
            assert_eq!(usage(&reading(cpu, window, 0))["cpu"], cores, "{cpu} in {window} ms");
        }
        for (memory, shown) in [(0, "0"), (65_536, "64Ki"), (1 << 20, "1Mi"), ((1 << 20) + (3 << 16), "1216Ki")] {
            assert_eq!(usage(&reading(0, 1, memory))["memory"], shown, "{memory}");
        }
    }

    #[test]
    fn a_window_is_written_as_go_does() {
        for (millis, text) in [
            (0, "0s"),
            (20, "20ms"),
            (1000, "1s"),
            (1020, "1.02s"),
            (15_001, "15.001s"),
            (60_000, "1m0s"),
            (75_500, "1m15.5s"),
            (3_600_000, "1h0m0s"),
            (3_725_100, "1h2m5.1s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_pod_is_shown_in_every_form() {
        let of: ObjectMeta =
            serde_json::from_value(json!({"name": "p", "namespace": "n", "labels": {"a": "b"}, "uid": "u",
            "resourceVersion": "7", "annotations": {"x": "y"}}))
            .unwrap();
        let at: Timestamp = "2026-01-02T03:04:05.6Z".parse().unwrap();
        let used = vec![
            ("a".to_owned(), reading(250_000_000, 1000, 1 << 16)),
            ("b".to_owned(), reading(15_000_000_000, 15_000, 3 << 16)),
        ];
        let shown = Shown::new(&of, at, Of::Containers(used));
        let body = |form| -> Value { serde_json::from_slice(&single(&PODS, &shown, form)).unwrap() };
        let metadata =
            json!({"name": "p", "namespace": "n", "labels": {"a": "b"}, "creationTimestamp": "2026-01-02T03:04:05Z"});
        let object = json!({"kind": "PodMetrics", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": metadata,
            "timestamp": "2026-01-02T03:04:05Z", "window": "1s", "containers": [
                {"name": "a", "usage": {"cpu": "250m", "memory": "64Ki"}},
                {"name": "b", "usage": {"cpu": "1", "memory": "192Ki"}}]});
        let partial = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata});
        assert_eq!(body(Form::Object), object);
        assert_eq!(body(Form::Metadata), partial);
        for (include, of_row) in [
            (IncludeObject::None, Value::Null),
            (IncludeObject::Metadata, partial.clone()),
            (IncludeObject::Object, object.clone()),
        ] {
            let rows = &body(Form::Table(include))["rows"];
            assert_eq!(*rows, json!([{"cells": ["p", "1250m", "256Ki", "1s"], "object": of_row}]));
        }
        let all: Value = serde_json::from_slice(&list(&PODS, vec![shown], Form::Object)).unwrap();
        let mut item = object;
        item.as_object_mut().unwrap().retain(|key, _| key != "kind" && key != "apiVersion");
        let expected =
            json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": [item]});
        assert_eq!(all, expected);
    }

    #[test]
    fn a_node_has_one_figure() {
        let of = ObjectMeta { name: Some("n".to_owned()), ..ObjectMeta::default() };
        let shown = Shown::new(&of, Timestamp::UNIX_EPOCH, Of::Machine(reading(3_000_000_000, 12_000, 5 << 30)));
        let body: Value = serde_json::from_slice(&single(&NODES, &shown, Form::Object)).unwrap();
        assert_eq!((&body["kind"], &body["window"]), (&json!("NodeMetrics"), &json!("12s")));
        assert_eq!(body["usage"], json!({"cpu": "250m", "memory": "5Gi"}));
        assert_eq!(shown.cells(), json!(["n", "250m", "5Gi", "12s"]));
    }
}
