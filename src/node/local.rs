//! The cluster of one: the store in this process.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};

use super::cluster::{Cluster, ConfigFeed, News, PodFeed, ReportError};
use crate::api::lease::NODE_LEASES;
use crate::api::pod::facts;
use crate::api::{Key, Kind, Object, meta};
use crate::clock::Clock;
use crate::control::{Note, Recorder};
use crate::ids::Ids;
use crate::store::{Change, CommitError, Store, Tx, Visibility, Watch};

/// As events name the node in `source.component`.
const COMPONENT: &str = "kubelet";

#[derive(Clone)]
pub struct Local {
    store: Store,
    recorder: Recorder,
    clock: Clock,
    ids: Ids,
}

impl Local {
    pub fn new(store: Store, recorder: Recorder, clock: Clock, ids: Ids) -> Local {
        Local { store, recorder, clock, ids }
    }

    /// Commits an object of the node's own; answers it as stored.
    fn write(&self, mut object: Object) -> Result<Object, ReportError> {
        let tx = if object.uid().is_empty() {
            let meta = object.meta_mut();
            meta.uid = Some(self.ids.uid());
            meta.creation_timestamp = Some(meta::time(self.clock.now()));
            Tx::new().create(object)
        } else {
            Tx::new().update(object)
        };
        match self.store.commit(tx) {
            Ok(mut committed) => committed.objects.pop().ok_or(ReportError::Gone),
            Err(CommitError::ReadOnly(detail)) => Err(ReportError::Failed(detail)),
            // Changed, deleted or created by somebody else.
            Err(_) => Err(ReportError::Stale),
        }
    }
}

pub struct LocalPods {
    store: Store,
    node: String,
    /// `None` until the pods have been listed.
    watch: Option<Watch>,
}

impl PodFeed for LocalPods {
    async fn next(&mut self) -> Vec<News> {
        loop {
            let Some(watch) = &mut self.watch else {
                let listing = self.store.list(Kind::Pod, None);
                self.watch = Some(self.store.watch(Kind::Pod, listing.revision, Visibility::Committed));
                let mine = listing.objects.iter().filter_map(|o| o.as_pod().filter(|p| self.has(p)).cloned());
                return vec![News::All(mine.collect())];
            };
            let Ok(events) = watch.next().await else {
                self.watch = None;
                continue;
            };
            let mut news = Vec::new();
            for event in events {
                if let Some(pod) = event.object.as_pod().filter(|p| self.has(p)) {
                    news.push(match event.change {
                        Change::Deleted => News::Gone(pod.clone()),
                        _ => News::Set(pod.clone()),
                    });
                }
            }
            if !news.is_empty() {
                return news;
            }
        }
    }
}

impl LocalPods {
    fn has(&self, pod: &Pod) -> bool {
        facts::node(pod) == Some(&self.node)
    }
}

pub struct LocalConfigs(Watch, Watch);

impl ConfigFeed for LocalConfigs {
    async fn changed(&mut self) {
        tokio::select! {
            () = self.0.changed() => {}
            () = self.1.changed() => {}
        }
    }
}

impl Cluster for Local {
    type Pods = LocalPods;
    type Configs = LocalConfigs;

    fn pods(&self, node: &str) -> LocalPods {
        LocalPods { store: self.store.clone(), node: node.to_owned(), watch: None }
    }

    fn configs(&self) -> LocalConfigs {
        let now = self.store.revision();
        let follow = |kind| self.store.watch(kind, now, Visibility::Committed);
        LocalConfigs(follow(Kind::ConfigMap), follow(Kind::Secret))
    }

    async fn config_map(&self, namespace: &str, name: &str) -> Option<Arc<ConfigMap>> {
        match self.store.get(Kind::ConfigMap, &Key::new(namespace, name))? {
            Object::ConfigMap(map) => Some(map),
            _ => None,
        }
    }

    async fn secret(&self, namespace: &str, name: &str) -> Option<Arc<Secret>> {
        match self.store.get(Kind::Secret, &Key::new(namespace, name))? {
            Object::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    async fn report(&self, pod: &Pod, change: &(dyn Fn(&mut Pod) + Sync), logs: Tx) -> Result<u64, ReportError> {
        let meta = &pod.metadata;
        let key = Key::new(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
        loop {
            let current = self.store.get(Kind::Pod, &key).filter(|o| Some(o.uid()) == meta.uid.as_deref());
            let Some(Object::Pod(current)) = current else { return Err(ReportError::Gone) };
            if facts::is_finished(&current) {
                // A terminal phase is published once and never changes.
                return Err(ReportError::Gone);
            }
            let mut next = Pod::clone(&current);
            change(&mut next);
            let mut tx = Tx::new().update(next);
            tx.append(logs.clone());
            match self.store.commit(tx) {
                Ok(committed) => return Ok(committed.revision),
                // Somebody else wrote in between: apply the change to what is there now.
                Err(CommitError::Stale(..)) => {}
                Err(CommitError::ReadOnly(detail)) => return Err(ReportError::Failed(detail)),
                Err(_) => return Err(ReportError::Gone),
            }
        }
    }

    async fn keep(&self, revision: u64) -> bool {
        self.store.durable(revision).await.is_ok()
    }

    async fn node(&self, name: &str) -> Option<Arc<Node>> {
        match self.store.get(Kind::Node, &Key::new("", name))? {
            Object::Node(node) => Some(node),
            _ => None,
        }
    }

    async fn write_node(&self, node: Node) -> Result<Arc<Node>, ReportError> {
        match self.write(node.into())? {
            Object::Node(node) => Ok(node),
            _ => Err(ReportError::Gone),
        }
    }

    async fn lease(&self, node: &str) -> Option<Arc<Lease>> {
        match self.store.get(Kind::Lease, &Key::new(NODE_LEASES, node))? {
            Object::Lease(lease) => Some(lease),
            _ => None,
        }
    }

    async fn write_lease(&self, lease: Lease) -> Result<(), ReportError> {
        self.write(lease.into()).map(|_| ())
    }

    fn note(&self, note: Note) {
        self.recorder.record(COMPONENT, note);
    }
}
