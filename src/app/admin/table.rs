//! What the tables of the API's routes and of the console's pages have in common: a row of each, and
//! the way of a change to its end and its line in the log.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use axum::routing::MethodFilter;

use super::Admin;
use super::auth::Caller;
use super::problem::Problem;
use super::subject::Subject;
use crate::config::Role;

/// One route or page. GET reads, and needs any key; POST changes, needs one of `admin.keys`, and is
/// audited, unless the row says otherwise.
pub(super) struct Row<Run> {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) run: Run,
    pub(super) needs: Role,
    /// Leaves a line in the log: what changes something, and what hands out events as stored.
    pub(super) is_audited: bool,
    /// Members that say there what it is about, beside the id of the path.
    pub(super) about: &'static [&'static str],
}

/// Reads.
pub(super) const fn get<Run>(path: &'static str, run: Run) -> Row<Run> {
    Row {
        method: Method::GET,
        path,
        run,
        needs: Role::View,
        is_audited: false,
        about: &[],
    }
}

/// A question with a body; it changes nothing.
pub(super) const fn ask<Run>(path: &'static str, run: Run) -> Row<Run> {
    Row {
        method: Method::POST,
        path,
        run,
        needs: Role::View,
        is_audited: false,
        about: &[],
    }
}

/// Changes something.
pub(super) const fn change<Run>(path: &'static str, run: Run) -> Row<Run> {
    Row {
        method: Method::POST,
        path,
        run,
        needs: Role::Admin,
        is_audited: true,
        about: &[],
    }
}

impl<Run> Row<Run> {
    /// Leaves a line in the log, though it changes nothing.
    pub(super) const fn audited(mut self) -> Self {
        self.is_audited = true;
        self
    }

    /// Says what a change would do, or hands out what is stored.
    pub(super) const fn for_admin(mut self) -> Self {
        self.needs = Role::Admin;
        self
    }

    /// Says in the log what these members say.
    pub(super) const fn about(mut self, members: &'static [&'static str]) -> Self {
        self.about = members;
        self
    }

    /// Whether it has a body that changes nothing.
    pub(super) fn is_question(&self) -> bool {
        self.method == Method::POST && self.needs == Role::View
    }

    pub(super) fn filter(&self) -> MethodFilter {
        if self.method == Method::GET {
            MethodFilter::GET
        } else {
            MethodFilter::POST
        }
    }

    /// Refuses a role that is not enough.
    pub(super) fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        if caller.role < self.needs {
            return Err(Problem::view_only());
        }
        Ok(())
    }
}

/// Runs `work` to its end and its line in the log, also when the caller hangs up. `outcome` gives the
/// status of what went well, and how much was changed.
pub(super) async fn audited<T: Send + 'static>(
    admin: &Admin,
    path: &'static str,
    subject: Subject,
    caller: Caller,
    peer: Option<IpAddr>,
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    outcome: impl FnOnce(&T) -> (StatusCode, Option<u64>) + Send + 'static,
) -> Result<T, Problem> {
    let tasks = &admin.0.tasks;
    // taken before the question, so that the one who closes them waits for this
    let _under_way = tasks.token();
    if tasks.is_closed() {
        return Err(Problem::stopping());
    }
    let work = async move {
        let started = Instant::now();
        let result = work.await;
        audit(
            path,
            subject.get(),
            &caller,
            peer,
            result.as_ref().map(outcome),
            started.elapsed(),
        );
        result
    };
    let done = tasks.spawn(work).await;
    done.unwrap_or_else(|_| Err(Problem::failed("panic", "see the log")))
}

/// One line in the log: who asked for what, what it is about, and what came of it.
fn audit(
    path: &'static str,
    subject: Option<&str>,
    caller: &Caller,
    peer: Option<IpAddr>,
    outcome: Result<(StatusCode, Option<u64>), &Problem>,
    took: Duration,
) {
    let (status, outcome, changed) = match outcome {
        Ok((status, changed)) => (status, "ok", changed),
        Err(problem) => (problem.status, problem.code, None),
    };
    tracing::info!(
        admin.route = path,
        admin.subject = subject,
        admin.key = caller.name,
        admin.fingerprint = caller.fingerprint,
        admin.role = caller.role.code(),
        admin.peer = peer.map(tracing::field::display),
        admin.outcome = outcome,
        admin.changed = changed,
        status = status.as_u16(),
        duration_ms = took.as_millis() as u64,
        "admin call"
    );
}
