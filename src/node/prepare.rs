//! What must be there before a container can run: its module, its configuration, its directories.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod};

use super::cluster::Cluster;
use super::volumes::{self, PodDir};
use super::{Shared, env};
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
    pub message: String,
    pub awaits: Awaits,
}

impl Missing {
    /// The reason of the event that tells of it.
    pub fn event(&self) -> &'static str {
        "Failed"
    }
}

pub enum Awaits {
    Module,
    Config,
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
        message: format!("the module {digest} cannot be used: {error}"),
        awaits: Awaits::Module,
    })?;
    let config = |error: env::ConfigError| Missing {
        reason: "CreateContainerConfigError",
        message: error.to_string(),
        awaits: Awaits::Config,
    };
    let env = env::environment(&node.cluster, pod, spec).await.map_err(config)?;
    let argv = env::arguments(spec, &reference.name, &env).map_err(config)?;
    let contents = volumes::contents(&node.cluster, pod, spec)
        .await
        .map_err(|error| Missing { reason: "ContainerCreating", ..config(error) })?;
    let needs_root = program.facts().uses_files;
    let has_mounts = spec.volume_mounts.as_ref().is_some_and(|m| !m.is_empty());
    let mounts = match needs_root || has_mounts {
        // A few small directories: shorter than the hand-over to another thread would be.
        true => tokio::task::block_in_place(|| dir.prepare(spec, &contents, needs_root)),
        false => Ok(Vec::new()),
    };
    let mounts = mounts.map_err(|error| Missing {
        reason: "CreateContainerError",
        message: format!("the pod's directories cannot be made: {error}"),
        awaits: Awaits::Nothing,
    })?;
    let (disk, network) = (Disk::unlimited(), Network::none());
    Ok(Prepared { program, digest, argv, env, mounts, disk, network })
}

fn resolve<C: Cluster>(node: &Shared<C>, spec: &ContainerSpec) -> Result<(Reference, Digest), Missing> {
    let image = spec.image.as_deref().unwrap_or_default();
    let reference: Reference = image.parse().map_err(|error| Missing {
        reason: "InvalidImageName",
        message: format!("Failed to apply default image tag \"{image}\": couldn't parse image reference: {error}"),
        awaits: Awaits::Nothing,
    })?;
    match node.modules.index().resolve(&reference) {
        Some(digest) => Ok((reference, digest)),
        None if spec.image_pull_policy.as_deref() == Some("Never") => Err(Missing {
            reason: "ErrImageNeverPull",
            message: format!("Container image \"{image}\" is not present with pull policy of Never"),
            awaits: Awaits::Module,
        }),
        None => Err(Missing {
            reason: "ImagePullBackOff",
            message: format!(
                "Back-off pulling image \"{image}\": there is no such module here; upload it with \
                     `kiln push {image} FILE.wasm`"
            ),
            awaits: Awaits::Module,
        }),
    }
}
