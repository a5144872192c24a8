//! What pods and nodes use now: the resource metrics API (`metrics.k8s.io`), which `kubectl top` and dashboards ask.
//!
//! In a cluster metrics-server answers it, from what it has collected from the kubelets. Here nothing is collected:
//! whoever runs the pods is asked when a client asks ([`Measures`]), and answers for what runs at that moment. So these
//! kinds are not stored, have no revisions and cannot be watched or written.
//!
//! Follows `pkg/api` of metrics-server, about 0.8: a pod that has ended, or of which nothing is known yet, is not in a
//! list, and 404 by its name; fields to select by are the name and the namespace; labels are those of the pod or node.

mod shown;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::Api;
use super::error::{Refusal, json_response};
use super::form::Form;
use super::request::Params;
use super::websocket::Transport;
use crate::api::field_selector::FieldSelector;
use crate::api::kind::KindInfo;
use crate::api::selector::Selector;
use crate::api::{ApiError, Key, Kind, Object};
use crate::sandbox::Reading;
use shown::{Of, Shown};

const fn info(kind: &'static str, plural: &'static str, namespaced: bool) -> KindInfo {
    KindInfo {
        group: "metrics.k8s.io",
        version: "v1beta1",
        kind,
        plural,
        // As metrics-server: `kubectl get pod` means the pod, and so does nothing else.
        singular: "",
        short_names: &[],
        categories: &[],
        namespaced,
        has_status: false,
    }
}

pub const PODS: KindInfo = info("PodMetrics", "pods", true);
pub const NODES: KindInfo = info("NodeMetrics", "nodes", false);

/// What can be done with them.
pub const VERBS: &[&str] = &["get", "list"];

/// Who is asked what is used.
pub trait Measures: Send + Sync {
    /// Every pod of which something is known, in any order.
    fn pods(&self) -> Vec<PodUse>;

    /// The pod with this uid, if something is known of it.
    fn pod(&self, uid: &str) -> Option<PodUse>;

    /// The machine of the node with this name. May read the system.
    fn node(&self, name: &str) -> Option<Reading>;
}

/// What the containers of a pod use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodUse {
    pub key: Key,
    pub uid: String,
    /// By the names of those that run; at least one.
    pub containers: Vec<(String, Reading)>,
}

/// For a server behind which nothing runs.
pub struct NoMeasures;

impl Measures for NoMeasures {
    fn pods(&self) -> Vec<PodUse> {
        Vec::new()
    }

    fn pod(&self, _: &str) -> Option<PodUse> {
        None
    }

    fn node(&self, _: &str) -> Option<Reading> {
        None
    }
}

pub fn routes() -> Router<Api> {
    let base = format!("/apis/{}", PODS.api_version());
    Router::new()
        .route(&format!("{base}/pods"), get(pods_everywhere).fallback(refuse))
        .route(&format!("{base}/namespaces/{{namespace}}/pods"), get(pods).fallback(refuse))
        .route(&format!("{base}/namespaces/{{namespace}}/pods/{{name}}"), get(pod).fallback(refuse))
        .route(&format!("{base}/nodes"), get(nodes).fallback(refuse))
        .route(&format!("{base}/nodes/{{name}}"), get(node).fallback(refuse))
}

async fn refuse() -> Refusal {
    let why = "what is used now is measured when it is asked for; it can be read, and neither written nor watched";
    ApiError::MethodNotAllowed(why.to_owned()).into()
}

/// What a list is about.
struct Selection {
    namespace: Option<String>,
    labels: Selector,
    fields: FieldSelector,
}

impl Selection {
    /// Of a request for a list, if that is what it is.
    async fn of(params: &Params, transport: &Transport, namespace: Option<String>) -> Result<Selection, Refusal> {
        if params.flag("watch") {
            return Err(refuse().await);
        }
        transport.only_plain()?;
        Ok(Selection {
            namespace,
            labels: Selector::parse(params.get("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::of_metadata(params.get("fieldSelector").unwrap_or_default())?,
        })
    }

    fn has(&self, object: &Object) -> bool {
        self.labels.matches_meta(object.meta()) && self.fields.matches(object)
    }
}

async fn pods_everywhere(
    State(api): State<Api>,
    transport: Transport,
    params: Params,
    form: Form,
) -> Result<Response, Refusal> {
    let selection = Selection::of(&params, &transport, None).await?;
    answer(api, move |api| Ok(shown::list(&PODS, pods_of(api, &selection), form))).await
}

async fn pods(
    State(api): State<Api>,
    Path(namespace): Path<String>,
    transport: Transport,
    params: Params,
    form: Form,
) -> Result<Response, Refusal> {
    let selection = Selection::of(&params, &transport, Some(namespace)).await?;
    answer(api, move |api| Ok(shown::list(&PODS, pods_of(api, &selection), form))).await
}

async fn pod(
    State(api): State<Api>,
    Path((namespace, name)): Path<(String, String)>,
    form: Form,
) -> Result<Response, Refusal> {
    answer(api, move |api| {
        let key = Key::new(namespace, name);
        let object = api.store.get(Kind::Pod, &key).ok_or_else(|| ApiError::NotFound(Kind::Pod, key.clone()))?;
        let shown = api.measures.pod(object.uid()).map(|used| shown_pod(api, object.meta(), used));
        let shown = shown.ok_or_else(|| Refusal::None(&PODS, format!("{}/{}", key.namespace, key.name)))?;
        Ok(shown::single(&PODS, &shown, form))
    })
    .await
}

async fn nodes(State(api): State<Api>, transport: Transport, params: Params, form: Form) -> Result<Response, Refusal> {
    let selection = Selection::of(&params, &transport, None).await?;
    answer(api, move |api| {
        let nodes = api.store.list(Kind::Node, None).objects;
        let chosen = nodes.iter().filter(|node| selection.has(node));
        Ok(shown::list(&NODES, chosen.filter_map(|node| shown_node(api, node.meta())).collect(), form))
    })
    .await
}

async fn node(State(api): State<Api>, Path(name): Path<String>, form: Form) -> Result<Response, Refusal> {
    answer(api, move |api| {
        let key = Key::new("", name);
        let object = api.store.get(Kind::Node, &key).ok_or_else(|| ApiError::NotFound(Kind::Node, key.clone()))?;
        let shown = shown_node(api, object.meta()).ok_or(Refusal::None(&NODES, key.name))?;
        Ok(shown::single(&NODES, &shown, form))
    })
    .await
}

/// Makes the answer where the system may be read, and sends it once what it shows is on disk.
async fn answer(
    api: Api,
    make: impl FnOnce(&Api) -> Result<Vec<u8>, Refusal> + Send + 'static,
) -> Result<Response, Refusal> {
    let of = api.clone();
    let made = tokio::task::spawn_blocking(move || (make(&of), of.store.revision()));
    let (body, seen) = made.await.map_err(|error| ApiError::Internal(error.to_string()))?;
    api.store.durable(seen).await?;
    Ok(json_response(StatusCode::OK, body?))
}

/// The pods of which something is known, in the order of their names.
fn pods_of(api: &Api, selection: &Selection) -> Vec<Shown> {
    let mut used = api.measures.pods();
    used.retain(|used| selection.namespace.as_ref().is_none_or(|namespace| *namespace == used.key.namespace));
    used.sort_by(|a, b| a.key.cmp(&b.key));
    let shown = used.into_iter().filter_map(|used| {
        // Another pod may have its name by now.
        let object = api.store.get(Kind::Pod, &used.key).filter(|object| object.uid() == used.uid)?;
        selection.has(&object).then(|| shown_pod(api, object.meta(), used))
    });
    shown.collect()
}

fn shown_pod(api: &Api, meta: &ObjectMeta, used: PodUse) -> Shown {
    Shown::new(meta, api.clock.now(), Of::Containers(used.containers))
}

fn shown_node(api: &Api, meta: &ObjectMeta) -> Option<Shown> {
    let reading = api.measures.node(meta.name.as_deref().unwrap_or_default())?;
    Some(Shown::new(meta, api.clock.now(), Of::Machine(reading)))
}

impl Api {
    /// The same, with somebody who knows what is used.
    pub fn measured_by(self, measures: Arc<dyn Measures>) -> Api {
        Api { measures, ..self }
    }
}
