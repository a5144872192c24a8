//! What an OCI manifest describes: a module, a list of manifests, or something that cannot be run.
//!
//! A module is an artifact with one layer, and that of a media type of WebAssembly. The CNCF's working group
//! (tag-runtime.cncf.io, "Wasm OCI Artifact layout") says `application/wasm` under a config of the type
//! `application/vnd.wasm.config.v0+json`; older tools write other types (`application/vnd.wasm.content.layer.v1+wasm`), and
//! `oras push` an empty config. So the layer decides and the config does not: whether its bytes are a module that can run
//! is found out when they are compiled.

use serde::Deserialize;

use super::digest::{Digest, DigestError};

/// Bytes of a manifest, at most, as the distribution specification recommends.
pub const MAX_MANIFEST: u64 = 4 << 20;

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// All that is understood, in the words of an `Accept` header.
pub const ACCEPTED: [&str; 4] = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST];

const LAYER: &str = "application/wasm";

/// Why there is no module in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoModule {
    #[error("the manifest is not JSON as it should be: {0}")]
    Malformed(String),
    #[error("the manifest is of version {0}, and only version 2 is known")]
    Version(i64),
    #[error("this is no image manifest but `{0}`")]
    MediaType(String),
    #[error(
        "this is a container image, not a WebAssembly module: its layer has the type `{0}`; kiln runs artifacts of one layer of the type `{LAYER}`"
    )]
    Image(String),
    #[error("the artifact has no layer of the type `{LAYER}`; its layer has the type `{0}`")]
    Layer(String),
    #[error("the artifact has {0} layers, and a module is one layer of the type `{LAYER}`")]
    Layers(usize),
    #[error("none of the {0} manifests of this index is for wasm (its platforms: {1})")]
    Platforms(usize, String),
    #[error(transparent)]
    Digest(#[from] DigestError),
}

/// A manifest or an index, of the parts that matter here. Everything else in it is left alone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    #[serde(default)]
    pub schema_version: i64,
    pub media_type: Option<String>,
    pub artifact_type: Option<String>,
    pub config: Option<Descriptor>,
    pub layers: Option<Vec<Descriptor>>,
    pub manifests: Option<Vec<Descriptor>>,
    pub subject: Option<Descriptor>,
    pub annotations: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(default)]
    pub media_type: String,
    pub digest: String,
    /// In bytes.
    pub size: u64,
    pub platform: Option<Platform>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
}

/// Where the bytes of a module are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    pub digest: Digest,
    /// In bytes, as announced.
    pub size: u64,
}

impl Document {
    pub fn read(bytes: &[u8]) -> Result<Document, NoModule> {
        serde_json::from_slice(bytes).map_err(|error| NoModule::Malformed(error.to_string()))
    }

    pub fn is_index(&self) -> bool {
        match self.media_type.as_deref() {
            Some(media_type) => matches!(media_type, INDEX | DOCKER_LIST),
            None => self.manifests.is_some() && self.layers.is_none(),
        }
    }

    fn check(&self) -> Result<(), NoModule> {
        match &self.media_type {
            _ if self.schema_version != 2 => Err(NoModule::Version(self.schema_version)),
            Some(media_type) if !ACCEPTED.contains(&media_type.as_str()) => Err(NoModule::MediaType(short(media_type))),
            _ => Ok(()),
        }
    }

    /// Bytes of all layers together, as announced.
    pub fn size(&self) -> u64 {
        self.layers.iter().flatten().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }

    /// The layer that is the module.
    pub fn module(&self) -> Result<Layer, NoModule> {
        self.check()?;
        let layers = self.layers.as_deref().unwrap_or_default();
        let [layer] = layers else {
            return match layers.iter().find(|layer| is_archive(&layer.media_type)) {
                Some(layer) => Err(NoModule::Image(short(&layer.media_type))),
                None => Err(NoModule::Layers(layers.len())),
            };
        };
        match layer.media_type.as_str() {
            wasm if is_wasm(wasm) => Ok(Layer { digest: layer.digest.parse()?, size: layer.size }),
            archive if is_archive(archive) => Err(NoModule::Image(short(archive))),
            other => Err(NoModule::Layer(short(other))),
        }
    }

    /// Of an index: the manifest to take, which is the first one for wasm; of several architectures of the same name the
    /// one for `wasip2` comes before that for `wasip1`, if both are there.
    pub fn choose(&self) -> Result<Digest, NoModule> {
        self.check()?;
        let entries = self.manifests.as_deref().unwrap_or_default();
        let chosen = entries.iter().filter_map(|entry| Some((rank(entry)?, entry))).min_by_key(|(rank, _)| *rank);
        match chosen {
            Some((_, entry)) => Ok(entry.digest.parse()?),
            None => {
                let platforms: Vec<String> = entries.iter().take(8).map(platform).collect();
                Err(NoModule::Platforms(entries.len(), short(&platforms.join(", "))))
            }
        }
    }
}

/// How well an entry of an index fits; lower is better, and nothing if it does not fit at all. An architecture of
/// WebAssembly fits under any system, because tools write `wasip1`, `wasip2`, `wasi`, `js`, or `linux` beside it.
fn rank(entry: &Descriptor) -> Option<u8> {
    match &entry.platform {
        Some(platform) if matches!(platform.architecture.as_str(), "wasm" | "wasm32") => match platform.os.as_str() {
            "wasip2" => Some(0),
            "wasip1" => Some(1),
            "wasi" => Some(2),
            "js" => None,
            _ => Some(3),
        },
        // `wasi/wasm`, as the shims of containerd write it in another order.
        Some(platform) if platform.architecture == "wasi" => Some(2),
        Some(_) => None,
        // An index of one manifest for no platform is as good as the manifest.
        None => Some(4),
    }
}

fn platform(entry: &Descriptor) -> String {
    match &entry.platform {
        Some(Platform { architecture, os }) => format!("{os}/{architecture}"),
        None => "none".to_owned(),
    }
}

/// `application/wasm`, or a type of a vendor that ends in `+wasm`.
pub fn is_wasm(media_type: &str) -> bool {
    let base = media_type.split(';').next().unwrap_or_default().trim();
    base == LAYER || (base.starts_with("application/") && base.ends_with("+wasm"))
}

fn is_archive(media_type: &str) -> bool {
    media_type.contains(".tar") || media_type.starts_with("application/vnd.docker.image.rootfs")
}

/// Fit for a message: what comes from outside is neither long nor has control characters.
pub fn short(text: &str) -> String {
    const MOST: usize = 300;
    let mut short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn digest(n: u8) -> String {
        Digest::of(&[n]).to_string()
    }

    fn layer(media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": digest(1), "size": 5})
    }

    fn module(manifest: Value) -> Result<Layer, NoModule> {
        Document::read(manifest.to_string().as_bytes()).unwrap().module()
    }

    #[test]
    fn the_layer_of_a_module_is_found_whoever_wrote_it() {
        let expected = Layer { digest: Digest::of(&[1]), size: 5 };
        for (config, layer_type, media_type) in [
            ("application/vnd.wasm.config.v0+json", "application/wasm", Some(MANIFEST)),
            ("application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm", Some(MANIFEST)),
            ("application/vnd.oci.empty.v1+json", "application/wasm", Some(MANIFEST)),
            ("application/vnd.unknown.config.v1+json", "application/wasm", None),
            ("application/vnd.module.wasm.config.v1+json", "application/vnd.module.wasm.content.layer.v1+wasm", None),
        ] {
            let mut manifest = json!({"schemaVersion": 2, "layers": [layer(layer_type)],
                "config": {"mediaType": config, "digest": digest(2), "size": 2}});
            if let Some(media_type) = media_type {
                manifest["mediaType"] = json!(media_type);
            }
            assert_eq!(module(manifest), Ok(expected), "{layer_type}");
        }
    }

    #[test]
    fn what_is_no_module_says_what_it_is() {
        let tar = layer("application/vnd.oci.image.layer.v1.tar+gzip");
        let wasm = || layer("application/wasm");
        for (manifest, part) in [
            (json!({"schemaVersion": 2, "layers": [tar]}), "a container image"),
            (json!({"schemaVersion": 2, "layers": [wasm(), tar]}), "a container image"),
            (json!({"schemaVersion": 2, "layers": [layer("text/plain")]}), "type `text/plain`"),
            (json!({"schemaVersion": 2, "layers": [wasm(), wasm()]}), "2 layers"),
            (json!({"schemaVersion": 2, "layers": []}), "0 layers"),
            (json!({"schemaVersion": 2}), "0 layers"),
            (json!({"schemaVersion": 1, "layers": [wasm()]}), "version 1"),
            (json!({"layers": [wasm()]}), "version 0"),
            (json!({"schemaVersion": 2, "mediaType": "text/html", "layers": [wasm()]}), "`text/html`"),
            (
                json!({"schemaVersion": 2, "layers": [{"mediaType": "application/wasm", "digest": "md5:1", "size": 1}]}),
                "only `sha256`",
            ),
        ] {
            let error = module(manifest.clone()).unwrap_err().to_string();
            assert!(error.contains(part), "{manifest}: {error}");
        }
        for bytes in ["", "[]", "{", r#"{"layers": 5}"#, r#"{"layers": [{"size": -1, "digest": "x"}]}"#] {
            assert!(matches!(Document::read(bytes.as_bytes()), Err(NoModule::Malformed(_))), "{bytes}");
        }
    }

    #[test]
    fn of_an_index_the_entry_for_wasm_is_taken() {
        let entry = |n: u8, os: &str, architecture: &str| {
            json!({"mediaType": MANIFEST, "digest": digest(n), "size": 1,
                "platform": {"os": os, "architecture": architecture}})
        };
        let choose = |entries: &[Value]| {
            let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
            let index = Document::read(index.to_string().as_bytes()).unwrap();
            assert!(index.is_index());
            index.choose()
        };
        let linux = entry(9, "linux", "amd64");
        let (one, two) = (Digest::of(&[1]), Digest::of(&[2]));
        assert_eq!(choose(&[linux.clone(), entry(1, "wasip1", "wasm")]), Ok(one));
        assert_eq!(choose(&[entry(1, "wasip1", "wasm"), entry(2, "wasip2", "wasm")]), Ok(two));
        assert_eq!(choose(&[linux.clone(), entry(1, "wasi", "wasm32"), entry(2, "linux", "wasm")]), Ok(one));
        assert_eq!(choose(&[json!({"mediaType": MANIFEST, "digest": digest(1), "size": 1})]), Ok(one));
        let error = choose(&[linux, entry(1, "js", "wasm")]).unwrap_err().to_string();
        assert!(error.contains("linux/amd64, js/wasm"), "{error}");
        assert!(choose(&[]).is_err());
    }

    #[test]
    fn what_registries_write_is_shortened_and_cannot_break_a_line() {
        assert_eq!(short("a\nb\u{1b}c"), "a b c");
        assert_eq!(short(&"ü".repeat(1000)).chars().count(), 301);
    }
}
