//! capigate: a gateway for Meta's Conversions API.

pub mod event;
pub mod pixel;
pub mod sandbox;
pub mod secret;
pub mod telemetry;
pub mod time;
