//! Transactions to app services, as appservice/consumers/roomserver.go sends them.
//!
//! The queue is durable, like the NATS consumer it stands for: one file per event below `jetstream.storage_path`, named by
//! the time it was queued, removed once the app service answered 200.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::Notify;

use super::log;
use super::registration::Registration;
use super::server::Server;
use crate::fetch::{Call, trust};
use crate::web;

/// "maximum number of events to send in a single transaction"
const MOST_EVENTS: usize = 50;
/// CreateHTTPClient
const LIMIT: Duration = Duration::from_secs(30);

/// What waits for one app service.
pub struct Queue {
    directory: PathBuf,
    more: Notify,
}

impl Queue {
    /// Opens the queue of an app service. With an empty storage path NATS takes a directory below the temporary one.
    ///
    /// # Errors
    /// If the directory cannot be made or written to.
    pub fn open(storage: &str, id: &str) -> Result<Arc<Self>, String> {
        let root = if storage.is_empty() { std::env::temp_dir().join("nats") } else { storage.into() };
        let name: String = id.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        let directory = root.join("jetstream").join(format!("DendriteAppservice_{name}"));
        writable(&directory)?;
        Ok(Arc::new(Self { directory, more: Notify::new() }))
    }

    /// Adds an event.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn push(&self, event: &Value) -> Result<(), String> {
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let (part, whole) = (self.directory.join(".part"), self.directory.join(format!("{stamp:020}.json")));
        let written = std::fs::write(&part, event.to_string()).and_then(|()| std::fs::rename(&part, &whole));
        self.more.notify_one();
        written.map_err(|why| format!("{}: {why}", whole.display()))
    }

    fn waiting(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> =
            entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        files.sort();
        files.truncate(MOST_EVENTS);
        files
    }
}

/// Makes a directory and proves that files can be written there.
///
/// # Errors
/// If not.
pub fn writable(directory: &Path) -> Result<(), String> {
    let probe = directory.join(".standin-probe");
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|why| format!("{}: {why}", directory.display()))
}

/// Sends what is queued until the process ends; after a failure it waits 2, 4, 8 … 64 seconds (backoffAndPause).
pub async fn run(queue: Arc<Queue>, registration: Registration, legacy_auth: bool, legacy_paths: bool) {
    let mut backoff = 0_u32;
    loop {
        let files = queue.waiting();
        let Some(first) = files.first().and_then(|file| file.file_stem()).and_then(|stem| stem.to_str()) else {
            queue.more.notified().await;
            continue;
        };
        let path = if legacy_paths { "transactions" } else { "_matrix/app/v1/transactions" };
        let mut address = format!("{}/{path}/{}", registration.url, first.trim_start_matches('0'));
        if legacy_auth {
            address.push_str(&format!("?access_token={}", web::encode(&registration.hs_token)));
        }
        let read = |file: &PathBuf| serde_json::from_slice::<Value>(&std::fs::read(file).ok()?).ok();
        let events: Vec<Value> = files.iter().filter_map(read).collect();
        match send(&address, &registration.hs_token, &json!({ "events": events })).await {
            Ok(()) => {
                backoff = 0;
                files.iter().for_each(|file| drop(std::fs::remove_file(file)));
            }
            Err(why) => {
                backoff = (backoff + 1).min(6);
                let pause = Duration::from_secs(1 << backoff);
                log::error(&format!(
                    "Unable to send transaction to appservice {}, backing off for {pause:?}: {why}",
                    registration.id
                ));
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// AppServiceQueryAPI.UserIDExists: a user nobody here knows is asked for; an app service may make them on that.
pub async fn ask_for_user(server: &Server, user: &str) {
    let config = &server.config;
    for service in config.registrations.iter().filter(|service| !service.url.is_empty() && service.wants_user(user)) {
        let path = if config.legacy_paths { "users" } else { "_matrix/app/v1/users" };
        let mut address = format!("{}/{path}/{user}", service.url);
        if config.legacy_auth {
            address.push_str(&format!("?access_token={}", web::encode(&service.hs_token)));
        }
        if call(hyper::Method::GET, &address, &service.hs_token, "").await.is_ok_and(|status| status == 200) {
            return;
        }
    }
}

async fn send(address: &str, token: &str, body: &Value) -> Result<(), String> {
    match call(hyper::Method::PUT, address, token, &body.to_string()).await? {
        200 => Ok(()),
        status => Err(format!("received HTTP status code {status} from appservice url {address}")),
    }
}

async fn call(method: hyper::Method, address: &str, token: &str, body: &str) -> Result<u16, String> {
    let (secure, rest) = match (address.strip_prefix("http://"), address.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(format!("unsupported protocol scheme in {address:?}")),
    };
    let (authority, path) = rest.split_once('/').ok_or("the address has no path")?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| format!("bad port in {address:?}"))?),
        None => (authority, if secure { 443 } else { 80 }),
    };
    let call = Call {
        method: method.clone(),
        target: format!("/{path}"),
        host: authority.to_owned(),
        headers: vec![
            ("Authorization", format!("Bearer {token}")),
            ("Content-Type", "application/json".to_owned()),
            ("User-Agent", "Go-http-client/1.1".to_owned()),
        ],
        body: body.to_owned().into(),
    };
    let tls = if secure { Some((host, trust(None)?)) } else { None };
    // net/http's url.Error tells the whole address, query and all
    let verb = if method == hyper::Method::PUT { "Put" } else { "Get" };
    let answer = call.send((host, port), tls, LIMIT).await;
    answer.map(|(status, _)| status).map_err(|why| format!("{verb} {address:?}: {why}"))
}
