//! Who is to blame where a server is not reached: the other one, the configuration, what surrounds containers, or this machine.

use ipnet::IpNet;

use super::ID;
use super::log::Said;
use crate::finding::Finding;
use crate::layout;
use crate::matrix::server_name::ServerName;

/// What came of asking the homeserver for another server.
pub(super) struct Tried {
    pub name: ServerName,
    pub outcome: Outcome,
}

pub(super) enum Outcome {
    /// The other server's own answer came through.
    Reached,
    /// The homeserver asks only those whom the configuration names.
    Denied,
    /// Nothing came through that the homeserver passes on.
    Lost(Lost),
    /// Nothing follows from the answer.
    Unclear(String),
}

/// Synapse says it with 502, Dendrite with 500, whatever the cause.
pub(super) struct Lost {
    /// The homeserver's answer.
    pub seen: String,
    /// What its log says happened.
    pub said: Said,
    /// What it says, as it stands there.
    pub log: Vec<String>,
    /// What this machine itself sees of the same server.
    pub beside: Beside,
}

pub(super) enum Beside {
    /// It gets the server's keys with a good certificate, at this host and port.
    Reached { host: String, port: u16 },
    /// It does not, and this is the first cause.
    Not(String),
}

/// Said where the homeserver ended meanwhile.
pub(super) const GONE: &str = "it does not run any more";
/// Said where this machine saw neither the server nor a failure in time.
pub(super) const LATE: &str = "it did not answer in time";

/// `own` is this deployment's name.
pub(super) fn judge(own: &str, tried: &[Tried]) -> Vec<Finding> {
    let others_are = tried.iter().any(|one| matches!(one.outcome, Outcome::Reached));
    let told = |one: &Tried| {
        let name = one.name.as_str();
        match &one.outcome {
            Outcome::Reached => Finding::ok(ID, name, "is reached by the homeserver"),
            Outcome::Denied => {
                Finding::fail(ID, name, "is not asked by the homeserver: `federate_with` does not name it").remedy(
                    format!(
                        "if it may be asked, add \"{name}\" to `federate_with` in {}, then: sudo rcfed apply",
                        layout::CONFIG
                    ),
                )
            }
            Outcome::Unclear(why) => {
                Finding::unknown(ID, name, format!("may be reached by the homeserver or not: {why}"))
                    .remedy(format!("ask once more in a minute: sudo rcfed doctor --outbound {name}"))
            }
            Outcome::Lost(lost) => {
                let finding = of_lost(own, name, lost, others_are).seen(format!("the homeserver: {}", lost.seen));
                lost.log.iter().fold(finding, |finding, line| finding.seen(format!("its log: {line}")))
            }
        }
    };
    tried.iter().map(told).collect()
}

fn of_lost(own: &str, name: &str, lost: &Lost, others_are: bool) -> Finding {
    let fail = |said: String| Finding::fail(ID, name, said);
    match (&lost.said, &lost.beside) {
        (Said::Answered(401), _) => fail("is reached by the homeserver, and does not take its signature (status 401)".into())
            .remedy(format!("it has to get this server's keys and to find them good: mend what else `sudo rcfed doctor` tells; then, on another machine: rcfed doctor {own}")),
        (Said::Answered(status @ 500..), _) => {
            Finding::warn(ID, name, format!("is reached by the homeserver, and fails itself (status {status})"))
                .remedy(format!("theirs to mend: rcfed doctor {name}"))
        }
        (Said::Answered(status), _) => {
            Finding::info(ID, name, format!("is reached by the homeserver, and does not tell it about people (status {status})"))
        }
        (Said::Private(address), _) => {
            fail(format!("is not reached by the homeserver, which connects to no private address such as {address}")).remedy(
                format!(
                    "if that server may be asked, name its network below [federation] in {}, then: sudo rcfed apply\n\
                     private_networks = [\"{}\"]",
                    layout::CONFIG,
                    IpNet::from(*address)
                ),
            )
        }
        (Said::Nothing, Beside::Reached { host, port }) => {
            fail("is not reached by the homeserver, and answers this machine".into()).remedy(containers(host, *port))
        }
        // Where another one is reached, this is no fault of this machine.
        (Said::Nothing, Beside::Not(cause)) if others_are => {
            let said = format!("is not reached by the homeserver, and is not well itself: {cause}");
            Finding::warn(ID, name, said).remedy(format!("theirs to mend: rcfed doctor {name}"))
        }
        (Said::Nothing, Beside::Not(cause)) => {
            fail(format!("is reached neither by the homeserver nor by this machine: {cause}")).remedy(format!(
                "if another server is reached (--outbound matrix.org), it is theirs to mend: rcfed doctor {name}\n\
                 if none is, let TCP 443 and 8448 out: the provider's firewall, then this machine's own"
            ))
        }
    }
}

/// What stands between containers and the world.
fn containers(host: &str, port: u16) -> String {
    let resolver = match host.parse::<std::net::IpAddr>() {
        Ok(_) => String::new(),
        Err(_) => format!(
            "\nor they cannot look it up: sudo docker exec rcfed-homeserver getent hosts {host}; if that prints nothing, put \
             {{\"dns\": [\"9.9.9.9\"]}} into /etc/docker/daemon.json, then: sudo systemctl restart docker"
        ),
    };
    format!(
        "something keeps containers from getting out, and this machine not:\n\
         Docker's own rules are gone, because a firewall was loaded anew: sudo systemctl restart docker makes them again\n\
         or a rule drops TCP {port} from containers: see sudo iptables -S DOCKER-USER, and in sudo iptables -S FORWARD what \
         is not Docker's own{resolver}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::answered;
    use crate::doctor::report::tests::told;

    fn lost(said: Said, beside: Result<(&str, u16), &str>, log: &[&str]) -> Tried {
        let beside = match beside {
            Ok((host, port)) => Beside::Reached { host: host.into(), port },
            Err(cause) => Beside::Not(cause.into()),
        };
        let seen = answered(502, r#"{"errcode":"M_UNKNOWN","error":"Failed to fetch profile"}"#);
        let log = log.iter().map(|line| (*line).to_owned()).collect();
        one("other.example", Outcome::Lost(Lost { seen, said, log, beside }))
    }

    fn one(name: &str, outcome: Outcome) -> Tried {
        Tried { name: name.parse().unwrap(), outcome }
    }

    #[test]
    fn who_is_to_blame() {
        let silent = Err("192.0.2.7:443 does not answer: no answer in time while connecting");
        let log = "Request failed: GET matrix-federation://other.example/: Could not get address";
        let good = Ok(("matrix.other.example", 443));
        let cases = [
            vec![one("matrix.org", Outcome::Reached), lost(Said::Nothing, silent, &[])],
            vec![lost(Said::Nothing, silent, &[])],
            vec![lost(Said::Nothing, Err(LATE), &[])],
            vec![lost(Said::Nothing, good, &[log])],
            vec![lost(Said::Nothing, Ok(("192.0.2.7", 8448)), &[])],
            vec![lost(Said::Private("10.0.0.7".parse().unwrap()), good, &[])],
            vec![lost(Said::Answered(401), good, &[])],
            vec![lost(Said::Answered(403), good, &[])],
            vec![lost(Said::Answered(502), good, &[])],
            vec![one("other.example", Outcome::Denied)],
            vec![one("other.example", Outcome::Unclear("status 429: slow down".into()))],
            vec![one("other.example", Outcome::Unclear(GONE.into()))],
        ];
        insta::assert_snapshot!(cases.map(|case| told(judge("example.org", &case))).join("\n"));
    }
}
