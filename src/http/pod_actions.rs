//! What is done to a pod by a POST below it: `binding` gives it a node, `eviction` deletes it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use k8s_openapi::api::core::v1::Binding;
use k8s_openapi::api::policy::v1::Eviction;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Api;
use super::delete::{self, Request};
use super::discovery::BINDINGS;
use super::error::{Refusal, add_warnings, json_response};
use super::request::{Params, Payload, Target};
use super::resource::{TRIES, settled};
use crate::api::kind::KindInfo;
use crate::api::pod::binding;
use crate::api::{ApiError, Key, Kind, Object};
use crate::store::{CommitError, Tx};

const EVICTION: KindInfo = KindInfo {
    group: "policy",
    version: "v1",
    kind: "Eviction",
    plural: "evictions",
    singular: "eviction",
    short_names: &[],
    categories: &[],
    namespaced: true,
    has_status: false,
};

/// POST `pods/NAME/binding`.
pub async fn bind(
    State(api): State<Api>,
    target: Target,
    params: Params,
    payload: Payload,
) -> Result<Response, Refusal> {
    let dry_run = params.dry_run("CreateOptions")?;
    let (binding, warnings) = body::<Binding>(&params, &payload, &BINDINGS)?;
    let name = binding.metadata.name.as_deref().filter(|name| !name.is_empty());
    if name.is_some_and(|name| name != target.name) {
        return Err(Refusal::bad("name in URL does not match name in Binding object"));
    }
    let result = bind_pod(&api, &target.key(), &binding, dry_run);
    succeeded(&api, settled(&api, result).await?, &warnings).await
}

/// POST `bindings`, which names the pod in its body only.
pub async fn bind_named(
    State(api): State<Api>,
    target: Target,
    params: Params,
    payload: Payload,
) -> Result<Response, Refusal> {
    let dry_run = params.dry_run("CreateOptions")?;
    let (binding, warnings) = body::<Binding>(&params, &payload, &BINDINGS)?;
    let name = binding.metadata.name.clone().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::bad("metadata.name must be the name of the pod to bind"))?;
    let key = Key::new(target.namespace.unwrap_or_default(), name);
    let result = bind_pod(&api, &key, &binding, dry_run);
    succeeded(&api, settled(&api, result).await?, &warnings).await
}

/// Answers the revision of it.
fn bind_pod(api: &Api, key: &Key, binding: &Binding, dry_run: bool) -> Result<u64, Refusal> {
    let mut faults = Vec::new();
    binding::validate(binding, &mut faults);
    if !faults.is_empty() {
        return Err(Refusal::Options { kind: "Binding", name: key.name.clone(), causes: faults });
    }
    for _ in 0..TRIES {
        let found = api.store.get(Kind::Pod, key);
        let Some(Object::Pod(pod)) = found else { return Err(ApiError::NotFound(Kind::Pod, key.clone()).into()) };
        let expected = binding.metadata.uid.as_deref().filter(|uid| !uid.is_empty());
        let refusal = match expected.filter(|uid| Some(*uid) != pod.metadata.uid.as_deref()) {
            Some(uid) => Some(format!("Precondition failed: UID in precondition: {uid} is not that of the pod")),
            None => binding::refusal(&pod),
        };
        if let Some(detail) = refusal {
            return Err(ApiError::Conflict { kind: Kind::Pod, key: key.clone(), detail }.into());
        }
        // Kubernetes takes any name, and the pod waits for a node that may never come.
        let node = Key::new("", binding.target.name.clone().unwrap_or_default());
        if api.store.get(Kind::Node, &node).is_none() {
            return Err(ApiError::NotFound(Kind::Node, node).into());
        }
        if dry_run {
            return Ok(0);
        }
        match api.store.commit(Tx::new().update(binding::bind(&pod, binding, api.clock.now()))) {
            Err(CommitError::Stale(..) | CommitError::Replaced { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(done) => return Ok(done.revision),
        }
    }
    Err(ApiError::stale(Kind::Pod, key.clone()).into())
}

/// POST `pods/NAME/eviction`: a deletion that `kubectl drain` asks for. There are no budgets here that could refuse it.
pub async fn evict(
    State(api): State<Api>,
    target: Target,
    params: Params,
    payload: Payload,
) -> Result<Response, Refusal> {
    let dry_run = params.dry_run("CreateOptions")?;
    let (eviction, warnings) = body::<Eviction>(&params, &payload, &EVICTION)?;
    if eviction.metadata.name.as_deref() != Some(&*target.name) {
        return Err(Refusal::bad("name in URL does not match name in Eviction object"));
    }
    let mut request = Request::of(eviction.delete_options.unwrap_or_default())?;
    request.dry_run |= dry_run;
    request.evicts = true;
    let result = delete::delete_object(&api, &target, &request);
    let (written, _) = settled(&api, result).await?;
    succeeded(&api, written.revision, &warnings).await
}

/// What the body is, and the warnings that it earns.
fn body<T: DeserializeOwned>(params: &Params, payload: &Payload, info: &KindInfo) -> Result<(T, Vec<String>), Refusal> {
    params.validation("CreateOptions")?.choose(payload.typed::<T>(info)?, info)
}

async fn succeeded(api: &Api, revision: u64, warnings: &[String]) -> Result<Response, Refusal> {
    api.store.durable(revision).await?;
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    let mut response = json_response(StatusCode::CREATED, status.to_string());
    add_warnings(response.headers_mut(), warnings);
    Ok(response)
}
