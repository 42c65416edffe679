//! What came of a test invite, for a person and for a program. Pure.

use std::time::Duration;

use serde_json::{Value, json};

use crate::config::Config;
use crate::error::Error;
use crate::machine::Machine;
use crate::matrix::server_name::ServerName;
use crate::matrix::user_id::UserId;

/// A test invite.
#[derive(Debug)]
pub struct Report {
    /// Who invited.
    pub from: String,
    /// Who was invited.
    pub to: String,
    /// What has happened, in order.
    pub hops: Vec<Hop>,
    /// How far it came.
    pub ended: Ended,
    /// Why no further.
    pub error: Option<Error>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Hop {
    /// `own`, `found`, `keys`, `room`, `invite` or `join`: a contract.
    pub id: &'static str,
    /// Whether it went well.
    pub ok: bool,
    /// In words.
    pub said: String,
    /// How long it took.
    pub ms: u64,
}

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The other server accepted the invite; nobody waited for the person.
    Accepted,
    /// It came to an end before that.
    Failed,
    /// The person joined.
    Joined,
    /// The other server accepted the invite, and the person did not join in time.
    NotJoined,
}

impl Report {
    pub(super) fn new(machine: &Machine, person: &UserId) -> Self {
        let from = format!("@{}:{}", super::PROBE, machine.config.names.federated);
        Self { from, to: person.to_string(), hops: Vec::new(), ended: Ended::Failed, error: None }
    }

    /// For a program.
    pub fn json(&self) -> Value {
        let error = self.error.as_ref().map(|error| json!({ "message": error.message(), "hint": error.hint() }));
        json!({
            "schema_version": 1, "from": self.from, "to": self.to, "ended": self.ended, "hops": self.hops, "error": error,
        })
    }
}

impl Hop {
    /// One line.
    pub fn text(&self) -> String {
        let mark = if self.ok { '✓' } else { '!' };
        let time = if self.ms < 1000 {
            format!("{} ms", self.ms)
        } else {
            format!("{}.{} s", self.ms / 1000, self.ms % 1000 / 100)
        };
        format!("{mark} {} ({time})", self.said)
    }
}

/// The last lines of one that went well.
pub fn last_words(config: &Config, person: &UserId) -> String {
    let (admin, name) = (&config.admin.username, &config.names.federated);
    format!(
        "The invite was taken back, and the room left. The other way round: somebody on {} invites @{admin}:{name} from \
         their own client, into a room that is not encrypted.",
        person.server()
    )
}

/// The other server said no.
pub(super) fn refused(name: &ServerName, person: &UserId, status: u16, errcode: &str, said: &str) -> Error {
    let words = match (said, errcode) {
        ("", "") => format!("status {status}, without a reason"),
        ("", code) => format!("status {status} {code}, without a reason"),
        (said, "") => format!("status {status}: {said}"),
        (said, code) => format!("status {status} {code}: {said}"),
    };
    match status {
        400..=499 => Error::new(
            format!("the invite of {person} was refused: {words}"),
            format!(
                "these are the words of {name}, or of this homeserver about it; whether {person} exists, and whom it lets in, is for {name} to say"
            ),
        ),
        _ => Error::new(
            format!("this homeserver could not bring the invite to {name}: {words}"),
            format!(
                "see `sudo rcfed logs homeserver`, and `rcfed doctor {name}`. After failures a homeserver waits before it asks {name} again"
            ),
        ),
    }
}

/// What proved to be the server that was meant.
pub(super) fn identity(version: Option<&str>, key: &str, until: impl std::fmt::Display) -> String {
    let version = version.unwrap_or("a server that does not tell its version");
    format!("{version}, key {key} valid until {until}")
}

/// A server that cannot be reached or is not the one; `why` as the doctor sees it.
pub(super) fn lost(name: &ServerName, why: Option<String>) -> Error {
    let why = why.unwrap_or_else(|| "it answered only now and then".into());
    Error::new(
        format!("{name} cannot be reached, so nobody there can be invited: {why}"),
        format!("its operator sees why with `rcfed doctor {name}`, and so do you"),
    )
}

/// No answer at all.
pub(super) fn silent(name: &ServerName, after: Duration, why: &str) -> Error {
    Error::new(
        format!("{name} did not answer the invite within {} s: {why}", after.as_secs()),
        format!("see `rcfed doctor {name}`; if it is well, look at this side with `sudo rcfed doctor`"),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;

    #[test]
    fn sentences() {
        let person: UserId = "@bob:example.net".parse().unwrap();
        let name = person.server();
        let answers = Answers::from_toml("federated_domain = \"example.org\"", Path::new("answers.toml")).unwrap();
        let config = Config::from_answers(&answers, Mode::Interactive).unwrap();
        let hop = |ok, said: &str, ms| Hop { id: "own", ok, said: said.into(), ms }.text();
        let told = |error: Error| format!("{error}\nhint: {}", error.hint().unwrap());
        let texts = [
            hop(true, "example.net accepted the invite of @bob:example.net", 999),
            hop(false, "@bob:example.net did not join within 61 s", 61_049),
            told(refused(name, &person, 403, "M_FORBIDDEN", "This server takes no invites from example.org")),
            told(refused(name, &person, 403, "M_FORBIDDEN", "")),
            told(refused(name, &person, 400, "", "")),
            told(refused(name, &person, 502, "M_UNKNOWN", "Failed to send request")),
            told(silent(name, Duration::from_millis(100_400), "operation timed out")),
            told(lost(name, Some("example.net does not resolve".into()))),
            told(lost(name, None)),
            identity(Some("Synapse 1.140.0"), "ed25519:a_B1", "2026-12-01"),
            identity(None, "ed25519:a_B1", "2026-12-01"),
            last_words(&config, &person),
        ];
        insta::assert_snapshot!(texts.join("\n\n"));
    }

    #[test]
    fn a_program_reads_how_far_it_came() {
        let hop = Hop { id: "found", ok: true, said: "example.net is there".into(), ms: 7 };
        let error = Some(Error::new("no", "try"));
        let (from, to) = ("@rcfed-probe:example.org".into(), "@bob:example.net".into());
        let report = Report { from, to, hops: vec![hop], ended: Ended::NotJoined, error };
        insta::assert_snapshot!(format!("{:#}", report.json()));
    }
}
