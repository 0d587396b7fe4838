//! `[pixels.<id>]`: the pixels this gateway sends to.

use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::test_code::{Keys, Moment, TestCode};
use super::units::from_text;
use super::{Fault, SecretRef};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// One pixel (dataset) this gateway sends to, by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pixel {
    /// What people call it, in listings and alerts. Say whose it is, not "Pixel 1".
    ///
    /// Example: `"Example Shop, web"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The website it stands on, an https address.
    ///
    /// Example: `"https://shop.example"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Where the access token is: an environment variable, a file or a systemd credential. Unset,
    /// it is in the vault (see `[tokens]`), where `capigate token add` puts it.
    ///
    /// Example: `{ env = "CAPIGATE_TOKEN" }`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Where the secret of the token's app is; with it each request carries a proof of it. Unset,
    /// it is that of the app in the vault, if the token is there, too, or `app_id` is set.
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
    /// Test code of the Events Manager for the pixel's events, unless their source has one of its
    /// own. Such events show up under Test Events and count as real ones all the same: take it out
    /// again. `capigate test-mode start` sets one for a while without a change here.
    ///
    /// Example: `"TEST12345"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_event_code: Option<String>,
    /// When the test code ends, as in RFC 3339. Events that were accepted before keep it.
    ///
    /// Example: `"2027-01-31T18:00:00Z"`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_event_code_until: Option<Moment>,
    /// Sends each event without the test code, and a copy of it with the code, in a request of its
    /// own. Not for events of `business_messaging`, of which Meta would count the copy, too: they go
    /// out without it.
    ///
    /// Example: `true`
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub test_event_mirror: bool,
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
    /// Adds what is wrong with it to the faults.
    pub fn validate(&self, id: PixelId, faults: &mut Vec<Fault>) {
        if self.site.as_ref().is_some_and(|site| !is_site(site)) {
            faults.push(Fault::cross(
                format!("pixels.{id}.site"),
                "the https address of a website, such as \"https://shop.example\"",
            ));
        }
        let named = |name: &String| {
            (1..=100).contains(&name.chars().count()) && !name.contains(char::is_control)
        };
        if !self.name.as_ref().is_none_or(named) {
            faults.push(Fault::cross(
                format!("pixels.{id}.name"),
                "1 to 100 characters without line breaks",
            ));
        }
        self.test_keys(id).validate(faults);
    }

    /// Its test code, whether its time is over or not.
    pub fn test_code(&self, id: PixelId) -> Option<TestCode> {
        self.test_keys(id).test_code()
    }

    fn test_keys(&self, id: PixelId) -> Keys<'_> {
        Keys {
            section: format!("pixels.{id}"),
            code: self.test_event_code.as_ref(),
            until: self.test_event_code_until,
            mirror: self.test_event_mirror,
        }
    }
}

impl Pixel {
    /// What the operator should know at the time `now` about settings that are allowed.
    pub fn warnings(&self, id: PixelId, now: UnixMs) -> Vec<String> {
        let mut warnings = self.test_keys(id).warnings(now);
        if self.name.as_ref().is_some_and(|name| is_generic(name)) {
            warnings.push(format!(
                "pixels.{id}.name says little: name the shop or the site, so that the right pixel is found in a hurry"
            ));
        }
        let digits = id.to_string().len();
        if !(15..=16).contains(&digits) {
            warnings.push(format!(
                "pixels.{id} has {digits} digits, and ids of pixels usually have 15 or 16: compare it with the Events Manager"
            ));
        }
        warnings
    }
}

/// An https address with a host, without user and fragment.
fn is_site(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else {
        return false;
    };
    let has_host = url.host_str().is_some_and(|host| host.contains('.'));
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    url.scheme() == "https" && has_host && plain
}

/// Whether a name says no more than that it is a pixel.
fn is_generic(name: &str) -> bool {
    let letters: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphabetic())
        .collect();
    matches!(
        letters.as_str(),
        "" | "pixel"
            | "mypixel"
            | "newpixel"
            | "dataset"
            | "mydataset"
            | "test"
            | "testpixel"
            | "untitled"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_an_https_address() {
        for good in [
            "https://shop.example",
            "https://shop.example/de/?a=1",
            "https://shop.example:8443",
        ] {
            assert!(is_site(good), "{good}");
        }
        for bad in [
            "www.x.com",
            "http://shop.example",
            "shop",
            "https://",
            "https://localhost",
            "https://user:pass@shop.example",
            "https://shop.example/#top",
            "",
        ] {
            assert!(!is_site(bad), "{bad}");
        }
    }

    #[test]
    fn a_test_code_is_what_a_command_takes_for_one() {
        let faults = |code: &str| {
            let pixel = Pixel {
                test_event_code: Some(code.to_owned()),
                ..Pixel::default()
            };
            let mut faults = Vec::new();
            pixel.validate("1".parse().unwrap(), &mut faults);
            faults.len()
        };
        let long = "A".repeat(64);
        for good in ["TEST12345", "my_own-1", &long] {
            assert_eq!(faults(good), 0, "{good}");
        }
        for bad in ["", "TEST 1", "TEST.1", &format!("{long}A")] {
            assert_eq!(faults(bad), 1, "{bad}");
        }
    }

    #[test]
    fn names_that_say_nothing_and_odd_ids_are_warned_about() {
        for generic in ["Pixel1", "pixel", "My Pixel 2", "123", "Test"] {
            assert!(is_generic(generic), "{generic}");
        }
        assert!(!is_generic("Example Shop"));
        let count = |id: &str| {
            Pixel::default()
                .warnings(id.parse().unwrap(), UnixMs(0))
                .len()
        };
        assert_eq!(count("1234567890123456"), 0);
        assert_eq!(count("123456789012345"), 0);
        assert_eq!(count("12345678901234"), 1);
        assert_eq!(count("12345678901234567"), 1);
    }
}
