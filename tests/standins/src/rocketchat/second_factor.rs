//! The second factor: without TOTP or e-mail codes it is the password once more (PasswordCheckFallback.ts).

use serde_json::{Value, json};

use super::App;
use super::http::{Reply, Request};
use super::password::matches;
use super::{now, users};

/// Whether this request may do what asks for a second factor (app/2fa/server/code/index.ts).
pub(super) fn check(app: &App, request: &Request, user: &mut Value) -> Result<(), Reply> {
    let password = user["services"]["password"].clone();
    let enabled = app.settings.is("Accounts_TwoFactorAuthentication_Enabled")
        && app.settings.is("Accounts_TwoFactorAuthentication_Enforce_Password_Fallback")
        && password["hash"].is_string();
    let token = request.header("x-auth-token");
    let bypass = users::token(user, token).is_some_and(|entry| entry["bypassTwoFactor"] == true);
    if !enabled || bypass || remembered(app, user, token) {
        return Ok(());
    }
    let details = json!({ "method": "password", "codeGenerated": false, "availableMethods": [] });
    let (code, method) = (request.header("x-2fa-code"), request.header("x-2fa-method"));
    if code.is_empty() || method.is_empty() {
        return Err(Reply::meteor("totp-required", "TOTP Required", details));
    }
    if !matches(&password, code) {
        return Err(Reply::meteor("totp-invalid", "TOTP Invalid", details));
    }
    let until = now() + 1000 * app.settings.int("Accounts_TwoFactorAuthentication_RememberFor");
    let hashed = super::password::hashed_token(token);
    if let Some(entry) = users::tokens(user).iter_mut().find(|entry| entry["hashedToken"] == hashed.as_str()) {
        entry["twoFactorAuthorizedUntil"] = json!(until);
    }
    Ok(app.store.put(users::COLLECTION, user)?)
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
