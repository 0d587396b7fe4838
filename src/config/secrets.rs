//! Where secrets are to be found: never the secrets themselves.
//!
//! A configuration names an environment variable or a file. It is read when the gateway starts
//! and at each reload; what goes wrong is told with the name of the variable or the file, never
//! with what is in it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::{AdminKey, AlertSecrets, Config, ConfigErrors, Fault};
use crate::pixel::PixelId;
use crate::secret::Secret;

/// Largest secret file that is read: no token is near it, and `/dev/zero` is endless.
const MAX_SECRET: u64 = 64 * 1024;

/// Where a secret is to be found: `{ env = "NAME" }`, `{ file = "/path" }`, or
/// `{ credential = "name" }` for what systemd's `LoadCredential=` hands to the service.
///
/// A variable is named in capitals, digits and `_`; a file with a path that has a `/` in it; a
/// credential in at most 40 small letters, digits, `_`, `-` and `.`. So a secret written by
/// mistake in place of its name is refused before it is shown anywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretRef {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(PathBuf),
    /// In the file of this name in the directory that systemd names in `CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// An ingest or admin key, by its SHA-256 digest or by where it is to be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyRef {
    /// The digest itself: `{ sha256 = "<64 hex digits>" }`. A digest is no secret.
    Sha256([u8; 32]),
    /// The key is in a variable or a file, in clear.
    Secret(SecretRef),
}

/// Why a secret could not be read. Names the variable or file, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretRefError {
    /// The variable is not set, or is not Unicode.
    #[error("the environment variable {0} is not set, or is not Unicode")]
    NotSet(String),
    /// The file cannot be read.
    #[error("the file {} cannot be read: {}", .0.display(), .1.kind())]
    Unreadable(PathBuf, io::Error),
    /// The file is too large or not UTF-8.
    #[error("the file {} does not look like a secret: expected a regular file with one line of text", .0.display())]
    NotText(PathBuf),
    /// The service was given no credentials.
    #[error(
        "there is no credential {0}: CREDENTIALS_DIRECTORY is not set; add LoadCredential={0}:/path to the systemd unit"
    )]
    NoCredentials(String),
    /// A file that others may read, where that is not allowed.
    #[error("the file {} can be read by others: run `chmod 600 {}`", .0.display(), .0.display())]
    Open(PathBuf),
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(SecretRef),
    /// There is a line break, blank or control character in it.
    #[error(
        "{0} has white space, a line break, a byte-order mark or another character that is not ASCII inside: expected one word of ASCII"
    )]
    White(SecretRef),
}

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

impl SecretRef {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            // what is in neither can change while the process runs
            Self::Env(_) | Self::Credential(_) => None,
        }
    }

    /// As [`SecretRef::read_with`], but of a file that only its owner may read.
    pub fn read_private(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Secret, SecretRefError> {
        self.check_private()?;
        self.read_with(env)
    }

    /// Refuses a file that others than its owner may read.
    fn check_private(&self) -> Result<(), SecretRefError> {
        use std::os::unix::fs::MetadataExt;
        let Some(path) = self.file() else {
            return Ok(());
        };
        // what cannot be looked at is told when it is read
        match path.metadata() {
            Ok(about) if about.mode() & 0o077 != 0 => Err(SecretRefError::Open(path.to_owned())),
            _ => Ok(()),
        }
    }

    /// Reads the secret from the environment given, or from the file system; one line break at
    /// its end is taken off.
    pub fn read_with(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Secret, SecretRefError> {
        let mut text = match self {
            Self::Env(name) => env(name).ok_or_else(|| SecretRefError::NotSet(name.clone()))?,
            Self::File(path) => read_file(path)?,
            Self::Credential(name) => {
                let dir = env("CREDENTIALS_DIRECTORY");
                let dir = dir.ok_or_else(|| SecretRefError::NoCredentials(name.clone()))?;
                read_file(&Path::new(&dir).join(name))?
            }
        };
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        let secret = Secret::new(text);
        if secret.expose().is_empty() {
            return Err(SecretRefError::Empty(self.clone()));
        }
        if !secret.expose().bytes().all(|b| b.is_ascii_graphic()) {
            return Err(SecretRefError::White(self.clone()));
        }
        Ok(secret)
    }
}

fn read_file(path: &Path) -> Result<String, SecretRefError> {
    use std::io::Read;
    let unreadable = |error| SecretRefError::Unreadable(path.to_owned(), error);
    if !path.metadata().map_err(unreadable)?.is_file() {
        // a pipe that nobody writes to would wait for ever
        return Err(SecretRefError::NotText(path.to_owned()));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a secret file is no file of the journal"
    )]
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_SECRET {
        return Err(SecretRefError::NotText(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| SecretRefError::NotText(path.to_owned()))
}

impl KeyRef {
    /// The SHA-256 digest of the key, which is looked up in the environment given.
    pub fn digest_with(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<[u8; 32], SecretRefError> {
        match self {
            Self::Sha256(digest) => Ok(*digest),
            Self::Secret(place) => {
                let key = place.read_with(env)?;
                Ok(Sha256::digest(key.expose().as_bytes()).into())
            }
        }
    }
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

/// The one way to write a secret reference, as a table.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// A table, or something else that is passed over unread so that no error can quote it.
struct Quiet(Table);

impl<'de> Deserialize<'de> for Quiet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TableOnly;
        impl<'de> de::Visitor<'de> for TableOnly {
            type Value = Quiet;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table that says where the secret is")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Quiet, A::Error> {
                Table::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(Quiet)
                    .map_err(|_| de::Error::custom(BAD_TABLE))
            }
            fn visit_str<E: de::Error>(self, _: &str) -> Result<Quiet, E> {
                Err(E::custom(BAD_TABLE))
            }
        }
        deserializer.deserialize_any(TableOnly)
    }
}

const BAD_TABLE: &str = "exactly one of env, file and credential, in a table";

fn place(table: Table) -> Result<SecretRef, &'static str> {
    match (table.env, table.file, table.credential) {
        (Some(name), None, None) => {
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            let named = name.len() <= 128 && !name.is_empty() && plain;
            let starts = !name.starts_with(|c: char| c.is_ascii_digit());
            if named && starts {
                Ok(SecretRef::Env(name))
            } else {
                Err("the name of an environment variable, in capitals, digits and _")
            }
        }
        (None, Some(path), None) => {
            if path.as_os_str().as_encoded_bytes().contains(&b'/') {
                Ok(SecretRef::File(path))
            } else {
                Err("the path of a file, with a / in it (./name for one in the working directory)")
            }
        }
        (None, None, Some(name)) => {
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
            if (1..=40).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.') {
                Ok(SecretRef::Credential(name))
            } else {
                Err(
                    "the name of a systemd credential, at most 40 small letters, digits, _, - and .",
                )
            }
        }
        _ => Err(BAD_TABLE),
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Quiet(table) = Quiet::deserialize(deserializer)?;
        if table.sha256.is_some() {
            return Err(de::Error::custom(BAD_TABLE));
        }
        place(table).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for KeyRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Quiet(table) = Quiet::deserialize(deserializer)?;
        match table.sha256 {
            Some(text)
                if table.env.is_none() && table.file.is_none() && table.credential.is_none() =>
            {
                let mut digest = [0; 32];
                hex::decode_to_slice(&text, &mut digest)
                    .map_err(|_| de::Error::custom("64 hex digits for sha256"))?;
                Ok(Self::Sha256(digest))
            }
            None => place(table).map(Self::Secret).map_err(de::Error::custom),
            Some(_) => Err(de::Error::custom(
                "exactly one of sha256, env, file and credential",
            )),
        }
    }
}

impl From<&SecretRef> for Table {
    fn from(place: &SecretRef) -> Self {
        let mut table = Self::default();
        match place {
            SecretRef::Env(name) => table.env = Some(name.clone()),
            SecretRef::File(path) => table.file = Some(path.clone()),
            SecretRef::Credential(name) => table.credential = Some(name.clone()),
        }
        table
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Table::from(self).serialize(serializer)
    }
}

impl Serialize for KeyRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Secret(place) => place.serialize(serializer),
            Self::Sha256(digest) => Table {
                sha256: Some(hex::encode(digest)),
                ..Table::default()
            }
            .serialize(serializer),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Credential(name) => write!(f, "the credential {name}"),
        }
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
