//! `[graph]`: Meta's Graph API, its address and its version.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::fault::{Fault, at_least};
use super::units::{Span, from_text};
use crate::loopback::is_loopback;
use crate::time::UnixMs;

/// How the gateway talks to Meta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graph {
    /// Address of the Graph API. Plain http only to this machine, unless `graph.allow_http`.
    pub url: BaseUrl,
    /// Address of the page where people log in and allow an app. Held to the same rule as
    /// `graph.url`.
    pub dialog_url: BaseUrl,
    /// Version of the Graph API. `capigate config check` warns from 90 days before it ends.
    pub version: GraphVersion,
    /// Time for one batch, from connecting to the end of the answer. Short ones make duplicates: a
    /// batch that timed out may have been taken.
    pub timeout: Span,
    /// Time to connect. At most `graph.timeout`.
    pub connect_timeout: Span,
    /// Where the access token goes: "header" (Authorization) or "body". Never into the address.
    pub token_in: TokenIn,
    /// Allows a plain http address that is not this machine, for a test network. The access token
    /// then travels in clear.
    pub allow_http: bool,
}

/// Where the access token goes in a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenIn {
    /// The Authorization header.
    #[default]
    Header,
    /// A member of the body.
    Body,
}

/// An http or https address without user, query or fragment, and without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Why a text is not a [`BaseUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an https address without user, query or fragment")]
pub struct BaseUrlError;

/// A version of the Graph API: `v` and two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GraphVersion {
    major: u16,
    minor: u8,
}

/// Why a text is not a [`GraphVersion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version of the Graph API: v and two numbers")]
pub struct GraphVersionError;

/// The newest version we know of.
const NEWEST: GraphVersion = version(26, 0);

/// The last day on which a version works, as Meta announced it by July 2026. It has set no end
/// for v26.0 yet; what is older than the first row is gone.
const LAST_DAYS: [(GraphVersion, Date); 6] = [
    (version(20, 0), date(2026, 9, 24)),
    (version(21, 0), date(2027, 1, 21)),
    (version(22, 0), date(2027, 5, 20)),
    (version(23, 0), date(2027, 10, 8)),
    (version(24, 0), date(2028, 2, 18)),
    (version(25, 0), date(2028, 7, 29)),
];

const WARN_DAYS: i64 = 90;
const DAY_MS: i64 = 86_400_000;

const fn version(major: u16, minor: u8) -> GraphVersion {
    GraphVersion { major, minor }
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            url: BaseUrl("https://graph.facebook.com".to_owned()),
            dialog_url: BaseUrl("https://www.facebook.com".to_owned()),
            version: NEWEST,
            timeout: Span::from_secs(10),
            connect_timeout: Span::from_millis(1500),
            token_in: TokenIn::Header,
            allow_http: false,
        }
    }
}

impl Graph {
    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        for (key, url) in self.addresses() {
            if url.is_plain() && !url.is_loopback() && !self.allow_http {
                faults.push(Fault::cross(
                    key,
                    "an https address; plain http goes to this machine only, unless graph.allow_http = true",
                ));
            }
        }
        let shortest = Span::from_millis(100);
        at_least(faults, "graph.timeout", self.timeout, shortest);
        at_least(
            faults,
            "graph.connect_timeout",
            self.connect_timeout,
            shortest,
        );
        if self.connect_timeout > self.timeout {
            faults.push(Fault::cross(
                "graph.connect_timeout",
                format!("at most graph.timeout ({})", self.timeout),
            ));
        }
    }

    /// What the operator should know at the time `now` about settings that are allowed.
    pub(super) fn warnings(&self, now: UnixMs) -> Vec<String> {
        let mut warnings = Vec::new();
        warnings.extend(self.version.warning(now));
        for (key, url) in self.addresses() {
            if url.is_plain() && !url.is_loopback() {
                let clear = if key == "graph.url" {
                    "access tokens"
                } else {
                    "logins"
                };
                warnings.push(format!("{key} is plain http: {clear} travel in clear text"));
            }
        }
        warnings
    }

    fn addresses(&self) -> [(&'static str, &BaseUrl); 2] {
        [
            ("graph.url", &self.url),
            ("graph.dialog_url", &self.dialog_url),
        ]
    }
}

impl GraphVersion {
    /// The moment the version stops working; `None` when Meta has set none or we do not know it.
    fn end(self) -> Option<UnixMs> {
        let (_, day) = LAST_DAYS.iter().find(|(known, _)| *known == self)?;
        let midnight = day.to_zoned(TimeZone::UTC).ok()?.timestamp();
        Some(UnixMs(midnight.as_millisecond() + DAY_MS))
    }

    fn warning(self, now: UnixMs) -> Option<String> {
        if self > NEWEST {
            return Some(format!(
                "graph.version {self} is newer than {NEWEST}, the newest this program knows"
            ));
        }
        let oldest = LAST_DAYS.first().map_or(NEWEST, |(known, _)| *known);
        if self < oldest {
            return Some(format!(
                "graph.version {self} has ended; {NEWEST} is current"
            ));
        }
        let Some(end) = self.end() else {
            return (self != NEWEST).then(|| {
                format!("graph.version {self} is not a version this program knows; {NEWEST} is")
            });
        };
        let days = (end.0 - now.0).div_euclid(DAY_MS);
        if days < 0 {
            Some(format!(
                "graph.version {self} has ended; {NEWEST} is current"
            ))
        } else if days <= WARN_DAYS {
            Some(format!(
                "graph.version {self} ends in {days} days; {NEWEST} is current"
            ))
        } else {
            None
        }
    }
}

impl BaseUrl {
    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parsed(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }

    fn is_plain(&self) -> bool {
        self.parsed().is_none_or(|url| url.scheme() != "https")
    }

    fn is_loopback(&self) -> bool {
        self.parsed().as_ref().is_some_and(is_loopback)
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        let url = Url::parse(text).map_err(|_| BaseUrlError)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if plain {
            Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
        } else {
            Err(BaseUrlError)
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for GraphVersion {
    type Err = GraphVersionError;

    fn from_str(text: &str) -> Result<Self, GraphVersionError> {
        let number = |digits: &str, most: usize| -> Option<u16> {
            let plain = (1..=most).contains(&digits.len())
                && digits.bytes().all(|b| b.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'));
            plain.then(|| digits.parse().ok()).flatten()
        };
        text.strip_prefix('v')
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(major, minor)| {
                Some(version(
                    number(major, 3)?,
                    u8::try_from(number(minor, 2)?).ok()?,
                ))
            })
            .ok_or(GraphVersionError)
    }
}

impl fmt::Display for GraphVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.major, self.minor)
    }
}

impl Serialize for BaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for GraphVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

impl<'de> Deserialize<'de> for GraphVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon(year: i16, month: i8, day: i8) -> UnixMs {
        let day = date(year, month, day).to_zoned(TimeZone::UTC).unwrap();
        UnixMs(day.timestamp().as_millisecond() + DAY_MS / 2)
    }

    #[test]
    fn versions() {
        for good in ["v26.0", "v9.99", "v999.0"] {
            assert_eq!(good.parse::<GraphVersion>().unwrap().to_string(), good);
        }
        for bad in [
            "", "26.0", "v26", "v26.", "v.0", "v26.0.0", "V26.0", "v1000.0", "v26.100", "v+1.0",
            "v026.0",
        ] {
            assert_eq!(
                bad.parse::<GraphVersion>(),
                Err(GraphVersionError),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_version_is_warned_of_from_90_days_before_its_end() {
        let v21 = version(21, 0);
        assert_eq!(v21.warning(noon(2026, 10, 22)), None);
        let last_quarter = v21.warning(noon(2026, 10, 23)).unwrap();
        assert!(last_quarter.contains("ends in 90 days"), "{last_quarter}");
        let last_day = v21.warning(noon(2027, 1, 21)).unwrap();
        assert!(last_day.contains("ends in 0 days"), "{last_day}");
        let gone = v21.warning(noon(2027, 1, 22)).unwrap();
        assert!(gone.contains("has ended"), "{gone}");
        let now = noon(2026, 11, 22);
        assert!(version(20, 0).warning(now).unwrap().contains("has ended"));
        assert!(version(3, 2).warning(now).unwrap().contains("has ended"));
        assert!(version(27, 0).warning(now).unwrap().contains("newer"));
        assert!(
            version(25, 1)
                .warning(now)
                .unwrap()
                .contains("not a version")
        );
        assert_eq!(version(25, 0).warning(now), None);
        assert_eq!(NEWEST.warning(now), None);
    }

    #[test]
    fn addresses() {
        let url: BaseUrl = "http://127.0.0.1:8089/".parse().unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8089");
        for bad in [
            "",
            "graph.facebook.com",
            "ftp://a",
            "https://u@a",
            "https://u:p@a",
            "https://a/?x",
            "https://a/#x",
            "https://",
        ] {
            assert_eq!(bad.parse::<BaseUrl>(), Err(BaseUrlError), "{bad:?}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for (url, allow, ok) in [
            ("http://127.0.0.1:1", false, true),
            ("http://[::1]:1", false, true),
            ("http://localhost:1", false, true),
            ("http://localhost.example", false, false),
            ("http://10.0.0.1", false, false),
            ("http://10.0.0.1", true, true),
            ("https://10.0.0.1", false, true),
        ] {
            let url: BaseUrl = url.parse().unwrap();
            let mut graph = Graph {
                url: url.clone(),
                allow_http: allow,
                ..Graph::default()
            };
            for _ in 0..2 {
                let mut faults = Vec::new();
                graph.validate(&mut faults);
                assert_eq!(faults.is_empty(), ok, "{url} {allow}");
                graph = Graph {
                    dialog_url: url.clone(),
                    allow_http: allow,
                    ..Graph::default()
                };
            }
        }
    }
}
