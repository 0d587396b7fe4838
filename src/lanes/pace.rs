//! How fast: batches a second, in all and by pixel, and batches in flight by pixel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;

use super::Settings;
use crate::pixel::PixelId;

/// The limiters of the gateway. A pixel's part is made at its first batch; there are as many
/// as pixels are configured, since no other pixel's events are taken in.
pub(super) struct Pace {
    all: DefaultDirectRateLimiter,
    quota: Quota,
    permits: usize,
    pixels: Mutex<HashMap<PixelId, Arc<PixelPace>>>,
}

/// One pixel's part.
pub(super) struct PixelPace {
    limiter: DefaultDirectRateLimiter,
    /// Permits for batches in flight, shared by all lanes of the pixel, first come first served.
    pub(super) in_flight: Arc<Semaphore>,
}

impl Pace {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            all: RateLimiter::direct(settings.rate),
            quota: settings.rate_per_pixel,
            permits: settings.max_in_flight_batches_per_pixel,
            pixels: Mutex::default(),
        }
    }

    pub(super) fn pixel(&self, pixel: PixelId) -> Arc<PixelPace> {
        let mut pixels = super::lock(&self.pixels);
        let made = pixels.entry(pixel).or_insert_with(|| {
            Arc::new(PixelPace {
                limiter: RateLimiter::direct(self.quota),
                in_flight: Arc::new(Semaphore::new(self.permits)),
            })
        });
        Arc::clone(made)
    }

    /// Waits until one more batch fits the pace of the gateway.
    pub(super) async fn wait(&self) {
        self.all.until_ready().await;
    }
}

impl PixelPace {
    /// Waits until one more batch fits the pace of the pixel.
    pub(super) async fn wait(&self) {
        self.limiter.until_ready().await;
    }
}
