//! PostgreSQL: the connection, the checks made on it, and the few tables the stand-in keeps.
//!
//! Connection strings are lib/pq's (v1.10.9, which Dendrite 0.15.2 is built with): without `sslmode` it insists on TLS, and
//! `prefer` and `allow` are not known to it.

use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use super::Stop;
use super::config::Config;
use super::log;

/// The tables, made at startup as Dendrite makes and migrates its own.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS standin_accounts (localpart TEXT PRIMARY KEY, appservice TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS standin_devices (token TEXT PRIMARY KEY, localpart TEXT NOT NULL, device TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS standin_events (event_id TEXT PRIMARY KEY, room_id TEXT NOT NULL, event TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS standin_members
    (room_id TEXT, user_id TEXT, membership TEXT NOT NULL, PRIMARY KEY (room_id, user_id));
";

/// An open database.
pub struct Database {
    client: Client,
}

type Outcome<T> = Result<T, tokio_postgres::Error>;

impl Database {
    /// Connects, checks and makes the tables.
    ///
    /// # Errors
    /// With the text Dendrite ends with; it panics (status 2) because the room server opens its storage so.
    pub async fn open(config: &Config, skip_sanity: bool) -> Result<Self, Stop> {
        Self::connect(config, skip_sanity)
            .await
            .map_err(|why| Stop::Panic(format!("failed to connect to room server db: {why}")))
    }

    async fn connect(config: &Config, skip_sanity: bool) -> Result<Self, String> {
        let string = &config.connection_string;
        check_string(string)?;
        let (client, connection) = tokio_postgres::connect(string, NoTls).await.map_err(|why| explain(&why))?;
        tokio::spawn(async move {
            if let Err(why) = connection.await {
                log::error(&format!("database connection: {}", explain(&why)));
            }
        });
        let database = Self { client };
        database.check(config, skip_sanity).await?;
        database.client.batch_execute(SCHEMA).await.map_err(|why| explain(&why))?;
        Ok(database)
    }

    async fn check(&self, config: &Config, skip_sanity: bool) -> Result<(), String> {
        let setting = |name: &'static str, what: &'static str| async move {
            let sql = "SELECT setting FROM pg_settings WHERE name = $1";
            let row = self.client.query_one(sql, &[&name]).await;
            let row = row.map_err(|why| format!("failed to find {what}: {}", explain(&why)))?;
            Ok::<String, String>(row.get(0))
        };
        // docs/installation: the database has to be created with encoding UTF-8
        let encoding = setting("server_encoding", "the encoding").await?;
        if encoding != "UTF8" {
            return Err(format!("the database has encoding {encoding}, and Dendrite's documentation asks for UTF8"));
        }
        if skip_sanity {
            return Ok(());
        }
        if config.max_open_conns == 0 {
            log::warn(
                "WARNING: Configuring 'max_open_conns' to be unlimited is not recommended. This can result in bad \
                 performance or deadlocks.",
            );
        }
        let number = |text: String| text.parse::<i64>().unwrap_or(0);
        let most = number(setting("max_connections", "maximum connections").await?);
        let reserved = number(setting("superuser_reserved_connections", "reserved connections").await?);
        if config.max_open_conns > most - reserved {
            log::error(&format!(
                "ERROR: The configured 'max_open_conns' is greater than the {} non-superuser connections that PostgreSQL \
                 is configured to allow. This can result in bad performance or deadlocks. Please pay close attention to \
                 your configured database connection counts. If you REALLY know what you are doing and want to override \
                 this error, pass the --skip-db-sanity option to Dendrite.",
                most - reserved
            ));
            return Err("database sanity checks failed".to_owned());
        }
        Ok(())
    }

    /// Creates an account; false if there was one already.
    pub async fn add_account(&self, localpart: &str, appservice: &str) -> Outcome<bool> {
        let sql = "INSERT INTO standin_accounts VALUES ($1, $2) ON CONFLICT DO NOTHING";
        Ok(self.client.execute(sql, &[&localpart, &appservice]).await? == 1)
    }

    /// The app service an account belongs to; `None` if there is no such account.
    pub async fn account(&self, localpart: &str) -> Outcome<Option<String>> {
        let sql = "SELECT appservice FROM standin_accounts WHERE localpart = $1";
        Ok(self.client.query_opt(sql, &[&localpart]).await?.map(|row| row.get(0)))
    }

    /// How many accounts there are.
    pub async fn accounts(&self) -> Outcome<i64> {
        Ok(self.client.query_one("SELECT count(*) FROM standin_accounts", &[]).await?.get(0))
    }

    /// Takes an invite back.
    pub async fn retire_invite(&self, user: &str, room: &str) -> Outcome<()> {
        let sql = "UPDATE standin_members SET membership = 'leave' WHERE room_id = $1 AND user_id = $2";
        self.client.execute(sql, &[&room, &user]).await.map(drop)
    }

    /// Gives an account a device with a token; a device of that name loses its old one.
    pub async fn add_device(&self, token: &str, localpart: &str, device: &str) -> Outcome<()> {
        let sql = "DELETE FROM standin_devices WHERE (localpart = $1 AND device = $2) OR token = $3";
        self.client.execute(sql, &[&localpart, &device, &token]).await?;
        self.client.execute("INSERT INTO standin_devices VALUES ($1, $2, $3)", &[&token, &localpart, &device]).await?;
        Ok(())
    }

    /// Localpart and device of a token.
    pub async fn device(&self, token: &str) -> Outcome<Option<(String, String)>> {
        let sql = "SELECT localpart, device FROM standin_devices WHERE token = $1";
        Ok(self.client.query_opt(sql, &[&token]).await?.map(|row| (row.get(0), row.get(1))))
    }

    /// Keeps an event and the membership it sets; false if it was known.
    pub async fn add_event(&self, id: &str, event: &Value) -> Outcome<bool> {
        let room = event["room_id"].as_str().unwrap_or("");
        let sql = "INSERT INTO standin_events VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let new = self.client.execute(sql, &[&id, &room, &event.to_string()]).await? == 1;
        let membership = (event["type"] == "m.room.member").then(|| event["content"]["membership"].as_str()).flatten();
        if let (true, Some(user), Some(membership)) = (new, event["state_key"].as_str(), membership) {
            let sql = "INSERT INTO standin_members VALUES ($1, $2, $3)
                       ON CONFLICT (room_id, user_id) DO UPDATE SET membership = excluded.membership";
            self.client.execute(sql, &[&room, &user, &membership]).await?;
        }
        Ok(new)
    }

    /// An event by its id.
    pub async fn event(&self, id: &str) -> Outcome<Option<Value>> {
        let row = self.client.query_opt("SELECT event FROM standin_events WHERE event_id = $1", &[&id]).await?;
        Ok(row.and_then(|row| serde_json::from_str(row.get(0)).ok()))
    }

    /// All events of a room, with their ids.
    pub async fn room_events(&self, room: &str) -> Outcome<Vec<(String, Value)>> {
        let rows = self.client.query("SELECT event_id, event FROM standin_events WHERE room_id = $1", &[&room]).await?;
        Ok(rows.iter().filter_map(|row| Some((row.get(0), serde_json::from_str(row.get(1)).ok()?))).collect())
    }

    /// Who is in a room, with their membership.
    pub async fn members(&self, room: &str) -> Outcome<Vec<(String, String)>> {
        let sql = "SELECT user_id, membership FROM standin_members WHERE room_id = $1";
        Ok(self.client.query(sql, &[&room]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The rooms that a user is in.
    pub async fn joined(&self, user: &str) -> Outcome<Vec<String>> {
        let sql = "SELECT room_id FROM standin_members WHERE user_id = $1 AND membership = 'join'";
        Ok(self.client.query(sql, &[&user]).await?.iter().map(|row| row.get(0)).collect())
    }

    /// The invites of a user that are neither accepted nor refused: room, event id and event.
    pub async fn invites(&self, user: &str) -> Outcome<Vec<(String, String, Value)>> {
        let sql = "SELECT room_id, event_id, event FROM standin_events JOIN standin_members USING (room_id)
                   WHERE user_id = $1 AND membership = 'invite'";
        let rows = self.client.query(sql, &[&user]).await?;
        let parsed = rows.iter().filter_map(|row| {
            let event = serde_json::from_str::<Value>(row.get(2)).ok()?;
            let invites = event["state_key"] == user && event["content"]["membership"] == "invite";
            invites.then(|| (row.get(0), row.get(1), event))
        });
        Ok(parsed.collect())
    }

    /// Whether the connection still stands.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.client.is_closed()
    }
}

/// What can be said of a connection string before connecting.
fn check_string(string: &str) -> Result<(), String> {
    if string.is_empty() {
        return Err("no database connections configured".to_owned());
    }
    if string.starts_with("file:") {
        return Err("the stand-in has no SQLite; Dendrite advises against it in production".to_owned());
    }
    if !string.starts_with("postgres://") && !string.starts_with("postgresql://") {
        return Err(format!(
            "invalid database connection string {:?}",
            string.split(['@', ' ']).next_back().unwrap_or("")
        ));
    }
    let query = string.split_once('?').map_or("", |(_, query)| query);
    let mode = query.split('&').find_map(|pair| pair.strip_prefix("sslmode="));
    match mode.unwrap_or("require") {
        "disable" => Ok(()),
        // the bed's PostgreSQL has no TLS, and this is lib/pq's word for that
        "require" | "verify-ca" | "verify-full" => Err("pq: SSL is not enabled on the server".to_owned()),
        other => Err(format!(
            "pq: unsupported sslmode {other:?}; only \"require\" (default), \"verify-full\", \"verify-ca\", and \
             \"disable\" supported"
        )),
    }
}

/// PostgreSQL's own words as lib/pq passes them on, or what went wrong on the way.
fn explain(why: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    match (why.as_db_error(), why.source()) {
        (Some(error), _) => format!("pq: {}", error.message()),
        (None, Some(source)) => format!("{why}: {source}"),
        (None, None) => why.to_string(),
    }
}
