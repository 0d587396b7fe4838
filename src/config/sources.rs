//! `[sources.<name>]`: who may post events, for which pixels, under which rules.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::test_code::{Keys, Moment, TestCode};
use super::units::{Rate, from_text};
use super::{Fault, KeyRef};
use crate::origin::Origin;
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// One caller that may post events, by a name of your choice (a to z, 0 to 9, - and _).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key")]
pub struct Source {
    /// What posts: "server" (a back-end, which shows a key), or "browser" (the pages of a site, which
    /// can keep no secret and are known by their origins). A browser's events get what they lack of
    /// what its request tells: address, user agent, and the cookies _fbc, _fbp and _fbi.
    pub kind: SourceKind,
    /// The keys the caller may show as its access token; several while one is replaced. Each is
    /// the SHA-256 of the key, or the environment variable or file the key is in. A token that is
    /// already deployed will do: it is compared and never sent on. A server needs one, a browser
    /// has none.
    ///
    /// Example: `[{ env = "CAPIGATE_SHOP_KEY" }]`
    pub keys: Vec<KeyRef>,
    /// The pixels it may post for, each with a section of its own under pixels. Required.
    ///
    /// Example: `["1234567890123456"]`
    pub pixels: BTreeSet<PixelId>,
    /// The origins of the pages from which browsers may post: scheme, host and port as browsers send
    /// them, where one leading label may be a *. Only for browsers, which need one.
    ///
    /// Example: `["https://shop.example", "https://*.shop.example"]`
    pub origins: BTreeSet<Origin>,
    /// The domain on which the site stores its cookies _fbc and _fbp; an fbc that is made from a
    /// click id counts its dots. Without it, as where no cookie is stored.
    ///
    /// Example: `"shop.example"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_domain: Option<String>,
    /// Refuses a whole request for one bad event, as Meta does. Without it the good events are
    /// taken and the bad ones reported.
    pub strict: bool,
    /// What an event without event_id gets: "derive" (made from its content, so that a repeated
    /// request counts once), "random" or "leave" (none).
    pub event_id: EventIdRule,
    /// Blacks out e-mail addresses and phone numbers in custom data and in addresses of pages.
    pub pii_firewall: bool,
    /// Unknown keys of user_data that are passed on as they are; all others are dropped. What is
    /// named here is not hashed.
    ///
    /// Example: `["loyalty_tier"]`
    pub allow_user_data: BTreeSet<String>,
    /// What becomes of an external_id that does not arrive hashed: "hash" (without case and white
    /// space, as Meta's Pixel and Parameter Builder do), "trim" (hashed as it is), or "raw" (sent in
    /// clear, unless it looks like an e-mail address or a phone number, as 7 to 20 digits do; those
    /// are hashed). It must be what your Pixel sends.
    pub external_id: ExternalIdRule,
    /// Country for reading phone numbers and places of events that name none, two letters.
    ///
    /// Example: `"de"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_country: Option<Country>,
    /// Events it may post; beyond it requests are answered 429.
    pub rate: Rate,
    /// Events it may post at once after a pause. At least `ingest.max_events`; without it one
    /// second of the rate, or `ingest.max_events` if that is more.
    ///
    /// Example: `5000`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Events it may post from one address (of IPv6: one /64), all at once if need be; beyond it
    /// requests are answered 429. Only of browsers.
    pub rate_per_address: Rate,
    /// Takes the test_event_code that a request brings. Without it a request's code is left out
    /// with a word in the answer, and its events are taken.
    pub allow_test_event_code: bool,
    /// Test code of the Events Manager for the source's events; goes before that of their pixel.
    /// Such events show up under Test Events and count as real ones all the same: take it out
    /// again.
    ///
    /// Example: `"TEST12345"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_event_code: Option<String>,
    /// When the test code ends, as in RFC 3339. Events that were accepted before keep it.
    ///
    /// Example: `"2027-01-31T18:00:00Z"`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_event_code_until: Option<Moment>,
    /// Sends each event without the source's test code, and a copy of it with the code, in a request
    /// of its own. Not for events of `business_messaging`, of which Meta would count the copy, too:
    /// they go out without it.
    pub test_event_mirror: bool,
}

/// What posts a source's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A back-end with a key.
    #[default]
    Server,
    /// Pages of the origins that are allowed.
    Browser,
}

/// In which form an `external_id` goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExternalIdRule {
    /// Hashed without case and white space.
    #[default]
    Hash,
    /// Hashed as it is.
    Trim,
    /// In clear.
    Raw,
}

/// What an event without `event_id` gets before it is made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventIdRule {
    /// One made from its content.
    #[default]
    Derive,
    /// A random one.
    Random,
    /// None.
    Leave,
}

/// An ISO 3166-1 alpha-2 country code in the form of one: two ASCII letters, kept in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

/// Why a text is not a [`Country`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a country code of two letters")]
pub struct CountryError;

impl Default for Source {
    fn default() -> Self {
        Self {
            kind: SourceKind::Server,
            keys: Vec::new(),
            pixels: BTreeSet::new(),
            origins: BTreeSet::new(),
            cookie_domain: None,
            strict: false,
            event_id: EventIdRule::Derive,
            pii_firewall: true,
            allow_user_data: BTreeSet::new(),
            external_id: ExternalIdRule::Hash,
            default_country: None,
            rate: Rate::per_second(1000),
            burst: None,
            rate_per_address: Rate::per_minute(600),
            allow_test_event_code: false,
            test_event_code: None,
            test_event_code_until: None,
            test_event_mirror: false,
        }
    }
}

impl Source {
    /// Events the source may post at once after a pause; never less than one request may hold.
    pub fn burst(&self, max_events: u32) -> u32 {
        self.burst
            .unwrap_or_else(|| self.rate.each_second().get())
            .max(max_events)
    }

    /// An origin from which pages could mean either source, posting for the same pixel.
    pub(super) fn meets(&self, other: &Self) -> Option<&Origin> {
        let shares_pixel = !self.pixels.is_disjoint(&other.pixels);
        let mut origins = self.origins.iter().filter(|_| shares_pixel);
        origins.find(|own| other.origins.iter().any(|origin| own.meets(origin)))
    }

    /// Its test code, whether its time is over or not.
    pub fn test_code(&self, name: &str) -> Option<TestCode> {
        self.test_keys(name).test_code()
    }

    /// What the operator should know at the time `now` about settings that are allowed.
    pub fn warnings(&self, name: &str, now: UnixMs) -> Vec<String> {
        self.test_keys(name).warnings(now)
    }

    fn test_keys(&self, name: &str) -> Keys<'_> {
        Keys {
            section: format!("sources.{name}"),
            code: self.test_event_code.as_ref(),
            until: self.test_event_code_until,
            mirror: self.test_event_mirror,
        }
    }

    pub(super) fn validate(&self, name: &str, max_events: u32, faults: &mut Vec<Fault>) {
        self.test_keys(name).validate(faults);
        let mut expect = |key: &str, expected: &str| {
            faults.push(Fault::cross(format!("sources.{name}.{key}"), expected));
        };
        match self.kind {
            SourceKind::Server if self.keys.is_empty() => expect(
                "keys",
                "at least one key, such as [{ env = \"CAPIGATE_SHOP_KEY\" }]; or kind = \"browser\" \
                 and origins",
            ),
            SourceKind::Server if !self.origins.is_empty() => expect(
                "origins",
                "none, since it is a server; or kind = \"browser\", and no keys",
            ),
            SourceKind::Browser if !self.keys.is_empty() => expect(
                "keys",
                "none, since a page can keep no key secret; give a server a source of its own",
            ),
            SourceKind::Browser if self.origins.is_empty() => expect(
                "origins",
                "at least one origin, such as [\"https://shop.example\"]",
            ),
            SourceKind::Server | SourceKind::Browser => {}
        }
        let is_host = |name: &String| {
            // as it stands in a cookie
            let name = name.strip_prefix('.').unwrap_or(name);
            url::Host::parse(name).is_ok_and(|_| !name.contains('*'))
        };
        if !self.cookie_domain.as_ref().is_none_or(is_host) {
            expect(
                "cookie_domain",
                "the name of a host, such as \"shop.example\"",
            );
        }
        if self.pixels.is_empty() {
            expect(
                "pixels",
                "at least one pixel, such as [\"1234567890123456\"]",
            );
        }
        let plain = |key: &String| {
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if !self.allow_user_data.iter().all(plain) {
            expect(
                "allow_user_data",
                "names of letters, digits and _, such as [\"loyalty_tier\"]",
            );
        }
        if self.burst.is_some_and(|burst| burst < max_events) {
            expect(
                "burst",
                &format!("at least ingest.max_events ({max_events})"),
            );
        }
    }
}

impl Country {
    /// The two letters, small.
    pub fn letters(self) -> [u8; 2] {
        self.0
    }

    /// The two letters, small.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, CountryError> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_lowercase(), b.to_ascii_lowercase()]))
            }
            _ => Err(CountryError),
        }
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}
