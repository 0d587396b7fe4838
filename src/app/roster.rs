//! Every token there is, with the pixels it serves: those in the vault, and those that the
//! configuration points to.

use std::collections::BTreeMap;

use super::wiring;
use crate::config::{Config, PixelSecrets, Secrets};
use crate::custody::{Kept, Policy, Source};
use crate::graph::oauth::{App, OauthSettings};
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::tokens::{Contents, Facts, Name, Slot, TokenKey};

/// Every token in the vault, in use or not, and every one that a pixel's configuration points to
/// and that could be read. Of the vault's, pixels whose configuration points to a token do not count
/// as served.
pub fn roster(
    config: &Config,
    secrets: &BTreeMap<PixelId, PixelSecrets>,
    vault: &Contents,
) -> Vec<Kept> {
    let in_vault = vault.tokens.iter().map(|(name, record)| Kept {
        label: name.to_string(),
        key: TokenKey::of(&record.secret),
        secret: record.secret.clone(),
        source: Source::Vault(name.clone()),
        app: app_of(config, secrets, vault, &record.facts, first(vault, name))
            .or_else(|| likely(vault, &record.facts)),
        pixels: (vault.users(name))
            .filter(|(id, _)| {
                config
                    .pixels
                    .get(id)
                    .is_none_or(|pixel| pixel.token.is_none())
            })
            .collect(),
        added_at: Some(record.added_at),
        obtained: Some(record.obtained),
        noted: record.facts.clone(),
    });
    let mut all: Vec<Kept> = in_vault.collect();
    for (id, own) in secrets {
        let Some(token) = &own.token else { continue };
        let (key, served) = (TokenKey::of(token), (*id, Slot::Current));
        let twin = |kept: &&mut Kept| kept.key == key && kept.source == Source::Config;
        if let Some(twin) = all.iter_mut().find(twin) {
            twin.pixels.push(served);
            continue;
        }
        all.push(Kept {
            label: format!("pixels.{id}.token"),
            key,
            secret: token.clone(),
            source: Source::Config,
            app: app_of(config, secrets, vault, &Facts::default(), Some(*id))
                .or_else(|| likely(vault, &Facts::default())),
            pixels: vec![served],
            added_at: None,
            obtained: None,
            noted: Facts::default(),
        });
    }
    all
}

fn first(vault: &Contents, name: &Name) -> Option<PixelId> {
    vault.users(name).next().map(|(pixel, _)| pixel)
}

/// The app a token belongs to, for asking Meta in its name; none when its id or its secret is not
/// known.
pub fn app_of(
    config: &Config,
    secrets: &BTreeMap<PixelId, PixelSecrets>,
    vault: &Contents,
    facts: &Facts,
    pixel: Option<PixelId>,
) -> Option<App> {
    let known = facts.app_id.as_ref();
    let (id, secret) = match pixel.and_then(|id| Some((id, secrets.get(&id)?))) {
        Some((id, own)) => app_and_secret(config, own, vault, id, known),
        None => (known.cloned(), known.and_then(|id| secret_in(vault, id))),
    };
    Some(App {
        id: id?,
        secret: secret?,
    })
}

/// The id of a token's app, and the secret that its requests carry a proof of, as far as they are
/// known: the app that Meta has told, else the one of the pixel's configuration; the secret of the
/// configuration, unless that is known to be another app's, else the vault's.
pub(super) fn app_and_secret(
    config: &Config,
    own: &PixelSecrets,
    vault: &Contents,
    pixel: PixelId,
    known: Option<&String>,
) -> (Option<String>, Option<Secret>) {
    let told = config.pixels.get(&pixel).and_then(|pixel| pixel.app_id);
    let told = told.map(|id| id.get().to_string());
    let is_others = matches!((known, &told), (Some(known), Some(told)) if known != told);
    let id = known.cloned().or(told);
    let own = own.app_secret.clone().filter(|_| !is_others);
    let secret = own.or_else(|| secret_in(vault, id.as_ref()?));
    (id, secret)
}

/// The one app in the vault, for asking about a token whose app nobody knows: Meta says when it is
/// another one.
fn likely(vault: &Contents, facts: &Facts) -> Option<App> {
    let (id, app) = vault.apps.first_key_value()?;
    (vault.apps.len() == 1 && facts.app_id.is_none()).then(|| App {
        id: id.clone(),
        secret: app.secret.clone(),
    })
}

fn secret_in(vault: &Contents, id: &str) -> Option<Secret> {
    vault.apps.get(id).map(|app| app.secret.clone())
}

/// How to reach Meta's login and token endpoints with this configuration.
pub fn oauth(config: &Config) -> anyhow::Result<OauthSettings> {
    wiring::oauth(config)
}

/// When something is due with this configuration.
pub fn policy(config: &Config) -> Policy {
    let tokens = &config.tokens;
    Policy {
        check_interval: tokens.check_interval.get(),
        refresh_before: tokens.refresh_before.get(),
        refresh_after: tokens.refresh_after.get(),
        rotate_after: tokens.rotate_after.get(),
        rotate_by: tokens.rotate_by.get(),
        overlap: tokens.overlap.get(),
        allow_shared: tokens.allow_shared,
    }
}

/// The same for a gateway that has read all its secrets: only configured pixels are served.
pub(super) fn of(config: &Config, secrets: &Secrets, vault: &Contents) -> Vec<Kept> {
    let mut all = roster(config, &secrets.pixels, vault);
    for kept in &mut all {
        kept.pixels.retain(|(id, _)| config.pixels.contains_key(id));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::AppRecord;

    #[test]
    fn a_proof_is_made_with_the_secret_of_the_tokens_own_app() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let mut vault = Contents::default();
        for id in ["42", "43"] {
            let app = AppRecord {
                secret: secret(&format!("vault-{id}")),
                added_at: crate::time::UnixMs(1),
            };
            vault.apps.insert(id.to_owned(), app);
        }
        let pixel = PixelId::from_u64(1).unwrap();
        let own = |app_secret: Option<&str>| PixelSecrets {
            token: None,
            app_secret: app_secret.map(secret),
        };
        for (told, of_config, known, id, found) in [
            ("", None, None, None, None),
            ("", None, Some("42"), Some("42"), Some("vault-42")),
            ("", None, Some("44"), Some("44"), None),
            ("42", None, None, Some("42"), Some("vault-42")),
            ("", Some("own"), None, None, Some("own")),
            ("", Some("own"), Some("42"), Some("42"), Some("own")),
            ("42", Some("own"), Some("42"), Some("42"), Some("own")),
            // the configuration is about another app than the token's
            ("42", Some("own"), Some("43"), Some("43"), Some("vault-43")),
            ("42", Some("own"), Some("44"), Some("44"), None),
        ] {
            let told = match told {
                "" => "[pixels.1]".to_owned(),
                id => format!("[pixels.1]\napp_id = \"{id}\""),
            };
            let config: Config = toml::from_str(&told).unwrap();
            let known = known.map(str::to_owned);
            let (app, secret) =
                app_and_secret(&config, &own(of_config), &vault, pixel, known.as_ref());
            let secret = secret.as_ref().map(Secret::expose);
            assert_eq!((app.as_deref(), secret), (id, found), "{told} {known:?}");
        }
    }
}
