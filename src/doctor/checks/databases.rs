//! MongoDB is a primary, PostgreSQL has the right collation, and both let their servers in.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::Site;
use super::super::check::{Check, Doc, Place, with_homeserver, with_own_rocketchat};
use super::containers::container;
use crate::config::Service;
use crate::error::Result;
use crate::finding::Finding;
use crate::step::database::{COLLATION, mongo, psql};

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "container.mongodb",
        place: Place::Databases,
        applies: with_own_rocketchat,
        needs: &["docker.engine", "docker.network", "docker.volumes", "machine.avx"],
        limit: 8,
        run: |site| Box::pin(container(site, "container.mongodb", Service::Mongodb)),
        doc: Doc {
            what: "MongoDB's container: whether it runs, how often it was restarted, whether it is on the network and as the configuration says.",
            why: "Rocket.Chat keeps everything in MongoDB and ends when it is gone.",
            fails: "Rocket.Chat restarts again and again; people see a connection error.",
            fix: "`sudo rcfed apply` starts it; its last lines say why it ended.",
            source: "Docker Engine API, container inspect.",
        },
    },
    Check {
        id: "mongodb.primary",
        place: Place::Databases,
        applies: with_own_rocketchat,
        needs: &["container.mongodb"],
        limit: 15,
        run: |site| Box::pin(async move { vec![told("mongodb.primary", "MongoDB", primary(&site).await)] }),
        doc: Doc {
            what: "Whether MongoDB's replica set `rs0` has a primary that takes writes, asked with `hello`.",
            why: "Rocket.Chat follows the replica set's log; without a primary it can neither write nor see changes.",
            fails: "Rocket.Chat prints `REPLICASET IS REQUIRED` or hangs when it starts.",
            fix: "`sudo docker restart rcfed-mongodb` lets it elect itself; `sudo rcfed apply` initiates a set that was never made.",
            source: "MongoDB manual, `hello`; Rocket.Chat server/startup/serverRunning.js.",
        },
    },
    Check {
        id: "mongodb.login",
        place: Place::Databases,
        applies: with_own_rocketchat,
        needs: &["mongodb.primary", "files.secrets"],
        limit: 15,
        run: |site| Box::pin(async move { vec![told("mongodb.login", "MongoDB", mongodb_login(&site).await)] }),
        doc: Doc {
            what: "Whether MongoDB lets Rocket.Chat's user in with the password on disk.",
            why: "A volume of an earlier deployment, or a restored one, has another password.",
            fails: "Rocket.Chat ends with `Authentication failed`.",
            fix: "`sudo rcfed apply` gives the user the password on disk.",
            source: "MongoDB manual, SCRAM.",
        },
    },
    Check {
        id: "container.postgres",
        place: Place::Databases,
        applies: with_homeserver,
        needs: &["docker.engine", "docker.network", "docker.volumes"],
        limit: 8,
        run: |site| Box::pin(container(site, "container.postgres", Service::Postgres)),
        doc: Doc {
            what: "PostgreSQL's container: whether it runs, how often it was restarted, whether it is on the network and as the configuration says.",
            why: "The homeserver keeps rooms, events and keys in it.",
            fails: "The homeserver answers 500 or ends; nothing federates.",
            fix: "`sudo rcfed apply` starts it; its last lines say why it ended.",
            source: "Docker Engine API, container inspect.",
        },
    },
    Check {
        id: "postgres.database",
        place: Place::Databases,
        applies: with_homeserver,
        needs: &["container.postgres"],
        limit: 10,
        run: |site| Box::pin(async move { vec![told("postgres.database", "PostgreSQL", database(&site).await)] }),
        doc: Doc {
            what: "Whether the homeserver's database exists, with encoding UTF8 and collation C.",
            why: "Synapse refuses any other collation, since an upgrade of the C library would damage its indexes.",
            fails: "The homeserver ends with `incorrect collation` or `database does not exist`.",
            fix: "`sudo rcfed apply` makes a missing one; one with another collation has to be dumped and restored.",
            source: "Synapse documentation, postgres.md.",
        },
    },
    Check {
        id: "postgres.login",
        place: Place::Databases,
        applies: with_homeserver,
        needs: &["postgres.database", "files.secrets"],
        limit: 10,
        run: |site| Box::pin(async move { vec![told("postgres.login", "PostgreSQL", postgres_login(&site).await)] }),
        doc: Doc {
            what: "Whether PostgreSQL lets the homeserver's role in with the password on disk.",
            why: "A volume of an earlier deployment, or a restored one, has another password.",
            fails: "The homeserver ends with `password authentication failed`.",
            fix: "`sudo rcfed apply` gives the role the password on disk.",
            source: "PostgreSQL documentation, client authentication.",
        },
    },
];

/// An error is no finding about the thing: it could not be looked at.
fn told(id: &'static str, subject: &str, result: Result<Finding>) -> Finding {
    result.unwrap_or_else(|error| Finding::unknown(id, subject, error.message()))
}

async fn primary(site: &Arc<Site>) -> Result<Finding> {
    let hello = match site.mongodb().await {
        Ok(hello) => Ok(hello.clone()),
        // Everybody may ask this.
        Err(_) => mongo(&site.machine, None, &json!({"hello": 1})).await?,
    };
    Ok(judge_primary(hello))
}

fn judge_primary(hello: Result<Value, String>) -> Finding {
    let fail = |said: &str| Finding::fail("mongodb.primary", "MongoDB", said);
    let hello = match hello {
        Ok(hello) => hello,
        Err(said) => return fail("does not answer").seen(said).command("sudo docker restart rcfed-mongodb"),
    };
    if hello["setName"].is_null() {
        return fail("has no replica set").command("sudo rcfed apply");
    }
    if hello["setName"] != "rs0" {
        return fail("has another replica set than `rs0`").seen(format!("setName: {}", hello["setName"])).remedy(
            "this database was not made by rcfed: keep a copy of the volume `rcfed-mongodb`, remove it with its container, run `sudo rcfed apply`, and \
             restore a dump into the new one",
        );
    }
    if hello["isWritablePrimary"] != true {
        return fail("is not primary, so nothing can be written")
            .seen(format!("members: {}", hello["hosts"]))
            .command("sudo docker restart rcfed-mongodb");
    }
    Finding::ok("mongodb.primary", "MongoDB", "is the primary of rs0")
}

async fn mongodb_login(site: &Arc<Site>) -> Result<Finding> {
    Ok(judge_login("mongodb.login", "MongoDB", "Rocket.Chat", site.mongodb().await.as_ref().err()))
}

/// Whether `whom` is let in; `refused` is why not.
fn judge_login(id: &'static str, database: &str, whom: &str, refused: Option<&String>) -> Finding {
    match refused {
        None => Finding::ok(id, database, format!("lets {whom} in")),
        Some(said) => {
            Finding::fail(id, database, format!("does not let {whom} in")).seen(said).command("sudo rcfed apply")
        }
    }
}

async fn database(site: &Arc<Site>) -> Result<Finding> {
    let answer = match site.postgres().await {
        Ok(answer) => Ok(answer.clone()),
        // The database's own user is always let in.
        Err(_) => psql(&site.machine, &["-tAc", COLLATION]).await?,
    };
    Ok(judge_database(answer))
}

/// `answer` is encoding, collation and character type.
fn judge_database(answer: Result<String, String>) -> Finding {
    let fail = |said: &str| Finding::fail("postgres.database", "PostgreSQL", said);
    match answer.as_deref().map(str::trim) {
        Err(said) => fail("does not answer").seen(said).command("sudo docker restart rcfed-postgres"),
        Ok("UTF8 C C") => Finding::ok("postgres.database", "PostgreSQL", "has the homeserver's database"),
        Ok("") => fail("has no database `homeserver`").command("sudo rcfed apply"),
        Ok(other) => fail(&format!("has the homeserver's database as `{other}`, not as `UTF8 C C`")).remedy(
            "dump it, remove container and volume `rcfed-postgres`, run `sudo rcfed apply`, and restore the dump",
        ),
    }
}

async fn postgres_login(site: &Arc<Site>) -> Result<Finding> {
    Ok(judge_login("postgres.login", "PostgreSQL", "the homeserver", site.postgres().await.as_ref().err()))
}

#[cfg(test)]
mod tests {
    use super::super::super::report::tests::told;
    use super::*;

    #[test]
    fn databases_in_words() {
        let silent = "connection refused".to_owned();
        let set = |name: &str, primary: bool| {
            judge_primary(Ok(json!({"setName": name, "isWritablePrimary": primary, "hosts": ["mongodb:27017"]})))
        };
        insta::assert_snapshot!(told([
            set("rs0", true),
            set("rs0", false),
            set("rs1", true),
            judge_primary(Ok(json!({}))),
            judge_primary(Err(silent.clone())),
            judge_login("mongodb.login", "MongoDB", "Rocket.Chat", None),
            judge_login("mongodb.login", "MongoDB", "Rocket.Chat", Some(&"Authentication failed".to_owned())),
            judge_database(Ok("UTF8 C C\n".into())),
            judge_database(Ok("UTF8 C.utf8 C.utf8\n".into())),
            judge_database(Ok("\n".into())),
            judge_database(Err(silent)),
            judge_login("postgres.login", "PostgreSQL", "the homeserver", None),
        ]));
    }
}
