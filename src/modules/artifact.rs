//! A module as clients of registries see it: a manifest, which names a config and the module's bytes as its one layer.
//!
//! Both follow from the module alone, byte for byte, so that the same module has one manifest however often and under
//! however many names it is pushed. Layout: the CNCF's "Wasm OCI Artifact" and OCI's image-spec 1.1.

use serde_json::json;

use super::describe::Description;
use super::digest::Digest;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub const LAYER: &str = "application/wasm";

/// The two documents, as bytes of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
}

/// Of a module with this digest and so many bytes.
pub fn artifact(digest: Digest, size: u64, description: &Description) -> Artifact {
    let os = if description.is_component { "wasip2" } else { "wasip1" };
    let mut config = json!({
        // Another time would be another manifest of the same module.
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": os,
        "layerDigests": [digest.to_string()],
    });
    if description.is_component {
        config["component"] = json!({ "exports": description.exports, "imports": description.imports });
    }
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": Digest::of(&config).to_string(), "size": config.len() },
        "layers": [{ "mediaType": LAYER, "digest": digest.to_string(), "size": size }],
    });
    Artifact { manifest: manifest.to_string().into_bytes(), config }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_same_module_has_one_manifest_and_it_leads_to_the_rest() {
        let digest = Digest::of(b"module");
        let core = Description { imports: vec!["a b".to_owned()], ..Description::default() };
        let found = artifact(digest, 6, &core);
        assert_eq!(found, artifact(digest, 6, &core));
        let manifest: Value = serde_json::from_slice(&found.manifest).unwrap();
        assert_eq!(manifest["config"]["digest"], Digest::of(&found.config).to_string());
        assert_eq!(manifest["config"]["size"], found.config.len());
        assert_eq!(manifest["layers"][0], json!({"mediaType": LAYER, "digest": digest.to_string(), "size": 6}));
        let config: Value = serde_json::from_slice(&found.config).unwrap();
        assert_eq!((&config["os"], config.get("component")), (&json!("wasip1"), None));
    }

    #[test]
    fn a_component_says_what_it_needs() {
        let description = Description {
            is_component: true,
            imports: vec!["wasi:cli/environment@0.2.0".to_owned()],
            exports: vec!["wasi:cli/run@0.2.0".to_owned()],
            ..Description::default()
        };
        let found = artifact(Digest::of(b"m"), 1, &description);
        let config: Value = serde_json::from_slice(&found.config).unwrap();
        assert_eq!(config["os"], "wasip2");
        assert_eq!(config["component"]["imports"], json!(["wasi:cli/environment@0.2.0"]));
        assert_eq!(config["layerDigests"], json!([Digest::of(b"m").to_string()]));
    }
}
