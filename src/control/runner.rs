//! Runs one controller: takes every change of the kinds it watches into its view, asks it about each key that is due,
//! commits what it decides. One task per controller, so a key never runs twice at once and a view needs no lock.
//!
//! Before each decision the view has taken in everything committed so far, the controller's own last commit included:
//! a commit is in the ring before `Store::commit` returns. So a decision is never based on the world before the last.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Plan, Queue, Recorder, Vitals};
use crate::api::{Kind, Object, meta};
use crate::clock::Clock;
use crate::store::{Change, CommitError, Store, Visibility, Watch};

/// A change as a controller sees it.
#[derive(Debug)]
pub struct Seen<'a> {
    pub change: Change,
    /// The object after the change; for a deletion its last state.
    pub object: &'a Object,
    /// The object before the change; `None` when it was added, or when the view is being built.
    pub old: Option<&'a Object>,
}

/// A loop's logic: synchronous, no I/O, no clock.
pub trait Controller: Send + 'static {
    type Key: Clone + Ord + Hash + Send + std::fmt::Debug;

    /// As events name it in `source.component`.
    const NAME: &'static str;

    fn watches(&self) -> &'static [Kind];

    /// Forgets its view; every existing object is then seen as added.
    fn reset(&mut self);

    /// Takes a change into the view and queues the keys that it concerns.
    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<Self::Key>, now: Timestamp);

    /// Decides what to do about `key`, given the view.
    fn reconcile(&mut self, key: &Self::Key, now: Timestamp) -> Plan;
}

/// The longest sleep before due times are compared with the clock again: the wall clock may be set while we sleep.
pub const RECHECK: Duration = Duration::from_secs(10);

/// Between tries while the store refuses writes.
const READ_ONLY_SECONDS: i64 = 10;

/// A controller, its queue and its watches, ready to be stepped.
pub struct Runner<C: Controller> {
    controller: C,
    queue: Queue<C::Key>,
    watches: Vec<Watch>,
    store: Store,
    recorder: Recorder,
    vitals: Arc<Vitals>,
}

impl<C: Controller> Runner<C> {
    pub fn new(controller: C, store: Store, recorder: Recorder, now: Timestamp) -> Runner<C> {
        let vitals = Arc::new(Vitals::new(C::NAME));
        let mut runner = Runner { controller, queue: Queue::default(), watches: Vec::new(), store, recorder, vitals };
        runner.rebuild(now);
        runner
    }

    /// How the loop is doing, from now on.
    pub fn vitals(&self) -> Arc<Vitals> {
        self.vitals.clone()
    }

    /// Lists everything anew: at the start, and if the ring has moved past a watch. The kinds are listed one after
    /// another; [`Runner::observe`] then brings them to one revision.
    fn rebuild(&mut self, now: Timestamp) {
        self.controller.reset();
        self.watches.clear();
        for &kind in self.controller.watches() {
            let listing = self.store.list(kind, None);
            self.watches.push(self.store.watch(kind, listing.revision, Visibility::Committed));
            for object in &listing.objects {
                let seen = Seen { change: Change::Added, object, old: None };
                self.controller.observe(&seen, &mut self.queue, now);
            }
        }
    }

    /// Takes in all changes so far, of all kinds up to the same revision.
    fn observe(&mut self, now: Timestamp) {
        let until = self.store.revision();
        for i in 0..self.watches.len() {
            loop {
                self.watches[i].look();
                let Ok(events) = self.watches[i].try_next_until(until) else {
                    tracing::warn!(controller = C::NAME, "fell behind the event history; listing anew");
                    self.rebuild(now);
                    return self.observe(now);
                };
                if events.is_empty() {
                    break;
                }
                for event in events {
                    let seen = Seen { change: event.change, object: &event.object, old: event.old.as_ref() };
                    self.controller.observe(&seen, &mut self.queue, now);
                }
            }
        }
    }

    /// Handles one key that is due; false if there is none.
    pub fn step(&mut self, now: Timestamp) -> bool {
        self.observe(now);
        let Some(key) = self.queue.pop_due(now) else { return false };
        let mut plan = self.controller.reconcile(&key, now);
        self.vitals.decisions.fetch_add(1, Relaxed);
        while !plan.effects.is_empty() {
            match self.store.commit(plan.tx()) {
                Ok(_) => break,
                Err(CommitError::ReadOnly(detail)) => {
                    tracing::error!(controller = C::NAME, ?key, %detail, "decision not committed");
                    self.queue.add(key, meta::add_seconds(now, READ_ONLY_SECONDS));
                    return false;
                }
                // A generated name that is taken: the rest is done, and the next round finds one missing.
                Err(CommitError::AlreadyExists(kind, taken)) if plan.gives_up_creating(kind, &taken) => {
                    plan.look_again(now);
                }
                Err(changed) => {
                    // Something changed after the view was taken: the next round sees it and decides anew.
                    tracing::debug!(controller = C::NAME, ?key, %changed, "deciding anew");
                    self.vitals.stale.fetch_add(1, Relaxed);
                    self.queue.add_now(key);
                    return true;
                }
            }
        }
        if let Some(at) = plan.again {
            self.queue.add(key, at);
        }
        for note in plan.notes {
            self.recorder.record(C::NAME, note);
        }
        true
    }

    /// When the next key is due, of those known so far: the past if one is now.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.queue.next_due()
    }

    pub async fn run(mut self, clock: Clock, stop: CancellationToken) {
        while !stop.is_cancelled() {
            // Not its own fault, and no reason to take it for lost.
            self.vitals.waits_for_disk(true);
            tokio::select! {
                () = self.store.room() => {}
                () = stop.cancelled() => return,
            }
            self.vitals.waits_for_disk(false);
            let now = clock.now();
            self.vitals.beat(clock.instant());
            let stepped = self.step(now);
            self.vitals.depth.store(self.queue.len(), Relaxed);
            if stepped {
                tokio::task::yield_now().await;
                continue;
            }
            let sleep = match self.next_due() {
                Some(due) => Duration::try_from(due.duration_since(clock.now())).unwrap_or(Duration::ZERO).min(RECHECK),
                None => RECHECK,
            };
            let mut changes: futures::stream::FuturesUnordered<_> =
                self.watches.iter_mut().map(Watch::changed).collect();
            tokio::select! {
                _ = futures::StreamExt::next(&mut changes) => {}
                () = clock.sleep(sleep) => {}
                () = stop.cancelled() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Context;

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;
    use crate::control::Effect;

    /// Makes one object after the other, for ever.
    struct Maker(u64);

    impl Controller for Maker {
        type Key = ();
        const NAME: &'static str = "maker";

        fn watches(&self) -> &'static [Kind] {
            &[Kind::ConfigMap]
        }

        fn reset(&mut self) {}

        fn observe(&mut self, _: &Seen<'_>, queue: &mut Queue<()>, _: Timestamp) {
            queue.add_now(());
        }

        fn reconcile(&mut self, (): &(), _: Timestamp) -> Plan {
            self.0 += 1;
            Plan { effects: vec![Effect::Create(named(self.0))], ..Plan::default() }
        }
    }

    fn named(n: u64) -> Object {
        let mut map = ConfigMap::default();
        map.metadata.name = Some(format!("made-{n}"));
        map.metadata.namespace = Some("default".to_owned());
        map.into()
    }

    #[test]
    fn a_controller_does_not_run_away_from_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 64).unwrap();
        let held = store.hold_disk();
        store.commit(crate::store::Tx::new().create(named(0))).unwrap();
        let (recorder, _writer) = Recorder::new();
        let runner = Runner::new(Maker(0), store.clone(), recorder, Timestamp::UNIX_EPOCH);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut run = std::pin::pin!(runner.run(Clock::real(), CancellationToken::new()));
        let mut poll = |times| {
            let _in_it = runtime.enter();
            for _ in 0..times {
                assert!(run.as_mut().poll(&mut Context::from_waker(futures::task::noop_waker_ref())).is_pending());
            }
            store.revision()
        };
        let stopped_at = poll(1_000);
        assert!(stopped_at > 10, "it went to work");
        assert_eq!(poll(1_000), stopped_at, "it waits for the disk");
        drop(held);
        let goes_on = (0..1_000_000).any(|_| {
            std::thread::yield_now();
            poll(1) > stopped_at
        });
        assert!(goes_on);
    }
}
