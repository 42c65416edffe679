//! Renewing the certificate, unattended and often: looks, and does something only when it is due.

use crate::acme::{self, Store};
use crate::error::{Error, Result};
use crate::host::lock::Lock;
use crate::layout;
use crate::machine::Machine;
use crate::step::{Step, certificate};

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
    let Some(old) = store.load()? else {
        return Err(Error::new("there is no certificate to renew", "run `sudo rcfed apply`, which gets the first one"));
    };
    let now = jiff::Timestamp::now();
    if !force && old.covers(&certificate::names(machine)) && !old.due(now) {
        return Ok(Renewal::NotDue(old.describe().days_left));
    }
    let _lock = Lock::take(&machine.path(layout::LOCK), "renew")?;
    let options = certificate::options(machine)?;
    if !force {
        acme::may_try(&options.acme_dir, now)?;
    }
    let task = machine.ui.task("renew the certificate");
    // No rehearsal: the authority knows these names, and a failure here has weeks to be tried again.
    let options = acme::Options { staging: None, ..options };
    let pair = match acme::obtain(&options, &certificate::names(machine), &task).await {
        Ok(pair) => pair,
        Err(error) => {
            task.failed("");
            return Err(error);
        }
    };
    store.save(&pair)?;
    Step::Reload.apply(machine, &task).await?;
    let days = pair.describe().days_left;
    task.done(&format!("{days} days"));
    Ok(Renewal::Renewed(days))
}
