//! capigate: a gateway for Meta's Conversions API.

pub mod cli;
pub mod config;
pub mod event;
mod failpoint;
pub mod graph;
pub mod journal;
pub mod pixel;
pub mod sandbox;
pub mod secret;
pub mod telemetry;
pub mod time;
pub mod tokens;
