//! Reviews: questions about who may do what, asked as an object that is created and answered at once, in its `status`.
//! `kubectl auth whoami` and `auth can-i` ask them, and dashboards do before they show a button.
//!
//! What is answered follows from [`guard`](super::guard) and from what is served: whoever is let in may do everything that
//! there is, and nobody may do what there is not. The access is decided in `access.rs`, who somebody is in `identity.rs`.
//! Nothing is stored, so `dryRun` makes no difference.
//!
//! Follows `pkg/registry/{authentication,authorization}` and `pkg/apis/authorization/validation` of Kubernetes, about 1.34.

mod access;
mod identity;

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use k8s_openapi::api::authentication::v1::{SelfSubjectReview, TokenReview};
use k8s_openapi::api::authorization::v1::{
    LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Refusal, add_warnings, json_response};
use super::form::Form;
use super::request::{Params, Payload};
use super::{Access, Api};
use crate::api::FieldError;
use crate::api::field;
use crate::api::kind::KindInfo;

/// What is done with a review.
pub const VERBS: &[&str] = &["create"];

/// Every review, for discovery and OpenAPI.
pub const ALL: &[&KindInfo] = &[
    <SelfSubjectReview as Review>::INFO,
    <TokenReview as Review>::INFO,
    <LocalSubjectAccessReview as Review>::INFO,
    <SelfSubjectAccessReview as Review>::INFO,
    <SelfSubjectRulesReview as Review>::INFO,
    <SubjectAccessReview as Review>::INFO,
];

/// The reviews of one group and version.
pub fn of(group: &str, version: &str) -> impl Iterator<Item = &'static KindInfo> {
    ALL.iter().copied().filter(move |info| info.group == group && info.version == version)
}

/// A kind of review.
trait Review: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Serialize + 'static {
    const INFO: &'static KindInfo;

    /// What is wrong with the question.
    fn faults(&self, _asked: &Asked<'_>) -> Vec<FieldError> {
        Vec::new()
    }

    /// Fills in the status.
    fn answer(&mut self, asked: &Asked<'_>) -> Result<(), Refusal>;
}

/// Who asks, and where.
struct Asked<'a> {
    access: &'a Access,
    /// That of the path; `None` for what has none.
    namespace: Option<&'a str>,
}

const fn info<T: Resource>(plural: &'static str, singular: &'static str, namespaced: bool) -> KindInfo {
    KindInfo {
        group: T::GROUP,
        version: T::VERSION,
        kind: T::KIND,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        namespaced,
        has_status: false,
    }
}

pub fn routes() -> Router<Api> {
    Router::new()
        .merge(route::<SelfSubjectReview>())
        .merge(route::<TokenReview>())
        .merge(route::<LocalSubjectAccessReview>())
        .merge(route::<SelfSubjectAccessReview>())
        .merge(route::<SelfSubjectRulesReview>())
        .merge(route::<SubjectAccessReview>())
}

/// `/apis/authorization.k8s.io/v1/subjectaccessreviews`, or that within a namespace.
pub fn path(info: &KindInfo) -> String {
    let within = if info.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("/apis/{}{within}/{}", info.api_version(), info.plural)
}

fn route<T: Review>() -> Router<Api> {
    Router::new().route(&path(T::INFO), post(review::<T>))
}

async fn review<T: Review>(
    access: Option<Extension<Arc<Access>>>,
    namespace: Option<Path<String>>,
    params: Params,
    _: Form,
    payload: Payload,
) -> Result<Response, Refusal> {
    params.dry_run("CreateOptions")?;
    let (mut review, warnings) = params.validation("CreateOptions")?.choose(payload.typed::<T>(T::INFO)?, T::INFO)?;
    // Without a guard before it (in a test), there is no token either.
    let access = access.map(|Extension(access)| access).unwrap_or_default();
    let asked = Asked { access: &access, namespace: namespace.as_ref().map(|Path(name)| name.as_str()) };
    let mut causes = metadata_faults(review.metadata(), asked.namespace);
    causes.extend(review.faults(&asked));
    if !causes.is_empty() {
        return Err(Refusal::Review { info: T::INFO, causes });
    }
    review.answer(&asked)?;
    let body = serde_json::to_vec(&review).map_err(|error| Refusal::bad(error.to_string()))?;
    let mut response = json_response(StatusCode::CREATED, body);
    add_warnings(response.headers_mut(), &warnings);
    Ok(response)
}

/// A question has no name; at most it says its namespace.
fn metadata_faults(meta: &ObjectMeta, namespace: Option<&str>) -> Vec<FieldError> {
    let path = field::Path::root("metadata");
    let mut rest = meta.clone();
    let claimed = rest.namespace.take().unwrap_or_default();
    rest.managed_fields = None;
    let mut faults = Vec::new();
    if rest != ObjectMeta::default() {
        faults.push(FieldError::forbidden(&path, "must be empty"));
    }
    if !claimed.is_empty() && namespace != Some(claimed.as_str()) {
        let detail = "does not match the namespace of the request";
        faults.push(FieldError::invalid(&path.child("namespace"), claimed, detail));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Kind;

    #[test]
    fn no_review_is_also_a_stored_kind() {
        for info in ALL {
            assert_eq!(Kind::from_gvk(&info.api_version(), info.kind), None);
            assert_eq!(Kind::from_resource(info.group, info.version, info.plural), None);
            assert_eq!(info.plural, format!("{}s", info.singular));
            assert_eq!(info.singular, info.kind.to_lowercase());
        }
        assert_eq!(ALL.iter().filter(|info| info.namespaced).count(), 1);
    }

    #[test]
    fn a_question_has_no_name() {
        let meta = |name: &str, namespace: &str| ObjectMeta {
            name: (!name.is_empty()).then(|| name.to_owned()),
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            ..ObjectMeta::default()
        };
        let faults = |meta, namespace| {
            let faults = metadata_faults(&meta, namespace).into_iter();
            faults.map(|f| f.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(faults(meta("", ""), None), [] as [&str; 0]);
        assert_eq!(faults(meta("", "n"), Some("n")), [] as [&str; 0]);
        assert_eq!(faults(meta("x", ""), None), ["metadata: Forbidden: must be empty"]);
        assert_eq!(faults(meta("", "m"), Some("n")).len(), 1);
        assert_eq!(faults(meta("", "m"), None).len(), 1);
    }
}
