//! What a caller asks for: the path's parameter, and the members of the query or the body, taken
//! one by one so that what is left over is known to be unknown.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode};
use bytes::Bytes;
use serde_json::Value;

use super::Admin;
use super::problem::Problem;
use crate::ingest::answer::Rejection;
use crate::ingest::encoding::Encoding;

/// Bytes of a request's body.
pub const MAX_BODY: usize = 1 << 20;
/// Entries of one page.
pub const MAX_PAGE: u64 = 1000;
/// Entries of a page when the caller does not say.
const PAGE: u64 = 100;
/// For how long a body may come in.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// One request that was let in.
pub(super) struct Call {
    pub(super) admin: Admin,
    /// The parameter of the path, decoded; empty where there is none.
    pub(super) id: String,
    pub(super) members: Members,
    /// The type of a body that is taken as it is, and the body.
    pub(super) content_type: Option<HeaderValue>,
    pub(super) body: Bytes,
    /// How that body is packed.
    pub(super) encodings: Result<Vec<Encoding>, Rejection>,
    /// Whose key it was let in with, by its place in the configuration.
    pub(super) by: String,
}

/// A body, within the bounds of all bodies here.
pub(super) async fn read(body: Body) -> Result<Bytes, Problem> {
    let reading = axum::body::to_bytes(body, MAX_BODY);
    let Ok(bytes) = tokio::time::timeout(BODY_TIMEOUT, reading).await else {
        let message = "the body did not come in time";
        let status = StatusCode::REQUEST_TIMEOUT;
        return Err(Problem::new(
            status,
            "body_timeout",
            message,
            "send it again",
        ));
    };
    bytes.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body was cut, or is larger than 1 MiB",
            "send less, such as a filter in place of a list of ids",
        )
    })
}

/// The members of a body, or the parameters of a query.
pub(super) struct Members {
    kind: &'static str,
    all: BTreeMap<String, Value>,
}

impl Members {
    /// The parameters of a query; each may come once.
    pub(super) fn of_query(query: &str) -> Result<Self, Problem> {
        let mut all = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let twice = all.insert(name.to_string(), Value::String(value.into_owned()));
            if twice.is_some() {
                return Err(Problem::twice(&name));
            }
        }
        let kind = "the parameter";
        Ok(Self { kind, all })
    }

    /// Nothing.
    pub(super) fn none() -> Self {
        Self {
            kind: "the member",
            all: BTreeMap::new(),
        }
    }

    /// These, as texts or values of JSON.
    pub(super) fn of(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Self {
        let all = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        Self {
            all: all.collect(),
            ..Self::none()
        }
    }

    /// The fields of a form; those that are left empty are not there.
    pub(super) async fn of_form(body: Body) -> Result<Self, Problem> {
        let bytes = read(body).await?;
        let mut members = Self::of_query(&String::from_utf8_lossy(&bytes))?;
        members.kind = "the field";
        Ok(members.filled())
    }

    /// Without those that are left empty, as a form sends them.
    pub(super) fn filled(mut self) -> Self {
        self.all.retain(|_, value| value != "");
        self
    }

    /// The members of a body that is a JSON object or empty.
    pub(super) async fn of_body(body: Body) -> Result<Self, Problem> {
        let bytes = read(body).await?;
        let kind = "the member";
        if bytes.trim_ascii().is_empty() {
            let all = BTreeMap::new();
            return Ok(Self { kind, all });
        }
        let all = serde_json::from_slice(&bytes).map_err(|error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "bad_json",
                format!(
                    "the body is no JSON object (line {}, column {})",
                    error.line(),
                    error.column()
                ),
                "send an object such as {\"dry_run\": true}",
            )
        })?;
        Ok(Self { kind, all })
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        match self.all.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(Problem::bad(name, "send a text that is not empty")),
        }
    }

    /// A text of a form of its own; `expected` says which.
    pub(super) fn parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        let text = match self.all.remove(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text,
            // a pixel id may stand there as a number
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(Problem::bad(name, expected)),
        };
        text.parse()
            .map(Some)
            .map_err(|_| Problem::bad(name, expected))
    }

    /// A whole number in a range.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Problem> {
        let expected = format!(
            "send a whole number from {} to {}",
            range.start(),
            range.end()
        );
        match self.parsed::<u64>(name, &expected)? {
            Some(number) if !range.contains(&number) => Err(Problem::bad(name, expected)),
            number => Ok(number),
        }
    }

    /// How many entries a page is to have.
    pub(super) fn limit(&mut self) -> Result<usize, Problem> {
        let limit = self.number("limit", 1..=MAX_PAGE)?;
        Ok(limit.unwrap_or(PAGE) as usize)
    }

    /// True or false; false when it is not there.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<bool, Problem> {
        match self.all.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(Value::String(text)) if text == "true" => Ok(true),
            Some(Value::String(text)) if text == "false" => Ok(false),
            Some(_) => Err(Problem::bad(name, "send true or false")),
        }
    }

    /// A member that nobody has taken yet.
    pub(super) fn peek(&self, name: &str) -> Option<&Value> {
        self.all.get(name)
    }

    /// Those of these members that are there, as an object.
    pub(super) fn take(&mut self, names: &[&str]) -> Value {
        let taken = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), self.all.remove(*name)?)));
        Value::Object(taken.collect())
    }

    /// Refuses what nobody has taken.
    pub(super) fn end(self) -> Result<(), Problem> {
        match self.all.keys().next() {
            Some(name) => Err(Problem::unknown(self.kind, name)),
            None => Ok(()),
        }
    }
}

/// One page of a list that is in memory and in the order of `id`: what comes after `after`, and
/// the id to go on from when there is more.
pub(super) fn page<T>(
    all: Vec<T>,
    after: Option<&str>,
    limit: usize,
    id: impl Fn(&T) -> &str,
) -> (Vec<T>, Option<String>) {
    let mut rest = all
        .into_iter()
        .filter(|one| after.is_none_or(|after| id(one) > after));
    let page: Vec<T> = rest.by_ref().take(limit).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map(|last| id(last).to_owned());
    (page, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole_list() {
        let all: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        let (mut seen, mut after, mut pages) = (Vec::new(), None::<String>, 0);
        loop {
            let (page, next) = page(all.clone(), after.as_deref(), 3, |one| one.as_str());
            seen.extend(page);
            pages += 1;
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!((seen, pages), (all, 3));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut members = Members::of_query("limit=0&pixel=7&x%1B%5B=1").unwrap();
        let problem = members.limit().unwrap_err();
        assert!(format!("{problem:?}").contains("limit"), "{problem:?}");
        assert_eq!(members.parsed::<u64>("pixel", "").unwrap(), Some(7));
        let problem = format!("{:?}", members.end().unwrap_err());
        assert!(problem.contains("x?["), "{problem}");
        let problem = Members::of_query("a=1&a=2").err().unwrap();
        assert!(format!("{problem:?}").contains("a is not usable"));
        // what is said in our own words stays whole
        let problem = format!("{:?}", Problem::bad("the filter", ""));
        assert!(problem.contains("the filter is not usable"), "{problem}");
    }
}
