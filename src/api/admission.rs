//! The way of every object that a client writes: from what was sent to what is stored, or to all that is wrong with it at
//! once. Per kind: server-owned fields, defaults, validation, refusals; the rules themselves are in the kinds' modules.
//!
//! Follows apiserver `registry/rest/{create,update}.go` and the strategies under `pkg/registry`, about 1.34. Time and
//! randomness are given, so that the same request and [`Stamp`] make the same object.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::{CronJobStatus, Job, JobStatus};
use k8s_openapi::api::core::v1::{Namespace, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;

use crate::api::config;
use crate::api::cronjob;
use crate::api::error::ApiError;
use crate::api::event::validate_event;
use crate::api::field::{FieldError, Path};
use crate::api::job;
use crate::api::kind::{Kind, Object};
use crate::api::lease::validate_lease;
use crate::api::meta;
use crate::api::module;
use crate::api::names;
use crate::api::namespace;
use crate::api::node::validate_node;
use crate::api::plain;
use crate::api::pod;
use crate::api::service_account::validate_service_account;
use crate::api::validate_meta::{self, semantically_equal};
use crate::api::well_known::PHASE_PENDING;

/// What a new object is stamped with.
pub struct Stamp<'a> {
    pub now: Timestamp,
    pub uid: String,
    /// Appended to `generateName`; 5 characters.
    pub suffix: &'a str,
}

/// The object to store for a POST. Expects the namespace of the URL in its metadata. `resourceVersion` is left for the
/// store.
pub fn create(mut object: Object, stamp: &Stamp) -> Result<Object, ApiError> {
    let kind = object.kind();
    stamp_meta(object.meta_mut(), kind, stamp);
    let mut faults = Vec::new();
    let object = match object {
        Object::Job(job) => {
            let mut job = Arc::unwrap_or_clone(job);
            job.status = Some(JobStatus::default());
            default_job(&mut job);
            validate_meta_create(kind, &job.metadata, &mut faults);
            job::validate(&job, &mut faults);
            Object::from(job)
        }
        Object::CronJob(cron_job) => {
            let mut cron_job = Arc::unwrap_or_clone(cron_job);
            cron_job.status = Some(CronJobStatus::default());
            cronjob::defaults::default_spec(&mut cron_job.spec);
            validate_meta_create(kind, &cron_job.metadata, &mut faults);
            cronjob::validate(&cron_job, &mut faults);
            Object::from(cron_job)
        }
        Object::Pod(pod) => {
            let mut pod = Arc::unwrap_or_clone(pod);
            prepare_pod(&mut pod);
            validate_meta_create(kind, &pod.metadata, &mut faults);
            pod::validate_pod(&pod, &mut faults);
            Object::from(pod)
        }
        Object::Namespace(namespace) => {
            let mut namespace = Arc::unwrap_or_clone(namespace);
            namespace::prepare(&mut namespace);
            validate_meta_create(kind, &namespace.metadata, &mut faults);
            namespace::validate_finalizers(&namespace, &mut faults);
            Object::from(namespace)
        }
        Object::Secret(secret) => {
            let mut secret = Arc::unwrap_or_clone(secret);
            config::default_secret(&mut secret);
            validate_meta_create(kind, &secret.metadata, &mut faults);
            config::validate_secret(&secret, &mut faults);
            Object::from(secret)
        }
        Object::ConfigMap(map) => {
            validate_meta_create(kind, &map.metadata, &mut faults);
            config::validate_config_map(&map, &mut faults);
            Object::from(map)
        }
        Object::Event(event) => {
            validate_meta_create(kind, &event.metadata, &mut faults);
            validate_event(&event, &mut faults);
            Object::from(event)
        }
        // A node brings its status with it.
        Object::Node(node) => {
            validate_meta_create(kind, &node.metadata, &mut faults);
            validate_node(&node, &mut faults);
            Object::from(node)
        }
        Object::Lease(lease) => {
            validate_meta_create(kind, &lease.metadata, &mut faults);
            validate_lease(&lease, &mut faults);
            Object::from(lease)
        }
        Object::Module(_) => return Err(ApiError::MethodNotAllowed(module::HOW_TO_MAKE.to_owned())),
        Object::ServiceAccount(account) => {
            validate_meta_create(kind, &account.metadata, &mut faults);
            validate_service_account(&account, &mut faults);
            Object::from(account)
        }
    };
    finish(object, faults)
}

/// The object of a POST with the defaults of what it leaves out, but without what only the server can know, such as a
/// generated selector: what its creator is taken to have said.
pub fn defaulted(object: &Object) -> Object {
    let mut object = object.clone();
    match &mut object {
        Object::Job(job) => {
            let job = Arc::make_mut(job);
            job.spec.iter_mut().for_each(job::defaults::default_spec);
            job::defaults::default_labels(job);
        }
        Object::CronJob(cron_job) => cronjob::defaults::default_spec(&mut Arc::make_mut(cron_job).spec),
        Object::Pod(pod) => Arc::make_mut(pod).spec.iter_mut().for_each(pod::defaults::default_bare_pod),
        Object::Namespace(namespace) => namespace::label(Arc::make_mut(namespace)),
        Object::Secret(secret) => config::default_secret(Arc::make_mut(secret)),
        Object::ConfigMap(_)
        | Object::Event(_)
        | Object::Node(_)
        | Object::Lease(_)
        | Object::Module(_)
        | Object::ServiceAccount(_) => {}
    }
    object
}

/// The object to store for a PUT or PATCH of the object itself. The result carries the `resourceVersion` of `old`, so
/// that a change of nothing is equal to it; whether the client based its write on that version is for the caller to
/// check. `now` is not used by any rule yet.
pub fn update(old: &Object, mut new: Object, _now: Timestamp) -> Result<Object, ApiError> {
    same_kind(old, &new)?;
    same_uid(old, &new)?;
    restore_meta(new.meta_mut(), old.meta());
    let mut faults = Vec::new();
    let object = match (old, new) {
        (Object::Job(old), Object::Job(new)) => {
            let mut new = Arc::unwrap_or_clone(new);
            new.status.clone_from(&old.status);
            new.spec.iter_mut().for_each(job::defaults::default_spec);
            job::defaults::default_labels(&mut new);
            advance_generation(&mut new.metadata, !semantically_equal(&new.spec, &old.spec));
            validate_meta_update(&new.metadata, &old.metadata, &mut faults);
            job::validate_update(&new, old, &mut faults);
            Object::from(new)
        }
        (Object::CronJob(old), Object::CronJob(new)) => {
            let mut new = Arc::unwrap_or_clone(new);
            new.status.clone_from(&old.status);
            cronjob::defaults::default_spec(&mut new.spec);
            advance_generation(&mut new.metadata, !semantically_equal(&new.spec, &old.spec));
            validate_meta_update(&new.metadata, &old.metadata, &mut faults);
            cronjob::validate_update(&new, old, &mut faults);
            Object::from(new)
        }
        (Object::Pod(old), Object::Pod(new)) => {
            let mut new = Arc::unwrap_or_clone(new);
            new.status.clone_from(&old.status);
            new.spec.iter_mut().for_each(pod::defaults::default_bare_pod);
            advance_generation(&mut new.metadata, !semantically_equal(&new.spec, &old.spec));
            validate_meta_update(&new.metadata, &old.metadata, &mut faults);
            match (&new.spec, &old.spec) {
                (Some(spec), Some(before)) => {
                    pod::validate_pod(&new, &mut faults);
                    pod::update::validate_update(spec, before, &Path::root("spec"), &mut faults);
                }
                _ => faults.push(FieldError::required(&Path::root("spec"), "")),
            }
            Object::from(new)
        }
        (Object::Namespace(old), Object::Namespace(new)) => {
            let mut new = Arc::unwrap_or_clone(new);
            namespace::label(&mut new);
            new.spec.clone_from(&old.spec);
            new.status.clone_from(&old.status);
            validate_meta_update(&new.metadata, &old.metadata, &mut faults);
            Object::from(new)
        }
        (Object::Secret(old), Object::Secret(new)) => {
            let mut new = Arc::unwrap_or_clone(new);
            config::default_secret(&mut new);
            validate_meta_update(&new.metadata, &old.metadata, &mut faults);
            config::validate_secret_update(&new, old, &mut faults);
            Object::from(new)
        }
        (Object::ConfigMap(old), Object::ConfigMap(new)) => {
            validate_meta_update(&new.metadata, &old.metadata, &mut faults);
            config::validate_config_map_update(&new, old, &mut faults);
            Object::from(new)
        }
        (Object::Node(old), Object::Node(mut new)) => {
            Arc::make_mut(&mut new).status.clone_from(&old.status);
            validate_meta_update(&new.metadata, &old.metadata, &mut faults);
            validate_node(&new, &mut faults);
            Object::from(new)
        }
        (Object::Module(old), Object::Module(new)) => {
            validate_meta_update(&new.metadata, &old.metadata, &mut faults);
            module::check_update(&new, old, &mut faults);
            Object::from(new)
        }
        (old, new) => {
            validate_meta_update(new.meta(), old.meta(), &mut faults);
            match &new {
                Object::Event(event) => validate_event(event, &mut faults),
                Object::Lease(lease) => validate_lease(lease, &mut faults),
                Object::ServiceAccount(account) => validate_service_account(account, &mut faults),
                _ => {}
            }
            new
        }
    };
    finish(object, faults)
}

/// The object to store for a PUT or PATCH of `/status`: status and metadata of `new`, all else of `old`. Of a pod the owners
/// stay, too.
pub fn update_status(old: &Object, new: Object) -> Result<Object, ApiError> {
    same_kind(old, &new)?;
    same_uid(old, &new)?;
    let mut faults = Vec::new();
    let mut object = old.clone();
    match (&mut object, &new) {
        (Object::Job(object), Object::Job(new)) => {
            job::validate_status(new, object, &mut faults);
            Arc::make_mut(object).status.clone_from(&new.status);
        }
        // Kubernetes demands nothing of what a status of a CronJob says (`registry/batch/cronjob/strategy.go`).
        (Object::CronJob(object), Object::CronJob(new)) => Arc::make_mut(object).status.clone_from(&new.status),
        (Object::Pod(object), Object::Pod(new)) => {
            let mut new = Pod::clone(new);
            pod::status::complete(new.status.get_or_insert_default(), object.status.as_ref());
            pod::status::validate_status(&new, object, &mut faults);
            Arc::make_mut(object).status = new.status;
        }
        (Object::Node(object), Object::Node(new)) => Arc::make_mut(object).status.clone_from(&new.status),
        (Object::Namespace(object), Object::Namespace(new)) => {
            let object = Arc::make_mut(object);
            object.status.clone_from(&new.status);
            namespace::validate_status(object, &mut faults);
        }
        (object, _) => {
            let resource = object.kind().info().qualified_resource();
            return Err(ApiError::MethodNotAllowed(format!("{resource} have no status")));
        }
    }
    let meta = object.meta_mut();
    meta.labels.clone_from(&new.meta().labels);
    meta.annotations.clone_from(&new.meta().annotations);
    meta.finalizers.clone_from(&new.meta().finalizers);
    if new.kind() != Kind::Pod {
        meta.owner_references.clone_from(&new.meta().owner_references);
    }
    validate_meta_update(meta, old.meta(), &mut faults);
    finish(object, faults)
}

/// The object to store for a PUT of a namespace's `/finalize`: `spec.finalizers` of `new`, all else of `old`.
pub fn finalize(old: &Object, new: &Object) -> Result<Object, ApiError> {
    same_kind(old, new)?;
    same_uid(old, new)?;
    let (Object::Namespace(old), Object::Namespace(new)) = (old, new) else {
        let resource = old.kind().info().qualified_resource();
        return Err(ApiError::MethodNotAllowed(format!("{resource} have no finalizers of their spec")));
    };
    let mut namespace = Namespace::clone(old);
    namespace.spec.clone_from(&new.spec);
    let mut faults = Vec::new();
    namespace::validate_finalizers(&namespace, &mut faults);
    finish(namespace.into(), faults)
}

/// What the client is warned of although its object is accepted.
pub fn warnings(object: &Object) -> Vec<String> {
    match object {
        Object::Job(job) => job::warnings(job),
        Object::CronJob(cron_job) => cronjob::warnings(cron_job),
        Object::Pod(pod) => {
            let faults = names::dns1123_label(pod.metadata.name.as_deref().unwrap_or_default());
            let warning = || {
                format!(
                    "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS \
                     label is recommended: [{}]",
                    faults.join(" ")
                )
            };
            if faults.is_empty() { Vec::new() } else { vec![warning()] }
        }
        _ => Vec::new(),
    }
}

/// Only these kinds count the changes of their spec.
fn has_generation(kind: Kind) -> bool {
    matches!(kind, Kind::CronJob | Kind::Job | Kind::Pod)
}

fn stamp_meta(meta: &mut ObjectMeta, kind: Kind, stamp: &Stamp) {
    let ObjectMeta {
        annotations: _,
        creation_timestamp,
        deletion_grace_period_seconds,
        deletion_timestamp,
        finalizers: _,
        generate_name,
        generation,
        labels: _,
        managed_fields,
        name,
        namespace: _,
        owner_references: _,
        resource_version,
        self_link,
        uid,
    } = meta;
    if name.as_deref().unwrap_or_default().is_empty()
        && let Some(base) = generate_name.as_deref().filter(|base| !base.is_empty())
    {
        *name = Some(names::generate_name(base, stamp.suffix));
    }
    *uid = Some(stamp.uid.clone());
    *creation_timestamp = Some(meta::time(stamp.now));
    *generation = has_generation(kind).then_some(1);
    *deletion_timestamp = None;
    *deletion_grace_period_seconds = None;
    *resource_version = None;
    *self_link = None;
    *managed_fields = None;
}

/// What belongs to the server is as it was, whatever the client sent. Name and namespace stay for validation to see.
fn restore_meta(new: &mut ObjectMeta, old: &ObjectMeta) {
    let ObjectMeta {
        annotations: _,
        creation_timestamp,
        deletion_grace_period_seconds,
        deletion_timestamp,
        finalizers: _,
        generate_name,
        generation,
        labels: _,
        managed_fields,
        name: _,
        namespace: _,
        owner_references: _,
        resource_version,
        self_link,
        uid,
    } = new;
    creation_timestamp.clone_from(&old.creation_timestamp);
    deletion_timestamp.clone_from(&old.deletion_timestamp);
    deletion_grace_period_seconds.clone_from(&old.deletion_grace_period_seconds);
    generate_name.clone_from(&old.generate_name);
    generation.clone_from(&old.generation);
    managed_fields.clone_from(&old.managed_fields);
    resource_version.clone_from(&old.resource_version);
    self_link.clone_from(&old.self_link);
    uid.clone_from(&old.uid);
}

fn advance_generation(meta: &mut ObjectMeta, spec_changed: bool) {
    if spec_changed {
        meta.generation = Some(meta.generation.unwrap_or(0).saturating_add(1));
    }
}

fn default_job(job: &mut Job) {
    let Some(spec) = &mut job.spec else { return };
    job::defaults::default_spec(spec);
    job::defaults::generate_selector(job);
    job::defaults::default_labels(job);
}

fn prepare_pod(pod: &mut Pod) {
    let Some(spec) = &mut pod.spec else { return };
    pod::defaults::default_bare_pod(spec);
    pod.status = Some(initial_pod_status(pod::qos::class(spec)));
}

/// The status of a pod that nobody has looked at yet. `qos` is its [class](pod::qos::class).
pub fn initial_pod_status(qos: &str) -> PodStatus {
    PodStatus { phase: Some(PHASE_PENDING.to_owned()), qos_class: Some(qos.to_owned()), ..PodStatus::default() }
}

fn validate_meta_create(kind: Kind, meta: &ObjectMeta, faults: &mut Vec<FieldError>) {
    validate_meta::validate_create(kind, meta, &Path::root("metadata"), faults);
}

fn validate_meta_update(new: &ObjectMeta, old: &ObjectMeta, faults: &mut Vec<FieldError>) {
    validate_meta::validate_update(new, old, &Path::root("metadata"), faults);
}

fn same_kind(old: &Object, new: &Object) -> Result<(), ApiError> {
    let (old, new) = (old.kind().info(), new.kind().info());
    match old.kind == new.kind {
        true => Ok(()),
        false => Err(ApiError::BadRequest(format!("the object provided is a {}, not a {}", new.kind, old.kind))),
    }
}

/// A write for an object of before, which has been deleted and made anew since.
fn same_uid(old: &Object, new: &Object) -> Result<(), ApiError> {
    if new.uid().is_empty() || new.uid() == old.uid() {
        return Ok(());
    }
    let detail = format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", new.uid(), old.uid());
    Err(ApiError::Conflict { kind: old.kind(), key: old.key(), detail })
}

fn finish(mut object: Object, faults: Vec<FieldError>) -> Result<Object, ApiError> {
    plain::fill(&mut object);
    ApiError::check(object.kind(), object.meta().name.as_deref().unwrap_or_default(), faults)?;
    Ok(object)
}

#[cfg(test)]
#[path = "admission_test.rs"]
mod tests;
