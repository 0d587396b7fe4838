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
    /// Try the same batch again after a backoff.
    Transient(Transient),
    /// Stop sending for a while; at least for the time the server named, if it did.
    Throttled(Option<Duration>),
    /// Sending the same thing again cannot help: the lane waits for a person or a probe.
    Hold(Hold),
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
    /// A 5xx, or an answer that is not Graph's.
    Server,
    /// Graph says that it is its own trouble (codes 1, 2 and kin, or `is_transient`).
    Graph,
}

/// Why a lane is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The token is invalid, expired or revoked.
    Token,
    /// The token may not post to this pixel, or the pixel does not exist.
    Permission,
    /// The request itself is refused: an event in it is bad, or our configuration is.
    Refused,
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
        }
    }
}

impl Hold {
    /// The stable word for logs, `/readyz` and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Permission => "permission",
            Self::Refused => "refused",
        }
    }
}

impl Verdict {
    /// The stable word for the metric label `outcome`.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Transient(_) => "transient",
            Self::Throttled(_) => "throttled",
            Self::Hold(_) => "held",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Retry,
    Throttle,
    Hold(Hold),
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
    row(3, 3, Action::Hold(Hold::Permission)),
    row(4, 4, Action::Throttle),
    row(5, 5, Action::Hold(Hold::Token)),
    row(10, 10, Action::Hold(Hold::Permission)),
    row(17, 17, Action::Throttle),
    row(32, 32, Action::Throttle),
    Row {
        first: 100,
        last: 100,
        subcode: Some(33),
        action: Action::Hold(Hold::Permission),
    },
    row(102, 102, Action::Hold(Hold::Token)),
    row(104, 104, Action::Hold(Hold::Token)),
    row(190, 190, Action::Hold(Hold::Token)),
    row(200, 299, Action::Hold(Hold::Permission)),
    row(341, 341, Action::Throttle),
    row(613, 613, Action::Throttle),
    row(803, 803, Action::Hold(Hold::Permission)),
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

fn by_code(status: u16, error: &GraphError, retry_after: Option<Duration>) -> Verdict {
    let found = TABLE.iter().find(|row| {
        (row.first..=row.last).contains(&error.code)
            && row.subcode.is_none_or(|code| error.subcode == Some(code))
    });
    match found.map(|row| row.action) {
        Some(Action::Retry) => Verdict::Transient(Transient::Graph),
        Some(Action::Throttle) => Verdict::Throttled(retry_after),
        Some(Action::Hold(hold)) => Verdict::Hold(hold),
        None if error.transient => Verdict::Transient(Transient::Graph),
        None => by_status(status, retry_after),
    }
}

fn by_status(status: u16, retry_after: Option<Duration>) -> Verdict {
    match status {
        429 => Verdict::Throttled(retry_after),
        // a proxy's word, not Graph's
        408 | 425 => Verdict::Transient(Transient::Server),
        401 => Verdict::Hold(Hold::Token),
        403 => Verdict::Hold(Hold::Permission),
        400..500 => Verdict::Hold(Hold::Refused),
        // 5xx; also 1xx to 3xx, and a 2xx that is not Graph's: some proxy answered in its place
        _ => Verdict::Transient(Transient::Server),
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
        assert_eq!(error(500, 190, None, false), Verdict::Hold(Hold::Token));
        assert_eq!(
            error(400, 100, Some(33), false),
            Verdict::Hold(Hold::Permission)
        );
        assert_eq!(
            error(400, 100, Some(2_804_003), false),
            Verdict::Hold(Hold::Refused)
        );
        assert_eq!(
            error(400, 987_654, None, true),
            Verdict::Transient(Transient::Graph)
        );
        assert_eq!(
            error(503, 987_654, None, false),
            Verdict::Transient(Transient::Server)
        );
    }

    #[test]
    fn without_a_graph_body_the_status_decides() {
        let at = |status| judge(status, &Reply::Unreadable, Some(Duration::from_secs(7)));
        assert_eq!(at(200), Verdict::Transient(Transient::Server));
        assert_eq!(at(302), Verdict::Transient(Transient::Server));
        assert_eq!(at(404), Verdict::Hold(Hold::Refused));
        assert_eq!(at(401), Verdict::Hold(Hold::Token));
        assert_eq!(at(429), Verdict::Throttled(Some(Duration::from_secs(7))));
        assert_eq!(at(502), Verdict::Transient(Transient::Server));
        assert_eq!(at(408), Verdict::Transient(Transient::Server));
        assert_eq!(
            judge(200, &Reply::Received(3), None),
            Verdict::Delivered { received: 3 }
        );
        assert_eq!(
            judge(500, &Reply::Received(3), None),
            Verdict::Transient(Transient::Server)
        );
    }
}
