//! `/test-mode`: which events go out with a test code, starting one and stopping it.

use axum::http::StatusCode;
use serde::Serialize;

use super::call::{Call, Members};
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use super::work::beside;
use crate::config::units::{Span, UnitError};
use crate::pixel::{PixelId, TEST_CODE_RULE};
use crate::test_mode::{Entry, MAX_SPAN, TestModeError};

#[derive(Serialize)]
struct Shown {
    /// Whether codes are refused.
    production: bool,
    codes: Vec<Entry>,
}

/// `GET /test-mode`.
pub(super) fn list(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let test_mode = &call.admin.0.test_mode;
        Ok(Reply::ok(&Shown {
            production: test_mode.is_production(),
            codes: test_mode.list(),
        }))
    })
}

/// `POST /test-mode`.
pub(super) fn start(mut call: Call) -> Done {
    Box::pin(async move {
        let pixel = pixel(&mut call.members)?;
        let code = call.members.text("code")?;
        let code = code.ok_or_else(|| Problem::bad("code", TEST_CODE_RULE))?;
        let expected = || format!("{}, such as \"2h\"; at most 30d", UnitError::Span);
        let span = call.members.parsed::<Span>("for", &expected())?;
        let span = span.map(Span::get);
        let span = span.filter(|span| !span.is_zero() && *span <= MAX_SPAN);
        let span = span.ok_or_else(|| Problem::bad("for", expected()))?;
        let mirror = call.members.flag("mirror")?;
        call.members.end()?;
        let test_mode = call.admin.0.test_mode.clone();
        let started = beside(move || test_mode.start(pixel, code, span, mirror)).await?;
        let entry = started.map_err(|error| refused(&error))?;
        Ok(Reply::ok(&entry).changed(1))
    })
}

/// `POST /test-mode/stop`.
pub(super) fn stop(mut call: Call) -> Done {
    Box::pin(async move {
        let pixel = pixel(&mut call.members)?;
        call.members.end()?;
        let test_mode = call.admin.0.test_mode.clone();
        let stopped = beside(move || test_mode.stop(pixel)).await?;
        let stopped = stopped.map_err(|error| refused(&error))?;
        let count = stopped.stopped.len() as u64;
        Ok(Reply::ok(&stopped).changed(count))
    })
}

fn pixel(members: &mut Members) -> Result<PixelId, Problem> {
    let expected = "send the id of a pixel, such as \"1234567890123456\"";
    let pixel = members.parsed("pixel", expected)?;
    pixel.ok_or_else(|| Problem::bad("pixel", expected))
}

fn refused(error: &TestModeError) -> Problem {
    let message = error.to_string();
    match error {
        TestModeError::Production => Problem::new(
            StatusCode::CONFLICT,
            error.code(),
            message,
            "test with another gateway, or restart this one without --profile production",
        ),
        TestModeError::UnknownPixel => {
            let next = "name a pixel of the configuration, or add it under pixels.<id>";
            Problem::new(StatusCode::NOT_FOUND, error.code(), message, next)
        }
        TestModeError::BadCode => Problem::bad("code", TEST_CODE_RULE),
        TestModeError::File(file) => {
            tracing::error!(error = %file, "what is started and stopped of test codes cannot be written down");
            let next = "nothing was changed: see the log, and mend the disk or the rights below journal.dir";
            Problem::failed(error.code(), next)
        }
    }
}
