//! Commands: who may ask for them, when, and what they answer.

use std::io;

use bson::{Bson, Document, doc};
use serde_json::json;

use super::args::Args;
use super::data::Data;
use super::log;
use super::replica::{Replica, State, election_id};
use super::scram::{self, Conversation};
use super::users::{self, Privilege, Who};

/// What all connections share.
pub(super) struct Server {
    pub(super) args: Args,
    pub(super) data: Data,
    pub(super) replica: Option<Replica>,
    pub(super) version: String,
}

/// What one connection is.
pub(super) struct Session {
    pub(super) loopback: bool,
    pub(super) who: Option<Who>,
    pub(super) conversation: Option<(Who, Conversation)>,
}

/// A refusal as it goes over the wire.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: i32,
    name: &'static str,
    text: String,
}

impl Failure {
    pub(super) fn new(code: i32, name: &'static str, text: &str) -> Self {
        Self { code, name, text: text.into() }
    }

    fn reply(&self) -> Document {
        doc! { "ok": 0.0, "errmsg": &self.text, "code": self.code, "codeName": self.name }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self { code: 8, name: "UnknownError", text: error.to_string() }
    }
}

impl Server {
    /// Answers one command.
    pub(super) fn answer(&mut self, session: &mut Session, command: &Document) -> Document {
        let name = command.keys().next().cloned().unwrap_or_default();
        match self.run(session, &name, command) {
            Ok(mut reply) => {
                reply.insert("ok", 1.0);
                reply
            }
            Err(failure) => failure.reply(),
        }
    }

    fn run(&mut self, session: &mut Session, name: &str, command: &Document) -> Result<Document, Failure> {
        let db = command
            .get_str("$db")
            .map_err(|_| Failure::new(40571, "Location40571", "OP_MSG requests require a $db argument"))?;
        match name {
            "hello" | "isMaster" | "ismaster" => return Ok(self.hello(name, command)),
            "ping" | "endSessions" | "logout" => return Ok(Document::new()),
            "buildInfo" | "buildinfo" => {
                return Ok(doc! { "version": &self.version, "maxBsonObjectSize": 16_777_216, "modules": [] });
            }
            "saslStart" => return self.sasl_start(session, db, command),
            "saslContinue" => return self.sasl_continue(session, command),
            _ => {}
        }
        let privilege = match name {
            "createUser" | "updateUser" | "dropUser" | "usersInfo" => Privilege::Users,
            "find" => Privilege::Read,
            "insert" | "update" | "delete" => Privilege::Write,
            "replSetGetStatus" => Privilege::Monitor,
            "replSetInitiate" => Privilege::Replica,
            _ => return Err(Failure::new(59, "CommandNotFound", &format!("no such command: '{name}'"))),
        };
        self.authorize(session, name, privilege, db)?;
        if name.starts_with("replSet") && db != "admin" {
            return Err(Failure::new(
                13,
                "Unauthorized",
                &format!("{name} may only be run against the admin database."),
            ));
        }
        match name {
            "replSetGetStatus" => return self.replica()?.status(),
            "replSetInitiate" => return self.initiate(command),
            "usersInfo" => return users::info(&self.data, db, command.get("usersInfo").unwrap_or(&Bson::Null)),
            _ => self.primary(name)?,
        }
        let collection = || {
            let name = command.get_str(name).ok().filter(|name| !name.is_empty());
            let missing = || Failure::new(73, "InvalidNamespace", "collection name has invalid type");
            name.map(|name| format!("{db}.{name}")).ok_or_else(missing)
        };
        match name {
            "createUser" => users::create(&mut self.data, db, command).map(|()| Document::new()),
            "updateUser" => users::update(&mut self.data, db, command).map(|()| Document::new()),
            "dropUser" => users::drop_user(&mut self.data, db, command).map(|()| Document::new()),
            "find" => self.find(&collection()?, command),
            "insert" => self.insert(&collection()?, command),
            "update" => self.update(&collection()?, command),
            _ => self.delete(&collection()?, command),
        }
    }

    /// With access control only those who logged in may do something. Until there is a user, somebody on the loopback
    /// interface may begin the set and make the first user on `admin` (MongoDB manual, "Localhost Exception"; the
    /// privileges are those of `getDefaultPrivileges` in the server's authorization_session_impl.cpp).
    fn authorize(&self, session: &Session, name: &str, privilege: Privilege, db: &str) -> Result<(), Failure> {
        if !self.args.access_control() {
            return Ok(());
        }
        let Some(who) = &session.who else {
            let excepted =
                matches!(name, "replSetInitiate" | "replSetGetStatus") || name == "createUser" && db == "admin";
            if excepted && session.loopback && users::none(&self.data) {
                return Ok(());
            }
            return Err(Failure::new(13, "Unauthorized", &format!("Command {name} requires authentication")));
        };
        if who.may(&self.data, privilege, db) {
            return Ok(());
        }
        Err(Failure::new(13, "Unauthorized", &format!("not authorized on {db} to execute command {name}")))
    }

    fn primary(&self, name: &str) -> Result<(), Failure> {
        match self.replica.as_ref().map(Replica::state) {
            None | Some(State::Primary) => Ok(()),
            Some(_) if name == "find" => {
                Err(Failure::new(13435, "NotPrimaryNoSecondaryOk", "not primary and secondaryOk=false"))
            }
            Some(_) => Err(Failure::new(10107, "NotWritablePrimary", "not primary")),
        }
    }

    fn replica(&mut self) -> Result<&mut Replica, Failure> {
        let missing = || Failure::new(76, "NoReplicationEnabled", "not running with --replSet");
        self.replica.as_mut().ok_or_else(missing)
    }

    fn hello(&self, name: &str, command: &Document) -> Document {
        let mut reply = match &self.replica {
            Some(replica) => replica.hello(),
            None => doc! { "isWritablePrimary": true },
        };
        if name != "hello" {
            let primary = reply.remove("isWritablePrimary").unwrap_or(Bson::Boolean(false));
            reply.insert("ismaster", primary);
        }
        if reply.contains_key("primary") {
            reply.insert("electionId", election_id());
        }
        reply.extend(doc! {
            "helloOk": true, "maxBsonObjectSize": 16_777_216, "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000, "localTime": bson::DateTime::now(), "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0, "maxWireVersion": 21, "readOnly": false,
        });
        if command.contains_key("saslSupportedMechs") {
            reply.insert("saslSupportedMechs", vec!["SCRAM-SHA-256"]);
        }
        reply
    }

    fn initiate(&mut self, command: &Document) -> Result<Document, Failure> {
        let port = self.args.port;
        let config = self.replica()?.prove(command.get_document("replSetInitiate").ok(), port)?;
        let mut stored = config.clone();
        let id = stored.insert("_id", REPLICA_ID);
        self.data.put(REPLICA, doc! { "_id": REPLICA_ID, "name": id.unwrap_or(Bson::Null), "config": stored })?;
        log::info("REPL", 21356, "replSetInitiate admin command received from client", json!({}));
        self.replica()?.initiate(config);
        Ok(Document::new())
    }

    fn sasl_start(&self, session: &mut Session, db: &str, command: &Document) -> Result<Document, Failure> {
        if command.get_str("mechanism").ok() != Some("SCRAM-SHA-256") {
            return Err(Failure::new(334, "MechanismUnavailable", "the stand-in knows SCRAM-SHA-256 only"));
        }
        let first = scram::payload(command).ok_or_else(auth_failed)?;
        let who = Who { name: Conversation::user(&first).ok_or_else(auth_failed)?, db: db.into() };
        let Some(kept) = users::credentials(&self.data, &who) else {
            return Err(self.refuse(&who, "UserNotFound: Could not find user"));
        };
        let (conversation, answer) = Conversation::start(&first, kept).ok_or_else(auth_failed)?;
        session.conversation = Some((who, conversation));
        Ok(doc! { "conversationId": 1, "done": false, "payload": scram::binary(answer) })
    }

    fn sasl_continue(&self, session: &mut Session, command: &Document) -> Result<Document, Failure> {
        let (who, conversation) = session
            .conversation
            .take()
            .ok_or_else(|| Failure::new(17, "ProtocolError", "No SASL session state found"))?;
        let payload = scram::payload(command).ok_or_else(auth_failed)?;
        let Some(answer) = conversation.finish(&payload) else {
            return Err(self.refuse(&who, "AuthenticationFailed: SCRAM authentication failed, storedKey mismatch"));
        };
        log::info("ACCESS", 5286306, "Successfully authenticated", json!({ "user": who.name, "db": who.db }));
        session.who = Some(who);
        Ok(doc! { "conversationId": 1, "done": true, "payload": scram::binary(answer) })
    }

    fn refuse(&self, who: &Who, why: &str) -> Failure {
        let attributes = json!({ "user": who.name, "db": who.db, "error": why });
        log::info("ACCESS", 5286307, "Failed to authenticate", attributes);
        auth_failed()
    }

    fn find(&self, namespace: &str, command: &Document) -> Result<Document, Failure> {
        let filter = command.get_document("filter").cloned().unwrap_or_default();
        let found = self.data.find(namespace, id_of(&filter)?);
        let found: Vec<_> = found.into_iter().map(Bson::Document).collect();
        Ok(doc! { "cursor": { "firstBatch": found, "id": 0_i64, "ns": namespace } })
    }

    fn insert(&mut self, namespace: &str, command: &Document) -> Result<Document, Failure> {
        let mut inserted = 0;
        for document in list(command, "documents")? {
            let Some(id) = document.get("_id").cloned() else {
                return Err(Failure::new(2, "BadValue", "the stand-in wants an _id (drivers make one)"));
            };
            if !self.data.find(namespace, Some(&id)).is_empty() {
                let text =
                    format!("E11000 duplicate key error collection: {namespace} index: _id_ dup key: {{ _id: {id} }}");
                return Ok(
                    doc! { "n": inserted, "writeErrors": [{ "index": inserted, "code": 11000, "errmsg": text }] },
                );
            }
            self.data.put(namespace, document.clone())?;
            inserted += 1;
        }
        Ok(doc! { "n": inserted })
    }

    fn update(&mut self, namespace: &str, command: &Document) -> Result<Document, Failure> {
        let (mut matched, mut upserted) = (0, Vec::new());
        for update in list(command, "updates")? {
            let filter = update.get_document("q").cloned().unwrap_or_default();
            let id = id_of(&filter)?.ok_or_else(|| unsupported("an update without _id"))?.clone();
            let mut document = update.get_document("u").cloned().unwrap_or_default();
            if document.keys().any(|key| key.starts_with('$')) {
                return Err(unsupported("an update operator"));
            }
            document.insert("_id", id.clone());
            let there = !self.data.find(namespace, Some(&id)).is_empty();
            if there || update.get_bool("upsert").ok() == Some(true) {
                self.data.put(namespace, document)?;
                matched += 1;
            }
            if !there && matched > 0 {
                upserted.push(Bson::Document(doc! { "index": 0, "_id": id }));
            }
        }
        Ok(doc! { "n": matched, "nModified": matched, "upserted": upserted })
    }

    fn delete(&mut self, namespace: &str, command: &Document) -> Result<Document, Failure> {
        let mut removed = 0;
        for delete in list(command, "deletes")? {
            let filter = delete.get_document("q").cloned().unwrap_or_default();
            let id = id_of(&filter)?.ok_or_else(|| unsupported("a delete without _id"))?;
            removed += i32::from(self.data.remove(namespace, id)?);
        }
        Ok(doc! { "n": removed })
    }
}

/// The stored configuration of the set, under the name it was begun with.
pub(super) fn stored_config(data: &Data) -> Option<Document> {
    let stored = data.find(REPLICA, Some(&REPLICA_ID.into())).pop()?;
    let mut config = stored.get_document("config").ok()?.clone();
    config.insert("_id", stored.get("name")?.clone());
    Some(config)
}

fn id_of(filter: &Document) -> Result<Option<&Bson>, Failure> {
    match (filter.len(), filter.get("_id")) {
        (0, _) => Ok(None),
        (1, Some(id)) if id.as_document().is_none() => Ok(Some(id)),
        _ => Err(unsupported("a filter other than by _id")),
    }
}

fn list<'a>(command: &'a Document, name: &str) -> Result<Vec<&'a Document>, Failure> {
    let missing =
        || Failure::new(40414, "Location40414", &format!("BSON field '{name}' is missing but a required field"));
    Ok(command.get_array(name).map_err(|_| missing())?.iter().filter_map(Bson::as_document).collect())
}

fn unsupported(what: &str) -> Failure {
    Failure::new(238, "NotImplemented", &format!("the stand-in does not know {what}"))
}

fn auth_failed() -> Failure {
    Failure::new(18, "AuthenticationFailed", "Authentication failed.")
}

const REPLICA: &str = "local.system.replset";
const REPLICA_ID: &str = "standin";
