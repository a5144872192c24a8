//! Events are removed an hour after they last happened, as the API server does (`--event-ttl`).

use std::collections::HashMap;

use jiff::Timestamp;

use crate::api::{Key, Kind, Object, deletion, meta};
use crate::control::{Controller, Effect, Plan, Queue, Seen};
use crate::store::Change;

const TTL_SECONDS: i64 = 3600;

#[derive(Default)]
pub struct EventTtl {
    /// Each Event and when it expires.
    events: HashMap<Key, (Object, Timestamp)>,
}

impl Controller for EventTtl {
    type Key = Key;
    const NAME: &'static str = "event-ttl-controller";

    fn watches(&self) -> &'static [Kind] {
        &[Kind::Event]
    }

    fn reset(&mut self) {
        self.events.clear();
    }

    fn observe(&mut self, seen: &Seen<'_>, queue: &mut Queue<Key>, now: Timestamp) {
        let Object::Event(event) = seen.object else { return };
        let key = seen.object.key();
        if seen.change == Change::Deleted {
            self.events.remove(&key);
            return;
        }
        let last = [&event.last_timestamp, &event.metadata.creation_timestamp];
        // A time from the future is no reason to keep it for ever.
        let last = last.into_iter().flatten().map(|t| t.0).next().unwrap_or(now).min(now);
        let expiry = meta::add_seconds(last, TTL_SECONDS);
        self.events.insert(key.clone(), (seen.object.clone(), expiry));
        queue.add(key, expiry);
    }

    fn reconcile(&mut self, key: &Key, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        match self.events.get(key) {
            // Only as it is known: it may have happened again in the meantime.
            Some((event, expiry)) if *expiry <= now => plan.effects.push(Effect::Update(deletion::over(event, now))),
            Some((_, expiry)) => plan.look_again(*expiry),
            None => {}
        }
        plan
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Event;

    #[test]
    fn an_event_that_happens_again_lives_an_hour_longer() {
        let at = |s| Timestamp::from_second(s).unwrap();
        let (mut ttl, mut queue) = (EventTtl::default(), Queue::default());
        let mut event = Event::default();
        event.metadata.name = Some("e".to_owned());
        for last in [0, 100] {
            event.last_timestamp = Some(meta::time(at(last)));
            let object = Object::from(event.clone());
            ttl.observe(&Seen { change: Change::Added, object: &object, old: None }, &mut queue, at(last));
        }
        let key = queue.pop_due(at(3600)).expect("due an hour after it first happened");
        let plan = ttl.reconcile(&key, at(3600));
        assert_eq!((plan.effects.len(), plan.again), (0, Some(at(3700))));
        assert_eq!(ttl.reconcile(&key, at(3700)).effects.len(), 1);
    }
}
