//! `spec.suspend`: a suspended Job has no pods. Those that were active are deleted and not counted, its clock stands
//! still, and what has succeeded and failed is kept. It starts anew when it is resumed, with a new start time, as since
//! Kubernetes 1.36.

use k8s_openapi::api::batch::v1::JobSpec;

use super::reconcile::{AT_ONCE, Sync};
use super::status;
use crate::api::{Object, well_known};
use crate::control::{Note, Plan};

pub fn is_asked_for(spec: &JobSpec) -> bool {
    spec.suspend == Some(true)
}

impl Sync<'_> {
    pub fn suspend(&mut self, plan: &mut Plan) {
        self.status.start_time = None;
        if let Some(annotations) = &mut self.next.metadata.annotations {
            annotations.remove(well_known::ANNOTATION_START_TIME);
        }
        let pods = self.pods;
        for pod in pods.active.values() {
            if plan.effects.len() >= AT_ONCE {
                plan.look_again(self.now);
                break;
            }
            self.delete(pod, plan);
        }
        if status::set_suspended(&mut self.status, true, self.now) {
            plan.notes.push(Note::normal(&Object::Job(self.job.clone()), "Suspended", "Job suspended"));
        }
    }

    /// Notes that the Job goes on, if it was suspended.
    pub fn resume(&mut self, plan: &mut Plan) {
        if status::set_suspended(&mut self.status, false, self.now) {
            plan.notes.push(Note::normal(&Object::Job(self.job.clone()), "Resumed", "Job resumed"));
        }
    }
}
