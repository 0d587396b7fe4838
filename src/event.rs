//! What an event is, and its only way from raw to hashed.
//!
//! ```text
//! RawEvent ──hash()──> HashedEvent ──encode()──> EncodedEvent
//! as sent              checked, hashed           the JSON that is stored and sent
//! ```
//!
//! **Promises.** No personal value that Meta wants hashed leaves this room in clear: unknown keys
//! of `user_data` are dropped, e-mail addresses elsewhere are redacted ([`Rules::pii_firewall`]).
//! What Meta is known to refuse is refused here, naming the path and the rule, so that one bad
//! event does not take its neighbours down with it. Nothing is sent twice under two identities:
//! an event without `event_id` gets one from its content. Integers keep all their digits, and
//! what no rule knows passes byte for byte.
//!
//! **Refuses.** To show or store a raw event; to put a client's value into an error or a warning;
//! to hash a value twice, or the empty string; to move an event's time back.
//!
//! **Limits.** [`MAX_RAW_BYTES`], [`MAX_DEPTH`], [`MAX_MEMBERS`], [`MAX_LIST`], [`MAX_ITEMS`] and
//! [`Rules::max_event_bytes`].
//!
//! ```
//! use capigate::event::{RawEvent, Rules};
//! use capigate::time::UnixMs;
//!
//! let json = r#"{"event_name":"Lead","event_time":1795341558,"action_source":"website",
//!                "user_data":{"email":"Jane@Example.com"}}"#;
//! let pixel = "1234567890".parse().unwrap();
//! let event = RawEvent::parse(json)?;
//! let event = event.hash(pixel, &Rules::default(), UnixMs::from_secs(1_795_341_600))?;
//! assert_eq!(event.warnings()[0].to_string(), "user_data.email: read as em");
//! let stored = event.encode()?;
//! assert!(!stored.as_bytes().windows(4).any(|w| w.eq_ignore_ascii_case(b"jane")));
//! # Ok::<(), capigate::event::EventError>(())
//! ```

pub mod encoded;
pub mod policy;

mod app_data;
mod blame;
mod build;
mod changes;
mod click_id;
mod custom_data;
mod digest;
mod field;
mod firewall;
mod hashed;
mod identity;
mod json;
mod look;
mod match_keys;
mod messaging;
mod moment;
mod money;
mod normalise;
mod pii;
mod privacy;
mod raw;
mod reject;
mod source;
mod tables;
mod user_data;
mod visit;
mod wanted;
mod work;

#[cfg(test)]
mod tests;

use serde::Deserialize;

pub use changes::{Changes, FieldChange};
pub use digest::{DigestError, Sha256Hex};
pub use encoded::EncodedEvent;
pub use hashed::HashedEvent;
pub use look::{Becomes, Look};
pub use match_keys::MatchKeys;
pub use money::Money;
pub use pii::Pii;
pub use raw::{Label, RawEvent};
pub use reject::{EventError, Warning};
pub use source::ActionSource;
pub use visit::{MAX_VISIT_VALUE, Visit, is_public_address, subdomain_index};
pub use wanted::{EmailError, Key, Wanted};

/// The longest event that is read, in bytes of JSON as received.
pub const MAX_RAW_BYTES: usize = 1 << 20;

/// How deep lists and objects may nest in an event.
pub const MAX_DEPTH: usize = 32;

/// How many members an object may have.
pub const MAX_MEMBERS: usize = 256;

/// How many values a list in `user_data` may have.
pub const MAX_LIST: usize = 256;

/// How many entries any other list may have.
pub const MAX_ITEMS: usize = 10_000;

/// How one ingest source wants its events treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What to do about an event without `event_id`.
    pub event_id: EventIdPolicy,
    /// Whether e-mail addresses and phone numbers outside `user_data` are redacted.
    pub pii_firewall: bool,
    /// Keys of `user_data` that pass in clear though they are no fields of Meta's.
    pub allow_user_data: Vec<String>,
    /// The country of the source's customers where the event names none, lower-case ISO 3166-1
    /// alpha-2: phone numbers as they are written within it get the calling code, and postal codes
    /// of nine digits in the United States lose four.
    pub default_country: Option<[u8; 2]>,
    /// In which form external ids go out.
    pub external_id: ExternalId,
    /// The second part of an `fbc` that is made from a click id; see [`subdomain_index`].
    pub subdomain_index: u8,
    /// The largest event as encoded, in bytes.
    pub max_event_bytes: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            event_id: EventIdPolicy::Derive,
            pii_firewall: true,
            allow_user_data: Vec::new(),
            default_country: None,
            external_id: ExternalId::Hash,
            subdomain_index: subdomain_index(None),
            max_event_bytes: 64 * 1024,
        }
    }
}

/// What to do about an event without `event_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventIdPolicy {
    /// Make one from the content, so that a repeated request does not count twice.
    #[default]
    Derive,
    /// Make a random one, so that retries of the gateway do not count twice.
    Random,
    /// Send none.
    Leave,
}

/// In which form external ids go out. Those that arrive hashed are passed on in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExternalId {
    /// Hashed without case and white space, as Meta's Parameter Builder and Pixel do it.
    #[default]
    Hash,
    /// Hashed as they are, without white space at the ends.
    Trim,
    /// In clear, without white space at the ends; what looks like an e-mail address or a phone
    /// number is hashed all the same.
    Raw,
}
