//! `[pixels.<id>]`: the pixels this gateway sends to.

use serde::{Deserialize, Serialize};

use super::{Fault, SecretRef};
use crate::pixel::PixelId;

/// One pixel (dataset) this gateway sends to, by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixel {
    /// Where the access token is: an environment variable or a file. Required.
    ///
    /// Example: `{ env = "CAPIGATE_TOKEN" }`
    pub token: SecretRef,
    /// Where the secret of the token's app is; with it each request carries a proof of it.
    ///
    /// Example: `{ file = "/run/secrets/app_secret" }`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_secret: Option<SecretRef>,
    /// Test code of the Events Manager for events that bring none of their own. Such events show
    /// up under Test Events and count as real ones all the same: take it out again.
    ///
    /// Example: `"TEST12345"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_event_code: Option<String>,
}

impl Pixel {
    pub(super) fn validate(&self, id: PixelId, faults: &mut Vec<Fault>) {
        let good = |code: &String| {
            (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric())
        };
        if !self.test_event_code.as_ref().is_none_or(good) {
            faults.push(Fault::cross(
                format!("pixels.{id}.test_event_code"),
                "1 to 64 letters and digits, such as \"TEST12345\"",
            ));
        }
    }
}
