//! The certificate: good on disk, the same on the wire, and renewed by somebody.

use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::super::Site;
use super::super::check::{Check, Doc, Place, always, with_served_certificate};
use crate::acme::{self, Certificate, Failure, Store};
use crate::config::Proxy;
use crate::domain::DomainName;
use crate::error::Result;
use crate::finding::{Finding, Status};
use crate::host::tls::served_certificate;
use crate::layout;
use crate::step::reload::shown_at;
use crate::step::{State, Step};

/// Stands before the gateway's checks: nginx does not accept its files without it.
pub(super) const FILE: &[Check] = &[Check {
    id: "certificate.file",
    place: Place::Tls,
    applies: always,
    needs: &[],
    limit: 5,
    run: |site| Box::pin(async move { vec![told("certificate.file", file(&site))] }),
    doc: Doc {
        what: "The certificate on disk: its key, its names, its dates, and why the last renewal failed if it did.",
        why: "Other servers and browsers refuse an expired certificate, or one without their name; federation stops at that minute.",
        fails: "Others log a TLS error and skip to port 8448, where nothing listens, so testers speak of a refused port.",
        fix: "`sudo rcfed renew --force` after the reason of the last failure is removed.",
        source: "RFC 5280; Let's Encrypt's integration guide.",
    },
}];

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "certificate.served",
        place: Place::Tls,
        applies: with_served_certificate,
        needs: &["certificate.file", "gateway.loaded"],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("certificate.served", served(&site).await)] }),
        doc: Doc {
            what: "The certificate the gateway, or this machine's nginx where that is the proxy, shows for every name, byte by byte against the one on disk.",
            why: "nginx reads it only when it reloads: a renewed certificate on disk helps nobody until then.",
            fails: "The file is good for months, and yet visitors see an expired certificate.",
            fix: "`sudo rcfed apply` reloads it and waits until it shows the new one.",
            source: "nginx, ngx_http_ssl_module.",
        },
    },
    Check {
        id: "certificate.renewal",
        place: Place::Tls,
        applies: always,
        needs: &[],
        limit: 8,
        run: |site| Box::pin(async move { vec![told("certificate.renewal", renewal(&site).await)] }),
        doc: Doc {
            what: "Whether the timer, or where there is no systemd the cron job, is in place and on, and how its last run ended.",
            why: "Nothing tells when nobody renews any more; it shows weeks later.",
            fails: "The certificate runs out.",
            fix: "`sudo rcfed apply` writes the timer and switches it on.",
            source: "systemd.timer(5), cron(8).",
        },
    },
];

fn told(id: &'static str, result: Result<Finding>) -> Finding {
    result.unwrap_or_else(|error| Finding::unknown(id, "certificate", error.message()))
}

fn file(site: &Site) -> Result<Finding> {
    let machine = &site.machine;
    let subject = format!("{}/{}", layout::CERTIFICATE, Store::FILE);
    let failure = acme::last_failure(&machine.path(layout::ACME))?;
    let finding = match Store::new(machine.path(layout::CERTIFICATE)).describe()? {
        None => missing(&subject),
        Some(Err(error)) => damaged(&subject, &error),
        Some(Ok(certificate)) => judge(&subject, &certificate, &machine.config.names.served(), Timestamp::now()),
    };
    Ok(for_proxy(with_failure(finding, failure.as_ref(), Timestamp::now()), machine.config.proxy))
}

fn missing(subject: &str) -> Finding {
    Finding::fail("certificate.file", subject, "does not exist").command("sudo rcfed apply")
}

fn damaged(subject: &str, error: &impl std::fmt::Display) -> Finding {
    let said = format!("cannot be used: {error}");
    Finding::fail("certificate.file", subject, said).command("sudo rcfed renew --force")
}

/// Another proxy may show a certificate of its own; what it really shows is looked at from outside.
fn for_proxy(finding: Finding, proxy: Proxy) -> Finding {
    match (proxy, finding.status) {
        (Proxy::None, Status::Fail) => Finding { status: Status::Warn, ..finding }
            .seen("with proxy = \"none\" it matters only if your proxy uses it"),
        _ => finding,
    }
}

fn judge(subject: &str, certificate: &Certificate, names: &[&DomainName], now: Timestamp) -> Finding {
    const ID: &str = "certificate.file";
    let until = certificate.not_after.strftime("%Y-%m-%d %H:%M UTC");
    let renew = |finding: Finding| finding.command("sudo rcfed renew --force");
    if !certificate.key_matches {
        return renew(Finding::fail(ID, subject, "has the private key of another certificate"));
    }
    if let Some(name) = names.iter().find(|name| !certificate.covers(&[name])) {
        let has = format!("names on it: {}", certificate.names.join(", "));
        return Finding::fail(ID, subject, format!("is not valid for {name}")).seen(has).command("sudo rcfed apply");
    }
    if now >= certificate.not_after {
        return renew(Finding::fail(ID, subject, format!("expired on {until}")));
    }
    if now < certificate.not_before {
        let from = certificate.not_before.strftime("%Y-%m-%d %H:%M UTC");
        let said = format!("is valid only from {from} on, by this machine's clock");
        return Finding::fail(ID, subject, said).command("sudo timedatectl set-ntp true");
    }
    let (life, left) =
        (certificate.not_after.duration_since(certificate.not_before), certificate.not_after.duration_since(now));
    // A renewal is due at a third of the life, or at half of a short one. A third of that time later it is overdue.
    let due = life.as_secs() / if life.as_secs() < 10 * 86_400 { 2 } else { 3 };
    if left.as_secs() < due * 2 / 3 {
        let said = format!("should have been renewed by now: {} left, until {until}", left_words(left.as_secs()));
        return renew(Finding::warn(ID, subject, said));
    }
    Finding::ok(ID, subject, format!("is good for {}, until {until}", left_words(left.as_secs())))
}

fn left_words(seconds: i64) -> String {
    match seconds {
        ..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// What stopped the last attempt belongs to a certificate that is not as it should be; alone it is a warning.
fn with_failure(finding: Finding, failure: Option<&Failure>, now: Timestamp) -> Finding {
    let Some(failure) = failure else { return finding };
    let at = failure.at.strftime("%Y-%m-%d %H:%M UTC");
    let next = if failure.next > now {
        format!("the timer tries again after {}", failure.next.strftime("%Y-%m-%d %H:%M UTC"))
    } else {
        "the timer tries again at its next run".into()
    };
    let mut finding = if finding.status <= Status::Info {
        Finding::warn(
            finding.id,
            finding.subject,
            format!("{}, but the last attempt to renew it failed", finding.summary),
        )
        .command("sudo rcfed renew --force")
    } else {
        finding
    };
    finding.evidence.push(format!("attempt {} failed on {at}; {next}", failure.count));
    finding.evidence.extend(failure.error.lines().take(4).map(str::to_owned));
    finding
}

async fn served(site: &Site) -> Result<Finding> {
    let machine = &site.machine;
    let pair = Store::new(machine.path(layout::CERTIFICATE)).load()?;
    let wanted = pair.and_then(|pair| CertificateDer::from_pem_slice(pair.fullchain_pem.as_bytes()).ok());
    let (whose, _) = shows(machine.config.proxy);
    let (Some(wanted), Some(address)) = (wanted, shown_at(machine).await?) else {
        return Ok(Finding::unknown("certificate.served", whose, "there is nothing to compare"));
    };
    let names = machine.config.names.served();
    let looks = names.iter().map(|name| served_certificate(&address, name.as_str()));
    let shown = futures_util::future::join_all(looks).await;
    let wrong = |good: fn(&[u8], Option<&Vec<u8>>) -> bool| {
        let wrong = names.iter().zip(&shown).filter(|(_, leaf)| good(wanted.as_ref(), leaf.as_ref()));
        wrong.map(|(name, _)| name.to_string()).collect::<Vec<_>>().join(", ")
    };
    let (silent, other) =
        (wrong(|_, leaf| leaf.is_none()), wrong(|wanted, leaf| leaf.is_some_and(|leaf| leaf != wanted)));
    Ok(judge_served(machine.config.proxy, &silent, &other))
}

/// Who shows it, as a subject and in a sentence.
fn shows(proxy: Proxy) -> (&'static str, &'static str) {
    match proxy {
        Proxy::Host => ("nginx", "this machine's nginx"),
        _ => ("gateway", "the gateway"),
    }
}

/// By the names without a certificate and those with another one.
fn judge_served(proxy: Proxy, silent: &str, other: &str) -> Finding {
    const ID: &str = "certificate.served";
    let (whose, words) = shows(proxy);
    let fail = |names: &str, shown: &str| {
        let be = if names.contains(',') { "are" } else { "is" };
        Finding::fail(ID, names, format!("{be} served by {words}, which shows {shown}")).command("sudo rcfed apply")
    };
    match (silent, other) {
        ("", "") => Finding::ok(ID, whose, "shows the certificate on disk"),
        ("", names) => fail(names, "another certificate than the one on disk"),
        (names, _) => fail(names, "no certificate at all"),
    }
}

async fn renewal(site: &Site) -> Result<Finding> {
    Ok(match judge_unit(Step::Unit.inspect(&site.machine).await?) {
        Some(finding) => finding,
        None => last_run(site).await,
    })
}

/// None if it is as it should be.
fn judge_unit(state: State) -> Option<Finding> {
    let finding = match state {
        State::Absent => Finding::fail(RENEWAL, "renewal", "is not set up: its timer or cron job is missing"),
        State::Differs(what) if what.contains("does not run") => {
            Finding::fail(RENEWAL, "renewal", format!("does not happen: {what}"))
        }
        State::Differs(what) => {
            Finding::warn(RENEWAL, "renewal", format!("is set up otherwise than by this rcfed: {what}"))
        }
        State::Current | State::Foreign(_) => return None,
    };
    Some(finding.command("sudo rcfed apply"))
}

const RENEWAL: &str = "certificate.renewal";

/// How systemd says the last run ended.
async fn last_run(site: &Site) -> Finding {
    if !site.machine.path("/run/systemd/system").is_dir() {
        return ended("");
    }
    let words = ["show", "rcfed-renew.service", "--property=Result", "--value"];
    let run = tokio::process::Command::new("systemctl").args(words).output();
    match tokio::time::timeout(Duration::from_secs(5), run).await {
        Ok(Ok(output)) => ended(String::from_utf8_lossy(&output.stdout).trim()),
        Ok(Err(error)) => not_told(&format!("systemctl cannot be run: {error}")),
        Err(_) => not_told("systemctl gave no answer within 5 s"),
    }
}

fn not_told(why: &str) -> Finding {
    Finding::unknown(RENEWAL, "renewal", format!("how its last run ended is not known: {why}"))
}

/// What systemd's word for the end of the last run means; empty if there never was one.
fn ended(result: &str) -> Finding {
    match result {
        "success" | "" => Finding::ok(RENEWAL, "renewal", "looks twice a day whether the certificate is due"),
        result => Finding::warn(RENEWAL, "renewal", "is set up, but its last run failed")
            .seen(format!("systemd: {result}"))
            .command("sudo journalctl -u rcfed-renew.service -n 30"),
    }
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
