//! The pages of a site whose browsers may post without a key.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::auth::admit;
use crate::origin::Origin;

/// Addresses that are told apart for one source; later ones share one rate while the list is full.
pub const MAX_ADDRESSES: usize = 16_384;

/// At most so often is a full list looked through for addresses that are quiet by now.
const PRUNE_PAUSE: Duration = Duration::from_secs(1);

/// From which pages browsers may post, and how much from one address. Clones share what is left
/// of each address's rate.
#[derive(Clone)]
pub struct Pages {
    origins: Arc<[Origin]>,
    rate: Quota,
    addresses: Arc<Mutex<Addresses>>,
}

/// What each address has left.
#[derive(Default)]
struct Addresses {
    known: HashMap<IpAddr, Visitor>,
    rest: Option<Visitor>,
    pruned: Option<Instant>,
}

struct Visitor {
    limiter: DefaultDirectRateLimiter,
    seen: Instant,
    /// Events that were let pass and then refused for another reason, and since when.
    returned: Option<(usize, Instant)>,
}

impl Pages {
    /// Pages of these origins; `rate` is that of one address.
    pub fn new(origins: Vec<Origin>, rate: Quota) -> Self {
        Self {
            origins: origins.into(),
            rate,
            addresses: Arc::default(),
        }
    }

    /// Whether a page of this origin may post.
    pub fn cover(&self, origin: &str) -> bool {
        self.origins.iter().any(|own| own.covers(origin))
    }

    /// Lets `events` events from an address pass, or gives the seconds after which they would. More
    /// than the rate allows at once never pass.
    pub(super) fn admit(&self, address: IpAddr, events: usize) -> Result<(), u64> {
        self.admit_at(address, events, Instant::now())
    }

    fn admit_at(&self, address: IpAddr, events: usize, now: Instant) -> Result<(), u64> {
        let addresses = self.addresses.lock();
        let mut addresses = addresses.unwrap_or_else(PoisonError::into_inner);
        let visitor = addresses.visitor(one_person(address), self.rate, now);
        visitor.seen = now;
        let whole = self.rate.burst_size_replenished_in();
        if events > self.rate.burst_size().get() as usize {
            return Err(whole.as_secs() + 1);
        }
        // by then the rate has come back by itself
        let returned = (visitor.returned)
            .filter(|(_, since)| now.duration_since(*since) < whole)
            .map(|(count, since)| (count.saturating_sub(events), count.min(events), since));
        let used = returned.map_or(0, |(_, used, _)| used);
        admit(&visitor.limiter, events - used).unwrap_or_else(|_| Err(whole.as_secs() + 1))?;
        visitor.returned = returned.map(|(left, _, since)| (left, since));
        Ok(())
    }

    /// Gives events back that an address was let pass, since they were refused all the same.
    pub(super) fn give_back(&self, address: IpAddr, events: usize) {
        let now = Instant::now();
        let addresses = self.addresses.lock();
        let mut addresses = addresses.unwrap_or_else(PoisonError::into_inner);
        let visitor = addresses.visitor(one_person(address), self.rate, now);
        let before = visitor.returned.map_or(0, |(count, _)| count);
        let most = self.rate.burst_size().get() as usize;
        visitor.returned = Some(((before + events).min(most), now));
    }

    /// These pages in the place of `before`: with the same rate, addresses go on with what they have
    /// left.
    #[must_use]
    pub(super) fn following(&self, before: &Self) -> Self {
        let old = if before.rate == self.rate {
            before
        } else {
            self
        };
        Self {
            addresses: Arc::clone(&old.addresses),
            ..self.clone()
        }
    }
}

impl Addresses {
    fn visitor(&mut self, address: IpAddr, rate: Quota, now: Instant) -> &mut Visitor {
        let fresh = || Visitor {
            limiter: RateLimiter::direct(rate),
            seen: now,
            returned: None,
        };
        let is_full = self.known.len() >= MAX_ADDRESSES && !self.known.contains_key(&address);
        if is_full {
            self.prune(rate, now);
        }
        if is_full && self.known.len() >= MAX_ADDRESSES {
            return self.rest.get_or_insert_with(fresh);
        }
        self.known.entry(address).or_insert_with(fresh)
    }

    /// Forgets who has all of the rate again.
    fn prune(&mut self, rate: Quota, now: Instant) {
        let is_due = |pruned: Instant| now.duration_since(pruned) >= PRUNE_PAUSE;
        if self.pruned.is_none_or(is_due) {
            self.pruned = Some(now);
            let whole = rate.burst_size_replenished_in();
            self.known
                .retain(|_, visitor| now.duration_since(visitor.seen) < whole);
        }
    }
}

/// An address, or of IPv6 the network that one household has.
fn one_person(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::num::NonZeroU32;

    use super::*;

    fn pages(per_hour: u32) -> Pages {
        let rate = Quota::per_hour(NonZeroU32::new(per_hour).unwrap());
        Pages::new(vec!["https://shop.example".parse().unwrap()], rate)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_a_rate_of_its_own() {
        let pages = pages(10);
        assert_eq!(pages.admit(address("192.0.2.1"), 10), Ok(()));
        assert!(pages.admit(address("192.0.2.1"), 1).is_err());
        assert!(pages.admit(address("::ffff:192.0.2.1"), 1).is_err());
        assert_eq!(pages.admit(address("192.0.2.2"), 10), Ok(()));
        // of IPv6 one has a whole network
        assert_eq!(pages.admit(address("2001:db8::1"), 10), Ok(()));
        assert!(pages.admit(address("2001:db8::ffff:2"), 1).is_err());
        assert_eq!(pages.admit(address("2001:db8:0:1::1"), 1), Ok(()));
        // more than the whole rate at once
        assert!(pages.admit(address("192.0.2.3"), 11).is_err());
        assert_eq!(pages.admit(address("192.0.2.3"), 10), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_spent_once() {
        let (pages, one) = (pages(10), address("192.0.2.1"));
        for _ in 0..5 {
            assert_eq!(pages.admit(one, 10), Ok(()));
            pages.give_back(one, 10);
        }
        assert_eq!(pages.admit(one, 4), Ok(()));
        assert_eq!(pages.admit(one, 6), Ok(()));
        assert!(pages.admit(one, 1).is_err());
    }

    #[test]
    fn a_full_list_has_one_rate_for_the_rest() {
        let pages = pages(10);
        for n in 0..MAX_ADDRESSES as u32 {
            let address = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + n));
            assert_eq!(pages.admit(address, 1), Ok(()));
        }
        assert_eq!(pages.admit(address("192.0.2.1"), 5), Ok(()));
        assert!(pages.admit(address("192.0.2.2"), 6).is_err());
        assert_eq!(pages.admit(address("10.0.0.1"), 9), Ok(()));
        assert_eq!(pages.addresses.lock().unwrap().known.len(), MAX_ADDRESSES);
    }

    #[test]
    fn who_has_been_quiet_makes_room() {
        let pages = pages(10);
        let start = Instant::now();
        for n in 0..MAX_ADDRESSES as u32 {
            let address = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + n));
            assert_eq!(pages.admit_at(address, 1, start), Ok(()));
        }
        let later = start + Duration::from_secs(3601);
        assert_eq!(pages.admit_at(address("192.0.2.1"), 1, later), Ok(()));
        assert_eq!(pages.addresses.lock().unwrap().known.len(), 1);
    }

    #[test]
    fn pages_that_stay_as_they_are_give_no_new_rate() {
        let before = pages(10);
        assert_eq!(before.admit(address("192.0.2.1"), 10), Ok(()));
        assert!(
            pages(10)
                .following(&before)
                .admit(address("192.0.2.1"), 1)
                .is_err()
        );
        assert_eq!(
            pages(20).following(&before).admit(address("192.0.2.1"), 20),
            Ok(())
        );
    }
}
