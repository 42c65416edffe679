//! Rocket.Chat's database: documents in MongoDB, by id, over one connection that is made again when it breaks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bson::{Bson, Document, doc};
use serde_json::Value;

use super::environment::MongoUrl;
use crate::mongo::client::{Client, Error};

/// The database.
pub(super) struct Store {
    url: MongoUrl,
    client: Mutex<Option<Client>>,
}

impl Store {
    /// Waits until there is a primary of the set that `MONGO_URL` names; the error is what Rocket.Chat prints before it
    /// exits.
    pub(super) fn connect(url: MongoUrl, limit: Duration) -> Result<Self, String> {
        let end = Instant::now() + limit;
        loop {
            let (last, patient) = match primary(&url) {
                Ok(client) => return Ok(Self { url, client: Mutex::new(Some(client)) }),
                Err(Refusal::Wait(text)) => (text, true),
                Err(Refusal::Final(text)) => (text, false),
            };
            if !patient || Instant::now() > end {
                return Err(last);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The server's version.
    pub(super) fn version(&self) -> Result<String, Error> {
        let reply = self.run("admin", &doc! { "buildInfo": 1 })?;
        Ok(reply.get_str("version").unwrap_or_default().to_owned())
    }

    /// Rocket.Chat reads the state of the set; its user needs `clusterMonitor` for it (docs.rocket.chat, "MongoDB
    /// authentication").
    pub(super) fn monitor(&self) -> Result<(), Error> {
        self.run("admin", &doc! { "replSetGetStatus": 1 }).map(drop)
    }

    pub(super) fn find(&self, collection: &str, id: &str) -> Result<Option<Value>, Error> {
        Ok(self.query(collection, doc! { "_id": id })?.pop())
    }

    pub(super) fn all(&self, collection: &str) -> Result<Vec<Value>, Error> {
        self.query(collection, doc! {})
    }

    /// Puts a document in the place of the one with its `_id`.
    pub(super) fn put(&self, collection: &str, document: &Value) -> Result<(), Error> {
        let odd = || Error::Network("a document that is no document".into());
        let Ok(Bson::Document(document)) = Bson::try_from(document.clone()) else { return Err(odd()) };
        let id = document.get("_id").cloned().ok_or_else(odd)?;
        let update = doc! { "q": { "_id": id }, "u": document, "upsert": true };
        self.run(&self.url.db, &doc! { "update": collection, "updates": [update] }).map(drop)
    }

    pub(super) fn remove(&self, collection: &str, id: &str) -> Result<(), Error> {
        let delete = doc! { "q": { "_id": id }, "limit": 1 };
        self.run(&self.url.db, &doc! { "delete": collection, "deletes": [delete] }).map(drop)
    }

    fn query(&self, collection: &str, filter: Document) -> Result<Vec<Value>, Error> {
        let reply = self.run(&self.url.db, &doc! { "find": collection, "filter": filter })?;
        let cursor = reply.get_document("cursor").ok();
        let batch = cursor.and_then(|cursor| cursor.get_array("firstBatch").ok()).into_iter().flatten();
        Ok(batch.map(|document| document.clone().into_relaxed_extjson()).collect())
    }

    fn run(&self, db: &str, command: &Document) -> Result<Document, Error> {
        tokio::task::block_in_place(|| {
            let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
            // A driver retries for as long as a restart of mongod takes.
            let end = Instant::now() + Duration::from_secs(5);
            loop {
                let result = match client.as_mut() {
                    Some(client) => client.run(db, command.clone()),
                    None => match primary(&self.url) {
                        Ok(new) => {
                            *client = Some(new);
                            continue;
                        }
                        Err(Refusal::Wait(text) | Refusal::Final(text)) => Err(Error::Network(text)),
                    },
                };
                match result {
                    Err(Error::Network(_)) if Instant::now() < end => {
                        *client = None;
                        std::thread::sleep(Duration::from_millis(100));
                    }
                    Err(Error::Server { code: 10107 | 13435, .. }) if Instant::now() < end => {
                        std::thread::sleep(Duration::from_millis(100));
                    }
                    result => return result,
                }
            }
        })
    }
}

enum Refusal {
    /// May become better.
    Wait(String),
    /// Never does.
    Final(String),
}

/// A connection to the primary, which is looked for under the name the set itself has for it: a driver with
/// `replicaSet` uses the members' own addresses (server discovery and monitoring specification).
fn primary(url: &MongoUrl) -> Result<Client, Refusal> {
    let wait = |error: Error| Refusal::Wait(error.to_string());
    let Some(set) = &url.replica_set else { return Err(Refusal::Final(NO_SET.into())) };
    let mut seed = Client::connect(&url.host, url.port).map_err(wait)?;
    let hello = seed.run("admin", doc! { "hello": 1 }).map_err(wait)?;
    if hello.get_str("setName").ok() != Some(set) {
        return Err(Refusal::Wait(NO_SET.into()));
    }
    let Ok((host, port)) =
        hello.get_str("primary").map(|primary| primary.rsplit_once(':').unwrap_or((primary, "27017")))
    else {
        return Err(Refusal::Wait(NO_SET.into()));
    };
    let mut client = Client::connect(host, port.parse().unwrap_or(27017)).map_err(wait)?;
    if let Some((user, password)) = &url.login {
        client.login(&url.auth_source, user, password).map_err(|error| match error {
            Error::Network(_) => wait(error),
            Error::Server { .. } => Refusal::Final(error.to_string()),
        })?;
    }
    Ok(client)
}

/// What `server/startup/serverRunning.js` says.
pub(super) const NO_SET: &str = "OPLOG / REPLICASET IS REQUIRED TO RUN ROCKET.CHAT, MORE INFORMATION AT:\n\
     https://go.rocket.chat/i/oplog-required";
