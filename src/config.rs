//! What the operator may set, read once and checked whole.
//!
//! Three layers, later ones win: the defaults in the structs, the files in the order given, and
//! the environment (`CAPIGATE__LANES__LINGER=1s` sets `lanes.linger`).
//!
//! It promises that every fault is reported at once, each with its key, the file and line or the
//! variable it came from, and what was expected. It refuses unknown keys. It holds no secret: only
//! where to find them, so that a configuration may be printed, logged and committed.

mod admin;
pub mod alerts;
mod changes;
mod check;
mod difference;
mod docs;
pub mod duplicates;
mod fault;
pub mod graph;
mod ingest;
mod journal;
pub mod lanes;
mod layers;
mod leaf;
mod listen;
mod network;
mod pixels;
mod policy;
mod receipts;
mod reference;
mod reload;
mod secrets;
mod shutdown;
pub mod sources;
pub mod telemetry;
pub mod test_code;
mod tls;
mod tokens;
pub mod units;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use admin::{Admin, AdminKey, Role};
pub use alerts::{AlertSecrets, Alerts, EmailTls, MailAddress, WebhookUrl};
pub use changes::{changed_keys, is_live};
pub use check::{Loaded, Origins};
pub use difference::{Difference, MAX_TOLD, What, differences};
pub use duplicates::Duplicates;
pub use fault::{ConfigErrors, Fault};
pub use graph::Graph;
pub use ingest::Ingest;
pub use journal::Journal;
pub use lanes::Lanes;
pub use listen::{Listen, Tls};
pub use network::{Network, NetworkError};
pub use pixels::{AppId, Pixel};
pub use policy::Policy;
pub use receipts::Receipts;
pub use reference::{print, reference};
pub use reload::Reload;
pub use secrets::{KeyRef, PixelSecrets, SecretRef, SecretRefError, Secrets};
pub use shutdown::Shutdown;
pub use sources::Source;
pub use telemetry::Telemetry;
pub use tokens::Tokens;

use crate::pixel::PixelId;
use crate::time::UnixMs;

/// Everything that can be set. `Config::default()` is what an empty file means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the gateway listens.
    pub listen: Listen,
    /// Who may ask and command the gateway on the admin address.
    pub admin: Admin,
    /// How much the front door takes before it says no.
    pub ingest: Ingest,
    /// The durable queue on the local disk.
    pub journal: Journal,
    /// Events that were accepted a short while ago.
    pub duplicates: Duplicates,
    /// Batches and pace.
    pub lanes: Lanes,
    /// How the gateway talks to Meta.
    pub graph: Graph,
    /// Where access tokens are kept, and how they are looked after.
    pub tokens: Tokens,
    /// What became of each event.
    pub receipts: Receipts,
    /// Whom to tell that something needs a person, and how.
    pub alerts: Alerts,
    /// What the gateway says about itself.
    pub telemetry: Telemetry,
    /// How a running gateway takes over a changed configuration.
    pub reload: Reload,
    /// How long each stage of stopping may take.
    pub shutdown: Shutdown,
    /// The pixels this gateway sends to.
    pub pixels: BTreeMap<PixelId, Pixel>,
    /// Who may post events, by name.
    pub sources: BTreeMap<String, Source>,
}

/// Where a configuration is read from, as often as wanted: the files in their order, and the
/// environment as it was when the process started.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The files; later ones win.
    pub files: Vec<PathBuf>,
    /// The variables, which win over the files. Secrets, too, are looked up here.
    pub env: BTreeMap<String, String>,
}

impl Layers {
    /// Reads the files, then the environment, over the defaults, and every secret that the result
    /// points to; what is wrong with either is reported together.
    pub fn load(&self) -> Result<(Loaded, Secrets), ConfigErrors> {
        let mut faults = Vec::new();
        let tree = layers::merge(&self.files, self.env.clone().into_iter(), &mut faults);
        let (loaded, mut faults) = check::check(&tree, faults);
        let secrets = loaded.config.secrets(&|name| self.env.get(name).cloned());
        let secrets = match secrets {
            Ok(secrets) => Some(secrets),
            Err(errors) => {
                for mut fault in errors.faults {
                    loaded.locate(&mut fault);
                    if !faults.iter().any(|known| known.key == fault.key) {
                        faults.push(fault);
                    }
                }
                None
            }
        };
        if let Some(Err(unusable)) = loaded.config.listen.tls.as_ref().map(Tls::server_config) {
            // the two files are set as one value
            let origin = loaded.origins.get("listen.tls");
            faults.extend(unusable.into_iter().map(|fault| Fault {
                origin: origin.cloned().unwrap_or_default(),
                ..fault
            }));
        }
        ConfigErrors::check(faults)?;
        // a missing secret is a fault, so there is none missing here
        let secrets = secrets.unwrap_or_default();
        Ok((loaded, secrets))
    }
}

impl Config {
    /// Reads the files in the order given, then the environment, over the defaults.
    ///
    /// A variable `CAPIGATE__SECTION__KEY` sets `section.key`; its text is read as a text, a
    /// number or a truth value, as the key wants it. A text that begins with `[` or `{` is a TOML
    /// list or table, such as `CAPIGATE__SOURCES__SHOP__PIXELS=["1234567890123456"]`.
    pub fn load(
        files: &[PathBuf],
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::load_with_origins(files, env).map(|loaded| loaded.config)
    }

    /// As [`Config::load`], and also says where each value was set.
    pub fn load_with_origins(
        files: &[PathBuf],
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigErrors> {
        let mut faults = Vec::new();
        let tree = layers::merge(files, env, &mut faults);
        let (loaded, faults) = check::check(&tree, faults);
        ConfigErrors::check(faults)?;
        Ok(loaded)
    }

    /// What the operator should know at the time `now` about settings that are allowed.
    pub fn warnings(&self, now: UnixMs) -> Vec<String> {
        let pixels = self.pixels.iter();
        let pixels = pixels.flat_map(|(id, pixel)| pixel.warnings(*id, now));
        let sources = self.sources.iter();
        let sources = sources.flat_map(|(name, source)| source.warnings(name, now));
        let graph = self.graph.warnings(now).into_iter();
        let all = graph.chain(self.ingest.warnings());
        let all = all.chain(self.alerts.warnings());
        all.chain(pixels).chain(sources).collect()
    }

    /// The rules between keys, and the ranges that types do not hold.
    fn validate(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.listen.validate(&mut faults);
        self.admin.validate(&mut faults);
        self.ingest.validate(&mut faults);
        self.journal.validate(&mut faults);
        self.duplicates.validate(&mut faults);
        self.lanes.validate(&mut faults);
        self.graph.validate(&mut faults);
        self.tokens.validate(&mut faults);
        self.receipts.validate(&mut faults);
        self.alerts.validate(&mut faults);
        self.reload.validate(&mut faults);
        self.shutdown.validate(&mut faults);
        // a request that never fits would be told for ever to come back
        if self.journal.max_pending.get() / 2 < self.ingest.max_body.get() {
            faults.push(Fault::cross(
                "journal.max_pending",
                format!("at least twice ingest.max_body ({})", self.ingest.max_body),
            ));
        }
        for (id, pixel) in &self.pixels {
            pixel.validate(*id, &mut faults);
            if pixel.token.is_none() && self.tokens.vault_key.is_none() {
                faults.push(Fault::cross(
                    format!("pixels.{id}.token"),
                    "where the access token is, such as { env = \"CAPIGATE_TOKEN\" }; or tokens.vault_key, for a token in the vault",
                ));
            }
        }
        let mut owners: BTreeMap<&KeyRef, &str> = BTreeMap::new();
        for (name, source) in &self.sources {
            source.validate(name, self.ingest.max_events, &mut faults);
            for id in source
                .pixels
                .iter()
                .filter(|id| !self.pixels.contains_key(id))
            {
                faults.push(Fault::cross(
                    format!("sources.{name}.pixels"),
                    format!("configured pixels only; there is no section [pixels.{id}]"),
                ));
            }
            for id in source.fan_out.difference(&source.pixels) {
                faults.push(Fault::cross(
                    format!("sources.{name}.fan_out"),
                    format!(
                        "pixels that the source may post for; {id} is not in sources.{name}.pixels"
                    ),
                ));
            }
            let others = self.sources.range(..name.clone());
            for (other, origin) in others.filter_map(|(n, o)| Some((n, source.meets(o)?))) {
                faults.push(Fault::cross(
                    format!("sources.{name}.origins"),
                    format!("origins that no other source of the same pixel has; {origin} is also in sources.{other}"),
                ));
            }
            for (index, key) in source.keys.iter().enumerate() {
                if let Some(other) = owners.insert(key, name) {
                    faults.push(Fault {
                        key: format!("sources.{name}.keys[{index}]"),
                        origin: String::new(),
                        got: None,
                        expected: secrets::shared_key(name, other),
                    });
                }
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests;
