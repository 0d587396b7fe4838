//! Which of many like events pass, decided the same way each time.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::event::RawEvent;
use crate::event::json;

/// A share from 0 (none) to 1 (all), to the millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

const WHOLE: u32 = 1_000_000;

/// Why a number is not a [`Share`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share from 0 (none) to 1 (all)")]
pub struct ShareError;

impl Share {
    /// The share that is this part of the whole.
    pub fn new(part: f64) -> Result<Self, ShareError> {
        if (0.0..=1.0).contains(&part) {
            Ok(Self((part * f64::from(WHOLE)).round() as u32))
        } else {
            Err(ShareError)
        }
    }

    /// As a part of the whole.
    pub fn get(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// Whether the event is among those that pass: by its `event_id`, so that a repeated request
    /// and the twin of another source or of the browser fare alike; without one by its content. Of
    /// two shares the smaller one holds: what passes it passes the larger, too.
    pub(super) fn takes(self, event: &RawEvent<'_>) -> bool {
        let mut hash = Sha256::new();
        // pinned: another word would let other events pass after an update
        hash.update(b"capigate sample 1");
        let id = event.event_id.and_then(|raw| json::scalar(raw).ok()?);
        if let Some(id) = id.filter(|id| !id.trim().is_empty()) {
            hash.update(id.as_bytes());
        } else {
            let mut part = |key: &str, raw: &str| {
                for text in [key, raw] {
                    hash.update((text.len() as u64).to_be_bytes());
                    hash.update(text);
                }
            };
            part("event_name", event.event_name.unwrap_or_default());
            part("event_time", event.event_time.unwrap_or_default());
            part(
                "event_source_url",
                event.event_source_url.unwrap_or_default(),
            );
            for (key, value) in event.user_data.iter().flatten() {
                part(key, value.open());
            }
            for (key, value) in event.custom_data.iter().flatten() {
                part(key, value);
            }
        }
        let digest = hash.finalize();
        let mut bytes = [0; 8];
        for (byte, from) in bytes.iter_mut().zip(digest) {
            *byte = from;
        }
        // far more steps than a share has, so that none is favoured
        (u64::from_be_bytes(bytes) % u64::from(WHOLE)) < u64::from(self.0)
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.get())
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl de::Visitor<'_> for Number {
            type Value = Share;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&ShareError, f)
            }
            fn visit_f64<E: de::Error>(self, part: f64) -> Result<Share, E> {
                Share::new(part).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, part: i64) -> Result<Share, E> {
                Share::new(part as f64).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, part: u64) -> Result<Share, E> {
                Share::new(part as f64).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(share: f64, id: &str) -> bool {
        let text = format!(r#"{{"event_name":"PageView","event_id":"{id}"}}"#);
        Share::new(share)
            .unwrap()
            .takes(&RawEvent::parse(&text).unwrap())
    }

    #[test]
    fn shares_are_kept_over_many_ids() {
        let ids: Vec<String> = (0..20_000).map(|n| format!("id-{n}")).collect();
        for (share, least, most) in [(0.1, 1_850, 2_150), (0.5, 9_780, 10_220), (0.001, 5, 40)] {
            let taken = ids.iter().filter(|id| takes(share, id)).count();
            assert!((least..=most).contains(&taken), "{share}: {taken}");
        }
        assert!(!ids.iter().any(|id| takes(0.0, id)));
        assert!(ids.iter().all(|id| takes(1.0, id)));
        // what passes the smaller share passes the larger
        assert!(ids.iter().all(|id| takes(0.5, id) || !takes(0.1, id)));
    }

    #[test]
    fn the_id_alone_decides_and_without_one_the_content() {
        let share = Share::new(0.5).unwrap();
        let taken = |text: &str| share.takes(&RawEvent::parse(text).unwrap());
        for n in 0..100 {
            let one = format!(r#"{{"event_id":"{n}","event_time":1,"user_data":{{"em":"a"}}}}"#);
            let twin = format!(r#"{{"event_id":{n},"event_time":2,"event_name":"X"}}"#);
            assert_eq!(taken(&one), taken(&twin), "{n}");
            let content = format!(r#"{{"event_name":"X","event_time":{n}}}"#);
            assert_eq!(taken(&content), taken(&content));
        }
        let contents = (0..1000).map(|n| format!(r#"{{"event_name":"X","event_time":{n}}}"#));
        let passed = contents.filter(|text| taken(text)).count();
        assert!((430..=570).contains(&passed), "{passed}");
        // pinned: a release that changes it lets other events pass
        let pinned: String = (0..16)
            .map(|n| if takes(0.5, &n.to_string()) { '1' } else { '0' })
            .collect();
        assert_eq!(pinned, "0111010100010111");
    }

    #[test]
    fn shares_are_from_0_to_1() {
        for good in ["0", "1", "0.25", "1.0", "0.000001"] {
            let share: Share = serde_json::from_str(good).unwrap();
            let text = serde_json::to_string(&share).unwrap();
            assert_eq!(serde_json::from_str::<Share>(&text).unwrap(), share);
        }
        for bad in ["-0.1", "1.01", "2", "-1", "\"0.5\""] {
            let error = serde_json::from_str::<Share>(bad).unwrap_err();
            assert!(
                error.to_string().contains("a share from 0"),
                "{bad}: {error}"
            );
        }
    }
}
