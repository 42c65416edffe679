//! The second factor: codes of an authenticator app, codes by e-mail, or else the password once more
//! (app/2fa/server/code/index.ts, `checkCodeForUser`).

use ring::hmac;
use serde_json::{Map, Value, json};

use super::App;
use super::http::{Reply, Request};
use super::password::{matches, sha256_hex};
use super::{now, random_id, users};

/// Whether this request may do what asks for a second factor.
pub(super) fn check(app: &App, request: &Request, user: &mut Value) -> Result<(), Reply> {
    let token = request.header("x-auth-token");
    let bypass = users::token(user, token).is_some_and(|entry| entry["bypassTwoFactor"] == true);
    if bypass || remembered(app, user, token) {
        return Ok(());
    }
    // One header without the other counts for nothing.
    let (code, method) = match (request.header("x-2fa-code"), request.header("x-2fa-method")) {
        ("", _) | (_, "") => (None, ""),
        (code, method) => (Some(code), method),
    };
    verify(app, user, code, method, true).map_err(|(error, text, details)| Reply::meteor(error, text, details))?;
    let until = now() + 1000 * app.settings.int("Accounts_TwoFactorAuthentication_RememberFor");
    let hashed = super::password::hashed_token(token);
    if let Some(entry) = users::tokens(user).iter_mut().find(|entry| entry["hashedToken"] == hashed.as_str()) {
        entry["twoFactorAuthorizedUntil"] = json!(until);
    }
    Ok(app.store.put(users::COLLECTION, user)?)
}

/// Logging in asks those who have codes, and not for the password once more (loginHandler.ts,
/// `disablePasswordFallback`); nor does it count for what comes after. The REST interface shows the error as that of any
/// other log-in, with its details (ApiClass.ts).
pub(super) fn at_log_in(app: &App, request: &Request, user: &mut Value) -> Result<(), Reply> {
    let code = request.body["code"].as_str().filter(|code| !code.is_empty());
    verify(app, user, code, "", false).map_err(|(error, text, details)| {
        Reply::json(401, &json!({ "status": "error", "error": error, "message": text, "details": details }))
    })?;
    Ok(app.store.put(users::COLLECTION, user)?)
}

/// users.2fa.sendEmailCode (app/api/server/v1/users.ts): without a log-in, and silent about who exists.
pub(super) fn send(app: &App, request: &Request) -> Result<Value, Reply> {
    let Some(name) = request.body["emailOrUsername"].as_str().filter(|name| !name.is_empty()) else {
        let text = "emailOrUsername is required";
        return Err(Reply::meteor("error-parameter-required", text, Value::Null));
    };
    if let Some(mut user) = users::named(&app.store, name)? {
        mail(&mut user);
        app.store.put(users::COLLECTION, &user)?;
    }
    Ok(json!({}))
}

type Refusal = (&'static str, &'static str, Value);

fn verify(app: &App, user: &mut Value, code: Option<&str>, method: &str, fallback: bool) -> Result<(), Refusal> {
    if !app.settings.is("Accounts_TwoFactorAuthentication_Enabled") {
        return Ok(());
    }
    let mine: Vec<&str> = METHODS.into_iter().filter(|method| is_enabled(app, user, method)).collect();
    let password = app.settings.is("Accounts_TwoFactorAuthentication_Enforce_Password_Fallback")
        && user["services"]["password"]["hash"].is_string();
    // A method that was named and does not exist, such as `password`, is passed over for the first that the user has
    // (`getMethodByNameOrFirstActiveForUser`); one that exists is taken whether or not the user has it.
    let method = match METHODS.into_iter().find(|known| *known == method).or(mine.first().copied()) {
        Some(method) => method,
        None if fallback && password => "password",
        None => return Ok(()),
    };
    // Before the code is looked at (`processInvalidCode`): whoever has no code in the post gets one.
    let mut details = Map::from_iter([("method".into(), json!(method)), ("availableMethods".into(), json!(mine))]);
    match method {
        "email" => {
            let sent = user["services"]["emailCode"]["expire"].as_i64().is_none_or(|expire| expire < now());
            if sent {
                mail(user);
                // The error keeps nothing else of the request.
                let _ = app.store.put(users::COLLECTION, user);
            }
            details.insert("codeGenerated".into(), json!(sent));
            details.insert("emailOrUsername".into(), user["username"].clone());
        }
        _ => _ = details.insert("codeGenerated".into(), json!(false)),
    }
    let details = Value::Object(details);
    let Some(code) = code else { return Err(("totp-required", "TOTP Required", details)) };
    let good = match method {
        "totp" => mine.contains(&"totp") && totp(user, code),
        "email" => mine.contains(&"email") && by_mail(user, code),
        _ => matches(&user["services"]["password"], code),
    };
    if good { Ok(()) } else { Err(("totp-invalid", "TOTP Invalid", details)) }
}

/// In this order (`checkMethods`).
const METHODS: [&str; 2] = ["totp", "email"];

/// TOTPCheck.ts and EmailCheck.ts, `isEnabled`.
fn is_enabled(app: &App, user: &Value, method: &str) -> bool {
    let services = &user["services"];
    match method {
        "totp" => services["totp"]["enabled"] == true,
        _ => {
            let verified = |email: &Value| email["verified"] == true;
            app.settings.is("Accounts_TwoFactorAuthentication_By_Email_Enabled")
                && services["email2fa"]["enabled"] == true
                && user["emails"].as_array().is_some_and(|emails| emails.iter().any(verified))
        }
    }
}

/// RFC 6238 with SHA-1, six digits and steps of 30 seconds; one step early or late is well (lib/totp.ts,
/// `Accounts_TwoFactorAuthentication_MaxDelta` is 1). The same code counts as often as it is shown.
fn totp(user: &Value, code: &str) -> bool {
    let Some(secret) = user["services"]["totp"]["secret"].as_str().and_then(base32) else { return false };
    let step = u64::try_from(now() / 1000 / 30).unwrap_or(0);
    (step.saturating_sub(1)..=step + 1).any(|step| hotp(&secret, step) == code)
}

/// RFC 4226, six digits.
fn hotp(secret: &[u8], counter: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let bytes = tag.as_ref();
    let at = usize::from(bytes[bytes.len() - 1] & 0xf);
    let number = bytes[at..at + 4].iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// RFC 4648 without padding.
fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for c in text.trim_end_matches('=').bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == c)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
        bits &= (1 << held) - 1;
    }
    Some(bytes)
}

/// A code that came by e-mail counts once (EmailCheck.ts, `verify`); what is no digit is left out.
fn by_mail(user: &mut Value, code: &str) -> bool {
    let digits: String = code.chars().filter(char::is_ascii_digit).collect();
    let kept = &user["services"]["emailCode"];
    let good = kept["code"] == sha256_hex(&digits).as_str() && kept["expire"].as_i64().is_some_and(|at| at >= now());
    if good && let Some(services) = user["services"].as_object_mut() {
        services.remove("emailCode");
    }
    good
}

/// The post is standard output. Real ones live for an hour (`…_By_Email_Code_Expiration`) and are hashed with bcrypt.
fn mail(user: &mut Value) {
    let number = random_id(12).bytes().fold(0_u64, |number, byte| number * 31 % 1_000_000 + u64::from(byte));
    let code = format!("{:06}", number % 1_000_000);
    let to = user["emails"][0]["address"].as_str().unwrap_or_default();
    println!("E-mail to {to}: Here is your authentication code: {}-{}", &code[..3], &code[3..]);
    user["services"]["emailCode"] = json!({ "code": sha256_hex(&code), "expire": now() + 3_600_000 });
}

/// A new user needs no code for `…_RememberFor` seconds, nor does a session that gave one. A provisioner must not count
/// on either, since it may be interrupted and run again: strict unless told otherwise.
fn remembered(app: &App, user: &Value, token: &str) -> bool {
    if app.environment.strict_2fa() {
        return false;
    }
    let window = 1000 * app.settings.int("Accounts_TwoFactorAuthentication_RememberFor");
    let created = user["createdAt"].as_i64().unwrap_or_default();
    let until = users::token(user, token).and_then(|entry| entry["twoFactorAuthorizedUntil"].as_i64());
    created + window >= now() || until.is_some_and(|until| until >= now())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, and RFC 4648, section 10.
    #[test]
    fn the_vectors_of_the_standards() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(hotp(secret, seconds / 30), code);
        }
        assert_eq!(base32("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").unwrap(), secret);
        assert_eq!(base32("MZXW6YTB").unwrap(), b"fooba");
        assert!(base32("MZXW6YT1").is_none());
    }
}
