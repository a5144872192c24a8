//! The kind table. To serve another kind, add a row here, then its defaults and validation in `api/admission.rs` and
//! its columns in `http/table`; every other layer is generic over [`Object`].

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, Resource};

use super::module::Module;

/// What the table says of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// `""` for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    /// Whether `/status` is a resource of its own, so that writes to the object leave its status alone.
    pub has_status: bool,
}

impl KindInfo {
    /// `v1` or `batch/v1`, as in an object's `apiVersion`.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `jobs.batch` or `pods`: how messages name the resource.
    pub fn qualified_resource(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `Job.batch` or `Pod`: how messages name the kind.
    pub fn qualified_kind(&self) -> String {
        match self.group {
            "" => self.kind.to_owned(),
            group => format!("{}.{group}", self.kind),
        }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident($ty:ty) = $plural:literal / $singular:literal
        { namespaced: $namespaced:literal, has_status: $status:literal,
          short_names: $short:expr, categories: $categories:expr $(,)? })*) => {
        /// A served kind; the discriminant indexes per-kind arrays.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name),* }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

            pub fn info(self) -> &'static KindInfo {
                const ROWS: &[KindInfo] = &[$(KindInfo {
                    group: <$ty as Resource>::GROUP,
                    version: <$ty as Resource>::VERSION,
                    kind: <$ty as Resource>::KIND,
                    plural: $plural,
                    singular: $singular,
                    short_names: $short,
                    categories: $categories,
                    namespaced: $namespaced,
                    has_status: $status,
                }),*];
                &ROWS[self as usize]
            }
        }

        /// A shared, immutable, decoded object of one of the served kinds. Cloning it clones a pointer.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Object { $($name(Arc<$ty>)),* }

        impl Object {
            pub fn kind(&self) -> Kind {
                match self { $(Object::$name(_) => Kind::$name),* }
            }

            pub fn meta(&self) -> &ObjectMeta {
                match self { $(Object::$name(o) => Metadata::metadata(o.as_ref())),* }
            }

            /// The metadata for writing; copies the object first if it is shared.
            pub fn meta_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Object::$name(o) => Metadata::metadata_mut(Arc::make_mut(o))),* }
            }

            /// The JSON of the object, with `apiVersion` and `kind`.
            pub fn to_json(&self) -> Vec<u8> {
                match self { $(Object::$name(o) => serde_json::to_vec(o.as_ref())),* }
                    .expect("Kubernetes types have string keys only and serialise without error")
            }

            pub fn to_value(&self) -> serde_json::Value {
                match self { $(Object::$name(o) => serde_json::to_value(o.as_ref())),* }
                    .expect("Kubernetes types have string keys only and serialise without error")
            }

            /// Decodes leniently: unknown fields are dropped. Strict decoding is in `api/decode.rs`.
            pub fn deserialize<'de, D: serde::Deserializer<'de>>(kind: Kind, from: D) -> Result<Object, D::Error> {
                Ok(match kind {
                    $(Kind::$name => Object::$name(Arc::new(<$ty as serde::Deserialize>::deserialize(from)?))),*
                })
            }

            pub fn from_json(kind: Kind, bytes: &[u8]) -> Result<Object, serde_json::Error> {
                Object::deserialize(kind, &mut serde_json::Deserializer::from_slice(bytes))
            }
        }

        $(impl From<$ty> for Object {
            fn from(object: $ty) -> Object { Object::$name(Arc::new(object)) }
        }
        impl From<Arc<$ty>> for Object {
            fn from(object: Arc<$ty>) -> Object { Object::$name(object) }
        })*
    };
}

kinds! {
    Namespace(Namespace) = "namespaces" / "namespace"
        { namespaced: false, has_status: true, short_names: &["ns"], categories: &[] }
    Node(Node) = "nodes" / "node"
        { namespaced: false, has_status: true, short_names: &["no"], categories: &[] }
    Pod(Pod) = "pods" / "pod"
        { namespaced: true, has_status: true, short_names: &["po"], categories: &["all"] }
    ConfigMap(ConfigMap) = "configmaps" / "configmap"
        { namespaced: true, has_status: false, short_names: &["cm"], categories: &[] }
    Secret(Secret) = "secrets" / "secret"
        { namespaced: true, has_status: false, short_names: &[], categories: &[] }
    Event(Event) = "events" / "event"
        { namespaced: true, has_status: false, short_names: &["ev"], categories: &[] }
    CronJob(CronJob) = "cronjobs" / "cronjob"
        { namespaced: true, has_status: true, short_names: &["cj"], categories: &["all"] }
    Job(Job) = "jobs" / "job"
        { namespaced: true, has_status: true, short_names: &[], categories: &["all"] }
    Lease(Lease) = "leases" / "lease"
        { namespaced: true, has_status: false, short_names: &[], categories: &[] }
    ServiceAccount(ServiceAccount) = "serviceaccounts" / "serviceaccount"
        { namespaced: true, has_status: false, short_names: &["sa"], categories: &[] }
    Module(Module) = "modules" / "module"
        { namespaced: false, has_status: false, short_names: &["mod"], categories: &[] }
}

impl Kind {
    /// The kind with this `apiVersion` and `kind`, if it is served.
    pub fn from_gvk(api_version: &str, kind: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|k| k.info().kind == kind && k.info().api_version() == api_version)
    }

    /// The kind at `/apis/GROUP/VERSION/…/PLURAL` (group `""` for `/api/v1`), if it is served.
    pub fn from_resource(group: &str, version: &str, plural: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|k| {
            let info = k.info();
            info.group == group && info.version == version && info.plural == plural
        })
    }
}

impl Object {
    pub fn key(&self) -> Key {
        let meta = self.meta();
        Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
    }

    /// The revision at which this version was committed; 0 for an object that never was.
    pub fn revision(&self) -> u64 {
        self.meta().resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    pub fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }

    pub fn as_cron_job(&self) -> Option<&Arc<CronJob>> {
        match self {
            Object::CronJob(cron_job) => Some(cron_job),
            _ => None,
        }
    }

    pub fn as_job(&self) -> Option<&Arc<Job>> {
        match self {
            Object::Job(job) => Some(job),
            _ => None,
        }
    }

    pub fn as_pod(&self) -> Option<&Arc<Pod>> {
        match self {
            Object::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    pub fn as_module(&self) -> Option<&Arc<Module>> {
        match self {
            Object::Module(module) => Some(module),
            _ => None,
        }
    }

    pub fn as_node(&self) -> Option<&Arc<Node>> {
        match self {
            Object::Node(node) => Some(node),
            _ => None,
        }
    }
}

/// Where an object of a kind stands: namespace (empty for cluster-wide kinds) and name. Orders by namespace first, so
/// that a namespace is a range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Key {
        Key { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_resource_and_by_its_gvk() {
        for &kind in Kind::ALL {
            let info = kind.info();
            assert_eq!(Kind::from_resource(info.group, info.version, info.plural), Some(kind));
            assert_eq!(Kind::from_gvk(&info.api_version(), info.kind), Some(kind));
        }
        assert_eq!(Kind::Job.info().qualified_resource(), "jobs.batch");
        assert_eq!(Kind::Pod.info().qualified_kind(), "Pod");
    }

    #[test]
    fn an_object_survives_its_json() {
        let json = br#"{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a","namespace":"b"}}"#;
        let job = Object::from_json(Kind::Job, json).unwrap();
        assert_eq!(job.key(), Key::new("b", "a"));
        assert_eq!(Object::from_json(Kind::Job, &job.to_json()).unwrap(), job);
    }
}
