//! Keys and when they are due. A key stands in the queue once: adding it again keeps the earlier time.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;

use jiff::Timestamp;

#[derive(Debug)]
pub struct Queue<K> {
    /// Due now, first come, first served: a key that is due again and again cannot keep others from their turn.
    ready: VecDeque<K>,
    by_time: BTreeSet<(Timestamp, K)>,
    /// Where each key stands: at a time, or (`None`) among the ready.
    by_key: HashMap<K, Option<Timestamp>>,
}

impl<K: Clone + Ord + Hash> Default for Queue<K> {
    fn default() -> Queue<K> {
        Queue { ready: VecDeque::new(), by_time: BTreeSet::new(), by_key: HashMap::new() }
    }
}

impl<K: Clone + Ord + Hash> Queue<K> {
    /// Makes `key` due at `at`, or leaves it if it is due earlier.
    pub fn add(&mut self, key: K, at: Timestamp) {
        match self.by_key.get(&key) {
            Some(None) => return,
            Some(Some(due)) if *due <= at => return,
            Some(Some(due)) => {
                self.by_time.remove(&(*due, key.clone()));
            }
            None => {}
        }
        self.by_key.insert(key.clone(), Some(at));
        self.by_time.insert((at, key));
    }

    /// Makes `key` due now, behind all that are.
    pub fn add_now(&mut self, key: K) {
        match self.by_key.insert(key.clone(), None) {
            Some(None) => return,
            Some(Some(due)) => {
                self.by_time.remove(&(due, key.clone()));
            }
            None => {}
        }
        self.ready.push_back(key);
    }

    /// Takes the key whose turn it is, if one is due.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<K> {
        while self.by_time.first().is_some_and(|(at, _)| *at <= now) {
            let (_, key) = self.by_time.pop_first()?;
            self.by_key.insert(key.clone(), None);
            self.ready.push_back(key);
        }
        let key = self.ready.pop_front()?;
        self.by_key.remove(&key);
        Some(key)
    }

    /// When there is something to take: the past if there is now.
    pub fn next_due(&self) -> Option<Timestamp> {
        match self.ready.is_empty() {
            false => Some(Timestamp::MIN),
            true => self.by_time.first().map(|(at, _)| *at),
        }
    }

    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_key_stands_once_at_its_earliest_time() {
        let mut queue = Queue::default();
        queue.add("a", at(5));
        queue.add("a", at(3));
        queue.add("a", at(9));
        queue.add("b", at(4));
        assert_eq!((queue.len(), queue.next_due()), (2, Some(at(3))));
        assert_eq!(queue.pop_due(at(2)), None);
        assert_eq!(queue.pop_due(at(10)), Some("a"));
        assert_eq!(queue.pop_due(at(10)), Some("b"));
        assert_eq!(queue.pop_due(at(10)), None);
    }

    #[test]
    fn a_busy_key_lets_others_have_their_turn() {
        let mut queue = Queue::default();
        queue.add_now("busy");
        queue.add_now("other");
        queue.add("timed", at(1));
        let mut taken = Vec::new();
        for _ in 0..4 {
            let key = queue.pop_due(at(2)).unwrap();
            taken.push(key);
            if key == "busy" {
                queue.add_now("busy");
            }
        }
        assert_eq!(taken, ["busy", "other", "timed", "busy"]);
    }

    proptest! {
        #[test]
        fn keys_leave_in_the_order_of_their_times_and_none_is_lost(adds in proptest::collection::vec((0u8..10, 0i64..20), 0..60)) {
            let mut queue = Queue::default();
            let mut model = HashMap::new();
            for (key, time) in adds {
                queue.add(key, at(time));
                let due = model.entry(key).or_insert(time);
                *due = time.min(*due);
            }
            let mut last = 0;
            while let Some(key) = queue.pop_due(at(100)) {
                let due = model.remove(&key).expect("added, and not yet taken");
                prop_assert!(due >= last);
                last = due;
            }
            prop_assert!(model.is_empty() && queue.is_empty());
        }
    }
}
