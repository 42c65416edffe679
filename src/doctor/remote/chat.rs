//! The chat as people reach it, the deployment's own or one that was found; and whether a machine can see itself at all.

use std::net::IpAddr;

use super::super::check::{Doc, Place};
use super::reach::is_no_ipv6;
use super::{Remote, Sight};
use crate::finding::Finding;
use crate::host::tls::Path;
use crate::matrix::probe::chat::{ChatSeen, Socket};

const HAIRPIN: &str = "reach.hairpin";
const PAGE: &str = "chat.public";
const SOCKET: &str = "chat.websocket";

pub(super) const CHECKS: &[Remote] = &[
    Remote {
        id: HAIRPIN,
        place: Place::Proxy,
        needs: &[],
        own: true,
        judge: hairpin,
        doc: Doc {
            what: "Whether this machine reaches itself through each of its public addresses. Where it does not and its gateway answers, the rest is judged through the gateway.",
            why: "Many routers do not lead a packet back in that has just gone out; others are not affected. An address that an interface of this machine has needs no router: it counts as unreachable unless the federation tester outside reaches it.",
            fails: "Tests made from the machine itself fail, and nothing else does.",
            fix: "Nothing has to be done if others reach it; run `rcfed doctor NAME` on another machine for the view from outside.",
            source: "RFC 4787, section 6; matrix-docker-ansible-deploy issue 3959.",
        },
    },
    Remote::row(
        Place::Rocketchat,
        PAGE,
        &[],
        page,
        Doc {
            what: "Whether Rocket.Chat answers under its public name: `/api/info`. From outside it is looked for at the server name, \
                   where that redirects to, and at `chat` below it; where there is none, nothing is told.",
            why: "It is the first request of every app and every browser.",
            fails: "People see an error page, or another site.",
            fix: "`sudo rcfed apply` puts the gateway right; elsewhere, let every address of the name lead to Rocket.Chat.",
            source: "Rocket.Chat's REST API, info.",
        },
    ),
    Remote::row(
        Place::Rocketchat,
        SOCKET,
        &[PAGE],
        socket,
        Doc {
            what: "Whether a WebSocket to Rocket.Chat opens under its public name, and Meteor greets.",
            why: "Everything that moves in Rocket.Chat comes through it; a proxy without the upgrade headers serves every page and no socket.",
            fails: "Rocket.Chat loads for ever.",
            fix: "nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";`.",
            source: "RFC 6455; Rocket.Chat issues 1146 and 11554.",
        },
    ),
];

fn hairpin(sight: &Sight<'_>) -> Vec<Finding> {
    let Some(own) = sight.own.filter(|own| !own.instead.is_empty()) else { return Vec::new() };
    vec![around(sight.name(), &own.instead, own.reached)]
}

/// What was seen another way than others see it.
fn around(name: &str, instead: &[(IpAddr, IpAddr)], reached: bool) -> Finding {
    let finding = Finding::info(
        HAIRPIN,
        name,
        "cannot be reached from this machine through its public address; what stands here was seen through the gateway's own",
    );
    let finding = instead.iter().fold(finding, |finding, (public, gateway)| {
        finding.seen(format!("{public} does not answer from here, the gateway at {gateway} does"))
    });
    if reached {
        finding.remedy("nothing: a federation tester outside reaches it, so others do")
    } else {
        finding.remedy(format!(
            "whether others reach it cannot be seen from here; on another machine: rcfed doctor {name}"
        ))
    }
}

const UPGRADE: &str = "nginx, in its location: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";";
const LEAD: &str = "let the proxy pass /websocket to Rocket.Chat, as it does /api/info";
const BEHIND: &str = "the proxy does its part: see the log of Rocket.Chat, and whether its database answers";

/// The own chat, or the one that was found.
fn chats<'a>(sight: &Sight<'a>) -> Vec<(&'a str, &'a ChatSeen)> {
    if let Some(own) = sight.own {
        return own.chat.iter().map(|seen| (own.chat_host.as_str(), seen)).collect();
    }
    let found = sight.look.chat.iter().flat_map(|found| found.seen.iter().map(|seen| (found.host.as_str(), seen)));
    // A network without IPv6 is ours.
    found.filter(|(_, seen)| !seen.info.as_ref().is_err_and(|trouble| is_no_ipv6(seen.address, trouble))).collect()
}

fn page(sight: &Sight<'_>) -> Vec<Finding> {
    let told = |(host, seen): (&str, &ChatSeen)| {
        let subject = format!("https://{host}/api/info");
        let from = format!("at {}", seen.address);
        let mend = |finding: Finding| {
            match sight.own {
            Some(_) => finding.command("sudo rcfed apply"),
            None => finding.remedy(format!(
                "Rocket.Chat was found under that name: let every address of {host} lead to it, or remove the record of \
                 the one that does not"
            )),
        }
        };
        match &seen.info {
            Ok(page) if page.status == 200 && page.value.is_some() => match unaccepted(sight, host, seen) {
                Some(finding) => finding.seen(from),
                None => Finding::ok(PAGE, subject, "answers").seen(from),
            },
            Ok(page) => mend(
                Finding::fail(PAGE, subject, format!("is answered with status {} and not by Rocket.Chat", page.status))
                    .seen(format!("{from}: begins with {:?}", page.beginning)),
            ),
            Err(trouble) => mend(Finding::fail(PAGE, subject, "is not answered").seen(format!("{from}: {trouble}"))),
        }
    };
    chats(sight).into_iter().map(told).collect()
}

/// A certificate that browsers do not take. That of the name's own host is told elsewhere, and that of the own chat too.
fn unaccepted(sight: &Sight<'_>, host: &str, seen: &ChatSeen) -> Option<Finding> {
    let facts = seen.tls.as_ref().filter(|facts| !facts.is_valid())?;
    if sight.own.is_some() || host == sight.host() {
        return None;
    }
    let names = facts.chain.first().map(|leaf| leaf.names.join(", ")).unwrap_or_default();
    let finding =
        Finding::fail(PAGE, format!("https://{host}/api/info"), "answers with a certificate that browsers refuse");
    let finding = if facts.name.valid { finding } else { finding.seen(format!("it is for {names}, not {host}")) };
    let finding = match facts.path {
        Path::Trusted => finding,
        Path::Expired(at) => finding.seen(format!("it ended on {}", super::utc(at.saturating_mul(1000)))),
        _ => finding.seen("no way leads from it to an authority that this machine trusts"),
    };
    Some(finding.remedy(format!("renew the certificate of {host}, present its whole chain, and reload the proxy")))
}

fn socket(sight: &Sight<'_>) -> Vec<Finding> {
    let told = |(host, seen): (&str, &ChatSeen)| {
        let subject = format!("wss://{host}/websocket");
        let fail = |said: String, remedy: &str| {
            Finding::fail(SOCKET, &subject, said).seen(format!("at {}", seen.address)).remedy(remedy)
        };
        match &seen.websocket {
            Ok(Socket::Connected) => Finding::ok(SOCKET, subject, "opens, and Rocket.Chat greets"),
            Ok(Socket::NotUpgraded(status, reason)) => {
                fail(format!("does not open: status {status} {reason}"), UPGRADE)
            }
            Ok(Socket::WrongProof) => fail("is opened by something else than Rocket.Chat".into(), LEAD),
            Ok(Socket::Stranger(words)) => {
                fail(format!("opens, and what comes is no greeting of Rocket.Chat's: {words:?}"), LEAD)
            }
            Ok(Socket::Closed) => fail("opens and is closed at once".into(), BEHIND),
            Ok(Socket::Silent) => fail("opens, and Rocket.Chat does not greet".into(), BEHIND),
            Err(trouble) => fail(format!("does not open: {trouble}"), UPGRADE),
        }
    };
    chats(sight).into_iter().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_where_no_way_leads_back_in() {
        let address = |text: &str| text.parse().unwrap();
        let told = [true, false].map(|reached| {
            let seen = around("example.org", &[(address("198.51.100.4"), address("172.18.0.6"))], reached);
            let evidence = seen.evidence.join("\n  ");
            format!("{} {}\n  {evidence}\n  → {}", seen.subject, seen.summary, seen.remedy.unwrap())
        });
        insta::assert_snapshot!(told.join("\n"));
    }
}
