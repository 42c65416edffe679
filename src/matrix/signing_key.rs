//! The homeserver's ed25519 key: made here, so that Dendrite and Synapse get the same identity from the same secret.
//!
//! The key lives as two secrets, its seed and its version, because a rendered file is made of marks: [`pem`] and
//! [`line()`] take texts, which are marks while a plan is made and values in tests.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::error::Explain;
use crate::secrets::{NoRandomness, Secret};

/// A signing key and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    seed: Secret,
    id: Secret,
}

impl SigningKey {
    /// A new key.
    ///
    /// Its version is random: Dendrite's own tool takes six characters of the seed, which then everybody knows.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut seed = [0u8; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| NoRandomness)?;
        Ok(Self { seed: Secret::new(STANDARD.encode(seed)), id: Secret::random(6)? })
    }

    /// The key of two stored secrets.
    pub fn from_secrets(seed: Secret, id: Secret) -> Result<Self, BadKey> {
        let id_is_fine = !id.expose().is_empty() && id.expose().bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
        if !id_is_fine {
            return Err(BadKey::Id);
        }
        let key = Self { seed, id };
        key.pair().map(|_| key)
    }

    /// The seed as padded base64: the value of [`crate::secrets::SecretName::SigningKey`].
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// The version: the value of [`crate::secrets::SecretName::SigningKeyId`].
    pub fn id(&self) -> &Secret {
        &self.id
    }

    /// The key's name in signatures, e.g. `ed25519:a1B2c3`.
    pub fn key_id(&self) -> String {
        format!("ed25519:{}", self.id.expose())
    }

    /// The public half as unpadded base64, as servers publish it.
    pub fn public_key(&self) -> Result<String, BadKey> {
        Ok(STANDARD_NO_PAD.encode(self.pair()?.public_key()))
    }

    /// Signs, and returns unpadded base64.
    pub fn sign(&self, message: &[u8]) -> Result<String, BadKey> {
        Ok(STANDARD_NO_PAD.encode(self.pair()?.sign(message)))
    }

    fn pair(&self) -> Result<Ed25519KeyPair, BadKey> {
        let seed = STANDARD.decode(self.seed.expose()).map_err(|_| BadKey::Seed)?;
        Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| BadKey::Seed)
    }
}

/// Dendrite's key file. The seed must be padded base64: Dendrite does not read any other.
pub fn pem(seed: &str, id: &str) -> String {
    format!("-----BEGIN MATRIX PRIVATE KEY-----\nKey-ID: ed25519:{id}\n\n{seed}\n-----END MATRIX PRIVATE KEY-----\n")
}

/// Synapse's key file. It writes unpadded base64 itself and reads padded as well.
pub fn line(seed: &str, id: &str) -> String {
    format!("ed25519 {id} {seed}\n")
}

/// Stored secrets that are not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Only letters, digits and `_` may name a key.
    #[error("the version of the stored signing key is not made of letters and digits")]
    Id,
    /// Not 32 bytes in base64.
    #[error("the stored signing key is not a 32-byte seed in base64")]
    Seed,
}

impl Explain for BadKey {
    fn hint(&self) -> Option<String> {
        let dir = crate::layout::SECRETS;
        Some(format!(
            "put the backup of `{dir}/signing_key` and `{dir}/signing_key_id` back; a new key is a new identity"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_hold_the_key_that_is_published() {
        let seed: Vec<u8> = (0..32).collect();
        let key = SigningKey::from_secrets(Secret::new(STANDARD.encode(seed)), Secret::new("abc123")).unwrap();
        assert_eq!(key.public_key().unwrap(), "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
        assert_eq!(key.key_id(), "ed25519:abc123");
        let (seed, id) = (key.seed().expose(), key.id().expose());
        assert_eq!(line(seed, id), "ed25519 abc123 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
        insta::assert_snapshot!(pem(seed, id));
    }

    #[test]
    fn generated_keys_differ_and_can_be_read_back() {
        let (a, b) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.id().expose().len(), 6);
        assert_eq!(SigningKey::from_secrets(a.seed().clone(), a.id().clone()).unwrap(), a);
        assert!(!format!("{a:?}").contains(a.seed().expose()));
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let key = SigningKey::generate().unwrap();
        let refuse = |seed: &str, id: &str| SigningKey::from_secrets(Secret::new(seed), Secret::new(id)).unwrap_err();
        assert_eq!(refuse("AAEC", "a"), BadKey::Seed);
        assert_eq!(refuse(key.seed().expose(), "a:b"), BadKey::Id);
        assert_eq!(refuse(key.seed().expose(), ""), BadKey::Id);
        insta::assert_snapshot!(crate::error::told([BadKey::Seed, BadKey::Id].map(Into::into)));
    }
}
