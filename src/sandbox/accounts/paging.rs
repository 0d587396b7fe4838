//! Lists in pages, by cursor.

use serde_json::{Value, json};
use url::form_urlencoded;

use super::call::Call;
use super::refusal as no;
use crate::sandbox::graph_error::GraphError;

/// Rows of a page when the caller names no `limit`.
const DEFAULT_LIMIT: usize = 25;

/// Most rows of a page.
const MAX_LIMIT: usize = 100;

/// The page of the list the caller asks for. As with Meta, `paging.next` holds the access token;
/// a careful caller goes on by the cursor alone.
pub(super) fn page(call: &Call, rows: Vec<Value>) -> Result<Value, Box<GraphError>> {
    let wrong = || GraphError::boxed(&no::PAGING);
    let limit = match call.get("limit") {
        None => DEFAULT_LIMIT,
        Some(text) => text.parse().map_err(|_| wrong())?,
    };
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(wrong());
    }
    let from = match call.get("after") {
        None => 0,
        Some(text) => position(text).ok_or_else(wrong)? + 1,
    };
    let all = rows.len();
    let data: Vec<_> = rows.into_iter().skip(from).take(limit).collect();
    if data.is_empty() {
        return Ok(json!({ "data": [] }));
    }
    let last = from + data.len() - 1;
    let mut paging = json!({ "cursors": { "before": cursor(from), "after": cursor(last) } });
    if last + 1 < all {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("access_token", call.get("access_token").unwrap_or_default())
            .append_pair("limit", &limit.to_string())
            .append_pair("after", &cursor(last))
            .finish();
        let path = call.target.split('?').next().unwrap_or_default();
        paging["next"] = format!("{}{path}?{query}", call.origin).into();
    }
    Ok(json!({ "data": data, "paging": paging }))
}

/// A cursor that does not look like a number.
fn cursor(at: usize) -> String {
    hex::encode(format!("row {at}"))
}

fn position(cursor: &str) -> Option<usize> {
    let text = String::from_utf8(hex::decode(cursor).ok()?).ok()?;
    text.strip_prefix("row ")?
        .parse()
        .ok()
        .filter(|&at: &usize| at < usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_go_there_and_back() {
        assert_eq!(position(&cursor(7)), Some(7));
        for bad in ["", "7", "zz", "726f77", &hex::encode("row -1")] {
            assert_eq!(position(bad), None, "{bad}");
        }
    }
}
