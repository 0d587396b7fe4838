//! capigate: a gateway for Meta's Conversions API.

pub mod cli;
pub mod event;
mod failpoint;
pub mod journal;
pub mod pixel;
pub mod secret;
pub mod telemetry;
pub mod time;
