//! The client of Meta's Graph API: one POST, its answer, and what the answer means.
//!
//! It promises that a token is sent in a header or in the body, never in a URL, and stands in no
//! error, log line or metric; that every answer, and every failure to get one, becomes exactly
//! one [`Verdict`] (the table is in [`verdict`]); that Graph's words leave this room only as
//! [`Text`], without a part of a secret in it; and that the body is the stored bytes, joined, not
//! encoded again.
//! It refuses redirects, and reads no answer over [`client::MAX_ANSWER`], no usage headers over
//! [`usage::MAX_BYTES`], and no wait over [`MAX_WAIT`].

mod blame;
pub mod client;
pub mod oauth;
pub mod payload;
pub mod reply;
pub(crate) mod scrub;
pub mod usage;
pub mod verdict;
mod wait;

pub use client::{Answer, ClientError, GraphClient, Settings, TokenIn};
pub use oauth::OauthClient;
pub use reply::{GraphError, Literal, TraceId};
pub use scrub::{MAX_TEXT, Text};
pub use usage::{Reading, Usage};
pub use verdict::{Cause, Hold, Scope, Split, Throttle, Transient, Verdict};
pub use wait::MAX_WAIT;
