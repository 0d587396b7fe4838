//! What the gateway says about itself: metrics, logs, health.
//!
//! Nothing here can hold a token or a personal value: labels are ids of configured pixels and
//! words from closed lists, and no secret implements `Display`.

pub mod metrics;

/// The target of spans: what is exported as traces, and is no line of the log.
pub const SPANS: &str = "capigate::span";
