//! Renewing the certificate, unattended and often: looks, and does something only when it is due.

use crate::acme::{self, Store};
use crate::clock;
use crate::error::{Error, Result};
use crate::host::lock::Lock;
use crate::layout;
use crate::machine::Machine;
use crate::step::{certificate, reload};

/// What a run of `rcfed renew` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Not due; days left.
    NotDue(i64),
    /// A new certificate is served; its days.
    Renewed(i64),
}

/// Renews if a third of the lifetime is left, or if `force`. Waits out a pause the authority asked for.
pub async fn renew(machine: &Machine, force: bool) -> Result<Renewal> {
    let store = Store::new(machine.path(layout::CERTIFICATE));
    let now = clock::now();
    let names = machine.config.names.served();
    match store.describe()? {
        None => {
            return Err(nothing_to_renew());
        }
        Some(Ok(old)) if !force && old.key_matches && old.covers(&names) && !old.due(now) && old.has_begun(now) => {
            return Ok(Renewal::NotDue(old.days_left(now)));
        }
        Some(_) => {}
    }
    let _lock = Lock::take(&machine.path(layout::LOCK), "renew")?;
    let options = certificate::options(machine)?;
    if !force {
        acme::may_try(&options.acme_dir, now)?;
    }
    // No rehearsal: the authority knows these names, and a failure here has weeks to be tried again.
    let options = acme::Options { rehearse: false, ..options };
    // A certificate that cannot be kept would count at the authority all the same.
    store.room()?;
    let pair = match acme::obtain(&options, &store, &names, &machine.ui).await {
        Ok(pair) => pair,
        Err(error) => return Err(certificate::with_facts(machine, error).await),
    };
    let task = machine.ui.task(SERVE);
    reload::take_certificate(machine).await?;
    task.done("");
    Ok(Renewal::Renewed(pair.describe().map_or(0, |new| new.days_left(now))))
}

const SERVE: &str = "let the gateway serve it";

fn nothing_to_renew() -> Error {
    Error::new("there is no certificate to renew", "run `sudo rcfed apply`, which gets the first one")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        insta::assert_snapshot!(format!("{SERVE}\n{}", crate::error::told([nothing_to_renew()])));
    }
}
