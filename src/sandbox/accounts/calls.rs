//! The ledger of account calls: what was asked, how it travelled, what came of it. Never a value.

use std::collections::VecDeque;

use serde::Serialize;

use super::call::Place;
use super::route::Edge;

/// Most account calls kept; older ones are counted only.
pub const MAX_ACCOUNT_CALLS: usize = 10_000;

/// One call to an account edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountCall {
    /// Its number, from 1, in the order of the answers.
    pub number: u64,
    /// When it arrived, in Unix milliseconds of the accounts' clock.
    pub at_ms: i64,
    /// The edge.
    pub edge: Edge,
    /// The method of HTTP.
    pub method: String,
    /// The version in the path, if there was one.
    pub version: Option<String>,
    /// The names of the parameters, in the order body, header, query.
    pub params: Vec<CallParam>,
    /// The name of the token the call was made with, if the sandbox knows it.
    pub token: Option<String>,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: CallOutcome,
    /// The fault of the script that struck it.
    pub fault: Option<&'static str>,
    /// The trace id of the answer.
    pub fbtrace_id: String,
}

/// A parameter of a call, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallParam {
    /// Its name.
    pub name: String,
    /// Where it travelled.
    pub place: Place,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CallOutcome {
    /// The HTTP status of the answer, also of one that was cut off; 0 when the connection was closed
    /// before anything was done.
    pub status: u16,
    /// `ok`, or the sandbox's word for the refusal.
    pub reason: &'static str,
    /// Graph's code of a refusal.
    pub code: Option<i64>,
    /// Graph's subcode of a refusal.
    pub subcode: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    kept: VecDeque<AccountCall>,
    total: u64,
}

impl Calls {
    pub(super) fn add(&mut self, mut call: AccountCall) {
        self.total += 1;
        call.number = self.total;
        self.kept.push_back(call);
        if self.kept.len() > MAX_ACCOUNT_CALLS {
            self.kept.pop_front();
        }
    }

    pub(super) fn kept(&self) -> &VecDeque<AccountCall> {
        &self.kept
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Forgets them; the numbering goes on.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_calls_are_kept_and_numbered() {
        let mut calls = Calls::default();
        let call = AccountCall {
            number: 0,
            at_ms: 0,
            edge: Edge::Me,
            method: "GET".into(),
            version: None,
            params: vec![],
            token: None,
            outcome: CallOutcome {
                status: 200,
                reason: "ok",
                code: None,
                subcode: None,
            },
            fault: None,
            fbtrace_id: String::new(),
        };
        for _ in 0..=MAX_ACCOUNT_CALLS {
            calls.add(call.clone());
        }
        assert_eq!(calls.kept().len(), MAX_ACCOUNT_CALLS);
        assert_eq!(calls.kept()[0].number, 2);
        calls.clear();
        assert_eq!(calls.kept().len(), 0);
        assert_eq!(calls.total(), MAX_ACCOUNT_CALLS as u64 + 1);
    }
}
