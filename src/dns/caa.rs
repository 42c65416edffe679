//! CAA: the zone's own list of who may issue certificates, judged as a certificate authority judges it (RFC 8659).

use futures_util::future::join_all;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::lookup::{Lookup, ancestors, end_of_chain, plain};
use super::message::Fault;
use crate::domain::DomainName;

/// The records that count for a name: those of the closest ancestor that has any.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Caa {
    /// No domain between the name and the root has a CAA record: everybody may issue.
    None,
    /// These count.
    Records {
        /// Where they stand, without the final dot.
        at: String,
        /// All of them.
        records: Vec<CaaRecord>,
    },
    /// A question on the way got no answer; a certificate authority refuses then.
    Unknown {
        /// The domain asked, without the final dot.
        at: String,
        /// What came instead of an answer.
        fault: Fault,
    },
}

/// One CAA record.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CaaRecord {
    /// An issuer that does not know the tag must refuse.
    pub critical: bool,
    /// `issue`, `issuewild`, `iodef`, ….
    pub tag: String,
    /// For `issue`: the issuer's domain and its parameters.
    pub value: String,
}

/// What the records mean for a certificate by HTTP-01 from one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaaVerdict {
    /// Nothing stands in the way.
    Allows,
    /// Only a certain account may ask.
    NeedsAccount {
        /// Where the record stands.
        at: String,
        /// The account's URI.
        account: String,
    },
    /// The issuer will refuse.
    Forbids {
        /// Where the records stand.
        at: String,
        /// The record that decides, in zone-file form without its owner.
        record: String,
        /// Whether the record has to go; otherwise adding one more is enough.
        remove: bool,
    },
    /// The records could not be had, so the issuer will refuse.
    Unreadable {
        /// The domain asked.
        at: String,
        /// What came instead of an answer.
        fault: Fault,
    },
}

impl std::fmt::Display for CaaRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:?}", if self.critical { 128 } else { 0 }, self.tag, self.value)
    }
}

impl Caa {
    /// Judges the records for `issuer`, e.g. `letsencrypt.org`.
    pub fn judge(&self, issuer: &str) -> CaaVerdict {
        let (at, records) = match self {
            Self::None => return CaaVerdict::Allows,
            Self::Unknown { at, fault } => return CaaVerdict::Unreadable { at: at.clone(), fault: fault.clone() },
            Self::Records { at, records } => (at.clone(), records),
        };
        const KNOWN: [&str; 6] = ["issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone"];
        if let Some(record) = records.iter().find(|r| r.critical && !KNOWN.iter().any(|tag| r.is(tag))) {
            return CaaVerdict::Forbids { at, record: record.to_string(), remove: true };
        }
        let issue: Vec<&CaaRecord> = records.iter().filter(|record| record.is("issue")).collect();
        let mut account = None;
        for record in &issue {
            let (domain, parameters) = record.parts();
            let methods = parameters.iter().find(|(key, _)| *key == "validationmethods");
            let suits = methods.is_none_or(|(_, methods)| methods.split(',').any(|m| m.trim() == "http-01"));
            if !domain.eq_ignore_ascii_case(issuer) || !suits {
                continue;
            }
            match parameters.iter().find(|(key, _)| *key == "accounturi") {
                None => return CaaVerdict::Allows,
                Some((_, uri)) => account = Some((*uri).to_owned()),
            }
        }
        match (account, issue.first()) {
            (Some(account), _) => CaaVerdict::NeedsAccount { at, account },
            (None, Some(record)) => CaaVerdict::Forbids { at, record: record.to_string(), remove: false },
            (None, None) => CaaVerdict::Allows,
        }
    }
}

impl Caa {
    /// The domain and the record that keep every one of `issuers` from issuing by any method; only domains are compared.
    pub fn shuts_out(&self, issuers: &[&str]) -> Option<(&str, &CaaRecord)> {
        let Self::Records { at, records } = self else { return None };
        let named = |record: &&CaaRecord| issuers.iter().any(|issuer| record.parts().0.eq_ignore_ascii_case(issuer));
        let mut issue = records.iter().filter(|record| record.is("issue") || record.is("issuewild"));
        if issue.clone().any(|record| named(&record)) {
            return None;
        }
        issue.find(|record| record.is("issue")).map(|record| (at.as_str(), record))
    }
}

impl CaaRecord {
    fn is(&self, tag: &str) -> bool {
        self.tag.eq_ignore_ascii_case(tag)
    }

    /// The issuer's domain and the parameters of `issuer; key=value; …`.
    fn parts(&self) -> (&str, Vec<(&str, &str)>) {
        let mut parts = self.value.split(';').map(str::trim);
        let domain = parts.next().unwrap_or_default();
        (domain, parts.filter_map(|part| part.split_once('=')).map(|(k, v)| (k.trim(), v.trim())).collect())
    }
}

/// Asks `name` and every domain above it at once, and takes the closest that has records.
pub(super) async fn climb(lookup: &Lookup, name: &DomainName) -> Caa {
    let asked = ancestors(name).into_iter().map(|at| async move {
        let answer = lookup.resolve(&at, RecordType::CAA).await;
        (at, answer)
    });
    for (at, answer) in join_all(asked).await {
        let message = match answer {
            Ok(message) => message,
            Err(Fault::NxDomain) => continue,
            Err(fault) => return Caa::Unknown { at: plain(&at), fault },
        };
        let end = end_of_chain(&message, &at, &mut Vec::new());
        let records: Vec<CaaRecord> = message
            .answers
            .iter()
            .filter(|record| record.name == end)
            .filter_map(|record| match &record.data {
                RData::CAA(caa) => Some(CaaRecord {
                    critical: caa.issuer_critical,
                    tag: caa.tag.clone(),
                    value: String::from_utf8_lossy(&caa.value).into_owned(),
                }),
                _ => None,
            })
            .collect();
        if !records.is_empty() {
            return Caa::Records { at: plain(&at), records };
        }
    }
    Caa::None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(records: &[(bool, &str, &str)]) -> CaaVerdict {
        let records = records.iter().map(|(critical, tag, value)| CaaRecord {
            critical: *critical,
            tag: (*tag).into(),
            value: (*value).into(),
        });
        Caa::Records { at: "example.org".into(), records: records.collect() }.judge("letsencrypt.org")
    }

    #[test]
    fn one_matching_record_is_enough() {
        for records in [
            &[(false, "issue", "letsencrypt.org")][..],
            &[(false, "Issue", "LetsEncrypt.org ; validationmethods=dns-01,http-01")],
            &[(false, "issue", ";"), (false, "issue", "letsencrypt.org")],
            &[(false, "issue", "letsencrypt.org; accounturi=x"), (true, "issue", "letsencrypt.org")],
            &[(false, "iodef", "mailto:me@example.org")],
            &[(false, "issuewild", ";")],
        ] {
            assert_eq!(judged(records), CaaVerdict::Allows, "{records:?}");
        }
    }

    #[test]
    fn what_forbids_is_quoted() {
        for (records, quoted, gone) in [
            (&[(false, "issue", "pki.example")][..], r#"0 issue "pki.example""#, false),
            (&[(false, "issue", ";")], r#"0 issue ";""#, false),
            (
                &[(false, "issue", "letsencrypt.org; validationmethods=dns-01")],
                r#"0 issue "letsencrypt.org; validationmethods=dns-01""#,
                false,
            ),
            (&[(false, "issue", "letsencrypt.org"), (true, "future", "x")], r#"128 future "x""#, true),
        ] {
            let forbids = CaaVerdict::Forbids { at: "example.org".into(), record: quoted.into(), remove: gone };
            assert_eq!(judged(records), forbids);
        }
    }

    #[test]
    fn who_is_named_for_anything_is_not_shut_out() {
        let of = |records: &[(&str, &str)]| Caa::Records {
            at: "example.org".into(),
            records: records
                .iter()
                .map(|(tag, value)| CaaRecord { critical: false, tag: (*tag).into(), value: (*value).into() })
                .collect(),
        };
        let shut =
            |records: &[(&str, &str)]| of(records).shuts_out(&["a.example", "b.example"]).map(|(_, r)| r.to_string());
        assert_eq!(shut(&[("issue", "B.example; validationmethods=dns-01"), ("issue", ";")]), None);
        assert_eq!(shut(&[("issue", ";"), ("issuewild", "a.example")]), None);
        assert_eq!(shut(&[("iodef", "mailto:me@example.org"), ("issuewild", ";")]), None);
        assert_eq!(shut(&[("issue", "c.example")]).as_deref(), Some(r#"0 issue "c.example""#));
        assert_eq!(Caa::None.shuts_out(&["a.example"]), None);
    }

    #[test]
    fn an_account_is_named() {
        let uri = "https://acme-v02.api.letsencrypt.org/acme/acct/1";
        let value = format!("letsencrypt.org; accounturi={uri}");
        let needs = CaaVerdict::NeedsAccount { at: "example.org".into(), account: uri.into() };
        assert_eq!(judged(&[(false, "issue", &value)]), needs);
    }
}
