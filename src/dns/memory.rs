//! What a resolver has just said, for whoever asks the same within a few seconds.
//!
//! One look asks for the same addresses in several places, and a thousand looks ask for the same top-level domains. Nothing is
//! kept for longer than a look may take, so whoever waits for a change sees it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::message::Fault;

/// Answers of a resolver; by default none is kept. Clones share what they keep.
#[derive(Clone, Debug, Default)]
pub struct Memory(Option<Arc<Mutex<Kept>>>);

type Kept = BTreeMap<(Name, u16), Entry>;
type Answer = Result<Arc<Message>, Fault>;

#[derive(Debug)]
struct Entry {
    since: Instant,
    answer: Arc<OnceCell<Answer>>,
}

/// How long an answer is good.
const KEPT: Duration = Duration::from_secs(10);
/// How long a failure is; who asked at the same time shares it however long it took.
const FAILURE: Duration = Duration::from_secs(1);
/// Answers that are kept at the same time, a kilobyte or two each.
const MOST: usize = 4096;

impl Memory {
    /// One that keeps answers.
    pub fn short() -> Self {
        Self(Some(Arc::default()))
    }

    /// The answer to this question: one that is known, one that somebody waits for already, or what `ask` brings.
    pub(super) async fn or_ask(
        &self,
        name: &Name,
        kind: RecordType,
        ask: impl Future<Output = Result<Message, Fault>>,
    ) -> Answer {
        let asked = async { ask.await.map(Arc::new) };
        match &self.0 {
            None => asked.await,
            Some(kept) => entry(kept, name, kind, Instant::now()).get_or_init(|| asked).await.clone(),
        }
    }
}

fn entry(kept: &Mutex<Kept>, name: &Name, kind: RecordType, now: Instant) -> Arc<OnceCell<Answer>> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (name.to_lowercase(), kind.into());
    if let Some(entry) = kept.get(&key).filter(|entry| entry.is_good(now)) {
        return Arc::clone(&entry.answer);
    }
    if kept.len() >= MOST {
        kept.retain(|_, entry| entry.is_good(now));
        // Who waits for an answer has it all the same.
        if kept.len() >= MOST {
            kept.clear();
        }
    }
    let entry = Entry { since: now, answer: Arc::default() };
    let answer = Arc::clone(&entry.answer);
    kept.insert(key, entry);
    answer
}

impl Entry {
    fn is_good(&self, now: Instant) -> bool {
        let limit = if matches!(self.answer.get(), Some(Err(_))) { FAILURE } else { KEPT };
        now.duration_since(self.since) < limit
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join;
    use hickory_resolver::proto::op::OpCode;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    #[tokio::test]
    async fn the_same_question_is_asked_once_and_a_failure_is_shared() {
        let count = Cell::new(0);
        let ask = async |memory: &Memory, text: &str, kind, fault: Option<Fault>| {
            let asked = async {
                count.set(count.get() + 1);
                tokio::time::sleep(Duration::from_millis(20)).await;
                fault.map_or_else(|| Ok(Message::response(1, OpCode::Query)), Err)
            };
            memory.or_ask(&name(text), kind, asked).await.is_ok()
        };
        let (memory, a, b) = (Memory::short(), "a.example.", "b.example.");
        let both = join(ask(&memory, a, RecordType::A, None), ask(&memory, "A.example.", RecordType::A, None));
        assert_eq!((both.await, count.get()), ((true, true), 1));
        ask(&memory, a, RecordType::AAAA, None).await;
        let fault = Some(Fault::Timeout);
        let both = join(ask(&memory, b, RecordType::A, fault), ask(&memory, b, RecordType::A, None));
        assert_eq!((both.await, count.get()), ((false, false), 3));
        let none = Memory::default();
        ask(&none, a, RecordType::A, None).await;
        ask(&none, a, RecordType::A, None).await;
        assert_eq!(count.get(), 5);
    }

    #[tokio::test]
    async fn answers_are_forgotten_in_time_and_failures_sooner() {
        let (kept, start) = (Mutex::default(), Instant::now());
        let same = |text: &str, after: Duration, first: &Arc<OnceCell<Answer>>| {
            Arc::ptr_eq(&entry(&kept, &name(text), RecordType::A, start + after), first)
        };
        for (text, answer, limit) in
            [("a.", Ok(Arc::new(Message::response(1, OpCode::Query))), KEPT), ("b.", Err(Fault::Timeout), FAILURE)]
        {
            let first = entry(&kept, &name(text), RecordType::A, start);
            first.get_or_init(async || answer).await;
            assert!(same(text, limit - Duration::from_millis(1), &first), "{text}");
            assert!(!same(text, limit, &first), "{text}");
        }
    }

    #[test]
    fn no_more_is_kept_than_is_allowed() {
        let (kept, now) = (Mutex::default(), Instant::now());
        for number in 0..2 * MOST + 10 {
            entry(&kept, &name(&format!("n{number}.example.")), RecordType::A, now);
            assert!(kept.lock().unwrap().len() <= MOST);
        }
    }
}
