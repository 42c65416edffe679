//! Rocket.Chat's own check of its federation, made to run and put into words.
//!
//! Since 6.12 nothing federates before this check has passed once: the homeserver must answer the bridge's ping, and a
//! federation tester must find the server from outside. The check runs when a setting changes or the button is
//! pressed, never at boot, so a deployment made from environment variables stays `Invalid` until somebody presses it.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::transport::Call;
use super::{Client, RestError};
use crate::config::Tester;

/// What Rocket.Chat thinks of its federation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it federates now.
    pub valid: bool,
    /// Round trip Rocket.Chat → homeserver → bridge → back, or why there is none.
    pub ping: Result<Duration, Problem>,
    /// Whether other servers find this one.
    pub reachability: Result<(), Problem>,
    /// Whether a federation tester outside reached this server; `None` if nobody outside looked.
    pub reached: Option<bool>,
    /// One sentence for a person.
    pub words: String,
}

impl Verdict {
    /// What to do about the first cause.
    pub fn hint(&self) -> Option<&str> {
        match (&self.ping, &self.reachability) {
            (Err(problem), _) | (Ok(_), Err(problem)) => Some(&problem.hint),
            (Ok(_), Ok(())) if !self.valid => Some("wait a minute, then run `sudo rcfed apply`"),
            (Ok(_), Ok(())) => None,
        }
    }
}

/// Half of a verdict that is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with Rocket.Chat's own words where it has some.
    pub text: String,
    /// What to do next.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Both halves: the ping's round trip, and whether others find this server; and whether somebody outside reached it.
type Report = (Result<Duration, Problem>, Result<(), Problem>, Option<bool>);

impl Client {
    /// Lets Rocket.Chat check its federation and tells what it found. Needs an administrator's token.
    /// `tester` is who it was told to ask.
    pub async fn verify_federation(&self, tester: Option<&Tester>) -> Result<Verdict, RestError> {
        let press = Call::post("check its federation", &format!("settings/{BUTTON}"));
        let press = press.body(serde_json::json!({ "execute": true })).second_factor().limit(CHECK_LIMIT);
        match self.call(press).await {
            // A refusal is the verdict "invalid"; its parts are told by the report.
            Ok(_) | Err(RestError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        let (ping, reachability, reached) = self.federation_report(tester).await?;
        let valid = self.becomes_valid(ping.is_ok() && reachability.is_ok()).await?;
        let words = tell(valid, &ping, &reachability, tester);
        Ok(Verdict { valid, ping, reachability, reached, words })
    }

    /// The verdict Rocket.Chat has stored, and what a look finds now; changes nothing. Needs an administrator's token.
    /// `tester` is who it was told to ask.
    pub async fn look_at_federation(&self, tester: Option<&Tester>) -> Result<Verdict, RestError> {
        let (ping, reachability, reached) = self.federation_report(tester).await?;
        let valid = match self.setting(STATUS).await {
            Ok(value) => value == "Valid",
            // Hidden in some versions: then the report is all there is.
            Err(RestError::Refused { .. }) => ping.is_ok() && reachability.is_ok(),
            Err(error) => return Err(error),
        };
        let words = tell(valid, &ping, &reachability, tester);
        Ok(Verdict { valid, ping, reachability, reached, words })
    }

    async fn federation_report(&self, tester: Option<&Tester>) -> Result<Report, RestError> {
        let report = Call::get(super::asks::TELL_CHECK, "federation/configuration.verify").limit(CHECK_LIMIT);
        let report = match self.call_or_400(report).await {
            Err(RestError::Unexpected { status: 404, .. }) => return Err(RestError::NoVerification),
            report => report?,
        };
        let (Some(ping), Some(outside)) = (report.get("appservice"), report.get("externalReachability")) else {
            return Err(RestError::NoVerification);
        };
        Ok((read_ping(ping), read_reachability(outside, tester), reached(outside, tester)))
    }

    /// Reads the stored status, which follows the button with a small delay.
    async fn becomes_valid(&self, expected: bool) -> Result<bool, RestError> {
        for attempt in 1.. {
            match self.setting(STATUS).await {
                Ok(value) if (value == "Valid") == expected || attempt == STATUS_READS => return Ok(value == "Valid"),
                Ok(_) => tokio::time::sleep(STATUS_PAUSE).await,
                // Hidden in some versions: then the report is all there is.
                Err(RestError::Refused { .. }) => return Ok(expected),
                Err(error) => return Err(error),
            }
        }
        Ok(expected)
    }
}

fn read_ping(half: &Value) -> Result<Duration, Problem> {
    let trip = half.get("roundTrip").and_then(|trip| trip.get("durationMs")).and_then(Value::as_f64);
    let trip = trip.filter(|ms| *ms >= 0.0).and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
    if half.get("ok") == Some(&Value::Bool(true)) {
        return Ok(trip.unwrap_or_default());
    }
    let said = half.get("error").and_then(Value::as_str).unwrap_or_default();
    Err(ping_problem(said))
}

fn ping_problem(said: &str) -> Problem {
    let lower = said.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let (text, hint) = if has(&["version must be"]) {
        (
            "the address Rocket.Chat has for its homeserver knows no ping of application services",
            "Dendrite has none, so rcfed's relay must stand before it: look at `sudo rcfed logs relay` and `sudo rcfed logs gateway`, \
             then run `sudo rcfed apply`",
        )
    } else if has(&["isn't yet running", "isn't running yet", "is not running"]) {
        (
            "the bridge inside Rocket.Chat is not running",
            "it starts some time after Rocket.Chat: look at `sudo rcfed logs rocketchat`, then run `sudo rcfed apply` again",
        )
    } else if has(&["timed out", "timeout"]) {
        (
            "the homeserver or the bridge took too long to answer the ping",
            "see what is slow or stopped with `sudo rcfed status`",
        )
    } else if has(&["token", "forbidden"]) {
        (
            "Rocket.Chat and the homeserver do not have the same tokens",
            "run `sudo rcfed apply`: it writes them to both sides and reads them back",
        )
    } else if has(&["econnrefused"]) {
        (
            "nothing listens at the address Rocket.Chat has for its homeserver",
            "see whether the gateway and the homeserver run with `sudo rcfed status`",
        )
    } else if has(&["connection_failed", "bad_status", "bad gateway"]) {
        (
            "the homeserver's side was asked, but the bridge did not answer it",
            "look at `sudo rcfed logs relay` and `sudo rcfed logs rocketchat`",
        )
    } else if has(&["enotfound", "eai_again"]) {
        ("Rocket.Chat cannot find its homeserver by name", "see whether the gateway runs with `sudo rcfed status`")
    } else {
        ("the homeserver did not answer the bridge's ping", "look at `sudo rcfed logs rocketchat`")
    };
    Problem { text: with_own_words(text, said), hint: hint.into() }
}

fn read_reachability(half: &Value, tester: Option<&Tester>) -> Result<(), Problem> {
    if half.get("ok") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let said = half.get("error").and_then(Value::as_str).unwrap_or_default();
    let (text, hint) = if tester == Some(&Tester::Own) {
        let text = match said.is_empty() {
            true => {
                "this server's own relay, which is asked instead of a federation tester, did not reach it by its public names"
            }
            false => "Rocket.Chat could not ask this server's own relay, which stands for a federation tester",
        };
        (
            text,
            "`sudo rcfed logs relay` says what it saw, and `sudo rcfed doctor` the cause; then run `sudo rcfed apply`",
        )
    } else if said.is_empty() {
        (
            "the federation tester could not reach this server from outside",
            "look from another machine whether `/.well-known/matrix/server` of the federated domain answers over HTTPS, \
             then run `sudo rcfed apply`",
        )
    } else {
        (
            "Rocket.Chat could not ask the federation tester",
            "it asks https://federationtester.matrix.org from inside its container: allow outgoing HTTPS, or name another \
             tester as `federation_tester` in the configuration",
        )
    };
    Err(Problem { text: with_own_words(text, said), hint: hint.into() })
}

/// Whoever is asked and gives no reason has looked. The relay of the server itself stands inside.
fn reached(half: &Value, tester: Option<&Tester>) -> Option<bool> {
    let said = half.get("error").and_then(Value::as_str).unwrap_or_default();
    match half.get("ok") == Some(&Value::Bool(true)) {
        _ if tester == Some(&Tester::Own) => None,
        true => Some(true),
        false => said.is_empty().then_some(false),
    }
}

fn with_own_words(text: &str, said: &str) -> String {
    if said.is_empty() { text.into() } else { format!("{text} (it says: {})", said.trim()) }
}

fn tell(
    valid: bool,
    ping: &Result<Duration, Problem>,
    reachability: &Result<(), Problem>,
    tester: Option<&Tester>,
) -> String {
    let found = match tester {
        Some(Tester::Own) => "this server's own relay found it (self-certified: nobody else has looked)",
        _ => "the federation tester found this server",
    };
    match (valid, ping, reachability) {
        (true, Ok(trip), Ok(())) => {
            format!("Rocket.Chat federates: the bridge's ping came back in {} ms, and {found}", trip.as_millis())
        }
        (false, Ok(_), Ok(())) => "Rocket.Chat found nothing wrong, yet still calls its federation invalid".into(),
        (true, _, _) => format!("Rocket.Chat federates, although {}", problems(ping, reachability)),
        (false, Ok(_), Err(_)) | (false, Err(_), Ok(())) => {
            format!(
                "Rocket.Chat does not federate, for only half of it could be verified: {}",
                problems(ping, reachability)
            )
        }
        (false, Err(_), Err(_)) => format!("Rocket.Chat does not federate: {}", problems(ping, reachability)),
    }
}

fn problems(ping: &Result<Duration, Problem>, reachability: &Result<(), Problem>) -> String {
    let both = [ping.as_ref().err(), reachability.as_ref().err()];
    both.into_iter().flatten().map(|problem| problem.text.as_str()).collect::<Vec<_>>().join("; and ")
}

const BUTTON: &str = "Federation_Matrix_check_configuration_button";
const STATUS: &str = "Federation_Matrix_configuration_status";
/// Rocket.Chat waits for the homeserver and then for the federation tester before it answers.
const CHECK_LIMIT: Duration = Duration::from_secs(60);
const STATUS_READS: u32 = 10;
const STATUS_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Only who looked from outside, and found nobody or somebody, says that this server is reached or not.
    #[test]
    fn who_has_looked_from_outside() {
        let elsewhere = Tester::At("https://tester.example.org".into());
        let halves = [json!({"ok": true}), json!({"ok": false}), json!({"ok": false, "error": "fetch failed"})];
        let said = |tester: Option<&Tester>| halves.each_ref().map(|half| reached(half, tester));
        for tester in [None, Some(&elsewhere)] {
            assert_eq!(said(tester), [Some(true), Some(false), None]);
        }
        assert_eq!(said(Some(&Tester::Own)), [None, None, None]);
    }
}
