//! The replica set of one: its stored configuration and the states a node goes through with it.

use std::net::{ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};

use super::commands::Failure;

/// Member states as `replSetGetStatus` names them (MongoDB manual, "Replica Set Member States").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Startup,
    Primary,
    Secondary,
    Startup2,
    Removed,
}

impl State {
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Startup => 0,
            Self::Primary => 1,
            Self::Secondary => 2,
            Self::Startup2 => 5,
            Self::Removed => 10,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Startup => "STARTUP",
            Self::Primary => "PRIMARY",
            Self::Secondary => "SECONDARY",
            Self::Startup2 => "STARTUP2",
            Self::Removed => "REMOVED",
        }
    }
}

/// This node's part in its set.
pub(super) struct Replica {
    pub(super) name: String,
    pub(super) config: Option<Document>,
    removed: bool,
    since: Instant,
    /// A node that was initiated by this process starts in STARTUP2; one that was restarted, in SECONDARY.
    fresh: bool,
    /// Until when it may not be primary again.
    down: Option<Instant>,
}

impl Replica {
    /// With the configuration an earlier process stored, if any. A node that is not in it, or whose `--replSet` is not
    /// that of the configuration, stays REMOVED (log id 21405: "waiting for reconfig or remote heartbeat").
    pub(super) fn load(name: &str, stored: Option<Document>, port: u16) -> Self {
        let removed = stored.as_ref().is_some_and(|config| {
            config.get_str("_id").ok() != Some(name)
                || !hosts(config).is_some_and(|hosts| hosts.iter().any(|h| is_self(h, port)))
        });
        Self { name: name.into(), config: stored, removed, since: Instant::now(), fresh: false, down: None }
    }

    pub(super) fn state(&self) -> State {
        let age = self.since.elapsed();
        match (&self.config, self.removed, self.fresh) {
            (None, ..) => State::Startup,
            (Some(_), true, _) => State::Removed,
            (Some(_), false, true) if age < SYNC => State::Startup2,
            (Some(_), false, true) if age < SYNC + ELECTION => State::Secondary,
            (Some(_), false, false) if age < ELECTION => State::Secondary,
            (Some(_), false, _) if self.down.is_some_and(|until| Instant::now() < until) => State::Secondary,
            (Some(_), false, _) => State::Primary,
        }
    }

    /// The configuration `replSetInitiate` asks for, proven and completed.
    pub(super) fn prove(&self, asked: Option<&Document>, port: u16) -> Result<Document, Failure> {
        if self.config.is_some() {
            return Err(Failure::new(23, "AlreadyInitialized", "already initialized"));
        }
        let invalid = |text: &str| Failure::new(93, "InvalidReplicaSetConfig", text);
        // `rs.initiate()` with nothing takes the machine's own name; a provisioner that relies on it gets a container id.
        let asked = asked.filter(|asked| !asked.is_empty());
        let asked =
            asked.ok_or_else(|| invalid("the stand-in wants a configuration: {_id, members: [{_id, host}]}"))?;
        let id = asked.get_str("_id").map_err(|_| {
            Failure::new(40414, "Location40414", "BSON field 'ReplSetConfigBase._id' is missing but a required field")
        })?;
        if id != self.name {
            return Err(invalid(&format!(
                "Attempting to initiate a replica set with name {id}, but command line reports {}; rejecting",
                self.name
            )));
        }
        let hosts = hosts(asked).filter(|hosts| !hosts.is_empty()).ok_or_else(|| {
            invalid("Replica set configuration must contain at least one non-arbiter member with priority > 0")
        })?;
        if let Some(host) = hosts.iter().find(|host| !is_self(host, port)) {
            let version = "{version: 1, term: 0}";
            return Err(Failure::new(
                74,
                "NodeNotFound",
                &format!(
                    "No host described in new configuration with {version} for replica set {id} maps to this node \
                     (the stand-in looked at {host})"
                ),
            ));
        }
        if hosts.len() > 1 {
            return Err(invalid("the stand-in is a replica set of one"));
        }
        let mut config = asked.clone();
        config.insert("version", 1);
        config.insert("term", 1);
        Ok(config)
    }

    /// Takes a proven configuration, which is stored already.
    pub(super) fn initiate(&mut self, config: Document) {
        *self = Self {
            name: self.name.clone(),
            config: Some(config),
            removed: false,
            since: Instant::now(),
            fresh: true,
            down: None,
        };
    }

    /// `replSetStepDown`: without another member that could take over it works with `force` only, and the node may stand
    /// for election again after the time is over (MongoDB manual, `replSetStepDown`).
    pub(super) fn step_down(&mut self, command: &Document) -> Result<(), Failure> {
        if self.state() != State::Primary {
            return Err(Failure::new(10107, "NotWritablePrimary", "not primary so can't step down"));
        }
        let seconds = match command.get("replSetStepDown") {
            Some(Bson::Int32(seconds)) => u64::try_from(*seconds).ok(),
            Some(Bson::Int64(seconds)) => u64::try_from(*seconds).ok(),
            _ => None,
        };
        let seconds =
            seconds.ok_or_else(|| Failure::new(2, "BadValue", "stepdown period must be a positive integer"))?;
        if !command.get_bool("force").unwrap_or_default() {
            let text = "No electable secondaries caught up. Please use the replSetStepDown command with the argument \
                        {force: true} to force node to step down.";
            return Err(Failure::new(262, "ExceededTimeLimit", text));
        }
        self.down = Some(Instant::now() + Duration::from_secs(seconds));
        Ok(())
    }

    /// This node's `host:port` in the configuration.
    pub(super) fn me(&self) -> Option<String> {
        self.config.as_ref().filter(|_| !self.removed).and_then(hosts)?.into_iter().next()
    }

    /// What `hello` says of the set. Without a valid configuration it has no `setName` (server source,
    /// `HelloResponse::markAsNoConfig`).
    pub(super) fn hello(&self) -> Document {
        let state = self.state();
        match self.me() {
            Some(me) if matches!(state, State::Primary | State::Secondary | State::Startup2) => {
                let primary = state == State::Primary;
                let mut hello = doc! {
                    "hosts": [&me], "setName": &self.name, "setVersion": 1, "isWritablePrimary": primary,
                    "secondary": state == State::Secondary,
                };
                if primary {
                    hello.insert("primary", &me);
                }
                hello.insert("me", me);
                hello
            }
            _ => doc! {
                "isWritablePrimary": false, "secondary": false,
                "info": "Does not have a valid replica set config", "isreplicaset": true,
            },
        }
    }

    pub(super) fn status(&self) -> Result<Document, Failure> {
        let state = self.state();
        let Some(me) = self.me() else {
            return Err(match state {
                State::Removed => Failure::new(
                    93,
                    "InvalidReplicaSetConfig",
                    "Our replica set config is invalid or we are not a member of it",
                ),
                _ => Failure::new(94, "NotYetInitialized", "no replset config has been received"),
            });
        };
        let uptime = i32::try_from(self.since.elapsed().as_secs()).unwrap_or(i32::MAX);
        Ok(doc! {
            "set": &self.name, "myState": state.number(), "term": 1_i64,
            "members": [{
                "_id": 0, "name": me, "health": 1.0, "state": state.number(), "stateStr": state.name(),
                "uptime": uptime, "self": true,
            }],
        })
    }
}

fn hosts(config: &Document) -> Option<Vec<String>> {
    let members = config.get_array("members").ok()?;
    members.iter().map(|member| Some(member.as_document().map(|m| m.get("host"))??.as_str()?.to_owned())).collect()
}

/// Whether `host:port` is this process: an address of this machine, with our port. The real one connects and asks
/// (`_isSelf`); a name that does not resolve is somebody else.
fn is_self(host: &str, port: u16) -> bool {
    let (name, its_port) = match host.rsplit_once(':') {
        Some((name, its_port)) => (name, its_port.parse().ok()),
        None => (host, Some(27017)),
    };
    let addresses = (name.trim_matches(['[', ']']), 0).to_socket_addrs();
    its_port == Some(port) && addresses.is_ok_and(|mut found| found.any(|address| UdpSocket::bind(address).is_ok()))
}

/// An election timestamp for `hello`; drivers only compare it.
pub(super) fn election_id() -> Bson {
    Bson::ObjectId(bson::oid::ObjectId::from_bytes([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]))
}

const SYNC: Duration = Duration::from_millis(500);
const ELECTION: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(host: &str) -> Document {
        doc! { "_id": "rs0", "members": [{ "_id": 0, "host": host }] }
    }

    #[test]
    fn only_a_set_that_is_this_node_is_begun_and_only_once() {
        let mut replica = Replica::load("rs0", None, 27017);
        assert_eq!(replica.state(), State::Startup);
        assert!(!replica.hello().contains_key("setName"));
        assert_eq!(replica.status().unwrap_err().code, 94);
        let refused = |config: Document| replica.prove(Some(&config), 27017).unwrap_err().code;
        assert_eq!(refused(config("nobody.invalid:27017")), 74);
        assert_eq!(refused(config("127.0.0.1:27018")), 74);
        assert_eq!(refused(doc! { "_id": "rs1", "members": [{ "_id": 0, "host": "127.0.0.1" }] }), 93);
        let proven = replica.prove(Some(&config("127.0.0.1:27017")), 27017).unwrap();
        replica.initiate(proven);
        assert_eq!(replica.state(), State::Startup2);
        assert_eq!(replica.prove(Some(&config("127.0.0.1:27017")), 27017).unwrap_err().code, 23);
    }

    #[test]
    fn a_node_that_is_not_in_its_own_set_is_removed() {
        assert_eq!(Replica::load("rs0", Some(config("127.0.0.1:27017")), 27017).state(), State::Secondary);
        assert_eq!(Replica::load("rs1", Some(config("127.0.0.1:27017")), 27017).state(), State::Removed);
        assert_eq!(Replica::load("rs0", Some(config("nobody.invalid:27017")), 27017).state(), State::Removed);
    }
}
