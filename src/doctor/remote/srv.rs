//! SRV records: the old way, and the one that most people forget about once there is a document.

use super::super::check::{Doc, Place};
use super::{Remote, Sight};
use crate::finding::Finding;
use crate::matrix::discovery::Problem;

const LOOKUP: &str = "srv.lookup";
const UNAVAILABLE: &str = "srv.unavailable";
const TARGET: &str = "srv.target";
const ALIAS: &str = "srv.alias";
const DEPRECATED: &str = "srv.deprecated";
const UNUSED: &str = "srv.unused";

/// What makes the way without a document a consequence and not a choice.
const DOCUMENT: &[&str] = &[
    "dns.lookup",
    "wellknown.tls",
    "wellknown.redirect",
    "wellknown.answer",
    "wellknown.document",
    "wellknown.name",
    "wellknown.missing",
];

pub(super) const CHECKS: &[Remote] = &[
    Remote::row(
        Place::Dns,
        LOOKUP,
        DOCUMENT,
        lookup,
        Doc {
            what: "Whether the question for SRV records is answered, if only with \"there are none\".",
            why: "Only \"there are none\" lets others go on to port 8448; a failure stops the strict ones.",
            fails: "Some servers deliver and others say that the name cannot be resolved.",
            fix: "Mend the zone's servers, or serve a well-known document: then SRV records of the name are not asked for.",
            source: "Matrix server-server API, resolving server names, steps 4 and 5.",
        },
    ),
    Remote::row(
        Place::Dns,
        UNAVAILABLE,
        DOCUMENT,
        unavailable,
        Doc {
            what: "Whether the SRV record says that there is no such service: a target of `.`.",
            why: "It is the way to switch a service off in DNS, and servers obey.",
            fails: "Synapse says `Service … unavailable`.",
            fix: "Remove the record, or let it point to the homeserver.",
            source: "RFC 2782, the SRV record.",
        },
    ),
    Remote::row(
        Place::Dns,
        TARGET,
        DOCUMENT,
        target,
        Doc {
            what: "Whether the targets of SRV records are host names with an address.",
            why: "A target is a name, never an address, and nobody looks anywhere else.",
            fails: "Others say that a host cannot be resolved.",
            fix: "Correct the record, or add an A record for its target.",
            source: "RFC 2782, the SRV record.",
        },
    ),
    Remote::row(
        Place::Dns,
        ALIAS,
        &[TARGET],
        alias,
        Doc {
            what: "Whether the target of an SRV record is an alias (CNAME).",
            why: "The standard forbids it; Synapse follows it and stricter servers do not.",
            fails: "It works from some servers only.",
            fix: "Let the record name the end of the alias.",
            source: "RFC 2782; Synapse issue 19201.",
        },
    ),
    Remote::row(
        Place::Dns,
        DEPRECATED,
        &[LOOKUP],
        deprecated,
        Doc {
            what: "Whether only the old record `_matrix._tcp` exists.",
            why: "The name has been deprecated since version 1.8 of the specification; the new one is `_matrix-fed._tcp`.",
            fails: "One day new servers will not ask for it any more.",
            fix: "Publish the same record as `_matrix-fed._tcp`, or a well-known document.",
            source: "Matrix server-server API, resolving server names, steps 3.4 and 5.",
        },
    ),
    Remote::row(
        Place::Dns,
        UNUSED,
        &[],
        unused,
        Doc {
            what: "Whether there are SRV records that nobody asks for, because a well-known document delegates.",
            why: "They are what is used on the day on which the document cannot be had, and then they are old.",
            fails: "During an outage of the web site, some servers go somewhere else.",
            fix: "Remove the records.",
            source: "Matrix server-server API, resolving server names.",
        },
    ),
];

fn lookup(sight: &Sight<'_>) -> Vec<Finding> {
    each(sight, |problem| {
        match problem {
        Problem::SrvFailed(query, fault) => Some(
            Finding::fail(LOOKUP, query, format!("cannot be looked up: {fault}"))
                .remedy(format!("mend the zone's servers: dig {query} SRV +trace; they have to answer NXDOMAIN or an empty answer if there are no records"))
                .cached(sight.failed()),
        ),
        _ => None,
    }
    })
}

fn unavailable(sight: &Sight<'_>) -> Vec<Finding> {
    each(sight, |problem| match problem {
        Problem::SrvUnavailable(query) => Some(
            Finding::fail(UNAVAILABLE, query, "points to `.`: it says that there is no such service")
                .remedy("remove the record, or let it point to the homeserver")
                .cached(kept(sight, query)),
        ),
        _ => None,
    })
}

fn target(sight: &Sight<'_>) -> Vec<Finding> {
    let own = [Some(sight.host()), sight.delegate().map(|name| name.host().to_string())];
    each(sight, |problem| match problem {
        Problem::SrvBadTarget(query, target) => Some(
            Finding::fail(TARGET, query, format!("points to `{target}`, which is not a host name"))
                .remedy("a record's target is the name of a host with an A record, without port and without address")
                .cached(kept(sight, query)),
        ),
        Problem::NoAddress(host, fault) if !own.contains(&Some(host.clone())) => {
            let why = fault.as_ref().map_or_else(|| "it has no address".to_owned(), ToString::to_string);
            Some(
                Finding::fail(
                    TARGET,
                    host,
                    format!("is where an SRV record sends others, and it cannot be looked up: {why}"),
                )
                .remedy(format!("correct the SRV record, or add: {host}. 3600 IN A ADDRESS"))
                .cached(sight.kept_none(host)),
            )
        }
        _ => None,
    })
}

fn alias(sight: &Sight<'_>) -> Vec<Finding> {
    let hosts = &sight.look.discovery.hosts;
    each(sight, |problem| match problem {
        Problem::SrvAlias(query, target) => {
            let view = hosts.iter().find(|seen| seen.host == *target).map(|seen| &seen.view.aliases);
            let end = view.and_then(|aliases| aliases.last()).cloned().unwrap_or_default();
            Some(
                Finding::warn(
                    ALIAS,
                    query,
                    format!(
                        "points to {target}, which is an alias: that works with Synapse and not with strict servers"
                    ),
                )
                .seen(format!("{target} CNAME {end}"))
                .remedy(format!("let the record name {end} itself"))
                .cached(kept(sight, query)),
            )
        }
        _ => None,
    })
}

fn deprecated(sight: &Sight<'_>) -> Vec<Finding> {
    each(sight, |problem| match problem {
        Problem::SrvDeprecated(query) => Some(
            Finding::warn(DEPRECATED, query, "is the only SRV record, and its name is deprecated")
                .remedy(format!("publish the same record as {}", query.replacen("_matrix.", "_matrix-fed.", 1))),
        ),
        _ => None,
    })
}

fn unused(sight: &Sight<'_>) -> Vec<Finding> {
    if sight.delegate().is_none() {
        return Vec::new();
    }
    let host = sight.host();
    let told = |seen: &crate::matrix::discovery::SrvSeen| {
        let there = seen.answer.as_ref().is_ok_and(|records| !records.is_empty());
        let old = there && !seen.used && seen.query.ends_with(&format!("._tcp.{host}"));
        let said = "exists, but the well-known document delegates, so nobody asks for it";
        old.then(|| Finding::info(UNUSED, &seen.query, said).remedy("remove the record"))
    };
    sight.look.discovery.srv.iter().filter_map(told).collect()
}

/// Until when others keep an old record: what this machine's resolver has left of it is the least.
fn kept(sight: &Sight<'_>, query: &str) -> String {
    let seen = sight.look.discovery.srv.iter().find(|seen| seen.query == query);
    match seen.and_then(|seen| seen.answer.as_ref().ok()?.iter().map(|record| record.ttl).max()) {
        Some(ttl) => format!("others may believe the old record until {} at least", sight.until(ttl.into())),
        None => "resolvers may believe the old record until its time to live is over".into(),
    }
}

fn each(sight: &Sight<'_>, told: impl Fn(&Problem) -> Option<Finding>) -> Vec<Finding> {
    sight.look.discovery.problems.iter().filter_map(told).collect()
}
