//! From which address a request comes, when proxies stand in between.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::event::is_public_address;

/// Where a request comes from, as far as it can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who called the last proxy that is trusted, or the gateway itself; may be an address within
    /// a company.
    pub caller: IpAddr,
    /// The same if it is a public address, else the other end of the connection.
    pub customer: IpAddr,
}

/// Finds out where a request on a connection from `peer` comes from.
///
/// `forwarded` are the values of its `X-Forwarded-For`, in their order. Anyone can send one, so it
/// counts only when the peer is a trusted proxy, and then from its end: each proxy adds the
/// address it was called from, so the last one that is no trusted proxy is the caller, and what
/// stands before it is hearsay. An entry that is no address (with a port, `unknown`) ends the walk
/// there. When all hops are trusted, the first is the caller; so it is at once where the trusted
/// networks are all addresses, which is how Meta's own libraries read it.
pub fn find<'h>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'h str>,
    trusted: &[IpNet],
) -> Origin {
    let peer = peer.to_canonical();
    let caller = walk(peer, forwarded, trusted);
    let customer = Some(caller).filter(|caller| is_public_address(*caller));
    Origin {
        caller,
        customer: customer.unwrap_or(peer),
    }
}

fn walk<'h>(
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'h str>,
    trusted: &[IpNet],
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let read = |entry: &str| {
        entry
            .trim()
            .parse()
            .map(|entry: IpAddr| entry.to_canonical())
    };
    let mut entries = forwarded.flat_map(|value| value.split(','));
    if trusted.iter().any(|network| network.prefix_len() == 0) {
        return entries
            .next()
            .and_then(|first| read(first).ok())
            .unwrap_or(peer);
    }
    let mut caller = peer;
    for entry in entries.rev().filter(|entry| !entry.trim().is_empty()) {
        if !is_trusted(caller) {
            break;
        }
        match read(entry) {
            Ok(before) => caller = before,
            Err(_) => return peer,
        }
    }
    caller
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &[&str], trusted: &[&str]) -> (String, String) {
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let origin = find(peer.parse().unwrap(), forwarded.iter().copied(), &trusted);
        (origin.caller.to_string(), origin.customer.to_string())
    }

    const INSIDE: &[&str] = &["10.0.0.0/8", "::1/128"];

    #[test]
    fn a_forged_header_does_not_count() {
        for (peer, forwarded, caller) in [
            // not from a proxy at all
            ("203.0.113.9", &["8.8.8.8"][..], "203.0.113.9"),
            ("203.0.113.9", &[], "203.0.113.9"),
            // the client has put the first ones there
            ("10.0.0.1", &["8.8.8.8, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["8.8.8.8", "203.0.113.9"], "203.0.113.9"),
            (
                "10.0.0.1",
                &["8.8.8.8, 10.9.9.9, 203.0.113.9, 10.0.0.2"],
                "203.0.113.9",
            ),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::1", &[" 2001:db8::9 ,"], "2001:db8::9"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            // a proxy that writes no address hides who was before it
            ("10.0.0.1", &["8.8.8.8, 203.0.113.9:4711"], "10.0.0.1"),
            ("10.0.0.1", &["8.8.8.8, unknown, 10.0.0.2"], "10.0.0.1"),
            // proxies only
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            assert_eq!(
                found(peer, forwarded, INSIDE).0,
                caller,
                "{peer} {forwarded:?}"
            );
        }
    }

    #[test]
    fn a_caller_inside_is_no_customer() {
        let (caller, customer) = found("10.0.0.1", &["192.168.1.5"], INSIDE);
        assert_eq!(
            (caller.as_str(), customer.as_str()),
            ("192.168.1.5", "10.0.0.1")
        );
    }

    #[test]
    fn with_everyone_trusted_the_first_counts() {
        for (forwarded, customer) in [
            ("8.8.8.8, unknown, 9.9.9.9", "8.8.8.8"),
            ("10.0.0.1", "1.1.1.1"),
            ("8.8.8.8:80, 9.9.9.9", "1.1.1.1"),
            ("", "1.1.1.1"),
        ] {
            let (_, found) = found("1.1.1.1", &[forwarded], &["0.0.0.0/0"]);
            assert_eq!(found, customer, "{forwarded}");
        }
    }
}
