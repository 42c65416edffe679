//! What somebody elsewhere reads whose invite the bridge could not serve.
//!
//! The relay says it for Dendrite, a module of its own for Synapse; both in these words.

/// The bridge cannot read rooms of `version` ([`crate::compat::BRIDGE_ROOM_VERSIONS`]).
pub fn version(version: &str) -> String {
    format!(
        "This server is a Rocket.Chat, which cannot join rooms of version {version}; make a room of version 10, or let \
         the person you invite start the conversation"
    )
}

/// The bridge has no keys.
pub const ENCRYPTED: &str = "This server is a Rocket.Chat, which cannot join encrypted rooms; make a room without \
                             encryption, or let the person you invite start the conversation";
