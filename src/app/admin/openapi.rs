//! The description of the admin API, as the binary carries it.

use axum::http::StatusCode;

use super::call::Call;
use super::reply::Reply;
use super::routes::Done;

/// The OpenAPI 3.1 document. A test compares it with the routes and with real answers.
pub const DOCUMENT: &str = include_str!("openapi.json");

pub(super) fn show(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        Ok(Reply::new(StatusCode::OK, "application/json", DOCUMENT))
    })
}
