//! The one source of randomness outside the sandbox: uids and the suffixes of generated names. Seeded, it repeats
//! itself, which is what the simulation needs.

use std::sync::Arc;

use parking_lot::Mutex;

/// The letters of generated name suffixes, chosen by Kubernetes (apimachinery `util/rand`) so that they spell no words.
const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Cheap to clone; clones draw from the same sequence.
#[derive(Clone, Debug)]
pub struct Ids(Arc<Mutex<fastrand::Rng>>);

impl Ids {
    pub fn random() -> Ids {
        Ids(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    pub fn seeded(seed: u64) -> Ids {
        Ids(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A version 4 UUID, as Kubernetes uses for `metadata.uid`.
    pub fn uid(&self) -> String {
        let bytes = self.0.lock().u128(..).to_le_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Five letters for `metadata.generateName`.
    pub fn suffix(&self) -> String {
        let mut rng = self.0.lock();
        (0..5).map(|_| SUFFIX_LETTERS[rng.usize(..SUFFIX_LETTERS.len())] as char).collect()
    }

    /// 64 random bits, for the name of an event.
    pub fn bits(&self) -> u64 {
        self.0.lock().u64(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let (a, b) = (Ids::seeded(7), Ids::seeded(7));
        assert_eq!((a.uid(), a.suffix()), (b.uid(), b.suffix()));
        assert_eq!(a.suffix().len(), 5);
        assert_eq!(a.uid().as_bytes()[14], b'4');
    }
}
