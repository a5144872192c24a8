//! The Job controller: starts pods until the given number has completed.
//!
//! What Kubernetes does in several writes (remember the pods that finished, release them, count them) is here one
//! transaction: the pods that lose their tracking finalizer, the counters that grow and the pods that are created are
//! committed together, so each pod is counted exactly once whatever crashes, and `uncountedTerminatedPods` is always
//! empty. The states of a Job, each with the condition that shows it:
//!
//! ```text
//!            ┌───────────── count, create, delete ─┐
//!            ▼                                     │
//!  new ──► running ────────────────────────────────┘
//!            │ enough succeeded       │ a cause to fail (deadline, back-off limit)
//!            ▼                        ▼
//!   SuccessCriteriaMet           FailureTarget      pods still active are stopped and counted
//!            │ no pod left            │ no pod left
//!            ▼                        ▼
//!         Complete                 Failed           never touched again
//! ```
//!
//! One policy, one file: [`wanted`] how many pods there should be, [`manage`] creates and deletes them, [`indexed`] which
//! index they have, [`backoff`] when a failed pod may be replaced, [`failure_policy`] and [`success_policy`] what the
//! Job's own rules say, [`deadline`] when time is up, [`suspend`] a pause, [`rerun`] another attempt, [`pods`] what a pod
//! of a Job looks like, [`count`] what has ended, [`end`] why and how the Job ends, [`status`] what is written down,
//! [`usage`] what its pods used; [`reconcile`] puts them together, [`view`] and [`tracked`] are what it is told.

pub mod backoff;
mod count;
pub mod deadline;
mod end;
pub mod failure_policy;
pub mod indexed;
pub mod indexes;
mod manage;
pub mod pods;
pub mod reconcile;
pub mod rerun;
pub mod status;
pub mod success_policy;
pub mod suspend;
pub mod tracked;
pub mod usage;
pub mod view;
pub mod wanted;

use jiff::Timestamp;

use crate::api::{Key, Kind};
use crate::control::{Controller, Plan, Queue, Seen};
use crate::ids::Ids;
use view::View;

pub struct JobController {
    view: View,
    ids: Ids,
}

impl JobController {
    pub fn new(ids: Ids) -> JobController {
        JobController { view: View::default(), ids }
    }
}

impl Controller for JobController {
    type Key = Key;
    const NAME: &'static str = "job-controller";

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Job, Kind::Pod]
    }

    fn reset(&mut self) {
        self.view = View::default();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<Key>, now: Timestamp) {
        self.view.observe(seen, now, |key| queue.add_now(key));
    }

    fn reconcile(&mut self, key: &Key, now: Timestamp) -> Plan {
        match self.view.entry(key) {
            Some(entry) => reconcile::reconcile(entry, now, &self.ids),
            None => Plan::default(),
        }
    }
}
