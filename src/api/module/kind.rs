//! The type, its JSON and its schema. The descriptions are what `kubectl explain modules` prints.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::{ClusterResourceScope, Metadata, Resource};
use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// Of everything that kiln adds to Kubernetes.
pub const GROUP: &str = "kiln.dev";

/// What `status.kind` says.
pub const COMMAND: &str = "Command";
pub const COMPONENT: &str = "Component";
pub const ARTIFACT: &str = "Artifact";

/// What `status.from` says.
pub const PUSHED: &str = "push";
pub const PULLED: &str = "registry";

// The JSON and the schema are those of `Wire`, but for this description.
/// A WebAssembly module under a name and a tag, as the image field of a container means it. Modules are uploaded with
/// `kiln push`, `curl -T` or a client of OCI registries, never created here; they can be labelled and deleted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(from = "Wire")]
#[schemars(rename = "dev.kiln.v1.Module")]
pub struct Module {
    pub metadata: ObjectMeta,
    pub spec: Option<ModuleSpec>,
    pub status: Option<ModuleStatus>,
}

/// ModuleSpec is a name, a tag, and what they mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(rename = "dev.kiln.v1.ModuleSpec")]
pub struct ModuleSpec {
    /// The name, as an image field has it before the tag, with the registry's host if there is one: `pi`, `tools/pi`,
    /// `ghcr.io/example/pi`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The tag, `latest` unless another was given. Tags move: the next push under it changes the digest here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// The digest of the module's bytes, which is what a container's `status.imageID` says when it runs them. Absent if what
    /// was pushed is no module.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub digest: Option<String>,
    /// The digest of the OCI manifest by which registries' clients pull the module from kiln.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub manifest: Option<String>,
}

/// ModuleStatus is what is known of a module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(rename = "dev.kiln.v1.ModuleStatus")]
pub struct ModuleStatus {
    /// `Command`: a core module of WASI 0.1 with a main function. `Component`: a component of WASI 0.2 that exports
    /// `wasi:cli/run`. `Artifact`: something that is no module, and that kiln keeps for the clients of registries.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub kind: Option<String>,
    /// Bytes of the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub size: Option<i64>,
    /// When the name and tag were last given a meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub pushed: Option<Time>,
    /// How the module got in: `push`, or `registry` if kiln pulled it from another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub from: Option<String>,
    /// How long its compilation took, in seconds: `0.123`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub compile_seconds: Option<String>,
    /// What it imports: `wasi_snapshot_preview1 fd_write`, `wasi:cli/environment@0.2.0`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<String>,
    /// What it exports: `_start`, `wasi:cli/run@0.2.0`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<String>,
    /// By what it was made, as it says itself (its `producers` section): languages, compilers, SDKs, each with its versions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub producers: BTreeMap<String, Vec<String>>,
}

/// As it is sent and stored.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
struct Wire {
    /// APIVersion defines the versioned schema of this representation of an object.
    #[schemars(with = "String")]
    #[serde(rename = "apiVersion", skip_serializing_if = "Option::is_none")]
    _api_version: Option<String>,
    /// Kind is a string value representing the REST resource this object represents.
    #[schemars(with = "String")]
    #[serde(rename = "kind", skip_serializing_if = "Option::is_none")]
    _kind: Option<String>,
    /// Standard object's metadata. The name follows from the module's name and tag: it is the former where the tag is
    /// `latest` and the name is one that an object can have, and else both with a part of a hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ObjectMeta")]
    metadata: Option<ObjectMeta>,
    /// Which name and tag, and what they mean. Written by kiln.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ModuleSpec")]
    spec: Option<ModuleSpec>,
    /// What is known of the module. Written by kiln.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ModuleStatus")]
    status: Option<ModuleStatus>,
}

impl From<Wire> for Module {
    fn from(wire: Wire) -> Module {
        Module { metadata: wire.metadata.unwrap_or_default(), spec: wire.spec, status: wire.status }
    }
}

impl Serialize for Module {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Module", 5)?;
        object.serialize_field("apiVersion", Module::API_VERSION)?;
        object.serialize_field("kind", Module::KIND)?;
        object.serialize_field("metadata", &self.metadata)?;
        if let Some(spec) = &self.spec {
            object.serialize_field("spec", spec)?;
        }
        if let Some(status) = &self.status {
            object.serialize_field("status", status)?;
        }
        object.end()
    }
}

impl Resource for Module {
    const API_VERSION: &'static str = "kiln.dev/v1";
    const GROUP: &'static str = GROUP;
    const KIND: &'static str = "Module";
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = "modules";
    type Scope = ClusterResourceScope;
}

impl Metadata for Module {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::decode::json_body;
    use crate::api::{Kind, Object};

    #[test]
    fn a_module_survives_its_json() {
        let value = json!({"apiVersion": "kiln.dev/v1", "kind": "Module", "metadata": {"name": "pi"},
            "spec": {"name": "pi", "tag": "latest", "digest": "sha256:00"},
            "status": {"kind": "Command", "size": 3, "pushed": "2026-01-02T03:04:05Z", "from": "push",
                "compileSeconds": "0.123", "imports": ["a b"], "exports": ["_start"], "producers": {"language": ["C"]}}});
        let module = Object::deserialize(Kind::Module, value.clone()).unwrap();
        assert_eq!(module.to_value(), value);
        let bare = Object::deserialize(Kind::Module, json!({"spec": null})).unwrap();
        assert_eq!(bare.to_value(), json!({"apiVersion": "kiln.dev/v1", "kind": "Module", "metadata": {}}));
    }

    #[test]
    fn an_unknown_field_is_told_with_its_path() {
        let body = br#"{"apiVersion":"kiln.dev/v1","kind":"Module","spec":{"nome":"x"},"extra":1}"#;
        let unknown = json_body(Kind::Module, body).unwrap().unknown;
        assert_eq!(unknown, ["unknown field \"spec.nome\"", "unknown field \"extra\""]);
        let wrong = json_body(Kind::Module, br#"{"status":{"size":"x"}}"#).unwrap_err().to_string();
        assert!(wrong.contains("status.size: must be a"), "{wrong}");
    }
}
