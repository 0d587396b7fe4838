//! The origins of web pages, and patterns for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::{Host, Url};

/// One origin of web pages, as browsers send it in `Origin`, or those of all subdomains of a host:
/// `https://shop.example`, `https://*.shop.example`, `http://localhost:3000`.
///
/// Scheme, host and port count. The `*` stands for exactly one label: `https://*.shop.example` is
/// neither `https://shop.example` nor `https://a.b.shop.example`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// `https://`, also in front of any label.
    scheme: String,
    any_label: bool,
    /// Host and port, as browsers write them: `.shop.example` behind any label.
    rest: String,
}

/// Why a text is not an [`Origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the origin of a web page, as in https://shop.example, or https://*.shop.example for one label in the place of the *"
)]
pub struct OriginError;

impl Origin {
    /// Whether the value of an `Origin` header is this origin, or one of these.
    pub fn covers(&self, origin: &str) -> bool {
        let Some(host) = origin.strip_prefix(&self.scheme) else {
            return false;
        };
        if !self.any_label {
            return host == self.rest;
        }
        let label = host.strip_suffix(&self.rest);
        label.is_some_and(|label| !label.is_empty() && label.bytes().all(is_label_byte))
    }

    /// Whether there is an origin that both cover.
    pub fn meets(&self, other: &Self) -> bool {
        match (self.any_label, other.any_label) {
            (true, true) => self == other,
            (true, false) => self.covers(&other.to_string()),
            (false, _) => other.covers(&self.to_string()),
        }
    }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (scheme, host) = text.split_once("://").ok_or(OriginError)?;
        let without = host.strip_prefix("*.");
        let any_label = without.is_some();
        let url = format!("{scheme}://{}", without.unwrap_or(host));
        let url = Url::parse(&url).map_err(|_| OriginError)?;
        let is_web = matches!(url.scheme(), "http" | "https");
        // an origin has neither path nor user; Url would forgive a slash at the end
        let is_bare = !host.contains(['/', '?', '#', '@', '\\', ' ', '\t', '\n', '\r']);
        let name = match url.host() {
            Some(Host::Domain(name)) => Some(name),
            _ => None,
        };
        // *.com would be nearly everyone
        let is_owned = !any_label || name.is_some_and(|name| name.contains('.'));
        if !is_web || !is_bare || !is_owned || name.is_some_and(|name| name.contains('*')) {
            return Err(OriginError);
        }
        let origin = url.origin().ascii_serialization();
        let (scheme, rest) = origin.split_once("://").ok_or(OriginError)?;
        let dot = if any_label { "." } else { "" };
        Ok(Self {
            scheme: format!("{scheme}://"),
            any_label,
            rest: format!("{dot}{rest}"),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = if self.any_label { "*" } else { "" };
        write!(f, "{}{any}{}", self.scheme, self.rest)
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn scheme_host_and_port_count() {
        for (pattern, good, bad) in [
            (
                "https://shop.example",
                &["https://shop.example"][..],
                &[
                    "http://shop.example",
                    "https://shop.example:8443",
                    "https://www.shop.example",
                    "https://shop.example.evil.example",
                    "https://shop.example/",
                    "null",
                    "",
                ][..],
            ),
            (
                "HTTPS://Shop.Example:443",
                &["https://shop.example"],
                &["https://shop.example:443"],
            ),
            (
                "https://*.shop.example",
                &["https://www.shop.example", "https://a_1-b.shop.example"],
                &[
                    "https://shop.example",
                    "https://.shop.example",
                    "https://a.b.shop.example",
                    "https://evilshop.example",
                    "https://x@www.shop.example",
                    "https://evil.example/.shop.example",
                    "http://www.shop.example",
                    "https://www.shop.example:444",
                ],
            ),
            (
                "http://localhost:3000",
                &["http://localhost:3000"],
                &["http://localhost"],
            ),
            (
                "https://[::1]:8443",
                &["https://[::1]:8443"],
                &["https://[::1]"],
            ),
            (
                "https://bücher.example",
                &["https://xn--bcher-kva.example"],
                &[],
            ),
        ] {
            let pattern = origin(pattern);
            for text in good {
                assert!(pattern.covers(text), "{pattern} {text}");
            }
            for text in bad {
                assert!(!pattern.covers(text), "{pattern} {text}");
            }
            assert_eq!(origin(&pattern.to_string()), pattern);
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "*",
            "null",
            "shop.example",
            "https://",
            "https://*",
            "https://*.com",
            "https://*.10.0.0.1",
            "https://a.*.example",
            "https://*.*.shop.example",
            "https://shop.example/",
            "https://shop.example/a",
            "https://shop.example?x",
            "https://user@shop.example",
            "https://shop.example:x",
            "ftp://shop.example",
            "https://shop .example",
            "https://sh*p.example",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(OriginError), "{text}");
        }
    }

    #[test]
    fn two_patterns_meet_where_one_origin_is_in_both() {
        let any = origin("https://*.shop.example");
        assert!(any.meets(&origin("https://www.shop.example")));
        assert!(origin("https://www.shop.example").meets(&any));
        assert!(any.meets(&any));
        assert!(!any.meets(&origin("https://shop.example")));
        assert!(!origin("https://a.example").meets(&origin("http://a.example")));
    }
}
