//! Which fields of `user_data` an event has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::encoded::EncodedEvent;
use super::field;
use super::raw::RawEvent;

/// A set of fields of `user_data`, by what was written, not by what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchKeys(pub(super) u64);

impl MatchKeys {
    /// Their names, such as `em`, in the order of the table.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let fields = (0..field::FIELD_COUNT).filter(move |index| self.0 & (1 << index) != 0);
        fields.filter_map(|index| field::at(index).map(|field| field.key))
    }

    /// Those that `others` does not have.
    pub(super) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// A bit each, by their places in the table.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    fn of<'k>(keys: impl Iterator<Item = &'k str>) -> Self {
        let fields = keys.filter_map(field::read);
        Self(fields.fold(0, |set, index| set | 1 << index))
    }
}

impl RawEvent<'_> {
    /// The fields of `user_data` that the client sent something under, as far as Meta has them.
    pub fn keys(&self) -> MatchKeys {
        let members = self.user_data.as_deref().unwrap_or_default();
        MatchKeys::of(members.iter().map(|(key, _)| key.as_ref()))
    }
}

impl EncodedEvent {
    /// The fields of its `user_data`. Reads the whole event.
    pub fn keys(&self) -> MatchKeys {
        #[derive(Deserialize)]
        struct Event<'a> {
            #[serde(borrow)]
            user_data: BTreeMap<String, &'a RawValue>,
        }
        let event = serde_json::from_slice::<Event<'_>>(self.as_bytes());
        event.map_or_else(
            |_| MatchKeys::default(),
            |event| MatchKeys::of(event.user_data.keys().map(String::as_str)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_no_values() {
        let json = r#"{"event_name":"Lead","user_data":{"em":["x"],"fbc":"y","nobody":"z"}}"#;
        let names = |keys: MatchKeys| keys.names().collect::<Vec<_>>();
        let encoded = EncodedEvent::from_record(json.as_bytes().to_vec().into()).keys();
        assert_eq!(names(encoded).len(), 2, "{:?}", names(encoded));
        let raw = RawEvent::parse(json).unwrap().keys();
        assert_eq!(raw, encoded);
        assert!(names(raw).contains(&"em") && names(raw).contains(&"fbc"));
        assert_eq!(
            EncodedEvent::from_record(b"{".to_vec().into()).keys(),
            MatchKeys::default()
        );
    }
}
