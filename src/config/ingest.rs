//! `[ingest]`: the bounds of the front door.

use serde::{Deserialize, Serialize};

use super::fault::{Fault, at_least, within};
use super::network::Network;
use super::units::{Bytes, Span};

/// How much the front door takes before it says no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Connections open at once; beyond it new ones wait to be accepted. 1 to 1000000.
    pub max_connections: u32,
    /// Time a client has to send the head of its first request; then the connection is closed.
    pub header_timeout: Span,
    /// Time from the end of one request to the whole head of the next; then the connection is
    /// closed.
    pub idle_timeout: Span,
    /// Time a client has to send the body of a request; then it is answered 408.
    pub body_timeout: Span,
    /// Size of a request body, before and after decompression; a larger one is answered 413.
    pub max_body: Bytes,
    /// Bytes of request bodies held in memory at once; beyond it requests are answered 503. A body
    /// counts up to three times while it is unpacked or its form is read, so it is at least three
    /// times `ingest.max_body`.
    pub max_in_flight: Bytes,
    /// Events in one request. 1 to 1000, which is the most Meta takes.
    pub max_events: u32,
    /// Size of one event as it will be sent to Meta; a larger one is refused by itself.
    pub max_event_bytes: Bytes,
    /// Proxies in front of the gateway, whose X-Forwarded-For is believed: networks or addresses.
    /// The customer is then the last address in it that is not one of them. Every proxy on the way
    /// must be here, and must add the address it was called from.
    ///
    /// Example: `["10.0.0.0/8"]`
    pub trusted_proxies: Vec<Network>,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            header_timeout: Span::from_secs(10),
            idle_timeout: Span::from_secs(75),
            body_timeout: Span::from_secs(30),
            max_body: Bytes::mib(8),
            max_in_flight: Bytes::mib(256),
            max_events: 1000,
            max_event_bytes: Bytes::kib(64),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Ingest {
    /// What the operator should know about settings that are allowed.
    pub(super) fn warnings(&self) -> Option<String> {
        let mut all = self.trusted_proxies.iter();
        all.any(|network| network.get().prefix_len() == 0).then(|| {
            "ingest.trusted_proxies trusts every address, so whoever calls can say any address is \
             the customer's: name your proxies"
                .to_owned()
        })
    }

    pub(super) fn validate(&self, faults: &mut Vec<Fault>) {
        within(
            faults,
            "ingest.max_connections",
            self.max_connections,
            1..=1_000_000,
        );
        within(faults, "ingest.max_events", self.max_events, 1..=1000);
        let shortest = Span::from_millis(100);
        at_least(
            faults,
            "ingest.header_timeout",
            self.header_timeout,
            shortest,
        );
        at_least(faults, "ingest.idle_timeout", self.idle_timeout, shortest);
        at_least(faults, "ingest.body_timeout", self.body_timeout, shortest);
        at_least(
            faults,
            "ingest.max_event_bytes",
            self.max_event_bytes,
            Bytes::kib(1),
        );
        if self.max_body < self.max_event_bytes {
            faults.push(Fault::cross(
                "ingest.max_body",
                format!("at least ingest.max_event_bytes ({})", self.max_event_bytes),
            ));
        }
        if self.max_in_flight.get() / 3 < self.max_body.get() {
            faults.push(Fault::cross(
                "ingest.max_in_flight",
                format!("at least three times ingest.max_body ({})", self.max_body),
            ));
        }
    }
}
