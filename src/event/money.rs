//! What an event says to be worth.

use std::borrow::Cow;

use serde::Deserialize;

use super::encoded::EncodedEvent;
use super::json;
use super::raw::RawEvent;
use super::tables;

/// Beyond it a value is taken for a mistake, and not summed.
const MAX_VALUE: f64 = 1e12;

/// A value and its currency, for sums that people look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Money {
    value: f64,
    currency: &'static str,
}

impl Money {
    /// The amount, in whole units of the currency.
    pub fn value(self) -> f64 {
        self.value
    }

    /// The ISO 4217 code.
    pub fn currency(self) -> &'static str {
        self.currency
    }

    fn of(value: f64, currency: &str) -> Option<Self> {
        let currency = currency.trim().to_ascii_uppercase();
        let currency = tables::find_in(tables::CURRENCIES, &currency)?;
        (0.0..=MAX_VALUE)
            .contains(&value)
            .then_some(Self { value, currency })
    }
}

impl RawEvent<'_> {
    /// `custom_data.value` and `currency`, if both can be read.
    pub fn money(&self) -> Option<Money> {
        let members = self.custom_data.as_deref()?;
        let text = |name: &str| {
            let member = members.iter().find(|(key, _)| json::same(name, key));
            member.map(|(_, raw)| raw.trim_matches('"'))
        };
        Money::of(text("value")?.trim().parse().ok()?, text("currency")?)
    }
}

impl EncodedEvent {
    /// `custom_data.value` and `currency`, if it has both.
    pub fn money(&self) -> Option<Money> {
        Self::money_of(self.as_bytes())
    }

    /// As [`EncodedEvent::money`], of bytes that are still part of a record.
    pub(crate) fn money_of(json: &[u8]) -> Option<Money> {
        #[derive(Deserialize)]
        struct Event<'a> {
            #[serde(borrow)]
            custom_data: Amount<'a>,
        }
        #[derive(Deserialize)]
        struct Amount<'a> {
            value: f64,
            #[serde(borrow)]
            currency: Cow<'a, str>,
        }
        let event: Event<'_> = serde_json::from_slice(json).ok()?;
        Money::of(event.custom_data.value, &event.custom_data.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_sure_is_not_counted() {
        for (custom_data, want) in [
            (r#"{"value":12.5,"currency":"eur"}"#, Some((12.5, "EUR"))),
            (r#"{"value":"7","currency":"USD"}"#, Some((7.0, "USD"))),
            (r#"{"value":12.5}"#, None),
            (r#"{"value":-1,"currency":"EUR"}"#, None),
            (r#"{"value":1e13,"currency":"EUR"}"#, None),
            (r#"{"value":"x","currency":"EUR"}"#, None),
            (r#"{"value":1,"currency":"XXQ"}"#, None),
            ("{}", None),
        ] {
            let json = format!(r#"{{"event_name":"Lead","custom_data":{custom_data}}}"#);
            let raw = RawEvent::parse(&json).unwrap().money();
            let told = raw.map(|money| (money.value(), money.currency()));
            assert_eq!(told, want, "{custom_data}");
            let encoded = EncodedEvent::from_record(json.clone().into()).money();
            // the encoder writes numbers only
            if !custom_data.contains(":\"") || want.is_none() || custom_data.contains("eur") {
                assert_eq!(encoded.is_some(), want.is_some(), "{custom_data}");
            }
        }
    }
}
