//! What a node asks of its cluster. The store in this process answers today ([`super::local`]); a Kubernetes API server
//! can, so that the same node joins a real cluster. Nothing else in `node` knows which it is.

use std::future::Future;
use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};

use crate::control::Note;
use crate::store::Tx;

/// News of the pods that are placed on the node.
#[derive(Debug)]
pub enum News {
    /// These are all: at the start, and when news were missed.
    All(Vec<Arc<Pod>>),
    Set(Arc<Pod>),
    Gone(Arc<Pod>),
}

/// Why a report was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// The pod is no longer what the report is about: deleted, replaced by another of its name, or over.
    #[error("the pod is gone")]
    Gone,
    /// Somebody else has written in between: look again, and decide anew.
    #[error("it has changed in the meantime")]
    Stale,
    #[error("the report could not be written: {0}")]
    Failed(String),
}

pub trait PodFeed: Send + 'static {
    /// The next news; waits for them. Safe to cancel.
    fn next(&mut self) -> impl Future<Output = Vec<News>> + Send;
}

pub trait ConfigFeed: Send {
    /// Waits until a ConfigMap or Secret has changed since the feed was made.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

pub trait Cluster: Clone + Send + Sync + 'static {
    type Pods: PodFeed;
    type Configs: ConfigFeed;

    fn pods(&self, node: &str) -> Self::Pods;
    fn configs(&self) -> Self::Configs;
    fn config_map(&self, namespace: &str, name: &str) -> impl Future<Output = Option<Arc<ConfigMap>>> + Send;
    fn secret(&self, namespace: &str, name: &str) -> impl Future<Output = Option<Arc<Secret>>> + Send;

    /// Changes the pod's newest version (status, annotations) and writes the end of its logs with it. `change` may run
    /// more than once. Answers the revision that holds the report.
    fn report(
        &self,
        pod: &Pod,
        change: &(dyn Fn(&mut Pod) + Sync),
        logs: Tx,
    ) -> impl Future<Output = Result<u64, ReportError>> + Send;

    /// Waits until everything reported up to this revision would outlive a crash of the cluster; false if it cannot.
    fn keep(&self, revision: u64) -> impl Future<Output = bool> + Send;

    fn node(&self, name: &str) -> impl Future<Output = Option<Arc<Node>>> + Send;

    /// Writes a Node that was read before, if nobody else has since; one without a uid is created. Answers it as it is
    /// now.
    fn write_node(&self, node: Node) -> impl Future<Output = Result<Arc<Node>, ReportError>> + Send;

    /// The lease of a node.
    fn lease(&self, node: &str) -> impl Future<Output = Option<Arc<Lease>>> + Send;

    /// As [`Cluster::write_node`].
    fn write_lease(&self, lease: Lease) -> impl Future<Output = Result<(), ReportError>> + Send;

    fn note(&self, note: Note);
}
