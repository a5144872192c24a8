//! Which lists a strategic merge patch merges, and by which key: the `patchStrategy` and `patchMergeKey` tags of the
//! Kubernetes types (release 1.37). Only fields that merge, or lead to such fields, are listed: an object that is not
//! listed is merged field by field, a list that is not listed is replaced.

use crate::api::Kind;

/// The fields of one type that need a word.
#[derive(Debug)]
pub struct Schema(&'static [(&'static str, Field)]);

#[derive(Clone, Copy, Debug)]
pub enum Field {
    Object(&'static Schema),
    /// A list of objects that are merged where their `key` is the same.
    Keyed {
        key: &'static str,
        item: &'static Schema,
    },
    /// A list of plain values that is merged as a set.
    Set,
}

impl Schema {
    /// The fields that need a word, by name.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Field)> {
        self.0.iter().copied()
    }

    pub(super) fn field(&self, name: &str) -> Option<Field> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, field)| *field)
    }

    /// The schema of a field that is an object.
    pub(super) fn object(&self, name: &str) -> &'static Schema {
        match self.field(name) {
            Some(Field::Object(schema)) => schema,
            _ => &PLAIN,
        }
    }
}

pub fn of(kind: Kind) -> &'static Schema {
    match kind {
        Kind::CronJob => &CRON_JOB,
        Kind::Job => &JOB,
        Kind::Pod => &POD,
        Kind::Node => &NODE,
        Kind::Namespace => &NAMESPACE,
        Kind::ServiceAccount => &SERVICE_ACCOUNT,
        Kind::ConfigMap | Kind::Secret | Kind::Event | Kind::Lease | Kind::Module => &METADATA_ONLY,
    }
}

const fn by(key: &'static str) -> Field {
    Field::Keyed { key, item: &PLAIN }
}

static PLAIN: Schema = Schema(&[]);

static META: Schema = Schema(&[("ownerReferences", by("uid")), ("finalizers", Field::Set)]);

/// Of a kind in which nothing but the metadata has such lists.
pub static METADATA_ONLY: Schema = Schema(&[("metadata", Field::Object(&META))]);

static CONDITIONS: Schema = Schema(&[("conditions", by("type"))]);

static NAMESPACE: Schema = Schema(&[("metadata", Field::Object(&META)), ("status", Field::Object(&CONDITIONS))]);

static SERVICE_ACCOUNT: Schema = Schema(&[("metadata", Field::Object(&META)), ("secrets", by("name"))]);

static CRON_JOB: Schema = Schema(&[("metadata", Field::Object(&META)), ("spec", Field::Object(&CRON_JOB_SPEC))]);

static CRON_JOB_SPEC: Schema = Schema(&[("jobTemplate", Field::Object(&JOB_TEMPLATE))]);

static JOB_TEMPLATE: Schema = Schema(&[("metadata", Field::Object(&META)), ("spec", Field::Object(&JOB_SPEC))]);

static JOB: Schema = Schema(&[
    ("metadata", Field::Object(&META)),
    ("spec", Field::Object(&JOB_SPEC)),
    ("status", Field::Object(&CONDITIONS)),
]);

static JOB_SPEC: Schema = Schema(&[("template", Field::Object(&POD_TEMPLATE))]);

static POD_TEMPLATE: Schema = Schema(&[("metadata", Field::Object(&META)), ("spec", Field::Object(&POD_SPEC))]);

static POD: Schema = Schema(&[
    ("metadata", Field::Object(&META)),
    ("spec", Field::Object(&POD_SPEC)),
    ("status", Field::Object(&POD_STATUS)),
]);

static POD_SPEC: Schema = Schema(&[
    ("containers", Field::Keyed { key: "name", item: &CONTAINER }),
    ("initContainers", Field::Keyed { key: "name", item: &CONTAINER }),
    ("ephemeralContainers", Field::Keyed { key: "name", item: &CONTAINER }),
    ("volumes", Field::Keyed { key: "name", item: &VOLUME }),
    ("imagePullSecrets", by("name")),
    ("hostAliases", by("ip")),
    ("topologySpreadConstraints", by("topologyKey")),
    ("resourceClaims", by("name")),
    ("schedulingGates", by("name")),
]);

static CONTAINER: Schema = Schema(&[
    ("env", by("name")),
    ("ports", by("containerPort")),
    ("volumeMounts", by("mountPath")),
    ("volumeDevices", by("devicePath")),
]);

static VOLUME: Schema = Schema(&[("ephemeral", Field::Object(&EPHEMERAL))]);

static EPHEMERAL: Schema = Schema(&[("volumeClaimTemplate", Field::Object(&METADATA_ONLY))]);

static POD_STATUS: Schema = Schema(&[
    ("conditions", by("type")),
    ("podIPs", by("ip")),
    ("hostIPs", by("ip")),
    ("resourceClaimStatuses", by("name")),
]);

static NODE: Schema = Schema(&[
    ("metadata", Field::Object(&META)),
    ("spec", Field::Object(&NODE_SPEC)),
    ("status", Field::Object(&NODE_STATUS)),
]);

static NODE_SPEC: Schema = Schema(&[("podCIDRs", Field::Set)]);

static NODE_STATUS: Schema = Schema(&[("conditions", by("type")), ("addresses", by("type"))]);
