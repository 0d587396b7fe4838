//! What an answer of Graph means for the lane that sent the batch.
//!
//! It is read in this order, and the first that fits decides:
//!
//! 1. The code and subcode of the JSON error, in a table read top-down: the rows of one code stand
//!    together, the narrower first. Graph reports an expired token as 400, 401 or 500, and throttling
//!    under several statuses, so the code comes before the status.
//! 2. `is_transient`, which only upgrades an error that is in no row.
//! 3. The HTTP status. Without a Graph error in the body it was some proxy that answered, or Graph's
//!    front door: then only 413 says something against the batch, and 400 and 422 are taken for
//!    trouble on the way that may have to do with an event, as code 1 is; other 4xx hold.
//!
//! Texts never decide, because they are localised; two names of the API in `error.message` do,
//! where the codes cannot tell ([`Literal`](super::reply::Literal)).
//!
//! Each row says what the error is, and how we know: from Meta's documentation, from answers that
//! others published, from others' programs, or not for sure. Sources: Meta's "Handling errors",
//! "Error reference" and "Rate limiting" pages. At level debug the log names the row that decided.

use std::time::Duration;

use super::reply::{GraphError, Reply};
use super::usage::Usage;
use table::{Action, Floor};

mod advice;
pub mod explain;
mod table;

/// What a lane does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Graph took the batch; it may have counted fewer events than were sent.
    Delivered {
        /// Graph's `events_received`.
        received: u64,
    },
    /// Try the same batch again after a backoff, or after what the server asked for if longer.
    Transient(Transient, Option<Duration>),
    /// Stop everything in a scope for a while.
    Throttled(Throttle),
    /// Sending the same thing again cannot help: a scope waits for a person or a probe.
    Hold(Hold),
    /// Something in the batch is refused: find out what, and deliver the rest.
    Split(Split),
}

/// Whose limit or trouble it is: everything that shares it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All tokens of one app.
    App,
    /// All pixels that use one token.
    Token,
    /// One pixel.
    Pixel,
    /// The events of one pixel that are of the batch's class, such as its messages.
    Lane,
}

/// Why another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transient {
    /// No connection: the request never left.
    Connect,
    /// No answer in time: Graph may have taken the batch.
    Timeout,
    /// The connection broke before the answer was whole: Graph may have taken the batch.
    Broken,
    /// A 5xx, or an answer that is not Graph's: some proxy may have lost Graph's own.
    Server,
    /// Graph says that it is its own trouble (code 2 and kin, or `is_transient`).
    Graph,
    /// Code 1, or a 400 or 422 that is not Graph's: downtime, or a bad request if it stays; after
    /// [`UNKNOWN_TRIES`] the batch is split.
    Unknown,
}

/// How often in a row [`Transient::Unknown`] is taken for downtime.
pub const UNKNOWN_TRIES: u32 = 5;

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Whose limit.
    pub scope: Scope,
    /// How long at least, as the server says.
    pub wait: Option<Duration>,
    /// How long at least, as a multiple of the shortest wait after a throttle (a minute unless
    /// the operator has set another): some limits are known to take longer.
    pub floor: u32,
}

/// A refusal that is no event's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// What is held: a token, a pixel or a lane.
    pub scope: Scope,
    /// Why.
    pub cause: Cause,
}

/// Why something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The token is invalid, expired or revoked.
    Token,
    /// The app's id, its secret, the proof made with it, or where its calls may come from: nothing is
    /// said about the token itself.
    App,
    /// The token may not post to this pixel, or the pixel does not exist.
    Permission,
    /// Meta has blocked the account for a while; it is asked again after an hour, then ever later.
    Blocked,
    /// Someone has to accept terms, or settle something with Meta.
    Account,
    /// The path, the version, or how the dataset is set up: nothing in the events.
    Configuration,
}

/// How a batch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// An event is bad.
    Refused,
    /// An event is too old.
    Expired,
    /// The body is too large; nobody is to blame until it holds one event.
    TooLarge,
}

impl Scope {
    /// The stable word for logs, metrics and listings.
    pub fn code(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Token => "token",
            Self::Pixel => "pixel",
            Self::Lane => "lane",
        }
    }
}

impl Transient {
    /// The stable word for logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Server => "server",
            Self::Graph => "graph",
            Self::Unknown => "unknown",
        }
    }

    /// Whether Graph may have taken the batch all the same.
    pub fn is_ambiguous(self) -> bool {
        matches!(self, Self::Timeout | Self::Broken | Self::Server)
    }
}

impl Cause {
    /// The stable word for logs, `/readyz` and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::App => "app",
            Self::Permission => "permission",
            Self::Blocked => "blocked",
            Self::Account => "account",
            Self::Configuration => "configuration",
        }
    }
}

impl Split {
    /// The stable word for logs, and the reason of a dead letter that comes of it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::TooLarge => "too_large",
        }
    }
}

impl Verdict {
    /// The stable word for the metric label `outcome`.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Transient(..) => "transient",
            Self::Throttled(_) => "throttled",
            Self::Hold(_) => "held",
            Self::Split(_) => "split",
        }
    }
}

/// Judges one answer. `retry_after` is what the server asked for, if anything; `usage` is what
/// its headers say about limits.
pub fn judge(status: u16, reply: &Reply, retry_after: Option<Duration>, usage: &Usage) -> Verdict {
    match reply {
        Reply::Received(received) if (200..300).contains(&status) => Verdict::Delivered {
            received: *received,
        },
        Reply::Error(error) => by_code(status, error, retry_after, usage),
        Reply::Received(_) | Reply::Unreadable => without_error(status, retry_after, usage),
    }
}

fn by_code(
    status: u16,
    error: &GraphError,
    retry_after: Option<Duration>,
    usage: &Usage,
) -> Verdict {
    let Some(row) = table::find(error) else {
        return if error.transient {
            Verdict::Transient(Transient::Graph, retry_after)
        } else {
            by_status(status, retry_after, usage)
        };
    };
    tracing::debug!(graph.code = %error, rule.note = row.note, rule.grade = row.grade.code(), "graph's error is in the table");
    match row.action {
        Action::Retry(cause) => Verdict::Transient(cause, retry_after),
        Action::Throttle(scope, floor) => Verdict::Throttled(Throttle {
            scope,
            // whatever the percent: Graph has just said that the limit is reached
            wait: retry_after.max(usage.worst(scope).and_then(|worst| worst.regain)),
            floor: match floor {
                Floor::Times(times) => times,
                Floor::ByTier if usage.limited_tier => 5,
                Floor::ByTier => 1,
            },
        }),
        Action::Hold(scope, cause) => held(scope, cause),
        Action::Split(split) => Verdict::Split(split),
    }
}

fn without_error(status: u16, retry_after: Option<Duration>, usage: &Usage) -> Verdict {
    match status {
        401 => held(Scope::Token, Cause::Token),
        403 => held(Scope::Pixel, Cause::Permission),
        // some firewall, perhaps: it has not seen an event as Graph does
        400 | 422 => Verdict::Transient(Transient::Unknown, retry_after),
        408 | 413 | 425 | 429 => by_status(status, retry_after, usage),
        // a wrong graph.url or version, or a proxy that wants something of us
        400..500 => held(Scope::Pixel, Cause::Configuration),
        _ => by_status(status, retry_after, usage),
    }
}

fn by_status(status: u16, retry_after: Option<Duration>, usage: &Usage) -> Verdict {
    match status {
        413 => Verdict::Split(Split::TooLarge),
        429 => {
            let scope = Scope::Pixel;
            let reached = usage.worst(scope).filter(|worst| worst.percent >= 100.0);
            Verdict::Throttled(Throttle {
                scope,
                wait: retry_after.max(reached.and_then(|worst| worst.regain)),
                floor: 1,
            })
        }
        // a proxy's word, not Graph's
        408 | 425 => Verdict::Transient(Transient::Server, retry_after),
        400..500 => Verdict::Split(Split::Refused),
        // 5xx; also 1xx to 3xx, and a 2xx that is not Graph's: some proxy answered in its place
        _ => Verdict::Transient(Transient::Server, retry_after),
    }
}

fn held(scope: Scope, cause: Cause) -> Verdict {
    Verdict::Hold(Hold { scope, cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::usage::Reading;

    const SEVEN: Option<Duration> = Some(Duration::from_secs(7));

    fn error(code: i64, transient: bool) -> Reply {
        Reply::Error(GraphError {
            code,
            subcode: None,
            transient,
            literal: None,
            index: None,
            title: None,
            message: None,
        })
    }

    fn throttled(scope: Scope, wait: Option<u64>) -> Verdict {
        Verdict::Throttled(Throttle {
            scope,
            wait: wait.map(Duration::from_secs),
            floor: 1,
        })
    }

    #[test]
    fn is_transient_upgrades_an_unknown_error_only() {
        let judged = |reply: &Reply| judge(400, reply, SEVEN, &Usage::default());
        assert_eq!(
            judged(&error(987_654, true)),
            Verdict::Transient(Transient::Graph, SEVEN)
        );
        assert_eq!(
            judged(&error(987_654, false)),
            Verdict::Split(Split::Refused)
        );
        assert_eq!(judged(&error(190, true)), held(Scope::Token, Cause::Token));
    }

    #[test]
    fn without_a_graph_error_the_status_decides() {
        let server = || Verdict::Transient(Transient::Server, SEVEN);
        let unknown = || Verdict::Transient(Transient::Unknown, SEVEN);
        for (status, want) in [
            (200, server()),
            (204, server()),
            (302, server()),
            (400, unknown()),
            (401, held(Scope::Token, Cause::Token)),
            (403, held(Scope::Pixel, Cause::Permission)),
            (404, held(Scope::Pixel, Cause::Configuration)),
            (405, held(Scope::Pixel, Cause::Configuration)),
            (407, held(Scope::Pixel, Cause::Configuration)),
            (410, held(Scope::Pixel, Cause::Configuration)),
            (451, held(Scope::Pixel, Cause::Configuration)),
            (408, server()),
            (413, Verdict::Split(Split::TooLarge)),
            (422, unknown()),
            (425, server()),
            (429, throttled(Scope::Pixel, Some(7))),
            (500, server()),
            (502, server()),
            (503, server()),
            (504, server()),
            (999, server()),
        ] {
            let got = judge(status, &Reply::Unreadable, SEVEN, &Usage::default());
            assert_eq!(got, want, "{status}");
        }
        let received = |status| judge(status, &Reply::Received(3), None, &Usage::default());
        assert_eq!(received(200), Verdict::Delivered { received: 3 });
        assert_eq!(received(500), Verdict::Transient(Transient::Server, None));
        assert_eq!(received(401), held(Scope::Token, Cause::Token));
    }

    #[test]
    fn a_throttle_waits_for_the_longer_of_header_and_limit() {
        let usage = |scope, percent, regain| Usage {
            readings: vec![Reading {
                scope,
                percent,
                regain: Some(Duration::from_secs(regain)),
            }],
            limited_tier: false,
        };
        let pixel = |percent, regain| usage(Scope::Pixel, percent, regain);
        let (throttle, bare) = (error(80_004, false), Reply::Unreadable);
        for (reply, status, usage, asked, want) in [
            (&throttle, 400, pixel(100.0, 60), SEVEN, Some(60)),
            (&throttle, 400, pixel(100.0, 5), SEVEN, Some(7)),
            (&throttle, 400, pixel(9.0, 60), None, Some(60)),
            (&throttle, 400, usage(Scope::Token, 100.0, 60), None, None),
            (&bare, 429, pixel(100.0, 60), SEVEN, Some(60)),
            (&bare, 429, pixel(99.9, 60), SEVEN, Some(7)),
            (&bare, 429, pixel(99.9, 60), None, None),
        ] {
            let got = judge(status, reply, asked, &usage);
            assert_eq!(got, throttled(Scope::Pixel, want), "{usage:?}");
        }
    }
}
