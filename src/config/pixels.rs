//! `[pixels.<id>]`: the pixels this gateway sends to.

use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units::from_text;
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
    /// The id of the token's app, digits. Pixels that name the same app share the limits that Meta
    /// sets for it.
    ///
    /// Example: `"1234567890"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<AppId>,
    /// Test code of the Events Manager for events that bring none of their own. Such events show
    /// up under Test Events and count as real ones all the same: take it out again.
    ///
    /// Example: `"TEST12345"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_event_code: Option<String>,
}

/// The id of an app at Meta: digits, as text, since such ids may exceed 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppId(NonZeroU64);

/// Why a text is not an [`AppId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an app: 1 to 20 decimal digits, the first of them not 0, in quotes")]
pub struct AppIdError;

impl AppId {
    /// The id as a number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl FromStr for AppId {
    type Err = AppIdError;

    fn from_str(text: &str) -> Result<Self, AppIdError> {
        // one id, one spelling
        if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AppIdError);
        }
        text.parse().map(Self).map_err(|_| AppIdError)
    }
}

impl Serialize for AppId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AppId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
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
