//! Objects as rows of a table: what `kubectl get` prints (`Accept: application/json;as=Table;v=v1;g=meta.k8s.io`).
//!
//! One file per kind says which columns it has and what stands in them. Here a Table is put together in pieces
//! ([`head`], a [`row`] per object, [`TAIL`]), so that a list of many objects never is one tree in memory.
//! Everything follows Kubernetes' own printers (`pkg/printers/internalversion`, release 1.31 and later).

mod column;
mod config_map;
mod cron_job;
mod event;
mod job;
mod lease;
mod module;
mod namespace;
mod node;
mod pod;
mod secret;
mod service_account;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

pub use column::Column;

use crate::api::error::ApiError;
use crate::api::{Kind, Object, Served, age};

/// How much of each object a row carries (`?includeObject=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IncludeObject {
    None,
    /// A PartialObjectMetadata, which kubectl needs for namespaces, labels and name prefixes.
    #[default]
    Metadata,
    Object,
    /// The object, an Event, as `events.k8s.io/v1` shows it.
    EventsV1,
}

impl IncludeObject {
    pub fn parse(text: Option<&str>) -> Result<IncludeObject, ApiError> {
        match text {
            None | Some("" | "Metadata") => Ok(IncludeObject::Metadata),
            Some("None") => Ok(IncludeObject::None),
            Some("Object") => Ok(IncludeObject::Object),
            Some(other) => Err(ApiError::BadRequest(format!("unrecognized includeObject value: {other:?}"))),
        }
    }
}

/// The metadata of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMeta {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource_version: String,
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    pub continue_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_item_count: Option<i64>,
}

/// The columns of a kind, in order.
pub fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Namespace => namespace::COLUMNS,
        Kind::Node => node::COLUMNS,
        Kind::Pod => pod::COLUMNS,
        Kind::ConfigMap => config_map::COLUMNS,
        Kind::Secret => secret::COLUMNS,
        Kind::Event => event::COLUMNS,
        Kind::CronJob => cron_job::COLUMNS,
        Kind::Job => job::COLUMNS,
        Kind::Lease => lease::COLUMNS,
        Kind::Module => module::COLUMNS,
        Kind::ServiceAccount => service_account::COLUMNS,
    }
}

/// What stands in each column of [`columns`] for this object.
pub fn cells(object: &Object, now: Timestamp) -> Vec<Value> {
    match object {
        Object::Namespace(o) => namespace::cells(o, now),
        Object::Node(o) => node::cells(o, now),
        Object::Pod(o) => pod::cells(o, now),
        Object::ConfigMap(o) => config_map::cells(o, now),
        Object::Secret(o) => secret::cells(o, now),
        Object::Event(o) => event::cells(o, now),
        Object::CronJob(o) => cron_job::cells(o, now),
        Object::Job(o) => job::cells(o, now),
        Object::Lease(o) => lease::cells(o, now),
        Object::Module(o) => module::cells(o, now),
        Object::ServiceAccount(o) => service_account::cells(o, now),
    }
}

/// The Table up to its first row. Watches may leave the columns out of every Table but their first.
pub fn head(kind: Kind, meta: &ListMeta, with_columns: bool) -> Vec<u8> {
    let mut out = br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":"#.to_vec();
    push_json(&mut out, meta);
    out.extend_from_slice(br#","columnDefinitions":"#);
    push_json(&mut out, if with_columns { columns(kind) } else { &[] });
    out.extend_from_slice(br#","rows":["#);
    out
}

/// What follows the last row.
pub const TAIL: &[u8] = b"]}";

/// One row. Rows are separated by a comma.
pub fn row(object: &Object, include: IncludeObject, now: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(br#"{"cells":"#);
    push_json(&mut out, &cells(object, now));
    if let Some(conditions) = object.as_pod().and_then(|pod| pod::row_conditions(pod)) {
        out.extend_from_slice(br#","conditions":"#);
        push_json(&mut out, &conditions);
    }
    out.extend_from_slice(br#","object":"#);
    match include {
        IncludeObject::None => out.extend_from_slice(b"null"),
        IncludeObject::Object => out.extend_from_slice(&object.to_json()),
        IncludeObject::EventsV1 => out.extend_from_slice(&Served::EventsV1.to_json(object)),
        IncludeObject::Metadata => {
            out.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#);
            push_json(&mut out, object.meta());
            out.push(b'}');
        }
    }
    out.push(b'}');
    out
}

/// A whole Table, for lists that are short.
pub fn list<'a>(
    kind: Kind,
    meta: &ListMeta,
    objects: impl IntoIterator<Item = &'a Object>,
    include: IncludeObject,
    now: Timestamp,
) -> Vec<u8> {
    let mut out = head(kind, meta, true);
    for (i, object) in objects.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&row(object, include, now));
    }
    out.extend_from_slice(TAIL);
    out
}

/// The Table of one object: the answer to `get NAME`, and the object of a watch event.
pub fn single(object: &Object, include: IncludeObject, now: Timestamp, with_columns: bool) -> Vec<u8> {
    let resource_version = object.meta().resource_version.clone().unwrap_or_default();
    let mut out = head(object.kind(), &ListMeta { resource_version, ..ListMeta::default() }, with_columns);
    out.extend_from_slice(&row(object, include, now));
    out.extend_from_slice(TAIL);
    out
}

fn push_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(out, value)
        .expect("columns, cells and metadata have string keys only, and a Vec takes every byte");
}

fn name_of(meta: &ObjectMeta) -> Value {
    meta.name.as_deref().unwrap_or_default().into()
}

fn age_of(meta: &ObjectMeta, now: Timestamp) -> Value {
    age::since(meta.creation_timestamp.as_ref().map(|t| t.0), now).into()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::SignedDuration;
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-01-02T03:04:05Z";

    /// The instant `seconds` from [`NOW`], as objects hold it.
    pub(super) fn now(seconds: i64) -> String {
        (NOW.parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)).to_string()
    }

    fn object(kind: Kind, value: Value) -> Object {
        Object::deserialize(kind, value).unwrap()
    }

    pub(super) fn cells_of(kind: Kind, value: Value) -> Value {
        Value::Array(cells(&object(kind, value), NOW.parse().unwrap()))
    }

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn every_kind_fills_its_columns_even_from_nothing() {
        for &kind in Kind::ALL {
            let cells = cells(&object(kind, json!({})), NOW.parse().unwrap());
            assert_eq!(cells.len(), columns(kind).len(), "{kind:?}");
            assert_eq!(columns(kind).iter().filter(|c| c.format == "name").count(), 1, "{kind:?}");
            assert!(cells.iter().all(|c| c.is_string() || c.is_number()), "{kind:?}: {cells:?}");
        }
    }

    #[test]
    fn a_list_is_a_table_with_metadata_of_each_object() {
        let pod = |name: &str, phase: &str| {
            object(Kind::Pod, json!({"metadata": {"name": name, "labels": {"a": "b"}}, "status": {"phase": phase}}))
        };
        let pods = [pod("x", "Running"), pod("y", "Succeeded")];
        let meta = ListMeta {
            resource_version: "7".to_owned(),
            continue_token: Some("more".to_owned()),
            remaining_item_count: Some(3),
        };
        let table = parsed(&list(Kind::Pod, &meta, &pods, IncludeObject::Metadata, NOW.parse().unwrap()));
        assert_eq!(table["kind"], "Table");
        assert_eq!(table["apiVersion"], "meta.k8s.io/v1");
        assert_eq!(table["metadata"], json!({"resourceVersion": "7", "continue": "more", "remainingItemCount": 3}));
        assert_eq!(
            table["columnDefinitions"][1],
            json!({"name": "Ready", "type": "string", "format": "",
                "description": "The aggregate readiness state of this pod for accepting traffic.", "priority": 0})
        );
        let object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "x", "labels": {"a": "b"}}});
        assert_eq!(table["rows"][0]["object"], object);
        assert_eq!(table["rows"][0].get("conditions"), None);
        assert_eq!(table["rows"][1]["conditions"][0]["type"], "Completed");
        assert_eq!(table["rows"][1]["conditions"][0]["reason"], "Succeeded");
    }

    #[test]
    fn an_empty_list_is_a_table_without_rows() {
        let table = parsed(&list(Kind::Job, &ListMeta::default(), [], IncludeObject::Metadata, NOW.parse().unwrap()));
        assert_eq!((&table["rows"], &table["metadata"]), (&json!([]), &json!({})));
    }

    #[test]
    fn one_object_carries_its_version_and_as_much_of_itself_as_asked() {
        let job =
            object(Kind::Job, json!({"metadata": {"name": "j", "resourceVersion": "9"}, "spec": {"completions": 2}}));
        let table = |include, with_columns| parsed(&single(&job, include, NOW.parse().unwrap(), with_columns));
        let full = table(IncludeObject::Object, true);
        assert_eq!(full["metadata"]["resourceVersion"], "9");
        assert_eq!(full["rows"][0]["object"]["spec"]["completions"], 2);
        assert_eq!(full["rows"][0]["object"]["kind"], "Job");
        let bare = table(IncludeObject::None, false);
        assert_eq!(bare["rows"][0]["object"], Value::Null);
        assert_eq!(bare["columnDefinitions"], json!([]));
    }

    #[test]
    fn only_three_answers_to_how_much_of_the_object() {
        assert_eq!(IncludeObject::parse(None), Ok(IncludeObject::Metadata));
        assert_eq!(IncludeObject::parse(Some("Object")), Ok(IncludeObject::Object));
        assert!(IncludeObject::parse(Some("All")).is_err());
    }
}
