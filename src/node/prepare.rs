//! What must be there before a container can run: its module, its configuration, its directories.

use std::sync::Arc;
use std::time::Instant;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Pod;

use super::Shared;
use super::cluster::Cluster;
use super::env::{self, ConfigError};
use super::image::{self, Wanted};
use super::pull;
use super::volumes::{self, PodDir, VolumeError};
use crate::api::{meta, well_known};
use crate::modules::Digest;
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
    /// Reasons and messages of the events that tell of it, when it is news.
    pub warnings: Vec<(&'static str, String)>,
}

impl Missing {
    fn new(reason: &'static str, message: String, awaits: Awaits) -> Missing {
        let event = if reason == VOLUMES { FAILED_MOUNT } else { "Failed" };
        Missing { reason, warnings: vec![(event, message.clone())], message, awaits }
    }

    pub(super) fn of_image(reason: &'static str, image: &str, message: String, awaits: Awaits) -> Missing {
        Missing { reason, warnings: pull::warnings(reason, image, &message), message, awaits }
    }
}

pub enum Awaits {
    Module,
    /// A module, too, or this moment: then the registry is asked again.
    Pull(Instant),
    Config,
    /// Nothing that could be waited for: the container cannot run.
    Nothing,
}

/// A pod whose volumes are not there yet is being created.
const VOLUMES: &str = "ContainerCreating";
/// The event of it, which is about the pod and not about one container.
pub const FAILED_MOUNT: &str = "FailedMount";
const CONFIG: &str = "CreateContainerConfigError";

/// Looks for all that one container of the pod needs, and makes its directories. The container must not be running;
/// others of the pod may. If it has run before, it is the same module again, whatever its tag means by now.
pub async fn try_prepare<C: Cluster>(node: &Shared<C>, wanted: &Wanted<'_>, dir: &PodDir) -> Result<Prepared, Missing> {
    let (pod, spec) = (wanted.pod, wanted.spec);
    set_up_volumes(node, pod, dir).await?;
    let (reference, digest) = image::find(node, wanted).await?;
    let program = node.modules.program(digest).await.map_err(|error| {
        let message = format!("the module {digest} cannot be used: {error}");
        Missing::of_image(pull::FAILED, spec.image.as_deref().unwrap_or_default(), message, Awaits::Module)
    })?;
    let config = |error: ConfigError| Missing::new(CONFIG, error.to_string(), Awaits::Config);
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
        VolumeError::Awaits(message) => Missing::new(VOLUMES, message, Awaits::Config),
        VolumeError::SetUp(message) => Missing::new(VOLUMES, message, Awaits::Nothing),
        VolumeError::Config(message) => Missing::new(CONFIG, message, Awaits::Config),
        VolumeError::Create(message) => Missing::new("CreateContainerError", message, Awaits::Nothing),
    }
}

/// What the pod may reach: nothing, unless it asks for more and the node allows some.
fn network(pod: &Pod, allowed: &[IpNet]) -> Result<Network, Missing> {
    match meta::annotation(&pod.metadata, well_known::ANNOTATION_NETWORK) {
        None => Ok(Network::none()),
        Some(_) if allowed.is_empty() => {
            let message = "the annotation kiln.dev/network asks for the network, and this node allows none; start kiln \
                           with --allow-network CIDR, or take the annotation away";
            Err(Missing::new(CONFIG, message.to_owned(), Awaits::Nothing))
        }
        Some(_) => Ok(Network::outbound(allowed)),
    }
}
