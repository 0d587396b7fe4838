//! Where secrets are to be found: never the secrets themselves.
//!
//! A configuration names an environment variable or a file. It is read when the gateway starts
//! and at each reload; what goes wrong is told with the name of the variable or the file, never
//! with what is in it.

mod place;
mod read;

use std::collections::BTreeMap;
use std::path::Path;

use super::{AdminKey, AlertSecrets, Config, ConfigErrors, Fault};
use crate::pixel::PixelId;
use crate::secret::Secret;

pub use place::{KeyRef, SecretRef};
pub use read::SecretRefError;

/// Every secret a configuration points to, read.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Tokens and app secrets, by pixel.
    pub pixels: BTreeMap<PixelId, PixelSecrets>,
    /// The key of the vault.
    pub vault_key: Option<Secret>,
    /// The name of the source each ingest key belongs to, by the key's SHA-256 digest.
    pub keys: BTreeMap<[u8; 32], String>,
    /// The keys of the admin API.
    pub admin: Vec<AdminKey>,
    /// What alerts are sent with.
    pub alerts: AlertSecrets,
}

/// The secrets of one pixel.
#[derive(Clone, Debug)]
pub struct PixelSecrets {
    /// The access token, if it is not in the vault.
    pub token: Option<Secret>,
    /// The secret of the app the token belongs to, for the proof.
    pub app_secret: Option<Secret>,
}

impl Config {
    /// Reads every secret the configuration points to, from the environment given and the files.
    ///
    /// All that is missing is reported together, and so is a key that is there twice.
    pub fn secrets(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<Secrets, ConfigErrors> {
        let mut faults = Vec::new();
        let mut fault = |key: String, expected: String| {
            faults.push(Fault {
                key,
                origin: String::new(),
                got: None,
                expected,
            });
        };
        let mut pixels = BTreeMap::new();
        for (id, pixel) in &self.pixels {
            let mut read = |part: &str, place: &SecretRef| {
                place
                    .read_with(env)
                    .map_err(|error| fault(format!("pixels.{id}.{part}"), error.to_string()))
                    .ok()
            };
            let mut read_in = |part, place: &Option<SecretRef>| read(part, place.as_ref()?);
            let secrets = PixelSecrets {
                app_secret: read_in("app_secret", &pixel.app_secret),
                token: read_in("token", &pixel.token),
            };
            pixels.insert(*id, secrets);
        }
        let vault_key = self.tokens.vault_key.as_ref().and_then(|place| {
            let read = place.read_private(env);
            read.map_err(|error| fault("tokens.vault_key".to_owned(), error.to_string()))
                .ok()
        });
        let mut keys: BTreeMap<[u8; 32], String> = BTreeMap::new();
        for (name, source) in &self.sources {
            for (index, key) in source.keys.iter().enumerate() {
                let path = format!("sources.{name}.keys[{index}]");
                match key.digest_with(env) {
                    Err(error) => fault(path, error.to_string()),
                    Ok(digest) => {
                        if let Some(other) = keys.insert(digest, name.clone()) {
                            fault(path, shared_key(name, &other));
                        }
                    }
                }
            }
        }
        let mut admin: Vec<AdminKey> = Vec::new();
        for (name, role, key) in self.admin.named() {
            match key.digest_with(env) {
                Err(error) => fault(name, error.to_string()),
                Ok(digest) => {
                    let twin = admin.iter().find(|known| known.digest == digest);
                    if let Some(twin) = twin {
                        fault(
                            name,
                            format!("expected a key of its own; this one is also {}", twin.name),
                        );
                    } else if let Some(source) = keys.get(&digest) {
                        fault(name, shared_key("", source));
                    } else {
                        admin.push(AdminKey { name, role, digest });
                    }
                }
            }
        }
        let alerts = self.alerts.secrets(env, &mut faults);
        ConfigErrors::check(faults)?;
        Ok(Secrets {
            pixels,
            vault_key,
            keys,
            admin,
            alerts,
        })
    }
}

impl Config {
    /// Every file that holds a secret, and those that are read together with them.
    pub fn secret_files(&self) -> Vec<&Path> {
        let files = self.secret_places().filter_map(SecretRef::file);
        files.chain(self.alerts.ca.as_deref()).collect()
    }

    /// Every environment variable that holds a secret.
    pub fn secret_variables(&self) -> impl Iterator<Item = &str> {
        self.secret_places().filter_map(|place| match place {
            SecretRef::Env(name) => Some(name.as_str()),
            SecretRef::File(_) | SecretRef::Credential(_) => None,
        })
    }

    /// Every place where a secret is to be found.
    fn secret_places(&self) -> impl Iterator<Item = &SecretRef> {
        let pixels = self.pixels.values();
        let pixels = pixels.flat_map(|pixel| [pixel.token.as_ref(), pixel.app_secret.as_ref()]);
        let vault_key = self.tokens.vault_key.as_ref();
        let keys = self.sources.values().flat_map(|source| &source.keys);
        let admin = self.admin.named().map(|(_, _, key)| key);
        let keys = keys.chain(admin).map(|key| match key {
            KeyRef::Secret(place) => Some(place),
            KeyRef::Sha256(_) => None,
        });
        pixels
            .chain(keys)
            .chain([vault_key])
            .chain(self.alerts.places().map(Some))
            .flatten()
    }
}

/// The words for a key that is there twice; a key says which source is calling.
pub(super) fn shared_key(name: &str, other: &str) -> String {
    if name == other {
        "expected each key once; this one is in the list twice".to_owned()
    } else {
        format!("expected a key of its own; this one is also a key of the source {other:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_with_a_secret_is_known_to_the_watch() {
        let text = r#"
            [pixels.1]
            token = { file = "/token" }
            app_secret = { file = "/app" }
            [sources.shop]
            keys = [{ file = "/key" }, { env = "KEY" }]
            pixels = ["1"]
            [admin]
            keys = [{ env = "ADMIN" }, { file = "/admin" }, { credential = "admin" }]
            view_keys = [{ file = "/view" }]
            [tokens]
            vault_key = { file = "/vault.key" }
            [alerts]
            ca = "/ca"
            webhook_url = { file = "/url" }
            webhook_secret = { file = "/sign" }
            email_password = { file = "/mail" }
        "#;
        let config: Config = toml::from_str(text).unwrap();
        let files = [
            "/token",
            "/app",
            "/key",
            "/admin",
            "/view",
            "/vault.key",
            "/url",
            "/sign",
            "/mail",
            "/ca",
        ]
        .map(Path::new);
        assert_eq!(config.secret_files(), files);
    }
}
