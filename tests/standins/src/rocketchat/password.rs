//! Passwords, their hashes, and what a policy says of new ones.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::pbkdf2;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::random_id;
use super::settings::Settings;

/// Lower-case hex of SHA-256.
pub(super) fn sha256_hex(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As Meteor hashes login tokens (`Accounts._hashLoginToken`).
pub(super) fn hashed_token(token: &str) -> String {
    STANDARD.encode(Sha256::digest(token))
}

/// What is stored of a password. As in Meteor the slow hash is over the SHA-256 of the password, so the second factor
/// "password" can be checked without the password itself.
pub(super) fn stored(password: &str) -> Value {
    let salt = random_id(22);
    let mut hash = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt.as_bytes(), sha256_hex(password).as_bytes(), &mut hash);
    json!({ "salt": salt, "hash": STANDARD.encode(hash) })
}

/// Whether `digest` (lower-case hex of the password's SHA-256) belongs to what is stored.
pub(super) fn matches(stored: &Value, digest: &str) -> bool {
    let (Some(salt), Some(hash)) = (stored["salt"].as_str(), stored["hash"].as_str()) else { return false };
    let Ok(hash) = STANDARD.decode(hash) else { return false };
    pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA256, ROUNDS, salt.as_bytes(), digest.as_bytes(), &hash).is_ok()
}

/// `passwordPolicy.validate`, which looks at new passwords but never at `ADMIN_PASS`. Off by default in 7.10.
pub(super) fn allowed(settings: &Settings, password: &str) -> bool {
    let has = |id: &str, test: fn(char) -> bool| {
        !settings.is(&format!("Accounts_Password_Policy_AtLeastOne{id}")) || password.chars().any(test)
    };
    let least = usize::try_from(settings.int("Accounts_Password_Policy_MinLength")).unwrap_or(0);
    !password.trim().is_empty()
        && (!settings.is("Accounts_Password_Policy_Enabled")
            || password.chars().count() >= least
                && has("Lowercase", |c| c.is_ascii_lowercase())
                && has("Uppercase", |c| c.is_ascii_uppercase())
                && has("Number", |c| c.is_ascii_digit())
                && has("SpecialCharacter", |c| !c.is_ascii_alphanumeric()))
}

const ROUNDS: NonZeroU32 = NonZeroU32::new(5_000).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_opens_what_was_stored() {
        // printf 'correct horse' | sha256sum
        let digest = "4104d36f8da2c254349f85836793ebe029e0c957063a34c91c2e9203187b5631";
        assert_eq!(sha256_hex("correct horse"), digest);
        let kept = stored("correct horse");
        assert!(matches(&kept, digest));
        assert!(!matches(&kept, &digest.to_uppercase()));
        assert!(!matches(&Value::Null, digest));
    }
}
