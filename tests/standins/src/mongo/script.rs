//! The scripts mongosh understands here: a grammar of three statements, each valid for the real mongosh too.

use std::fmt::Write;
use std::path::Path;

use bson::{Bson, Document};
use serde_json::Value;

use super::client::{Client, Error};

/// What a script does, proven before anything is sent.
#[derive(Debug, PartialEq)]
pub enum Statement {
    /// Defines `secret(NAME)`.
    Define,
    /// Logs in with a secret.
    Auth { user: String, secret: String },
    /// Runs a command on `admin` and prints its reply.
    Run(String),
}

/// Reads a script, one statement a line; the error is what mongosh says of what it cannot parse.
pub fn parse(script: &str) -> Result<Vec<Statement>, String> {
    script.lines().map(str::trim).filter(|line| !line.is_empty()).map(statement).collect()
}

/// Runs statements; what is printed goes to `out`. The error goes to stderr and ends mongosh with 1.
pub fn run(statements: &[Statement], client: &mut Client, secrets: &Path, out: &mut String) -> Result<(), String> {
    let mut defined = false;
    for statement in statements {
        match statement {
            Statement::Define => defined = true,
            _ if !defined => return Err("ReferenceError: secret is not defined".into()),
            Statement::Auth { user, secret } => {
                let password = read(secrets, secret)?;
                client.login("admin", user, &password).map_err(|error| error.to_string())?;
            }
            Statement::Run(object) => {
                let reply = match client.run("admin", command(object, secrets)?) {
                    Ok(reply) => Bson::Document(reply).into_relaxed_extjson(),
                    // A failure of the network has neither a code nor its name, and stringify leaves them out.
                    Err(Error::Network(text)) => serde_json::json!({ "ok": 0, "errmsg": text }),
                    Err(Error::Server { code, name, text }) => {
                        serde_json::json!({ "ok": 0, "code": code, "codeName": name, "errmsg": text })
                    }
                };
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{}", whole_numbers(reply));
            }
        }
    }
    Ok(())
}

fn statement(line: &str) -> Result<Statement, String> {
    let unknown = || format!("SyntaxError: the stand-in does not know this statement: {line}");
    if line == DEFINE {
        return Ok(Statement::Define);
    }
    if let Some(rest) = line.strip_prefix(AUTH) {
        let inside = rest.strip_suffix("\"));").ok_or_else(unknown)?;
        let (user, secret) = inside.split_once("\", secret(\"").ok_or_else(unknown)?;
        let plain = |text: &str| !text.is_empty() && !text.contains(['"', '\\', '/']);
        if !plain(user) || !plain(secret) {
            return Err(unknown());
        }
        return Ok(Statement::Auth { user: user.into(), secret: secret.into() });
    }
    let object = line.strip_prefix(TRY).and_then(|rest| rest.strip_suffix(CATCH)).ok_or_else(unknown)?;
    let json = with_secrets(object, &mut |_| Ok("null".into())).map_err(|_| unknown())?;
    match serde_json::from_str::<Value>(&json) {
        Ok(Value::Object(_)) => Ok(Statement::Run(object.into())),
        _ => Err(unknown()),
    }
}

fn command(object: &str, secrets: &Path) -> Result<Document, String> {
    let json = with_secrets(object, &mut |name| read(secrets, name).map(|secret| Value::String(secret).to_string()))?;
    let value: Value = serde_json::from_str(&json).map_err(|error| format!("SyntaxError: {error}"))?;
    match Bson::try_from(value) {
        Ok(Bson::Document(document)) => Ok(document),
        _ => Err("TypeError: a command is an object".into()),
    }
}

/// JSON of an object literal in which a value may be `secret("NAME")`; inside strings nothing is replaced.
fn with_secrets(object: &str, value: &mut dyn FnMut(&str) -> Result<String, String>) -> Result<String, String> {
    let mut json = String::new();
    let mut rest = object;
    let (mut quoted, mut escaped) = (false, false);
    while let Some(next) = rest.chars().next() {
        if !quoted && let Some(call) = rest.strip_prefix("secret(\"") {
            let (name, after) = call.split_once("\")").ok_or("SyntaxError: secret( without an end")?;
            json.push_str(&value(name)?);
            rest = after;
            continue;
        }
        if next == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = next == '\\' && !escaped;
        json.push(next);
        rest = &rest[next.len_utf8()..];
    }
    Ok(json)
}

fn read(secrets: &Path, name: &str) -> Result<String, String> {
    let path = secrets.join(name);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => "ENOENT: no such file or directory",
            std::io::ErrorKind::PermissionDenied => "EACCES: permission denied",
            _ => "EIO: i/o error",
        };
        format!("Error: {code}, open '{}'", path.display())
    })?;
    Ok(text.trim().to_owned())
}

/// JavaScript has one kind of number: `ok: 1.0` prints as `1`.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                Value::from(format!("{float:.0}").parse::<i64>().unwrap_or_default())
            }
            _ => Value::Number(number),
        },
        Value::Array(list) => list.into_iter().map(whole_numbers).collect(),
        Value::Object(map) => {
            Value::Object(map.into_iter().map(|(name, value)| (name, whole_numbers(value))).collect())
        }
        value => value,
    }
}

const DEFINE: &str = r#"const secret = (name) => require("fs").readFileSync("/run/rcfed/" + name, "utf8").trim();"#;
const AUTH: &str = r#"db.getSiblingDB("admin").auth(""#;
const TRY: &str = r#"try { print(EJSON.stringify(db.getSiblingDB("admin").runCommand("#;
const CATCH: &str =
    "))) } catch (e) { print(EJSON.stringify({ok: 0, code: e.code, codeName: e.codeName, errmsg: e.message})) }";

#[cfg(test)]
mod tests {
    use super::*;

    fn run_line(object: &str) -> String {
        format!("{TRY}{object}{CATCH}")
    }

    #[test]
    fn the_three_statements_and_nothing_else() {
        let script = format!("{DEFINE}\n{AUTH}root\", secret(\"mongo_admin\"));\n\n{}", run_line(r#"{"ping": 1}"#));
        let auth = Statement::Auth { user: "root".into(), secret: "mongo_admin".into() };
        assert_eq!(parse(&script).unwrap(), [Statement::Define, auth, Statement::Run(r#"{"ping": 1}"#.into())]);
        for odd in
            ["rs.initiate()", "use admin", &run_line("{ping: 1}"), &run_line("1"), &run_line(r#"{"a": process.env}"#)]
        {
            assert!(parse(odd).unwrap_err().starts_with("SyntaxError: the stand-in does not know"), "{odd}");
        }
    }

    #[test]
    fn secrets_are_values_and_not_text_inside_strings() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "x\"y\n").unwrap();
        let found = command(r#"{"createUser": "secret(\"a\")", "pwd": secret("a")}"#, directory.path()).unwrap();
        assert_eq!(found, bson::doc! { "createUser": "secret(\"a\")", "pwd": "x\"y" });
        assert!(command(r#"{"a": secret("b")}"#, directory.path()).unwrap_err().contains("ENOENT"));
    }
}
