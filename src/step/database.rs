//! MongoDB's replica set and users, PostgreSQL's role and database.
//!
//! Not by the images' init variables: those run once, on an empty volume, and half if they are killed. Everything here
//! runs over exec, looks first, and can be run again. Passwords are read inside the container from mounted files.

use std::time::Duration;

use serde_json::{Value, json};

use super::error::StepError;
use super::ready::Watch;
use super::words;
use super::{State, dump, replace};
use crate::config::Service;
use crate::error::Result;
use crate::machine::Machine;
use crate::ui::Task;

pub(super) async fn inspect(machine: &Machine, service: Service) -> Result<State> {
    let running = machine.url(service, 0).await?.is_some();
    if !running {
        return Ok(State::Absent);
    }
    let ready = match service {
        Service::Mongodb => mongodb_ready(machine).await?,
        _ => postgres_ready(machine).await?,
    };
    Ok(if ready { State::Current } else { State::Absent })
}

pub(super) async fn apply(machine: &Machine, service: Service, task: &Task) -> Result<String> {
    let mut watch = Watch::new(service);
    loop {
        let step = match service {
            Service::Mongodb => mongodb_next(machine).await?,
            _ => postgres_next(machine).await?,
        };
        let Some(waiting) = step else {
            replace::settled(machine, service)?;
            return Ok(String::new());
        };
        task.note(waiting);
        if let Err(error) = watch.look(machine).await {
            return Err(dump::stopped(machine, service, error).await?);
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// Asked as Rocket.Chat's user, so that one start of mongosh, which is slow, tells about the replica set and the user.
async fn mongodb_ready(machine: &Machine) -> Result<bool> {
    let Ok(hello) = mongo(machine, Some("rocketchat"), &json!({"hello": 1})).await? else { return Ok(false) };
    Ok(hello["setName"] == "rs0" && hello["isWritablePrimary"] == true)
}

/// Does the next thing that is missing; `None` when nothing is, else what is being waited for.
async fn mongodb_next(machine: &Machine) -> Result<Option<String>> {
    let hello = match mongo(machine, None, &json!({"hello": 1})).await? {
        Ok(hello) => hello,
        Err(said) => return Ok(Some(said)),
    };
    if hello["setName"].is_null() {
        let config = json!({"_id": "rs0", "members": [{"_id": 0, "host": "mongodb:27017"}]});
        let done = mongo(machine, None, &json!({"replSetInitiate": config})).await?;
        return Ok(Some(done.err().unwrap_or_else(|| words::INITIATED.into())));
    }
    if hello["isWritablePrimary"] != true {
        return Ok(Some(words::ELECTING.into()));
    }
    if mongo(machine, Some("rcfed"), &json!({"ping": 1})).await?.is_err() {
        // Possible without a password only from inside the container and only while there is no user at all.
        let create = json!({"createUser": "rcfed", "pwd": "@mongo_admin@", "roles": ["root"]});
        let done = mongo(machine, None, &create).await?;
        return Ok(Some(done.err().unwrap_or_else(|| "the administrator was made".into())));
    }
    if mongo(machine, Some("rocketchat"), &json!({"ping": 1})).await?.is_ok() {
        return Ok(None);
    }
    let roles = json!([
        {"role": "readWrite", "db": "rocketchat"},
        {"role": "read", "db": "local"},
        {"role": "clusterMonitor", "db": "admin"},
    ]);
    let user = |verb: &str| json!({verb: "rocketchat", "pwd": "@mongo_rocketchat@", "roles": roles});
    let users = mongo(machine, Some("rcfed"), &json!({"usersInfo": "rocketchat"})).await?;
    let exists = users.is_ok_and(|answer| answer["users"].as_array().is_some_and(|users| !users.is_empty()));
    let done = mongo(machine, Some("rcfed"), &user(if exists { "updateUser" } else { "createUser" })).await?;
    Ok(Some(done.err().unwrap_or_else(|| "Rocket.Chat's user was made".into())))
}

/// Runs one command on MongoDB's `admin` database, as a user or from inside without one.
///
/// A string `"@name@"` in the command is the content of that mounted file, read by mongosh, so that no password stands
/// in the arguments. `Err` holds MongoDB's words.
pub(crate) async fn mongo(machine: &Machine, user: Option<&str>, command: &Value) -> Result<Result<Value, String>> {
    let file = |user: &str| if user == "rcfed" { "mongo_admin" } else { "mongo_rocketchat" };
    let mut object = command.to_string();
    for name in ["mongo_admin", "mongo_rocketchat"] {
        object = object.replace(&format!("\"@{name}@\""), &format!("secret(\"{name}\")"));
    }
    let auth = user.map(|user| format!("db.getSiblingDB(\"admin\").auth(\"{user}\", secret(\"{}\"));\n", file(user)));
    let script = format!(
        "const secret = (name) => require(\"fs\").readFileSync(\"/run/rcfed/\" + name, \"utf8\").trim();\n{}\
         try {{ print(EJSON.stringify(db.getSiblingDB(\"admin\").runCommand({object}))) }} \
         catch (e) {{ print(EJSON.stringify({{ok: 0, code: e.code, codeName: e.codeName, errmsg: e.message}})) }}",
        auth.unwrap_or_default()
    );
    let command = ["mongosh", "--quiet", "--norc", "--port", "27017", "--eval", &script];
    let output = match machine.docker.exec(&Service::Mongodb.container(), &command, Duration::from_secs(30)).await {
        Ok(output) => output,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let last = |text: &str| text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no answer").to_string();
    if output.code != 0 {
        return Ok(Err(last(&format!("{}\n{}", output.stdout, output.stderr))));
    }
    let answer: Value = match serde_json::from_str(&last(&output.stdout)) {
        Ok(answer) => answer,
        Err(_) => return Ok(Err(last(&output.stdout))),
    };
    let fine = answer["ok"].as_f64().is_some_and(|ok| ok > 0.0);
    Ok(if fine { Ok(answer) } else { Err(answer["errmsg"].as_str().unwrap_or("no reason given").to_string()) })
}

async fn postgres_ready(machine: &Machine) -> Result<bool> {
    match homeserver_login(machine).await? {
        Ok(answer) => collation(&answer),
        Err(_) => {
            // Not as wanted; but a database that somebody else made is to be told from one that is missing.
            let Ok(answer) = psql(machine, &["-tAc", COLLATION]).await? else { return Ok(false) };
            collation(&answer).and(Ok(false))
        }
    }
}

pub(crate) const COLLATION: &str = "SELECT pg_encoding_to_char(encoding) || ' ' || datcollate || ' ' || datctype FROM pg_database WHERE datname = 'homeserver'";

/// Whether the database is there; an error if it is one the homeserver refuses.
fn collation(answer: &str) -> Result<bool> {
    match answer.trim() {
        "" => Ok(false),
        "UTF8 C C" => Ok(true),
        other => Err(StepError::Collation(other.into()).into()),
    }
}

/// Encoding and collation as the homeserver sees them, who logs in over the network with the password mounted into the
/// container: one program tells about role, password, database and collation. `Err` holds PostgreSQL's words.
pub(crate) async fn homeserver_login(machine: &Machine) -> Result<Result<String, String>> {
    let login = format!(
        "PGPASSWORD=$(cat /run/rcfed/postgres_homeserver) psql -X -h 127.0.0.1 -U homeserver -d homeserver -tAc \"{COLLATION}\""
    );
    let command = ["sh", "-c", &login];
    let output = machine.docker.exec(&Service::Postgres.container(), &command, Duration::from_secs(30)).await;
    Ok(match output {
        Ok(output) if output.code == 0 => Ok(output.stdout),
        Ok(output) => Err(output.stderr.trim().to_string()),
        Err(error) => Err(error.to_string()),
    })
}

async fn postgres_next(machine: &Machine) -> Result<Option<String>> {
    if postgres_ready(machine).await? {
        return Ok(None);
    }
    let done = psql(machine, &["-v", "ON_ERROR_STOP=1", "-f", "/run/rcfed/role.sql"]).await?;
    Ok(Some(done.err().unwrap_or_else(|| words::ROLE_MADE.into())))
}

/// Runs psql as the database's own user over its socket; `Err` holds PostgreSQL's words.
pub(crate) async fn psql(machine: &Machine, arguments: &[&str]) -> Result<Result<String, String>> {
    let mut command = vec!["psql", "-X", "-q", "-U", "postgres", "-d", "postgres"];
    command.extend(arguments);
    let output = match machine.docker.exec(&Service::Postgres.container(), &command, Duration::from_secs(30)).await {
        Ok(output) => output,
        Err(error) => return Ok(Err(error.to_string())),
    };
    Ok(if output.code == 0 { Ok(output.stdout) } else { Err(output.stderr.trim().to_string()) })
}
