//! What a pod of a Job looks like, how one is taken over or let go, and which are deleted first.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod, PodSpec, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::indexed::Tries;
use crate::api::pod::{defaults, facts, qos};
use crate::api::{Object, meta, names, well_known};
use crate::ids::Ids;

/// The place of a pod in an Indexed Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub index: i32,
    /// With a limit per index: the failures of the index so far.
    pub tries: Option<Tries>,
}

/// The part of an Indexed Job's name that its pods' names begin with leaves room for the index and five characters
/// within a label (63).
const MOST_OF_PREFIX: usize = 58;

/// A new pod from the Job's template. `deadline` is when its Job's time is up.
pub fn new_pod(job: &Job, slot: Option<Slot>, deadline: Option<Timestamp>, now: Timestamp, ids: &Ids) -> Pod {
    let template = job.spec.as_ref().map(|spec| &spec.template);
    let of_template = template.and_then(|t| t.metadata.as_ref());
    let job_name = job.metadata.name.clone().unwrap_or_default();
    let base = match slot {
        None => format!("{job_name}-"),
        Some(Slot { index, .. }) => {
            let suffix = format!("-{index}-");
            // Names are ASCII; `get` keeps a name that is not from doing harm.
            let most = MOST_OF_PREFIX.saturating_sub(suffix.len()).min(job_name.len());
            format!("{}{suffix}", job_name.get(..most).unwrap_or(&job_name))
        }
    };
    let mut finalizers = of_template.and_then(|m| m.finalizers.clone()).unwrap_or_default();
    finalizers.push(well_known::FINALIZER_JOB_TRACKING.to_owned());
    let mut metadata = ObjectMeta {
        name: Some(names::generate_name(&base, &ids.suffix())),
        generate_name: Some(base),
        namespace: job.metadata.namespace.clone(),
        uid: Some(ids.uid()),
        creation_timestamp: Some(meta::time(now)),
        generation: Some(1),
        labels: of_template.and_then(|m| m.labels.clone()),
        annotations: of_template.and_then(|m| m.annotations.clone()),
        finalizers: Some(finalizers),
        owner_references: Some(vec![owner_reference(job)]),
        ..ObjectMeta::default()
    };
    if let Some(deadline) = deadline {
        meta::set_annotation(&mut metadata, well_known::ANNOTATION_DEADLINE, meta::format_micros(deadline));
    }
    if let Some(value) = meta::annotation(&job.metadata, well_known::ANNOTATION_AT_MOST_ONCE) {
        meta::set_annotation(&mut metadata, well_known::ANNOTATION_AT_MOST_ONCE, value);
    }
    let mut spec = template.and_then(|t| t.spec.clone()).unwrap_or_default();
    if let Some(slot) = slot {
        place_in(slot, &job_name, &mut metadata, &mut spec);
    }
    defaults::default_pod(&mut spec);
    let status = PodStatus {
        phase: Some(well_known::PHASE_PENDING.to_owned()),
        qos_class: Some(qos::class(&spec).to_owned()),
        ..PodStatus::default()
    };
    Pod { metadata, spec: Some(spec), status: Some(status) }
}

/// Tells the pod its index, in the ways that Kubernetes does: label, annotation, host name, environment.
fn place_in(slot: Slot, job_name: &str, metadata: &mut ObjectMeta, spec: &mut PodSpec) {
    let index = slot.index.to_string();
    metadata.labels.get_or_insert_default().insert(well_known::ANNOTATION_COMPLETION_INDEX.to_owned(), index.clone());
    meta::set_annotation(metadata, well_known::ANNOTATION_COMPLETION_INDEX, index.clone());
    if let Some(tries) = slot.tries {
        meta::set_annotation(metadata, well_known::ANNOTATION_INDEX_FAILURES, tries.failed.to_string());
        if tries.ignored > 0 {
            meta::set_annotation(metadata, well_known::ANNOTATION_INDEX_IGNORED_FAILURES, tries.ignored.to_string());
        }
    }
    spec.hostname = Some(format!("{job_name}-{index}"));
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        let env = container.env.get_or_insert_default();
        if env.iter().all(|var| var.name != ENV_COMPLETION_INDEX) {
            env.push(EnvVar {
                name: ENV_COMPLETION_INDEX.to_owned(),
                value_from: Some(EnvVarSource {
                    field_ref: Some(ObjectFieldSelector {
                        api_version: Some("v1".to_owned()),
                        field_path: format!("metadata.labels['{}']", well_known::ANNOTATION_COMPLETION_INDEX),
                    }),
                    ..EnvVarSource::default()
                }),
                ..EnvVar::default()
            });
        }
    }
}

const ENV_COMPLETION_INDEX: &str = "JOB_COMPLETION_INDEX";

fn owner_reference(job: &Job) -> OwnerReference {
    OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: job.metadata.name.clone().unwrap_or_default(),
        uid: job.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// The pod as one of the Job's, which will count its end.
pub fn adopted(pod: &Arc<Pod>, job: &Job) -> Object {
    let mut object = Object::Pod(pod.clone());
    let metadata = object.meta_mut();
    metadata.owner_references.get_or_insert_default().push(owner_reference(job));
    if !meta::has_finalizer(metadata, well_known::FINALIZER_JOB_TRACKING) {
        metadata.finalizers.get_or_insert_default().push(well_known::FINALIZER_JOB_TRACKING.to_owned());
    }
    object
}

/// The pod as nobody's.
pub fn abandoned(pod: &Arc<Pod>, job: &Job) -> Object {
    let mut object = released(pod);
    let metadata = object.meta_mut();
    if let Some(owners) = &mut metadata.owner_references {
        owners.retain(|owner| Some(&owner.uid) != job.metadata.uid.as_ref());
    }
    metadata.owner_references.take_if(|owners| owners.is_empty());
    object
}

/// Whether the pod waits to be counted.
pub fn is_tracked(pod: &Pod) -> bool {
    meta::has_finalizer(&pod.metadata, well_known::FINALIZER_JOB_TRACKING)
}

/// The pod as one whose end nobody waits for any more.
pub fn released(pod: &Arc<Pod>) -> Object {
    let mut object = Object::Pod(pod.clone());
    meta::remove_finalizer(object.meta_mut(), well_known::FINALIZER_JOB_TRACKING);
    object
}

/// The active pods in the order in which they are given up: not yet placed, then pending, then not ready, then those
/// that restarted most, then the newest (kubernetes `pkg/controller/controller_utils.go`, `ActivePods`).
pub fn in_order_of_deletion<'a>(active: impl Iterator<Item = &'a Arc<Pod>>) -> Vec<&'a Arc<Pod>> {
    let mut pods: Vec<_> = active.collect();
    pods.sort_by_cached_key(|pod| {
        let running = facts::phase(pod) == well_known::PHASE_RUNNING;
        let created = pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
        (facts::node(pod).is_some(), running, facts::is_ready(pod), Reverse(facts::restarts(pod)), Reverse(created))
    });
    pods
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::batch::v1::JobSpec;
    use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};

    #[test]
    fn a_pod_carries_what_its_job_gives_it() {
        let mut job = Job::default();
        job.metadata.name = Some("pi".to_owned());
        job.metadata.namespace = Some("ns".to_owned());
        job.metadata.uid = Some("u".to_owned());
        let labels = ObjectMeta { labels: Some([("a".to_owned(), "b".to_owned())].into()), ..ObjectMeta::default() };
        let template = PodTemplateSpec { metadata: Some(labels), spec: Some(Default::default()) };
        job.spec = Some(JobSpec { template, ..JobSpec::default() });
        let now = Timestamp::UNIX_EPOCH;
        let pod = new_pod(&job, None, Some(now), now, &Ids::seeded(1));
        let name = pod.metadata.name.as_deref().unwrap();
        assert!(name.starts_with("pi-") && name.len() == 8, "{name}");
        assert_eq!(meta::label(&pod.metadata, "a"), Some("b"));
        assert!(meta::has_finalizer(&pod.metadata, well_known::FINALIZER_JOB_TRACKING));
        assert_eq!(meta::controller_of(&pod.metadata).unwrap().uid, "u");
        assert_eq!(
            meta::annotation(&pod.metadata, well_known::ANNOTATION_DEADLINE),
            Some("1970-01-01T00:00:00.000000Z")
        );
        assert_eq!(facts::phase(&pod), "Pending");
    }

    #[test]
    fn a_pod_of_an_indexed_job_is_told_its_index() {
        let mut job = Job::default();
        job.metadata.name = Some("n".repeat(61));
        job.metadata.uid = Some("u".to_owned());
        let own = EnvVar { name: ENV_COMPLETION_INDEX.to_owned(), value: Some("mine".to_owned()), ..EnvVar::default() };
        let container = |env: Vec<EnvVar>| Container { env: Some(env), ..Container::default() };
        let spec = PodSpec {
            containers: vec![container(vec![own.clone()]), container(vec![])],
            init_containers: Some(vec![container(vec![])]),
            ..PodSpec::default()
        };
        let template = PodTemplateSpec { metadata: None, spec: Some(spec) };
        job.spec = Some(JobSpec { template, ..JobSpec::default() });
        let slot = Slot { index: 12, tries: Some(Tries { failed: 2, ignored: 1 }) };
        let pod = new_pod(&job, Some(slot), None, Timestamp::UNIX_EPOCH, &Ids::seeded(1));
        let name = pod.metadata.name.as_deref().unwrap();
        assert!(name.starts_with(&format!("{}-12-", "n".repeat(54))) && name.len() == 63, "{name}");
        let index = well_known::ANNOTATION_COMPLETION_INDEX;
        assert_eq!(
            (meta::label(&pod.metadata, index), meta::annotation(&pod.metadata, index)),
            (Some("12"), Some("12"))
        );
        assert_eq!(Tries::before(&pod), Tries { failed: 2, ignored: 1 });
        let spec = pod.spec.unwrap();
        assert_eq!(spec.hostname.unwrap(), format!("{}-12", "n".repeat(61)));
        assert_eq!(spec.containers[0].env.as_deref(), Some(&[own][..]));
        for container in [&spec.containers[1], &spec.init_containers.unwrap()[0]] {
            let source = container.env.as_ref().unwrap()[0].value_from.as_ref().unwrap();
            let path = &source.field_ref.as_ref().unwrap().field_path;
            assert_eq!(path, "metadata.labels['batch.kubernetes.io/job-completion-index']");
        }
    }

    #[test]
    fn a_pod_is_taken_over_and_let_go() {
        let mut job = Job::default();
        job.metadata.uid = Some("u".to_owned());
        let pod = Arc::new(Pod::default());
        let taken = adopted(&pod, &job);
        let taken = taken.as_pod().unwrap();
        assert!(is_tracked(taken) && meta::controller_of(&taken.metadata).unwrap().uid == "u");
        assert_eq!(abandoned(taken, &job), Object::Pod(pod));
    }
}
