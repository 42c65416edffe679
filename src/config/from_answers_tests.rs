use std::path::Path;

use super::*;
use crate::error::Explain;

fn config(text: &str, mode: Mode) -> Result<Config, ConfigError> {
    Config::from_answers(&Answers::from_toml(text, Path::new("answers.toml")).unwrap(), mode)
}

#[test]
fn one_line_is_enough_where_somebody_confirms() {
    let config = config("federated_domain = \"example.org\"", Mode::Interactive).unwrap();
    assert_eq!(config.names.chat.as_str(), "chat.example.org");
    assert_eq!(config.names.matrix.as_str(), "matrix.example.org");
    assert_eq!(config.names.apex, Apex::Here);
    assert_eq!(config.profile, Profile::Dendrite);
    assert_eq!(config.admin.username.as_str(), "admin");
    assert_eq!(config.acme.staging.as_deref(), Some(LETSENCRYPT_STAGING));
}

#[test]
fn names_may_coincide_and_then_the_apex_is_here() {
    let text = "federated_domain = \"chat.example.org\"\nchat_domain = \"chat.example.org\"\napex = \"elsewhere\"";
    let names = config(text, Mode::Interactive).unwrap().names;
    assert_eq!(names.apex, Apex::Here);
    assert_eq!(names.served().len(), 2);
    let text = "federated_domain = \"example.org\"\napex = \"elsewhere\"";
    assert_eq!(config(text, Mode::Interactive).unwrap().names.apex, Apex::Elsewhere);
}

/// Whoever opens Rocket.Chat at its own address goes on doing so, and the federated domain may be that name.
#[test]
fn a_rocketchat_at_its_own_address_keeps_its_name() {
    let existing = "[rocketchat]\nurl = \"https://talk.example.org/\"\nbridge_url = \"http://10.0.0.5:3300\"\n\
                    [admin]\npassword_file = \"/p\"";
    let of =
        |federated: &str| config(&format!("federated_domain = \"{federated}\"\n{existing}"), Mode::Unattended).unwrap();
    let names = of("example.org").names;
    assert_eq!(names.chat.as_str(), "talk.example.org");
    assert_eq!(
        names.served().iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["example.org", "matrix.example.org"]
    );
    let config = of("talk.example.org");
    assert_eq!((config.names.apex, config.names.served().len()), (Apex::Elsewhere, 1));
    assert_eq!(
        (config.bridge(), config.homeserver_url()),
        ("http://10.0.0.5:3300", "https://matrix.talk.example.org".into())
    );
    let beside = "[rocketchat]\nurl = \"http://10.0.0.5:3000\"\n[admin]\npassword_file = \"/p\"";
    let beside = format!("federated_domain = \"example.org\"\n{beside}");
    assert_eq!(self::config(&beside, Mode::Unattended).unwrap().bridge(), "http://10.0.0.5:3300");
}

#[test]
fn only_lets_encrypt_is_rehearsed_by_itself() {
    let staging = |acme: &str| {
        let text = format!("federated_domain = \"example.org\"\n[acme]\n{acme}");
        config(&text, Mode::Interactive).unwrap().acme.staging
    };
    assert!(staging("").is_some());
    assert!(staging("rehearsal = false").is_none());
    assert!(staging("directory = \"https://acme.example.org/dir\"").is_none());
    let own = "directory = \"https://acme.example.org/dir\"\nstaging_directory = \"https://acme.example.org/test\"";
    assert_eq!(staging(own).as_deref(), Some("https://acme.example.org/test"));
}

#[test]
fn wrong_answers_are_told_before_the_wizard_asks_and_missing_ones_are_not() {
    let answers = |text| Answers::from_toml(text, Path::new("answers.toml")).unwrap();
    assert!(Config::check_given(&answers("profile = \"native\"")).is_ok());
    assert!(Config::check_given(&answers("chat_domain = \"chat\"")).is_err());
}

#[test]
fn all_problems_are_told_at_once_with_their_places() {
    let s = "federated_domain = \"example.org\"\naccept_end_of_life = true\n";
    let cases = [
        "email = \"you@example.org\"".to_owned(),
        "federated_domain = \"example.org\"".into(),
        "federated_domain = \"example.org\"\nprofile = \"synapse\"".into(),
        "federated_domain = \"example.org\"\nprofile = \"native\"".into(),
        format!("{s}chat_domain = \"https://chat.example.org\""),
        format!("{s}profile = \"dendrit\""),
        format!("{s}address = [\"198.51.100.10\", \"here\"]"),
        format!("{s}[acme]\ndirectory = \"https://acme.example.org/dir\"\nrehearsal = true"),
        format!("{s}[admin]\npassword_file = 'x'\nusername = \"Ada\"\n[images]\nmongodb = \"mongo\""),
        format!("federated_domain = \"{}example.org\"\naccept_end_of_life = true", "abc.".repeat(54)),
        format!("{s}[federation]\nprivate_networks = [\"10.0.0.0/8\", \"10.20.0.7\"]\nca = \"/nowhere/ca.pem\""),
        "federated_domain = \"example.org\"\nprofile = \"native\"\n[rocketchat]\nlicense_file = \"/l\"\n\
         [federation]\nprivate_networks = [\"10.0.0.0/8\"]"
            .into(),
        format!("{s}[rocketchat]\nfederation_tester = \"self\""),
        format!("{s}profile = \"synapse\"\n[rocketchat]\nfederation_tester = \"self\""),
        format!("{s}[images]\nrocketchat = \"registry.rocket.chat/rocketchat/rocket.chat:8.5.3\""),
        format!("{s}[memory]\nrocketchat = 100\nmongodb = 4000000\ngateway = -5"),
        "federated_domain = \"example.org\"\nprofile = \"native\"\nfederate_with = [\"example.com\"]\n\
         [rocketchat]\nlicense_file = \"\""
            .into(),
        format!("{s}[doctor]\nignore = [\"contaner.gateway\", \"nonsense\"]"),
        format!(
            "{s}[rocketchat]\ncontainer = \"rocketchat\"\nbridge_url = \"http://10.0.0.5:3300\"\n[admin]\npassword_file = \"/p\""
        ),
        format!("{s}[rocketchat]\ncontainer = \"rocketchat\""),
        format!(
            "{s}profile = \"native\"\n[rocketchat]\ncontainer = \"rocketchat\"\nurl = \"http://10.0.0.5:3000\"\n\
             license_file = \"/l\"\nfederation_tester = \"https://tester.example.org\"\n[images]\nmongodb = \"mongo:7.0\""
        ),
        format!("{s}[rocketchat]\nurl = \"http://10.0.0.5:3000\"\n[admin]\npassword_file = \"/p\""),
        format!("{s}[rocketchat]\nurl = \"https://chat.example.org\"\n[admin]\npassword_file = \"/p\""),
        format!(
            "{s}chat_domain = \"chat.example.com\"\nmatrix_domain = \"talk.example.org\"\n[rocketchat]\n\
             url = \"https://talk.example.org\"\nbridge_url = \"http://198.51.100.5:3300\"\n[admin]\npassword_file = \"/p\""
        ),
        format!("{s}[rocketchat]\nbridge_url = \"http://10.0.0.5:3300\"\nreplace_homeserver = true"),
        // Whoever has one already is not asked whether to run one.
        "federated_domain = \"example.org\"\n[rocketchat]\ncontainer = \"rocketchat\"\n[admin]\npassword_file = \"/p\""
            .into(),
        "federated_domain = \"Example.org\"\nemail = \"you\"\nproxy = \"nginx\"".into(),
    ];
    let table = cases.map(|text| {
        let error = config(&text, Mode::Unattended).err();
        let told = error.map(|error| format!("{error}\n  hint: {}", error.hint().unwrap()));
        format!("{text}\n→ {}\n", told.unwrap_or_else(|| "taken".into()))
    });
    insta::assert_snapshot!(table.join("\n"));
}
