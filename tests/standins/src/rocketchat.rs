//! A stand-in for Rocket.Chat: boot, settings, REST and the Matrix bridge as a provisioner meets them.
//!
//! It is written against 7.10, the last version with the bridge (Rocket.Chat pull request 36988 removed it), and 8.5,
//! which federates by itself (`native`). Files named in comments are those of the repository RocketChat/Rocket.Chat.
//!
//! Beside Rocket.Chat's own variables it knows:
//! - `STANDIN_VERSION`: instead of the file `/app/bundle/rocket.chat-version`.
//! - `STANDIN_BOOT_MS` (2000) and `STANDIN_MONGO_WAIT_MS` (15000): how long it boots, and waits for a primary.
//! - `STANDIN_UPLOADS` (`/app/uploads`): the directory that must be writable beside `/tmp`.
//! - `STANDIN_STRICT_2FA=0`: a second factor is remembered as the real one does, instead of asked for every time.
//! - `STANDIN_TOTP_SECRET` (base32), `STANDIN_EMAIL_CODES`: the first administrator has an authenticator app, or gets codes
//!   by e-mail (with `ADMIN_EMAIL` and `ADMIN_EMAIL_VERIFIED=true`), and standard output is the post.
//! - `STANDIN_UPGRADE_LOSES_OVERWRITE=1`: the first boot of another version keeps stored values, whatever is overwritten.

mod account;
mod api;
pub mod boot;
mod bridge;
mod chat;
mod ddp;
mod environment;
mod events;
mod federation;
mod http;
mod license;
mod native;
mod password;
mod registry;
mod second_factor;
mod settings;
mod store;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bridge::Bridge;
use environment::Environment;
use native::Native;
use settings::Settings;
use store::Store;

/// Everything a request may need.
struct App {
    environment: Environment,
    store: Store,
    settings: Settings,
    bridge: Bridge,
    native: Native,
    http: reqwest::Client,
    /// What Node trusts.
    trust: Arc<rustls::ClientConfig>,
}

/// Milliseconds since 1970, as JavaScript has dates.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// An id like Meteor's: 17 characters that nobody guesses.
fn random_id(length: usize) -> String {
    use ring::rand::{SecureRandom, SystemRandom};
    const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz";
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = vec![0; length];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return format!("id{}", COUNT.fetch_add(1, Ordering::Relaxed));
    }
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}
