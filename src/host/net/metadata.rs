//! What the cloud says about this machine. An address behind NAT shows on no interface, and a reserved address never does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join4;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Address, Source, plain};

/// Asks the service in the manner of four clouds at once; the one it belongs to answers. Takes a second at most.
pub(super) async fn ask(service: SocketAddr) -> Vec<Address> {
    let answers = join4(
        timeout(TOTAL, digitalocean(service)),
        timeout(TOTAL, hetzner(service)),
        timeout(TOTAL, ec2(service)),
        timeout(TOTAL, google(service)),
    );
    let (a, b, c, d) = answers.await;
    [a, b, c, d].into_iter().flatten().flatten().flatten().collect()
}

const CONNECT: Duration = Duration::from_millis(300);
const TOTAL: Duration = Duration::from_secs(1);

/// <https://docs.digitalocean.com/reference/api/metadata/>: one document with interfaces and reserved addresses.
async fn digitalocean(service: SocketAddr) -> Option<Vec<Address>> {
    let text = request(service, "GET", "/metadata/v1.json", &[]).await?;
    let document: serde_json::Value = serde_json::from_str(&text).ok()?;
    let at = |pointer: &str| document.pointer(pointer)?.as_str()?.parse::<IpAddr>().ok();
    let active = |kind: &str| document.pointer(&format!("{kind}/active")).and_then(|v| v.as_bool()) == Some(true);
    let mut found = Vec::new();
    for family in ["ipv4", "ipv6"] {
        for kind in [format!("/reserved_ip/{family}"), format!("/floating_ip/{family}")] {
            let address = at(&format!("{kind}/ip_address")).filter(|_| active(&kind));
            found.extend(address.map(|ip| Address { source: Source::Reserved("DigitalOcean"), ip }));
        }
        let address = at(&format!("/interfaces/public/0/{family}/ip_address"));
        found.extend(address.map(|ip| Address { source: Source::Metadata("DigitalOcean"), ip }));
    }
    Some(found)
}

/// <https://docs.hetzner.cloud/reference/cloud#description/server-metadata>; IPv6 is on the interface itself.
async fn hetzner(service: SocketAddr) -> Option<Vec<Address>> {
    let text = request(service, "GET", "/hetzner/v1/metadata/public-ipv4", &[]).await?;
    Some(address("Hetzner", &text).into_iter().collect())
}

/// Instance metadata service, version 2: a token first. OpenStack clouds answer in this manner too.
async fn ec2(service: SocketAddr) -> Option<Vec<Address>> {
    let lifetime = [("x-aws-ec2-metadata-token-ttl-seconds", "60")];
    let token = request(service, "PUT", "/latest/api/token", &lifetime).await?;
    let headers = [("x-aws-ec2-metadata-token", token.trim())];
    let text = request(service, "GET", "/latest/meta-data/public-ipv4", &headers).await?;
    Some(address("EC2", &text).into_iter().collect())
}

/// <https://cloud.google.com/compute/docs/metadata/overview>: answers only to its own header.
async fn google(service: SocketAddr) -> Option<Vec<Address>> {
    const EXTERNAL: &str = "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip";
    let text = request(service, "GET", EXTERNAL, &[("metadata-flavor", "Google")]).await?;
    Some(address("Google Cloud", &text).into_iter().collect())
}

fn address(cloud: &'static str, text: &str) -> Option<Address> {
    Some(Address { source: Source::Metadata(cloud), ip: text.trim().parse().ok()? })
}

async fn request(service: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<String> {
    let stream = timeout(CONNECT, TcpStream::connect(service)).await.ok()?.ok()?;
    let (status, text) = plain::send(stream, method, path, headers).await.ok()?;
    status.is_success().then_some(text)
}
