//! The decision table of the specification, over what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Decision, Problem, Rule, SrvUse, Target, Why};
use crate::dns::{Fault, Srv, SrvAnswer, View};
use crate::matrix::server_name::{Host, ServerName};

/// What was found out so far.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What the well-known documents say, each different outcome once: a name, or nothing that counts.
    pub well_known: Option<BTreeSet<Option<ServerName>>>,
    /// Answers about SRV records, by the name asked for.
    pub srv: BTreeMap<String, SrvAnswer>,
    /// Addresses, by host name.
    pub hosts: BTreeMap<String, View>,
}

/// Something that has to be found out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The well-known document of the name's host.
    WellKnown,
    /// The SRV records under a name.
    Srv(String),
    /// The addresses of a host.
    Host(String),
}

/// Where others connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The decisions, in order.
    pub trace: Vec<Decision>,
    /// The targets; each address and port once for each way that leads there.
    pub targets: Vec<Target>,
    /// What goes wrong, sorted.
    pub problems: BTreeSet<Problem>,
}

/// Targets beyond these are left out.
const MOST_TARGETS: usize = 16;

/// The port of the federation API where nothing else is said.
const DEFAULT_PORT: u16 = 8448;

/// Resolves `name` from what is known.
///
/// # Errors
/// What has to be found out first; all of it can be asked at the same time.
pub fn decide(name: &ServerName, known: &Known) -> Result<Outcome, BTreeSet<Question>> {
    let mut table = Table { known, open: BTreeSet::new(), out: Outcome::default() };
    match (name.host(), name.port()) {
        (Host::Ip(address), port) => {
            table.note(Rule::Address, Why::IsAddress(*address));
            table.literal(*address, port, name, Rule::Address);
        }
        (Host::Dns(host), Some(port)) => {
            table.note(Rule::Port, Why::HasPort(port));
            table.host(host, port, &Way { name, host, rule: Rule::Port, srv: None });
        }
        (Host::Dns(host), None) => match &known.well_known {
            None => {
                table.open.insert(Question::WellKnown);
            }
            Some(outcomes) => {
                if outcomes.len() > 1 {
                    table.out.problems.insert(Problem::SplitWellKnown);
                }
                for outcome in outcomes {
                    match outcome {
                        Some(delegate) => table.delegated(delegate),
                        None => {
                            table.out.trace.push(Decision { rule: "3", why: Why::NotDelegated });
                            table.by_srv(host, name, [Rule::Srv, Rule::OldSrv, Rule::Plain]);
                        }
                    }
                }
            }
        },
    }
    table.finish()
}

struct Table<'a> {
    known: &'a Known,
    open: BTreeSet<Question>,
    out: Outcome,
}

/// How a host came to be connected to.
struct Way<'a> {
    /// Whose `Host` header is sent.
    name: &'a ServerName,
    /// Whom the certificate has to be for.
    host: &'a str,
    rule: Rule,
    srv: Option<SrvUse>,
}

impl Table<'_> {
    fn note(&mut self, rule: Rule, why: Why) {
        self.out.trace.push(Decision { rule: rule.number(), why });
    }

    fn delegated(&mut self, delegate: &ServerName) {
        self.out.trace.push(Decision { rule: "3", why: Why::DelegatesTo(delegate.to_string()) });
        match (delegate.host(), delegate.port()) {
            (Host::Ip(address), port) => {
                self.note(Rule::DelegatedAddress, Why::IsAddress(*address));
                self.literal(*address, port, delegate, Rule::DelegatedAddress);
            }
            (Host::Dns(host), Some(port)) => {
                self.note(Rule::DelegatedPort, Why::HasPort(port));
                self.host(host, port, &Way { name: delegate, host, rule: Rule::DelegatedPort, srv: None });
            }
            (Host::Dns(host), None) => {
                let rules = [Rule::DelegatedSrv, Rule::DelegatedOldSrv, Rule::Delegated];
                self.by_srv(host, delegate, rules);
            }
        }
    }

    /// The new SRV name, the old one, port 8448: the first that exists.
    fn by_srv(&mut self, host: &str, name: &ServerName, [new, old, plain]: [Rule; 3]) {
        let queries = [(new, format!("_matrix-fed._tcp.{host}")), (old, format!("_matrix._tcp.{host}"))];
        let open: Vec<Question> = queries
            .iter()
            .filter(|(_, query)| !self.known.srv.contains_key(query))
            .map(|(_, query)| Question::Srv(query.clone()))
            .collect();
        if !open.is_empty() {
            self.open.extend(open);
            return;
        }
        for (rule, query) in queries {
            match self.known.srv.get(&query) {
                Some(Ok(records)) if !records.is_empty() => {
                    self.note(rule, Why::SrvFound(query.clone(), records.len()));
                    if rule == old {
                        self.out.problems.insert(Problem::SrvDeprecated(query.clone()));
                    }
                    return self.records(&query, records, host, name, rule);
                }
                None | Some(Ok(_) | Err(Fault::NxDomain)) => {}
                Some(Err(fault)) => {
                    // "Nobody could say" is not "there is none": strict servers stop here.
                    self.out.problems.insert(Problem::SrvFailed(query, fault.clone()));
                    return;
                }
            }
        }
        self.note(plain, Why::NoSrv);
        if plain == Rule::Delegated {
            self.out.problems.insert(Problem::NoPort(host.into()));
        }
        self.host(host, DEFAULT_PORT, &Way { name, host, rule: plain, srv: None });
    }

    fn records(&mut self, query: &str, records: &[Srv], host: &str, name: &ServerName, rule: Rule) {
        if records.iter().all(|record| record.target == ".") {
            self.out.problems.insert(Problem::SrvUnavailable(query.into()));
            return;
        }
        for record in records {
            // A record's target may be a name that is no server name, but never an address or a name with a port.
            let target = ServerName::parse(&record.target).ok();
            let Some(Host::Dns(target)) = target.as_ref().map(ServerName::host) else {
                self.out.problems.insert(Problem::SrvBadTarget(query.into(), record.target.clone()));
                continue;
            };
            let Srv { priority, weight, .. } = *record;
            let srv = SrvUse { query: query.into(), target: target.clone(), priority, weight };
            if self.known.hosts.get(target).is_some_and(|view| !view.aliases.is_empty()) {
                self.out.problems.insert(Problem::SrvAlias(query.into(), target.clone()));
            }
            self.host(target, record.port, &Way { name, host, rule, srv: Some(srv) });
        }
    }

    fn literal(&mut self, address: IpAddr, port: Option<u16>, name: &ServerName, rule: Rule) {
        self.out.targets.push(Target {
            address,
            port: port.unwrap_or(DEFAULT_PORT),
            host_header: name.to_string(),
            sni: None,
            certificate_name: address.to_string(),
            rule,
            srv: None,
        });
    }

    /// Every address of `host`.
    fn host(&mut self, host: &str, port: u16, way: &Way<'_>) {
        let Some(view) = self.known.hosts.get(host) else {
            self.open.insert(Question::Host(host.into()));
            return;
        };
        let families = [&view.a, &view.aaaa];
        let faults: Vec<&Fault> = families.iter().filter_map(|answer| answer.as_ref().err()).collect();
        let addresses: Vec<IpAddr> = families.into_iter().flatten().flatten().copied().collect();
        if addresses.is_empty() {
            self.out.problems.insert(Problem::NoAddress(host.into(), faults.first().copied().cloned()));
        } else if let Some(fault) = faults.first() {
            self.out.problems.insert(Problem::HalfLookup(host.into(), (*fault).clone()));
        }
        self.out.targets.extend(addresses.into_iter().map(|address| Target {
            address,
            port,
            host_header: way.name.to_string(),
            sni: Some(way.host.to_owned()),
            certificate_name: way.host.to_owned(),
            rule: way.rule,
            srv: way.srv.clone(),
        }));
    }

    fn finish(mut self) -> Result<Outcome, BTreeSet<Question>> {
        if !self.open.is_empty() {
            return Err(self.open);
        }
        let mut seen = BTreeSet::new();
        self.out.targets.retain(|target| seen.insert(target.clone()));
        let more = self.out.targets.len().saturating_sub(MOST_TARGETS);
        if more > 0 {
            self.out.targets.truncate(MOST_TARGETS);
            self.out.problems.insert(Problem::TooMany(more));
        }
        Ok(self.out)
    }
}
