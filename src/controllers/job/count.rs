//! Counting pods that have ended: each once, in the commit in which it loses the finalizer with which it was waiting for
//! this.

use k8s_openapi::api::core::v1::Pod;

use super::failure_policy::{Verdict, verdict};
use super::indexed::{has_failed, has_limit_per_index, index_of, is_indexed, retry};
use super::pods::{is_tracked, released};
use super::reconcile::{AT_ONCE, Sync};
use super::status::{self, Cause, Reason};
use super::tracked::Held;
use crate::api::pod::facts;
use crate::control::{Effect, Plan};

impl Sync<'_> {
    /// Counts the pods that have finished, and those being deleted that count as failed.
    pub fn count(&mut self, plan: &mut Plan) {
        let pods = self.pods;
        let spec = self.spec;
        let leaving = pods.terminating.values().filter(|pod| has_failed(spec, pod) && !pods.is_held(pod));
        for pod in pods.finished.values().chain(leaving).filter(|pod| is_tracked(pod)) {
            if plan.effects.len() >= AT_ONCE {
                self.uncounted += 1;
                continue;
            }
            self.book(pod);
            self.add_usage(pod);
            plan.effects.push(Effect::Update(released(pod)));
        }
        // What waited to be tried again, and has become needless. A pod of no index does not count.
        for (index, held) in pods.held.range(spec.completions.unwrap_or(0)..) {
            self.settled.insert(*index);
            match plan.effects.len() >= AT_ONCE {
                true => self.uncounted += 1,
                false => self.let_go(held, plan),
            }
        }
        for index in self.decided.clone() {
            if let Some(held) = pods.held.get(&index) {
                self.settled.insert(index);
                self.count_held(held, plan);
            }
        }
    }

    fn book(&mut self, pod: &Pod) {
        if !is_indexed(self.spec) {
            match facts::has_succeeded(pod) {
                true => add_one(&mut self.status.succeeded),
                false => self.book_failure(pod, None),
            }
            return;
        }
        let completions = self.spec.completions.unwrap_or(0);
        // A pod that belongs to no index is none of the Job's work.
        let Some(index) = index_of(pod).filter(|index| *index < completions) else { return };
        if !facts::has_succeeded(pod) {
            self.book_failure(pod, Some(index));
        } else if self.completed.insert(index) {
            self.decided.push(index);
        }
    }

    fn book_failure(&mut self, pod: &Pod, index: Option<i32>) {
        let mut fails_index = has_limit_per_index(self.spec) && retry(self.spec, pod).is_none();
        match verdict(self.spec.pod_failure_policy.as_ref(), pod) {
            Some(Verdict::Ignore) => return,
            Some(Verdict::FailJob(message)) => {
                fails_index = false;
                self.fatal.get_or_insert(Cause::new(Reason::PodFailurePolicy, message));
            }
            Some(Verdict::FailIndex | Verdict::Count) => {}
            None if facts::is_disrupted(pod) => return,
            None if facts::is_fate_unknown(pod) && !has_limit_per_index(self.spec) => {
                let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                let message = format!(
                    "Pod {namespace}/{name} was running when kiln ended, and must not be started twice \
                     (kiln.dev/at-most-once)"
                );
                self.fatal.get_or_insert(Cause::new(Reason::FateUnknown, message));
            }
            None => {}
        }
        add_one(&mut self.status.failed);
        if let Some(index) = index.filter(|index| fails_index && !self.completed.contains(*index))
            && self.failed_indexes.insert(index)
        {
            self.decided.push(index);
        }
    }

    /// Counts a pod that was held until its index would be tried again.
    pub fn count_held(&mut self, held: &Held, plan: &mut Plan) {
        if held.retry.is_charged {
            add_one(&mut self.status.failed);
        }
        self.let_go(held, plan);
    }

    fn let_go(&mut self, held: &Held, plan: &mut Plan) {
        self.add_usage(&held.pod);
        plan.effects.push(Effect::Update(released(&held.pod)));
    }

    /// Counts all that is held, as the Job ends.
    pub fn count_all_held(&mut self, plan: &mut Plan) {
        let pods = self.pods;
        for (index, held) in &pods.held {
            if self.settled.contains(index) {
                continue;
            }
            if plan.effects.len() >= AT_ONCE {
                self.uncounted += 1;
                continue;
            }
            self.count_held(held, plan);
        }
    }

    /// Only of a pod that has ended: one that is being deleted may still use more.
    fn add_usage(&mut self, pod: &Pod) {
        if facts::is_finished(pod) {
            self.usage.add(&pod.metadata);
        }
    }

    /// How many failures the Job has had, those included whose pods are held.
    pub fn failures(&self) -> i32 {
        let settled = self.settled.iter().filter_map(|index| self.pods.held.get(index));
        let counted = i32::try_from(settled.filter(|held| held.retry.is_charged).count()).unwrap_or(0);
        let waiting = self.pods.held_failures.saturating_sub(counted);
        self.status.failed.unwrap_or(0).saturating_add(waiting)
    }
}

fn add_one(counter: &mut Option<i32>) {
    *counter = status::unless_zero(counter.unwrap_or(0).saturating_add(1));
}
