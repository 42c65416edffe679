//! What only the server's own machine asks of the outside: its chat as people reach it, and whether it can see itself at all.

use super::super::check::{Doc, Place};
use super::{Remote, Sight};
use crate::finding::Finding;
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
            what: "Whether this machine reaches itself through its own public address.",
            why: "Many routers do not lead a packet back in that has just gone out; others are not affected.",
            fails: "Tests made from the machine itself fail, and nothing else does.",
            fix: "Nothing has to be done; run `rcfed doctor NAME` on another machine for the view from outside.",
            source: "RFC 4787, section 6; matrix-docker-ansible-deploy issue 3959.",
        },
    },
    Remote {
        id: PAGE,
        place: Place::Rocketchat,
        needs: &[],
        own: true,
        judge: page,
        doc: Doc {
            what: "Whether Rocket.Chat answers under its public name: `/api/info`.",
            why: "It is the first request of every app and every browser.",
            fails: "People see an error page, or another site.",
            fix: "`sudo rcfed apply` puts the gateway right.",
            source: "Rocket.Chat's REST API, info.",
        },
    },
    Remote {
        id: SOCKET,
        place: Place::Rocketchat,
        needs: &[PAGE],
        own: true,
        judge: socket,
        doc: Doc {
            what: "Whether a WebSocket to Rocket.Chat opens under its public name, and Meteor greets.",
            why: "Everything that moves in Rocket.Chat comes through it; a proxy without the upgrade headers serves every page and no socket.",
            fails: "Rocket.Chat loads for ever.",
            fix: "nginx: `proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";`.",
            source: "RFC 6455; Rocket.Chat issues 1146 and 11554.",
        },
    },
];

fn hairpin(sight: &Sight<'_>) -> Vec<Finding> {
    let Some(own) = sight.own.filter(|own| !own.instead.is_empty()) else { return Vec::new() };
    let finding = Finding::info(
        HAIRPIN,
        sight.name(),
        "cannot be reached from this machine through its public address; what stands here was seen through the gateway's own",
    );
    let finding = own.instead.iter().fold(finding, |finding, (public, gateway)| {
        finding.seen(format!("{public} does not answer from here, the gateway at {gateway} does"))
    });
    vec![finding.remedy(format!(
        "others are not affected by that; for the view from outside, on another machine: rcfed doctor {}",
        sight.name()
    ))]
}

fn chats<'a>(sight: &Sight<'a>) -> impl Iterator<Item = (&'a str, &'a ChatSeen)> {
    let own = sight.own;
    own.into_iter().flat_map(|own| own.chat.iter().map(|seen| (own.chat_host.as_str(), seen)))
}

fn page(sight: &Sight<'_>) -> Vec<Finding> {
    let told = |(host, seen): (&str, &ChatSeen)| {
        let subject = format!("https://{host}/api/info");
        let from = format!("at {}", seen.address);
        match &seen.info {
            Ok(page) if page.status == 200 && page.value.is_some() => Finding::ok(PAGE, subject, "answers").seen(from),
            Ok(page) => {
                Finding::fail(PAGE, subject, format!("is answered with status {} and not by Rocket.Chat", page.status))
                    .seen(format!("{from}: begins with {:?}", page.beginning))
                    .command("sudo rcfed apply")
            }
            Err(trouble) => Finding::fail(PAGE, subject, "is not answered")
                .seen(format!("{from}: {trouble}"))
                .command("sudo rcfed apply"),
        }
    };
    chats(sight).map(told).collect()
}

fn socket(sight: &Sight<'_>) -> Vec<Finding> {
    let told = |(host, seen): (&str, &ChatSeen)| {
        let subject = format!("wss://{host}/websocket");
        let fail = |said: String| {
            Finding::fail(SOCKET, &subject, said).seen(format!("at {}", seen.address)).remedy(
                "nginx, in its location: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";",
            )
        };
        match &seen.websocket {
            Ok(Socket::Connected) => Finding::ok(SOCKET, subject, "opens, and Rocket.Chat greets"),
            Ok(Socket::NotUpgraded(status, reason)) => fail(format!("does not open: status {status} {reason}")),
            Ok(Socket::WrongProof) => fail("is opened by something else than Rocket.Chat".into()),
            Ok(Socket::Stranger(words)) => {
                fail(format!("opens, and what comes is no greeting of Rocket.Chat's: {words:?}"))
            }
            Ok(Socket::Closed) => fail("opens and is closed at once".into()),
            Err(trouble) => fail(format!("does not open: {trouble}")),
        }
    };
    chats(sight).map(told).collect()
}
