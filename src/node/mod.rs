//! The node: takes on the pods that are placed on it, drives each to its end, and says how it ended.
//!
//! [`cluster`] is all it asks of the world, [`local`] the one answer today; [`machine`] decides, [`driver`] acts,
//! [`status`] is what is published, [`image`] and [`pull`] bring modules here, [`mod@env`] and [`volumes`] are what a container gets, [`describe`] what the
//! machine is, [`heartbeat`] how it is known to live, [`meters`] what is used
//! now. Guests run on a runtime of their own, so that one that computes does not slow the API.
//!
//! Never: a pod that ends without a report; two terminal reports for one pod; a guest instantiated without a slot.

mod attempt;
pub mod cluster;
mod crash_loop;
mod credentials;
pub mod describe;
pub mod driver;
pub mod env;
mod fields;
pub mod heartbeat;
mod image;
pub mod interrupted;
mod load;
pub mod local;
pub mod machine;
pub mod meters;
mod metrics;
mod prepare;
mod pull;
pub mod remove;
pub mod status;
mod termination;
mod usage;
mod vitals;
pub mod volumes;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::Pod;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::api::pod::facts;
use crate::api::{meta, well_known};
use crate::clock::Clock;
use crate::logs::Logs;
use crate::modules::{Modules, Registries};
use crate::sandbox::Sandbox;
use cluster::{Cluster, News, PodFeed};
use heartbeat::Heartbeat;
use load::Load;
use meters::{Measures, Meters};
use metrics::NodeMetrics;
use remove::remove_tree;

#[derive(Clone, Debug)]
pub struct NodeConfig {
    pub name: String,
    /// Pods at once; also the number of guests that can be instantiated.
    pub max_pods: u32,
    /// Memory of a container that sets no limit, in bytes.
    pub default_memory_bytes: u64,
    /// Bytes that a pod may write to its scratch directories and to volumes that set no limit.
    pub default_scratch_bytes: u64,
    /// Directories of the machine below which hostPath volumes may lie.
    pub host_paths: Vec<PathBuf>,
    /// Addresses that pods with the annotation `kiln.dev/network: outbound` may reach.
    pub network: Vec<IpNet>,
    /// Where pods' directories are made. Everything in it is removed at the start.
    pub pods_dir: PathBuf,
}

/// What all drivers share.
pub struct Shared<C> {
    pub cluster: C,
    pub modules: Modules,
    pub registries: Registries,
    pub sandbox: Sandbox,
    pub logs: Logs,
    pub clock: Clock,
    pub config: NodeConfig,
    pub slots: Arc<Semaphore>,
    pub metrics: NodeMetrics,
}

pub struct Node<C> {
    shared: Arc<Shared<C>>,
    /// The runtime of the guests.
    guests: Handle,
    /// The pods that have a driver, by uid. Only the node changes it; who asks for measures looks.
    driven: Arc<Mutex<HashMap<String, Driven>>>,
    load: Arc<Load>,
}

/// The way to a pod's driver.
struct Driven {
    inbox: watch::Sender<Arc<Pod>>,
    meters: Meters,
}

impl<C: Cluster> Node<C> {
    pub fn new(
        cluster: C,
        registries: Registries,
        sandbox: Sandbox,
        logs: Logs,
        clock: Clock,
        config: NodeConfig,
        guests: Handle,
    ) -> Node<C> {
        let slots = Arc::new(Semaphore::new(config.max_pods as usize));
        let metrics = NodeMetrics::default();
        let modules = registries.modules().clone();
        let shared = Shared { cluster, modules, registries, sandbox, logs, clock, config, slots, metrics };
        Node { shared: Arc::new(shared), guests, driven: Arc::default(), load: Arc::default() }
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry);
    }

    /// Who is asked what is used now, also while the node runs.
    pub fn measures(&self) -> Measures {
        let (driven, clock, node) = (self.driven.clone(), self.shared.clock.clone(), self.shared.config.name.as_str());
        Measures { driven, clock, load: self.load.clone(), node: node.into() }
    }

    /// Runs until told to stop. Pods that are then running are found interrupted at the next start.
    pub async fn run(self, stop: CancellationToken) {
        self.clean().await;
        let (cluster, clock) = (self.shared.cluster.clone(), self.shared.clock.clone());
        let heartbeat = Heartbeat::new(cluster, clock, &self.shared.config, self.load.clone());
        heartbeat.beat().await;
        let mut beating = std::pin::pin!(heartbeat.run());
        // Looked for before the pods are: the logs of a pod that comes in between are not among them.
        let mut with_logs = self.pods_with_logs().await;
        let mut feed = self.shared.cluster.pods(&self.shared.config.name);
        loop {
            tokio::select! {
                news = feed.next() => {
                    let gone = self.take(news, &mut with_logs);
                    self.shared.logs.delete_all(&gone);
                }
                () = &mut beating => {}
                () = stop.cancelled() => break,
            }
        }
        // Their drivers see that nobody drives any more, also while somebody could still ask for measures.
        self.driven.lock().clear();
    }

    /// Removes what an earlier process left behind: directories of its pods, logs of pods that no longer exist.
    async fn clean(&self) {
        let dir = self.shared.config.pods_dir.clone();
        let cleaned = tokio::task::spawn_blocking(move || {
            remove_tree(&dir)?;
            std::fs::create_dir_all(&dir)
        });
        match cleaned.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the directory for pods cannot be used"),
            Err(error) => tracing::error!(%error, "the directory for pods could not be cleaned"),
        }
    }

    /// Hands news to the drivers. Answers the uids of the pods that are gone; at first those, too, of pods that left
    /// logs (`with_logs`) and went while nobody looked.
    fn take(&self, news: Vec<News>, with_logs: &mut Vec<String>) -> Vec<String> {
        let mut gone = Vec::new();
        let driven = &mut *self.driven.lock();
        for item in news {
            match item {
                News::All(pods) => {
                    let there: std::collections::HashSet<&str> =
                        pods.iter().filter_map(|p| p.metadata.uid.as_deref()).collect();
                    driven.retain(|uid, _| there.contains(uid.as_str()));
                    for pod in &pods {
                        self.set(pod, driven);
                    }
                    gone.extend(with_logs.drain(..).filter(|uid| !there.contains(uid.as_str())));
                }
                News::Set(pod) => self.set(&pod, driven),
                News::Gone(pod) => {
                    let uid = pod.metadata.uid.clone().unwrap_or_default();
                    // Its driver, if there is one, sees its inbox closed and stops.
                    driven.remove(&uid);
                    gone.push(uid);
                }
            }
        }
        gone
    }

    fn set(&self, pod: &Arc<Pod>, driven: &mut HashMap<String, Driven>) {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if facts::is_finished(pod) {
            // Forgotten only now: news of its earlier life are behind us, and cannot be taken for a pod without driver.
            driven.remove(uid);
            return;
        }
        if let Some(driver) = driven.get(uid) {
            driver.inbox.send_if_modified(|known| {
                let matters = concerns_driver(known, pod);
                if matters {
                    *known = pod.clone();
                }
                matters
            });
            return;
        }
        let (inbox, news) = watch::channel(pod.clone());
        let meters = Meters::default();
        driven.insert(uid.to_owned(), Driven { inbox, meters: meters.clone() });
        self.guests.spawn(driver::drive(self.shared.clone(), pod.clone(), news, meters));
    }

    async fn pods_with_logs(&self) -> Vec<String> {
        let logs = self.shared.logs.clone();
        match tokio::task::spawn_blocking(move || logs.pods()).await {
            Ok(Ok(uids)) => uids,
            Ok(Err(error)) => {
                tracing::warn!(%error, "logs of pods that are gone were not looked for");
                Vec::new()
            }
            Err(_) => Vec::new(),
        }
    }
}

/// Whether a change is one that a driver acts on; its own reports are not.
fn concerns_driver(known: &Pod, now: &Pod) -> bool {
    let relevant = |pod: &Pod| {
        let annotation = |name| meta::annotation(&pod.metadata, name).map(str::to_owned);
        (
            pod.metadata.deletion_timestamp.as_ref().map(|t| t.0),
            annotation(well_known::ANNOTATION_STOP),
            annotation(well_known::ANNOTATION_DEADLINE),
            pod.spec.as_ref().and_then(|s| s.active_deadline_seconds),
        )
    };
    relevant(known) != relevant(now)
}

#[cfg(test)]
#[path = "gone_test.rs"]
mod gone_test;
