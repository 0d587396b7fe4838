//! `GET /attempts/{pixel}`: the last requests to Graph for a pixel.

use serde::Serialize;

use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use super::routes::Done;
use crate::attempts::Attempt;
use crate::pixel::PixelId;

#[derive(Serialize)]
struct Shown {
    pixel: PixelId,
    /// The newest first.
    attempts: Vec<Attempt>,
}

/// `GET /attempts/{pixel}`.
pub(super) fn list(call: Call) -> Done {
    Box::pin(async move {
        call.members.end()?;
        let expected = "name a pixel, such as /attempts/1234567890123456";
        let pixel = call.id.parse();
        let pixel: PixelId = pixel.map_err(|_| Problem::bad("the path", expected))?;
        let attempts = call.admin.0.attempts.of(pixel);
        Ok(Reply::ok(&Shown { pixel, attempts }))
    })
}
