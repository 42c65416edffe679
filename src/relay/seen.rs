//! Which events the bridge has already: a bounded memory of event ids, the oldest forgotten first.

use std::collections::{HashSet, VecDeque};

use sha2::{Digest as _, Sha256};

/// The first half of an event id's SHA-256: short, and nobody can make two ids fall together.
pub type Digest = [u8; 16];

/// The digest of an event id.
pub fn digest(event_id: &str) -> Digest {
    let mut short = [0; 16];
    short.copy_from_slice(&Sha256::digest(event_id)[..16]);
    short
}

/// Event ids, up to a number of them.
pub struct Seen {
    order: VecDeque<Digest>,
    all: HashSet<Digest>,
    limit: usize,
}

impl Seen {
    /// An empty memory for `limit` ids.
    pub fn new(limit: usize) -> Self {
        Self { order: VecDeque::new(), all: HashSet::new(), limit }
    }

    /// Adds one; the oldest makes room for it.
    pub fn insert(&mut self, digest: Digest) {
        if !self.all.insert(digest) {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }

    /// Whether it is remembered.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.all.contains(digest)
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Digest> {
        self.order.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_a_repetition_counts_once() {
        let mut seen = Seen::new(2);
        for id in ["$a", "$b", "$a", "$c"] {
            seen.insert(digest(id));
        }
        let known = ["$a", "$b", "$c"].map(|id| seen.contains(&digest(id)));
        assert_eq!(known, [false, true, true]);
        assert_eq!(seen.iter().count(), 2);
    }
}
