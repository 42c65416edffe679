//! The mongodump and mongorestore stand-ins: one program, as what it is called, for `--archive` on standard streams.
//!
//! Flags are those of the database tools 100.x (MongoDB manual, "mongodump" and "mongorestore"): `--config` is a YAML
//! file that may hold `password:` and nothing of the rest; any other flag is refused as the tools do. The archive itself
//! is the stand-in's own: lines of extended JSON, gzipped by name only.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use bson::{Bson, Document, doc};
use rcfed_standins::mongo::client::Client;

fn main() -> ExitCode {
    let restores = std::env::args().next().is_some_and(|name| name.ends_with("mongorestore"));
    match run(restores) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("Failed: {text}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Options {
    host: String,
    port: u16,
    username: String,
    source: String,
    password: String,
    db: Option<String>,
    archive: bool,
    drop: bool,
}

fn options(restores: bool) -> Result<Options, String> {
    let mut options = Options { host: "localhost".into(), port: 27017, ..Options::default() };
    for argument in std::env::args().skip(1) {
        let (name, value) = argument.split_once('=').unwrap_or((&argument, ""));
        match name {
            "--quiet" | "--gzip" => {}
            "--archive" if value.is_empty() => options.archive = true,
            "--drop" if restores => options.drop = true,
            "--host" => options.host = value.into(),
            "--port" => options.port = value.parse().map_err(|_| format!("invalid port '{value}'"))?,
            "--username" => options.username = value.into(),
            "--authenticationDatabase" => options.source = value.into(),
            "--db" if !restores => options.db = Some(value.into()),
            "--config" => {
                let text = std::fs::read_to_string(value)
                    .map_err(|error| format!("error opening file with --config: open {value}: {error}"))?;
                let line = text.lines().find_map(|line| line.strip_prefix("password: "));
                let line = line.ok_or("error parsing config file: no password")?;
                options.password = line.trim_matches('"').into();
            }
            _ => {
                return Err(format!(
                    "error parsing command line options: unknown option \"{}\"",
                    name.trim_matches('-')
                ));
            }
        }
    }
    if options.archive { Ok(options) } else { Err("the stand-in dumps to --archive only".into()) }
}

fn run(restores: bool) -> Result<(), String> {
    let options = options(restores)?;
    let told = |error: rcfed_standins::mongo::client::Error| format!("error connecting to db server: {error}");
    let mut client = Client::connect(&options.host, options.port).map_err(told)?;
    client.login(&options.source, &options.username, &options.password).map_err(told)?;
    if restores { restore(&mut client, options.drop) } else { dump(&mut client, options.db.as_deref()) }
}

/// The command of a Client's own reply as documents.
fn find(client: &mut Client, db: &str, collection: &str) -> Result<Vec<Document>, String> {
    let reply = client.run(db, doc! { "find": collection, "filter": {} }).map_err(|error| error.to_string())?;
    let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch").cloned());
    let batch = batch.map_err(|error| error.to_string())?;
    Ok(batch.into_iter().filter_map(|document| document.as_document().cloned()).collect())
}

fn dump(client: &mut Client, only: Option<&str>) -> Result<(), String> {
    let reply = client.run("admin", doc! { "listDatabases": 1 }).map_err(|error| error.to_string())?;
    let databases = reply.get_array("databases").cloned().unwrap_or_default();
    let names = databases.iter().filter_map(|database| database.as_document()?.get_str("name").ok());
    let mut out = std::io::stdout().lock();
    writeln!(out, "{{\"archive\":\"standin\"}}").map_err(|error| error.to_string())?;
    // `local` is never dumped (manual, "mongodump": "excludes the content of the local database").
    for db in names.filter(|name| *name != "local" && only.is_none_or(|only| only == *name)) {
        let reply = client.run(db, doc! { "listCollections": 1 }).map_err(|error| error.to_string())?;
        let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch").cloned());
        for collection in batch.unwrap_or_default() {
            let Some(name) = collection.as_document().and_then(|c| c.get_str("name").ok()) else { continue };
            let documents: Vec<_> = find(client, db, name)?.into_iter().map(Bson::Document).collect();
            let line = Bson::Document(doc! { "db": db, "collection": name, "documents": documents });
            writeln!(out, "{}", line.into_canonical_extjson()).map_err(|error| error.to_string())?;
        }
    }
    out.flush().map_err(|error| error.to_string())
}

fn restore(client: &mut Client, drop: bool) -> Result<(), String> {
    let mut lines = std::io::stdin().lock().lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    if first != "{\"archive\":\"standin\"}" {
        return Err("stream or file does not appear to be a mongodump archive".into());
    }
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(&line.map_err(|error| error.to_string())?)
            .map_err(|error| format!("corruption found in archive: {error}"))?;
        let Ok(Bson::Document(entry)) = Bson::try_from(value) else { return Err("corruption found in archive".into()) };
        let text = |name: &str| entry.get_str(name).map(String::from).map_err(|error| error.to_string());
        let (db, collection) = (text("db")?, text("collection")?);
        if drop && db != "admin" {
            for document in find(client, &db, &collection)? {
                let delete = doc! { "q": { "_id": document.get("_id").cloned() }, "limit": 1 };
                let command = doc! { "delete": &collection, "deletes": [delete] };
                client.run(&db, command).map_err(|error| error.to_string())?;
            }
        }
        let mut documents = entry.get_array("documents").cloned().unwrap_or_default();
        if db == "admin" {
            // Users are merged, never dropped first: the one who restores is among them (mongo-tools, `RestoreUsersOrRoles`).
            let there: Vec<_> = find(client, &db, &collection)?.iter().map(|it| it.get("_id").cloned()).collect();
            documents.retain(|it| it.as_document().is_none_or(|it| !there.contains(&it.get("_id").cloned())));
        }
        if !documents.is_empty() {
            let command = doc! { "insert": &collection, "documents": documents };
            client.run(&db, command).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
