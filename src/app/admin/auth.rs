//! Who is asking, and how often one may guess.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};

use super::problem::Problem;
use crate::config::{AdminKey, Role};
use crate::secret::KeyDigest;
use crate::time::UnixMs;

/// Wrong keys one address may show in a minute.
pub const MAX_GUESSES: u32 = 10;
/// Addresses that are counted apart; all others share one count.
const MAX_ADDRESSES: usize = 4096;

/// Looks at keys, and counts the wrong ones.
#[derive(Default)]
pub(super) struct Guard {
    guesses: Mutex<Guesses>,
}

/// The wrong keys of one minute.
#[derive(Default)]
struct Guesses {
    minute: i64,
    by: HashMap<Option<IpAddr>, u32>,
}

/// Whose key it was, as far as an audit line says it.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) name: String,
    pub(super) fingerprint: String,
    pub(super) role: Role,
}

impl Caller {
    pub(super) fn of(key: &AdminKey) -> Self {
        Self {
            name: key.name.clone(),
            fingerprint: key.fingerprint(),
            role: key.role,
        }
    }
}

impl Guard {
    /// Lets the owner of a key in.
    pub(super) fn admit(
        &self,
        keys: &[AdminKey],
        headers: &HeaderMap,
        peer: Option<IpAddr>,
        now: UnixMs,
    ) -> Result<Caller, Problem> {
        if keys.is_empty() {
            return Err(no_keys());
        }
        let key = bearer(headers).ok_or_else(|| {
            unauthorized(
                "this page needs a key",
                "send Authorization: Bearer with a key of admin.keys or admin.view_keys",
            )
        })?;
        self.admit_key(keys, &key, peer, now)
    }

    /// Lets the owner of a key in that came in another way than in a header.
    pub(super) fn admit_key(
        &self,
        keys: &[AdminKey],
        key: &KeyDigest,
        peer: Option<IpAddr>,
        now: UnixMs,
    ) -> Result<Caller, Problem> {
        let peer = peer.map(whole);
        if self.guesses(|guesses| guesses.count(peer, now)) >= MAX_GUESSES {
            let seconds = 60 - now.secs().rem_euclid(60);
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_wrong_keys",
                "too many wrong keys came from this address",
                "wait for Retry-After, then send a right one",
            )
            .retry_after(seconds.unsigned_abs()));
        }
        // every digest is compared, so that the time says nothing about which one was near
        let mut found = None;
        for known in keys {
            if key.is(&known.digest) {
                found = Some(known);
            }
        }
        let Some(found) = found else {
            self.guesses(|guesses| guesses.add(peer, now));
            tracing::warn!(
                admin.peer = peer.map(tracing::field::display),
                "a wrong admin key was shown"
            );
            return Err(unauthorized(
                "this key is not known",
                "see admin.keys and admin.view_keys of the configuration in force",
            ));
        };
        Ok(Caller::of(found))
    }

    fn guesses<T>(&self, look: impl FnOnce(&mut Guesses) -> T) -> T {
        look(&mut self.guesses.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Guesses {
    fn turn(&mut self, now: UnixMs) {
        let minute = now.secs().div_euclid(60);
        if minute != self.minute {
            self.minute = minute;
            self.by.clear();
        }
    }

    fn count(&mut self, peer: Option<IpAddr>, now: UnixMs) -> u32 {
        self.turn(now);
        let known = self.by.get(&peer);
        // without room, a new address shares the count of all that found none
        let shared = (self.by.len() >= MAX_ADDRESSES).then(|| self.by.get(&None));
        known.or(shared.flatten()).copied().unwrap_or(0)
    }

    fn add(&mut self, peer: Option<IpAddr>, now: UnixMs) {
        self.turn(now);
        let has_room = self.by.len() < MAX_ADDRESSES || self.by.contains_key(&peer);
        *self.by.entry(peer.filter(|_| has_room)).or_insert(0) += 1;
    }
}

/// Nobody can be let in.
pub(super) fn no_keys() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "no_keys",
        "no admin key is configured, so this page is closed",
        "set admin.keys in the configuration, such as keys = [{ env = \"CAPIGATE_ADMIN_KEY\" }]",
    )
}

fn unauthorized(message: &str, next: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message, next)
}

fn bearer(headers: &HeaderMap) -> Option<KeyDigest> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = text.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then(|| KeyDigest::of(key))
}

/// The part of an address that one guesser has: of IPv6, a whole /64.
fn whole(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = v6.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_guesser_is_stopped_and_takes_no_endless_memory() {
        let now = UnixMs::from_secs(600);
        let mut guesses = Guesses::default();
        let address = |n: u32| Some(IpAddr::from(n.to_be_bytes()));
        for n in 0..3 * MAX_ADDRESSES as u32 {
            guesses.add(address(n), now);
        }
        assert!(guesses.by.len() <= MAX_ADDRESSES + 1);
        assert_eq!(guesses.count(address(7), now), 1);
        assert!(guesses.count(address(u32::MAX), now) >= MAX_GUESSES);
        let later = UnixMs::from_secs(660);
        assert_eq!(guesses.count(address(u32::MAX), later), 0);
        assert_eq!(guesses.count(address(7), later), 0);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let whole = |text: &str| super::whole(text.parse().unwrap());
        assert_eq!(whole("2001:db8::1"), whole("2001:db8::ffff:1"));
        assert_ne!(whole("2001:db8::1"), whole("2001:db8:0:1::1"));
        assert_eq!(whole("::ffff:10.0.0.1"), whole("10.0.0.1"));
    }
}
