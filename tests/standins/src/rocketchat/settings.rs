//! Settings: from code, from the environment, from the database, in that order of strength turned round.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};

use super::environment::Environment;
use super::random_id;
use super::registry::{self, Kind};
use super::store::Store;
use crate::mongo::client::Error;

const COLLECTION: &str = "rocketchat_settings";

/// All settings, as they are now.
pub(super) struct Settings {
    known: RwLock<BTreeMap<String, Setting>>,
}

#[derive(Clone)]
struct Setting {
    value: Value,
    kind: Kind,
    public: bool,
}

impl Settings {
    /// Registers every setting: a new one takes `<_id>` of the environment or its default, and
    /// `OVERWRITE_SETTING_<_id>` wins at every boot (overwriteSetting.ts). Variables for ids that nobody registered are
    /// never looked at.
    pub(super) fn load(environment: &Environment, store: &Store) -> Result<Self, Error> {
        let mut stored: BTreeMap<String, Value> = BTreeMap::new();
        for document in store.all(COLLECTION)? {
            let id = document["_id"].as_str().unwrap_or_default().to_owned();
            stored.insert(id, document);
        }
        let unique = stored.get("uniqueID").and_then(|document| document["value"].as_str());
        let unique = unique.or(environment.get("DEPLOYMENT_ID")).map_or_else(|| random_id(17), str::to_owned);
        let mut known = BTreeMap::new();
        for entry in registry::entries(environment, &unique) {
            let old = stored.get(entry.id);
            let overwritten = environment.get(&format!("OVERWRITE_SETTING_{}", entry.id));
            // SettingsRegistry.ts: on the boot that changes a setting's other properties (an upgrade) they are written
            // without the value from the environment.
            let upgrade = old.is_some_and(|old| old["standinVersion"] != environment.version.as_str());
            let loses = upgrade && environment.get("STANDIN_UPGRADE_LOSES_OVERWRITE").is_some();
            let first = || environment.get(entry.id).map(|text| convert(text, entry.kind));
            let value = match (overwritten.filter(|_| !loses), old) {
                (Some(text), _) => convert(text, entry.kind),
                (None, Some(old)) => old["value"].clone(),
                (None, None) => first().unwrap_or_else(|| entry.default.clone()),
            };
            let source = if overwritten.is_some() { "processEnvValue" } else { "packageValue" };
            let document = json!({
                "_id": entry.id, "value": value, "valueSource": source, "standinVersion": environment.version,
            });
            if old != Some(&document) {
                store.put(COLLECTION, &document)?;
            }
            known.insert(entry.id.to_owned(), Setting { value, kind: entry.kind, public: entry.public });
        }
        let settings = Self { known: RwLock::new(known) };
        settings.write_registration(store)?;
        Ok(settings)
    }

    pub(super) fn get(&self, id: &str) -> Option<Value> {
        self.read(id).map(|setting| setting.value)
    }

    pub(super) fn is(&self, id: &str) -> bool {
        self.get(id) == Some(Value::Bool(true))
    }

    pub(super) fn text(&self, id: &str) -> String {
        match self.get(id) {
            Some(Value::String(text)) => text,
            Some(Value::Null) | None => String::new(),
            Some(value) => value.to_string(),
        }
    }

    pub(super) fn int(&self, id: &str) -> i64 {
        self.get(id).and_then(|value| value.as_i64()).unwrap_or_default()
    }

    pub(super) fn is_action(&self, id: &str) -> bool {
        self.read(id).is_some_and(|setting| setting.kind == Kind::Action)
    }

    /// Gives a setting a value; whether it was another one before. `None` if there is no such setting.
    ///
    /// Nothing looks at `readonly` or the type here: that is done in the browser only (updateValueNotHiddenById).
    pub(super) fn set(&self, store: &Store, id: &str, value: Value) -> Result<Option<bool>, Error> {
        let Some(mut setting) = self.read(id) else { return Ok(None) };
        if setting.value == value {
            return Ok(Some(false));
        }
        let mut document = store.find(COLLECTION, id)?.unwrap_or_else(|| json!({ "_id": id }));
        document["value"] = value.clone();
        store.put(COLLECTION, &document)?;
        setting.value = value;
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), setting);
        if WATCHED.contains(&id) {
            self.write_registration(store)?;
        }
        Ok(Some(true))
    }

    /// Those anybody may see.
    pub(super) fn public(&self) -> Vec<Value> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let public = known.iter().filter(|(_, setting)| setting.public);
        public.map(|(id, setting)| json!({ "_id": id, "value": setting.value })).collect()
    }

    fn read(&self, id: &str) -> Option<Setting> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// The registration an administrator would copy to the homeserver (`updateRegistrationFile`).
    fn write_registration(&self, store: &Store) -> Result<(), Error> {
        let id = "Federation_Matrix_registration_file";
        if self.read(id).is_none() {
            return Ok(());
        }
        let namespace = "    - exclusive: false\n      regex: .*\n";
        let yaml = format!(
            "id: {}\nhs_token: {}\nas_token: {}\nurl: {}\nsender_localpart: {}\nnamespaces:\n  users:\n{namespace}  \
             rooms:\n{namespace}  aliases:\n{namespace}de.sorunome.msc2409.push_ephemeral: {}\n\
             use_appservice_legacy_authorization: true\n",
            self.text("Federation_Matrix_id"),
            self.text("Federation_Matrix_hs_token"),
            self.text("Federation_Matrix_as_token"),
            self.text("Federation_Matrix_bridge_url"),
            self.text("Federation_Matrix_bridge_localpart"),
            self.is("Federation_Matrix_enable_ephemeral_events"),
        );
        self.set(store, id, Value::String(yaml)).map(drop)
    }
}

/// convertValue.ts: `true` and `false` in any case become booleans whatever the type; an int is what `parseInt` makes of
/// it; all else stays text.
fn convert(text: &str, kind: Kind) -> Value {
    match (text.to_ascii_lowercase().as_str(), kind) {
        ("true", _) => json!(true),
        ("false", _) => json!(false),
        (_, Kind::Int) => {
            let digits = text.trim_start();
            let end = digits.char_indices().find(|(at, c)| !(c.is_ascii_digit() || *at == 0 && *c == '-'));
            let number = &digits[..end.map_or(digits.len(), |(at, _)| at)];
            number.parse::<i64>().map_or(Value::Null, |number| json!(number))
        }
        _ => json!(text),
    }
}

/// A change of one of these restarts the bridge and checks the configuration (`onFederationEnabledStatusChanged`).
pub(super) const WATCHED: [&str; 8] = [
    "Federation_Matrix_as_token",
    "Federation_Matrix_bridge_localpart",
    "Federation_Matrix_bridge_url",
    "Federation_Matrix_enabled",
    "Federation_Matrix_homeserver_domain",
    "Federation_Matrix_homeserver_url",
    "Federation_Matrix_hs_token",
    "Federation_Matrix_id",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_from_the_environment_are_converted_as_the_original_does() {
        for (text, kind, value) in [
            ("TRUE", Kind::Text, json!(true)),
            ("False", Kind::Int, json!(false)),
            ("12px", Kind::Int, json!(12)),
            ("x", Kind::Int, Value::Null),
            ("1", Kind::Boolean, json!("1")),
            ("rocket.cat", Kind::Text, json!("rocket.cat")),
        ] {
            assert_eq!(convert(text, kind), value, "{text}");
        }
    }
}
