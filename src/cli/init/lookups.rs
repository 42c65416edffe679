//! What DNS and a web site say about a name while the next question is asked. Each has one calm line, or nothing to say:
//! whatever is really in the way is told by the checks before the first change.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;

use super::wizard::{Lookup, Lookups};
use crate::answers::{Answers, Key};
use crate::config::{Names, Proxy};
use crate::dns::{self, Expected, NameReport, Verdict};
use crate::domain::DomainName;
use crate::host::Host;
use crate::host::net::Addresses;

impl Lookups {
    /// Asks DNS, and the web site behind a name that points elsewhere. What was `given` may say which
    /// addresses are ours.
    pub fn real(host: &Host, given: &Answers) -> Self {
        let machine = Arc::new(Network {
            host: host.clone(),
            configured: given.list(Key::Address).iter().filter_map(|ip| ip.parse().ok()).collect(),
            addresses: OnceCell::new(),
            ports: [443, 80],
        });
        let (dns, site) = (Arc::clone(&machine), machine);
        let dns: Lookup = Box::new(move |name| {
            let machine = Arc::clone(&dns);
            tokio::spawn(async move {
                let (report, expected) = machine.judge(&name).await?;
                Some(line(&report, &expected))
            })
        });
        let site: Lookup = Box::new(move |name| {
            let machine = Arc::clone(&site);
            tokio::spawn(async move { machine.site(&name).await })
        });
        Self { dns, site }
    }
}

/// The network as this machine sees it.
struct Network {
    host: Host,
    configured: Vec<IpAddr>,
    /// Looked for once, however many names are asked about.
    addresses: OnceCell<Addresses>,
    /// Of web sites, with TLS and without; 443 and 80 except in tests.
    ports: [u16; 2],
}

impl Network {
    async fn judge(&self, name: &DomainName) -> Option<(NameReport, Expected)> {
        let find = || Addresses::find(Path::new("/"), &self.configured, self.host.metadata);
        let addresses = self.addresses.get_or_init(find).await.clone();
        let lookup = dns::Lookup::new(&self.host);
        let seen = lookup.all([name]).await;
        // Judged by itself: which of the three names it will be is not known yet.
        let names = Names::alone(name);
        let expected = Expected { addresses, proxy: Proxy::Gateway, issuer: None };
        let report = dns::judge(&names, &expected, &seen).names.into_iter().next()?;
        Some((report, expected))
    }

    /// Whether a web site answers under a name that is not this machine's.
    async fn site(&self, name: &DomainName) -> Option<String> {
        let (report, _) = self.judge(name).await?;
        let (Verdict::Elsewhere(list) | Verdict::Cloudflare(list)) = report.verdict else { return None };
        // IPv4 first: a machine without IPv6 would wait for nothing.
        let address = list.iter().find(|ip| ip.is_ipv4()).or(list.first())?;
        site_at(name, *address, self.ports).await
    }
}

/// What DNS says of a name, in one line.
fn line(report: &NameReport, expected: &Expected) -> String {
    let machine = match (&report.verdict, expected.addresses.v4().or(expected.addresses.v6())) {
        (Verdict::Ok | Verdict::Broken(_), _) | (_, None) => String::new(),
        (_, Some(ip)) => format!("; this machine is {ip}"),
    };
    format!("{} {}{machine}", report.name, report.summary())
}

/// Asks for `/` at `address`, with TLS and without at once; any answer at all is a web site.
async fn site_at(name: &DomainName, address: IpAddr, [tls, plain]: [u16; 2]) -> Option<String> {
    let (tls, plain) = tokio::join!(server(name, "https", address, tls), server(name, "http", address, plain));
    let server = tls.or(plain)?;
    Some(site_words(name, &server))
}

fn site_words(name: &DomainName, server: &str) -> String {
    let server = if server.is_empty() { String::new() } else { format!(" ({server})") };
    format!("a web site answers on {name}{server}")
}

/// The `Server` header of whoever answers, or empty.
async fn server(name: &DomainName, scheme: &str, address: IpAddr, port: u16) -> Option<String> {
    // Fails only if a provider was installed before, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(3))
        .redirect(reqwest::redirect::Policy::none())
        .resolve(name.as_str(), SocketAddr::new(address, port))
        // Whether somebody is there is asked, not who: nothing is sent or believed.
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .build()
        .ok()?;
    let answer = client.get(format!("{scheme}://{name}:{port}/")).send().await.ok()?;
    let server = answer.headers().get("server").and_then(|value| value.to_str().ok()).unwrap_or_default();
    // It is shown on a terminal, and comes from anybody.
    Some(server.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(40).collect::<String>().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::dns::{Caa, Fault, Seen, View};
    use crate::host::net::{Address, Source};

    #[test]
    fn one_line_for_each_thing_dns_can_say() {
        let name = DomainName::parse("example.org").unwrap();
        let (ours, other): (IpAddr, IpAddr) = ("198.51.100.4".parse().unwrap(), "203.0.113.9".parse().unwrap());
        let answers = [
            Ok(vec![ours]),
            Ok(vec![other]),
            Ok(vec![ours, other]),
            Ok(vec![]),
            Err(Fault::NxDomain),
            Err(Fault::Timeout),
            Ok(vec!["10.0.0.1".parse().unwrap()]),
        ];
        let mut lines = vec![site_words(&name, ""), site_words(&name, "nginx/1.28")];
        for addresses in [Addresses::new([Address { source: Source::Interface, ip: ours }]), Addresses::default()] {
            let expected = Expected { addresses, proxy: Proxy::Gateway, issuer: None };
            for a in &answers {
                let aaaa = a.clone().map(|_| Vec::new());
                let seen = Seen {
                    resolver: View { a: a.clone(), aaaa, aliases: vec![] },
                    authoritative: vec![],
                    caa: Caa::None,
                };
                let names = Names::alone(&name);
                let judged = dns::judge(&names, &expected, &BTreeMap::from([(name.clone(), seen)]));
                lines.push(line(&judged.names[0], &expected));
            }
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[tokio::test]
    async fn any_answer_is_a_web_site_and_redirects_are_not_followed() {
        let name = DomainName::parse("example.org").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // A port that was just free.
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        tokio::spawn(async move {
            for head in ["301 Moved\r\nLocation: http://127.0.0.1:9/\r\nServer: nginx/1.28.0", "404 Not Found"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 2048];
                let length = stream.read(&mut request).await.unwrap();
                assert!(request[..length].starts_with(b"GET / HTTP/1.1\r\n"));
                let answer = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let asked = || site_at(&name, address.ip(), [nobody, address.port()]);
        assert_eq!(asked().await.unwrap(), "a web site answers on example.org (nginx/1.28.0)");
        assert_eq!(asked().await.unwrap(), "a web site answers on example.org");
        assert_eq!(site_at(&name, address.ip(), [nobody, nobody]).await, None);
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_trusts_is_a_web_site_too() {
        let name = DomainName::parse("example.org").unwrap();
        let made = rcgen::generate_simple_self_signed(["else.example.net".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
            let length = stream.read(&mut vec![0; 2048]).await.unwrap();
            assert!(length > 0);
            let answer = b"HTTP/1.1 200 OK\r\nServer: Apache\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let said = site_at(&name, address.ip(), [address.port(), nobody]).await;
        assert_eq!(said.unwrap(), "a web site answers on example.org (Apache)");
    }
}
