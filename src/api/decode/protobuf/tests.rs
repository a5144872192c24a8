//! Objects by other writers of protobuf: prost with Kubernetes' own messages, and one that writes as Go does, zeros and all.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use k8s_pb::api::{batch::v1 as batch, core::v1 as core};
use k8s_pb::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_pb::apimachinery::pkg::runtime::{TypeMeta, Unknown};
use k8s_pb::apimachinery::pkg::util::intstr::IntOrString;
use proptest::prelude::*;
use prost::Message;
use prost::encoding;
use serde_json::{Value, json};

use super::table::{self, MessageId, Shape, Type};
use super::{Envelope, MAGIC, MAX_VALUES};
use crate::api::decode::{self, Decoded};
use crate::api::{ApiError, Kind, Object};

fn sealed(api_version: &str, kind: &str, raw: Vec<u8>) -> Vec<u8> {
    let type_meta = TypeMeta { api_version: Some(api_version.to_owned()), kind: Some(kind.to_owned()) };
    let empty = Some(String::new());
    let unknown =
        Unknown { type_meta: Some(type_meta), raw: Some(raw), content_encoding: empty.clone(), content_type: empty };
    [MAGIC, &unknown.encode_to_vec()].concat()
}

fn decoded(kind: Kind, raw: Vec<u8>) -> Decoded {
    let info = kind.info();
    decode::protobuf_body(kind, &sealed(&info.api_version(), info.kind, raw)).unwrap()
}

fn refused(kind: Kind, body: &[u8]) -> String {
    match decode::protobuf_body(kind, body) {
        Err(ApiError::BadRequest(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn from_json(kind: Kind, value: Value) -> Object {
    decode::value_body(kind, value.into()).unwrap().strict().unwrap()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// As Go writes: whatever is no pointer, zeros too.
fn encode(message: MessageId, object: &Value, out: &mut Vec<u8>) {
    for field in message.fields() {
        let (number, value) = (field.number, &object[field.name]);
        match (field.shape, value) {
            (Shape::Inline(inner), _) => nested(number, out, |out| encode(inner, object, out)),
            (Shape::Pointer(_) | Shape::List(_) | Shape::Map(_), Value::Null) => {}
            (Shape::Pointer(of) | Shape::Value(of), value) => one(number, of, value, out),
            (Shape::List(of), list) => list.as_array().unwrap().iter().for_each(|item| one(number, of, item, out)),
            (Shape::Map(of), map) => {
                for (key, value) in map.as_object().unwrap() {
                    nested(number, out, |out| {
                        encoding::string::encode(1, key, out);
                        one(2, of, value, out);
                    });
                }
            }
        }
    }
}

fn one(number: u32, of: Type, value: &Value, out: &mut Vec<u8>) {
    let text = || value.as_str().unwrap_or_default().to_owned();
    let int = || value.as_i64().unwrap_or_default();
    match of {
        Type::Bool => encoding::bool::encode(number, &value.as_bool().unwrap_or_default(), out),
        Type::Int32 => encoding::int32::encode(number, &i32::try_from(int()).unwrap(), out),
        Type::Int64 => encoding::int64::encode(number, &int(), out),
        Type::String => encoding::string::encode(number, &text(), out),
        Type::Bytes => {
            let bytes: k8s_openapi::ByteString = serde_json::from_value(value.clone()).unwrap();
            encoding::bytes::encode(number, &bytes.0, out);
        }
        Type::Time | Type::MicroTime => nested(number, out, |out| {
            if let Some(time) = value.as_str().map(|time| time.parse::<jiff::Timestamp>().unwrap()) {
                encoding::int64::encode(1, &time.as_second(), out);
                encoding::int32::encode(2, &time.subsec_nanosecond(), out);
            }
        }),
        Type::Quantity => nested(number, out, |out| {
            encoding::string::encode(1, &value.as_str().unwrap_or("0").to_owned(), out);
        }),
        Type::IntOrString => nested(number, out, |out| {
            encoding::int64::encode(1, &i64::from(value.is_string()), out);
            encoding::int32::encode(2, &i32::try_from(int()).unwrap(), out);
            encoding::string::encode(3, &text(), out);
        }),
        Type::FieldsV1 => nested(number, out, |out| encoding::bytes::encode(1, &value.to_string().into_bytes(), out)),
        Type::Strings => nested(number, out, |out| {
            let all: Vec<String> = serde_json::from_value(value.clone()).unwrap();
            encoding::string::encode_repeated(1, &all, out);
        }),
        Type::Message(inner) => nested(number, out, |out| encode(inner, value, out)),
    }
}

fn nested(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    write(&mut inner);
    encoding::bytes::encode(number, &inner, out);
}

fn as_go_writes(message: &str, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    encode(table::message(message).unwrap(), value, &mut out);
    out
}

/// Of every form that a field can have, something.
fn pod_template() -> Value {
    let quantities = json!({"cpu": "500m", "memory": "1Gi"});
    json!({
        "metadata": {"labels": {"a": "b", "empty": ""}, "annotations": {"x/y": "z"}},
        "spec": {
            "activeDeadlineSeconds": 30,
            "affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "k", "operator": "In", "values": ["a", ""]}]}, {}]},
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 7, "preference": {}}]}},
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "main", "image": "pi:1", "command": ["pi"], "args": ["", "-v"], "workingDir": "/w",
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k", "optional": false}}},
                    {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                    {"name": "E", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}],
                "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "s", "optional": true}}],
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": quantities, "requests": {"cpu": "0"}},
                "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": true}],
                "livenessProbe": {"httpGet": {"path": "/", "port": "web", "httpHeaders": [{"name": "H", "value": "v"}]},
                    "periodSeconds": 5},
                "readinessProbe": {"tcpSocket": {"port": 8080}, "failureThreshold": 3},
                "startupProbe": {"exec": {"command": ["true"]}, "terminationGracePeriodSeconds": 0},
                "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
                "securityContext": {"runAsUser": 0, "privileged": false, "capabilities": {"drop": ["ALL"]}},
                "tty": true}, {"name": "side", "resources": {"claims": [{"name": "c"}]}}],
            "ephemeralContainers": [{"name": "e", "targetContainerName": "main", "stdin": true}],
            "enableServiceLinks": false,
            "nodeSelector": {"disk": "ssd"},
            "overhead": quantities,
            "restartPolicy": "Never",
            "securityContext": {"supplementalGroups": [1, 0, -1, 4_294_967_296_i64], "sysctls": [{"name": "n", "value": "v"}]},
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 0}, {"operator": "Exists"}],
            "volumes": [
                {"name": "a", "emptyDir": {}},
                {"name": "b", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                {"name": "c", "configMap": {"name": "m", "defaultMode": 0, "items": [{"key": "k", "path": "p", "mode": 256}]}},
                {"name": "d", "secret": {"secretName": "s", "optional": false}},
                {"name": "e", "hostPath": {"path": "/h", "type": ""}},
                {"name": "f", "projected": {"sources": [
                    {"configMap": {"name": "m"}}, {"secret": {"name": "s"}},
                    {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.uid"}}]}},
                    {"serviceAccountToken": {"path": "t", "expirationSeconds": 0}}]}}],
        }
    })
}

fn job() -> Value {
    json!({
        "metadata": {
            "name": "j", "generateName": "g-", "namespace": "n", "generation": 3, "uid": "u", "resourceVersion": "7",
            "creationTimestamp": "2026-01-02T03:04:05Z", "deletionGracePeriodSeconds": 0, "finalizers": ["f"],
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "c", "uid": "u", "controller": true,
                "blockOwnerDeletion": false}],
            "managedFields": [{"manager": "m", "operation": "Update", "apiVersion": "batch/v1", "fieldsType": "FieldsV1",
                "time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:spec": {"f:suspend": {}}}}],
        },
        "spec": {
            "parallelism": 0, "completions": 5, "activeDeadlineSeconds": 60, "backoffLimit": 0, "suspend": false,
            "completionMode": "Indexed", "backoffLimitPerIndex": 0, "maxFailedIndexes": 1, "ttlSecondsAfterFinished": 0,
            "podReplacementPolicy": "Failed", "managedBy": "kubernetes.io/job-controller", "manualSelector": true,
            "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]},
            "podFailurePolicy": {"rules": [
                {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [1, 42]}},
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]},
            "successPolicy": {"rules": [{"succeededIndexes": "0-2", "succeededCount": 1}]},
            "template": pod_template(),
        },
        "status": {
            "active": 1, "ready": 0, "startTime": "2026-01-02T03:04:05Z", "completedIndexes": "0",
            "conditions": [{"type": "Suspended", "status": "False", "lastProbeTime": "2026-01-02T03:04:05Z"}],
            "uncountedTerminatedPods": {"succeeded": ["u"]},
        }
    })
}

#[test]
fn every_kind_as_go_writes_it_is_what_it_is_in_json() {
    let cron_job = json!({"metadata": {"name": "c"}, "spec": {
        "schedule": "* * * * *", "timeZone": "Etc/UTC", "suspend": false, "startingDeadlineSeconds": 0,
        "concurrencyPolicy": "Forbid", "successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 1,
        "jobTemplate": {"metadata": {"annotations": {"a": "b"}}, "spec": job()["spec"]}},
        "status": {"active": [{"kind": "Job", "name": "x"}], "lastScheduleTime": "2026-01-02T03:04:00Z"}});
    let secret = json!({"metadata": {"name": "s"}, "data": {"a": "AP8=", "empty": ""}, "stringData": {"b": "c"},
        "type": "Opaque", "immutable": false});
    let map =
        json!({"metadata": {"name": "m"}, "data": {"a": "", "b": "c"}, "binaryData": {"x": "/wA="}, "immutable": true});
    let lease = json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "h", "leaseDurationSeconds": 40,
        "renewTime": "2026-01-02T03:04:05.123456Z", "leaseTransitions": 0}});
    let event = json!({"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "reason": "r", "count": 2,
        "firstTimestamp": "2026-01-02T03:04:05Z", "eventTime": "2026-01-02T03:04:05.000001Z", "source": {"component": "c"},
        "series": {"count": 3, "lastObservedTime": "2026-01-02T03:04:05.5Z"}});
    let node = json!({"metadata": {"name": "n"}, "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
        "status": {"capacity": {"pods": "110"}, "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "images": [{"names": ["i"], "sizeBytes": 5_000_000_000_i64}]}});
    let pod = json!({"metadata": {"name": "p"}, "spec": pod_template()["spec"], "status": {"phase": "Failed",
        "containerStatuses": [{"name": "main", "restartCount": 2, "started": false, "image": "i", "imageID": "x",
            "ready": true, "state": {"terminated": {"exitCode": 137, "finishedAt": "2026-01-02T03:04:05Z"}}}]}});
    let account = json!({"metadata": {"name": "a"}, "secrets": [{"name": "s"}], "imagePullSecrets": [{"name": "p"}],
        "automountServiceAccountToken": false});
    let namespace =
        json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
    let all = [
        (Kind::Job, job()),
        (Kind::CronJob, cron_job),
        (Kind::Pod, pod),
        (Kind::Secret, secret),
        (Kind::ConfigMap, map),
        (Kind::Lease, lease),
        (Kind::Event, event),
        (Kind::Node, node),
        (Kind::Namespace, namespace),
        (Kind::ServiceAccount, account),
    ];
    for (kind, value) in all {
        let found = decoded(kind, as_go_writes(&decode::message_of(kind.info()), &value));
        assert_eq!(found.unknown, [] as [&str; 0]);
        assert_eq!(found.object.to_value(), from_json(kind, value).to_value());
    }
}

/// prost's reader, which knows nothing of our table, finds the same in the same bytes, and writes them anew.
#[test]
fn prost_reads_what_we_read() {
    let value = job();
    let raw = as_go_writes("batch/v1.Job", &value);
    let theirs = batch::Job::decode(raw.as_slice()).unwrap();
    let spec = theirs.spec.as_ref().unwrap();
    assert_eq!((spec.parallelism, spec.max_failed_indexes), (Some(0), Some(1)));
    let containers = &spec.template.as_ref().unwrap().spec.as_ref().unwrap().containers;
    assert_eq!(containers[0].args, ["", "-v"]);
    let again = decoded(Kind::Job, theirs.encode_to_vec());
    assert_eq!(again.object.to_value(), from_json(Kind::Job, value).to_value());
}

#[test]
fn an_object_that_prost_writes_is_read() {
    let container = core::Container {
        name: text("c"),
        image: text("pi"),
        env: vec![core::EnvVar { name: text("A"), value: text(""), ..Default::default() }],
        liveness_probe: Some(core::Probe {
            handler: Some(core::ProbeHandler {
                http_get: Some(core::HttpGetAction {
                    port: Some(IntOrString { r#type: Some(0), int_val: Some(80), str_val: text("") }),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            period_seconds: Some(0),
            ..Default::default()
        }),
        ..Default::default()
    };
    let local = Some(core::LocalObjectReference { name: text("m") });
    let source =
        core::ConfigMapVolumeSource { local_object_reference: local, optional: Some(false), ..Default::default() };
    let volume = core::Volume {
        name: text("v"),
        volume_source: Some(core::VolumeSource { config_map: Some(source), ..Default::default() }),
    };
    let pod = core::PodSpec { containers: vec![container], volumes: vec![volume], ..Default::default() };
    let exit_codes = batch::PodFailurePolicyOnExitCodesRequirement {
        operator: text("In"),
        values: vec![1, 137],
        ..Default::default()
    };
    let rule =
        batch::PodFailurePolicyRule { action: text("FailJob"), on_exit_codes: Some(exit_codes), ..Default::default() };
    let job = batch::Job {
        metadata: Some(meta::ObjectMeta {
            name: text("j"),
            creation_timestamp: Some(meta::Time::default()),
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            ..Default::default()
        }),
        spec: Some(batch::JobSpec {
            parallelism: Some(0),
            active_deadline_seconds: Some(-1),
            pod_failure_policy: Some(batch::PodFailurePolicy { rules: vec![rule] }),
            template: Some(core::PodTemplateSpec { spec: Some(pod), ..Default::default() }),
            ..Default::default()
        }),
        status: Some(batch::JobStatus { active: Some(0), ..Default::default() }),
    };
    let expected: Job = serde_json::from_value(json!({
        "metadata": {"name": "j", "labels": {"a": "b"}},
        "spec": {
            "parallelism": 0, "activeDeadlineSeconds": -1,
            "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 137]}}]},
            "template": {"spec": {
                "containers": [{"name": "c", "image": "pi", "env": [{"name": "A"}],
                    "livenessProbe": {"httpGet": {"port": 80}}}],
                "volumes": [{"name": "v", "configMap": {"name": "m", "optional": false}}]}}},
    }))
    .unwrap();
    assert_eq!(decoded(Kind::Job, job.encode_to_vec()).strict().unwrap(), Object::from(expected));
}

#[test]
fn options_say_by_their_presence_what_they_mean() {
    let read = |options: meta::DeleteOptions| {
        let body = sealed("v1", "DeleteOptions", options.encode_to_vec());
        let parsed = Envelope::open(&body).unwrap().read("meta/v1.DeleteOptions").unwrap();
        decode::object::decode_as::<DeleteOptions>(&parsed).unwrap().object
    };
    let none = read(meta::DeleteOptions::default());
    assert_eq!((none.grace_period_seconds, none.orphan_dependents), (None, None));
    let all = read(meta::DeleteOptions {
        grace_period_seconds: Some(0),
        orphan_dependents: Some(false),
        propagation_policy: text("Foreground"),
        preconditions: Some(meta::Preconditions { uid: text("u"), resource_version: None }),
        dry_run: vec!["All".to_owned()],
        ..Default::default()
    });
    assert_eq!((all.grace_period_seconds, all.orphan_dependents), (Some(0), Some(false)));
    assert_eq!(all.preconditions.unwrap().uid, text("u"));
    assert_eq!((all.propagation_policy, all.dry_run), (text("Foreground"), Some(vec!["All".to_owned()])));
}

#[test]
fn a_message_in_pieces_is_put_together_and_of_a_value_the_last_counts() {
    let one = as_go_writes("batch/v1.Job", &json!({"metadata": {"name": "a", "labels": {"x": "1", "y": "2"}}}));
    let other = batch::Job {
        metadata: Some(meta::ObjectMeta { name: text("b"), ..Default::default() }),
        spec: Some(batch::JobSpec { suspend: Some(true), ..Default::default() }),
        ..Default::default()
    };
    let object = decoded(Kind::Job, [one, other.encode_to_vec()].concat()).object;
    let expected = json!({"metadata": {"name": "b", "labels": {"x": "1", "y": "2"}}, "spec": {"suspend": true}});
    assert_eq!(object, from_json(Kind::Job, expected));
}

#[test]
fn an_unknown_field_is_told_unless_it_says_nothing() {
    let mut spec = Vec::new();
    encoding::string::encode(99, &"new".to_owned(), &mut spec);
    encoding::int32::encode(98, &0, &mut spec);
    nested(97, &mut spec, |out| encoding::bool::encode(1, &false, out));
    let mut raw = Vec::new();
    encoding::bytes::encode(2, &spec, &mut raw);
    encoding::int64::encode(50, &7, &mut raw);
    let found = decoded(Kind::Job, raw);
    let complaints =
        ["unknown field with the protobuf number 99 in \"spec\"", "unknown field with the protobuf number 50"];
    assert_eq!(found.dropped, complaints);
    assert!(found.strict().is_ok(), "as at the API server, nobody is refused for it");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let object = |raw: &[u8]| sealed("batch/v1", "Job", raw.to_vec());
    let whole = object(&as_go_writes("batch/v1.Job", &job()));
    let unsealed = r#"the object provided is unrecognized (must be of type Job): invalid protobuf: "#;
    let sealed_text = r#"Job in version "v1" cannot be handled as a Job: "#;
    let magic = r#"it does not begin with the four bytes "k8s\0" of Kubernetes' protobuf"#;
    let encoded = [&whole[..], b"\x1a\x04gzip"].concat();
    let cases = [
        (Vec::new(), format!("{unsealed}{magic}")),
        (b"{}".to_vec(), format!("{unsealed}{magic}")),
        (MAGIC.to_vec(), format!("{unsealed}it holds no object")),
        (whole[..whole.len() / 2].to_vec(), format!("{unsealed}the body ends in the middle of a value")),
        (encoded, format!("{unsealed}contentEncoding is not supported")),
        (object(b"\x12\x02\x08"), format!("{sealed_text}invalid protobuf: the body ends in the middle of a value")),
        (object(b"\x12\x03\x0a\x01x"), format!("{sealed_text}spec.parallelism: invalid protobuf: must be a number")),
        (object(b"\x08\x01"), format!("{sealed_text}metadata: invalid protobuf: must have a length")),
        (object(b"\x0a\x03\x0a\x01\xff"), format!("{sealed_text}metadata.name: invalid protobuf: a text must be UTF-8")),
        (
            sealed("batch/v1", "CronJob", Vec::new()),
            r#"CronJob in version "v1" cannot be handled as a Job: no kind "CronJob" is registered for version "batch/v1""#
                .to_owned(),
        ),
        (
            sealed("batch/v2", "Job", Vec::new()),
            "the API version in the data (batch/v2) does not match the expected API version (batch/v1)".to_owned(),
        ),
    ];
    for (body, message) in cases {
        assert_eq!(refused(Kind::Job, &body), message);
    }
    let body = sealed("v1", "Pod", Vec::new());
    let other = Envelope::open(&body).unwrap().read("meta/v1.DeleteOptions");
    assert_eq!(other.unwrap_err().to_string(), r#"kind: must be DeleteOptions, found "Pod""#);
}

#[test]
fn a_body_has_a_bounded_number_of_values() {
    // Containers of no length, two bytes each, in the template of a Job.
    let wrap = |number: u32, inner: Vec<u8>| {
        let mut out = Vec::new();
        encoding::bytes::encode(number, &inner, &mut out);
        out
    };
    let containers = b"\x12\x00".repeat(MAX_VALUES + 1);
    let body = sealed("batch/v1", "Job", wrap(2, wrap(6, wrap(2, containers))));
    let message = refused(Kind::Job, &body);
    assert!(message.ends_with(&format!("invalid protobuf: more than {MAX_VALUES} values")), "{message}");
    let groups = wrap(14, wrap(4, vec![1; MAX_VALUES + 1]));
    let body = sealed("v1", "Pod", wrap(2, groups));
    let message = refused(Kind::Pod, &body);
    assert!(message.contains("more than"), "{message}");
}

/// Whatever the bytes, the answer is an object or a refusal.
fn tried(body: &[u8]) {
    for &kind in Kind::ALL {
        match decode::protobuf_body(kind, body) {
            Ok(_) | Err(ApiError::BadRequest(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    if let Ok(envelope) = Envelope::open(body) {
        let _ = envelope.read("meta/v1.DeleteOptions");
    }
}

#[test]
fn a_body_that_is_cut_anywhere_is_refused() {
    let whole = sealed("batch/v1", "Job", as_go_writes("batch/v1.Job", &job()));
    // The last four bytes are the empty contentEncoding and contentType.
    for length in 0..whole.len() - 4 {
        assert!(decode::protobuf_body(Kind::Job, &whole[..length]).is_err(), "{length} of {}", whole.len());
    }
    assert!(decode::protobuf_body(Kind::Job, &whole).is_ok());
}

proptest! {
    #[test]
    fn random_bytes_are_an_object_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        tried(&bytes);
        tried(&[MAGIC, &bytes].concat());
        tried(&sealed("", "", bytes));
    }

    #[test]
    fn a_damaged_object_is_an_object_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 1..8),
    ) {
        let mut raw = as_go_writes("batch/v1.Job", &job());
        for (at, byte, edit) in edits {
            let at = at.index(raw.len());
            match edit {
                0 => raw[at] = byte,
                1 => raw.insert(at, byte),
                _ => { raw.remove(at); }
            }
        }
        tried(&sealed("", "", raw));
    }
}
