//! Two deployments that federate, as people use them: every step at one bridge is seen at the other, once.
//!
//! Both sides are made before either speaks, because a homeserver that could not reach another waits longer each time.

#[path = "support/side.rs"]
mod side;
#[path = "support/site.rs"]
mod site;
mod support;
#[allow(dead_code)]
#[path = "support/surroundings.rs"]
mod surroundings;

use std::time::SystemTime;

use serde_json::{Value, json};
use side::{Side, Wanted, both};
use support::Bed;

#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn two_synapses_federate() {
    let Some(bed) = Bed::up_two() else { return };
    let [here, there] = both(&bed, [Wanted::new("fed.test", "synapse"), Wanted::new("other.test", "synapse")]);
    let refused = [refusals(&here, &there), refusals(&there, &here)];
    conversation(&here, &there, "VERIFIED");
    conversation(&there, &here, "VERIFIED");
    for (side, rooms) in [&there, &here].iter().zip(&refused) {
        assert!(rooms.iter().all(|room| !side.knows(room)), "{rooms:?}");
    }
    assert!(here.counted("header") > 0 && there.counted("header") > 0);
}

/// Dendrite is a stand-in; rooms, signatures and hashes it makes are judged by the real Synapse.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn dendrite_with_its_relay_and_synapse_federate() {
    let Some(bed) = Bed::up_two() else { return };
    let [here, there] = both(&bed, [Wanted::new("fed.test", "dendrite"), Wanted::new("other.test", "synapse")]);
    let refused = refusals(&there, &here);
    conversation(&there, &here, "VERIFIED");
    conversation(&here, &there, "VERIFIED");
    assert!(refused.iter().all(|room| !here.knows(room)), "{refused:?}");
    assert!(here.counted("header") > 0 && there.counted("header") > 0);
}

/// Bridges that read the token in the query alone, and a federated domain that is another web site: rcfed says what that
/// site must answer, it does, and the rest is as before.
#[test]
#[ignore = "minutes long; `make test-all` runs it"]
fn older_bridges_and_an_apex_elsewhere_federate() {
    let Some(bed) = Bed::up_two() else { return };
    for profile in ["synapse", "dendrite"] {
        bed.bed(&["clean"]);
        site::in_dns(&bed, "fed.test");
        let old = |domain, profile, more: &str| {
            let tables = "[images]\nrocketchat = \"registry.rocket.chat/rocketchat/rocket.chat:6.13.1\"\n".into();
            Wanted { more: more.into(), tables, ..Wanted::new(domain, profile) }
        };
        let wanted = [old("fed.test", profile, "apex = \"elsewhere\""), old("other.test", "synapse", "")];
        let [here, there] = both(&bed, wanted);
        assert!(here.printed.contains("pending"), "{}", here.printed);
        let _site = site::serve(&bed, "fed.test", &here.printed);
        let printed = here.apply();
        assert!(printed.contains("Federation     valid"), "{printed}");
        // A web site like this one cannot say who exists; Rocket.Chat then lets people decide.
        conversation(&there, &here, "UNABLE_TO_VERIFY");
        conversation(&here, &there, "VERIFIED");
        assert!(here.counted("query") > 0 && there.counted("query") > 0);
    }
}

/// Invite, join, a message each way, leave: everything that the community edition's bridge does.
fn conversation(from: &Side, to: &Side, verdict: &str) {
    println!("— {} starts a conversation with {}", from.ada(), to.ada());
    let start = SystemTime::now();
    let command = json!({ "command": "federation", "params": format!("dm {}", to.ada()), "roomId": "GENERAL" });
    let room = from.chat("POST", "commands.run", &command)["result"].take();
    let (inner, outer) = (room["_id"].as_str().unwrap(), room["external"].as_str().unwrap());
    assert_eq!(version(from, outer), "10");
    let invite = [("/content/membership", "invite"), ("/state_key", &to.ada()), ("/room_id", outer)];
    to.arrives("an invite", start, &invite);
    // The bridge accepts it by itself.
    let join = [("/content/membership", "join"), ("/state_key", &to.ada()), ("/room_id", outer)];
    from.arrives("the join", start, &join);

    let theirs = to.room(outer);
    let start = SystemTime::now();
    from.say(inner, "Are you there?");
    to.arrives("a message", start, &[("/content/body", "Are you there?"), ("/room_id", outer)]);
    let start = SystemTime::now();
    to.say(&theirs, "I am.");
    from.arrives("the reply", start, &[("/content/body", "I am."), ("/room_id", outer)]);
    for (side, room) in [(from, inner), (to, theirs.as_str())] {
        assert_eq!(side.texts(room), ["Are you there?", "I am."], "at {}", side.domain);
    }
    // Asked of the other server's name by Rocket.Chat itself, over TLS.
    let verified = from.chat("GET", &format!("federation/matrixIds.verify?matrixIds={}", to.ada()), &Value::Null);
    assert_eq!(verified["results"][to.ada()], verdict, "{verified}");
    let start = SystemTime::now();
    to.chat("POST", "rooms.leave", &json!({ "roomId": theirs }));
    from.arrives(
        "the leave",
        start,
        &[("/content/membership", "leave"), ("/state_key", &to.ada()), ("/room_id", outer)],
    );
}

/// What the bridge cannot serve is refused while the inviter looks, with a reason; the rooms.
fn refusals(from: &Side, to: &Side) -> Vec<String> {
    let eve = from.person("eve");
    let newest = newest(from, &eve);
    assert!(newest > 10, "{newest}");
    let megolm = json!([{
        "type": "m.room.encryption", "state_key": "", "content": { "algorithm": "m.megolm.v1.aes-sha2" },
    }]);
    let mut rooms = Vec::new();
    for (what, version, state, reason) in [
        ("an encrypted room", "10".to_owned(), megolm, "cannot join encrypted rooms".to_owned()),
        (
            "a room of the newest version",
            newest.to_string(),
            json!([]),
            format!("cannot join rooms of version {newest};"),
        ),
    ] {
        let body = json!({ "preset": "trusted_private_chat", "is_direct": true, "room_version": version, "initial_state": state });
        let (status, room) = from.matrix(&eve, "POST", "createRoom", &body);
        assert_eq!(status, 200, "{room}");
        let room = room["room_id"].as_str().unwrap();
        let path = format!("rooms/{}/invite", room.replace('!', "%21").replace(':', "%3A"));
        let (status, answer) = from.matrix(&eve, "POST", &path, &json!({ "user_id": to.ada() }));
        println!("        {what} is refused by {}: {answer}", to.domain);
        assert_eq!((status, &answer["errcode"]), (403, &json!("M_FORBIDDEN")), "{what}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(&reason), "{what}: {answer}");
        rooms.push(room.to_owned());
    }
    rooms
}

/// A room's version as its creation says.
fn version(side: &Side, room: &str) -> String {
    let path = format!("rooms/{}/state/m.room.create", room.replace('!', "%21").replace(':', "%3A"));
    let (status, create) = side.matrix(&side.ada(), "GET", &path, &Value::Null);
    assert_eq!(status, 200, "{create}");
    create["room_version"].as_str().unwrap_or("1").to_owned()
}

/// The newest stable room version that a homeserver offers.
fn newest(side: &Side, user: &str) -> u32 {
    let (status, answer) = side.matrix(user, "GET", "capabilities", &Value::Null);
    assert_eq!(status, 200, "{answer}");
    let versions = answer["capabilities"]["m.room_versions"]["available"].as_object().unwrap().iter();
    versions.filter(|(_, state)| *state == "stable").filter_map(|(version, _)| version.parse().ok()).max().unwrap()
}
