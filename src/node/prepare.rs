//! What must be there before a container can run: its module, its configuration, its directories.

use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Container as ContainerSpec, Pod};

use super::Shared;
use super::cluster::Cluster;
use super::env::{self, ConfigError};
use super::volumes::{self, PodDir, VolumeError};
use crate::api::{meta, well_known};
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
        match self.reason {
            VOLUMES => "FailedMount",
            _ => "Failed",
        }
    }
}

pub enum Awaits {
    Module,
    Config,
    /// Nothing that could be waited for: the container cannot run.
    Nothing,
}

/// A pod whose volumes are not there yet is being created.
const VOLUMES: &str = "ContainerCreating";
const CONFIG: &str = "CreateContainerConfigError";

/// Looks for all that one container of the pod needs, and makes its directories. The container must not be running;
/// others of the pod may. If it has `ran` before, it is the same module again, whatever its tag means by now.
pub async fn try_prepare<C: Cluster>(
    node: &Shared<C>,
    pod: &Pod,
    spec: &ContainerSpec,
    ran: Option<Digest>,
    dir: &PodDir,
) -> Result<Prepared, Missing> {
    set_up_volumes(node, pod, dir).await?;
    let (reference, digest) = resolve(node, spec, ran)?;
    let program = node.modules.program(digest).await.map_err(|error| Missing {
        reason: "ErrImagePull",
        message: format!("the module {digest} cannot be used: {error}"),
        awaits: Awaits::Module,
    })?;
    let config = |error: ConfigError| Missing { reason: CONFIG, message: error.to_string(), awaits: Awaits::Config };
    let network = network(pod, &node.config.network)?;
    let env = env::environment(&node.cluster, pod, spec).await.map_err(config)?;
    let argv = env::arguments(spec, &reference.name, &env).map_err(config)?;
    let has_mounts = spec.volume_mounts.as_ref().is_some_and(|m| !m.is_empty());
    let (mounts, disk) = match program.facts().uses_files || has_mounts {
        // A few small directories: shorter than the hand-over to another thread would be.
        true => tokio::task::block_in_place(|| dir.mounts(pod, spec, &env, &node.config)).map_err(missing_volume)?,
        false => (Vec::new(), Disk::unlimited()),
    };
    Ok(Prepared { program, digest, argv, env, mounts, disk, network })
}

async fn set_up_volumes<C: Cluster>(node: &Shared<C>, pod: &Pod, dir: &PodDir) -> Result<(), Missing> {
    if pod.spec.as_ref().is_none_or(|s| s.volumes.as_ref().is_none_or(Vec::is_empty)) {
        return Ok(());
    }
    let contents = volumes::contents(&node.cluster, pod).await;
    tokio::task::block_in_place(|| dir.set_up(pod, &contents, &node.config)).map_err(missing_volume)
}

fn missing_volume(error: VolumeError) -> Missing {
    match error {
        VolumeError::Awaits(message) => Missing { reason: VOLUMES, message, awaits: Awaits::Config },
        VolumeError::SetUp(message) => Missing { reason: VOLUMES, message, awaits: Awaits::Nothing },
        VolumeError::Config(message) => Missing { reason: CONFIG, message, awaits: Awaits::Config },
        VolumeError::Create(message) => Missing { reason: "CreateContainerError", message, awaits: Awaits::Nothing },
    }
}

/// What the pod may reach: nothing, unless it asks for more and the node allows some.
fn network(pod: &Pod, allowed: &[IpNet]) -> Result<Network, Missing> {
    match meta::annotation(&pod.metadata, well_known::ANNOTATION_NETWORK) {
        None => Ok(Network::none()),
        Some(_) if allowed.is_empty() => Err(Missing {
            reason: CONFIG,
            message:
                "the annotation kiln.dev/network asks for the network, and this node allows none; start kiln with \
                      --allow-network CIDR, or take the annotation away"
                    .to_owned(),
            awaits: Awaits::Nothing,
        }),
        Some(_) => Ok(Network::outbound(allowed)),
    }
}

fn resolve<C: Cluster>(
    node: &Shared<C>,
    spec: &ContainerSpec,
    ran: Option<Digest>,
) -> Result<(Reference, Digest), Missing> {
    let image = spec.image.as_deref().unwrap_or_default();
    let reference: Reference = image.parse().map_err(|error| Missing {
        reason: "InvalidImageName",
        message: format!("Failed to apply default image tag \"{image}\": couldn't parse image reference: {error}"),
        awaits: Awaits::Nothing,
    })?;
    match ran.or_else(|| node.modules.index().resolve(&reference)) {
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
