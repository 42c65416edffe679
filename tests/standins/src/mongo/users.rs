//! Users and what their roles let them do (MongoDB manual, "User Management Commands" and "Built-In Roles").

use bson::{Bson, Document, doc};

use super::commands::Failure;
use super::data::Data;
use super::scram::Credentials;

/// The collection real users are in too.
const USERS: &str = "admin.system.users";

/// A privilege some command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privilege {
    Monitor,
    Read,
    Replica,
    Users,
    Write,
}

/// Somebody who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) db: String,
}

impl Who {
    fn id(&self) -> Bson {
        format!("{}.{}", self.db, self.name).into()
    }

    /// Whether one of the user's roles, as they are now, gives `privilege` on `db`.
    pub(super) fn may(&self, data: &Data, privilege: Privilege, db: &str) -> bool {
        let user = data.find(USERS, Some(&self.id())).pop();
        let roles = user.as_ref().and_then(|user| user.get_array("roles").ok()).into_iter().flatten();
        roles.filter_map(Bson::as_document).any(|role| {
            let (name, on) = (role.get_str("role").unwrap_or_default(), role.get_str("db").unwrap_or_default());
            match name {
                "root" | "__system" => on == "admin",
                "clusterAdmin" | "clusterManager" => matches!(privilege, Privilege::Monitor | Privilege::Replica),
                "clusterMonitor" => privilege == Privilege::Monitor,
                "userAdminAnyDatabase" => privilege == Privilege::Users,
                "userAdmin" => privilege == Privilege::Users && on == db,
                "dbOwner" => matches!(privilege, Privilege::Read | Privilege::Users | Privilege::Write) && on == db,
                "readWriteAnyDatabase" => matches!(privilege, Privilege::Read | Privilege::Write),
                "readWrite" => matches!(privilege, Privilege::Read | Privilege::Write) && on == db,
                "readAnyDatabase" => privilege == Privilege::Read,
                "read" => privilege == Privilege::Read && on == db,
                _ => false,
            }
        })
    }
}

pub(super) fn none(data: &Data) -> bool {
    data.find(USERS, None).is_empty()
}

pub(super) fn credentials(data: &Data, who: &Who) -> Option<Credentials> {
    let user = data.find(USERS, Some(&who.id())).pop()?;
    Credentials::from_document(user.get_document("credentials").ok()?.get_document("SCRAM-SHA-256").ok()?)
}

pub(super) fn create(data: &mut Data, db: &str, command: &Document) -> Result<(), Failure> {
    let who = named(command, "createUser", db)?;
    only(command, "createUser", &["createUser", "pwd", "roles", "customData", "mechanisms", "digestPassword"])?;
    let asked = command.get_array("roles").map_err(|_| {
        Failure::new(40414, "Location40414", "BSON field 'createUser.roles' is missing but a required field")
    })?;
    let roles = roles(asked, db)?;
    let kept = password(command)?.ok_or_else(|| {
        let text =
            "Must provide a 'pwd' field for all user documents, except those with '$external' as the user's source db";
        Failure::new(2, "BadValue", text)
    })?;
    if !data.find(USERS, Some(&who.id())).is_empty() {
        return Err(Failure::new(51003, "Location51003", &format!("User \"{}@{db}\" already exists", who.name)));
    }
    let document = doc! {
        "_id": who.id(), "user": &who.name, "db": db, "roles": roles,
        "credentials": { "SCRAM-SHA-256": kept.to_document() },
    };
    Ok(data.put(USERS, document)?)
}

pub(super) fn update(data: &mut Data, db: &str, command: &Document) -> Result<(), Failure> {
    let who = named(command, "updateUser", db)?;
    only(command, "updateUser", &["updateUser", "pwd", "roles", "customData", "mechanisms", "digestPassword"])?;
    let kept = password(command)?;
    let new_roles = command.get_array("roles").ok().map(|asked| roles(asked, db)).transpose()?;
    if kept.is_none() && new_roles.is_none() {
        return Err(Failure::new(2, "BadValue", "Must specify at least one field to update in updateUser"));
    }
    let mut user = data.find(USERS, Some(&who.id())).pop().ok_or_else(|| not_found(&who))?;
    if let Some(kept) = kept {
        user.insert("credentials", doc! { "SCRAM-SHA-256": kept.to_document() });
    }
    if let Some(roles) = new_roles {
        user.insert("roles", roles);
    }
    Ok(data.put(USERS, user)?)
}

pub(super) fn drop_user(data: &mut Data, db: &str, command: &Document) -> Result<(), Failure> {
    let who = named(command, "dropUser", db)?;
    only(command, "dropUser", &["dropUser"])?;
    if data.remove(USERS, &who.id())? { Ok(()) } else { Err(not_found(&who)) }
}

/// `usersInfo: 1 | "name" | {user, db} | [..]`; credentials are never shown.
pub(super) fn info(data: &Data, db: &str, asked: &Bson) -> Result<Document, Failure> {
    let wanted = |user: &Document| {
        let is = |who: &Bson| match who {
            Bson::String(name) => user.get_str("user").ok() == Some(name) && user.get_str("db").ok() == Some(db),
            Bson::Document(who) => user.get("user") == who.get("user") && user.get("db") == who.get("db"),
            _ => false,
        };
        match asked {
            Bson::Int32(1) | Bson::Int64(1) | Bson::Double(1.0) => user.get_str("db").ok() == Some(db),
            Bson::Array(list) => list.iter().any(is),
            one => is(one),
        }
    };
    let users = data.find(USERS, None).into_iter().filter(wanted).map(|mut user| {
        user.remove("credentials");
        user.insert("mechanisms", vec!["SCRAM-SHA-256"]);
        Bson::Document(user)
    });
    Ok(doc! { "users": users.collect::<Vec<_>>() })
}

fn named(command: &Document, field: &str, db: &str) -> Result<Who, Failure> {
    match command.get_str(field) {
        Ok(name) if !name.is_empty() => Ok(Who { name: name.into(), db: db.into() }),
        _ => Err(Failure::new(2, "BadValue", "User document needs 'user' field to be non-empty")),
    }
}

/// The server's command parser refuses fields it does not know, code 40415; those of every command are `$…`, `lsid` and
/// the like.
fn only(command: &Document, name: &str, known: &[&str]) -> Result<(), Failure> {
    let general = ["lsid", "txnNumber", "writeConcern", "readConcern", "maxTimeMS", "comment", "apiVersion"];
    for field in command.keys() {
        if !field.starts_with('$') && !general.contains(&field.as_str()) && !known.contains(&field.as_str()) {
            let text = format!("BSON field '{name}.{field}' is an unknown field.");
            return Err(Failure::new(40415, "Location40415", &text));
        }
    }
    Ok(())
}

fn password(command: &Document) -> Result<Option<Credentials>, Failure> {
    match command.get("pwd") {
        None => Ok(None),
        Some(Bson::String(password)) if !password.is_empty() => match Credentials::new(password) {
            Some(kept) => Ok(Some(kept)),
            None => Err(Failure::new(1, "InternalError", "no random numbers")),
        },
        Some(Bson::String(_)) => Err(Failure::new(50687, "Location50687", "Password cannot be empty")),
        Some(_) => Err(Failure::new(14, "TypeMismatch", "BSON field 'pwd' is the wrong type, expected type 'string'")),
    }
}

fn roles(asked: &[Bson], db: &str) -> Result<Vec<Bson>, Failure> {
    let mut roles = Vec::new();
    for role in asked {
        let (name, on) = match role {
            Bson::String(name) => (name.as_str(), db),
            Bson::Document(role) => match (role.get_str("role"), role.get_str("db")) {
                (Ok(name), Ok(on)) => (name, on),
                _ => return Err(Failure::new(2, "BadValue", "Missing expected field \"role\" or \"db\"")),
            },
            _ => return Err(Failure::new(2, "BadValue", "Role names must be either strings or objects")),
        };
        let known = ANYWHERE.contains(&name) || on == "admin" && ADMIN_ONLY.contains(&name);
        if !known {
            return Err(Failure::new(31, "RoleNotFound", &format!("Could not find role: {name}@{on}")));
        }
        roles.push(Bson::Document(doc! { "role": name, "db": on }));
    }
    Ok(roles)
}

fn not_found(who: &Who) -> Failure {
    Failure::new(11, "UserNotFound", &format!("User '{}@{}' not found", who.name, who.db))
}

const ANYWHERE: [&str; 5] = ["dbAdmin", "dbOwner", "read", "readWrite", "userAdmin"];
const ADMIN_ONLY: [&str; 11] = [
    "backup",
    "clusterAdmin",
    "clusterManager",
    "clusterMonitor",
    "dbAdminAnyDatabase",
    "hostManager",
    "readAnyDatabase",
    "readWriteAnyDatabase",
    "restore",
    "root",
    "userAdminAnyDatabase",
];
