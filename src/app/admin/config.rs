//! `/config`: which configuration is in force, and taking over a changed one.

use axum::http::StatusCode;
use serde::Serialize;

use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use crate::app::reload::{Attempt, ReloadError, Reloader, Trigger};

#[derive(Serialize)]
struct Shown {
    /// How many configurations have been in force since the start.
    generation: u64,
    /// The last reload.
    last: Option<Attempt>,
}

/// `GET /config`.
pub(super) fn show(call: Call) -> Done {
    Box::pin(async move {
        let reloader = reloader(&call)?.clone();
        call.members.end()?;
        Ok(Reply::ok(&Shown {
            generation: reloader.generation(),
            last: reloader.last(),
        }))
    })
}

/// `POST /config/reload`.
pub(super) fn reload(call: Call) -> Done {
    Box::pin(async move {
        let reloader = reloader(&call)?.clone();
        call.members.end()?;
        match reloader.reload(Trigger::Admin).await {
            Ok(report) => {
                let changed = report.changed.len() as u64;
                Ok(Reply::ok(&report).changed(changed))
            }
            Err(error) => Err(refused(&error)),
        }
    })
}

fn reloader(call: &Call) -> Result<&Reloader, Problem> {
    call.admin.0.reloader().ok_or_else(|| {
        Problem::not_found("no gateway runs here", "start one with `capigate serve`")
    })
}

fn refused(error: &ReloadError) -> Problem {
    let (details, next) = match error {
        ReloadError::BadConfig { faults } => (
            faults.clone(),
            "mend these and reload; the old configuration stays in force",
        ),
        ReloadError::NeedsRestart { keys } => (
            keys.clone(),
            "put these keys back, or restart the gateway; the old configuration stays in force",
        ),
        ReloadError::NoFiles => (Vec::new(), "start the gateway with --config"),
        ReloadError::Failed => (Vec::new(), "see the log"),
    };
    let message = "the configuration was not taken over";
    Problem::new(StatusCode::CONFLICT, error.code(), message, next).details(details)
}
