//! Every host that a report on a stranger can name, for a report that is to name none.

use std::collections::BTreeSet;

use url::Url;

use crate::matrix::Look;

/// More of them are in no report.
const MOST: usize = 200;

/// Hosts that were seen beside the name's own.
pub fn hosts(look: &Look) -> Vec<String> {
    let discovery = &look.discovery;
    let clients = look.clients.as_ref();
    let mut all: Vec<String> = discovery.hosts.iter().map(|seen| seen.host.clone()).collect();
    all.extend(discovery.hosts.iter().flat_map(|seen| seen.view.aliases.clone()));
    all.extend(discovery.srv.iter().filter_map(|seen| seen.answer.as_ref().ok()).flatten().map(|r| r.target.clone()));
    let zones = look.grounds.iter().filter_map(|ground| ground.zone.as_ref());
    for zone in zones {
        all.push(zone.apex.clone());
        all.extend(zone.servers.iter().map(|server| server.name.clone()));
    }
    let hops = discovery.well_known.iter().flat_map(|fetch| &fetch.hops);
    let hops = hops.chain(clients.into_iter().flat_map(|it| it.client.hops.iter().chain(&it.support.hops)));
    for hop in hops {
        all.extend([&hop.url].into_iter().chain(&hop.location).filter_map(|url| host(url)));
        all.extend(hop.tls.iter().flat_map(|facts| &facts.chain).flat_map(|certificate| certificate.names.clone()));
    }
    all.extend(clients.and_then(|it| host(&it.client.outcome.as_ref().ok()?.base_url)));
    if let Some(found) = &look.chat {
        all.push(found.host.clone());
        let facts = found.seen.iter().filter_map(|seen| seen.tls.as_ref());
        all.extend(facts.flat_map(|facts| &facts.chain).flat_map(|certificate| certificate.names.clone()));
    }
    for seen in &look.targets {
        all.extend(seen.tls.iter().flat_map(|facts| &facts.chain).flat_map(|certificate| certificate.names.clone()));
        let keys = seen.keys.as_ref().and_then(|keys| keys.as_ref().ok()?.document.as_ref().ok());
        all.extend(keys.and_then(|keys| keys.server_name.clone()));
    }
    let named = all.into_iter().map(|host| host.trim_start_matches("*.").to_owned());
    // Top-level domains name nobody.
    let named: BTreeSet<String> = named.filter(|host| host.trim_matches('.').contains('.')).collect();
    named.into_iter().take(MOST).collect()
}

fn host(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}
