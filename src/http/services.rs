//! Services: there are none, and this says so. `kubectl cluster-info` asks for those of the cluster before it says where the
//! server is, and dashboards for those of a namespace; both take an empty list for what it is. To make one is refused in
//! words: a pod here has no port that a Service could lead to.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::Api;
use super::error::{Refusal, json_response};
use super::form::Form;
use super::request::Params;
use super::websocket::Transport;
use crate::api::ApiError;
use crate::api::kind::KindInfo;
use crate::api::selector::Selector;

pub const INFO: KindInfo = KindInfo {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    // Not `all`: `kubectl get all` need not ask for what there never is.
    categories: &[],
    namespaced: true,
    has_status: false,
};

/// What can be done with them.
pub const VERBS: &[&str] = &["get", "list"];

pub fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/services", get(list).fallback(refuse))
        .route("/api/v1/namespaces/{namespace}/services", get(list).fallback(refuse))
        .route("/api/v1/namespaces/{namespace}/services/{name}", get(one).fallback(refuse))
}

async fn refuse() -> Refusal {
    let why = "kiln runs Jobs, whose pods have no port that a Service could lead to; there are no Services to write or follow";
    ApiError::MethodNotAllowed(why.to_owned()).into()
}

async fn list(State(api): State<Api>, transport: Transport, params: Params, form: Form) -> Result<Response, Refusal> {
    if params.flag("watch") {
        return Err(refuse().await);
    }
    transport.only_plain()?;
    Selector::parse(params.get("labelSelector").unwrap_or_default())?;
    let revision = api.store.revision();
    api.store.durable(revision).await?;
    Ok(json_response(StatusCode::OK, none(form, revision).to_string()))
}

/// The list of none, in this form.
fn none(form: Form, revision: u64) -> Value {
    let metadata = json!({"resourceVersion": revision.to_string()});
    match form {
        Form::Table(_) => {
            let column = json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0});
            json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": [column],
                "rows": []})
        }
        Form::Metadata => json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata, "items": []}),
        Form::Object | Form::EventsV1 => {
            json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": metadata, "items": []})
        }
    }
}

async fn one(Path((_, name)): Path<(String, String)>) -> Refusal {
    Refusal::None(&INFO, name)
}
