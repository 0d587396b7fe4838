//! Whether a pixel is there for a token, and whether the token may send to it.

use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::OauthClient;
use super::answer::Node;
use super::error::OauthError;
use super::wire::Call;
use crate::graph::payload;
use crate::graph::reply::TraceId;
use crate::graph::scrub::Text;
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::time::UnixMs;

/// Everything that is asked for beyond id and name.
const DETAILS: &str = "id,is_unavailable,last_fired_time,creation_time,owner_business{id,name},owner_ad_account{id,name}";

/// A pixel, as a token sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelInfo {
    /// The id, which is the one asked for.
    pub id: PixelId,
    /// Its name.
    pub name: Option<Text>,
    /// More of it; none if Meta does not tell this token.
    pub details: Option<PixelDetails>,
}

/// More of a pixel. Meta leaves out what the token may not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PixelDetails {
    /// It is there and cannot be used.
    pub is_unavailable: Option<bool>,
    /// When it last received an event.
    pub last_fired: Option<UnixMs>,
    /// When it was made.
    pub created: Option<UnixMs>,
    /// The business that owns it.
    pub owner_business: Option<Named>,
    /// The ad account that owns it.
    pub owner_ad_account: Option<Named>,
}

/// An object of Meta's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<Text>,
}

/// What Meta says to a test event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestSent {
    /// How many events were taken.
    pub events_received: u64,
    /// Its trace id.
    pub trace_id: Option<TraceId>,
    /// What it has to say about them.
    pub messages: Vec<Text>,
}

impl PixelDetails {
    fn read(answer: Node<'_>) -> Self {
        let named = |key| {
            let object: Node<'_> = answer.get(key)?;
            Some(Named {
                id: object.word("id")?,
                name: object.text("name"),
            })
        };
        Self {
            is_unavailable: answer.flag("is_unavailable"),
            last_fired: answer.raw("last_fired_time").and_then(time),
            created: answer.raw("creation_time").and_then(time),
            owner_business: named("owner_business"),
            owner_ad_account: named("owner_ad_account"),
        }
    }
}

/// Reads Meta's times, such as `2026-01-02T03:04:05+0000`, with or without a colon in the offset.
fn time(text: &str) -> Option<UnixMs> {
    let time: Timestamp = text.parse().ok()?;
    Some(UnixMs(time.as_millisecond()))
}

impl OauthClient {
    /// Reads a pixel: id and name first, then, if it may, the rest. A token that cannot read may
    /// still be able to send. Source: Meta's reference of the ads pixel.
    pub async fn pixel(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
        pixel: PixelId,
    ) -> Result<PixelInfo, OauthError> {
        let id = pixel.to_string();
        let read = |fields| {
            Call::get(id.as_str())
                .open("fields", fields)
                .bearer(token)
                .proven(token, app_secret)
        };
        let is_it = |answer: Node<'_>| answer.word("id").as_deref() == Some(id.as_str());
        let first = self.call(read("id,name")).await?;
        if !is_it(first.root()) {
            return Err(OauthError::OtherObject);
        }
        let more = self.call(read(DETAILS)).await.ok();
        let more = more.filter(|answer| is_it(answer.root()));
        Ok(PixelInfo {
            id: pixel,
            name: first.root().text("name"),
            details: more.map(|answer| PixelDetails::read(answer.root())),
        })
    }

    /// Sends one event as a test. It shows under Test events and counts like any other: Meta does
    /// not drop it. Source: Meta's "Using the Conversions API".
    pub async fn send_test(
        &self,
        token: &Secret,
        app_secret: Option<&Secret>,
        pixel: PixelId,
        test_event_code: &str,
        event: &Value,
    ) -> Result<TestSent, OauthError> {
        let mut body = json!({"data": [event], "test_event_code": test_event_code});
        let proof = app_secret.map(|secret| Secret::new(payload::proof(secret, token)));
        if let Some(proof) = &proof {
            body["appsecret_proof"] = proof.expose().into();
        }
        let body = Zeroizing::new(body.to_string().into_bytes());
        let secrets: Vec<&Secret> = app_secret.into_iter().chain(&proof).collect();
        let call = Call::post(format!("{pixel}/events"))
            .changes()
            .bearer(token)
            .json(body, &secrets);
        let answer = self.call(call).await?;
        let received = answer.root().integer("events_received");
        let messages = answer.root().list("messages").into_iter().flatten();
        Ok(TestSent {
            events_received: received
                .and_then(|received| u64::try_from(received).ok())
                .ok_or(OauthError::Missing("events_received"))?,
            trace_id: answer.root().trace("fbtrace_id"),
            messages: messages.filter_map(Node::own_text).collect(),
        })
    }
}
