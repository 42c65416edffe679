//! What a proxy in front of a homeserver does to requests: two paths and an announcement tell.

use std::time::Duration;

use serde_json::Value;

use super::lane::Lane;
use super::{LONGEST, Trouble};
use crate::host::net::exchange::Answer;

/// The body that is announced, in bytes: 200 events of 64 KiB, the largest that Synapse takes.
pub const BODY: u64 = 13_107_200;

/// Nothing is at this path; without a signature the answer is 401.
const CONTROL: &str = "/_matrix/federation/v1/event/%24ab";
/// The same with an escaped slash in the event's id. Whoever undoes the escape makes it another path, which nobody knows.
const ESCAPED: &str = "/_matrix/federation/v1/event/%24a%2Fb";
/// Nobody knows this path either, unless slashes are merged on the way.
const SLASHES: &str = "/_matrix//federation/v1/version";

/// How paths arrive behind whatever stands in front of a homeserver.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Paths {
    /// The answer to a path with an ordinary escape.
    pub control: Result<Status, Trouble>,
    /// The answer to a path with an escaped slash.
    pub escaped: Result<Status, Trouble>,
    /// The answer to a path with two slashes.
    pub slashes: Result<Status, Trouble>,
    /// What the first two say together.
    pub normalisation: Normalisation,
    /// What the last one says.
    pub merging: Slashes,
}

/// The gist of an answer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// Status code.
    pub status: u16,
    /// Matrix's error code, e.g. `M_UNRECOGNIZED`.
    pub errcode: Option<String>,
}

/// Whether paths arrive as they were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// They do.
    Untouched,
    /// Escapes are undone on the way, so signatures break.
    Normalised,
    /// What answers there is not a homeserver that federates.
    Inconclusive,
}

/// Whether two slashes arrive as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Slashes {
    /// They do not.
    Kept,
    /// They do.
    Merged,
    /// Neither answer came.
    Inconclusive,
}

/// What becomes of the announcement of [`BODY`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyLimit {
    /// 100: go on.
    Taken,
    /// 413: too large.
    Refused,
    /// Another status came before the body, which says nothing about its length.
    Answered(u16),
}

/// Sends the three paths, one after another.
pub(super) async fn paths(lane: &mut Lane<'_>) -> Paths {
    let control = status(lane, CONTROL).await;
    let escaped = status(lane, ESCAPED).await;
    let slashes = status(lane, SLASHES).await;
    Paths {
        normalisation: normalisation(control.as_ref().ok(), escaped.as_ref().ok()),
        merging: match &slashes {
            Ok(Status { status: 200, .. }) => Slashes::Merged,
            Ok(Status { status: 404 | 405, .. }) => Slashes::Kept,
            _ => Slashes::Inconclusive,
        },
        control,
        escaped,
        slashes,
    }
}

/// Names under which homeservers ask: Synapse's, and that of programs in Go such as Dendrite's.
const AGENTS: [&str; 2] = ["Synapse/1.163.2", "Go-http-client/1.1"];

/// Asks for the version as other homeservers do: a filter may know browsers, and take all others for bots.
pub(super) async fn agents(lane: &mut Lane<'_>) -> Vec<(&'static str, Result<u16, Trouble>)> {
    let mut seen = Vec::new();
    for agent in AGENTS {
        let answer = lane.send("GET", "/_matrix/federation/v1/version", &[("User-Agent", agent)], LONGEST).await;
        seen.push((agent, answer.map(|answer| answer.head.status)));
    }
    seen
}

/// Announces a large body. Nothing of it is ever sent.
pub(super) async fn body_limit(lane: &mut Lane<'_>, patience: Duration) -> Result<BodyLimit, Trouble> {
    let head = lane.announce("/_matrix/federation/v1/send/rcfed", BODY, patience).await?;
    Ok(match head.status {
        100 => BodyLimit::Taken,
        413 => BodyLimit::Refused,
        other => BodyLimit::Answered(other),
    })
}

impl Status {
    pub(super) fn of(answer: &Answer) -> Self {
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let errcode = body.as_ref().and_then(|body| body.get("errcode")?.as_str());
        Self { status: answer.head.status, errcode: errcode.map(|code| code.chars().take(60).collect()) }
    }
}

async fn status(lane: &mut Lane<'_>, path: &str) -> Result<Status, Trouble> {
    lane.send("GET", path, &[], LONGEST).await.map(|answer| Status::of(&answer))
}

/// 401 twice: a homeserver saw both paths. 401 and "unrecognised": it saw another one than was sent.
fn normalisation(control: Option<&Status>, escaped: Option<&Status>) -> Normalisation {
    match (control, escaped) {
        (Some(Status { status: 401, .. }), Some(Status { status: 401, .. })) => Normalisation::Untouched,
        (Some(Status { status: 401, .. }), Some(Status { status: 404, errcode: Some(code) }))
            if code == "M_UNRECOGNIZED" =>
        {
            Normalisation::Normalised
        }
        _ => Normalisation::Inconclusive,
    }
}
