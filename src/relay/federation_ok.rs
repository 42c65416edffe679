//! `GET /api/federation-ok`, in the place of a federation tester, for networks into which none can look.
//!
//! Rocket.Chat federates only while its tester says `GOOD`. This one looks with the doctor's eyes, for this server alone,
//! and every answer and every line of the log says whose word it is.
//! <https://github.com/matrix-org/matrix-federation-tester>

use hyper::StatusCode;
use hyper::header::HeaderValue;

use super::answer::{Answer, noted, unrecognized, whole};
use super::config::Own;
use super::serve::Relay;
use super::words;
use crate::dns::Lookup;
use crate::doctor::remote::witness;
use crate::host::fs;
use crate::matrix::Eyes;

/// Answers `GOOD` if whoever comes by the public names reaches this server, `BAD` if not.
pub async fn federation_ok(relay: &Relay, query: &str) -> Answer {
    let Some(own) = &relay.config.federation_ok else { return unrecognized(false) };
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "server_name");
    match asked {
        None => answer(StatusCode::BAD_REQUEST, "Missing server_name", ""),
        Some((_, name)) if name == own.server_name.as_str() => {
            // One look at a time is all that Rocket.Chat needs, and all that fits into the memory of a relay.
            let _turn = relay.looking.lock().await;
            match look(own).await {
                Ok(()) => answer(StatusCode::OK, "GOOD", "GOOD"),
                Err(why) => answer(StatusCode::OK, "BAD", &format!("BAD: {why}")),
            }
        }
        Some(_) => answer(StatusCode::FORBIDDEN, words::ONE_SERVER, "another server's name"),
    }
}

async fn look(own: &Own) -> Result<(), String> {
    let roots = fs::read(&own.authorities).map_err(|error| error.to_string())?;
    let eyes = Eyes::new(Lookup::at(None), roots.as_deref()).map_err(|error| error.to_string())?;
    witness(&own.server_name, eyes, GATEWAY).await
}

fn answer(status: StatusCode, body: &'static str, note: &str) -> Answer {
    let mut answer = whole(status, HeaderValue::from_static("text/plain; charset=utf-8"), body.into());
    answer.headers_mut().insert("x-rcfed-tester", HeaderValue::from_static("self-certified"));
    if note.is_empty() { answer } else { noted(answer, format!("self-certified {note}")) }
}

const GATEWAY: &str = "gateway";
