//! What a sandbox is started with.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::accounts::span::optional_span;
use super::accounts::{TokenKind, TokenState, World};
use super::faults::Fault;
use crate::pixel::PixelId;

/// What a sandbox is started with; as TOML or JSON the keys are the names of the fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxSettings {
    /// Where it listens; port 0 takes any free port. `127.0.0.1:8089` when absent.
    pub listen: SocketAddr,
    /// The tokens it knows, besides those of the world. Without any, every request is refused.
    pub tokens: Vec<SandboxToken>,
    /// The apps, people, pages, businesses and pixels there are.
    pub world: World,
    /// How long every answer takes at least: text such as `"20ms"`, `"1.5s"` or `"1m"`.
    #[serde(deserialize_with = "duration")]
    pub latency: Duration,
    /// The faults to begin with.
    pub faults: Vec<Fault>,
    /// Take an `external_id` that is not hashed, as Meta does; a violation by default.
    pub raw_external_id: bool,
    /// For load tests, where the sandbox must not be what is measured: reads only the name and id
    /// of each event, counts it, and checks nothing of it; keeps no event as it came.
    pub light: bool,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8089)),
            tokens: Vec::new(),
            world: World::default(),
            latency: Duration::ZERO,
            faults: Vec::new(),
            raw_external_id: false,
            light: false,
        }
    }
}

/// A made-up token the sandbox accepts. `Debug` shows its name only.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxToken {
    /// What it is called in the ledger; made from its kind when empty.
    pub name: String,
    /// The token; made up when empty.
    pub value: String,
    /// The pixels it may post to. When empty: those its holder can reach now, and all if it names
    /// no holder.
    pub pixels: Vec<PixelId>,
    /// When set, every request with this token must carry the matching `appsecret_proof`. It
    /// comes before the secret of the app.
    pub app_secret: Option<String>,
    /// Whether it still works.
    pub state: TokenState,
    /// The kind; `system_user` when absent.
    pub kind: TokenKind,
    /// The app it was issued to. When absent, the one Meta makes by itself for a token of the
    /// Events Manager, [`DATASET_APP`](super::DATASET_APP), whose secret nobody knows.
    pub app: Option<String>,
    /// The person or system user who holds it.
    pub holder: Option<String>,
    /// The page of a page token.
    pub page: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// The objects a scope is limited to (`granular_scopes`), by scope.
    pub granular: BTreeMap<String, Vec<String>>,
    /// How long it lives from now, such as `"60d"`; for ever when absent.
    #[serde(deserialize_with = "optional_span")]
    pub expires_in: Option<Duration>,
    /// How long its access to data lasts from now, such as `"90d"`; for ever when absent.
    #[serde(deserialize_with = "optional_span")]
    pub data_access_expires_in: Option<Duration>,
}

impl SandboxToken {
    /// A valid token for every pixel, without an app secret.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            ..Self::default()
        }
    }
}

impl fmt::Debug for SandboxToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxToken")
            .field("name", &self.name)
            .field("pixels", &self.pixels)
            .field("has_app_secret", &self.app_secret.is_some())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// A duration as text: a decimal number and its unit, `ms`, `s` or `m`.
///
/// ```
/// use std::time::Duration;
/// use capigate::sandbox::parse_duration;
/// assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
/// assert_eq!(parse_duration("20"), None);
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit.trim_start() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text)
        .ok_or_else(|| serde::de::Error::custom("a duration such as \"20ms\", \"1.5s\" or \"1m\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_from_toml() {
        let settings: SandboxSettings = toml::from_str(
            r#"
            listen = "127.0.0.1:0"
            latency = "20ms"
            [[tokens]]
            name = "shop"
            value = "made-up-token"
            pixels = ["1234567890123456"]
            app_secret = "made-up-secret"
            state = "expired"
            [[faults]]
            do = "throttle"
            code = 4
            times = "forever"
            [[world.apps]]
            id = "1"
            name = "app"
            secret = "made-up-app-secret"
            [[world.tokens]]
            value = "made-up-too"
            kind = "dataset"
            expires_in = "60d"
            "#,
        )
        .unwrap();
        assert_eq!(settings.latency, Duration::from_millis(20));
        assert_eq!(settings.tokens[0].state, TokenState::Expired);
        assert_eq!(settings.faults.len(), 1);
        let of_world = &settings.world.tokens[0];
        assert_eq!(of_world.kind, TokenKind::SystemUser);
        assert_eq!(of_world.expires_in, Some(Duration::from_hours(60 * 24)));
        let shown = format!("{settings:?}");
        assert!(!shown.contains("made-up"), "{shown}");
        assert!(toml::from_str::<SandboxSettings>("latencies = 1").is_err());
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(parse_duration("2m"), Some(Duration::from_mins(2)));
        assert_eq!(parse_duration("0ms"), Some(Duration::ZERO));
        for bad in [
            "",
            "5",
            "ms",
            "1.2.3s",
            "-1s",
            "1h",
            "1 s s",
            "99999999999999999999999m",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
