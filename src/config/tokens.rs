//! `[tokens]`: where access tokens are kept, and how they are looked after.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::units::Span;
use super::{Fault, SecretRef};

/// Where access tokens are kept, and how they are looked after. With a key, `capigate token` keeps
/// them in a sealed file, the vault; a pixel whose `token` is not set has its token there. The
/// gateway asks Meta about every token when it starts, each `check_interval`, and when Graph
/// refuses one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tokens {
    /// The vault file. A relative one is taken from the working directory.
    pub vault: PathBuf,
    /// Where the key of the vault is, 64 hex digits; `capigate token init` makes one. Without it
    /// there is no vault. A file must be readable by its owner alone. Keep the key away from
    /// backups of the vault.
    ///
    /// Example: `{ file = "/etc/capigate/vault.key" }`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_key: Option<SecretRef>,
    /// Time between two checks of a token, each up to a tenth earlier or later. "0s" checks none,
    /// and then nothing is refreshed either.
    pub check_interval: Span,
    /// A 60-day token of a system user in the vault is refreshed by itself when it has less than
    /// this left, if the secret of its app is known.
    pub refresh_before: Span,
    /// The same, once it is this old.
    pub refresh_after: Span,
    /// The age from which on a token should be rotated: a warning.
    pub rotate_after: Span,
    /// The age at which it should have been: an alert.
    pub rotate_by: Span,
    /// The time that a token which was replaced is kept as the pixel's retiring one, to go back
    /// to when Graph refuses the new one. At least 10m.
    pub overlap: Span,
    /// Whether one token may serve several pixels without a warning.
    pub allow_shared: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            vault: PathBuf::from("data/tokens.vault"),
            vault_key: None,
            check_interval: Span::from_days(1),
            refresh_before: Span::from_days(20),
            refresh_after: Span::from_days(30),
            rotate_after: Span::from_days(180),
            rotate_by: Span::from_days(365),
            overlap: Span::from_secs(24 * 60 * 60),
            allow_shared: false,
        }
    }
}

impl Tokens {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        if self.vault.as_os_str().is_empty() {
            faults.push(Fault::cross("tokens.vault", "the path of a file"));
        }
        let minute = Span::from_secs(60);
        let never = Span::from_millis(0);
        if self.check_interval != never && self.check_interval < minute {
            faults.push(Fault::cross(
                "tokens.check_interval",
                "at least 1m, or 0s for no checks",
            ));
        }
        // a token that is refreshed at once would be refreshed for ever
        if self.refresh_before > Span::from_days(50) {
            faults.push(Fault::cross(
                "tokens.refresh_before",
                "at most 50d: a refreshed token has 60 days",
            ));
        }
        super::fault::at_least(
            faults,
            "tokens.refresh_after",
            self.refresh_after,
            Span::from_days(1),
        );
        super::fault::at_least(faults, "tokens.overlap", self.overlap, Span::from_secs(600));
        if self.rotate_by < self.rotate_after {
            faults.push(Fault::cross(
                "tokens.rotate_by",
                format!("at least tokens.rotate_after ({})", self.rotate_after),
            ));
        }
    }
}
