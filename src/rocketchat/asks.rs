//! What Rocket.Chat is asked to do, in the words of an error: it "refused to …", or "does not let this user …".

pub(super) const DELETE_MESSAGE: &str = "delete its own message";
pub(super) const FIND_GENERAL: &str = "look for #general";
pub(super) const FIND_USER: &str = "find a user";
pub(super) const LIST_USERS: &str = "list its users";
pub(super) const OPEN_ROOM: &str = "open the user's conversation with itself";
pub(super) const REVOKE_TOKEN: &str = "take back rcfed's access token";
pub(super) const SAY_UP: &str = "say whether it is up";
pub(super) const SEND_CODE: &str = "send a code by e-mail";
pub(super) const SEND_MESSAGE: &str = "send a message";
pub(super) const SET_PASSWORD: &str = "set a password";
pub(super) const TAKE_LICENSE: &str = "take the licence";
pub(super) const TELL_CHECK: &str = "tell the result of its check";
pub(super) const TELL_LICENSE: &str = "tell what its licence grants";

/// The message that is sent to see whether one can be.
pub(super) const MESSAGE: &str = "rcfed tries whether messages can be sent; this one is deleted at once.";

#[cfg(test)]
mod tests {
    use super::super::RestError;
    use super::*;

    #[test]
    fn sentences() {
        let asks = [
            DELETE_MESSAGE,
            FIND_GENERAL,
            FIND_USER,
            LIST_USERS,
            OPEN_ROOM,
            REVOKE_TOKEN,
            SAY_UP,
            SEND_CODE,
            SEND_MESSAGE,
            SET_PASSWORD,
            TAKE_LICENSE,
            TELL_CHECK,
            TELL_LICENSE,
        ];
        let refused =
            asks.map(|what| RestError::Refused { what, kind: String::new(), reason: "not so".into() }.to_string());
        insta::assert_snapshot!(format!("{}\n{MESSAGE}", refused.join("\n")));
    }
}
