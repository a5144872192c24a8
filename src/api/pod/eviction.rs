//! What an eviction leaves on a pod beside its deletion (`registry/core/pod/storage/eviction.go`, about 1.34).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};

use crate::api::pod::facts;
use crate::api::{meta, well_known};

/// Says that the pod ends because somebody wanted its node free: a rule of its Job's `podFailurePolicy` may be about it.
pub fn mark(pod: &mut Pod, now: Timestamp) {
    if facts::is_finished(pod) {
        return;
    }
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    if conditions.iter().any(|c| c.type_ == well_known::COND_DISRUPTION_TARGET && c.status == "True") {
        return;
    }
    conditions.retain(|c| c.type_ != well_known::COND_DISRUPTION_TARGET);
    conditions.push(PodCondition {
        type_: well_known::COND_DISRUPTION_TARGET.to_owned(),
        status: "True".to_owned(),
        reason: Some("EvictionByEvictionAPI".to_owned()),
        message: Some("Eviction API: evicting".to_owned()),
        last_transition_time: Some(meta::time(now)),
        ..PodCondition::default()
    });
}
