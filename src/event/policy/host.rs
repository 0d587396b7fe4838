//! Hosts of pages, exact or with one star in front.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Host, ParseError, Url};

/// A host, or all hosts below one: `shop.example`, `*.shop.example`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPattern {
    /// In small letters, as the DNS has it.
    host: String,
    /// Whether it means those below the host, and not the host itself.
    below: bool,
}

/// Why a text is not a [`HostPattern`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a host (\"shop.example\") or all hosts below one (\"*.shop.example\"), without scheme, port and path"
)]
pub struct HostPatternError;

impl HostPattern {
    /// Whether it means this host, which is in small letters.
    pub(super) fn covers(&self, host: &str) -> bool {
        if !self.below {
            return self.host == host;
        }
        host.strip_suffix(self.host.as_str())
            .is_some_and(|front| front.len() > 1 && front.ends_with('.'))
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let (rest, below) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let is_plain = !rest.contains(['*', '/', ':', '@', '?', '#']) || rest.starts_with('[');
        let host = Host::parse(rest).map_err(|_| HostPatternError)?;
        let is_name =
            matches!(&host, Host::Domain(name) if !bare(name).split('.').any(str::is_empty));
        if !is_plain || rest.contains('*') || (below && !is_name) || !(is_name || is_address(&host))
        {
            return Err(HostPatternError);
        }
        Ok(Self {
            host: bare(&host.to_string()),
            below,
        })
    }
}

fn is_address(host: &Host) -> bool {
    matches!(host, Host::Ipv4(_) | Host::Ipv6(_))
}

/// Without the dot at its end, which means the same.
fn bare(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// The host of a page's address, in small letters, as the DNS has it and a browser reads it
/// (`https:shop.example` too); also of one without its scheme.
pub(super) fn host_of(address: &str) -> Option<String> {
    let address = address.trim();
    let url = match Url::parse(address) {
        Ok(url) if url.is_special() || address.contains("://") => url,
        // a host and its port look like a scheme and a path
        Ok(_) | Err(ParseError::RelativeUrlWithoutBase) => {
            let rest = address.trim_start_matches(['/', '\\']);
            if address.len() - rest.len() == 1 {
                return None;
            }
            Url::parse(&format!("https://{rest}")).ok()?
        }
        Err(_) => return None,
    };
    let host = bare(url.host_str()?);
    (!host.is_empty()).then_some(host)
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.below { "*." } else { "" })?;
        f.write_str(&self.host)
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_stars() {
        let covers = |pattern: &str, address: &str| {
            let host = host_of(address).unwrap();
            pattern.parse::<HostPattern>().unwrap().covers(&host)
        };
        for (pattern, address) in [
            ("shop.example", "https://Shop.Example:8443/a?b#c"),
            ("SHOP.example", "shop.example/thanks"),
            ("shop.example", "//shop.example."),
            ("shop.example", "https://user:pass@shop.example/"),
            ("*.shop.example", "https://www.shop.example"),
            ("*.shop.example", "https://a.b.shop.example"),
            ("bücher.example", "https://xn--bcher-kva.example/"),
            ("192.0.2.1", "http://192.0.2.1/"),
            ("bad.example", "https:/bad.example/"),
            ("bad.example", "https:bad.example"),
            ("bad.example", "HTTPS:\\\\bad.example/"),
            ("bad.example", "\\\\bad.example/x"),
            ("bad.example", "ht\ttps://bad.exa\nmple/"),
            ("bad.example", "bad.example:8443/x"),
            ("localhost", "localhost:3000"),
            ("[2001:db8::1]", "http://[2001:DB8::1]/"),
        ] {
            assert!(covers(pattern, address), "{pattern} {address}");
        }
        for (pattern, address) in [
            ("shop.example", "https://www.shop.example"),
            ("*.shop.example", "https://shop.example"),
            ("*.shop.example", "https://badshop.example"),
            ("*.shop.example", "https://shop.example.bad.example"),
            (
                "shop.example",
                "https://bad.example/?x=https://shop.example/",
            ),
            ("shop.example", "https://shop.example@bad.example/"),
        ] {
            assert!(!covers(pattern, address), "{pattern} {address}");
        }
        for none in [
            "",
            "/",
            "/thanks",
            "https:",
            "https:/",
            "https://",
            "data:text/plain,x y",
            "https://a b/",
        ] {
            assert_eq!(host_of(none), None, "{none:?}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        for bad in [
            "",
            "*",
            "*.",
            "*.*.example",
            "a.*.example",
            "www.*",
            "*shop.example",
            "https://shop.example",
            "shop.example/",
            "shop.example:443",
            "*.192.0.2.1",
            "a b",
            ".",
            "shop.example?x",
            "a@b.example",
            ".shop.example",
            "*..shop.example",
            "shop..example",
        ] {
            assert_eq!(bad.parse::<HostPattern>(), Err(HostPatternError), "{bad:?}");
        }
        for good in ["shop.example", "*.shop.example", "[2001:db8::1]"] {
            assert_eq!(good.parse::<HostPattern>().unwrap().to_string(), good);
        }
    }
}
