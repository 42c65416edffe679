//! Every row of the specification's table, right and wrong: `tests/fixtures/discovery/table.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use rcfed::dns::{Fault, Srv, SrvAnswer, View};
use rcfed::matrix::discovery::{Known, Outcome, Problem, Question, Target, decide};
use rcfed::matrix::server_name::ServerName;
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
    hosts: BTreeMap<String, Answer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    title: String,
    name: String,
    #[serde(default)]
    well_known: Vec<String>,
    #[serde(default)]
    srv: BTreeMap<String, Answer>,
    #[serde(default)]
    hosts: BTreeMap<String, Answer>,
    /// Exactly what is asked, in any order.
    asked: Option<BTreeSet<String>>,
    /// The steps that were decided, in order.
    trace: Option<String>,
    targets: Vec<String>,
    #[serde(default)]
    problems: Vec<String>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Answer {
    Fault(String),
    Values(Vec<String>),
}

#[test]
fn every_case_of_the_table() {
    let text = std::fs::read_to_string("tests/fixtures/discovery/table.toml").unwrap();
    let table: Table = toml::from_str(&text).unwrap();
    assert!(table.case.len() >= 60, "{}", table.case.len());
    for case in &table.case {
        let (outcome, asked) = resolve(case, &table.hosts);
        let targets: Vec<String> = outcome.targets.iter().map(target).collect();
        let problems: Vec<String> = outcome.problems.iter().map(problem).collect();
        assert_eq!(targets, case.targets, "{}", case.title);
        assert_eq!(problems, case.problems, "{}", case.title);
        if let Some(expected) = &case.asked {
            assert_eq!(&asked, expected, "{}", case.title);
        }
        if let Some(expected) = &case.trace {
            let trace: Vec<&str> = outcome.trace.iter().map(|decision| decision.rule).collect();
            assert_eq!(&trace.join(" "), expected, "{}", case.title);
        }
    }
}

/// Answers questions from the case until there are none.
fn resolve(case: &Case, hosts: &BTreeMap<String, Answer>) -> (Outcome, BTreeSet<String>) {
    let name = ServerName::parse(&case.name).unwrap();
    let (mut known, mut asked) = (Known::default(), BTreeSet::new());
    for _ in 0..6 {
        let open = match decide(&name, &known) {
            Ok(outcome) => return (outcome, asked),
            Err(open) => open,
        };
        for question in open {
            match question {
                Question::WellKnown => {
                    assert!(!case.well_known.is_empty(), "{}: the well-known document is asked for", case.title);
                    asked.insert("well-known".into());
                    let parse = |text: &String| (text != "-").then(|| ServerName::parse(text).unwrap());
                    known.well_known = Some(case.well_known.iter().map(parse).collect());
                }
                Question::Srv(query) => {
                    asked.insert(format!("srv {query}"));
                    let answer = case.srv.get(&query).map_or(Ok(Vec::new()), srv);
                    known.srv.insert(query, answer);
                }
                Question::Host(host) => {
                    asked.insert(format!("host {host}"));
                    let answer = case.hosts.get(&host).or(hosts.get(&host));
                    let view = answer.unwrap_or_else(|| panic!("{}: {host} is asked for", case.title));
                    known.hosts.insert(host, self::view(view));
                }
            }
        }
    }
    panic!("{}: there is no end of questions", case.title);
}

fn srv(answer: &Answer) -> SrvAnswer {
    let Answer::Values(records) = answer else { return Err(fault(answer)) };
    let record = |text: &String| {
        let parts: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| parts[at].parse().unwrap();
        Srv { priority: number(0), weight: number(1), port: number(2), target: parts[3].into(), ttl: 60 }
    };
    Ok(records.iter().map(record).collect())
}

fn view(answer: &Answer) -> View {
    let Answer::Values(values) = answer else { return View::failed(fault(answer)) };
    let addresses = || values.iter().filter_map(|value| value.parse::<IpAddr>().ok());
    let failed = values.iter().any(|value| value == "!aaaa");
    View {
        a: Ok(addresses().filter(IpAddr::is_ipv4).collect()),
        aaaa: if failed { Err(Fault::Timeout) } else { Ok(addresses().filter(IpAddr::is_ipv6).collect()) },
        aliases: values.iter().filter_map(|value| value.strip_prefix('=')).map(str::to_owned).collect(),
    }
}

fn fault(answer: &Answer) -> Fault {
    match answer {
        Answer::Fault(word) if word == "!nxdomain" => Fault::NxDomain,
        Answer::Fault(word) if word == "!servfail" => Fault::ServFail { bogus: false },
        Answer::Fault(word) if word == "!refused" => Fault::Refused,
        Answer::Fault(word) if word == "!timeout" => Fault::Timeout,
        _ => panic!("not a fault"),
    }
}

fn target(target: &Target) -> String {
    let Target { address, port, host_header, sni, certificate_name, rule, srv } = target;
    let srv = srv.as_ref().map(|srv| format!(" srv={}>{}", srv.query, srv.target)).unwrap_or_default();
    let sni = sni.as_deref().unwrap_or("-");
    let place = SocketAddr::new(*address, *port);
    format!("{} {place} host={host_header} sni={sni} cert={certificate_name}{srv}", rule.number())
}

/// A problem in the words of its JSON, flat.
fn problem(problem: &Problem) -> String {
    fn flat(value: &serde_json::Value) -> String {
        match value {
            serde_json::Value::Null => "-".into(),
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(list) => list.iter().map(flat).collect::<Vec<_>>().join(" "),
            serde_json::Value::Object(object) => {
                let (key, value) = object.iter().next().unwrap();
                if key == "serv_fail" { key.clone() } else { format!("{key} {}", flat(value)) }
            }
            other => other.to_string(),
        }
    }
    flat(&serde_json::to_value(problem).unwrap())
}
