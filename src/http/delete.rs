//! DELETE of one object. What becomes of the object is [`deletion::delete`]'s to say; here are the options of the
//! request, the commit, and the answer.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::Api;
use super::error::{Refusal, add_warnings, json_response};
use super::form::Form;
use super::request::{self, Params, Payload, Target};
use super::resource::{TRIES, Written, answer, settled};
use crate::api::deletion::{self, Deletion, Propagation};
use crate::api::pod::eviction;
use crate::api::{ApiError, FieldError, Kind, Object, Path, namespace};
use crate::modules::delete::REMEDY;
use crate::modules::uses;
use crate::store::{CommitError, Precondition, Tx};

/// Kubernetes' own words (`registry/batch/job/strategy.go`).
pub(super) const ORPHANS: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to \
                       remove them or set propagationPolicy=Orphan to suppress this warning";

pub async fn delete(
    State(api): State<Api>,
    target: Target,
    params: Params,
    form: Form,
    payload: Payload,
) -> Result<Response, Refusal> {
    let request = Request::read(&params, &payload)?;
    let result = delete_object(&api, &target, &request);
    let (written, gone) = settled(&api, result).await?;
    let kind = target.kind;
    if !gone || matches!(kind, Kind::Pod | Kind::Namespace) {
        // Kubernetes' one case of a deletion that is only accepted; for all others it says that of old it was 200.
        let code = if !gone && request.cascades { StatusCode::ACCEPTED } else { StatusCode::OK };
        return answer(&api, code, written, form).await;
    }
    api.store.durable(written.revision).await?;
    let info = target.served.info();
    let details = json!({"name": target.name, "group": info.group, "kind": info.plural, "uid": written.object.uid()});
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
    let mut response = json_response(StatusCode::OK, status.to_string());
    add_warnings(response.headers_mut(), &written.warnings);
    Ok(response)
}

/// What the options of a request say.
pub(super) struct Request {
    grace: Option<i64>,
    propagation: Option<Propagation>,
    /// Asked for by the older `orphanDependents: false`.
    cascades: bool,
    uid: Option<String>,
    version: Option<String>,
    pub dry_run: bool,
    /// By the eviction of a pod, which is then said in its status.
    pub evicts: bool,
}

impl Request {
    /// The options of the body, else those of the URL. A dry run may be asked for in either: better a deletion too
    /// few than one too many.
    pub fn read(params: &Params, payload: &Payload) -> Result<Request, Refusal> {
        if payload.bytes.is_empty() {
            let dry_run = params.dry_run("DeleteOptions")?.then(|| vec!["All".to_owned()]);
            return Request::of(DeleteOptions {
                dry_run,
                grace_period_seconds: params.integer("gracePeriodSeconds")?,
                orphan_dependents: params.get("orphanDependents").map(|_| params.flag("orphanDependents")),
                propagation_policy: params.get("propagationPolicy").map(str::to_owned),
                ..DeleteOptions::default()
            });
        }
        let value = payload.value("meta/v1.DeleteOptions")?.value;
        if let Some(other) = value.get("kind").and_then(Value::as_str).filter(|kind| *kind != "DeleteOptions") {
            return Err(Refusal::bad(format!("the body of a DELETE is DeleteOptions, not {other}")));
        }
        let options = serde_json::from_value(value);
        let mut request =
            Request::of(options.map_err(|e| Refusal::bad(format!("the body is no DeleteOptions: {e}")))?)?;
        request.dry_run |= params.dry_run("DeleteOptions")?;
        Ok(request)
    }

    pub fn of(options: DeleteOptions) -> Result<Request, Refusal> {
        let dry_run: Vec<&str> = options.dry_run.iter().flatten().map(String::as_str).collect();
        let preconditions = options.preconditions.unwrap_or_default();
        Ok(Request {
            grace: options.grace_period_seconds,
            propagation: propagation(options.orphan_dependents, options.propagation_policy.as_deref())?,
            cascades: options.orphan_dependents == Some(false),
            uid: preconditions.uid,
            version: preconditions.resource_version,
            dry_run: request::dry_run("DeleteOptions", &dry_run)?,
            evicts: false,
        })
    }

    /// Whether what becomes of dependents is left to the kind.
    pub fn leaves_choice_of_propagation(&self) -> bool {
        self.propagation.is_none()
    }

    pub fn check(&self, object: &Object) -> Result<(), ApiError> {
        let unmet = |what, expected: &Option<String>, found: &str| {
            let expected = expected.as_deref().filter(|expected| *expected != found)?;
            Some(format!("Precondition failed: {what} in precondition: {expected}, {what} in object meta: {found}"))
        };
        let version = object.meta().resource_version.as_deref().unwrap_or_default();
        match unmet("UID", &self.uid, object.uid()).or_else(|| unmet("ResourceVersion", &self.version, version)) {
            Some(detail) => Err(ApiError::Conflict { kind: object.kind(), key: object.key(), detail }),
            None => Ok(()),
        }
    }
}

impl Request {
    /// A module that somebody uses is deleted by force only.
    pub fn check_uses(&self, api: &Api, object: &Object) -> Result<(), ApiError> {
        let Object::Module(module) = object else { return Ok(()) };
        if self.grace == Some(0) {
            return Ok(());
        }
        let uses = uses::of(&api.store, module);
        if uses.is_empty() {
            return Ok(());
        }
        let detail = format!("it is used by {uses}: {REMEDY}, or delete it by force: `kubectl delete --force`");
        Err(ApiError::Conflict { kind: Kind::Module, key: object.key(), detail })
    }
}

fn propagation(orphan: Option<bool>, policy: Option<&str>) -> Result<Option<Propagation>, Refusal> {
    let path = Path::root("propagationPolicy");
    let cause = match (orphan, policy) {
        (None, None) => return Ok(None),
        (Some(true), None) | (None, Some("Orphan")) => return Ok(Some(Propagation::Orphan)),
        (Some(false), None) | (None, Some("Background")) => return Ok(Some(Propagation::Background)),
        (None, Some("Foreground")) => return Ok(Some(Propagation::Foreground)),
        (None, Some(other)) => FieldError::not_supported(&path, other, &["Foreground", "Background", "Orphan"]),
        (Some(_), Some(other)) => {
            FieldError::invalid(&path, other, "orphanDependents and deletionPropagation cannot be both set")
        }
    };
    Err(Refusal::Options { kind: "DeleteOptions", name: String::new(), causes: vec![cause] })
}

/// What a deletion means for one object, and what it is then.
pub(super) struct Decision {
    /// Empty if it means nothing.
    pub tx: Tx,
    pub shown: Object,
    pub is_gone: bool,
}

pub(super) fn decide(object: &Object, request: &Request, now: Timestamp) -> Decision {
    let propagation = request.propagation.unwrap_or_else(|| deletion::default_propagation(object));
    let options = deletion::Options { grace: request.grace, propagation: Some(propagation) };
    match deletion::delete(object, &options, now) {
        Deletion::Unchanged => Decision { tx: Tx::new(), shown: object.clone(), is_gone: false },
        Deletion::Mark(mut marked) => {
            if let Object::Pod(pod) = &mut marked
                && request.evicts
            {
                eviction::mark(Arc::make_mut(pod), now);
            }
            Decision { tx: Tx::new().update(marked.clone()), shown: marked, is_gone: false }
        }
        Deletion::Remove => Decision { tx: remove(object), shown: object.clone(), is_gone: true },
    }
}

/// What was done, and whether the object is gone with it.
type Done = (Written, bool);

pub(super) fn delete_object(api: &Api, target: &Target, request: &Request) -> Result<Done, Refusal> {
    let (kind, key) = (target.kind, target.key());
    if kind == Kind::Namespace && namespace::PERMANENT.contains(&target.name.as_str()) {
        return Err(ApiError::Forbidden { kind, key, detail: "this namespace may not be deleted".to_owned() }.into());
    }
    // Whoever creates something in a namespace sees it as it was before or as it is after.
    let _alone = (kind == Kind::Namespace).then(|| api.namespaces.write());
    for _ in 0..TRIES {
        let object = api.store.get(kind, &key).ok_or_else(|| ApiError::NotFound(kind, key.clone()))?;
        request.check(&object)?;
        request.check_uses(api, &object)?;
        let mut warnings = Vec::new();
        if request.leaves_choice_of_propagation()
            && kind == Kind::Job
            && deletion::default_propagation(&object) == Propagation::Orphan
        {
            warnings.push(ORPHANS.to_owned());
        }
        let Decision { tx, shown, is_gone } = decide(&object, request, api.clock.now());
        if request.dry_run || tx.is_empty() {
            let revision = object.revision();
            return Ok((Written { object: shown, revision, warnings }, is_gone));
        }
        match api.store.commit(tx) {
            // Looked at again: a condition of the client's is then seen to fail.
            Err(CommitError::Stale(..) | CommitError::Replaced { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(mut done) => {
                let object = done.objects.pop().unwrap_or(shown);
                return Ok((Written { object, revision: done.revision, warnings }, is_gone));
            }
        }
    }
    Err(ApiError::stale(kind, key).into())
}

/// Removes exactly this version of the object. The logs of a pod go with it by the hand of its node.
fn remove(object: &Object) -> Tx {
    let precondition = Precondition { uid: Some(object.uid().to_owned()), revision: Some(object.revision()) };
    Tx::new().delete(object.kind(), object.key(), precondition)
}
