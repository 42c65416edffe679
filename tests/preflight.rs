//! The whole preflight of a fixture machine, with a cloud's metadata service, name server and CA on loopback.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rcfed::config::{AcmeConfig, Admin, Apex, Config, Names, Profile, Proxy, RocketchatConfig};
use rcfed::domain::{DomainName, Username};
use rcfed::error::Explain;
use rcfed::host::Host;
use rcfed::host::net::Addresses;
use rcfed::preflight::{Finding, Status, inspect, verdict};
use rcfed::ui::{Ui, Verbosity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers each request with the body whose method and path match, and 404 otherwise.
async fn serve(answers: &'static [(&'static str, &'static str)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = vec![0; 2048];
                let length = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let found = answers.iter().find(|(start, _)| request.starts_with(&format!("{start} ")));
                let (status, body) = found.map_or(("404 Not Found", ""), |(_, body)| ("200 OK", *body));
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/machine").join(name)
}

async fn found(answers: &'static [(&'static str, &'static str)]) -> String {
    let service = serve(answers).await;
    Addresses::find(&fixture("empty"), &[], Some(service)).await.to_string()
}

#[tokio::test]
async fn each_cloud_is_asked_in_its_own_manner() {
    let digitalocean = r#"{"interfaces":{"public":[{"ipv4":{"ip_address":"198.51.100.10"},"ipv6":{"ip_address":"2001:db8::10"},
        "anchor_ipv4":{"ip_address":"10.19.0.6"}}]},"reserved_ip":{"ipv4":{"active":true,"ip_address":"203.0.113.40"}},
        "floating_ip":{"ipv4":{"active":true,"ip_address":"203.0.113.40"}}}"#;
    let answers: &'static [(&str, &str)] = vec![("GET /metadata/v1.json", digitalocean)].leak();
    assert_eq!(
        found(answers).await,
        "203.0.113.40 (reserved at DigitalOcean), 198.51.100.10 (DigitalOcean), 2001:db8::10 (DigitalOcean)"
    );
    assert_eq!(found(&[("GET /hetzner/v1/metadata/public-ipv4", "198.51.100.11\n")]).await, "198.51.100.11 (Hetzner)");
    let ec2 = &[("PUT /latest/api/token", "token"), ("GET /latest/meta-data/public-ipv4", "198.51.100.12")];
    assert_eq!(found(ec2).await, "198.51.100.12 (EC2)");
    let google = "GET /computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip";
    let answers: &'static [(&str, &str)] = vec![(google, "198.51.100.13")].leak();
    assert_eq!(found(answers).await, "198.51.100.13 (Google Cloud)");
    assert_eq!(found(&[("GET /hetzner/v1/metadata/public-ipv4", "<html>")]).await, "", "a page is not an address");
}

#[tokio::test]
async fn a_silent_metadata_service_costs_a_second_at_most() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let started = std::time::Instant::now();
    let service = Some(listener.local_addr().unwrap());
    let found = Addresses::find(&fixture("droplet"), &["192.0.2.7".parse().unwrap()], service).await;
    assert!(started.elapsed().as_millis() < 1800, "{:?}", started.elapsed());
    assert_eq!(found.to_string(), "192.0.2.7 (configured), 198.51.100.10 (interface), 2001:db8::10 (interface)");
}

#[tokio::test]
async fn a_machine_without_anything_is_described_and_never_a_crash() {
    // A port that was just free: nobody answers there, neither DNS nor the CA nor Docker.
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let name = |text: &str| DomainName::parse(text).unwrap();
    let config = Config {
        doctor: Default::default(),
        names: Names {
            federated: name("example.org"),
            chat: name("chat.example.org"),
            matrix: name("matrix.example.org"),
            apex: Apex::Here,
            chat_elsewhere: false,
        },
        email: None,
        profile: Profile::Dendrite,
        proxy: Proxy::Gateway,
        accept_end_of_life: true,
        admin: Admin { username: Username::parse("admin").unwrap(), email: None, password_file: None },
        rocketchat: RocketchatConfig::default(),
        federation: Default::default(),
        images: Default::default(),
        memory: Default::default(),
        acme: AcmeConfig { directory: format!("http://{nobody}/directory"), staging: None, ca: None },
        addresses: vec![],
        federate_with: vec![],
    };
    let host = Host {
        root: "/nonexistent".into(),
        docker: format!("tcp://{nobody}"),
        nameserver: Some(nobody),
        metadata: None,
    };
    let ui = Ui::new(Verbosity::Quiet);
    let looked = |fixture_name: &str| {
        let root = fixture(fixture_name);
        let (host, config, ui) = (host.clone(), config.clone(), ui.clone());
        async move { inspect(&root, &host, &config, &ui).await.findings }
    };
    let empty = looked("empty").await;
    let ids: Vec<(&str, Status)> = empty.iter().map(|finding| (finding.id, finding.status)).collect();
    let arch = rcfed::host::facts::architecture();
    assert!(ids.contains(&("machine.os", Status::Unknown)), "{ids:?}");
    assert!(ids.contains(&("machine.memory", Status::Unknown)), "{ids:?}");
    assert!(ids.contains(&("machine.clock", Status::Unknown)), "{ids:?}");
    assert!(ids.contains(&("machine.ports", Status::Unknown)), "{ids:?}");
    assert!(ids.contains(&("docker.engine", Status::Ok)), "not installed yet: {ids:?}");
    assert_eq!(ids.iter().filter(|(id, status)| *id == "dns.address" && *status == Status::Fail).count(), 3, "{arch}");
    let busy = looked("busy").await;
    let port = busy.iter().find(|finding| finding.id == "machine.ports").unwrap();
    assert_eq!((port.status, port.summary.as_str()), (Status::Fail, "is held by nginx (pid 812)"));
}

#[test]
fn the_first_failure_is_the_verdict() {
    let fine = Finding::ok("a", "this machine", "is fine");
    let first = Finding::fail("b", "port 80", "is held by nginx").remedy("systemctl stop nginx");
    let second = Finding::fail("c", "example.org", "does not exist in DNS");
    assert!(verdict(&[fine.clone(), Finding::warn("w", "x", "y")]).is_ok());
    let error = verdict(&[fine, first, second]).unwrap_err();
    assert_eq!(error.to_string(), "port 80: is held by nginx\nalso, example.org: does not exist in DNS");
    assert_eq!(error.hint().unwrap(), "systemctl stop nginx");
}
