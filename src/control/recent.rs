//! A map that remembers a bounded number of keys and forgets the one that was asked for longest ago.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

#[derive(Debug)]
pub struct Recent<K, V> {
    most: usize,
    /// Each value, and when it was asked for last.
    values: HashMap<K, (u64, V)>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    pub fn new(most: usize) -> Recent<K, V> {
        Recent { most, values: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    /// The value of `key`, made by `new` if there is none.
    pub fn get_or(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        self.uses += 1;
        let now = self.uses;
        if let Some((used, _)) = self.values.get(&key) {
            self.by_use.remove(used);
        } else if self.values.len() >= self.most
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.values.remove(&oldest);
        }
        self.by_use.insert(now, key.clone());
        let entry = self.values.entry(key).or_insert_with(|| (now, new()));
        entry.0 = now;
        &mut entry.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_was_asked_for_longest_ago_is_forgotten() {
        let mut recent = Recent::new(2);
        *recent.get_or("a", || 1) += 10;
        recent.get_or("b", || 2);
        assert_eq!(*recent.get_or("a", || 0), 11, "asked for again, so b is the oldest");
        recent.get_or("c", || 3);
        assert_eq!((*recent.get_or("a", || 0), recent.values.len(), recent.by_use.len()), (11, 2, 2));
        assert_eq!(*recent.get_or("b", || 20), 20);
    }
}
