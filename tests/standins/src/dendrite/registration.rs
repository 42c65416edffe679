//! App service registration files, checked as setup/config/config_appservice.go checks them.

use regex::Regex;

use super::Stop;
use super::key::go_error;
use super::log;
use super::yaml::{Document, Node};

/// A namespace entry.
#[derive(Clone, Debug)]
pub struct Namespace {
    pub exclusive: bool,
    pub regex: Regex,
}

/// One app service.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    pub id: String,
    /// As written: the trailing slash is trimmed on a loop variable only and stays (checkErrors).
    pub url: String,
    pub as_token: String,
    pub hs_token: String,
    pub sender_localpart: String,
    pub users: Vec<Namespace>,
    pub rooms: Vec<Namespace>,
    pub aliases: Vec<Namespace>,
}

impl Registration {
    /// IsInterestedInUserID
    #[must_use]
    pub fn wants_user(&self, user: &str) -> bool {
        self.users.iter().any(|space| space.regex.is_match(user))
    }

    /// OwnsNamespaceCoveringUserId
    #[must_use]
    pub fn owns_user(&self, user: &str) -> bool {
        self.users.iter().any(|space| space.exclusive && space.regex.is_match(user))
    }

    /// IsInterestedInRoomID
    #[must_use]
    pub fn wants_room(&self, room: &str) -> bool {
        self.rooms.iter().any(|space| space.regex.is_match(room))
    }
}

/// Reads all files and checks them against each other (loadAppServices, checkErrors, setupRegexps).
///
/// # Errors
/// With Dendrite's text; a file without namespaces makes it panic.
pub fn load(files: &[String], server_name: &str) -> Result<Vec<Registration>, Stop> {
    let mut all: Vec<Registration> = Vec::new();
    let mut nil_map = false;
    for file in files {
        let text =
            std::fs::read_to_string(file).map_err(|why| Stop::Fatal(format!("open {file}: {}", go_error(&why))))?;
        let document = Document::parse(&text).map_err(Stop::Fatal)?;
        let (registration, rate_limited) = read(document.root())?;
        let (no_namespaces, protocols) =
            (document.root().at("namespaces").is_null(), document.root().at("protocols").list().len());
        document.finish().map_err(Stop::Fatal)?;
        for (value, text) in [
            (&registration.id, "Application service ID is required"),
            (&registration.as_token, "Application service Token is required"),
            (&registration.hs_token, "Homeserver Token is required"),
            (&registration.sender_localpart, "Sender Localpart is required"),
        ] {
            if value.is_empty() {
                return Err(Stop::fatal(text));
            }
        }
        if all.iter().any(|other| other.id == registration.id) {
            return Err(Stop::Fatal(format!("Application service ID {} must be unique", registration.id)));
        }
        if all.iter().any(|other| other.as_token == registration.as_token) {
            return Err(Stop::Fatal(format!("Application service Token {} must be unique", registration.as_token)));
        }
        if rate_limited {
            log::warn("WARNING: Application service option rate_limited is currently unimplemented");
        }
        if protocols > 0 {
            log::warn("WARNING: Application service option protocols is currently unimplemented");
        }
        nil_map |= no_namespaces;
        all.push(registration);
    }
    if nil_map {
        return Err(Stop::Panic("panic: assignment to entry in nil map".to_owned()));
    }
    for registration in &mut all {
        // the sender is an exclusive namespace of its own (setupRegexps)
        let sender = regex::escape(&format!("@{}:{server_name}", registration.sender_localpart));
        registration.users.push(Namespace { exclusive: true, regex: Regex::new(&sender).map_err(Stop::fatal)? });
    }
    Ok(all)
}

fn read(root: Node<'_>) -> Result<(Registration, bool), Stop> {
    let mut registration = Registration {
        id: root.at("id").string(),
        url: root.at("url").string(),
        as_token: root.at("as_token").string(),
        hs_token: root.at("hs_token").string(),
        sender_localpart: root.at("sender_localpart").string(),
        ..Registration::default()
    };
    for (kind, list) in root.at("namespaces").entries() {
        for entry in list.list() {
            // Go's RE2 and this crate share syntax; both search, so an expression without anchors fits anywhere
            let regex = Regex::new(&entry.at("regex").string()).map_err(|_| {
                Stop::Fatal(format!("Invalid regex string for Application Service {}", registration.id))
            })?;
            let space = Namespace { exclusive: entry.at("exclusive").bool(false), regex };
            if kind == "users" && !group_fits(&entry.at("group_id").string()) {
                let text = format!("Invalid user group_id field for application service {}.", registration.id);
                return Err(Stop::Fatal(text));
            }
            match kind.as_str() {
                "users" => registration.users.push(space),
                "rooms" => registration.rooms.push(space),
                "aliases" => registration.aliases.push(space),
                _ => {}
            }
        }
    }
    Ok((registration, root.at("rate_limited").bool(true)))
}

/// validateNamespace: `\+.*:.*` anywhere, or absent.
fn group_fits(group: &str) -> bool {
    if !group.is_empty() {
        log::warn("WARNING: Application service option group_id is currently unimplemented");
    }
    group.is_empty() || group.split_once('+').is_some_and(|(_, rest)| rest.contains(':'))
}
