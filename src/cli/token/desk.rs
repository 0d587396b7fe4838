//! What every `capigate token` command works with: configuration, vault, the way to Meta.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::Args;

use crate::app::roster;
use crate::cli::client::{Failure, failure};
use crate::cli::config::ConfigFiles;
use crate::cli::{USAGE, WRONG};
use crate::config::{Config, PixelSecrets, SecretRef};
use crate::custody::Kept;
use crate::graph::oauth::{App, OauthClient};
use crate::pixel::PixelId;
use crate::private_file::FileError;
use crate::secret::Secret;
use crate::time::Clock;
use crate::tokens::{Contents, Facts, Name, Notes, Vault, VaultError};

/// What every command takes.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct Common {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigFiles,
    /// Print JSON
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// Configuration, vault and the way to Meta.
pub(in crate::cli) struct Desk {
    pub(in crate::cli) config: Config,
    /// Secrets of pixels that could be read here; a service's own variables usually cannot.
    pub(in crate::cli) secrets: BTreeMap<PixelId, PixelSecrets>,
    pub(in crate::cli) client: OauthClient,
    pub(in crate::cli) clock: Clock,
    vault: Option<Vault>,
}

impl Desk {
    /// Reads the configuration and the key of the vault; connects to nothing.
    pub(in crate::cli) fn open(common: &Common) -> anyhow::Result<Self> {
        let loaded = Config::load(&common.config.files, crate::cli::environment());
        let config = loaded
            .map_err(|faults| failure(USAGE, format!("the configuration has faults:\n{faults}")))?;
        let vault = vault(&config)?;
        Self::with(config, vault)
    }

    /// The same with a configuration that was read already, and with a vault that can be read, if
    /// any.
    pub(in crate::cli) fn with(config: Config, vault: Option<Vault>) -> anyhow::Result<Self> {
        let env = |name: &str| std::env::var(name).ok();
        let read = |place: &Option<SecretRef>| place.as_ref()?.read_with(&env).ok();
        let secrets = (config.pixels.iter())
            .map(|(id, pixel)| {
                let secrets = PixelSecrets {
                    token: read(&pixel.token),
                    app_secret: read(&pixel.app_secret),
                };
                (*id, secrets)
            })
            .collect();
        let clock = Clock::Real;
        let client = OauthClient::new(roster::oauth(&config)?, clock.clone())
            .context("the way to Meta cannot be set up")?;
        Ok(Self {
            config,
            secrets,
            client,
            clock,
            vault,
        })
    }

    /// The vault, or how to get one.
    pub(in crate::cli) fn vault(&self) -> anyhow::Result<&Vault> {
        self.vault.as_ref().ok_or_else(|| {
            failure(
                USAGE,
                "there is no vault: run `capigate token init` to make a key for it, and name the configuration that has tokens.vault_key with --config",
            )
        })
    }

    /// The vault, when it can be changed: worth knowing before something is made or ended at Meta
    /// that has to be written down.
    pub(in crate::cli) fn writable(&self) -> anyhow::Result<()> {
        let probed = self.vault()?.probe().map_err(refused);
        probed.map_err(|error| also(&error, "nothing was done"))
    }

    /// What is in the vault; nothing when there is none.
    pub(in crate::cli) fn contents(&self) -> anyhow::Result<Contents> {
        let read = self.vault.as_ref().map(Vault::read).transpose();
        Ok(read.map_err(refused)?.unwrap_or_default())
    }

    /// Changes the vault.
    pub(in crate::cli) fn update<R>(
        &self,
        work: impl FnOnce(&mut Contents) -> Result<R, VaultError>,
    ) -> anyhow::Result<R> {
        self.vault()?.update(work).map_err(refused)
    }

    /// Writes down what Meta says of a token in the vault.
    pub(in crate::cli) fn note(&self, name: &Name, facts: &Facts) -> anyhow::Result<()> {
        self.update(|contents| {
            if let Some(record) = contents.tokens.get_mut(name) {
                record.facts = facts.clone();
            }
            Ok(())
        })
    }

    /// Every token that can be read here.
    pub(in crate::cli) fn kept(&self, contents: &Contents) -> Vec<Kept> {
        roster::roster(&self.config, &self.secrets, contents)
    }

    /// The token of this name, or the one that this pixel sends with.
    pub(in crate::cli) fn find(
        &self,
        contents: &Contents,
        name: Option<&Name>,
        pixel: Option<PixelId>,
    ) -> anyhow::Result<Kept> {
        let kept = self.kept(contents);
        match (name, pixel) {
            (Some(name), _) => {
                let mut all = kept.into_iter();
                all.find(|kept| kept.label == name.as_str()).ok_or_else(|| {
                    failure(
                        WRONG,
                        format!("there is no token {name}: `capigate token list` shows them"),
                    )
                })
            }
            (None, Some(pixel)) => {
                let slot = |kept: &Kept| {
                    let mut own = kept.pixels.iter().filter(|(id, _)| *id == pixel);
                    own.next().map(|(_, slot)| *slot)
                };
                let served = kept
                    .into_iter()
                    .filter_map(|kept| Some((slot(&kept)?, kept)));
                let first = served.min_by_key(|(slot, _)| *slot);
                first.map(|(_, kept)| kept).ok_or_else(|| {
                    failure(
                        WRONG,
                        format!("pixel {pixel} has no token that can be read here: put one into the vault with `capigate token add --pixel {pixel}`"),
                    )
                })
            }
            (None, None) => Err(failure(
                USAGE,
                "say which token: its name (see `capigate token list`), or --pixel ID",
            )),
        }
    }

    /// The app of a token with these facts.
    pub(in crate::cli) fn app_of(
        &self,
        contents: &Contents,
        facts: &Facts,
        pixel: Option<PixelId>,
    ) -> Option<App> {
        roster::app_of(&self.config, &self.secrets, contents, facts, pixel)
    }

    /// The app with this id, of the vault or of a pixel's configuration; or the one app in the vault.
    pub(in crate::cli) fn named_app(
        &self,
        contents: &Contents,
        id: Option<&str>,
    ) -> anyhow::Result<App> {
        let Some(id) = id else {
            return only_app(contents).ok_or_else(|| {
                let text = if contents.apps.is_empty() {
                    "no app is in the vault: put its id and secret there with `capigate token app add`"
                } else {
                    "several apps are in the vault: say which with --app-id ID (`capigate token app list`)"
                };
                failure(USAGE, text)
            });
        };
        let in_vault = contents.apps.get(id).map(|app| app.secret.clone());
        let secret = in_vault.or_else(|| self.configured_app(id));
        let secret = secret.ok_or_else(|| {
            failure(
                USAGE,
                format!("the secret of app {id} is not in the vault: put it there with `capigate token app add --app-id {id}`"),
            )
        })?;
        let id = id.to_owned();
        Ok(App { id, secret })
    }

    /// The secret of an app that a pixel's configuration names.
    fn configured_app(&self, id: &str) -> Option<Secret> {
        let mut pixels = self.config.pixels.iter();
        pixels.find_map(|(pixel, own)| {
            let is_it = own.app_id?.get().to_string() == id;
            let secret = self.secrets.get(pixel)?.app_secret.clone();
            secret.filter(|_| is_it)
        })
    }

    /// How a running gateway comes to know of a change of the vault.
    pub(in crate::cli) fn takeover(&self) -> &'static str {
        if self.config.reload.watch {
            "A running gateway takes it over by itself."
        } else {
            "Run `capigate reload`, so that a running gateway takes it over."
        }
    }

    /// What a gateway has noticed about its tokens; nothing where it has not run here.
    pub(in crate::cli) fn notes(&self) -> Notes {
        Notes::read(&Notes::path(&self.config.journal.dir)).unwrap_or_default()
    }
}

/// The vault that the configuration has a key for.
pub(in crate::cli) fn vault(config: &Config) -> anyhow::Result<Option<Vault>> {
    let Some(place) = &config.tokens.vault_key else {
        return Ok(None);
    };
    let key = place.read_private(&|name| std::env::var(name).ok());
    let key = key.map_err(|error| {
        failure(
            USAGE,
            format!("tokens.vault_key: {error}; `capigate token init` makes a key"),
        )
    })?;
    let vault = Vault::new(config.tokens.vault.clone(), &key).map_err(refused)?;
    Ok(Some(vault))
}

/// The app in the vault, when there is just one.
fn only_app(contents: &Contents) -> Option<App> {
    let mut apps = contents.apps.iter();
    let (id, app) = apps.next()?;
    apps.next().is_none().then(|| App {
        id: id.clone(),
        secret: app.secret.clone(),
    })
}

/// The same failure, with what came of it.
pub(in crate::cli) fn also(error: &anyhow::Error, says: &str) -> anyhow::Error {
    let known = error.downcast_ref::<Failure>();
    let exit = known.map_or(WRONG, |failure| failure.exit);
    failure(exit, format!("{error:#}; {says}"))
}

/// A vault that cannot be used is a matter of the configuration; one that cannot be changed as
/// asked, or for lack of room or rights, is not.
#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
pub(in crate::cli) fn refused(error: VaultError) -> anyhow::Error {
    let exit = match error {
        VaultError::Change(_)
        | VaultError::File {
            error: FileError::Io(_) | FileError::Busy,
            ..
        } => WRONG,
        _ => USAGE,
    };
    failure(exit, error.to_string())
}
