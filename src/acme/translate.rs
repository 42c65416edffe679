//! From the errors of [`instant_acme`] to ours.

use instant_acme::{Error, Identifier, Problem};
use jiff::Timestamp;

use super::error::{AcmeError, Authority};
use super::http::Client;
use super::limit::Limit;
use super::refusal::Refusal;
use super::trouble::Trouble;
use super::words;
use crate::clock;
use crate::domain::DomainName;

/// Says what an error means; `names` are those of the order, if it was about one.
pub(super) fn translate(error: Error, client: &Client, names: &[&DomainName]) -> AcmeError {
    let authority = client.authority().clone();
    let what = match error {
        Error::Api(problem) => return problem_of(&problem, authority, client.retry_after(), names),
        Error::Other(other) => match other.downcast::<Trouble>() {
            Ok(trouble) => return unreachable(authority, *trouble),
            Err(other) => other.to_string(),
        },
        Error::Json(error) => words::not_understood(error),
        other => other.to_string(),
    };
    AcmeError::Protocol { authority, what }
}

/// No ACME answer; an edge server that says 429 without explanation still sets a limit.
pub(super) fn unreachable(authority: Authority, trouble: Trouble) -> AcmeError {
    let now = clock::now();
    match trouble {
        Trouble::Status { status: 429, retry_after } => {
            AcmeError::Limited { authority, limit: Limit::read("", retry_after), now }
        }
        trouble => AcmeError::Unreachable { authority, trouble, now },
    }
}

/// Says what a problem document (RFC 8555 §6.7) means.
pub(super) fn problem_of(
    problem: &Problem,
    authority: Authority,
    retry_after: Option<Timestamp>,
    names: &[&DomainName],
) -> AcmeError {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    let kind = kind.rsplit(':').next().unwrap_or(kind);
    let detail = problem.detail.as_deref().unwrap_or_default();
    let now = clock::now();
    if kind == "rateLimited" || problem.status == Some(429) {
        return AcmeError::Limited { authority, limit: Limit::read(detail, retry_after), now };
    }
    if let Some(status) = problem.status.filter(|status| *status >= 500) {
        return AcmeError::Unreachable { authority, trouble: Trouble::Status { status, retry_after }, now };
    }
    let failures = failures(problem, kind, detail, names);
    if failures.is_empty() {
        return AcmeError::Problem { authority, kind: kind.to_owned(), detail: detail.to_owned() };
    }
    AcmeError::Refused { authority, failures }
}

/// The names a problem is about: those of its subproblems, or else those its text mentions.
fn failures(problem: &Problem, kind: &str, detail: &str, names: &[&DomainName]) -> Vec<Refusal> {
    let told = problem.subproblems.iter().filter_map(|sub| {
        let Some(Identifier::Dns(name)) = &sub.identifier else { return None };
        let name = names.iter().find(|own| own.as_str() == name)?;
        Some(Refusal::new(name, sub.r#type.as_deref().unwrap_or(kind), sub.detail.as_deref().unwrap_or(detail)))
    });
    let told: Vec<Refusal> = told.collect();
    if !told.is_empty() || !matches!(kind, "caa" | "connection" | "dns" | "rejectedIdentifier" | "unauthorized") {
        return told;
    }
    let words =
        detail.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.').map(|word| word.trim_matches('.'));
    let words: Vec<&str> = words.collect();
    let mentioned: Vec<Refusal> = names
        .iter()
        .filter(|name| words.contains(&name.as_str()))
        .map(|name| Refusal::new(name, kind, detail))
        .collect();
    match names {
        [only] if mentioned.is_empty() && kind != "unauthorized" => vec![Refusal::new(only, kind, detail)],
        _ => mentioned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_find_their_names() {
        let names = ["example.org", "chat.example.org"].map(|name| DomainName::parse(name).unwrap());
        let names: Vec<&DomainName> = names.iter().collect();
        let ask = |json: &str| {
            let problem: Problem = serde_json::from_str(json).unwrap();
            problem_of(&problem, Authority::of("https://ca.example.org/dir"), None, &names)
        };
        let found = |json: &str| -> Vec<String> {
            ask(json).refusals().iter().map(|refusal| format!("{} {}", refusal.name, refusal.kind)).collect()
        };
        assert_eq!(
            found(
                r#"{"type":"urn:ietf:params:acme:error:malformed","detail":"two problems","subproblems":[
                    {"type":"urn:ietf:params:acme:error:rejectedIdentifier","identifier":{"type":"dns","value":"chat.example.org"}},
                    {"type":"urn:ietf:params:acme:error:caa","identifier":{"type":"dns","value":"example.org"}}]}"#
            ),
            ["chat.example.org rejectedIdentifier", "example.org caa"]
        );
        let text =
            r#"{"type":"urn:ietf:params:acme:error:caa","detail":"CAA record for chat.example.org prevents issuance"}"#;
        assert_eq!(found(text), ["chat.example.org caa"]);
        assert!(
            ask(r#"{"type":"urn:ietf:params:acme:error:unauthorized","detail":"account is not valid"}"#)
                .says("unauthorized")
        );
        let down = ask(r#"{"type":"urn:ietf:params:acme:error:serverInternal","status":503}"#);
        assert!(matches!(down, AcmeError::Unreachable { trouble: Trouble::Status { status: 503, .. }, .. }));
        let limit = ask(r#"{"type":"urn:ietf:params:acme:error:rateLimited","status":429}"#);
        assert!(matches!(limit, AcmeError::Limited { .. }));
    }
}
