//! What is wrong with a certificate: each fault is another first cause, with another remedy.

use super::super::check::{Doc, Place};
use super::super::checks::within;
use super::{Remote, Sight, at, reach, words};
use crate::finding::Finding;
use crate::host::tls::{Path, TlsFacts};
use crate::matrix::discovery::Rule;

const HANDSHAKE: &str = "tls.handshake";
const EXPIRED: &str = "tls.expired";
const EARLY: &str = "tls.early";
const CHAIN: &str = "tls.chain";
const UNTRUSTED: &str = "tls.untrusted";
const NAME: &str = "tls.name";
const ENDING: &str = "tls.ending";

/// Days that are left when something should have renewed the certificate long ago.
const SOON: i64 = 10;

const SOURCE: &str = "Matrix server-server API, TLS and resolving server names.";
const REACHED: &[&str] = &["reach.server"];

pub(super) const HANDSHAKES: &[Remote] = &[Remote::row(
    Place::Tls,
    HANDSHAKE,
    REACHED,
    handshake,
    Doc {
        what: "Whether TLS can be spoken where others connect.",
        why: "Federation knows nothing else; a plain HTTP port or an old TLS are of no use.",
        fails: "Others say `wrong version number`, or that the connection was closed.",
        fix: "Let the port speak TLS 1.2 or 1.3, with a certificate for the name.",
        source: SOURCE,
    },
)];

pub(super) const CHECKS: &[Remote] = &[
    Remote::row(
        Place::Tls,
        EXPIRED,
        &[HANDSHAKE, "tls.caa"],
        |sight| of(sight, EXPIRED),
        Doc {
            what: "Whether a certificate of the chain has ended.",
            why: "Others refuse it from that second on.",
            fails: "Everything worked yesterday; others say `certificate has expired`.",
            fix: "Renew it, and reload what serves it: a renewed file is not served before that.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Tls,
        EARLY,
        &[HANDSHAKE],
        |sight| of(sight, EARLY),
        Doc {
            what: "Whether every certificate of the chain has begun.",
            why: "A certificate that begins tomorrow is refused today; often a clock is wrong.",
            fails: "Others say `certificate is not yet valid`.",
            fix: "Set the clock of the machine that made it, or wait.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Tls,
        CHAIN,
        &[HANDSHAKE],
        |sight| of(sight, CHAIN),
        Doc {
            what: "Whether the intermediate certificates are presented together with the leaf.",
            why: "Browsers fetch or remember what is missing, servers do not.",
            fails: "Browsers are content; others say `unable to get local issuer certificate`.",
            fix: "Serve `fullchain.pem`, not `cert.pem`.",
            source: "Synapse issues 5429 and 4764; matrix-federation-tester issue 90.",
        },
    ),
    Remote::row(
        Place::Tls,
        UNTRUSTED,
        &[HANDSHAKE],
        |sight| of(sight, UNTRUSTED),
        Doc {
            what: "Whether the chain leads to an authority that this machine knows.",
            why: "Others trust the authorities of their operating systems, and nobody else.",
            fails: "Others say `self-signed certificate` or `unknown authority`.",
            fix: "Get a certificate from a public authority, such as Let's Encrypt.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Tls,
        NAME,
        &[HANDSHAKE],
        |sight| of(sight, NAME),
        Doc {
            what: "Whether the certificate is for the name that others look for: that of the last table of the specification.",
            why: "An SRV record does not change the name that is needed, a well-known document does.",
            fails: "Others say `hostname mismatch`.",
            fix: "Add the name to the certificate, or delegate to a name that it has.",
            source: SOURCE,
        },
    ),
    Remote::row(
        Place::Tls,
        ENDING,
        &[EXPIRED],
        ending,
        Doc {
            what: "Whether the certificate ends within ten days.",
            why: "Whoever renews by itself does so much earlier.",
            fails: "In a few days, everything stops at once.",
            fix: "See why the renewal fails, and that what serves it is reloaded.",
            source: "Let's Encrypt's integration guide.",
        },
    ),
];

/// What others complain of first.
pub(super) struct Reason {
    pub id: &'static str,
    /// Said of the certificate.
    pub said: String,
    pub remedy: String,
}

/// Why others refuse what TLS showed; none if they do not. The path is judged before the name.
pub(super) fn reason(facts: &TlsFacts) -> Option<Reason> {
    let told = |id, said: String, remedy: &str| Some(Reason { id, said, remedy: remedy.to_owned() });
    let issuer = facts.chain.last().map(|last| last.issuer.clone()).unwrap_or_default();
    let name = || {
        let names = facts.chain.first().map(|leaf| leaf.names.join(", ")).unwrap_or_default();
        let names = if names.is_empty() { "nothing".to_owned() } else { names };
        let needed = &facts.name.needed;
        if needed.parse::<std::net::IpAddr>().is_ok() {
            return told(
                NAME,
                format!("is for {names}, not for {needed}"),
                "get one that names the address itself, which few authorities make; a host name as the server name is easier",
            );
        }
        told(
            NAME,
            format!("is for {names}, not for {needed}"),
            &format!(
                "have {needed} in the certificate as well, e.g. certbot --expand -d {needed}; if another site answers first, give this name a server block of its own"
            ),
        )
    };
    match &facts.path {
        Path::Trusted if facts.name.valid => None,
        Path::Trusted => name(),
        Path::Expired(end) => told(
            EXPIRED,
            format!("ended on {}", day(*end)),
            "renew it and reload what serves it: certbot renew && nginx -s reload; a renewed file is not served before the reload",
        ),
        Path::NotYetValid(begin) => told(
            EARLY,
            format!("begins on {} only", day(*begin)),
            "set the clock of the machine that made it (timedatectl), or wait",
        ),
        // Nobody made it for this name: it is the one that a web server shows to strangers.
        Path::SelfSigned => told(
            UNTRUSTED,
            "is signed by itself".into(),
            "get one from a public authority, e.g. certbot --nginx; if there is one, the server block for this name is not the one that answers",
        ),
        Path::MissingIntermediate { .. } | Path::CompletedByExtra => {
            told(CHAIN, "comes without its intermediate certificate".into(), words::CHAIN)
        }
        Path::UnknownIssuer if facts.presented == 1 => told(
            UNTRUSTED,
            format!("is from {issuer}, whom this machine does not know"),
            "get one from a public authority; if it is, serve the whole chain (fullchain.pem)",
        ),
        Path::UnknownIssuer => told(
            UNTRUSTED,
            format!("leads to {issuer}, whom this machine does not know"),
            "get one from a public authority; if this machine is to know that one, give its certificate with --ca FILE",
        ),
        Path::Bad(why) => told(UNTRUSTED, format!("cannot be used: {why}"), "get a new one from a public authority"),
    }
}

fn of(sight: &Sight<'_>, id: &'static str) -> Vec<Finding> {
    let mut found = sight.each(|seen| {
        let facts = seen.tls.as_ref()?;
        // The name is asked for on its own: a certificate can be expired and for somebody else.
        let both = (id == NAME && !facts.name.valid && facts.path != Path::SelfSigned)
            .then(|| reason(&TlsFacts { path: Path::Trusted, ..facts.clone() }));
        let reason = both.unwrap_or_else(|| reason(facts)).filter(|reason| reason.id == id)?;
        let mut finding = Finding::fail(id, at(&seen.target), format!("has a certificate that {}", reason.said));
        if let Some(leaf) = facts.chain.first() {
            finding = finding.seen(format!(
                "{} from {}, {} presented, {} to {}",
                leaf.subject,
                leaf.issuer,
                facts.presented,
                day(leaf.not_before),
                day(leaf.not_after)
            ));
        }
        if id == NAME {
            finding = finding.seen(needed(seen.target.rule, &facts.name.needed));
        }
        if let Path::MissingIntermediate { ca_issuers } = &facts.path {
            finding = finding.seen(format!("the missing one can be had at {}", ca_issuers.join(", ")));
        }
        Some(finding.remedy(reason.remedy))
    });
    if found.is_empty() && id == EXPIRED {
        let left = sight.connected().filter_map(|seen| seen.tls.as_ref()).map(|facts| facts.days_left).min();
        found.extend(left.map(|days| {
            Finding::ok(
                EXPIRED,
                sight.name(),
                format!("has a certificate for {days} more {}", if days == 1 { "day" } else { "days" }),
            )
        }));
    }
    found
}

/// Why exactly this name.
fn needed(rule: Rule, name: &str) -> String {
    let why = match rule {
        Rule::Srv | Rule::OldSrv | Rule::DelegatedSrv | Rule::DelegatedOldSrv => {
            "an SRV record does not change the name"
        }
        Rule::Plain => "without a well-known document it is the server name's own host",
        Rule::Address | Rule::DelegatedAddress => "for an address, the certificate has to name the address",
        Rule::Port | Rule::DelegatedPort | Rule::Delegated => "it is the host that is connected to",
    };
    format!("others look for {name} (step {}): {why}", rule.number())
}

fn handshake(sight: &Sight<'_>) -> Vec<Finding> {
    let speaks = |seen: &&crate::matrix::probe::Seen| seen.trouble.is_some() && reach::silent(seen).is_none();
    let told = |seen: &crate::matrix::probe::Seen| {
        let trouble = seen.trouble.as_ref().map(ToString::to_string).unwrap_or_default();
        Finding::fail(HANDSHAKE, at(&seen.target), "cannot be spoken to over TLS").seen(trouble).remedy(
            "let this port speak TLS 1.2 or 1.3 with a certificate for the name\nnginx: listen 8448 ssl; (not only `listen 8448;`)\nSynapse: tls: true at the listener, or a proxy before it",
        )
    };
    sight.look.targets.iter().filter(speaks).map(told).collect()
}

fn ending(sight: &Sight<'_>) -> Vec<Finding> {
    sight.each(|seen| {
        let facts = seen.tls.as_ref().filter(|facts| facts.is_valid() && facts.days_left < SOON)?;
        let said = format!("has a certificate that ends {}", within(facts.days_left.unsigned_abs()));
        Some(
            Finding::warn(ENDING, at(&seen.target), said)
                .remedy("see why the renewal fails: certbot renew --dry-run, systemctl list-timers"),
        )
    })
}

fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y-%m-%d %H:%M UTC").to_string()
}
