//! Finds a server by its Matrix name and asks it: server-server API, "Resolving server names", without SRV.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use serde_json::Value;

use crate::fetch::Call;
use crate::matrix;

const LIMIT: Duration = Duration::from_secs(10);
/// Larger well-known files are not read by Synapse and gomatrixserverlib.
const LARGEST_WELL_KNOWN: usize = 51_200;

/// Where a server is and how to address it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host to connect to, which is also the name its certificate must have.
    pub host: String,
    pub port: u16,
    /// The `Host` header.
    pub header: String,
}

/// Splits `host[:port]`, with IPv6 addresses in brackets.
fn split(name: &str) -> (&str, Option<u16>) {
    match name.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (name, None),
    }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

/// Resolves a server name: a port or an address as it is, else the well-known on port 443, else port 8448.
pub async fn resolve(server: &str, trust: &Arc<ClientConfig>) -> Place {
    let direct = |name: &str| {
        let (host, port) = split(name);
        Place { host: bare(host).to_owned(), port: port.unwrap_or(8448), header: name.to_owned() }
    };
    let (host, port) = split(server);
    if port.is_some() || bare(host).parse::<IpAddr>().is_ok() {
        return direct(server);
    }
    match well_known(host, trust).await {
        Ok(delegated) => direct(&delegated),
        Err(why) => {
            eprintln!("well-known of {server}: {why}; trying port 8448");
            direct(server)
        }
    }
}

async fn well_known(host: &str, trust: &Arc<ClientConfig>) -> Result<String, String> {
    let call = Call::get(host, "/.well-known/matrix/server");
    let (status, body) = call.send((host, 443), Some((host, trust.clone())), LIMIT).await?;
    if status != 200 || body.len() > LARGEST_WELL_KNOWN {
        return Err(format!("status {status}, {} bytes", body.len()));
    }
    let body: Value = serde_json::from_slice(&body).map_err(|why| why.to_string())?;
    match body["m.server"].as_str() {
        Some(name) if !name.is_empty() && !name.contains('/') => Ok(name.to_owned()),
        _ => Err("m.server is not a server name".to_owned()),
    }
}

impl Place {
    /// All addresses of the host.
    ///
    /// # Errors
    /// If it has none.
    pub async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found: Vec<SocketAddr> = found.map_err(|why| format!("{}: {why}", self.host))?.collect();
        if found.is_empty() { Err(format!("{} has no address", self.host)) } else { Ok(found) }
    }

    /// A JSON document from one address.
    ///
    /// # Errors
    /// If it cannot be had, is not JSON, or the status is not 200.
    pub async fn get(&self, address: SocketAddr, target: &str, trust: &Arc<ClientConfig>) -> Result<Value, String> {
        let call = Call::get(&self.header, target);
        let (status, body) = call.send(address, Some((&self.host, trust.clone())), LIMIT).await?;
        if status != 200 {
            return Err(format!("{target}: status {status}"));
        }
        serde_json::from_slice(&body).map_err(|why| format!("{target}: {why}"))
    }

    /// The server's keys from one address, fully checked: name, time, and a signature by every key (server-server API,
    /// "Publishing Keys").
    ///
    /// # Errors
    /// With the first thing wrong with them.
    pub async fn keys(&self, address: SocketAddr, server: &str, trust: &Arc<ClientConfig>) -> Result<Value, String> {
        let keys = self.get(address, "/_matrix/key/v2/server", trust).await?;
        if keys["server_name"] != server {
            return Err(format!("the keys are those of {}", keys["server_name"]));
        }
        let now = jiff::Timestamp::now().as_millisecond();
        if keys["valid_until_ts"].as_i64().is_none_or(|until| until <= now) {
            return Err("the keys are no longer valid".to_owned());
        }
        let listed: Vec<_> = keys["verify_keys"].as_object().into_iter().flatten().collect();
        if !listed.iter().any(|(id, _)| id.starts_with("ed25519:")) {
            return Err("there is no ed25519 key".to_owned());
        }
        for (id, key) in listed {
            let signature = keys["signatures"][server][id].as_str().ok_or_else(|| format!("not signed by {id}"))?;
            matrix::verify(&keys, signature, key["key"].as_str().unwrap_or(""))
                .map_err(|why| format!("{id}: {why}"))?;
        }
        Ok(keys)
    }
}

/// A server's public key of this id, from the server itself; empty if it has none of that id any more.
///
/// # Errors
/// With the last thing that was wrong, if no address of it gave keys that are right.
pub async fn public_key(server: &str, id: &str, trust: &Arc<ClientConfig>) -> Result<String, String> {
    let place = resolve(server, trust).await;
    let mut last = String::new();
    for address in place.addresses().await? {
        match place.keys(address, server, trust).await {
            Ok(keys) => return Ok(keys["verify_keys"][id]["key"].as_str().unwrap_or("").to_owned()),
            Err(why) => last = why,
        }
    }
    Err(last)
}
