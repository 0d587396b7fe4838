//! Every token there is, with the pixels it serves: those in the vault, and those that the
//! configuration points to.

use std::collections::BTreeMap;

use super::wiring;
use crate::config::{self, Config, PixelSecrets, Secrets};
use crate::custody::{Kept, Policy, Source};
use crate::graph::oauth::{App, OauthSettings};
use crate::pixel::PixelId;
use crate::tokens::{Contents, Facts, Name, Slot, TokenKey};

/// Every token in the vault, in use or not, and every one that a pixel's configuration points to
/// and that could be read. Of the vault's, only configured pixels that have no token of their own
/// count as served.
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
        app: app_of(config, secrets, vault, &record.facts, first(vault, name)),
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
            app: app_of(config, secrets, vault, &Facts::default(), Some(*id)),
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

/// The app a token belongs to: the one Meta has told, else the one its pixel's configuration names;
/// none when the secret is not known.
pub fn app_of(
    config: &Config,
    secrets: &BTreeMap<PixelId, PixelSecrets>,
    vault: &Contents,
    facts: &Facts,
    pixel: Option<PixelId>,
) -> Option<App> {
    let own = pixel.and_then(|id| config.pixels.get(&id));
    let told = own.and_then(|pixel| pixel.app_id);
    let told = told.map(|id| config::AppId::get(id).to_string());
    let id = facts.app_id.clone().or_else(|| told.clone())?;
    let in_vault = vault.apps.get(&id).map(|app| app.secret.clone());
    let secret = in_vault.or_else(|| {
        let own = pixel.and_then(|id| secrets.get(&id))?;
        (told.as_ref() == Some(&id)).then(|| own.app_secret.clone())?
    })?;
    Some(App { id, secret })
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

/// The same for a gateway that has read all its secrets.
pub(super) fn of(config: &Config, secrets: &Secrets, vault: &Contents) -> Vec<Kept> {
    roster(config, &secrets.pixels, vault)
}
