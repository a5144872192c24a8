//! The CronJob controller: makes a Job at each time of a schedule (kubernetes `pkg/controller/cronjob`, about 1.30).
//!
//! What Kubernetes does in several writes (create the Job, then note it) is here one transaction: the new Job, those that
//! it replaces or that history drops, and the status that says so are committed together. So a time is never run twice
//! and never forgotten, and the events that tell of a deletion or a look-up that failed (FailedDelete, FailedGet) have
//! nothing to tell. The name of a Job is made of its time, as there, and a Job that is found under it is taken over.
//!
//! ```text
//!              time comes                      Job made
//!   waiting ──────────────► due ─────────────────────────► waiting, lastScheduleTime = that time
//!      ▲                     │ startingDeadlineSeconds passed: missed
//!      │                     │ Forbid, and a Job of it is active: due still, until that has ended
//!      └─────────────────────┘ of several times only the last is run
//! ```
//!
//! One policy, one file: [`due`] what the schedule says now, [`active`] which of its Jobs go on, [`new_job`] what a Job of
//! it looks like, [`history`] which finished Jobs are dropped; [`reconcile`] puts them together, [`view`] is what it is
//! told.

pub mod active;
pub mod due;
pub mod history;
pub mod new_job;
pub mod reconcile;
pub mod view;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::api::{Key, Kind};
use crate::control::{Controller, Plan, Queue, Seen};
use crate::ids::Ids;
use view::View;

pub struct CronJobController {
    view: View,
    ids: Ids,
    /// Of schedules that name none.
    zone: TimeZone,
}

impl CronJobController {
    pub fn new(ids: Ids, zone: TimeZone) -> CronJobController {
        CronJobController { view: View::default(), ids, zone }
    }
}

impl Controller for CronJobController {
    type Key = Key;
    const NAME: &'static str = "cronjob-controller";

    fn watches(&self) -> &'static [Kind] {
        &[Kind::CronJob, Kind::Job]
    }

    fn reset(&mut self) {
        self.view = View::default();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<Key>, now: Timestamp) {
        for key in self.view.observe(seen, now) {
            queue.add_now(key);
        }
    }

    fn reconcile(&mut self, key: &Key, now: Timestamp) -> Plan {
        match self.view.entry(key) {
            Some(entry) => reconcile::reconcile(&self.view, entry, &self.zone, now, &self.ids),
            None => Plan::default(),
        }
    }
}
