//! Secrets, and references to them.
//!
//! Planning and rendering never hold a secret's value: a rendered file contains [`SecretRef`] marks, which are resolved
//! only when the file is written, and a configuration hash covers the reference. So plans, diffs, receipts and labels
//! cannot leak what they do not have.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;

/// A secret's value; never printed by `Debug`, has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value as it is.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// `length` random letters and digits, so that no file format needs to quote it.
    ///
    /// 43 characters carry 256 bits.
    pub fn random(length: usize) -> Result<Self, NoRandomness> {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let random = SystemRandom::new();
        let mut text = String::with_capacity(length);
        let mut buffer = [0u8; 64];
        while text.len() < length {
            random.fill(&mut buffer).map_err(|_| NoRandomness)?;
            // 248 is the largest multiple of 62 in a byte: taking the remainder of more would favour some letters.
            let fair = buffer.iter().filter(|b| **b < 248).map(|b| char::from(ALPHABET[usize::from(b % 62)]));
            text.extend(fair.take(length - text.len()));
        }
        Ok(Self(text))
    }

    /// A password a person can type, of 120 bits: four groups of five with hyphens between them.
    ///
    /// It always has a small and a capital letter, a digit and a sign, as password policies ask.
    pub fn password() -> Result<Self, NoRandomness> {
        loop {
            let text = Self::random(20)?.0;
            let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
            if has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit) {
                let groups = [&text[..5], &text[5..10], &text[10..15], &text[15..]];
                return Ok(Self(groups.join("-")));
            }
        }
    }

    /// The value, for the one place that writes or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The kernel gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system has no random numbers to make secrets from")]
pub struct NoRandomness;

impl crate::error::Explain for NoRandomness {
    fn hint(&self) -> Option<String> {
        Some("check that /dev/urandom exists, then run the same command again".into())
    }
}

/// What a secret is for. The name is that of its file below [`crate::layout::SECRETS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretName {
    /// First password of Rocket.Chat's administrator.
    AdminPassword,
    /// Rocket.Chat's token towards the homeserver.
    AsToken,
    /// Name of the app service; random, so that it cannot be guessed from the public workspace id.
    AppserviceId,
    /// Synapse's `form_secret`.
    FormSecret,
    /// The homeserver's token towards the bridge.
    HsToken,
    /// The workspace's licence, from a file of the user.
    License,
    /// Synapse's `macaroon_secret_key`.
    MacaroonKey,
    /// Password of rcfed's own MongoDB administrator.
    MongoAdmin,
    /// The replica set's shared key.
    MongoKeyfile,
    /// Password of Rocket.Chat's MongoDB user.
    MongoRocketchat,
    /// rcfed's revocable access to Rocket.Chat, obtained after its first start: `userId:token`.
    PersonalAccessToken,
    /// Password of the homeserver's PostgreSQL role.
    PostgresHomeserver,
    /// The homeserver's `registration_shared_secret`.
    RegistrationSharedSecret,
    /// Registers the workspace with Rocket.Chat's cloud, from a file of the user.
    RegistrationToken,
    /// Seed of the homeserver's ed25519 key as padded base64; its loss ends the server's identity.
    SigningKey,
    /// The signing key's version: six letters or digits.
    SigningKeyId,
}

impl SecretName {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 16] = [
        Self::AdminPassword,
        Self::AsToken,
        Self::AppserviceId,
        Self::FormSecret,
        Self::HsToken,
        Self::License,
        Self::MacaroonKey,
        Self::MongoAdmin,
        Self::MongoKeyfile,
        Self::MongoRocketchat,
        Self::PersonalAccessToken,
        Self::PostgresHomeserver,
        Self::RegistrationSharedSecret,
        Self::RegistrationToken,
        Self::SigningKey,
        Self::SigningKeyId,
    ];

    /// The secret of that file name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|secret| secret.name() == name)
    }

    /// The file name below [`crate::layout::SECRETS`].
    pub fn name(self) -> &'static str {
        match self {
            Self::AdminPassword => "admin_password",
            Self::AsToken => "as_token",
            Self::AppserviceId => "appservice_id",
            Self::FormSecret => "form_secret",
            Self::HsToken => "hs_token",
            Self::License => "license",
            Self::MacaroonKey => "macaroon_key",
            Self::MongoAdmin => "mongo_admin",
            Self::MongoKeyfile => "mongo_keyfile",
            Self::MongoRocketchat => "mongo_rocketchat",
            Self::PersonalAccessToken => "personal_access_token",
            Self::PostgresHomeserver => "postgres_homeserver",
            Self::RegistrationSharedSecret => "registration_shared_secret",
            Self::RegistrationToken => "registration_token",
            Self::SigningKey => "signing_key",
            Self::SigningKeyId => "signing_key_id",
        }
    }

    /// The mark that stands for the value in a rendered file.
    ///
    /// `@` cannot start a plain YAML scalar, so a serialiser always quotes it; letters and digits may then take its place.
    pub fn mark(self) -> String {
        format!("@secret:{}@", self.name())
    }
}

/// A secret at a version; a new version changes the hash of everything made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SecretRef {
    /// Which secret.
    pub name: SecretName,
    /// Starts at 1 and grows with every rotation.
    pub version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences() {
        insta::assert_snapshot!(crate::error::told([NoRandomness.into()]));
    }

    #[test]
    fn random_secrets_differ_and_need_no_quoting() {
        let (a, b) = (Secret::random(43).unwrap(), Secret::random(43).unwrap());
        assert_ne!(a, b);
        assert_eq!(a.expose().len(), 43);
        assert!(a.expose().bytes().all(|c| c.is_ascii_alphanumeric()));
        assert_eq!(format!("{a:?}"), "Secret(…)");
        let password = Secret::password().unwrap();
        assert_eq!(password.expose().len(), 23);
        assert_eq!(password.expose().matches('-').count(), 3);
    }
}
