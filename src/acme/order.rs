//! One order, from the first request to the chain (RFC 8555 §7.4), by HTTP-01 only.

use std::path::Path;
use std::time::Duration;

use instant_acme::{AuthorizationStatus, ChallengeType, Order, OrderStatus};
use tokio::time::{Instant, sleep};

use super::account::Account;
use super::answers::{Answers, is_token};
use super::error::AcmeError;
use super::http::Client;
use super::pair::Pair;
use super::pending::Pending;
use super::refusal::Refusal;
use super::translate::{problem_of, translate};
use super::words;
use crate::clock;
use crate::domain::DomainName;
use crate::fault;
use crate::secrets::Secret;
use crate::ui::Task;

/// RFC 8555 §6.5: not our fault, and healed by asking again. The library tries each request three times only.
const BAD_NONCE: &str = "badNonce";
/// For a whole order.
const DEADLINE: Duration = Duration::from_secs(90);
/// Before the first look at an order, unless the authority says how long.
const FIRST: Duration = Duration::from_millis(150);
/// Between two looks, at most.
const LAST: Duration = Duration::from_secs(2);
/// After a first name has failed, for the verdict on the others.
const OTHERS: Duration = Duration::from_secs(5);

/// What an order needs.
pub(super) struct Job<'a> {
    /// The connection.
    pub client: &'a Client,
    /// All names of the certificate.
    pub names: &'a [&'a DomainName],
    /// Served by a web server at `/.well-known/acme-challenge/` of every name, on port 80.
    pub challenge_dir: &'a Path,
    /// Where progress is shown.
    pub task: &'a Task,
}

impl Job<'_> {
    /// Gets a certificate with a fresh P-256 key.
    pub async fn issue(&self, account: &mut Account<'_>) -> Result<Pair, AcmeError> {
        match self.in_time(self.issue_once(account)).await {
            Err(error) if error.says(BAD_NONCE) => self.in_time(self.issue_once(account)).await,
            result => result,
        }
    }

    /// Proves all names and asks for nothing.
    ///
    /// The proofs are given back, so that the next rehearsal really looks again.
    pub async fn rehearse(&self, account: &mut Account<'_>) -> Result<(), AcmeError> {
        match self.in_time(self.rehearse_once(account)).await {
            Err(error) if error.says(BAD_NONCE) => self.in_time(self.rehearse_once(account)).await,
            result => result,
        }
    }

    async fn issue_once(&self, account: &mut Account<'_>) -> Result<Pair, AcmeError> {
        let mut order = self.prove(account).await?;
        let pending = account.keep(&order, self.names)?;
        fault::point("ordered");
        self.fetch(&mut order, pending).await
    }

    /// Finishes the order of an earlier run; `None` if the authority says that it leads nowhere.
    pub async fn resume(&self, account: &Account<'_>, pending: Pending) -> Result<Option<Pair>, AcmeError> {
        let work = async {
            let mut order = account.again(&pending).await?;
            self.fetch(&mut order, pending).await
        };
        match self.in_time(work).await {
            Ok(pair) => Ok(Some(pair)),
            Err(error @ (AcmeError::Unreachable { .. } | AcmeError::Limited { .. } | AcmeError::Slow { .. })) => {
                Err(error)
            }
            Err(_) => Ok(None),
        }
    }

    async fn fetch(&self, order: &mut Order, pending: Pending) -> Result<Pair, AcmeError> {
        self.task.note("fetching the certificate");
        if order.state().status == OrderStatus::Ready {
            let request = pending.request().map_err(|error| AcmeError::Key { what: error.to_string() })?;
            order.finalize_csr(request.der()).await.map_err(|error| self.error(error))?;
        }
        self.wait(order, "the certificate", OrderStatus::Valid).await?;
        fault::point("issued");
        let chain = order.certificate().await.map_err(|error| self.error(error))?;
        let fullchain_pem = chain.ok_or_else(|| self.protocol(words::NO_CHAIN))?;
        Ok(Pair { fullchain_pem, privkey_pem: Secret::new(pending.key) })
    }

    async fn rehearse_once(&self, account: &mut Account<'_>) -> Result<(), AcmeError> {
        let mut order = self.prove(account).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            // Only the next rehearsal would notice.
            let Ok(mut authorization) = authorization else { break };
            let _ = authorization.refresh().await;
            let _ = authorization.deactivate().await;
        }
        Ok(())
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, AcmeError>>) -> Result<T, AcmeError> {
        tokio::time::timeout(DEADLINE, work).await.unwrap_or_else(|_| Err(self.slow("the order")))
    }

    /// Brings a new order to where the certificate can be asked for.
    async fn prove(&self, account: &mut Account<'_>) -> Result<Order, AcmeError> {
        self.task.note("ordering");
        let mut order = account.order(self.names).await?;
        // Their life ends with this function: the answers are removed, whatever happens.
        let mut answers = Answers::new(self.challenge_dir)?;
        fault::point("order");
        self.answer(&mut order, &mut answers).await?;
        self.task.note(words::LOOKING);
        match self.wait(&mut order, "its checks", OrderStatus::Ready).await {
            Err(AcmeError::Refused { failures, .. }) if failures.is_empty() => Err(self.refused(&mut order).await),
            Err(error) => Err(error),
            Ok(()) => Ok(order),
        }
    }

    /// Writes all answers first, and only then says that they are there: an error in between costs no attempt.
    async fn answer(&self, order: &mut Order, answers: &mut Answers<'_>) -> Result<(), AcmeError> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.error(error))?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let challenge = authorization.challenge(ChallengeType::Http01);
            let challenge = challenge.ok_or_else(|| self.protocol(words::NO_HTTP_01))?;
            if !is_token(&challenge.token) {
                return Err(self.protocol(words::BAD_TOKEN));
            }
            answers.add(&challenge.token, challenge.key_authorization().as_str())?;
        }
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.error(error))?;
            if authorization.status == AuthorizationStatus::Pending
                && let Some(mut challenge) = authorization.challenge(ChallengeType::Http01)
            {
                challenge.set_ready().await.map_err(|error| self.error(error))?;
            }
        }
        Ok(())
    }

    /// Looks until the order has this status. An invalid order is [`AcmeError::Refused`] without names.
    async fn wait(&self, order: &mut Order, what: &'static str, wanted: OrderStatus) -> Result<(), AcmeError> {
        let deadline = Instant::now() + DEADLINE;
        let mut pause = FIRST;
        loop {
            match order.state().status {
                status if status == wanted => return Ok(()),
                OrderStatus::Invalid => {
                    return Err(AcmeError::Refused {
                        authority: self.client.authority().clone(),
                        failures: Vec::new(),
                    });
                }
                _ => {}
            }
            let asked = self.client.retry_after().map(|until| until.duration_since(clock::now()));
            let asked = asked.and_then(|wait| Duration::try_from(wait).ok());
            let now = asked.unwrap_or(pause);
            if Instant::now() + now > deadline {
                return Err(self.slow(what));
            }
            sleep(now).await;
            pause = pause.mul_f32(1.5).min(LAST);
            order.refresh().await.map_err(|error| self.error(error))?;
        }
    }

    /// Why an order became invalid, name by name.
    async fn refused(&self, order: &mut Order) -> AcmeError {
        let mut failures: Vec<Refusal> = Vec::new();
        let patience = Instant::now() + OTHERS;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let Ok(mut authorization) = authorization else { continue };
            // The first failure ends the order, while other names are still being looked at.
            while authorization.refresh().await.is_ok()
                && authorization.status == AuthorizationStatus::Pending
                && Instant::now() < patience
            {
                sleep(FIRST).await;
            }
            if authorization.status != AuthorizationStatus::Invalid {
                continue;
            }
            let name = authorization.identifier().to_string();
            let Some(name) = self.names.iter().find(|own| own.as_str() == name) else { continue };
            let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
            let kind = problem.and_then(|problem| problem.r#type.as_deref()).unwrap_or("unknown");
            let detail = problem.and_then(|problem| problem.detail.as_deref()).unwrap_or_default();
            failures.push(Refusal::new(name, kind, detail));
        }
        let authority = self.client.authority().clone();
        if !failures.is_empty() {
            // The authority's order is no order at all; ours puts the federated name first.
            failures.sort_by_key(|failure| self.names.iter().position(|name| **name == failure.name));
            return AcmeError::Refused { authority, failures };
        }
        match order.state().error.as_ref() {
            Some(problem) => problem_of(problem, authority, self.client.retry_after(), self.names),
            None => self.protocol(words::NO_REASON),
        }
    }

    fn error(&self, error: instant_acme::Error) -> AcmeError {
        translate(error, self.client, self.names)
    }

    fn protocol(&self, what: &str) -> AcmeError {
        AcmeError::Protocol { authority: self.client.authority().clone(), what: what.to_owned() }
    }

    fn slow(&self, what: &'static str) -> AcmeError {
        AcmeError::Slow { authority: self.client.authority().clone(), what, seconds: DEADLINE.as_secs() }
    }
}
