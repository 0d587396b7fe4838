//! The events the demo sends; the binary carries them.

use anyhow::Context;
use serde_json::Value;

/// What a person calls each sample, in order.
pub(super) const TITLES: [&str; 4] = [
    "a web purchase with messy input",
    "a lead from a CRM",
    "a purchase in a shop, 30 days ago",
    "a purchase nobody could be matched to",
];
/// How many of them are good.
pub(super) const GOOD: usize = 3;

/// The samples as a request's `data`. Their times are written as seconds from now.
pub(super) fn events(now_secs: i64) -> anyhow::Result<Vec<Value>> {
    let mut events: Vec<Value> = serde_json::from_str(include_str!("events.json"))
        .context("the demo's events are not JSON")?;
    for event in &mut events {
        let from_now = event["event_time"].as_i64().unwrap_or_default();
        event["event_time"] = Value::from(now_secs + from_now);
    }
    Ok(events)
}
