//! A real invite from this deployment to a person elsewhere, hop by hop, and nothing left of it afterwards.
//!
//! The invite goes the way every invite of Rocket.Chat goes: through the homeserver, with the bridge's token, in a room
//! that bridges can read. It is sent in the name of a user that nobody is. The room is left and forgotten however the
//! test ends; what a killed run left is put away by the next.

mod homeserver;
mod report;

use std::time::Duration;

use tokio::time::Instant;

use crate::dns::Lookup;
use crate::doctor::remote;
use crate::error::{Error, Result};
use crate::fault;
use crate::machine::Machine;
use crate::matrix::discovery::find;
use crate::matrix::probe::{self, Inside, Seen};
use crate::matrix::server_name::ServerName;
use crate::matrix::user_id::UserId;
use crate::matrix::{Eyes, Wishes, look};
use crate::stop::{Reason, Stop};

use homeserver::{Homeserver, Invited};
pub use report::{Ended, Hop, Report, last_words};

/// The user in whose name is invited.
pub const PROBE: &str = "rcfed-probe";

/// Invites `person`, and waits at most `wait` for them to join. Each hop is told to `tell` when it is done.
pub async fn run(machine: &Machine, person: &UserId, wait: Duration, tell: impl Fn(&Hop)) -> Result<Report> {
    let mut stop = Stop::listen()?;
    let mut test = Test { machine, person, tell, report: Report::new(machine, person) };
    let homeserver = match test.own().await {
        Ok(homeserver) => homeserver,
        Err(error) => return Ok(test.failed(error)),
    };
    let outcome = tokio::select! {
        outcome = test.hops(&homeserver, wait) => outcome,
        reason = stop.asked() => Err(stopped(reason)),
    };
    // Whatever happened: nothing is left lying.
    let tidy = homeserver.tidy(Some(person)).await;
    match (outcome, tidy) {
        (Err(error), _) | (Ok(()), Err(error)) => Ok(test.failed(error)),
        (Ok(()), Ok(())) => Ok(test.report),
    }
}

fn stopped(reason: Reason) -> Error {
    let what = format!("stopped by {}; the invite was taken back", reason.words());
    Error::stopped(what, "run the same command again", reason.exit_code())
}

struct Test<'a, T: Fn(&Hop)> {
    machine: &'a Machine,
    person: &'a UserId,
    tell: T,
    report: Report,
}

impl<T: Fn(&Hop)> Test<'_, T> {
    async fn own(&mut self) -> Result<Homeserver> {
        let started = Instant::now();
        let homeserver = Homeserver::of(self.machine).await?;
        homeserver.ready().await?;
        self.done("own", "this deployment's homeserver knows the bridge", started);
        Ok(homeserver)
    }

    async fn hops(&mut self, homeserver: &Homeserver, wait: Duration) -> Result<()> {
        let (name, person) = (self.person.server(), self.person);
        self.found(name).await?;
        let started = Instant::now();
        let room = homeserver.room().await?;
        self.done("room", format!("a room of version {}, made by {}", homeserver::VERSION, homeserver.probe), started);
        let started = Instant::now();
        match homeserver.invite(&room, person).await? {
            Invited::Accepted => self.done("invite", format!("{name} accepted the invite of {person}"), started),
            Invited::Refused { status, errcode, said } => {
                return Err(report::refused(name, person, status, &errcode, &said));
            }
            Invited::Silent(why) => return Err(report::silent(name, started.elapsed(), &why)),
        }
        self.report.ended = Ended::Accepted;
        fault::point("invited");
        if wait.is_zero() {
            return Ok(());
        }
        let started = Instant::now();
        if homeserver.joins(&room, person, wait).await? {
            self.report.ended = Ended::Joined;
            self.done("join", format!("{person} joined"), started);
        } else {
            self.report.ended = Ended::NotJoined;
            let what = format!("{person} did not join within {} s", wait.as_secs());
            self.hop("join", false, what, started);
        }
        Ok(())
    }

    /// Where the other server is, and whether it proves to be it.
    async fn found(&mut self, name: &ServerName) -> Result<()> {
        let machine = self.machine;
        let roots = machine.config.federation.ca.as_ref().map(|ca| ca.pem.as_bytes());
        let mut eyes = Eyes::new(Lookup::new(&machine.host), roots)?;
        eyes.private_allowed = !machine.config.federation.private_networks.is_empty();
        let started = Instant::now();
        let until = started + LIMIT;
        let discovery = find(name, &eyes, until).await;
        let Some(first) = discovery.targets.first() else { return Err(lost(name, &eyes).await) };
        let (address, host) = (std::net::SocketAddr::new(first.address, first.port), &first.host_header);
        self.done(
            "found",
            format!("{name} is at {address} ({host}), by step {} of the specification", first.rule.number()),
            started,
        );
        let started = Instant::now();
        for target in &discovery.targets {
            let seen = probe::probe(name, target, Inside::default(), &eyes, until).await;
            if let Some(words) = identity(name, &seen) {
                self.done("keys", words, started);
                return Ok(());
            }
        }
        Err(lost(name, &eyes).await)
    }

    fn done(&mut self, id: &'static str, said: impl Into<String>, started: Instant) {
        self.hop(id, true, said.into(), started);
    }

    fn hop(&mut self, id: &'static str, ok: bool, said: String, started: Instant) {
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let hop = Hop { id, ok, said, ms };
        (self.tell)(&hop);
        self.report.hops.push(hop);
    }

    fn failed(mut self, error: Error) -> Report {
        self.report.ended = Ended::Failed;
        self.report.error = Some(error);
        self.report
    }
}

/// What a server's keys and version say, if they prove it to be the one.
fn identity(name: &ServerName, seen: &Seen) -> Option<String> {
    let now = jiff::Timestamp::now();
    let keys = seen.keys.as_ref()?.as_ref().ok()?.document.as_ref().ok()?;
    if !keys.are_good(name.as_str(), now.as_millisecond()) || !seen.tls.as_ref().is_some_and(|tls| tls.is_valid()) {
        return None;
    }
    let key = keys.keys.first()?;
    let until = jiff::Timestamp::from_millisecond(keys.valid_until_ts?).ok()?.strftime("%Y-%m-%d");
    let version =
        seen.versions.iter().flatten().find_map(|v| Some(format!("{} {}", v.name.as_ref()?, v.version.as_ref()?)));
    Some(report::identity(version.as_deref(), &key.id, until))
}

/// The doctor's first cause for a server that cannot be reached or is not the one.
async fn lost(name: &ServerName, eyes: &Eyes) -> Error {
    let seen = look(name, eyes, &Wishes { clients: false, chat: false, deadline: LIMIT, ..Wishes::default() }).await;
    let found = remote::report(&seen, jiff::Timestamp::now(), &[]);
    report::lost(name, found.first_cause().map(|first| format!("{} {}", first.subject, first.summary)))
}

const LIMIT: Duration = Duration::from_secs(15);

/// This side is at fault.
pub(super) fn own_broken(what: impl Into<String>) -> Error {
    Error::new(what, "this deployment itself is not well: run `sudo rcfed doctor`")
}
