//! What each pixel sends with.

use std::collections::BTreeSet;

use serde_json::json;

use crate::cli::token::desk::Desk;
use crate::cli::token::say::Report;
use crate::pixel::PixelId;
use crate::tokens::{Contents, TokenKey};

/// What a pixel sends with.
struct Sends {
    /// The token, by name; none when there is none, or it cannot be read here.
    with: Option<String>,
    /// Whether a gateway would send now; none when that cannot be told here.
    is_sending: Option<bool>,
    says: String,
}

/// Tells for each pixel, in the configuration or in the vault, with what it sends and whether
/// a test code is set. `bad` are the tokens that Meta has said something against.
pub(super) fn tell(
    desk: &Desk,
    report: &mut Report<'_>,
    contents: &Contents,
    only: Option<PixelId>,
    bad: &[TokenKey],
) -> anyhow::Result<()> {
    let configured = desk.config.pixels.keys();
    let all: BTreeSet<PixelId> = configured.chain(contents.pixels.keys()).copied().collect();
    let mut shown = Vec::new();
    let mut rows = Vec::new();
    for pixel in all {
        if only.is_some_and(|only| only != pixel) {
            continue;
        }
        let own = desk.config.pixels.get(&pixel);
        let sends = sends(desk, contents, pixel, bad);
        let has_code = own.is_some_and(|own| own.test_event_code.is_some());
        let name = own.and_then(|own| own.name.clone());
        let site = own.and_then(|own| own.site.clone());
        rows.push(vec![
            pixel.to_string(),
            name.clone().unwrap_or_default(),
            sends.says.clone(),
            if has_code { "yes" } else { "no" }.to_owned(),
        ]);
        shown.push(json!({
            "pixel": pixel,
            "name": name,
            "site": site,
            "configured": own.is_some(),
            "sends_with": sends.with,
            "sends": sends.is_sending,
            "test_event_code": has_code,
        }));
    }
    report.set("pixels", shown)?;
    if rows.is_empty() {
        return Ok(());
    }
    report.say("")?;
    report.table(&["pixel", "name", "sends with", "test code"], &rows)
}

fn sends(desk: &Desk, contents: &Contents, pixel: PixelId, bad: &[TokenKey]) -> Sends {
    let none = |is_sending, says: String| Sends {
        with: None,
        is_sending,
        says,
    };
    let Some(own) = desk.config.pixels.get(&pixel) else {
        let says = format!("nothing: add [pixels.{pixel}] to the configuration");
        return none(Some(false), says);
    };
    if let Some(place) = &own.token {
        let read = desk.secrets.get(&pixel);
        let Some(token) = read.and_then(|own| own.token.as_ref()) else {
            return none(None, format!("{place}, which cannot be read here"));
        };
        return with(format!("pixels.{pixel}.token"), &TokenKey::of(token), bad);
    }
    let mut candidates: Vec<_> = contents.candidates(pixel).collect();
    let is_bad = |key: &TokenKey| bad.contains(key);
    // as a gateway does: the first that is not refused
    candidates.sort_by_key(|(_, _, record)| is_bad(&TokenKey::of(&record.secret)));
    match candidates.first() {
        Some((_, name, record)) => with(name.to_string(), &TokenKey::of(&record.secret), bad),
        None => none(
            Some(false),
            format!("nothing: `capigate token add --pixel {pixel}`"),
        ),
    }
}

fn with(label: String, key: &TokenKey, bad: &[TokenKey]) -> Sends {
    let is_good = !bad.contains(key);
    let says = if is_good {
        label.clone()
    } else {
        format!("{label}, which Meta refuses: its events wait")
    };
    Sends {
        with: Some(label),
        is_sending: Some(is_good),
        says,
    }
}
