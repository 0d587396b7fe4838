//! Which access token a pixel's events travel with.
//!
//! For now tokens come from references in the configuration, read once at start.

use std::collections::HashMap;
use std::sync::Arc;

use crate::pixel::PixelId;
use crate::secret::Secret;

/// What Graph needs to take events for a pixel.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The access token.
    pub token: Secret,
    /// The secret of the app the token belongs to, where the app requires a proof of it.
    pub app_secret: Option<Secret>,
}

/// The credentials of all configured pixels. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<HashMap<PixelId, Credential>>);

impl Tokens {
    /// Holds `credentials`, one a pixel.
    pub fn new(credentials: HashMap<PixelId, Credential>) -> Self {
        Self(Arc::new(credentials))
    }

    /// The credential of `pixel`; none when the pixel is not configured (any more).
    pub fn get(&self, pixel: PixelId) -> Option<&Credential> {
        self.0.get(&pixel)
    }
}
