//! Where other servers connect for a server name (server-server API, "Resolving server names").
//!
//! The specification's table is the pure function [`decide`]: from what is known so far it makes either the targets or
//! the questions still open. Only [`find`] talks to anybody. Every address and every SRV record becomes a target of its own,
//! because some server out there will take exactly that one.

mod decide;
mod find;

use std::net::IpAddr;

pub use decide::{Known, Outcome, Question, decide};
pub use find::find;

use super::server_name::ServerName;
use super::well_known::Fetch;
use crate::dns::{Fault, SrvAnswer, View};

/// The step of the specification that leads to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// 1: the name is an address.
    Address,
    /// 2: the name has a port.
    Port,
    /// 3.1: delegated to an address.
    DelegatedAddress,
    /// 3.2: delegated to a name with a port.
    DelegatedPort,
    /// 3.3: delegated to a name with `_matrix-fed._tcp`.
    DelegatedSrv,
    /// 3.4: delegated to a name with `_matrix._tcp`, which is deprecated.
    DelegatedOldSrv,
    /// 3.5: delegated to a name with neither: port 8448.
    Delegated,
    /// 4: not delegated, `_matrix-fed._tcp`.
    Srv,
    /// 5: not delegated, `_matrix._tcp`, which is deprecated.
    OldSrv,
    /// 6: not delegated, no SRV record: port 8448.
    Plain,
}

/// Somewhere another server would connect, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Target {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The value of `Host`.
    pub host_header: String,
    /// The name sent in TLS; none for an address.
    pub sni: Option<String>,
    /// What the certificate has to be for: a DNS name, or an address without brackets.
    pub certificate_name: String,
    /// The step that led here.
    pub rule: Rule,
    /// The SRV record that led here.
    pub srv: Option<SrvUse>,
}

/// An SRV record in use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct SrvUse {
    /// The name that was asked for.
    pub query: String,
    /// The record's target.
    pub target: String,
    /// Its priority.
    pub priority: u16,
    /// Its weight.
    pub weight: u16,
}

/// One decision on the way, in the order they were made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Decision {
    /// The step of the specification, e.g. `3.3`.
    pub rule: &'static str,
    /// What decided it.
    pub why: Why,
}

/// What decided a step.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The host is an address.
    IsAddress(IpAddr),
    /// There is a port.
    HasPort(u16),
    /// The well-known document delegates to this name.
    DelegatesTo(String),
    /// No address has a well-known document that counts.
    NotDelegated,
    /// These records exist: name and number.
    SrvFound(String, usize),
    /// There are none under either name.
    NoSrv,
}

/// What goes wrong for other servers on the way to a target. Some of them only for some servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// The addresses of a name have different well-known documents, so servers disagree.
    SplitWellKnown,
    /// A delegation without port and without SRV record: everybody connects to port 8448 of this name.
    NoPort(String),
    /// A host has no address in either family, or nobody could say; the first fault, if any.
    NoAddress(String, Option<Fault>),
    /// One family of a host could not be looked up while the other could.
    HalfLookup(String, Fault),
    /// An SRV lookup failed other than by "there is none"; strict servers stop here.
    SrvFailed(String, Fault),
    /// The only SRV record points to `.`: the service is declared not to exist.
    SrvUnavailable(String),
    /// Only `_matrix._tcp` exists, which is deprecated.
    SrvDeprecated(String),
    /// An SRV record's target is an alias (RFC 2782 forbids it; strict servers refuse): query and target.
    SrvAlias(String, String),
    /// An SRV record's target is not a host name: query and target.
    SrvBadTarget(String, String),
    /// More targets than are looked at; how many were left out.
    TooMany(usize),
}

/// Everything about how a name is resolved.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Discovery {
    /// The name.
    pub name: ServerName,
    /// The well-known document as each address of the host has it; empty if it is never asked for.
    pub well_known: Vec<Fetch<ServerName>>,
    /// SRV records that were looked up, used or not.
    pub srv: Vec<SrvSeen>,
    /// Names that were looked up.
    pub hosts: Vec<HostSeen>,
    /// What was decided, in order; one run for each different well-known document.
    pub trace: Vec<Decision>,
    /// Where others connect.
    pub targets: Vec<Target>,
    /// What goes wrong on the way.
    pub problems: Vec<Problem>,
}

/// SRV records as looked up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SrvSeen {
    /// The name asked for.
    pub query: String,
    /// The answer.
    pub answer: SrvAnswer,
    /// Whether a target comes from it.
    pub used: bool,
}

/// Addresses as looked up.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct HostSeen {
    /// The name asked for.
    pub host: String,
    /// What the resolver says.
    pub view: View,
}

impl Rule {
    /// The number of the step in the specification.
    pub fn number(self) -> &'static str {
        match self {
            Self::Address => "1",
            Self::Port => "2",
            Self::DelegatedAddress => "3.1",
            Self::DelegatedPort => "3.2",
            Self::DelegatedSrv => "3.3",
            Self::DelegatedOldSrv => "3.4",
            Self::Delegated => "3.5",
            Self::Srv => "4",
            Self::OldSrv => "5",
            Self::Plain => "6",
        }
    }
}

impl serde::Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.number())
    }
}
