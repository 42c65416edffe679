//! The signing key's file, read as Go's `pem.Decode` and `readKeyPEM` (setup/config/config.go) read it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::Ed25519KeyPair;

use crate::matrix::SigningKey;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// Reads the key. `strict` demands the characters a new key's id may have; old keys are let off.
///
/// # Errors
/// With Dendrite's text.
pub fn load(path: &str, strict: bool) -> Result<SigningKey, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("open {path}: {}", go_error(&why)))?;
    parse(path, &text, strict)
}

/// What Go says for the errors that occur here.
#[must_use]
pub fn go_error(why: &std::io::Error) -> String {
    match why.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => why.to_string(),
    }
}

/// Reads a key from the text of its file.
///
/// # Errors
/// With Dendrite's text.
pub fn parse(path: &str, text: &str, strict: bool) -> Result<SigningKey, String> {
    let mut rest = text;
    loop {
        let Some((block, after)) = decode(rest) else { return Err(format!("keyBlock is nil {path:?}")) };
        rest = after;
        if block.kind != "MATRIX PRIVATE KEY" {
            if rest.is_empty() {
                return Err(format!("no matrix private key PEM data in {path:?}"));
            }
            continue;
        }
        let id = block.key_id.unwrap_or_default();
        if id.is_empty() {
            return Err(format!("missing key ID in PEM data in {path:?}"));
        }
        let Some(name) = id.strip_prefix("ed25519:") else {
            return Err(format!("key ID {id:?} doesn't start with \"ed25519:\" in {path:?}"));
        };
        if strict && (name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')) {
            return Err(format!(
                "key ID {id:?} in {path:?} contains illegal characters (use a-z, A-Z, 0-9 and _ only)"
            ));
        }
        // ed25519.GenerateKey reads 32 bytes from the block as if it were a source of randomness
        let seed = block.bytes.get(..32).ok_or(if block.bytes.is_empty() { "EOF" } else { "unexpected EOF" })?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|why| why.to_string())?;
        return Ok(SigningKey { id, pair });
    }
}

struct Block {
    kind: String,
    key_id: Option<String>,
    bytes: Vec<u8>,
}

/// The next PEM block. A block that is not well-formed is passed over, as in Go: padded base64 only, headers up to the first
/// line without a colon, an end line that names the same type.
fn decode(text: &str) -> Option<(Block, &str)> {
    let mut from = 0;
    while let Some(at) = text[from..].find(BEGIN).map(|at| at + from) {
        from = at + BEGIN.len();
        if at > 0 && !text[..at].ends_with('\n') {
            continue;
        }
        let Some((first, body)) = text[from..].split_once('\n') else { continue };
        let Some(kind) = first.trim_end().strip_suffix("-----") else { continue };
        let Some(end) = body.find(END).filter(|end| *end == 0 || body[..*end].ends_with('\n')) else { continue };
        let after = &body[end + END.len()..];
        let Some(after) = after.strip_prefix(kind).and_then(|after| after.strip_prefix("-----")) else { continue };
        let (mut key_id, mut lines) = (None, body[..end].lines().peekable());
        while let Some((name, value)) = lines.peek().and_then(|line| line.split_once(':')) {
            if name.trim() == "Key-ID" {
                key_id = Some(value.trim().to_owned());
            }
            lines.next();
        }
        let base64: String = lines.flat_map(str::split_whitespace).collect();
        let Ok(bytes) = STANDARD.decode(base64) else { continue };
        return Some((
            Block { kind: kind.to_owned(), key_id, bytes },
            after.trim_start_matches([' ', '\t', '\r', '\n']),
        ));
    }
    None
}
