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
            "find" | "listCollections" => Privilege::Read,
            "listDatabases" => Privilege::Users,
            "insert" | "update" | "delete" => Privilege::Write,
            "replSetGetStatus" => Privilege::Monitor,
            "replSetInitiate" | "replSetStepDown" => Privilege::Replica,
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
            "replSetStepDown" => return self.replica()?.step_down(command).map(|()| Document::new()),
            "listDatabases" => return Ok(self.list_databases()),
            "listCollections" => return Ok(self.list_collections(db)),
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
}

/// The stored configuration of the set, under the name it was begun with.
pub(super) fn stored_config(data: &Data) -> Option<Document> {
    let stored = data.find(REPLICA, Some(&REPLICA_ID.into())).pop()?;
    let mut config = stored.get_document("config").ok()?.clone();
    config.insert("_id", stored.get("name")?.clone());
    Some(config)
}

fn auth_failed() -> Failure {
    Failure::new(18, "AuthenticationFailed", "Authentication failed.")
}

const REPLICA: &str = "local.system.replset";
const REPLICA_ID: &str = "standin";
