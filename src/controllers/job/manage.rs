//! Brings the number of active pods to what is wanted, and with indexes the right ones (kubernetes
//! `pkg/controller/job/job_controller.go`, `manageJob`, and `indexed_job_utils.go`).

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;

use super::backoff;
use super::indexed::{Tries, has_limit_per_index, is_indexed, only_failed_are_replaced};
use super::pods::{Slot, in_order_of_deletion, new_pod};
use super::reconcile::{AT_ONCE, Sync};
use super::rerun;
use super::tracked::NO_INDEX;
use super::wanted::wanted_active;
use crate::api::Object;
use crate::control::{Effect, Note, Plan};

impl Sync<'_> {
    pub fn manage(&mut self, plan: &mut Plan) {
        self.resume(plan);
        if let Some(deadline) = self.deadline() {
            plan.look_again(deadline);
            self.stamp(deadline, plan);
        }
        if self.uncounted > 0 || plan.effects.len() >= AT_ONCE {
            // What has succeeded is not known yet: a pod created now might be one too many.
            return plan.look_again(self.now);
        }
        if is_indexed(self.spec) && self.delete_needless(plan) {
            return plan.look_again(self.now);
        }
        let leaving = match only_failed_are_replaced(self.spec) {
            true => i32::try_from(self.pods.terminating.len()).unwrap_or(i32::MAX),
            false => 0,
        };
        let wanted = wanted_active(self.spec, self.counts());
        let missing = wanted.saturating_sub(self.active).saturating_sub(leaving);
        if wanted < self.active {
            self.delete_surplus(usize::try_from(self.active - wanted).unwrap_or(0), plan);
        } else if missing > 0 {
            self.create_missing(usize::try_from(missing).unwrap_or(0), plan);
        }
    }

    /// Deletes active pods of an Indexed Job that do no work of it: of no index, of one beyond the last, of one that is
    /// decided, and the second of an index.
    fn delete_needless(&mut self, plan: &mut Plan) -> bool {
        let pods = self.pods;
        let of = |index: i32| pods.indexes.get(&index).into_iter().flatten().filter_map(|name| pods.active.get(name));
        let completions = self.spec.completions.unwrap_or(0);
        let beyond = pods.indexes.range(completions..).flat_map(|(index, _)| of(*index));
        let decided = self.decided.iter().flat_map(|index| of(*index));
        let second = pods.crowded.iter().filter(|index| !self.decided.contains(index)).flat_map(|index| {
            let mut siblings = in_order_of_deletion(of(*index));
            // The one that has come furthest is the last in this order.
            siblings.pop();
            siblings
        });
        let mut seen = HashSet::new();
        let needless: Vec<&Arc<Pod>> = of(NO_INDEX)
            .chain(beyond)
            .chain(decided)
            .chain(second)
            .filter(|pod| seen.insert(pod.metadata.name.as_deref()))
            .take(AT_ONCE)
            .collect();
        for pod in &needless {
            self.delete(pod, plan);
        }
        !needless.is_empty()
    }

    fn delete_surplus(&mut self, surplus: usize, plan: &mut Plan) {
        let pods = self.pods;
        for pod in in_order_of_deletion(pods.active.values()).into_iter().take(surplus.min(AT_ONCE)) {
            self.delete(pod, plan);
        }
        if surplus > AT_ONCE {
            plan.look_again(self.now);
        }
    }

    fn create_missing(&mut self, missing: usize, plan: &mut Plan) {
        if has_limit_per_index(self.spec) {
            return self.create_by_index(missing, plan);
        }
        let since = rerun::began(self.job);
        match self.pods.backoff.until(&backoff::setting(self.job), since) {
            Some(at) if at > self.now => plan.look_again(at),
            _ if is_indexed(self.spec) => self.create_by_index(missing, plan),
            _ => self.create((0..missing).map(|_| None), plan),
        }
    }

    /// Creates pods for the lowest indexes that have none and are not decided. With a limit per index each waits for its
    /// own delay, and keeps its place meanwhile.
    fn create_by_index(&mut self, missing: usize, plan: &mut Plan) {
        let (pods, setting) = (self.pods, backoff::setting(self.job));
        let waits_for_leaving = only_failed_are_replaced(self.spec);
        let has_pod =
            |index: &i32| pods.indexes.contains_key(index) || waits_for_leaving && pods.leaving.contains_key(index);
        let decided = self.completed.union(&self.failed_indexes);
        let free = decided.iter_missing(self.spec.completions.unwrap_or(0)).filter(|index| !has_pod(index));
        let per_index = has_limit_per_index(self.spec);
        let mut slots = Vec::new();
        for index in free.take(missing) {
            if plan.effects.len() + slots.len() >= AT_ONCE {
                plan.look_again(self.now);
                break;
            }
            let mut tries = per_index.then(Tries::default);
            if let Some(held) = pods.held.get(&index) {
                let delay = setting.delay(held.retry.tries.total());
                match held.since.saturating_add(delay) {
                    Ok(at) if held.retry.is_delayed && at > self.now => {
                        plan.look_again(at);
                        continue;
                    }
                    Err(_) if held.retry.is_delayed => continue,
                    _ => {}
                }
                self.count_held(held, plan);
                // The count goes over to the new pod, or stays where it is.
                plan.is_whole = true;
                tries = Some(held.retry.tries);
            }
            slots.push(Some(Slot { index, tries }));
        }
        self.create(slots.into_iter(), plan);
    }

    fn create(&mut self, slots: impl ExactSizeIterator<Item = Option<Slot>>, plan: &mut Plan) {
        let deadline = self.deadline();
        let job = Object::Job(self.job.clone());
        let mut names = HashSet::new();
        if slots.len() > AT_ONCE {
            plan.look_again(self.now);
        }
        for slot in slots.take(AT_ONCE) {
            let mut pod = new_pod(self.job, slot, deadline, self.now, self.ids);
            while !names.insert(pod.metadata.name.clone()) {
                // One of fourteen million, drawn twice.
                pod = new_pod(self.job, slot, deadline, self.now, self.ids);
            }
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            plan.notes.push(Note::normal(&job, "SuccessfulCreate", format!("Created pod: {name}")));
            plan.effects.push(Effect::Create(pod.into()));
            self.active += 1;
        }
    }
}
