//! SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use subtle::ConstantTimeEq;

/// What a server keeps of a password.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    salt: Vec<u8>,
    iterations: NonZeroU32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl Credentials {
    /// As mongod makes them for `createUser`; `None` if there is no randomness.
    pub(super) fn new(password: &str) -> Option<Self> {
        // scramSHA256IterationCount: default 15000, salt of 28 bytes.
        let (iterations, salt) = (NonZeroU32::new(15_000)?, random(28)?);
        let salted = salted(password, &salt, iterations);
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key).as_ref().to_vec();
        Some(Self { salt, iterations, stored_key, server_key: mac(&salted, b"Server Key") })
    }

    pub(super) fn to_document(&self) -> Document {
        doc! {
            "iterationCount": i64::from(self.iterations.get()), "salt": STANDARD.encode(&self.salt),
            "storedKey": STANDARD.encode(&self.stored_key), "serverKey": STANDARD.encode(&self.server_key),
        }
    }

    pub(super) fn from_document(document: &Document) -> Option<Self> {
        let bytes = |name| STANDARD.decode(document.get_str(name).ok()?).ok();
        let iterations = u32::try_from(document.get_i64("iterationCount").ok()?).ok()?;
        Some(Self {
            salt: bytes("salt")?,
            iterations: NonZeroU32::new(iterations)?,
            stored_key: bytes("storedKey")?,
            server_key: bytes("serverKey")?,
        })
    }
}

/// A conversation as the server sees it, after the client's first message.
pub(super) struct Conversation {
    credentials: Credentials,
    first_bare: String,
    nonce: String,
    server_first: String,
}

impl Conversation {
    /// The user's name in a first message, which decides whose credentials are needed.
    pub(super) fn user(first: &str) -> Option<String> {
        let bare = first.strip_prefix("n,,")?;
        let name = bare.split(',').find_map(|part| part.strip_prefix("n="))?;
        Some(name.replace("=2C", ",").replace("=3D", "="))
    }

    pub(super) fn start(first: &str, credentials: Credentials) -> Option<(Self, String)> {
        let first_bare = first.strip_prefix("n,,")?.to_owned();
        let client_nonce = first_bare.split(',').find_map(|part| part.strip_prefix("r="))?;
        let nonce = format!("{client_nonce}{}", STANDARD.encode(random(24)?));
        let salt = STANDARD.encode(&credentials.salt);
        let server_first = format!("r={nonce},s={salt},i={}", credentials.iterations);
        let answer = server_first.clone();
        Some((Self { credentials, first_bare, nonce, server_first }, answer))
    }

    /// The server's last message, if the client's proof is right.
    pub(super) fn finish(&self, last: &str) -> Option<String> {
        let (without_proof, proof) = last.rsplit_once(",p=")?;
        if without_proof != format!("c=biws,r={}", self.nonce) {
            return None;
        }
        let message = format!("{},{},{without_proof}", self.first_bare, self.server_first);
        let signature = mac(&self.credentials.stored_key, message.as_bytes());
        let client_key = xor(&STANDARD.decode(proof).ok()?, &signature);
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        if !bool::from(stored_key.as_ref().ct_eq(&self.credentials.stored_key)) {
            return None;
        }
        Some(format!("v={}", STANDARD.encode(mac(&self.credentials.server_key, message.as_bytes()))))
    }
}

/// The client's side: first message, then its answer to the server's first.
pub(super) struct Login<'a> {
    password: &'a str,
    first_bare: String,
}

impl<'a> Login<'a> {
    pub(super) fn new(user: &str, password: &'a str) -> Option<(Self, String)> {
        let name = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={}", STANDARD.encode(random(24)?));
        let first = format!("n,,{first_bare}");
        Some((Self { password, first_bare }, first))
    }

    /// The client's last message and the signature that the server must then show.
    pub(super) fn answer(&self, server_first: &str) -> Option<(String, String)> {
        let part = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let (nonce, salt) = (part("r=")?, STANDARD.decode(part("s=")?).ok()?);
        let salted = salted(self.password, &salt, part("i=")?.parse().ok()?);
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let proof = STANDARD.encode(xor(&client_key, &mac(stored_key.as_ref(), message.as_bytes())));
        let server = STANDARD.encode(mac(&mac(&salted, b"Server Key"), message.as_bytes()));
        Some((format!("{without_proof},p={proof}"), format!("v={server}")))
    }
}

/// The payload of a SASL command or reply, which is a text in binary.
pub(super) fn payload(document: &Document) -> Option<String> {
    String::from_utf8(document.get_binary_generic("payload").ok()?.clone()).ok()
}

pub(super) fn binary(text: String) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: text.into_bytes() })
}

fn random(length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}

fn salted(password: &str, salt: &[u8], iterations: NonZeroU32) -> [u8; 32] {
    let mut out = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut out);
    out
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_password_opens_and_a_wrong_one_does_not() {
        let kept = Credentials::new("pencil").unwrap();
        let kept = Credentials::from_document(&kept.to_document()).unwrap();
        for (password, right) in [("pencil", true), ("pencils", false)] {
            let (login, first) = Login::new("a,b", password).unwrap();
            assert_eq!(Conversation::user(&first).as_deref(), Some("a,b"));
            let (conversation, server_first) = Conversation::start(&first, kept.clone()).unwrap();
            let (last, signature) = login.answer(&server_first).unwrap();
            assert_eq!(conversation.finish(&last), right.then_some(signature));
        }
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_example_of_the_rfc() {
        let login = Login { password: "pencil", first_bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".into() };
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, signature) = login.answer(server_first).unwrap();
        assert!(last.ends_with("p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
        assert_eq!(signature, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }
}
