//! Says in words what [`super::judge`] found: aligned lines for a person, and findings for preflight and doctor.

use std::net::IpAddr;

use super::caa::CaaVerdict;
use super::judge::{Change, Expected, Judgement, NameReport, Verdict};
use super::lookup::{Answer, View};
use super::message::Fault;
use crate::config::{Apex, Proxy};
use crate::preflight::{Finding, Status};

/// The judgement as lines: one for each name, and below those that are not in order what was seen and what to do.
pub fn report(judgement: &Judgement, expected: &Expected) -> Vec<String> {
    let machine = match expected.addresses.is_empty() {
        true => "no public address of this machine is known".to_owned(),
        false => format!("this machine: {}", expected.addresses),
    };
    let width = judgement.names.iter().map(|report| report.name.as_str().len()).max().unwrap_or(0);
    let mut lines = vec![machine];
    for name in &judgement.names {
        let mark = match name.status(expected).max(name.caa_status()) {
            Status::Ok | Status::Info => '✓',
            Status::Warn => '!',
            Status::Fail => '✗',
            Status::Unknown => '?',
        };
        lines.push(format!("{mark} {:width$}  {}", name.name.as_str(), name.summary()));
        let mut below = |label: &str, text: String| lines.push(format!("    {label:<8}{text}"));
        if name.verdict != Verdict::Ok {
            name.evidence().into_iter().for_each(|seen| below("seen", seen));
        }
        if let Some(caa) = name.caa_summary() {
            below("caa", caa);
        }
        name.changes.iter().for_each(|change| {
            let (label, record) = match change {
                Change::Add(record) => ("add", record),
                Change::Remove(record) => ("remove", record),
            };
            below(label, record.clone());
        });
        if let Some(advice) = name.advice(expected).filter(|_| name.changes.is_empty()) {
            below("do", advice);
        }
    }
    if judgement.apex == Some(Apex::Elsewhere) {
        lines.push(ELSEWHERE.into());
    }
    lines
}

const ELSEWHERE: &str = "The federated domain is another web site. It can stay there with apex = \"elsewhere\"; or point it here, if that site may go.";

/// The judgement as findings: `dns.address` for each name, and `dns.caa` where there is something to say.
pub fn findings(judgement: &Judgement, expected: &Expected) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in &judgement.names {
        let mut finding = Finding::new(name.status(expected), "dns.address", name.name.as_str(), name.summary());
        finding.evidence = name.evidence();
        if !expected.addresses.is_empty() {
            finding.evidence.push(format!("this machine: {}", expected.addresses));
        }
        let (caa, addresses): (Vec<&Change>, Vec<&Change>) =
            name.changes.iter().partition(|change| change.record().contains(" IN CAA "));
        finding.remedy = remedy(&addresses).or_else(|| name.advice(expected));
        if judgement.apex == Some(Apex::Elsewhere)
            && matches!(name.verdict, Verdict::Elsewhere(_) | Verdict::Cloudflare(_))
        {
            finding.remedy = Some(format!("{}\n{ELSEWHERE}", finding.remedy.unwrap_or_default()).trim().to_owned());
        }
        findings.push(finding);
        if let Some(summary) = name.caa_summary() {
            let mut finding = Finding::new(name.caa_status(), "dns.caa", name.name.as_str(), summary);
            finding.remedy = remedy(&caa);
            findings.push(finding);
        }
    }
    findings
}

fn remedy(changes: &[&Change]) -> Option<String> {
    let lines: Vec<String> = changes.iter().map(|change| change.to_string()).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

impl NameReport {
    /// How the addresses are; only a warning where this machine does not have to answer.
    pub fn status(&self, expected: &Expected) -> Status {
        let status = match &self.verdict {
            Verdict::Ok => Status::Ok,
            Verdict::Unsure(_) => Status::Unknown,
            Verdict::NoA | Verdict::Propagating { servers: false } | Verdict::Cloudflare(_) => Status::Warn,
            Verdict::Elsewhere(_) if expected.proxy == Proxy::None => Status::Warn,
            _ => Status::Fail,
        };
        match (&self.verdict, self.required) {
            (_, true) => status,
            (Verdict::Missing | Verdict::Broken(_) | Verdict::Private(_), false) => Status::Warn,
            (_, false) => Status::Ok,
        }
    }

    /// How the CAA records are.
    pub fn caa_status(&self) -> Status {
        match self.caa {
            CaaVerdict::Allows => Status::Ok,
            CaaVerdict::NeedsAccount { .. } => Status::Warn,
            CaaVerdict::Forbids { .. } | CaaVerdict::Unreadable { .. } => Status::Fail,
        }
    }

    /// What the addresses mean, in one line.
    pub fn summary(&self) -> String {
        match &self.verdict {
            Verdict::Ok => "points to this machine".into(),
            Verdict::Missing if self.name_is_missing() => "does not exist in DNS".into(),
            Verdict::Missing => "exists in DNS, but has no address".into(),
            Verdict::ElsewherePartly(list) => format!("points to this machine, and also to {}", join(list)),
            Verdict::Elsewhere(list) if !self.required => format!("is served elsewhere ({})", join(list)),
            Verdict::Elsewhere(list) => format!("points to another machine ({})", join(list)),
            Verdict::WrongAaaa(list) => {
                format!("has an IPv6 address that is not this machine's ({}), and IPv6 is tried first", join(list))
            }
            Verdict::NoA => "points to this machine by IPv6 only; many servers have IPv4 only".into(),
            Verdict::Private(list) => format!("points to {}, which nobody outside can reach", join(list)),
            Verdict::Broken(fault) => format!("cannot be looked up: {fault}"),
            Verdict::Propagating { servers: true } => "is right on some of the zone's servers, not on all yet".into(),
            Verdict::Propagating { servers: false } => {
                "is right in its zone; this machine's resolver does not say so yet".into()
            }
            Verdict::Cloudflare(_) => "goes through Cloudflare's proxy".into(),
            Verdict::Unsure(list) => format!("points to {}; whether that is this machine is not known", join(list)),
        }
    }

    fn name_is_missing(&self) -> bool {
        let own = self.seen.authoritative.iter().map(|server| &server.view);
        own.chain([&self.seen.resolver]).any(|view| view.a == Err(Fault::NxDomain))
    }

    /// What each side said, one line each; servers that agree share a line.
    pub fn evidence(&self) -> Vec<String> {
        let mut said: Vec<(String, Vec<String>)> = Vec::new();
        let own = self.seen.authoritative.iter().map(|server| (server.server.name.clone(), &server.view));
        for (who, view) in own.chain([("this machine's resolver".to_owned(), &self.seen.resolver)]) {
            let what = describe(view);
            match said.iter_mut().find(|(text, _)| *text == what) {
                Some((_, sources)) => sources.push(who),
                None => said.push((what, vec![who])),
            }
        }
        said.into_iter().map(|(what, who)| format!("{what} ({})", who.join(", "))).collect()
    }

    /// What to do where no record is to be changed.
    fn advice(&self, expected: &Expected) -> Option<String> {
        let name = &self.name;
        let text = match &self.verdict {
            Verdict::Broken(Fault::ServFail { bogus: true }) => {
                format!("mend or remove the DS record at the registrar, then: delv {name}")
            }
            Verdict::Broken(_) => format!("ask yourself: dig +trace {name} A"),
            Verdict::Propagating { servers: true } => "wait until all servers have the new zone".into(),
            Verdict::Propagating { servers: false } => "nothing; certificate authorities ask the zone itself".into(),
            Verdict::Cloudflare(_) => {
                "set the record to \"DNS only\" (grey cloud), or let WAF rules skip /_matrix and /.well-known".into()
            }
            Verdict::Unsure(_) => "say which address is this machine's: --address ADDRESS".into(),
            Verdict::Missing | Verdict::Elsewhere(_) | Verdict::Private(_) if expected.addresses.is_empty() => {
                "say which address is this machine's: --address ADDRESS".into()
            }
            Verdict::Missing if !self.required => format!("give {name} a web site; other servers ask it for the way"),
            _ => return None,
        };
        Some(text)
    }

    fn caa_summary(&self) -> Option<String> {
        match &self.caa {
            CaaVerdict::Allows => None,
            CaaVerdict::NeedsAccount { at, account } => {
                Some(format!("a CAA record of {at} lets only the account {account} ask for certificates"))
            }
            CaaVerdict::Forbids { at, record, .. } => {
                Some(format!("a CAA record of {at} forbids the certificate: CAA {record}"))
            }
            CaaVerdict::Unreadable { at, fault } => {
                Some(format!("the CAA records of {at} cannot be looked up ({fault}), so no certificate will be issued"))
            }
        }
    }
}

impl Change {
    /// The record, in zone-file form.
    pub fn record(&self) -> &str {
        match self {
            Self::Add(record) | Self::Remove(record) => record,
        }
    }
}

fn describe(view: &View) -> String {
    if view.a == view.aaaa
        && let Err(fault) = &view.a
    {
        return fault.to_string();
    }
    let family = |kind: &str, answer: &Answer| match answer {
        Ok(list) if list.is_empty() => None,
        Ok(list) => Some(format!("{kind} {}", join(list))),
        Err(fault) => Some(format!("{kind}: {fault}")),
    };
    let alias = view.aliases.iter().map(|target| Some(format!("CNAME {target}")));
    let parts: Vec<String> = alias.chain([family("A", &view.a), family("AAAA", &view.aaaa)]).flatten().collect();
    if parts.is_empty() { "no address".into() } else { parts.join(", ") }
}

fn join(list: &[IpAddr]) -> String {
    list.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}
