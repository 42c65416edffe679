//! What the checks found, for a person: whatever is not in order, with what was seen and what to do about it.

use super::{Finding, Preflight, PreflightError, Status, verdict};

/// One line for each finding that is in the way or should be known, the former first; below it what was seen and what
/// to do.
pub fn tell(findings: &[Finding]) -> Vec<String> {
    let of = |status| findings.iter().filter(move |finding: &&Finding| finding.status == status);
    let told: Vec<&Finding> = of(Status::Fail).chain(of(Status::Warn)).collect();
    let width = told.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for finding in told {
        let mark = if finding.status == Status::Fail { '✗' } else { '!' };
        lines.push(format!("  {mark} {:width$}  {}", finding.subject, finding.summary));
        let mut below = |label: &str, text: &str| {
            for (index, line) in text.lines().enumerate() {
                lines.push(format!("      {:<6}{line}", if index == 0 { label } else { "" }));
            }
        };
        below("seen", &finding.evidence.join("\n"));
        below("do", finding.remedy.as_deref().unwrap_or_default());
    }
    lines
}

impl Preflight {
    /// Whether DNS alone stands in the way.
    pub fn only_dns_is_wrong(&self) -> bool {
        let mut failed = failed(&self.findings).peekable();
        failed.peek().is_some() && failed.all(is_dns)
    }

    /// Refuses to go on if a check failed. If DNS alone is wrong, every record to change is named.
    pub fn verdict(&self) -> Result<(), PreflightError> {
        if !self.only_dns_is_wrong() {
            return verdict(&self.findings);
        }
        let wrong = failed(&self.findings).map(|finding| format!("{} {}", finding.subject, finding.summary));
        let mut remedies: Vec<String> = Vec::new();
        for remedy in failed(&self.findings).filter_map(|finding| finding.remedy.clone()) {
            if !remedies.contains(&remedy) {
                remedies.push(remedy);
            }
        }
        Err(PreflightError::Dns { wrong: wrong.collect::<Vec<_>>().join("; "), remedies })
    }
}

fn failed(findings: &[Finding]) -> impl Iterator<Item = &Finding> {
    findings.iter().filter(|finding| finding.status == Status::Fail)
}

fn is_dns(finding: &Finding) -> bool {
    finding.id.starts_with("dns.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Proxy;
    use crate::dns::{Expected, Judgement};
    use crate::error::Explain;
    use crate::host::net::Addresses;

    fn preflight(findings: Vec<Finding>) -> Preflight {
        Preflight {
            findings,
            expected: Expected { addresses: Addresses::default(), proxy: Proxy::Gateway, issuer: None },
            seen: Default::default(),
            dns: Judgement { names: vec![], apex: None },
        }
    }

    fn dns(name: &str) -> Finding {
        Finding::fail("dns.address", name, "does not exist in DNS")
            .seen("no such name (a.ns.example.org, this machine's resolver)")
            .seen("this machine: 198.51.100.4 (interface)")
            .remedy(format!("add     {name}. 300 IN A 198.51.100.4"))
    }

    #[test]
    fn what_is_not_in_order_is_told_with_what_to_do() {
        let findings = [
            Finding::ok("machine.os", "this machine", "is Debian 12"),
            Finding::warn("machine.memory", "this machine", "has 1.9 GB of memory; 2 GB is the least"),
            Finding::unknown("machine.clock", "this machine", "cannot say whether its clock is right"),
            Finding::fail("machine.ports", "port 80", "is held by nginx (pid 812)")
                .remedy("systemctl disable --now nginx"),
            dns("chat.example.org"),
            Finding::warn("dns.caa", "matrix.example.org", "needs an account").remedy("first\nsecond"),
        ];
        insta::assert_snapshot!(tell(&findings).join("\n"));
        assert!(tell(&findings[..1]).is_empty());
    }

    #[test]
    fn dns_alone_is_told_with_every_record() {
        let fine = Finding::ok("machine.os", "this machine", "is Debian 12");
        let port =
            Finding::fail("machine.ports", "port 80", "is held by nginx (pid 812)").remedy("systemctl stop nginx");
        let advice = Finding::fail("dns.address", "x.example.org", "cannot be looked up: no answer in time")
            .remedy("ask yourself: dig +trace x.example.org A");
        let mute = Finding::fail("dns.caa", "example.org", "cannot be looked up");
        let cases = [
            vec![fine.clone(), dns("chat.example.org")],
            vec![dns("example.org"), dns("chat.example.org"), dns("chat.example.org")],
            vec![advice],
            vec![mute],
            vec![port, dns("chat.example.org")],
        ];
        let texts = cases.map(|findings| {
            let error = preflight(findings).verdict().unwrap_err();
            format!("error: {error}\nhint: {}", error.hint().unwrap_or_default())
        });
        insta::assert_snapshot!(texts.join("\n\n"));
        assert!(preflight(vec![fine]).verdict().is_ok());
    }
}
