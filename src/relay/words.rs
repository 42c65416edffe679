//! What the relay says: lines of its log, why it waits, and what it answers to strangers. In one file, so that they are
//! read together.

use std::fmt::Display;
use std::net::SocketAddr;

pub const BRIDGE_LATE: &str = "The bridge did not answer in time";
pub const BRIDGE_NO_URL: &str = "the bridge's address is no URL";
pub const BODY_LATE: &str = "The body did not arrive in time";
pub const HOMESERVER_AWAY: &str = "The homeserver cannot be reached";
pub const HOMESERVER_LATE: &str = "The homeserver did not answer in time";
pub const JOURNAL_CHANGED: &str = "the journal was changed by somebody else";
pub const JOURNAL_ENDED: &str = "the journal's thread has ended";
pub const NOT_AN_OBJECT: &str = "The body is not an object";
pub const NOT_KEPT: &str = "The invite could not be kept";
pub const NO_LOCAL_PART: &str = "the invited user has no name";
pub const NO_URL: &str = "the path does not make a URL";
pub const ONE_SERVER: &str = "This is the word of one server about itself";
pub const PING_LATE: &str = "The bridge did not answer the ping in time";
pub const QUEUE_FULL: &str = "Too many invites wait for the bridge";
pub const TOO_MANY: &str = "Too many invites at once";
pub const TOO_MANY_LARGE: &str = "Too many large invites at once";

/// An answer's words as a reason within a line of the log.
pub fn reason(answer: &str) -> String {
    let mut letters = answer.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

pub fn listens(on: SocketAddr, bridge: impl Display) -> String {
    format!("listening on {on}, bridge at {bridge}")
}

pub fn no_connection(error: impl Display) -> String {
    format!("could not accept a connection: {error}")
}

pub fn passed_over(lines: usize) -> String {
    match lines {
        1 => "one line of the journal cannot be read and was passed over".into(),
        _ => format!("{lines} lines of the journal cannot be read and were passed over"),
    }
}

/// What a relay finds in its journal when it starts.
pub fn waiting(invites: usize, unresolved: usize) -> String {
    let invites = if invites == 1 { "one invite waits".into() } else { format!("{invites} invites wait") };
    match unresolved {
        0 => format!("{invites} for the bridge"),
        _ => format!("{invites} for the bridge; the homeserver is asked first whether it has {unresolved} of them"),
    }
}

pub fn left_out(events: usize) -> String {
    let events = if events == 1 { "one event was".into() } else { format!("{events} events were") };
    format!("{events} left out of a transaction: the bridge has them, or gets them as invites")
}

pub fn delivered(id: &str) -> String {
    format!("invite {id} delivered")
}

pub fn not_written(id: &str, error: impl Display) -> String {
    format!("invite {id}: delivered, but not written down: {error}")
}

pub fn given_up(id: &str, attempts: u32, why: &str) -> String {
    format!("invite {id} is given up after {attempts} attempts: {why}")
}

pub fn accepted(id: &str) -> String {
    format!("invite {id}: the homeserver has it")
}

pub fn forgotten(id: &str) -> String {
    format!("invite {id}: the homeserver does not have it; it is forgotten")
}

pub fn journal_unreadable(error: impl Display) -> String {
    format!("the journal cannot be read: {error}")
}

pub fn unusable(error: impl Display) -> String {
    format!("its answer cannot be used: {error}")
}

pub fn sync_status(status: u16) -> String {
    format!("its answer to a sync has status {status}")
}

pub fn no_account(user: &str, status: u16) -> String {
    format!("it gives `{user}` no account (status {status})")
}

pub fn wrong_token(status: u16) -> String {
    format!("the bridge does not accept the homeserver's token (status {status})")
}

pub fn refused(status: u16) -> String {
    format!("the bridge refuses it with status {status}")
}

pub fn failed(status: u16) -> String {
    format!("the bridge answered with status {status}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        let answers = [
            BRIDGE_LATE,
            BODY_LATE,
            HOMESERVER_AWAY,
            HOMESERVER_LATE,
            NOT_AN_OBJECT,
            NOT_KEPT,
            ONE_SERVER,
            PING_LATE,
            QUEUE_FULL,
            TOO_MANY,
            TOO_MANY_LARGE,
        ];
        let reasons = [BRIDGE_NO_URL, JOURNAL_CHANGED, JOURNAL_ENDED, NO_LOCAL_PART, NO_URL].map(str::to_owned);
        let reasons = reasons.into_iter().chain([
            reason(BRIDGE_LATE),
            reason(HOMESERVER_LATE),
            reason(TOO_MANY),
            journal_unreadable("Input/output error (os error 5)"),
            unusable("connection closed before message completed"),
            sync_status(500),
            no_account("@bob:b.example", 400),
            wrong_token(403),
            refused(400),
            failed(500),
        ]);
        let lines = [
            listens("0.0.0.0:8080".parse().unwrap(), "http://rocketchat:3300/"),
            no_connection("Too many open files (os error 24)"),
            passed_over(1),
            passed_over(3),
            waiting(1, 0),
            waiting(5, 2),
            left_out(1),
            left_out(2),
            delivered("$a"),
            not_written("$a", "No space left on device (os error 28)"),
            given_up("$a", 10, &refused(400)),
            accepted("$a"),
            forgotten("$a"),
        ];
        let told: Vec<String> = answers
            .iter()
            .map(|answer| format!("answer: {answer}"))
            .chain(reasons.map(|why| format!("reason: {why}")))
            .chain(lines.map(|line| format!("log: relay: {line}")))
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
