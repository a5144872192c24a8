//! What a pod of a Job looks like, and which are deleted first.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::api::pod::{defaults, facts, qos};
use crate::api::{meta, names, well_known};
use crate::ids::Ids;

/// A new pod from the Job's template. `deadline` is when its Job's time is up.
pub fn new_pod(job: &Job, deadline: Option<Timestamp>, now: Timestamp, ids: &Ids) -> Pod {
    let template = job.spec.as_ref().map(|spec| &spec.template);
    let of_template = template.and_then(|t| t.metadata.as_ref());
    let job_name = job.metadata.name.clone().unwrap_or_default();
    let base = format!("{job_name}-");
    let mut finalizers = of_template.and_then(|m| m.finalizers.clone()).unwrap_or_default();
    finalizers.push(well_known::FINALIZER_JOB_TRACKING.to_owned());
    let mut annotations = of_template.and_then(|m| m.annotations.clone());
    if let Some(deadline) = deadline {
        annotations
            .get_or_insert_default()
            .insert(well_known::ANNOTATION_DEADLINE.to_owned(), meta::format_micros(deadline));
    }
    let metadata = ObjectMeta {
        name: Some(names::generate_name(&base, &ids.suffix())),
        generate_name: Some(base),
        namespace: job.metadata.namespace.clone(),
        uid: Some(ids.uid()),
        creation_timestamp: Some(meta::time(now)),
        generation: Some(1),
        labels: of_template.and_then(|m| m.labels.clone()),
        annotations,
        finalizers: Some(finalizers),
        owner_references: Some(vec![OwnerReference {
            api_version: "batch/v1".to_owned(),
            kind: "Job".to_owned(),
            name: job_name,
            uid: job.metadata.uid.clone().unwrap_or_default(),
            controller: Some(true),
            block_owner_deletion: Some(true),
        }]),
        ..ObjectMeta::default()
    };
    let mut spec = template.and_then(|t| t.spec.clone()).unwrap_or_default();
    defaults::default_pod(&mut spec);
    let status = PodStatus {
        phase: Some(well_known::PHASE_PENDING.to_owned()),
        qos_class: Some(qos::class(&spec).to_owned()),
        ..PodStatus::default()
    };
    Pod { metadata, spec: Some(spec), status: Some(status) }
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
    use k8s_openapi::api::core::v1::PodTemplateSpec;

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
        let pod = new_pod(&job, Some(now), now, &Ids::seeded(1));
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
}
