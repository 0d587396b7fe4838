//! The client of Meta's Graph API: one POST, its answer, and what the answer means.
//!
//! It promises that a token is sent in a header or in the body, never in a URL, and stands in no
//! error, log line or metric; that every answer, and every failure to get one, becomes exactly
//! one [`Verdict`]; and that the body is the stored bytes, joined, not encoded again.
//! It refuses redirects, and answers over [`client::MAX_ANSWER`].

pub mod client;
pub mod payload;
pub mod reply;
pub mod verdict;

pub use client::{Answer, GraphClient, Settings, TokenIn};
pub use reply::{GraphError, TraceId};
pub use verdict::{Cause, Hold, Scope, Split, Throttle, Transient, Verdict};
