//! The order in which a change keeps people connected longest.
//!
//! Where nothing runs yet, whatever is ready starts at once. Where something runs, all that can fail without touching it
//! comes first: images are pulled, the certificate for new names is ordered through the gateway that runs, nginx tries the
//! new configuration. Only then files are replaced and containers recreated.

use std::collections::BTreeMap;

use super::Look;
use crate::acme::Store;
use crate::config::Service;
use crate::error::Result;
use crate::fault;
use crate::layout;
use crate::machine::Machine;
use crate::render::Phase;
use crate::step::Step;
use crate::step::reload::{self, Part};
use crate::tokens;
use crate::topology::Topology;

/// Needs of steps beyond, or instead of, their own.
#[derive(Clone, Debug, Default)]
pub struct Order {
    more: BTreeMap<String, Vec<String>>,
    /// The certificate does not wait for the new gateway.
    early_certificate: bool,
}

impl Order {
    /// What a step waits for.
    pub fn needs(&self, step: &Step, topology: &Topology) -> Vec<String> {
        let mut needs = step.needs(topology);
        if *step == Step::Certificate && self.early_certificate {
            needs.retain(|id| *id != Step::Ready(Service::Gateway).id());
        }
        needs.extend(self.more.get(&step.id()).into_iter().flatten().cloned());
        needs
    }

    /// People stay connected until the other side works with its new tokens; if it does not, both keep the old ones.
    fn chat_last(&mut self, steps: &[Step]) {
        let chat = |step: &&Step| match step {
            Step::Container(service) => *service == Service::Rocketchat,
            Step::File(file) => file.service == Service::Rocketchat,
            _ => false,
        };
        for step in steps.iter().filter(chat) {
            let first = [Service::Homeserver, Service::Relay].map(|service| Step::Ready(service).id());
            self.more.entry(step.id()).or_default().extend(first);
        }
    }
}

/// The order for what differs now.
pub async fn order(machine: &Machine, steps: &[Step], look: &Look) -> Result<Order> {
    let mut order = Order::default();
    if fault::in_order() {
        return Ok(order);
    }
    if tokens::pending(&machine.host)? {
        order.chat_last(steps);
    }
    if !look.deployed || look.changes.is_empty() || reload::loaded(machine, Part::Http).await?.is_none() {
        return Ok(order);
    }
    let mut first: Vec<String> = steps.iter().filter(|step| matches!(step, Step::Image(_))).map(Step::id).collect();
    first.push(Step::Trial(Phase::Start).id());
    // A certificate that is merely due must not keep a change waiting: it has weeks.
    let pair = Store::new(machine.path(layout::CERTIFICATE)).describe()?;
    let covers = matches!(pair, Some(Ok(pair)) if pair.key_matches && pair.covers(&machine.config.names.served()));
    let published = look.change(&Step::Container(Service::Gateway).id()).is_none_or(|change| !change.by_hand);
    let due = look.change(&Step::Certificate.id()).is_some();
    // One that is there needs no gateway; one that is missing is ordered through the gateway that runs.
    let tried = !due || (!covers && published);
    order.early_certificate = tried;
    if tried {
        first.extend([Step::Certificate.id(), Step::Trial(Phase::Certified).id()]);
    }
    let gateway = steps.iter().filter(|step| matches!(step, Step::File(f) if f.service == Service::Gateway));
    let gateway: Vec<String> = gateway.map(Step::id).collect();
    for step in steps.iter().filter(|step| matches!(step, Step::File(_) | Step::Container(_) | Step::Unit)) {
        let more = order.more.entry(step.id()).or_default();
        more.extend(first.iter().cloned());
        if tried && *step == Step::Container(Service::Gateway) {
            // The new gateway starts with everything it will ever need.
            more.extend(gateway.iter().cloned());
        }
    }
    Ok(order)
}
