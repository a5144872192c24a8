//! Events are removed an hour after they were last written, as the API server does (`--event-ttl`, a lease that each
//! write of the Event renews).
//!
//! When an Event was written last is not part of it. Of one that is seen for the first time, also after a restart, the
//! latest time that it tells of stands for that: nobody writes an Event without one.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use crate::api::{Key, Kind, Object, deletion, meta};
use crate::control::{Controller, Effect, Plan, Queue, Seen};
use crate::store::Change;

const TTL_SECONDS: i64 = 3600;

#[derive(Default)]
pub struct EventTtl {
    /// Each Event and when it expires.
    events: HashMap<Key, (Object, Timestamp)>,
}

/// The latest time that the Event tells of. One from the future is no reason to keep it for ever.
fn last_told(event: &Event, now: Timestamp) -> Timestamp {
    let times = [&event.metadata.creation_timestamp, &event.last_timestamp].map(|t| t.as_ref().map(|t| t.0));
    let observed = event.series.as_ref().and_then(|s| s.last_observed_time.as_ref()).or(event.event_time.as_ref());
    times.into_iter().chain([observed.map(|t| t.0)]).flatten().max().unwrap_or(now).min(now)
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
        let last = if seen.change == Change::Added { last_told(event, now) } else { now };
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
    use serde_json::{Value, json};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn event(times: Value) -> Object {
        let mut value = json!({"metadata": {"name": "e", "uid": "u"}, "involvedObject": {}});
        for (field, time) in times.as_object().unwrap() {
            match field.as_str() {
                "creationTimestamp" => value["metadata"][field] = time.clone(),
                _ => value[field] = time.clone(),
            }
        }
        Object::from(serde_json::from_value::<Event>(value).unwrap())
    }

    fn expiry(ttl: &mut EventTtl, change: Change, object: &Object, now: i64) -> i64 {
        let mut queue = Queue::default();
        ttl.observe(&Seen { change, object, old: None }, &mut queue, at(now));
        let due = queue.next_due().unwrap();
        assert_eq!(ttl.reconcile(&object.key(), meta::add_seconds(due, -1)).again, Some(due), "not before");
        assert_eq!(ttl.reconcile(&object.key(), due).effects.len(), 1);
        due.as_second()
    }

    #[test]
    fn an_event_lives_an_hour_from_the_latest_time_that_it_tells_of() {
        let time = |second: i64| format!("1970-01-01T00:{:02}:{:02}Z", second / 60, second % 60);
        let micro = |second: i64| time(second).replace('Z', ".000000Z");
        let cases = [
            (json!({}), 1000, "nothing told: now"),
            (json!({"creationTimestamp": time(100)}), 100, "when it was made"),
            (json!({"creationTimestamp": time(100), "lastTimestamp": time(200)}), 200, "when it last happened"),
            (json!({"creationTimestamp": time(100), "lastTimestamp": time(5)}), 100, "not when it is told late"),
            (json!({"creationTimestamp": time(100), "lastTimestamp": time(3000)}), 1000, "not from the future"),
            (json!({"creationTimestamp": time(100), "eventTime": micro(150)}), 150, "of the newer sort"),
            (
                json!({"creationTimestamp": time(100), "eventTime": micro(150),
                    "series": {"count": 2, "lastObservedTime": micro(300)}}),
                300,
                "of the newer sort, again and again",
            ),
        ];
        for (times, from, why) in cases {
            let found = expiry(&mut EventTtl::default(), Change::Added, &event(times), 1000);
            assert_eq!(found, from + TTL_SECONDS, "{why}");
        }
    }

    #[test]
    fn each_write_renews_the_hour() {
        let mut ttl = EventTtl::default();
        let object = event(json!({"lastTimestamp": "1970-01-01T00:00:10Z"}));
        assert_eq!(expiry(&mut ttl, Change::Added, &object, 10), 10 + TTL_SECONDS);
        assert_eq!(expiry(&mut ttl, Change::Modified, &object, 500), 500 + TTL_SECONDS);
    }

    #[test]
    fn an_event_that_happens_again_lives_an_hour_longer() {
        let (mut ttl, mut queue) = (EventTtl::default(), Queue::default());
        let object = event(json!({}));
        for (change, now) in [(Change::Added, 0), (Change::Modified, 100)] {
            ttl.observe(&Seen { change, object: &object, old: None }, &mut queue, at(now));
        }
        let key = queue.pop_due(at(3600)).expect("due an hour after it first happened");
        let plan = ttl.reconcile(&key, at(3600));
        assert_eq!((plan.effects.len(), plan.again), (0, Some(at(3700))));
        assert_eq!(ttl.reconcile(&key, at(3700)).effects.len(), 1);
        ttl.observe(&Seen { change: Change::Deleted, object: &object, old: None }, &mut queue, at(3700));
        assert_eq!(ttl.reconcile(&key, at(9999)), Plan::default());
    }
}
