//! What the request of a browser tells about the person at it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::click_id::decode;
use super::normalise::{identifier, trim};

/// The longest cookie or user agent that is taken over, in bytes; browsers and Meta's scripts stay
/// far below it.
pub const MAX_VISIT_VALUE: usize = 2048;

/// What the request of a browser tells about the person at it, as far as it may be sent to Meta:
/// what is not valid is not in it. An event gets what it lacks of it.
///
/// `Debug` tells which parts are there, and no value.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Visit {
    pub(super) address: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) fbc: Option<String>,
    pub(super) fbp: Option<String>,
}

impl Visit {
    /// Reads the values of a request: the address it comes from, its `User-Agent`, and its
    /// `Cookie` headers, of which there may be several.
    ///
    /// The cookies are `_fbc`, `_fbp` and `_fbi`, percent-decoded once; of several with one name
    /// the first valid one counts. The address is that of `_fbi` if it is IPv6, else that of the
    /// request if it is IPv6, else `_fbi`, else that of the request; what is not public falls out.
    pub fn read<'h>(
        address: Option<IpAddr>,
        user_agent: Option<&str>,
        cookies: impl IntoIterator<Item = &'h [u8]>,
    ) -> Self {
        let mut visit = Self {
            user_agent: user_agent.map(trim).and_then(|agent| taken(agent.into())),
            ..Self::default()
        };
        let mut kept_address = None;
        let pairs = cookies
            .into_iter()
            .flat_map(|header| header.split(|byte| *byte == b';'));
        for pair in pairs {
            let Some((name, value)) = split(pair) else {
                continue;
            };
            let slot = match name {
                "_fbc" => &mut visit.fbc,
                "_fbp" => &mut visit.fbp,
                "_fbi" => &mut kept_address,
                _ => continue,
            };
            if slot.is_none() {
                *slot = decode(value)
                    .and_then(|value| valid(name, value))
                    .and_then(taken);
            }
        }
        let own = address
            .map(|address| address.to_canonical())
            .filter(|address| identifier::is_public(*address));
        let is_v6 = |kept: &String| kept.contains(':');
        visit.address = match (kept_address, own) {
            (Some(kept), Some(IpAddr::V6(own))) if !is_v6(&kept) => Some(own.to_string()),
            (Some(kept), _) => Some(kept),
            (None, own) => own.map(|own| own.to_string()),
        };
        visit
    }

    /// What tells one browser from another, for events that do not tell it themselves: the
    /// browser's id, else its click id, else address and user agent. The parts stay the same when
    /// a browser repeats its request.
    pub(super) fn person(&self) -> Cow<'_, str> {
        if let Some(id) = self.fbp.as_deref().or(self.fbc.as_deref()) {
            return Cow::Borrowed(id);
        }
        let part = |part: &Option<String>| part.clone().unwrap_or_default();
        Cow::Owned(format!(
            "{}\n{}",
            part(&self.address),
            part(&self.user_agent)
        ))
    }
}

/// Whether an address is one that a person on the internet may have, and so may be sent to Meta.
/// Not those of private networks, of this machine, of a link, or unspecified ones.
pub fn is_public_address(address: IpAddr) -> bool {
    identifier::is_public(address)
}

/// The `fbc` and `fbp` index of the domain on which a site stores its cookies: how many dots are
/// in it. 0 for an IP address or a name without dots; 1 where no cookie is stored.
pub fn subdomain_index(cookie_domain: Option<&str>) -> u8 {
    let Some(domain) = cookie_domain else {
        return 1;
    };
    let domain = domain.trim_start_matches('.');
    let is_address = domain.starts_with('[') || domain.parse::<IpAddr>().is_ok();
    let dots = domain.bytes().filter(|byte| *byte == b'.').count();
    if is_address { 0 } else { dots as u8 }
}

/// Name and value of one cookie.
fn split(pair: &[u8]) -> Option<(&str, &str)> {
    // cookies that are not ours may hold anything
    let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
    Some((name.trim(), value.trim()))
}

fn valid<'v>(name: &str, value: Cow<'v, str>) -> Option<Cow<'v, str>> {
    if name == "_fbi" {
        let address = identifier::public_address(trim(&value))?.into_owned();
        return Some(Cow::Owned(address));
    }
    identifier::is_click(&value).then_some(value)
}

fn taken(value: Cow<'_, str>) -> Option<String> {
    (1..=MAX_VISIT_VALUE)
        .contains(&value.len())
        .then(|| value.into_owned())
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("address", &self.address.is_some())
            .field("user_agent", &self.user_agent.is_some())
            .field("fbc", &self.fbc.is_some())
            .field("fbp", &self.fbp.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn read(address: &str, cookies: &[&str]) -> Visit {
        let cookies = cookies.iter().map(|header| header.as_bytes());
        Visit::read(address.parse().ok(), Some(" Mozilla/5.0 "), cookies)
    }

    #[test]
    fn cookies_are_split_decoded_and_checked() {
        let visit = read(
            "",
            &[
                "a=b; _fbp=fb.1.1596403881668.1116446470; x\u{e9}=1;_fbc=fb.1.1554763741205.a%2Db=c",
                "_fbc=fb.1.1.late",
            ],
        );
        assert_eq!(visit.fbp.as_deref(), Some("fb.1.1596403881668.1116446470"));
        assert_eq!(visit.fbc.as_deref(), Some("fb.1.1554763741205.a-b=c"));
        assert_eq!(visit.user_agent.as_deref(), Some("Mozilla/5.0"));
        let visit = read(
            "",
            &["_fbc=; _fbc=fb.1.1; _fbc = fb.1.2.second; _FBP=fb.1.2.x"],
        );
        assert_eq!(visit.fbc.as_deref(), Some("fb.1.2.second"));
        assert_eq!(visit.fbp, None);
        let long = format!("_fbc=fb.1.2.{}", "x".repeat(MAX_VISIT_VALUE));
        assert_eq!(read("", &[&long, "_fbp", ""]).fbc, None);
        let headers = [&b"_fbc=fb.1.2.\xff; \xfe=1; _fbp=fb.1.2.3"[..]];
        let visit = Visit::read(None, None, headers);
        assert_eq!((visit.fbc, visit.fbp.as_deref()), (None, Some("fb.1.2.3")));
    }

    #[test]
    fn ipv6_comes_first_and_the_cookie_second() {
        for (address, cookie, chosen) in [
            ("8.8.8.8", "1.1.1.1", "1.1.1.1"),
            ("2001:4860::8", "1.1.1.1", "2001:4860::8"),
            ("2001:4860::8", "2001:4860::9.AQ", "2001:4860::9.AQ"),
            ("8.8.8.8", "2001:4860::9", "2001:4860::9"),
            ("8.8.8.8", "fe80::1", "8.8.8.8"),
            ("::ffff:8.8.8.8", "", "8.8.8.8"),
            ("10.0.0.1", "8.8.8.8.ABCDEFGH", "8.8.8.8.ABCDEFGH"),
            ("10.0.0.1", "127.0.0.1", ""),
            ("::ffff:10.0.0.1", "", ""),
        ] {
            let visit = read(address, &[&format!("_fbi={cookie}")]);
            assert_eq!(
                visit.address.unwrap_or_default(),
                chosen,
                "{address} {cookie}"
            );
        }
    }

    #[test]
    fn the_index_counts_the_dots() {
        for (domain, index) in [
            ("com", 0),
            ("localhost", 0),
            ("example.com", 1),
            (".example.com", 1),
            ("www.example.com", 2),
            ("127.0.0.1", 0),
            ("[::1]", 0),
            ("::1", 0),
        ] {
            assert_eq!(subdomain_index(Some(domain)), index, "{domain}");
        }
        assert_eq!(subdomain_index(None), 1);
    }

    proptest! {
        #[test]
        fn no_cookie_makes_it_panic_or_passes_unchecked(cookies in vec(any::<u8>(), 0..64)) {
            for name in ["_fbc=", "_fbp=fb.1.2.", "_fbi=8.8.8.8"] {
                let header = [name.as_bytes(), &cookies].concat();
                let visit = Visit::read(None, None, [&header[..], &cookies]);
                let clicks = [&visit.fbc, &visit.fbp].into_iter().flatten();
                prop_assert!(clicks.into_iter().all(|click| identifier::is_click(click)));
            }
        }
    }

    #[test]
    fn no_value_is_shown() {
        let visit = read("8.8.8.8", &["_fbp=fb.1.2.canary"]);
        let shown = format!("{visit:?}");
        assert!(
            !shown.contains("canary") && !shown.contains("8.8"),
            "{shown}"
        );
    }
}
