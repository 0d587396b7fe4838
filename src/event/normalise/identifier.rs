//! Identifiers: those that are hashed, those that pass, network addresses and click ids.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::ExternalId;
use super::super::digest::is_appendix;
use super::super::firewall::has_address;
use super::super::json;
use super::{Context, filled, is_space, lower, lower_ascii, retain, settle};

/// `external_id`: lower-case, without white space; or as it is, where the source wants that.
pub(in crate::event) fn external<'t>(
    text: &'t str,
    context: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    match context.external_id {
        ExternalId::Hash => joined(text, buffer),
        ExternalId::Trim | ExternalId::Raw => filled(text),
    }
}

/// Lower-case, without white space: the form that Meta's Parameter Builder gives an external id.
pub(in crate::event) fn joined<'t>(text: &'t str, buffer: &'t mut String) -> Option<&'t str> {
    if text.is_ascii() {
        return filled(lower_ascii(text, |b| !is_space(char::from(b)), buffer));
    }
    let joined = retain(text.to_lowercase().into(), |c| !is_space(c));
    filled(settle(joined, buffer))
}

/// `madid`: lower-case, hyphens kept.
pub(in crate::event) fn mobile<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    filled(lower(text, buffer))
}

/// Passed as it is.
pub(in crate::event) fn plain<'t>(
    text: &'t str,
    _: &Context,
    _: &'t mut String,
) -> Option<&'t str> {
    filled(text)
}

/// `lead_id`, `fb_login_id`: ASCII digits, all of them kept.
pub(in crate::event) fn digits<'t>(
    text: &'t str,
    _: &Context,
    _: &'t mut String,
) -> Option<&'t str> {
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    fits.then_some(text)
}

/// `fbc`, `fbp`: `fb.<digits>.<digits>.<anything>`, and perhaps an appendix. Never changed.
pub(in crate::event) fn click<'t>(
    text: &'t str,
    _: &Context,
    _: &'t mut String,
) -> Option<&'t str> {
    is_click(text).then_some(text)
}

/// Whether a text is a usable `fbc` or `fbp`.
pub(in crate::event) fn is_click(text: &str) -> bool {
    // it goes out in clear
    if has_address(text) {
        return false;
    }
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = text.as_bytes().split(|b| *b == b'.');
    parts.next() == Some(b"fb")
        && parts.next().is_some_and(is_number)
        && parts.next().is_some_and(is_number)
        && parts.next().is_some_and(|payload| !payload.is_empty())
        && parts.next().is_none_or(is_appendix)
        && parts.next().is_none()
}

/// `client_ip_address`: one public address, perhaps with an appendix. An IPv4 address written as
/// IPv6 (`::ffff:a.b.c.d`) is forwarded as IPv4.
pub(in crate::event) fn address<'t>(
    text: &'t str,
    _: &Context,
    buffer: &'t mut String,
) -> Option<&'t str> {
    public_address(text).map(|address| settle(address, buffer))
}

/// The address of a text as it is forwarded, if it is a public one.
pub(in crate::event) fn public_address(text: &str) -> Option<Cow<'_, str>> {
    let (address, appendix) = if let Some(address) = parse(text) {
        (address, "")
    } else {
        let (head, appendix) = text.rsplit_once('.')?;
        if !is_appendix(appendix.as_bytes()) {
            return None;
        }
        (parse(head)?, appendix)
    };
    match address {
        IpAddr::V4(v4) => is_public_v4(v4).then_some(Cow::Borrowed(text)),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) if appendix.is_empty() => is_public_v4(v4).then(|| Cow::Owned(v4.to_string())),
            Some(v4) => is_public_v4(v4).then(|| Cow::Owned(format!("{v4}.{appendix}"))),
            None => is_public_v6(v6).then_some(Cow::Borrowed(text)),
        },
    }
}

fn parse(address: &str) -> Option<IpAddr> {
    // both kinds need not be tried
    if json::any_of(address.as_bytes(), [b':']) {
        address.parse().ok().map(IpAddr::V6)
    } else {
        address.parse().ok().map(IpAddr::V4)
    }
}

/// Whether an address is one that a person on the internet may have.
pub(in crate::event) fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_unspecified())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_unicast_link_local()
        || address.is_unique_local())
}

#[cfg(test)]
mod tests {
    use super::super::testing::check;
    use super::*;

    #[test]
    fn external_ids_lose_case_and_space_only() {
        check(
            external,
            &[
                ("User 42-AB", "user42-ab"),
                ("A\u{a0}B\u{feff}", "ab"),
                ("CRM|0012X", "crm|0012x"),
                ("É\u{301}", "é\u{301}"),
            ],
        );
    }

    #[test]
    fn integers_keep_all_digits() {
        check(
            digits,
            &[
                ("12345678901234567", "12345678901234567"),
                ("007", "007"),
                ("-1", ""),
                ("1.0", ""),
                ("１", ""),
            ],
        );
    }

    #[test]
    fn click_ids_are_checked_and_never_changed() {
        check(
            click,
            &[
                ("fb.1.1554763741205.AbC", "fb.1.1554763741205.AbC"),
                ("fb.1.1554763741.AbC", "fb.1.1554763741.AbC"),
                ("fb.1.1554763741205.AbC.AQ", "fb.1.1554763741205.AbC.AQ"),
                ("fb.1.1554763741205.AbC.aq", ""),
                ("fb.1.1554763741205.AbC.AQ.AQ", ""),
                ("fb.1.1554763741205.", ""),
                ("fb.1.1554763741205", ""),
                ("FB.1.1554763741205.x", ""),
                ("fb.x.1554763741205.x", ""),
                ("fb.１.1554763741205.x", ""),
            ],
        );
    }

    #[test]
    fn addresses_are_public_and_single() {
        check(
            address,
            &[
                ("168.212.226.204", "168.212.226.204"),
                ("8.8.8.8.AQ", "8.8.8.8.AQ"),
                ("8.8.8.8.12345678", "8.8.8.8.12345678"),
                ("2001:db8::1", "2001:db8::1"),
                ("2001:db8::1.ABcDEFGh", "2001:db8::1.ABcDEFGh"),
                ("::ffff:8.8.8.8", "8.8.8.8"),
                ("::ffff:10.0.0.1", ""),
                ("172.15.255.255", "172.15.255.255"),
                ("172.16.0.1", ""),
                ("192.168.0.1", ""),
                ("169.254.0.1", ""),
                ("100.64.0.1", "100.64.0.1"),
                ("0.0.0.0", ""),
                ("0.0.0.1", "0.0.0.1"),
                ("fe80::1%eth0", ""),
                ("fe80::1", ""),
                ("fdff::1", ""),
                ("[2001:db8::1]", ""),
                ("1.2.3.4:80", ""),
                ("08.8.8.8", ""),
                ("8.8.8.8.ZZ", ""),
                ("8.8.8", ""),
            ],
        );
    }
}
