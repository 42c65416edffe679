//! The invites that wait, in memory: whose turn it is, and which are still being given to Dendrite.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::journal::Journal;
use super::seen::{Seen, digest};

/// What is to be done about an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Hand it over.
    Deliver = 0,
    /// Ask Dendrite whether it accepted it.
    Confirm = 1,
}

/// All that wait.
pub struct Index {
    waiting: HashMap<String, Waiting>,
    turns: [BTreeSet<(Instant, u64, String)>; 2],
    seen: Seen,
    number: u64,
    /// Bytes of them in the journal.
    pub bytes: u64,
    /// Why the journal could not be written to the last time.
    pub trouble: Option<String>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// When it came, in seconds since 1970.
    pub at: u64,
    /// Whether Dendrite accepted it.
    pub accepted: bool,
    /// The bridge has it, and the journal does not say so yet.
    pub handed: bool,
    /// How often the bridge refused it.
    pub attempts: u32,
    /// Since when Dendrite is asked about it.
    pub asked: Option<Instant>,
    /// Requests for it that Dendrite has not answered yet.
    requests: u32,
    /// A request of which nobody knows what became.
    unknown: bool,
}

impl Waiting {
    /// One that Dendrite has not accepted yet.
    pub fn new(at: u64) -> Self {
        Self { at, accepted: false, handed: false, attempts: 0, asked: None, requests: 0, unknown: false }
    }
}

impl Index {
    /// What a journal holds; what is unresolved in it is asked about after `first`.
    pub fn of(journal: &Journal, first: Duration) -> Self {
        let mut index = Self {
            waiting: HashMap::new(),
            turns: [BTreeSet::new(), BTreeSet::new()],
            seen: Seen::new(SEEN),
            number: 0,
            bytes: journal.live(),
            trouble: None,
        };
        journal.delivered().for_each(|digest| index.seen.insert(*digest));
        let mut entries: Vec<_> = journal.entries().iter().collect();
        entries.sort_by_key(|(_, entry)| entry.number);
        let now = Instant::now();
        for (id, entry) in entries {
            let waiting = Waiting { accepted: entry.accepted, unknown: !entry.accepted, ..Waiting::new(entry.at) };
            index.waiting.insert(id.clone(), waiting);
            match entry.accepted {
                true => index.turn(Kind::Deliver, id, now),
                false => index.turn(Kind::Confirm, id, now + first),
            }
        }
        index
    }

    /// An invite by its event id.
    pub fn get(&self, id: &str) -> Option<&Waiting> {
        self.waiting.get(id)
    }

    /// Changes one, if it is still here.
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Waiting)) {
        if let Some(waiting) = self.waiting.get_mut(id) {
            change(waiting);
        }
    }

    /// How many wait, how many of them are unresolved, and since when the oldest waits.
    pub fn numbers(&self) -> (usize, usize, Option<u64>) {
        let unresolved = self.waiting.values().filter(|waiting| !waiting.accepted).count();
        (self.waiting.len(), unresolved, self.waiting.values().map(|waiting| waiting.at).min())
    }

    /// Whether the bridge has an event.
    pub fn has_seen(&self, id: &str) -> bool {
        self.seen.contains(&digest(id))
    }

    /// The bridge has these.
    pub fn remember(&mut self, digests: impl IntoIterator<Item = super::seen::Digest>) {
        digests.into_iter().for_each(|digest| self.seen.insert(digest));
    }

    /// A request for it goes to Dendrite.
    pub fn begin(&mut self, id: &str, new: Waiting) {
        self.waiting.entry(id.to_owned()).or_insert(new).requests += 1;
    }

    /// Dendrite has it.
    pub fn accept(&mut self, id: &str, now: Instant) {
        let waiting = self.waiting.entry(id.to_owned()).or_insert_with(|| Waiting::new(super::queue::now()));
        waiting.requests = waiting.requests.saturating_sub(1);
        if !std::mem::replace(&mut waiting.accepted, true) {
            self.turn(Kind::Deliver, id, now);
        }
    }

    /// Whether one that Dendrite refused is over: no other request for it may have been accepted.
    pub fn may_void(&self, id: &str) -> bool {
        self.waiting.get(id).is_none_or(|waiting| !waiting.accepted && !waiting.unknown && waiting.requests <= 1)
    }

    /// Dendrite refused it.
    pub fn void(&mut self, id: &str, first: Duration) {
        if self.may_void(id) {
            self.waiting.remove(id);
        } else {
            self.settle(id, false, first);
        }
    }

    /// Nobody knows what Dendrite did.
    pub fn release(&mut self, id: &str, first: Duration) {
        self.settle(id, true, first);
    }

    fn settle(&mut self, id: &str, unknown: bool, first: Duration) {
        let Some(waiting) = self.waiting.get_mut(id) else { return };
        waiting.requests = waiting.requests.saturating_sub(1);
        waiting.unknown |= unknown;
        if !waiting.accepted && waiting.requests == 0 {
            self.turn(Kind::Confirm, id, Instant::now() + first);
        }
    }

    /// Dendrite was asked and does not have it: then it is as if it had refused it.
    pub fn deny(&mut self, id: &str) {
        self.change(id, |waiting| (waiting.unknown, waiting.requests) = (false, waiting.requests + 1));
    }

    /// The bridge has it.
    pub fn hand(&mut self, id: &str) {
        self.change(id, |waiting| waiting.handed = true);
        self.seen.insert(digest(id));
    }

    /// It is over.
    pub fn end(&mut self, id: &str) {
        self.waiting.remove(id);
        self.seen.insert(digest(id));
    }

    /// Gives it a turn.
    pub fn turn(&mut self, kind: Kind, id: &str, when: Instant) {
        self.number += 1;
        self.turns[kind as usize].insert((when, self.number, id.to_owned()));
    }

    /// Whose turn it is; `Err` says when the next one's will be, if there is one.
    pub fn next(&mut self, kind: Kind, now: Instant) -> Result<String, Option<Instant>> {
        let turns = &mut self.turns[kind as usize];
        match turns.first() {
            None => Err(None),
            Some((when, ..)) if *when > now => Err(Some(*when)),
            Some(_) => turns.pop_first().map(|(.., id)| id).ok_or(None),
        }
    }
}

/// Event ids that are remembered: a day of a busy server.
const SEEN: usize = 65_536;
