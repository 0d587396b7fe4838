//! What an answer of Graph means for the lane that sent the batch: a table, read top-down.
//!
//! The JSON code decides first and the HTTP status second, because Graph reports an expired
//! token as 400 or 401 and throttling under several statuses. Texts never decide: they are
//! localised. Sources: Meta's "Handling errors", "Error reference" and "Rate limiting" pages.

use std::time::Duration;

use super::reply::{GraphError, Reply};

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
    /// Code 1: downtime, or a bad request if it stays; after [`UNKNOWN_TRIES`] the batch is split.
    Unknown,
}

/// How often in a row code 1 is taken for downtime.
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
    /// What is held: a token or a pixel.
    pub scope: Scope,
    /// Why.
    pub cause: Cause,
}

/// Why something is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The token is invalid, expired or revoked.
    Token,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Retry,
    Throttle,
    Hold(Cause),
}

struct Row {
    first: i64,
    last: i64,
    subcode: Option<i64>,
    action: Action,
}

const fn row(first: i64, last: i64, action: Action) -> Row {
    Row {
        first,
        last,
        subcode: None,
        action,
    }
}

/// First match wins; what is not here falls to [`by_status`].
const TABLE: &[Row] = &[
    row(1, 2, Action::Retry),
    row(3, 3, Action::Hold(Cause::Permission)),
    row(4, 4, Action::Throttle),
    row(5, 5, Action::Hold(Cause::Token)),
    row(10, 10, Action::Hold(Cause::Permission)),
    row(17, 17, Action::Throttle),
    row(32, 32, Action::Throttle),
    Row {
        first: 100,
        last: 100,
        subcode: Some(33),
        action: Action::Hold(Cause::Permission),
    },
    row(102, 102, Action::Hold(Cause::Token)),
    row(104, 104, Action::Hold(Cause::Token)),
    row(190, 190, Action::Hold(Cause::Token)),
    row(200, 299, Action::Hold(Cause::Permission)),
    row(341, 341, Action::Throttle),
    row(613, 613, Action::Throttle),
    row(803, 803, Action::Hold(Cause::Permission)),
    row(5000, 5000, Action::Retry),
    row(21_009, 21_009, Action::Retry),
    row(80_000, 80_014, Action::Throttle),
    row(3_910_001, 3_910_001, Action::Retry),
];

/// Judges one answer. `retry_after` is what the server asked for, if anything.
pub fn judge(status: u16, reply: &Reply, retry_after: Option<Duration>) -> Verdict {
    match reply {
        Reply::Received(received) if (200..300).contains(&status) => Verdict::Delivered {
            received: *received,
        },
        Reply::Error(error) => by_code(status, error, retry_after),
        Reply::Received(_) | Reply::Unreadable => by_status(status, retry_after),
    }
}

fn throttled(wait: Option<Duration>) -> Verdict {
    Verdict::Throttled(Throttle {
        scope: Scope::Pixel,
        wait,
        floor: 1,
    })
}

fn held(cause: Cause) -> Verdict {
    let scope = match cause {
        Cause::Token => Scope::Token,
        _ => Scope::Pixel,
    };
    Verdict::Hold(Hold { scope, cause })
}

fn by_code(status: u16, error: &GraphError, retry_after: Option<Duration>) -> Verdict {
    let found = TABLE.iter().find(|row| {
        (row.first..=row.last).contains(&error.code)
            && row.subcode.is_none_or(|code| error.subcode == Some(code))
    });
    match found.map(|row| row.action) {
        Some(Action::Retry) => Verdict::Transient(Transient::Graph, retry_after),
        Some(Action::Throttle) => throttled(retry_after),
        Some(Action::Hold(cause)) => held(cause),
        None if error.transient => Verdict::Transient(Transient::Graph, retry_after),
        None => by_status(status, retry_after),
    }
}

fn by_status(status: u16, retry_after: Option<Duration>) -> Verdict {
    match status {
        429 => throttled(retry_after),
        // a proxy's word, not Graph's
        408 | 425 => Verdict::Transient(Transient::Server, retry_after),
        401 => held(Cause::Token),
        403 => held(Cause::Permission),
        400..500 => Verdict::Split(Split::Refused),
        // 5xx; also 1xx to 3xx, and a 2xx that is not Graph's: some proxy answered in its place
        _ => Verdict::Transient(Transient::Server, retry_after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, code: i64, subcode: Option<i64>, transient: bool) -> Verdict {
        judge(
            status,
            &Reply::Error(GraphError {
                code,
                subcode,
                transient,
            }),
            None,
        )
    }

    #[test]
    fn each_row_decides_whatever_the_status() {
        for row in TABLE {
            for code in [row.first, row.last] {
                for status in [200, 400, 401, 500] {
                    let expected = match row.action {
                        Action::Retry => "transient",
                        Action::Throttle => "throttled",
                        Action::Hold(_) => "held",
                    };
                    assert_eq!(
                        error(status, code, row.subcode, false).outcome(),
                        expected,
                        "{code} at {status}"
                    );
                }
            }
        }
    }

    #[test]
    fn code_comes_before_status() {
        assert_eq!(error(500, 190, None, false), held(Cause::Token));
        assert_eq!(error(400, 100, Some(33), false), held(Cause::Permission));
        assert_eq!(
            error(400, 100, Some(2_804_003), false),
            Verdict::Split(Split::Refused)
        );
        assert_eq!(
            error(400, 987_654, None, true),
            Verdict::Transient(Transient::Graph, None)
        );
        assert_eq!(
            error(503, 987_654, None, false),
            Verdict::Transient(Transient::Server, None)
        );
    }

    #[test]
    fn without_a_graph_body_the_status_decides() {
        let transient = |cause| Verdict::Transient(cause, Some(Duration::from_secs(7)));
        let at = |status| judge(status, &Reply::Unreadable, Some(Duration::from_secs(7)));
        assert_eq!(at(200), transient(Transient::Server));
        assert_eq!(at(302), transient(Transient::Server));
        assert_eq!(at(404), Verdict::Split(Split::Refused));
        assert_eq!(at(401), held(Cause::Token));
        assert_eq!(at(429), throttled(Some(Duration::from_secs(7))));
        assert_eq!(at(502), transient(Transient::Server));
        assert_eq!(at(408), transient(Transient::Server));
        assert_eq!(
            judge(200, &Reply::Received(3), None),
            Verdict::Delivered { received: 3 }
        );
        assert_eq!(
            judge(500, &Reply::Received(3), None),
            Verdict::Transient(Transient::Server, None)
        );
    }
}
