//! Being asked to stop: Ctrl-C from a person, SIGTERM from systemd or a provisioner. Both mean the same.
//!
//! The first lets what runs come to an end, the second ends the process; either way the next run goes on from there.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Error, Result};

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Reason {
    /// Exit code of a process that stopped for it: 128 and the signal's number, as shells count.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// A run that was stopped with some of its `things` left.
pub fn stopped(reason: Reason, left: usize, thing: &str, hint: &str) -> Error {
    let things = if left == 1 { format!("one {thing}") } else { format!("{left} {thing}s") };
    Error::stopped(format!("stopped by {} with {things} left", reason.words()), hint, reason.exit_code())
}

fn deaf(error: &std::io::Error) -> Error {
    Error::new(format!("could not listen for signals: {error}"), "run the same command again")
}

/// Listens from its making on; the signals no longer end the process by themselves.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Starts to listen.
    pub fn listen() -> Result<Self> {
        let failed = |error: std::io::Error| deaf(&error);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// Waits until somebody asks.
    pub async fn asked(&mut self) -> Reason {
        tokio::select! {
            _ = self.interrupt.recv() => Reason::Interrupt,
            _ = self.terminate.recv() => Reason::Terminate,
        }
    }

    /// Ends the process when somebody asks again. Crash-only: what is half done is found by the next run.
    pub fn at_once_next_time(mut self) {
        tokio::spawn(async move {
            let reason = self.asked().await;
            std::process::exit(i32::from(reason.exit_code()));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        insta::assert_snapshot!(crate::error::told([deaf(&std::io::Error::from_raw_os_error(24))]));
    }
}
