//! What a licence is worth.
//!
//! A real one is signed or encrypted with Rocket.Chat's own key: since version 3 `RCV3_` and a JSON Web Token, before that
//! base64 of one RSA block (ee/packages/license/src/token.ts). These here are made up, in the same two shapes, and say so:
//! the token's signature is the word `standin`, and the block begins with `standin:` and the names of modules.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::App;
use super::api::Answer;
use super::http::{Reply, Request};
use super::settings::Settings;
use super::store::Store;
use crate::mongo::client::Error;

/// Where the licence in use is kept.
const SETTING: &str = "Enterprise_License";

/// The module without which Rocket.Chat does not federate by itself, and with another licence not at all.
pub(super) const FEDERATION: &str = "federation";

/// The modules that a licence grants; `None` if it is none, or is over.
pub(super) fn modules(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let Some(token) = text.strip_prefix("RCV3_") else {
        let block = STANDARD.decode(text).ok()?;
        let names = std::str::from_utf8(block.strip_prefix(b"standin:")?).ok()?;
        return Some(names.split_whitespace().map(str::to_owned).collect());
    };
    let parts: Vec<Vec<u8>> =
        token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part)).collect::<Result<_, _>>().ok()?;
    let [_, payload, signature] = parts.as_slice() else { return None };
    let payload: Value = serde_json::from_slice(payload).ok().filter(|_| signature == b"standin")?;
    let now = jiff::Timestamp::now();
    // validateLicensePeriods.ts
    let over = |period: &Value| {
        let until = period["validUntil"].as_str().and_then(|until| until.parse::<jiff::Timestamp>().ok());
        period["invalidBehavior"] == "invalidate_license" && until.is_some_and(|until| until < now)
    };
    if payload["validation"]["validPeriods"].as_array().into_iter().flatten().any(over) {
        return None;
    }
    let granted = payload["grantedModules"].as_array()?.iter();
    Some(granted.filter_map(|module| module["module"].as_str().map(str::to_owned)).collect())
}

/// At boot: the one of the environment counts only if none that is valid is kept (ee/app/license/server/startup.ts).
pub(super) fn load(settings: &Settings, store: &Store, given: Option<&str>) -> Result<(), Error> {
    if let Some(given) = given.filter(|given| modules(given).is_some())
        && modules(&settings.text(SETTING)).is_none()
    {
        settings.set(store, SETTING, json!(given.trim()))?;
    }
    Ok(())
}

impl App {
    /// The modules of the licence in use; `None` without one.
    pub(super) fn modules(&self) -> Option<Vec<String>> {
        modules(&self.settings.text(SETTING))
    }

    /// Whether the licence in use has a module.
    pub(super) fn has_module(&self, name: &str) -> bool {
        self.modules().is_some_and(|modules| modules.iter().any(|module| module == name))
    }

    /// Since 7.0 a workspace without a licence whose statistics never reached Rocket.Chat may only be read (pull
    /// request 33241, `AirGappedRestriction.computeRestriction`); here a registration token stands for that report.
    pub(super) fn restricted(&self) -> bool {
        let environment = &self.environment;
        environment.release() >= (7, 0) && self.modules().is_none() && environment.get("REG_TOKEN").is_none()
    }
}

/// `licenses.info` (ee/server/api/licenses.ts)
pub(super) fn info(app: &App) -> Value {
    let modules = app.modules();
    let license = modules.as_ref().map(|_| json!({ "version": "3.0" }));
    json!({ "license": {
        "license": license, "activeModules": modules.unwrap_or_default(), "preventedActions": {}, "limits": {},
        "tags": [], "trial": false,
    }})
}

/// `licenses.add`: what is no licence is refused; one that is takes the place of the one in use.
pub(super) fn add(app: &App, request: &Request) -> Answer {
    let license = request.body["license"].as_str().unwrap_or_default();
    if modules(license).is_none() {
        return Err(Reply::failure("Invalid license"));
    }
    app.settings.set(&app.store, SETTING, json!(license))?;
    super::native::configure(app);
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_and_what_is_none() {
        let token = |payload: &Value, signature: &str| {
            let parts = [r#"{"typ":"JWT"}"#, &payload.to_string(), signature];
            format!("RCV3_{}", parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join("."))
        };
        let granted = json!({ "grantedModules": [{ "module": "auditing" }, { "module": "federation" }] });
        assert_eq!(modules(&token(&granted, "standin")).unwrap(), ["auditing", "federation"]);
        assert_eq!(modules(&token(&granted, "real")), None);
        let mut over = granted.clone();
        over["validation"]["validPeriods"] =
            json!([{ "validUntil": "2020-01-01T00:00:00Z", "invalidBehavior": "invalidate_license" }]);
        assert_eq!(modules(&token(&over, "standin")), None);
        let block = STANDARD.encode(format!("{:512}", "standin:auditing"));
        assert_eq!(modules(&block).unwrap(), ["auditing"]);
        assert_eq!(modules(&STANDARD.encode([7; 512])), None);
        assert_eq!(modules("nonsense"), None);
    }
}
