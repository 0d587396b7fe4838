//! Who may post for which pixel.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::pages::Pages;
use crate::event::Rules;
use crate::event::policy::Policy;
use crate::pixel::PixelId;
use crate::secret::KeyDigest;

/// One source of events: a shop, a back-end, a team that tests.
#[derive(Clone)]
pub struct Source {
    /// Its name in the config.
    pub name: Arc<str>,
    /// The SHA-256 of each key it may show; none for browsers.
    pub keys: Vec<[u8; 32]>,
    /// The pixels it may post for.
    pub pixels: BTreeSet<PixelId>,
    /// Whether one bad event refuses the whole request, as Meta does.
    pub strict: bool,
    /// How its events are checked and hashed.
    pub rules: Rules,
    /// What of its events may pass, and what is changed in them.
    pub policy: Policy,
    /// The pixels that get a copy of each of its events.
    pub fan_out: BTreeSet<PixelId>,
    /// For browsers: from which pages they may post.
    pub pages: Option<Pages>,
    rate: Quota,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl Source {
    /// A source whose events may come at `rate` (events in a period, and the burst), without a
    /// policy.
    pub fn new(
        name: String,
        keys: Vec<[u8; 32]>,
        pixels: BTreeSet<PixelId>,
        strict: bool,
        rules: Rules,
        rate: Quota,
    ) -> Self {
        Self {
            policy: Policy::default(),
            fan_out: BTreeSet::new(),
            name: name.into(),
            keys,
            pixels,
            strict,
            rules,
            pages: None,
            rate,
            limiter: Arc::new(RateLimiter::direct(rate)),
        }
    }

    /// Lets `events` events pass, or gives the seconds after which they would.
    pub fn admit(&self, events: usize) -> Result<(), u64> {
        // a request larger than the burst would never pass: it pays the whole burst
        let burst = self.rate.burst_size().get() as usize;
        // cannot be more than the burst; refusing is the safe answer
        admit(&self.limiter, events.min(burst)).unwrap_or(Err(1))
    }
}

/// A configured pixel, as far as the front door is concerned.
#[derive(Clone, Debug, Default)]
pub struct Pixel {
    /// Whether one bad event refuses the whole request.
    pub strict: bool,
    /// What of its events may pass, and what is changed in them.
    pub policy: Policy,
}

/// The request is larger than the burst, and would never pass.
pub(super) struct Never;

/// Lets `events` events pass, or gives the seconds after which they would.
pub(super) fn admit(
    limiter: &DefaultDirectRateLimiter,
    events: usize,
) -> Result<Result<(), u64>, Never> {
    use governor::clock::{Clock, DefaultClock};
    let count = u32::try_from(events).unwrap_or(u32::MAX);
    let Some(count) = std::num::NonZeroU32::new(count) else {
        return Ok(Ok(()));
    };
    let passed = limiter.check_n(count).map_err(|_| Never)?;
    Ok(passed.map_err(|not_until| {
        let wait = not_until.wait_time_from(DefaultClock::default().now());
        wait.as_secs() + 1
    }))
}

/// All sources, and the pixels that are configured at all.
#[derive(Clone)]
pub struct Sources {
    sources: Arc<Vec<Source>>,
    known: Arc<HashMap<PixelId, Pixel>>,
}

impl Sources {
    /// These sources, and the pixels they may be for.
    pub fn new(sources: Vec<Source>, pixels: HashMap<PixelId, Pixel>) -> Self {
        Self {
            sources: Arc::new(sources),
            known: Arc::new(pixels),
        }
    }

    /// These sources in the place of `before`: one of the same name and rate goes on with what is
    /// left of its burst.
    #[must_use]
    pub fn following(&self, before: &Self) -> Self {
        let follow = |source: &Source| {
            let old = before.sources.iter().find(|old| old.name == source.name);
            let mut next = source.clone();
            if let Some(old) = old.filter(|old| old.rate == source.rate) {
                next.limiter = Arc::clone(&old.limiter);
            }
            if let (Some(own), Some(before)) =
                (&source.pages, old.and_then(|old| old.pages.as_ref()))
            {
                next.pages = Some(own.following(before));
            }
            next
        };
        Self {
            sources: Arc::new(self.sources.iter().map(follow).collect()),
            known: Arc::clone(&self.known),
        }
    }

    /// The source that owns a key. Every digest is compared, each in constant time, so that the
    /// time taken says nothing about how near a guess came.
    pub fn find(&self, key: KeyDigest) -> Option<&Source> {
        let mut found = None;
        for source in self.sources.iter() {
            for digest in &source.keys {
                if key.is(digest) {
                    found = Some(source);
                }
            }
        }
        found
    }

    /// The source of that name.
    pub fn named(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| *source.name == *name)
    }

    /// Whether any source is for browsers.
    pub fn has_pages(&self) -> bool {
        self.sources.iter().any(|source| source.pages.is_some())
    }

    /// Whether pages of this origin may post at all.
    pub fn allow(&self, origin: &str) -> bool {
        self.of_page(origin).next().is_some()
    }

    /// The sources whose pages may have this origin.
    pub(super) fn of_page(&self, origin: &str) -> impl Iterator<Item = &Source> {
        let covers = move |source: &&Source| {
            let pages = source.pages.as_ref();
            pages.is_some_and(|pages| pages.cover(origin))
        };
        self.sources.iter().filter(covers)
    }

    /// Whether browsers may post for `pixel`, from whatever page.
    pub fn take_from_pages(&self, pixel: PixelId) -> bool {
        let mut all = self.sources.iter();
        all.any(|source| source.pages.is_some() && source.pixels.contains(&pixel))
    }

    /// Whether events for `pixel` are taken from anyone.
    pub fn knows(&self, pixel: PixelId) -> bool {
        self.known.contains_key(&pixel)
    }

    /// Whether one bad event refuses a whole request to the pixel.
    pub fn is_strict(&self, pixel: PixelId) -> bool {
        self.known.get(&pixel).is_some_and(|pixel| pixel.strict)
    }

    /// The policy of a pixel; none of one that is not configured.
    pub fn policy(&self, pixel: PixelId) -> Option<&Policy> {
        self.known.get(&pixel).map(|pixel| &pixel.policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::num::NonZeroU32;

    fn source(name: &str, keys: &[&str], per_second: u32) -> Source {
        let keys = keys.iter().map(|key| Sha256::digest(key).into()).collect();
        let quota = Quota::per_second(NonZeroU32::new(per_second).unwrap());
        Source::new(
            name.to_owned(),
            keys,
            BTreeSet::new(),
            false,
            Rules::default(),
            quota,
        )
    }

    #[test]
    fn a_key_belongs_to_its_source() {
        let sources = Sources::new(
            vec![source("a", &["one", "two"], 1), source("b", &["three"], 1)],
            HashMap::new(),
        );
        let owner = |key| sources.find(KeyDigest::of(key)).map(|source| &*source.name);
        assert_eq!(owner("two"), Some("a"));
        assert_eq!(owner("three"), Some("b"));
        assert_eq!(owner("four"), None);
        assert_eq!(owner(""), None);
    }

    #[test]
    fn the_rate_counts_events_and_says_when_to_come_back() {
        let source = source("a", &[], 10);
        assert_eq!(source.admit(10), Ok(()));
        assert!(
            source
                .admit(10)
                .is_err_and(|seconds| (1..=2).contains(&seconds))
        );
        let larger = super::tests::source("b", &[], 10);
        assert_eq!(
            larger.admit(1000),
            Ok(()),
            "a request over the burst pays the whole burst"
        );
        assert!(larger.admit(1).is_err());
    }

    #[test]
    fn a_source_that_stays_as_it_is_gets_no_new_burst() {
        let spent = |name: &str, rate| {
            let source = source(name, &[], rate);
            assert_eq!(source.admit(rate as usize), Ok(()));
            source
        };
        let before = Sources::new(vec![spent("same", 10), spent("rate", 10)], HashMap::new());
        let after = vec![
            source("same", &["key"], 10),
            source("rate", &[], 20),
            source("new", &[], 10),
        ];
        let after = Sources::new(after, HashMap::new()).following(&before);
        let [same, rate, new] = after.sources.as_slice() else {
            panic!("three sources");
        };
        assert!(same.admit(10).is_err());
        assert_eq!(rate.admit(20), Ok(()));
        assert_eq!(new.admit(10), Ok(()));
        assert_eq!(same.keys.len(), 1, "all but the rate is new");
    }
}
