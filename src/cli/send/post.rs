//! Posts one batch until the gateway has answered for every row of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::feed::Batch;
use super::results::{RowResult, Status};
use crate::cli::table::plain;
use crate::codes;
use crate::secret::Secret;

/// How long a gateway may take for one batch.
const PATIENCE: Duration = Duration::from_mins(1);
const CONNECT: Duration = Duration::from_secs(5);
/// The first wait after a failure, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// Bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// Why no more is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Halt {
    Stopped,
    GaveUp(String),
    Wrong(String),
    /// The gateway has left out the test code, and took so many events as live ones.
    Live(u64),
}

/// Posts to one gateway. Clones see the same trouble.
#[derive(Clone)]
pub(super) struct Poster {
    http: reqwest::Client,
    url: Url,
    bearer: HeaderValue,
    /// The members behind `data`.
    options: String,
    give_up: Duration,
    trouble: watch::Sender<Option<String>>,
    /// Whether what is sent has a test code, and no answer has shown yet that it is heeded: until
    /// then a request has one event.
    is_trying: Arc<AtomicBool>,
}

/// The gateway's answer to one request.
enum Reply {
    Done(Answer),
    /// These events are too many, or too large, for one request.
    TooMuch,
    /// Another try may do.
    Later(Option<Duration>, String),
    Wrong(String),
}

#[derive(Debug, Deserialize)]
struct Answer {
    events_received: Option<u64>,
    #[serde(default)]
    errors: Vec<Item>,
    #[serde(default)]
    duplicates: Vec<usize>,
    #[serde(default)]
    filtered: Vec<Filtered>,
    /// At most 100 of them.
    #[serde(default)]
    warnings: Vec<Notice>,
    error: Option<Refusal>,
}

/// An event, or a copy of one for another pixel, that a policy keeps back.
#[derive(Debug, Deserialize)]
struct Filtered {
    index: usize,
    policy: String,
    key: String,
    /// The other pixel, of a copy.
    pixel: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Item {
    index: Option<usize>,
    #[serde(default)]
    path: String,
    code: String,
    #[serde(default)]
    rule: String,
    example: Option<String>,
}

/// What the gateway has changed, or misses.
#[derive(Debug, Deserialize)]
struct Notice {
    /// None if it is about the request.
    index: Option<usize>,
    #[serde(default)]
    path: String,
    code: String,
    #[serde(default)]
    text: String,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    message: String,
    error_data: Option<Data>,
}

#[derive(Debug, Deserialize)]
struct Data {
    code: String,
}

impl Answer {
    /// How many events were taken as live ones although they were sent with a test code.
    fn live(&self) -> Option<u64> {
        let is_left_out = |notice: &Notice| notice.code == codes::TEST_CODE_LEFT_OUT.word();
        let is_live = self.warnings.iter().any(is_left_out);
        is_live.then(|| self.events_received.unwrap_or(0))
    }
}

impl Poster {
    pub(super) fn new(
        url: Url,
        key: &Secret,
        options: &[(String, String)],
        give_up: Duration,
    ) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            // a proxy has no business with the key, nor with what is not hashed yet
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(PATIENCE);
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose()))?;
        bearer.set_sensitive(true);
        let mut members = String::new();
        for (name, value) in options {
            members.extend([",\"", name, "\":", value]);
        }
        Ok(Self {
            http: builder.build()?,
            url,
            bearer,
            options: members,
            give_up,
            trouble: watch::Sender::new(None),
            is_trying: Arc::new(AtomicBool::new(
                options.iter().any(|(name, _)| name == "test_event_code"),
            )),
        })
    }

    /// Whether only one request may be on its way.
    pub(super) fn is_trying(&self) -> bool {
        self.is_trying.load(Ordering::Relaxed)
    }

    /// What it waits for, if it does.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }

    /// What each row of a batch came to.
    pub(super) async fn deliver(
        &self,
        batch: &Batch,
        stop: &CancellationToken,
    ) -> Result<Vec<RowResult>, Halt> {
        let mut rows: Vec<Option<RowResult>> = Vec::with_capacity(batch.records.len());
        let mut events = Vec::with_capacity(batch.records.len());
        for (at, record) in batch.records.iter().enumerate() {
            rows.push(match &record.event {
                Ok(_) => {
                    events.push(at);
                    None
                }
                Err(fault) => {
                    let mut row = row(batch, at, Status::Error);
                    fault.code.word().clone_into(&mut row.code);
                    row.path.clone_from(&fault.path);
                    row.message.clone_from(&fault.message);
                    Some(row)
                }
            });
        }
        let mut parts = vec![events];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            if self.is_trying() && part.len() > 1 {
                parts.push(part.split_off(1));
            }
            match self.answer(batch, &part, stop).await? {
                Some(answer) => {
                    if let Some(events) = answer.live() {
                        return Err(Halt::Live(events));
                    }
                    if answer.events_received.is_some_and(|events| events > 0) {
                        self.is_trying.store(false, Ordering::Relaxed);
                    }
                    let rest = settle(batch, &part, answer, &mut rows);
                    parts.push(rest);
                }
                None if part.len() == 1 => {
                    for at in part {
                        let mut row = row(batch, at, Status::Refused);
                        "too_large".clone_into(&mut row.code);
                        "too large for the gateway (ingest.max_body)".clone_into(&mut row.message);
                        put(&mut rows, at, row);
                    }
                }
                None => {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.push(right.to_vec());
                    parts.push(left.to_vec());
                }
            }
        }
        Ok(rows.into_iter().flatten().collect())
    }

    /// The answer for some events of a batch; none if they are too many for one request.
    async fn answer(
        &self,
        batch: &Batch,
        part: &[usize],
        stop: &CancellationToken,
    ) -> Result<Option<Answer>, Halt> {
        let body = self.body(batch, part);
        let begun = Instant::now();
        let mut backoff = BACKOFF.0;
        loop {
            // one that is under way is waited for: the gateway may have taken its events
            if stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            let (wait, why) = match self.post(body.clone()).await {
                Reply::Done(answer) => {
                    self.trouble.send_replace(None);
                    return Ok(Some(answer));
                }
                Reply::TooMuch => return Ok(None),
                Reply::Wrong(why) => return Err(Halt::Wrong(why)),
                Reply::Later(wait, why) => (wait, why),
            };
            let spread = Duration::from_millis(fastrand::u64(..100));
            let wait = wait.unwrap_or(backoff) + spread;
            backoff = (backoff * 2).min(BACKOFF.1);
            if begun.elapsed() + wait > self.give_up {
                return Err(Halt::GaveUp(why));
            }
            self.trouble.send_replace(Some(why));
            tokio::select! {
                () = stop.cancelled() => return Err(Halt::Stopped),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn body(&self, batch: &Batch, part: &[usize]) -> Bytes {
        let mut body = String::from("{\"data\":[");
        let events = part
            .iter()
            .filter_map(|at| batch.records.get(*at)?.event.as_ref().ok());
        for (at, event) in events.enumerate() {
            if at > 0 {
                body.push(',');
            }
            body.push_str(event);
        }
        body.extend(["]", &self.options, "}"]);
        Bytes::from(body)
    }

    async fn post(&self, body: Bytes) -> Reply {
        let sent = self
            .http
            .post(self.url.clone())
            .header(AUTHORIZATION, self.bearer.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Reply::Later(None, format!("no gateway answers at {}", self.host()));
            }
            Err(_) => return Reply::Later(None, self.silent()),
        };
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() <= MAX_ANSWER => {
                    bytes.extend_from_slice(&chunk);
                }
                Ok(None) => break,
                Ok(Some(_)) => return self.stranger(),
                Err(_) => return Reply::Later(None, self.silent()),
            }
        }
        self.read(status, retry_after, &bytes)
    }

    fn read(&self, status: StatusCode, retry_after: Option<Duration>, bytes: &[u8]) -> Reply {
        let answer = serde_json::from_slice::<Answer>(bytes).ok();
        let told = answer.as_ref().and_then(|answer| answer.error.as_ref());
        let code = told
            .and_then(|error| error.error_data.as_ref())
            .map(|data| data.code.clone());
        let words = told.map_or_else(
            || format!("the gateway answers {status}"),
            |error| plain(&error.message),
        );
        if status.is_success() {
            return match answer {
                Some(answer) if answer.events_received.is_some() => Reply::Done(answer),
                _ => self.stranger(),
            };
        }
        match (status.as_u16(), code.as_deref()) {
            (413, _) | (400, Some("too_many_events")) => Reply::TooMuch,
            (400, Some("events")) => match answer {
                Some(answer) => Reply::Done(answer),
                None => self.stranger(),
            },
            (408 | 429 | 500..=599, _) => Reply::Later(retry_after, words),
            (_, Some(code)) => Reply::Wrong(format!("{words} ({code})")),
            _ => self.stranger(),
        }
    }

    fn stranger(&self) -> Reply {
        Reply::Wrong(format!(
            "what answers at {} is no ingest address of capigate: name the gateway's with --to",
            self.host()
        ))
    }

    fn silent(&self) -> String {
        format!(
            "the gateway at {} did not answer, or broke off",
            self.host()
        )
    }

    fn host(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// Puts down what the answer says; gives the events that it does not speak of, which a strict
/// source refuses for their neighbours' sake.
fn settle(
    batch: &Batch,
    part: &[usize],
    answer: Answer,
    rows: &mut [Option<RowResult>],
) -> Vec<usize> {
    let is_taken = answer.events_received.is_some();
    for item in answer.errors {
        let Some(at) = item.index.and_then(|index| part.get(index)) else {
            continue;
        };
        let mut row = row(batch, *at, Status::Refused);
        row.code = plain(&item.code);
        row.path = plain(&item.path);
        row.message = match item.example {
            Some(example) => plain(&format!("{}; for example {example}", item.rule)),
            None => plain(&item.rule),
        };
        put(rows, *at, row);
    }
    for filtered in answer.filtered {
        let at = part
            .get(filtered.index)
            .filter(|_| filtered.pixel.is_none());
        let Some(at) = at else { continue };
        let mut row = row(batch, *at, Status::Filtered);
        row.code = plain(&filtered.policy);
        row.message = plain(&format!("kept back by {}", filtered.key));
        put(rows, *at, row);
    }
    let is_open = |at: &usize| matches!(rows.get(*at), Some(None));
    let rest: Vec<usize> = part.iter().copied().filter(is_open).collect();
    if !is_taken && rest.len() < part.len() {
        return rest;
    }
    for at in rest {
        let index = part.iter().position(|one| *one == at);
        let is_duplicate = index.is_some_and(|index| answer.duplicates.contains(&index));
        let status = if is_duplicate {
            Status::Duplicate
        } else if is_taken {
            Status::Accepted
        } else {
            Status::Refused
        };
        let mut row = row(batch, at, status);
        let notice = answer
            .warnings
            .iter()
            .find(|one| one.index == index && one.index.is_some() && status == Status::Accepted);
        if let Some(notice) = notice {
            row.code = plain(&notice.code);
            row.path = plain(&notice.path);
            row.message = plain(&notice.text);
        }
        put(rows, at, row);
    }
    Vec::new()
}

fn row(batch: &Batch, at: usize, status: Status) -> RowResult {
    let record = batch.records.get(at);
    RowResult {
        row: batch.first + at as u64,
        line: record.map_or(0, |record| record.line),
        event_id: record.and_then(|record| record.event_id.clone()),
        status,
        code: String::new(),
        path: String::new(),
        message: String::new(),
    }
}

fn put(rows: &mut [Option<RowResult>], at: usize, row: RowResult) {
    if let Some(place) = rows.get_mut(at) {
        *place = Some(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::records::Record;

    fn batch(events: usize) -> Batch {
        let record = |at: usize| Record {
            line: at as u64 + 2,
            end: 0,
            event_id: None,
            event: Ok("{}".to_owned()),
        };
        Batch {
            first: 1,
            records: (0..events).map(record).collect(),
        }
    }

    fn poster() -> Poster {
        let url = Url::parse("http://127.0.0.1:1/capi/7/events").unwrap();
        let options = [("test_event_code".to_owned(), "\"T1\"".to_owned())];
        let give_up = Duration::from_secs(1);
        Poster::new(url, &Secret::new("key".to_owned()), &options, give_up).unwrap()
    }

    fn settled(answer: &str, part: &[usize]) -> (Vec<&'static str>, Vec<usize>) {
        let batch = batch(4);
        let mut rows = vec![None; 4];
        let answer = serde_json::from_str(answer).unwrap();
        let rest = settle(&batch, part, answer, &mut rows);
        let words = rows
            .into_iter()
            .map(|row| row.map_or("-", |row| row.status.word()));
        (words.collect(), rest)
    }

    #[test]
    fn each_row_gets_its_own_answer() {
        let answer = r#"{"events_received":2,"duplicates":[1],"errors":[{"index":0,"code":"missing","path":"x","rule":"r"}]}"#;
        assert_eq!(
            settled(answer, &[0, 2, 3]),
            (vec!["refused", "-", "duplicate", "accepted"], vec![])
        );
        let kept_back = r#"{"events_received":1,"filtered":[{"index":0,"policy":"consent","key":"sources.shop.policy.consent"},{"index":1,"policy":"sample","key":"pixels.7.policy.sample","pixel":"7"}]}"#;
        assert_eq!(
            settled(kept_back, &[0, 1]),
            (vec!["filtered", "accepted", "-", "-"], vec![])
        );
        let warned = r#"{"events_received":2,"warnings":[{"code":"unknown_member","path":"","text":"t"},{"index":1,"path":"user_data.em","code":"invalid","text":"t"}]}"#;
        let mut rows = vec![None; 2];
        settle(
            &batch(2),
            &[0, 1],
            serde_json::from_str(warned).unwrap(),
            &mut rows,
        );
        let code = |at: usize| rows[at].as_ref().unwrap().code.as_str();
        assert_eq!((code(0), code(1)), ("", "invalid"));
        // a strict source refuses good rows for one that is bad: they are sent without it
        let strict = r#"{"error":{"message":"m"},"errors":[{"index":1,"code":"missing"}]}"#;
        assert_eq!(
            settled(strict, &[1, 2, 3]),
            (vec!["-", "-", "refused", "-"], vec![1, 3])
        );
        // but not for ever
        let odd = r#"{"error":{"message":"m"},"errors":[]}"#;
        assert_eq!(
            settled(odd, &[0, 1]),
            (vec!["refused", "refused", "-", "-"], vec![])
        );
    }

    #[test]
    fn an_answer_says_whether_to_go_on() {
        let poster = poster();
        let kind = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            match poster.read(status, None, body.as_bytes()) {
                Reply::Done(_) => "done",
                Reply::TooMuch => "too much",
                Reply::Later(..) => "later",
                Reply::Wrong(_) => "wrong",
            }
        };
        let error = |code: &str| {
            format!(r#"{{"error":{{"message":"m","error_data":{{"code":"{code}"}}}}}}"#)
        };
        for (status, body, want) in [
            (200, r#"{"events_received":1}"#.to_owned(), "done"),
            (200, "<html>".to_owned(), "wrong"),
            (400, error("events"), "done"),
            (400, error("too_many_events"), "too much"),
            (400, error("unknown_pixel"), "wrong"),
            (401, error("unauthorized"), "wrong"),
            (403, error("forbidden_pixel"), "wrong"),
            (404, "nothing here".to_owned(), "wrong"),
            (408, error("body_timeout"), "later"),
            (413, String::new(), "too much"),
            (429, error("rate"), "later"),
            (503, error("overloaded"), "later"),
            (502, "<html>".to_owned(), "later"),
        ] {
            assert_eq!(kind(status, &body), want, "{status} {body}");
        }
        let body = poster.body(&batch(3), &[0, 2]);
        assert_eq!(&body[..], br#"{"data":[{},{}],"test_event_code":"T1"}"#);
    }

    #[tokio::test]
    async fn a_gateway_that_is_not_there_is_waited_for_and_then_given_up() {
        let mut poster = poster();
        poster.give_up = Duration::ZERO;
        let halt = poster.deliver(&batch(1), &CancellationToken::new()).await;
        let Err(Halt::GaveUp(why)) = halt else {
            panic!("{halt:?}");
        };
        assert!(
            why.contains("no gateway answers at http://127.0.0.1:1"),
            "{why}"
        );
        let stop = CancellationToken::new();
        stop.cancel();
        let halt = poster.deliver(&batch(1), &stop).await;
        assert_eq!(halt, Err(Halt::Stopped));
    }
}
