//! How the fields of each kind are owned: one by one, as a whole, or by the keys of their elements.
//!
//! The rules are the tags `+listType`, `+listMapKey` and `+mapType` of the types in k8s.io/api (the same as the schema
//! in client-go `applyconfigurations/internal/internal.go`, read at 1.31; the fields of later releases up to 1.37 by
//! what k8s-openapi makes of them). They are not those of a strategic merge patch, which [`patch::schema`] has: the
//! conditions of a Job are merged there, and are one value here.
//!
//! Only what differs from the rule is listed. An object that is not listed is owned field by field, a list as a whole.
//!
//! [`patch::schema`]: crate::api::patch::schema

use serde_json::Value;

use super::step::{Scalar, Step};
use crate::api::Kind;

/// How the parts of a value are owned.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// An object with named fields, each owned by itself; those that are not listed are [`PLAIN`]. Any other value is
    /// owned as a whole.
    Struct(&'static [(&'static str, Type)]),
    /// An object whose keys are data, such as labels; each is owned by itself, as a whole.
    Map,
    /// Owned as a whole.
    Atomic,
    /// A list of objects, each known by the values of its `keys`.
    Keyed { keys: &'static [Key], item: &'static Type },
    /// A list of plain values, each owned by itself.
    Set,
}

/// A key of a list's elements, and the JSON of what it is where it is absent.
pub type Key = (&'static str, &'static str);

/// What nothing is said about.
pub const PLAIN: Type = Type::Struct(&[]);

impl Type {
    pub fn of(kind: Kind) -> Type {
        match kind {
            Kind::CronJob => CRON_JOB,
            Kind::Job => JOB,
            Kind::Pod => POD,
            Kind::Node => NODE,
            Kind::Namespace => NAMESPACE,
            Kind::ConfigMap => CONFIG_MAP,
            Kind::Secret => SECRET,
            Kind::Event => EVENT,
            Kind::ServiceAccount => SERVICE_ACCOUNT,
            Kind::Lease => Type::Struct(&[("metadata", META)]),
            Kind::Module => MODULE,
        }
    }

    /// Whether the members of its objects are fields, and not keys of a map.
    pub fn is_struct(self) -> bool {
        matches!(self, Type::Struct(_))
    }

    /// The type of a field or of a map's value.
    pub fn field(self, name: &str) -> Type {
        match self {
            Type::Struct(fields) => fields.iter().find(|(field, _)| *field == name).map_or(PLAIN, |(_, ty)| *ty),
            _ => Type::Atomic,
        }
    }

    /// The type of a list's elements.
    pub fn item(self) -> Type {
        match self {
            Type::Keyed { item, .. } => *item,
            _ => Type::Atomic,
        }
    }

    /// The type one step further.
    pub fn at(self, step: &Step) -> Type {
        match step {
            Step::Field(name) => self.field(name),
            Step::Keys(_) | Step::Item(_) | Step::Index(_) => self.item(),
        }
    }

    /// How an element of a list of this type is known; `None` if it cannot be.
    pub fn step_to(self, element: &Value) -> Option<Step> {
        match (self, element) {
            (Type::Set, value) => Scalar::of(value).map(Step::Item),
            (Type::Keyed { keys, .. }, Value::Object(object)) => {
                let key = |(name, default): &Key| {
                    let value = match object.get(*name) {
                        Some(value) if !value.is_null() => Scalar::of(value)?,
                        _ => Scalar::of(&serde_json::from_str(default).ok()?)?,
                    };
                    Some(((*name).to_owned(), value))
                };
                let mut keys = keys.iter().map(key).collect::<Option<Vec<_>>>()?;
                keys.sort_unstable();
                Some(Step::Keys(keys))
            }
            _ => None,
        }
    }
}

const EMPTY: &str = "\"\"";

const fn by(keys: &'static [Key]) -> Type {
    Type::Keyed { keys, item: &PLAIN }
}

const BY_NAME: Type = by(&[("name", EMPTY)]);
const BY_TYPE: Type = by(&[("type", EMPTY)]);
const BY_IP: Type = by(&[("ip", EMPTY)]);

const META: Type = Type::Struct(&[
    ("annotations", Type::Map),
    ("finalizers", Type::Set),
    ("labels", Type::Map),
    ("ownerReferences", Type::Keyed { keys: &[("uid", EMPTY)], item: &Type::Atomic }),
]);

const CONFIG_MAP: Type = Type::Struct(&[("metadata", META), ("data", Type::Map), ("binaryData", Type::Map)]);

const SECRET: Type = Type::Struct(&[("metadata", META), ("data", Type::Map), ("stringData", Type::Map)]);

const SERVICE_ACCOUNT: Type =
    Type::Struct(&[("metadata", META), ("secrets", Type::Keyed { keys: &[("name", EMPTY)], item: &Type::Atomic })]);

const EVENT: Type = Type::Struct(&[("metadata", META), ("involvedObject", Type::Atomic), ("related", Type::Atomic)]);

const NAMESPACE: Type = Type::Struct(&[("metadata", META), ("status", Type::Struct(&[("conditions", BY_TYPE)]))]);

const MODULE: Type = Type::Struct(&[("metadata", META), ("status", Type::Struct(&[("producers", Type::Map)]))]);

const NODE: Type = Type::Struct(&[
    ("metadata", META),
    ("spec", Type::Struct(&[("podCIDRs", Type::Set)])),
    (
        "status",
        Type::Struct(&[
            ("addresses", BY_TYPE),
            ("allocatable", Type::Map),
            ("capacity", Type::Map),
            ("conditions", BY_TYPE),
        ]),
    ),
]);

const CRON_JOB: Type = Type::Struct(&[
    ("metadata", META),
    ("spec", Type::Struct(&[("jobTemplate", Type::Struct(&[("metadata", META), ("spec", JOB_SPEC)]))])),
]);

const JOB: Type = Type::Struct(&[
    ("metadata", META),
    ("spec", JOB_SPEC),
    (
        "status",
        Type::Struct(&[("uncountedTerminatedPods", Type::Struct(&[("failed", Type::Set), ("succeeded", Type::Set)]))]),
    ),
]);

const JOB_SPEC: Type =
    Type::Struct(&[("selector", Type::Atomic), ("template", Type::Struct(&[("metadata", META), ("spec", POD_SPEC)]))]);

const POD: Type = Type::Struct(&[
    ("metadata", META),
    ("spec", POD_SPEC),
    (
        "status",
        Type::Struct(&[
            ("allocatedResources", Type::Map),
            ("conditions", BY_TYPE),
            ("podIPs", BY_IP),
            ("resourceClaimStatuses", BY_NAME),
            ("resources", RESOURCES),
        ]),
    ),
]);

const POD_SPEC: Type = Type::Struct(&[
    ("affinity", AFFINITY),
    ("containers", CONTAINERS),
    ("ephemeralContainers", CONTAINERS),
    ("hostAliases", BY_IP),
    ("imagePullSecrets", Type::Keyed { keys: &[("name", EMPTY)], item: &Type::Atomic }),
    ("initContainers", CONTAINERS),
    ("nodeSelector", Type::Atomic),
    ("overhead", Type::Map),
    ("resourceClaims", BY_NAME),
    ("resources", RESOURCES),
    ("schedulingGates", BY_NAME),
    (
        "topologySpreadConstraints",
        Type::Keyed {
            keys: &[("topologyKey", EMPTY), ("whenUnsatisfiable", EMPTY)],
            item: &Type::Struct(&[("labelSelector", Type::Atomic)]),
        },
    ),
    ("volumes", Type::Keyed { keys: &[("name", EMPTY)], item: &VOLUME }),
]);

/// The terms of pod affinity are lists that are owned as a whole.
const AFFINITY: Type = Type::Struct(&[(
    "nodeAffinity",
    Type::Struct(&[("requiredDuringSchedulingIgnoredDuringExecution", Type::Atomic)]),
)]);

const CONTAINERS: Type = Type::Keyed { keys: &[("name", EMPTY)], item: &CONTAINER };

const CONTAINER: Type = Type::Struct(&[
    ("env", Type::Keyed { keys: &[("name", EMPTY)], item: &ENV }),
    ("ports", by(&[("containerPort", "0"), ("protocol", "\"TCP\"")])),
    ("resources", RESOURCES),
    ("volumeDevices", by(&[("devicePath", EMPTY)])),
    (
        "volumeMounts",
        Type::Keyed { keys: &[("mountPath", EMPTY)], item: &Type::Struct(&[("bindMountOptions", Type::Set)]) },
    ),
]);

/// The references to what the value comes from are atomic types.
const ENV: Type = Type::Struct(&[(
    "valueFrom",
    Type::Struct(&[
        ("configMapKeyRef", Type::Atomic),
        ("fieldRef", Type::Atomic),
        ("fileKeyRef", Type::Atomic),
        ("resourceFieldRef", Type::Atomic),
        ("secretKeyRef", Type::Atomic),
    ]),
)]);

const RESOURCES: Type = Type::Struct(&[("claims", BY_NAME), ("limits", Type::Map), ("requests", Type::Map)]);

/// `LocalObjectReference` is an atomic type.
const SECRET_REF: Type = Type::Struct(&[("secretRef", Type::Atomic)]);

const VOLUME: Type = Type::Struct(&[
    ("cephfs", SECRET_REF),
    ("cinder", SECRET_REF),
    ("csi", Type::Struct(&[("nodePublishSecretRef", Type::Atomic), ("volumeAttributes", Type::Map)])),
    ("ephemeral", Type::Struct(&[("volumeClaimTemplate", Type::Struct(&[("metadata", META), ("spec", CLAIM)]))])),
    ("flexVolume", Type::Struct(&[("options", Type::Map), ("secretRef", Type::Atomic)])),
    ("iscsi", SECRET_REF),
    ("rbd", SECRET_REF),
    ("scaleIO", SECRET_REF),
    ("storageos", SECRET_REF),
]);

const CLAIM: Type =
    Type::Struct(&[("dataSource", Type::Atomic), ("resources", CLAIM_RESOURCES), ("selector", Type::Atomic)]);

const CLAIM_RESOURCES: Type = Type::Struct(&[("limits", Type::Map), ("requests", Type::Map)]);

#[cfg(test)]
#[path = "schema_test.rs"]
mod tests;
