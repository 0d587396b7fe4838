//! How fast: batches a second, in all and by pixel; batches in flight; and slower when Graph says
//! that a limit is near.
//!
//! The configured rates are a ceiling that nothing lifts. Below it each app, token and pixel has a
//! factor from 1/64 to 1: a throttle halves it, a batch that is taken adds a twentieth, and usage
//! headers pull it down from 75 percent on. A pixel goes at its rate times the least of its three.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Notify;

use super::Settings;
use super::places::Places;
use crate::pixel::PixelId;

/// The factor of a scope that nothing has slowed.
pub(super) const FULL: f64 = 1.0;

/// Factors are told apart by this many steps; the least is one step.
const STEPS: u32 = 64;

/// What a batch that is taken adds to a factor.
const CLIMB: f64 = 0.05;

/// After a throttle.
pub(super) fn halved(factor: f64) -> f64 {
    (factor / 2.0).max(least())
}

/// After a batch that was taken.
pub(super) fn climbed(factor: f64) -> f64 {
    (factor + CLIMB).min(FULL)
}

/// What is left of the pace when so many percent of a limit are used up: all of it up to 75, then
/// linearly less.
pub(super) fn left(percent: f64) -> f64 {
    ((100.0 - percent) / 25.0).clamp(least(), FULL)
}

fn least() -> f64 {
    FULL / f64::from(STEPS)
}

/// A factor as a number of steps, 1 to 64.
pub(super) fn steps(factor: f64) -> u32 {
    ((factor * f64::from(STEPS)) as u32).clamp(1, STEPS)
}

/// The quota at so many 64ths of its rate; none when it is all of them. One batch at a time.
fn slowed(quota: Quota, steps: u32) -> Option<Quota> {
    if steps >= STEPS {
        return None;
    }
    let interval = quota.replenish_interval().saturating_mul(STEPS) / steps.max(1);
    Quota::with_period(interval.max(Duration::from_nanos(1)))
        .map(|quota| quota.allow_burst(NonZeroU32::MIN))
}

/// A limiter that can be given another quota, which holds for those who wait already, too.
struct Limiter {
    now: ArcSwap<(Quota, DefaultDirectRateLimiter)>,
    changed: Notify,
    /// Whose turn it is. The limiter wakes all who wait when there is room for one.
    turn: tokio::sync::Mutex<()>,
}

impl Limiter {
    fn new(quota: Quota) -> Self {
        Self {
            now: ArcSwap::from_pointee((quota, RateLimiter::direct(quota))),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn set(&self, quota: Quota) {
        if self.quota() != quota {
            self.now
                .store(Arc::new((quota, RateLimiter::direct(quota))));
            self.changed.notify_waiters();
        }
    }

    /// Waits in the order of asking; only the first in line watches the time.
    async fn wait(&self) {
        let _turn = self.turn.lock().await;
        self.wait_for(|| Some(self.now.load_full()), |limiter| &limiter.1)
            .await;
    }

    /// Waits for the limiter that `get` gives, or for another when the quota changes meanwhile;
    /// not at all when it gives none.
    async fn wait_for<T>(
        &self,
        get: impl Fn() -> Option<T>,
        limiter: impl Fn(&T) -> &DefaultDirectRateLimiter,
    ) -> Option<T> {
        loop {
            let mut changed = pin!(self.changed.notified());
            // from here on no change is missed
            changed.as_mut().enable();
            let got = get()?;
            tokio::select! {
                () = limiter(&got).until_ready() => return Some(got),
                () = changed => {}
            }
        }
    }

    fn quota(&self) -> Quota {
        self.now.load().0
    }
}

/// The limiters of the gateway. A pixel's part is made at its first batch; there are as many
/// as pixels are configured, since no other pixel's events are taken in.
pub(super) struct Pace {
    all: Limiter,
    /// Batches in flight, all pixels together.
    pub(super) in_flight: Places,
    pixels: Mutex<HashMap<PixelId, Arc<PixelPace>>>,
}

/// One pixel's part.
pub(super) struct PixelPace {
    limiter: Limiter,
    slow: Mutex<Option<Slow>>,
    /// Batches in flight, shared by all lanes of the pixel, first come first served.
    pub(super) in_flight: Places,
    /// Searches for bad events.
    pub(super) searches: Places,
}

/// The limiter below the ceiling, and what it was made for.
struct Slow {
    steps: u32,
    ceiling: Quota,
    limiter: Arc<DefaultDirectRateLimiter>,
}

impl Pace {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            all: Limiter::new(settings.rate),
            in_flight: Places::new(settings.max_in_flight_batches),
            pixels: Mutex::default(),
        }
    }

    pub(super) fn pixel(&self, pixel: PixelId, settings: &Settings) -> Arc<PixelPace> {
        let mut pixels = super::lock(&self.pixels);
        let made = pixels.entry(pixel).or_insert_with(|| {
            Arc::new(PixelPace {
                limiter: Limiter::new(settings.rate_per_pixel),
                slow: Mutex::default(),
                in_flight: Places::new(settings.max_in_flight_batches_per_pixel),
                searches: Places::new(settings.max_bisections_per_pixel),
            })
        });
        Arc::clone(made)
    }

    /// Follows other settings. Places that are too many go as they become free.
    pub(super) fn apply(&self, settings: &Settings) {
        self.all.set(settings.rate);
        self.in_flight.resize(settings.max_in_flight_batches);
        for pixel in super::lock(&self.pixels).values() {
            pixel.limiter.set(settings.rate_per_pixel);
            pixel
                .in_flight
                .resize(settings.max_in_flight_batches_per_pixel);
            pixel.searches.resize(settings.max_bisections_per_pixel);
        }
    }

    /// Waits until one more batch fits the pace of the gateway.
    pub(super) async fn wait(&self) {
        self.all.wait().await;
    }
}

impl PixelPace {
    /// Waits until one more batch fits the pace of the pixel, slowed to `factor`, which may change
    /// meanwhile.
    pub(super) async fn wait(&self, factor: impl Fn() -> f64) {
        let slow = || self.slowed(steps(factor()));
        while let Some((steps_then, _)) = self.limiter.wait_for(slow, |(_, slow)| slow).await {
            if steps(factor()) >= steps_then {
                break;
            }
        }
        self.limiter.wait().await;
    }

    fn slowed(&self, steps: u32) -> Option<(u32, Arc<DefaultDirectRateLimiter>)> {
        let ceiling = self.limiter.quota();
        let mut slow = super::lock(&self.slow);
        let fits = |slow: &Slow| slow.steps == steps && slow.ceiling == ceiling;
        if !slow.as_ref().is_some_and(fits) {
            *slow = slowed(ceiling, steps).map(|quota| {
                let limiter = Arc::new(RateLimiter::direct(quota));
                // the batch whose answer led here was the first at this pace
                let _taken = limiter.check();
                Slow {
                    steps,
                    ceiling,
                    limiter,
                }
            });
        }
        slow.as_ref()
            .map(|slow| (slow.steps, Arc::clone(&slow.limiter)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(interval: Duration, burst: u32) -> Quota {
        let burst = NonZeroU32::new(burst).unwrap();
        Quota::with_period(interval).unwrap().allow_burst(burst)
    }

    #[test]
    fn a_throttle_halves_and_twenty_batches_bring_it_back() {
        let mut factor = FULL;
        let halves: Vec<u32> = (0..8)
            .map(|_| {
                factor = halved(factor);
                steps(factor)
            })
            .collect();
        assert_eq!(halves, [32, 16, 8, 4, 2, 1, 1, 1]);
        let mut batches = 0;
        while factor < FULL {
            factor = climbed(factor);
            batches += 1;
        }
        assert_eq!(batches, 20);
    }

    #[test]
    fn from_75_percent_on_it_gets_slower() {
        let steps = [0.0, 75.0, 87.5, 99.0, 100.0, 1000.0].map(|percent| steps(left(percent)));
        assert_eq!(steps, [64, 64, 32, 2, 1, 1]);
    }

    proptest! {
        #[test]
        fn no_factor_is_faster_than_the_ceiling(micros in 1_u64..10_000_000, burst in 1_u32..1000, factor in 0.0..2.0_f64) {
            let ceiling = quota(Duration::from_micros(micros), burst);
            if let Some(slow) = slowed(ceiling, steps(factor)) {
                prop_assert!(slow.replenish_interval() > ceiling.replenish_interval());
                prop_assert_eq!(slow.burst_size().get(), 1);
                let wanted = Duration::from_micros(micros).as_secs_f64() / factor.max(1.0 / 64.0);
                // rounded to a step, always towards slower
                prop_assert!(slow.replenish_interval().as_secs_f64() >= wanted * 0.999);
            } else {
                prop_assert!(factor >= 1.0);
            }
        }
    }

    #[tokio::test]
    async fn who_asks_first_goes_first() {
        let limiter = Arc::new(Limiter::new(quota(Duration::from_millis(2), 1)));
        let (done, mut order) = tokio::sync::mpsc::channel(50);
        let mut tasks = tokio::task::JoinSet::new();
        for asked in 0..50 {
            let (limiter, done) = (Arc::clone(&limiter), done.clone());
            tasks.spawn(async move {
                limiter.wait().await;
                done.send(asked).await.unwrap();
            });
        }
        for asked in 0..50 {
            assert_eq!(order.recv().await, Some(asked));
        }
    }

    #[test]
    fn a_limiter_is_made_again_only_when_a_step_is_crossed() {
        let pace = PixelPace {
            limiter: Limiter::new(quota(Duration::from_millis(50), 20)),
            slow: Mutex::default(),
            in_flight: Places::new(1),
            searches: Places::new(1),
        };
        assert!(pace.slowed(64).is_none());
        let (_, half) = pace.slowed(32).unwrap();
        assert!(Arc::ptr_eq(&half, &pace.slowed(32).unwrap().1));
        assert!(half.check().is_err(), "a new limiter gives nothing away");
        assert!(!Arc::ptr_eq(&half, &pace.slowed(33).unwrap().1));
        let (_, before) = pace.slowed(32).unwrap();
        pace.limiter.set(quota(Duration::from_millis(500), 2));
        assert!(!Arc::ptr_eq(&before, &pace.slowed(32).unwrap().1));
        assert!(pace.slowed(64).is_none());
    }
}
