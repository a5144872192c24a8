//! What must be there before a container can run: its module, its configuration, its directories.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod};

use super::cluster::Cluster;
use super::env::Environment;
use super::volumes::contents;
use super::volumes::{MountError, PodDir};
use super::{NodeConfig, Shared, env};
use crate::api::{Object, meta, well_known};
use crate::control::Note;
use crate::modules::{Digest, Reference};
use crate::sandbox::{Disk, Mount, Network, Program};

/// All that a run needs.
pub struct Prepared {
    pub program: Arc<Program>,
    pub digest: Digest,
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub mounts: Vec<Mount>,
    pub disk: Disk,
    pub network: Network,
}

/// Something is missing; what it is and what would bring it.
pub struct Missing {
    pub reason: &'static str,
    /// The reason of the event that tells of it.
    pub event: &'static str,
    pub message: String,
    pub awaits: Awaits,
}

pub enum Awaits {
    Module,
    Config,
    /// A ConfigMap or Secret, or something of the machine.
    Anything,
    /// Nothing that could be waited for: the container cannot run.
    Nothing,
}

/// Looks for all that one container of the pod needs, and makes its directories.
pub async fn try_prepare<C: Cluster>(
    node: &Shared<C>,
    pod: &Pod,
    spec: &ContainerSpec,
    dir: &PodDir,
) -> Result<Prepared, Missing> {
    let (reference, digest) = resolve(node, spec)?;
    let program = node.modules.program(digest).await.map_err(|error| Missing {
        reason: "ErrImagePull",
        event: "Failed",
        message: format!("the module {digest} cannot be used: {error}"),
        awaits: Awaits::Module,
    })?;
    let config = |error: env::ConfigError| Missing {
        reason: "CreateContainerConfigError",
        event: "Failed",
        message: error.to_string(),
        awaits: Awaits::Config,
    };
    let Environment { variables: env, skipped } =
        env::environment(&node.cluster, pod, spec, node.allocatable()).await.map_err(config)?;
    if !skipped.is_empty() {
        let message = format!(
            "Keys [{}] from the EnvFrom sources of container {} were skipped since they are considered invalid \
             environment variable names",
            skipped.join(", "),
            spec.name
        );
        let object = Object::Pod(Arc::new(pod.clone()));
        node.cluster.note(Note::warning(&object, "InvalidEnvironmentVariableNames", message));
    }
    let argv = env::arguments(spec, &reference.name, &env).map_err(config)?;
    let network = network(&node.config, pod)?;
    let mount = |message: String| Missing {
        reason: "ContainerCreating",
        event: "FailedMount",
        message,
        awaits: Awaits::Anything,
    };
    let contents =
        contents::fetch(&node.cluster, pod, node.allocatable()).await.map_err(|error| mount(error.to_string()))?;
    let needs_root = program.facts().uses_files;
    // A few small directories: shorter than the hand-over to another thread would be.
    let mounts = tokio::task::block_in_place(|| dir.mounts(pod, spec, &contents, &env, &node.config, needs_root));
    let mounts = mounts.map_err(|error| match error {
        MountError::Volume(..) => mount(error.to_string()),
        MountError::Io(_) => Missing {
            reason: "CreateContainerError",
            event: "Failed",
            message: error.to_string(),
            awaits: Awaits::Nothing,
        },
    })?;
    let disk = if mounts.is_empty() { Disk::unlimited() } else { dir.disk(pod, &node.config) };
    Ok(Prepared { program, digest, argv, env, mounts, disk, network })
}

/// What the pod may reach: nothing, unless it asks and the node allows.
fn network(config: &NodeConfig, pod: &Pod) -> Result<Network, Missing> {
    if meta::annotation(&pod.metadata, well_known::ANNOTATION_NETWORK).is_none() {
        return Ok(Network::none());
    }
    if config.network.is_empty() {
        return Err(Missing {
            reason: "CreateContainerConfigError",
            event: "Failed",
            message: "the pod asks for the network, and this node allows none; --allow-network opens it".to_owned(),
            awaits: Awaits::Nothing,
        });
    }
    Ok(Network::outbound(&config.network))
}

fn resolve<C: Cluster>(node: &Shared<C>, spec: &ContainerSpec) -> Result<(Reference, Digest), Missing> {
    let image = spec.image.as_deref().unwrap_or_default();
    let reference: Reference = image.parse().map_err(|error| Missing {
        reason: "InvalidImageName",
        event: "Failed",
        message: format!("Failed to apply default image tag \"{image}\": couldn't parse image reference: {error}"),
        awaits: Awaits::Nothing,
    })?;
    match node.modules.index().resolve(&reference) {
        Some(digest) => Ok((reference, digest)),
        None if spec.image_pull_policy.as_deref() == Some("Never") => Err(Missing {
            reason: "ErrImageNeverPull",
            event: "Failed",
            message: format!("Container image \"{image}\" is not present with pull policy of Never"),
            awaits: Awaits::Module,
        }),
        None => Err(Missing {
            reason: "ImagePullBackOff",
            event: "Failed",
            message: format!(
                "Back-off pulling image \"{image}\": there is no such module here; upload it with \
                     `kiln push {image} FILE.wasm`"
            ),
            awaits: Awaits::Module,
        }),
    }
}
