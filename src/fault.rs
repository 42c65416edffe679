//! Dying on purpose, for the tests that prove that a killed run can be resumed and taken back.
//!
//! `RCFED_FAULT=POINT` ends the process with SIGKILL at that point, as a power cut would: no destructor runs. `POINT*N` is the
//! N-th time that it comes there.
//! `RCFED_FAULT_SIGNAL=STOP` stops it there instead, so that something can be done to it at that very moment (SIGCONT goes on).
//! `RCFED_FAULT_ORDER=plan` makes the executor take one step at a time, so that a point is reached with exactly the
//! steps before it done. All of it exists only where debug assertions do: a release build has neither the variables
//! nor the code.

#[cfg(debug_assertions)]
mod armed {
    use std::fmt::Display;
    use std::sync::OnceLock;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use rustix::process::{Signal, getpid, kill_process};

    /// Whether this process is to die at `point`.
    pub fn at(point: impl Display) -> bool {
        static WANTED: OnceLock<Option<(String, AtomicUsize)>> = OnceLock::new();
        let wanted = WANTED.get_or_init(|| {
            let text = std::env::var("RCFED_FAULT").ok()?;
            let (name, times) = text.split_once('*').unwrap_or((&text, "1"));
            Some((name.into(), AtomicUsize::new(times.parse().ok()?)))
        });
        let here = |(name, left): &(String, AtomicUsize)| *name == point.to_string() && left.fetch_sub(1, Relaxed) == 1;
        wanted.as_ref().is_some_and(here)
    }

    /// Dies here and now.
    pub fn die() -> ! {
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::thread::park();
        }
    }

    /// Dies, or is stopped, if this is the point.
    pub fn point(point: impl Display) {
        if !at(point) {
            return;
        }
        if std::env::var("RCFED_FAULT_SIGNAL").is_ok_and(|signal| signal == "STOP") {
            let _ = kill_process(getpid(), Signal::STOP);
            // Any thread may be the one that is told, and this one runs on until then.
            std::thread::sleep(std::time::Duration::from_millis(200));
        } else {
            die();
        }
    }

    /// Whether steps are taken one at a time.
    pub fn in_order() -> bool {
        std::env::var("RCFED_FAULT_ORDER").is_ok_and(|order| order == "plan")
    }
}

#[cfg(not(debug_assertions))]
mod armed {
    use std::fmt::Display;

    /// Never.
    pub fn at(_: impl Display) -> bool {
        false
    }

    /// Not reached, since [`at`] is never true.
    pub fn die() {}

    /// Nothing.
    pub fn point(_: impl Display) {}

    /// Never.
    pub fn in_order() -> bool {
        false
    }
}

pub(crate) use armed::{at, die, in_order, point};
