//! A transaction's body on its way to the bridge, without the events that the bridge has.
//!
//! An invite into a room that Dendrite is in comes twice: as an invite, which the relay hands over, and as an event of
//! the room. What the relay has in its queue is dropped from transactions; that Dendrite sends it proves that it accepted it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde::Deserialize;

use super::queue::Queue;
use super::seen::{Digest, digest};
use super::serve::BoxError;
use super::split::Splitter;

/// What went through, for when the bridge has answered.
#[derive(Default)]
pub struct Passed {
    /// Events that the bridge has if it accepts the transaction; the newest, if there are too many.
    pub digests: VecDeque<Digest>,
    /// Invites that Dendrite proved to have, by event id.
    pub accepted: Vec<String>,
    /// How many were dropped.
    pub dropped: usize,
}

/// Events that are left out of a transaction.
pub struct Filtered<B> {
    body: B,
    splitter: Splitter,
    queue: Queue,
    passed: Arc<Mutex<Passed>>,
    ended: bool,
}

impl<B> Filtered<B> {
    /// A body without the events that the bridge has.
    pub fn new(body: B, queue: Queue, passed: Arc<Mutex<Passed>>) -> Self {
        Self { body, splitter: Splitter::new(), queue, passed, ended: false }
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    event_id: Option<std::borrow::Cow<'a, str>>,
}

fn keep(queue: &Queue, passed: &mut Passed, element: &[u8]) -> bool {
    let Ok(Head { event_id: Some(id) }) = serde_json::from_slice(element) else { return true };
    let index = queue.index();
    let seen = index.has_seen(&id);
    let waiting = index.get(&id);
    if !seen && let Some(waiting) = waiting {
        if !waiting.accepted && passed.accepted.len() < MOST_ACCEPTED {
            passed.accepted.push(id.into_owned());
        }
    } else if !seen {
        if passed.digests.len() == MOST_DIGESTS {
            passed.digests.pop_front();
        }
        passed.digests.push_back(digest(&id));
        return true;
    }
    passed.dropped += 1;
    false
}

impl<B> Body for Filtered<B>
where
    B: Body<Data = Bytes, Error = BoxError> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            let mut out = Vec::new();
            match Pin::new(&mut this.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    let (queue, passed) = (&this.queue, &this.passed);
                    let mut passed = passed.lock().unwrap_or_else(PoisonError::into_inner);
                    this.splitter.feed(&data, &mut out, &mut |element| keep(queue, &mut passed, element));
                }
                Poll::Ready(None) => {
                    this.ended = true;
                    this.splitter.finish(&mut out);
                }
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
    }
}

/// As many as are remembered at all.
const MOST_DIGESTS: usize = 65_536;
/// Dendrite sends at most 50 events, and the state that a join brings.
const MOST_ACCEPTED: usize = 1024;
