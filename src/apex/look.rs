//! What the web site on the federated domain answers now, asked from here as others ask it.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::{AVAILABLE, documents};
use crate::config::Config;
use crate::host::net::exchange::{Request, Trouble};
use crate::host::tls::TlsFacts;
use crate::matrix::Eyes;

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Each document that is not answered as it should be, and what came instead.
    pub missing: Vec<(&'static str, String)>,
    /// The question whether somebody exists; none where nobody asks it.
    pub available: Option<Available>,
}

/// What came of the question whether the administrator exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Available {
    /// A homeserver answered.
    Answered,
    /// Something else did, or nobody: in words.
    NotAnswered(String),
}

/// Looks at all of it.
pub async fn look(config: &Config, eyes: &Eyes, until: Instant) -> Seen {
    let site = config.names.federated.as_str();
    let mut missing = Vec::new();
    for document in documents(config) {
        let wanted: Value = serde_json::from_str(&document.body).unwrap_or_default();
        let url = format!("https://{site}{}", document.path);
        let problem = match get(&url, eyes, until).await {
            Ok((200, body)) if contains(&serde_json::from_slice(&body).unwrap_or_default(), &wanted) => continue,
            Ok((200, body)) => format!("answers {}", shown(&body)),
            Ok((status, _)) => format!("answers with status {status}"),
            Err(why) => why,
        };
        missing.push((document.path, problem));
    }
    let available = match config.profile.has_homeserver() {
        true => Some(available(config, eyes, until).await),
        false => None,
    };
    Seen { missing, available }
}

/// As another Rocket.Chat asks before it lets anybody write to somebody here.
pub async fn available(config: &Config, eyes: &Eyes, until: Instant) -> Available {
    let (site, admin) = (&config.names.federated, &config.admin.username);
    let url = format!("https://{site}{AVAILABLE}?username={admin}");
    match get(&url, eyes, until).await {
        Ok((status, body)) => {
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            let taken = matches!(answer["errcode"].as_str(), Some("M_USER_IN_USE" | "M_EXCLUSIVE"));
            match status {
                400 if taken => Available::Answered,
                200 if answer["available"] == true => Available::Answered,
                _ => Available::NotAnswered(format!("status {status}: {}", shown(&body))),
            }
        }
        Err(why) => Available::NotAnswered(why),
    }
}

/// Why there is no answer; the path stands before it.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("redirects without end")]
    Endless,
    #[error("is not answered: {0} has no address")]
    NoAddress(String),
    #[error("redirects to {0}, without TLS")]
    NoTls(Url),
    #[error("redirects to `{0}`")]
    NoUrl(String),
    #[error("does not answer at {0}: {1}")]
    Silent(SocketAddr, Trouble),
    #[error("answers at {0} with a certificate that others do not take for {1}")]
    Untrusted(SocketAddr, String),
}

/// Status and body, wherever redirects lead; over TLS that others would trust.
async fn get(url: &str, eyes: &Eyes, until: Instant) -> Result<(u16, Vec<u8>), String> {
    let mut url = Url::parse(url).map_err(|error| error.to_string())?;
    for _ in 0..=MOST_HOPS {
        let (status, location, body) = hop(&url, eyes, until).await?;
        match location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) {
            None => return Ok((status, body)),
            Some(location) => url = url.join(&location).map_err(|_| NoAnswer::NoUrl(location).to_string())?,
        }
        if url.scheme() != "https" {
            return Err(NoAnswer::NoTls(url).to_string());
        }
    }
    Err(NoAnswer::Endless.to_string())
}

async fn hop(url: &Url, eyes: &Eyes, until: Instant) -> Result<(u16, Option<String>, Vec<u8>), String> {
    let host = url.host_str().unwrap_or_default();
    let view = eyes.host(host, until).await;
    let addresses: Vec<_> = [view.a, view.aaaa].into_iter().flatten().flatten().collect();
    let mut last = NoAnswer::NoAddress(host.to_owned());
    for address in addresses {
        let peer = SocketAddr::new(address, url.port().unwrap_or(443));
        match ask(url, host, peer, eyes, until).await {
            Ok(answer) => return answer,
            // The next address may answer.
            Err(trouble) => last = NoAnswer::Silent(peer, trouble),
        }
    }
    Err(last.to_string())
}

type Answered = Result<(u16, Option<String>, Vec<u8>), String>;

async fn ask(url: &Url, host: &str, peer: SocketAddr, eyes: &Eyes, until: Instant) -> Result<Answered, Trouble> {
    let mut wire = eyes.open(peer, Some(host), until).await?;
    if !eyes.judge(&wire, host, &[]).as_ref().is_some_and(TlsFacts::is_valid) {
        return Ok(Err(NoAnswer::Untrusted(peer, host.to_owned()).to_string()));
    }
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{query}", url.path());
    let request = Request { method: "GET", target: &target, host, headers: &[], body: LONGEST };
    let answer = wire.exchange(&request).await?;
    let location = answer.head.header("location").map(str::to_owned);
    Ok(Ok((answer.head.status, location, answer.body)))
}

/// Whether `seen` says everything that `wanted` says, and perhaps more.
fn contains(seen: &Value, wanted: &Value) -> bool {
    match (seen, wanted) {
        (Value::Object(seen), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| seen.get(key).is_some_and(|seen| contains(seen, wanted)))
        }
        (Value::String(seen), Value::String(wanted)) => seen.trim_end_matches('/') == wanted,
        _ => seen == wanted,
    }
}

fn shown(body: &[u8]) -> String {
    match crate::host::net::exchange::beginning(body) {
        text if text.is_empty() => "nothing".into(),
        text => format!("`{text}`"),
    }
}

const LONGEST: usize = 16 * 1024;
const MOST_HOPS: usize = 5;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sentences() {
        let peer: SocketAddr = "198.51.100.4:443".parse().unwrap();
        let all = [
            NoAnswer::Endless,
            NoAnswer::NoAddress("example.org".into()),
            NoAnswer::NoTls("http://www.example.org/".parse().unwrap()),
            NoAnswer::NoUrl("https://[".into()),
            NoAnswer::Silent(peer, Trouble::LongHead),
            NoAnswer::Untrusted(peer, "example.org".into()),
        ];
        let told = all.map(|why| format!("/.well-known/matrix/server {why}"));
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_document_may_say_more_and_not_something_else() {
        let wanted = json!({ "m.homeserver": { "base_url": "https://matrix.example.org" } });
        let more = json!({ "m.homeserver": { "base_url": "https://matrix.example.org/" }, "org.example": [1] });
        assert!(contains(&more, &wanted));
        for other in [json!({}), json!(null), json!({ "m.homeserver": { "base_url": "https://example.org" } })] {
            assert!(!contains(&other, &wanted), "{other}");
        }
    }
}
