//! The table of checks. It is closed: a check exists by standing here, and its documentation stands beside it.

mod bridge;
mod certificate;
mod containers;
mod databases;
mod files;
mod gateway;
mod growth;
mod homeserver;
mod machine;
mod names;
pub mod outbound;
mod queue;
mod rocketchat;
mod upkeep;

use super::check::{Check, Row};
use super::engine::{Ended, Haste, Outcome};
use super::remote;
use crate::config::Config;
use crate::finding::Status;
use std::path::Path;
use std::time::Duration;

/// Every check, after what it needs. The order is also that in which causes are told apart: of two failures that do not
/// need each other, the first is told as the cause.
pub fn table() -> Vec<&'static Check> {
    let parts = [
        machine::CHECKS,
        containers::ENGINE,
        files::CHECKS,
        upkeep::UPGRADE,
        databases::CHECKS,
        homeserver::CHECKS,
        certificate::FILE,
        gateway::CHECKS,
        certificate::CHECKS,
        names::CHECKS,
        rocketchat::CHECKS,
        bridge::CHECKS,
        queue::CHECKS,
        gateway::ROUTES,
        growth::CHECKS,
        upkeep::CHECKS,
        outbound::CHECKS,
    ];
    parts.into_iter().flatten().collect()
}

/// What need not be waited for: a program that is started in a container of a database takes longer than all who need it.
/// With a message, a transaction and a container nobody begins for nothing.
pub const HASTE: Haste = Haste {
    unawaited: &["mongodb.primary", "mongodb.login", "postgres.database", "postgres.login"],
    careful: &["rocketchat.send", "bridge.transaction", "relay.transaction", "gateway.config"],
};

/// Said where the gateway ended while others were looked at.
const GATEWAY_GONE: &str = "the gateway does not run any more";

/// By when something happens.
pub(super) fn within(days: u64) -> String {
    match days {
        0 => "within a day".into(),
        1 => "in a day".into(),
        many => format!("in {many} days"),
    }
}

/// What is known where there is no engine to connect to at all: that, and everything that needs one as skipped. `None` if
/// the engine at `socket` is not what is wrong.
pub async fn without_engine(config: &Config, socket: &str) -> Option<Vec<Outcome>> {
    const ENGINE: &str = "docker.engine";
    let finding = containers::engine_at(Path::new("/"), socket).await;
    if finding.status != Status::Fail {
        return None;
    }
    let mut silenced = vec![ENGINE];
    let mut outcomes = Vec::new();
    for check in table().into_iter().filter(|check| (check.applies)(config) && check.id != outbound::ID) {
        let result = if check.id == ENGINE {
            Ended::Found(vec![finding.clone()])
        } else if check.needs.iter().any(|need| silenced.contains(need)) {
            silenced.push(check.id);
            Ended::Skipped(ENGINE)
        } else {
            continue;
        };
        outcomes.push(Outcome { id: check.id, place: check.place, result, took: Duration::ZERO });
    }
    Some(outcomes)
}

/// What the reference says of every check, those from outside last.
pub fn rows() -> Vec<Row> {
    let inside = table().into_iter().map(|&Check { id, place, needs, doc, .. }| Row { id, place, needs, doc });
    let outside = remote::table().into_iter();
    inside.chain(outside.map(|&remote::Remote { id, place, needs, doc, .. }| Row { id, place, needs, doc })).collect()
}

/// The check of this id.
pub fn find(id: &str) -> Option<Row> {
    rows().into_iter().find(|row| row.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::answers::Answers;
    use crate::config::Mode;

    #[test]
    fn every_check_stands_after_what_it_needs_and_is_documented() {
        let mut seen = BTreeSet::new();
        for check in rows() {
            let plain = |c: char| c.is_ascii_lowercase() || c == '.';
            assert!(check.id.contains('.') && check.id.chars().all(plain), "{}", check.id);
            for need in check.needs {
                assert!(seen.contains(need), "{} needs {need}, which does not stand before it", check.id);
            }
            let doc = check.doc;
            for (name, text) in
                [("what", doc.what), ("why", doc.why), ("fails", doc.fails), ("fix", doc.fix), ("source", doc.source)]
            {
                assert!(text.len() > 10 && text.ends_with('.') && !text.contains('\n'), "{} {name}: {text}", check.id);
            }
            assert!(seen.insert(check.id), "{} stands twice", check.id);
        }
    }

    #[test]
    fn haste_is_about_checks_that_exist() {
        for id in [HASTE.unawaited, HASTE.careful].concat() {
            assert!(table().iter().any(|check| check.id == id), "{id}");
        }
    }

    /// A configuration of example.org; `more` begins with keys that stand in no table.
    pub(super) fn config(more: &str) -> Config {
        let toml = format!(
            "federated_domain = \"example.org\"\naccept_end_of_life = true\nadmin.username = \"ada\"\n{more}\n"
        );
        let answers = Answers::from_toml(&toml, Path::new("answers.toml")).unwrap();
        Config::from_answers(&answers, Mode::Unattended).unwrap()
    }

    #[test]
    fn what_is_not_asked_behind_another_proxy() {
        let asked = |proxy: &str| {
            let config = config(&format!("profile = \"dendrite\"\nproxy = \"{proxy}\""));
            table().into_iter().filter(|check| (check.applies)(&config)).map(|check| check.id).collect::<Vec<_>>()
        };
        let all = asked("gateway");
        let told = ["host", "none"].map(|proxy| {
            let asked = asked(proxy);
            let not: Vec<&str> = all.iter().copied().filter(|id| !asked.contains(id)).collect();
            format!("{proxy}: {}", not.join(" "))
        });
        insta::assert_snapshot!(told.join("\n"), @r"
        host: wellknown.server wellknown.client gateway.federation gateway.chat
        none: certificate.served wellknown.server wellknown.client gateway.federation gateway.chat
        ");
    }
}
