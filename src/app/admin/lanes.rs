//! `GET /lanes`: every lane that has events or a state.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::call::{Call, page};
use super::reply::Reply;
use super::routes::Done;
use crate::journal::{LaneDepth, LaneKey, RequestOptions};
use crate::lanes::Lanes;
use crate::lanes::snapshot::LaneSnapshot;
use crate::pixel::PixelId;

#[derive(Serialize)]
struct Page {
    lanes: Vec<Shown>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    pixel: PixelId,
    class: &'static str,
    options: RequestOptions,
    state: &'static str,
    reason: Option<&'static str>,
    advice: Option<&'static str>,
    /// The pixel, token or app whose state it is, by its id in `/holds`.
    circuit: Option<String>,
    /// In this state.
    seconds: u64,
    next_try: Option<u64>,
    pace_factor: Option<f64>,
    waiting: u64,
    waiting_bytes: u64,
    leased: u64,
    /// Seconds since the oldest waiting event came.
    oldest_seconds: Option<u64>,
}

pub(super) fn list(mut call: Call) -> Done {
    Box::pin(async move {
        let members = &mut call.members;
        let (limit, after) = (members.limit()?, members.text("after")?);
        let pixel = members.parsed::<PixelId>("pixel", "send a pixel id: 1 to 20 digits")?;
        call.members.end()?;
        let inner = &call.admin.0;
        let now = inner.clock.now();
        let mut all: BTreeMap<LaneKey, (LaneDepth, Option<LaneSnapshot>)> = inner
            .journal
            .lanes()
            .into_iter()
            .map(|(key, depth)| (key, (depth, None)))
            .collect();
        for (key, state) in inner.lanes.get().map(Lanes::states).unwrap_or_default() {
            all.entry(key).or_default().1 = Some(state);
        }
        let mut shown: Vec<Shown> = all
            .into_iter()
            .filter(|(key, _)| pixel.is_none_or(|pixel| pixel == key.pixel))
            .map(|(key, (depth, state))| Shown {
                id: id(&key),
                pixel: key.pixel,
                class: key.class.code(),
                options: (*key.options).clone(),
                state: state.as_ref().map_or("idle", |state| state.state),
                reason: state.as_ref().and_then(|state| state.reason),
                advice: state.as_ref().and_then(|state| state.advice),
                seconds: state.as_ref().map_or(0, |state| state.seconds),
                next_try: state.as_ref().and_then(|state| state.next_try),
                pace_factor: state.as_ref().map(|state| state.pace_factor),
                circuit: state.and_then(|state| state.circuit),
                waiting: depth.records,
                waiting_bytes: depth.bytes,
                leased: depth.leased,
                oldest_seconds: depth.oldest_received_at.map(|at| now.since(at).as_secs()),
            })
            .collect();
        shown.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let (lanes, next) = page(shown, after.as_deref(), limit, |lane| &lane.id);
        Ok(Reply::ok(&Page { lanes, next }))
    })
}

/// A name for a lane that stays the same: pixel, class, and a digest of the options if it has any.
pub(super) fn id(key: &LaneKey) -> String {
    let (pixel, class) = (key.pixel, key.class.code());
    if key.options.is_empty() {
        return format!("{pixel}.{class}");
    }
    let options = serde_json::to_vec(&*key.options).unwrap_or_default();
    let digest = hex::encode(&Sha256::digest(options)[..6]);
    format!("{pixel}.{class}.{digest}")
}
