//! How a configuration says where a secret is.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

impl SecretRef {
    /// The file, where it can change while the process runs.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            // what is in neither can change while the process runs
            Self::Env(_) | Self::Credential(_) => None,
        }
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
