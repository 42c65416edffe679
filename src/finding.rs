//! What a check found: the form that preflight and doctor share.

use serde::Serialize;

/// What one check found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check, e.g. `dns.address`; stable, for programs.
    pub id: &'static str,
    /// What was looked at: a host name, a port, a path, this machine.
    pub subject: String,
    /// How it is.
    pub status: Status,
    /// One line for a person.
    pub summary: String,
    /// What was seen, one fact per line.
    pub evidence: Vec<String>,
    /// An exact command, an exact record, or what to decide.
    pub remedy: Option<String>,
    /// Exact commands that put it right, to be run in this order as root.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Who may believe the old answer after it was put right, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<String>,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In order.
    Ok,
    /// In order, and worth knowing.
    Info,
    /// The check could not be made.
    Unknown,
    /// It will work, but somebody should know.
    Warn,
    /// It will not work.
    Fail,
}

impl Status {
    /// The word for it in JSON and on the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl Finding {
    /// Something that is in order.
    pub fn ok(id: &'static str, subject: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new(Status::Ok, id, subject, summary)
    }

    /// A check that could not be made.
    pub fn unknown(id: &'static str, subject: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new(Status::Unknown, id, subject, summary)
    }

    /// Something that is in order and worth knowing.
    pub fn info(id: &'static str, subject: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new(Status::Info, id, subject, summary)
    }

    /// Something that works, but that somebody should know.
    pub fn warn(id: &'static str, subject: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new(Status::Warn, id, subject, summary)
    }

    /// Something that will not work.
    pub fn fail(id: &'static str, subject: impl Into<String>, summary: impl Into<String>) -> Self {
        Self::new(Status::Fail, id, subject, summary)
    }

    /// A finding with a status known only at run time.
    pub fn new(status: Status, id: &'static str, subject: impl Into<String>, summary: impl Into<String>) -> Self {
        let (subject, summary) = (subject.into(), summary.into());
        Self { id, subject, status, summary, evidence: Vec::new(), remedy: None, commands: Vec::new(), cached: None }
    }

    /// Adds something that was seen.
    #[must_use]
    pub fn seen(mut self, fact: impl Into<String>) -> Self {
        self.evidence.push(fact.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Gives a command that puts it right; several are run in this order.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.commands.push(command.into());
        self
    }

    /// Says who may believe the old answer after it was put right.
    #[must_use]
    pub fn cached(mut self, by_whom: impl Into<String>) -> Self {
        self.cached = Some(by_whom.into());
        self
    }
}
