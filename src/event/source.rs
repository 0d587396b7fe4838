//! Where an event happened.

use std::time::Duration;

use crate::time::UnixMs;

const DAY: Duration = Duration::from_hours(24);

/// How long before the end of Meta's window an event is given up: it has to arrive in time, and
/// by Meta's clock.
pub(super) const MARGIN: Duration = Duration::from_hours(6);

/// The same for an event that arrives within [`MARGIN`]: it is tried as long as there is a chance.
/// One that arrives in the last two of it is refused, since it could hardly be sent in time.
pub(super) const LAST_MARGIN: Duration = Duration::from_mins(1);

/// `action_source`: where the action took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "each is the word of the same name in Meta's list"
)]
pub enum ActionSource {
    Website,
    App,
    PhysicalStore,
    SystemGenerated,
    BusinessMessaging,
    Email,
    PhoneCall,
    Chat,
    Other,
}

impl ActionSource {
    const ALL: [Self; 9] = [
        Self::Website,
        Self::App,
        Self::PhysicalStore,
        Self::SystemGenerated,
        Self::BusinessMessaging,
        Self::Email,
        Self::PhoneCall,
        Self::Chat,
        Self::Other,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Website => "website",
            Self::App => "app",
            Self::PhysicalStore => "physical_store",
            Self::SystemGenerated => "system_generated",
            Self::BusinessMessaging => "business_messaging",
            Self::Email => "email",
            Self::PhoneCall => "phone_call",
            Self::Chat => "chat",
            Self::Other => "other",
        }
    }

    /// When an event of `event_time` that arrives at `now` must have been sent.
    pub(in crate::event) fn expiry(self, event_time: UnixMs, now: UnixMs) -> UnixMs {
        let usual = event_time.plus(self.window().saturating_sub(MARGIN));
        if usual > now {
            return usual;
        }
        event_time.plus(self.window().saturating_sub(LAST_MARGIN))
    }

    /// Reads the word in any case.
    pub(in crate::event) fn read(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str().eq_ignore_ascii_case(word))
    }

    /// How long after its time Meta takes an event: 7 days, or 62 from a physical store.
    pub fn window(self) -> Duration {
        match self {
            Self::PhysicalStore => DAY * 62,
            _ => DAY * 7,
        }
    }

    /// Whether the event may have happened on a page, whose address may then hold a click id.
    pub(in crate::event) fn has_page(self) -> bool {
        !matches!(
            self,
            Self::App | Self::PhysicalStore | Self::BusinessMessaging
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case() {
        for source in ActionSource::ALL {
            assert_eq!(
                ActionSource::read(&source.as_str().to_uppercase()),
                Some(source)
            );
        }
        assert_eq!(ActionSource::read("web"), None);
        assert_eq!(ActionSource::read(""), None);
    }
}
