//! An example of every standard event, for the box.
//!
//! Source: Meta's reference of standard events. People and shops in them are made up.

use serde_json::value::RawValue;

use super::super::masked::laid_out;
use crate::config::Pixel;
use crate::time::UnixMs;

/// Where the made-up shop is, for pixels that do not say theirs.
const SITE: &str = "https://shop.example";
/// Seconds ago that it has happened.
const AGO: i64 = 30;

/// Every standard event with its usual `custom_data`; empty where it has none.
pub(super) const PRESETS: &[(&str, &str)] = &[
    (
        "AddPaymentInfo",
        r#"{"value":49.9,"currency":"EUR","content_ids":["sku-1"]}"#,
    ),
    (
        "AddToCart",
        r#"{"value":49.9,"currency":"EUR","content_type":"product","contents":[{"id":"sku-1","quantity":1,"item_price":49.9}]}"#,
    ),
    (
        "AddToWishlist",
        r#"{"value":49.9,"currency":"EUR","content_ids":["sku-1"]}"#,
    ),
    (
        "CompleteRegistration",
        r#"{"value":0,"currency":"EUR","status":"registered"}"#,
    ),
    ("Contact", ""),
    ("CustomizeProduct", ""),
    ("Donate", ""),
    ("FindLocation", ""),
    (
        "InitiateCheckout",
        r#"{"value":99.8,"currency":"EUR","num_items":2,"content_ids":["sku-1","sku-2"]}"#,
    ),
    ("Lead", r#"{"value":10,"currency":"EUR"}"#),
    ("PageView", ""),
    (
        "Purchase",
        r#"{"value":99.8,"currency":"EUR","order_id":"order-1","content_type":"product","contents":[{"id":"sku-1","quantity":2,"item_price":49.9}]}"#,
    ),
    ("Schedule", ""),
    (
        "Search",
        r#"{"search_string":"garden chair","content_ids":["sku-1"]}"#,
    ),
    (
        "StartTrial",
        r#"{"value":0,"currency":"EUR","predicted_ltv":120}"#,
    ),
    ("SubmitApplication", ""),
    (
        "Subscribe",
        r#"{"value":9.9,"currency":"EUR","predicted_ltv":120}"#,
    ),
    (
        "ViewContent",
        r#"{"value":49.9,"currency":"EUR","content_type":"product","content_ids":["sku-1"]}"#,
    ),
];

/// A whole body with one event of this name; none when it is no standard event.
pub(super) fn body(name: &str, pixel: Option<&Pixel>, now: UnixMs) -> Option<String> {
    let (name, custom_data) = PRESETS.iter().find(|(known, _)| *known == name)?;
    let site = pixel
        .and_then(|pixel| pixel.site.as_deref())
        .unwrap_or(SITE);
    let event = serde_json::json!({
        "event_name": name,
        "event_time": now.secs() - AGO,
        "event_id": format!("lab-{:016x}", fastrand::u64(..)),
        "action_source": "website",
        "event_source_url": format!("{}/lab", site.trim_end_matches('/')),
        "user_data": {
            "em": "jane.doe@example.com",
            "ph": "+49 1520 1234567",
            "client_ip_address": "203.0.113.7",
            "client_user_agent": "Mozilla/5.0 (X11; Linux x86_64) capigate test lab",
        },
    });
    let mut event = event.as_object()?.clone();
    if let Ok(data) = serde_json::from_str(custom_data) {
        event.insert("custom_data".to_owned(), data);
    }
    // in the order in which people write it
    let order = [
        "event_name",
        "event_time",
        "event_id",
        "action_source",
        "event_source_url",
        "user_data",
        "custom_data",
    ];
    let members = order.iter().filter_map(|key| {
        let value: Box<RawValue> = serde_json::value::to_raw_value(event.get(*key)?).ok()?;
        Some(format!("\"{key}\":{value}"))
    });
    let members: Vec<String> = members.collect();
    let json = format!("{{\"data\":[{{{}}}]}}", members.join(","));
    Some(laid_out(&json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_an_event() {
        let now = UnixMs::from_secs(1_800_000_000);
        for (name, custom_data) in PRESETS {
            let body = body(name, None, now).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let event = &body["data"][0];
            assert_eq!(event["event_name"], *name);
            assert_eq!(event["custom_data"].is_object(), !custom_data.is_empty());
        }
        assert!(body("Buy", None, now).is_none());
        assert!(PRESETS.is_sorted_by_key(|(name, _)| name));
    }
}
