//! The journal's thread: takes what came meanwhile, writes it with one sync, and makes it true.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::{Notify, mpsc, oneshot};

use super::index::{Index, Waiting};
use super::journal::Journal;
use super::queue::{Bounds, Intended, lock, now};
use super::record::{Intent, Record};

/// Something to write, and where to answer.
pub struct Job {
    pub id: String,
    pub op: Op,
    pub reply: oneshot::Sender<io::Result<Reply>>,
}

/// What happened to an invite; with the event, where it may be the first that is heard of it.
pub enum Op {
    Intend(String),
    Accept(String),
    Void,
    Release,
    Done,
    Dropped,
    Event,
}

/// The answer to a job.
pub enum Reply {
    Intended(Intended),
    Event(Option<String>),
    Nothing,
}

/// What the journal's thread works with.
pub struct Writer {
    pub journal: Journal,
    pub index: Arc<Mutex<Index>>,
    pub wake: Arc<[Notify; 2]>,
    pub bounds: Bounds,
    pub first: Duration,
}

impl Writer {
    /// Works until nobody can ask any more.
    pub fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut held = None;
        while let Some(first) = held.take().or_else(|| jobs.blocking_recv()) {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(job) = jobs.try_recv()
            {
                // What is decided about an invite needs what was decided before.
                if batch.iter().any(|other| other.id == job.id) {
                    held = Some(job);
                    break;
                }
                batch.push(job);
            }
            self.settle(batch);
        }
    }

    fn settle(&mut self, batch: Vec<Job>) {
        let (mut count, mut bytes) = (self.journal.entries().len(), self.journal.live());
        let mut writing = Vec::new();
        for job in batch {
            match self.lines(&job, &mut count, &mut bytes) {
                Ok(lines) => writing.push((job, lines)),
                Err(reply) => answer(job, reply),
            }
        }
        let all: Vec<Vec<u8>> = writing.iter().flat_map(|(_, lines)| lines.clone()).collect();
        let together = if all.is_empty() { Ok(()) } else { self.journal.append(&all) };
        let alone = together.is_err() && writing.len() > 1;
        for (job, lines) in writing {
            // A new invite that finds no room must not take the end of another with it.
            let written = match &together {
                Err(_) if alone && !lines.is_empty() => self.journal.append(&lines),
                Err(error) if !lines.is_empty() => Err(io::Error::new(error.kind(), error.to_string())),
                _ => Ok(()),
            };
            let mut index = lock(&self.index);
            if !lines.is_empty() {
                index.trouble = written.as_ref().err().map(ToString::to_string);
            }
            index.bytes = self.journal.live();
            let reply = match written {
                Ok(()) => Ok(self.apply(&mut index, &job)),
                Err(error) => {
                    if matches!(job.op, Op::Accept(_) | Op::Void) {
                        index.release(&job.id, self.first);
                    }
                    Err(error)
                }
            };
            drop(index);
            self.wake.iter().for_each(Notify::notify_one);
            answer(job, reply);
        }
    }

    /// The lines of a job; or its answer, if nothing is to be written for it.
    fn lines(&self, job: &Job, count: &mut usize, bytes: &mut u64) -> Result<Vec<Vec<u8>>, io::Result<Reply>> {
        let id = job.id.as_str();
        let entry = self.journal.entries().get(id);
        let intent = |event: &str, accepted| match RawValue::from_string(event.to_owned()) {
            Ok(event) => Ok(Record::Intent(Intent { id: id.into(), at: now(), accepted, event: &event }).line()),
            Err(error) => Err(Err(io::Error::other(error))),
        };
        Ok(match &job.op {
            Op::Intend(_) if entry.is_some() => Vec::new(),
            Op::Intend(_) if self.journal.was_delivered(id) => return Err(Ok(Reply::Intended(Intended::Delivered))),
            Op::Intend(event) => {
                let line = intent(event, false)?;
                if *count >= self.bounds.invites || *bytes + line.len() as u64 > self.bounds.bytes {
                    return Err(Ok(Reply::Intended(Intended::Full)));
                }
                (*count, *bytes) = (*count + 1, *bytes + line.len() as u64);
                vec![line]
            }
            Op::Accept(_) if self.journal.was_delivered(id) => Vec::new(),
            Op::Accept(event) => match entry {
                Some(entry) if entry.accepted => Vec::new(),
                Some(_) => vec![Record::Accepted(id.into()).line()],
                // A second request for it was refused meanwhile.
                None => vec![intent(event, true)?],
            },
            Op::Void if entry.is_some() && lock(&self.index).may_void(id) => vec![Record::Void(id.into()).line()],
            Op::Done if entry.is_some() => vec![Record::Done(id.into()).line()],
            Op::Dropped if entry.is_some() => vec![Record::Dropped(id.into()).line()],
            Op::Void | Op::Release | Op::Done | Op::Dropped => Vec::new(),
            Op::Event => return Err(self.journal.event(id).map(Reply::Event)),
        })
    }

    /// What is true now.
    fn apply(&self, index: &mut Index, job: &Job) -> Reply {
        match &job.op {
            Op::Intend(_) => {
                let entry = self.journal.entries().get(&job.id);
                index.begin(&job.id, Waiting::new(entry.map_or(0, |entry| entry.at)));
                return Reply::Intended(Intended::Written);
            }
            Op::Accept(_) if self.journal.entries().contains_key(&job.id) => index.accept(&job.id, Instant::now()),
            Op::Void => index.void(&job.id, self.first),
            Op::Release => index.release(&job.id, self.first),
            Op::Done | Op::Dropped => index.end(&job.id),
            Op::Accept(_) | Op::Event => {}
        }
        Reply::Nothing
    }
}

fn answer(job: Job, reply: io::Result<Reply>) {
    // Who asked may have gone.
    let _ = job.reply.send(reply);
}

/// Jobs that share a sync.
pub const BATCH: usize = 256;
