//! The invites that wait, and the thread that writes about them.
//!
//! Syncing a file takes a disk's time, so a thread of its own does it, for everything that came meanwhile at once; the rest
//! of the relay never waits for a disk it did not ask. What is true is what that thread has written: the index in memory
//! is changed after the file and never before.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, mpsc, oneshot};

use super::index::{Index, Kind};
use super::journal::Journal;
use super::writer::{BATCH, Job, Op, Reply, Writer};

/// How many invites may wait.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Their number.
    pub invites: usize,
    /// Their size together, in bytes.
    pub bytes: u64,
}

/// The queue; clones share it.
#[derive(Clone)]
pub struct Queue {
    jobs: mpsc::Sender<Job>,
    index: Arc<Mutex<Index>>,
    /// Told when there is something new to deliver, and to ask about.
    wake: Arc<[Notify; 2]>,
}

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intended {
    /// It is on the disk.
    Written,
    /// The bridge has this event.
    Delivered,
    /// Too many wait.
    Full,
}

impl Queue {
    /// Opens the journal in `directory` and starts its thread. What is unresolved in it is asked about after `first`.
    ///
    /// Also gives the number of lines that could not be read.
    ///
    /// # Errors
    /// If the journal cannot be used.
    pub fn open(directory: &Path, bounds: Bounds, first: Duration) -> io::Result<(Self, usize)> {
        let (journal, broken) = Journal::open(directory)?;
        let index = Arc::new(Mutex::new(Index::of(&journal, first)));
        let wake = Arc::new([Notify::new(), Notify::new()]);
        let (jobs, receiver) = mpsc::channel(BATCH);
        let queue = Self { jobs, index: index.clone(), wake: wake.clone() };
        let writer = Writer { journal, index, wake, bounds, first };
        std::thread::Builder::new().name("journal".into()).spawn(move || writer.run(receiver))?;
        Ok((queue, broken))
    }

    /// Notes that an invite is about to be given to Dendrite; returns when that is on the disk.
    ///
    /// # Errors
    /// If it is not: then it must not be given.
    pub async fn intend(&self, id: &str, event: String) -> io::Result<Intended> {
        match self.ask(id, Op::Intend(event)).await? {
            Reply::Intended(intended) => Ok(intended),
            _ => Err(gone()),
        }
    }

    /// Notes that Dendrite accepted it; returns when that is on the disk.
    ///
    /// # Errors
    /// If it is not: then Dendrite is asked about it later.
    pub async fn accept(&self, id: &str, event: String) -> io::Result<()> {
        self.ask(id, Op::Accept(event)).await.map(drop)
    }

    /// Notes that Dendrite did not accept it.
    ///
    /// # Errors
    /// If that is not on the disk.
    pub async fn void(&self, id: &str) -> io::Result<()> {
        self.ask(id, Op::Void).await.map(drop)
    }

    /// Leaves open what Dendrite did: it will be asked.
    pub async fn release(&self, id: &str) {
        let _ = self.ask(id, Op::Release).await;
    }

    /// Notes that the bridge has it.
    ///
    /// # Errors
    /// If that is not on the disk.
    pub async fn done(&self, id: &str) -> io::Result<()> {
        self.index().hand(id);
        self.ask(id, Op::Done).await.map(drop)
    }

    /// Notes that the bridge will never take it.
    ///
    /// # Errors
    /// If that is not on the disk.
    pub async fn drop_for_good(&self, id: &str) -> io::Result<()> {
        self.ask(id, Op::Dropped).await.map(drop)
    }

    /// The event to deliver, as JSON.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn event(&self, id: &str) -> io::Result<Option<String>> {
        match self.ask(id, Op::Event).await? {
            Reply::Event(event) => Ok(event),
            _ => Err(gone()),
        }
    }

    /// The index, for a moment.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Returns when there may be something new of this kind.
    pub async fn changed(&self, kind: Kind) {
        self.wake[kind as usize].notified().await;
    }

    async fn ask(&self, id: &str, op: Op) -> io::Result<Reply> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job { id: id.to_owned(), op, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

fn gone() -> io::Error {
    io::Error::other(super::words::JOURNAL_ENDED)
}

/// The index behind its lock.
pub fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
