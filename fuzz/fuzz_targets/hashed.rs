//! What every encoded event must be, whatever it was made of.

use capigate::event::{RawEvent, Rules};
use capigate::pixel::PixelId;
use capigate::time::UnixMs;
use serde_json::Value;

/// 2026-11-22T10:00:00Z, the clock of the seeds.
const NOW: i64 = 1_795_341_600;
/// Fields of `user_data` that go out as digests only.
const HASHED: [&str; 10] = [
    "em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country",
];

/// Takes an event all the way to its stored bytes, and looks at them.
pub fn take(json: &str, canary: &str) {
    let pixel = PixelId::from_u64(1_234_567_890_123_456).expect("a pixel");
    let rules = Rules::default();
    let hashed =
        RawEvent::parse(json).and_then(|event| event.hash(pixel, &rules, UnixMs::from_secs(NOW)));
    let encoded = match hashed.and_then(|event| event.encode()) {
        Ok(encoded) => encoded,
        Err(error) => {
            let shown = format!("{error} {error:?} {:?}", error.notes());
            assert!(!shown.contains(canary), "{shown}");
            return;
        }
    };
    let bytes = encoded.as_bytes();
    assert!(bytes.len() <= rules.max_event_bytes);
    let mut event: Value = serde_json::from_slice(bytes).expect("an encoded event is JSON");
    assert!(event.is_object());
    let user = event["user_data"].take();
    for field in HASHED {
        let values = match &user[field] {
            Value::Null => continue,
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            assert!(is_digest(value.as_str()), "user_data.{field} is no digest");
        }
    }
    // the rest of user_data is what Meta wants in clear, as it came
    let rest = event.to_string();
    assert!(!rest.to_ascii_lowercase().contains(canary), "{rest}");
}

/// 64 digits of lower-case hex; with the tag of Meta's Parameter Builder it is kept as it came.
fn is_digest(text: Option<&str>) -> bool {
    let Some((digest, tag)) = text.and_then(|text| text.split_at_checked(64)) else {
        return false;
    };
    match tag.strip_prefix('.') {
        None => {
            tag.is_empty()
                && digest
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        }
        Some(tag) => tag.len() <= 8 && digest.bytes().all(|b| b.is_ascii_hexdigit()),
    }
}
