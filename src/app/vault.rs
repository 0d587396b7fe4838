//! The vault of a running gateway: opened with the configuration, read again with it.

use std::collections::BTreeSet;

use crate::config::{Config, Secrets};
use crate::pixel::PixelId;
use crate::tokens::{Contents, TokenKey, TokenRecord, Vault, VaultError};

/// What the vault held when it was last read.
pub(super) struct Held {
    /// None when the configuration names no key for it.
    pub(super) vault: Option<Vault>,
    pub(super) contents: Contents,
    /// Why it could not be read; `contents` is empty then.
    pub(super) unread: Option<String>,
}

impl Held {
    /// Reads the vault that the configuration names. Blocks.
    pub(super) fn read(config: &Config, secrets: &Secrets) -> Result<Self, VaultError> {
        let vault = vault(config, secrets)?;
        let contents = vault.as_ref().map(Vault::read).transpose()?;
        Ok(Self {
            vault,
            contents: contents.unwrap_or_default(),
            unread: None,
        })
    }

    /// The same while a gateway runs: a vault that is not there any more is no empty one.
    pub(super) fn read_again(
        config: &Config,
        secrets: &Secrets,
        before: &Self,
    ) -> Result<Self, VaultError> {
        let now = Self::read(config, secrets)?;
        let path = |held: &Self| held.vault.as_ref().map(|vault| vault.path().to_owned());
        let is_gone = now.contents.generation == 0 && before.contents.generation > 0;
        match path(&now) {
            Some(path_now) if is_gone && Some(&path_now) == path(before).as_ref() => {
                Err(VaultError::Gone(path_now))
            }
            _ => Ok(now),
        }
    }

    /// The same when a gateway starts, which a vault that cannot be read does not keep it from:
    /// events are taken, and wait for their token.
    pub(super) fn read_at_start(config: &Config, secrets: &Secrets) -> Self {
        Self::read(config, secrets).unwrap_or_else(|error| {
            tracing::error!(code = error.code(), %error, "the vault cannot be read: events of pixels whose token is there are taken and wait");
            Self {
                vault: vault(config, secrets).unwrap_or_default(),
                contents: Contents::default(),
                unread: Some(error.to_string()),
            }
        })
    }
}

fn vault(config: &Config, secrets: &Secrets) -> Result<Option<Vault>, VaultError> {
    let key = secrets.vault_key.as_ref();
    key.map(|key| Vault::new(config.tokens.vault.clone(), key))
        .transpose()
}

/// The pixels whose tokens, or whose tokens' apps, are other ones, as `vault.<pixel>`.
pub(super) fn changes(before: &Contents, after: &Contents) -> BTreeSet<String> {
    let ids: BTreeSet<PixelId> = (before.pixels.keys().chain(after.pixels.keys()))
        .copied()
        .collect();
    let seen = |contents: &Contents, id: PixelId| -> Vec<_> {
        let about = |record: &TokenRecord| {
            let app = record.facts.app_id.as_ref();
            let app = app.and_then(|id| contents.apps.get(id));
            let secret = app.map(|app| TokenKey::of(&app.secret));
            (
                TokenKey::of(&record.secret),
                record.facts.app_id.clone(),
                secret,
            )
        };
        let slots = contents.candidates(id);
        slots
            .map(|(slot, _, record)| (slot, about(record)))
            .collect()
    };
    let is_other = |id: &PixelId| seen(before, *id) != seen(after, *id);
    ids.into_iter()
        .filter(is_other)
        .map(|id| format!("vault.{id}"))
        .collect()
}

/// What the operator should know about configuration and vault taken together.
pub(super) fn warnings(config: &Config, contents: &Contents) -> Vec<String> {
    let mut warnings = Vec::new();
    for (id, pixel) in &config.pixels {
        let is_there = contents.pixels.contains_key(id);
        if pixel.token.is_none() && !is_there {
            warnings.push(format!(
                "pixel {id} has no token: its events are taken and wait; run `capigate token add --pixel {id}`"
            ));
        }
        if pixel.token.is_some() && is_there {
            warnings.push(format!(
                "pixels.{id}.token is set, so its tokens in the vault are not used"
            ));
        }
    }
    for id in contents.pixels.keys() {
        if !config.pixels.contains_key(id) {
            warnings.push(format!(
                "the vault has a token for pixel {id}, which is not configured: add [pixels.{id}]"
            ));
        }
    }
    if !config.tokens.allow_shared {
        for name in contents.tokens.keys() {
            let pixels: BTreeSet<String> = contents
                .users(name)
                .map(|(pixel, _)| pixel.to_string())
                .collect();
            if pixels.len() > 1 {
                let pixels: Vec<String> = pixels.into_iter().collect();
                warnings.push(format!(
                    "token {name} serves the pixels {}: when it dies, all of them wait; give each a token of its own, or set tokens.allow_shared",
                    pixels.join(", ")
                ));
            }
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::time::UnixMs;
    use crate::tokens::{AppRecord, Facts, Name, Obtained, Slot};

    fn contents(tokens: &[(&str, &[u64])]) -> Contents {
        let mut contents = Contents::default();
        for (token, pixels) in tokens {
            let name: Name = token.parse().unwrap();
            let record = TokenRecord {
                secret: Secret::new((*token).to_owned()),
                obtained: Obtained::Pasted,
                added_at: UnixMs(1),
                facts: Facts {
                    app_id: Some("42".to_owned()),
                    ..Facts::default()
                },
            };
            contents.add(name.clone(), record).unwrap();
            for pixel in *pixels {
                let pixel = PixelId::from_u64(*pixel).unwrap();
                contents
                    .bind(pixel, Slot::Current, &name, UnixMs(1))
                    .unwrap();
            }
        }
        contents
    }

    #[test]
    fn a_change_is_named_by_the_pixels_it_concerns() {
        let before = contents(&[("a", &[1, 2]), ("b", &[3])]);
        let named = |after: &Contents| changes(&before, after).into_iter().collect::<Vec<_>>();
        assert_eq!(named(&before.clone()), [""; 0]);
        assert_eq!(
            named(&contents(&[("a", &[1]), ("b", &[2, 3])])),
            ["vault.2"]
        );
        let mut with_app = before.clone();
        let secret = Secret::new("s".to_owned());
        let app = AppRecord {
            secret,
            added_at: UnixMs(1),
        };
        with_app.apps.insert("42".to_owned(), app);
        assert_eq!(named(&with_app), ["vault.1", "vault.2", "vault.3"]);
    }

    #[test]
    fn what_does_not_go_together_is_warned_about() {
        let config = r#"
            [tokens]
            vault_key = { env = "K" }
            [pixels.123456789012345]
            [pixels.223456789012345]
            token = { env = "T" }
            [pixels.323456789012345]
        "#;
        let config: Config = toml::from_str(config).unwrap();
        let pixels = [
            223_456_789_012_345,
            323_456_789_012_345,
            423_456_789_012_345,
        ];
        let warnings = warnings(&config, &contents(&[("shop", &pixels)]));
        assert_eq!(warnings.len(), 4, "{warnings:#?}");
        for (warning, part) in warnings.iter().zip([
            "123456789012345 has no token",
            "223456789012345.token is set",
            "423456789012345, which is not configured",
            "shop serves the pixels 223456789012345, 323456789012345, 423456789012345",
        ]) {
            assert!(warning.contains(part), "{warning}");
        }
    }
}
